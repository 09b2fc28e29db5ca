// The follower by itself, with a log that fails where a test says.
#include "serve/follow.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "serve/testing.h"

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");

// Of one thread, the follower's, but for `armed`.
struct Failing {
  std::atomic<bool> armed = false;
  bool fail = false;                   // the next look at quotes
  std::atomic<bool> fail_now = false;  // the same, of the test's thread
  std::function<void()> failed = [] {};
  std::atomic<bool> stalled = false;  // candles give nothing, as one who is far behind
  std::atomic<int> stalls = 0;
  std::function<void()> before_trades = {};  // once, after a look at candles
  std::atomic<bool> commits = false;         // arms it
};

class FailingReader final : public Reader {
 public:
  FailingReader(std::unique_ptr<Reader> reader, std::string_view topic, Failing& failing)
      : reader_{std::move(reader)}, topic_{topic}, failing_{failing} {}
  Result<Step> poll(std::chrono::milliseconds wait) override {
    if (topic_ == topic::quotes && (std::exchange(failing_.fail, false) || failing_.fail_now.exchange(false))) {
      failing_.failed();
      return failure(Fault::unavailable, Retry::after_backoff, "a block is damaged");
    }
    if (topic_ == topic::candles && failing_.stalled) {
      ++failing_.stalls;
      return Step{};
    }
    if (topic_ == topic::trades && failing_.commits.exchange(false)) failing_.before_trades();
    auto step = reader_->poll(wait);
    // Candles were read: quotes, which come later in the round, fail once.
    if (topic_ == topic::candles && step && !step->records.empty() && failing_.armed.exchange(false))
      failing_.fail = true;
    return step;
  }
  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    return reader_->seek(partition, offset);
  }
  Status stored(std::int32_t partition, std::int64_t next) override { return reader_->stored(partition, next); }
  std::optional<std::int64_t> position(std::int32_t p) const override { return reader_->position(p); }

 private:
  std::unique_ptr<Reader> reader_;
  std::string topic_;
  Failing& failing_;
};

class FailingLog final : public Log {
 public:
  FailingLog(Log& log, Failing& failing) : log_{log}, failing_{failing} {}
  std::string_view id() const override { return log_.id(); }
  std::int64_t epoch() const override { return log_.epoch(); }
  std::int32_t partitions() const override { return log_.partitions(); }
  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    return log_.span(topic, partition);
  }
  Result<std::int64_t> committed(std::int32_t partition) const override { return log_.committed(partition); }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override { return log_.appender(topic); }
  Result<std::unique_ptr<Task>> task() override { return log_.task(); }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    auto reader = log_.reader(topic, name, share);
    if (!reader) return reader;
    return std::make_unique<FailingReader>(std::move(*reader), topic, failing_);
  }

 private:
  Log& log_;
  Failing& failing_;
};

class Follow : public ServeTest {
 protected:
  struct Got {
    std::mutex mutex;
    std::condition_variable more;
    std::vector<Candle> candles;
    std::vector<Timestamp> frontiers;          // of progress
    std::vector<std::size_t> candles_by_then;  // that had come when these did, their batch included
    std::vector<Followed::Position> skipped;
    std::size_t gaps = 0, caught_up = 0, troubles = 0;
  } got_;
  Failing failing_;
  FailingLog failing_log_{log_, failing_};
  std::unique_ptr<Follower> follower_;

  void follow() {
    follower_ = std::make_unique<Follower>(
        failing_log_, *history_,
        [this](std::unique_ptr<Followed> batch, const std::function<void()>& taken) {
          const std::lock_guard lock{got_.mutex};
          got_.candles.insert(got_.candles.end(), batch->candles.begin(), batch->candles.end());
          for (const Progress& progress : batch->progress) {
            got_.frontiers.push_back(*progress.frontier);
            got_.candles_by_then.push_back(got_.candles.size());
          }
          got_.skipped.insert(got_.skipped.end(), batch->skipped.begin(), batch->skipped.end());
          got_.gaps += batch->gaps.size();
          if (batch->caught_up) ++got_.caught_up;
          taken();
          got_.more.notify_all();
        },
        [this](const std::string&) {
          const std::lock_guard lock{got_.mutex};
          ++got_.troubles;
          got_.more.notify_all();
        });
    until_got([this] { return got_.caught_up > 0; });
  }
  // From now on; a look that waits for candles may still bring some.
  void stall() {
    failing_.stalled = true;
    for (int tries = 0; failing_.stalls == 0; ++tries) {
      ASSERT_LT(tries, 20'000) << "no look at candles";
      std::this_thread::sleep_for(1ms);
    }
  }
  void until_got(const std::function<bool()>& done) {
    std::unique_lock lock{got_.mutex};
    ASSERT_TRUE(got_.more.wait_for(lock, 20s, done)) << "it did not come";
  }
};

TEST_F(Follow, WhatWasReadBesideAnErrorIsReadAgain) {
  follow();
  failing_.armed = true;
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  commit({.candles = {candle(60s, kNoon + 60s, 11, 10)}});
  until_got([this] { return got_.candles.size() >= 2; });
  follower_.reset();
  EXPECT_EQ(got_.troubles, 1U);
  EXPECT_EQ(lines(got_.candles), lines<Candle>({candle(60s, kNoon, 1, 10), candle(60s, kNoon + 60s, 11, 10)}));
  EXPECT_TRUE(got_.skipped.empty());
}

Gap hole() {
  Gap gap;
  gap.instrument = btc();
  gap.from = kNoon;
  return gap;
}

TEST_F(Follow, ProgressOfACommitBetweenTwoLooksDoesNotComeBeforeItsCandles) {
  failing_.before_trades = [this] {
    commit({.candles = {candle(60s, kNoon, 1, 10)}, .progress = {progress(kNoon + 60s, 1)}});
  };
  follow();
  failing_.commits = true;
  until_got([this] { return !got_.frontiers.empty(); });
  follower_.reset();
  EXPECT_EQ(got_.candles_by_then, std::vector<std::size_t>{1});
}

TEST_F(Follow, ProgressWaitsForCandlesThatAreFarBehind) {
  follow();
  stall();
  commit({.candles = {candle(60s, kNoon, 1, 10)}, .progress = {progress(kNoon + 60s, 1)}});
  // Other topics go on meanwhile.
  commit({.candles = {candle(60s, kNoon + 60s, 11, 10)}, .gaps = {hole()}, .progress = {progress(kNoon + 120s, 2)}});
  until_got([this] { return got_.gaps > 0; });
  {
    const std::lock_guard lock{got_.mutex};
    EXPECT_TRUE(got_.frontiers.empty());
  }
  failing_.stalled = false;
  until_got([this] { return got_.frontiers.size() == 2; });
  follower_.reset();
  EXPECT_EQ(got_.frontiers, (std::vector<Timestamp>{kNoon + 60s, kNoon + 120s}));
  EXPECT_GE(got_.candles_by_then[0], 1U);
  EXPECT_EQ(got_.candles_by_then[1], 2U);
}

TEST_F(Follow, ProgressThatWaitedIsReadAgainAfterAnError) {
  follow();
  stall();
  commit({.candles = {candle(60s, kNoon, 1, 10)}, .gaps = {hole()}, .progress = {progress(kNoon + 60s, 1)}});
  until_got([this] { return got_.gaps > 0; });
  failing_.fail_now = true;
  until_got([this] { return got_.troubles > 0; });
  failing_.stalled = false;
  until_got([this] { return !got_.frontiers.empty(); });
  follower_.reset();
  EXPECT_EQ(got_.frontiers, std::vector<Timestamp>{kNoon + 60s});
  EXPECT_EQ(got_.candles_by_then, std::vector<std::size_t>{1});
}

TEST_F(Follow, WhatRetentionTookMeanwhileIsSaidToBeSkipped) {
  const std::int32_t partition = partition_of(btc(), log_.partitions());
  failing_.failed = [this, partition] { log_.trim(topic::candles, partition, 1); };
  follow();
  failing_.armed = true;
  commit({.candles = {candle(60s, kNoon, 1, 10), candle(60s, kNoon + 60s, 11, 10)}});
  until_got([this] { return !got_.candles.empty(); });
  follower_.reset();
  EXPECT_EQ(lines(got_.candles), lines<Candle>({candle(60s, kNoon + 60s, 11, 10)}));
  ASSERT_EQ(got_.skipped.size(), 1U);
  EXPECT_EQ(got_.skipped[0].topic, topic::candles);
  EXPECT_EQ(got_.skipped[0].partition, partition);
  EXPECT_EQ(got_.skipped[0].next, 1);
}

}  // namespace
}  // namespace truetape
