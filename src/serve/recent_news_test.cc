#include "serve/recent_news.h"

#include <gtest/gtest.h>

#include "serve/testing.h"

namespace truetape {
namespace {

// The store's order: between epochs the greater count (semantics section 14).
TEST(RecentNews, ACountFallsOnlyWithinItsEpoch) {
  struct Step {
    std::int64_t epoch;
    std::uint64_t revision, headlines;
    bool taken;
  };
  RecentNews news;
  for (const Step& step :
       {Step{1, 40, 40, true}, Step{2, 1, 1, false}, Step{2, 5, 5, false}, Step{2, 41, 41, true}, Step{2, 42, 40, true},
        Step{2, 41, 50, false}, Step{1, 99, 40, false}, Step{3, 7, 40, true}}) {
    NewsCount row =
        news_count("AAPL", std::chrono::minutes{1}, timestamp_ns(60'000'000'000), step.headlines, step.revision);
    row.epoch = step.epoch;
    EXPECT_EQ(news.put(row), step.taken) << step.epoch << " " << step.revision;
  }
}

}  // namespace
}  // namespace truetape
