// The simulator over real sockets on loopback; time is manual.
#include <unistd.h>

#include "sim/testing.h"

namespace truetape::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Ranges = std::vector<IdRanges::Range>;

TEST_F(SimulatorTest, TheTapeWaitsForASubscriberAndKeepsItsPace) {
  start(5);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000040000})");
  loop_.advance(10s);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000040000})") << "nobody has subscribed";
  Client& client = subscribed("/stream?streams=ausdt@trade");
  arrived(client, 1);
  loop_.advance(100ms);
  arrived(client, 2);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000040100})");
  EXPECT_EQ(
      client.messages[1],
      R"({"stream":"ausdt@trade","data":{"e":"trade","E":1700000040100,"s":"AUSDT","t":2,"p":"1.00000000","q":"1.00000000","T":1700000040100,"m":false,"M":true}})");
  play_to_end();
  EXPECT_EQ(client.ids(), (std::vector<int>{1, 2, 3, 4, 5}));
  over(client);
  EXPECT_EQ(client.socket->end()->code, 1001);
  EXPECT_EQ(simulator_->truth().ended, "end of tape");
  EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 5}}));
  EXPECT_TRUE(log().counts.empty());
}

TEST_F(SimulatorTest, ALeadIsSilenceBeforeTheTape) {
  start(5);
  finish();
  config_.lead = 2s;
  simulator_ = std::make_unique<Simulator>(
      loop_, config_, std::make_unique<HandTape>(Product::spot, std::vector<std::string>{"AUSDT"}, 5u));
  ASSERT_TRUE(simulator_->listen());
  loop_.spawn([this]() -> net::awaitable<void> { co_await simulator_->run(); });
  Client& client = subscribed("/ws/ausdt@trade");
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000038000})");
  loop_.advance(1999ms);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000039999})");
  EXPECT_EQ(simulator_->played(), 0u);
  loop_.advance(2ms);
  arrived(client, 1);
}

TEST_F(SimulatorTest, TheTapeIsMovedToNow) {
  config_.begin_now = 5min;
  start(3);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1767225900000})") << "our clock and five minutes";
  loop_.advance(7s);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1767225907000})") << "it never stands still";
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(100ms);
  arrived(client, 2);
  EXPECT_THAT(client.messages[1], HasSubstr(R"("E":1767225907100,"s":"AUSDT","t":2,)"));
  EXPECT_THAT(client.messages[1], HasSubstr(R"("T":1767225907100)"));
}

TEST_F(SimulatorTest, SpeedMakesTheVenuesClockFaster) {
  config_.speed = 10;
  start(50);
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(100ms);
  arrived(client, 11);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000041000})");
  EXPECT_EQ(client.messages.size(), 11u);
}

TEST_F(SimulatorTest, UnthrottledTheClientsSetThePace) {
  config_.speed = 0;
  start(20'000);
  Client& client = subscribed("/ws/ausdt@trade");
  arrived(client, 20'000);
  EXPECT_EQ(client.ids().back(), 20'000);
  play_to_end();
  EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 20'000}}));
}

TEST_F(SimulatorTest, SubscriptionsChangeWhileItPlays) {
  start(60, Product::spot, {"AUSDT", "BUSDT"});
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(350ms);
  arrived(client, 2);
  send(client, R"({"method":"SUBSCRIBE","params":["busdt@trade","nosuch@trade"],"id":1})");
  arrived(client, 3);
  EXPECT_EQ(client.messages[2], R"({"result":null,"id":1})");
  loop_.advance(200ms);
  arrived(client, 5);
  send(client, R"({"method":"UNSUBSCRIBE","params":["ausdt@trade"],"id":2})");
  arrived(client, 6);
  send(client, R"({"method":"LIST_SUBSCRIPTIONS","id":3})");
  arrived(client, 7);
  EXPECT_EQ(client.messages[6], R"({"result":["busdt@trade","nosuch@trade"],"id":3})");
  loop_.advance(400ms);
  arrived(client, 9);
  EXPECT_EQ(client.ids(), (std::vector<int>{1, 2, 0, 3, 3, 0, 0, 4, 5}));
  send(client, R"({"method":"SET_PROPERTY","params":["combined",true],"id":4})");
  arrived(client, 10);
  loop_.advance(200ms);
  arrived(client, 11);
  EXPECT_THAT(client.messages[10], StartsWith(R"({"stream":"busdt@trade","data":{"e":"trade")"));
  EXPECT_EQ(log(0, 0).subscribed.size(), 1u);
  EXPECT_TRUE(log(0, 0).subscribed[0].second);
  EXPECT_EQ(log(0, 2).name, "nosuch@trade");
  EXPECT_EQ(log(0, 2).messages, 0u);
}

TEST_F(SimulatorTest, FuturesOnTheWrongPathAreAckedAndSilent) {
  start(10, Product::usdm);
  Client& open = subscribed("/public/stream?streams=ausdt@trade/ausdt@aggTrade");
  Client& market = connect("/market/ws");
  send(market, R"({"method":"SUBSCRIBE","params":["ausdt@trade","ausdt@aggTrade"],"id":1})");
  arrived(market, 1);
  EXPECT_EQ(market.messages[0], R"({"result":null,"id":1})");
  loop_.advance(500ms);
  arrived(open, 6);
  arrived(market, 6);
  for (const std::string& message : open.messages) EXPECT_THAT(message, HasSubstr("\"e\":\"trade\""));
  for (std::size_t i = 1; i < market.messages.size(); ++i)
    EXPECT_THAT(market.messages[i], HasSubstr("\"e\":\"aggTrade\""));
}

TEST_F(SimulatorTest, AStreamThatGivesNothingBeginsTheTapeToo) {
  start(10);
  Client& client = subscribed("/ws/nosuch@trade");
  loop_.advance(500ms);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1700000040500})");
  EXPECT_EQ(simulator_->played(), 6u);
  EXPECT_TRUE(client.messages.empty());
}

TEST_F(SimulatorTest, MicrosecondsAreForThoseWhoAsk) {
  start(3);
  Client& micro = subscribed("/stream?streams=ausdt@trade&timeUnit=MICROSECOND");
  Client& milli = connect("/ws/ausdt@trade");
  loop_.advance(100ms);
  arrived(micro, 2);
  arrived(milli, 1);
  EXPECT_THAT(micro.messages[1], HasSubstr("\"T\":1700000040100000"));
  EXPECT_THAT(milli.messages.back(), HasSubstr("\"T\":1700000040100,"));
}

TEST_F(SimulatorTest, KlinesAndTickersComeAtTheirTimes) {
  start(650);
  Client& klines = subscribed("/ws/ausdt@kline_1m");
  Client& tickers = connect("/ws/ausdt@miniTicker");
  for (int i = 0; i < 62; ++i) {
    loop_.advance(1s);
    net::settle(loop_, 1ms);
  }
  arrived(klines, 31);
  EXPECT_EQ(
      klines.messages[29],
      R"({"e":"kline","E":1700000100000,"s":"AUSDT","k":{"t":1700000040000,"T":1700000099999,"s":"AUSDT","i":"1m","f":1,"L":600,"o":"1.00000000","c":"1.00000000","h":"1.00000000","l":"1.00000000","v":"600.00000000","n":600,"x":true,"q":"600.00000000","V":"600.00000000","Q":"600.00000000","B":"0"}})")
      << "closed right after its end";
  EXPECT_THAT(klines.messages[28], HasSubstr(R"("x":false)"));
  EXPECT_THAT(tickers.messages.back(), HasSubstr(R"("e":"24hrMiniTicker")"));
  EXPECT_GE(tickers.messages.size(), 60u);
}

TEST_F(SimulatorTest, ListsOfAllFuturesHoldCoinMarginedOnesToo) {
  start(50, Product::usdm);
  Client& client = subscribed("/market/ws/!miniTicker@arr");
  loop_.advance(2s);
  arrived(client, 2);
  EXPECT_EQ(
      client.messages[1],
      R"([{"e":"24hrMiniTicker","E":1700000041000,"s":"AUSDT","ps":"AUSDT","c":"1.00","o":"1.00","h":"1.00","l":"1.00","v":"10.00","q":"10.0000","st":1},{"e":"24hrMiniTicker","E":1700000041000,"s":"BTCUSD_PERP","ps":"BTCUSD","c":"61801.0","o":"61800.0","h":"62000.0","l":"61700.0","v":"5000","q":"8.09061242","st":2}])");
}

// ---- the venue's own rules

TEST_F(SimulatorTest, ItPingsAndEndsWhatDoesNotAnswer) {
  limits().ping_every = 20s;
  start(2000);
  Client& client = subscribed("/ws/nosuch@trade/ausdt@miniTicker");
  for (std::uint64_t i = 1; i <= 5; ++i) {
    loop_.advance(20s);
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections[0]->pongs == i; }));
  }
  EXPECT_EQ(client.socket->stats().pings_received, 5u);
  EXPECT_FALSE(client.over);

  // One that never reads never answers.
  const net::WebSocketRequest request{.url = simulator_->websocket_url() + "/ws"};
  auto deaf = net::run<tl::expected<std::unique_ptr<net::WebSocket>, net::ConnectError>>(
      loop_, [&] { return net::connect_websocket(*connector_, request); });
  ASSERT_TRUE(deaf);
  ASSERT_TRUE(loop_.run_until([&] { return simulator_->connections() == 2; }));
  for (std::uint64_t i = 6; i <= 9; ++i) {
    loop_.advance(20s);
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections[0]->pongs == i; }));
  }
  EXPECT_EQ(simulator_->truth().connections[1]->end, "no pong");
  EXPECT_FALSE(client.over);
}

TEST_F(SimulatorTest, MoreMessagesThanAllowedEndTheConnection) {
  start(100);
  Client& polite = subscribed("/ws/ausdt@trade");
  const auto list = [](Client& client) { client.socket->send(R"({"method":"LIST_SUBSCRIPTIONS","id":1})"); };
  for (int i = 0; i < 5; ++i) list(polite);
  arrived(polite, 6);
  loop_.advance(1s);
  arrived(polite, 16);
  for (int i = 0; i < 5; ++i) list(polite);
  arrived(polite, 21);
  EXPECT_FALSE(polite.over);
  list(polite);
  over(polite);
  EXPECT_EQ(polite.socket->end()->code, 1008);
  EXPECT_EQ(polite.socket->end()->reason, "Too many requests");

  Client& pinging = connect("/ws");
  for (int i = 0; i < 6; ++i) pinging.socket->ping("x");
  over(pinging);
  EXPECT_EQ(pinging.socket->end()->code, 1008) << "pings are messages too";
}

TEST_F(SimulatorTest, ALifeEndsWithNoticeWhereItIsGiven) {
  limits().life = 60s;
  limits().life_notice = 10s;
  start(2000);
  Client& client = subscribed("/stream?streams=ausdt@miniTicker");
  loop_.advance(49s);
  net::settle(loop_, 5ms);
  const auto told = [&] {
    return std::ranges::find(client.messages,
                             R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1700000090000}})") !=
           client.messages.end();
  };
  EXPECT_FALSE(told());
  loop_.advance(1s);
  EXPECT_TRUE(loop_.run_until(told));
  EXPECT_FALSE(client.over);
  loop_.advance(10s);
  over(client);
  EXPECT_FALSE(client.socket->end()->clean) << "a bare end of the stream";
  EXPECT_EQ(simulator_->truth().connections[0]->end, "life");
}

TEST_F(SimulatorTest, HandshakesAreRefusedAsTheVenueDoes) {
  limits().connects = 3;
  limits().streams = 2;
  limits().url = 100;
  start(10);
  Client client;
  EXPECT_EQ(try_connect(client, "/nowhere"), 404);
  EXPECT_EQ(try_connect(client, "/stream?timeUnit=year"), 400);
  EXPECT_EQ(try_connect(client, "/stream?streams=a@b/c@d/e@f"), 400);
  EXPECT_EQ(try_connect(client, "/ws/" + std::string(100, 'a')), 414);
  for (int i = 0; i < 3; ++i) connect("/ws");
  EXPECT_EQ(try_connect(client, "/ws"), 429);
  loop_.advance(5min);
  connect("/ws");
}

TEST_F(SimulatorTest, TooManyStreamsAreRefusedAndTheOthersStay) {
  limits().streams = 2;
  start(10);
  Client& client = subscribed("/ws/ausdt@trade");
  arrived(client, 1);
  send(client, R"({"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":5})");
  arrived(client, 2);
  EXPECT_EQ(client.messages[1], R"({"error":{"code":4,"msg":"Too many subscriptions"},"id":5})");
  loop_.advance(100ms);
  arrived(client, 3);
}

TEST_F(SimulatorTest, RestSeesWhatHasHappenedAndCountsWeights) {
  start(50);
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(250ms);
  arrived(client, 3);
  const auto answer = get("/api/v3/historicalTrades?symbol=AUSDT&fromId=2");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      R"([{"id":2,"price":"1.00000000","qty":"1.00000000","quoteQty":"1.00000000","time":1700000040100,"isBuyerMaker":false,"isBestMatch":true},{"id":3,"price":"1.00000000","qty":"1.00000000","quoteQty":"1.00000000","time":1700000040200,"isBuyerMaker":false,"isBestMatch":true}])");
  EXPECT_EQ(answer.headers.get("X-MBX-USED-WEIGHT-1M"), "25");
  EXPECT_EQ(get("/api/v3/time", {{"X-MBX-TIME-UNIT", "microsecond"}}).body, R"({"serverTime":1700000040250000})");
  EXPECT_EQ(get("/api/v3/nothing").status, 404);
  EXPECT_EQ(get("/api/v3/nothing", {{"Accept", "text/html"}}).headers.content_type(), "text/html");
}

TEST_F(SimulatorTest, AListOfAllTradesIsWritten) {
  config_.trades_file = testing::TempDir() + "sim_trades_" + std::to_string(getpid()) + ".csv";
  start(2);
  subscribed("/ws/ausdt@trade");
  play_to_end();
  std::FILE* file = std::fopen(config_.trades_file.c_str(), "rb");
  ASSERT_NE(file, nullptr);
  std::string text(1000, ' ');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_EQ(text,
            "symbol,tape,id,first_id,last_id,time_us,told_us,price,quantity,buyer_is_maker,kind\n"
            "AUSDT,trade,1,1,1,1700000040000000,1700000040000000,1.00000000,1.00000000,false,MARKET\n"
            "AUSDT,trade,2,2,2,1700000040100000,1700000040100000,1.00000000,1.00000000,false,MARKET\n");
}

TEST_F(SimulatorTest, TheTruthIsToldAsJson) {
  fault("drop,after=1");
  start(4);
  subscribed("/ws/ausdt@trade");
  play_to_end();
  EXPECT_EQ(simulator_->truth_json(),
            "{\"format\":1,\"venue\":\"binance\",\"tape\":\"by hand\",\"seed\":1,\"ended\":\"end of tape\","
            "\"from_us\":1700000040000000,\"to_us\":1700000040300000,\"instruments\":[\n"
            "  {\"instrument\":\"binance:AUSDT\",\"symbol\":\"AUSDT\",\"published_trades\":4,\"trades\":[[1,4]],"
            "\"published_aggregates\":4,\"aggregates\":[[50,53]],\"rest_trades\":[],\"rest_aggregates\":[]}],"
            "\"connections\":[\n"
            "  {\"number\":1,\"address\":\"127.0.0.1\",\"path\":\"/ws/ausdt@trade\",\"opened_us\":1700000040000000,"
            "\"closed_us\":1700000040300000,\"end\":\"stopped\",\"received\":0,\"pings\":0,\"pongs\":0,\"streams\":[\n"
            "    {\"stream\":\"ausdt@trade\",\"subscribed_us\":[[1700000040000000,1700000040300000]],\"messages\":3,"
            "\"duplicated\":0,\"reordered\":0,\"delayed\":0,\"sent\":[[1,1],[3,4]],"
            "\"withheld\":{\"drop\":{\"messages\":1,\"ids\":[[2,2]]}}}]}],\"rest\":{},\"faults\":[\n"
            "  {\"fault\":\"drop,after=1\",\"hits\":1}]}\n");
}

}  // namespace
}  // namespace truetape::sim
