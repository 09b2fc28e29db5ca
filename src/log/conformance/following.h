// What the parts of the log's conformance suite share. Internal to log/conformance.
#pragma once

#include <gtest/gtest.h>

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

inline std::vector<std::string> read_all(Log& log, std::string_view topic) {
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

}  // namespace truetape::conformance
