// What answers in Serve's place while `truetape run` begins anew, because its log cannot be used: so that who watches
// sees that it is there, that it does not work (truetape_up 0), and why. Health and metrics; all else is 503 with the
// reason. On the thread of its Loop.
#pragma once

#include <memory>
#include <string>

#include "metrics/metrics.h"
#include "serve/serve.h"

namespace truetape {

// Of /health/ready: 200 without reasons, else 503 with them.
net::ServerAnswer readiness(const std::vector<std::string>& reasons);

class Standby {
 public:
  // `reason`: one sentence. Borrowed: `metrics`.
  Standby(net::Loop& loop, ServeConfig config, Metrics& metrics, std::string reason);
  ~Standby();  // cuts what is left
  Standby(const Standby&) = delete;
  Standby& operator=(const Standby&) = delete;

  Result<std::uint16_t> listen();  // an error says who has the port
  net::awaitable<void> stop(Nanoseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape
