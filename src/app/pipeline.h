// The roles around one embedded log in one process: a thread for process, a thread for load. Whoever made it appends
// from a thread of its own, then waits until all that was appended is in the store: an import, or `truetape run`.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/config.h"
#include "app/role_watch.h"
#include "core/clock.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "roles/load.h"
#include "roles/process.h"
#include "stores/sink.h"

namespace truetape::app {

class Pipeline {
 public:
  // Borrowed, outlive it. Starts the threads. `adopt`: the store may hold another log's rows. `metrics`: what the roles
  // count into.
  Pipeline(Log& log, const Config& config, bool adopt, Metrics* metrics = nullptr,
           Patience patience = Patience::limited);
  ~Pipeline();  // stops the threads; what was not committed is done again at the next start

  // Before anything is appended: waits until both roles have opened what they need and done a first step, however much
  // is left to do.
  Status begin();

  // Before anything is appended: waits until both roles have opened what they need and process has done what an earlier
  // import left. So whatever keeps the data directory from being used is told before it grows. `behind` as below.
  Status settle(const std::function<void(std::int64_t process, std::int64_t load)>& behind);
  // What process did for earlier imports until then.
  const ProcessCounts& left_over() const { return left_over_; }

  // Waits until everything that is durable in raw now is processed and in the store. `behind` is called about ten times
  // a second with the records that process and load still have before them. An error of either role ends the wait.
  Status drain(const std::function<void(std::int64_t process, std::int64_t load)>& behind);
  // What keeps process, or load, from getting on, while it lasts.
  std::optional<Error> process_trouble() const { return process_.trouble(); }
  std::optional<Error> load_trouble() const { return load_.trouble(); }
  // A role gave up: whoever appends may stop.
  const std::atomic<bool>& failed() const { return failed_; }
  // Changes while process or load get on, or try again after an error.
  std::uint64_t moved() const { return moved_; }

  // After drain: what process did since settle(), and load since the start.
  const ProcessCounts& processed() const { return processed_; }
  const SinkCounts& loaded() const { return loaded_; }
  // What waits for a series of ids to be believed, of these and of earlier imports.
  const std::vector<SetAside>& set_aside() const { return set_aside_; }

 private:
  enum class Phase : std::uint8_t { settling, running, drain_process, drain_load, done };

  void process(const std::stop_token& stop);
  void load(const std::stop_token& stop);
  void give_up(const Error& error);
  // False: the role gives up.
  bool survives(RoleWatch& role, const Error& error);
  void stepped(RoleWatch& role, std::int64_t behind);
  void enter(Phase from, Phase to);
  Status wait_while(const std::function<bool()>& waiting,
                    const std::function<void(std::int64_t, std::int64_t)>& behind);

  Log& log_;
  const Config& config_;
  const bool adopt_;
  Metrics* const metrics_;
  const Patience patience_;
  const SystemClock clock_{};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<Phase> phase_{Phase::settling};
  RoleWatch process_{"process", clock_, metrics_}, load_{"load", clock_, metrics_};
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> moved_{0};
  std::optional<Error> error_;                 // the first; guarded by mutex_
  ProcessCounts left_over_;                    // of the process thread while settling
  ProcessCounts processed_;                    // of the process thread until done
  std::vector<SetAside> set_aside_;            // of the process thread until done
  SinkCounts loaded_;                          // of the load thread until done
  std::jthread process_thread_, load_thread_;  // last: joined before what they use goes
};

}  // namespace truetape::app
