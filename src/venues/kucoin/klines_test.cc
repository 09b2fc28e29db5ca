#include "venues/kucoin/testing.h"

namespace truetape::kucoin {
namespace {

using std::chrono::minutes;

const Klines& klines() { return *kucoin::kSpot.klines; }

TEST(KucoinKlines, AreReadOldestFirst) {
  const auto read = klines().read(
      R"({"code":"200000","data":[["1566789720","10411.5","10401.9","10411.5","10396.3","29.11357276","302889.301529914"],["1566789660","10416","10411.5","10422.3","10411.5","15.61781842","162703.708997029"]]})",
      minutes{1});
  ASSERT_TRUE(read) << read.error().detail;
  ASSERT_EQ(read->size(), 2U);
  OfficialCandle expected;
  expected.start = *parse_rfc3339("2019-08-26T03:22:00Z");
  expected.open = {104115, 1};
  expected.high = {104115, 1};
  expected.low = {103963, 1};
  expected.close = {104019, 1};
  expected.volume = *parse_amount("29.11357276");
  expected.quote_volume = *parse_amount("302889.301529914");
  EXPECT_EQ(read->at(1), expected);
  EXPECT_EQ(read->at(0).start, *parse_rfc3339("2019-08-26T03:21:00Z"));
  const auto none = klines().read(R"({"code":"200000","data":[]})", minutes{1});
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(KucoinKlines, AreAskedForInSecondsWithAnEndThatIsInEitherWay) {
  EXPECT_EQ(klines().target(*Instrument::parse("kucoin:BTC-USDT"), minutes{1}, *parse_rfc3339("2019-08-26T03:00:00Z"),
                            *parse_rfc3339("2019-08-26T04:00:00Z")),
            "/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt=1566788400&endAt=1566791999");
  EXPECT_EQ(klines().target(*Instrument::parse("kucoin:A&B-C"), std::chrono::hours{24},
                            *parse_rfc3339("2019-08-26T00:00:00Z"), *parse_rfc3339("2019-08-27T00:00:00Z")),
            "/api/v1/market/candles?symbol=A%26B-C&type=1day&startAt=1566777600&endAt=1566863999");
  EXPECT_TRUE(klines().has(std::chrono::hours{1}));
  EXPECT_FALSE(klines().has(std::chrono::seconds{1}));
}

TEST(KucoinKlines, WhatIsNoAnswerIsNamed) {
  const std::string row = R"(["1566789720","1","1","1","1","2","3"])";
  const auto answer = [](const std::string& rows) { return R"({"code":"200000","data":[)" + rows + "]}"; };
  for (const auto& [text, detail] : std::vector<std::pair<std::string, std::string>>{
           {"", "it is empty"},
           {"<html>no</html>", "it is a page in HTML (<html>no</html>), no answer"},
           {R"({"code":"400100","msg":"Incorrect candlestick type."})",
            "the venue refuses it: Incorrect candlestick type. (code 400100)"},
           {R"({"data":[]})", R"(it has no code: {"data":[]})"},
           {R"({"code":"200000","data":null})", "$.data is no array"},
           {answer(row).substr(0, 40), "at byte 40 the JSON ends inside a text"},
           {answer("7"), "$.data[0] is an integer, no array"},
           {answer(R"(["1566789720","1"])"), "$.data[0] has 2 elements, 7 are needed"},
           {answer(with(row, R"("1566789720")", "1566789720")), "$.data[0]: time is 1566789720, which is no text"},
           {answer(with(row, "1566789720", "1566789720000")),
            "$.data[0]: time is 1566789720000, which is no time in s since 1970"},
           {answer(with(row, "1566789720", "1566789721")),
            "$.data[0]: 2019-08-26T03:22:01Z begins no window of 1m; are these candles of another interval?"},
           {answer(with(row, R"("1","1","1","1")", R"("1","x","1","1")")), "$.data[0]: close is x, which is no price"},
           {answer(with(row, R"("2")", R"("-2")")), "$.data[0]: volume is -2, which is no amount"},
           {answer(row + ',' + row),
            "$.data[1]: 2019-08-26T03:22:00Z comes after 2019-08-26T03:22:00Z; the newest must come first, each once"},
       }) {
    const auto read = klines().read(text, minutes{1});
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().detail, detail);
  }
}

TEST(KucoinKlines, TheVenuesTime) {
  EXPECT_EQ(klines().time(R"({"code":"200000","data":1729100692873})"), timestamp_ns(1'729'100'692'873'000'000));
  EXPECT_EQ(klines().time(R"({"code":"200000","msg":"success","data":1546837113087})"),
            timestamp_ns(1'546'837'113'087'000'000));
  for (const std::string_view answer :
       {R"({"code":"200000","data":"1729100692873"})", R"({"code":"200000","data":1729100692})",
        R"({"code":"429000","msg":"Too many requests"})", "<html>", ""})
    EXPECT_FALSE(klines().time(answer)) << answer;
}

}  // namespace
}  // namespace truetape::kucoin
