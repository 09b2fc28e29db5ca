// The log as such and its appenders.
#include "log/conformance/log_conformance.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log/conformance/counting.h"
#include "log/conformance/following.h"
#include "log/read.h"

namespace truetape::conformance {

TEST_P(LogConformance, ANewLogIsEmptyAndKnowsItself) {
  auto under = make({.partitions = 3});
  Log& log = under->log();
  EXPECT_EQ(log.id().size(), 36U);
  EXPECT_GT(log.epoch(), 1'600'000'000);
  EXPECT_EQ(log.partitions(), 3);
  for (const std::string_view name : topic::all)
    for (std::int32_t p = 0; p < 3; ++p) {
      const auto span = log.span(name, p);
      ASSERT_TRUE(span);
      EXPECT_EQ(span->oldest, 0);
      EXPECT_EQ(span->end, 0);
    }
  EXPECT_EQ(log.committed(2).value(), 0);
  EXPECT_TRUE(read_all(log, topic::trades).empty());
}

TEST_P(LogConformance, UnknownTopicsAndPartitionsAreErrors) {
  auto under = make();
  Log& log = under->log();
  EXPECT_EQ(log.span("nonsense", 0).error().fault, Fault::not_found);
  EXPECT_EQ(log.span(topic::raw, 4).error().fault, Fault::out_of_range);
  EXPECT_EQ(log.span(topic::raw, -1).error().fault, Fault::out_of_range);
  EXPECT_EQ(log.committed(4).error().fault, Fault::out_of_range);
  EXPECT_EQ(log.reader("nonsense", "", Share::all).error().fault, Fault::not_found);
  EXPECT_EQ(log.reader(topic::raw, "", Share::group).error().fault, Fault::refused);
  EXPECT_EQ(log.appender(topic::trades).error().fault, Fault::refused);
  EXPECT_EQ(log.appender("nonsense").error().fault, Fault::refused);
  auto appender = log.appender(topic::raw);
  EXPECT_FALSE((*appender)->append(4, value("x")));
  EXPECT_FALSE((*appender)->append(-1, value("x")));
}

TEST_P(LogConformance, RecordsComeBackAsTheyWereInOrderUnderRisingOffsets) {
  auto under = make();
  Log& log = under->log();
  const std::string nul("a\0b", 3);
  const std::string large(300'000, 'L');
  const std::array<Header, 3> three{{{"kind", "frame"}, {"seq", "1"}, {"", ""}}};
  const std::array<Header, 3> other{{{"seq", "2"}, {"kind", "frame"}, {"kind", "again"}}};
  {
    auto appender = log.appender(topic::raw);
    ASSERT_TRUE((*appender)->append(1, {"", "", {}}));
    ASSERT_TRUE((*appender)->append(1, {nul, large, three}));
    ASSERT_TRUE((*appender)->append(1, {nul, nul, three}));
    ASSERT_TRUE((*appender)->append(1, {"key", "v", other}));
    ASSERT_TRUE((*appender)->flush(kLong).value());
  }
  std::size_t i = 0;
  std::int64_t last = -1;
  const std::vector<std::vector<Header>> headers{
      {}, {three.begin(), three.end()}, {three.begin(), three.end()}, {other.begin(), other.end()}};
  const std::vector<std::pair<std::string, std::string>> records{{"", ""}, {nul, large}, {nul, nul}, {"key", "v"}};
  ASSERT_TRUE(read_stretch(log, {topic::raw, 1, 0, end_of(log, topic::raw, 1)}, [&](const Stored& stored) {
    if (i == records.size()) return ++i, false;
    const Record& record = stored.record;
    EXPECT_EQ(record.key, records[i].first);
    EXPECT_EQ(record.value, records[i].second);
    EXPECT_EQ(std::vector<Header>(record.headers.begin(), record.headers.end()), headers[i]);
    EXPECT_EQ(stored.partition, 1);
    EXPECT_GT(stored.offset, last);
    last = stored.offset;
    ++i;
    return true;
  }));
  EXPECT_EQ(i, records.size());
}

TEST_P(LogConformance, AppendedRecordsOutliveTheProcessOnceFlushed) {
  auto under = make();
  append(under->log(), topic::raw, 0, {"a", "b"});
  append(under->log(), topic::control, 3, {"c"});
  const std::string id{under->log().id()};
  const auto span = under->log().span(topic::raw, 0);
  under->reopen();
  Log& log = under->log();
  EXPECT_EQ(log.id(), id);
  EXPECT_EQ(log.span(topic::raw, 0)->end, span->end);
  EXPECT_EQ(read_all(log, topic::raw), (Lines{"0@0=a", "0@1=b"}));
  EXPECT_EQ(read_all(log, topic::control), (Lines{"3@0=c"}));
}

TEST_P(LogConformance, ARecordAboveOneMiBIsNeverTakenAndOneOfExactlyThatIs) {
  auto under = make();
  Log& log = under->log();
  auto appender = log.appender(topic::raw).value();
  const std::string most(kMaxRecordBytes - 1, 'm');  // and one byte of key
  ASSERT_TRUE(appender->append(0, {"k", most, {}}));
  ASSERT_TRUE(appender->flush(kLong).value());
  EXPECT_FALSE(appender->append(0, {"kk", most, {}}));
  const std::array<Header, 1> header{{{"h", ""}}};
  EXPECT_FALSE(appender->append(0, {"k", most, header}));
  ASSERT_TRUE(appender->flush(kLong).value());
  EXPECT_EQ(log.span(topic::raw, 0)->end - log.span(topic::raw, 0)->oldest >= 1, true);
  EXPECT_EQ(read_all(log, topic::raw).size(), 1U);
}

TEST_P(LogConformance, TheAppendBufferIsBoundedAndEmptiesByFlushing) {
  auto under = make({.append_buffer_bytes = 100'000});
  auto appender = under->log().appender(topic::raw).value();
  under->set_full(true);  // so that nothing leaves the buffer meanwhile
  const std::string kilobyte(1000, 'x');
  std::size_t taken = 0;
  // Some may still go into free room of the log, but not for ever.
  while (taken < 100'000 && appender->append(static_cast<std::int32_t>(taken % 4), value(kilobyte))) ++taken;
  EXPECT_GE(taken, 50U);
  ASSERT_LT(taken, 100'000U);
  under->set_full(false);
  const auto until = std::chrono::steady_clock::now() + kLong;
  Result<bool> flushed = appender->flush(1s);
  while ((!flushed || !*flushed) && std::chrono::steady_clock::now() < until) {
    ASSERT_TRUE(flushed || flushed.error().retry == Retry::after_backoff) << flushed.error().detail;
    flushed = appender->flush(1s);
  }
  ASSERT_TRUE(flushed && *flushed);
  EXPECT_TRUE(appender->append(0, value(kilobyte)));
  ASSERT_TRUE(appender->flush(kLong).value());
  EXPECT_EQ(read_all(under->log(), topic::raw).size(), taken + 1);
}

TEST_P(LogConformance, NoRoomIsAClearErrorAndThenItGoesOn) {
  auto under = make();
  Log& log = under->log();
  auto appender = log.appender(topic::raw).value();
  std::vector<std::int64_t> acknowledged(4, 0), sent(4, 0);
  const auto send = [&] {
    for (std::int32_t p = 0; p < 4; ++p) {
      const NumberedRecord record{p, sent[static_cast<std::size_t>(p)]};
      if (appender->append(p, record.record())) ++sent[static_cast<std::size_t>(p)];
    }
  };
  for (int i = 0; i < 100; ++i) send();
  ASSERT_TRUE(appender->flush(kLong).value());
  acknowledged = sent;
  std::optional<Error> error;
  ASSERT_EQ(run_task(log, error), std::nullopt);
  ASSERT_FALSE(error);

  under->set_full(true);
  Result<bool> flushed = true;
  for (int i = 0; i < 20'000 && flushed; ++i) {
    send();
    flushed = appender->flush(2s);
    if (flushed && *flushed) acknowledged = sent;
  }
  ASSERT_FALSE(flushed) << "the log never became full";
  EXPECT_EQ(flushed.error().fault, under->full_fault());
  EXPECT_EQ(flushed.error().retry, Retry::after_backoff);
  EXPECT_GT(flushed.error().detail.size(), 20U);
  if (under->readable_when_full()) {
    EXPECT_EQ(check_world(log, all_below(acknowledged), false), std::nullopt);
  }

  under->set_full(false);
  const auto until = std::chrono::steady_clock::now() + kLong;
  do flushed = appender->flush(1s);
  while ((!flushed || !*flushed) && std::chrono::steady_clock::now() < until);
  ASSERT_TRUE(flushed && *flushed);
  ASSERT_EQ(run_task(log, error), std::nullopt);
  ASSERT_FALSE(error) << error->detail;
  EXPECT_EQ(check_world(log, all_below(sent), true), std::nullopt);
  appender.reset();
  under->reopen();
  EXPECT_EQ(check_world(under->log(), all_below(sent), true), std::nullopt);
}

TEST_P(LogConformance, AFullLogRefusesTheTaskWithoutHalfACommit) {
  auto under = make();
  Log& log = under->log();
  append(log, topic::raw, 0, {"a"});
  // Outputs too large for what room is left.
  const std::string large(kMaxRecordBytes - 10, 'o');
  const std::vector<Output> outputs(40, Output{topic::trades, 1, {"k", large, {}}});
  const std::vector<StateChange> state{{0, "s", "1"}};
  {
    Working work = Working::open(log);
    work.poll();
    ASSERT_EQ(work.records, (Lines{"0@0=a"}));
    under->set_full(true);
    const Status done = work.task->commit(outputs, state);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().fault, under->full_fault());
    EXPECT_EQ(done.error().retry, Retry::rebuild);
    EXPECT_FALSE(work.task->poll(0ms)) << "a Task whose commit failed is dead";
  }
  under->set_full(false);
  EXPECT_EQ(log.committed(0).value(), 0);
  EXPECT_TRUE(read_all(log, topic::trades).empty());
  Working again = Working::open(log);
  again.poll();
  EXPECT_EQ(again.records, (Lines{"0@0=a"}));
  EXPECT_TRUE(again.assigned.at(0).state.empty());
  EXPECT_TRUE(again.task->commit(outputs, state));
  EXPECT_EQ(read_all(log, topic::trades).size(), 40U);
}

}  // namespace truetape::conformance
