// The processing step.
#include "log/conformance/log_conformance.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log/conformance/counting.h"
#include "log/conformance/following.h"

namespace truetape::conformance {

TEST_P(LogConformance, TheFirstStepAssignsAllPartitionsWithTheirState) {
  auto under = make();
  {
    append(under->log(), topic::raw, 2, {"a"});
    Working work = Working::open(under->log());
    work.poll();
    ASSERT_EQ(work.assigned.size(), 4U);
    for (std::size_t p = 0; p < 4; ++p) {
      EXPECT_EQ(work.assigned[p].partition, static_cast<std::int32_t>(p));
      EXPECT_TRUE(work.assigned[p].state.empty());
    }
    ASSERT_EQ(work.records, (Lines{"2@0=a"}));
    const std::vector<StateChange> state{
        {2, "b", "2"}, {2, "a", "1"}, {0, "z", ""}, {2, "gone", "x"}, {2, "gone", std::nullopt}};
    ASSERT_TRUE(work.task->commit({}, state));
  }
  under->reopen();
  {
    append(under->log(), topic::raw, 0, {"b"});
    Working work = Working::open(under->log());
    work.poll();
    ASSERT_EQ(work.assigned.size(), 4U);
    ASSERT_EQ(work.assigned[2].state.size(), 2U);
    EXPECT_EQ(work.assigned[2].state[0].key, "a");
    EXPECT_EQ(work.assigned[2].state[0].value, "1");
    EXPECT_EQ(work.assigned[2].state[1].key, "b");
    ASSERT_EQ(work.assigned[0].state.size(), 1U);
    EXPECT_EQ(work.assigned[0].state[0].value, "");
    ASSERT_EQ(work.records, (Lines{"0@0=b"}));
    const std::vector<StateChange> state{{2, "a", std::nullopt}, {2, "never", std::nullopt}, {2, "b", "3"}};
    ASSERT_TRUE(work.task->commit({}, state));
  }
  under->reopen();
  Working work = Working::open(under->log());
  work.poll();
  ASSERT_EQ(work.assigned[2].state.size(), 1U);
  EXPECT_EQ(work.assigned[2].state[0].key, "b");
  EXPECT_EQ(work.assigned[2].state[0].value, "3");
  EXPECT_TRUE(work.records.empty());
}

TEST_P(LogConformance, OutputsStateAndPositionsBecomeVisibleTogether) {
  auto under = make();
  Log& log = under->log();
  append(log, topic::raw, 1, {"a", "b"});
  Following reader = Following::open(log, topic::trades, "", Share::all);
  reader.poll();
  Working work = Working::open(log);
  work.poll();
  EXPECT_TRUE(reader.poll().empty());
  EXPECT_EQ(log.committed(1).value(), 0);
  const std::vector<Output> outputs{
      {topic::trades, 1, value("t1")}, {topic::candles, 0, value("c1")}, {topic::trades, 1, value("t2")}};
  ASSERT_TRUE(work.task->commit(outputs, {}));
  EXPECT_EQ(log.committed(1).value() >= 2, true);
  EXPECT_EQ(log.committed(0).value(), 0);
  EXPECT_EQ(reader.poll(kLong), (Lines{"1@0=t1", "1@1=t2"}));
  EXPECT_EQ(read_all(log, topic::candles), (Lines{"0@0=c1"}));
}

TEST_P(LogConformance, AnUncommittedStepIsGivenAgain) {
  auto under = make();
  append(under->log(), topic::raw, 0, {"a", "b"});
  for (int time = 0; time < 2; ++time) {
    Working work = Working::open(under->log());
    work.poll();
    EXPECT_EQ(work.records, (Lines{"0@0=a", "0@1=b"}));
  }
  under->reopen();
  Working work = Working::open(under->log());
  work.poll();
  EXPECT_EQ(work.records, (Lines{"0@0=a", "0@1=b"}));
  ASSERT_TRUE(work.task->commit({}, {}));
  work.poll();
  EXPECT_TRUE(work.records.empty());
}

TEST_P(LogConformance, PollAndCommitTakeTurns) {
  auto under = make();
  append(under->log(), topic::raw, 0, {"a"});
  Working work = Working::open(under->log());
  EXPECT_EQ(work.task->commit({}, {}).error().fault, Fault::refused);
  work.poll();
  ASSERT_EQ(work.records.size(), 1U);
  EXPECT_EQ(work.task->poll(0ms).error().fault, Fault::refused);
  EXPECT_TRUE(work.task->commit({}, {}));
  EXPECT_EQ(work.task->commit({}, {}).error().fault, Fault::refused);
}

TEST_P(LogConformance, ThereIsOneTask) {
  auto under = make();
  auto first = under->log().task();
  ASSERT_TRUE(first);
  EXPECT_EQ(under->log().task().error().fault, Fault::refused);
  first->reset();
  EXPECT_TRUE(under->log().task());
}

TEST_P(LogConformance, AWrongOutputOrStateKeyCommitsNothing) {
  auto under = make();
  Log& log = under->log();
  append(log, topic::raw, 0, {"a"});
  const std::string long_key(kMaxStateKeyBytes + 1, 'k');
  const std::string large(kMaxRecordBytes + 1, 'o');
  const std::vector<std::pair<std::vector<Output>, std::vector<StateChange>>> wrong{
      {{{topic::trades, 0, value("t")}, {"nonsense", 0, value("x")}}, {}},
      {{{topic::trades, 0, value("t")}, {topic::trades, 4, value("x")}}, {}},
      {{{topic::trades, 0, value("t")}, {topic::trades, 0, value(large)}}, {}},
      {{{topic::trades, 0, value("t")}}, {{0, "", "x"}}},
      {{{topic::trades, 0, value("t")}}, {{0, long_key, "x"}}},
      {{{topic::trades, 0, value("t")}}, {{7, "k", "x"}}},
  };
  for (const auto& [outputs, state] : wrong) {
    Working work = Working::open(log);
    work.poll();
    ASSERT_EQ(work.records, (Lines{"0@0=a"}));
    EXPECT_FALSE(work.task->commit(outputs, state));
    EXPECT_TRUE(read_all(log, topic::trades).empty());
    EXPECT_EQ(log.committed(0).value(), 0);
  }
}

TEST_P(LogConformance, AnOutputThatIsTooLargeIsNamed) {
  auto under = make();
  append(under->log(), topic::raw, 0, {"a"});
  Working work = Working::open(under->log());
  work.poll();
  const std::string large(kMaxRecordBytes, 'o');
  const std::vector<Output> outputs{{topic::trades, 1, value("t")}, {topic::trades, 2, {"key", large, {}}}};
  const Status done = work.task->commit(outputs, {});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::out_of_range);
  EXPECT_NE(done.error().detail.find("trades/2, key \"key\", 1048579 bytes"), std::string::npos) << done.error().detail;
}

TEST_P(LogConformance, StepsHaveALimitAndNoPartitionStarves) {
  auto under = make({.step_records = 10});
  Log& log = under->log();
  for (std::int32_t p = 0; p < 4; ++p)
    for (int i = 0; i < 8; ++i) append(log, topic::raw, p, {std::to_string(i)});
  Working work = Working::open(log);
  std::vector<int> seen(4, 0);
  for (int step = 0; step < 50 && seen != std::vector<int>(4, 8); ++step) {
    work.poll();
    ASSERT_FALSE(work.records.empty());
    EXPECT_LE(work.records.size(), 10U);
    for (const std::string& record : work.records) {
      auto& count = seen[static_cast<std::size_t>(record[0] - '0')];
      EXPECT_EQ(record.substr(record.find('=') + 1), std::to_string(count));
      ++count;
    }
    ASSERT_TRUE(work.task->commit({}, {}));
  }
  EXPECT_EQ(seen, std::vector<int>(4, 8));
}

TEST_P(LogConformance, AStepEndsByBytesToo) {
  auto under = make({.step_bytes = 250'000, .append_buffer_bytes = 10'000'000});
  Log& log = under->log();
  const std::string large(100'000, 'x');
  for (int i = 0; i < 8; ++i) append(log, topic::raw, 0, {large});
  Working work = Working::open(log);
  std::size_t seen = 0;
  while (seen < 8) {
    work.poll();
    ASSERT_FALSE(work.records.empty());
    EXPECT_LE(work.records.size(), 3U);
    seen += work.records.size();
    ASSERT_TRUE(work.task->commit({}, {}));
  }
}

}  // namespace truetape::conformance
