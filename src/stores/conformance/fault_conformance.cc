// Locks, full disks, versions, crashes.
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

TEST_P(SinkConformance, ALockedStoreIsTriedAgain) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  {
    const auto held = GetParam().lock(directory_);
    const auto refused = sink->write(batch(kTrades, 0, trades(0, 10)));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_EQ(refused.error().retry, Retry::after_backoff);
    EXPECT_EQ(sink->counts().rows, 0U);
  }
  EXPECT_EQ(sink->write(batch(kTrades, 0, trades(0, 10))).value(), 10);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 10));
}

TEST_P(SinkConformance, AFullStoreKeepsWhatItHasAndSaysSo) {
  {
    const auto sink = open_sink({.max_bytes = 400'000});
    ASSERT_TRUE(sink->claim(kTrades, 0));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 1'000))));
    const auto full = sink->write(batch(kTrades, 1'000, trades(1'000, 50'000)));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().fault, Fault::no_space);
    EXPECT_EQ(full.error().retry, Retry::after_backoff);
    EXPECT_NE(full.error().detail.find("make room"), std::string::npos) << full.error().detail;
    EXPECT_EQ(sink->counts().rows, 1'000U);
    EXPECT_EQ(all_trades(*history()), expected_trades(0, 1'000));
    // A batch that fits still goes in.
    EXPECT_EQ(sink->write(batch(kTrades, 1'000, trades(1'000, 1'100))).value(), 1'100);
  }
  const auto sink = open_sink();
  EXPECT_EQ(sink->claim(kTrades, 0).value(), 1'100);
  ASSERT_TRUE(sink->write(batch(kTrades, 1'100, trades(1'100, 5'000))));
  EXPECT_TRUE(all_trades(*history()) == expected_trades(0, 5'000));
}

TEST_P(SinkConformance, ANewerSchemaIsRefused) {
  open_sink();
  GetParam().make_newer(directory_);
  const auto sink = GetParam().sink(directory_, {});
  const auto refused = sink->open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_NE(refused.error().detail.find("newer"), std::string::npos);
  const auto read = history()->trades({}, [](const Trade&) { return true; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault, Fault::mismatch);
}

TEST_P(SinkConformance, ACrashBetweenAnyTwoCallsLosesAndDoublesNothing) {
  // What one life does, call by call; life k dies after k calls, and the next goes on from what it claims.
  std::uint64_t done = 0;
  for (int calls = 1; calls < 12; ++calls) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto sink = GetParam().sink(directory_, {});
      int left = calls;
      const auto die = [] { ::kill(::getpid(), SIGKILL); };
      if (!sink->open()) ::_exit(1);
      if (--left == 0) die();
      const auto at = sink->claim(kTrades, 0);
      if (!at) ::_exit(2);
      if (--left == 0) die();
      for (auto next = static_cast<std::uint64_t>(at->value_or(0));; next += 20) {
        if (!sink->write(batch(kTrades, static_cast<std::int64_t>(next), trades(next, next + 20)))) ::_exit(3);
        if (--left == 0) die();
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    done += static_cast<std::uint64_t>(std::max(0, calls - 2)) * 20;
    ASSERT_EQ(all_trades(*history()), expected_trades(0, done)) << calls;
    if (done != 0) {
      ASSERT_EQ(history()->loaded(kTrades, 0).value(), static_cast<std::int64_t>(done));
    }
  }
}

TEST_P(SinkConformance, AKillAtAnyInstantLosesAndDoublesNothing) {
  std::mt19937 random{11};
  open_sink();
  std::uint64_t before = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto sink = GetParam().sink(directory_, {.busy_ms = 5'000});
      if (!sink->open()) ::_exit(1);
      const auto at = sink->claim(kTrades, 0);
      if (!at) ::_exit(2);
      for (auto next = static_cast<std::uint64_t>(at->value_or(0));; next += 37)
        if (!sink->write(batch(kTrades, static_cast<std::int64_t>(next), trades(next, next + 37)))) ::_exit(3);
    }
    // From its first instant on; later rounds live longer, so that something is written on a slow machine too.
    std::this_thread::sleep_for(std::chrono::microseconds{random() % (10'000 + static_cast<unsigned>(round) * 4'000)});
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    const auto rows = all_trades(*history());
    ASSERT_GE(rows.size(), before);
    ASSERT_EQ(rows.size() % 37, 0U);
    ASSERT_TRUE(rows == expected_trades(0, rows.size()));
    if (!rows.empty()) {
      ASSERT_EQ(history()->loaded(kTrades, 0).value(), static_cast<std::int64_t>(rows.size()));
    }
    before = rows.size();
  }
  EXPECT_GT(before, 0U);
}

}  // namespace truetape
