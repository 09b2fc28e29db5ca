#include "market/accumulator.h"

#include <algorithm>

namespace truetape::market {
namespace {

bool add_amount(Amount& sum, Amount more) {
  if (sum.units + more.units >= kAmountLimit) return false;  // both < 10^38, so the sum fits 128 bits
  sum.units += more.units;
  return true;
}

}  // namespace

void Accumulator::add(const Trade& trade) {
  const Point point = point_of(trade);
  if (items_ == 0) {
    open_ = close_ = point;
    high_ = low_ = trade.price;
  } else {
    if (point < open_) open_ = point;
    if (close_ < point) close_ = point;
    if (high_ < trade.price) high_ = trade.price;
    if (trade.price < low_) low_ = trade.price;
  }
  const Amount quantity = to_amount(trade.quantity);
  overflow_ |= !add_amount(volume_, quantity);
  overflow_ |= !quote_.add(trade.price, trade.quantity);
  if (trade.taker_side == Side::buy) {
    overflow_ |= !add_amount(taker_volume_, quantity);
    overflow_ |= !taker_quote_.add(trade.price, trade.quantity);
  }
  side_unknown_ |= trade.taker_side == Side::unknown;
  trades_ += trade.count();
  ++items_;
  add_receive(trade.receive_time, trade.receive_time);
}

void Accumulator::merge(const Accumulator& other) {
  if (other.items_ == 0) return;
  if (items_ == 0) {
    *this = other;
    return;
  }
  open_ = std::min(open_, other.open_);
  close_ = std::max(close_, other.close_);
  high_ = std::max(high_, other.high_);
  low_ = std::min(low_, other.low_);
  overflow_ |= other.overflow_ || !add_amount(volume_, other.volume_) || !quote_.add(other.quote_) ||
               !add_amount(taker_volume_, other.taker_volume_) || !taker_quote_.add(other.taker_quote_);
  side_unknown_ |= other.side_unknown_;
  trades_ += other.trades_;
  items_ += other.items_;
  add_receive(other.first_receive_, other.last_receive_);
}

void Accumulator::add_receive(std::optional<Timestamp> first, std::optional<Timestamp> last) {
  if (first && (!first_receive_ || *first < *first_receive_)) first_receive_ = first;
  if (last && (!last_receive_ || *last_receive_ < *last)) last_receive_ = last;
}

void Accumulator::fill(Candle& candle) const {
  candle.open = open_.price;
  candle.high = high_;
  candle.low = low_;
  candle.close = close_.price;
  candle.trades = trades_;
  if (open_.id < kNoId) candle.first_id = open_.id;
  if (close_.id < kNoId) candle.last_id = close_.id;
  candle.first_time = open_.time;
  candle.last_time = close_.time;
  candle.first_receive_time = first_receive_;
  candle.last_receive_time = last_receive_;
  if (overflow_) return;
  candle.volume = volume_;
  candle.quote_volume = quote_.rounded();
  candle.vwap = quote_.per(volume_);
  if (side_unknown_) return;
  candle.taker_buy_volume = taker_volume_;
  candle.taker_buy_quote_volume = taker_quote_.rounded();
}

void Accumulator::write(Writer& out) const {
  out.number(items_);
  if (items_ == 0) return;
  const auto point = [&](const Point& p) {
    out.time(p.time);
    out.number(p.id);
    out.decimal(p.price);
  };
  const auto turnover = [&](const Turnover& t) {
    out.wide(t.high());
    out.number(t.low());
  };
  point(open_);
  point(close_);
  out.decimal(high_);
  out.decimal(low_);
  out.wide(volume_.units);
  out.wide(taker_volume_.units);
  turnover(quote_);
  turnover(taker_quote_);
  out.number(trades_);
  out.flag(side_unknown_);
  out.flag(overflow_);
  out.optional(first_receive_, [&](Timestamp t) { out.time(t); });
  out.optional(last_receive_, [&](Timestamp t) { out.time(t); });
}

void Accumulator::read(Reader& in) {
  *this = {};
  items_ = in.number();
  if (items_ == 0) return;
  const auto point = [&](Point& p) {
    p.time = in.time();
    p.id = in.number();
    p.price = in.decimal();
  };
  const auto turnover = [&] {
    const Int128 high = in.wide();
    return Turnover::from_parts(high, in.number());
  };
  point(open_);
  point(close_);
  high_ = in.decimal();
  low_ = in.decimal();
  volume_.units = in.wide();
  taker_volume_.units = in.wide();
  quote_ = turnover();
  taker_quote_ = turnover();
  trades_ = in.number();
  side_unknown_ = in.flag();
  overflow_ = in.flag();
  first_receive_ = in.optional([&] { return in.time(); });
  last_receive_ = in.optional([&] { return in.time(); });
}

}  // namespace truetape::market
