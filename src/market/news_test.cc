#include "market/news.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace truetape::market
