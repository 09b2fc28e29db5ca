// Histories with a crash before or after the effect of any call: every record once, whatever happens.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "log/conformance/counting.h"
#include "log/memory/memory_log.h"

namespace truetape::conformance {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t kPartitions = 3;

// Appender, Task, and a loader with its own store, driven call by call by a seed. After Retry::rebuild it destroys the
// object and goes on with a new one, as the roles do.
class History {
 public:
  History(MemoryLog& log, std::uint64_t seed) : log_{log}, random_{seed} {}

  void step() {
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2:
      case 3:
        append();
        break;
      case 4:
        flush();
        break;
      case 5:
      case 6:
        work();
        break;
      case 7:
      case 8:
        load();
        break;
      default:
        if (crash_process_ && random_() % 8 == 0) crash();
    }
  }
  void crash() {
    forget();
    log_.crash();
  }
  void let_process_crash() { crash_process_ = true; }
  // No more faults: everything must come to its end. The first fault found, or nothing.
  std::optional<std::string> finish() {
    log_.set_dice(nullptr);
    forget();
    append();
    flush();
    for (int i = 0; i < 200 && !fault_; ++i) work();
    for (int i = 0; i < 200 && !fault_; ++i) load();
    if (fault_) return fault_;
    forget();
    if (auto fault = check_world(log_, promised_, true)) return fault;
    // The store holds each result once, in order.
    for (std::int32_t p = 0; p < kPartitions; ++p)
      if (rows_[at(p)] != log_.span(topic::trades, p)->end)
        return "the store has " + std::to_string(rows_[at(p)]) + " rows of partition " + std::to_string(p);
    return std::nullopt;
  }

 private:
  static std::size_t at(std::int32_t p) { return static_cast<std::size_t>(p); }
  void forget() {
    appender_.reset();
    sent_.assign(kPartitions, {});
    task_.reset();
    polled_ = false;
    reader_.reset();
  }

  void append() {
    if (!appender_) appender_ = log_.appender(topic::raw).value();
    for (std::uint64_t n = random_() % 6; n > 0; --n) {
      const auto p = static_cast<std::int32_t>(random_() % kPartitions);
      const std::int64_t number = next_number_[at(p)]++;  // never used again: nobody knows whether it is there
      const NumberedRecord record{p, number};
      if (appender_->append(p, record.record())) sent_[at(p)].push_back(number);
    }
  }
  void flush() {
    if (!appender_) return;
    const auto flushed = appender_->flush(0ms);
    if (flushed && *flushed) {
      for (std::size_t p = 0; p < kPartitions; ++p) promised_[p].insert(sent_[p].begin(), sent_[p].end());
    } else if (!flushed) {
      appender_.reset();
    }
    sent_.assign(kPartitions, {});
  }

  void work() {
    if (!task_) {
      task_ = log_.task().value();
      hearts_.assign(kPartitions, {});
      polled_ = false;
    }
    if (!polled_) {
      auto step = task_->poll(0ms);
      if (!step) return task_.reset();
      for (const auto& assigned : step->assigned) note(hearts_[at(assigned.partition)].restore(assigned));
      for (const Stored& stored : step->records) note(hearts_[at(stored.partition)].fold(stored));
      polled_ = !step->records.empty();
      return;
    }
    std::vector<Output> outputs;
    std::vector<StateChange> changes;
    for (CountingHeart& heart : hearts_) {
      const auto o = heart.outputs();
      outputs.insert(outputs.end(), o.begin(), o.end());
      const auto c = heart.changes();
      changes.insert(changes.end(), c.begin(), c.end());
    }
    if (!task_->commit(outputs, changes)) return task_.reset();
    for (CountingHeart& heart : hearts_) heart.clear();
    polled_ = false;
  }

  // A store with rows and position in one transaction; it tells the log from time to time.
  void load() {
    if (!reader_) {
      auto opened = log_.reader(topic::trades, "store", Share::group);
      if (!opened) return;
      reader_ = std::move(*opened);
    }
    auto step = reader_->poll(0ms);
    if (!step) return reader_.reset();
    for (const std::int32_t p : step->assigned)
      if (!reader_->seek(p, random_() % 2 == 0 ? std::nullopt : std::optional{position_[at(p)]}))
        return reader_.reset();
    for (const Stored& stored : step->records) {
      auto& position = position_[at(stored.partition)];
      if (stored.offset < position) continue;
      ++rows_[at(stored.partition)];
      position = stored.offset + 1;
      const std::string expected = " is the " + std::to_string(rows_[at(stored.partition)]);
      if (!stored.record.value.ends_with(expected))
        note("the store was given '" + std::string{stored.record.value} + "', not" + expected);
    }
    const auto p = static_cast<std::int32_t>(random_() % kPartitions);
    if (!reader_->stored(p, position_[at(p)])) reader_.reset();
  }
  void note(std::optional<std::string> fault) {
    if (fault && !fault_) fault_ = std::move(fault);
  }

  MemoryLog& log_;
  std::mt19937_64 random_;
  bool crash_process_ = false;
  std::optional<std::string> fault_;
  std::unique_ptr<Appender> appender_;
  std::vector<std::vector<std::int64_t>> sent_ = std::vector<std::vector<std::int64_t>>(kPartitions);
  std::vector<std::int64_t> next_number_ = std::vector<std::int64_t>(kPartitions, 0);
  Promised promised_ = Promised(kPartitions);
  std::unique_ptr<Task> task_;
  std::vector<CountingHeart> hearts_;
  bool polled_ = false;
  std::unique_ptr<Reader> reader_;
  std::vector<std::int64_t> position_ = std::vector<std::int64_t>(kPartitions, 0);
  std::vector<std::int64_t> rows_ = position_;
};

std::uint64_t seeds(std::uint64_t usual) {
  const char* more = std::getenv("TRUETAPE_SEEDS");
  return more != nullptr ? std::strtoull(more, nullptr, 10) : usual;
}

MemoryOptions options() {
  MemoryOptions out;
  out.partitions = kPartitions;
  out.step_records = 7;
  return out;
}

TEST(MemoryLogHistories, EveryRecordOnceUnderRandomCrashes) {
  for (std::uint64_t seed = 1; seed <= seeds(300); ++seed) {
    MemoryOptions o = options();
    o.dice = std::make_shared<RandomFaults>(seed, 50);
    MemoryLog log{o};
    History history{log, seed};
    history.let_process_crash();
    for (int i = 0; i < 400; ++i) history.step();
    ASSERT_EQ(history.finish(), std::nullopt) << "seed " << seed;
  }
}

// The same short history again and again, each time with a crash at another call, before or after its effect.
TEST(MemoryLogHistories, EveryRecordOnceWithACrashAtEachCall) {
  std::uint64_t calls = 0;
  std::array<int, 7> hits{};
  for (const Crash crash : {Crash::before, Crash::after})
    for (std::uint64_t call = 0;; ++call) {
      MemoryOptions o = options();
      const auto dice = std::make_shared<CrashAt>(call, crash);
      o.dice = dice;
      MemoryLog log{o};
      History history{log, 7};
      for (int i = 0; i < 120; ++i) history.step();
      const bool crashed = dice->crashed();
      ASSERT_EQ(history.finish(), std::nullopt) << "call " << call;
      if (!crashed) break;
      ++hits[static_cast<std::size_t>(dice->hit())];
      ++calls;
    }
  EXPECT_GT(calls, 300U);
  for (std::size_t i = 0; i < hits.size(); ++i) EXPECT_GT(hits[i], 0) << "no crash at call of kind " << i;
}

// What a reader has stored is behind the last record that it has; where offsets have holes, the next record comes
// later.
TEST(MemoryLogHistories, APositionBeforeAHoleIsNoneOfDeletedRecords) {
  MemoryOptions o = options();
  o.offset_holes = true;
  MemoryLog log{o};
  const auto appender = log.appender(topic::control).value();
  for (int i = 0; i < 3; ++i) {  // at 0, 2 and 4
    ASSERT_TRUE(appender->append(0, {"key", "value", {}}));
    ASSERT_TRUE(appender->flush(0ms).value());
  }
  log.trim(topic::control, 0, 4);
  ASSERT_EQ(log.span(topic::control, 0)->oldest, 4);
  const auto reader = log.reader(topic::control, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  EXPECT_EQ(reader->seek(0, 2).error().fault, Fault::out_of_range);
  ASSERT_TRUE(reader->seek(0, 3));
  EXPECT_EQ(reader->poll(0ms)->records.size(), 1U);
}

// The same seed gives the same history to the byte.
TEST(MemoryLogHistories, AreAFunctionOfTheSeed) {
  const auto run = [](std::uint64_t seed) {
    MemoryOptions o = options();
    o.dice = std::make_shared<RandomFaults>(seed, 100);
    MemoryLog log{o};
    History history{log, seed};
    history.let_process_crash();
    for (int i = 0; i < 300; ++i) history.step();
    EXPECT_EQ(history.finish(), std::nullopt);
    std::string out;
    auto reader = log.reader(topic::trades, "", Share::all).value();
    const auto first = reader->poll(0ms);
    for (const std::int32_t p : first->assigned) EXPECT_TRUE(reader->seek(p, std::nullopt));
    for (auto step = reader->poll(0ms); !step->records.empty(); step = reader->poll(0ms))
      for (const Stored& s : step->records)
        out += std::to_string(s.partition) + " " + std::to_string(s.offset) + " " + std::string{s.record.value} + "\n";
    return out;
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

}  // namespace
}  // namespace truetape::conformance
