// A venue's own candles, to compare ours with: how its REST interface is asked for them, and how its answers and its
// archive files are read. Pure: text in, values out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/decimal.h"
#include "core/instrument.h"
#include "core/result.h"
#include "core/time.h"

namespace truetape {

// One window as the venue tells it. Empty: this source does not say.
struct OfficialCandle {
  Timestamp start{};
  Decimal open, high, low, close;
  Amount volume;
  std::optional<Amount> quote_volume;
  std::optional<std::uint64_t> trades;
  std::optional<Amount> taker_buy_volume, taker_buy_quote_volume;
  friend bool operator==(const OfficialCandle&, const OfficialCandle&) = default;
};

struct Klines {
  std::string_view rest_url;     // the venue's own: "https://data-api.binance.vision"
  std::string_view time_target;  // path and query of the call that tells the venue's time
  std::size_t most;              // windows of one answer
  std::int64_t weight;           // of a call for `most` windows; that for the time weighs 1
  std::int64_t weight_limit;     // of all calls of an address within a minute
  std::string_view used_header;  // in which the venue tells what was used of that

  bool (*has)(Interval interval);  // the venue has candles of that length
  // Path and query of a call for the windows that begin in [from, to), at most `most` of them, oldest first.
  std::string (*target)(const Instrument& instrument, Interval interval, Timestamp from, Timestamp to);
  Result<Timestamp> (*time)(std::string_view answer);
  // An answer, or the text of a file. The candles are windows of `interval` and their starts rise; an error names the
  // row or element at which the text is something else. A refusal of the venue's is an error with its own words.
  Result<std::vector<OfficialCandle>> (*read)(std::string_view text, Interval interval);
};

}  // namespace truetape
