#include "app/pipeline.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "app/open.h"

namespace truetape::app {
namespace {

class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "truetape-pipeline-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    config_.data = pattern;
    auto log = open_log_to_write(config_);
    ASSERT_TRUE(log) << log.error().detail;
    log_ = std::move(*log);
    auto raw = log_->appender(topic::raw);
    ASSERT_TRUE(raw);
    raw_ = std::move(*raw);
  }
  void TearDown() override {
    raw_.reset();
    log_.reset();
    std::filesystem::remove_all(config_.data);
  }

  // Rows "time,price,quantity,id" as an import appends them.
  void append(std::string_view rows) {
    const Instrument instrument = Instrument::parse("binance:BTCUSDT").value();
    const std::array headers{Header{header::kind, name(RawKind::history)},
                             Header{header::instruments, instrument.text()},
                             Header{header::receive_time, "1800000000000000000"},
                             Header{header::format, "csv"},
                             Header{header::tape, "trade"},
                             Header{header::columns, "time=0,price=1,quantity=2,id=3"}};
    ASSERT_TRUE(raw_->append(partition_of(instrument, log_->partitions()), {instrument.text(), rows, headers}));
    const auto flushed = raw_->flush(std::chrono::seconds{60});
    ASSERT_TRUE(flushed && *flushed);
  }

  Config config_;
  std::unique_ptr<LmdbLog> log_;
  std::unique_ptr<Appender> raw_;
};

void silent(std::int64_t, std::int64_t) {}

TEST_F(PipelineTest, WhatAnEarlierImportLeftIsDoneFirstAndCountedApart) {
  append("1723161253000,1,1,10\n1723161254000,2,1,11\n1723161255000,3,1,12\n");
  Pipeline pipeline{*log_, config_, false};
  const Status settled = pipeline.settle(silent);
  ASSERT_TRUE(settled) << settled.error().detail;
  EXPECT_EQ(pipeline.left_over().records, 1U);
  EXPECT_EQ(pipeline.left_over().venues.at("binance").accepted, 3U);
  append("1723161255000,3,1,12\n1723161256000,4,1,13\nnonsense\n");
  const Status drained = pipeline.drain(silent);
  ASSERT_TRUE(drained) << drained.error().detail;
  const Counts& counts = pipeline.processed().venues.at("binance");
  EXPECT_EQ(pipeline.processed().records, 1U);
  EXPECT_EQ(counts.in, 3U);
  EXPECT_EQ(counts.accepted, 1U);
  EXPECT_EQ(counts.duplicate, 1U);
  EXPECT_EQ(counts.quarantined, 1U);
  EXPECT_TRUE(counts.balanced());
}

// What an import that waits for room goes by.
TEST_F(PipelineTest, MovedChangesWhileTheRolesGetOnAndStaysWhileTheyDoNot) {
  Metrics metrics;
  Pipeline pipeline{*log_, config_, false, &metrics};
  ASSERT_TRUE(pipeline.settle(silent));
  EXPECT_EQ(pipeline.moved(), 0U);
  append("1723161253000,1,1,10\n1723161254000,2,1,11\n");
  ASSERT_TRUE(pipeline.drain(silent));
  EXPECT_GE(pipeline.moved(), 2U);  // a step of process, a batch of load
  EXPECT_EQ(metrics.counter("truetape_process_steps_total", "").value(), 1U);
  EXPECT_GT(metrics.counter("truetape_load_rows_total", "", {{"store", "sqlite"}}).value(), 2U);
}

TEST_F(PipelineTest, WithNothingLeftThereIsNothingToTell) {
  Pipeline pipeline{*log_, config_, false};
  ASSERT_TRUE(pipeline.settle(silent));
  EXPECT_EQ(pipeline.left_over().records, 0U);
  ASSERT_TRUE(pipeline.drain(silent));
  EXPECT_EQ(pipeline.processed().records, 0U);
  EXPECT_TRUE(pipeline.processed().venues.empty());
}

TEST_F(PipelineTest, AStoreThatCannotBeUsedIsToldBeforeAnythingIsAppended) {
  std::ofstream{config_.store_file()} << std::string(10'000, 'x');
  Pipeline pipeline{*log_, config_, false};
  const Status settled = pipeline.settle(silent);
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().fault, Fault::corrupt) << settled.error().detail;
}

// A process that stays: a store that another program holds only makes load wait, and process goes on.
TEST_F(PipelineTest, WithEndlessPatienceAStoreThatIsLockedIsWaitedForAndToldOf) {
  Metrics metrics;
  Pipeline pipeline{*log_, config_, false, &metrics, Patience::endless};
  const Status begun = pipeline.begin();
  ASSERT_TRUE(begun) << begun.error().detail;
  EXPECT_FALSE(pipeline.load_trouble());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(config_.store_file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  append("1723161253000,1,1,10\n1723161254000,2,1,11\n");
  const auto until = [](const std::function<bool()>& done) {
    const auto guard = std::chrono::steady_clock::now() + std::chrono::minutes{2};
    while (!done() && std::chrono::steady_clock::now() < guard)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    return done();
  };
  EXPECT_TRUE(until([&] { return pipeline.load_trouble().has_value(); }));
  EXPECT_TRUE(until([&] { return metrics.counter("truetape_process_steps_total", "").value() == 1; }));
  EXPECT_FALSE(pipeline.process_trouble());
  EXPECT_FALSE(pipeline.failed());
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(until([&] { return !pipeline.load_trouble(); }));
  const Status drained = pipeline.drain(silent);
  ASSERT_TRUE(drained) << drained.error().detail;
  EXPECT_GT(pipeline.loaded().rows, 2U);
}

TEST_F(PipelineTest, AStoreThatCannotBeUsedEndsABeginHoweverPatient) {
  std::ofstream{config_.store_file()} << std::string(10'000, 'x');
  Pipeline pipeline{*log_, config_, false, nullptr, Patience::endless};
  const Status begun = pipeline.begin();
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().fault, Fault::corrupt) << begun.error().detail;
}

}  // namespace
}  // namespace truetape::app
