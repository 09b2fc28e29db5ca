// Random records of every topic for the codec's tests: every field over its whole range, every optional both ways.
#pragma once

#include <cstdint>
#include <random>

#include "core/records.h"

namespace truetape {

class RandomRecords {
 public:
  explicit RandomRecords(std::uint64_t seed) : engine_{seed} {}

  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool coin() { return below(2) == 1; }
  // Of all sizes: as likely a small number as a large one.
  std::uint64_t number() { return engine_() >> below(64); }
  std::int64_t integer() { return static_cast<std::int64_t>(coin() ? number() : ~number()); }
  Timestamp time() { return timestamp_ns(integer()); }

  Decimal decimal() { return Decimal::of(integer(), static_cast<int>(below(19))).value(); }
  Amount amount() {
    const UInt128 bits = (static_cast<UInt128>(engine_()) << 64 | engine_()) >> below(127);
    const auto units = static_cast<Int128>(bits % static_cast<UInt128>(kAmountLimit));
    return {coin() ? units : -units};
  }
  std::string text(std::size_t longest) {
    static constexpr std::string_view kPieces[] = {"a", "Z", "9", " ", ",", "\"", "\n", "é", "€", "😀", "\\", "\t", "x"};
    std::string out;
    for (std::size_t n = below(longest + 1);;) {
      const auto piece = kPieces[below(std::size(kPieces))];
      if (out.size() + piece.size() > n) return out;
      out += piece;
    }
  }
  Instrument instrument() {
    static constexpr std::string_view kNames[] = {"binance:BTCUSDT", "binance-usdm:TRXUSDT", "kucoin:BTC-USDT",
                                                  "finnhub:BINANCE:BTCUSDT",
                                                  "v:01234567890123456789012345678901234567890123456789012345ÄÖ"};
    return Instrument::parse(kNames[below(std::size(kNames))]).value();
  }
  template <class Enum>
  Enum symbol(Enum last) {
    return static_cast<Enum>(below(static_cast<std::uint64_t>(last) + 1));
  }
  Interval interval() { return Interval{1 + static_cast<std::int64_t>(below(86'400))}; }
  void maybe(std::optional<Decimal>& out) {
    if (coin()) out = decimal();
  }
  void maybe(std::optional<Amount>& out) {
    if (coin()) out = amount();
  }
  void maybe(std::optional<Timestamp>& out) {
    if (coin()) out = time();
  }
  void maybe(std::optional<std::uint64_t>& out) {
    if (coin()) out = number();
  }

  Trade trade() {
    Trade v;
    v.instrument = instrument();
    v.tape = symbol(Tape::agg);
    v.era = static_cast<std::uint32_t>(number());
    v.id = Text<40>::from(text(40)).value();
    v.order = number();
    v.first_id = number();
    v.last_id = number();
    v.event_time = time();
    maybe(v.receive_time);
    v.price = decimal();
    v.quantity = decimal();
    v.taker_side = symbol(Side::sell);
    v.kind = Text<20>::from(text(20)).value();
    v.marks = static_cast<Marks>(below(16));
    v.source = Text<40>::from(text(40)).value();
    v.seq = number();
    v.ordinal = static_cast<std::uint32_t>(number());
    return v;
  }
  Quote quote() {
    Quote v;
    v.instrument = instrument();
    v.kind = symbol(QuoteKind::ticker);
    v.order = number();
    maybe(v.event_time);
    maybe(v.receive_time);
    for (auto* value : {&v.bid, &v.bid_quantity, &v.ask, &v.ask_quantity, &v.last, &v.last_quantity, &v.open, &v.high,
                        &v.low, &v.volume, &v.quote_volume})
      maybe(*value);
    return v;
  }
  Candle candle() {
    Candle v;
    v.instrument = instrument();
    v.tape = symbol(Tape::agg);
    v.interval = interval();
    v.start = time();
    maybe(v.open);
    maybe(v.high);
    maybe(v.low);
    maybe(v.close);
    maybe(v.volume);
    maybe(v.quote_volume);
    maybe(v.trades);
    maybe(v.taker_buy_volume);
    maybe(v.taker_buy_quote_volume);
    maybe(v.vwap);
    maybe(v.first_id);
    maybe(v.last_id);
    maybe(v.first_time);
    maybe(v.last_time);
    v.completeness = symbol(Completeness::unverifiable);
    v.status = symbol(CandleStatus::corrected);
    v.proof = symbol(Proof::overlap);
    v.repaired = coin();
    maybe(v.missing);
    v.held = number();
    v.epoch = integer();
    v.revision = number();
    maybe(v.first_receive_time);
    maybe(v.last_receive_time);
    return v;
  }
  News news() {
    News v{text(20), text(60), time(), text(300), text(20), text(100), text(2000), {}};
    for (auto n = below(5); n > 0; --n) v.related.push_back(instrument());
    return v;
  }
  NewsCount news_count() {
    NewsCount v;
    v.venue = text(20);
    if (coin()) v.instrument = instrument();
    v.source = text(200);
    v.interval = interval();
    v.start = time();
    v.headlines = number();
    v.first_time = time();
    v.last_time = time();
    v.epoch = integer();
    v.revision = number();
    return v;
  }
  Gap gap() {
    Gap v;
    v.instrument = instrument();
    v.tape = symbol(Tape::agg);
    v.era = static_cast<std::uint32_t>(number());
    v.first_id = number();
    maybe(v.last_id);
    v.missing = number();
    v.from = time();
    maybe(v.to);
    v.state = symbol(GapState::lost);
    v.reason = symbol(GapReason::manual);
    v.epoch = integer();
    v.revision = number();
    return v;
  }
  LateWindow late_window() { return {instrument(), symbol(Tape::agg), interval(), time(), number()}; }
  Progress progress() {
    Progress v;
    v.instrument = instrument();
    v.tape = symbol(Tape::agg);
    maybe(v.frontier);
    maybe(v.closed_until);
    maybe(v.proven_until);
    maybe(v.sealed_until);
    v.epoch = integer();
    v.revision = number();
    return v;
  }
  Reference reference() {
    Reference v{instrument(), text(10), text(10), text(20), {}, {}, text(15)};
    maybe(v.tick);
    maybe(v.lot);
    return v;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace truetape
