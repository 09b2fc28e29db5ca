// One loader of a log on Kafka: `truetape load`. One thread runs it; a server of metrics may ask for its trouble
// meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/kafka_worker.h"
#include "app/role_watch.h"
#include "core/result.h"
#include "metrics/metrics.h"
#include "roles/load.h"
#include "stores/history.h"

namespace truetape::app {

struct LoaderOptions {
  bool drain = false;           // end once the store has all that is made
  bool adopt = false;           // the store may hold another log's rows
  std::function<void()> ready;  // called once: it takes part, and the store can be written
};

class LoadWorker {
 public:
  // Opens the log, and with `adopt` lets what is made from now on win over other logs' rows. Borrowed: `config`,
  // `metrics`, `ended` (KafkaWorker).
  static Result<std::unique_ptr<LoadWorker>> open(const Config& config, Metrics& metrics, LoaderOptions options,
                                                  const std::atomic<bool>& ended);

  // Until it is stopped, drained, or cannot go on: then an error.
  Status run(const std::stop_token& stop);
  SinkCounts loaded() const;  // after run()

  const RoleWatch& watch() const { return worker_.watch(); }  // any thread

 private:
  LoadWorker(const Config& config, Metrics& metrics, LoaderOptions options, const std::atomic<bool>& ended);
  Result<std::unique_ptr<LoadRole>> make();
  Status step(LoadRole& role, std::stop_source& inner);
  tl::unexpected<Error> told(const Error& error) const;  // with the commands of a log on Kafka
  Status tell(const LoadRole& role);
  Result<bool> drained();

  const Config& config_;
  Metrics& metrics_;
  const LoaderOptions options_;
  KafkaWorker worker_;
  const std::string store_;  // as its groups are named after it
  bool adopts_;              // the next role does
  bool ready_told_ = false;
  struct End {
    std::string_view topic;
    std::int32_t partition;
    std::int64_t end;
  };
  std::optional<std::vector<End>> ends_;  // to drain up to
  std::unique_ptr<History> history_;      // of the store that is drained into
  std::optional<std::int64_t> lag_;       // when it was asked for last
  std::chrono::steady_clock::time_point lag_at_{};
  SinkCounts before_, current_;  // of the roles before, and of this one
};

}  // namespace truetape::app
