// Loading from the embedded log, where retention runs beside and a position is durable only a moment later.
#include "roles/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>
#include <utility>

#include "log/lmdb/lmdb_log.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kRecords = 20;

// A log whose readers are wrapped.
class Between final : public Log {
 public:
  using Wrap = std::function<std::unique_ptr<Reader>(std::unique_ptr<Reader>)>;
  Between(Log& log, Wrap wrap) : log_{log}, wrap_{std::move(wrap)} {}
  std::string_view id() const override { return log_.id(); }
  std::int64_t epoch() const override { return log_.epoch(); }
  std::int32_t partitions() const override { return log_.partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t p) const override { return log_.span(topic, p); }
  Result<std::int64_t> committed(std::int32_t p) const override { return log_.committed(p); }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return log_.appender(topic); }
  Result<std::unique_ptr<Task>> task() override { return log_.task(); }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    auto reader = log_.reader(topic, name, share);
    if (!reader) return reader;
    return wrap_(std::move(*reader));
  }

 private:
  Log& log_;
  const Wrap wrap_;
};

// Something else happens right after it has sought its place.
class SoughtReader final : public Reader {
 public:
  SoughtReader(std::unique_ptr<Reader> reader, std::function<void()> then)
      : reader_{std::move(reader)}, then_{std::move(then)} {}
  Result<Step> poll(std::chrono::milliseconds wait) override { return reader_->poll(wait); }
  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    const Status sought = reader_->seek(partition, offset);
    then_();
    return sought;
  }
  Status stored(std::int32_t partition, std::int64_t next) override { return reader_->stored(partition, next); }
  std::optional<std::int64_t> position(std::int32_t p) const override { return reader_->position(p); }

 private:
  const std::unique_ptr<Reader> reader_;
  const std::function<void()> then_;
};

// A store that has `position`, or nothing yet; `locked` so many times before it says so.
class PositionSink final : public Sink {
 public:
  explicit PositionSink(std::optional<std::int64_t> position, int locked = 0) : position_{position}, locked_{locked} {}
  Status open() override { return {}; }
  Result<std::optional<std::int64_t>> claim(std::string_view, std::int32_t) override {
    if (locked_-- > 0) return failure(Fault::unavailable, Retry::after_backoff, "the store is locked");
    return position_;
  }
  Result<std::int64_t> write(const Batch& batch) override { return batch.next; }

 private:
  const std::optional<std::int64_t> position_;
  int locked_;
};

class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/truetape_load_XXXXXX";
    directory_ = mkdtemp(name);
    LmdbOptions options;
    options.create = true;
    options.partitions = 1;
    options.spacing = 0ms;
    options.clock = &clock_;
    auto opened = open_lmdb_log(directory_, options);
    ASSERT_TRUE(opened) << opened.error().detail;
    log_ = std::move(*opened);
    // The store had loaded all of it before it was put back.
    auto earlier = log_->reader(topic::trades, "load:test", Share::group).value();
    task_ = log_->task().value();
    for (std::int64_t i = 0; i < kRecords; ++i) ASSERT_NO_FATAL_FAILURE(commit());
    ASSERT_TRUE(earlier->stored(0, kRecords));
    for (int i = 0; i < 500 && log_->readers()->front().stored != kRecords; ++i) std::this_thread::sleep_for(20ms);
    ASSERT_EQ(log_->readers()->front().stored, kRecords);
  }
  void TearDown() override {
    task_.reset();
    log_.reset();
    std::filesystem::remove_all(directory_);
  }
  // A raw record, and a record of trades made of it, in a block of its own.
  void commit(std::string_view topic = topic::trades) {
    auto raw = log_->appender(topic::raw).value();
    ASSERT_TRUE(raw->append(0, {"key", "raw", {}}));
    ASSERT_TRUE(raw->flush(60s).value());
    for (bool done = false; !done;) {
      const auto step = task_->poll(0ms);
      ASSERT_TRUE(step) << step.error().detail;
      if (step->records.empty()) continue;
      const Output output{topic, 0, {"key", "a trade", {}}};
      ASSERT_TRUE(task_->commit({&output, 1}, {}));
      done = true;
    }
  }
  static Between::Wrap then(std::function<void()> what) {
    return [what = std::move(what)](std::unique_ptr<Reader> reader) {
      return std::make_unique<SoughtReader>(std::move(reader), what);
    };
  }
  // From here on all that nobody waits for is of an age to go.
  void age() {
    clock_.advance(24h * 40);
    commit();
  }

  std::filesystem::path directory_;
  ManualClock clock_{timestamp_ns(1'700'000'000'000'000'000)};
  std::unique_ptr<LmdbLog> log_;
  std::unique_ptr<Task> task_;
};

TEST_F(LoadTest, WhatTheStoreCouldNotSayWhileItWasLockedItIsAskedAgain) {
  auto role =
      LoadRole::open(*log_, std::make_unique<PositionSink>(0, 3), clock_, {.name = "test", .topics = {topic::trades}})
          .value();
  for (int i = 0; i < 3; ++i) {
    const Status step = role->step(0ms);
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().retry, Retry::after_backoff);
    EXPECT_EQ(role->counts().records, 0U);
  }
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(role->step(0ms));
  EXPECT_EQ(role->counts().records, static_cast<std::uint64_t>(kRecords));
}

// A reader of which one partition waits for something.
class Waiting final : public Reader {
 public:
  explicit Waiting(std::unique_ptr<Reader> others) : others_{std::move(others)} {}
  Result<Step> poll(std::chrono::milliseconds wait) override {
    if (waits && std::exchange(tell_, !tell_)) return failure(Fault::unavailable, Retry::after_backoff, "it waits");
    return others_->poll(wait);
  }
  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    return others_->seek(partition, offset);
  }
  Status stored(std::int32_t partition, std::int64_t next) override { return others_->stored(partition, next); }
  std::optional<std::int64_t> position(std::int32_t p) const override { return others_->position(p); }
  static inline bool waits = true;

 private:
  std::unique_ptr<Reader> others_;
  bool tell_ = true;
};

TEST_F(LoadTest, WhileAPartitionWaitsTheOthersAreLoaded) {
  commit(topic::gaps);
  Between log{*log_, [](auto reader) { return std::make_unique<Waiting>(std::move(reader)); }};
  Waiting::waits = true;
  auto role = LoadRole::open(log, std::make_unique<PositionSink>(0), clock_,
                             {.name = "test", .topics = {topic::trades, topic::gaps}})
                  .value();
  for (int i = 0; i < 2; ++i) {
    const Status step = role->step(0ms);
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error().detail, "it waits");
  }
  EXPECT_EQ(role->counts().records, static_cast<std::uint64_t>(kRecords + 1));
  clock_.advance(1s);
  ASSERT_FALSE(role->step(0ms));
  EXPECT_EQ(role->counts().rows, static_cast<std::uint64_t>(kRecords + 1)) << "what is due is written";
  Waiting::waits = false;
  ASSERT_TRUE(role->step(0ms));
}

TEST_F(LoadTest, RetentionWaitsForAStoreThatWasPutBackBeforeItReadsOn) {
  for (const std::optional<std::int64_t> position : {std::optional<std::int64_t>{}, std::optional<std::int64_t>{0}}) {
    SCOPED_TRACE(position ? "put back" : "emptied");
    Between log{*log_, then([this] { age(); })};
    auto role = LoadRole::open(log, std::make_unique<PositionSink>(position), clock_,
                               {.name = "test", .topics = {topic::trades}})
                    .value();
    const Status step = role->step(0ms);
    ASSERT_TRUE(step) << step.error().detail;
    EXPECT_EQ(log_->span(topic::trades, 0)->oldest, 0);
  }
}

TEST_F(LoadTest, WhatIsGoneBeforeAnEmptyStoreIsClaimedIsLeftOut) {
  age();
  const std::int64_t oldest = log_->span(topic::trades, 0)->oldest;
  ASSERT_GT(oldest, 0);
  Between log{*log_, then([this] { age(); })};
  auto role = LoadRole::open(log, std::make_unique<PositionSink>(std::nullopt), clock_,
                             {.name = "test", .topics = {topic::trades}})
                  .value();
  const Status step = role->step(0ms);
  ASSERT_TRUE(step) << step.error().detail;
  EXPECT_EQ(log_->span(topic::trades, 0)->oldest, oldest);
  EXPECT_EQ(role->lag().value(), log_->span(topic::trades, 0)->end - oldest);
}

// A log whose partition ends with `more` offsets that no record has.
class Marked final : public Reader {
 public:
  Marked(std::unique_ptr<Reader> reader, std::int64_t more, std::int64_t& told)
      : reader_{std::move(reader)}, more_{more}, told_{told} {}
  Result<Step> poll(std::chrono::milliseconds wait) override {
    auto step = reader_->poll(wait);
    at_end_ = step && step->records.empty();
    return step;
  }
  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    return reader_->seek(partition, offset);
  }
  Status stored(std::int32_t, std::int64_t next) override {
    told_ = std::max(told_, next);
    return {};
  }
  std::optional<std::int64_t> position(std::int32_t p) const override {
    const auto at = reader_->position(p);
    return at && at_end_ ? std::optional{*at + more_} : at;
  }

 private:
  const std::unique_ptr<Reader> reader_;
  const std::int64_t more_;
  std::int64_t& told_;
  bool at_end_ = false;
};

class KeepingSink final : public Sink {
 public:
  struct Written {
    std::int64_t first, next;
    std::size_t rows;
    friend bool operator==(const Written&, const Written&) = default;
  };
  explicit KeepingSink(std::vector<Written>& written) : written_{written} {}
  Status open() override { return {}; }
  Result<std::optional<std::int64_t>> claim(std::string_view, std::int32_t) override { return 0; }
  Result<std::int64_t> write(const Batch& batch) override {
    written_.push_back({batch.first, batch.next, batch.rows.size()});
    return batch.next;
  }

 private:
  std::vector<Written>& written_;
};

TEST_F(LoadTest, WhereTheLogEndsWithoutRecordsTheStoreIsToldOnceAndNotAtOnce) {
  std::int64_t told = -1;
  std::vector<KeepingSink::Written> written;
  Between log{*log_, [&](auto reader) { return std::make_unique<Marked>(std::move(reader), 3, told); }};
  auto role = LoadRole::open(log, std::make_unique<KeepingSink>(written), clock_,
                             {.name = "test", .topics = {topic::trades, topic::gaps}})
                  .value();
  ASSERT_TRUE(role->step(0ms));  // assigned
  ASSERT_TRUE(role->step(0ms));  // read
  EXPECT_TRUE(written.empty());
  clock_.advance(1s);
  ASSERT_TRUE(role->step(0ms));
  const std::vector<KeepingSink::Written> rows{{0, kRecords, kRecords}, {0, 3, 0}};  // of gaps there is no record
  EXPECT_EQ(written, rows);
  ASSERT_TRUE(role->step(0ms));
  EXPECT_EQ(written, rows);
  clock_.advance(1s);
  ASSERT_TRUE(role->step(0ms));
  ASSERT_EQ(written.size(), rows.size() + 1);
  EXPECT_EQ(written.back(), (KeepingSink::Written{kRecords, kRecords + 3, 0}));
  EXPECT_EQ(told, kRecords + 3);
  EXPECT_EQ(role->counts().rows, static_cast<std::uint64_t>(kRecords));
  EXPECT_EQ(role->counts().batches, 1U);
  for (int i = 0; i < 3; ++i) {
    clock_.advance(2s);
    ASSERT_TRUE(role->step(0ms));
  }
  EXPECT_EQ(written.size(), rows.size() + 1) << "nothing new, nothing written";
}

TEST_F(LoadTest, AStoreOfItsOwnHasReadersOfItsOwn) {
  std::vector<std::string> names;
  class Naming final : public Log {
   public:
    Naming(Log& log, std::vector<std::string>& names) : log_{log}, names_{names} {}
    std::string_view id() const override { return log_.id(); }
    std::int64_t epoch() const override { return log_.epoch(); }
    std::int32_t partitions() const override { return log_.partitions(); }
    Result<TopicSpan> span(std::string_view topic, std::int32_t p) const override { return log_.span(topic, p); }
    Result<std::int64_t> committed(std::int32_t p) const override { return log_.committed(p); }
    Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return log_.appender(topic); }
    Result<std::unique_ptr<Task>> task() override { return log_.task(); }
    Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
      names_.emplace_back(name);
      return log_.reader(topic, name, share);
    }

   private:
    Log& log_;
    std::vector<std::string>& names_;
  } log{*log_, names};
  for (const std::string store : {"", "here:/srv/a.db", "here:/srv/b.db"})
    ASSERT_TRUE(LoadRole::open(log, std::make_unique<PositionSink>(0), clock_,
                               {.name = "test", .store = store, .topics = {topic::trades}}));
  EXPECT_EQ(names, (std::vector<std::string>{"load:test", "load:test:here:/srv/a.db", "load:test:here:/srv/b.db"}));
}

}  // namespace
}  // namespace truetape
