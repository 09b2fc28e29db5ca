#include "counting_worker.h"

#include <utility>

namespace truetape::kafka::testing {

Result<std::unique_ptr<CountingWorker>> CountingWorker::open(Log& log) {
  auto task = log.task();
  if (!task) return tl::unexpected{task.error()};
  auto out = std::make_unique<CountingWorker>();
  out->task_ = std::move(*task);
  return out;
}

std::optional<Error> CountingWorker::poll(std::chrono::milliseconds linger) {
  auto step = task_->poll(linger);
  if (!step) return step.error();
  for (const std::int32_t p : step->revoked) hearts_.erase(p);
  for (const Task::Assigned& assigned : step->assigned)
    if (auto fault = hearts_[assigned.partition].restore(assigned))
      faults_.push_back("state of " + std::to_string(assigned.partition) + ": " + *fault);
  for (const Task::Lost& lost : step->lost)
    faults_.push_back("lost in partition " + std::to_string(lost.partition) + ": [" + std::to_string(lost.from) + ", " +
                      std::to_string(lost.to) + ")");
  in_hand_ = !step->records.empty();
  for (const Stored& stored : step->records) {
    const auto heart = hearts_.find(stored.partition);
    if (heart == hearts_.end()) {
      faults_.push_back("a record of partition " + std::to_string(stored.partition) + ", which is not assigned");
      return std::nullopt;
    }
    if (auto fault = heart->second.fold(stored))
      faults_.push_back("partition " + std::to_string(stored.partition) + ": " + *fault);
  }
  return std::nullopt;
}

std::optional<Error> CountingWorker::commit() {
  if (!std::exchange(in_hand_, false)) return std::nullopt;
  if (const Status done = task_->commit(outputs(), changes()); !done) return done.error();
  ++commits_;
  for (auto& [p, heart] : hearts_) heart.clear();
  return std::nullopt;
}

std::optional<Error> CountingWorker::step(std::chrono::milliseconds linger) {
  auto error = poll(linger);
  return error ? error : commit();
}

std::vector<Output> CountingWorker::outputs() {
  std::vector<Output> out;
  for (auto& [p, heart] : hearts_) {
    const auto some = heart.outputs();
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

std::vector<StateChange> CountingWorker::changes() {
  std::vector<StateChange> out;
  for (auto& [p, heart] : hearts_) {
    const auto some = heart.changes();
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

std::set<std::int32_t> CountingWorker::mine() const {
  std::set<std::int32_t> out;
  for (const auto& [p, heart] : hearts_) out.insert(p);
  return out;
}

}  // namespace truetape::kafka::testing
