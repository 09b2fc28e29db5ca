#include <random>

#include "venues/binance/testing.h"

namespace truetape::binance {
namespace {

constexpr std::string_view kSpotTrade =
    R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}})";
constexpr std::string_view kUsdmTrade =
    R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1721347022956,"T":1721347022955,"s":"BTCUSDT","t":5182005737,"p":"63943.90","q":"0.003","X":"MARKET","m":false}})";

Instrument instrument(std::string_view text) { return *Instrument::parse(text); }

TEST(BinanceFrame, SpotTradeIsReadToTheLastDigit) {
  const Events events = decoded(binance::kSpot, kSpotTrade);
  ASSERT_EQ(events.items.size(), 1U);
  const Item& item = events.items[0];
  EXPECT_EQ(item.type, Item::Type::trade);
  EXPECT_EQ(item.raw, kSpotTrade);
  EXPECT_FALSE(item.follows);
  Trade expected;
  expected.instrument = instrument("binance:BTCUSDT");
  expected.id = Text<40>::cut("3735683259");
  expected.order = expected.first_id = expected.last_id = 3735683259;
  expected.event_time = timestamp_ns(1'723'161'255'342'000'000);
  expected.receive_time = timestamp_ns(1'723'161'254'000'000'000);
  expected.price = {6183763, 2};
  expected.quantity = {2, 2};
  expected.taker_side = Side::sell;  // the buyer was the maker
  EXPECT_EQ(item.trade, expected);
}

TEST(BinanceFrame, UsdmTradeHasItsKind) {
  const Events events = decoded(binance::kUsdm, kUsdmTrade);
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& trade = events.items[0].trade;
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(trade.instrument, instrument("binance-usdm:BTCUSDT"));
  EXPECT_EQ(trade.kind.view(), "MARKET");
  EXPECT_EQ(trade.taker_side, Side::buy);
  EXPECT_EQ(trade.event_time, timestamp_ns(1'721'347'022'955'000'000));  // T, not E
  EXPECT_EQ(trade.price, (Decimal{639439, 1}));
  EXPECT_EQ(trade.quantity, (Decimal{3, 3}));
}

TEST(BinanceFrame, UsdmKindsOtherThanMarkersAreTradesOfThatKind) {
  for (const std::string_view kind : {"RPI", "INSURANCE_FUND", "ADL", "SOMETHING_NEW"}) {
    std::string frame{kUsdmTrade};
    frame.replace(frame.find("MARKET"), 6, kind);
    const Events events = decoded(binance::kUsdm, frame);
    ASSERT_EQ(events.items.size(), 1U) << kind;
    EXPECT_EQ(events.items[0].type, Item::Type::trade) << kind;
    EXPECT_EQ(events.items[0].trade.kind.view(), kind);
  }
}

TEST(BinanceFrame, UsdmMarkerWithoutTradeIsEmpty) {
  for (const std::string_view kind : {"NA", ""}) {
    const std::string frame =
        R"({"e":"trade","E":1790371725749,"T":1790371725748,"s":"DOGEUSDT","t":3488255295,"p":"0","q":"0","X":")" +
        std::string{kind} + R"(","m":true,"st":1})";
    const Events events = decoded(binance::kUsdm, frame);
    ASSERT_EQ(events.items.size(), 1U) << kind;
    EXPECT_EQ(events.items[0].type, Item::Type::empty) << kind;
    EXPECT_EQ(events.items[0].trade.order, 3488255295U);
    EXPECT_EQ(events.items[0].trade.event_time, timestamp_ns(1'790'371'725'748'000'000));
  }
}

TEST(BinanceFrame, AggregateStandsForItsRange) {
  const Events events = decoded(
      binance::kSpot,
      R"({"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true})");
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& trade = events.items[0].trade;
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(trade.tape, Tape::agg);
  EXPECT_EQ(trade.id.view(), "12345");
  EXPECT_EQ(trade.order, 12345U);
  EXPECT_EQ(trade.first_id, 100U);
  EXPECT_EQ(trade.last_id, 105U);
  EXPECT_EQ(trade.count(), 6U);

  const Events usdm = decoded(
      binance::kUsdm,
      R"({"e":"aggTrade","E":1781416439080,"a":3339472008,"s":"BTCUSDT","p":"64339.20","q":"0.123","nq":"0.100","f":7786568797,"l":7786568801,"T":1781416438926,"m":true,"st":1})");
  ASSERT_EQ(usdm.items.size(), 1U);
  EXPECT_EQ(usdm.items[0].trade.order, 3339472008U);
  EXPECT_EQ(usdm.items[0].trade.quantity, (Decimal{123, 3}));  // q, with RPI fills
}

TEST(BinanceFrame, TimesAreMillisecondsOrMicrosecondsByTheirDigits) {
  std::string frame{kSpotTrade};
  frame.replace(frame.find("1723161255342"), 13, "1723161255342719");
  EXPECT_EQ(decoded(binance::kSpot, frame).items.at(0).trade.event_time, timestamp_ns(1'723'161'255'342'719'000));
}

TEST(BinanceFrame, BestBidAndAsk) {
  const Events spot = decoded(
      binance::kSpot,
      R"({"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"})");
  ASSERT_EQ(spot.quotes.size(), 1U);
  EXPECT_TRUE(spot.items.empty());
  Quote expected;
  expected.instrument = instrument("binance:BNBUSDT");
  expected.order = 400900217;
  expected.receive_time = timestamp_ns(1'723'161'254'000'000'000);
  expected.bid = Decimal{253519, 4};
  expected.bid_quantity = Decimal{3121, 2};
  expected.ask = Decimal{253652, 4};
  expected.ask_quantity = Decimal{4066, 2};
  EXPECT_EQ(spot.quotes[0], expected);  // spot sends no time

  const Events usdm = decoded(
      binance::kUsdm,
      R"({"e":"bookTicker","u":11659858833361,"s":"BTCUSDT","ps":"BTCUSDT","b":"0","B":"0","a":"83680.10","A":"1.566","T":1790370834266,"E":1790370834267,"st":1})");
  ASSERT_EQ(usdm.quotes.size(), 1U);
  EXPECT_EQ(usdm.quotes[0].event_time, timestamp_ns(1'790'370'834'266'000'000));
  EXPECT_EQ(usdm.quotes[0].bid, std::nullopt);  // an empty side comes as zeros
  EXPECT_EQ(usdm.quotes[0].bid_quantity, std::nullopt);
  EXPECT_EQ(usdm.quotes[0].ask, (Decimal{836801, 1}));
}

TEST(BinanceFrame, DayTicker) {
  const Events events = decoded(
      binance::kSpot,
      R"({"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015","P":"250.00","w":"0.0018","x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151})");
  ASSERT_EQ(events.quotes.size(), 1U);
  const Quote& quote = events.quotes[0];
  EXPECT_EQ(quote.kind, QuoteKind::ticker);
  EXPECT_EQ(quote.event_time, timestamp_ns(1'672'515'782'136'000'000));
  EXPECT_EQ(quote.last, (Decimal{25, 4}));
  EXPECT_EQ(quote.last_quantity, (Decimal{10, 0}));
  EXPECT_EQ(quote.bid, (Decimal{24, 4}));
  EXPECT_EQ(quote.ask_quantity, (Decimal{100, 0}));
  EXPECT_EQ(quote.open, (Decimal{1, 3}));
  EXPECT_EQ(quote.high, (Decimal{25, 4}));
  EXPECT_EQ(quote.low, (Decimal{1, 3}));
  EXPECT_EQ(quote.volume, (Decimal{10000, 0}));
  EXPECT_EQ(quote.quote_volume, (Decimal{18, 0}));
}

TEST(BinanceFrame, EverythingElseThatIsSoundIsNoTrade) {
  for (
      const std::string_view frame : {
          R"({"result":null,"id":1})",
          R"({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3})",
          R"({"code":0,"msg":"Unknown property","id":"a"})",
          R"({"e":"serverShutdown","E":1770123456789})",
          R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}})",
          R"({"e":"blockTrade","E":1772506983582,"s":"BNBBTC","t":582,"p":"0.052","q":"5838","T":1772506983321,"m":true})",
          R"({"e":"kline","E":1672515782136,"s":"BNBBTC","k":{"t":1672515780000,"s":"BNBBTC","x":false}})",
          R"({"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[["0.1","2"]],"asks":[]}})",
          R"({"lastUpdateId":160,"bids":[["0.1","2"]],"asks":[]})",
          R"({"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","s":"BNBBTC"}]})",
          R"([{"e":"24hrMiniTicker","s":"BNBBTC"}])",
          R"( { "result" : [ ] , "id" : null } )",
      }) {
    const Events events = decoded(binance::kSpot, frame);
    EXPECT_EQ(events.not_a_trade, 1U) << frame;
    EXPECT_TRUE(events.items.empty()) << frame << " " << events.items.at(0).detail;
    EXPECT_TRUE(events.quotes.empty()) << frame;
  }
}

struct Bad {
  std::string_view from, to;  // replaced in the frame
  Reason reason;
  std::string_view detail;
  bool has_id, has_time;
};

void expect_bad(const Venue& venue, std::string_view good, const Bad& bad) {
  std::string frame{good};
  const std::size_t at = frame.find(bad.from);
  ASSERT_NE(at, std::string::npos) << bad.from;
  frame.replace(at, bad.from.size(), bad.to);
  const Events events = decoded(venue, frame);
  ASSERT_EQ(events.items.size(), 1U) << frame;
  const Item& item = events.items[0];
  EXPECT_EQ(item.type, Item::Type::bad) << frame;
  EXPECT_EQ(name(item.reason), name(bad.reason)) << frame;
  EXPECT_EQ(item.detail, bad.detail) << frame;
  EXPECT_EQ(item.has_id, bad.has_id) << frame;
  EXPECT_EQ(item.has_time, bad.has_time) << frame;
  EXPECT_EQ(item.raw, frame);
  if (bad.has_id) {
    EXPECT_EQ(item.trade.order, 3735683259U) << frame;
    EXPECT_EQ(item.trade.id.view(), "3735683259") << frame;
  }
  if (bad.has_time) {
    EXPECT_EQ(item.trade.event_time, timestamp_ns(1'723'161'255'342'000'000)) << frame;
  }
  EXPECT_EQ(events.not_a_trade, 0U);
}

TEST(BinanceFrame, WhatIsWrongIsNamedWithItsPath) {
  const std::string forty(40, '9');
  const std::string forty_detail =
      "$.data.p is \"" + forty + "\", which has more than 18 decimals or does not fit 63 bits";
  const std::string forty_to = "\"p\":\"" + forty + '"';
  for (const Bad& bad : std::initializer_list<Bad>{
           {R"("p":"61837.63000000",)", "", Reason::missing_field, "$.data.p is missing", true, true},
           {R"("p":"61837.63000000")", R"("p":61837.63)", Reason::wrong_type,
            "$.data.p is a number with a point or exponent, a text is needed", true, true},
           {R"("p":"61837.63000000")", R"("p":null)", Reason::wrong_type, "$.data.p is null, a text is needed", true,
            true},
           {R"("p":"61837.63000000")", R"("p":"0.00000000")", Reason::price, "$.data.p is 0, a price above 0 is needed",
            true, true},
           {R"("p":"61837.63000000")", R"("p":"-1")", Reason::price, "$.data.p is -1, a price above 0 is needed", true,
            true},
           {R"("p":"61837.63000000")", R"("p":"1e300")", Reason::decimal_range,
            "$.data.p is \"1e300\", which has more than 18 decimals or does not fit 63 bits", true, true},
           {R"("p":"61837.63000000")", forty_to, Reason::decimal_range, forty_detail, true, true},
           {R"("p":"61837.63000000")", R"("p":"NaN")", Reason::decimal_syntax,
            "$.data.p is \"NaN\", which is no decimal number", true, true},
           {R"("p":"61837.63000000")", R"("p":"")", Reason::decimal_syntax,
            "$.data.p is \"\", which is no decimal number", true, true},
           {R"("p":"61837.63000000")", R"("p":NaN)", Reason::wrong_type,
            "$: at byte 97 the JSON has NaN, which is no JSON value", false, false},
           {R"("q":"0.02000000")", R"("q":"0")", Reason::quantity, "$.data.q is 0, a quantity above 0 is needed", true,
            true},
           {R"("q":"0.02000000")", R"("q":true)", Reason::wrong_type, "$.data.q is a boolean, a text is needed", true,
            true},
           {R"("t":3735683259,)", "", Reason::missing_field, "$.data.t is missing", false, true},
           {R"("t":3735683259)", R"("t":"3735683259")", Reason::wrong_type, "$.data.t is a text, an integer is needed",
            false, true},
           {R"("t":3735683259)", R"("t":-1)", Reason::id_range, "$.data.t is -1, an id from 0 to 2^63 - 1 is needed",
            false, true},
           {R"("t":3735683259)", R"("t":9223372036854775808)", Reason::id_range,
            "$.data.t is 9223372036854775808, an id from 0 to 2^63 - 1 is needed", false, true},
           {R"("t":3735683259)", R"("t":3.5)", Reason::wrong_type,
            "$.data.t is a number with a point or exponent, an integer is needed", false, true},
           {R"("T":1723161255342,)", "", Reason::missing_field, "$.data.T is missing", true, false},
           {R"("T":1723161255342)", R"("T":1723161255)", Reason::time_unit,
            "$.data.T is 1723161255, which has the digits of seconds; ms or us are needed", true, false},
           {R"("T":1723161255342)", R"("T":1723161255342000000)", Reason::time_unit,
            "$.data.T is 1723161255342000000, which has the digits of nanoseconds; ms or us are needed", true, false},
           {R"("T":1723161255342)", R"("T":0)", Reason::time_range,
            "$.data.T is 0, which is no time in ms or us since 1970", true, false},
           {R"("T":1723161255342)", R"("T":9723161255342)", Reason::time_range,
            "$.data.T is 9723161255342, which is beyond the year 2262", true, false},
           {R"("T":1723161255342)", R"("T":"x")", Reason::wrong_type, "$.data.T is a text, an integer is needed", true,
            false},
           {R"("m":true)", R"("m":1)", Reason::wrong_type, "$.data.m is an integer, a boolean is needed", true, true},
           {R"("s":"BTCUSDT",)", "", Reason::missing_field, "$.data.s is missing", false, true},
           {R"("s":"BTCUSDT")", R"("s":7)", Reason::wrong_type, "$.data.s is an integer, a text is needed", false,
            true},
           {R"("s":"BTCUSDT")", R"("s":"A,B")", Reason::unroutable, "$.data.s is \"A,B\", which is no symbol", false,
            true},
           {R"("e":"trade",)", "", Reason::missing_field, "$.data.e is missing", false, false},
           {R"("e":"trade")", R"("e":7)", Reason::wrong_type, "$.data.e is no text", false, false},
           {R"("m":true)", R"("m":true,"p":"1")", Reason::duplicate_key,
            "$: at byte 165 the JSON has the key \"p\" twice", false, false},
           {R"("m":true)", R"("m":true,"\u0070":"1")", Reason::duplicate_key,
            "$: at byte 170 the JSON has the key \"p\" twice", false, false},
           {R"("m":true)", R"("m":true,"zz":1,"zz":1)", Reason::duplicate_key,
            "$: at byte 171 the JSON has the key \"zz\" twice", false, false},
           {R"("M":true}})", R"("M":true)", Reason::syntax, "$: at byte 166 the JSON ends inside an object or array",
            false, false},
           {R"("M":true}})", R"("M":true}}x)", Reason::syntax, "$: at byte 168 the JSON goes on behind its end", false,
            false},
           {R"("M":true}})", R"("M":true,}})", Reason::syntax, "$: at byte 167 the JSON has no key where one is needed",
            false, false},
           {R"("M":true)", "\"M\":\"\xff\"", Reason::encoding, "$: at byte 0 the JSON is not UTF-8", false, false},
           {R"("M":true)", R"("M":"\ud800")", Reason::encoding, "$: at byte 169 the JSON has half of a surrogate pair",
            false, false},
           {R"("M":true)", "\"M\":\"\x01\"", Reason::syntax,
            "$: at byte 163 the JSON has a control character inside a text", false, false},
           {R"("M":true)", R"("M":01)", Reason::syntax, "$: at byte 163 the JSON has no comma where one is needed",
            false, false},
           {R"(,"data":{)", R"(,"dat":{)", Reason::missing_field, "$.data is missing", false, false},
           {R"({"stream":"btcusdt@trade",)", R"({"stream":7,)", Reason::wrong_type, "$.stream is no text", false,
            false},
       })
    expect_bad(binance::kSpot, kSpotTrade, bad);
}

TEST(BinanceFrame, UsdmTradeWithoutKindIsBad) {
  std::string frame{kUsdmTrade};
  frame.erase(frame.find(R"("X":"MARKET",)"), 13);
  const Events events = decoded(binance::kUsdm, frame);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].detail, "$.data.X is missing");
  EXPECT_TRUE(events.items[0].has_id);
}

TEST(BinanceFrame, AggregateWithTurnedRangeIsBad) {
  const Events events = decoded(
      binance::kSpot,
      R"({"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":106,"l":105,"T":1672515782136,"m":true,"M":true})");
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].reason, Reason::id_range);
  EXPECT_EQ(events.items[0].detail, "$.f is above the last id of the range");
  EXPECT_FALSE(events.items[0].has_id);
}

TEST(BinanceFrame, TooLargeAndTooDeepAreRefusedAsAWhole) {
  const std::string large = R"({"e":"x","y":")" + std::string(1 << 20, 'a') + "\"}";
  EXPECT_EQ(decoded(binance::kSpot, large).items.at(0).reason, Reason::too_large);
  const std::string deep = R"({"e":"x","y":)" + std::string(100'000, '[');
  EXPECT_EQ(decoded(binance::kSpot, deep).items.at(0).reason, Reason::syntax);
  const std::string allowed = R"({"e":"x","y":)" + std::string(64, '[') + std::string(64, ']') + '}';
  EXPECT_EQ(decoded(binance::kSpot, allowed).not_a_trade, 1U);
}

TEST(BinanceFrame, ManyUnknownKeysCostNoSquare) {
  std::string frame = R"({"e":"trade")";
  for (int i = 0; i < 60'000; ++i) frame += ",\"k" + std::to_string(i) + "\":0";
  EXPECT_EQ(decoded(binance::kSpot, frame + "}").items.at(0).reason, Reason::missing_field);
  EXPECT_EQ(decoded(binance::kSpot, frame + ",\"k31\":0}").items.at(0).reason, Reason::duplicate_key);
}

TEST(BinanceFrame, CutFrameIsTooLarge) {
  Routed routed{binance::kSpot, kSpotTrade.substr(0, 60)};
  const Header cut{header::cut, "2000000"};
  routed.record.headers = {&cut, 1};
  Events events;
  binance::kSpot.decode(routed.record, events);
  EXPECT_EQ(events.items.at(0).reason, Reason::too_large);
}

TEST(BinanceFrame, TradeOfAnotherInstrumentThanTheRecordsIsBad) {
  Routed routed{binance::kSpot, kSpotTrade};
  routed.record.instruments = "binance:ETHUSDT";
  Events events;
  binance::kSpot.decode(routed.record, events);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].reason, Reason::unroutable);
  EXPECT_EQ(events.items[0].detail, "$.data.s is binance:BTCUSDT, but the record was routed to binance:ETHUSDT");
}

// --- the two readers agree ---

std::vector<std::pair<Product, std::string>> all_payloads() {
  std::vector<std::pair<Product, std::string>> out;
  for (const Captured& c : captured("spot-btcusdt.frames")) out.emplace_back(Product::spot, c.frame);
  for (const Captured& c : captured("usdm-btcusdt.frames")) out.emplace_back(Product::usdm, c.frame);
  out.emplace_back(
      Product::spot,
      R"({"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true})");
  out.emplace_back(
      Product::spot,
      R"({"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","b":88,"a":50,"T":1672515782136,"m":true,"M":true})");
  out.emplace_back(
      Product::usdm,
      R"({"e":"aggTrade","E":1781416439080,"a":3339472008,"s":"BTCUSDT","p":"64339.20","q":"0.123","nq":"0.123","f":7786568797,"l":7786568801,"T":1781416438926,"m":true,"st":1})");
  out.emplace_back(
      Product::usdm,
      R"({"e":"trade","E":1790371725749,"T":1790371725748,"s":"DOGEUSDT","t":3488255295,"p":"0","q":"0","X":"NA","m":true,"st":1})");
  return out;
}

const Venue& venue_of(Product product) { return product == Product::spot ? binance::kSpot : binance::kUsdm; }

TEST(BinanceFrame, TheQuickReaderTakesTheVenuesOwnSpelling) {
  for (const auto& [product, frame] : all_payloads()) {
    if (frame.find("\"depthUpdate\"") != std::string::npos) continue;
    const Routed routed{venue_of(product), frame};
    Events events;
    EXPECT_TRUE(decode_frame_fast(product, routed.record, events)) << frame;
    EXPECT_EQ(events.items.size() + events.quotes.size(), 1U) << frame;
  }
}

TEST(BinanceFrame, BothReadersAgreeOnDamagedFrames) {
  std::mt19937_64 dice{7};
  const auto payloads = all_payloads();
  constexpr std::string_view kAlphabet = "0123456789\"{}[]:,.-eEtruefalsn\\ \x80\xff\x01";
  int taken = 0;
  for (int round = 0; round < 60'000; ++round) {
    auto [product, frame] = payloads[dice() % payloads.size()];
    for (auto changes = dice() % 3; changes-- > 0;) {
      const std::size_t at = dice() % frame.size();
      switch (dice() % 3) {
        case 0:
          frame[at] = kAlphabet[dice() % kAlphabet.size()];
          break;
        case 1:
          frame.erase(at, 1 + dice() % 4);
          break;
        default:
          frame.insert(at, 1, kAlphabet[dice() % kAlphabet.size()]);
      }
      if (frame.empty()) frame = " ";
    }
    const Routed routed{venue_of(product), frame};
    Events fast, strict;
    if (!decode_frame_fast(product, routed.record, fast)) {
      EXPECT_TRUE(fast.items.empty() && fast.quotes.empty() && fast.not_a_trade == 0) << frame;
      continue;
    }
    ++taken;
    decode_frame_strict(product, routed.record, strict);
    expect_same(fast, strict, frame);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(taken, 10'000);
}

// The top-level members of a flat object, as they stand.
std::vector<std::string> members(std::string_view object) {
  std::vector<std::string> out;
  int depth = 0;
  bool quoted = false;
  std::string member;
  for (const char c : object.substr(1, object.size() - 2)) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '[' || c == '{')) ++depth;
    if (!quoted && (c == ']' || c == '}')) --depth;
    if (c == ',' && !quoted && depth == 0) {
      out.push_back(member);
      member.clear();
    } else {
      member += c;
    }
  }
  out.push_back(member);
  return out;
}

std::string scrambled(std::string_view object, std::mt19937_64& dice) {
  std::vector<std::string> parts = members(object);
  for (std::string& part : parts) {
    const std::size_t colon = part.find(':');
    if (part.substr(0, colon) == "\"data\"")
      part = "\"data\":" + scrambled(std::string_view{part}.substr(colon + 1), dice);
    if (dice() % 3 == 0) part.insert(part.find(':'), " ");
    if (dice() % 3 == 0) part.insert(part.find(':') + 1, "\n\t");
  }
  if (dice() % 2 == 0) parts.emplace_back(R"("new":{"p":"9","s":"X,\"Y","a":[1,-2.5e+3,null,{"t":1}]})");
  if (dice() % 2 == 0) parts.emplace_back(R"("Z":"\u20ac\"}{")");
  std::shuffle(parts.begin(), parts.end(), dice);
  std::string out = dice() % 2 == 0 ? "{ " : "{";
  for (std::size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? "" : ",") + parts[i];
  return out + (dice() % 2 == 0 ? " }\r\n" : "}");
}

TEST(BinanceFrame, OrderBlanksAndUnknownFieldsChangeNothing) {
  std::mt19937_64 dice{11};
  for (int round = 0; round < 200; ++round) {
    for (const auto& [product, frame] : all_payloads()) {
      const std::string other = scrambled(frame, dice);
      expect_same(decoded(venue_of(product), frame), decoded(venue_of(product), other), other);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(BinanceFrame, ReplayedFrameIsReadAsAFrame) {
  Routed routed{binance::kSpot, kSpotTrade};
  routed.record.kind = RawKind::replay;
  const Header original{header::original_kind, "frame"};
  routed.record.headers = {&original, 1};
  Events replayed;
  binance::kSpot.decode(routed.record, replayed);
  expect_same(decoded(binance::kSpot, kSpotTrade), replayed, "replay");
}

}  // namespace
}  // namespace truetape::binance
