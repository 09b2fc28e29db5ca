#include "counting_worker.h"

namespace truetape::kafka::testing {

Result<std::unique_ptr<CountingWorker>> CountingWorker::open(Log& log) {
  auto task = log.task();
  if (!task) return tl::unexpected{task.error()};
  auto out = std::make_unique<CountingWorker>();
  out->task_ = std::move(*task);
  return out;
}

std::optional<Error> CountingWorker::step(std::chrono::milliseconds linger, bool commits) {
  auto step = task_->poll(linger);
  if (!step) return step.error();
  for (const std::int32_t p : step->revoked) hearts_.erase(p);
  for (const Task::Assigned& assigned : step->assigned)
    if (auto fault = hearts_[assigned.partition].restore(assigned))
      faults_.push_back("state of " + std::to_string(assigned.partition) + ": " + *fault);
  lost_.insert(lost_.end(), step->lost.begin(), step->lost.end());
  if (step->records.empty()) return std::nullopt;
  for (const Stored& stored : step->records) {
    const auto heart = hearts_.find(stored.partition);
    if (heart == hearts_.end()) {
      faults_.push_back("a record of partition " + std::to_string(stored.partition) + ", which is not assigned");
      return std::nullopt;
    }
    if (auto fault = heart->second.fold(stored))
      faults_.push_back("partition " + std::to_string(stored.partition) + ": " + *fault);
  }
  if (!commits) return std::nullopt;
  std::vector<Output> outputs;
  std::vector<StateChange> changes;
  for (auto& [p, heart] : hearts_) {
    const auto o = heart.outputs();
    outputs.insert(outputs.end(), o.begin(), o.end());
    const auto c = heart.changes();
    changes.insert(changes.end(), c.begin(), c.end());
  }
  if (const Status done = task_->commit(outputs, changes); !done) return done.error();
  ++commits_;
  for (auto& [p, heart] : hearts_) heart.clear();
  return std::nullopt;
}

std::set<std::int32_t> CountingWorker::mine() const {
  std::set<std::int32_t> out;
  for (const auto& [p, heart] : hearts_) out.insert(p);
  return out;
}

}  // namespace truetape::kafka::testing
