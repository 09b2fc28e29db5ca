// Inside of the role backfill: the gaps that are open, as the topic `gaps` tells them, and what has become of the
// questions for each. All on the thread of one loop; nothing here waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/records.h"
#include "log/log.h"
#include "roles/ingest_log.h"
#include "venues/filler.h"

namespace truetape {

struct GapKeyOrder {
  using Key = std::tuple<std::string, std::uint8_t, std::uint32_t, std::uint64_t>;
  static Key of(const Gap& gap) {
    return {gap.instrument.str(), static_cast<std::uint8_t>(gap.tape), gap.era, gap.first_id};
  }
};

// One gap that has not ended, and what is known of asking for it.
struct OpenGap {
  Gap row;
  std::int32_t partition = 0;
  net::SteadyTime first_seen{};  // when the gap was read of first
  net::SteadyTime seen{};        // when this row was
  // Where `process` must have come to before the next question: the end of raw, read after what it is to know of.
  std::optional<std::int64_t> after;
  bool ready = false;     // and it has come there
  net::SteadyTime due{};  // not asked for before
  int given = 0;          // complete answers since the row changed last, without an end to the gap
  bool whole = false;     // the venue lacks some of it: go through range(), in rounds
  bool alone = false;     // not together with its neighbours
  bool too_old = false;   // somebody must do something before it can be had
  int failures = 0;       // questions in a row that no usable answer came to
  // Equal answers in a row, and since when.
  std::string said;
  int times = 0;
  net::SteadyTime said_since{};
  std::optional<Timestamp> as_of;  // of the first of them

  // Of a round, which asks from the oldest id on, a unit at a time.
  std::optional<std::uint64_t> next = {};  // the next question begins here; empty: at the beginning
  std::vector<FillRange> lacking = {};     // what the venue has not given in it
  std::optional<FillRange> lacked = {};    // from the first to the last of that in the round before: asked for in this

  void forget_answers();
  // What is taken for missing; gaps that have an end only. Where the row does not tell which of its ids are still
  // missing, and all of them are more than a unit: first the newest so many, then the oldest, then all.
  FillRange range(std::uint64_t unit) const;
  // What the next question is to ask for, never more than a unit; gaps that have an end only.
  FillRange wanted(std::uint64_t unit) const;
  // The round goes on behind what was `asked`. True: that was its end, and `lacking` is what it came to.
  bool go_on(const FillRange& asked, const FillAnswer& answer, std::uint64_t unit);
};

// Reads the topic `gaps` from its beginning, and from then on.
class GapFollower {
 public:
  using Key = GapKeyOrder::Key;

  // `group`: the name of those that divide the partitions; empty: all are ours.
  GapFollower(Log& log, net::Loop& loop, std::string group, std::uint64_t seed, Tell tell);

  // Reads on. `durable`: all that was appended is in the log, so its end may be read.
  void look(bool durable);
  // All of one venue, by key.
  std::map<Key, OpenGap>& gaps() { return gaps_; }
  // The next question for it waits until `process` knows all that is in the log now.
  static void settle(OpenGap& gap) {
    gap.after.reset();
    gap.ready = false;
  }

 private:
  Status read();
  Status look_at_process();
  void take(const Stored& stored);

  Log& log_;
  net::Loop& loop_;
  const std::string group_;
  const Tell tell_;
  net::Backoff backoff_;
  std::unique_ptr<Reader> reader_;
  net::SteadyTime next_try_{};
  std::string told_;
  std::map<Key, OpenGap> gaps_;
};

}  // namespace truetape
