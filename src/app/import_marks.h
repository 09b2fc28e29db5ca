// What one import appends to raw, and how it waits for the processes that work on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/records.h"
#include "core/result.h"
#include "log/log.h"

namespace truetape::app {

// Of each partition of raw the ends before and after the import. Others may append between them too.
class ImportMarks {
 public:
  Status begin(const Log& log);
  Status end(const Log& log);
  // Records up to the ends that process has not committed yet.
  Result<std::int64_t> behind(const Log& log) const;
  // Of the files, not of what came live meanwhile.
  bool ours(const Quarantined& q) const;
  std::vector<std::int32_t> partitions() const;  // that grew meanwhile

 private:
  std::vector<std::int64_t> from_, to_;
};

// Looks ten times a second until `look` answers 0: so many records are behind. `tell` hears of each number; `goes_on`
// is asked how long it has not become smaller, and an error of it ends the wait.
Status wait_for_others(
    const std::function<Result<std::int64_t>()>& look, const std::function<void(std::int64_t behind)>& tell,
    const std::function<Status(std::int64_t behind, std::chrono::steady_clock::duration stuck)>& goes_on);

}  // namespace truetape::app
