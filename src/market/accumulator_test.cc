#include "market/accumulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace truetape::market {
namespace {

Trade trade(std::int64_t ms, std::uint64_t id, std::string_view price, std::string_view quantity, Side side) {
  Trade t;
  t.event_time = timestamp_ns(ms * 1'000'000);
  t.order = t.first_id = t.last_id = id;
  t.price = parse_decimal(price).value;
  t.quantity = parse_decimal(quantity).value;
  t.taker_side = side;
  return t;
}

const std::vector<Trade> kTrades = {trade(1000, 1, "10.5", "2", Side::buy), trade(1000, 2, "9.75", "1.5", Side::sell),
                                    trade(1400, 3, "12", "0.25", Side::buy), trade(1400, 4, "11", "1", Side::sell)};

Candle candle_of(const Accumulator& a) {
  Candle c;
  a.fill(c);
  return c;
}

TEST(Accumulator, ValuesOfFourTrades) {
  Accumulator a;
  for (const Trade& t : kTrades) a.add(t);
  const Candle c = candle_of(a);
  EXPECT_EQ(to_text(*c.open), "10.5");
  EXPECT_EQ(to_text(*c.high), "12");
  EXPECT_EQ(to_text(*c.low), "9.75");
  EXPECT_EQ(to_text(*c.close), "11");  // same millisecond as id 3: the greater id closes
  EXPECT_EQ(to_text(*c.volume), "4.75");
  EXPECT_EQ(to_text(*c.quote_volume), "49.625");
  EXPECT_EQ(to_text(*c.taker_buy_volume), "2.25");
  EXPECT_EQ(to_text(*c.taker_buy_quote_volume), "24");
  EXPECT_EQ(to_text(*c.vwap), "10.447368421052631579");
  EXPECT_EQ(c.trades, 4U);
  EXPECT_EQ(c.first_id, 1U);
  EXPECT_EQ(c.last_id, 4U);
}

TEST(Accumulator, WithoutIdsThePlaceInTheSourceDecidesWithinAMillisecond) {
  std::vector<Trade> trades;
  for (const auto& [seq, ordinal, price] : {std::tuple{7U, 1U, "2"}, {7U, 0U, "1"}, {8U, 0U, "3"}, {6U, 9U, "4"}}) {
    trades.push_back(trade(1000, 0, price, "1", Side::unknown));
    trades.back().seq = seq;
    trades.back().ordinal = ordinal;
  }
  for (int order = 0; order < 24; ++order) {
    Accumulator a;
    for (const Trade& t : trades) a.add(t);
    const Candle c = candle_of(a);
    EXPECT_EQ(to_text(*c.open), "4") << order;
    EXPECT_EQ(to_text(*c.close), "3") << order;
    EXPECT_EQ(c.first_id, std::nullopt) << order;
    EXPECT_EQ(c.last_id, std::nullopt) << order;
    std::next_permutation(trades.begin(), trades.end(),
                          [](const Trade& x, const Trade& y) { return x.price < y.price; });
  }
}

TEST(Accumulator, NeitherOrderNorRollUpMatters) {
  Accumulator straight;
  for (const Trade& t : kTrades) straight.add(t);
  std::vector<std::size_t> order = {0, 1, 2, 3};
  do {
    Accumulator one, two;
    for (std::size_t i = 0; i < order.size(); ++i) (i < 2 ? one : two).add(kTrades[order[i]]);
    two.merge(one);
    EXPECT_EQ(candle_of(two), candle_of(straight));
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Accumulator, AnUnknownSideLeavesTheTakerVolumesEmpty) {
  Accumulator a;
  a.add(kTrades[0]);
  a.add(trade(1500, 5, "10", "1", Side::unknown));
  EXPECT_FALSE(candle_of(a).taker_buy_volume);
  EXPECT_EQ(to_text(*candle_of(a).volume), "3");
}

TEST(Accumulator, AnAggregateCountsItsTrades) {
  Accumulator a;
  Trade t = kTrades[0];
  t.first_id = 100;
  t.last_id = 104;
  a.add(t);
  EXPECT_EQ(candle_of(a).trades, 5U);
}

TEST(Accumulator, MicrosecondsOfAnArchiveGiveTheCandleOfTheLiveStream) {
  Accumulator live, archive;
  for (Trade t : kTrades) {
    live.add(t);
    t.event_time += std::chrono::microseconds{713};
    archive.add(t);
  }
  EXPECT_EQ(candle_of(archive), candle_of(live));
}

TEST(Accumulator, StateRoundTrip) {
  Accumulator a, b;
  for (Trade t : kTrades) {
    t.receive_time = t.event_time + std::chrono::milliseconds{-3};
    a.add(t);
  }
  std::string bytes;
  Writer w{bytes};
  a.write(w);
  Reader r{bytes};
  b.read(r);
  r.end();
  EXPECT_EQ(candle_of(a), candle_of(b));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    Reader damaged{std::string_view{bytes}.substr(0, cut)};
    EXPECT_THROW(b.read(damaged), std::runtime_error) << cut;
  }
}

TEST(Accumulator, SumsBeyondTheDecimalAreNotTold) {
  Accumulator a;
  for (int i = 0; i < 20; ++i) a.add(trade(1000, static_cast<std::uint64_t>(i), "1", "9000000000000000000", Side::buy));
  EXPECT_FALSE(candle_of(a).volume);
  EXPECT_EQ(to_text(*candle_of(a).close), "1");
}

}  // namespace
}  // namespace truetape::market
