// Two venues' prices of one pair beside each other: where they are further apart than a band for longer than they may,
// one of them is wrong, slow or alone. By the closes of closed candles on the venues' own times, so live and batch say
// the same of the same rows. It judges nothing else: no trade, no candle changes by it. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "codec/rows.h"
#include "core/records.h"

namespace truetape {

struct CrossRule {
  double band = 0.005;                            // of the smaller price: 0.5 %
  Nanoseconds hold = std::chrono::seconds{10};    // beyond it so long: a deviation
  Nanoseconds oldest = std::chrono::seconds{60};  // a price without a trade for longer is compared with nothing
};

// The rule for closes of candles of `base`: nothing shorter than a candle can be told of them, and a price is always
// old enough to meet the other's next.
CrossRule for_candles(CrossRule rule, Interval base);
// Whether its close is compared: closed, and trades made it. That of a quiet window is an older trade's.
bool is_compared(const Candle& row);

// A time in which the two were apart.
struct Deviation {
  Instrument a, b;
  Timestamp from{};
  std::optional<Timestamp> to;  // empty: it goes on
  double greatest = 0;          // of the smaller price
  Decimal price_a, price_b;     // where they were furthest apart
  friend bool operator==(const Deviation&, const Deviation&) = default;
};
template <>
std::span<const RowColumn> columns<Deviation>();
void put_cells(const Deviation& row, RowCells& out);

class CrossCheck {
 public:
  CrossCheck(const Instrument& a, const Instrument& b, const CrossRule& rule) : rule_{rule}, names_{a, b} {}

  // Side 0 is a, 1 is b. At `end` the side's last price was `close`; of two for one end the later counts. What comes
  // behind known_until() is passed over. While a side is ahead of the other its newest 4,096 wait; where older ones had
  // to go, nothing is said of the time until the first that stayed.
  void closed(std::size_t side, Timestamp end, const Decimal& close);
  // No window of that side that ends up to here will come any more. To be said of both as they go along.
  void known_until(std::size_t side, Timestamp until);

  // Deviations that have lasted long enough since the last call, in order of their beginnings: those that ended, and
  // the one that goes on, once, when it has become one. Of a side that is further ahead than a price may be old and a
  // deviation must last, older closes go: the other may have died.
  std::vector<Deviation> take();
  // Nothing more comes: what goes on ends where both are known.
  void finish();
  // That which goes on now.
  std::optional<Deviation> open() const;
  // How many closes of the side stood beside a price of the other when they came to be judged.
  std::uint64_t compared(std::size_t side) const { return sides_[side].compared; }

 private:
  struct Point {
    Timestamp at;
    std::optional<Decimal> price;  // empty: unknown from here on
  };
  struct Side {
    std::deque<Point> coming;  // rising; none but the first without a price
    std::optional<Point> last;
    std::optional<Timestamp> until;
    std::optional<Timestamp> gone_to;  // the newest that had to go
    std::uint64_t compared = 0;
  };
  static void drop_oldest(Side& side);
  void advance();
  bool look(Timestamp at);
  void end(Timestamp at);
  bool lasted(Timestamp at) const { return apart_ && at - apart_->from >= rule_.hold; }

  CrossRule rule_;
  std::array<Instrument, 2> names_;
  std::array<Side, 2> sides_;
  std::optional<Deviation> apart_;  // since when, whether it has lasted or not
  bool told_ = false;
  std::vector<Deviation> found_;
};

}  // namespace truetape
