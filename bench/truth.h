// What the candles of the tape must be, made the plainest way from the venue's digits: the judge that benchmarks ask
// before they measure. Shares no code with what it judges.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/dense.h"
#include "core/records.h"

namespace truetape::bench {

struct TrueCandle {
  std::int64_t open_e8, high_e8, low_e8, close_e8;
  std::int64_t volume_e8 = 0, taker_buy_e8 = 0;
  __int128 quote_e16 = 0;
  std::uint64_t trades = 0, first_id = 0, last_id = 0;
};

class Truth {
 public:
  Truth(const Interleaved& tape, std::uint64_t trades, std::vector<Interval> intervals);
  // Windows with trades, of all instruments and intervals, that end at or before the last trade.
  std::size_t due() const;
  // Gives a row of `candles`. Later rows of one key replace earlier ones.
  void take(const Candle& candle);
  // Empty: every due window is there, closed, complete by ids or session (but the first ones, which are partial), and
  // equal in every value. Else one sentence.
  std::string judge() const;

 private:
  struct Key {
    std::size_t instrument;
    std::int64_t interval_s, start_ms;
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, TrueCandle> truth_;
  std::map<Key, Candle> given_;
  std::map<std::string, std::size_t> place_;
  std::vector<Interval> intervals_;
  std::int64_t first_ms_ = 0, last_ms_ = 0;
};

}  // namespace truetape::bench
