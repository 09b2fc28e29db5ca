// Compaction of the topics that keep each key's last record, against a model, with a clock of the test's own.
#include <gtest/gtest.h>
#include <lmdb.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "log/lmdb/lmdb_log.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class CompactionTest : public testing::Test {
 protected:
  struct Kept {
    std::string key, value, header;
    bool operator==(const Kept&) const = default;
  };
  using Records = std::map<std::int64_t, Kept>;  // by offset

  void SetUp() override {
    char name[] = "/tmp/truetape_compaction_XXXXXX";
    directory_ = mkdtemp(name);
    options_.create = true;
    options_.partitions = 2;
    options_.spacing = 0ms;
    options_.compact_records = 8;
    options_.clock = &clock_;
    open();
  }
  void TearDown() override {
    log_.reset();
    fs::remove_all(directory_);
  }
  void open() {
    log_.reset();
    auto opened = open_lmdb_log(directory_, options_);
    ASSERT_TRUE(opened) << opened.error().detail;
    log_ = std::move(*opened);
  }
  // One commit, so one block for each partition that has a part in it.
  void append(const std::vector<std::pair<std::int32_t, Kept>>& records) {
    auto appender = log_->appender(topic::control).value();
    for (const auto& [partition, r] : records) {
      const std::vector<Header> headers{{"h", r.header}};
      ASSERT_TRUE(appender->append(partition, {r.key, r.value, headers}));
      Records& all = all_[partition];
      all[static_cast<std::int64_t>(all.size())] = r;
    }
    const auto flushed = appender->flush(60s);
    ASSERT_TRUE(flushed && *flushed);
  }
  void append(const std::string& key, const std::string& value) { append({{0, {key, value, "x"}}}); }
  void forget(const std::string& name, bool known) {
    const Status done = log_->forget_reader(name);
    ASSERT_EQ(done.has_value(), known);
  }
  // The writer's next transaction, a second later.
  void tick() {
    clock_.advance(1s);
    ASSERT_TRUE(log_->set_note("tick", ""));
  }
  void settle() {
    for (int i = 0; i < 20; ++i) tick();
  }
  Records there(std::int32_t partition = 0, std::int64_t from = 0) const {
    Records out;
    const auto span = log_->span(topic::control, partition).value();
    const auto take = [&](const Stored& s) {
      EXPECT_TRUE(out.empty() || s.offset > out.rbegin()->first);
      out[s.offset] = {std::string{s.record.key}, std::string{s.record.value}, std::string{s.record.headers[0].value}};
      return true;
    };
    EXPECT_TRUE(log_->scan(topic::control, partition, from, span.end, take));
    return out;
  }
  std::set<std::int64_t> offsets(std::int64_t from = 0) const {
    std::set<std::int64_t> out;
    for (const auto& [offset, record] : there(0, from)) out.insert(offset);
    return out;
  }
  // All that is there is what was written there, and nothing went since the last look that is a key's last, or at
  // `needed` or above.
  void compare(std::int32_t partition, std::int64_t needed) {
    const Records& all = all_[partition];
    const Records now = there(partition);
    std::map<std::string, std::int64_t> last;
    for (const auto& [offset, record] : all) last[record.key] = offset;
    for (const auto& [offset, record] : now) ASSERT_EQ(record, all.at(offset)) << offset;
    for (const auto& [offset, record] : all) {
      if (now.contains(offset)) {
        ASSERT_FALSE(gone_[partition].contains(offset)) << offset;
      } else if (gone_[partition].insert(offset).second) {
        ASSERT_LT(offset, needed) << "of " << partition;
        ASSERT_LT(offset, last[record.key]) << "of " << partition;
      }
    }
    const auto span = log_->span(topic::control, partition).value();
    ASSERT_EQ(span.end, static_cast<std::int64_t>(all.size()));
    ASSERT_EQ(span.oldest, now.empty() ? 0 : now.begin()->first);
  }
  std::string format() {
    log_.reset();
    MDB_env* env = nullptr;
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, 2);
    EXPECT_EQ(mdb_env_open(env, (directory_ / "log.mdb").c_str(), MDB_NOSUBDIR | MDB_RDONLY, 0644), 0);
    MDB_txn* txn = nullptr;
    EXPECT_EQ(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn), 0);
    MDB_dbi dbi = 0;
    EXPECT_EQ(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    MDB_val key{6, const_cast<char*>("format")}, value{};
    EXPECT_EQ(mdb_get(txn, dbi, &key, &value), 0);
    const std::string out{static_cast<const char*>(value.mv_data), value.mv_size};
    mdb_txn_abort(txn);
    mdb_env_close(env);
    open();
    return out;
  }

  fs::path directory_;
  ManualClock clock_{timestamp_ns(1'700'000'000'000'000'000)};
  LmdbOptions options_;
  std::unique_ptr<LmdbLog> log_;
  std::map<std::int32_t, Records> all_;
  std::map<std::int32_t, std::set<std::int64_t>> gone_;
};

TEST_F(CompactionTest, KeepsEachKeysLastRecordAndItsOffset) {
  for (const char* key : {"a", "b", "a", "c", "a", "b", "d", "d", "d"}) append(key, "v");
  EXPECT_EQ(format(), "1") << "nothing was compacted yet";
  settle();
  EXPECT_EQ(offsets(), (std::set<std::int64_t>{3, 4, 5, 7, 8}))
      << "the last block is not touched, nor what it replaces";
  compare(0, 8);
  EXPECT_TRUE(log_->verify()->damage.empty());
  const auto places = log_->list().value();
  const auto place =
      std::find_if(places.begin(), places.end(), [](const auto& p) { return p.topic == topic::control; });
  EXPECT_EQ(place->blocks, 2U) << "what is left is one block, and the last";
  EXPECT_EQ(place->span.oldest, 3);
  EXPECT_EQ(format(), "2") << "a program that knows no holes must refuse it";
  compare(0, 8);
}

TEST_F(CompactionTest, TooFewRecordsStayAsTheyAre) {
  for (int i = 0; i < 8; ++i) append("a", "v");
  settle();
  EXPECT_EQ(offsets().size(), 8U) << "seven can go, eight would be enough";
  append("a", "v");
  settle();
  EXPECT_EQ(offsets(), (std::set<std::int64_t>{7, 8}));
}

TEST_F(CompactionTest, WhatAReaderHasNotStoredStays) {
  auto reader = log_->reader(topic::control, "slow", Share::all).value();
  for (int i = 0; i < 20; ++i) append("a", std::to_string(i));
  settle();
  EXPECT_EQ(offsets().size(), 20U);
  ASSERT_TRUE(reader->stored(0, 11));
  std::this_thread::sleep_for(150ms);  // a position alone is not written at once
  settle();
  EXPECT_EQ(*offsets().begin(), 10);
  EXPECT_EQ(offsets().size(), 10U);
  compare(0, 11);
  ASSERT_TRUE(log_->forget_reader("slow"));
  settle();
  EXPECT_EQ(offsets(), (std::set<std::int64_t>{18, 19}));
}

TEST_F(CompactionTest, AReaderGoesOnOverTheHoles) {
  for (int i = 0; i < 40; ++i) append("k" + std::to_string(i % 4), std::to_string(i));
  auto reader = log_->reader(topic::control, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(0, 5));
  settle();
  ASSERT_EQ(log_->span(topic::control, 0)->oldest, 35);
  std::vector<std::int64_t> got;
  const auto step = reader->poll(20s);
  for (const Stored& s : step->records) got.push_back(s.offset);
  EXPECT_EQ(got, (std::vector<std::int64_t>{35, 36, 37, 38, 39}));
  for (const std::int64_t from : {0, 34, 35, 37}) {  // below, and within
    ASSERT_TRUE(reader->seek(0, from)) << from;
    EXPECT_EQ(reader->poll(20s)->records.front().offset, std::max<std::int64_t>(from, 35));
  }
  append("k0", "40");
  append("k0", "41");
  settle();
  // Registered later: the same.
  auto late = log_->reader(topic::control, "late", Share::all).value();
  ASSERT_TRUE(late->poll(0ms));
  ASSERT_TRUE(late->seek(0, std::nullopt));
  EXPECT_EQ(late->poll(20s)->records.front().offset, 35);
  EXPECT_FALSE(reader->seek(0, 43)) << "beyond the end is still another log's";
}

// What a day of quiet symbols does: the same keys again and again.
TEST_F(CompactionTest, ItDoesNotGrowUnderSteadyWriting) {
  options_.compact_records = 1024;
  open();
  std::uint64_t size = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<std::pair<std::int32_t, Kept>> records;
    for (int i = 0; i < 100; ++i) records.push_back({0, {"symbol" + std::to_string(i), std::string(100, 'p'), "h"}});
    append(records);
    tick();
    if (round == 100) size = fs::file_size(directory_ / "log.mdb");
  }
  settle();
  EXPECT_LE(there().size(), 1024U + 2 * 100) << "of 30,000";
  EXPECT_LE(fs::file_size(directory_ / "log.mdb"), size) << "pages were used again";
  compare(0, 30'000);
}

TEST_F(CompactionTest, BlocksOfAllSizesPackedOrNot) {
  for (const bool lz4 : {false, true}) {
    options_.lz4.fill(lz4);
    open();
    for (int i = 0; i < 30; ++i) {
      std::vector<std::pair<std::int32_t, Kept>> records;
      for (int n = 0; n < 20; ++n)
        records.push_back({0, {"k" + std::to_string(n), std::string(static_cast<std::size_t>(n * n * 40), 'v'), "h"}});
      records.push_back({0, {"large" + std::to_string(i % 3), std::string(300'000, 'l'), "h"}});
      append(records);
      tick();
    }
    settle();
    compare(0, static_cast<std::int64_t>(all_[0].size()));
    EXPECT_LE(there().size(), 80U);
    EXPECT_TRUE(log_->verify()->damage.empty());
  }
}

TEST_F(CompactionTest, WhatWentIsCountedOnceAlsoBesideASweep) {
  auto raw = log_->appender(topic::raw).value();
  ASSERT_TRUE(raw->append(0, {"key", "raw", {}}));
  ASSERT_TRUE(raw->flush(60s).value());
  {
    auto task = log_->task().value();
    for (bool done = false; !done;) {
      const auto step = task->poll(20ms);
      ASSERT_TRUE(step) << step.error().detail;
      if (step->records.empty()) continue;
      const Output output{topic::trades, 0, {"key", "of the generation that goes", {}}};
      ASSERT_TRUE(task->commit({&output, 1}, {}));
      done = true;
    }
  }
  for (int i = 0; i < 4'000; i += 100) {
    std::vector<std::pair<std::int32_t, Kept>> records;
    for (int k = 0; k < 100; ++k) records.push_back({0, {"a", std::to_string(i + k) + std::string(1'000, ' '), "x"}});
    append(records);
  }
  // In the middle of a pass, which takes several transactions.
  for (int i = 0; i < 50 && log_->work().compacted_records == 0; ++i) tick();
  ASSERT_GT(log_->work().compacted_records, 0U);
  ASSERT_TRUE(log_->make_anew(false));
  settle();
  const auto span = log_->span(topic::control, 0).value();
  EXPECT_EQ(log_->work().compacted_records, static_cast<std::uint64_t>(span.end) - there().size());
}

TEST_F(CompactionTest, ADamagedBlockStays) {
  for (int i = 0; i < 30; ++i) append("a", i == 11 ? "DAMAGED" : "sound");
  log_.reset();
  {
    std::string bytes;
    {
      std::ifstream in{directory_ / "log.mdb", std::ios::binary};
      bytes.assign(std::istreambuf_iterator<char>{in}, {});
    }
    std::fstream out{directory_ / "log.mdb", std::ios::binary | std::ios::in | std::ios::out};
    for (std::size_t at = bytes.find("DAMAGED"); at != std::string::npos; at = bytes.find("DAMAGED", at + 1)) {
      out.seekp(static_cast<std::streamoff>(at));
      out.put('X');
    }
  }
  open();
  settle();
  const auto verified = log_->verify();
  ASSERT_EQ(verified->damage.size(), 1U);
  EXPECT_NE(verified->damage[0].find("offset 11 of control/0"), std::string::npos) << verified->damage[0];
  EXPECT_EQ(verified->blocks, 3U);
  EXPECT_EQ(offsets(12), (std::set<std::int64_t>{28, 29}));
}

// Random appends, readers, restarts and forgetting; after each step the log is what the model says.
TEST_F(CompactionTest, AgreesWithAModel) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    log_.reset();
    fs::remove_all(directory_);
    all_.clear();
    gone_.clear();
    std::mt19937 dice{seed};
    const auto roll = [&](int below) { return static_cast<int>(dice() % static_cast<unsigned>(below)); };
    options_.compact_records = 1 + roll(40);
    options_.lz4.fill(roll(2) == 0);
    open();
    std::map<std::pair<std::string, std::int32_t>, std::int64_t> stored;
    const auto needed = [&](std::int32_t partition) {
      std::int64_t out = static_cast<std::int64_t>(all_[partition].size());
      for (const auto& [at, next] : stored)
        if (at.second == partition) out = std::min(out, next);
      return out;
    };
    for (int step = 0; step < 150; ++step) {
      switch (roll(12)) {
        case 0:
          open();
          break;
        case 1: {
          const std::string name{static_cast<char>('A' + roll(2))};
          ASSERT_TRUE(log_->reader(topic::control, name, Share::all));
          for (const std::int32_t p : {0, 1}) stored.try_emplace({name, p}, log_->span(topic::control, p)->oldest);
          break;
        }
        case 2: {
          const std::string name{static_cast<char>('A' + roll(2))};
          const std::int32_t p = roll(2);
          const auto known = stored.find({name, p});
          if (known == stored.end()) break;
          const auto more = static_cast<std::int64_t>(all_[p].size()) - known->second;
          known->second += more * roll(5) / 4;
          ASSERT_TRUE(log_->reader(topic::control, name, Share::all).value()->stored(p, known->second));
          open();  // closing writes it
          break;
        }
        case 3:
          if (roll(4) == 0) {
            forget("A", stored.contains({"A", 0}));
            std::erase_if(stored, [](const auto& entry) { return entry.first.first == "A"; });
          }
          break;
        case 4:
        case 5:
        case 6:
          tick();
          break;
        default: {
          std::vector<std::pair<std::int32_t, Kept>> records;
          for (int n = roll(20); n >= 0; --n) {
            const auto size = static_cast<std::size_t>(roll(roll(10) == 0 ? 40'000 : 200));
            records.push_back({roll(2),
                               {"key" + std::to_string(roll(1 + roll(60))),
                                std::string(size, static_cast<char>('a' + roll(26))), std::to_string(step)}});
          }
          append(records);
        }
      }
      for (const std::int32_t p : {0, 1}) compare(p, needed(p));
      if (HasFatalFailure()) return;
    }
    EXPECT_TRUE(log_->verify()->damage.empty());
    for (const std::string name : {"A", "B"}) forget(name, stored.contains({name, 0}));
    settle();
    for (const std::int32_t p : {0, 1}) {
      compare(p, static_cast<std::int64_t>(all_[p].size()));
      EXPECT_LE(there(p).size(), static_cast<std::size_t>(options_.compact_records) + 2 * 60 + 21);
    }
  }
}

}  // namespace
}  // namespace truetape
