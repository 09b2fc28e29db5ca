// Rows that the parts of the stores' conformance suite share. Internal to stores/conformance.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"
#include "stores/history.h"
#include "stores/sink.h"

namespace truetape::conformance {

inline constexpr std::string_view kTrades = "trades";
inline constexpr std::string_view kCandles = "candles";

inline Instrument instrument(std::string_view text) { return Instrument::parse(text).value(); }

// Trade number n of an instrument: everything about it follows from n.
inline Trade trade(std::uint64_t n, std::string_view of = "binance:BTCUSDT") {
  Trade t;
  t.instrument = instrument(of);
  t.order = t.first_id = t.last_id = n;
  t.id = Text<40>::cut(std::to_string(n));
  t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(n) * 1'000'000);
  t.price = Decimal::of(6'000'000 + static_cast<std::int64_t>(n % 1000), 2).value();
  t.quantity = Decimal::of(1 + static_cast<std::int64_t>(n % 7), 3).value();
  t.taker_side = n % 2 == 0 ? Side::buy : Side::sell;
  t.source = Text<40>::cut("session-1");
  t.seq = n / 10;
  t.ordinal = static_cast<std::uint32_t>(n % 10);
  return t;
}

inline std::vector<Row> trades(std::uint64_t first, std::uint64_t end) {
  std::vector<Row> rows;
  for (std::uint64_t n = first; n < end; ++n) rows.emplace_back(trade(n));
  return rows;
}

inline Candle candle(CandleStatus status, Completeness completeness, std::int64_t epoch, std::uint64_t revision,
                     std::int64_t close) {
  Candle c;
  c.instrument = instrument("binance:BTCUSDT");
  c.interval = std::chrono::minutes{1};
  c.start = timestamp_ns(1'700'000'040'000'000'000);
  c.status = status;
  c.completeness = completeness;
  c.epoch = epoch;
  c.revision = revision;
  c.open = c.high = c.low = c.close = Decimal::of(close, 2);
  return c;
}

inline Batch batch(std::string_view topic, std::int64_t first, std::span<const Row> rows, std::int32_t partition = 0) {
  return {topic, partition, first, first + static_cast<std::int64_t>(rows.size()), rows};
}

inline std::vector<Trade> all_trades(const History& history, const Selection& what = {}) {
  std::vector<Trade> out;
  const auto done = history.trades(what, [&](const Trade& t) { return out.push_back(t), true; });
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}
inline std::vector<Candle> all_candles(const History& history, const Selection& what = {}) {
  std::vector<Candle> out;
  const auto done = history.candles(what, [&](const Candle& c) { return out.push_back(c), true; });
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}
inline std::vector<Trade> expected_trades(std::uint64_t first, std::uint64_t end) {
  std::vector<Trade> out;
  for (std::uint64_t n = first; n < end; ++n) out.push_back(trade(n));
  return out;
}

}  // namespace truetape::conformance
