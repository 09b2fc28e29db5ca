#include "codec/roll_up.h"

#include <algorithm>
#include <tuple>

namespace truetape {
namespace {

void add(std::optional<Amount>& sum, const std::optional<Amount>& term) {
  Int128 units;
  if (!sum) return;
  if (!term || __builtin_add_overflow(sum->units, term->units, &units) || units >= kAmountLimit ||
      units <= -kAmountLimit)
    sum.reset();
  else
    sum->units = units;
}

std::optional<Amount> quotient(const std::optional<Amount>& quote_volume, const std::optional<Amount>& volume) {
  if (!quote_volume || !volume || quote_volume->units < 0) return std::nullopt;
  return Turnover::from_parts(quote_volume->units, 0).per(*volume);
}

bool touches(const Gap& gap, Timestamp start, Timestamp end) {
  if (gap.state == GapState::repaired || gap.state == GapState::absent) return false;
  return gap.from < end && (!gap.to || *gap.to >= start);
}

}  // namespace

std::optional<Candle> roll_up(std::span<const Candle> bases, Interval interval, std::span<const Gap> gaps,
                              std::optional<Timestamp> known_from) {
  if (bases.empty()) return std::nullopt;
  Candle out;
  out.instrument = bases.front().instrument;
  out.tape = bases.front().tape;
  out.interval = interval;
  out.start = window_start(bases.front().start, interval);
  out.trades = 0;
  out.volume = out.quote_volume = out.taker_buy_volume = out.taker_buy_quote_volume = Amount{};
  bool any = false, gap = false, partial = known_from && *known_from > out.start, unknown = false;
  for (const Candle& base : bases) {
    out.repaired |= base.repaired;
    out.held += base.held;
    out.revision += base.revision;
    out.epoch = std::max(out.epoch, base.epoch);
    if (base.completeness == Completeness::gap) {
      gap = true;
      unknown |= !base.missing;
    }
    if (base.missing) out.missing = out.missing.value_or(0) + *base.missing;
    partial |= base.completeness == Completeness::partial;
    if (base.first_receive_time)
      out.first_receive_time =
          std::min(out.first_receive_time.value_or(*base.first_receive_time), *base.first_receive_time);
    if (base.last_receive_time)
      out.last_receive_time =
          std::max(out.last_receive_time.value_or(*base.last_receive_time), *base.last_receive_time);
    if (!base.trades || *base.trades == 0) continue;  // quiet, or a hole: its flat price is no trade
    if (!any || std::tie(base.first_time, base.first_id) < std::tie(out.first_time, out.first_id)) {
      out.open = base.open;
      out.first_time = base.first_time;
      out.first_id = base.first_id;
    }
    if (!any || std::tie(base.last_time, base.last_id) > std::tie(out.last_time, out.last_id)) {
      out.close = base.close;
      out.last_time = base.last_time;
      out.last_id = base.last_id;
    }
    out.high = any ? std::max(out.high, base.high) : base.high;
    out.low = any ? std::min(out.low, base.low) : base.low;
    out.trades = *out.trades + *base.trades;
    add(out.volume, base.volume);
    add(out.quote_volume, base.quote_volume);
    add(out.taker_buy_volume, base.taker_buy_volume);
    add(out.taker_buy_quote_volume, base.taker_buy_quote_volume);
    any = true;
  }
  if (!any) return std::nullopt;
  if (!out.taker_buy_volume || !out.taker_buy_quote_volume)
    out.taker_buy_volume = out.taker_buy_quote_volume = std::nullopt;
  out.vwap = quotient(out.quote_volume, out.volume);
  std::uint64_t missing = 0;
  bool touched = false;
  for (const Gap& g : gaps) {
    if (!touches(g, out.start, out.end())) continue;
    touched = true;
    missing += g.missing;
    unknown |= !g.last_id;
  }
  gap |= touched;
  if (touched) out.missing = missing;
  if (unknown || partial) out.missing.reset();
  out.completeness = partial ? Completeness::partial : gap ? Completeness::gap : Completeness::none;
  return out;
}

}  // namespace truetape
