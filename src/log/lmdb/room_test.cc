// Who takes the log's room, who holds it, and how it is given back.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "log/lmdb/lmdb_log.h"
#include "log/lmdb/testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class RoomTest : public LmdbTest {
 protected:
  // One commit each, so one block each.
  void append(std::int32_t partition, const std::string& value, int count = 1) {
    auto appender = log_->appender(topic::raw).value();
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(appender->append(partition, {"key", value, {}}));
      const auto flushed = appender->flush(60s);
      ASSERT_TRUE(flushed) << flushed.error().detail;
      ASSERT_TRUE(*flushed);
    }
  }
  void process_all() {
    auto task = log_->task().value();
    for (auto step = task->poll(0ms); step; step = task->poll(0ms)) {
      if (step->records.empty() && step->assigned.empty()) break;
      ASSERT_TRUE(step->records.empty() || task->commit({}, {}));
    }
  }
  void tick() { ASSERT_TRUE(log_->set_note("tick", "")); }
  std::vector<std::string> everything() const {
    std::vector<std::string> out;
    for (const std::string_view topic : topic::all)
      for (std::int32_t p = 0; p < log_->partitions(); ++p) {
        const auto span = log_->span(topic, p).value();
        EXPECT_TRUE(log_->scan(topic, p, span.oldest, span.end, [&](const Stored& s) {
          out.push_back(std::string{topic} + std::to_string(p) + '@' + std::to_string(s.offset) + '=' +
                        std::string{s.record.value});
          return true;
        }));
      }
    const auto readers = log_->readers();
    for (const auto& reader : *readers)
      out.push_back(reader.name + std::string{reader.topic} + std::to_string(reader.partition) + '=' +
                    std::to_string(reader.stored));
    for (std::int32_t p = 0; p < log_->partitions(); ++p) out.push_back(std::to_string(log_->committed(p).value()));
    out.push_back(log_->note("tick").value().value_or("none"));
    return out;
  }
};

TEST_F(RoomTest, WhoHoldsHowMuchAndHowToForgetHim) {
  options_.size_limit = 2'000'000;
  options_.hard_limit = 4'000'000;
  open();
  auto slow = log_->reader(topic::raw, "slow", Share::all).value();
  auto quick = log_->reader(topic::raw, "quick", Share::all).value();
  EXPECT_EQ(log_->pressure(), std::nullopt);
  append(0, std::string(50'000, 'x'), 20);
  clock_.advance(1h);
  append(1, std::string(50'000, 'x'), 40);
  process_all();
  for (const std::int32_t p : {0, 1}) ASSERT_TRUE(quick->stored(p, log_->span(topic::raw, p)->end));
  ASSERT_TRUE(slow->stored(0, 5));
  for (int i = 0; i < 200 && log_->holds()->back().stored != 5; ++i) {  // a position alone is written a little later
    std::this_thread::sleep_for(20ms);
    if (log_->holds()->at(4).stored == 5) break;
  }
  const auto holds = log_->holds().value();
  ASSERT_EQ(holds.size(), 6U);
  const auto is = [&](std::size_t i, std::string_view name, std::int32_t partition, std::int64_t stored,
                      std::uint64_t blocks, std::optional<Timestamp> since) {
    SCOPED_TRACE(i);
    EXPECT_EQ(holds[i].name, name);
    EXPECT_EQ(holds[i].topic, topic::raw);
    EXPECT_EQ(holds[i].partition, partition);
    EXPECT_EQ(holds[i].stored, stored);
    EXPECT_EQ(holds[i].end, partition == 0 ? 20 : 40);
    EXPECT_EQ(holds[i].bytes / 50'000, blocks);
    EXPECT_EQ(holds[i].since, since);
  };
  const Timestamp begin = timestamp_ns(1'700'000'000'000'000'000);
  is(0, "process", 0, 20, 0, {});
  is(1, "process", 1, 40, 0, {});
  is(2, "quick", 0, 20, 0, {});
  is(3, "quick", 1, 40, 0, {});
  is(4, "slow", 0, 5, 15, begin);
  is(5, "slow", 1, 0, 40, begin + 1h);
  // Above its size limit, below the hard one: it is told, and all goes on.
  clock_.advance(1s);
  const auto slow_is_named = [](const std::optional<std::string>& text) {
    return text && text->find("'slow'") != std::string::npos;
  };
  for (int i = 0; i < 1000 && !slow_is_named(log_->pressure()); ++i) {  // looked at once a second
    tick();
    std::this_thread::sleep_for(20ms);
  }
  ASSERT_TRUE(log_->pressure());
  EXPECT_TRUE(log_->health());
  const auto has = [](const std::string& text, const std::string& words) {
    EXPECT_NE(text.find(words), std::string::npos) << text;
  };
  has(*log_->pressure(),
      "above its limit of 2000000; at 4000000 nothing is taken in any more: the reader 'slow' holds ");
  has(*log_->pressure(), "since 2023-11-14T22:13:20");
  has(*log_->pressure(), "truetape readers forget slow --data DIR.");
  // Full: the same is said by health().
  auto appender = log_->appender(topic::raw).value();
  Result<bool> flushed = true;
  for (int i = 0; i < 1000 && flushed; ++i) {
    ASSERT_TRUE(appender->append(0, {"key", std::string(50'000, 'x'), {}}));
    flushed = appender->flush(20s);
  }
  ASSERT_FALSE(flushed);
  ASSERT_FALSE(log_->health());
  has(log_->health().error().detail, "hard limit of 4000000 bytes: the reader 'slow' holds ");

  EXPECT_EQ(log_->forget_reader("nobody").error().fault, Fault::not_found);
  has(log_->forget_reader("nobody").error().detail, "has no reader 'nobody'; it has 'quick', 'slow'.");
  {
    auto at_work = log_->reader(topic::trades, "load:x", Share::group).value();
    EXPECT_EQ(log_->forget_reader("load:x").error().fault, Fault::refused);
  }
  ASSERT_TRUE(log_->forget_reader("load:x")) << "it has gone";
  ASSERT_TRUE(log_->forget_reader("slow"));
  for (int i = 0; i < 500 && (!flushed || !*flushed); ++i) {
    process_all();
    for (const std::int32_t p : {0, 1}) ASSERT_TRUE(quick->stored(p, log_->span(topic::raw, p)->end));
    flushed = appender->flush(100ms);
  }
  ASSERT_TRUE(flushed && *flushed);
  for (int i = 0; i < 200 && log_->pressure(); ++i) tick();
  EXPECT_EQ(log_->pressure(), std::nullopt);
  EXPECT_GT(log_->work().deleted_blocks, 20U);
}

TEST_F(RoomTest, WhoGoesBackIsWaitedForBeforeThatIsDurable) {
  open();
  auto reader = log_->reader(topic::raw, "emptied", Share::all).value();
  append(0, std::string(50'000, 'x'), 20);
  process_all();
  ASSERT_TRUE(reader->stored(0, 20));
  for (int i = 0; i < 500 && log_->readers()->front().stored != 20; ++i) std::this_thread::sleep_for(20ms);
  ASSERT_EQ(log_->readers()->front().stored, 20);
  ASSERT_TRUE(reader->stored(0, 0));
  // All is of an age to go from now on, and each commit looks.
  clock_.advance(24h * 10);
  append(0, "y");
  EXPECT_EQ(log_->span(topic::raw, 0)->oldest, 0);
  ASSERT_TRUE(reader->stored(0, 20));
  for (int i = 0; i < 500 && log_->readers()->front().stored != 20; ++i) std::this_thread::sleep_for(20ms);
  clock_.advance(24h);
  append(0, "y");
  append(0, "y");
  EXPECT_GT(log_->span(topic::raw, 0)->oldest, 0) << "it was of that age";
}

TEST_F(RoomTest, UsageAccountsForEveryByteOfTheFile) {
  open();
  append(0, std::string(10'000, 'x'), 30);
  clock_.advance(1h);
  append(1, "small", 30);
  process_all();
  clock_.advance(1s);
  tick();
  const auto usage = log_->usage();
  ASSERT_TRUE(usage);
  ASSERT_EQ(usage->topics.size(), topic::all.size());
  const LmdbLog::TopicUse& raw = usage->topics[*topic::index(topic::raw)];
  EXPECT_EQ(raw.records, 60U);
  EXPECT_EQ(raw.blocks, 60U);
  EXPECT_EQ(raw.block_bytes / 1000, 302U);
  EXPECT_GE(raw.bytes, 30U * 12'288);
  EXPECT_EQ(raw.oldest, timestamp_ns(1'700'000'000'000'000'000));
  EXPECT_EQ(usage->topics[*topic::index(topic::gaps)].oldest, std::nullopt);
  EXPECT_EQ(usage->used_bytes(), log_->used_bytes());
  EXPECT_EQ(usage->file_bytes, fs::file_size(directory_ / "log.mdb"));
  EXPECT_EQ(usage->file_bytes, usage->used_bytes() + usage->other_bytes + usage->free_bytes + usage->ahead_bytes);
  EXPECT_LT(usage->other_bytes, 200'000U) << "names, positions, the list of free pages: few pages";
  const LmdbLog::Work work = log_->work();
  EXPECT_GE(work.commits, 60U);
  EXPECT_EQ(work.record_bytes / 1000, 302U);
  ASSERT_TRUE(work.page_bytes) << "this system tells what a thread wrote";
  EXPECT_GT(*work.page_bytes, work.record_bytes);
  EXPECT_LT(*work.page_bytes, 20'000'000U);
}

// Retention by size and compaction together, blocks of many sizes, and as many pages freed as written: the file must
// stay as large as it was, and so must the list of its free pages.
TEST_F(RoomTest, TheFileStaysFlatUnderASteadyLoad) {
  options_.size_limit = 3'000'000;
  options_.hard_limit = 100'000'000;
  options_.compact_records = 200;
  open();
  auto raw = log_->appender(topic::raw).value();
  auto control = log_->appender(topic::control).value();
  std::uint64_t file = 0, other = 0, appended = 0;
  for (int round = 0; round < 600; ++round) {
    // Sizes from a leaf's share to sixteen pages in a row, in an order that does not repeat soon.
    for (int i = 0; i < 6; ++i) {
      const auto size = static_cast<std::size_t>((round * 7919 + i * 104'729) % 60'000 + 50);
      ASSERT_TRUE(raw->append(i % 2, {"key", std::string(size, 'r'), {}}));
      appended += size;
    }
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(control->append(0, {"key" + std::to_string((round + i) % 50), std::string(100, 'c'), {}}));
    ASSERT_TRUE(raw->flush(60s).value());
    ASSERT_TRUE(control->flush(60s).value());
    if (round % 10 == 0) process_all();
    clock_.advance(1s);
    tick();
    if (round == 200) {
      file = fs::file_size(directory_ / "log.mdb");
      other = log_->usage()->other_bytes;
    }
  }
  ASSERT_GT(appended, 30 * options_.size_limit) << "much more went through than stays";
  EXPECT_LE(fs::file_size(directory_ / "log.mdb"), file + file / 4);
  EXPECT_LE(log_->usage()->other_bytes, other + 200'000);
  EXPECT_LE(log_->used_bytes(), options_.size_limit + 600'000);
  EXPECT_GT(log_->work().deleted_blocks, 1'000U);
  EXPECT_GT(log_->work().compacted_records, 5'000U);
  EXPECT_TRUE(log_->verify()->damage.empty());
}

// A log with many free pages: five sixths of it are deleted.
class CompactFileTest : public RoomTest {
 protected:
  void SetUp() override {
    RoomTest::SetUp();
    options_.size_limit = 2'000'000;
    options_.hard_limit = 100'000'000;
    open();
    ASSERT_TRUE(log_->reader(topic::raw, "store", Share::all));
    append(0, std::string(50'000, 'x'), 240);
    append(1, "small", 30);
    process_all();
    ASSERT_TRUE(log_->reader(topic::raw, "store", Share::all).value()->stored(0, 230));
    ASSERT_TRUE(log_->reader(topic::raw, "store", Share::all).value()->stored(1, 30));
    open();  // closing writes the positions
    tick();
    for (int i = 0; i < 50 && log_->used_bytes() > 2'100'000; ++i) tick();
    before_ = everything();
    log_.reset();
    size_ = fs::file_size(directory_ / "log.mdb");
    ASSERT_GT(size_, 12'000'000U);
  }
  void expect_as_it_was() {
    open();
    EXPECT_FALSE(fs::exists(directory_ / "log.mdb.new"));
    EXPECT_EQ(everything(), before_);
    EXPECT_TRUE(log_->verify()->damage.empty());
    append(0, "goes on");
    EXPECT_EQ(log_->span(topic::raw, 0)->end, 241);
  }
  std::vector<std::string> before_;
  std::uint64_t size_ = 0;
};

TEST_F(CompactFileTest, ItGivesFreePagesBackAndKeepsEverything) {
  open();
  const std::string id{log_->id()};
  log_.reset();
  const auto done = compact_lmdb_log(directory_);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->before, size_);
  EXPECT_EQ(done->after, fs::file_size(directory_ / "log.mdb"));
  EXPECT_LT(done->after, 2'500'000U);
  expect_as_it_was();
  EXPECT_EQ(log_->id(), id);
  log_.reset();
  ASSERT_TRUE(compact_lmdb_log(directory_)) << "again, after writing";
  open();
  EXPECT_EQ(log_->span(topic::raw, 0)->end, 241);
}

TEST_F(CompactFileTest, ItIsRefusedWhileSomebodyHasTheLogOpen) {
  EXPECT_EQ(compact_lmdb_log(directory_ / "nothing").error().fault, Fault::not_found);
  open();
  EXPECT_EQ(compact_lmdb_log(directory_).error().fault, Fault::refused) << "this process";
  log_.reset();
  for (const bool read_only : {false, true}) {  // another process: one that writes, one that reads
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      LmdbOptions options;
      options.read_only = read_only;
      const auto log = open_lmdb_log(directory_, options);
      [[maybe_unused]] const ssize_t n = ::write(told[1], log ? "y" : "n", 1);
      for (;;) ::pause();
    }
    char word = 0;
    ASSERT_EQ(::read(told[0], &word, 1), 1);
    EXPECT_EQ(word, 'y');
    const auto refused = compact_lmdb_log(directory_);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(told[0]);
    ::close(told[1]);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::refused);
    EXPECT_NE(
        refused.error().detail.find(read_only ? "is being read by another process" : "is being written by process"),
        std::string::npos)
        << refused.error().detail;
  }
  EXPECT_EQ(fs::file_size(directory_ / "log.mdb"), size_);
  expect_as_it_was();
}

TEST_F(CompactFileTest, ADiskThatFillsInTheMiddleLeavesTheOldFile) {
  const auto before_signal = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{1 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
  const auto refused = compact_lmdb_log(directory_);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, before_signal);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::no_space) << refused.error().detail;
  EXPECT_NE(refused.error().detail.find("The log is as it was."), std::string::npos) << refused.error().detail;
  EXPECT_EQ(fs::file_size(directory_ / "log.mdb"), size_);
  expect_as_it_was();
}

TEST_F(CompactFileTest, WhatAKillLeftIsNoHindrance) {
  std::ofstream{directory_ / "log.mdb.new"} << "half a copy";
  expect_as_it_was();
  log_.reset();
  std::ofstream{directory_ / "log.mdb.new"} << "half a copy";
  ASSERT_TRUE(compact_lmdb_log(directory_));
  EXPECT_FALSE(fs::exists(directory_ / "log.mdb.new"));
}

TEST_F(CompactFileTest, ADamagedFileIsNotCompacted) {
  fs::resize_file(directory_ / "log.mdb", size_ / 2);
  EXPECT_EQ(compact_lmdb_log(directory_).error().fault, Fault::corrupt);
  EXPECT_EQ(fs::file_size(directory_ / "log.mdb"), size_ / 2);
}

}  // namespace
}  // namespace truetape
