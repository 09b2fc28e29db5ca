#include "log/lmdb/generations.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "log/lmdb/lmdb_log.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Generations : public testing::Test {
 protected:
  Generations() {
    char name[] = "/tmp/truetape_generations_XXXXXX";
    directory_ = mkdtemp(name);
    options_.create = true;
    options_.partitions = 2;
    options_.spacing = 0ms;
    options_.clock = &clock_;
    open();
  }
  ~Generations() override {
    log_.reset();
    fs::remove_all(directory_);
  }
  void open() {
    log_.reset();
    auto opened = open_lmdb_log(directory_ / "log", options_);
    if (!opened) throw std::runtime_error{opened.error().detail};
    log_ = std::move(*opened);
  }
  // Each its own commit and block.
  void append(int count) {
    auto appender = log_->appender(topic::raw).value();
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(appender->append(i % 2, {"key", "frame", {}}));
      ASSERT_TRUE(appender->flush(20s).value());
    }
  }
  // One trade and one key of state for each record.
  void process(const std::string& what) {
    auto task = log_->task().value();
    for (auto step = task->poll(0ms); step; step = task->poll(0ms)) {
      for (const auto& assigned : step->assigned) state_[assigned.partition] = assigned.state;
      if (step->records.empty() && step->assigned.empty()) break;
      std::vector<Output> outputs;
      std::vector<StateChange> state;
      for (const Stored& record : step->records) {
        outputs.push_back({topic::trades, record.partition, {"key", what, {}}});
        state.push_back({record.partition, "state", what});
      }
      if (!step->records.empty()) {
        ASSERT_TRUE(task->commit(outputs, state));
      }
    }
  }
  std::vector<std::string> trades(std::int32_t partition) const {
    std::vector<std::string> out;
    const auto span = log_->span(topic::trades, partition).value();
    EXPECT_TRUE(log_->scan(topic::trades, partition, span.oldest, span.end, [&](const Stored& stored) {
      out.push_back(std::to_string(stored.offset) + ' ' + std::string{stored.record.value});
      return true;
    }));
    return out;
  }
  std::uint64_t blocks(std::string_view topic) const {
    std::uint64_t out = 0;
    const auto places = log_->list().value();
    for (const auto& place : places) out += place.topic == topic ? place.blocks : 0;
    return out;
  }
  // Makes the writer look at what may be deleted.
  void tick() {
    clock_.advance(2s);
    ASSERT_TRUE(log_->set_note("tick", ""));
  }
  std::int64_t first() const { return log_->first(topic::trades, 0).value(); }
  TopicSpan span(std::string_view topic) const { return log_->span(topic, 0).value(); }

  fs::path directory_;
  ManualClock clock_{timestamp_ns(1'700'000'000'000'000'000)};
  LmdbOptions options_;
  std::unique_ptr<LmdbLog> log_;
  std::map<std::int32_t, std::vector<StateEntry>> state_;
};

TEST_F(Generations, ResultsAreMadeAnewBehindTheOldOnes) {
  append(6);
  process("old");
  const std::int64_t epoch = log_->epoch();
  ASSERT_TRUE(log_->set_note("kept", "note"));
  ASSERT_TRUE(log_->make_anew(false));
  EXPECT_EQ(log_->epoch(), epoch + 1) << "the clock stands still";
  EXPECT_EQ(log_->format(), 2);
  EXPECT_EQ(log_->committed(0).value(), 0);
  EXPECT_EQ(std::tuple(span(topic::trades).oldest, span(topic::trades).end, first()), std::tuple(3, 3, 3));
  EXPECT_EQ(span(topic::raw).end, 3);
  EXPECT_TRUE(trades(0).empty());
  process("new");
  EXPECT_TRUE(state_[0].empty());
  EXPECT_EQ(trades(0), (std::vector<std::string>{"3 new", "4 new", "5 new"}));
  open();
  EXPECT_EQ(log_->epoch(), epoch + 1);
  EXPECT_EQ(log_->note("kept").value(), "note");
  EXPECT_EQ(trades(1), (std::vector<std::string>{"3 new", "4 new", "5 new"}));
  EXPECT_EQ(first(), 3);
  EXPECT_TRUE(log_->verify().value().damage.empty());
  clock_.advance(1h);
  ASSERT_TRUE(log_->make_anew(false));
  EXPECT_EQ(log_->epoch(), 1'700'003'600) << "the clock counts where it is ahead";
  EXPECT_EQ(first(), 6);
}

TEST_F(Generations, OldBlocksGoAndTheEndIsKnownWithoutAny) {
  append(6);
  process("old");
  ASSERT_TRUE(log_->make_anew(false));
  open();  // whoever writes next goes on
  tick();
  EXPECT_EQ(blocks(topic::trades), 0U);
  open();
  EXPECT_EQ(span(topic::trades).end, 3);
  EXPECT_EQ(blocks(topic::raw), 6U);
  process("new");
  tick();
  EXPECT_EQ(trades(0), (std::vector<std::string>{"3 new", "4 new", "5 new"}));
  EXPECT_TRUE(log_->verify().value().damage.empty());
}

TEST_F(Generations, AReaderGoesOnWhereverItStood) {
  append(6);
  process("old");
  const auto first_of = [&](std::optional<std::int64_t> from) {
    auto reader = log_->reader(topic::trades, "store", Share::group).value();
    EXPECT_TRUE(reader->poll(0ms));
    const Status sought = reader->seek(0, from);
    EXPECT_TRUE(sought) << sought.error().detail;
    const auto step = reader->poll(0ms);
    const std::int64_t out = step && !step->records.empty() ? step->records.front().offset : -1;
    EXPECT_TRUE(reader->stored(0, 1));
    return out;
  };
  EXPECT_EQ(first_of(std::nullopt), 0);
  EXPECT_EQ(first_of(std::nullopt), 1);
  ASSERT_TRUE(log_->make_anew(false));
  process("new");
  EXPECT_EQ(first_of(std::nullopt), 3);
  EXPECT_EQ(first_of(2), 3);
  EXPECT_EQ(first_of(4), 4);
  tick();
  EXPECT_EQ(blocks(topic::trades), 2U) << "the new ones, one in each partition";
}

TEST_F(Generations, ARawWithoutItsBeginningIsRefusedUnlessAllowed) {
  append(40);
  process("old");
  clock_.advance(24h * 30);
  tick();
  clock_.advance(2h);  // a tenth of the blocks an hour
  tick();
  const std::int64_t oldest = span(topic::raw).oldest;
  ASSERT_GT(oldest, 0);
  const std::int64_t epoch = log_->epoch();
  EXPECT_EQ(log_->make_anew(false).error().fault, Fault::out_of_range);
  EXPECT_EQ(log_->epoch(), epoch);
  EXPECT_EQ(log_->committed(0).value(), 20);
  ASSERT_TRUE(log_->make_anew(true));
  EXPECT_EQ(log_->committed(0).value(), oldest);
  EXPECT_EQ(span(topic::trades).oldest, 20);
  EXPECT_EQ(first(), 0) << "who has not loaded the old ones lacks what they said";
  EXPECT_EQ(log_->anew(topic::trades, 0).value(), 20);
}

TEST_F(Generations, ACopyIsALogOfItsOwn) {
  append(10);
  process("old");
  ASSERT_TRUE(log_->make_anew(false));
  process("new");
  for (const bool packed : {true, false}) {
    const fs::path copy = directory_ / (packed ? "packed" : "whole");
    fs::create_directory(copy);
    const int fd = ::open((copy / "log.mdb").c_str(), O_CREAT | O_WRONLY, 0644);
    ASSERT_TRUE(log_->copy(fd, packed));
    ::close(fd);
    auto opened = open_lmdb_log(copy, options_);
    ASSERT_TRUE(opened) << opened.error().detail;
    EXPECT_EQ((*opened)->id(), log_->id());
    EXPECT_EQ((*opened)->first(topic::trades, 0).value(), 5);
    EXPECT_TRUE((*opened)->verify().value().damage.empty());
    const std::int64_t epoch = (*opened)->epoch();
    ASSERT_TRUE((*opened)->renew_epoch());
    EXPECT_EQ((*opened)->epoch(), epoch + 1);
    EXPECT_EQ((*opened)->committed(0).value(), 5);
  }
}

TEST_F(Generations, NothingIsMadeAnewBesideATaskOrReadOnly) {
  auto task = log_->task().value();
  EXPECT_EQ(log_->make_anew(false).error().fault, Fault::refused);
  task.reset();
  log_.reset();
  options_.create = false;
  options_.read_only = true;
  open();
  EXPECT_EQ(log_->make_anew(false).error().fault, Fault::refused);
  EXPECT_EQ(log_->renew_epoch().error().fault, Fault::refused);
}

}  // namespace
}  // namespace truetape
