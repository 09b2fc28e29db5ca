#include "net/http_date.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace truetape::net {
namespace {

using std::chrono::days;
using std::chrono::floor;
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Takes words off the front of a text; `ok` turns false at the first that does not fit, and stays so.
struct Scanner {
  std::string_view rest;
  bool ok = true;

  void literal(std::string_view word) {
    if (ok && rest.starts_with(word))
      rest.remove_prefix(word.size());
    else
      ok = false;
  }
  int number(std::size_t digits) {
    if (!ok || rest.size() < digits) return fail();
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = rest[i];
      if (c == ' ' && i == 0 && digits == 2) continue;  // asctime pads the day with a space
      if (c < '0' || c > '9') return fail();
      value = value * 10 + (c - '0');
    }
    rest.remove_prefix(digits);
    return value;
  }
  unsigned month() {
    for (unsigned i = 0; ok && i < kMonths.size(); ++i) {
      if (!rest.starts_with(kMonths[i])) continue;
      rest.remove_prefix(3);
      return i + 1;
    }
    ok = false;
    return 1;
  }
  int fail() {
    ok = false;
    return 0;
  }
};

struct Parts {
  int year = 0, day = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 1;
};

void clock_time(Scanner& in, Parts& parts) {
  parts.hour = in.number(2);
  in.literal(":");
  parts.minute = in.number(2);
  in.literal(":");
  parts.second = in.number(2);
}

std::optional<Timestamp> assemble(const Parts& p) {
  const std::chrono::year_month_day date{std::chrono::year{p.year}, std::chrono::month{p.month},
                                         std::chrono::day{static_cast<unsigned>(p.day)}};
  // 60 is a leap second; the year is bounded by what a Timestamp can hold.
  if (!date.ok() || p.year < 1900 || p.year > 2261 || p.hour > 23 || p.minute > 59 || p.second > 60)
    return std::nullopt;
  return Timestamp{std::chrono::sys_days{date}} + std::chrono::hours{p.hour} + std::chrono::minutes{p.minute} +
         std::chrono::seconds{p.second};
}

}  // namespace

std::string to_http_date(Timestamp t) {
  const auto day = floor<days>(t);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{floor<std::chrono::seconds>(t - day)};
  std::array<char, 64> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                    kDays[std::chrono::weekday{day}.c_encoding()].data(), static_cast<unsigned>(date.day()),
                    kMonths[static_cast<unsigned>(date.month()) - 1].data(), static_cast<int>(date.year()),
                    static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                    static_cast<int>(time.seconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<Timestamp> parse_http_date(std::string_view text, Timestamp now) {
  Scanner in{text};
  Parts p;
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) {  // Sun Nov  6 08:49:37 1994
    in.rest.remove_prefix(std::min<std::size_t>(3, in.rest.size()));
    in.literal(" ");
    p.month = in.month();
    in.literal(" ");
    p.day = in.number(2);
    in.literal(" ");
    clock_time(in, p);
    in.literal(" ");
    p.year = in.number(4);
  } else {
    in.rest.remove_prefix(comma + 1);
    in.literal(" ");
    p.day = in.number(2);
    if (comma == 3) {  // Sun, 06 Nov 1994 08:49:37 GMT
      in.literal(" ");
      p.month = in.month();
      in.literal(" ");
      p.year = in.number(4);
    } else {  // Sunday, 06-Nov-94 08:49:37 GMT
      in.literal("-");
      p.month = in.month();
      in.literal("-");
      p.year = in.number(2);
      const int this_year = static_cast<int>(std::chrono::year_month_day{floor<days>(now)}.year());
      p.year += this_year - this_year % 100;
      if (p.year > this_year + 50) p.year -= 100;
    }
    in.literal(" ");
    clock_time(in, p);
    in.literal(" GMT");
  }
  if (!in.ok || !in.rest.empty()) return std::nullopt;
  return assemble(p);
}

std::optional<Nanoseconds> retry_after(const Headers& headers, Timestamp now) {
  const std::optional<std::string_view> value = headers.find("Retry-After");
  if (!value || value->empty()) return std::nullopt;
  if (value->find_first_not_of("0123456789") == std::string_view::npos) {
    constexpr std::int64_t longest = std::chrono::duration_cast<std::chrono::seconds>(kLongestWait).count();
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), seconds);
    if (error != std::errc{} || seconds > longest) return kLongestWait;  // too long for a number is too long
    return Nanoseconds{std::chrono::seconds{seconds}};
  }
  const std::optional<Timestamp> until = parse_http_date(*value, now);
  if (!until) return std::nullopt;
  const Timestamp from = parse_http_date(headers.get("Date"), now).value_or(now);
  return std::clamp<Nanoseconds>(*until - from, Nanoseconds::zero(), kLongestWait);
}

}  // namespace truetape::net
