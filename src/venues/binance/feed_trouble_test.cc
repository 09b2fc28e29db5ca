// The feed against a venue, a network and a log in trouble: a clear reaction, and nothing dropped on our side.
#include "net/http_date.h"
#include "venues/binance/feed_testing.h"

namespace truetape::binance {
namespace {

using State = ConnectionStatus::State;
using Level = FeedEvent::Level;
const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
const Instrument kEth = *Instrument::parse("binance:ETHUSDT");

// ---- answers to subscriptions

TEST_F(FeedTest, AnAnswerForAWrongIdIsNotBelieved) {
  std::optional<std::int64_t> real;
  venue_.asked = [&](Client& client, const Client::Asked& what) {
    real = what.id;
    client.answer(what.id + 1000);
  };
  start({kBtc});
  ASSERT_TRUE(until([&] { return told("a request that was not made (id 1001)", Level::warning) == 1; }));
  pass(2s);
  EXPECT_EQ(feed_->status().connections[0].state, State::subscribing);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 0u);
  EXPECT_TRUE(sink_.of_kind("session").empty());
  venue_.last().answer(*real);
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.clients.size(), 1u);
}

TEST_F(FeedTest, ASubscriptionWithoutAnAnswerIsMadeAgainOverANewConnection) {
  venue_.asked = [](Client&, const Client::Asked&) {};
  start({kBtc});
  ASSERT_TRUE(until([&] { return venue_.clients.size() == 1 && venue_.last().asked.size() == 1; }));
  pass(9s);
  EXPECT_EQ(venue_.clients.size(), 1u);
  venue_.asked = [](Client& client, const Client::Asked& what) { client.answer(what.id); };
  pass(3s);
  EXPECT_EQ(told("no answer to a subscription of btcusdt@trade within 10 s; the next attempt is in", Level::warning),
            1u)
      << all_told();
  ASSERT_EQ(venue_.clients.size(), 2u);
  ASSERT_TRUE(live());
  EXPECT_EQ(told("live again, streams: 1", Level::info), 1u) << all_told();
  pass(10s);
  EXPECT_EQ(told("live again", Level::info), 1u) << all_told();
}

TEST_F(FeedTest, ARefusedMessageIsHalvedUntilTheOneStreamIsFound) {
  for (const bool nested : {false, true}) {
    stop();
    venue_.clients.clear();
    events_.clear();
    ended_ = false;
    venue_.asked = [nested](Client& client, const Client::Asked& what) {
      if (std::ranges::find(what.names, "bad@trade") == what.names.end()) {
        client.streams.insert(what.names.begin(), what.names.end());
        return client.answer(what.id);
      }
      const std::string error = R"("code":2,"msg":"Invalid request: invalid stream")";
      client.socket->send(nested ? R"({"error":{)" + error + R"(},"id":)" + std::to_string(what.id) + "}"
                                 : "{" + error + R"(,"id":)" + std::to_string(what.id) + "}");
    };
    start({kBtc, kEth, spot("BAD"), spot("ADAUSDT"), spot("LTCUSDT"), spot("XRPUSDT"), spot("TRXUSDT")});
    for (int i = 0; i < 10 && told("refuses the stream") == 0; ++i) pass(1s);
    ASSERT_TRUE(live());
    EXPECT_EQ(
        told("the venue refuses the stream bad@trade: Invalid request: invalid stream (code 2); check the symbol's",
             Level::error),
        1u)
        << all_told();
    EXPECT_EQ(venue_.last().streams.size(), 6u);
    EXPECT_EQ(feed_->status().connections[0].streams, 7u);
    EXPECT_EQ(feed_->status().connections[0].confirmed, 6u);
    EXPECT_EQ(venue_.clients.size(), 1u);
    // Not asked for again by the next connection.
    venue_.last().socket->drop();
    ASSERT_TRUE(until([&] { return venue_.last().gone; }));
    pass(2s);
    ASSERT_EQ(venue_.clients.size(), 2u);
    EXPECT_EQ(venue_.last().streams.size(), 6u);
    EXPECT_EQ(told("refuses the stream"), 1u);
  }
}

TEST_F(FeedTest, AVenueThatClosesAfterARefusalIsNotAskedTheSameAgain) {
  venue_.asked = [](Client& client, const Client::Asked& what) {
    if (std::ranges::find(what.names, "bad@trade") == what.names.end()) {
      client.streams.insert(what.names.begin(), what.names.end());
      return client.answer(what.id);
    }
    client.socket->send(R"({"error":{"code":2,"msg":"Invalid request: invalid stream"}})");  // without an id
    client.socket->close(1008, "bad");
  };
  start({kBtc, kEth, spot("BAD"), spot("ADAUSDT")});
  for (int i = 0; i < 30 && told("refuses the stream bad@trade") == 0; ++i) pass(1s);
  EXPECT_EQ(told("refuses the stream bad@trade", Level::error), 1u) << all_told();
  pass(10s);
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"adausdt@trade", "btcusdt@trade", "ethusdt@trade"}));
}

// A listing that is announced may come days later, and connections live nearly a day.
class RefusedStream : public FeedTest {
 protected:
  enum class Does { refuse, close, nothing, give };
  RefusedStream() {
    venue_.asked = [this](Client& client, const Client::Asked& what) {
      const bool bad = std::ranges::find(what.names, "bad@trade") != what.names.end();
      if (!bad || does_ == Does::give) {
        client.streams.insert(what.names.begin(), what.names.end());
        return client.answer(what.id);
      }
      asked_.push_back(what.names);
      if (does_ == Does::nothing) return;
      client.socket->send(R"({"code":2,"msg":"invalid stream","id":)" + std::to_string(what.id) + "}");
      if (does_ == Does::close) client.socket->close(1008, "bad");
    };
  }
  void begin() {
    start({kBtc, kEth, spot("BAD")});
    for (int i = 0; i < 30 && told("refuses the stream bad@trade", Level::error) == 0; ++i) pass(1s);
    pass(5s);
    ASSERT_TRUE(live()) << all_told();
    EXPECT_EQ(feed_->status().connections[0].confirmed, 2u);
    asked_.clear();
  }
  Does does_ = Does::refuse;
  std::vector<std::vector<std::string>> asked_;  // what was not given
};

TEST_F(RefusedStream, IsAskedForAgainBesideTheOthersUntilTheVenueGivesIt) {
  begin();
  for (int i = 0; i < 480; ++i) {
    pass(5s, 5s);
    ASSERT_EQ(feed_->status().connections[0].state, State::live);
  }
  // After 1 to 2 minutes, 2 to 4, 4 to 8, 8 to 16, and then each 15 to 30.
  EXPECT_GE(asked_.size(), 4u);
  EXPECT_LE(asked_.size(), 6u);
  for (const auto& names : asked_) EXPECT_EQ(names, std::vector<std::string>{"bad@trade"});
  EXPECT_EQ(told("refuses the stream"), 1u) << all_told();
  EXPECT_EQ(venue_.clients.size(), 1u);
  const auto open = sessions("open");
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0]["instruments"], "binance:BTCUSDT,binance:ETHUSDT");

  does_ = Does::give;
  const Timestamp listed = loop_.clock().now();
  pass(31min, 5s);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 3u);
  EXPECT_EQ(told("the venue gives the stream bad@trade now, which it had refused", Level::info), 1u) << all_told();
  EXPECT_EQ(sessions("open").size(), 1u) << "the others' session goes on";
  EXPECT_TRUE(sessions("close").empty());
  auto beats = sessions("beat");
  std::erase_if(beats, [](const PutRecord& r) { return r["instruments"].find("BAD") == std::string::npos; });
  ASSERT_FALSE(beats.empty());
  EXPECT_EQ(beats[0]["instruments"], "binance:BAD");
  EXPECT_EQ(beats[0]["session"], open[0]["session"]);
  EXPECT_GE(std::stoll(beats[0]["subscribed"]), to_ns(listed));
  // It is one of the others now.
  venue_.last().socket->drop();
  ASSERT_TRUE(until([&] { return venue_.client(0).gone; }));
  pass(2s);
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().asked[0].names, (std::vector<std::string>{"bad@trade", "btcusdt@trade", "ethusdt@trade"}));
}

TEST_F(RefusedStream, WithoutAnAnswerHarmsNoOther) {
  begin();
  does_ = Does::nothing;
  pass(20min, 5s);
  EXPECT_GE(asked_.size(), 3u);
  EXPECT_EQ(venue_.clients.size(), 1u) << all_told();
  EXPECT_EQ(sessions("open").size(), 1u);
  // What was wanted while it waited goes out when it is given up.
  asked_.clear();
  for (int i = 0; i < 1000 && asked_.empty(); ++i) pass(5s, 5s);
  ASSERT_EQ(asked_.size(), 1u);
  feed_->want({kBtc, kEth, spot("BAD"), spot("ADAUSDT")});
  pass(20s, 1s);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 3u) << all_told();
  does_ = Does::give;
  pass(31min, 5s);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 4u);
}

TEST_F(RefusedStream, OverWhichTheVenueClosesTwiceIsOnlyAskedForByANewConnection) {
  does_ = Does::close;
  begin();
  const std::size_t connections = venue_.clients.size();
  pass(50min, 5s);
  EXPECT_EQ(venue_.clients.size(), connections) << all_told();
  EXPECT_TRUE(asked_.empty());
  // It may have ended for another reason, so it is asked for once more.
  pass(15min, 5s);
  EXPECT_EQ(venue_.clients.size(), connections + 1) << all_told();
  EXPECT_EQ(asked_.size(), 1u);
  pass(2h, 5s);
  EXPECT_EQ(venue_.clients.size(), connections + 1) << all_told();
  EXPECT_EQ(asked_.size(), 1u);
  // An hour later by the next connection, and not by that after it.
  venue_.last().socket->drop();
  pass(20min, 5s);
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.clients.size(), connections + 3) << all_told();
  EXPECT_EQ(asked_, (std::vector<std::vector<std::string>>{{"bad@trade"}, {"bad@trade"}}));
  EXPECT_EQ(told("refuses the stream"), 1u) << all_told();
}

TEST_F(RefusedStream, ThatIsRemovedIsForgottenWhetherThereIsAConnectionOrNot) {
  for (const bool connected : {true, false}) {
    SCOPED_TRACE(connected);
    stop();
    venue_.clients.clear();
    events_.clear();
    ended_ = false;
    does_ = Does::refuse;
    begin();
    does_ = Does::give;
    if (!connected) {
      venue_.last().socket->drop();
      ASSERT_TRUE(until([&] { return feed_->status().connections[0].state == State::waiting; }));
    }
    feed_->want({kBtc, kEth});
    ASSERT_TRUE(until([&] { return feed_->status().connections[0].streams == 2; }));
    feed_->want({kBtc, kEth, spot("BAD")});
    pass(2s);
    ASSERT_EQ(venue_.clients.size(), connected ? 1u : 2u) << all_told();
    EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"bad@trade", "btcusdt@trade", "ethusdt@trade"}));
    EXPECT_EQ(feed_->status().connections[0].confirmed, 3u) << all_told();
    EXPECT_EQ(told("which it had refused"), 0u) << all_told();
  }
}

TEST_F(FeedTest, ARefusalToEndAStreamIsTold) {
  start({kBtc, kEth});
  ASSERT_TRUE(live());
  venue_.asked = [](Client& client, const Client::Asked& what) {
    client.socket->send(R"({"code":2,"msg":"no","id":)" + std::to_string(what.id) + "}");
  };
  feed_->want({kBtc});
  ASSERT_TRUE(until([&] { return told("refused to end ethusdt@trade: no (code 2)", Level::warning) == 1; }));
  EXPECT_TRUE(live());
}

// ---- silence

TEST_F(FeedTest, ConfirmedStreamsThatStaySilentAreTold) {
  config_.best = true;
  start({kBtc, kEth});
  ASSERT_TRUE(live());
  const std::string quote = R"({"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"})";
  venue_.last().send("btcusdt@bookTicker", quote);
  pass(59s);
  EXPECT_TRUE(events_.empty()) << all_told();
  pass(3s);
  EXPECT_EQ(told("none of 2 streams @trade has sent anything in the 60 s since the venue confirmed them at /stream",
                 Level::warning),
            1u)
      << all_told();
  EXPECT_EQ(told("nothing yet of ethusdt@bookTicker", Level::info), 1u);
  pass(120s);
  EXPECT_EQ(events_.size(), 2u) << "once for a connection";
  EXPECT_EQ(venue_.clients.size(), 1u) << "quiet is not dead";
}

TEST_F(FeedTest, SilenceOfWhatIsAddedLaterIsToldToo) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  pass(100s);
  EXPECT_TRUE(events_.empty()) << all_told();
  feed_->want({kBtc, kEth});
  ASSERT_TRUE(until([&] { return venue_.last().streams.size() == 2; }));
  pass(62s);
  EXPECT_EQ(told("nothing yet of ethusdt@trade", Level::info), 1u) << all_told();
}

TEST_F(FeedTest, AStreamOnTheWrongPathOfUsdmIsConfirmedSilentAndTold) {
  // A venue whose streams have moved: what is asked for on /market is confirmed and never comes.
  configure(Product::usdm, {.tape = Tape::agg, .best = false, .ticker = false, .seed = 7});
  start({usdm("BTCUSDT")});
  ASSERT_TRUE(live());
  pass(62s);
  EXPECT_EQ(told("none of 1 streams @aggTrade has sent anything in the 60 s since the venue confirmed them at "
                 "/market/stream: they may be quiet, but a stream that the venue does not have there is confirmed and "
                 "silent too; check the symbols and stream_url (btcusdt@aggTrade)",
                 Level::warning),
            1u)
      << all_told();
}

TEST_F(FeedTest, AHalfOpenConnectionIsNoticedByPings) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(3s);
  ASSERT_TRUE(feed_->status().connections[0].round_trip);
  venue_.deaf = true;  // after this answer; its kernel still takes what we send
  feed_->want({kBtc, kEth});
  ASSERT_TRUE(until([&] { return venue_.last().streams.size() == 2; }));
  pass(14s);
  EXPECT_EQ(told("no answer to a ping within 10 s: the connection is half open", Level::warning), 1u) << all_told();
  EXPECT_EQ(sessions("close").size(), 1u);
  const auto witness = std::stoll(sessions("close")[0]["witness"]);
  EXPECT_LE(witness, to_ns(kStart + 4s)) << "nothing was proved meanwhile";
}

TEST_F(FeedTest, ABusyConnectionThatBecomesHalfOpenIsNoticedToo) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 10; ++i) {
    venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", i));
    pass(500ms, 500ms);
  }
  venue_.deaf = true;
  feed_->want({kBtc, kEth});
  ASSERT_TRUE(until([&] { return venue_.last().streams.size() == 2; }));
  pass(13s);
  EXPECT_EQ(told("no answer to a ping within 10 s: the connection is half open", Level::warning), 1u) << all_told();
}

TEST_F(FeedTest, AVenueThatNeverAnswersPingsIsGivenUpByItsSilenceAlone) {
  config_.idle_timeout = 70s;
  venue_.asked = [this](Client& client, const Client::Asked& what) {
    client.answer(what.id);
    venue_.deaf = true;
  };
  start({kBtc});
  ASSERT_TRUE(live());
  pass(69s);
  EXPECT_EQ(told("does not answer pings", Level::info), 1u);
  EXPECT_EQ(told("the next attempt"), 0u) << all_told();
  pass(3s);
  EXPECT_EQ(told("nothing came for 70 s", Level::warning), 1u) << all_told();
}

TEST_F(FeedTest, AnUnansweredFirstPingIsNotTheLast) {
  venue_.asked = [this](Client& client, const Client::Asked& what) {
    client.answer(what.id);
    venue_.deaf = true;
  };
  start({kBtc});
  ASSERT_TRUE(live());
  for (int s = 0; s < 20; ++s) pass(1s);
  EXPECT_EQ(told("does not answer pings", Level::info), 1u);
  EXPECT_FALSE(feed_->status().connections[0].round_trip);
  venue_.deaf = false;
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  pass(65s);
  EXPECT_TRUE(feed_->status().connections[0].round_trip) << all_told();
  EXPECT_EQ(told("does not answer pings", Level::info), 1u);
  EXPECT_EQ(venue_.clients.size(), 1u);
}

// ---- cuts, refusals, floods

TEST_F(FeedTest, AfterACutItConnectsAnewWithGrowingJitteredWaits) {
  config_.backoff = {1s, 8s, 2};
  start({kBtc});
  ASSERT_TRUE(live());
  pass(2s);
  venue_.refuse = [](const net::ServerRequest&) { return net::text_answer(503, "text/plain", "later"); };
  const Timestamp cut = venue_.now();
  venue_.last().socket->drop(true);
  for (int i = 0; i < 600; ++i) pass(50ms, 50ms);
  const auto& at = venue_.attempts;
  ASSERT_GE(at.size(), 5u);
  const std::array<Nanoseconds, 5> most{1s, 2s, 4s, 8s, 8s};
  Timestamp before = cut;
  for (std::size_t i = 1; i < std::min<std::size_t>(at.size(), 6); ++i) {
    EXPECT_GE(at[i] - before, most[i - 1] / 2) << i;
    EXPECT_LE(at[i] - before, most[i - 1] + 200ms) << i;
    before = at[i];
  }
  EXPECT_EQ(feed_->status().connections[0].state, State::waiting);
  EXPECT_FALSE(feed_->status().connections[0].trouble.empty());
  EXPECT_GT(feed_->status().connections[0].next_attempt, clock_.now());
  ASSERT_EQ(sessions("close").size(), 1u) << "of what was";
  venue_.refuse = nullptr;
  pass(9s);
  ASSERT_TRUE(live());
  EXPECT_EQ(feed_->status().connections[0].trouble, "");
  EXPECT_FALSE(feed_->status().connections[0].next_attempt);
  pass(1s);
  ASSERT_EQ(sessions("open").size(), 2u);
  EXPECT_NE(sessions("open")[0]["session"], sessions("open")[1]["session"]);
  EXPECT_GT(std::stoll(sessions("open")[1]["subscribed"]), std::stoll(sessions("close")[0]["witness"])) << "a break";
}

TEST_F(FeedTest, AVenueThatAcceptsAndDropsIsNotHammered) {
  config_.backoff = {1s, 1min, 2};
  venue_.asked = [](Client& client, const Client::Asked& what) {
    client.answer(what.id);
    client.socket->close(1008, "Too many requests");
  };
  start({kBtc});
  pass(60s, 250ms);
  EXPECT_GE(venue_.clients.size(), 3u);
  EXPECT_LE(venue_.clients.size(), 8u);
  EXPECT_GE(told("closed by the other side (1008, Too many requests)", Level::warning), 3u) << all_told();
}

TEST_F(FeedTest, AVenueThatSendsAndCutsAgainAndAgainIsNotLeftLongerThanItSent) {
  config_.backoff = {1s, 1min, 2};
  start({kBtc});
  for (std::size_t n = 1; n <= 8; ++n) {
    ASSERT_TRUE(live()) << n;
    ASSERT_EQ(venue_.attempts.size(), n);
    pass(8s);
    const Timestamp cut = venue_.now();
    venue_.last().socket->drop(true);
    for (int i = 0; i < 300 && venue_.attempts.size() == n; ++i) pass(100ms, 100ms);
    ASSERT_EQ(venue_.attempts.size(), n + 1);
    EXPECT_LE(venue_.attempts[n] - cut, cut - venue_.attempts[n - 1] + 200ms) << n;
  }
}

TEST_F(FeedTest, APlaceThatIsRefusedIsToldWhatToDoAndAsksSeldom) {
  struct Case {
    int status;
    std::string says;
  };
  for (const Case& c : {Case{451, "the venue does not serve this place (451)"},
                        Case{403, "a firewall of the venue or of a proxy on the way refuses us (403)"}}) {
    stop();
    venue_.attempts.clear();
    events_.clear();
    ended_ = false;
    venue_.refuse = [&](const net::ServerRequest&) { return net::text_answer(c.status, "application/json", "{}"); };
    start({kBtc});
    pass(25min, 10s);
    EXPECT_GE(told(c.says, Level::error), 2u) << all_told();
    EXPECT_EQ(told("set stream_url and rest_url", Level::error) > 0, c.status == 451);
    EXPECT_GE(venue_.attempts.size(), 2u);
    EXPECT_LE(venue_.attempts.size(), 8u);
    EXPECT_GE(venue_.attempts[1] - venue_.attempts[0], 30s);
  }
}

TEST_F(FeedTest, RetryAfterIsObeyed) {
  venue_.refuse = [](const net::ServerRequest&) {
    auto answer = net::text_answer(429, "text/plain", "slower");
    answer.headers.add("Retry-After", "120");
    return answer;
  };
  start({kBtc});
  ASSERT_TRUE(until([&] { return venue_.attempts.size() == 1; }));
  venue_.refuse = nullptr;
  pass(119s, 7s);
  EXPECT_EQ(venue_.attempts.size(), 1u);
  pass(5s);
  EXPECT_EQ(venue_.attempts.size(), 2u);
  ASSERT_TRUE(live());
}

TEST_F(FeedTest, AttemptsToConnectStayWithinTheVenuesLimit) {
  config_.attempts = 20;  // half of it is ours
  config_.backoff = {1ms, 1ms, 1};
  venue_.refuse = [](const net::ServerRequest&) { return net::text_answer(503, "text/plain", "later"); };
  start({kBtc});
  pass(4min, 1s);
  EXPECT_EQ(venue_.attempts.size(), 10u);
  pass(3min, 1s);
  EXPECT_EQ(venue_.attempts.size(), 20u);
}

TEST_F(FeedTest, NobodyListeningIsToldAndTriedAgain) {
  config_.backoff = {1s, 2s, 2};
  start({kBtc});
  // Another feed to a port where nobody is.
  net::RawServer gone{loop_, [](net::RawPeer&) -> net::awaitable<void> { co_return; }};
  (void)gone;
  auto other = config_;
  other.stream_url = "ws://127.0.0.1:1";
  std::vector<FeedEvent> events;
  auto feed = feeds::make_feed(make_dialect(product_), other,
                               {connector_.get(), &sink_, [&](const FeedEvent& e) { events.push_back(e); }});
  feed->want({kBtc});
  bool ended = false;
  loop_.spawn([&]() -> net::awaitable<void> {
    co_await feed->run();
    ended = true;
  });
  pass(5s);
  ASSERT_GE(events.size(), 2u);
  EXPECT_THAT(events[0].text, HasSubstr("no connection to 127.0.0.1"));
  feed->stop();
  ASSERT_TRUE(until([&] { return ended; })) << "also while it waits";
}

TEST_F(FeedTest, AFrameOverTheLimitEndsTheConnectionAndTheNextGoesOn) {
  config_.most_message = 1000;
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", "\"" + std::string(1000, 'x') + "\"");
  ASSERT_TRUE(until([&] { return told("a message of more than 1000 bytes", Level::warning) == 1; }));
  pass(2s);
  EXPECT_EQ(venue_.clients.size(), 2u);
  ASSERT_TRUE(live());
}

TEST_F(FeedTest, AFloodOfPingsEndsTheConnectionAndTheNextGoesOn) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 200; ++i) venue_.last().socket->ping("x");
  ASSERT_TRUE(until([&] { return told("more than 100 pings in 10 s", Level::warning) == 1; })) << all_told();
  pass(2s);
  EXPECT_EQ(venue_.clients.size(), 2u);
}

// ---- the log in trouble

TEST_F(FeedTest, WithoutRoomNothingIsReadNothingIsDroppedAndNothingIsProved) {
  start({kBtc});
  ASSERT_TRUE(live());
  loop_.advance(1s);
  const std::size_t before = sink_.records.size();
  sink_.set_room(0);
  for (int i = 0; i < 100; ++i) venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", i));
  pass(30s);
  EXPECT_EQ(sink_.records.size(), before);
  EXPECT_TRUE(feed_->status().connections[0].blocked);
  EXPECT_EQ(venue_.clients.size(), 1u) << "time in which we do not read is not held against the venue";
  sink_.set_room(std::nullopt);
  ASSERT_TRUE(frames(101));
  EXPECT_FALSE(feed_->status().connections[0].blocked);
  const auto records = tape();
  ASSERT_EQ(records.size(), 100u);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_THAT(records[i].bytes, HasSubstr("\"t\":" + std::to_string(i) + ","));
    EXPECT_EQ(std::stoll(records[i]["seq"]), std::stoll(records[0]["seq"]) + static_cast<long long>(i));
  }
  EXPECT_TRUE(events_.empty()) << all_told();
}

TEST_F(FeedTest, StopEndsAFeedThatWaitsForRoom) {
  start({kBtc});
  ASSERT_TRUE(live());
  sink_.set_room(0);
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(until([&] { return feed_->status().connections[0].blocked; }));
  feed_->stop();
  sink_.set_room(std::nullopt);  // as the role does
  ASSERT_TRUE(until([&] { return ended_; }));
}

TEST_F(FeedTest, StopEndsAFeedWhoseHandshakeHangs) {
  net::RawServer silent{loop_, [](net::RawPeer& peer) -> net::awaitable<void> { co_await peer.read_to_end(); }};
  config_.stream_url = silent.origin("ws");
  config_.rest_url = "http://" + venue_.address();
  feed_ = feeds::make_feed(make_dialect(product_), config_, {connector_.get(), &sink_, {}});
  feed_->want({kBtc});
  loop_.spawn([this]() -> net::awaitable<void> {
    co_await feed_->run();
    ended_ = true;
  });
  ASSERT_TRUE(until([&] { return silent.accepted == 1; }));
  EXPECT_EQ(feed_->status().connections[0].state, State::connecting);
  feed_->stop();
  pass(11s);
  EXPECT_TRUE(ended_);
}

TEST_F(FeedTest, AfterALossOfTheLogEverySessionBeginsAnewOnTheSameConnection) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(frames(2));
  sink_.lose();
  pass(1s);
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 2));
  ASSERT_TRUE(frames(3));
  pass(1s);
  EXPECT_EQ(venue_.clients.size(), 1u);
  EXPECT_EQ(sessions("close").size(), 0u) << "no last words of what may be lost";
  ASSERT_EQ(sessions("open").size(), 2u);
  EXPECT_NE(sessions("open")[0]["session"], sessions("open")[1]["session"]);
  EXPECT_EQ(tape()[1]["session"], sessions("open")[1]["session"]);
  EXPECT_EQ(sessions("open")[1]["subscribed"], ns(kStart + 1s + 1ms)) << "what came before may be lost";
}

}  // namespace
}  // namespace truetape::binance
