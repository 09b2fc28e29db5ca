// A token that is taken back in the middle: on the socket, at the handshake, at REST. What goes on, what waits, and
// that the token, which the venue names in its refusals here, is nowhere told, shown or put (~FeedTest looks at all of
// it).
#include "venues/finnhub/feed_testing.h"

namespace truetape::finnhub {
namespace {

using Level = FeedEvent::Level;
using State = ConnectionStatus::State;

constexpr std::string_view kRefusal = R"({"error":"Invalid API key: s3cr3t/+token"})";
constexpr std::string_view kCompanyNews = "/company-news?symbol=AAPL&from=2024-10-13&to=2024-10-14";

class TroubleTest : public FeedTest {
 protected:
  // A trade, its session, and a round of news.
  void start_well() {
    venue_.pages["/stock/symbol?exchange=US"] = R"([{"currency":"USD","displaySymbol":"AAPL","symbol":"AAPL"}])";
    venue_.pages[std::string{kCompanyNews}] = R"([{"datetime":1728914400,"headline":"h","id":9}])";
    start({kAapl}, make_news_errand());
    ASSERT_TRUE(live());
    ASSERT_TRUE(said(1));
    trade();
    pass(70s);
    ASSERT_EQ(sessions("open").size(), 1u);
    ASSERT_EQ(news().size(), 2u);
    ASSERT_TRUE(events_.empty()) << all_told();
  }
  void trade() {
    const std::size_t have = sink_.of_kind("frame").size();
    venue_.trade("AAPL");
    ASSERT_TRUE(frames(have + 1));
  }
  void refuse_rest(int status) {
    venue_.rest = [this, status](const net::ServerRequest&) {
      refused_at_.push_back(venue_.now());
      return net::text_answer(status, "application/json", std::string{kRefusal});
    };
  }
  std::vector<PutRecord> news() const { return sink_.of_kind("backfill"); }

  std::function<net::ServerAnswer(const net::ServerRequest&)> usual_ = venue_.rest;
  std::vector<Timestamp> refused_at_;
};

TEST_F(TroubleTest, AnErrorThatNamesTheTokenIsToldAndPutWithoutItAndTheConnectionGoesOn) {
  start_well();
  const auto encoded = R"({"msg":"unknown s3cr3t%2F%2Btoken","type":"error"})";
  venue_.send(R"({"msg":"Invalid API key: s3cr3t/+token, s3cr3t/+token","type":"error"})");
  venue_.send(encoded);
  venue_.send(R"({"msg":"of s3cr3t/+to","type":"error"})");  // its beginning
  ASSERT_TRUE(frames(4));
  const auto frames = sink_.of_kind("frame");
  EXPECT_EQ(frames[1].bytes, R"({"msg":"Invalid API key: ***, ***","type":"error"})");
  EXPECT_EQ(frames[2].bytes, R"({"msg":"unknown ***","type":"error"})");
  EXPECT_EQ(frames[3].bytes, R"({"msg":"of ***","type":"error"})");
  EXPECT_EQ(told("the venue says: Invalid API key: ***, ***", Level::warning), 1u) << all_told();
  EXPECT_EQ(told("the venue says: unknown ***", Level::warning), 1u);
  EXPECT_EQ(told("the venue says: of ***", Level::warning), 1u);
  trade();
  EXPECT_EQ(sink_.of_kind("frame").back()["session"], sessions("open")[0]["session"]);
  EXPECT_TRUE(sessions("close").empty());
  EXPECT_EQ(venue_.sockets.size(), 1u);
}

TEST_F(TroubleTest, ATokenThatIsRevokedMidWayClosesTheSessionAndAllWaitsForAnotherOne) {
  start_well();
  venue_.refuse = 401;
  venue_.refusal = kRefusal;
  refuse_rest(401);
  venue_.send(R"({"msg":"Invalid API key: s3cr3t/+token","type":"error"})");
  ASSERT_TRUE(frames(2));
  venue_.sockets[0]->drop();
  ASSERT_TRUE(until([this] { return !sessions("close").empty(); }));
  const std::size_t before = venue_.attempts.size();
  const Timestamp revoked = venue_.now();
  pass(2h, 10s);
  // The socket: at first within a minute, then longer, a quarter of an hour at most.
  const std::vector<Timestamp> attempts(venue_.attempts.begin() + static_cast<std::ptrdiff_t>(before),
                                        venue_.attempts.end());
  ASSERT_GE(attempts.size(), 8u);
  ASSERT_LE(attempts.size(), 18u);
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    EXPECT_GE(attempts[i] - attempts[i - 1], 30s) << i;
    EXPECT_LE(attempts[i] - attempts[i - 1], 15min + 10s) << i;
  }
  EXPECT_EQ(told("answered with status 401 instead of a WebSocket, application/json: {\"error\":\"Invalid API key: "
                 "***\"}",
                 Level::error),
            attempts.size())
      << all_told();
  EXPECT_EQ(
      told("; the venue does not know the token: check feed.finnhub.token; the next attempt is in ", Level::error),
      attempts.size());
  const ConnectionStatus status = feed_->status().connections[0];
  EXPECT_EQ(status.state, State::waiting);
  EXPECT_THAT(status.trouble, testing::AllOf(HasSubstr("***"), testing::Not(HasSubstr("s3cr3t"))));
  // REST: 1, 2, 4 … 60 minutes between questions for the same news, the time each 15 minutes.
  EXPECT_GE(refused_at_.size(), 15u);
  EXPECT_LE(refused_at_.size(), 40u);
  EXPECT_EQ(told(": answered with status 401: {\"error\":\"Invalid API key: ***\"}; the venue does not know the token: "
                 "check feed.finnhub.token",
                 Level::error),
            refused_at_.size());
  // Nothing was claimed and nothing put.
  EXPECT_EQ(sessions("open").size(), 1u);
  EXPECT_EQ(sink_.of_kind("session").back()["event"], "close");
  EXPECT_EQ(news().size(), 2u);
  // The token is good again.
  venue_.refuse = 0;
  venue_.rest = usual_;
  pass(16min, 10s);
  ASSERT_EQ(venue_.sockets.size(), 2u);
  EXPECT_EQ(venue_.messages.back(), R"({"type":"subscribe","symbol":"AAPL"})");
  EXPECT_EQ(told("live again, streams: 1", Level::info), 1u);
  EXPECT_EQ(sessions("open").size(), 1u) << "nothing has come yet";
  const Timestamp again = venue_.now();
  trade();
  pass(2s);
  const auto open = sessions("open");
  ASSERT_EQ(open.size(), 2u);
  EXPECT_NE(open[0]["session"], open[1]["session"]);
  EXPECT_GE(std::stoll(open[1]["subscribed"]), to_ns(again));
  pass(62min, 10s);
  const auto put = news();
  const auto as_of =
      std::ranges::find_if(put.begin() + 2, put.end(), [](const PutRecord& r) { return r["as_of"] != "-"; });
  ASSERT_NE(as_of, put.end()) << "a round was answered";
  EXPECT_GT(std::stoll((*as_of)["as_of"]), to_ns(revoked + 2h));
}

TEST_F(TroubleTest, WhereRestAloneRefusesTheTradesGoOnAndTheNewsWait) {
  for (const int status : {401, 403}) {
    stop();
    ended_ = false;
    events_.clear();
    sink_.records.clear();
    venue_.messages.clear();
    refused_at_.clear();
    start_well();
    const std::string session = sessions("open")[0]["session"];
    const std::size_t sockets = venue_.sockets.size(), asked = venue_.requests.size();
    refuse_rest(status);
    for (int minute = 0; minute < 30; ++minute) {
      trade();
      EXPECT_EQ(sink_.of_kind("frame").back()["session"], session) << minute;
      EXPECT_NE(sink_.of_kind("frame").back()["clock_offset"], "-") << "what is known of the clock stays";
      pass(1min, 10s);
    }
    EXPECT_EQ(venue_.sockets.size(), sockets);
    EXPECT_EQ(feed_->status().connections[0].state, State::live);
    EXPECT_TRUE(sessions("close").empty());
    EXPECT_GE(std::stoll(sessions("beat").back()["witness"]), to_ns(venue_.now() - 1min - 2s));
    EXPECT_EQ(news().size(), 2u);
    for (const std::string_view what : {"/company-news", "/news?category=general"}) {
      const auto again =
          std::ranges::count_if(venue_.requests.begin() + static_cast<std::ptrdiff_t>(asked), venue_.requests.end(),
                                [&](const std::string& r) { return r.find(what) != std::string::npos; });
      EXPECT_GE(again, 4) << what;
      EXPECT_LE(again, 5) << what << ", after 1, 2, 4, 8, 16 minutes";
    }
    EXPECT_EQ(told("answered with status " + std::to_string(status) + ": {\"error\":\"Invalid API key: ***\"}; " +
                       (status == 401 ? "the venue does not know the token: check feed.finnhub.token"
                                      : "your plan does not include this"),
                   Level::error),
              refused_at_.size())
        << all_told();
    venue_.rest = usual_;
    pass(35min, 10s);
    EXPECT_GT(news().size(), 2u);
    EXPECT_NE(news().back()["as_of"], "-");
    EXPECT_GT(std::stoll(news().back()["as_of"]), to_ns(refused_at_.back()));
  }
}

}  // namespace
}  // namespace truetape::finnhub
