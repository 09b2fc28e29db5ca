// What clients of Binance see.
#include "serve/testing.h"

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");  // 1723118400000 ms

class ServeKlines : public ServeTest {
 protected:
  static std::string kline(std::uint64_t minute, std::uint64_t first, std::uint64_t trades) {
    const std::int64_t start = 1723118400000 + static_cast<std::int64_t>(minute) * 60'000;
    const auto padded = [](std::uint64_t n) { return "\"" + std::to_string(n) + ".00000000\""; };
    return "[" + std::to_string(start) + "," + padded(first) + "," + padded(first + trades - 1) + "," + padded(first) +
           "," + padded(first + trades - 1) + "," + padded(trades) + "," + std::to_string(start + 59'999) + "," +
           padded(trades) + "," + std::to_string(trades) + ",\"0.00000000\",\"0.00000000\",\"0\"]";
  }
};

TEST_F(ServeKlines, OnlyThoseThatCanBeTrusted) {
  Results results;
  for (std::uint64_t i = 0; i < 4; ++i) results.candles.push_back(candle(60s, kNoon + i * 60s, 1 + 10 * i, 10));
  results.candles[0].completeness = Completeness::partial;
  results.candles[2].completeness = Completeness::gap;
  results.candles.push_back(candle(1s, kNoon + 240s, 41, 5, CandleStatus::open));
  commit(results);
  load();
  start();
  const std::string base = "/api/v3/klines?symbol=BTCUSDT&interval=1m";
  EXPECT_EQ(get(base).body, "[" + kline(1, 11, 10) + "," + kline(3, 31, 10) + "," + kline(4, 41, 5) + "]");
  EXPECT_EQ(get(base).headers.content_type(), "application/json");
  EXPECT_EQ(get(base + "&limit=2").body, "[" + kline(3, 31, 10) + "," + kline(4, 41, 5) + "]");
  EXPECT_EQ(get("/api/v3/klines?symbol=binance:BTCUSDT&interval=1m&limit=1").body, "[" + kline(4, 41, 5) + "]");
  // endTime is inclusive.
  EXPECT_EQ(get(base + "&startTime=1723118460000&endTime=1723118580000").body,
            "[" + kline(1, 11, 10) + "," + kline(3, 31, 10) + "]");
  EXPECT_EQ(get(base + "&startTime=1723118460000&endTime=1723118579999").body, "[" + kline(1, 11, 10) + "]");
  EXPECT_EQ(get(base + "&startTime=1723118460000&limit=1").body, "[" + kline(1, 11, 10) + "]");
  EXPECT_EQ(get(base + "&endTime=1723118579999&limit=1").body, "[" + kline(1, 11, 10) + "]");
  EXPECT_EQ(get(base + "&startTime=2&endTime=1").body, "[]");
  EXPECT_EQ(get(base + "&timeZone=0").status, 200);
}

TEST_F(ServeKlines, TheOlderPastComesFromTheStore) {
  Results results;
  for (std::uint64_t i = 0; i < 1100; ++i) results.candles.push_back(candle(60s, kNoon + i * 60s, 1 + 10 * i, 10));
  commit(results);
  load();
  start();
  const std::string base = "/api/v3/klines?symbol=BTCUSDT&interval=1m";
  const auto expected = [&](std::uint64_t from, std::uint64_t to) {
    std::string out = "[";
    for (std::uint64_t i = from; i < to; ++i) out += (i == from ? "" : ",") + kline(i, 1 + 10 * i, 10);
    return out + "]";
  };
  EXPECT_EQ(get(base).body, expected(600, 1100));
  EXPECT_EQ(get(base + "&limit=5000").body, expected(100, 1100));  // at most 1000, as there
  EXPECT_EQ(get(base + "&startTime=0&limit=3").body, expected(0, 3));
  EXPECT_EQ(get(base + "&endTime=1723118460000&limit=1").body, expected(1, 2));
}

TEST_F(ServeKlines, AsManyAsAreAskedForWhereverTheyStand) {
  Results results;
  for (std::uint64_t i = 0; i < 900; ++i) {
    results.candles.push_back(candle(60s, kNoon + i * 60s, 1 + 10 * i, 10));
    if (i >= 500 && i % 2 == 0) results.candles.back().completeness = Completeness::gap;
  }
  commit(results);
  load();
  start();
  const std::string body = get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=300").body;
  // 200 of the last 400, and the last 100 before.
  EXPECT_EQ(std::ranges::count(body, '['), 301);
  EXPECT_THAT(body, testing::StartsWith("[" + kline(400, 4001, 10) + "," + kline(401, 4011, 10)));
  EXPECT_THAT(body, testing::EndsWith(kline(899, 8991, 10) + "]"));
  EXPECT_EQ(std::ranges::count(get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000").body, '['), 701);
}

TEST_F(ServeKlines, TheyWaitForTheStoreToHaveWhatMemoryHasLetGo) {
  Results stored, fresh;
  for (std::uint64_t i = 0; i < 10; ++i) stored.candles.push_back(candle(60s, kNoon + i * 60s, 1 + 10 * i, 10));
  commit(stored);
  load();
  start();
  const std::string base = "/api/v3/klines?symbol=BTCUSDT&interval=1m";
  EXPECT_EQ(std::ranges::count(get(base).body, '['), 11);
  for (std::uint64_t i = 10; i < 400; ++i) fresh.candles.push_back(candle(60s, kNoon + i * 60s, 1 + 10 * i, 10));
  commit(fresh);
  until([&] { return get(base + "&limit=1").body == "[" + kline(399, 3991, 10) + "]"; });
  const net::HttpAnswer answer = get_in_time(base);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.get("Retry-After"), "1");
  load();
  EXPECT_EQ(std::ranges::count(get(base).body, '['), 401);
}

TEST_F(ServeKlines, ErrorsAreThoseOfBinance) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  start();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"klines?interval=1m",
       R"({"code":-1102,"msg":"Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."})"},
      {"klines?symbol=BTCUSDT",
       R"({"code":-1102,"msg":"Mandatory parameter 'interval' was not sent, was empty/null, or malformed."})"},
      {"klines?symbol=NOSUCH&interval=1m", R"({"code":-1121,"msg":"Invalid symbol."})"},
      {"klines?symbol=BTCUSDT&interval=3m", R"({"code":-1120,"msg":"Invalid interval."})"},
      {"klines?symbol=BTCUSDT&interval=1M", R"({"code":-1120,"msg":"Invalid interval."})"},
      {"klines?symbol=BTCUSDT&interval=1m&limit=0",
       R"({"code":-1130,"msg":"Data sent for parameter 'limit' is not valid."})"},
      {"klines?symbol=BTCUSDT&interval=1m&limit=x",
       R"({"code":-1100,"msg":"Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."})"},
      {"klines?symbol=BTCUSDT&interval=1m&startTime=now",
       R"({"code":-1100,"msg":"Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'."})"},
      {"klines?symbol=BTCUSDT&symbol=ETHUSDT&interval=1m",
       R"({"code":-1101,"msg":"Duplicate values for a parameter detected."})"},
      {"exchangeInfo?symbol=NOSUCH", R"({"code":-1121,"msg":"Invalid symbol."})"},
      {"exchangeInfo?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D",
       R"({"code":-1128,"msg":"Combination of optional parameters invalid."})"}};
  for (const auto& [target, body] : cases) {
    const auto answer = get("/api/v3/" + target);
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_EQ(answer.body, body) << target;
  }
  EXPECT_THAT(get("/api/v3/klines?symbol=BTCUSDT&interval=1m&timeZone=8").body, HasSubstr("\"code\":-1130"));
}

TEST_F(ServeKlines, ExchangeInfoSaysWhatIsKnown) {
  Results results{.candles = {candle(60s, kNoon, 1, 10)}};
  results.references = {{btc(), "BTC", "USDT", "BTC-USDT", decimal("0.01"), decimal("0.00001"), "TRADING"},
                        {*Instrument::parse("binance:ETHUSDT"), "ETH", "USDT", "ETH-USDT", {}, {}, "BREAK"},
                        {*Instrument::parse("binance-usdm:BTCUSDT"), "BTC", "USDT", "BTC-USDT", {}, {}, "TRADING"}};
  results.candles.push_back(candle(60s, kNoon, 1, 1, CandleStatus::closed, 1, *Instrument::parse("binance:XRPUSDT")));
  commit(results);
  start();
  // No symbol list has named it.
  EXPECT_THAT(get("/api/v3/exchangeInfo?symbol=XRPUSDT").body, HasSubstr(R"("symbol":"XRPUSDT","status":"BREAK",)"));
  const std::string symbol_btc =
      R"({"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","baseAssetPrecision":8,"quotePrecision":8,"quoteAssetPrecision":8,)"
      R"("orderTypes":[],"icebergAllowed":false,"ocoAllowed":false,"isSpotTradingAllowed":false,"isMarginTradingAllowed":false,"filters":[)"
      R"({"filterType":"PRICE_FILTER","minPrice":"0.00000000","maxPrice":"0.00000000","tickSize":"0.01000000"},)"
      R"({"filterType":"LOT_SIZE","minQty":"0.00001000","maxQty":"0.00000000","stepSize":"0.00001000"}],"permissions":["SPOT"],"permissionSets":[["SPOT"]]})";
  const std::string head =
      R"({"timezone":"UTC","serverTime":1723118400000,"rateLimits":[],"exchangeFilters":[],"symbols":[)";
  EXPECT_EQ(get("/api/v3/exchangeInfo?symbol=BTCUSDT").body, head + symbol_btc + "]}");
  const std::string all = get("/api/v3/exchangeInfo").body;
  EXPECT_THAT(all,
              testing::StartsWith(head + symbol_btc + R"(,{"symbol":"ETHUSDT","status":"BREAK","baseAsset":"ETH")"));
  EXPECT_THAT(all, testing::Not(HasSubstr("binance-usdm")));
  EXPECT_THAT(get("/api/v3/exchangeInfo?symbols=%5B%22ETHUSDT%22,%22binance-usdm:BTCUSDT%22%5D").body,
              HasSubstr(R"("symbol":"binance-usdm:BTCUSDT")"));
  // Named twice, it stands there once, and it is JSON.
  EXPECT_EQ(get("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D").body, head + symbol_btc + "]}");
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1723118400000})");
  EXPECT_EQ(get("/api/v3/ping").body, "{}");
}

}  // namespace
}  // namespace truetape
