#include "venues/binance/testing.h"

namespace truetape::binance {
namespace {

Events page(const Venue& venue, std::string_view bytes, std::string_view tape, std::string_view instruments) {
  RawRecord record;
  record.kind = RawKind::backfill;
  record.instruments = instruments;
  record.bytes = bytes;
  record.receive_time = timestamp_ns(1'723'161'254'000'000'000);
  const Header header{header::tape, tape};
  record.headers = {&header, 1};
  Events out;
  venue.decode(record, out);
  return out;
}

constexpr std::string_view kPage =
    R"([{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true},)"
    R"( {"a":26131,"p":"0.01633103","q":"1","f":27783,"l":27785,"T":1498793709154,"m":false,"M":true}])";

TEST(BinancePage, ItemsComeInOrderAndEachFollowsTheOneBefore) {
  const Events events = page(binance::kSpot, kPage, "agg", "binance:ETHBTC");
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].trade.order, 26129U);
  EXPECT_EQ(events.items[0].trade.tape, Tape::agg);
  EXPECT_EQ(events.items[0].trade.instrument.text(), "binance:ETHBTC");
  EXPECT_EQ(events.items[0].trade.receive_time, std::nullopt);
  EXPECT_FALSE(events.items[0].follows);
  EXPECT_EQ(events.items[1].trade.order, 26131U);
  EXPECT_EQ(events.items[1].trade.first_id, 27783U);
  EXPECT_EQ(events.items[1].trade.last_id, 27785U);
  EXPECT_EQ(events.items[1].trade.taker_side, Side::buy);
  EXPECT_EQ(events.items[1].ordinal, 1U);
  EXPECT_EQ(events.items[1].trade.ordinal, 1U);
  EXPECT_TRUE(events.items[1].follows);
  EXPECT_EQ(events.items[1].raw,
            R"({"a":26131,"p":"0.01633103","q":"1","f":27783,"l":27785,"T":1498793709154,"m":false,"M":true})");
}

TEST(BinancePage, TradesOfBothProducts) {
  const std::string_view spot =
      R"([{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}])";
  const Events events = page(binance::kSpot, spot, "trade", "binance:LTCBTC");
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& trade = events.items[0].trade;
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(trade.id.view(), "28457");
  EXPECT_EQ(trade.price, (Decimal{4000001, 6}));
  EXPECT_EQ(trade.quantity, (Decimal{12, 0}));
  EXPECT_EQ(trade.event_time, timestamp_ns(1'499'865'549'590'000'000));
  EXPECT_EQ(trade.taker_side, Side::sell);
  EXPECT_EQ(trade.kind.view(), "");

  const std::string_view usdm =
      R"([{"id":1,"price":"4","qty":"12","quoteQty":"48","time":1499865549590,"isBuyerMaker":true,"isRPITrade":true},
                                    {"id":2,"price":"4","qty":"12","quoteQty":"48","time":1499865549590,"isBuyerMaker":true,"isRPITrade":false}])";
  const Events futures = page(binance::kUsdm, usdm, "trade", "binance-usdm:LTCUSDT");
  ASSERT_EQ(futures.items.size(), 2U);
  EXPECT_EQ(futures.items[0].trade.kind.view(), "RPI");
  EXPECT_EQ(futures.items[1].trade.kind.view(), "MARKET");
}

TEST(BinancePage, AnItemThatCannotBeReadBreaksTheNeighbourhoodUnlessItsIdCan) {
  const auto item = [](std::string_view id, std::string_view price) {
    return R"({"a":)" + std::string{id} + R"(,"p":")" + std::string{price} +
           R"(","q":"1","f":1,"l":1,"T":1498793709154,"m":false})";
  };
  const std::string bytes = "[" + item("1", "2") + "," + item("3", "-1") + "," + item("5", "2") + "," +
                            item("\"7\"", "2") + "," + item("9", "2") + ",7]";
  const Events events = page(binance::kSpot, bytes, "agg", "binance:ETHBTC");
  ASSERT_EQ(events.items.size(), 6U);
  EXPECT_EQ(events.items[1].reason, Reason::price);
  EXPECT_EQ(events.items[1].detail, "$[1].p is -1, a price above 0 is needed");
  EXPECT_TRUE(events.items[1].has_id);
  EXPECT_TRUE(events.items[1].follows);
  EXPECT_TRUE(events.items[2].follows);
  EXPECT_EQ(events.items[3].detail, "$[3].a is a text, an integer is needed");
  EXPECT_FALSE(events.items[3].follows);
  EXPECT_FALSE(events.items[4].follows);
  EXPECT_EQ(events.items[5].detail, "$[5] is an integer, an object is needed");
}

TEST(BinancePage, WhatStandsBeforeTheDamageIsKept) {
  const Events events = page(binance::kSpot, kPage.substr(0, 150), "agg", "binance:ETHBTC");
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[1].type, Item::Type::bad);
  EXPECT_EQ(events.items[1].reason, Reason::syntax);
  EXPECT_EQ(events.items[1].raw, kPage.substr(104, 46));
  EXPECT_FALSE(events.items[1].has_id);
}

TEST(BinancePage, EmptyAndWrongPages) {
  EXPECT_TRUE(page(binance::kSpot, "[]", "agg", "binance:ETHBTC").items.empty());
  EXPECT_EQ(page(binance::kSpot, "", "agg", "binance:ETHBTC").items.at(0).reason, Reason::wrong_type);
  EXPECT_EQ(page(binance::kSpot, "[]]", "agg", "binance:ETHBTC").items.at(0).detail,
            "$: at byte 2 the JSON goes on behind its end");
  EXPECT_EQ(page(binance::kSpot, "\"x\"", "agg", "binance:ETHBTC").items.at(0).detail, "$ is no array");
  EXPECT_EQ(page(binance::kSpot, "[\"\xff\"]", "agg", "binance:ETHBTC").items.at(0).reason, Reason::encoding);
  EXPECT_EQ(page(binance::kSpot, "[]", "agg", "").items.at(0).reason, Reason::unroutable);
  EXPECT_EQ(
      page(binance::kSpot, R"({"code":-1121,"msg":"Invalid symbol."})", "agg", "binance:ETHBTC").items.at(0).reason,
      Reason::missing_field);
}

TEST(BinancePage, OneItemOfAPageIsReadAgain) {
  RawRecord record;
  record.kind = RawKind::replay;
  record.instruments = "binance:ETHBTC";
  record.bytes =
      R"({"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true})";
  const std::array headers{Header{header::original_kind, "backfill"}, Header{header::tape, "agg"}};
  record.headers = headers;
  Events events;
  binance::kSpot.decode(record, events);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[0].trade.order, 26129U);
  EXPECT_FALSE(events.items[0].follows);
}

Events reference(const Venue& venue, std::string_view bytes) {
  RawRecord record;
  record.kind = RawKind::reference;
  record.bytes = bytes;
  Events out;
  venue.decode(record, out);
  return out;
}

TEST(BinanceReference, EntryOfTheSymbolList) {
  const Events events = reference(
      binance::kSpot, R"({"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC","filters":[
      {"filterType":"PRICE_FILTER","minPrice":"0.00000100","maxPrice":"100000.00000000","tickSize":"0.00001000"},
      {"filterType":"LOT_SIZE","minQty":"0.00100000","maxQty":"9000.00000000","stepSize":"0.00000000"},
      {"filterType":"ICEBERG_PARTS","limit":10}],"permissions":[]})");
  ASSERT_EQ(events.references.size(), 1U);
  Reference expected;
  expected.instrument = *Instrument::parse("binance:ETHBTC");
  expected.base = "ETH";
  expected.quote = "BTC";
  expected.name = "ETH-BTC";
  expected.tick = Decimal{1, 5};
  expected.status = "TRADING";  // lot 0: the filter is switched off
  EXPECT_EQ(events.references[0], expected);

  const Events dated = reference(
      binance::kUsdm,
      R"({"symbol":"BTCUSDT_250328","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"LOT_SIZE","stepSize":"0.001"}]})");
  ASSERT_EQ(dated.references.size(), 1U);
  EXPECT_EQ(dated.references[0].name, "BTC-USDT-250328");
  EXPECT_EQ(dated.references[0].lot, (Decimal{1, 3}));
}

TEST(BinanceReference, WhatIsWrongIsNamed) {
  EXPECT_EQ(reference(binance::kSpot, R"({"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","filters":[]})")
                .items.at(0)
                .detail,
            "$.quoteAsset is missing");
  EXPECT_EQ(
      reference(binance::kSpot, R"({"symbol":"ETHBTC","status":7,"baseAsset":"ETH","quoteAsset":"BTC","filters":[]})")
          .items.at(0)
          .detail,
      "$.status is no text");
  EXPECT_EQ(
      reference(
          binance::kSpot,
          R"({"symbol":"ETHBTC","status":"","baseAsset":"ETH","quoteAsset":"BTC","filters":[{"filterType":"LOT_SIZE","stepSize":"x"}]})")
          .items.at(0)
          .detail,
      "$.stepSize is \"x\", which is no decimal number");
  EXPECT_EQ(reference(binance::kSpot, "{").items.at(0).reason, Reason::syntax);
}

}  // namespace
}  // namespace truetape::binance
