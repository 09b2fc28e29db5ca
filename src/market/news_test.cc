#include "market/news.h"

#include <gtest/gtest.h>

#include <charconv>
#include <tuple>

namespace truetape::market {
namespace {

News headline(std::int64_t id, std::int64_t seconds, std::vector<std::string> related = {}) {
  News n{"finnhub", std::to_string(id), timestamp_ns(seconds * 1'000'000'000), "h", "Yahoo", "", "", {}};
  for (const std::string& symbol : related) n.related.push_back(*Instrument::of("finnhub", symbol));
  return n;
}

// What comes of a list of headlines, the state saved and restored behind each of `restarts`.
std::vector<News> folded(const std::vector<News>& all, const std::set<std::size_t>& restarts = {}) {
  NewsDesk desk;
  Results out;
  std::map<std::string, std::string> state;
  for (std::size_t i = 0; i < all.size(); ++i) {
    desk.fold(all[i], out);
    if (!restarts.contains(i)) continue;
    desk.finish_batch(out, 7);
    for (const auto& [key, value] : out.state)
      if (value)
        state[key] = *value;
      else
        state.erase(key);
    out.state.clear();
    desk = NewsDesk{};
    for (const auto& [key, value] : state) {
      EXPECT_TRUE(NewsDesk::is_key(key.substr(1)));
      desk.restore(key.substr(1), value);
    }
    desk.restored(false);
  }
  return out.news;
}

TEST(NewsDesk, EachHeadlineOnceAndAgainOnlyToNameMore) {
  News other = headline(1, 100, {"AAPL"});
  other.venue = "other";
  const std::vector<News> all{headline(1, 100, {"AAPL"}),
                              headline(2, 90),
                              headline(1, 100, {"AAPL"}),
                              headline(1, 105, {"MSFT"}),
                              headline(1, 100, {"AAPL"}),
                              other,
                              headline(2, 90)};
  const std::vector<News> expected{headline(1, 100, {"AAPL"}), headline(2, 90), headline(1, 100, {"AAPL", "MSFT"}),
                                   other};
  EXPECT_EQ(folded(all), expected);
  EXPECT_EQ(folded(all, {0, 1, 2, 3, 4, 5}), expected);
  EXPECT_EQ(folded(all, {2}), expected);
}

TEST(NewsDesk, RemembersTheNewestAndForgetsTheOldest) {
  std::vector<News> all;
  for (std::int64_t i = 0; i <= static_cast<std::int64_t>(NewsDesk::kIds); ++i) all.push_back(headline(i, 1000 + i));
  all.push_back(headline(1, 1001));  // still known
  all.push_back(headline(0, 1000));  // forgotten: it comes again
  EXPECT_EQ(folded(all).size(), NewsDesk::kIds + 2);
  EXPECT_EQ(folded(all, {5, NewsDesk::kIds - 1}).size(), NewsDesk::kIds + 2);
}

TEST(NewsDesk, DamagedStateIsFound) {
  NewsDesk desk;
  EXPECT_THROW(desk.restore("n/", ""), std::runtime_error);
  EXPECT_THROW(desk.restore("n/\x01x\x01y", "\x02"), std::runtime_error);
}

// A record's words are the seconds of its headlines, which are their ids too.
class Seconds final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    std::int64_t seconds = 0;
    const char *at = record.bytes.data(), *const end = at + record.bytes.size();
    while (at < end) {
      at = std::from_chars(at, end, seconds).ptr + 1;
      out.news.push_back(headline(seconds, seconds, {"AAPL"}));
    }
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }
};

class Desk : public testing::Test {
 protected:
  Results fold(RawKind kind, const std::string& bytes, std::vector<std::pair<std::string, std::string>> more = {}) {
    more.emplace_back("kind", name(kind));
    more.emplace_back("venue", "finnhub");
    std::vector<Header> headers;
    for (const auto& [header_name, value] : more) headers.push_back({header_name, value});
    Results out;
    processor_->fold(read_raw(bytes, headers, 0, offset_++), out);
    processor_->finish_batch(out);
    for (const auto& [venue, c] : out.counts) EXPECT_TRUE(c.balanced()) << venue;
    for (const auto& [key, value] : out.state)
      if (value)
        state_[key] = *value;
      else
        state_.erase(key);
    return out;
  }
  void restart() {
    processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
    processor_->restore(std::vector<std::pair<std::string, std::string>>{state_.begin(), state_.end()});
  }
  static std::vector<std::string> ids(const Results& out) {
    std::vector<std::string> all;
    for (const News& n : out.news) all.push_back(n.id);
    return all;
  }
  static constexpr const char* kReceived = "1000000000000";  // 1000 s
  Seconds decoder_;
  std::unique_ptr<Processor> processor_ = std::make_unique<Processor>(Rules{}, decoder_, 0, 1);
  std::map<std::string, std::string> state_;
  std::int64_t offset_ = 0;
};

TEST_F(Desk, AHeadlineOfTheFutureIsQuarantinedAndEndsNoCounting) {
  const Results out = fold(RawKind::backfill, "990 4102444800 1010 1011", {{"receive_time", kReceived}});
  EXPECT_EQ(ids(out), (std::vector<std::string>{"990", "1010"}));
  ASSERT_EQ(out.quarantined.size(), 2U);
  const Quarantined& q = out.quarantined[0];
  EXPECT_EQ(std::tuple(q.reason, q.rule.str(), q.ordinal, out.quarantined[1].ordinal),
            std::tuple(Reason::future, "future", 1U, 3U));
  EXPECT_EQ(
      q.detail,
      "the headline's time 2100-01-01T00:00:00Z is beyond the receive time 1970-01-01T00:16:40Z and the tolerance");
  const Counts& c = out.counts.at(0).second;
  EXPECT_EQ(std::tuple(c.in, c.not_a_trade, c.quarantined), std::tuple(4U, 2U, 2U));
  // The clock that the record tells of, the venue's tolerance, and what was received at no time.
  EXPECT_EQ(fold(RawKind::backfill, "1012", {{"receive_time", kReceived}, {"clock_offset", "2000000000"}}).news.size(),
            1U);
  fold(RawKind::config, "", {{"rule.future.tolerance@finnhub", "20s"}});
  EXPECT_EQ(ids(fold(RawKind::backfill, "1020 1021", {{"receive_time", kReceived}})), std::vector<std::string>{"1020"});
  EXPECT_EQ(fold(RawKind::history, "1030").news.size(), 1U);
  // A state of before the counts: they begin behind what it holds, which is not the year 2100.
  state_["\nv"] = "3";
  restart();
  EXPECT_EQ(fold(RawKind::backfill, "3599 3600", {{"receive_time", "4000000000000"}}).news_counts.size(), 2U);
  restart();
  EXPECT_EQ(fold(RawKind::backfill, "3598 3601", {{"receive_time", "4000000000000"}}).news_counts.size(), 2U)
      << "still";
}

TEST_F(Desk, AStateThatCountedGoesOnCounting) {
  fold(RawKind::backfill, "990", {{"receive_time", kReceived}});
  EXPECT_EQ(state_.at("\nv"), "4");
  restart();
  EXPECT_EQ(fold(RawKind::backfill, "995", {{"receive_time", kReceived}}).news_counts.size(), 2U);
}

TEST_F(Desk, OneOfTheFutureIsJudgedAgainByItself) {
  const Results first = fold(RawKind::backfill, "990 1011 1012", {{"receive_time", kReceived}});
  ASSERT_EQ(first.quarantined.size(), 2U);
  const Quarantined& q = first.quarantined[1];
  const auto replay = [&] {
    std::vector<std::pair<std::string, std::string>> headers;
    for (const auto& [header_name, value] : q.headers)
      if (header_name != "kind" && header_name != "venue") headers.emplace_back(header_name, value);
    headers.emplace_back("original_kind", "backfill");
    headers.emplace_back("original_offset", std::to_string(q.offset));
    headers.emplace_back("original_ordinal", std::to_string(q.ordinal));
    headers.emplace_back("original_attempts", "0");
    return fold(RawKind::replay, q.raw, std::move(headers));
  };
  const Results again = replay();
  EXPECT_EQ(again.news.size(), 0U);
  ASSERT_EQ(again.quarantined.size(), 1U);
  EXPECT_EQ(std::tuple(again.quarantined[0].ordinal, again.quarantined[0].offset, again.counts.at(0).second.still_bad),
            std::tuple(2U, q.offset, 1U));
  fold(RawKind::config, "", {{"rule.future.tolerance", "1m"}});
  const Results better = replay();
  EXPECT_EQ(ids(better), std::vector<std::string>{"1012"});
  ASSERT_EQ(better.quarantined.size(), 1U);
  EXPECT_EQ(better.quarantined[0].resolution, Resolution::replayed);
}

}  // namespace
}  // namespace truetape::market
