#include "venues/finnhub/testing.h"

namespace truetape::finnhub {
namespace {

struct Case {
  std::string_view what, frame;
  Lines lines;
  std::optional<std::string_view> instruments = std::nullopt;  // of the record
};

void expect(const Case& c) {
  const Routed routed{c.frame, RawKind::frame, c.instruments};
  EXPECT_EQ(lines(routed.decoded()), c.lines) << c.what;
  Events strict;
  decode_frame_strict(routed.record, strict);
  EXPECT_EQ(lines(strict), c.lines) << c.what << ", read strictly";
}

TEST(FinnhubFrame, TradesComeInTheFramesOrderAndEqualOnesBoth) {
  const Case cases[] = {
      {"shares, with conditions",
       R"({"data":[{"c":["1","12"],"p":164.0601,"s":"AAPL","t":1680286537580,"v":5},{"c":["1","8"],"p":164.06,"s":"AAPL","t":1680286538064,"v":142}],"type":"trade"})",
       {"AAPL 164.0601 x 5 @1680286537580 #0", "AAPL 164.06 x 142 @1680286538064 #1"}},
      {"equal trades, and one that is older than the one before it",
       R"({"data":[{"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100},{"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100},{"c":[],"p":9.355,"s":"AAPL","t":1680286539812,"v":1}],"type":"trade"})",
       {"AAPL 164.06 x 100 @1680286539953 #0", "AAPL 164.06 x 100 @1680286539953 #1",
        "AAPL 9.355 x 1 @1680286539812 #2"}},
      {"several symbols",
       R"({"data":[{"c":null,"p":123.18,"s":"TSLA","t":1672349403000,"v":7},{"c":null,"p":129.6,"s":"AAPL","t":1672349403001,"v":2},{"c":null,"p":123.2,"s":"TSLA","t":1672349403002,"v":1}],"type":"trade"})",
       {"TSLA 123.18 x 7 @1672349403000 #0", "AAPL 129.6 x 2 @1672349403001 #1", "TSLA 123.2 x 1 @1672349403002 #2"}},
      {"crypto: c is null, the symbol has a colon",
       R"({"data":[{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1721555886208,"v":0.0001}],"type":"trade"})",
       {"BINANCE:BTCUSDT 66972.77 x 0.0001 @1721555886208 #0"}},
      {"2020: c is absent",
       R"({"data":[{"p":7296.89,"s":"BRK.B","t":1575526691134,"v":0.011467}],"type":"trade"})",
       {"BRK.B 7296.89 x 0.011467 @1575526691134 #0"}},
      {"a symbol with a blank, which an instrument cannot have",
       R"({"data":[{"c":null,"p":1.0841,"s":"IC MARKETS:1","t":1721555886208,"v":1}],"type":"trade"})",
       {"IC%20MARKETS:1 1.0841 x 1 @1721555886208 #0"}},
      {"exponents, exactly",
       R"({"data":[{"c":null,"p":1.25e-07,"s":"X:SHIB","t":1721555886208,"v":1E+3},{"c":null,"p":12e2,"s":"X:SHIB","t":1721555886208,"v":1e-18}],"type":"trade"})",
       {"X:SHIB 0.000000125 x 1000 @1721555886208 #0", "X:SHIB 1200 x 0.000000000000000001 @1721555886208 #1"}},
      {"more digits than a double has",
       R"({"data":[{"c":null,"p":9007199254740993,"s":"X:Y","t":1721555886208,"v":0.123456789012345678}],"type":"trade"})",
       {"X:Y 9007199254740993 x 0.123456789012345678 @1721555886208 #0"}},
      {"another order of keys, blanks, unknown keys, an escaped symbol",
       R"( { "type" : "trade" , "seq" : {} , "data" : [ {"v":5,"t":1680286537580,"x":"P","s":"A\u0041PL","p":1.5,"c":["1"]} ] } )",
       {"AAPL 1.5 x 5 @1680286537580 #0"}},
      {"volume 0 is a price without a trade",
       R"({"data":[{"c":null,"p":1.0841,"s":"OANDA:EUR_USD","t":1721555886208,"v":0},{"c":null,"p":1.0842,"s":"OANDA:EUR_USD","t":1721555886300,"v":0.0},{"c":null,"p":2,"s":"OANDA:EUR_USD","t":1721555886301,"v":3}],"type":"trade"})",
       {"OANDA:EUR_USD 2 x 3 @1721555886301 #2", "= OANDA:EUR_USD 1.0841 @1721555886208",
        "= OANDA:EUR_USD 1.0842 @1721555886300"}},
      {"an entry alone, as quarantine keeps it",
       R"({"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100})",
       {"AAPL 164.06 x 100 @1680286539953 #0"}},
  };
  for (const Case& c : cases) expect(c);
}

TEST(FinnhubFrame, ARecordYieldsItsOwnInstrumentsAlone) {
  constexpr std::string_view kFrame =
      R"({"data":[{"c":null,"p":1,"s":"TSLA","t":1672349403000,"v":7},{"c":null,"p":2,"s":"AAPL","t":1672349403001,"v":0},{"c":null,"p":3,"s":"MSFT","t":1672349403002,"v":1},{"c":null,"p":-1,"s":"AAPL","t":1672349403003,"v":1},{"c":null,"p":4,"s":5,"t":1672349403004,"v":1}],"type":"trade"})";
  const std::string nameless = "! wrong_type #4 $.data[4].s is an integer, a text is needed";
  const Case cases[] = {
      {"the first one's record has what names nobody",
       kFrame,
       {"TSLA 1 x 7 @1672349403000 #0", nameless},
       "finnhub:TSLA"},
      {"two of them",
       kFrame,
       {"MSFT 3 x 1 @1672349403002 #2", "! AAPL price #3 $.data[3].p is -1, a price above 0 is needed",
        "= AAPL 2 @1672349403001"},
       "finnhub:AAPL,finnhub:MSFT"},
      {"one whose name is the beginning of another's", kFrame, {}, "finnhub:MSF"},
      {"a record that names none has all",
       kFrame,
       {"TSLA 1 x 7 @1672349403000 #0", "MSFT 3 x 1 @1672349403002 #2",
        "! AAPL price #3 $.data[3].p is -1, a price above 0 is needed", nameless, "= AAPL 2 @1672349403001"},
       ""},
      {"symbols that differ in what an instrument cannot have",
       R"({"data":[{"c":null,"p":1,"s":"A B","t":1672349403000,"v":1},{"c":null,"p":2,"s":"A%20B","t":1672349403000,"v":1}],"type":"trade"})",
       {"A%20B 1 x 1 @1672349403000 #0"},
       "finnhub:A%20B"},
  };
  for (const Case& c : cases) expect(c);
}

TEST(FinnhubFrame, WhatIsNoTradeIsCountedAndNoMore) {
  for (
      const std::string_view frame : {
          R"({"type":"ping"})",
          R"({"msg":"Subscribing to too many symbols","type":"error"})",
          R"({"data":null,"type":"trade"})",
          R"({"data":[],"type":"trade"})",
          R"({"data":[{"datetime":1637696940,"fullText":"","headline":"a &amp; b","symbol":"PAE,KRA","url":""}],"type":"pr"})",
          R"({"type":"welcome","data":{"s":"AAPL"}})",
          R"({"error":"Invalid API key."})",
          R"({})",
      })
    expect({frame, frame, {"other 1"}});
}

TEST(FinnhubFrame, HeadlinesComeFromNewsFrames) {
  expect(
      {"the documentation's sample and one under the other name of its id",
       R"({"data":[{"category":"company","datetime":1679920200,"headline":"Covalon \u0026 more","id":119440189,"image":"https://i","related":"CVVUF","source":"Yahoo","summary":"","url":"https://u"},{"datetime":1679920201,"headline":"h","urlId":7,"related":"AAPL, BRK.B,,AAPL","source":null}],"type":"news"})",
       {"news 119440189 @1679920200000 [Yahoo] Covalon & more CVVUF", "news 7 @1679920201000 [] h AAPL BRK.B"}});
}

TEST(FinnhubFrame, WhatIsWrongIsNamedWithItsPath) {
  struct Bad {
    std::string_view from, to, line;
  };
  constexpr std::string_view kGood =
      R"({"data":[{"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100}],"type":"trade"})";
  const Bad cases[] = {
      {R"("p":164.06,)", "", "! AAPL missing_field #0 $.data[0].p is missing"},
      {"164.06", R"("164.06")", "! AAPL wrong_type #0 $.data[0].p is a text, a number is needed"},
      {"164.06", "null", "! AAPL wrong_type #0 $.data[0].p is null, a number is needed"},
      {"164.06", "0", "! AAPL price #0 $.data[0].p is 0, a price above 0 is needed"},
      {"164.06", "-0.5", "! AAPL price #0 $.data[0].p is -0.5, a price above 0 is needed"},
      {"164.06", "1e-19",
       "! AAPL decimal_range #0 $.data[0].p is 1e-19, which has more than 18 decimals or does not fit 63 bits"},
      {"164.06", "1e30",
       "! AAPL decimal_range #0 $.data[0].p is 1e30, which has more than 18 decimals or does not fit 63 bits"},
      {R"("v":100)", R"("v":-1)", "! AAPL quantity #0 $.data[0].v is -1, which is below 0"},
      {R"("v":100)", R"("v":true)", "! AAPL wrong_type #0 $.data[0].v is a boolean, a number is needed"},
      {R"(,"v":100)", "", "! AAPL missing_field #0 $.data[0].v is missing"},
      {"1680286539953", "1680286539",
       "! AAPL time_unit #0 $.data[0].t is 1680286539, which has the digits of s; ms are needed"},
      {"1680286539953", "1680286539953000",
       "! AAPL time_unit #0 $.data[0].t is 1680286539953000, which has the digits of us; ms are needed"},
      {"1680286539953", "0", "! AAPL time_range #0 $.data[0].t is 0, which is no time in ms since 1970"},
      {"1680286539953", "1680286539953.5",
       "! AAPL wrong_type #0 $.data[0].t is a number with a point or exponent, an integer is needed"},
      {R"("s":"AAPL",)", "", "! missing_field #0 $.data[0].s is missing"},
      {R"("s":"AAPL")", R"("s":"")", "! unroutable #0 $.data[0].s is \"\", which is no symbol"},
      {R"("s":"AAPL")", R"("s":"AAPL","s":"B")", "! duplicate_key #0 $.data[0] has the key \"s\" twice"},
      {R"({"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100})", "7",
       "! wrong_type #0 $.data[0] is an integer, an object is needed"},
      {R"([{"c":["1"],"p":164.06,"s":"AAPL","t":1680286539953,"v":100}])", "7",
       "! wrong_type #0 $.data is an integer, an array is needed"},
      {R"("type":"trade")", R"("type":7)", "! wrong_type #0 $.type is an integer, a text is needed"},
      {R"(,"type":"trade")", "", "! missing_field #0 $.type is missing"},
      {"164.06", "0164", "! AAPL syntax #0 $: at byte 25 the JSON has no comma where one is needed"},
      {R"("trade"})", R"("trade"}x)", "! AAPL syntax #0 $: at byte 85 the JSON goes on behind its end"},
      {R"(}],"type":"trade"})", "", "! AAPL syntax #0 $: at byte 67 the JSON ends inside an object or array"},
  };
  for (const Bad& bad : cases) {
    std::string frame{kGood};
    const std::size_t at = frame.find(bad.from);
    ASSERT_NE(at, std::string::npos) << bad.from;
    frame.replace(at, bad.from.size(), bad.to);
    expect({frame, frame, {std::string{bad.line}}});
  }
}

TEST(FinnhubFrame, ABadEntryKeepsItsOwnBytesAndTheOthersStand) {
  const Routed routed{
      R"({"data":[{"c":null,"p":1,"s":"A","t":1672349403000,"v":7},{"c":null,"p":0,"s":"A","t":1672349403001,"v":2},{"c":null,"p":3,"s":"A","t":1672349403002,"v":1}],"type":"trade"})"};
  const Events events = routed.decoded();
  ASSERT_EQ(events.items.size(), 3U);
  EXPECT_EQ(events.items[1].raw, R"({"c":null,"p":0,"s":"A","t":1672349403001,"v":2})");
  EXPECT_TRUE(events.items[1].has_time);
  EXPECT_EQ(events.items[2].trade.receive_time, timestamp_ns(kReceivedNs));
  // Judged again it is the entry that it was; the heart gives it the number that it had.
  Routed again{events.items[1].raw, RawKind::replay, "finnhub:A"};
  again.headers = {{header::original_kind, "frame"}, {header::original_ordinal, "1"}};
  again.record.headers = again.headers;
  EXPECT_EQ(lines(again.decoded()), Lines{"! A price #0 $.p is 0, a price above 0 is needed"});
}

TEST(FinnhubFrame, AFrameThatWasCutOffIsWholeInQuarantine) {
  Routed routed{R"({"data":[{"c":null,"p":1,"s":"A","t":1672349403000,"v":7},{"c":nu)"};
  routed.headers = {{header::cut, "70000"}};
  routed.record.headers = routed.headers;
  EXPECT_EQ(lines(routed.decoded()), Lines{"! A too_large #0 $: at byte 65 the JSON was cut off: it had 70000 bytes"});
  EXPECT_EQ(routed.decoded().items[0].raw, routed.record.bytes);
}

TEST(FinnhubFrame, SidesKindsAndIdsAreNotTold) {
  const Events events = decoded(R"({"data":[{"c":["1"],"p":1,"s":"A","t":1672349403000,"v":7}],"type":"trade"})");
  ASSERT_EQ(events.items.size(), 1U);
  const Trade& t = events.items[0].trade;
  EXPECT_EQ(t.taker_side, Side::unknown);
  EXPECT_TRUE(t.id.empty());
  EXPECT_TRUE(t.kind.empty());
  EXPECT_EQ(t.order, 0U);
  EXPECT_EQ(t.count(), 1U);
  EXPECT_EQ(kVenue.trade_ids, TradeIds::none);
}

}  // namespace
}  // namespace truetape::finnhub
