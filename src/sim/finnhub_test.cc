// Finnhub's simulator over real sockets on loopback; time is manual. Messages as its documentation and recordings have
// them.
#include "sim/finnhub_messages.h"
#include "sim/finnhub_tape.h"
#include "sim/testing.h"

namespace truetape::sim {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Ranges = std::vector<IdRanges::Range>;

// 2023-03-31 18:15:37, a Friday: 14:15 in New York.
constexpr Time kBegin = from_ms(1680286537000);

class FinnhubTest : public SimulatorTest {
 protected:
  // As a recording has them, or (`made`) to be put together by the simulator.
  void trade(const std::string& symbol, Duration at, const std::string& price, const std::string& quantity,
             std::optional<std::string> conditions, bool ends = true, bool made = false) {
    const std::uint32_t instrument = listed(symbol);
    DealText text{.price = price, .quantity = quantity, .conditions = std::move(conditions), .made = made};
    Deal deal{.id = ++numbers_[instrument],
              .traded = kBegin + at,
              .told = kBegin + at,
              .price = *parse_scaled(price, kFineDecimals),
              .quantity = *parse_scaled(quantity, kDecimals),
              .ends = ends,
              .text = std::make_shared<const DealText>(std::move(text))};
    events_.push_back({.at = kBegin + at, .instrument = instrument, .what = std::move(deal)});
  }
  void news(const std::string& symbol, Duration at, std::uint64_t id, const std::string& category = "company") {
    NewsText text{.id = id,
                  .category = category,
                  .headline = "\"Up\"",
                  .image = "",
                  .related = category == "company" ? symbol : "",
                  .source = "Yahoo",
                  .summary = "",
                  .url = "https://news.invalid/1"};
    events_.push_back(
        {.at = kBegin + at,
         .instrument = listed(symbol),
         .what = News{
             .traded = kBegin + at, .told = kBegin + at, .text = std::make_shared<const NewsText>(std::move(text))}});
  }
  void begin() { start(make_list_tape(Product::finnhub, listings_, events_, "by hand")); }
  Limits& own() { return limits(Product::finnhub); }
  Client& open(const std::string& token = "k") { return connect("/?token=" + token); }
  void say(Client& client, const std::string& type, const std::string& symbol) {
    send(client, R"({"type":")" + type + R"(","symbol":")" + symbol + "\"}");
  }
  void run_for(Duration time, Duration step = 100ms) {
    for (Duration at{}; at < time; at += step) {
      loop_.advance(step);
      net::settle(loop_, 1ms);
    }
  }

 private:
  std::uint32_t listed(const std::string& symbol) {
    for (std::uint32_t i = 0; i < listings_.size(); ++i)
      if (listings_[i].symbol == symbol) return i;
    Listing& listing = listings_.emplace_back();
    listing.symbol = listing.base = symbol;
    numbers_.push_back(0);
    return static_cast<std::uint32_t>(listings_.size() - 1);
  }
  std::vector<Listing> listings_;
  std::vector<std::uint64_t> numbers_;
  std::vector<TapeEvent> events_;
};

TEST_F(FinnhubTest, RecordedMessagesKeepTheirGroupsAndTheirDigits) {
  trade("ZZZ", -100ms, "1", "1", "null");  // all have subscribed when the next one comes
  trade("AAPL", 0ms, "164.0601", "5", R"(["1","12"])", false);
  trade("TSLA", 0ms, "207.46", "10", R"(["1"])", false);
  trade("AAPL", 0ms, "164.06", "142", R"(["1","8"])");
  trade("BINANCE:BTCUSDT", 10ms, "66972.77", "0.0001", "null");
  trade("OANDA:EUR_USD", 20ms, "1.0841", "0", std::nullopt, false);
  trade("OANDA:EUR_USD", 20ms, "1e-07", "1", "[]");
  begin();
  Client& all = open("a");
  Client& some = open("b");
  for (const std::string symbol : {"AAPL", "TSLA", "BINANCE:BTCUSDT", "OANDA:EUR_USD"}) say(all, "subscribe", symbol);
  say(some, "subscribe", "AAPL");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections[1]->received == 1; }));
  play_to_end();
  EXPECT_THAT(
      all.messages,
      ElementsAre(
          R"({"data":[{"c":["1","12"],"p":164.0601,"s":"AAPL","t":1680286537000,"v":5},{"c":["1"],"p":207.46,"s":"TSLA","t":1680286537000,"v":10},{"c":["1","8"],"p":164.06,"s":"AAPL","t":1680286537000,"v":142}],"type":"trade"})",
          R"({"data":[{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1680286537010,"v":0.0001}],"type":"trade"})",
          R"({"data":[{"p":1.0841,"s":"OANDA:EUR_USD","t":1680286537020,"v":0},{"c":[],"p":1e-07,"s":"OANDA:EUR_USD","t":1680286537020,"v":1}],"type":"trade"})"));
  EXPECT_THAT(
      some.messages,
      ElementsAre(
          R"({"data":[{"c":["1","12"],"p":164.0601,"s":"AAPL","t":1680286537000,"v":5},{"c":["1","8"],"p":164.06,"s":"AAPL","t":1680286537000,"v":142}],"type":"trade"})"));
  EXPECT_EQ(log(0, 0).sent.ranges(), (Ranges{{1, 2}}));
  EXPECT_EQ(log(0, 1).sent.ranges(), (Ranges{{1, 1}}));
  EXPECT_EQ(log(0, 0).messages, 1u);
}

TEST_F(FinnhubTest, MadeTradesWaitForTenOrASecond) {
  for (int i = 0; i < 12; ++i) trade("AAPL", i * 10ms, "164.06", i == 3 ? "100" : "5", std::nullopt, true, true);
  trade("AAPL", 3s, "164.06", "5", std::nullopt, true, true);
  begin();
  Client& client = open();
  say(client, "subscribe", "AAPL");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
  run_for(200ms, 10ms);
  ASSERT_EQ(client.messages.size(), 1u) << "ten are enough";
  EXPECT_THAT(client.messages[0],
              HasSubstr(R"({"data":[{"c":["1","12"],"p":164.06,"s":"AAPL","t":1680286537000,"v":5},)"));
  EXPECT_THAT(client.messages[0], HasSubstr(R"({"c":["1"],"p":164.06,"s":"AAPL","t":1680286537030,"v":100})"));
  EXPECT_THAT(client.messages[0], testing::EndsWith(R"("t":1680286537090,"v":5}],"type":"trade"})"));
  run_for(890ms, 10ms);
  EXPECT_EQ(client.messages.size(), 1u);
  run_for(20ms, 10ms);
  EXPECT_EQ(client.messages.size(), 2u) << "a second after the first of them";
  play_to_end();
  EXPECT_EQ(client.messages.size(), 3u) << "and what waits at the end";
  EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 13}}));
}

TEST_F(FinnhubTest, WhatWaitsWhenTheConnectionEndsWasNotSent) {
  fault("cut,at=500ms");
  for (int i = 0; i < 3; ++i) trade("AAPL", i * 10ms, "164.06", "5", std::nullopt, true, true);
  trade("AAPL", 3s, "164.06", "5", std::nullopt, true, true);
  begin();
  Client& client = open();
  say(client, "subscribe", "AAPL");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
  run_for(600ms);
  over(client);
  EXPECT_TRUE(client.messages.empty());
  EXPECT_TRUE(log().sent.empty());
  EXPECT_EQ(log().withheld.at("unsent").ranges(), (Ranges{{1, 3}}));
}

TEST_F(FinnhubTest, HandshakesNeedATokenAndOneConnection) {
  own().token = "good";
  trade("AAPL", 0ms, "164.06", "5", "null");
  begin();
  Client refused;
  EXPECT_EQ(try_connect(refused, "/"), 401);
  EXPECT_EQ(try_connect(refused, "/?token=bad"), 401);
  EXPECT_EQ(try_connect(refused, "/else?token=good"), 404);
  Client& first = open("good");
  EXPECT_EQ(try_connect(refused, "/?token=good"), 429);
  first.socket->drop();
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->connections() == 0; }));
  open("good");
}

TEST_F(FinnhubTest, OrTheOlderConnectionIsKicked) {
  own().kick = true;
  trade("AAPL", 0ms, "164.06", "5", "null");
  begin();
  Client& first = open();
  open();
  over(first);
  EXPECT_EQ(simulator_->truth().connections[0]->end, "kicked");
  EXPECT_FALSE(first.socket->end()->clean);
}

TEST_F(FinnhubTest, NothingIsAckedAndTheFiftyFirstSymbolIsAnError) {
  own().streams = 2;
  trade("AAPL", 0ms, "164.06", "5", "null");
  trade("TSLA", 100ms, "207.46", "5", "null");
  trade("TSLA", 300ms, "207.47", "5", "null");
  begin();
  Client& client = open();
  for (const std::string text : {"hello", "[]", "{}", R"({"type":"subscribe"})", R"({"type":"sing","symbol":"AAPL"})"})
    send(client, text);
  say(client, "unsubscribe", "AAPL");
  say(client, "subscribe", "NOSUCH");
  say(client, "subscribe", "NOSUCH");
  say(client, "subscribe", " AAPL");
  say(client, "subscribe", "TSLA");
  say(client, "subscribe-pr", "TSLA");
  arrived(client, 1);
  EXPECT_EQ(client.messages[0], R"({"msg":"Subscribing to too many symbols","type":"error"})");
  heard(0, 11);
  loop_.advance(100ms);
  net::settle(loop_, 2ms);
  EXPECT_EQ(client.messages.size(), 1u) << "the symbol that is too many is silent";
  say(client, "unsubscribe", "NOSUCH");
  say(client, "subscribe", "TSLA");
  heard(0, 13);
  loop_.advance(200ms);
  arrived(client, 2);
  EXPECT_THAT(client.messages[1], HasSubstr(R"("p":207.47)"));
}

TEST_F(FinnhubTest, PingsAreTextOnATimerOrWhenIdle) {
  for (const bool idle : {false, true}) {
    finish();
    own().ping_idle = idle;
    for (int i = 0; i < 13; ++i) trade("AAPL", i * 10s, "164.06", "5", "null");
    begin();
    Client& client = open();
    say(client, "subscribe", "AAPL");
    arrived(client, 1);
    run_for(125s, 1s);
    const auto pings = std::ranges::count(client.messages, R"({"type":"ping"})");
    EXPECT_EQ(pings, idle ? 0 : 2);
    EXPECT_EQ(simulator_->truth().connections[0]->pings, idle ? 0u : 2u);
  }
}

TEST_F(FinnhubTest, FaultsMeetMessagesOfSeveralSymbols) {
  fault("drop,streams=TSLA,after=0");
  fault("token,connection=2");
  fault("refuse,how=handshake,status=200,after=2");
  trade("ZZZ", -100ms, "1", "1", "null");
  trade("AAPL", 0ms, "164.06", "5", "null", false);
  trade("TSLA", 0ms, "207.46", "5", "null");
  trade("AAPL", 100ms, "164.07", "5", "null");
  trade("TSLA", 200ms, "207.47", "5", "null");
  begin();
  Client& client = open();
  say(client, "subscribe", "AAPL");
  say(client, "subscribe", "TSLA");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections[0]->received == 2; }));
  Client refused;
  EXPECT_EQ(try_connect(refused, "/?token=other"), 401);
  EXPECT_EQ(try_connect(refused, "/?token=other"), 200);
  play_to_end();
  EXPECT_THAT(client.messages, ElementsAre(HasSubstr("164.07"), HasSubstr("207.47"))) << "the one with TSLA is gone";
  for (const std::size_t stream : {0u, 1u}) {
    EXPECT_EQ(log(0, stream).withheld.at("drop").ranges(), (Ranges{{1, 1}}));
    EXPECT_EQ(log(0, stream).sent.ranges(), (Ranges{{2, 2}}));
  }
}

// ---- REST

TEST_F(FinnhubTest, RestNeedsAKey) {
  own().token = "good";
  trade("AAPL", 0ms, "164.06", "5", "null");
  begin();
  EXPECT_EQ(get("/api/v1/quote?symbol=AAPL").body, R"({"error":"Please use an API key."})");
  EXPECT_EQ(get("/api/v1/quote?symbol=AAPL&token=bad").body, R"({"error":"Invalid API key."})");
  EXPECT_EQ(get("/api/v1/quote?symbol=AAPL&token=bad").status, 401);
  EXPECT_EQ(get("/api/v1/quote?symbol=AAPL", {{"X-Finnhub-Token", "good"}}).status, 200);
  EXPECT_EQ(get("/api/v1/quote?symbol=AAPL&token=good").body,
            R"({"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0})");
  EXPECT_EQ(get("/api/v1/stock/candle?symbol=AAPL&resolution=1&from=1&to=2&token=good").status, 403);
  EXPECT_EQ(get("/api/v1/stock/tick?symbol=AAPL&token=good").body,
            R"({"error":"You don't have access to this resource."})");
  EXPECT_EQ(get("/api/v1/nothing?token=good").status, 404);
  EXPECT_EQ(get("/api/v1/news?token=good").status, 422);
}

TEST_F(FinnhubTest, RestIsLimitedByTheSecondAndTheMinute) {
  own().burst = 2;
  own().requests = 3;
  trade("AAPL", 0ms, "164.06", "5", "null");
  begin();
  const auto ask = [&] { return get("/api/v1/news?category=general&token=k"); };
  EXPECT_EQ(ask().headers.get("X-Ratelimit-Remaining"), "2");
  EXPECT_EQ(ask().status, 200);
  const auto refused = ask();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.body, R"({"error":"API limit reached. Please try again later. Remaining Limit: 0"})");
  loop_.advance(1s);
  EXPECT_EQ(ask().status, 429) << "the minute is not over";
  loop_.advance(60s);
  EXPECT_EQ(ask().status, 200);
}

TEST_F(FinnhubTest, RestTellsPricesListsAndHours) {
  own().premium = true;
  trade("AAPL", 0ms, "164", "5", "null");
  trade("AAPL", 100ms, "165.5", "5", "null");
  trade("AAPL", 200ms, "163", "10", "null");
  trade("BINANCE:LTCBTC", 300ms, "0.0021", "1", "null");
  trade("OANDA:EUR_USD", 400ms, "1.0841", "0", std::nullopt);
  config_.linger = 1h;
  begin();
  Client& client = open();
  say(client, "subscribe", "OANDA:EUR_USD");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
  run_for(500ms);
  arrived(client, 1);
  const auto ask = [&](const std::string& target) { return get("/api/v1" + target + "&token=k").body; };
  EXPECT_EQ(ask("/quote?symbol=AAPL"),
            R"({"c":163,"d":-1,"dp":-0.6097,"h":165.5,"l":163,"o":164,"pc":164,"t":1680286537})");
  EXPECT_EQ(ask("/stock/candle?symbol=AAPL&resolution=1&from=1680286500&to=1680286600"),
            R"({"c":[163],"h":[165.5],"l":[163],"o":[164],"s":"ok","t":[1680286500],"v":[20]})");
  EXPECT_EQ(ask("/stock/candle?symbol=AAPL&resolution=1&from=1680286500000&to=1680286600000"), R"({"s":"no_data"})");
  EXPECT_EQ(
      ask("/stock/symbol?exchange=US"),
      R"([{"currency":"USD","description":"AAPL INC","displaySymbol":"AAPL","figi":"","isin":null,"mic":"XNAS","shareClassFIGI":"","symbol":"AAPL","symbol2":"","type":"Common Stock"}])");
  EXPECT_EQ(ask("/crypto/symbol?exchange=binance"),
            R"([{"description":"BINANCE LTCBTC","displaySymbol":"LTCBTC","symbol":"BINANCE:LTCBTC"}])");
  EXPECT_EQ(ask("/forex/symbol?exchange=oanda"),
            R"([{"description":"OANDA EUR/USD","displaySymbol":"EUR/USD","symbol":"OANDA:EUR_USD"}])");
  EXPECT_EQ(ask("/forex/exchange?x=1"), R"(["OANDA"])");
  EXPECT_EQ(
      ask("/stock/market-status?exchange=US"),
      R"({"exchange":"US","holiday":null,"isOpen":true,"session":"regular","t":1680286537,"timezone":"America/New_York"})");
}

TEST_F(FinnhubTest, NewsAreStreamedToThoseWhoPayAndPolledByAll) {
  for (const bool premium : {true, false}) {
    finish();
    own().premium = premium;
    news("AAPL", 0ms, 119440189);
    news("AAPL", 100ms, 119440190, "technology");
    news("AAPL", 200ms, 119440200);
    config_.linger = 10s;
    begin();
    Client& client = open();
    say(client, "subscribe-news", "AAPL");
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
    run_for(500ms);
    const std::string first =
        R"({"category":"company","datetime":1680286537,"headline":"\"Up\"","id":119440189,"image":"","related":"AAPL","source":"Yahoo","summary":"","url":"https://news.invalid/1"})";
    if (premium) {
      arrived(client, 2);
      EXPECT_EQ(client.messages[0], R"({"data":[)" + first + R"(],"type":"news"})");
      EXPECT_EQ(log().name, "news:AAPL");
      EXPECT_EQ(log().messages, 2u);
      EXPECT_THAT(simulator_->truth_json(), HasSubstr(R"("news":[[119440189,119440190],[119440200,119440200]])"));
    } else {
      EXPECT_TRUE(client.messages.empty());
    }
    const auto ask = [&](const std::string& target) { return get("/api/v1" + target + "&token=k").body; };
    const std::string both = ask("/company-news?symbol=AAPL&from=2023-03-31&to=2023-03-31");
    EXPECT_THAT(both, testing::EndsWith("," + first + "]")) << "the newest first";
    EXPECT_EQ(ask("/company-news?symbol=AAPL&from=2023-03-30&to=2023-03-30"), "[]");
    EXPECT_EQ(ask("/company-news?symbol=X&from=2023-03-30&to=2023-04-30"), "[]");
    EXPECT_THAT(ask("/news?category=general"), HasSubstr("119440190"));
    EXPECT_EQ(ask("/news?category=general&minId=119440190"), "[]");
    EXPECT_EQ(ask("/news?category=forex"), "[]");
  }
}

TEST_F(FinnhubTest, SharesRestWhileTheirMarketIsClosed) {
  own().hours = true;
  trade("AAPL", 6h, "164", "5", "null");  // 20:15 in New York
  trade("BINANCE:BTCUSDT", 6h + 1s, "66000", "1", "null");
  begin();
  Client& client = open();
  say(client, "subscribe", "AAPL");
  say(client, "subscribe", "BINANCE:BTCUSDT");
  heard(0, 2);
  run_for(6h + 2s, 1h);
  EXPECT_TRUE(loop_.run_until([&] { return !client.messages.empty(); }));
  EXPECT_THAT(client.messages.back(), HasSubstr("BTCUSDT"));
  EXPECT_THAT(simulator_->truth_json(),
              HasSubstr(R"("instrument":"finnhub:AAPL","symbol":"AAPL","published_trades":0)"));
}

TEST(FinnhubHours, FollowNewYorkAndItsSummer) {
  using finnhub::MarketSession;
  struct Case {
    std::int64_t seconds;
    MarketSession session;
  };
  const Case cases[] = {
      {1680269399, MarketSession::pre},      // 2023-03-31 13:29:59 UTC: 09:29:59 in summer
      {1680269400, MarketSession::regular},  // 09:30
      {1680292800, MarketSession::post},     // 16:00
      {1680307200, MarketSession::closed},   // 20:00
      {1680343200, MarketSession::closed},   // Saturday
      {1705501799, MarketSession::pre},      // 2024-01-17 14:29:59 UTC: winter
      {1705501800, MarketSession::regular}, {1705482000, MarketSession::pre},  // 04:00
      {1705481999, MarketSession::closed},
  };
  for (const Case& c : cases)
    EXPECT_EQ(finnhub::session_at(Time{std::chrono::seconds{c.seconds}}), c.session) << c.seconds;
}

}  // namespace
}  // namespace truetape::sim
