// From a scripted venue's socket through the feed into the heart: what candles say after quiet, cuts, lags and lies.
// Real sockets on loopback, manual time.
#include "feed_heart_testing.h"

namespace truetape::binance {
namespace {

using Level = FeedEvent::Level;

TEST_F(FeedHeartTest, AQuietMinuteIsQuietByTheSessionAndOneBetweenTradesByIds) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(1s);
  trade(1);
  pass(3min + 2s);
  fold();
  EXPECT_EQ(minute(0), "partial/") << "our knowledge begins inside";
  EXPECT_EQ(minute(1), "quiet/session");
  EXPECT_EQ(minute(2), "quiet/session");
  EXPECT_TRUE(results_.gaps.empty());
  EXPECT_TRUE(results_.quarantined.empty());
  for (int id = 2; id < 70; ++id) {
    trade(id);
    pass(1s);
  }
  fold();
  EXPECT_EQ(minute(3), "complete/ids");
  EXPECT_TRUE(results_.gaps.empty());
}

TEST_F(FeedHeartTest, ATapeThatIsSilentInThisSessionIsNeverQuietWhateverTheQuotesSay) {
  config_.best = true;
  start({kBtc});
  ASSERT_TRUE(live());
  pass(1s);
  trade(1);
  venue_.last().socket->drop();
  ASSERT_TRUE(until([&] { return venue_.last().gone; }));
  pass(2s);
  ASSERT_TRUE(live());
  for (int i = 0; i < 180; ++i) {
    venue_.last().send("btcusdt@bookTicker",
                       R"({"u":)" + std::to_string(i) + R"(,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"})");
    pass(1s);
  }
  fold();
  EXPECT_EQ(results_.quotes.size(), 180u);
  EXPECT_EQ(minute(1), "gap/session");
  EXPECT_EQ(minute(2), "gap/session");
  EXPECT_EQ(gaps(), std::vector<std::string>{"open 2-"}) << "the tail may be lost: there was a break";
}

TEST_F(FeedHeartTest, APlannedChangeOfConnectionsLeavesNoGapAlsoForAQuietSymbol) {
  config_.life = 250s;
  config_.life_jitter = 0s;
  start({kBtc});
  ASSERT_TRUE(live());
  pass(1s);
  trade(1);
  pass(302s);  // the successor is there since 250 s, and has heard of nothing
  ASSERT_EQ(venue_.clients.size(), 2u);
  EXPECT_FALSE(venue_.client(0).gone);
  fold();
  for (const int number : {1, 2, 3, 4}) EXPECT_EQ(minute(number), "quiet/session") << number;
  EXPECT_TRUE(results_.gaps.empty()) << testing::PrintToString(gaps());
  trade(2);
  pass(5s);
  EXPECT_TRUE(venue_.client(0).gone) << "now it has";
  pass(120s);
  fold();
  EXPECT_TRUE(results_.gaps.empty()) << testing::PrintToString(gaps());
  EXPECT_EQ(minute(5), "complete/session");
  EXPECT_EQ(minute(6), "quiet/session");
  EXPECT_EQ(results_.trades.size(), 2u);
  EXPECT_EQ(feed_->status().connections[0].failures, 0u);
}

TEST_F(FeedHeartTest, ATwinThatComesBackTearsNoHoleIntoTheOthersEvidence) {
  config_.connections = 2;
  start({kBtc});
  ASSERT_TRUE(live(2));
  pass(1s);
  trade(1);
  for (int i = 0; i < 5; ++i) {
    pass(7s);
    for (const auto& client : venue_.clients)
      if (client.get() != &venue_.client(1)) client->socket->drop(true);
  }
  pass(120s);
  EXPECT_GE(venue_.clients.size(), 7u);
  fold();
  EXPECT_TRUE(results_.gaps.empty()) << testing::PrintToString(gaps());
}

TEST_F(FeedHeartTest, ACutCableLeavesAGapAndNoFalseQuiet) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(1s);
  trade(1);
  pass(62s);
  trade(2);
  pass(1s);
  // From here on the venue's side is gone without a word; trades 3 to 9 are sent to nobody.
  venue_.deaf = true;
  feed_->want({kBtc, *Instrument::parse("binance:ETHUSDT")});  // something to be deaf to
  ASSERT_TRUE(until([&] { return venue_.last().streams.size() == 2; }));
  pass(13s);
  venue_.deaf = false;
  pass(5s);
  ASSERT_TRUE(live());
  ASSERT_EQ(venue_.clients.size(), 2u);
  fold();
  EXPECT_EQ(gaps(), std::vector<std::string>{"open 3-"}) << "a tail that may be lost";
  trade(10);
  pass(61s);
  trade(11);
  pass(2s);
  fold();
  EXPECT_EQ(gaps().back(), "open 3-9");
  EXPECT_EQ(minute(1), "gap/ids");
  EXPECT_FALSE(words(Interval{60}).contains("quiet"));
}

TEST_F(FeedHeartTest, OneOfTwoConnectionsLaggingTwoSecondsChangesNothing) {
  config_.connections = 2;
  start({kBtc});
  ASSERT_TRUE(live(2));
  std::deque<std::string> late;
  for (int id = 1; id <= 130; ++id) {
    const std::string frame = venue_.trade("BTCUSDT", id);
    venue_.client(0).send("btcusdt@trade", frame);
    late.push_back(frame);
    if (late.size() > 2) {
      venue_.client(1).send("btcusdt@trade", late.front());
      late.pop_front();
    }
    pass(1s);
  }
  fold();
  EXPECT_TRUE(results_.gaps.empty()) << testing::PrintToString(gaps());
  EXPECT_EQ(results_.trades.size(), 130u) << "each once";
  EXPECT_EQ(minute(1), "complete/ids");
  EXPECT_FALSE(words(Interval{1}).contains("gap"));
}

TEST_F(FeedHeartTest, AVenueWhoseClockIsMinutesOffIsBelievedAndNothingIsTakenForTheFuture) {
  for (const Nanoseconds ahead : {Nanoseconds{5min}, Nanoseconds{-5min}}) {
    stop();
    ended_ = false;
    venue_.clients.clear();
    sink_.records.clear();
    venue_.ahead = ahead;
    const Timestamp begin = venue_.now();
    start({kBtc});
    ASSERT_TRUE(live());
    pass(1s);
    trade(1);
    pass(130s);
    trade(2);
    pass(3s);
    fold();
    EXPECT_TRUE(results_.quarantined.empty());
    EXPECT_TRUE(results_.gaps.empty());
    EXPECT_EQ(results_.trades.size(), 2u);
    const Timestamp second = window_start(begin, Interval{60}) + 1min;
    std::string said = "-";
    for (const Candle& c : results_.candles)
      if (c.interval == Interval{60} && c.start == second) said = name(c.completeness);
    EXPECT_EQ(said, "quiet") << ahead.count();
  }
}

TEST_F(FeedHeartTest, ALossOfTheLogIsAGapThatTheNextTradeNames) {
  start({kBtc});
  ASSERT_TRUE(live());
  trade(1);
  pass(1s);
  trade(2);
  // The log loses the last frame.
  ASSERT_EQ(sink_.records.back().kind(), "frame");
  sink_.records.pop_back();
  sink_.lose();
  pass(5s);
  fold();
  EXPECT_EQ(gaps(), std::vector<std::string>{"open 2-"});
  trade(3);
  pass(2s);
  fold();
  EXPECT_EQ(gaps().back(), "open 2-2");
}

// The wildcard goes on with the new one; of the old one nothing is said from then on, since nothing more is known.
TEST_F(FeedHeartTest, ASymbolThatIsRenamedEndsAndTheNewOneBegins) {
  const Instrument old = spot("OLDBTC"), renamed = spot("NEWBTC"), other = spot("LTCBTC");
  const auto entry = [](const Instrument& i) {
    return R"({"symbol":")" + std::string{i.symbol()} +
           R"(","status":"TRADING","baseAsset":"B","quoteAsset":"BTC","filters":[]})";
  };
  venue_.entries = {entry(old), entry(other)};
  start({*Instrument::parse("binance:*/BTC")});
  ASSERT_TRUE(live()) << all_told();
  ASSERT_TRUE(until([&] { return venue_.last().streams == std::set<std::string>{"ltcbtc@trade", "oldbtc@trade"}; }));
  pass(1s);
  trade(1, 0ns, "OLDBTC");
  trade(1, 0ns, "LTCBTC");
  pass(61s);
  trade(2, 0ns, "OLDBTC");
  trade(2, 0ns, "LTCBTC");
  pass(1s);
  venue_.entries = {entry(other), entry(renamed)};
  const std::set<std::string> both{"ltcbtc@trade", "newbtc@trade"};
  for (int i = 0; i < 100 && venue_.last().streams != both; ++i) pass(10s, 10s);
  ASSERT_EQ(venue_.last().streams, both) << all_told();
  EXPECT_EQ(told("new: NEWBTC; no longer: OLDBTC", Level::info), 1u) << all_told();
  EXPECT_EQ(venue_.clients.size(), 1u);
  const auto ended = static_cast<int>((loop_.clock().now() - kStart) / 1min);
  EXPECT_GE(ended, 2);
  for (int id = 1; id <= 3; ++id) {
    trade(id, 0ns, "NEWBTC");
    trade(id + 2, 0ns, "LTCBTC");
    pass(61s);
  }
  fold();
  EXPECT_EQ(minute(1, old), "complete/session");
  for (int number = ended + 1; number < ended + 4; ++number)
    EXPECT_EQ(minute(number, old), "-") << "minute " << number << " proves nothing of what is not carried";
  EXPECT_EQ(minute(ended, renamed), "partial/");
  EXPECT_EQ(minute(ended + 1, renamed), "complete/session");
  EXPECT_EQ(minute(ended + 1, other), "complete/session") << "the other one goes on";
  EXPECT_TRUE(results_.gaps.empty()) << testing::PrintToString(gaps());
  EXPECT_TRUE(results_.quarantined.empty());
}

}  // namespace
}  // namespace truetape::binance
