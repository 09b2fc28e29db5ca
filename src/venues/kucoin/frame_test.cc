#include <random>

#include "venues/kucoin/testing.h"

namespace truetape::kucoin {
namespace {

Instrument instrument(std::string_view text) { return *Instrument::parse(text); }

TEST(KucoinFrame, TradeIsReadToTheLastDigit) {
  const Events events = decoded(kTrade);
  ASSERT_EQ(events.items.size(), 1U);
  const Item& item = events.items[0];
  EXPECT_EQ(item.type, Item::Type::trade);
  EXPECT_EQ(item.raw, kTrade);
  EXPECT_FALSE(item.follows);
  Trade expected;
  expected.instrument = instrument("kucoin:BTC-USDT");
  expected.id = Text<40>::cut("11067996711960577");
  expected.order = expected.first_id = expected.last_id = 11067996711960577;
  expected.event_time = timestamp_ns(1'729'843'222'921'000'000);
  expected.receive_time = kReceived;
  expected.price = {67523, 0};
  expected.quantity = {3, 3};
  expected.taker_side = Side::buy;
  EXPECT_EQ(item.trade, expected);
}

TEST(KucoinFrame, OldTradeHasAHexadecimalIdAndTrueNanoseconds) {
  const Events events = decoded(kOldTrade);
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& trade = events.items[0].trade;
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(trade.instrument, instrument("kucoin:ABC-BTC"));
  EXPECT_EQ(trade.id.view(), "6085c09769bc506996295e36");
  EXPECT_EQ(trade.order, 1612701563869U);
  EXPECT_EQ(trade.first_id, 1612701563869U);
  EXPECT_EQ(trade.event_time, timestamp_ns(1'619'378'327'739'050'725));
  EXPECT_EQ(trade.price, (Decimal{1117, 10}));  // zeros at the end are no digits
  EXPECT_EQ(trade.quantity, (Decimal{818814, 4}));
  EXPECT_EQ(trade.taker_side, Side::sell);
  EXPECT_EQ(trade.count(), 1U);
}

TEST(KucoinFrame, TickerHasTheBookAndTheLastTrade) {
  const Events events = decoded(kTicker);
  EXPECT_TRUE(events.items.empty());
  ASSERT_EQ(events.quotes.size(), 1U);
  Quote expected;
  expected.instrument = instrument("kucoin:BTC-USDT");
  expected.kind = QuoteKind::ticker;
  expected.order = 14691455768;
  expected.event_time = timestamp_ns(1'729'757'723'612'000'000);
  expected.receive_time = kReceived;
  expected.bid = Decimal{672186, 1};
  expected.bid_quantity = Decimal{1045638, 8};
  expected.ask = Decimal{672187, 1};
  expected.ask_quantity = Decimal{192318539, 8};
  expected.last = Decimal{67220, 0};
  expected.last_quantity = Decimal{4316, 8};
  EXPECT_EQ(events.quotes[0], expected);
}

TEST(KucoinFrame, OfAllTickersTheSubjectIsTheSymbol) {
  const std::string frame =
      with(with(kTicker, "/market/ticker:BTC-USDT", "/market/ticker:all"), "trade.ticker", "ETH-USDT");
  const Events events = decoded(frame);
  ASSERT_EQ(events.quotes.size(), 1U);
  EXPECT_EQ(events.quotes[0].instrument, instrument("kucoin:ETH-USDT"));
  EXPECT_EQ(events.quotes[0].kind, QuoteKind::ticker);
  EXPECT_EQ(events.quotes[0].last, (Decimal{67220, 0}));
}

TEST(KucoinFrame, TickerWithoutATimeOrWithACapitalOne) {
  const Events without = decoded(with(kTicker, R"(,"time":1729757723612)", ""));
  ASSERT_EQ(without.quotes.size(), 1U);
  EXPECT_EQ(without.quotes[0].event_time, std::nullopt);
  const Events capital = decoded(with(kTicker, R"("time")", R"("Time")"));
  ASSERT_EQ(capital.quotes.size(), 1U);
  EXPECT_EQ(capital.quotes[0].event_time, timestamp_ns(1'729'757'723'612'000'000));
}

TEST(KucoinFrame, BestBidAndAsk) {
  const Events events = decoded(kBest);
  ASSERT_EQ(events.quotes.size(), 1U);
  Quote expected;
  expected.instrument = instrument("kucoin:BTC-USDT");
  expected.event_time = timestamp_ns(1'729'816'058'766'000'000);
  expected.receive_time = kReceived;
  expected.bid = Decimal{681457, 1};
  expected.bid_quantity = Decimal{129267802, 8};
  expected.ask = Decimal{681458, 1};
  expected.ask_quantity = Decimal{51987471, 8};
  EXPECT_EQ(events.quotes[0], expected);
}

TEST(KucoinFrame, ASideWithoutOrdersIsEmpty) {
  for (const std::string_view side : {"[]", "null", R"(["0","0"])", R"(["",""])", "[null,null]"}) {
    const Events events = decoded(with(kBest, R"(["68145.7","1.29267802"])", side));
    ASSERT_EQ(events.quotes.size(), 1U) << side;
    EXPECT_EQ(events.quotes[0].bid, std::nullopt) << side;
    EXPECT_EQ(events.quotes[0].bid_quantity, std::nullopt) << side;
    EXPECT_EQ(events.quotes[0].ask, (Decimal{681458, 1})) << side;
  }
  for (const std::string_view price : {R"("0")", "null", R"("")"}) {
    const Events events = decoded(with(kTicker, R"("bestAsk":"67218.7")", R"("bestAsk":)" + std::string{price}));
    ASSERT_EQ(events.quotes.size(), 1U) << price;
    EXPECT_EQ(events.quotes[0].ask, std::nullopt) << price;
    EXPECT_EQ(events.quotes[0].ask_quantity, std::nullopt) << price;
  }
}

TEST(KucoinFrame, OtherSoundFramesAreNoTrades) {
  for (
      const std::string_view frame :
      {R"({"id":"hQvf8jkno","type":"welcome"})", R"({"id":"1545910660739","type":"ack"})",
       R"({"id":"1","type":"pong","timestamp":1764215232226553})", R"({"id":"1","type":"pong"})",
       R"({"id":"660fd6c84d0eab582c237b51","type":"error","code":401,"data":"token is expired"})",
       R"({"type":"error","code":509,"data":"exceed max permits per second"})",
       R"({"topic":"/market/candles:BTC-USDT_1hour","type":"message","subject":"trade.candles.add","data":{"symbol":"BTC-USDT","candles":["1729839600","1","1","1","1","0","0"],"time":1729842192785164840}})",
       R"({"topic":"/market/level2:BTC-USDT","type":"message","subject":"trade.l2update","data":{"changes":{"asks":[["1","2","3"]],"bids":[]},"sequenceEnd":3,"sequenceStart":3,"symbol":"BTC-USDT","time":1729843222921}})",
       R"({"topic":"/market/snapshot:BTC","type":"message","subject":"trade.snapshot","data":{"sequence":"14691517895","data":{"symbol":"BTC-USDT","changeRate":-1.0e-5}}})",
       R"({"topic":"/x","type":"message","subject":"something.new","data":null})",
       R"({"type":"notice","topic":"/x","subject":"y","data":{}})"}) {
    const Events events = decoded(frame);
    EXPECT_EQ(events.not_a_trade, 1U) << frame;
    EXPECT_TRUE(events.items.empty() && events.quotes.empty()) << frame;
  }
}

struct Bad {
  std::string frame;
  Reason reason;
  std::string detail;
};

TEST(KucoinFrame, WhatIsWrongIsNamedWithItsPlace) {
  const std::string price = R"("price":"67523")", time = R"("time":"1729843222921000000")";
  for (const Bad& bad : std::vector<Bad>{
           {with(kTrade, price + ",", ""), Reason::missing_field, "$.data.price is missing"},
           {with(kTrade, price, R"("price":67523)"), Reason::wrong_type,
            "$.data.price is an integer, a text is needed"},
           {with(kTrade, price, R"("price":"6a")"), Reason::decimal_syntax,
            "$.data.price is \"6a\", which is no decimal number"},
           {with(kTrade, price, R"("price":"1.0000000000000000001")"), Reason::decimal_range,
            "$.data.price is \"1.0000000000000000001\", which has more than 18 decimals or does not fit 63 bits"},
           {with(kTrade, price, R"("price":"0")"), Reason::price, "$.data.price is 0, a price above 0 is needed"},
           {with(kTrade, R"("size":"0.003")", R"("size":"-1")"), Reason::quantity,
            "$.data.size is -1, a quantity above 0 is needed"},
           {with(kTrade, R"("side":"buy")", R"("side":"BUY")"), Reason::side,
            "$.data.side is \"BUY\", buy or sell is needed"},
           {with(kTrade, R"("sequence":"11067996711960577")", R"("sequence":"1106799x")"), Reason::id_range,
            "$.data.sequence is 1106799x, an id from 0 to 2^63 - 1 is needed"},
           {with(kTrade, R"("sequence":"11067996711960577")", R"("sequence":"9223372036854775808")"), Reason::id_range,
            "$.data.sequence is 9223372036854775808, an id from 0 to 2^63 - 1 is needed"},
           {with(kTrade, R"("sequence":"11067996711960577")", R"("sequence":11067996711960577)"), Reason::wrong_type,
            "$.data.sequence is an integer, a text is needed"},
           {with(kTrade, R"("tradeId":"11067996711960577")", R"("tradeId":"")"), Reason::id_range,
            "$.data.tradeId is \"\", an id of 1 to 40 bytes is needed"},
           {with(kTrade, R"("tradeId":"11067996711960577")", R"("tradeId":")" + std::string(41, '7') + '"'),
            Reason::id_range, "$.data.tradeId is \"" + std::string(40, '7') + "…\", an id of 1 to 40 bytes is needed"},
           {with(kTrade, time, R"("time":"1729843222921")"), Reason::time_unit,
            "$.data.time is 1729843222921, which has the digits of ms; ns are needed"},
           {with(kTrade, time, R"("time":1729843222921000000)"), Reason::wrong_type,
            "$.data.time is an integer, a text is needed"},
           {with(kTrade, time, R"("time":"-5")"), Reason::time_range,
            "$.data.time is -5, which is no time in ns since 1970"},
           {with(kTrade, R"("symbol":"BTC-USDT")", R"("symbol":"ETH-USDT")"), Reason::unroutable,
            "$.data.symbol is kucoin:ETH-USDT, but the record was routed to kucoin:BTC-USDT"},
           {with(kTrade, R"("symbol":"BTC-USDT")", R"("symbol":"")"), Reason::unroutable,
            "$.data.symbol is \"\", which is no symbol"},
           {with(kTrade, R"("type":"message",)", ""), Reason::missing_field, "$.type is missing"},
           {with(kTrade, R"("subject":"trade.l3match",)", ""), Reason::missing_field, "$.subject is missing"},
           {with(kTrade, R"("topic":"/market/match:BTC-USDT",)", ""), Reason::missing_field, "$.topic is missing"},
           {R"({"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match","data":[]})",
            Reason::wrong_type, "$.data is an array, an object is needed"},
           {R"({"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match"})", Reason::missing_field,
            "$.data is missing"},
           {with(kTrade, R"("side":"buy")", R"("side":"buy","side":"sell")"), Reason::duplicate_key,
            "$: at byte 162 the JSON has the key \"side\" twice"},
           {std::string{kTrade.substr(0, 200)}, Reason::syntax, "$: at byte 200 the JSON ends inside a text"},
           {std::string{kTrade} + "x", Reason::syntax, "$: at byte 339 the JSON goes on behind its end"},
           {with(kTrade, "BTC-USDT\",\"sequence", "BTC-USDT\xff\",\"sequence"), Reason::encoding,
            "$: at byte 0 the JSON is not UTF-8"},
           {with(kTicker, R"("sequence":"14691455768",)", ""), Reason::missing_field, "$.data.sequence is missing"},
           {with(kTicker, R"("time":1729757723612)", R"("time":1729757723612000000)"), Reason::time_unit,
            "$.data.time is 1729757723612000000, which has the digits of ns; ms are needed"},
           {with(kTicker, R"("bestBid":"67218.6")", R"("bestBid":"-1")"), Reason::price, "$.data.bestBid is below 0"},
           {with(kBest, R"(,"timestamp":1729816058766)", ""), Reason::missing_field, "$.data.timestamp is missing"},
           {with(kBest, R"("0.51987471"])", R"("0.51987471","3"])"), Reason::wrong_type,
            "$.data.asks has 3 elements, price and quantity are needed"},
           {with(kBest, R"(["68145.7","1.29267802"])", R"("68145.7")"), Reason::wrong_type,
            "$.data.bids is a text, an array is needed"},
       }) {
    const Events events = decoded(bad.frame);
    ASSERT_EQ(events.items.size(), 1U) << bad.frame;
    const Item& item = events.items[0];
    EXPECT_EQ(item.type, Item::Type::bad) << bad.frame;
    EXPECT_EQ(name(item.reason), name(bad.reason)) << bad.frame;
    EXPECT_EQ(item.detail, bad.detail);
    EXPECT_TRUE(events.quotes.empty());
    EXPECT_EQ(item.trade.instrument.empty(), routed(bad.frame).empty()) << bad.frame;
  }
}

TEST(KucoinFrame, WhatCanBeReadOfABadTradeStays) {
  const Events events = decoded(with(kTrade, R"("price":"67523")", R"("price":"?")"));
  ASSERT_EQ(events.items.size(), 1U);
  const Item& item = events.items[0];
  EXPECT_EQ(item.type, Item::Type::bad);
  EXPECT_TRUE(item.has_id);
  EXPECT_TRUE(item.has_time);
  EXPECT_EQ(item.trade.order, 11067996711960577U);
  EXPECT_EQ(item.trade.event_time, timestamp_ns(1'729'843'222'921'000'000));
}

TEST(KucoinFrame, ATradeWhoseTopicNamesAnotherSymbolIsRefused) {
  const std::string frame = with(kTrade, R"("symbol":"BTC-USDT")", R"("symbol":"ETH-USDT")");
  RawRecord record;  // of a file: its frames are not routed
  record.bytes = frame;
  Events events;
  kucoin::kSpot.decode(record, events);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].detail, "$.data.symbol is kucoin:ETH-USDT, but the topic is of kucoin:BTC-USDT");
}

TEST(KucoinFrame, TooLongAndCutFramesAreNamed) {
  const std::string frame = std::string{kTrade.substr(0, kTrade.size() - 1)} + std::string(1 << 20, ' ') + "}";
  const Events events = decoded(frame);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].reason, Reason::too_large);
  const Events cut = decoded(kTrade.substr(0, 100), RawKind::frame, "", {{header::cut, "5000000"}});
  ASSERT_EQ(cut.items.size(), 1U);
  EXPECT_EQ(cut.items[0].detail, "$: at byte 100 the JSON was cut off: it had 5000000 bytes");
}

TEST(KucoinFrame, ReplayIsJudgedAsWhatItWas) {
  const Events events = decoded(kTrade, RawKind::replay, "kucoin:BTC-USDT", {{header::original_kind, "frame"}});
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
}

// Everything but where the bytes lie.
void expect_same(const Events& a, const Events& b, std::string_view what) {
  EXPECT_EQ(a.not_a_trade, b.not_a_trade) << what;
  EXPECT_EQ(a.quotes, b.quotes) << what;
  ASSERT_EQ(a.items.size(), b.items.size()) << what;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    EXPECT_EQ(a.items[i].type, b.items[i].type) << what;
    EXPECT_EQ(a.items[i].trade, b.items[i].trade) << what;
    EXPECT_EQ(a.items[i].detail, b.items[i].detail) << what;
    EXPECT_EQ(a.items[i].reason, b.items[i].reason) << what;
    EXPECT_EQ(a.items[i].has_id, b.items[i].has_id) << what;
    EXPECT_EQ(a.items[i].has_time, b.items[i].has_time) << what;
  }
}

TEST(KucoinFrame, BothReadersAgreeOnDamagedFrames) {
  std::mt19937 random{7};
  std::size_t taken = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string frame{std::array{kTrade, kOldTrade, kTicker, kBest}[random() % 4]};
    for (auto changes = random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % frame.size();
      switch (random() % 4) {
        case 0:
          frame.erase(at, 1 + random() % 4);
          break;
        case 1:
          frame.insert(at, 1, "\"{}[]:,0 9\\-.nt"[random() % 15]);
          break;
        case 2:
          frame[at] = static_cast<char>(random());
          break;
        default:
          std::swap(frame[at], frame[random() % frame.size()]);
      }
      if (frame.empty()) break;
    }
    RawRecord record;
    record.bytes = frame;
    Events fast, strict;
    if (!decode_frame_fast(record, fast)) continue;
    ++taken;
    decode_frame_strict(record, strict);
    expect_same(fast, strict, frame);
  }
  EXPECT_GT(taken, 25'000U);
  for (const std::string_view frame : {kTrade, kOldTrade, kTicker, kBest}) {
    RawRecord record;
    record.bytes = frame;
    Events fast;
    EXPECT_TRUE(decode_frame_fast(record, fast)) << frame;
  }
}

}  // namespace
}  // namespace truetape::kucoin
