#include "venues/coinbase/testing.h"

namespace truetape::coinbase {
namespace {

Instrument instrument(std::string_view text) { return *Instrument::parse(text); }

TEST(CoinbaseFrame, MatchIsReadToTheLastDigit) {
  const Events events = decoded(kMatch);
  ASSERT_EQ(events.items.size(), 1U);
  const Item& item = events.items[0];
  EXPECT_EQ(item.type, Item::Type::trade);
  EXPECT_EQ(item.raw, kMatch);
  EXPECT_FALSE(item.follows);
  Trade expected;
  expected.instrument = instrument("coinbase:BTC-USD");
  expected.id = Text<40>::cut("10");
  expected.order = expected.first_id = expected.last_id = 10;
  expected.event_time = timestamp_ns(1'415'348'367'028'459'000);
  expected.receive_time = kReceived;
  expected.price = {40023, 2};
  expected.quantity = {523512, 5};
  expected.taker_side = Side::buy;  // the maker sold
  EXPECT_EQ(item.trade, expected);
}

TEST(CoinbaseFrame, LastMatchIsATradeLikeAnyOther) {
  const Events events = decoded(kLastMatch);
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& trade = events.items[0].trade;
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(trade.order, 9U);
  EXPECT_EQ(trade.event_time, timestamp_ns(1'415'348'221'500'000'000));
  EXPECT_EQ(trade.price, (Decimal{4002, 1}));  // zeros at the end are no digits
  EXPECT_EQ(trade.quantity, (Decimal{5, 1}));
  EXPECT_EQ(trade.taker_side, Side::sell);
  EXPECT_EQ(trade.receive_time, kReceived);
}

TEST(CoinbaseFrame, TickerIsAQuoteOfEachKind) {
  const Events events = decoded(kTicker);
  EXPECT_TRUE(events.items.empty());
  ASSERT_EQ(events.quotes.size(), 2U);
  Quote best;
  best.instrument = instrument("coinbase:ETH-USD");
  best.order = 37475248783;
  best.event_time = timestamp_ns(1'666'222'102'061'769'000);
  best.receive_time = kReceived;
  best.bid = Decimal{128504, 2};
  best.bid_quantity = Decimal{46688654, 8};
  best.ask = Decimal{128527, 2};
  best.ask_quantity = Decimal{15663704, 7};
  EXPECT_EQ(events.quotes[0], best);
  Quote ticker = best;
  ticker.kind = QuoteKind::ticker;
  ticker.last = Decimal{128522, 2};
  ticker.last_quantity = Decimal{114396987, 7};
  ticker.open = Decimal{131079, 2};
  ticker.high = Decimal{13138, 1};
  ticker.low = Decimal{128052, 2};
  ticker.volume = Decimal{24553279269678, 8};
  EXPECT_EQ(events.quotes[1], ticker);
}

TEST(CoinbaseFrame, WhatATickerDoesNotHaveIsEmpty) {
  std::string frame = with(kTicker, R"("best_bid_size":"0.46688654",)", "");  // as until 2022
  frame = with(frame, R"(,"time":"2022-10-19T23:28:22.061769Z","trade_id":370843401,"last_size":"11.4396987")", "");
  Events events = decoded(frame);
  ASSERT_EQ(events.quotes.size(), 2U);
  EXPECT_EQ(events.quotes[0].bid, (Decimal{128504, 2}));
  EXPECT_EQ(events.quotes[0].bid_quantity, std::nullopt);
  EXPECT_EQ(events.quotes[1].event_time, std::nullopt);
  EXPECT_EQ(events.quotes[1].last, (Decimal{128522, 2}));
  EXPECT_EQ(events.quotes[1].last_quantity, std::nullopt);
  for (const std::string_view none : {R"("0")", R"("")", "null", R"("0.00")"}) {
    events = decoded(with(kTicker, R"("1285.27")", none));
    ASSERT_EQ(events.quotes.size(), 2U) << none;
    EXPECT_EQ(events.quotes[0].ask, std::nullopt) << none;
    EXPECT_EQ(events.quotes[0].ask_quantity, std::nullopt) << none;
    EXPECT_EQ(events.quotes[0].bid, (Decimal{128504, 2})) << none;
  }
  // Neither side: there is no best.
  events = decoded(with(with(kTicker, R"("1285.27")", R"("0")"), R"("1285.04")", R"("0")"));
  ASSERT_EQ(events.quotes.size(), 1U);
  EXPECT_EQ(events.quotes[0].kind, QuoteKind::ticker);
}

TEST(CoinbaseFrame, OtherSoundFramesAreNoTrades) {
  for (
      const std::string_view frame :
      {R"({"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]})",
       R"({"type":"error","message":"Failed to subscribe","reason":"X is not a valid product"})",
       R"({"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"})",
       R"({"type":"l2update","product_id":"BTC-USD","changes":[["buy","1","2"]],"time":"2019-08-14T20:42:27.265Z"})",
       R"({"type":"snapshot","product_id":"BTC-USD","bids":[["10101.10","0.45"]],"asks":[]})",
       R"({"type":"rfq_match","trade_id":30,"product_id":"BTC-USD","side":"sell"})",
       R"({"type":"status","products":[{"id":"BTC-USD"}],"currencies":[]})", R"({"type":"new of 2030"})"}) {
    const Events events = decoded(frame);
    EXPECT_EQ(events.not_a_trade, 1U) << frame;
    EXPECT_TRUE(events.items.empty() && events.quotes.empty()) << frame;
  }
}

// Each kind of damage: where, as what, and that the id stays with it where it was read.
struct Damage {
  std::string from, to;
  Reason reason;
  std::string detail;
  bool has_id = true, has_time = true;
};

TEST(CoinbaseFrame, DamagedMatchesSayWhatIsWrong) {
  for (const Damage& d : std::vector<Damage>{
           {R"("trade_id":10,)", "", Reason::missing_field, "$.trade_id is missing", false},
           {R"("trade_id":10,)", R"("trade_id":"10",)", Reason::wrong_type,
            "$.trade_id is a text, an integer is needed", false},
           {R"("trade_id":10,)", R"("trade_id":-1,)", Reason::id_range,
            "$.trade_id is -1, an id from 0 to 2^63 - 1 is needed", false},
           {R"("trade_id":10,)", R"("trade_id":9223372036854775808,)", Reason::id_range,
            "$.trade_id is 9223372036854775808, an id from 0 to 2^63 - 1 is needed", false},
           {R"(,"price":"400.23")", "", Reason::missing_field, "$.price is missing"},
           {R"("400.23")", "400.23", Reason::wrong_type,
            "$.price is a number with a point or exponent, a text is needed"},
           {R"("400.23")", R"("4x")", Reason::decimal_syntax, "$.price is \"4x\", which is no decimal number"},
           {R"("400.23")", R"("0.00")", Reason::price, "$.price is 0, a price above 0 is needed"},
           {R"("400.23")", R"("-1")", Reason::price, "$.price is -1, a price above 0 is needed"},
           {R"("5.23512")", R"("0")", Reason::quantity, "$.size is 0, a quantity above 0 is needed"},
           {R"("5.23512")", R"("12345678901234567890")", Reason::decimal_range,
            "$.size is \"12345678901234567890\", which has more than 18 decimals or does not fit 63 bits"},
           {R"(,"side":"sell")", "", Reason::missing_field, "$.side is missing"},
           {R"("sell")", R"("SELL")", Reason::side, "$.side is \"SELL\", buy or sell is needed"},
           {R"("time":"2014-11-07T08:19:27.028459Z",)", "", Reason::missing_field, "$.time is missing", true, false},
           {R"("2014-11-07T08:19:27.028459Z")", "1415348367", Reason::wrong_type,
            "$.time is an integer, a text is needed", true, false},
           {"08:19:27.028459Z", "08:19:27.028459", Reason::time_range,
            "$.time is \"2014-11-07T08:19:27.028459\", which is no time such as 2021-04-17T16:43:37.089723Z", true,
            false},
           {"2014-11-07T", "2014-13-07T", Reason::time_range,
            "$.time is \"2014-13-07T08:19:27.028459Z\", which is no time such as 2021-04-17T16:43:37.089723Z", true,
            false},
           {R"("product_id":"BTC-USD",)", "", Reason::missing_field, "$.product_id is missing", false},
           {R"("BTC-USD")", "7", Reason::wrong_type, "$.product_id is an integer, a text is needed", false},
           {R"("BTC-USD")", R"("BTC USD")", Reason::unroutable, "$.product_id is \"BTC USD\", which is no product",
            false},
       }) {
    const Events events = decoded(with(kMatch, d.from, d.to));
    ASSERT_EQ(events.items.size(), 1U) << d.detail;
    const Item& item = events.items[0];
    EXPECT_EQ(item.type, Item::Type::bad) << d.detail;
    EXPECT_EQ(item.reason, d.reason) << d.detail;
    EXPECT_EQ(item.detail, d.detail);
    EXPECT_EQ(item.has_id, d.has_id) << d.detail;
    EXPECT_EQ(item.has_time, d.has_time) << d.detail;
    if (d.has_id) {
      EXPECT_EQ(item.trade.order, 10U) << d.detail;
      EXPECT_EQ(item.trade.instrument, instrument("coinbase:BTC-USD")) << d.detail;
    }
  }
}

TEST(CoinbaseFrame, DamagedFramesSayWhatIsWrong) {
  struct Case {
    std::string frame;
    Reason reason;
    std::string detail;
  };
  for (const Case& c : std::vector<Case>{
           {std::string{kMatch.substr(0, 60)}, Reason::syntax, "$: at byte 60 the JSON ends behind a key"},
           {"[]", Reason::syntax, "$: at byte 0 the JSON is no object"},
           {R"({"product_id":"BTC-USD"})", Reason::missing_field, "$.type is missing"},
           {R"({"type":7,"product_id":"BTC-USD"})", Reason::wrong_type, "$.type is an integer, a text is needed"},
           {with(kMatch, "{", R"({"price":"1",)"), Reason::duplicate_key,
            "$: at byte 205 the JSON has the key \"price\" twice"},
           {with(kTicker, "1285.27", "x"), Reason::decimal_syntax, "$.best_ask is \"x\", which is no decimal number"},
           {with(kTicker, R"("1310.79")", "1310.79"), Reason::wrong_type,
            "$.open_24h is a number with a point or exponent, a text is needed"},
           {with(kTicker, "1280.52", "-1"), Reason::price, "$.low_24h is below 0"},
           {with(kTicker, "37475248783", "1.5"), Reason::wrong_type,
            "$.sequence is a number with a point or exponent, an integer is needed"},
           {with(kMatch, "sell", "\xff"), Reason::encoding, "$: at byte 0 the JSON is not UTF-8"},
       }) {
    const Events events = decoded(c.frame);
    ASSERT_EQ(events.items.size(), 1U) << c.detail;
    EXPECT_TRUE(events.quotes.empty()) << c.detail;
    EXPECT_EQ(events.items[0].type, Item::Type::bad) << c.detail;
    EXPECT_EQ(events.items[0].reason, c.reason) << c.detail;
    EXPECT_EQ(events.items[0].detail, c.detail);
    EXPECT_EQ(events.items[0].raw, c.frame);
  }
}

TEST(CoinbaseFrame, AMatchOfAnotherProductThanTheRecordsIsNotBelieved) {
  RawRecord record;
  record.bytes = kMatch;
  record.instruments = "coinbase:ETH-USD";
  Events events;
  kExchange.decode(record, events);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].reason, Reason::unroutable);
  EXPECT_EQ(events.items[0].detail, "$.product_id is coinbase:BTC-USD, but the record was routed to coinbase:ETH-USD");
  EXPECT_FALSE(events.items[0].has_id);
}

TEST(CoinbaseFrame, TooLargeIsBadUnlessItIsABook) {
  const std::string filler(1 << 20, 'x');
  EXPECT_EQ(decoded(R"({"type":"snapshot","product_id":"BTC-USD","asks":")" + filler).not_a_trade, 1U);
  const std::string match = with(kMatch, "ac928c66", filler);
  const Events events = decoded(match);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].reason, Reason::too_large);
  EXPECT_EQ(events.items[0].detail, "$: at byte 1048576 the JSON goes on; a frame may have 1 MiB");
  const Events cut = decoded(kMatch.substr(0, 60), RawKind::frame, "", {{header::cut, "5000000"}});
  ASSERT_EQ(cut.items.size(), 1U);
  EXPECT_EQ(cut.items[0].detail, "$: at byte 60 the JSON was cut off: it had 5000000 bytes");
  EXPECT_EQ(decoded(R"({"type":"snapshot","product)", RawKind::frame, "", {{header::cut, "5000000"}}).not_a_trade, 1U);
}

TEST(CoinbaseFrame, AReplayIsJudgedAsWhatItWas) {
  const Events frame = decoded(kMatch, RawKind::replay, "coinbase:BTC-USD");
  ASSERT_EQ(frame.items.size(), 1U);
  EXPECT_EQ(frame.items[0].trade.order, 10U);
  const Events entry = decoded(kProduct, RawKind::replay, "coinbase:BTC-USD", {{header::original_kind, "reference"}});
  EXPECT_EQ(entry.references.size(), 1U);
  const Events session = decoded(kMatch, RawKind::session, "coinbase:BTC-USD");
  EXPECT_TRUE(session.items.empty());
}

}  // namespace
}  // namespace truetape::coinbase
