// KuCoin's simulator over real sockets on loopback; time is manual. Messages as its documentation prints them.
#include "sim/kucoin_messages.h"
#include "sim/kucoin_tape.h"
#include "sim/testing.h"

namespace truetape::sim {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Ranges = std::vector<IdRanges::Range>;

constexpr Time kBegin = from_ms(1729843222000);

Deal deal(std::uint64_t id, Duration at, std::string price, std::string size, bool sell = false) {
  DealText text{.price = price,
                .quantity = size,
                .trade_id = std::to_string(id),
                .taker = "671b50161777ff00074c168d",
                .maker = "671b5007389355000701b1d3"};
  return {.id = id,
          .traded = kBegin + at,
          .told = kBegin + at,
          .price = *parse_scaled(price, kFineDecimals),
          .quantity = *parse_scaled(size, kDecimals),
          .buyer_is_maker = sell,
          .text = std::make_shared<const DealText>(std::move(text))};
}
Level level(Duration at, std::string price) {
  LevelText text{.sequence = "14691455768",
                 .price = std::move(price),
                 .size = "0.00004316",
                 .bid = "67218.6",
                 .bid_size = "0.01045638",
                 .ask = "67218.7",
                 .ask_size = "1.92318539"};
  return {.traded = kBegin + at, .told = kBegin + at, .text = std::make_shared<const LevelText>(std::move(text))};
}
std::vector<Listing> listings(const std::vector<std::string>& symbols) {
  std::vector<Listing> result;
  for (const std::string& symbol : symbols) {
    Listing& listing = result.emplace_back();
    listing.symbol = symbol;
    split_dashed(listing);
    listing.price_decimals = 1;
    listing.quantity_decimals = 8;
  }
  return result;
}

class KucoinTest : public SimulatorTest {
 protected:
  // Trades of BTC-USDT with sequences 100, 103, 106, …, one every 100 ms.
  static std::vector<TapeEvent> trades(std::uint64_t count) {
    std::vector<TapeEvent> events;
    for (std::uint64_t i = 0; i < count; ++i)
      events.push_back({.at = kBegin + static_cast<std::int64_t>(i) * 100ms,
                        .instrument = 0,
                        .what = deal(100 + 3 * i, static_cast<std::int64_t>(i) * 100ms, "67523", "0.003")});
    return events;
  }
  void begin(std::vector<TapeEvent> events, const std::vector<std::string>& symbols = {"BTC-USDT", "ETH-USDT"}) {
    start(make_list_tape(Product::kucoin, listings(symbols), std::move(events), "by hand"));
  }
  void begin(std::uint64_t count) { begin(trades(count)); }
  Limits& own() { return limits(Product::kucoin); }

  std::string token() {
    const std::string body = get("/api/v1/bullet-public", {}, "POST").body;
    const std::size_t at = body.find("\"token\":\"") + 9;
    return body.substr(at, body.find('"', at) - at);
  }
  // A client that is welcome.
  Client& open(const std::string& id = "me") {
    Client& client = connect("/?token=" + net::percent_encode(token()) + "&connectId=" + id);
    arrived(client, 1);
    return client;
  }
  void subscribe(Client& client, const std::string& topic, const std::string& id = "1") {
    send(client, R"({"id":")" + id + R"(","type":"subscribe","topic":")" + topic + R"(","response":true})");
  }
};

TEST_F(KucoinTest, TheTokenCallTellsWhereToGo) {
  begin(1);
  const auto answer = get("/api/v1/bullet-public", {}, "POST");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get("gw-ratelimit-limit"), "2000");
  EXPECT_EQ(answer.headers.get("gw-ratelimit-remaining"), "1990");
  EXPECT_EQ(answer.headers.get("gw-ratelimit-reset"), "30000");
  const std::size_t token = answer.body.find("\"token\":\"") + 9, end = answer.body.find('"', token);
  EXPECT_EQ(end - token, 181u);
  EXPECT_EQ(answer.body.substr(0, token), R"({"code":"200000","data":{"token":")");
  EXPECT_EQ(answer.body.substr(end), R"(","instanceServers":[{"endpoint":")" + simulator_->websocket_url() +
                                         R"(/","encrypt":false,"protocol":"websocket","pingInterval":18000,)"
                                         R"("pingTimeout":10000}]}})");
  EXPECT_EQ(get("/api/v1/bullet-public").status, 404) << "a GET";
}

TEST_F(KucoinTest, WelcomeAckAndTrades) {
  begin(3);
  Client& client = open("hQvf8jkno");
  EXPECT_EQ(client.messages[0], R"({"id":"hQvf8jkno","type":"welcome"})");
  send(client, R"({"id":1545910660739,"type":"subscribe","topic":"/market/match:BTC-USDT,ETH-USDT",)"
               R"("privateChannel":false,"response":true})");
  arrived(client, 3);
  EXPECT_EQ(client.messages[1], R"({"id":"1545910660739","type":"ack"})") << "one for both, and the number as text";
  EXPECT_EQ(client.messages[2],
            R"({"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match","data":{)"
            R"("symbol":"BTC-USDT","sequence":"100","side":"buy","size":"0.003","price":"67523",)"
            R"("takerOrderId":"671b50161777ff00074c168d","makerOrderId":"671b5007389355000701b1d3",)"
            R"("tradeId":"100","time":"1729843222000000000","type":"match"}})");
  play_to_end();
  EXPECT_EQ(client.messages.size(), 5u);
  EXPECT_EQ(log().name, "/market/match:BTC-USDT");
  EXPECT_EQ(log().sent.ranges(), (Ranges{{100, 100}, {103, 103}, {106, 106}}));
}

TEST_F(KucoinTest, AckIsForThoseWhoAsk) {
  begin(2);
  Client& client = open();
  send(client, R"({"id":"7","type":"subscribe","topic":"/market/match:BTC-USDT"})");
  arrived(client, 2);
  EXPECT_THAT(client.messages[1], HasSubstr("trade.l3match"));
  send(client, R"({"id":"8","type":"unsubscribe","topic":"/market/match:BTC-USDT","response":true})");
  arrived(client, 3);
  EXPECT_EQ(client.messages[2], R"({"id":"8","type":"ack"})");
  play_to_end();
  EXPECT_EQ(client.messages.size(), 3u);
}

TEST_F(KucoinTest, WhatIsWrongIsToldAsTheVenueTellsIt) {
  own().streams = 3;
  own().batch = 2;
  begin(10);
  Client& client = open();
  const auto ask = [&](const std::string& message) {
    const std::size_t before = client.messages.size();
    send(client, message);
    arrived(client, before + 1);
    return client.messages.back();
  };
  struct Case {
    std::string message, answer;
  };
  const Case cases[] = {
      {R"({"id":"1","type":"subscribe","topic":"market","response":true})",
       R"({"id":"1","type":"error","code":400,"data":"topic is invalid"})"},
      {R"({"id":"2","type":"subscribe","topic":"/market/match:BTC-USDT","privateChannel":true})",
       R"({"id":"2","type":"error","code":403,"data":"login is required"})"},
      {R"({"id":"3","type":"subscribe","topic":"/market/nothing:BTC-USDT"})",
       R"({"id":"3","type":"error","code":404,"data":"topic does not exist"})"},
      {R"({"id":"4","type":"subscribe","topic":"/market/match:BTC-USDT,BSV-BTC"})",
       R"({"id":"4","type":"error","code":404,"data":"topic /market/match:BSV-BTC is not found"})"},
      {R"({"id":"5","type":"subscribe"})", R"({"id":"5","type":"error","code":406,"data":"topic is required"})"},
      {R"({"id":"6","type":"subscribe","topic":"/market/match:BTC-USDT,ETH-USDT,BTC-USDT"})",
       R"({"id":"6","type":"error","code":509,"data":"exceed max subscription count limitation of 2 per time"})"},
      {R"({"id":"7","type":"openTunnel"})", R"({"id":"7","type":"error","code":415,"data":"type is not supported"})"},
      {R"(hello)", R"({"type":"error","code":415,"data":"command type is invalid"})"},
      {R"({"id":"8","type":"subscribe","topic":"/market/ticker:BTC-USDT,ETH-USDT","response":true})",
       R"({"id":"8","type":"ack"})"},
      {R"({"id":"9","type":"subscribe","topic":"/market/level2:BTC-USDT,ETH-USDT","response":true})",
       R"({"id":"9","type":"error","code":509,"data":"exceed max subscription count limitation of 3 per session"})"},
      {R"({"id":"10","type":"subscribe","topic":"/market/level2:ETH-USDT","response":true})",
       R"({"id":"10","type":"ack"})"},
      {R"({"id":"11","type":"ping"})", R"({"id":"11","type":"pong","timestamp":1729843222000000})"},
  };
  for (const Case& c : cases) EXPECT_EQ(ask(c.message), c.answer);
}

TEST_F(KucoinTest, ASilentClientIsCutAndPingsOfWebSocketDoNotHelp) {
  begin(3000);
  client_config_.idle_timeout = 0s;
  Client& pings = open();
  subscribe(pings, "/market/level2:BTC-USDT");
  Client& silent = open();
  for (int i = 0; i < 4; ++i) {
    send(pings, R"({"id":"x","type":"ping"})");
    silent.socket->ping("x");
    arrived(pings, static_cast<std::size_t>(3 + i));
    loop_.advance(18s);
    net::settle(loop_, 2ms);
  }
  over(silent);
  EXPECT_EQ(silent.messages.back(), R"({"id":"me","type":"error","code":400,"data":"ping timeout"})");
  EXPECT_EQ(simulator_->truth().connections[1]->end, "no ping");
  EXPECT_FALSE(silent.socket->end()->clean);
  EXPECT_FALSE(pings.over);
}

TEST_F(KucoinTest, TokensThatAreNotGoodEndInAnErrorWithoutACloseFrame) {
  own().token_life = 60s;
  begin(10);
  const std::string good = token();
  const auto first = [&](const std::string& given) {
    Client& client = connect("/?connectId=c1&token=" + net::percent_encode(given));
    over(client);
    EXPECT_FALSE(client.socket->end()->clean);
    EXPECT_EQ(client.messages.size(), 1u);
    return client.messages.empty() ? std::string{} : client.messages[0];
  };
  EXPECT_EQ(first("nonsense"), R"({"id":"c1","type":"error","code":401,"data":"token is invalid"})");
  loop_.advance(60s);
  EXPECT_EQ(first(good), R"({"id":"c1","type":"error","code":401,"data":"token is expired"})");
  EXPECT_EQ(simulator_->truth().connections[1]->end, "token is expired");
  Client wrong;
  EXPECT_EQ(try_connect(wrong, "/nowhere"), 404);
}

TEST_F(KucoinTest, ConnectionsAreLimited) {
  own().connections = 1;
  own().connects = 3;
  begin(10);
  Client& kept = open("a");
  const auto second = [&](const std::string& id) {
    Client& client = open(id);
    over(client);
    return client.messages[0];
  };
  EXPECT_EQ(second("b"), R"({"id":"b","type":"error","code":509,"data":"exceed max session count limitation of 1"})");
  second("c");
  EXPECT_EQ(second("d"), R"({"id":"d","type":"error","code":509,"data":"service busy, please retry later"})");
  kept.socket->drop();
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->connections() == 0; }));
  loop_.advance(60s);
  EXPECT_EQ(open("e").messages[0], R"({"id":"e","type":"welcome"})");
}

TEST_F(KucoinTest, MoreMessagesThanAllowedAreRefused) {
  own().messages = 2;
  begin(10);
  Client& client = open();
  for (int i = 1; i <= 3; ++i) send(client, R"({"id":")" + std::to_string(i) + R"(","type":"ping"})");
  arrived(client, 4);
  EXPECT_EQ(client.messages[3], R"({"id":"3","type":"error","code":509,"data":"exceed max permits per second"})");
  loop_.advance(10s);
  send(client, R"({"id":"4","type":"ping"})");
  arrived(client, 5);
  EXPECT_THAT(client.messages[4], HasSubstr("pong"));
}

TEST_F(KucoinTest, WhoReadsTooSlowlyMissesMessagesAndStaysConnected) {
  config_.most_queued = 64 << 10;
  constexpr std::uint64_t kTrades = 60'000;
  std::vector<TapeEvent> events{{.at = kBegin, .instrument = 1, .what = deal(1, 0s, "1", "1")}};
  for (std::uint64_t i = 0; i < kTrades; ++i)
    events.push_back({.at = kBegin + 1s, .instrument = 0, .what = deal(100 + 3 * i, 1s, "67523", "0.003")});
  events.push_back({.at = kBegin + 1h, .instrument = 0, .what = deal(1'000'000, 1h, "67523", "0.003")});
  begin(std::move(events));
  const net::WebSocketRequest request{.url = simulator_->websocket_url() + "/?token=" + net::percent_encode(token())};
  auto deaf = net::run<tl::expected<std::unique_ptr<net::WebSocket>, net::ConnectError>>(
      loop_, [&] { return net::connect_websocket(*connector_, request); });
  ASSERT_TRUE(deaf);
  (*deaf)->send(R"({"id":"1","type":"subscribe","topic":"/market/match:BTC-USDT"})");
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
  loop_.advance(1s);
  EXPECT_TRUE(loop_.run_until([&] { return simulator_->played() == kTrades + 1; }));
  EXPECT_GT(log().withheld.at("slow").count(), 1000u);
  EXPECT_EQ(simulator_->connections(), 1u);
  EXPECT_EQ(simulator_->truth().connections[0]->end, "");
}

TEST_F(KucoinTest, TickersAndBestPricesComeAtTheirPace) {
  std::vector<TapeEvent> events;
  for (int i = 0; i < 6; ++i)
    events.push_back({.at = kBegin + i * 20ms, .instrument = 0, .what = level(i * 20ms, "6722" + std::to_string(i))});
  config_.linger = 1s;
  begin(std::move(events));
  Client& tickers = open();
  Client& all = open();
  Client& best = open();
  subscribe(tickers, "/market/ticker:BTC-USDT");
  subscribe(all, "/market/ticker:all");
  subscribe(best, "/spotMarket/level1:BTC-USDT");
  for (Client* client : {&tickers, &all, &best}) arrived(*client, 2);
  play_to_end();
  ASSERT_EQ(tickers.messages.size(), 5u) << "100 ms apart, and the last state is told";
  EXPECT_EQ(tickers.messages[2],
            R"({"topic":"/market/ticker:BTC-USDT","type":"message","subject":"trade.ticker","data":{)"
            R"("sequence":"14691455768","price":"67220","size":"0.00004316","bestAsk":"67218.7",)"
            R"("bestAskSize":"1.92318539","bestBid":"67218.6","bestBidSize":"0.01045638","time":1729843222000}})");
  EXPECT_THAT(tickers.messages[3], HasSubstr(R"("price":"67224")"));
  EXPECT_THAT(tickers.messages[4], HasSubstr(R"("price":"67225")"));
  EXPECT_THAT(all.messages[2], HasSubstr(R"({"topic":"/market/ticker:all","type":"message","subject":"BTC-USDT",)"));
  EXPECT_EQ(best.messages.size(), 8u) << "10 ms apart";
  EXPECT_EQ(best.messages[2],
            R"({"topic":"/spotMarket/level1:BTC-USDT","type":"message","subject":"level1","data":{)"
            R"("asks":["67218.7","1.92318539"],"bids":["67218.6","0.01045638"],"timestamp":1729843222000}})");
}

TEST_F(KucoinTest, CandlesAreToldOnceASecondAndEmptyOnesWithTheNext) {
  std::vector<TapeEvent> events;
  const auto at = [&](Duration when, std::uint64_t id, const std::string& price) {
    events.push_back({.at = kBegin + when, .instrument = 0, .what = deal(id, when, price, "2")});
  };
  at(0s, 1, "10.5");
  at(10s, 2, "10.25");
  at(170s, 3, "11");  // 1729843222 is 22 s into a minute: two minutes are quiet
  config_.linger = 10s;
  begin(std::move(events));
  Client& client = open();
  subscribe(client, "/market/candles:BTC-USDT_1min");
  for (int i = 0; i < 173; ++i) {
    loop_.advance(1s);
    net::settle(loop_, 1ms);
    if (i % 20 == 0) send(client, R"({"id":"p","type":"ping"})");
  }
  std::vector<std::string> candles;
  for (const std::string& message : client.messages)
    if (message.find("candles") != std::string::npos) candles.push_back(message);
  ASSERT_EQ(candles.size(), 5u);
  EXPECT_THAT(candles[0], HasSubstr(R"("subject":"trade.candles.add","data":{"symbol":"BTC-USDT","candles":)"
                                    R"(["1729843200","10.5","10.5","10.5","10.5","2","21"])"));
  EXPECT_THAT(candles[1], HasSubstr(R"("subject":"trade.candles.update")"));
  EXPECT_THAT(candles[1], HasSubstr(R"(["1729843200","10.5","10.25","10.5","10.25","4","41.5"])"));
  EXPECT_THAT(candles[2], HasSubstr(R"(["1729843260","10.25","10.25","10.25","10.25","0","0"])"));
  EXPECT_THAT(candles[3], HasSubstr(R"(["1729843320","10.25","10.25","10.25","10.25","0","0"])"));
  EXPECT_THAT(candles[4], HasSubstr(R"(["1729843380","11","11","11","11","2","22"])"));
}

TEST_F(KucoinTest, RestTellsWhatHasHappened) {
  auto events = trades(120);
  events.push_back({.at = events.back().at, .instrument = 0, .what = level(11900ms, "67523")});
  config_.linger = 10s;
  begin(std::move(events));
  EXPECT_EQ(get("/api/v1/timestamp").body, R"({"code":"200000","data":1729843222000})");
  EXPECT_EQ(get("/api/v1/nothing").body, R"({"code":"404000","msg":"Url Not Found"})");
  EXPECT_EQ(get("/api/v1/market/histories?symbol=BTC-USDT").body, R"({"code":"200000","data":[]})");
  EXPECT_EQ(get("/api/v1/market/histories?symbol=X-Y").body, R"({"code":"900001","msg":"symbol not exists"})");
  EXPECT_EQ(get("/api/v1/market/histories").status, 400);
  Client& client = open();
  subscribe(client, "/market/match:BTC-USDT");
  for (int i = 0; i < 12; ++i) {
    loop_.advance(1s);
    net::settle(loop_, 1ms);
  }
  arrived(client, 122);
  const std::string last = get("/api/v1/market/histories?symbol=BTC-USDT").body;
  EXPECT_THAT(last, testing::StartsWith(R"({"code":"200000","data":[{"sequence":"160","price":"67523","size":"0.003",)"
                                        R"("side":"buy","time":1729843224000000000},{"sequence":"163",)"))
      << "the last hundred, oldest first";
  EXPECT_THAT(last, HasSubstr(R"("sequence":"457")"));
  EXPECT_EQ(get("/api/v1/market/candles?symbol=BTC-USDT&type=1min&startAt=1729843200&endAt=1729843260").body,
            R"({"code":"200000","data":[["1729843200","67523","67523","67523","67523","0.36","24308.28"]]})");
  EXPECT_THAT(get("/api/v1/market/allTickers").body,
              HasSubstr(R"({"symbol":"BTC-USDT","symbolName":"BTC-USDT","buy":"67218.6","bestBidSize":"0.01045638",)"
                        R"("sell":"67218.7","bestAskSize":"1.92318539","changeRate":"0","changePrice":"0",)"
                        R"("high":"67523","low":"67523","vol":"0.36","volValue":"24308.28","last":"67523",)"
                        R"("averagePrice":"67523",)"));
  EXPECT_THAT(get("/api/v1/market/allTickers").body,
              HasSubstr(R"({"symbol":"ETH-USDT","symbolName":"ETH-USDT","buy":null,)"));
  EXPECT_EQ(get("/api/v1/market/orderbook/level1?symbol=ETH-USDT").body, R"({"code":"200000","data":null})");
  EXPECT_THAT(get("/api/v2/symbols").body, HasSubstr(R"("priceIncrement":"0.1",)"));
  EXPECT_THAT(get("/api/v2/symbols/ETH-USDT").body, HasSubstr(R"("data":{"symbol":"ETH-USDT","name":"ETH-USDT",)"));
  play_to_end();
  EXPECT_THAT(simulator_->truth_json(), HasSubstr(R"("rest_trades":[[160,160],[163,163],)"));
}

TEST_F(KucoinTest, RestIsLimitedByWeightInWindows) {
  own().weight = 7;
  begin(10);
  EXPECT_EQ(get("/api/v1/timestamp").headers.get("gw-ratelimit-remaining"), "4");
  loop_.advance(10s);
  EXPECT_EQ(get("/api/v1/timestamp").headers.get("gw-ratelimit-remaining"), "1");
  const auto refused = get("/api/v1/timestamp");
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr(R"({"code":"429000","msg":)"));
  EXPECT_EQ(refused.headers.get("gw-ratelimit-remaining"), "0");
  EXPECT_EQ(refused.headers.get("gw-ratelimit-reset"), "20000");
  loop_.advance(20s);
  EXPECT_EQ(get("/api/v1/timestamp").status, 200);
}

// ---- faults

TEST_F(KucoinTest, WhatIsDroppedIsTheTruthsAlone) {
  fault("drop,after=1,count=2,streams=/market/match:*");
  begin(5);
  Client& client = open();
  subscribe(client, "/market/match:BTC-USDT");
  arrived(client, 3);
  play_to_end();
  EXPECT_EQ(log().sent.ranges(), (Ranges{{100, 100}, {109, 109}, {112, 112}}));
  EXPECT_EQ(log().withheld.at("drop").ranges(), (Ranges{{103, 103}, {106, 106}}));
  EXPECT_EQ(client.messages.size(), 5u);
}

TEST_F(KucoinTest, TokensWelcomesAndAcksGoWrong) {
  fault("token,connection=1");
  fault("token,how=expired,connection=2");
  fault("welcome,connection=3");
  fault("welcome,how=late,by=300ms,connection=4");
  fault("ack,how=wrong_id,after=0,connection=5");
  fault("ack,how=none,after=1,connection=5");
  fault("ack,how=refuse,after=2,connection=5");
  begin(50);
  EXPECT_THAT(open("a").messages[0], HasSubstr("token is invalid"));
  EXPECT_THAT(open("b").messages[0], HasSubstr("token is expired"));
  Client& third = connect("/?token=" + net::percent_encode(token()));
  Client& fourth = connect("/?token=" + net::percent_encode(token()) + "&connectId=d");
  Client& fifth = open("e");
  subscribe(fifth, "/market/level2:BTC-USDT", "1");
  arrived(fifth, 2);
  EXPECT_EQ(fifth.messages[1], R"({"id":"987654321","type":"ack"})");
  subscribe(fifth, "/market/ticker:ETH-USDT", "2");
  subscribe(fifth, "/market/match:BTC-USDT", "3");
  arrived(fifth, 3);
  EXPECT_EQ(fifth.messages[2],
            R"({"id":"3","type":"error","code":404,"data":"topic /market/match:BTC-USDT is not found"})");
  EXPECT_TRUE(fourth.messages.empty());
  for (int i = 0; i < 5; ++i) {
    loop_.advance(100ms);
    net::settle(loop_, 2ms);
  }
  arrived(fourth, 1);
  EXPECT_EQ(fourth.messages[0], R"({"id":"d","type":"welcome"})");
  EXPECT_TRUE(third.messages.empty());
  EXPECT_EQ(fifth.messages.size(), 3u);
}

TEST_F(KucoinTest, AStallHoldsPongsToo) {
  fault("stall,at=200ms,for=500ms");
  begin(20);
  Client& client = open();
  subscribe(client, "/market/match:BTC-USDT");
  arrived(client, 3);
  loop_.advance(300ms);
  net::settle(loop_, 2ms);
  send(client, R"({"id":"p","type":"ping"})");
  heard(0, 2);
  net::settle(loop_, 2ms);
  EXPECT_THAT(client.messages, Not(Contains(HasSubstr("pong"))));
  loop_.advance(400ms);
  EXPECT_TRUE(loop_.run_until([&] { return testing::Matches(Contains(HasSubstr("pong")))(client.messages); }));
}

TEST_F(KucoinTest, RestGoesWrongInSeveralWays) {
  struct Case {
    std::string fault, body;
    int status;
  };
  for (const Case& c : {Case{"refuse,how=empty,path=*histories", "", 200},
                        Case{"refuse,how=truncate,path=*histories",
                             R"({"code":"200000","data":[{"sequence":"100","price":"67523",)", 200},
                        Case{"refuse,how=reversed,path=*histories", R"("sequence":"103")", 200},
                        Case{"refuse,how=repeated,path=*histories", R"(1729843222000000000},{"sequence":"100")", 200},
                        Case{"refuse,how=html,path=*histories", "<html>", 200},
                        Case{"refuse,status=403,path=*histories", "<html>", 403},
                        Case{"refuse,status=429,path=*histories", R"({"code":"429000")", 429}}) {
    finish();
    fault(c.fault);
    config_.linger = 10s;
    begin(2);
    Client& client = open();
    subscribe(client, "/market/match:BTC-USDT");
    arrived(client, 3);
    loop_.advance(100ms);
    arrived(client, 4);
    const auto answer = get("/api/v1/market/histories?symbol=BTC-USDT");
    EXPECT_EQ(answer.status, c.status) << c.fault;
    EXPECT_THAT(answer.body, HasSubstr(c.body)) << c.fault;
    if (c.fault.find("reversed") != std::string::npos) {
      EXPECT_LT(answer.body.find("\"103\""), answer.body.find("\"100\""));
    }
    EXPECT_EQ(answer.headers.find("gw-ratelimit-limit").has_value(), c.status == 200 && c.body != "<html>") << c.fault;
  }
}

TEST_F(KucoinTest, AnErrorOutOfNothing) {
  fault("error,at=100ms,status=401");
  begin(5);
  Client& client = open();
  subscribe(client, "/market/match:BTC-USDT");
  arrived(client, 3);
  play_to_end();
  EXPECT_THAT(client.messages, Contains(R"({"id":"me","type":"error","code":401,"data":"token is expired"})"));
}

}  // namespace
}  // namespace truetape::sim
