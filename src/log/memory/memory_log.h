// The log in memory: the model that the durable ones are compared with, and what seeded histories run on. It keeps the
// whole contract of log.h, crashes where its dice say, can be full, and can leave holes in the offsets as Kafka does.
// Without a dice and with waits of 0 ms everything it does is a function of the calls.
#pragma once

#include <memory>
#include <string>

#include "log/log.h"
#include "log/memory/faults.h"

namespace truetape {

struct MemoryOptions {
  std::int32_t partitions = 8;
  std::string id = "00000000-0000-4000-8000-000000000001";
  std::int64_t epoch = 1'700'000'000;
  std::size_t step_records = 8192;                          // most records of one step
  std::size_t step_bytes = std::size_t{8} << 20;            // a step ends once it holds this much
  std::size_t append_buffer_bytes = std::size_t{16} << 20;  // of each appender
  bool offset_holes = false;        // each commit to a partition leaves one offset unused behind it
  std::shared_ptr<FaultDice> dice;  // none: nothing crashes, and a poll commits all that appenders hold
};

// What outlives a crash of the process: committed records, state, positions.
class MemoryStore;
std::shared_ptr<MemoryStore> make_memory_store(const MemoryOptions& options);

class MemoryLog final : public Log {
 public:
  explicit MemoryLog(const MemoryOptions& options = {}) : MemoryLog{make_memory_store(options)} {}
  explicit MemoryLog(std::shared_ptr<MemoryStore> store) : store_{std::move(store)} {}

  std::string_view id() const override;
  std::int64_t epoch() const override;
  std::int32_t partitions() const override;
  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override;
  Result<std::int64_t> committed(std::int32_t partition) const override;
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override;
  Result<std::unique_ptr<Task>> task() override;
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override;

  // The process dies: every living object answers Retry::rebuild from now on, what was not flushed survives as the dice
  // say (without dice: not at all). The log itself may be used at once, as if opened again.
  void crash();
  // Full: flush and commit answer Fault::no_space and change nothing, until there is room again.
  void set_full(bool full);
  // Retention by hand: drops records below `below`, the newest and what registered readers and the Task still need
  // excepted.
  void trim(std::string_view topic, std::int32_t partition, std::int64_t below);
  // The reader's positions are dropped: it keeps nothing back any more.
  void forget_reader(std::string_view name);
  void set_dice(std::shared_ptr<FaultDice> dice);

 private:
  std::shared_ptr<MemoryStore> store_;
};

}  // namespace truetape
