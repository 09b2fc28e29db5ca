// One partition's heart: raw records in, results and state out (docs/semantics.md). No I/O, clock, thread or log line:
// the only times are those in the records. fold(a), fold(b), finish_batch() gives the same last row for every key as
// fold(a), finish_batch(), fold(b), finish_batch().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/event.h"
#include "core/records.h"
#include "market/rules.h"

namespace truetape {

// Items of one venue since the last clear (semantics section 10):
// in = accepted + duplicate + contradiction + held + quarantined + set_aside + empty + other_tape + not_a_trade
//      + undecodable. set_aside is what waits now less what waited at the last clear, so it can be negative.
struct Counts {
  std::uint64_t in = 0, accepted = 0, duplicate = 0, contradiction = 0, held = 0, quarantined = 0, empty = 0,
                other_tape = 0, not_a_trade = 0, undecodable = 0;
  std::int64_t set_aside = 0;
  // subsets and circumstance, not in the equation
  std::uint64_t duplicate_unchecked = 0, late = 0, marked = 0, released = 0;
  std::uint64_t crossed = 0;  // quotes whose bid is not below their ask
  // of quarantine: items that a replay or a drop ended, and replayed ones that went back
  std::uint64_t replayed = 0, dropped = 0, still_bad = 0;
  std::array<std::uint64_t, 13> records{};  // by RawKind
  bool balanced() const;
};

// What a batch made. Plain values; the caller encodes and commits them, then calls clear().
struct Results {
  std::vector<Trade> trades;
  std::vector<Quote> quotes;
  std::vector<Candle> candles;
  std::vector<News> news;
  std::vector<NewsCount> news_counts;
  std::vector<Gap> gaps;
  std::vector<Quarantined> quarantined;
  std::vector<Progress> progress;
  std::vector<LateWindow> late;
  std::vector<Reference> instruments;
  std::vector<std::pair<std::string, std::optional<std::string>>> state;  // key, value; nullopt deletes
  std::vector<std::pair<std::string, Counts>> counts;                     // by venue
  void clear();
};

// An item of a series of ids that is not believed yet: it becomes a trade once the series is long enough, and goes to
// quarantine if something else follows (semantics section 13, eras and jumps).
struct SetAside {
  Trade trade;
  bool restart = false;  // ids began anew; else: far beyond the newest
};

// The state was written by another version of the program.
struct ForeignState : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Processor {
 public:
  // All borrowed, outlive it. `epoch` goes into every row (semantics section 6).
  Processor(const Rules& rules, const Decoder& decoder, std::int32_t partition, std::int64_t epoch);
  ~Processor();
  Processor(Processor&&) noexcept;

  // Once, before the first fold: all keys of the partition. Throws ForeignState on another state version, other
  // std::runtime_error on damage.
  void restore(std::span<const std::pair<std::string, std::string>> state);
  // Never fails: what cannot be used is quarantined.
  void fold(const RawRecord& raw, Results& out);
  // Instead of fold, for a record that must not be decoded (three unclean ends at it): quarantined whole.
  void quarantine(const RawRecord& raw, Reason reason, std::string detail, Results& out);
  // Every changed candle, gap and state key once. `emit_open` false (catch-up): open candles are kept back until a
  // batch with true.
  void finish_batch(Results& out, bool emit_open = true);
  // What is set aside now, by instrument.
  std::vector<SetAside> set_aside() const;

 private:
  struct Heart;
  std::unique_ptr<Heart> heart_;
};

}  // namespace truetape
