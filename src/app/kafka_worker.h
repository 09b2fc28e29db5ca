// What the workers of a log on Kafka have in common, whether they process or load: the log is opened anew after each
// error, trouble is told and waited for, and one whose name another process has too gives up. One thread runs it.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "app/config.h"
#include "app/open_kafka.h"
#include "app/role_watch.h"
#include "core/clock.h"
#include "core/result.h"
#include "metrics/metrics.h"
#include "roles/run.h"

namespace truetape::app {

class KafkaWorker {
 public:
  // Borrowed. `ended`: true once waiting for brokers makes no sense any more. `patience`: limited where somebody waits
  // for an end.
  KafkaWorker(const char* role, const Config& config, Metrics& metrics, const std::atomic<bool>& ended,
              Patience patience);

  // Opens the log if it is not open; another log under the same name than before is refused.
  Status open();
  KafkaLog& log() { return *log_; }
  const std::string& name() const { return name_; }  // the worker's

  // Until it is stopped, or cannot go on: then an error. `make` is called with the log open; `step` may ask the source
  // to stop. `keeps` as of run_role().
  template <class Role>
  Status run(const std::stop_token& stop, const std::function<Result<std::unique_ptr<Role>>()>& make,
             const std::function<Status(Role&, std::stop_source&)>& step, bool keeps);

  // Asks from time to time whether a broker answers: while none does, librdkafka says nothing and gives nothing.
  // `moved`: the step has shown it. The error is the step's.
  Status reach(bool moved);
  // A step of the role is done, with `partitions` of its own. Called by `step`.
  void stepped(std::size_t partitions, std::int64_t behind);
  // True at most four times a second: for what costs something. Tells repeated lines too.
  bool look_is_due();

  const RoleWatch& watch() const { return watch_; }  // any thread
  const Clock& clock() const { return clock_; }

 private:
  using Steady = std::chrono::steady_clock::time_point;
  bool survives(const Error& error, bool rebuilt);
  bool is_fenced(const Error& error);

  const Config& config_;
  const std::atomic<bool>& ended_;
  const Patience patience_;
  const std::string name_;
  const SystemClock clock_{};
  std::shared_ptr<SchemaIds> schema_ids_;  // asked for once: what is known stays known while a registry is away
  std::unique_ptr<KafkaLog> log_;
  std::string log_id_;
  RoleWatch watch_;
  bool worked_ = false;        // the role that there is has done a step with partitions of its own
  std::deque<Steady> fenced_;  // within the last minute
  std::optional<Error> gave_up_;
  Steady looked_{}, reached_{};
};

template <class Role>
Status KafkaWorker::run(const std::stop_token& stop, const std::function<Result<std::unique_ptr<Role>>()>& make,
                        const std::function<Status(Role&, std::stop_source&)>& step, bool keeps) {
  const auto once = [&](std::stop_source& inner) {
    return run_role<Role>(
        inner.get_token(),
        [&]() -> Result<std::unique_ptr<Role>> {
          if (Status opened = open(); !opened) return tl::unexpected{opened.error()};
          worked_ = false;
          return make();
        },
        [&](Role& role) { return step(role, inner); }, keeps,
        [&](const Error& error) {
          if (!survives(error, !(keeps && error.retry == Retry::after_backoff))) inner.request_stop();
        });
  };
  keep_running(stop, once, [this](const Error& error) { return survives(error, true); });
  if (gave_up_) return tl::unexpected{*gave_up_};
  return {};
}

}  // namespace truetape::app
