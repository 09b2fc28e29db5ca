// The embedded log under kill -9 and power cuts of a real process. TRUETAPE_KILLS and TRUETAPE_CUTS set how many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>

#include "child.h"
#include "log/conformance/counting.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::conformance {
namespace {

namespace fs = std::filesystem;
using test::Ended;

int times(const char* name, int usual) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : usual;
}

class LogCrash : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/truetape_crash_XXXXXX";
    root_ = mkdtemp(name);
    directory_ = root_ / "log";
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(root_);
  }

  // Numbers promised by the child's output join what was promised before.
  void promise(const std::string& output) {
    std::istringstream in{output.substr(0, output.rfind('\n') + 1)};
    for (std::string line; std::getline(in, line);) {
      std::istringstream words{line};
      std::string what;
      std::size_t partition = 0;
      std::int64_t number = 0;
      if (!(words >> what >> partition >> number)) continue;
      if (what == "C") kept_ = std::max(kept_, number);
      if (what == "P") ends_.at(partition) = std::max(ends_.at(partition), number + 1);
    }
  }
  // Opens the directory as the next process would and compares everything. What is promised once stays.
  void check(bool processed) {
    if (!fs::exists(directory_ / "log.mdb")) {
      ASSERT_EQ(ends_, std::vector<std::int64_t>(4, 0));
      ASSERT_EQ(kept_, 0);
      return;
    }
    LmdbOptions options;
    options.partitions = 4;
    auto log = open_lmdb_log(directory_, options);
    ASSERT_TRUE(log) << log.error().detail;
    const auto verified = (*log)->verify();
    ASSERT_TRUE(verified) << verified.error().detail;
    ASSERT_EQ(verified->damage, std::vector<std::string>{});
    ASSERT_EQ(check_world(**log, all_below(ends_), processed), std::nullopt);
    // Of the compacted topic each key's last record is there, and what is there is right.
    const auto kept = (*log)->span(topic::control, 0);
    ASSERT_TRUE(kept) << kept.error().detail;
    ASSERT_GE(kept->end, kept_);
    kept_ = kept->end;
    std::int64_t there = 0, newest = 0;
    const Status scanned = (*log)->scan(topic::control, 0, 0, kept->end, [&](const Stored& s) {
      ++there;
      EXPECT_EQ(s.record.value, std::to_string(s.offset));
      EXPECT_EQ(s.record.key, "key" + std::to_string(s.offset % 7));
      if (s.offset >= kept->end - 7) ++newest;
      return true;
    });
    ASSERT_TRUE(scanned) << scanned.error().detail;
    ASSERT_EQ(newest, std::min<std::int64_t>(kept->end, 7));
    compacted_ = kept->end - there;
    if (id_.empty()) id_ = (*log)->id();
    ASSERT_EQ((*log)->id(), id_);
  }
  std::vector<std::string> command(unsigned seed, int records) const {
    return {TRUETAPE_LOG_CHILD, directory_.string(), std::to_string(seed), std::to_string(records)};
  }

  fs::path root_, directory_;
  std::vector<std::int64_t> ends_ = std::vector<std::int64_t>(4, 0);
  std::int64_t kept_ = 0, compacted_ = 0;  // of the compacted topic: its end, and how many records are gone
  std::string id_;
};

TEST_F(LogCrash, KillNineAtRandomInstantsLosesAndDoublesNothing) {
  std::mt19937 random{20'240'808};
  const int kills = times("TRUETAPE_KILLS", 40);
  int killed = 0;
  for (int i = 0; i < kills; ++i) {
    const Ended ended = test::run_and_kill(command(static_cast<unsigned>(i), 100'000), {},
                                           std::chrono::microseconds{random() % 60'000});
    ASSERT_TRUE(ended.killed()) << "the child ended by itself: " << ended.status;
    ++killed;
    promise(ended.output);
    check(false);
    if (HasFatalFailure()) FAIL() << "after kill " << i << " in " << root_;
  }
  EXPECT_EQ(killed, kills);
  const Ended last = test::run_and_kill(command(1, 2000), {}, std::chrono::minutes{1});
  ASSERT_TRUE(last.well()) << last.status;
  promise(last.output);
  check(true);
  for (const std::int64_t end : ends_) EXPECT_GT(end, 100);
  EXPECT_GT(compacted_, 100) << "nothing was compacted between the kills";
}

class PowerCut : public LogCrash {
 protected:
  Ended run_and_cut(unsigned seed, int records, int writeback, std::int64_t at, std::chrono::microseconds life) {
    const fs::path shadow = root_ / "shadow";
    fs::create_directories(directory_);
    const Ended ended = test::run_and_kill(
        command(seed, records),
        {"LD_PRELOAD=" TRUETAPE_POWERCUT_SHIM, "ASAN_OPTIONS=verify_asan_link_order=0",
         "TRUETAPE_POWERCUT_DIR=" + directory_.string(), "TRUETAPE_POWERCUT_SHADOW=" + shadow.string(),
         "TRUETAPE_POWERCUT_WRITEBACK=" + std::to_string(writeback), "TRUETAPE_POWERCUT_SEED=" + std::to_string(seed),
         "TRUETAPE_POWERCUT_AT=" + std::to_string(at)},
        life);
    // The disk after the cut is the shadow; what the program thought it had written is gone.
    fs::remove_all(directory_);
    if (fs::exists(shadow)) fs::rename(shadow, directory_);
    return ended;
  }
};

TEST_F(PowerCut, AtRandomInstantsLosesNothingThatWasPromised) {
  std::mt19937 random{7};
  const int cuts = times("TRUETAPE_CUTS", 40);
  for (int i = 0; i < cuts; ++i) {
    const int writeback = std::array{0, 20, 60, 100}[random() % 4];
    const std::int64_t at = static_cast<std::int64_t>(random() % 400 + 1);
    const Ended ended = run_and_cut(static_cast<unsigned>(i), 100'000, writeback, at, std::chrono::seconds{20});
    ASSERT_TRUE(ended.killed()) << "the child ended by itself: " << ended.status;
    promise(ended.output);
    check(false);
    if (HasFatalFailure())
      FAIL() << "after cut " << i << " at operation " << at << ", write-back " << writeback << ", in " << root_;
  }
  const Ended last = run_and_cut(1, 2000, 0, 0, std::chrono::minutes{1});
  ASSERT_TRUE(last.well()) << last.status;
  promise(last.output);
  check(true);
  for (const std::int64_t end : ends_) EXPECT_GT(end, 100);
}

// Creation is the one moment where nothing old is there to fall back to: every single operation of it.
TEST_F(PowerCut, WhileTheLogIsCreatedLeavesALogOrNone) {
  int with = 0, without = 0;
  for (std::int64_t at = 1; at <= 40; ++at) {
    fs::remove_all(directory_);
    id_.clear();
    ends_.assign(4, 0);
    kept_ = 0;
    const Ended ended =
        run_and_cut(static_cast<unsigned>(at), 100'000, at % 2 == 0 ? 50 : 0, at, std::chrono::seconds{20});
    ASSERT_TRUE(ended.killed());
    promise(ended.output);
    ++(fs::exists(directory_ / "log.mdb") ? with : without);
    check(false);
    if (HasFatalFailure()) FAIL() << "cut at operation " << at << " in " << root_;
  }
  EXPECT_GT(with, 0);
  EXPECT_GT(without, 0);
}

}  // namespace
}  // namespace truetape::conformance
