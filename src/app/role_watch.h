// How one role of this process stands: the role's thread tells, any thread asks. What needs somebody is told on in
// lines and metrics.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "core/clock.h"
#include "core/result.h"
#include "metrics/metrics.h"
#include "roles/process.h"

namespace truetape::app {

// What becomes of a role that has errors. Limited: it gives up after about half a minute, at once where waiting cannot
// help, since somebody waits to be told. Endless: so only until it has begun, and while it is drained; in between it
// tries for ever and trouble() tells.
enum class Patience : std::uint8_t { limited, endless };

class RoleWatch {
 public:
  RoleWatch(const char* name, const Clock& clock, Metrics* metrics)  // borrowed
      : name_{name}, clock_{clock}, metrics_{metrics} {}

  // The role had an error, which is told. False: it gives up.
  bool survives(const Error& error, Patience patience);
  // A step is done. True: it is the first one, or the first after an error.
  bool stepped(std::int64_t behind);

  const char* name() const { return name_; }
  bool began() const { return began_; }  // has done a step
  std::int64_t behind() const { return behind_; }
  std::optional<Error> trouble() const;  // what keeps it from getting on, while it lasts

 private:
  const char* const name_;
  const Clock& clock_;
  Metrics* const metrics_;
  std::atomic<bool> began_{false}, failing_{false};
  std::atomic<std::int64_t> behind_{0};
  int in_a_row_ = 0;                              // errors; of the role's thread
  std::chrono::steady_clock::time_point told_{};  // when it was said last; of the role's thread
  mutable std::mutex mutex_;
  std::optional<Error> error_;  // of failing_
};

// Calls `run`, which runs a role until it is stopped or cannot go on (run_role), again and again as long as it
// `survives` its errors. `run` may ask the source that it gets to stop.
void keep_running(const std::stop_token& stop, const std::function<Status(std::stop_source&)>& run,
                  const std::function<bool(const Error&)>& survives);

// Tells who runs it what goes to quarantine: the first at once, then what came since, at most once a minute.
class QuarantineWord {
 public:
  // `shows`: the command that does.
  void add(const ProcessCounts& step, std::chrono::steady_clock::time_point now, const std::string& shows);

 private:
  std::uint64_t waiting_ = 0;
  std::optional<std::chrono::steady_clock::time_point> said_;
};

}  // namespace truetape::app
