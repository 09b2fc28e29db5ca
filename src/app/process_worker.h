// One worker of a log on Kafka: `truetape process`. Any number of processes are one each, under names of their own, and
// divide the partitions. One thread runs it; a server of metrics may ask for its trouble meanwhile.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/kafka_worker.h"
#include "app/role_watch.h"
#include "core/result.h"
#include "metrics/metrics.h"
#include "roles/attempts.h"
#include "roles/process.h"

namespace truetape::app {

struct WorkerOptions {
  bool drain = false;         // end once raw has nothing left that is not processed, by whichever worker
  bool change_rules = false;  // judge by the configuration's rules from now on, whatever was noted
  // For sentences: the command that begins it, and the one that shows what is in quarantine.
  std::string command, shows;
  std::function<void()> ready;  // called once: it takes part
};

class ProcessWorker {
 public:
  // Opens the log, and refuses what cannot work: no topics, other intervals or rules than the log's, a second worker of
  // this name with the same `state` (a directory, made if it is not there). Borrowed: `config`, `metrics`, `ended`,
  // which is true once waiting for brokers makes no sense any more.
  static Result<std::unique_ptr<ProcessWorker>> open(const Config& config, const std::filesystem::path& state,
                                                     Metrics& metrics, WorkerOptions options,
                                                     const std::atomic<bool>& ended);
  ~ProcessWorker();

  // Until it is stopped, drained, or cannot go on: then an error.
  Status run(const std::stop_token& stop);

  const RoleWatch& watch() const { return worker_.watch(); }  // any thread

 private:
  class Lock;  // of the worker's name on this machine

  ProcessWorker(const Config& config, Metrics& metrics, WorkerOptions options, const std::atomic<bool>& ended);
  Status expect_same();   // intervals and rules
  Status expect_alone();  // no other worker runs
  Result<std::unique_ptr<ProcessRole>> make();
  Status step(ProcessRole& role, std::stop_source& inner);
  void tell(const ProcessRole& role, const ProcessCounts& step);
  void count_mine();
  Result<bool> drained();

  const Config& config_;
  Metrics& metrics_;
  const WorkerOptions options_;
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<Attempts> attempts_;
  KafkaWorker worker_;
  QuarantineWord quarantine_;
  std::vector<std::int32_t> mine_;  // partitions, as they were told last
  bool ready_told_ = false;
};

}  // namespace truetape::app
