#include "codec/cross.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace truetape {
namespace {

constexpr RowColumn kDeviation[] = {{"instrument_a"},           {"instrument_b"},  {"from"},         {"to"},
                                    {"greatest_percent", true}, {"price_a", true}, {"price_b", true}};

constexpr std::size_t kMostWaiting = 4096;  // closes of one side that the other has not come to

// Only compared, never stored.
double value(const Decimal& d) {
  const std::string text = to_text(d);
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::string percent(double share) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, share * 100, std::chars_format::fixed, 4).ptr;
  return {text, end};
}

}  // namespace

CrossRule for_candles(CrossRule rule, Interval base) {
  rule.hold = std::max<Nanoseconds>(rule.hold, base);
  rule.oldest = std::max<Nanoseconds>(rule.oldest, 2 * base);
  return rule;
}

bool is_compared(const Candle& row) {
  return row.status != CandleStatus::open && row.close && row.trades != std::uint64_t{0};
}

template <>
std::span<const RowColumn> columns<Deviation>() {
  return kDeviation;
}

void put_cells(const Deviation& row, RowCells& out) {
  out.text(row.a.text());
  out.text(row.b.text());
  out.time(row.from);
  row.to ? out.time(*row.to) : out.null();
  out.text(percent(row.greatest));
  out.decimal(row.price_a);
  out.decimal(row.price_b);
}

void CrossCheck::closed(std::size_t side, Timestamp end, const Decimal& close) {
  Side& own = sides_[side];
  if (!close.positive() || (own.until && end <= *own.until) || (own.gone_to && end <= *own.gone_to)) return;
  const auto at = std::ranges::lower_bound(own.coming, end, {}, &Point::at);
  if (at != own.coming.end() && at->at == end) {
    at->price = close;
    return;
  }
  own.coming.insert(at, {end, close});
  // While the other side stands: what could still be compared with its last price, or with one that comes late.
  if (own.coming.size() > kMostWaiting) drop_oldest(own);
}

void CrossCheck::drop_oldest(Side& side) {
  const bool first = side.coming.front().price.has_value();
  const auto oldest = side.coming.begin() + (first ? 0 : 1);
  side.gone_to = oldest->at;
  if (first)
    oldest->price.reset();
  else
    side.coming.erase(oldest);
}

void CrossCheck::known_until(std::size_t side, Timestamp until) {
  Side& own = sides_[side];
  if (own.until && until <= *own.until) return;
  own.until = until;
  advance();
}

void CrossCheck::advance() {
  if (!sides_[0].until || !sides_[1].until) return;
  const Timestamp both = std::min(*sides_[0].until, *sides_[1].until);
  const auto comes_by = [](const Side& side, Timestamp at) {
    return !side.coming.empty() && side.coming.front().at <= at;
  };
  for (;;) {
    Timestamp at = both;
    bool any = false;
    for (const Side& side : sides_)
      if (comes_by(side, at)) {
        at = side.coming.front().at;
        any = true;
      }
    if (!any) break;
    look(at);
    std::array<bool, 2> came{};
    for (std::size_t i = 0; i < 2; ++i) {
      Side& side = sides_[i];
      if (!comes_by(side, at)) continue;
      came[i] = side.coming.front().price.has_value();
      side.last.reset();
      if (came[i])
        side.last = side.coming.front();
      else
        end(at);
      side.coming.pop_front();
    }
    const bool compared = look(at);
    for (std::size_t i = 0; i < 2; ++i)
      if (compared && came[i]) ++sides_[i].compared;
  }
  look(both);
}

// What the last prices say of `at`, and of the time since the last look. Whether there are two to compare.
bool CrossCheck::look(Timestamp at) {
  const auto& a = sides_[0].last;
  const auto& b = sides_[1].last;
  if (!a || !b) return false;
  const Timestamp fresh_until = std::min(a->at, b->at) + rule_.oldest;
  if (at > fresh_until) {
    end(fresh_until);
    return false;
  }
  const double x = value(*a->price), y = value(*b->price);
  const double apart = std::abs(x - y) / std::min(x, y);
  if (apart <= rule_.band) {
    end(at);
    return true;
  }
  if (!apart_) apart_ = Deviation{names_[0], names_[1], at, {}, 0, {}, {}};
  if (apart > apart_->greatest) {
    apart_->greatest = apart;
    apart_->price_a = *a->price;
    apart_->price_b = *b->price;
  }
  if (!told_ && lasted(at)) {
    told_ = true;
    found_.push_back(*apart_);
  }
  return true;
}

void CrossCheck::end(Timestamp at) {
  if (apart_ && lasted(at)) {
    if (!told_) found_.push_back(*apart_);
    apart_->to = at;
    found_.push_back(*apart_);
  }
  apart_.reset();
  told_ = false;
}

std::vector<Deviation> CrossCheck::take() {
  for (Side& side : sides_) {
    if (!side.until) continue;
    const auto oldest = [&] { return side.coming.begin() + (!side.coming.empty() && !side.coming.front().price); };
    while (oldest() != side.coming.end() && oldest()->at < *side.until - rule_.oldest - rule_.hold) drop_oldest(side);
  }
  return std::exchange(found_, {});
}

void CrossCheck::finish() {
  if (sides_[0].until && sides_[1].until) end(std::min(*sides_[0].until, *sides_[1].until));
}

std::optional<Deviation> CrossCheck::open() const { return told_ ? apart_ : std::nullopt; }

}  // namespace truetape
