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
  for (const std::int64_t ns : {std::int64_t{-5}, std::int64_t{100'000}, std::int64_t{100'001}, std::int64_t{250'000},
                                std::int64_t{300'000'000'000}, std::int64_t{300'000'000'001}})
    h.observe(ns);
  EXPECT_EQ(h.below(0), 2U);
  EXPECT_EQ(h.below(1), 4U);
  EXPECT_EQ(h.below(17), 4U);
  EXPECT_EQ(h.below(18), 5U);
  EXPECT_EQ(h.count(), 6U);
  const std::string text = metrics.text();
  EXPECT_THAT(text, HasSubstr("# TYPE truetape_commit_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"0.0001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"0.00025\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"1\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"300\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_bucket{log=\"lmdb\",le=\"+Inf\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_sum{log=\"lmdb\"} 600.000450002\n"));
  EXPECT_THAT(text, HasSubstr("truetape_commit_seconds_count{log=\"lmdb\"} 6\n"));
}

TEST(Metrics, SecondsAreExactAndMayBeNegative) {
  Metrics metrics;
  metrics.seconds("truetape_offset_seconds", "Offset.", {{"venue", "a"}}).set(-1'500'000'001);
  metrics.seconds("truetape_offset_seconds", "Offset.", {{"venue", "b"}}).set(250'000);
  metrics.seconds("truetape_offset_seconds", "Offset.", {{"venue", "not set"}});
  metrics.seconds("truetape_offset_seconds", "Offset.", {{"venue", "c"}}).set(1);
  metrics.seconds("truetape_offset_seconds", "Offset.", {{"venue", "c"}}).clear();
  EXPECT_EQ(metrics.text(),
            "# HELP truetape_offset_seconds Offset.\n# TYPE truetape_offset_seconds gauge\n"
            "truetape_offset_seconds{venue=\"a\"} -1.500000001\n"
            "truetape_offset_seconds{venue=\"b\"} 0.000250000\n");
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
