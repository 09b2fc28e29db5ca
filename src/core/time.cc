#include "core/time.h"

#include <array>
#include <charconv>

namespace truetape {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Reads exactly `digits` decimal digits; -1 if they are not there.
int take(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return -1;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

// Writes exactly `digits` decimal digits and moves `p` behind them.
void put_digits(char*& p, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) p[i] = static_cast<char>('0' + value % 10);
  p += digits;
}

bool take_character(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::int64_t factor(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::s:
      return kSecond;
    case TimeUnit::ms:
      return 1'000'000;
    case TimeUnit::us:
      return 1'000;
    case TimeUnit::ns:
      return 1;
  }
  return 1;
}

}  // namespace

std::string to_rfc3339(Timestamp t) {
  const auto days = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date{days};
  // Not t - days: in nanoseconds the midnight before the earliest time is out of range.
  constexpr std::int64_t kDay = 86'400 * kSecond;
  const std::int64_t in_day = (to_ns(t) % kDay + kDay) % kDay;
  const auto fraction = static_cast<unsigned>(in_day % kSecond);
  const auto second = static_cast<unsigned>(in_day / kSecond);
  // By hand: millions of rows are written in one answer, and printf takes ten times as long.
  char out[30];
  char* p = out;
  put_digits(p, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  *p++ = '-';
  put_digits(p, static_cast<unsigned>(date.month()), 2);
  *p++ = '-';
  put_digits(p, static_cast<unsigned>(date.day()), 2);
  *p++ = 'T';
  put_digits(p, second / 3600, 2);
  *p++ = ':';
  put_digits(p, second / 60 % 60, 2);
  *p++ = ':';
  put_digits(p, second % 60, 2);
  if (fraction != 0) {
    *p++ = '.';
    if (fraction % 1'000'000 == 0)
      put_digits(p, fraction / 1'000'000, 3);
    else if (fraction % 1'000 == 0)
      put_digits(p, fraction / 1'000, 6);
    else
      put_digits(p, fraction, 9);
  }
  *p++ = 'Z';
  return {out, static_cast<std::size_t>(p - out)};
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  const int y = take(text, 4);
  if (y < 1678 || y > 2261 || !take_character(text, '-')) return std::nullopt;
  const int mo = take(text, 2);
  if (mo < 1 || !take_character(text, '-')) return std::nullopt;
  const int d = take(text, 2);
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d < 0 ? 0 : d)}};
  if (d < 1 || !date.ok()) return std::nullopt;
  Timestamp out{sys_days{date}};
  if (text.empty()) return out;
  if (!take_character(text, 'T') && !take_character(text, 't') && !take_character(text, ' ')) return std::nullopt;
  const int h = take(text, 2);
  if (h < 0 || h > 23 || !take_character(text, ':')) return std::nullopt;
  const int mi = take(text, 2);
  if (mi < 0 || mi > 59) return std::nullopt;
  out += hours{h} + minutes{mi};
  if (take_character(text, ':')) {
    const int s = take(text, 2);
    if (s < 0 || s > 60) return std::nullopt;
    out += seconds{s};
    if (take_character(text, '.')) {
      std::int64_t fraction = 0, unit = kSecond / 10;
      if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
      while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        fraction += unit * (text.front() - '0');
        unit /= 10;
        text.remove_prefix(1);
      }
      out += Nanoseconds{fraction};
    }
  }
  if (text.empty() || text == "Z" || text == "z") return out;
  const bool ahead = text.front() == '+';
  if (!ahead && text.front() != '-') return std::nullopt;
  text.remove_prefix(1);
  const int oh = take(text, 2);
  if (oh < 0 || oh > 23) return std::nullopt;
  take_character(text, ':');
  const int om = text.empty() ? 0 : take(text, 2);
  if (om < 0 || om > 59 || !text.empty()) return std::nullopt;
  const minutes offset = hours{oh} + minutes{om};
  return ahead ? out - offset : out + offset;
}

std::optional<TimeUnit> parse_time_unit(std::string_view text) {
  for (const TimeUnit unit : {TimeUnit::s, TimeUnit::ms, TimeUnit::us, TimeUnit::ns})
    if (text == name(unit)) return unit;
  return std::nullopt;
}

std::string_view name(TimeUnit unit) {
  static constexpr std::array<std::string_view, 4> names{"s", "ms", "us", "ns"};
  return names[static_cast<std::size_t>(unit)];
}

std::optional<TimeUnit> guess_time_unit(std::int64_t since_epoch) {
  if (since_epoch < 1'000'000'000) return std::nullopt;
  if (since_epoch < 10'000'000'000) return TimeUnit::s;
  if (since_epoch < 1'000'000'000'000) return std::nullopt;
  if (since_epoch < 10'000'000'000'000) return TimeUnit::ms;
  if (since_epoch < 1'000'000'000'000'000) return std::nullopt;
  if (since_epoch < 10'000'000'000'000'000) return TimeUnit::us;
  if (since_epoch < 1'000'000'000'000'000'000) return std::nullopt;
  return TimeUnit::ns;
}

std::optional<Timestamp> from_epoch(std::int64_t since_epoch, TimeUnit unit) {
  std::int64_t ns;
  if (__builtin_mul_overflow(since_epoch, factor(unit), &ns)) return std::nullopt;
  return timestamp_ns(ns);
}

std::optional<Nanoseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || text.front() == '-') return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const DurationUnit& unit : kDurationUnits) {
    std::int64_t ns = 0;
    if (name == unit.name && !__builtin_mul_overflow(count, unit.ns, &ns)) return Nanoseconds{ns};
  }
  return std::nullopt;
}

std::optional<Interval> parse_interval(std::string_view text) {
  if (text.size() < 2) return std::nullopt;
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, count);
  if (error != std::errc{} || end != text.data() + text.size() - 1 || count < 1 || count > 86'400) return std::nullopt;
  std::int64_t seconds = 0;
  switch (text.back()) {
    case 's':
      seconds = count;
      break;
    case 'm':
      seconds = count * 60;
      break;
    case 'h':
      seconds = count * 3'600;
      break;
    case 'd':
      seconds = count * 86'400;
      break;
    default:
      return std::nullopt;
  }
  if (seconds > 86'400) return std::nullopt;
  return Interval{seconds};
}

std::string to_text(Interval interval) {
  const std::int64_t s = interval.count();
  if (s % 86'400 == 0) return std::to_string(s / 86'400) + 'd';
  if (s % 3'600 == 0) return std::to_string(s / 3'600) + 'h';
  if (s % 60 == 0) return std::to_string(s / 60) + 'm';
  return std::to_string(s) + 's';
}

}  // namespace truetape
