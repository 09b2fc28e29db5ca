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
  if (!close.positive() || (own.newest && end <= *own.newest) || (own.until && end <= *own.until && own.last)) return;
  own.newest = end;
  own.coming.push_back({end, close});
  // While the other side stands: what could still be compared with its last price, or with one that comes late.
  if (own.coming.size() > kMostWaiting) own.coming.pop_front();
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
  for (;;) {
    Side* next = nullptr;
    for (Side& side : sides_)
      if (!side.coming.empty() && side.coming.front().at <= both &&
          (next == nullptr || side.coming.front().at < next->coming.front().at))
        next = &side;
    if (next == nullptr) break;
    const Timestamp at = next->coming.front().at;
    look(at);
    for (Side& side : sides_)
      if (!side.coming.empty() && side.coming.front().at == at) {
        side.last = side.coming.front();
        side.coming.pop_front();
      }
    look(at);
  }
  look(both);
}

// What the last prices say of `at`, and of the time since the last look.
void CrossCheck::look(Timestamp at) {
  const auto& a = sides_[0].last;
  const auto& b = sides_[1].last;
  if (!a || !b) return;
  const Timestamp fresh_until = std::min(a->at, b->at) + rule_.oldest;
  if (at > fresh_until) return end(fresh_until);
  const double x = value(a->price), y = value(b->price);
  const double apart = std::abs(x - y) / std::min(x, y);
  if (apart <= rule_.band) return end(at);
  if (!apart_) apart_ = Deviation{names_[0], names_[1], at, {}, 0, {}, {}};
  if (apart > apart_->greatest) {
    apart_->greatest = apart;
    apart_->price_a = a->price;
    apart_->price_b = b->price;
  }
  if (!told_ && lasted(at)) {
    told_ = true;
    found_.push_back(*apart_);
  }
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

std::vector<Deviation> CrossCheck::take() { return std::exchange(found_, {}); }

std::optional<Deviation> CrossCheck::open() const { return told_ ? apart_ : std::nullopt; }

}  // namespace truetape
