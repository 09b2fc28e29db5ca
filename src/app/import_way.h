// Where an import goes: into the log, with process and load in this process; or, while `truetape run` holds the log,
// through its socket, and its process and load do the rest; or into a log on Kafka, where workers process it. The
// import itself is the same.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "app/config.h"
#include "batch/import.h"
#include "core/result.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "roles/process.h"
#include "stores/history.h"
#include "stores/sink.h"

namespace truetape::app {

// What the roles of this process did. Borrowed from the way.
struct RolesDid {
  const ProcessCounts& processed;
  const ProcessCounts& left_over;  // of earlier imports
  const SinkCounts& loaded;
  const std::vector<SetAside>& set_aside;
};
// What can be told of an import whose roles are another process's, which counts it among all that it gets.
struct BesideDid {
  std::uint64_t quarantined = 0;       // items of these files that are in quarantine now
  std::vector<Instrument> other_tape;  // instruments that follow another tape than the files have
};

// On Kafka, where workers elsewhere process it and loaders load it.
struct KafkaDid {
  bool processed = false;                // by workers, all of it; else it is only known to be in raw
  std::uint64_t quarantined = 0;         // items of these files that went to quarantine, if processed
  std::vector<std::int32_t> partitions;  // that got records meanwhile
};
using ImportDid = std::variant<RolesDid, BesideDid, KafkaDid>;

struct WayOptions {
  bool adopt = false;                              // the store may hold another log's rows
  bool wait = true;                                // on Kafka: until workers have processed it
  const std::atomic<bool>* interrupted = nullptr;  // borrowed; true: nobody wants to wait any more
};

class ImportWay {
 public:
  using Behind = std::function<void(std::int64_t process, std::int64_t load)>;

  // `config` and `metrics` are borrowed.
  static Result<std::unique_ptr<ImportWay>> open(const Config& config, const WayOptions& options, Metrics& metrics);
  virtual ~ImportWay() = default;

  virtual Log& log() = 0;
  // Before anything is appended: whatever keeps the data directory from being used is told before it grows. `behind` is
  // called about ten times a second with the records that process and load still have before them.
  virtual Status settle(const Behind& behind) = 0;
  // It makes no sense to append more.
  virtual bool failed() const = 0;
  // Changes while process or load get on.
  virtual std::uint64_t moved() = 0;
  // Waits until all that was appended is processed and in the store.
  virtual Status drain(const Behind& behind) = 0;

  // After drain.
  virtual Result<ImportDid> did(const ImportSummary& summary) = 0;
  // What it was loaded into; nullptr: another process loads it, anywhere.
  virtual const History* history() = 0;
};

}  // namespace truetape::app
