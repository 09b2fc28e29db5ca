// The role that turns `raw` into results: a loop around the heart of each partition. One thread calls step(); it owns
// the Task and the hearts. Crash-only: after any error destroy the role and make a new one, which goes on from the last
// commit.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/event.h"
#include "log/log.h"
#include "market/processor.h"
#include "metrics/metrics.h"
#include "roles/attempts.h"
#include "roles/outputs.h"

namespace truetape {

struct ProcessOptions {
  std::chrono::milliseconds linger{2};  // how long a step collects records
  // A partition that is more records behind than this catches up: its open candles are kept back until it has.
  std::int64_t catch_up = 1'000;
  Metrics* metrics = nullptr;    // borrowed; what to count into (docs/metrics.md)
  const Clock* clock = nullptr;  // borrowed; what tells metrics how long records took; nullptr: nothing does
  // What makes state and results anew from raw, for who is told that the state cannot be used.
  std::string anew = "truetape rebuild --data DIR";
};

// Of committed steps.
struct ProcessCounts {
  std::uint64_t steps = 0, records = 0, outputs = 0, state_changes = 0, crashed = 0;
  std::uint64_t cut = 0;                   // quarantined items of which the log holds only the beginning
  std::array<std::uint64_t, 3> candles{};  // rows, by CandleStatus
  std::array<std::uint64_t, 6> gaps{};     // rows, by GapState
  std::map<std::string, Counts, std::less<>> venues;
  std::vector<Task::Lost> lost;  // deleted from raw before they were processed; told when partitions are assigned
};
void add(Counts& to, const Counts& more);
void add(ProcessCounts& to, const ProcessCounts& more);

class ProcessRole {
 public:
  // `log`, `rules`, `decoder` and `attempts` are borrowed and outlive the role. Without `attempts` no record is ever
  // given up.
  static Result<std::unique_ptr<ProcessRole>> open(Log& log, const Rules& rules, const Decoder& decoder,
                                                   ProcessOptions options, Attempts* attempts = nullptr);

  // Everything between two commits: poll, forget what was revoked, restore what was assigned, fold, finish, encode,
  // commit.
  Status step();

  // Since the role was made, or since they were taken before.
  ProcessCounts take_counts() { return std::exchange(counts_, {}); }
  // Items that wait for a series of ids to be believed, as of the last step, by instrument.
  std::vector<SetAside> set_aside() const;
  // Records of raw, of the role's partitions, that are behind no committed step yet: asks the log.
  Result<std::int64_t> lag() const;
  // The same, as old as the last answer of a broker may be (Task::behind): costs nothing.
  std::int64_t behind() const;
  std::vector<std::int32_t> partitions() const;  // the role's, as of the last step
  bool joined() const { return task_->joined(); }

 private:
  struct Heart {
    Processor processor;
    std::optional<std::int64_t> next;  // behind its records of the step that is not committed yet
  };

  ProcessRole(Log& log, const Rules& rules, const Decoder& decoder, ProcessOptions options, Attempts* attempts,
              std::unique_ptr<Task> task)
      : log_{log},
        rules_{rules},
        decoder_{decoder},
        options_{std::move(options)},
        attempts_{attempts},
        task_{std::move(task)} {}
  Status assign(Task::Assigned& assigned);
  void encode(std::int32_t partition, ProcessCounts& step);  // what results_ holds, all of that partition

  Log& log_;
  const Rules& rules_;
  const Decoder& decoder_;
  const ProcessOptions options_;
  Attempts* const attempts_;
  std::unique_ptr<Task> task_;
  std::map<std::int32_t, Heart> hearts_;
  Results results_;
  Outputs outputs_;
  ProcessCounts counts_;
};

}  // namespace truetape
