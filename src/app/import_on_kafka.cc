#include "app/import_on_kafka.h"

#include <chrono>

#include "app/import_marks.h"
#include "app/open.h"
#include "app/open_kafka.h"
#include "app/values.h"
#include "codec/quarantine.h"
#include "log/read.h"

namespace truetape::app {
namespace {

class OnKafka final : public ImportWay {
 public:
  OnKafka(std::unique_ptr<KafkaLog> log, const Config& config, const WayOptions& options)
      : log_{std::move(log)}, config_{config}, options_{options} {}

  Log& log() override { return *log_; }
  Status settle(const Behind&) override {
    if (Status marked = marks_.begin(*log_); !marked) return marked;
    for (std::int32_t partition = 0; partition < log_->partitions(); ++partition) {
      const auto span = log_->span(topic::quarantine, partition);
      if (!span) return tl::unexpected{span.error()};
      quarantine_.push_back(span->end);
    }
    return {};
  }
  bool failed() const override { return false; }
  std::uint64_t moved() override { return 0; }  // a log on Kafka has always room

  Status drain(const Behind& behind) override {
    if (Status marked = marks_.end(*log_); !marked) return marked;
    if (!options_.wait || interrupted()) return {};
    const Status done = wait_for_others([&] { return marks_.behind(*log_); }, [&](std::int64_t now) { behind(now, 0); },
                                        [this](std::int64_t left, auto stuck) { return goes_on(left, stuck); });
    processed_ = done.has_value();
    return done;
  }

  Result<ImportDid> did(const ImportSummary&) override {
    KafkaDid out;
    out.processed = processed_;
    out.partitions = marks_.partitions();
    if (!processed_) return out;
    for (const std::int32_t partition : out.partitions) {
      const auto span = log_->span(topic::quarantine, partition);
      if (!span) return tl::unexpected{span.error()};
      const Stretch stretch{topic::quarantine, partition, quarantine_[static_cast<std::size_t>(partition)], span->end};
      const Status read = read_stretch(*log_, stretch, [&](const Stored& stored) {
        // What others have written there is not one of ours.
        const auto item = read_quarantined(stored.record.value, stored.record.headers);
        if (item && marks_.ours(*item)) ++out.quarantined;
        return true;
      });
      if (!read) return tl::unexpected{read.error()};
    }
    return out;
  }
  const History* history() override { return nullptr; }

 private:
  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  Status goes_on(std::int64_t behind, std::chrono::steady_clock::duration stuck) const {
    const std::string left =
        std::to_string(behind) + " records are not processed yet; what was imported stays, and workers process it";
    if (interrupted()) return failure(Fault::unavailable, Retry::never, "not waited for: " + left);
    // A worker that begins waits for its group, and a step may take a while; beyond this there is none, or it is stuck.
    if (stuck <= config_.kafka.patience) return {};
    return failure(Fault::unavailable, Retry::never,
                   "no worker has got on for " + duration_text(config_.kafka.patience) + ": " + left +
                       " once one runs: truetape process --data " + shell_word(config_.data));
  }

  std::unique_ptr<KafkaLog> log_;
  const Config& config_;
  const WayOptions options_;
  ImportMarks marks_;
  std::vector<std::int64_t> quarantine_;  // ends by partition, before the import
  bool processed_ = false;
};

}  // namespace

Result<std::unique_ptr<ImportWay>> import_on_kafka(const Config& config, const WayOptions& options) {
  auto log = open_kafka(config);
  if (!log) return tl::unexpected{log.error()};
  if (const Status same = expect_intervals(**log, config, true); !same) return tl::unexpected{same.error()};
  return std::make_unique<OnKafka>(std::move(*log), config, options);
}

}  // namespace truetape::app
