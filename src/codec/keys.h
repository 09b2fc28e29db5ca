// The keys of the records on topics: what compaction keeps one of, and what people search by. Parse from the right: a
// symbol may hold colons.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/records.h"

namespace truetape {

// Each appends. Trades, quotes, progress and instruments: "binance:BTCUSDT".
void put_key(const Trade& value, std::string& out);
void put_key(const Quote& value, std::string& out);
void put_key(const Progress& value, std::string& out);
void put_key(const Reference& value, std::string& out);
// Candles and late windows: "binance:BTCUSDT:trade:1m:20240808T235900Z", the window's start in ISO 8601's basic format
// (no colons; in whole seconds, as all windows are). Years 1678 to 2261.
void put_key(const Candle& value, std::string& out);
void put_key(const LateWindow& value, std::string& out);
// Gaps: "binance:BTCUSDT:trade:0:4711" (era, first missing id at opening).
void put_key(const Gap& value, std::string& out);
// News: the first related instrument; without one the venue.
void put_key(const News& value, std::string& out);
// Counts of headlines: "finnhub:AAPL:Reuters:1m:20240808T235900Z", without an instrument "finnhub::Reuters:1m:…". Of
// the source '%' and ':' stand as %25 and %3A.
void put_key(const NewsCount& value, std::string& out);
// Quarantine: the instrument; empty if none could be read.
void put_key(const Quarantined& value, std::string& out);

struct WindowKey {
  Instrument instrument;
  Tape tape;
  Interval interval;
  Timestamp start;
  friend bool operator==(const WindowKey&, const WindowKey&) = default;
};
std::optional<WindowKey> parse_window_key(std::string_view key);  // of candles and late windows
struct GapKey {
  Instrument instrument;
  Tape tape;
  std::uint32_t era;
  std::uint64_t first_id;
  friend bool operator==(const GapKey&, const GapKey&) = default;
};
std::optional<GapKey> parse_gap_key(std::string_view key);

}  // namespace truetape
