#include "app/kafka_worker.h"

#include "app/lines.h"
#include "app/schemas.h"

namespace truetape::app {
namespace {

constexpr std::size_t kFencedMost = 3;
constexpr std::chrono::minutes kFencedWithin{1};
constexpr std::chrono::milliseconds kLook{250};
constexpr std::chrono::seconds kAskEvery{5}, kAnswer{5};

}  // namespace

KafkaWorker::KafkaWorker(const char* role, const Config& config, Metrics& metrics, const std::atomic<bool>& ended,
                         Patience patience)
    : config_{config}, ended_{ended}, patience_{patience}, name_{worker_name(config)}, watch_{role, clock_, &metrics} {}

Status KafkaWorker::open() {
  if (log_) return {};
  if (!schema_ids_) {
    auto ids = open_schema_ids(config_, clock_);
    if (!ids) return tl::unexpected{ids.error()};
    schema_ids_ = std::move(*ids);
  }
  auto log = open_kafka(config_, Connections::told, &ended_, schema_ids_);
  if (!log) return tl::unexpected{log.error()};
  if (!log_id_.empty() && log_id_ != (*log)->id())
    return failure(Fault::mismatch, Retry::never,
                   "the topics of " + config_.data + " were made anew meanwhile (log " + std::string{(*log)->id()} +
                       ", before " + log_id_ + "); start this worker again");
  log_id_ = (*log)->id();
  log_ = std::move(*log);
  return {};
}

void KafkaWorker::stepped(std::size_t partitions, std::int64_t behind) {
  worked_ = worked_ || partitions > 0;
  watch_.stepped(behind);
}

Status KafkaWorker::reach(bool moved) {
  const auto now = clock_.steady();
  if (moved) reached_ = now;
  if (now - reached_ < kAskEvery || ended_) return {};
  Status answer = log_->reachable(kAnswer);
  if (answer) reached_ = clock_.steady();
  return answer;
}

bool KafkaWorker::look_is_due() {
  const auto now = clock_.steady();
  if (now - looked_ < kLook) return false;
  looked_ = now;
  tell_repeats();
  return true;
}

// Another process took the place of one that worked. Once may be what is left of this one from before an outage.
bool KafkaWorker::is_fenced(const Error& error) {
  if (error.fault != Fault::refused || error.retry == Retry::never || !worked_) return false;
  const auto now = clock_.steady();
  while (!fenced_.empty() && now - fenced_.front() > kFencedWithin) fenced_.pop_front();
  fenced_.push_back(now);
  return fenced_.size() >= kFencedMost;
}

bool KafkaWorker::survives(const Error& error, bool rebuilt) {
  if (rebuilt) log_.reset();  // the role is gone; the next one begins from the log itself: its epoch may be another
  if (ended_) return true;    // it was told to stop, which cut that short
  if (is_fenced(error)) {
    gave_up_ = Error{Fault::refused, Retry::never,
                     "worker " + name_ + " was fenced " + std::to_string(fenced_.size()) +
                         " times within a minute: another process works under the same name; each needs one of its "
                         "own: --worker NAME (the last time: " +
                         error.detail + ')'};
    return false;
  }
  if (watch_.survives(error, patience_)) return true;
  gave_up_ = error;
  return false;
}

}  // namespace truetape::app
