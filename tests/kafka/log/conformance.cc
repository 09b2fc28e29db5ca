// The suite of log.h on real brokers.
#include "log/conformance/log_conformance.h"

#include <stdexcept>
#include <utility>

#include "brokers.h"

namespace truetape::conformance {
namespace {

namespace testing = kafka::testing;

class KafkaUnderTest final : public LogUnderTest {
 public:
  explicit KafkaUnderTest(const LogSettings& settings) {
    options_.place = testing::fresh_place("suite");
    options_.worker = "one";
    options_.step_records = settings.step_records;
    options_.step_bytes = settings.step_bytes;
    options_.append_buffer_bytes = settings.append_buffer_bytes;
    options_.session_timeout = options_.transaction_timeout = std::chrono::milliseconds{6'000};
    testing::make_topics(options_.place, settings.partitions);
    open();
  }
  ~KafkaUnderTest() override {
    set_full(false);
    log_.reset();
    testing::delete_topics(options_.place);
  }
  Log& log() override { return *log_; }
  void reopen() override {
    log_.reset();
    open();
  }
  // No broker answers.
  void set_full(bool full) override {
    if (full == std::exchange(full_, full)) return;
    for (int node = 1; node <= testing::nodes(); ++node)
      testing::order((full ? "pause " : "resume ") + std::to_string(node));
  }
  bool readable_when_full() const override { return false; }
  Fault full_fault() const override { return Fault::unavailable; }
  bool waits_for_readers() const override { return false; }
  void trim() override {
    for (std::int32_t p = 0; p < log_->partitions(); ++p) {
      const TopicSpan raw = log_->span(topic::raw, p).value();
      if (raw.end > raw.oldest + 1) testing::delete_records(options_.place, topic::raw, p, raw.end - 1);
    }
  }
  void forget_reader(std::string_view) override {}

 private:
  void open() {
    auto opened = open_kafka_log(options_);
    if (!opened) throw std::runtime_error{opened.error().detail};
    log_ = std::move(*opened);
  }
  KafkaOptions options_;
  bool full_ = false;
  std::unique_ptr<KafkaLog> log_;
};

std::unique_ptr<LogUnderTest> make_kafka(const LogSettings& settings) {
  return std::make_unique<KafkaUnderTest>(settings);
}

INSTANTIATE_TEST_SUITE_P(Kafka, LogConformance, ::testing::Values(&make_kafka));

}  // namespace
}  // namespace truetape::conformance
