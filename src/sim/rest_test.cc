#include "sim/rest.h"

#include <gtest/gtest.h>

#include "net/url.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;

const Time kBegin = from_ms(1700000040000);  // a whole minute

class RestTest : public testing::Test {
 protected:
  // Five trades of BTCUSDT, 20 s apart; the second of kind NA on USD-M.
  void make(Product product) {
    Listing btc, eth;
    btc.symbol = "BTCUSDT";
    eth.symbol = "ETHUSDT";
    for (Listing* listing : {&btc, &eth}) {
      split_symbol(*listing);
      listing->tick = 1'000'000;
      listing->step = 100'000;
      if (product == Product::usdm) {
        listing->price_decimals = 2;
        listing->quantity_decimals = 3;
      }
    }
    btc.first_aggregate = 50;
    limits_ = Limits::of(product);
    market_ = std::make_unique<Market>(product, std::vector{btc, eth});
    for (std::uint64_t i = 0; i < 5; ++i) {
      Print print{.id = 100 + i,
                  .traded = kBegin + static_cast<std::int64_t>(i) * 20s + 5us,
                  .told = kBegin + static_cast<std::int64_t>(i) * 20s + 1ms,
                  .price = static_cast<Units>(200 + i) * kOne,
                  .quantity = kOne / 4,
                  .buyer_is_maker = i % 2 == 1};
      if (product == Product::usdm && i == 1) {
        print.kind = Kind::na;
        print.price = print.quantity = 0;
      }
      market_->publish(0, print);
    }
    rest_ = std::make_unique<Rest>(*market_, limits_);
  }
  RestAnswer ask(const std::string& target) {
    const auto where = net::parse_target(target);
    RestRequest request = base_;
    request.path = where->path;
    request.query = where->query;
    return rest_->answer(request);
  }
  std::string body(const std::string& target) { return ask(target).body; }
  std::string header(const RestAnswer& answer, std::string_view name) {
    for (const auto& [key, value] : answer.headers)
      if (key == name) return value;
    return "";
  }

  RestTest() {
    base_.now = kBegin + 100s;
    base_.real = *parse_rfc3339("2026-01-01T00:00:30Z");
  }

  RestRequest base_;
  Limits limits_;
  std::unique_ptr<Market> market_;
  std::unique_ptr<Rest> rest_;
};

TEST_F(RestTest, SpotGivesItsTrades) {
  make(Product::spot);
  const std::string first =
      R"({"id":100,"price":"200.00000000","qty":"0.25000000","quoteQty":"50.00000000","time":1700000040000,"isBuyerMaker":false,"isBestMatch":true})";
  const std::string last =
      R"({"id":104,"price":"204.00000000","qty":"0.25000000","quoteQty":"51.00000000","time":1700000120000,"isBuyerMaker":false,"isBestMatch":true})";
  const std::string aggregate =
      R"({"a":50,"p":"200.00000000","q":"0.25000000","f":100,"l":100,"T":1700000040000,"m":false,"M":true})";
  EXPECT_EQ(body("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=100&limit=1"), "[" + first + "]");
  EXPECT_EQ(body("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=5&limit=1"), "[" + first + "]");
  EXPECT_EQ(body("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=105"), "[]");
  EXPECT_EQ(body("/api/v3/historicalTrades?symbol=BTCUSDT&limit=1"), "[" + last + "]");
  EXPECT_EQ(body("/api/v3/trades?symbol=BTCUSDT&limit=1"), "[" + last + "]");
  EXPECT_EQ(body("/api/v3/trades?symbol=ETHUSDT"), "[]");
  EXPECT_EQ(body("/api/v3/aggTrades?symbol=BTCUSDT&fromId=50&limit=1"), "[" + aggregate + "]");
  EXPECT_EQ(body("/api/v3/aggTrades?symbol=BTCUSDT&endTime=1700000040000"), "[]") << "traded 5 us later";
  EXPECT_EQ(body("/api/v3/aggTrades?symbol=BTCUSDT&endTime=1700000040001"), "[" + aggregate + "]");
  EXPECT_EQ(body("/api/v3/aggTrades?symbol=BTCUSDT&startTime=1700000040000000&limit=1"), "[" + aggregate + "]")
      << "microseconds are told by their size";
  EXPECT_EQ(rest_->given()[0].trades.ranges(), (std::vector<IdRanges::Range>{{100, 100}, {104, 104}}));
  base_.microseconds = true;
  EXPECT_NE(body("/api/v3/trades?symbol=BTCUSDT&limit=1").find("\"time\":1700000120000005"), std::string::npos);
}

TEST_F(RestTest, SpotGivesKlinesOfItsTrades) {
  make(Product::spot);
  const std::string first =
      R"([1700000040000,"200.00000000","202.00000000","200.00000000","202.00000000","0.75000000",1700000099999,"150.75000000",3,"0.50000000","100.50000000","0"])";
  const std::string second =
      R"([1700000100000,"203.00000000","204.00000000","203.00000000","204.00000000","0.50000000",1700000159999,"101.75000000",2,"0.25000000","51.00000000","0"])";
  EXPECT_EQ(body("/api/v3/klines?symbol=BTCUSDT&interval=1m"), "[" + first + "," + second + "]");
  EXPECT_EQ(body("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1"), "[" + second + "]");
  EXPECT_EQ(body("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1&startTime=0"), "[" + first + "]");
  EXPECT_EQ(body("/api/v3/klines?symbol=BTCUSDT&interval=1m&endTime=1700000099999"), "[" + first + "]");
  EXPECT_EQ(body("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1700000100000"), "[" + second + "]");
  EXPECT_EQ(body("/api/v3/uiKlines?symbol=BTCUSDT&interval=1d&timeZone=8").substr(0, 16), "[[1699977600000,")
      << "16:00 UTC of the day before";
  base_.database_lag = 30s;
  EXPECT_EQ(
      body("/api/v3/klines?symbol=BTCUSDT&interval=1m"),
      "[" + first +
          R"(,[1700000100000,"203.00000000","203.00000000","203.00000000","203.00000000","0.25000000",1700000159999,"50.75000000",1,"0.00000000","0.00000000","0"]])");
  EXPECT_EQ(body("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=104"), "[]") << "the database lags";
  EXPECT_NE(body("/api/v3/trades?symbol=BTCUSDT&limit=1"), "[]") << "the memory does not";
}

TEST_F(RestTest, FuturesSkipWhatIsNoFillAndWantAKey) {
  make(Product::usdm);
  EXPECT_EQ(body("/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=100"),
            R"({"code":-2014,"msg":"API-key format invalid."})");
  base_.has_key = true;
  const std::string all = body("/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=100&limit=2");
  EXPECT_EQ(
      all,
      R"([{"id":100,"price":"200.00","qty":"0.250","quoteQty":"50.00000","time":1700000040000,"isBuyerMaker":false,"isRPITrade":false},{"id":102,"price":"202.00","qty":"0.250","quoteQty":"50.50000","time":1700000080000,"isBuyerMaker":false,"isRPITrade":false}])");
  EXPECT_EQ(body("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=51&limit=1"),
            R"([{"a":51,"p":"202.00","q":"0.250","nq":"0.250","f":102,"l":102,"T":1700000080000,"m":false}])");
  EXPECT_EQ(
      body("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1&startTime=0"),
      R"([[1700000040000,"200.00","202.00","200.00","202.00","0.500",1700000099999,"100.50000",2,"0.500","100.50000","0"]])");
}

TEST_F(RestTest, OldAggregatesOfFuturesAreOutOfReach) {
  make(Product::usdm);
  base_.now = kBegin + 48h + 50s;
  const std::string target = "/fapi/v1/aggTrades?symbol=BTCUSDT&startTime=1700000040000";
  EXPECT_EQ(body(target), R"({"code":-1130,"msg":"Data sent for parameter 'startTime' is not valid."})");
  EXPECT_EQ(body("/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=0").substr(0, 8), R"([{"a":52)") << "the edge of the window";
  limits_.reach_is_error = false;
  EXPECT_EQ(body(target).substr(0, 8), R"([{"a":52)") << "the most recent instead";
}

TEST_F(RestTest, WrongRequestsHaveTheVenuesErrors) {
  struct Case {
    Product product;
    std::string target;
    int status;
    std::string body;
  };
  const auto error = [](int code, const std::string& text) { return error_body(code, text); };
  const std::string symbol = "?symbol=BTCUSDT";
  const Case cases[] = {
      {Product::spot, "/api/v3/klines", 400,
       error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")},
      {Product::spot, "/api/v3/klines?symbol=", 400, error(-1105, "Parameter 'symbol' was empty.")},
      {Product::spot, "/api/v3/klines?symbol=NOSUCH&interval=1m", 400, error(-1121, "Invalid symbol.")},
      {Product::spot, "/api/v3/klines?symbol=btcusdt&interval=1m", 400,
       error(-1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.")},
      {Product::spot, "/api/v3/klines" + symbol, 400,
       error(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=2m", 400, error(-1120, "Invalid interval.")},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=1m&limit=x", 400,
       error(-1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.")},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=1m&limit=0", 400,
       error(-1130, "Data sent for parameter 'limit' is not valid.")},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=1m&timeZone=15", 400,
       error(-1130, "Data sent for parameter 'timeZone' is not valid.")},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=1m&from=1", 400,
       error(-1104, "Not all sent parameters were read; read '2' parameter(s) but was sent '3'.")},
      {Product::spot, "/api/v3/klines" + symbol + "&symbol=BTCUSDT&interval=1m", 400,
       error(-1101, "Duplicate values for parameter 'symbol'.")},
      {Product::spot, "/api/v3/aggTrades" + symbol + "&fromId=1&startTime=5", 400,
       error(-1128, "Combination of optional parameters invalid.")},
      {Product::spot, "/api/v3/exchangeInfo?symbol=NOSUCH", 400, error(-1121, "Invalid symbol.")},
      {Product::spot, "/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22BTCUSDT%22%5D", 400,
       error(-1151, "Symbol is present multiple times in the list.")},
      {Product::spot, "/api/v1/time", 404, ""},
      {Product::spot, "/fapi/v1/time", 404, ""},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m&limit=1501", 400,
       error(-1130, "Data sent for parameter 'limit' is not valid.")},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m&startTime=9&endTime=8", 400,
       error(-1023, "Start time is greater than end time.")},
      {Product::usdm, "/fapi/v1/aggTrades" + symbol + "&startTime=1700000040000&endTime=1700003640000", 400,
       error(-1127, "More than 1 hours between startTime and endTime.")},
      {Product::usdm, "/fapi/v1/uiKlines" + symbol + "&interval=1m", 404, ""},
  };
  for (const Case& c : cases) {
    make(c.product);
    const RestAnswer answer = ask(c.target);
    EXPECT_EQ(answer.status, c.status) << c.target;
    EXPECT_EQ(answer.body, c.body) << c.target;
  }
}

TEST_F(RestTest, WeightsAreCountedByMinuteAndWhoGoesOnIsBanned) {
  make(Product::spot);
  limits_.weight = 50;
  limits_.ban_after = 2;
  EXPECT_EQ(header(ask("/api/v3/exchangeInfo"), "x-mbx-used-weight-1m"), "20");
  EXPECT_EQ(header(ask("/api/v3/historicalTrades?symbol=BTCUSDT"), "x-mbx-used-weight-1m"), "45");
  EXPECT_EQ(ask("/api/v3/aggTrades?symbol=BTCUSDT").status, 200);
  const RestAnswer limited = ask("/api/v3/klines?symbol=BTCUSDT&interval=1m");
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(header(limited, "Retry-After"), "30");
  EXPECT_EQ(
      limited.body,
      R"({"code":-1003,"msg":"Too much request weight used; current limit is 50 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."})");
  EXPECT_EQ(ask("/api/v3/ping").status, 429);
  const RestAnswer banned = ask("/api/v3/ping");
  EXPECT_EQ(banned.status, 418);
  EXPECT_EQ(header(banned, "Retry-After"), "120");
  EXPECT_EQ(
      banned.body,
      R"({"code":-1003,"msg":"Way too much request weight used; IP banned until 1767225750000. Please use WebSocket Streams for live updates to avoid bans."})");
  base_.address = "127.0.0.2";
  EXPECT_EQ(ask("/api/v3/ping").status, 200) << "another address";
  base_.address = "127.0.0.1";
  base_.real += 119s;
  EXPECT_EQ(ask("/api/v3/ping").status, 418);
  base_.real += 1s;
  EXPECT_EQ(ask("/api/v3/ping").status, 200);
}

TEST_F(RestTest, WeightsAreThoseOfTheVenue) {
  struct Case {
    Product product;
    std::string target, weight;
  };
  const std::string symbol = "?symbol=BTCUSDT";
  const Case cases[] = {
      {Product::spot, "/api/v3/time", "1"},
      {Product::spot, "/api/v3/exchangeInfo", "20"},
      {Product::spot, "/api/v3/trades" + symbol, "25"},
      {Product::spot, "/api/v3/historicalTrades" + symbol, "25"},
      {Product::spot, "/api/v3/aggTrades" + symbol, "4"},
      {Product::spot, "/api/v3/klines" + symbol + "&interval=1m", "2"},
      {Product::spot, "/api/v3/ticker/24hr" + symbol, "2"},
      {Product::spot, "/api/v3/ticker/24hr", "80"},
      {Product::spot, "/api/v3/ticker/price", "4"},
      {Product::spot, "/api/v3/ticker/bookTicker" + symbol, "2"},
      {Product::usdm, "/fapi/v1/exchangeInfo", "1"},
      {Product::usdm, "/fapi/v1/trades" + symbol, "5"},
      {Product::usdm, "/fapi/v1/historicalTrades" + symbol, "200"},
      {Product::usdm, "/fapi/v1/aggTrades" + symbol, "20"},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m&limit=99", "1"},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m&limit=499", "2"},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m", "5"},
      {Product::usdm, "/fapi/v1/klines" + symbol + "&interval=1m&limit=1500", "10"},
      {Product::usdm, "/fapi/v1/ticker/24hr", "40"},
      {Product::usdm, "/fapi/v1/ticker/bookTicker", "5"},
  };
  for (const Case& c : cases) {
    make(c.product);
    EXPECT_EQ(header(ask(c.target), "x-mbx-used-weight-1m"), c.weight) << c.target;
  }
}

TEST_F(RestTest, TickersAndLists) {
  make(Product::spot);
  EXPECT_EQ(body("/api/v3/ping"), "{}");
  EXPECT_EQ(body("/api/v3/time"), R"({"serverTime":1700000140000})");
  EXPECT_EQ(body("/api/v3/ticker/price?symbol=BTCUSDT"), R"({"symbol":"BTCUSDT","price":"204.00000000"})");
  EXPECT_EQ(body("/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22%5D"),
            R"([{"symbol":"BTCUSDT","price":"204.00000000"}])");
  EXPECT_EQ(body("/api/v3/avgPrice?symbol=BTCUSDT"), R"({"mins":5,"price":"202.00000000","closeTime":1700000120000})");
  EXPECT_EQ(
      body("/api/v3/ticker/24hr?symbol=BTCUSDT&type=MINI"),
      R"({"symbol":"BTCUSDT","lastPrice":"204.00000000","openPrice":"200.00000000","highPrice":"204.00000000","lowPrice":"200.00000000","volume":"1.25000000","quoteVolume":"252.50000000","openTime":1699913740000,"closeTime":1700000140000,"firstId":100,"lastId":104,"count":5})");
  EXPECT_EQ(
      body("/api/v3/ticker/bookTicker?symbol=BTCUSDT"),
      R"({"symbol":"BTCUSDT","bidPrice":"0.00000000","bidQty":"0.00000000","askPrice":"0.00000000","askQty":"0.00000000"})");
  EXPECT_NE(body("/api/v3/exchangeInfo?symbol=ETHUSDT")
                .find(R"("symbols":[{"symbol":"ETHUSDT","status":"TRADING","baseAsset":"ETH",)"),
            std::string::npos);
  base_.skew = -5min;
  EXPECT_EQ(body("/api/v3/time"), R"({"serverTime":1699999840000})");
  limits_.history = false;
  EXPECT_EQ(ask("/api/v3/historicalTrades?symbol=BTCUSDT").status, 404) << "the hosts for market data only";
}

}  // namespace
}  // namespace truetape::sim
