// A venue that lets us in no longer, in the middle: tokens, welcomes and answers that fail once all has been well. What
// is told, what is asked for again, and that no evidence is claimed meanwhile.
#include "venues/kucoin/feed_testing.h"

namespace truetape::kucoin {
namespace {

using Level = FeedEvent::Level;
using State = ConnectionStatus::State;
const Instrument kBtc = *Instrument::parse("kucoin:BTC-USDT");

class TroubleTest : public FeedTest {
 protected:
  // Carried, with a trade and a witness.
  void start_well() {
    start({kBtc});
    ASSERT_TRUE(live());
    trade(101);
    ASSERT_TRUE(soon([this] { return !sessions("beat").empty(); }));
    ASSERT_EQ(sessions("open").size(), 1U);
  }
  void trade(std::uint64_t sequence) {
    const std::size_t have = tape().size();
    venue_.last().socket->send(venue_.trade("BTC-USDT", sequence));
    ASSERT_TRUE(until([&] { return tape().size() == have + 1; }));
  }
  void cut() {
    venue_.last().socket->drop();
    ASSERT_TRUE(until([this] { return !sessions("close").empty(); }));
    ASSERT_TRUE(until([this] { return feed_->status().connections[0].state == State::waiting; }));
  }
  // Between the last word of the first session and now nothing was claimed.
  void expect_silence() {
    const auto all = sink_.of_kind("session");
    ASSERT_EQ(sessions("close").size(), 1U);
    EXPECT_EQ(all.back()["event"], "close");
    EXPECT_EQ(sessions("open").size(), 1U);
    for (const PutRecord& r : all) EXPECT_EQ(r["session"], all.front()["session"]);
  }
  // It goes on under a new session, which counts from the venue's answer on, and not before.
  void expect_new_session(std::uint64_t sequence) {
    ASSERT_TRUE(soon([this] { return is_live() && sessions("open").size() == 2; }, 1200)) << all_told();
    const auto open = sessions("open");
    EXPECT_NE(open[0]["session"], open[1]["session"]);
    EXPECT_EQ(open[1]["instruments"], "kucoin:BTC-USDT");
    ASSERT_EQ(venue_.last().asked.size(), 1U);
    EXPECT_GE(std::stoll(open[1]["subscribed"]), to_ns(venue_.last().asked[0].when));
    trade(sequence);
    EXPECT_EQ(tape().back()["session"], open[1]["session"]);
    EXPECT_EQ(told("live again, streams: 1", Level::info), 1U) << all_told();
  }
};

// ---- tokens

struct TokenTrouble {
  std::string name, body;
  int status;
  Level level;
  std::string told;  // behind the call's address
};
void PrintTo(const TokenTrouble& trouble, std::ostream* out) { *out << trouble.name; }

class TokenTroubles : public TroubleTest, public testing::WithParamInterface<TokenTrouble> {};

INSTANTIATE_TEST_SUITE_P(
    Kucoin, TokenTroubles,
    testing::Values(
        TokenTrouble{"Refused", R"({"code":"400100","msg":"Invalid token request"})", 200, Level::warning,
                     ": the venue refuses it: Invalid token request (code 400100); the next attempt is in "},
        TokenTrouble{"Limited", R"({"code":"429000","msg":"Too many requests"})", 429, Level::warning,
                     ": answered with status 429: {\"code\":\"429000\",\"msg\":\"Too many requests\"}; the next "
                     "attempt is in "},
        TokenTrouble{"Html", "<html>maintenance</html>", 200, Level::warning,
                     ": it is a page in HTML (<html>maintenance</html>), no answer; the next attempt is in "},
        TokenTrouble{"Unavailable", "<html>maintenance</html>", 503, Level::warning,
                     ": answered with status 503: <html>maintenance</html>; the next attempt is in "},
        TokenTrouble{"Truncated", R"({"code":"200000","data":{"token":"2neAi)", 200, Level::warning,
                     ": at byte 39 the JSON ends inside a text; the next attempt is in "},
        TokenTrouble{"WithoutData", R"({"code":"200000","data":null})", 200, Level::warning,
                     ": the answer to the token call has no \"data\"; the next attempt is in "},
        TokenTrouble{"Firewall", "denied", 403, Level::error,
                     ": answered with status 403: denied; a firewall of the venue or of a proxy on the way refuses "
                     "us (403); check rest_url"}),
    [](const auto& tested) { return tested.param.name; });

TEST_P(TokenTroubles, AfterACutNothingIsClaimedUntilThereIsAToken) {
  start_well();
  int calls = 0;
  venue_.token = [&] {
    ++calls;
    return venue_.json_answer(GetParam().body, GetParam().status);
  };
  cut();
  ASSERT_TRUE(soon([&] { return calls == 3; }, 1800)) << all_told();
  pass(1s);
  EXPECT_EQ(told("/api/v1/bullet-public" + GetParam().told, GetParam().level), 3U) << all_told();
  EXPECT_EQ(feed_->status().connections[0].state, State::waiting);
  EXPECT_THAT(feed_->status().connections[0].trouble, HasSubstr("/api/v1/bullet-public"));
  EXPECT_EQ(venue_.clients.size(), 1U) << "no connection is tried with the old token";
  expect_silence();
  venue_.token = [this] { return venue_.token_answer(); };
  expect_new_session(110);
  EXPECT_EQ(venue_.tokens, 2);
  EXPECT_EQ(venue_.clients.size(), 2U);
  EXPECT_NE(venue_.client(0).token, venue_.client(1).token);
}

// The venue ends what it let in, and does not let in again who comes with what has expired: in each way another token.
TEST_F(TroubleTest, ATokenThatExpiresMidWayAndTheNextOneTooEachLeadToANewOne) {
  start_well();
  venue_.greet = [this](Client& client) {
    if (venue_.clients.size() == 2) {
      client.error("660fd6c84d0eab582c237b51", 401, "token is expired");
      client.socket->close(1000, "", true);
    } else {
      client.socket->send(R"({"id":"x","type":"welcome"})");
    }
  };
  venue_.last().error("660fd6c84d0eab582c237b51", 401, "token is expired");
  ASSERT_TRUE(until([this] { return !sessions("close").empty(); })) << all_told();
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && venue_.client(1).gone; })) << all_told();
  expect_silence();
  EXPECT_TRUE(venue_.client(1).asked.empty());
  expect_new_session(110);
  EXPECT_EQ(told("the venue refuses this connection: token is expired (code 401)", Level::warning), 2U) << all_told();
  EXPECT_EQ(venue_.tokens, 3);
  std::set<std::string> used;
  for (const auto& client : venue_.clients) used.insert(client->token);
  EXPECT_EQ(used.size(), 3U) << "one connection, one token";
}

TEST_F(TroubleTest, AHandshakeThatIsRefusedMidWayHasANewTokenEachTime) {
  for (const int status : {401, 403, 502}) {
    stop();
    ended_ = false;
    events_.clear();
    sink_.records.clear();
    venue_.clients.clear();
    venue_.requests.clear();
    venue_.tokens = venue_.refused = 0;
    start_well();
    venue_.refuse = status;
    cut();
    ASSERT_TRUE(soon([this] { return venue_.refused == 3; }, 3600)) << all_told();
    pass(1s);
    EXPECT_EQ(told("answered with status " + std::to_string(status) + " instead of a WebSocket",
                   status == 502 ? Level::warning : Level::error),
              3U)
        << all_told();
    EXPECT_EQ(venue_.tokens, 4) << status;
    expect_silence();
    venue_.refuse = 0;
    expect_new_session(110);
    EXPECT_EQ(venue_.tokens, 5) << status;
  }
}

TEST_F(TroubleTest, ARenewalThatIsRefusedCostsTheOldConnectionNothing) {
  config_.life = 10min;
  config_.life_jitter = 0s;
  start_well();
  int refused = 0;
  venue_.token = [&] {
    ++refused;
    return venue_.json_answer(R"({"code":"400100","msg":"Invalid token request"})");
  };
  pass(11min);
  EXPECT_GE(refused, 3);
  EXPECT_EQ(told("it is near the age at which the venue cuts it: another one takes over first", Level::info), 1U);
  EXPECT_EQ(told("the venue refuses it: Invalid token request (code 400100)"), static_cast<std::size_t>(refused));
  EXPECT_FALSE(venue_.client(0).gone);
  EXPECT_EQ(feed_->status().connections[0].state, State::live);
  EXPECT_TRUE(sessions("close").empty());
  trade(110);
  EXPECT_EQ(tape().back()["session"], sessions("open")[0]["session"]) << "it still takes in";
  venue_.token = [this] { return venue_.token_answer(); };
  ASSERT_TRUE(soon([this] { return sessions("open").size() == 2; }));
  trade(113);
  ASSERT_TRUE(soon([this] { return venue_.client(0).gone; }, 900));
  EXPECT_EQ(venue_.tokens, 2);
  // The new session was open before the old one was closed.
  const auto all = sink_.of_kind("session");
  const auto opened = std::ranges::find_if(all, [&](const PutRecord& r) { return r["session"] != all[0]["session"]; });
  const auto closed = std::ranges::find_if(all, [](const PutRecord& r) { return r["event"] == "close"; });
  ASSERT_NE(opened, all.end());
  ASSERT_NE(closed, all.end());
  EXPECT_LT(opened, closed);
}

// ---- the welcome

TEST_F(TroubleTest, AWelcomeThatDoesNotComeMidWayIsWaitedForAsLongAsIsSet) {
  for (const Nanoseconds timeout : {Nanoseconds{3s}, Nanoseconds{10s}}) {
    stop();
    ended_ = false;
    events_.clear();
    sink_.records.clear();
    venue_.clients.clear();
    venue_.tokens = 0;
    config_.welcome_timeout = timeout;
    venue_.greet = [this](Client& client) {
      if (venue_.clients.size() != 2) client.socket->send(R"({"id":"x","type":"welcome"})");
    };
    start_well();
    cut();
    ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2; }));
    const Timestamp opened = venue_.now();
    ASSERT_TRUE(soon([this] { return venue_.client(1).gone; }));
    EXPECT_GE(venue_.now() - opened, timeout - 1s);
    EXPECT_LE(venue_.now() - opened, timeout + 2s);
    EXPECT_EQ(told("no welcome within " + std::to_string(timeout / 1s) + " s; the next attempt is in ", Level::warning),
              1U)
        << all_told();
    EXPECT_TRUE(venue_.client(1).asked.empty());
    EXPECT_TRUE(venue_.client(1).pings.empty());
    expect_silence();
    expect_new_session(110);
    EXPECT_EQ(venue_.clients.size(), 3U);
    EXPECT_EQ(venue_.tokens, 3);
  }
}

// ---- answers

struct WrongAnswer {
  std::string name, frame, told;
};
void PrintTo(const WrongAnswer& answer, std::ostream* out) { *out << answer.name; }

class WrongAnswers : public TroubleTest, public testing::WithParamInterface<WrongAnswer> {};

INSTANTIATE_TEST_SUITE_P(
    Kucoin, WrongAnswers,
    testing::Values(WrongAnswer{"AnotherId", R"({"id":"999","type":"ack"})",
                                "that was not made (id 999); the answer is not believed"},
                    WrongAnswer{"AnotherNumber", R"({"id":999,"type":"ack"})",
                                "that was not made (id 999); the answer is not believed"},
                    WrongAnswer{"OfTheVenuesMaking", R"({"id":"hQvf8jkno","type":"ack"})",
                                "that was not made; the answer is not believed"},
                    WrongAnswer{"WithoutId", R"({"type":"ack"})", "that was not made; the answer is not believed"},
                    WrongAnswer{"Null", R"({"id":null,"type":"ack"})", "that was not made; the answer is not believed"},
                    WrongAnswer{"Negative", R"({"id":"-1","type":"ack"})",
                                "that was not made; the answer is not believed"},
                    WrongAnswer{"OfAPing", R"({"id":"1000000001","type":"ack"})",
                                "that was not made (id 1000000001); the answer is not believed"},
                    WrongAnswer{"AnError", R"({"id":"999","type":"error","code":404,"data":"no topic"})",
                                "that was not made (id 999): no topic (code 404); the answer is not believed"},
                    WrongAnswer{"APong", R"({"id":"1","type":"pong"})", ""}, WrongAnswer{"Nothing", "", ""}),
    [](const auto& tested) { return tested.param.name; });

TEST_P(WrongAnswers, ConfirmNothingAndTheConnectionIsMadeAnewWhenTheRightOneDoesNotCome) {
  venue_.asked = [this](Client& client, const Client::Asked& what) {
    if (venue_.clients.size() != 2) return client.ack(what.id);
    EXPECT_EQ(what.id, "1");
    if (!GetParam().frame.empty()) client.socket->send(GetParam().frame);
  };
  start_well();
  cut();
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && !venue_.client(1).asked.empty(); }));
  pass(8s);
  EXPECT_FALSE(venue_.client(1).gone);
  EXPECT_EQ(feed_->status().connections[0].state, State::subscribing);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 0U);
  expect_silence();
  expect_new_session(110);
  EXPECT_EQ(venue_.clients.size(), 3U);
  EXPECT_EQ(venue_.tokens, 3);
  EXPECT_EQ(told("no answer to a subscription of /market/match:BTC-USDT within 10 s; the next attempt is in ",
                 Level::warning),
            1U)
      << all_told();
  EXPECT_EQ(told("the venue answered a request", Level::warning), GetParam().told.empty() ? 0U : 1U);
  if (!GetParam().told.empty()) {
    EXPECT_EQ(told("the venue answered a request " + GetParam().told, Level::warning), 1U) << all_told();
  }
}

}  // namespace
}  // namespace truetape::kucoin
