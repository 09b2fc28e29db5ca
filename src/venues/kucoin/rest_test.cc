#include "venues/kucoin/testing.h"

namespace truetape::kucoin {
namespace {

// One taker order, filled in three parts, as in the venue's documents; and a trade before it.
constexpr std::string_view kFirst =
    R"({"sequence":"10976028003549180","price":"67121","size":"0.1","side":"sell","time":1729177116877000000})";
constexpr std::string_view kSecond =
    R"({"sequence":"10976028003549185","price":"67122","size":"0.000025","side":"buy","time":1729177117877000000})";
constexpr std::string_view kThird =
    R"({"sequence":"10976028003549188","price":"67122","size":"0.01792257","side":"buy","time":1729177117877000000})";

std::string page(std::initializer_list<std::string_view> elements) {
  std::string out = R"({"code":"200000","data":[)";
  for (const std::string_view element : elements) out += std::string{element} + ',';
  if (elements.size() > 0) out.pop_back();
  return out + "]}";
}
Events read(std::string_view bytes) { return decoded(bytes, RawKind::backfill, "kucoin:BTC-USDT"); }
std::vector<std::uint64_t> orders(const Events& events) {
  std::vector<std::uint64_t> out;
  for (const Item& item : events.items) out.push_back(item.trade.order % 1000);
  return out;
}
std::vector<bool> follows(const Events& events) {
  std::vector<bool> out;
  for (const Item& item : events.items) out.push_back(item.follows);
  return out;
}

TEST(KucoinPage, TradesInTheirOrderEachBesideTheOneBefore) {
  const std::string bytes = page({kFirst, kSecond, kThird});
  const Events events = read(bytes);
  EXPECT_EQ(orders(events), (std::vector<std::uint64_t>{180, 185, 188}));
  EXPECT_EQ(follows(events), (std::vector<bool>{false, true, true}));
  const Item& item = events.items[1];
  EXPECT_EQ(item.type, Item::Type::trade);
  EXPECT_EQ(item.ordinal, 1U);
  EXPECT_EQ(item.raw, kSecond);
  Trade expected;
  expected.instrument = *Instrument::parse("kucoin:BTC-USDT");
  expected.id = Text<40>::cut("10976028003549185");
  expected.order = expected.first_id = expected.last_id = 10976028003549185;
  expected.event_time = timestamp_ns(1'729'177'117'877'000'000);
  expected.price = {67122, 0};
  expected.quantity = {25, 6};
  expected.taker_side = Side::buy;
  expected.ordinal = 1;
  EXPECT_EQ(item.trade, expected);
}

TEST(KucoinPage, IsTurnedRoundIfTheNewestComesFirst) {
  const std::string bytes = page({kThird, kSecond, kFirst});
  const Events events = read(bytes);
  EXPECT_EQ(orders(events), (std::vector<std::uint64_t>{180, 185, 188}));
  EXPECT_EQ(follows(events), (std::vector<bool>{false, true, true}));
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events.items[i].ordinal, i);
    EXPECT_EQ(events.items[i].trade.ordinal, i);
  }
  EXPECT_EQ(events.items[0].raw, kFirst);
}

// Where a page rises here and falls there, what stands side by side may have had others between.
TEST(KucoinPage, InNoOrderNothingFollowsAnything) {
  const Events events = read(page({kSecond, kThird, kFirst, kFirst, kSecond}));
  EXPECT_EQ(orders(events), (std::vector<std::uint64_t>{185, 188, 180, 180, 185}));
  EXPECT_EQ(follows(events), (std::vector<bool>(5)));

  const auto one = [](const std::string& id, const std::string& price = "67122") {
    return R"({"sequence":")" + id + R"(","price":")" + price +
           R"(","size":"0.1","side":"sell","time":1729177116877000000})";
  };
  const std::string a = one("1"), b = one("5"), bad = one("3", "0"), unreadable = one("?"), c = one("2"), d = one("4");
  for (const std::string& third : {bad, unreadable}) {
    const std::string bytes = page({a, b, third, c, d});
    const Events shuffled = read(bytes);
    ASSERT_EQ(shuffled.items.size(), 5U);
    EXPECT_EQ(shuffled.items[2].type, Item::Type::bad);
    EXPECT_EQ(follows(shuffled), (std::vector<bool>(5))) << third;
  }
  const std::string rising = page({a, c, bad, d, b});
  EXPECT_EQ(follows(read(rising)), (std::vector<bool>{false, true, true, true, true}));
  const std::string falling = page({b, d, bad, c, a});
  EXPECT_EQ(follows(read(falling)), (std::vector<bool>{false, true, true, true, true}));
}

TEST(KucoinPage, WhatCannotBeReadHasNoNeighbours) {
  const std::string unreadable = with(kSecond, R"("10976028003549185")", R"("?")");
  const std::string bytes = page({kFirst, unreadable, kThird});
  const Events events = read(bytes);
  EXPECT_EQ(follows(events), (std::vector<bool>{false, false, false}));
  EXPECT_EQ(events.items[1].detail, "$.data[1].sequence is ?, an id from 0 to 2^63 - 1 is needed");
  EXPECT_EQ(events.items[1].raw, unreadable);
  EXPECT_EQ(events.items[1].trade.instrument.text(), "kucoin:BTC-USDT");

  const std::string priceless = with(kSecond, R"("67122")", R"("0")");
  const Events held = read(page({kFirst, priceless, kThird}));
  EXPECT_EQ(follows(held), (std::vector<bool>{false, true, true}));  // its id is there
  EXPECT_EQ(held.items[1].type, Item::Type::bad);
}

TEST(KucoinPage, OneItemIsJudgedAgain) {
  const Events events = read(kSecond);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[0].trade.order, 10976028003549185U);
}

TEST(KucoinPage, WithoutTradesHasNoItems) { EXPECT_TRUE(read(page({})).items.empty()); }

TEST(KucoinPage, WhatIsNoPageIsOneBadItem) {
  for (const auto& [bytes, detail] : std::vector<std::pair<std::string, std::string>>{
           {R"({"code":"429000","msg":"Too many requests"})", "$.code is 429000: the venue has refused"},
           {R"({"code":200000,"data":[]})", "$.code is an integer, a text is needed"},
           {R"({"data":[]})", "$.code is missing"},
           {R"({"code":"200000"})", "$.data is missing"},
           {R"({"code":"200000","data":null})", "$.data is null, an array is needed"},
           {page({kFirst}).substr(0, 60), "$: at byte 60 the JSON ends inside a text"},
           {"<html>", "$: at byte 0 the JSON is no object"},
           {"", "$: at byte 0 the JSON is no object"},
           {"\xff", "$ is not UTF-8"},
       }) {
    const Events events = read(bytes);
    ASSERT_EQ(events.items.size(), 1U) << bytes;
    EXPECT_EQ(events.items[0].type, Item::Type::bad);
    EXPECT_EQ(events.items[0].detail, detail) << bytes;
    EXPECT_EQ(events.items[0].raw, bytes);
    EXPECT_EQ(events.items[0].trade.instrument.text(), "kucoin:BTC-USDT");
  }
  const Events nobody = decoded(page({kFirst}), RawKind::backfill);
  ASSERT_EQ(nobody.items.size(), 1U);
  EXPECT_EQ(nobody.items[0].detail, "$ belongs to no instrument: the record names none");
}

TEST(KucoinPage, ElementsThatAreNoTradesAreNamed) {
  const std::string bytes = page({"7", R"("x")", kFirst, R"({"sequence":"1","sequence":"2"})"});  // items are views
  const Events events = read(bytes);
  ASSERT_EQ(events.items.size(), 4U);
  EXPECT_EQ(events.items[0].detail, "$.data[0] is an integer, an object is needed");
  EXPECT_EQ(events.items[1].detail, "$.data[1] is a text, an object is needed");
  EXPECT_EQ(events.items[1].raw, R"("x")");
  EXPECT_EQ(events.items[2].type, Item::Type::trade);
  EXPECT_FALSE(events.items[2].follows);
  EXPECT_EQ(events.items[3].reason, Reason::duplicate_key);
}

constexpr std::string_view kSymbol =
    R"({"symbol":"GALAX-USDT","name":"GALA-USDT","baseCurrency":"GALAX","quoteCurrency":"USDT","feeCurrency":"USDT","market":"USDS","baseMinSize":"10","baseIncrement":"0.0001","quoteIncrement":"0.00001","priceIncrement":"0.00001","priceLimitRate":"0.1","minFunds":"0.1","isMarginEnabled":true,"enableTrading":true,"feeCategory":1,"callauctionPriceFloor":null})";

TEST(KucoinReference, AnEntryOfTheSymbolList) {
  const Events events = decoded(kSymbol, RawKind::reference, "kucoin:GALAX-USDT");
  ASSERT_EQ(events.references.size(), 1U);
  Reference expected;
  expected.instrument = *Instrument::parse("kucoin:GALAX-USDT");
  expected.base = "GALAX";
  expected.quote = "USDT";
  expected.name = "GALA-USDT";  // it was renamed; the symbol stays
  expected.tick = Decimal{1, 5};
  expected.lot = Decimal{1, 4};
  expected.status = "TRADING";
  EXPECT_EQ(events.references[0], expected);
  const Events halted = decoded(with(kSymbol, R"("enableTrading":true)", R"("enableTrading":false)"),
                                RawKind::reference, "kucoin:GALAX-USDT");
  ASSERT_EQ(halted.references.size(), 1U);
  EXPECT_EQ(halted.references[0].status, "HALTED");
}

TEST(KucoinReference, WhatIsMissingIsNamed) {
  for (const auto& [from, to, detail] : std::vector<std::array<std::string, 3>>{
           {R"("priceIncrement":"0.00001",)", "", "$.priceIncrement is missing"},
           {R"("baseIncrement":"0.0001")", R"("baseIncrement":0.0001)",
            "$.baseIncrement is a number with a point or exponent, a text is needed"},
           {R"("enableTrading":true)", R"("enableTrading":"yes")", "$.enableTrading is a text, a boolean is needed"},
           {R"("symbol":"GALAX-USDT")", R"("symbol":"")", "$.symbol is no symbol"},
           {R"("name":"GALA-USDT",)", "", "$.name is missing"},
       }) {
    const Events events = decoded(with(kSymbol, from, to), RawKind::reference, "kucoin:GALAX-USDT");
    ASSERT_EQ(events.items.size(), 1U) << detail;
    EXPECT_TRUE(events.references.empty());
    EXPECT_EQ(events.items[0].detail, detail);
    EXPECT_EQ(events.items[0].trade.instrument.text(), "kucoin:GALAX-USDT");
  }
}

}  // namespace
}  // namespace truetape::kucoin
