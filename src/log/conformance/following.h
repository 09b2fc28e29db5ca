// What the parts of the log's conformance suite share. Internal to log/conformance.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"

namespace truetape::conformance {

using namespace std::chrono_literals;

inline constexpr auto kLong = 20s;  // only ever waited for in full when the log is broken

// Values of records as a test compares them: "partition@offset=value".
inline std::string text(const Stored& s) {
  return std::to_string(s.partition) + "@" + std::to_string(s.offset) + "=" + std::string{s.record.value};
}
inline Record value(std::string_view bytes) { return {"k", bytes, {}}; }

inline void append(Log& log, std::string_view topic, std::int32_t partition, const std::vector<std::string>& values) {
  auto appender = log.appender(topic);
  ASSERT_TRUE(appender) << appender.error().detail;
  for (const std::string& v : values) ASSERT_TRUE((*appender)->append(partition, value(v)));
  const auto flushed = (*appender)->flush(kLong);
  ASSERT_TRUE(flushed) << flushed.error().detail;
  ASSERT_TRUE(*flushed);
}

// The end of a topic-partition, or -1.
inline std::int64_t end_of(const Log& log, std::string_view topic, std::int32_t partition) {
  const auto span = log.span(topic, partition);
  EXPECT_TRUE(span) << span.error().detail;
  return span ? span->end : -1;
}

// A reader that begins at the oldest record of every partition it gets.
struct Following {
  Log* log;
  std::string topic;
  std::unique_ptr<Reader> reader;
  std::set<std::int32_t> mine;

  static Following open(Log& log, std::string_view topic, std::string_view name, Share share) {
    auto opened = log.reader(topic, name, share);
    EXPECT_TRUE(opened) << opened.error().detail;
    return {&log, std::string{topic}, opened ? std::move(*opened) : nullptr, {}};
  }
  // One poll. A partition is sought as soon as it is assigned.
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
  // Until it has all that is committed in the partitions that it has, but at least one.
  std::vector<std::string> poll_all() {
    std::vector<std::string> out;
    for (const auto until = std::chrono::steady_clock::now() + kLong; std::chrono::steady_clock::now() < until;) {
      const auto some = poll(10ms);
      out.insert(out.end(), some.begin(), some.end());
      if (some.empty() && !mine.empty() && at_end()) return out;
    }
    ADD_FAILURE() << "it never came to the end of " << topic;
    return out;
  }
  bool at_end() const {
    return std::ranges::all_of(
        mine, [this](std::int32_t p) { return reader->position(p).value_or(-1) >= end_of(*log, topic, p); });
  }
};

inline std::vector<std::string> read_all(Log& log, std::string_view topic) {
  return Following::open(log, topic, "", Share::all).poll_all();
}

// The Task of a log that has no other.
struct Working {
  Log* log;
  std::unique_ptr<Task> task;
  std::vector<Task::Assigned> assigned;
  std::vector<std::string> records;

  static Working open(Log& log) {
    auto opened = log.task();
    EXPECT_TRUE(opened) << opened.error().detail;
    return {&log, opened ? std::move(*opened) : nullptr, {}, {}};
  }
  // Polls until there are records, or it is clear that there are none.
  void poll(std::chrono::milliseconds linger = 0ms) {
    records.clear();
    const auto until = std::chrono::steady_clock::now() + kLong;
    do {
      auto step = task->poll(linger);
      ASSERT_TRUE(step) << step.error().detail;
      EXPECT_TRUE(step->revoked.empty());
      EXPECT_TRUE(step->lost.empty());
      for (auto& a : step->assigned) assigned.push_back(std::move(a));
      std::ranges::sort(assigned, {}, &Task::Assigned::partition);
      for (const Stored& s : step->records) records.push_back(text(s));
      if (!records.empty()) return;
    } while (std::chrono::steady_clock::now() < until && !idle());
    ASSERT_TRUE(idle()) << "no record came, though there are some";
  }
  bool idle() const {
    if (assigned.empty()) return false;
    for (std::int32_t p = 0; p < log->partitions(); ++p)
      if (log->committed(p).value() < log->span(topic::raw, p)->end) return false;
    return true;
  }
};

using Lines = std::vector<std::string>;

}  // namespace truetape::conformance
