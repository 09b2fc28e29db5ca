// What a sink writes.
#include "stores/conformance/sink_conformance.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "codec/random_records.h"
#include "core/row_order.h"
#include "stores/conformance/sample_rows.h"

namespace truetape {

using namespace conformance;

SinkConformance::SinkConformance() {
  std::string pattern = (std::filesystem::temp_directory_path() / "truetape-sink-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
  directory_ = pattern;
}
SinkConformance::~SinkConformance() { std::filesystem::remove_all(directory_); }

std::unique_ptr<Sink> SinkConformance::open_sink(const SinkSettings& settings) {
  auto sink = GetParam().sink(directory_, settings);
  const auto opened = sink->open();
  EXPECT_TRUE(opened) << opened.error().detail;
  return sink;
}

TEST_P(SinkConformance, NothingIsThereBeforeTheFirstOpen) {
  const auto store = history();
  std::size_t rows = 0;
  const auto done = store->trades({}, [&](const Trade&) { return ++rows, true; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::not_found);
  EXPECT_NE(done.error().detail.find("nothing was loaded"), std::string::npos) << done.error().detail;
  EXPECT_EQ(rows, 0U);
  EXPECT_EQ(store->loaded(kTrades, 0).error().fault, Fault::not_found);
  // The same object sees the store as soon as it is there.
  open_sink();
  EXPECT_EQ(all_trades(*store).size(), 0U);
  EXPECT_EQ(store->log_id().value(), "");
}

TEST_P(SinkConformance, ClaimAnswersWhereToGoOn) {
  const auto rows = trades(0, 10);
  {
    const auto sink = open_sink();
    EXPECT_EQ(sink->claim(kTrades, 0).value(), std::nullopt);
    EXPECT_EQ(sink->write(batch(kTrades, 100, rows)).value(), 110);
  }
  const auto sink = open_sink();
  EXPECT_EQ(sink->claim(kTrades, 0).value(), 110);
  EXPECT_EQ(sink->claim(kTrades, 1).value(), std::nullopt);
  EXPECT_EQ(sink->claim(kCandles, 0).value(), std::nullopt);
  EXPECT_EQ(history()->loaded(kTrades, 0).value(), 110);
  EXPECT_EQ(history()->loaded(kTrades, 1).value(), std::nullopt);
  EXPECT_EQ(history()->log_id().value(), SinkSettings{}.log_id);
}

// A store that was lost is loaded from what the log still has: what it no longer has is told from then on.
TEST_P(SinkConformance, WhatTheLogNoLongerHadIsTold) {
  using Told = std::vector<std::tuple<std::string, std::string, std::int32_t, std::int64_t, std::int64_t>>;
  const auto told = [this] {
    Told out;
    const auto missing = history()->missing();
    EXPECT_TRUE(missing);
    for (const Missing& m : *missing) out.emplace_back(m.log_id, m.topic, m.partition, m.first, m.next);
    return out;
  };
  const std::string log = SinkSettings{}.log_id;
  {
    const auto sink = open_sink();
    for (const std::int32_t partition : {0, 1, 2}) ASSERT_TRUE(sink->claim(kTrades, partition));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10), 0)));
    EXPECT_EQ(told(), Told{});
    ASSERT_TRUE(sink->write(batch(kTrades, 70, trades(70, 80), 1)));
    ASSERT_TRUE(sink->write(batch(kTrades, 80, trades(80, 90), 1)));
    const Told expected{{log, "trades", 1, 0, 70}};
    EXPECT_EQ(told(), expected);
  }
  // Loading again all that the log has: what the store had before is not missing.
  const auto sink = open_sink({.adopt = true});
  for (const std::int32_t partition : {0, 1}) ASSERT_EQ(sink->claim(kTrades, partition).value(), std::nullopt);
  ASSERT_TRUE(sink->write(batch(kTrades, 4, trades(4, 10), 0)));
  ASSERT_TRUE(sink->write(batch(kTrades, 95, trades(95, 99), 1)));
  const Told expected{{log, "trades", 1, 0, 70}, {log, "trades", 1, 90, 95}};
  EXPECT_EQ(told(), expected);
}

TEST_P(SinkConformance, AnyPartAgainChangesNothing) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  const auto rows = trades(0, 100);
  const std::span all{rows};
  ASSERT_TRUE(sink->write(batch(kTrades, 0, all)));
  for (const auto& [first, count] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 100}, {0, 1}, {99, 1}, {40, 20}, {100, 0}})
    EXPECT_EQ(sink->write(batch(kTrades, static_cast<std::int64_t>(first), all.subspan(first, count))).value(), 100)
        << first;
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 100));
  EXPECT_EQ(sink->counts().contradictions, 0U) << sink->counts().last_contradiction;
  EXPECT_EQ(sink->counts().written, 100U);
  EXPECT_EQ(sink->counts().unchanged, 122U);
}

TEST_P(SinkConformance, ABatchThatWouldLeaveAHoleIsRefused) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10))));
  const auto refused = sink->write(batch(kTrades, 11, trades(11, 12)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::out_of_range);
  EXPECT_EQ(sink->write(batch(kTrades, 10, trades(10, 12))).value(), 12);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 12));
}

TEST_P(SinkConformance, AnUnclaimedPartitionIsRefused) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  EXPECT_EQ(sink->write(batch(kTrades, 0, trades(0, 1), 1)).error().fault, Fault::refused);
  EXPECT_EQ(all_trades(*history()).size(), 0U);
}

TEST_P(SinkConformance, AnOlderOwnersLaterWritesChangeNothing) {
  const auto old_owner = open_sink();
  ASSERT_TRUE(old_owner->claim(kTrades, 0));
  ASSERT_TRUE(old_owner->claim(kTrades, 1));
  ASSERT_TRUE(old_owner->write(batch(kTrades, 0, trades(0, 5))));
  const auto new_owner = open_sink();
  EXPECT_EQ(new_owner->claim(kTrades, 0).value(), 5);
  const auto refused = old_owner->write(batch(kTrades, 5, trades(5, 9)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_EQ(refused.error().retry, Retry::rebuild);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 5));
  // Only that partition was taken; and all of several batches or none.
  const auto other = trades(100, 101), own = trades(5, 6);
  const Batch both[] = {batch(kTrades, 0, other, 1), batch(kTrades, 5, own)};
  EXPECT_FALSE(old_owner->write_all(both));
  EXPECT_EQ(all_trades(*history()).size(), 5U);
  EXPECT_TRUE(old_owner->write(batch(kTrades, 0, other, 1)));
  EXPECT_EQ(new_owner->write(batch(kTrades, 5, trades(5, 9))).value(), 9);
  EXPECT_EQ(all_trades(*history()).size(), 10U);
}

TEST_P(SinkConformance, AnotherLogsIdIsRefusedUntilAdopted) {
  {
    const auto sink = open_sink();
    ASSERT_TRUE(sink->claim(kTrades, 0));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10))));
  }
  SinkSettings other{.log_id = "22222222-2222-4222-8222-222222222222"};
  {
    const auto sink = open_sink(other);
    const auto refused = sink->claim(kTrades, 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::mismatch);
    EXPECT_EQ(refused.error().retry, Retry::never);
    EXPECT_NE(refused.error().detail.find("--adopt"), std::string::npos);
  }
  other.adopt = true;
  const auto sink = open_sink(other);
  EXPECT_EQ(sink->claim(kTrades, 0).value(), std::nullopt);
  EXPECT_EQ(sink->write(batch(kTrades, 3, trades(5, 12))).value(), 10);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 12));
  EXPECT_EQ(history()->log_id().value(), other.log_id);
}

TEST_P(SinkConformance, OfTwoRowsWithOneKeyTheGreaterOrderStays) {
  using enum CandleStatus;
  // In rising row order (semantics section 6): settled beats open and partial whatever the epoch; then epoch; then
  // revision.
  std::vector<Candle> rising{
      candle(open, Completeness::none, 5, 1, 1),       candle(open, Completeness::none, 5, 2, 2),
      candle(closed, Completeness::partial, 5, 3, 3),  candle(open, Completeness::gap, 6, 1, 4),
      candle(closed, Completeness::complete, 4, 1, 5), candle(corrected, Completeness::gap, 4, 2, 6),
      candle(closed, Completeness::quiet, 6, 1, 7)};
  ASSERT_TRUE(std::is_sorted(rising.begin(), rising.end(),
                             [](const Candle& a, const Candle& b) { return row_order(a) < row_order(b); }));
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kCandles, 0));
  std::int64_t next = 0;
  std::mt19937 random{7};
  for (int round = 0; round < 40; ++round) {
    // Each round is a window of its own, so that it begins empty.
    const Timestamp start = timestamp_ns(1'700'000'040'000'000'000 + round * 60'000'000'000);
    std::vector<Candle> shuffled = rising;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    std::vector<Candle> best;
    for (Candle& c : shuffled) {
      c.start = start;
      if (best.empty() || replaces(row_order(c), row_order(best.front()))) best = {c};
      const Row row{c};
      ASSERT_TRUE(sink->write(batch(kCandles, next++, {&row, 1})));
      ASSERT_EQ(all_candles(*history(), {.from = start}), best);
    }
  }
  EXPECT_EQ(sink->counts().contradictions, 0U);
}

TEST_P(SinkConformance, EqualOrderWithOtherContentIsAnAlarmAndNoUpdate) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kCandles, 0));
  ASSERT_TRUE(sink->claim(kTrades, 0));
  const Row first{candle(CandleStatus::closed, Completeness::complete, 5, 1, 100)},
      other{candle(CandleStatus::closed, Completeness::complete, 5, 1, 101)};
  ASSERT_TRUE(sink->write(batch(kCandles, 0, {&first, 1})));
  ASSERT_TRUE(sink->write(batch(kCandles, 1, {&other, 1})));
  EXPECT_EQ(sink->counts().contradictions, 1U);
  EXPECT_NE(sink->counts().last_contradiction.find("binance:BTCUSDT 1m 2023-11-14T22:14:00Z"), std::string::npos)
      << sink->counts().last_contradiction;
  EXPECT_EQ(all_candles(*history()), std::vector{std::get<Candle>(first)});

  Trade a = trade(1), b = trade(1), c = trade(1);
  b.receive_time = a.event_time;  // seen on another way: the same content
  b.source = Text<40>::cut("session-2");
  c.price = Decimal::of(1, 0).value();
  const Row rows[] = {a, b, c};
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  EXPECT_EQ(sink->counts().contradictions, 2U);
  EXPECT_EQ(all_trades(*history()), std::vector{a});
}

TEST_P(SinkConformance, TradesWithoutIdsAreKnownByWhereTheyStood) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  std::vector<Row> rows;
  std::vector<Trade> expected;
  for (std::uint64_t n = 0; n < 30; ++n) {
    Trade t = trade(n, "finnhub:AAPL");
    t.id = {};
    t.order = t.first_id = t.last_id = 0;
    t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(n / 3) * 1'000'000);
    rows.emplace_back(t);
    expected.push_back(t);
  }
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  EXPECT_EQ(all_trades(*history()), expected);
  EXPECT_EQ(sink->counts().contradictions, 0U);
}

}  // namespace truetape
