#include "venues/binance/klines.h"

#include <gmock/gmock.h>

#include "venues/binance/testing.h"

namespace truetape::binance {
namespace {

using testing::HasSubstr;
constexpr Interval kMinute = std::chrono::minutes{1};

Decimal decimal(std::string_view text) { return parse_decimal(text).value; }
Timestamp at(std::string_view text) { return *parse_rfc3339(text); }

// The first is as the venue's documents show it.
constexpr std::string_view kAnswer =
    R"([[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499040059999,)"
    R"("2434.19055334",308,"1756.87402397","28.46694368","0"],)"
    R"( [1499040060000,"0.01577100","0.01577100","0.01577100","0.01577100","0.00000000",1499040119999,)"
    R"("0.00000000",0,"0.00000000","0.00000000","0"]])";

OfficialCandle first() {
  OfficialCandle c;
  c.start = at("2017-07-03T00:00:00Z");
  c.open = decimal("0.0163479");
  c.high = decimal("0.8");
  c.low = decimal("0.015758");
  c.close = decimal("0.015771");
  c.volume = *parse_amount("148976.11427815");
  c.quote_volume = parse_amount("2434.19055334");
  c.trades = 308;
  c.taker_buy_volume = parse_amount("1756.87402397");
  c.taker_buy_quote_volume = parse_amount("28.46694368");
  return c;
}

TEST(BinanceKlines, AnAnswerOfTheRestInterface) {
  const auto read = read_klines(kAnswer, kMinute);
  ASSERT_TRUE(read) << read.error().detail;
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ(read->at(0), first());
  EXPECT_EQ(read->at(1).start, at("2017-07-03T00:01:00Z"));
  EXPECT_EQ(read->at(1).volume, Amount{});
  EXPECT_EQ(read->at(1).trades, 0U);
  const auto none = read_klines(" [ ] ", kMinute);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(BinanceKlines, FilesWithAndWithoutHeaderInMillisecondsAndMicroseconds) {
  constexpr std::string_view kRow =
      "0.01634790,0.80000000,0.01575800,0.01577100,148976.11427815,1499040059999,2434.19055334,308,1756.87402397,"
      "28.46694368,0\n";
  std::string micro = "1499040000000000," + std::string{kRow};
  micro.replace(micro.find("1499040059999"), 13, "1499040059999999");
  for (const std::string& text :
       {"1499040000000," + std::string{kRow}, micro,
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
        "ignore\r\n1499040000000," +
            std::string{kRow},
        std::string{"\xef\xbb\xbf\"Number of trades\",\"Open time\",Open,High,Low,Close,Volume,Quote asset volume,"
                    "Taker buy base asset volume,Taker buy quote asset volume\n\n308,1499040000000,\"0.0163479\", 0.8 ,"
                    "0.015758,0.015771,148976.11427815,2434.19055334,1756.87402397,28.46694368"}}) {
    const auto read = read_klines(text, kMinute);
    ASSERT_TRUE(read) << text << read.error().detail;
    ASSERT_EQ(read->size(), 1U) << text;
    EXPECT_EQ(read->front(), first()) << text;
  }
}

TEST(BinanceKlines, WhatASourceDoesNotSayIsEmpty) {
  for (const std::string_view text : {"open_time,open,high,low,close,volume\n1570752000000,1,3,1,2,1482.0\n",
                                      "1570752000000,1,3,1,2,1482.0\n", "[[1570752000000, 1, 3, 1, 2, 1482.0]]"}) {
    const auto read = read_klines(text, kMinute);
    ASSERT_TRUE(read) << text << read.error().detail;
    ASSERT_EQ(read->size(), 1U);
    EXPECT_EQ(read->front().volume, *parse_amount("1482"));
    EXPECT_EQ(read->front().high, decimal("3"));
    EXPECT_FALSE(read->front().quote_volume || read->front().trades || read->front().taker_buy_volume ||
                 read->front().taker_buy_quote_volume);
  }
}

TEST(BinanceKlines, WhatIsNoCandleIsNamedWithItsPlace) {
  struct Case {
    std::string_view text, says;
    Interval interval = kMinute;
  };
  const std::string cut{kAnswer.substr(0, kAnswer.size() - 40)};
  for (const Case& c : {
           Case{"", "it is empty"},
           Case{" \r\n", "it is empty"},
           Case{"\xff\xfe", "not UTF-8"},
           Case{"<!DOCTYPE html><html>Access denied", "HTML (<!DOCTYPE html><html>Access denied"},
           Case{R"({"code":-1121,"msg":"Invalid symbol."})", "the venue refuses it: Invalid symbol. (-1121)"},
           Case{R"({"x":1})", "a JSON object"},
           Case{"{", "a JSON object"},
           Case{cut, "byte"},
           Case{"[[1499040000000,1,1,1,1,1]", "byte"},
           Case{"[[1499040000000,1,1,1,1,1]] x", "goes on behind its end"},
           Case{"[[1499040000000,1,1,1,1,1] [1]]", "no comma"},
           Case{"[[1499040000000,1,1,1,1]]", "$[0] has 5 members, at least 6"},
           Case{"[7]", "$[0] is an integer, an array is needed"},
           Case{R"([["1499040000000",1,1,1,1,1]])", "$[0][0], open_time: is a text, an integer is needed"},
           Case{"[[1499040000000,1,1,1,1,null]]", "$[0][5], volume: is null, a decimal is needed"},
           Case{"[[1499040000000,1,[1],1,1,1]]", "$[0][2], high: is an array"},
           Case{"[[1499040000000,1,1,1,1,1,1499040059999,1,1.5]]", "$[0][8], count"},
           Case{"[[1499040000000,1,1,1,1,1,1499040059999,1,-1]]", "\"-1\" is no whole number"},
           Case{R"([[1499040000000,"1","1","abc","1","1"]])", "$[0], low: \"abc\" is no price"},
           Case{R"([[1499040000000,"1","1","-1","1","1"]])", "low: \"-1\" is no price"},
           Case{R"([[1499040000000,"1","1","1","1","1e99"]])", "volume: \"1e99\" is no amount"},
           Case{"[[12,1,1,1,1,1]]", "open_time: \"12\" is no time"},
           Case{"[[1499040000,1,1,1,1,1]]", "open_time: \"1499040000\" is no time in milliseconds"},
           Case{"1499040000000,1,1,1,1\n", "row 1 has 5 columns, 6 are needed"},
           Case{"1499040000000,1,1,1,1,x\n", "row 1, volume: \"x\" is no amount"},
           Case{"time,open,high,low,close\n1,1,1,1,1\n", "row 1: no column is named volume"},
           Case{"open_time,time,open,high,low,close,volume\n", "two columns are named open_time"},
           // Another interval: by the start, by the end that is told, by the distance of the rows.
           Case{"1499040060000,1,1,1,1,1\n", "row 1: 2017-07-03T00:01:00Z begins no window of 5m",
                std::chrono::minutes{5}},
           Case{kAnswer, "$[0]: the window from 2017-07-03T00:00:00Z ends at 2017-07-03T00:00:59.999Z, so it is not of",
                std::chrono::minutes{5}},
           Case{"1499040000000,1,1,1,1,1\n1499040300000,1,1,1,1,1\n1499040600000,1,1,1,1,1\n",
                "no two rows are 1m apart, the nearest are 5m"},
           // In order, each once.
           Case{"1499040060000,1,1,1,1,1\n1499040000000,1,1,1,1,1\n",
                "row 2: 2017-07-03T00:00:00Z comes after 2017-07-03T00:01:00Z"},
           Case{"1499040000000,1,1,1,1,1\n\n1499040000000,1,1,1,1,1\n",
                "row 3: the window of 2017-07-03T00:00:00Z comes twice"},
       }) {
    const auto read = read_klines(c.text, c.interval);
    ASSERT_FALSE(read) << c.text;
    EXPECT_THAT(read.error().detail, HasSubstr(c.says)) << c.text;
  }
}

TEST(BinanceKlines, WhatIsAskedOfTheVenue) {
  const auto instrument = *Instrument::parse("binance:BTCUSDT");
  const Timestamp from = at("2024-08-08T23:54:00Z"), to = at("2024-08-09T00:04:00Z");
  EXPECT_EQ(kSpotKlines.target(instrument, kMinute, from, to),
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1723161240000&endTime=1723161839999&limit=1000");
  EXPECT_EQ(kUsdmKlines.target(*Instrument::parse("binance-usdm:A&B"), std::chrono::hours{4}, from, to),
            "/fapi/v1/klines?symbol=A%26B&interval=4h&startTime=1723161240000&endTime=1723161839999&limit=1000");
  EXPECT_TRUE(kSpotKlines.has(std::chrono::seconds{1}));
  EXPECT_FALSE(kUsdmKlines.has(std::chrono::seconds{1}));
  EXPECT_FALSE(kSpotKlines.has(std::chrono::minutes{2}));
  EXPECT_EQ(binance::kSpot.klines, &kSpotKlines);
  EXPECT_EQ(binance::kUsdm.klines, &kUsdmKlines);
  EXPECT_EQ(*kSpotKlines.time(R"({"serverTime":1723161240123})"), from + std::chrono::milliseconds{123});
  for (const std::string_view text : {"", "<html>", "{}", R"({"serverTime":"1"})", R"({"serverTime":1.5})"})
    EXPECT_FALSE(kSpotKlines.time(text)) << text;
}

}  // namespace
}  // namespace truetape::binance
