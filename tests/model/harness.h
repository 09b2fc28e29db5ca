// Drives src/market over a history, as a role around a log would, and holds what a reader would end with.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "generator.h"
#include "market/processor.h"
#include "model.h"

namespace truetape::model {

inline constexpr std::int64_t kEpoch = 1'700'000'000;

using CandleKey = std::tuple<Instrument, Tape, Interval, Timestamp>;
using GapKey = std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>;
using TradeKey = std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>;

// The last row of every key, over all partitions.
struct Outcome {
  std::map<CandleKey, Candle> candles;
  std::map<GapKey, Gap> gaps;
  std::map<TradeKey, Trade> trades;
  std::map<std::pair<Instrument, Tape>, Progress> progress;
  std::map<CandleKey, LateWindow> late;
  std::map<std::tuple<std::int32_t, std::int64_t, std::uint32_t>, Quarantined> quarantined;
  Counts counts;
  std::vector<std::vector<Candle>> batches;  // rows of each committed batch, if wanted
  std::vector<std::string> complaints;       // broken rules that need no model: row order, a trade twice, balance
};

enum class Cut { never, always, random };
struct Manner {
  Cut commit = Cut::never;  // after which records a batch ends; always after the last one
  int crash_percent = 0;    // of batches: thrown away before the commit, the processor rebuilt from its state
  std::uint64_t seed = 1;
  bool keep_batches = false;
};

Outcome run(const History& history, const Rules& rules, const Manner& manner);

// The judge's view of the same history, by partition.
std::map<int, Model> judge(const History& history, const Rules& rules, Pace pace = Pace::plain);
// What two judges of one history see differently, for people.
std::vector<std::string> differences(const std::map<int, Model>& a, const std::map<int, Model>& b);

struct Comparison {
  std::vector<std::string> complaints;
  std::uint64_t windows = 0, unclear = 0, gaps = 0, trades = 0;
};
Comparison compare(const std::map<int, Model>& models, const Outcome& outcome, const Rules& rules);

bool same_content(const Candle& a, const Candle& b);
std::string text(const Candle& c);
std::string text(const Gap& g);
std::string joined(const std::vector<std::string>& lines, std::size_t most = 12);

}  // namespace truetape::model
