// What a process that serves nothing else answers who watches it: /health/live, /health/ready, /metrics. All else is
// 404. On the thread of its Loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "metrics/metrics.h"
#include "serve/serve.h"

namespace truetape {

struct MonitorParts {
  Metrics& metrics;  // borrowed
  // Why it is not ready, a sentence each; none: it is.
  std::function<std::vector<std::string>()> reasons;
  std::function<void()> look{};  // tells metrics what is only told when somebody asks
};

class Monitor {
 public:
  Monitor(net::Loop& loop, ServeConfig config, MonitorParts parts);
  ~Monitor();  // cuts what is left
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  Result<std::uint16_t> listen();  // an error says who has the port
  std::string origin() const;      // "http://127.0.0.1:9464"
  net::awaitable<void> stop(Nanoseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape
