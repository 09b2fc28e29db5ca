#include "log/conformance/log_conformance.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log/conformance/counting.h"

namespace truetape::conformance {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 20s;  // only ever waited for in full when the log is broken

// Values of records as a test compares them: "partition@offset=value".
std::string text(const Stored& s) {
  return std::to_string(s.partition) + "@" + std::to_string(s.offset) + "=" + std::string{s.record.value};
}
Record value(std::string_view bytes) { return {"k", bytes, {}}; }

void append(Log& log, std::string_view topic, std::int32_t partition, const std::vector<std::string>& values) {
  auto appender = log.appender(topic);
  ASSERT_TRUE(appender) << appender.error().detail;
  for (const std::string& v : values) ASSERT_TRUE((*appender)->append(partition, value(v)));
  const auto flushed = (*appender)->flush(kLong);
  ASSERT_TRUE(flushed) << flushed.error().detail;
  ASSERT_TRUE(*flushed);
}

// A reader that begins at the oldest record of every partition it gets.
struct Following {
  std::unique_ptr<Reader> reader;
  std::set<std::int32_t> mine;

  static Following open(Log& log, std::string_view topic, std::string_view name, Share share) {
    auto opened = log.reader(topic, name, share);
    EXPECT_TRUE(opened) << opened.error().detail;
    return {opened ? std::move(*opened) : nullptr, {}};
  }
  std::vector<std::string> poll(std::chrono::milliseconds wait = 0ms) {
    const auto step = reader->poll(wait);
    EXPECT_TRUE(step) << step.error().detail;
    std::vector<std::string> out;
    if (!step) return out;
    for (const Stored& s : step->records) out.push_back(text(s));
    for (const std::int32_t p : step->revoked) mine.erase(p);
    for (const std::int32_t p : step->assigned) {
      EXPECT_TRUE(mine.insert(p).second);
      const Status at = reader->seek(p, std::nullopt);
      EXPECT_TRUE(at) << at.error().detail;
    }
    return out;
  }
  std::vector<std::string> poll_all() {
    std::vector<std::string> out;
    for (int quiet = 0; quiet < 2;) {
      const auto some = poll();
      quiet = some.empty() ? quiet + 1 : 0;
      out.insert(out.end(), some.begin(), some.end());
    }
    return out;
  }
};

std::vector<std::string> read_all(Log& log, std::string_view topic) {
  return Following::open(log, topic, "", Share::all).poll_all();
}

// The first step of a Task with all partitions and no records yet read.
struct Working {
  std::unique_ptr<Task> task;
  std::vector<Task::Assigned> assigned;
  std::vector<std::string> records;

  static Working open(Log& log) {
    auto opened = log.task();
    EXPECT_TRUE(opened) << opened.error().detail;
    Working out{opened ? std::move(*opened) : nullptr, {}, {}};
    return out;
  }
  // Polls until there are records or it is clear that there are none.
  void poll(std::chrono::milliseconds linger = 0ms) {
    records.clear();
    for (int i = 0; i < 2 && records.empty(); ++i) {
      auto step = task->poll(linger);
      ASSERT_TRUE(step) << step.error().detail;
      EXPECT_TRUE(step->revoked.empty());
      for (auto& a : step->assigned) assigned.push_back(std::move(a));
      for (const Stored& s : step->records) records.push_back(text(s));
    }
  }
};

using Lines = std::vector<std::string>;

}  // namespace

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
  auto reader = log.reader(topic::raw, "", Share::all).value();
  ASSERT_EQ(reader->poll(0ms)->assigned.size(), 4U);
  ASSERT_TRUE(reader->seek(1, std::nullopt));
  const auto step = reader->poll(0ms);
  ASSERT_TRUE(step);
  ASSERT_EQ(step->records.size(), 4U);
  const auto headers = [&](std::size_t i) {
    const auto h = step->records[i].record.headers;
    return std::vector<Header>(h.begin(), h.end());
  };
  EXPECT_EQ(step->records[0].record.key, "");
  EXPECT_EQ(step->records[0].record.value, "");
  EXPECT_TRUE(headers(0).empty());
  EXPECT_EQ(step->records[1].record.key, nul);
  EXPECT_EQ(step->records[1].record.value, large);
  EXPECT_EQ(headers(1), std::vector<Header>(three.begin(), three.end()));
  EXPECT_EQ(step->records[2].record.value, nul);
  EXPECT_EQ(headers(2), std::vector<Header>(three.begin(), three.end()));
  EXPECT_EQ(step->records[3].record.key, "key");
  EXPECT_EQ(headers(3), std::vector<Header>(other.begin(), other.end()));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(step->records[i].partition, 1);
    EXPECT_GT(step->records[i].offset, i == 0 ? -1 : step->records[i - 1].offset);
  }
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
  under->set_full(true);  // so that nothing leaves the buffer meanwhile
  auto appender = under->log().appender(topic::raw).value();
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
  EXPECT_EQ(flushed.error().fault, Fault::no_space);
  EXPECT_EQ(flushed.error().retry, Retry::after_backoff);
  EXPECT_GT(flushed.error().detail.size(), 20U);
  // What is committed can be read meanwhile.
  EXPECT_EQ(check_world(log, all_below(acknowledged), false), std::nullopt);

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
  under->set_full(true);
  // Outputs too large for what room is left.
  const std::string large(kMaxRecordBytes - 10, 'o');
  const std::vector<Output> outputs(40, Output{topic::trades, 1, {"k", large, {}}});
  const std::vector<StateChange> state{{0, "s", "1"}};
  {
    Working work = Working::open(log);
    work.poll();
    ASSERT_EQ(work.records, (Lines{"0@0=a"}));
    const Status done = work.task->commit(outputs, state);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().fault, Fault::no_space);
    EXPECT_EQ(done.error().retry, Retry::rebuild);
    EXPECT_FALSE(work.task->poll(0ms)) << "a Task whose commit failed is dead";
  }
  EXPECT_EQ(log.committed(0).value(), 0);
  EXPECT_EQ(log.span(topic::trades, 1)->end, 0);
  under->set_full(false);
  Working again = Working::open(log);
  again.poll();
  EXPECT_EQ(again.records, (Lines{"0@0=a"}));
  EXPECT_TRUE(again.assigned.at(0).state.empty());
  EXPECT_TRUE(again.task->commit(outputs, state));
  EXPECT_EQ(read_all(log, topic::trades).size(), 40U);
}

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

TEST_P(LogConformance, AReaderSeeksAnywhereBetweenOldestAndEnd) {
  auto under = make();
  Log& log = under->log();
  append(log, topic::raw, 0, {"a", "b", "c"});
  append(log, topic::raw, 0, {"d"});
  auto reader = log.reader(topic::raw, "", Share::all).value();
  EXPECT_EQ(reader->seek(0, 0).error().fault, Fault::refused) << "before the first poll nothing is assigned";
  ASSERT_EQ(reader->poll(0ms)->assigned, (std::vector<std::int32_t>{0, 1, 2, 3}));
  EXPECT_TRUE(reader->poll(0ms)->records.empty()) << "silent until seek";
  const std::int64_t end = log.span(topic::raw, 0)->end;
  const auto from = [&](std::int64_t offset) {
    EXPECT_TRUE(reader->seek(0, offset));
    Lines out;
    const auto step = reader->poll(0ms);
    EXPECT_TRUE(step);
    for (const Stored& s : step->records) out.push_back(std::string{s.record.value});
    return out;
  };
  EXPECT_EQ(from(0), (Lines{"a", "b", "c", "d"}));
  EXPECT_EQ(from(1), (Lines{"b", "c", "d"}));
  EXPECT_EQ(from(2), (Lines{"c", "d"}));
  EXPECT_EQ(from(end - 1).size() <= 1, true);
  EXPECT_EQ(from(end), Lines{});
  EXPECT_EQ(from(0), (Lines{"a", "b", "c", "d"})) << "back again";
  EXPECT_EQ(reader->seek(0, end + 1).error().fault, Fault::mismatch);
  EXPECT_EQ(reader->seek(0, -1).error().fault, Fault::out_of_range);
  EXPECT_EQ(reader->seek(4, 0).error().fault, Fault::out_of_range);
}

TEST_P(LogConformance, AReaderWakesUpForWhatIsCommitted) {
  auto under = make();
  Log& log = under->log();
  Following reader = Following::open(log, topic::raw, "", Share::all);
  reader.poll();
  std::thread writer{[&] { append(log, topic::raw, 2, {"a"}); }};
  EXPECT_EQ(reader.poll(kLong), (Lines{"2@0=a"}));
  writer.join();
}

TEST_P(LogConformance, ATaskWakesUpForWhatIsCommitted) {
  auto under = make();
  Log& log = under->log();
  Working work = Working::open(log);
  work.poll();
  std::thread writer{[&] { append(log, topic::raw, 2, {"a"}); }};
  work.poll(kLong);
  EXPECT_EQ(work.records, (Lines{"2@0=a"}));
  writer.join();
}

TEST_P(LogConformance, StoredPositionsAreKeptByNameAndOutliveTheProcess) {
  auto under = make();
  append(under->log(), topic::raw, 0, {"a", "b", "c"});
  {
    Following reader = Following::open(under->log(), topic::raw, "sqlite", Share::all);
    EXPECT_EQ(reader.poll_all().size(), 3U);
    ASSERT_TRUE(reader.reader->stored(0, 2));
    EXPECT_EQ(reader.reader->stored(0, 1000).error().fault, Fault::mismatch);
    EXPECT_EQ(reader.reader->stored(0, -1).error().fault, Fault::mismatch);
    EXPECT_EQ(reader.reader->stored(9, 0).error().fault, Fault::out_of_range);
  }
  under->reopen();
  EXPECT_EQ(Following::open(under->log(), topic::raw, "sqlite", Share::all).poll_all(), (Lines{"0@2=c"}));
  EXPECT_EQ(Following::open(under->log(), topic::raw, "other", Share::all).poll_all().size(), 3U);
  EXPECT_EQ(Following::open(under->log(), topic::raw, "", Share::all).poll_all().size(), 3U);
}

TEST_P(LogConformance, ReadersOfOneNameDivideThePartitions) {
  auto under = make();
  Log& log = under->log();
  for (std::int32_t p = 0; p < 4; ++p) append(log, topic::raw, p, {"v"});
  Following one = Following::open(log, topic::raw, "load", Share::group);
  EXPECT_EQ(one.poll_all().size(), 4U);
  EXPECT_EQ(one.mine, (std::set<std::int32_t>{0, 1, 2, 3}));
  for (std::int32_t p = 0; p < 4; ++p) ASSERT_TRUE(one.reader->stored(p, log.span(topic::raw, p)->end));

  Following two = Following::open(log, topic::raw, "load", Share::group);
  two.poll();
  EXPECT_TRUE(two.mine.empty()) << "not before the first has heard of it";
  one.poll();
  EXPECT_EQ(one.mine.size(), 2U);
  two.poll();
  EXPECT_EQ(two.mine.size(), 2U);
  std::set<std::int32_t> both = one.mine;
  both.insert(two.mine.begin(), two.mine.end());
  EXPECT_EQ(both.size(), 4U);

  // Each record goes to one of the two, from where the other left off.
  for (std::int32_t p = 0; p < 4; ++p) append(log, topic::raw, p, {"w"});
  Lines got = one.poll_all();
  EXPECT_EQ(got.size(), 2U);
  const Lines more = two.poll_all();
  EXPECT_EQ(more.size(), 2U);
  got.insert(got.end(), more.begin(), more.end());
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()).size(), 4U);
  for (const std::string& line : got) EXPECT_EQ(line.back(), 'w');

  // Another name is another group; a member that goes gives its partitions back.
  Following other = Following::open(log, topic::raw, "else", Share::group);
  EXPECT_EQ(other.poll_all().size(), 8U);
  one.reader.reset();
  two.poll();
  EXPECT_EQ(two.mine.size(), 4U);
}

TEST_P(LogConformance, RetentionKeepsWhatReadersAndTheTaskStillNeed) {
  auto under = make({.trimming = true});
  Log& log = under->log();
  const auto oldest = [&] { return log.span(topic::raw, 0)->oldest; };
  Following slow = Following::open(log, topic::raw, "slow", Share::all);
  for (const char* v : {"a", "b", "c", "d", "e", "f"}) append(log, topic::raw, 0, {v});
  const auto offset_of = [&](int i) {
    const Lines all = read_all(log, topic::raw);
    const std::string& line = all[all.size() - static_cast<std::size_t>(6 - i)];
    return std::stoll(line.substr(2, line.find('=') - 2));
  };
  const std::vector<std::int64_t> at{offset_of(0), offset_of(1), offset_of(2),
                                     offset_of(3), offset_of(4), offset_of(5)};
  under->trim();
  EXPECT_EQ(oldest(), at[0]) << "neither reader nor Task has moved";
  // The Task takes all, the reader two.
  {
    Working work = Working::open(log);
    for (work.poll(); !work.records.empty(); work.poll()) ASSERT_TRUE(work.task->commit({}, {}));
  }
  under->trim();
  EXPECT_EQ(oldest(), at[0]) << "the reader has not moved";
  EXPECT_EQ(slow.poll_all().size(), 6U);
  ASSERT_TRUE(slow.reader->stored(0, at[2]));
  slow.reader.reset();  // the position counts, not the object
  under->reopen();
  under->trim();
  Log& again = under->log();
  EXPECT_EQ(again.span(topic::raw, 0)->oldest, at[2]);
  EXPECT_EQ(read_all(again, topic::raw).size(), 4U);

  // Below the oldest: an error that names the hole.
  auto reader = again.reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  const Status below = reader->seek(0, at[1]);
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().fault, Fault::out_of_range);
  EXPECT_NE(below.error().detail.find(std::to_string(at[1])), std::string::npos) << below.error().detail;
  ASSERT_TRUE(reader->seek(0, at[2]));
  // A reader without a name keeps nothing back: it is told when it was too slow.
  under->forget_reader("slow");
  under->trim();
  EXPECT_EQ(again.span(topic::raw, 0)->oldest, at[5]) << "what was committed last stays";
  EXPECT_EQ(reader->poll(0ms).error().fault, Fault::out_of_range);
  ASSERT_TRUE(reader->seek(0, std::nullopt));
  EXPECT_EQ(reader->poll(0ms)->records.size(), 1U);
  // Offsets never begin anew.
  append(again, topic::raw, 0, {"g"});
  EXPECT_GT(again.span(topic::raw, 0)->end, at[5] + 1);
}

TEST_P(LogConformance, UncommittedAppendsMayBeLostButNeverDoubledOrReordered) {
  auto under = make();
  std::vector<std::int64_t> acknowledged(4, 0), sent(4, 0);
  for (int round = 0; round < 5; ++round) {
    {
      auto appender = under->log().appender(topic::raw).value();
      for (int i = 0; i < 300; ++i)
        for (std::int32_t p = 0; p < 4; ++p) {
          auto& number = sent[static_cast<std::size_t>(p)];
          const NumberedRecord record{p, number};
          if (appender->append(p, record.record())) ++number;
          if (i == 200 && p == 3) {
            ASSERT_TRUE(appender->flush(kLong).value());
            acknowledged = sent;
          }
        }
    }
    std::optional<Error> error;
    if (round % 2 == 0) {
      ASSERT_EQ(run_task(under->log(), error), std::nullopt);
    }
    ASSERT_FALSE(error);
    under->reopen();
    // Numbers that were never acknowledged may be missing, so they are sent again from the last that is there.
    auto reader = under->log().reader(topic::raw, "", Share::all).value();
    const auto first = reader->poll(0ms);
    ASSERT_TRUE(first);
    for (const std::int32_t p : first->assigned) ASSERT_TRUE(reader->seek(p, std::nullopt));
    sent.assign(4, 0);
    for (auto step = reader->poll(0ms); !step->records.empty(); step = reader->poll(0ms))
      for (const Stored& s : step->records) sent[static_cast<std::size_t>(s.partition)] = number_of(s).value() + 1;
    for (std::size_t p = 0; p < 4; ++p) ASSERT_GE(sent[p], acknowledged[p]);
    ASSERT_EQ(check_world(under->log(), all_below(acknowledged), false), std::nullopt);
  }
  std::optional<Error> error;
  ASSERT_EQ(run_task(under->log(), error), std::nullopt);
  EXPECT_EQ(check_world(under->log(), all_below(acknowledged), true), std::nullopt);
}

TEST_P(LogConformance, ManyAppendersTaskAndReadersAtOnce) {
  auto under = make({.append_buffer_bytes = 200'000});
  Log& log = under->log();
  constexpr int kRecords = 3000;
  std::vector<std::thread> threads;
  for (std::int32_t p = 0; p < 4; ++p)
    threads.emplace_back([&, p] {
      auto appender = log.appender(topic::raw).value();
      for (std::int64_t i = 0; i < kRecords;) {
        const NumberedRecord record{p, i};
        if (appender->append(p, record.record())) {
          ++i;
        } else if (const auto flushed = appender->flush(1s); !flushed) {
          ADD_FAILURE() << flushed.error().detail;
          return;
        }
      }
      EXPECT_TRUE(appender->flush(kLong).value());
    });
  std::size_t results = 0;
  threads.emplace_back([&] {
    Following reader = Following::open(log, topic::trades, "load", Share::group);
    for (const auto until = std::chrono::steady_clock::now() + kLong;
         results < 4 * kRecords && std::chrono::steady_clock::now() < until;)
      results += reader.poll(100ms).size();
  });
  std::optional<Error> error;
  std::optional<std::string> fault;
  const auto finished = [&] {
    std::int64_t done = 0;
    for (std::int32_t p = 0; p < 4; ++p) done += static_cast<std::int64_t>(*log.committed(p) >= kRecords);
    return done == 4;
  };
  for (const auto until = std::chrono::steady_clock::now() + kLong;
       !finished() && !fault && !error && std::chrono::steady_clock::now() < until;)
    fault = run_task(log, error);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fault, std::nullopt);
  EXPECT_FALSE(error);
  EXPECT_EQ(results, 4U * kRecords);
  EXPECT_EQ(check_world(log, all_below(std::vector<std::int64_t>(4, kRecords)), true), std::nullopt);
}

}  // namespace truetape::conformance
