// Binance's klines: rows of [open time, open, high, low, close, volume, close time, quote volume, trades, taker buy
// volume, taker buy quote volume, unused], from REST as JSON, from its archive files as CSV with or without a header.
#pragma once

#include "venues/klines.h"

namespace truetape::binance {

extern const Klines kSpotKlines;
extern const Klines kUsdmKlines;

// Of both; what Klines::read promises. JSON: rows of at least the first six. CSV: a header may name the columns, in any
// order and as few as open time, open, high, low, close and volume; without one they are the twelve. Times are of
// milliseconds or microseconds.
Result<std::vector<OfficialCandle>> read_klines(std::string_view text, Interval interval);

}  // namespace truetape::binance
