#include "sim/bars.h"

#include <algorithm>
#include <array>

namespace truetape::sim {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::weeks;

constexpr std::array kIntervals{BarInterval{"1s", seconds{1}},
                                BarInterval{"1m", minutes{1}},
                                BarInterval{"3m", minutes{3}},
                                BarInterval{"5m", minutes{5}},
                                BarInterval{"15m", minutes{15}},
                                BarInterval{"30m", minutes{30}},
                                BarInterval{"1h", hours{1}},
                                BarInterval{"2h", hours{2}},
                                BarInterval{"4h", hours{4}},
                                BarInterval{"6h", hours{6}},
                                BarInterval{"8h", hours{8}},
                                BarInterval{"12h", hours{12}},
                                BarInterval{"1d", days{1}},
                                BarInterval{"3d", days{3}},
                                BarInterval{"1w", weeks{1}, true, false},
                                BarInterval{"1M", days{28}, false, true}};
// 1970-01-01 was a Thursday: weeks of Monday begin three days before it.
constexpr Duration kMonday = days{4};

std::chrono::year_month month_of(Time t) {
  const std::chrono::year_month_day date{std::chrono::floor<days>(t)};
  return date.year() / date.month();
}

}  // namespace

std::span<const BarInterval> bar_intervals() { return kIntervals; }
const BarInterval* find_interval(std::string_view name) {
  const auto found = std::ranges::find(kIntervals, name, &BarInterval::name);
  return found == kIntervals.end() ? nullptr : &*found;
}

Time bar_start(Time t, const BarInterval& interval, Duration offset) {
  const Time local = t + offset;
  if (interval.month) return Time{std::chrono::sys_days{month_of(local) / 1}} - offset;
  const Duration shift = interval.week ? kMonday : Duration{};
  const Duration since = local.time_since_epoch() - shift;
  Duration start = since / interval.length * interval.length;
  if (start > since) start -= interval.length;
  return Time{start + shift} - offset;
}

Time next_bar(Time start, const BarInterval& interval, Duration offset) {
  if (!interval.month) return start + interval.length;
  return Time{std::chrono::sys_days{(month_of(start + offset) + std::chrono::months{1}) / 1}} - offset;
}

void Bar::add(Units price, Units quantity, bool buyer_is_maker, std::uint64_t first, std::uint64_t last) {
  if (trades == 0) {
    open = high = low = price;
    first_id = first;
  }
  high = std::max(high, price);
  low = std::min(low, price);
  close = price;
  const Wide turnover = static_cast<Wide>(price) * quantity;
  volume += quantity;
  quote += turnover;
  if (!buyer_is_maker) {
    taker_volume += quantity;
    taker_quote += turnover;
  }
  trades += last - first + 1;
  last_id = last;
}

void Bar::add(const Bar& later) {
  if (later.trades == 0) return;
  if (trades == 0) {
    const Time own = start;
    *this = later;
    start = own;
    return;
  }
  high = std::max(high, later.high);
  low = std::min(low, later.low);
  close = later.close;
  volume += later.volume;
  taker_volume += later.taker_volume;
  quote += later.quote;
  taker_quote += later.taker_quote;
  trades += later.trades;
  last_id = later.last_id;
}

}  // namespace truetape::sim
