// Each fault as a client meets it. The tape has a trade every 100 ms.
#include "sim/testing.h"

namespace truetape::sim {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Ids = std::vector<int>;
using Ranges = std::vector<IdRanges::Range>;

class MisbehaviourTest : public SimulatorTest {
 protected:
  // Plays ten trades to one client.
  Client& play(const std::string& text, std::uint64_t trades = 10) {
    fault(text);
    start(trades);
    Client& client = subscribed("/ws/ausdt@trade");
    play_to_end();
    return client;
  }
};

TEST_F(MisbehaviourTest, Drop) {
  Client& client = play("drop,after=3,count=2");
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 6, 7, 8, 9, 10}));
  EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 3}, {6, 10}}));
  EXPECT_EQ(log().withheld.at("drop").ranges(), (Ranges{{4, 5}}));
  EXPECT_EQ(simulator_->truth().hits[0], 2u);
}

TEST_F(MisbehaviourTest, Duplicate) {
  Client& client = play("duplicate,at=200ms,copies=2");
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(log().duplicated, 2u);
  EXPECT_EQ(log().messages, 12u);
  EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 10}}));
}

TEST_F(MisbehaviourTest, Reorder) {
  Client& client = play("reorder,after=1,distance=3");
  EXPECT_EQ(client.ids(), (Ids{1, 3, 4, 5, 2, 6, 7, 8, 9, 10}));
  EXPECT_EQ(log().reordered, 1u);
}

TEST_F(MisbehaviourTest, WhatIsStillAsideAtTheEndComesThen) {
  Client& client = play("reorder,after=9,distance=3");
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(MisbehaviourTest, DelayKeepsTheOrder) {
  fault("delay,at=200ms,for=200ms,by=1s");
  start(20);
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(1100ms);
  arrived(client, 2);
  net::settle(loop_, 5ms);
  EXPECT_EQ(client.ids(), (Ids{1, 2})) << "later ones wait behind those that are delayed";
  loop_.advance(100ms);
  arrived(client, 3);
  net::settle(loop_, 5ms);
  EXPECT_EQ(client.ids().back(), 3);
  loop_.advance(100ms);
  arrived(client, 14);
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
}

TEST_F(MisbehaviourTest, AStallEndsWithAllThatWaited) {
  fault("stall,at=200ms,for=500ms");
  limits().ping_every = 150ms;
  start(20);
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(650ms);
  arrived(client, 2);
  net::settle(loop_, 5ms);
  EXPECT_EQ(client.ids(), (Ids{1, 2}));
  EXPECT_EQ(client.socket->stats().pings_received, 1u) << "pings are held too";
  loop_.advance(50ms);
  arrived(client, 8);
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(MisbehaviourTest, SilenceIsNotMadeUpFor) {
  Client& client = play("silence,at=200ms,for=300ms");
  EXPECT_EQ(client.ids(), (Ids{1, 2, 6, 7, 8, 9, 10}));
  EXPECT_EQ(log().withheld.at("silence").ranges(), (Ranges{{3, 5}}));
}

TEST_F(MisbehaviourTest, CorruptMessagesAreHarmed) {
  for (const auto& [how, check] : {std::pair{"truncate", 1}, std::pair{"flip", 2}, std::pair{"html", 3}}) {
    finish();
    Client& client = play("corrupt,after=2,how=" + std::string{how}, 4);
    ASSERT_EQ(client.messages.size(), 4u);
    const std::string whole =
        R"({"e":"trade","E":1700000040200,"s":"AUSDT","t":3,"p":"1.00000000","q":"1.00000000","T":1700000040200,"m":false,"M":true})";
    const std::string& got = client.messages[2];
    if (check == 1) {
      EXPECT_LT(got.size(), whole.size());
      EXPECT_EQ(got, whole.substr(0, got.size()));
    }
    if (check == 2) {
      EXPECT_EQ(got.size(), whole.size());
      EXPECT_NE(got, whole);
    }
    if (check == 3) {
      EXPECT_THAT(got, StartsWith("<html>"));
    }
    EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 2}, {4, 4}})) << "what is harmed is not sent";
    EXPECT_EQ(log().withheld.at("corrupt").ranges(), (Ranges{{3, 3}}));
  }
}

TEST_F(MisbehaviourTest, CutsWithAndWithoutManners) {
  struct Case {
    std::string fault;
    int code;
    bool clean;
  };
  for (const Case& c : {Case{"cut,at=250ms", 1006, false}, Case{"cut,after=3,how=reset", 1006, false},
                        Case{"cut,at=250ms,how=close,status=1012", 1012, true}}) {
    finish();
    fault(c.fault);
    start(10);
    Client& client = subscribed("/ws/ausdt@trade");
    for (int i = 0; i < 4; ++i) {
      loop_.advance(100ms);
      net::settle(loop_, 2ms);
    }
    over(client);
    EXPECT_EQ(client.socket->end()->code, c.code) << c.fault;
    EXPECT_EQ(client.socket->end()->clean, c.clean) << c.fault;
    EXPECT_EQ(client.ids(), (Ids{1, 2, 3})) << c.fault;
    EXPECT_EQ(simulator_->truth().connections[0]->end, "cut");
    EXPECT_EQ(log().sent.ranges(), (Ranges{{1, 3}}));
  }
}

TEST_F(MisbehaviourTest, AHalfOpenConnectionIsSilentInAllWays) {
  fault("half_open,at=250ms");
  limits().ping_every = 1s;
  limits().pong_within = 2s;
  start(100);
  client_config_.idle_timeout = 0s;
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(250ms);
  arrived(client, 3);
  client.socket->ping("are you there");
  loop_.advance(5s);
  net::settle(loop_, 10ms);
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3}));
  EXPECT_FALSE(client.over);
  EXPECT_EQ(client.socket->stats().pings_received, 0u);
  Client& other = connect("/ws/ausdt@trade");
  loop_.advance(100ms);
  arrived(other, 1);
  play_to_end();
  EXPECT_EQ(log().withheld.at("half_open").ranges(), (Ranges{{4, 100}}));
}

TEST_F(MisbehaviourTest, OneOfTwoConnectionsIsMeant) {
  fault("drop,connection=2");
  start(5);
  Client& first = subscribed("/ws/ausdt@trade");
  Client& second = connect("/ws/ausdt@trade");
  play_to_end();
  EXPECT_EQ(first.ids(), (Ids{1, 2, 3, 4, 5}));
  EXPECT_EQ(second.ids(), Ids{});
}

TEST_F(MisbehaviourTest, OneOfTwoStreamsIsMeant) {
  fault("drop,streams=*@aggTrade");
  start(5);
  Client& client = subscribed("/ws/ausdt@trade/ausdt@aggTrade");
  play_to_end();
  EXPECT_EQ(client.ids(), (Ids{1, 2, 3, 4, 5}));
  EXPECT_EQ(log(0, 1).withheld.at("drop").ranges(), (Ranges{{50, 54}}));
}

TEST_F(MisbehaviourTest, AcksGoWrong) {
  fault("ack,how=none,after=0");
  fault("ack,how=wrong_id,after=1");
  fault("ack,how=refuse,after=2");
  fault("ack,how=late,by=300ms,after=3");
  start(100);
  Client& client = subscribed("/ws/ausdt@miniTicker");
  const auto ask = [&](int id, const std::string& stream) {
    send(client, R"({"method":"SUBSCRIBE","params":[")" + stream + R"("],"id":)" + std::to_string(id) + "}");
    heard(0, static_cast<std::uint64_t>(id));
    net::settle(loop_, 5ms);
  };
  ask(1, "x@trade");
  EXPECT_EQ(client.messages.size(), 0u);
  ask(2, "y@trade");
  arrived(client, 1);
  EXPECT_EQ(client.messages[0], R"({"result":null,"id":987654321})");
  ask(3, "ausdt@trade");
  arrived(client, 2);
  EXPECT_EQ(client.messages[1], R"({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3})");
  loop_.advance(200ms);
  ask(4, "z@trade");
  EXPECT_EQ(client.messages.size(), 2u) << "and the stream that was refused gives nothing";
  loop_.advance(300ms);
  arrived(client, 3);
  EXPECT_EQ(client.messages[2], R"({"result":null,"id":4})");
}

TEST_F(MisbehaviourTest, OversizeFloodAndShutdown) {
  fault("oversize,at=100ms,size=3000");
  fault("ping_flood,at=200ms,count=50");
  fault("shutdown,at=300ms,by=100ms");
  start(10);
  Client& client = subscribed("/ws/ausdt@trade");
  for (int i = 0; i < 4; ++i) {
    loop_.advance(100ms);
    net::settle(loop_, 5ms);
  }
  over(client);
  ASSERT_GE(client.messages.size(), 5u);
  EXPECT_GT(client.messages[1].size(), 3000u);
  EXPECT_EQ(client.socket->stats().pings_received, 50u);
  EXPECT_THAT(client.messages, testing::Contains(R"({"e":"serverShutdown","E":1700000040300})"));
}

TEST_F(MisbehaviourTest, TheClockIsWrongForAWhile) {
  fault("skew,at=200ms,for=200ms,by=-5m");
  start(10);
  Client& client = subscribed("/ws/ausdt@trade");
  loop_.advance(250ms);
  EXPECT_EQ(get("/api/v3/time").body, R"({"serverTime":1699999740250})");
  play_to_end();
  EXPECT_THAT(client.messages[1], HasSubstr(R"("E":1700000040100,)"));
  EXPECT_THAT(client.messages[2], HasSubstr(R"("E":1699999740200,)"));
  EXPECT_THAT(client.messages[2], HasSubstr(R"("T":1700000040200,)"));
  EXPECT_THAT(client.messages[4], HasSubstr(R"("E":1700000040400,)"));
}

TEST_F(MisbehaviourTest, RestIsRefused) {
  struct Case {
    std::string fault;
    int status;
    std::string body;
  };
  for (const Case& c :
       {Case{"refuse,path=*time", 503, "-1008"}, Case{"refuse,status=451", 451, "\"code\":0"},
        Case{"refuse,status=429", 429, "-1003"}, Case{"refuse,how=html", 200, "<html>"},
        Case{"refuse,status=403", 403, "<html>"}, Case{"refuse,how=cut", 0, ""}, Case{"refuse,how=reset", 0, ""},
        Case{"refuse,path=*klines", 200, "serverTime"}, Case{"refuse,how=handshake", 200, "serverTime"}}) {
    finish();
    fault(c.fault);
    start(10);
    const auto answer = get("/api/v3/time");
    EXPECT_EQ(answer.status, c.status) << c.fault;
    EXPECT_THAT(answer.body, HasSubstr(c.body)) << c.fault;
  }
}

TEST_F(MisbehaviourTest, HandshakesAreRefusedTwice) {
  fault("refuse,how=handshake,count=2,at=0s,status=451");
  start(10);
  Client client;
  EXPECT_EQ(try_connect(client, "/ws"), 451);
  EXPECT_EQ(try_connect(client, "/ws"), 451);
  connect("/ws");
}

TEST_F(MisbehaviourTest, AnswersAndTheDatabaseLag) {
  fault("lag,by=2s,path=*time");
  fault("lag,how=database,by=300ms,path=*Trades");
  start(50);
  subscribed("/ws/ausdt@trade");
  loop_.advance(1s);
  EXPECT_THAT(get("/api/v3/historicalTrades?symbol=AUSDT&limit=1").body, HasSubstr("\"id\":8,"));
  std::string body;
  loop_.spawn([&]() -> net::awaitable<void> {
    const net::HttpRequest request{.url = simulator_->rest_url() + "/api/v3/time"};
    const auto answer = co_await http_->send(request);
    body = answer ? answer->body : answer.error().detail;
  });
  net::settle(loop_, 20ms);
  loop_.advance(1999ms);
  net::settle(loop_, 5ms);
  EXPECT_EQ(body, "");
  loop_.advance(1ms);
  EXPECT_TRUE(loop_.run_until([&] { return !body.empty(); }));
  EXPECT_EQ(body, R"({"serverTime":1700000043000})");
}

TEST_F(MisbehaviourTest, TheSameSeedIsTheSameDay) {
  std::vector<Ids> days;
  for (const std::uint64_t seed : {1u, 1u, 2u}) {
    finish();
    config_.scenario.seed = seed;
    fault("drop,rate=0.1");
    fault("duplicate,rate=0.1");
    fault("reorder,rate=0.1,distance=2");
    days.push_back(play("corrupt,rate=0.05,how=html", 100).ids());
  }
  EXPECT_EQ(days[0], days[1]);
  EXPECT_NE(days[0], days[2]);
}

}  // namespace
}  // namespace truetape::sim
