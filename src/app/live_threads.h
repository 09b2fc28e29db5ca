// What does input and output beside the roles: the two of `truetape run` that do nothing else, and who answers for it,
// or for a worker. Each on a Loop of its own with its own thread.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "app/config.h"
#include "core/clock.h"
#include "net/loop.h"
#include "roles/ingest.h"
#include "serve/monitor.h"
#include "serve/serve.h"
#include "serve/standby.h"

namespace truetape::app {

// As `settings` say; Fault::malformed where they do not fit together.
Result<ServeConfig> serve_config(const ServeSettings& settings, const CrossSettings& cross = {});

class IngestThread {
 public:
  static Result<std::unique_ptr<IngestThread>> start(const Config& config, Log& log, Metrics& metrics);
  ~IngestThread() { stop(); }
  // The feeds end. True: what they had received is durable in the log. Again: the same answer.
  bool stop();

 private:
  IngestThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  std::unique_ptr<IngestRole> role_;
  bool durable_ = false;
  std::thread thread_;
};

class ServeThread {
 public:
  static Result<std::unique_ptr<ServeThread>> start(const Config& config, ServeParts parts);
  ~ServeThread() { stop(); }
  void stop();  // answers under way are finished
  std::string origin() const { return serve_->origin(); }
  std::uint16_t port() const { return port_; }

 private:
  ServeThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<Serve> serve_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// Serve's place is taken while all begins anew.
class StandbyThread {
 public:
  // An error says why it cannot serve: the port is another's by now.
  static Result<std::unique_ptr<StandbyThread>> start(const Config& config, Metrics& metrics, std::string reason);
  ~StandbyThread();

 private:
  StandbyThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<Standby> standby_;
  std::thread thread_;
};

// Tells who watches a worker how it is.
class MonitorThread {
 public:
  // `settings` as of serve.*, with the address and port to listen at.
  static Result<std::unique_ptr<MonitorThread>> start(const ServeSettings& settings, MonitorParts parts);
  ~MonitorThread();
  std::string origin() const { return monitor_->origin(); }

 private:
  MonitorThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<Monitor> monitor_;
  std::thread thread_;
};

}  // namespace truetape::app
