#include "app/worker_service.h"

#include <csignal>
#include <cstdio>

#include "app/live_meters.h"
#include "app/open_kafka.h"
#include "app/service.h"

namespace truetape::app {

void add_listen(CLI::App& command, std::string& listen) {
  command
      .add_option("--listen", listen,
                  "Answer /metrics, /health/live and /health/ready there, such as 127.0.0.1:9464; without it nothing "
                  "listens")
      ->type_name("HOST:PORT");
}

WorkerService::WorkerService(const Config& config)
    : config_{config}, signals_{[this] {
        tell_service("STOPPING=1");
        ended_ = true;
        stop_.request_stop();
      }} {
  std::signal(SIGPIPE, SIG_IGN);  // standard output may go away; nobody ends for that
}

Result<std::unique_ptr<MonitorThread>> WorkerService::listen(const std::string& host_port, const RoleWatch& watch,
                                                             const std::optional<std::filesystem::path>& store) {
  const std::array roles{watch.name()};
  meter_program(metrics_, clock_, roles);
  if (host_port.empty()) return nullptr;
  Config where = config_;
  where.set_listen(host_port);
  MonitorParts parts{.metrics = metrics_,
                     .reasons =
                         [&watch] {
                           std::vector<std::string> out;
                           if (const auto trouble = watch.trouble())
                             out.push_back(std::string{watch.name()} + ": " + trouble->detail);
                           else if (!watch.began())
                             out.push_back(std::string{watch.name()} + " has not begun yet");
                           return out;
                         },
                     .look =
                         [this, &watch, store] {
                           meter_trouble(metrics_, watch.name(), watch.trouble().has_value());
                           meter_memory(metrics_);
                           if (store) meter_store(metrics_, *store);
                         }};
  if (const auto sound = serve_config(where.serve); !sound) throw ConfigError{sound.error().detail};
  auto monitor = MonitorThread::start(where.serve, std::move(parts));
  if (monitor) origin_ = (*monitor)->origin();
  return monitor;
}

void WorkerService::ready(const std::string& more) {
  std::printf("ready %s worker=%s%s%s\n", config_.data.c_str(), worker_name(config_).c_str(), more.c_str(),
              origin_.empty() ? "" : (' ' + origin_ + '/').c_str());
  std::fflush(stdout);
  tell_service("READY=1");
}

}  // namespace truetape::app
