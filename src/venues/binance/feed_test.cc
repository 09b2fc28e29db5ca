// The feed against a venue that behaves: subscriptions, records, evidence, planned changes of connections.
#include "venues/binance/feed_testing.h"

namespace truetape::binance {
namespace {

using State = ConnectionStatus::State;
const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
const Instrument kEth = *Instrument::parse("binance:ETHUSDT");

TEST_F(FeedTest, ConfigThenSessionThenFramesEachOnceWithItsReceiveTime) {
  start({kBtc});
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().target, "/stream");
  ASSERT_EQ(venue_.last().asked.size(), 1u);
  EXPECT_EQ(venue_.last().asked[0].method, "SUBSCRIBE");
  EXPECT_EQ(venue_.last().asked[0].names, std::vector<std::string>{"btcusdt@trade"});
  const std::string first = venue_.trade("BTCUSDT", 101);
  venue_.last().send("btcusdt@trade", first);
  ASSERT_TRUE(frames(2));
  loop_.advance(250ms);
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 102));
  ASSERT_TRUE(frames(3));

  ASSERT_FALSE(sink_.records.empty());
  EXPECT_EQ(sink_.records[0].kind(), "config") << "the tape is fixed before anything else";
  EXPECT_EQ(sink_.records[0]["tape"], "trade");
  EXPECT_EQ(sink_.records[0]["instruments"], "binance:BTCUSDT");

  const auto open = sessions("open");
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0]["instruments"], "binance:BTCUSDT");
  EXPECT_EQ(open[0]["connection"], "binance-1");
  EXPECT_EQ(open[0]["seq"], "1");
  EXPECT_EQ(open[0]["last_seq"], "0");
  EXPECT_EQ(open[0]["witness"], "-") << "nothing was received yet";
  // Answered at kStart; the venue's clock is known to half a millisecond.
  EXPECT_EQ(open[0]["subscribed"], ns(kStart + 500us + 500us));
  EXPECT_EQ(open[0]["clock_offset"], "500000");
  EXPECT_EQ(open[0]["clock_error"], "500000");

  const auto records = tape();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].bytes, R"({"stream":"btcusdt@trade","data":)" + first + "}") << "unchanged";
  EXPECT_EQ(records[0].key, "binance:BTCUSDT");
  EXPECT_EQ(records[0]["instruments"], "binance:BTCUSDT");
  EXPECT_EQ(records[0]["receive_time"], ns(kStart));
  EXPECT_EQ(records[1]["receive_time"], ns(kStart + 250ms));
  EXPECT_EQ(records[0]["session"], open[0]["session"]);
  EXPECT_EQ(records[0]["session"].size(), 32u);
  EXPECT_EQ(records[0]["seq"], "2");
  EXPECT_EQ(records[1]["seq"], "3");
  EXPECT_EQ(records[0]["connection"], "binance-1");
  EXPECT_EQ(records[0]["clock_offset"], "500000");

  const auto answer = sink_.of_kind("frame")[0];
  EXPECT_EQ(answer.bytes, R"({"result":null,"id":1})") << "answers are the venue's bytes too";
  EXPECT_EQ(answer["session"], "-");
  EXPECT_EQ(answer["venue"], "binance");
  EXPECT_EQ(answer.partition, 0);
}

TEST_F(FeedTest, QuotesAreHandedOverAndProveNothingOfTheTape) {
  config_.best = config_.ticker = true;
  start({kBtc});
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().asked[0].names,
            (std::vector<std::string>{"btcusdt@bookTicker", "btcusdt@ticker", "btcusdt@trade"}));
  venue_.last().send("btcusdt@bookTicker", R"({"u":400900217,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"})");
  ASSERT_TRUE(frames(2));
  const auto quote = sink_.of_kind("frame")[1];
  EXPECT_EQ(quote["instruments"], "binance:BTCUSDT");
  EXPECT_EQ(quote["session"], "-");
  EXPECT_EQ(quote["connection"], "binance-1");
  EXPECT_TRUE(tape().empty());
}

TEST_F(FeedTest, TheTapeAggAsksForAggregates) {
  config_.tape = Tape::agg;
  start({kBtc});
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().asked[0].names, std::vector<std::string>{"btcusdt@aggTrade"});
  EXPECT_EQ(sink_.records[0]["tape"], "agg");
  venue_.last().send("btcusdt@aggTrade", R"({"e":"aggTrade","E":)" + venue_.ms() + R"(,"s":"BTCUSDT","a":1})");
  ASSERT_TRUE(frames(2));
  EXPECT_EQ(tape().size(), 1u);
}

TEST_F(FeedTest, BytesThatAreNoJsonAreHandedOverToo) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (const std::string bytes : {"<html>", R"({"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT",)", "[]"})
    venue_.last().socket->send(bytes);
  ASSERT_TRUE(frames(4));
  const auto all = sink_.of_kind("frame");
  EXPECT_EQ(all[1].bytes, "<html>");
  EXPECT_EQ(all[1]["instruments"], "");
  EXPECT_EQ(all[2]["instruments"], "binance:BTCUSDT") << "as far as can be guessed";
  EXPECT_EQ(all[3].bytes, "[]");
  EXPECT_TRUE(events_.empty()) << all_told();
}

// ---- evidence

TEST_F(FeedTest, TheWitnessIsTheNewestTimeThatTheVenueSentLessALag) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 2, 3s));  // an older one: it never goes back
  ASSERT_TRUE(frames(3));
  loop_.advance(1s);
  const auto beats = sessions("beat");
  ASSERT_FALSE(beats.empty());
  EXPECT_EQ(beats[0]["witness"], ns(kStart - 500ms));
  EXPECT_EQ(beats[0]["last_seq"], "3");
  EXPECT_EQ(beats[0]["receive_time"], ns(kStart + 1s));
}

TEST_F(FeedTest, ATimeBeyondTheVenuesClockProvesNothing) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1, -1h));
  ASSERT_TRUE(frames(2));
  loop_.advance(0s);
  EXPECT_EQ(feed_->status().connections[0].witness, std::nullopt);
  pass(1s);
  const auto witness = feed_->status().connections[0].witness;
  ASSERT_TRUE(witness);
  EXPECT_LT(*witness, kStart + 1s) << "of an answered ping";
}

TEST_F(FeedTest, WhereNothingIsSentAnsweredPingsMoveTheWitness) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(5s);
  const auto beats = sessions("beat");
  ASSERT_GE(beats.size(), 4u);
  // Pings leave at whole seconds; half a millisecond of doubt and the lag are taken off, the same is the offset.
  EXPECT_EQ(beats[0]["witness"], ns(kStart + 1s - 500ms));
  EXPECT_EQ(beats[3]["witness"], ns(kStart + 4s - 500ms));
  EXPECT_EQ(feed_->status().connections[0].round_trip, 0ns);
}

TEST_F(FeedTest, WhereFramesTellTheTimeOnePingIsSentToLearnWhetherItIsAnswered) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 20; ++i) {
    venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", i));
    ASSERT_TRUE(frames(2 + static_cast<std::size_t>(i)));
    pass(500ms, 500ms);
  }
  EXPECT_EQ(venue_.last().messages.size(), 2u) << "the subscription and one ping";
}

TEST_F(FeedTest, TheVenuesClockIsInEveryRecord) {
  venue_.ahead = -5min;
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(frames(2));
  loop_.advance(1s);
  EXPECT_EQ(sessions("open")[0]["subscribed"], ns(kStart - 5min + 1ms));
  EXPECT_EQ(tape()[0]["clock_offset"], std::to_string(Nanoseconds{-5min + 500us}.count()));
  EXPECT_EQ(tape()[0]["receive_time"], ns(kStart)) << "by our clock";
  EXPECT_EQ(sessions("beat")[0]["witness"], ns(kStart - 5min - 500ms));
}

TEST_F(FeedTest, WithoutTheVenuesClockNoEvidenceIsGivenUntilFramesTellIt) {
  venue_.rest = [](const net::ServerRequest&) { return net::text_answer(503, "text/plain", "busy"); };
  start({kBtc});
  ASSERT_TRUE(until(
      [&] { return feed_->status().connections.size() == 1 && feed_->status().connections[0].state == State::live; }));
  pass(2s);
  EXPECT_TRUE(sink_.of_kind("session").empty());
  for (int i = 0; i < 5; ++i) venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", i));
  ASSERT_TRUE(frames(6));
  pass(1s);
  ASSERT_EQ(sessions("open").size(), 1u);
  EXPECT_EQ(sessions("open")[0]["subscribed"], ns(kStart + 1s)) << "it may be a second off";
  EXPECT_EQ(sessions("open")[0]["clock_error"], "1000000000");
}

TEST_F(FeedTest, StopSaysTheLastWordsAndReturns) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(frames(2));
  stop();
  const auto close = sessions("close");
  ASSERT_EQ(close.size(), 1u);
  EXPECT_EQ(close[0]["witness"], ns(kStart - 500ms));
  EXPECT_EQ(close[0]["last_seq"], "2");
  EXPECT_EQ(sink_.records.back()["event"], "close") << "and nothing after it";
  ASSERT_TRUE(until([&] { return venue_.last().gone; }));
  EXPECT_EQ(venue_.last().socket->end()->code, 1000);
}

// ---- subscriptions at run time

TEST_F(FeedTest, WhatIsWantedMoreIsSubscribedAndWhatIsNoLongerWantedEnds) {
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.entries.push_back(venue_.symbol_entry("ETHUSDT"));
  pass(1s);
  feed_->want({kBtc, kEth});
  ASSERT_TRUE(until([&] { return sink_.of_kind("config").size() == 2 && venue_.last().streams.size() == 2; }));
  pass(1s);
  EXPECT_EQ(venue_.clients.size(), 1u) << "over the same connection";
  EXPECT_EQ(venue_.last().asked[1].method, "SUBSCRIBE");
  EXPECT_EQ(venue_.last().asked[1].names, std::vector<std::string>{"ethusdt@trade"});
  bool named = false;
  for (const PutRecord& r : sessions("beat"))
    if (r["instruments"] == "binance:ETHUSDT") {
      named = true;
      EXPECT_EQ(r["subscribed"], ns(kStart + 1s + 1ms)) << "and not before it was asked for";
    }
  EXPECT_TRUE(named);

  const std::string before = sessions("open")[0]["session"];
  feed_->want({kBtc});
  ASSERT_TRUE(until([&] { return venue_.last().streams.size() == 1; }));
  EXPECT_EQ(venue_.last().asked[2].method, "UNSUBSCRIBE");
  EXPECT_EQ(venue_.last().asked[2].names, std::vector<std::string>{"ethusdt@trade"});
  pass(1s);
  ASSERT_EQ(sessions("close").size(), 1u);
  EXPECT_EQ(sessions("close")[0]["session"], before);
  ASSERT_EQ(sessions("open").size(), 2u) << "a new session goes on for the others";
  EXPECT_NE(sessions("open")[1]["session"], before);
  EXPECT_EQ(sessions("open")[1]["instruments"], "binance:BTCUSDT");
  EXPECT_EQ(sessions("open")[1]["subscribed"], sessions("close")[0]["witness"]) << "without a break";
  EXPECT_EQ(sink_.of_kind("config").size(), 2u);
}

TEST_F(FeedTest, AllThatIsWantedAwayClosesTheConnectionAndLaterItComesBack) {
  start({kBtc});
  ASSERT_TRUE(live());
  feed_->want({});
  ASSERT_TRUE(until([&] { return feed_->status().connections[0].state == State::idle; }));
  ASSERT_TRUE(until([&] { return venue_.last().gone; }));
  feed_->want({kBtc});
  ASSERT_TRUE(until([&] { return venue_.clients.size() == 2 && venue_.last().streams.size() == 1; }));
}

TEST_F(FeedTest, MessagesStayWithinTheVenuesLimitsOfNumberAndSize) {
  config_.limits.names = 10;
  std::set<Instrument> many;
  for (int i = 100; i < 250; ++i) many.insert(spot("C" + std::to_string(i) + "USDT"));
  start(many);
  for (int i = 0; i < 400 && venue_.clients.empty(); ++i) pass(10ms, 10ms);
  for (int i = 0; i < 1200; ++i) {
    pass(10ms, 10ms);
    if (i % 100 == 0) venue_.last().socket->ping("20 s");
  }
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().streams.size(), 150u);
  EXPECT_EQ(venue_.last().asked.size(), 15u);
  for (const auto& asked : venue_.last().asked) EXPECT_LE(asked.names.size(), 10u);
  // Pings and our pongs to the venue's count as well; strictly in any second.
  const auto& times = venue_.last().messages;
  ASSERT_GE(times.size(), 25u);
  for (std::size_t i = 5; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 5], 1s) << i;
}

// ---- several connections

TEST_F(FeedTest, MoreStreamsThanOneConnectionHoldsGoOverSeveral) {
  config_.limits.streams = 2;
  start({kBtc, kEth, spot("LTCUSDT")});
  ASSERT_TRUE(live(2));
  EXPECT_EQ(venue_.client(0).streams.size() + venue_.client(1).streams.size(), 3u);
  const auto status = feed_->status();
  EXPECT_EQ(status.connections[0].name, "binance-1");
  EXPECT_EQ(status.connections[1].name, "binance-2");
}

TEST_F(FeedTest, TwoConnectionsGiveEverythingTwiceEachWithItsOwnSession) {
  config_.connections = 2;
  start({kBtc});
  ASSERT_TRUE(live(2));
  const std::string frame = venue_.trade("BTCUSDT", 1);
  for (const auto& client : venue_.clients) client->send("btcusdt@trade", frame);
  ASSERT_TRUE(frames(4));
  const auto both = tape();
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].bytes, both[1].bytes);
  EXPECT_NE(both[0]["session"], both[1]["session"]);
  EXPECT_EQ((std::set<std::string>{both[0]["connection"], both[1]["connection"]}),
            (std::set<std::string>{"binance-1", "binance-1b"}));
  EXPECT_EQ(sink_.of_kind("config").size(), 1u);
}

class UsdmTest : public FeedTest {
 protected:
  UsdmTest() { configure(Product::usdm, {.seed = 7}); }
  Client& on(const std::string& target) {
    for (const auto& client : venue_.clients)
      if (client->target == target) return *client;
    throw std::runtime_error{"no connection to " + target};
  }
};

TEST_F(UsdmTest, EachStreamIsAskedForOnThePathThatHasItAndEvidenceComesFromTheTapesAlone) {
  start({usdm("BTCUSDT")});
  ASSERT_TRUE(live(2));
  EXPECT_EQ(on("/public/stream").streams, (std::set<std::string>{"btcusdt@bookTicker", "btcusdt@trade"}));
  EXPECT_EQ(on("/market/stream").streams, (std::set<std::string>{"btcusdt@ticker"}));
  on("/market/stream").send("btcusdt@ticker", R"({"e":"24hrTicker","E":)" + venue_.ms() + R"(,"s":"BTCUSDT"})");
  on("/public/stream").send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(frames(4));
  pass(3s);
  ASSERT_EQ(tape().size(), 1u);
  EXPECT_EQ(tape()[0]["connection"], "binance-usdm-public-1");
  for (const PutRecord& r : sink_.of_kind("session")) EXPECT_EQ(r["connection"], "binance-usdm-public-1");
  EXPECT_EQ(venue_.requests[0], "/fapi/v1/time");
}

TEST_F(UsdmTest, TheTapeAggIsOnTheOtherPath) {
  configure(Product::usdm, {.tape = Tape::agg, .best = false, .seed = 7});
  start({usdm("BTCUSDT")});
  ASSERT_TRUE(live(1));
  EXPECT_EQ(on("/market/stream").streams, (std::set<std::string>{"btcusdt@aggTrade", "btcusdt@ticker"}));
}

// ---- a planned change of connections

// The new connection begins where the old one is known to have received everything.
void expect_no_break(const PutRecord& last_of_old, const PutRecord& first_of_new) {
  EXPECT_NE(last_of_old["session"], first_of_new["session"]);
  EXPECT_GE(std::stoll(last_of_old["witness"]), std::stoll(first_of_new["subscribed"]));
}

TEST_F(FeedTest, BeforeTheVenuesCutASuccessorTakesOverWithoutABreak) {
  config_.life = 20s;
  config_.life_jitter = 5s;
  start({kBtc});
  ASSERT_TRUE(live());
  int id = 0;
  const auto trade = [&] {
    ++id;
    const std::string frame = venue_.trade("BTCUSDT", id);
    for (const auto& client : venue_.clients)
      if (!client->gone && client->streams.contains("btcusdt@trade")) client->send("btcusdt@trade", frame);
  };
  std::size_t most = 0;
  for (int i = 0; i < 60; ++i) {
    trade();
    pass(500ms, 500ms);
    most = std::max(most, static_cast<std::size_t>(
                              std::ranges::count(venue_.clients, false, [](const auto& c) { return c->gone; })));
  }
  ASSERT_EQ(venue_.clients.size(), 2u);
  EXPECT_EQ(most, 2u) << "both at once, for a while";
  EXPECT_TRUE(venue_.client(0).gone);
  EXPECT_EQ(venue_.client(0).socket->end()->code, 1000);
  EXPECT_FALSE(venue_.client(1).gone);
  EXPECT_GE(venue_.attempts[1], kStart + 20s);
  EXPECT_LE(venue_.attempts[1], kStart + 27s);
  ASSERT_EQ(sessions("close").size(), 1u);
  ASSERT_EQ(sessions("open").size(), 2u);
  expect_no_break(sessions("close")[0], sessions("open")[1]);
  std::set<std::string> ids;
  for (const PutRecord& r : tape()) {
    const std::size_t at = r.bytes.find("\"t\":") + 4;
    ids.insert(r.bytes.substr(at, r.bytes.find(',', at) - at));
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(id)) << "not one is missing";
  EXPECT_EQ(feed_->status().connections[0].failures, 0u);
}

TEST_F(FeedTest, AVenueThatSaysThatItShutsDownIsLeftAtOnceWithoutABreak) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(3s);
  venue_.client(0).socket->send(R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":)" + venue_.ms() +
                                "}}");
  ASSERT_TRUE(until([&] { return venue_.clients.size() == 2; })) << "without any wait";
  pass(5s);
  EXPECT_TRUE(venue_.client(0).gone);
  ASSERT_EQ(sessions("open").size(), 2u);
  expect_no_break(sessions("close")[0], sessions("open")[1]);
  EXPECT_EQ(told("about to close"), 1u);
}

TEST_F(FeedTest, IfTheSuccessorFailsTheOldConnectionGoesOn) {
  config_.overlap_limit = 3s;  // the successor will hear of nothing
  start({kBtc});
  ASSERT_TRUE(live());
  venue_.refuse = [](const net::ServerRequest&) { return net::text_answer(503, "text/plain", "later"); };
  venue_.client(0).socket->send(R"({"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}})");
  ASSERT_TRUE(until([&] { return venue_.attempts.size() == 2; }));
  venue_.client(0).send("btcusdt@trade", venue_.trade("BTCUSDT", 1));
  ASSERT_TRUE(frames(3));
  EXPECT_FALSE(venue_.client(0).gone);
  venue_.refuse = nullptr;
  pass(8s);
  EXPECT_EQ(venue_.clients.size(), 2u);
  EXPECT_TRUE(venue_.client(0).gone);
}

}  // namespace
}  // namespace truetape::binance
