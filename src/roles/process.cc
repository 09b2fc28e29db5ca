#include "roles/process.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "roles/meters.h"

namespace truetape {

void add(Counts& to, const Counts& more) {
  to.in += more.in;
  to.accepted += more.accepted;
  to.duplicate += more.duplicate;
  to.contradiction += more.contradiction;
  to.held += more.held;
  to.quarantined += more.quarantined;
  to.empty += more.empty;
  to.other_tape += more.other_tape;
  to.not_a_trade += more.not_a_trade;
  to.undecodable += more.undecodable;
  to.set_aside += more.set_aside;
  to.duplicate_unchecked += more.duplicate_unchecked;
  to.late += more.late;
  to.marked += more.marked;
  to.released += more.released;
  to.crossed += more.crossed;
  to.replayed += more.replayed;
  to.dropped += more.dropped;
  to.still_bad += more.still_bad;
  for (std::size_t i = 0; i < to.records.size(); ++i) to.records[i] += more.records[i];
}

void add(ProcessCounts& to, const ProcessCounts& more) {
  to.steps += more.steps;
  to.records += more.records;
  to.outputs += more.outputs;
  to.state_changes += more.state_changes;
  to.crashed += more.crashed;
  to.cut += more.cut;
  for (std::size_t i = 0; i < to.candles.size(); ++i) to.candles[i] += more.candles[i];
  for (std::size_t i = 0; i < to.gaps.size(); ++i) to.gaps[i] += more.gaps[i];
  for (const auto& [venue, counts] : more.venues) add(to.venues[venue], counts);
  to.lost.insert(to.lost.end(), more.lost.begin(), more.lost.end());
}

Result<std::unique_ptr<ProcessRole>> ProcessRole::open(Log& log, const Rules& rules, const Decoder& decoder,
                                                       ProcessOptions options, Attempts* attempts) {
  auto task = log.task();
  if (!task) return tl::unexpected{task.error()};
  return std::unique_ptr<ProcessRole>{
      new ProcessRole{log, rules, decoder, std::move(options), attempts, std::move(*task)}};
}

Status ProcessRole::assign(Task::Assigned& assigned) {
  std::vector<std::pair<std::string, std::string>> state;
  state.reserve(assigned.state.size());
  for (StateEntry& entry : assigned.state) state.emplace_back(std::move(entry.key), std::move(entry.value));
  Processor processor{rules_, decoder_, assigned.partition, log_.epoch()};
  try {
    processor.restore(state);
  } catch (const ForeignState& e) {
    return failure(
        Fault::mismatch, Retry::never,
        "the state of partition " + std::to_string(assigned.partition) +
            " was written by another version of truetape (" + e.what() +
            "); go on with that version, or make state and results anew from raw with this one: " + options_.anew);
  } catch (const std::runtime_error& e) {
    return failure(Fault::mismatch, Retry::never,
                   "the state of partition " + std::to_string(assigned.partition) + " cannot be used (" + e.what() +
                       "); make state and results anew from raw: " + options_.anew);
  }
  hearts_.erase(assigned.partition);
  hearts_.emplace(assigned.partition, Heart{std::move(processor), {}});
  return {};
}

Status ProcessRole::step() {
  auto polled = task_->poll(options_.linger);
  if (!polled) return tl::unexpected{polled.error()};
  for (const std::int32_t partition : polled->revoked) hearts_.erase(partition);
  for (Task::Assigned& assigned : polled->assigned)
    if (auto restored = assign(assigned); !restored) return restored;
  for (const Task::Lost& lost : polled->lost) {
    if (options_.metrics != nullptr) meter_lost(*options_.metrics, static_cast<std::uint64_t>(lost.to - lost.from));
    counts_.lost.push_back(lost);
  }
  if (polled->records.empty()) return {};

  outputs_.clear();
  results_.clear();  // of a step that failed
  ProcessCounts step;
  step.steps = 1;
  step.records = polled->records.size();
  std::int32_t partition_before = polled->records.front().partition;
  for (const Stored& stored : polled->records) {
    if (stored.partition != partition_before || results_.trades.size() >= Outputs::kTradesAtOnce) {
      if (attempts_ != nullptr) attempts_->begin_finish(partition_before);
      encode(partition_before, step);
      if (attempts_ != nullptr) attempts_->end();
      partition_before = stored.partition;
    }
    const auto found = hearts_.find(stored.partition);
    if (found == hearts_.end())
      return failure(
          Fault::mismatch, Retry::rebuild,
          "the log gave a record of partition " + std::to_string(stored.partition) + ", which was not assigned");
    Heart& heart = found->second;
    const RawRecord raw = read_raw(stored.record.value, stored.record.headers, stored.partition, stored.offset);
    if (attempts_ != nullptr && attempts_->is_deadly(stored.partition, stored.offset)) {
      ++step.crashed;
      heart.processor.quarantine(raw, Reason::crashed,
                                 "the process ended " + std::to_string(Attempts::kLimit) +
                                     " times while it worked on this record; it was not processed",
                                 results_);
    } else {
      if (attempts_ != nullptr) attempts_->begin(stored.partition, stored.offset);
      heart.processor.fold(raw, results_);
      if (attempts_ != nullptr && attempts_->careful(stored.partition)) {
        heart.processor.finish_batch(results_, false);
        encode(stored.partition, step);
      }
      if (attempts_ != nullptr) attempts_->end();
    }
    heart.next = stored.offset + 1;
  }
  if (attempts_ != nullptr) attempts_->begin_finish(partition_before);
  encode(partition_before, step);
  for (auto& [partition, heart] : hearts_) {
    if (!heart.next) continue;
    if (attempts_ != nullptr) attempts_->begin_finish(partition);
    // Open candles are worth showing once the partition has (nearly) caught up.
    heart.processor.finish_batch(results_, task_->behind(partition) <= options_.catch_up);
    encode(partition, step);
  }
  if (attempts_ != nullptr) attempts_->end();

  const auto outputs = outputs_.outputs();
  const auto state = outputs_.state();
  if (auto committed = task_->commit(outputs, state); !committed) return committed;
  for (auto& [partition, heart] : hearts_)
    if (const auto next = std::exchange(heart.next, std::nullopt); next && attempts_ != nullptr)
      attempts_->committed(partition, *next);
  step.outputs = outputs.size();
  step.state_changes = state.size();
  add(counts_, step);
  if (options_.metrics != nullptr) {
    meter(*options_.metrics, step);
    if (options_.clock != nullptr && polled->appended)
      process_hop(*options_.metrics).observe((options_.clock->now() - *polled->appended).count());
  }
  return {};
}

void ProcessRole::encode(std::int32_t partition, ProcessCounts& step) {
  step.cut += outputs_.add(results_, partition);
  for (const auto& [venue, counts] : results_.counts) add(step.venues[venue], counts);
  for (const Candle& candle : results_.candles) ++step.candles[static_cast<std::size_t>(candle.status)];
  for (const Gap& gap : results_.gaps) ++step.gaps[static_cast<std::size_t>(gap.state)];
  results_.clear();
}

std::vector<SetAside> ProcessRole::set_aside() const {
  std::vector<SetAside> out;
  for (const auto& [partition, heart] : hearts_)
    for (SetAside& item : heart.processor.set_aside()) out.push_back(std::move(item));
  std::ranges::stable_sort(
      out, [](const SetAside& a, const SetAside& b) { return a.trade.instrument < b.trade.instrument; });
  return out;
}

Result<std::int64_t> ProcessRole::lag() const {
  std::int64_t lag = 0;
  for (const auto& [partition, heart] : hearts_) {
    const auto span = log_.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    const auto committed = log_.committed(partition);
    if (!committed) return tl::unexpected{committed.error()};
    lag += span->end - std::max(*committed, span->oldest);  // what was deleted unread is nobody's any more
  }
  return lag;
}

std::int64_t ProcessRole::behind() const {
  std::int64_t sum = 0;
  for (const auto& [partition, heart] : hearts_) sum += task_->behind(partition);
  return sum;
}

std::vector<std::int32_t> ProcessRole::partitions() const {
  std::vector<std::int32_t> out;
  for (const auto& [partition, heart] : hearts_) out.push_back(partition);
  return out;
}

}  // namespace truetape
