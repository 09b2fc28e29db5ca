// What `truetape process` and `truetape load` do beside their work: they take signals, tell who started them that they
// are ready, and answer who watches them (--listen).
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "app/config.h"
#include "app/live_threads.h"
#include "app/role_watch.h"
#include "app/signals.h"
#include "metrics/metrics.h"

namespace truetape::app {

// --listen HOST:PORT
void add_listen(CLI::App& command, std::string& listen);

class WorkerService {
 public:
  // Takes SIGINT and SIGTERM from now on: before other threads are made. `config` is borrowed.
  explicit WorkerService(const Config& config);

  Metrics& metrics() { return metrics_; }
  std::stop_token stop() const { return stop_.get_token(); }
  const std::atomic<bool>& ended() const { return ended_; }  // a signal came

  // Answers as long as it is kept, which borrows `watch`; nullptr for an empty `host_port`. Throws
  // ConfigError for what is no address, or one that is not loopback without tokens; an error says who has the port.
  // With a `store`, its bytes are told.
  Result<std::unique_ptr<MonitorThread>> listen(const std::string& host_port, const RoleWatch& watch,
                                                const std::optional<std::filesystem::path>& store = std::nullopt);
  // Prints "ready kafka://… worker=a http://…": with `more` behind the worker's name.
  void ready(const std::string& more = {});

 private:
  const Config& config_;
  std::stop_source stop_;
  std::atomic<bool> ended_{false};
  const Signals signals_;
  Metrics metrics_;
  const SystemClock clock_{};
  std::string origin_;  // where it is listened; empty: nowhere
};

}  // namespace truetape::app
