#include "venues/coinbase/testing.h"

namespace truetape::coinbase {
namespace {

const std::string kOf = "coinbase:BTC-USD";

Events page(std::string_view bytes) { return decoded(bytes, RawKind::backfill, kOf); }

TEST(CoinbasePage, TheOldestComesFirstAndNothingIsBetweenNeighbours) {
  const Events events = page(kPage);
  ASSERT_EQ(events.items.size(), 3U);
  const std::uint64_t ids[] = {71, 73, 74};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Item& item = events.items[i];
    EXPECT_EQ(item.type, Item::Type::trade);
    EXPECT_EQ(item.ordinal, i);
    EXPECT_EQ(item.trade.ordinal, i);
    EXPECT_EQ(item.trade.order, ids[i]);
    EXPECT_EQ(item.trade.instrument.text(), kOf);
    EXPECT_EQ(item.follows, i > 0);  // 72 does not exist
    EXPECT_EQ(item.trade.receive_time, std::nullopt);
  }
  Trade expected;
  expected.instrument = *Instrument::parse(kOf);
  expected.id = Text<40>::cut("73");
  expected.order = expected.first_id = expected.last_id = 73;
  expected.event_time = timestamp_ns(1'415'322'523'642'366'000);
  expected.price = {95, 1};
  expected.quantity = {2, 2};
  expected.taker_side = Side::sell;
  expected.ordinal = 1;
  EXPECT_EQ(events.items[1].trade, expected);
  EXPECT_EQ(events.items[1].raw, kPage.substr(kPage.find(R"({"trade_id":73)"), events.items[1].raw.size()));
  EXPECT_EQ(events.items[0].trade.event_time, timestamp_ns(1'415'322'523'000'000'000));
}

TEST(CoinbasePage, WhatIsBadTellsItsPlaceAndLetsTheOthersStand) {
  struct Case {
    std::string page;
    std::size_t items, bad;  // number of items, and which of them is bad
    Reason reason;
    std::string detail;
    bool has_id;
  };
  const std::string whole{kPage};
  for (const Case& c : std::vector<Case>{
           {with(whole, R"("9.5")", R"("x")"), 3, 1, Reason::decimal_syntax,
            "$[1].price is \"x\", which is no decimal number", true},
           {with(whole, R"("trade_id":73,)", ""), 3, 1, Reason::missing_field, "$[1].trade_id is missing", false},
           {R"([7])", 1, 0, Reason::wrong_type, "$[0] is an integer, an object is needed", false},
           {R"(["7"])", 1, 0, Reason::wrong_type, "$[0] is a text, an object is needed", false},
           {whole.substr(0, whole.find(R"({"trade_id":71)") + 20), 3, 0, Reason::syntax,
            "$: at byte 230 the JSON ends inside a text", false},
           {with(whole, "},{", "}{"), 2, 1, Reason::syntax, "$: at byte 109 the JSON has no comma where one is needed",
            false},
           {whole + "]", 4, 0, Reason::syntax, "$: at byte 296 the JSON goes on behind its end", false},
           {"<html>", 1, 0, Reason::wrong_type, "$ is no array", false},
           {"", 1, 0, Reason::wrong_type, "$ is no array", false},
           {R"({"message":"NotFound"})", 1, 0, Reason::unknown_event,
            "$.message is \"NotFound\": the venue has refused", false},
           {"[\"\xff\"]", 1, 0, Reason::encoding, "$ is not UTF-8", false},
       }) {
    const Events events = page(c.page);
    ASSERT_EQ(events.items.size(), c.items) << c.detail;
    for (std::size_t i = 0; i < c.items; ++i)
      EXPECT_EQ(events.items[i].type, i == c.bad ? Item::Type::bad : Item::Type::trade) << c.detail << i;
    const Item& item = events.items[c.bad];
    EXPECT_EQ(item.reason, c.reason) << c.detail;
    EXPECT_EQ(item.detail, c.detail);
    EXPECT_EQ(item.has_id, c.has_id) << c.detail;
    EXPECT_EQ(item.trade.instrument.text(), kOf) << c.detail;
  }
  // Whether anything was between the neighbours of one without an id, nobody knows.
  const Events events = page(with(kPage, R"("trade_id":73,)", ""));
  EXPECT_FALSE(events.items[1].follows);
  EXPECT_FALSE(events.items[2].follows);
}

TEST(CoinbasePage, InNoOrderNothingFollowsAnything) {
  const auto one = [](int id, const std::string& price = "9.5") {
    return R"({"trade_id":)" + std::to_string(id) + R"(,"side":"buy","size":"0.02","price":")" + price +
           R"(","time":"2014-11-07T01:12:03.642366Z"})";
  };
  const std::string bytes = '[' + one(1) + ',' + one(5) + ',' + one(3, "x") + ',' + one(2) + ',' + one(4) + ']';
  const Events events = page(bytes);
  ASSERT_EQ(events.items.size(), 5U);
  const std::uint64_t ids[] = {1, 5, 3, 2, 4};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(events.items[i].trade.order, ids[i]) << "as it came";
    EXPECT_FALSE(events.items[i].follows) << i;
  }
  EXPECT_EQ(events.items[2].type, Item::Type::bad);
}

TEST(CoinbasePage, EmptyOneItemAndNobodys) {
  EXPECT_TRUE(page("[]").items.empty());
  EXPECT_TRUE(page(" [ ] ").items.empty());
  const Events one = page(R"({"trade_id":74,"side":"sell","size":"0.01","price":"10","time":"2014-11-07T22:19:28Z"})");
  ASSERT_EQ(one.items.size(), 1U);
  EXPECT_EQ(one.items[0].type, Item::Type::trade);
  EXPECT_EQ(one.items[0].trade.order, 74U);
  EXPECT_EQ(page("{}").items.at(0).detail, "$.trade_id is missing");
  EXPECT_EQ(decoded(kPage, RawKind::backfill, "").items.at(0).detail,
            "$ belongs to no instrument: the record names none");
}

TEST(CoinbaseReference, AProduct) {
  const Events events = decoded(kProduct, RawKind::reference, kOf);
  EXPECT_TRUE(events.items.empty());
  ASSERT_EQ(events.references.size(), 1U);
  Reference expected;
  expected.instrument = *Instrument::parse(kOf);
  expected.base = "BTC";
  expected.quote = "USD";
  expected.name = "BTC/USD";
  expected.tick = Decimal{1, 2};
  expected.lot = Decimal{1, 8};
  expected.status = "online";
  EXPECT_EQ(events.references[0], expected);
}

TEST(CoinbaseReference, ABadOneSaysWhatIsWrong) {
  for (const auto& [entry, detail] : std::vector<std::pair<std::string, std::string>>{
           {with(kProduct, R"("id":"BTC-USD",)", ""), "$.id is missing"},
           {with(kProduct, R"("BTC-USD")", R"("")"), "$.id is no product"},
           {with(kProduct, R"("online")", "1"), "$.status is an integer, a text is needed"},
           {with(kProduct, R"("0.01000000")", "0.01"),
            "$.quote_increment is a number with a point or exponent, a text is needed"},
           {"[]", "$: at byte 0 the JSON is no object"},
           {"\xff", "$ is not UTF-8"},
       }) {
    const Events events = decoded(entry, RawKind::reference, kOf);
    EXPECT_TRUE(events.references.empty()) << detail;
    ASSERT_EQ(events.items.size(), 1U) << detail;
    EXPECT_EQ(events.items[0].detail, detail);
    EXPECT_EQ(events.items[0].trade.instrument.text(), kOf) << detail;
  }
}

}  // namespace
}  // namespace truetape::coinbase
