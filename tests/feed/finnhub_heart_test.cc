// Finnhub's feed and the heart together. Over real sockets on loopback; time is manual.
#include "heart_testing.h"
#include "venues/finnhub/feed_testing.h"

namespace truetape::finnhub {
namespace {

class FinnhubHeartTest : public HeartOver<FeedTest> {
 protected:
  void trade() {
    const std::size_t have = sink_.of_kind("frame").size();
    venue_.trade("AAPL");
    ASSERT_TRUE(frames(have + 1));
  }
  std::string headline(int id) const {
    return R"({"datetime":)" + std::to_string(to_ns(venue_.now()) / 1'000'000'000) + R"(,"headline":"h)" +
           std::to_string(id) + R"(","id":)" + std::to_string(id) + R"(,"related":"AAPL"})";
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> out;
    for (const News& n : results_.news) out.push_back(n.id);
    return out;
  }
};

// The clocks differ by more than the tolerance of 10 s, either way: the measured offset goes with frames and pages, so
// neither trades nor headlines are from the future, and none is too old.
TEST_F(FinnhubHeartTest, AVenueWhoseClockIsMinutesOffIsBelievedAndNothingIsTakenForTheFuture) {
  for (const Nanoseconds ahead : {Nanoseconds{5min}, Nanoseconds{-5min}}) {
    stop();
    ended_ = false;
    sink_.records.clear();
    venue_.sockets.clear();
    venue_.pages.clear();
    venue_.ahead = ahead;
    venue_.pages["/news?category=general"] = "[" + headline(1) + "]";
    start({kAapl}, make_news_errand());
    ASSERT_TRUE(live());
    // The venue tells whole seconds.
    EXPECT_GE(*feed_->status().clock_offset, ahead - 1s);
    EXPECT_LE(*feed_->status().clock_offset, ahead + 1s);
    const Timestamp second = window_start(venue_.now(), Interval{60}) + 1min;
    for (int i = 0; i < 130; ++i) {
      trade();
      pass(1s);
    }
    venue_.pages["/news?category=general&minId=1"] = "[" + headline(2) + "]";
    pass(70s);
    fold();
    EXPECT_TRUE(results_.quarantined.empty()) << ahead.count();
    EXPECT_EQ(results_.trades.size(), 130u);
    EXPECT_EQ(ids(), (std::vector<std::string>{"1", "2"})) << ahead.count();
    const auto minutes = closed(kAapl, Interval{60});
    ASSERT_TRUE(minutes.contains(second));
    EXPECT_EQ(word(minutes.at(second)), "unverifiable/") << "there are no ids";
    EXPECT_EQ(minutes.at(second).trades, 60u);
  }
}

// The venue tells its time only after the first round of news: that round says nothing of how far they have come, since
// our clock may be anywhere, and the next one comes after a minute all the same.
TEST_F(FinnhubHeartTest, BeforeTheVenuesTimeIsKnownNoRoundSaysHowFarTheNewsHaveCome) {
  for (const Nanoseconds ahead : {Nanoseconds{5min}, Nanoseconds{-5min}}) {
    stop();
    ended_ = false;
    sink_.records.clear();
    venue_.requests.clear();
    venue_.ahead = ahead;
    bool told = false;
    const auto usual = venue_.rest;
    venue_.rest = [&](const net::ServerRequest& request) {
      if (told || request.target.find("market-status") == std::string::npos) return usual(request);
      return net::text_answer(503, "text/plain", "busy");
    };
    start({kAapl}, make_news_errand());
    pass(20s);
    ASSERT_EQ(asked_for("/news?category=general"), 1);
    EXPECT_FALSE(feed_->status().clock_offset);
    for (const PutRecord& r : sink_.of_kind("backfill")) EXPECT_EQ(r["as_of"], "-");
    told = true;
    pass(70s);
    EXPECT_EQ(asked_for("/news?category=general"), 2) << ahead.count();
    const auto put = sink_.of_kind("backfill");
    ASSERT_EQ(put.size(), 1u);
    EXPECT_LE(std::stoll(put[0]["as_of"]), to_ns(venue_.now()));
    EXPECT_GE(std::stoll(put[0]["as_of"]), to_ns(venue_.now() - 72s));
    venue_.rest = usual;
  }
}

// Pages that overlap, are out of order, cut short, or tell a headline twice: each headline once.
TEST_F(FinnhubHeartTest, EachHeadlineComesOutOnceHoweverPagesOverlap) {
  const std::string company = "/company-news?symbol=AAPL&from=2024-10-13&to=2024-10-14";
  std::vector<std::string> h;
  for (int id = 0; id <= 12; ++id) h.push_back(headline(id));
  const auto page = [&](std::initializer_list<std::size_t> ids) {
    std::string out = "[";
    for (const std::size_t id : ids) out += (out.size() > 1 ? "," : "") + h[id];
    return out + "]";
  };
  venue_.pages["/news?category=general"] = page({9, 7, 9, 8});
  const std::string cut = page({12, 10, 9});
  venue_.pages["/news?category=general&minId=9"] = cut.substr(0, cut.size() - 20);
  venue_.pages[company] = page({8, 9, 8});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(100s);
  fold();
  EXPECT_THAT(ids(), testing::UnorderedElementsAre("7", "8", "9", "10", "12"));
  ASSERT_EQ(results_.quarantined.size(), 1u) << "what was cut short";
  EXPECT_EQ(told("the page of headlines of general cannot be read", FeedEvent::Level::warning), 1u) << all_told();
  // Whole again, with one that the cut had left out and that is older than those before the cut.
  venue_.pages["/news?category=general&minId=9"] = page({12, 10, 11, 9});
  venue_.pages["/news?category=general&minId=12"] = page({12, 11});
  pass(4min);
  fold();
  EXPECT_THAT(ids(), testing::UnorderedElementsAre("7", "8", "9", "10", "11", "12"));
  EXPECT_EQ(results_.quarantined.size(), 1u);
}

}  // namespace
}  // namespace truetape::finnhub
