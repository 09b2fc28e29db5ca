// What the log says of its own room: as metrics (docs/metrics.md) and as lines of the run's log.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include "log/lmdb/lmdb_log.h"
#include "metrics/metrics.h"

namespace truetape::app {

// Of one opened log. look() as often as one likes: it does something once a second.
class LogMeters {
 public:
  LogMeters(const LmdbLog& log, const LmdbOptions& limits, Metrics& metrics);
  void look();

 private:
  using Steady = std::chrono::steady_clock::time_point;
  void look_at_readers();
  void look_at_pressure(Steady now);

  const LmdbLog& log_;
  Metrics& metrics_;
  LmdbLog::Work before_;
  std::set<std::string> readers_;  // that a gauge was made for
  Steady looked_{}, readers_looked_{}, told_{};
  bool pressed_ = false;
};

}  // namespace truetape::app
