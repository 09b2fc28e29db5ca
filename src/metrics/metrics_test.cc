#include "metrics/metrics.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <thread>

namespace truetape {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, TextIsPrometheusExpositionFormat) {
  Metrics metrics;
  metrics.counter("truetape_trades_total", "Accepted trades.", {{"venue", "binance"}}).add(3);
  metrics.counter("truetape_trades_total", "Accepted trades.", {{"venue", "a\"b\\c\nd"}}).add();
  metrics.counter("truetape_trades_total", "Accepted trades.", {{"venue", "binance"}}).add(2);
  metrics.gauge("truetape_lag", "Records behind.").set(-7);
  EXPECT_EQ(metrics.text(),
            "# HELP truetape_lag Records behind.\n# TYPE truetape_lag gauge\ntruetape_lag -7\n"
            "# HELP truetape_trades_total Accepted trades.\n# TYPE truetape_trades_total counter\n"
            "truetape_trades_total{venue=\"a\\\"b\\\\c\\nd\"} 1\n"
            "truetape_trades_total{venue=\"binance\"} 5\n");
}

TEST(Metrics, HistogramCountsUpToEachBoundInclusive) {
  Metrics metrics;
  Histogram& h = metrics.histogram("truetape_commit_seconds", "Commits.", {{"log", "lmdb"}});
  for (const std::uint64_t ns : {std::uint64_t{0}, std::uint64_t{1'024}, std::uint64_t{1'025}, std::uint64_t{2'048},
                                 std::uint64_t{1} << 35, (std::uint64_t{1} << 35) + 1})
    h.observe(ns);
  EXPECT_EQ(h.below(0), 2U);
  EXPECT_EQ(h.below(1), 4U);
  EXPECT_EQ(h.below(24), 4U);
  EXPECT_EQ(h.below(25), 5U);
  EXPECT_EQ(h.count(), 6U);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# TYPE truetape_commit_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"0.000001024\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"+Inf\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_sum{log=\"lmdb\"} 68.719480834\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_count{log=\"lmdb\"} 6\n"));
}

TEST(Metrics, OneNameIsOfOneKind) {
  Metrics metrics;
  metrics.counter("a", "");
  EXPECT_THROW(metrics.gauge("a", ""), std::logic_error);
}

TEST(Metrics, CountsFromManyThreads) {
  Metrics metrics;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 10'000; ++i) metrics.counter("a_total", "", {{"n", std::to_string(i % 3)}}).add();
    });
  threads.clear();
  std::uint64_t sum = 0;
  for (int n = 0; n < 3; ++n) sum += metrics.counter("a_total", "", {{"n", std::to_string(n)}}).value();
  EXPECT_EQ(sum, 40'000U);
}

}  // namespace
}  // namespace truetape
