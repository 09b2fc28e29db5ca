// What the candle trades of one window add up to. Adding is commutative and merging is adding, so neither order of
// arrival nor roll-up from smaller windows can change a candle.
#pragma once

#include <algorithm>
#include <optional>

#include "core/records.h"
#include "market/bytes.h"

namespace truetape::market {

// One candle trade as a point on the tape: candles are ordered by (time, id), never by arrival. A trade without an id
// has its place in its source instead (number of the record, number in the record), above all ids.
struct Point {
  Timestamp time{};  // whole milliseconds
  std::uint64_t id = 0;
  Decimal price;
  friend bool operator<(const Point& a, const Point& b) { return a.time != b.time ? a.time < b.time : a.id < b.id; }
  friend bool operator==(const Point&, const Point&) = default;
};
inline constexpr std::uint64_t kNoId = std::uint64_t{1} << 63;  // ids have 63 bits
inline Point point_of(const Trade& t) {
  constexpr int kOrdinalBits = 20;
  constexpr std::uint64_t kMaxSeq = (kNoId >> kOrdinalBits) - 1, kMaxOrdinal = (1U << kOrdinalBits) - 1;
  const std::uint64_t place =
      kNoId | std::min(t.seq, kMaxSeq) << kOrdinalBits | std::min<std::uint64_t>(t.ordinal, kMaxOrdinal);
  return {content_time(t.event_time), t.id.empty() && t.order == 0 ? place : t.order, t.price};
}

class Accumulator {
 public:
  void add(const Trade& trade);
  void merge(const Accumulator& other);

  bool empty() const { return items_ == 0; }
  const Point& open() const { return open_; }  // of not empty
  const Point& close() const { return close_; }
  // Everything of a candle that comes from its trades: prices, volumes, counts, ids, times, receive times.
  void fill(Candle& candle) const;

  void write(Writer& out) const;
  void read(Reader& in);

 private:
  void add_receive(std::optional<Timestamp> first, std::optional<Timestamp> last);

  Point open_, close_;
  Decimal high_, low_;
  Amount volume_, taker_volume_;
  Turnover quote_, taker_quote_;
  std::uint64_t trades_ = 0;  // raw trades: an aggregate counts last_id - first_id + 1
  std::uint64_t items_ = 0;   // trades added
  bool side_unknown_ = false;
  bool overflow_ = false;  // a sum left decimal(38,18): the volumes are not told rather than told wrong
  std::optional<Timestamp> first_receive_, last_receive_;
};

}  // namespace truetape::market
