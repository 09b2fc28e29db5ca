#include "codec/cross.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

const Instrument kA = *Instrument::parse("binance:BTCUSDT"), kB = *Instrument::parse("kucoin:BTC-USDT");
const Timestamp kStart = *parse_rfc3339("2024-08-08T12:00:00Z");
Decimal price(std::string_view text) { return parse_decimal(text).value; }
Timestamp at(int seconds) { return kStart + std::chrono::seconds{seconds}; }

// Seconds, side, price.
struct Close {
  int end;
  std::size_t side;
  std::string_view text;
};
using Closes = std::vector<Close>;

std::vector<Deviation> run(const Closes& closes, int until, CrossRule rule = {}) {
  CrossCheck check{kA, kB, rule};
  for (const Close& c : closes) check.closed(c.side, at(c.end), price(c.text));
  for (const std::size_t side : {0U, 1U}) check.known_until(side, at(until));
  return check.take();
}

TEST(CrossCheck, ABandLeftForLongEnoughIsADeviation) {
  const auto found = run({{1, 0, "100"}, {1, 1, "100.4"}, {5, 1, "101"}, {9, 1, "102"}, {17, 1, "100.5"}}, 30);
  ASSERT_EQ(found.size(), 2u) << "told when it has lasted, and when it has ended";
  EXPECT_EQ(found[0].from, at(5));
  EXPECT_EQ(found[0].to, std::nullopt);
  EXPECT_EQ(found[1].from, at(5));
  EXPECT_EQ(found[1].to, at(17));
  EXPECT_NEAR(found[1].greatest, 0.02, 1e-12);
  EXPECT_EQ(to_text(found[1].price_a), "100");
  EXPECT_EQ(to_text(found[1].price_b), "102");
}

TEST(CrossCheck, AShortOneIsNone) {
  EXPECT_TRUE(run({{1, 0, "100"}, {1, 1, "101"}, {10, 1, "100"}}, 30).empty()) << "9 s";
  EXPECT_EQ(run({{1, 0, "100"}, {1, 1, "101"}, {11, 1, "100"}}, 30).size(), 2u) << "10 s";
  EXPECT_TRUE(run({{1, 0, "100"}, {1, 1, "100.5"}}, 50).empty()) << "at the band is within it";
}

TEST(CrossCheck, NothingIsSaidBeyondWhatIsKnownOfBoth) {
  CrossCheck check{kA, kB, {}};
  check.closed(0, at(1), price("100"));
  check.closed(1, at(1), price("110"));
  check.known_until(0, at(30));
  EXPECT_TRUE(check.take().empty());
  check.known_until(1, at(10));
  EXPECT_TRUE(check.take().empty()) << "9 s";
  check.known_until(1, at(11));
  EXPECT_EQ(check.take().size(), 1u);
  EXPECT_EQ(check.open()->from, at(1));
  check.known_until(1, at(20));
  EXPECT_TRUE(check.take().empty()) << "once";
}

TEST(CrossCheck, AnOldPriceIsComparedWithNothing) {
  const auto found = run({{1, 0, "100"}, {1, 1, "110"}, {200, 0, "100"}, {205, 1, "100"}}, 300);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].to, at(61)) << "so long the older one holds";
}

TEST(CrossCheck, TheOrderInWhichSidesComeDoesNotMatter) {
  const Closes closes{{1, 0, "100"}, {2, 1, "103"}, {4, 0, "101"}, {9, 1, "104"}, {20, 0, "104"}, {40, 1, "104.1"}};
  CrossCheck other{kA, kB, {}};
  std::vector<Deviation> found;
  for (const std::size_t side : {1U, 0U}) {
    for (const Close& c : closes)
      if (c.side == side) other.closed(side, at(c.end), price(c.text));
    other.known_until(side, at(50));
  }
  EXPECT_EQ(run(closes, 50), other.take());
}

TEST(CrossCheck, ALongTimeIsJudgedWholeWhereBothGoAlong) {
  CrossCheck check{kA, kB, {}};
  std::vector<Deviation> found;
  for (int i = 1; i <= 10'000; ++i) {
    check.closed(0, at(i), price("100"));
    check.closed(1, at(i), price(i >= 100 && i < 130 ? "102" : "100"));
    for (const std::size_t side : {0U, 1U}) check.known_until(side, at(i));
    for (const Deviation& d : check.take()) found.push_back(d);
  }
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].from, at(100));
  EXPECT_EQ(found[1].to, at(130));
  EXPECT_EQ(check.compared(0), 10'000u);
  EXPECT_EQ(check.compared(1), 10'000u);
}

TEST(CrossCheck, OnlyWhatStoodBesideAPriceOfTheOtherCountsAsCompared) {
  CrossCheck check{kA, kB, {}};
  for (const int end : {1, 2, 70, 200}) check.closed(0, at(end), price("100"));
  check.closed(1, at(2), price("100"));
  for (const std::size_t side : {0U, 1U}) check.known_until(side, at(300));
  EXPECT_EQ(check.compared(0), 1u) << "before the first of the other, and 68 s and 198 s after its last";
  EXPECT_EQ(check.compared(1), 1u);
}

// While the one stands, the other's closes go on; of the time whose closes had to go nothing is said.
TEST(CrossCheck, NothingIsSaidOfATimeWhoseClosesHadToGo) {
  CrossCheck check{kA, kB, {}};
  check.closed(0, at(1), price("100"));
  check.closed(1, at(1), price("110"));
  check.known_until(0, at(1));
  check.known_until(1, at(1));
  for (int i = 2; i <= 5'000; ++i) check.closed(0, at(i), price("110"));  // of those up to 905 only the first is known
  check.closed(1, at(30), price("110"));
  check.known_until(0, at(5'000));
  check.known_until(1, at(5'000));
  EXPECT_TRUE(check.take().empty()) << "100 ended at 2 s, whether it was kept or not";
  EXPECT_EQ(check.compared(0), 1u);
}

TEST(CrossCheck, OfASideThatIsFarAheadOldClosesGo) {
  const auto ahead = [](int seconds) {
    CrossCheck check{kA, kB, {}};
    for (int i = 1; i <= seconds; ++i) check.closed(0, at(i), price("100"));
    check.known_until(0, at(seconds));
    EXPECT_TRUE(check.take().empty());
    check.closed(1, at(1), price("110"));
    check.closed(1, at(12), price("110"));
    check.known_until(1, at(60));
    return check.take();
  };
  EXPECT_EQ(ahead(71).size(), 1u) << "60 s and 10 s before 71 s is 1 s";
  const auto later = ahead(73);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].from, at(3)) << "what was before had to go";
  EXPECT_EQ(ahead(100).at(0).from, at(30)) << "12 s is not too old for 30 s";
  EXPECT_TRUE(ahead(150).empty()) << "but it is for 80 s";
}

TEST(CrossCheck, WhatGoesOnEndsWhereBothAreKnownWhenNothingMoreComes) {
  CrossCheck check{kA, kB, {}};
  check.closed(0, at(1), price("100"));
  check.closed(1, at(1), price("110"));
  check.known_until(0, at(30));
  check.known_until(1, at(20));
  EXPECT_EQ(check.take().size(), 1u);
  check.finish();
  const auto found = check.take();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].to, at(20));
  EXPECT_FALSE(check.open());
}

TEST(CrossCheck, OfTwoClosesOfOneWindowTheLaterCountsWhileItWaits) {
  EXPECT_TRUE(run({{1, 0, "100"}, {1, 1, "110"}, {20, 0, "100"}, {1, 1, "100"}}, 30).empty());
  EXPECT_EQ(run({{1, 1, "110"}, {20, 0, "100"}, {1, 0, "100"}}, 20).size(), 1u) << "one that comes out of turn";
}

TEST(CrossCheck, TheRuleGrowsWithTheCandles) {
  using namespace std::chrono_literals;
  const CrossRule second = for_candles({}, 1s), minute = for_candles({}, 60s), hour = for_candles({}, 3600s);
  EXPECT_EQ(std::pair(second.hold, second.oldest), std::pair(Nanoseconds{10s}, Nanoseconds{60s}));
  EXPECT_EQ(std::pair(minute.hold, minute.oldest), std::pair(Nanoseconds{60s}, Nanoseconds{120s}));
  EXPECT_EQ(std::pair(hour.hold, hour.oldest), std::pair(Nanoseconds{3600s}, Nanoseconds{7200s}));
  // Candles of five minutes, apart in the first two of three: one deviation, of ten minutes.
  const auto found =
      run({{300, 0, "100"}, {300, 1, "110"}, {600, 0, "100"}, {600, 1, "110"}, {900, 0, "100"}, {900, 1, "100"}}, 900,
          for_candles({.hold = 600s}, 300s));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].from, at(300));
  EXPECT_EQ(found[1].to, at(900));
}

TEST(CrossCheck, OnlyClosesThatTradesMadeAreCompared) {
  Candle row;
  row.status = CandleStatus::closed;
  row.close = price("100");
  row.trades = 1;
  EXPECT_TRUE(is_compared(row));
  row.status = CandleStatus::corrected;
  EXPECT_TRUE(is_compared(row));
  row.trades = 0;
  EXPECT_FALSE(is_compared(row)) << "quiet: flat at an older trade's price";
  row.trades = 1;
  row.close.reset();
  EXPECT_FALSE(is_compared(row)) << "a gap without a known trade";
  row.close = price("100");
  row.status = CandleStatus::open;
  EXPECT_FALSE(is_compared(row));
}

TEST(CrossCheck, ARowOfIt) {
  RowCells cells;
  put_cells(Deviation{kA, kB, at(5), {}, 0.0123456, price("100"), price("101.5")}, cells);
  std::string line;
  append_csv_row(cells, line);
  EXPECT_EQ(csv_header(columns<Deviation>()), "instrument_a,instrument_b,from,to,greatest_percent,price_a,price_b");
  EXPECT_EQ(line, "binance:BTCUSDT,kucoin:BTC-USDT,2024-08-08T12:00:05Z,,1.2346,100,101.5\n");
}

}  // namespace
}  // namespace truetape
