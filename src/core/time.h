// Time: UTC nanoseconds since 1970, until 2262. Text is RFC 3339 with Z.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace truetape {

using Nanoseconds = std::chrono::nanoseconds;
using Timestamp = std::chrono::sys_time<Nanoseconds>;

constexpr Timestamp timestamp_ns(std::int64_t ns) { return Timestamp{Nanoseconds{ns}}; }
constexpr std::int64_t to_ns(Timestamp t) { return t.time_since_epoch().count(); }

// "2024-08-08T23:59:00Z", with 3, 6 or 9 digits after the point only where they are not zero.
std::string to_rfc3339(Timestamp t);
// "2024-08-08", "2024-08-08T23:59", "2024-08-08T23:59:01.25Z" and offsets such as +02:00; no zone means UTC.
std::optional<Timestamp> parse_rfc3339(std::string_view text);

// Seconds, milliseconds, microseconds or nanoseconds since 1970, told by the number of digits: the venues' clocks of
// 2001..2286 have 10, 13, 16 and 19 digits in these units.
enum class TimeUnit { s, ms, us, ns };
std::optional<TimeUnit> parse_time_unit(std::string_view text);
std::string_view name(TimeUnit unit);
// By magnitude; nullopt when the number is of none of the four.
std::optional<TimeUnit> guess_time_unit(std::int64_t since_epoch);
// nullopt on overflow.
std::optional<Timestamp> from_epoch(std::int64_t since_epoch, TimeUnit unit);

// Units of a span of time, largest first.
struct DurationUnit {
  std::string_view name;
  std::int64_t ns;
};
inline constexpr DurationUnit kDurationUnits[] = {{"d", 86'400'000'000'000},
                                                  {"h", 3'600'000'000'000},
                                                  {"m", 60'000'000'000},
                                                  {"s", 1'000'000'000},
                                                  {"ms", 1'000'000},
                                                  {"us", 1'000},
                                                  {"ns", 1}};
// A whole number, not negative, and a unit: "500ms", "7d". nullopt also on overflow.
std::optional<Nanoseconds> parse_duration(std::string_view text);

// A candle's length. Text: "1s", "15s", "1m", "5m", "1h", "4h", "1d".
using Interval = std::chrono::seconds;
std::optional<Interval> parse_interval(std::string_view text);
std::string to_text(Interval interval);

// Start of the window [start, start + interval) that holds t. Windows are aligned to 1970-01-01T00:00:00Z.
constexpr Timestamp window_start(Timestamp t, Interval interval) {
  const std::int64_t length = Nanoseconds{interval}.count();
  const std::int64_t ns = to_ns(t);
  std::int64_t quotient = ns / length;
  if (ns % length < 0) --quotient;
  return timestamp_ns(quotient * length);
}

// What a candle shows of a trade's time, and what contents are compared by: venues' archives give microseconds where
// their live streams give milliseconds (semantics: "cut to what live gives").
constexpr Timestamp content_time(Timestamp t) { return std::chrono::floor<std::chrono::milliseconds>(t); }

}  // namespace truetape
