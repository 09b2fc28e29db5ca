// The role that has holes filled: it follows the topic `gaps`, asks the venues for what is missing (venues/filler.h),
// newest first, and puts the pages into `raw`, then an `answer` record that says what came of it. `process` does the
// rest. It keeps nothing of its own: what is missing still after a restart stands in `gaps`.
//
// Asked for are the gaps of what is wanted (topic `control`), while ingest is started; none of more than a day or
// 5,000,000 ids, and none whose reason is `manual`: those are for `truetape backfill --from --to`, or for files.
//
// One Loop and its thread only. Of the log it only looks at what is there; on Kafka such a look may wait for a broker.
//
//   BackfillRole role{options, {.log = log, .connector = *connector, ...}};
//   loop.spawn(role.run());
//   ... role.stop(); run() returns when no question is under way and what was put is durable.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "log/log.h"
#include "metrics/metrics.h"
#include "net/backoff.h"
#include "net/connector.h"
#include "net/loop.h"
#include "roles/backfill_gaps.h"
#include "roles/ingest_log.h"
#include "venues/filler.h"

namespace truetape {

struct BackfillOptions {
  std::map<std::string, FillOptions, std::less<>> venues = {};  // one that is not here has the defaults
  std::string group = {};             // of those that divide the partitions; empty: all are ours
  std::set<Instrument> besides = {};  // wanted, whatever `control` says
  std::uint64_t seed = 0;
  Nanoseconds look = std::chrono::milliseconds{100};  // how often the log is looked at
  Nanoseconds tail_wait = std::chrono::seconds{3};    // a gap without an end mostly gets one soon
  int equal_answers = 3;                              // until the venue is believed that it has no more, ...
  Nanoseconds equal_for = std::chrono::seconds{60};   // ... over at least so long: databases lag
  Nanoseconds equal_first = std::chrono::seconds{2};  // from the first of them to the second; then twice as long
  net::BackoffConfig again = {std::chrono::seconds{5}, std::chrono::minutes{10}, 2};   // what was given and still lacks
  net::BackoffConfig trouble = {std::chrono::seconds{2}, std::chrono::minutes{2}, 2};  // no usable answer
  Nanoseconds unable_again = std::chrono::minutes{5};
  Nanoseconds most_time = std::chrono::hours{24};  // of a gap that is asked for by itself
  std::uint64_t most_ids = 5'000'000;
  Nanoseconds flush_limit = std::chrono::seconds{10};  // at the end, for what was put to become durable
};

// Borrowed; outlive the role.
struct BackfillParts {
  Log& log;
  net::Connector& connector;
  Metrics* metrics = nullptr;
  std::function<void(const FeedEvent&)> tell{};
  // For tests; else the venues' own.
  std::function<Result<std::unique_ptr<Filler>>(std::string_view, const FillOptions&, FeedParts)> make_filler{};
};

class BackfillRole {
 public:
  BackfillRole(BackfillOptions options, BackfillParts parts);
  ~BackfillRole();  // run() has returned, or was never called
  BackfillRole(const BackfillRole&) = delete;
  BackfillRole& operator=(const BackfillRole&) = delete;

  // Once. Until stop(). True: all that was put is durable.
  net::awaitable<bool> run();
  void stop();

 private:
  struct Venue;
  struct Question;
  using Key = GapFollower::Key;

  void tell(FeedEvent::Level level, const std::string& text) const;
  bool is_wanted(const Instrument& instrument) const;
  bool is_ours(const OpenGap& gap) const;  // asked for without being told to
  void know(const std::string& venue);
  void follow();
  void report();
  net::awaitable<void> attend(Venue& venue);
  std::optional<Question> choose(const Venue& venue);
  net::awaitable<void> judge(Venue& venue, const Question& question, const FillAnswer& answer);
  net::awaitable<bool> put_answer(Venue& venue, const Question& question, const FillAnswer& answer,
                                  std::string_view verdict, std::optional<std::uint64_t> nothing_after,
                                  std::optional<Timestamp> as_of);
  // Counts equal answers. True: there have been enough.
  bool is_believed(OpenGap& gap, std::string said, std::optional<Timestamp> as_of);

  const BackfillOptions options_;
  const BackfillParts parts_;
  net::Loop& loop_;
  net::Event wake_;
  LastingAppender raw_;
  ControlFollower control_;
  GapFollower gaps_;
  std::map<std::string, std::unique_ptr<Venue>, std::less<>> venues_;
  std::set<std::string> manual_told_;
  bool knows_wanted_ = false;  // control was read to its end once
  int running_ = 0;
  bool stopping_ = false;
};

}  // namespace truetape
