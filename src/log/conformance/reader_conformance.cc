// Readers, retention, and all at once.
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

TEST_P(LogConformance, AReaderSeeksAnywhereBetweenOldestAndEnd) {
  auto under = make();
  Log& log = under->log();
  append(log, topic::raw, 0, {"a", "b", "c"});
  append(log, topic::raw, 0, {"d"});
  auto reader = log.reader(topic::raw, "", Share::all).value();
  EXPECT_EQ(reader->seek(0, 0).error().fault, Fault::refused) << "before the first poll nothing is assigned";
  ASSERT_EQ(reader->poll(0ms)->assigned, (std::vector<std::int32_t>{0, 1, 2, 3}));
  EXPECT_TRUE(reader->poll(0ms)->records.empty()) << "silent until seek";
  EXPECT_EQ(reader->position(0), std::nullopt);
  const std::int64_t end = log.span(topic::raw, 0)->end;
  const auto from = [&](std::int64_t offset) {
    EXPECT_TRUE(reader->seek(0, offset));
    EXPECT_EQ(reader->position(0), offset);
    Lines out;
    for (const auto until = std::chrono::steady_clock::now() + kLong;
         reader->position(0) < end && std::chrono::steady_clock::now() < until;) {
      const auto step = reader->poll(10ms);
      EXPECT_TRUE(step);
      for (const Stored& s : step->records) out.push_back(std::string{s.record.value});
    }
    EXPECT_EQ(reader->position(0), end);
    EXPECT_TRUE(reader->poll(10ms)->records.empty());
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
  work.poll(500ms);
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
  const auto divided = [&] { return one.mine.size() == 2 && two.mine.size() == 2; };
  for (const auto until = std::chrono::steady_clock::now() + kLong;
       !divided() && std::chrono::steady_clock::now() < until;) {
    one.poll(10ms);
    std::set<std::int32_t> both = one.mine;
    two.poll(10ms);
    both.insert(two.mine.begin(), two.mine.end());
    ASSERT_EQ(both.size(), one.mine.size() + two.mine.size()) << "a partition has two owners";
  }
  ASSERT_TRUE(divided());

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
  for (const auto until = std::chrono::steady_clock::now() + kLong;
       two.mine.size() < 4 && std::chrono::steady_clock::now() < until;)
    two.poll(10ms);
  EXPECT_EQ(two.mine.size(), 4U);
}

TEST_P(LogConformance, RetentionKeepsWhatReadersAndTheTaskStillNeed) {
  auto under = make({.trimming = true});
  if (!under->waits_for_readers()) GTEST_SKIP() << "retention is the broker's, which knows neither Task nor readers";
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
  // A reader that is forgotten keeps nothing back.
  under->forget_reader("slow");
  under->trim();
  EXPECT_EQ(again.span(topic::raw, 0)->oldest, at[5]) << "what was committed last stays";
}

TEST_P(LogConformance, WhatRetentionHasDeletedIsNamed) {
  auto under = make({.trimming = true});
  Log& log = under->log();
  std::vector<std::int64_t> at;
  for (const char* v : {"a", "b", "c", "d", "e", "f"}) {
    at.push_back(end_of(log, topic::raw, 0));
    append(log, topic::raw, 0, {v});
  }
  {
    Working work = Working::open(log);
    for (work.poll(); !work.records.empty(); work.poll()) ASSERT_TRUE(work.task->commit({}, {}));
  }
  auto reader = log.reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(0, at[2]));
  under->trim();
  EXPECT_EQ(log.span(topic::raw, 0)->oldest, at[5]) << "what was committed last stays";
  // A reader without a name keeps nothing back: it is told when it was too slow.
  Fault fault{};
  for (const auto until = std::chrono::steady_clock::now() + kLong; std::chrono::steady_clock::now() < until;) {
    const auto step = reader->poll(10ms);
    if (step) {
      ASSERT_TRUE(step->records.empty()) << "it is given what comes behind a hole, and not told";
      continue;
    }
    fault = step.error().fault;
    break;
  }
  EXPECT_EQ(fault, Fault::out_of_range);
  const Status below = reader->seek(0, at[1]);
  ASSERT_FALSE(below);
  EXPECT_EQ(below.error().fault, Fault::out_of_range);
  EXPECT_NE(below.error().detail.find(std::to_string(at[1])), std::string::npos) << below.error().detail;
  ASSERT_TRUE(reader->seek(0, std::nullopt));
  EXPECT_EQ(reader->position(0), at[5]);
  Lines rest;
  for (const auto until = std::chrono::steady_clock::now() + kLong;
       rest.empty() && std::chrono::steady_clock::now() < until;) {
    const auto step = reader->poll(10ms);
    ASSERT_TRUE(step) << step.error().detail;
    for (const Stored& s : step->records) rest.push_back(std::string{s.record.value});
  }
  EXPECT_EQ(rest, Lines{"f"});
  // Offsets never begin anew.
  append(log, topic::raw, 0, {"g"});
  EXPECT_GT(log.span(topic::raw, 0)->end, at[5] + 1);
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
    sent.assign(4, 0);
    for (std::int32_t p = 0; p < 4; ++p)
      ASSERT_TRUE(
          read_stretch(under->log(), {topic::raw, p, 0, end_of(under->log(), topic::raw, p)}, [&](const Stored& s) {
            sent[static_cast<std::size_t>(p)] = number_of(s).value() + 1;
            return true;
          }));
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
