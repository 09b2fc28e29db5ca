// Candles as the simulated venue computes them from its own trades, and the intervals that it knows.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sim/numbers.h"

namespace truetape::sim {

// The venue's own time.
using Duration = std::chrono::microseconds;
using Time = std::chrono::sys_time<Duration>;
constexpr std::int64_t to_ms(Time t) {
  return std::chrono::floor<std::chrono::milliseconds>(t).time_since_epoch().count();
}
constexpr std::int64_t to_us(Time t) { return t.time_since_epoch().count(); }
constexpr Time from_ms(std::int64_t ms) { return Time{std::chrono::milliseconds{ms}}; }

struct BarInterval {
  std::string_view name;  // "1m"; "1M" is the month
  Duration length;        // of the month: 28 days at least
  bool week = false;      // begins on Monday
  bool month = false;
};
std::span<const BarInterval> bar_intervals();
const BarInterval* find_interval(std::string_view name);
// Start of the bar that holds t, and of the bar after the one that starts at `start`. `offset` moves the boundaries:
// +8 h for days that begin at 16:00 UTC.
Time bar_start(Time t, const BarInterval& interval, Duration offset = {});
Time next_bar(Time start, const BarInterval& interval, Duration offset = {});

struct Bar {
  Time start{};
  Units open = 0, high = 0, low = 0, close = 0;
  Wide volume = 0, taker_volume = 0;  // 10^-8
  Wide quote = 0, taker_quote = 0;    // 10^-16
  std::uint64_t trades = 0;
  std::uint64_t first_id = 0, last_id = 0;  // of raw trades; without trades they mean nothing

  // In the order of the ids.
  void add(Units price, Units quantity, bool buyer_is_maker, std::uint64_t first, std::uint64_t last);
  void add(const Bar& later);
  // A bar in which nothing is traded.
  static Bar flat(Time start, Units price) {
    return {.start = start, .open = price, .high = price, .low = price, .close = price};
  }
};

}  // namespace truetape::sim
