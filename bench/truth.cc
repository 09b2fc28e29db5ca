#include "bench/truth.h"

namespace truetape::bench {
namespace {

std::string decimal_e8(std::int64_t value) {
  std::string digits = std::to_string(value);
  if (digits.size() < 9) digits.insert(0, 9 - digits.size(), '0');
  std::string out = digits.substr(0, digits.size() - 8) + '.' + digits.substr(digits.size() - 8);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

std::string decimal_e16(__int128 value) {
  std::string digits;
  for (; value > 0; value /= 10) digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
  if (digits.size() < 17) digits.insert(0, 17 - digits.size(), '0');
  std::string out = digits.substr(0, digits.size() - 16) + '.' + digits.substr(digits.size() - 16);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

std::string text(const std::optional<Decimal>& value) { return value ? to_text(*value) : "nothing"; }
std::string text(const std::optional<Amount>& value) { return value ? to_text(*value) : "nothing"; }

}  // namespace

Truth::Truth(const Interleaved& tape, std::uint64_t trades, std::vector<Interval> intervals)
    : intervals_{std::move(intervals)} {
  for (std::size_t i = 0; i < tape.names().size(); ++i) place_[tape.names()[i]] = i;
  first_ms_ = tape.at(0).trade.time_ms;
  last_ms_ = tape.at(trades - 1).trade.time_ms;
  for (std::uint64_t i = 0; i < trades; ++i) {
    const Placed placed = tape.at(i);
    const DenseTrade& t = placed.trade;
    for (const Interval interval : intervals_) {
      const std::int64_t length = interval.count() * 1000;
      const auto [found, made] = truth_.try_emplace({placed.instrument, interval.count(), t.time_ms / length * length});
      TrueCandle& c = found->second;
      if (made) {
        c.open_e8 = c.high_e8 = c.low_e8 = t.price_e8;
        c.first_id = t.id;
      }
      c.high_e8 = std::max(c.high_e8, t.price_e8);
      c.low_e8 = std::min(c.low_e8, t.price_e8);
      c.close_e8 = t.price_e8;
      c.last_id = t.id;
      c.volume_e8 += t.quantity_e8;
      if (!t.buyer_is_maker) c.taker_buy_e8 += t.quantity_e8;
      c.quote_e16 += static_cast<__int128>(t.price_e8) * t.quantity_e8;
      ++c.trades;
    }
  }
}

std::size_t Truth::due() const {
  std::size_t n = 0;
  for (const auto& [key, candle] : truth_) n += key.start_ms + key.interval_s * 1000 <= last_ms_;
  return n;
}

void Truth::take(const Candle& candle) {
  const auto found = place_.find(candle.instrument.str());
  if (found == place_.end()) return;
  given_.insert_or_assign(Key{found->second, candle.interval.count(), to_ns(candle.start) / 1'000'000}, candle);
}

std::string Truth::judge() const {
  for (const auto& [key, c] : truth_) {
    if (key.start_ms + key.interval_s * 1000 > last_ms_) continue;
    const std::string at = std::to_string(key.interval_s) + " s from " + std::to_string(key.start_ms) +
                           " of instrument " + std::to_string(key.instrument);
    const auto found = given_.find(key);
    if (found == given_.end()) return "no candle of " + at;
    const Candle& g = found->second;
    if (g.status == CandleStatus::open) return "an open candle of " + at;
    const bool first = key.start_ms <= first_ms_;
    if (!first && (g.completeness != Completeness::complete || g.proof == Proof::none))
      return "not proven complete: " + at + " is " + std::string{name(g.completeness)};
    const auto differs = [&](std::string_view what, const std::string& ours, const std::string& truth) {
      return ours == truth ? std::string{} : std::string{what} + " of " + at + " is " + ours + ", must be " + truth;
    };
    for (const std::string& wrong :
         {differs("open", text(g.open), decimal_e8(c.open_e8)), differs("high", text(g.high), decimal_e8(c.high_e8)),
          differs("low", text(g.low), decimal_e8(c.low_e8)), differs("close", text(g.close), decimal_e8(c.close_e8)),
          differs("volume", text(g.volume), decimal_e8(c.volume_e8)),
          differs("quote volume", text(g.quote_volume), decimal_e16(c.quote_e16)),
          differs("taker buy volume", text(g.taker_buy_volume), decimal_e8(c.taker_buy_e8)),
          differs("trades", std::to_string(g.trades.value_or(0)), std::to_string(c.trades)),
          differs("first id", std::to_string(g.first_id.value_or(0)), std::to_string(c.first_id)),
          differs("last id", std::to_string(g.last_id.value_or(0)), std::to_string(c.last_id))})
      if (!wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace truetape::bench
