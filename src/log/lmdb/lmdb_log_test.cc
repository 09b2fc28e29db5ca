// What only the embedded log has: files, damage, versions, other openings, retention by age and size.
#include "log/lmdb/lmdb_log.h"
#include "log/lmdb/testing.h"

#include <gtest/gtest.h>
#include <lmdb.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <map>

#include "log/lmdb/store.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class LmdbLogTest : public LmdbTest {
 protected:
  Error refusal() const {
    auto opened = open_lmdb_log(directory_, options_);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  // One commit each, so one block each.
  void append(std::int32_t partition, const std::string& value, int count = 1) {
    auto appender = log_->appender(topic::raw).value();
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(appender->append(partition, {"key", value, {}}));
      const auto flushed = appender->flush(20s);
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
  // Makes the writer look at retention.
  void tick() { ASSERT_TRUE(log_->set_note("tick", "")); }
  std::int64_t oldest(std::int32_t partition = 0) const { return log_->span(topic::raw, partition)->oldest; }
  void set_fact(const std::string& key, const std::string& value) const {
    MDB_env* env = nullptr;
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, 2);
    ASSERT_EQ(mdb_env_open(env, (directory_ / "log.mdb").c_str(), MDB_NOSUBDIR, 0644), 0);
    MDB_txn* txn = nullptr;
    ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
    MDB_dbi dbi = 0;
    ASSERT_EQ(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    MDB_val k{key.size(), const_cast<char*>(key.data())}, v{value.size(), const_cast<char*>(value.data())};
    ASSERT_EQ(mdb_put(txn, dbi, &k, &v, 0), 0);
    ASSERT_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
  }
  std::string contents() const {
    std::ifstream in{directory_ / "log.mdb", std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void overwrite(std::size_t at, char byte) const {
    std::fstream out{directory_ / "log.mdb", std::ios::binary | std::ios::in | std::ios::out};
    out.seekp(static_cast<std::streamoff>(at));
    out.put(byte);
  }
};

bool says(const Error& error, std::string_view words) { return error.detail.find(words) != std::string::npos; }

TEST_F(LmdbLogTest, CreationFixesIdEpochAndPartitions) {
  options_.partitions = 0;
  open();
  EXPECT_EQ(log_->partitions(), 8);
  EXPECT_EQ(log_->epoch(), 1'700'000'000);
  const std::string id{log_->id()};
  clock_.advance(1h);
  open();
  EXPECT_EQ(log_->id(), id);
  EXPECT_EQ(log_->epoch(), 1'700'000'000);
  log_.reset();
  options_.partitions = 4;
  const Error error = refusal();
  EXPECT_EQ(error.fault, Fault::mismatch);
  EXPECT_TRUE(says(error, "has 8 partitions, not 4")) << error.detail;
}

TEST_F(LmdbLogTest, NoLogNoDirectoryNoRightsAreOneSentence) {
  options_.create = false;
  EXPECT_EQ(refusal().fault, Fault::not_found);
  EXPECT_TRUE(says(refusal(), "There is no log in " + directory_.string()));
  options_.create = true;
  std::ofstream{directory_ / "file"} << "x";
  EXPECT_FALSE(open_lmdb_log(directory_ / "file", options_));
  EXPECT_FALSE(open_lmdb_log("/proc/nowhere", options_));
  options_.partitions = 257;
  EXPECT_EQ(refusal().fault, Fault::out_of_range);
  options_.partitions = 2;
  options_.spacing = 51ms;
  EXPECT_EQ(refusal().fault, Fault::out_of_range);
}

TEST_F(LmdbLogTest, ANewerFormatOrStateIsRefused) {
  open();
  log_.reset();
  set_fact("format", "3");
  Error error = refusal();
  EXPECT_EQ(error.fault, Fault::mismatch);
  EXPECT_TRUE(says(error, "format version 3, this program knows up to 2; use a newer truetape")) << error.detail;
  set_fact("format", "1");
  set_fact("state_version", "9");
  error = refusal();
  EXPECT_EQ(error.fault, Fault::mismatch);
  EXPECT_TRUE(says(error, "state version 9")) << error.detail;
  options_.state_version = 10;
  open();
  EXPECT_EQ(log_->state_version(), 9) << "older state: the caller migrates or rebuilds";
}

TEST_F(LmdbLogTest, OpenOnceInAProcess) {
  open();
  const Error error = refusal();
  EXPECT_EQ(error.fault, Fault::refused);
  EXPECT_TRUE(says(error, "open in this process already"));
  options_.create = false;
  options_.read_only = true;
  EXPECT_EQ(refusal().fault, Fault::refused);
}

TEST_F(LmdbLogTest, ReadOnlyReadsAndRefusesTheRest) {
  open();
  append(0, "a", 3);
  options_.create = false;
  options_.read_only = true;
  open();
  EXPECT_EQ(log_->appender(topic::raw).error().fault, Fault::refused);
  EXPECT_EQ(log_->task().error().fault, Fault::refused);
  EXPECT_EQ(log_->reader(topic::raw, "name", Share::all).error().fault, Fault::refused);
  EXPECT_EQ(log_->forget_reader("name").error().fault, Fault::refused);
  EXPECT_EQ(log_->set_note("a", "b").error().fault, Fault::refused);
  auto reader = log_->reader(topic::raw, "", Share::all).value();
  ASSERT_EQ(reader->poll(0ms)->assigned.size(), 2U);
  ASSERT_TRUE(reader->seek(0, std::nullopt));
  EXPECT_EQ(reader->poll(0ms)->records.size(), 3U);
}

TEST_F(LmdbLogTest, ATruncatedFileIsRefusedWhateverItsLength) {
  open();
  append(0, std::string(60'000, 'x'), 60);
  process_all();
  log_.reset();
  const auto size = fs::file_size(directory_ / "log.mdb");
  ASSERT_GT(size, 3'000'000U);
  const fs::path copy = directory_ / "copy";
  fs::copy_file(directory_ / "log.mdb", copy);
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{4096}, std::uint64_t{5000},
        std::uint64_t{8192}, std::uint64_t{20'000}, std::uint64_t{1'000'000}, std::uint64_t{3'000'000}}) {
    fs::copy_file(copy, directory_ / "log.mdb", fs::copy_options::overwrite_existing);
    fs::resize_file(directory_ / "log.mdb", length);
    const Error error = refusal();
    EXPECT_EQ(error.fault, Fault::corrupt) << length;
    EXPECT_TRUE(says(error, "log.mdb")) << error.detail;
  }
  std::ofstream{directory_ / "log.mdb"} << std::string(100'000, 'z');
  EXPECT_EQ(refusal().fault, Fault::corrupt);
  fs::copy_file(copy, directory_ / "log.mdb", fs::copy_options::overwrite_existing);
  open();
  EXPECT_TRUE(log_->verify()->damage.empty());
}

TEST_F(LmdbLogTest, AFlippedByteIsFoundAndSaysWhere) {
  open();
  for (const char* word : {"FIRST", "SECOND", "THIRD"}) append(1, std::string(100, 'a') + word);
  append(0, "other");
  log_.reset();
  // The newest copy of the page; older ones may still be in the file.
  const std::string bytes = contents();
  for (std::size_t at = bytes.find("SECOND"); at != std::string::npos; at = bytes.find("SECOND", at + 1))
    overwrite(at, 'X');
  open();
  const auto verified = log_->verify();
  ASSERT_TRUE(verified);
  ASSERT_EQ(verified->damage.size(), 1U) << verified->damage.back();
  EXPECT_NE(verified->damage[0].find("offset 1 of raw/1"), std::string::npos) << verified->damage[0];
  EXPECT_EQ(verified->blocks, 4U);

  auto reader = log_->reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(1, 0));
  EXPECT_EQ(reader->poll(0ms)->records.size(), 1U) << "up to the damage";
  const auto damaged = reader->poll(0ms);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().fault, Fault::corrupt);
  EXPECT_TRUE(says(damaged.error(), "offset 1 of raw/1")) << damaged.error().detail;
  EXPECT_FALSE(reader->poll(0ms)) << "again, until somebody decides";
  ASSERT_TRUE(reader->seek(1, 2));
  EXPECT_EQ(reader->poll(0ms)->records.size(), 1U) << "behind the damage";
}

TEST_F(LmdbLogTest, AFlippedByteOfStateOrPositionIsFoundToo) {
  open();
  append(0, "a");
  {
    auto task = log_->task().value();
    ASSERT_EQ(task->poll(20s)->records.size(), 1U);
    const std::vector<StateChange> state{{1, "head", "STATEVALUE"}};
    ASSERT_TRUE(task->commit({}, state));
  }
  log_.reset();
  const std::string bytes = contents();
  for (std::size_t at = bytes.find("STATEVALUE"); at != std::string::npos; at = bytes.find("STATEVALUE", at + 1))
    overwrite(at, 'X');
  open();
  EXPECT_EQ(log_->verify()->damage,
            std::vector<std::string>{"An entry of state/1 is damaged (its checksum is wrong)."});
  auto task = log_->task().value();
  const auto step = task->poll(0ms);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().fault, Fault::corrupt);
  EXPECT_TRUE(says(step.error(), "state value of partition 1")) << step.error().detail;
}

TEST_F(LmdbLogTest, NotesListAndScan) {
  open();
  EXPECT_EQ(log_->note("schema").value(), std::nullopt);
  ASSERT_TRUE(log_->set_note("schema", "{}"));
  append(1, "a", 5);
  open();
  EXPECT_EQ(log_->note("schema").value(), "{}");
  const auto places = log_->list();
  ASSERT_TRUE(places);
  for (const auto& place : *places) {
    const bool there = place.topic == topic::raw && place.partition == 1;
    EXPECT_EQ(place.span.end, there ? 5 : 0);
    EXPECT_EQ(place.blocks, there ? 5U : 0U);
    EXPECT_EQ(place.bytes > 0, there);
  }
  std::vector<std::int64_t> offsets;
  ASSERT_TRUE(log_->scan(topic::raw, 1, 1, 4, [&](const Stored& s) {
    offsets.push_back(s.offset);
    return true;
  }));
  EXPECT_EQ(offsets, (std::vector<std::int64_t>{1, 2, 3}));
  offsets.clear();
  ASSERT_TRUE(log_->scan(topic::raw, 1, 0, 100, [&](const Stored& s) {
    offsets.push_back(s.offset);
    return s.offset < 2;
  }));
  EXPECT_EQ(offsets, (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(log_->scan("nonsense", 0, 0, 1, [](const Stored&) { return true; }).error().fault, Fault::not_found);
}

TEST_F(LmdbLogTest, PackedAndPlainBlocksLieSideBySide) {
  open();
  append(0, std::string(20'000, 'p'), 2);
  options_.lz4.fill(true);
  open();
  append(0, std::string(20'000, 'q'), 2);
  options_.lz4.fill(false);
  open();
  append(0, std::string(20'000, 'r'), 2);
  std::string seen;
  ASSERT_TRUE(log_->scan(topic::raw, 0, 0, 6, [&](const Stored& s) {
    EXPECT_EQ(s.record.value.size(), 20'000U);
    seen += s.record.value[0];
    return true;
  }));
  EXPECT_EQ(seen, "ppqqrr");
  EXPECT_TRUE(log_->verify()->damage.empty());
}

TEST(LmdbErrors, AFullDiskAndAFailingOneAreToldApartWhereTheSystemDoes) {
  const auto has = [](const Error& error, std::string_view words) {
    return error.detail.find(words) != std::string::npos;
  };
  const fs::path log{"/data/log"};
  for (const auto& [code, words] : std::map<int, std::string_view>{{ENOSPC, "its disk is full; free space"},
                                                                   {EDQUOT, "quota"},
                                                                   {EFBIG, "largest size"},
                                                                   {MDB_MAP_FULL, "its map is full"}}) {
    const Error error = lmdb::write_error_of(code, "writing to", log);
    EXPECT_EQ(error.fault, Fault::no_space);
    EXPECT_EQ(error.retry, Retry::after_backoff);
    EXPECT_TRUE(has(error, words) && has(error, "/data/log")) << error.detail;
    EXPECT_FALSE(has(error, "failing") || has(error, "failed")) << error.detail;
  }
  // Nobody can tell which of the two it is: both are named, with what to do about each, and it is tried again.
  const Error write = lmdb::write_error_of(EIO, "writing to", log);
  EXPECT_EQ(write.retry, Retry::after_backoff);
  EXPECT_TRUE(has(write, "full or failing; free space") && has(write, "system's log")) << write.detail;
  // What cannot be read is no matter of room.
  const Error read = lmdb::error_of(EIO, "reading", log);
  EXPECT_EQ(read.fault, Fault::io);
  EXPECT_TRUE(has(read, "disk failed") && !has(read, "full")) << read.detail;
}

TEST_F(LmdbLogTest, AFullMapIsNoSpaceAndALargerMapGoesOn) {
  options_.map_bytes = 1 << 20;
  open();
  auto appender = log_->appender(topic::raw).value();
  Result<bool> flushed = true;
  int taken = 0, promised = 0;
  while (flushed && taken < 1000) {
    ASSERT_TRUE(appender->append(0, {"key", std::string(30'000, 'x'), {}}));
    ++taken;
    flushed = appender->flush(5s);
    if (flushed) promised = taken;
  }
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().fault, Fault::no_space);
  EXPECT_FALSE(log_->health());
  EXPECT_EQ(log_->span(topic::raw, 0)->end, promised);
  appender.reset();
  options_.map_bytes = 64 << 20;
  open();
  EXPECT_TRUE(log_->health());
  EXPECT_EQ(log_->span(topic::raw, 0)->end, promised);
  append(0, "more");
  EXPECT_EQ(log_->span(topic::raw, 0)->end, promised + 1);
  EXPECT_TRUE(log_->verify()->damage.empty());
}

// Every write to a file fails with EFBIG as long as it lives.
class NoWrites {
 public:
  NoWrites() {
    before_signal_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  }
  ~NoWrites() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, before_signal_);
  }

 private:
  rlimit before_{};
  void (*before_signal_)(int) = nullptr;
};

// A reader that is known only in memory would hold retention back in this process and be forgotten by the next.
TEST_F(LmdbLogTest, AReaderThatCouldNotBeWrittenIsNotThere) {
  open();
  append(0, "a");
  {
    const NoWrites no_writes;
    for (int again = 0; again < 2; ++again) {  // the second must not find what the first left
      const auto refused = log_->reader(topic::raw, "store", Share::group);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().fault, Fault::no_space) << refused.error().detail;
      EXPECT_TRUE(log_->readers()->empty());
    }
  }
  open();
  EXPECT_TRUE(log_->readers()->empty());
  ASSERT_TRUE(log_->reader(topic::raw, "store", Share::group));
  EXPECT_EQ(log_->readers()->size(), 2U);
  open();
  EXPECT_EQ(log_->readers()->size(), 2U);
}

TEST_F(LmdbLogTest, AgeDeletesAtMostATenthAnHour) {
  options_.max_age[*topic::index(topic::raw)] = 24h;
  open();
  append(0, "v", 100);
  process_all();
  tick();
  EXPECT_EQ(oldest(), 0);
  // The clock jumps a year. Steady time is the manual clock's too, so let it pass in a running log and in a new one.
  clock_.advance(24h * 365);
  tick();
  EXPECT_EQ(oldest(), 10) << "a tenth, though a year seems to have passed";
  tick();
  EXPECT_EQ(oldest(), 10);
  open();
  tick();
  EXPECT_EQ(oldest(), 10) << "a restart does not renew the allowance";
  clock_.advance(30min);
  tick();
  EXPECT_EQ(oldest(), 14) << "half an hour of 90 blocks: 4.5";
  clock_.advance(30min);
  tick();
  EXPECT_EQ(oldest(), 18) << "and of 86: 4.3, with the rest of before 4.8";
  for (int hour = 0; hour < 200; ++hour) {
    clock_.advance(1h);
    tick();
  }
  EXPECT_EQ(oldest(), 99) << "what was committed last stays";
}

TEST_F(LmdbLogTest, WhatIsYoungKeyedOrNeededStays) {
  options_.max_age.fill(24h);
  open();
  append(0, "v", 20);
  {
    auto control = log_->appender(topic::control).value();
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(control->append(0, {"name", "v", {}}));
      ASSERT_TRUE(control->flush(20s).value());
    }
  }
  for (int i = 0; i < 100; ++i) {
    clock_.advance(1h);
    tick();
  }
  EXPECT_EQ(oldest(), 0) << "the Task has not read it";
  EXPECT_EQ(log_->span(topic::control, 0)->oldest, 0) << "keyed topics are not aged";
  process_all();
  append(0, "young", 5);
  for (int i = 0; i < 23; ++i) {
    clock_.advance(1h);
    tick();
  }
  EXPECT_EQ(oldest(), 20) << "five are younger than a day";
  EXPECT_EQ(log_->span(topic::control, 0)->oldest, 0);
}

TEST_F(LmdbLogTest, SizeDeletesTheOldestAndTheHardLimitStopsAppends) {
  options_.size_limit = 2'000'000;
  options_.hard_limit = 4'000'000;
  options_.append_buffer_bytes = 1 << 20;
  open();
  auto slow = log_->reader(topic::raw, "slow", Share::all).value();
  const std::string value(50'000, 'x');
  // Nobody has processed or stored anything: nothing may go, until the hard limit stops the appender.
  auto appender = log_->appender(topic::raw).value();
  Result<bool> flushed = true;
  int sent = 0;
  while (flushed && sent < 1000) {
    ASSERT_TRUE(appender->append(sent % 2, {"key", value, {}}));
    ++sent;
    flushed = appender->flush(20s);
  }
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().fault, Fault::no_space);
  EXPECT_EQ(flushed.error().retry, Retry::after_backoff);
  EXPECT_TRUE(says(flushed.error(), "hard limit of 4000000")) << flushed.error().detail;
  EXPECT_FALSE(log_->health());
  EXPECT_GT(sent, 70);
  EXPECT_LT(sent, 85);
  EXPECT_EQ(oldest(), 0);
  // The Task may still commit: what it writes lets the others go on.
  process_all();
  EXPECT_FALSE(log_->health());
  EXPECT_EQ(oldest(), 0) << "the reader still needs it";
  ASSERT_TRUE(log_->forget_reader("slow"));
  for (int i = 0; i < 200 && (!flushed || !*flushed); ++i) flushed = appender->flush(100ms);
  ASSERT_TRUE(flushed && *flushed);
  EXPECT_TRUE(log_->health());
  EXPECT_GT(oldest(), 0);
  tick();
  EXPECT_LE(log_->used_bytes(), 2'100'000U);
  EXPECT_TRUE(log_->readers()->empty());
  EXPECT_TRUE(log_->verify()->damage.empty());
}

TEST_F(LmdbLogTest, CommitsTellWhenTheirFramesWereReceivedAndWhatTheyTook) {
  std::vector<std::pair<std::vector<Timestamp>, Timestamp>> told;
  options_.committed = [&](const LmdbCommit& commit) {
    EXPECT_GT(commit.took.count(), 0);
    told.emplace_back(std::vector(commit.received.begin(), commit.received.end()), commit.durable);
  };
  options_.spacing = 50ms;
  open();
  const Timestamp start = clock_.now();
  const auto ns = [&](Nanoseconds before) { return std::to_string(to_ns(start - before)); };
  const std::string first = ns(5ms), second = ns(3ms), other = ns(2ms);
  {
    auto appender = log_->appender(topic::raw).value();
    const auto put = [&](std::int32_t partition, std::string_view kind, std::string_view time) {
      const Header headers[] = {{header::kind, kind}, {header::receive_time, time}};
      ASSERT_TRUE(appender->append(partition, {"key", "value", headers}));
    };
    put(0, "frame", first);
    put(0, "frame", second);  // of the same block: it waited less
    put(1, "history", other);
    ASSERT_TRUE(appender->flush(20s).value());
  }
  log_.reset();  // nobody else tells
  std::vector<Timestamp> received;
  for (const auto& [times, durable] : told) {
    EXPECT_EQ(durable, start);
    received.insert(received.end(), times.begin(), times.end());
  }
  // The writer may have taken the first record before the second came, which then began a block of its own.
  ASSERT_FALSE(received.empty());
  EXPECT_EQ(received.front(), start - 5ms);
  if (received.size() > 1) {
    EXPECT_EQ(received, (std::vector{start - 5ms, start - 3ms}));
  }
}

TEST_F(LmdbLogTest, AStepSaysWhenTheOldestOfItsRecordsWasTaken) {
  open();
  auto task = log_->task().value();
  EXPECT_EQ(task->poll(0ms)->appended, std::nullopt);
  const Timestamp start = clock_.now();
  append(0, "a");
  clock_.advance(7s);
  append(1, "b");
  auto step = task->poll(20s);
  ASSERT_TRUE(step);
  EXPECT_EQ(step->records.size(), 2U);
  EXPECT_EQ(step->appended, start);
  ASSERT_TRUE(task->commit({}, {}));
  EXPECT_EQ(task->poll(0ms)->appended, std::nullopt);
  auto reader = log_->reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(1, 0));
  const auto read = reader->poll(20s);
  ASSERT_EQ(read->records.size(), 1U);
  EXPECT_EQ(read->appended, start + 7s);
}

TEST_F(LmdbLogTest, FramesOfNoTapeWaitLongerForTheirCommitUnlessSomethingElseComes) {
  options_.calm_spacing = 1h;
  options_.commit_records = 4;
  open();
  auto appender = log_->appender(topic::raw).value();
  auto reader = log_->reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(0, 0));
  const auto put = [&](std::vector<Header> headers) { ASSERT_TRUE(appender->append(0, {"key", "value", headers})); };
  const auto come = [&](std::chrono::milliseconds wait) { return reader->poll(wait).value().records.size(); };
  const Header frame{header::kind, "frame"}, of_session{header::session, "s"};
  const std::vector<std::vector<Header>> hurry{{frame, of_session}, {{header::kind, "session"}, of_session}, {}};
  for (std::size_t i = 0; i < hurry.size(); ++i) {
    put({frame});
    EXPECT_EQ(come(50ms), 0U) << i;
    put(hurry[i]);
    EXPECT_EQ(come(20s), 2U) << i;
  }
  put({frame});
  EXPECT_EQ(come(50ms), 0U);
  EXPECT_TRUE(appender->flush(20s).value()) << "somebody waits for it";
  EXPECT_EQ(come(20s), 1U);
  for (int i = 0; i < 4; ++i) put({frame});
  EXPECT_EQ(come(20s), 4U) << "a full commit goes at once";
}

TEST_F(LmdbLogTest, APausedReaderPinsNoPages) {
  options_.size_limit = 2'000'000;
  options_.hard_limit = 1'000'000'000;
  open();
  append(0, std::string(50'000, 'x'), 10);
  auto reader = log_->reader(topic::raw, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(0, 0));
  const auto step = reader->poll(0ms);
  ASSERT_EQ(step->records.size(), 10U);
  // While the reader looks at its step, fifteen times the limit goes through the log.
  auto appender = log_->appender(topic::raw).value();
  for (int i = 0; i < 60; ++i) {
    for (int n = 0; n < 10; ++n) ASSERT_TRUE(appender->append(0, {"key", std::string(50'000, 'y'), {}}));
    ASSERT_TRUE(appender->flush(20s).value());
    process_all();
  }
  EXPECT_LT(fs::file_size(directory_ / "log.mdb"), 12'000'000U) << "pages were used again";
  for (const Stored& s : step->records) EXPECT_EQ(s.record.value, std::string(50'000, 'x')) << "the step stands";
  EXPECT_EQ(reader->poll(0ms).error().fault, Fault::out_of_range);
}

}  // namespace
}  // namespace truetape
