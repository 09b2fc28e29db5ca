// The embedded log beside another process, and on a full disk.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "child.h"
#include "log/conformance/counting.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::conformance {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using test::Ended;

class LogProcess : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/truetape_process_XXXXXX";
    root_ = mkdtemp(name);
    directory_ = root_ / "log";
  }
  void TearDown() override { fs::remove_all(root_); }
  std::vector<std::string> command(unsigned seed, int records) const {
    return {TRUETAPE_LOG_CHILD, directory_.string(), std::to_string(seed), std::to_string(records)};
  }
  fs::path root_, directory_;
};

TEST_F(LogProcess, ASecondWriterIsRefusedAndAReaderFollows) {
  std::atomic<bool> open{false}, enough{false};
  Ended ended;
  std::thread other{[&] {
    ended = test::run_and_kill(
        command(1, 1'000'000), {}, 60s, [&](const std::string&) { open = true; }, &enough);
  }};
  for (int i = 0; i < 3000 && !open; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(open);

  const auto second = open_lmdb_log(directory_, {});
  EXPECT_FALSE(second);
  if (!second) {
    EXPECT_EQ(second.error().fault, Fault::refused);
    EXPECT_NE(second.error().detail.find("The log in " + directory_.string() + " is being written by process "),
              std::string::npos)
        << second.error().detail;
  }
  {
    LmdbOptions options;
    options.read_only = true;
    const auto log = open_lmdb_log(directory_, options);
    EXPECT_TRUE(log) << log.error().detail;
    std::vector<std::int64_t> next(4, 0);
    std::int64_t seen = 0;
    auto reader = (*log)->reader(topic::raw, "", Share::all).value();
    const auto first = reader->poll(0ms);
    for (const std::int32_t p : first->assigned) EXPECT_TRUE(reader->seek(p, 0));
    // Several looks at a log that grows: what the other commits meanwhile comes too.
    for (int looks = 0, fresh = 0; looks < 2000 && fresh < 10; ++looks) {
      const auto step = reader->poll(100ms);
      ASSERT_TRUE(step) << step.error().detail;
      fresh += step->records.empty() ? 0 : 1;
      for (const Stored& s : step->records) {
        auto& expected = next[static_cast<std::size_t>(s.partition)];
        ASSERT_EQ(s.offset, expected);
        ASSERT_EQ(number_of(s), expected);
        ++expected;
        ++seen;
      }
    }
    EXPECT_GT(seen, 10);
    for (std::int32_t p = 0; p < 4; ++p) EXPECT_GE((*log)->span(topic::raw, p)->end, next[static_cast<std::size_t>(p)]);
    const auto verified = (*log)->verify();
    ASSERT_TRUE(verified) << verified.error().detail;
    EXPECT_EQ(verified->damage, std::vector<std::string>{});
  }
  enough = true;
  other.join();
  EXPECT_TRUE(ended.killed());
  // The killed writer's lock is gone with it.
  const auto again = open_lmdb_log(directory_, {});
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(check_world(**again, Promised(4), false), std::nullopt);
}

// The disk is full until the child says so: as ENOSPC when files would grow, or as EIO of a sync.
class LogFullDisk : public LogProcess, public testing::WithParamInterface<char> {};

TEST_P(LogFullDisk, ItWaitsKeepsAllAndGoesOn) {
  const Ended before = test::run_and_kill(command(3, 500), {}, 60s);
  ASSERT_TRUE(before.well());
  const fs::path full = root_ / "full";
  std::ofstream{full} << GetParam();
  const Ended ended = test::run_and_kill(
      command(3, 20'000),
      {"LD_PRELOAD=" TRUETAPE_POWERCUT_SHIM, "ASAN_OPTIONS=verify_asan_link_order=0",
       "TRUETAPE_POWERCUT_DIR=" + directory_.string(), "TRUETAPE_POWERCUT_SHADOW=" + (root_ / "shadow").string(),
       "TRUETAPE_POWERCUT_FULL=" + full.string()},
      120s, [&](const std::string& output) {
        if (output.find("full\n") != std::string::npos) fs::remove(full);
      });
  ASSERT_TRUE(ended.well()) << ended.status << " " << ended.output.substr(0, 200);
  EXPECT_FALSE(fs::exists(full)) << "the disk was never felt to be full";
  const auto log = open_lmdb_log(directory_, {});
  ASSERT_TRUE(log) << log.error().detail;
  std::int64_t records = 0;
  std::vector<std::int64_t> ends;
  for (std::int32_t p = 0; p < 4; ++p) ends.push_back((*log)->span(topic::raw, p)->end);
  for (const std::int64_t end : ends) records += end;
  EXPECT_EQ(records, 20'500);
  EXPECT_EQ(check_world(**log, all_below(ends), true), std::nullopt);
  EXPECT_TRUE((*log)->verify()->damage.empty());
}

INSTANTIATE_TEST_SUITE_P(NoSpace, LogFullDisk, testing::Values('g'));
INSTANTIATE_TEST_SUITE_P(SyncFails, LogFullDisk, testing::Values('s'));

}  // namespace
}  // namespace truetape::conformance
