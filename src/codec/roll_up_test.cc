#include "codec/roll_up.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

constexpr Timestamp kStart = timestamp_ns(1'723'161'540'000'000'000);  // 2024-08-08T23:59:00Z

Timestamp at_ms(std::int64_t ms) { return kStart + std::chrono::milliseconds{ms}; }
Decimal decimal(std::string_view text) { return parse_decimal(text).value; }
Amount amount(std::string_view text) { return parse_amount(text).value(); }

// The base candle of second `second`, of one trade pair.
Candle base(int second, std::uint64_t first_id, std::string_view open, std::string_view high, std::string_view low,
            std::string_view close, std::string_view volume, std::string_view quote) {
  Candle c;
  c.instrument = Instrument::parse("binance:BTCUSDT").value();
  c.interval = Interval{1};
  c.start = at_ms(second * 1000);
  c.open = decimal(open);
  c.high = decimal(high);
  c.low = decimal(low);
  c.close = decimal(close);
  c.volume = amount(volume);
  c.quote_volume = amount(quote);
  c.trades = 2;
  c.taker_buy_volume = amount(volume);
  c.taker_buy_quote_volume = amount(quote);
  c.first_id = first_id;
  c.last_id = first_id + 1;
  c.first_time = at_ms(second * 1000 + 10);
  c.last_time = at_ms(second * 1000 + 20);
  c.status = CandleStatus::closed;
  c.completeness = Completeness::complete;
  c.proof = Proof::ids;
  c.epoch = 5;
  c.revision = 3;
  c.first_receive_time = at_ms(second * 1000 + 500);
  c.last_receive_time = at_ms(second * 1000 + 600);
  return c;
}
Candle quiet(int second, std::string_view price) {
  Candle c;
  c.instrument = Instrument::parse("binance:BTCUSDT").value();
  c.interval = Interval{1};
  c.start = at_ms(second * 1000);
  c.open = c.high = c.low = c.close = decimal(price);
  c.volume = c.quote_volume = Amount{};
  c.trades = 0;
  c.status = CandleStatus::closed;
  c.completeness = Completeness::quiet;
  c.proof = Proof::ids;
  c.epoch = 5;
  c.revision = 1;
  return c;
}

TEST(RollUp, SumsTheBasesAndTakesOpenAndCloseByTimeAndId) {
  const Candle bases[] = {quiet(0, "7"), base(1, 100, "10", "12", "9", "11", "3", "31"), quiet(2, "11"),
                          base(3, 102, "11", "11.5", "8.5", "10.5", "4", "40")};
  const auto up = roll_up(bases, Interval{60});
  ASSERT_TRUE(up);
  Candle expected;
  expected.instrument = bases[0].instrument;
  expected.interval = Interval{60};
  expected.start = kStart;
  expected.open = decimal("10");  // not the flat 7 of the quiet second
  expected.high = decimal("12");
  expected.low = decimal("8.5");
  expected.close = decimal("10.5");
  expected.volume = amount("7");
  expected.quote_volume = amount("71");
  expected.trades = 4;
  expected.taker_buy_volume = amount("7");
  expected.taker_buy_quote_volume = amount("71");
  expected.vwap = amount("10.142857142857142857");  // 71 / 7
  expected.first_id = 100;
  expected.last_id = 103;
  expected.first_time = at_ms(1010);
  expected.last_time = at_ms(3020);
  expected.epoch = 5;
  expected.revision = 8;
  expected.first_receive_time = at_ms(1500);
  expected.last_receive_time = at_ms(3600);
  EXPECT_EQ(*up, expected);
}

TEST(RollUp, OfEqualTimesTheSmallerIdOpensAndTheGreaterCloses) {
  Candle a = base(1, 104, "10", "10", "10", "10", "1", "10"), b = base(1, 102, "20", "20", "20", "20", "1", "20");
  const Candle bases[] = {a, b};
  const auto up = roll_up(bases, Interval{60});
  ASSERT_TRUE(up);
  EXPECT_EQ(up->open, decimal("20"));
  EXPECT_EQ(up->first_id, 102U);
  EXPECT_EQ(up->close, decimal("10"));
  EXPECT_EQ(up->last_id, 105U);
}

TEST(RollUp, UnknownTakersLeaveTakerSumsEmpty) {
  Candle a = base(1, 100, "10", "10", "10", "10", "1", "10"), b = base(2, 102, "10", "10", "10", "10", "1", "10");
  b.taker_buy_volume = b.taker_buy_quote_volume = std::nullopt;
  const Candle bases[] = {a, b};
  const auto up = roll_up(bases, Interval{60});
  ASSERT_TRUE(up);
  EXPECT_EQ(up->taker_buy_volume, std::nullopt);
  EXPECT_EQ(up->taker_buy_quote_volume, std::nullopt);
  EXPECT_EQ(up->volume, amount("2"));
}

TEST(RollUp, ASumBeyond38DigitsIsEmpty) {
  const std::string_view large = "60000000000000000000";
  const Candle bases[] = {base(1, 100, "10", "10", "10", "10", large, large),
                          base(2, 102, "10", "10", "10", "10", large, "1")};
  const auto up = roll_up(bases, Interval{60});
  ASSERT_TRUE(up);
  EXPECT_EQ(up->volume, std::nullopt);
  EXPECT_EQ(up->quote_volume, amount("60000000000000000001"));
  EXPECT_EQ(up->taker_buy_volume, std::nullopt);
  EXPECT_EQ(up->taker_buy_quote_volume, std::nullopt);
  EXPECT_EQ(up->vwap, std::nullopt);
}

TEST(RollUp, WithoutATradeThereIsNoOpenRow) {
  const Candle bases[] = {quiet(0, "7"), quiet(1, "7")};
  EXPECT_EQ(roll_up(bases, Interval{60}), std::nullopt);
  EXPECT_EQ(roll_up({}, Interval{60}), std::nullopt);
}

struct Shape {
  const char* name;
  Completeness first, second;
  std::optional<std::uint64_t> missing_first, missing_second;
  Completeness expected;
  std::optional<std::uint64_t> missing;
};
class RollUpShape : public testing::TestWithParam<Shape> {};
TEST_P(RollUpShape, TellsCompleteness) {
  Candle bases[] = {base(1, 100, "10", "10", "10", "10", "1", "10"), base(2, 102, "10", "10", "10", "10", "1", "10")};
  bases[0].completeness = GetParam().first;
  bases[0].missing = GetParam().missing_first;
  bases[1].completeness = GetParam().second;
  bases[1].missing = GetParam().missing_second;
  bases[1].repaired = true;
  bases[0].held = 2;
  bases[1].held = 3;
  const auto up = roll_up(bases, Interval{60});
  ASSERT_TRUE(up);
  EXPECT_EQ(up->completeness, GetParam().expected);
  EXPECT_EQ(up->missing, GetParam().missing);
  EXPECT_EQ(up->held, 5U);
  EXPECT_TRUE(up->repaired);
  EXPECT_EQ(up->status, CandleStatus::open);
  EXPECT_EQ(up->proof, Proof::none);
}
INSTANTIATE_TEST_SUITE_P(
    , RollUpShape,
    testing::Values(Shape{"whole", Completeness::complete, Completeness::none, 0, {}, Completeness::none, 0},
                    Shape{"gap", Completeness::complete, Completeness::gap, 0, 4, Completeness::gap, 4},
                    Shape{"gaps", Completeness::gap, Completeness::gap, 3, 4, Completeness::gap, 7},
                    Shape{"unknown", Completeness::gap, Completeness::gap, 3, {}, Completeness::gap, {}},
                    Shape{"partial", Completeness::partial, Completeness::complete, {}, {}, Completeness::partial, {}},
                    // Rule 4 stands first: how much is missing before what is known nobody can say.
                    Shape{"partial_gap", Completeness::partial, Completeness::gap, {}, 2, Completeness::partial, {}}),
    [](const auto& tried) { return tried.param.name; });

struct Hole {
  const char* name;
  GapState state;
  std::int64_t from_ms;
  std::optional<std::int64_t> to_ms;
  std::optional<std::uint64_t> last_id;
  bool gap;
  std::optional<std::uint64_t> missing;
};
class RollUpHole : public testing::TestWithParam<Hole> {};
TEST_P(RollUpHole, AGapThatTouchesTheWindowMakesItAGap) {
  const Candle bases[] = {base(1, 100, "10", "10", "10", "10", "1", "10")};
  Gap gap;
  gap.from = at_ms(GetParam().from_ms);
  if (GetParam().to_ms) gap.to = at_ms(*GetParam().to_ms);
  gap.state = GetParam().state;
  gap.last_id = GetParam().last_id;
  gap.missing = GetParam().last_id ? 9 : 0;
  const Gap gaps[] = {gap};
  const auto up = roll_up(bases, Interval{60}, gaps);
  ASSERT_TRUE(up);
  EXPECT_EQ(up->completeness, GetParam().gap ? Completeness::gap : Completeness::none);
  EXPECT_EQ(up->missing, GetParam().missing);
}
INSTANTIATE_TEST_SUITE_P(, RollUpHole,
                         testing::Values(Hole{"inside", GapState::open, 2'000, 3'000, 9, true, 9},
                                         Hole{"lost", GapState::lost, 2'000, 3'000, 9, true, 9},
                                         Hole{"ended", GapState::repaired, 2'000, 3'000, 9, false, {}},
                                         Hole{"absent", GapState::absent, 2'000, 3'000, 9, false, {}},
                                         Hole{"ends_at_the_start", GapState::open, -5'000, 0, 9, true, 9},
                                         Hole{"ends_before", GapState::open, -5'000, -1, 9, false, {}},
                                         Hole{"begins_at_the_end", GapState::open, 60'000, 61'000, 9, false, {}},
                                         Hole{"begins_before_the_end", GapState::pending, 59'999, 61'000, 9, true, 9},
                                         Hole{"tail", GapState::open, 2'000, {}, {}, true, {}}),
                         [](const auto& tried) { return tried.param.name; });

TEST(RollUp, KnowledgeThatBeginsInsideMakesItPartialWhateverElse) {
  const Candle bases[] = {base(5, 100, "10", "10", "10", "10", "1", "10")};
  Gap gap;
  gap.from = at_ms(6'000);
  gap.to = at_ms(7'000);
  gap.state = GapState::open;
  gap.last_id = 9;
  gap.missing = 9;
  for (const auto& [known_from, expected] : {std::pair{std::optional{at_ms(-1'000)}, Completeness::gap},
                                             {std::optional{kStart}, Completeness::gap},
                                             {std::optional{at_ms(1)}, Completeness::partial},
                                             {std::optional<Timestamp>{}, Completeness::gap}}) {
    const auto up = roll_up(bases, Interval{60}, {&gap, 1}, known_from);
    ASSERT_TRUE(up);
    EXPECT_EQ(up->completeness, expected);
    EXPECT_EQ(up->missing, expected == Completeness::gap ? std::optional<std::uint64_t>{9} : std::nullopt);
  }
}

}  // namespace
}  // namespace truetape
