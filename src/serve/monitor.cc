#include "serve/monitor.h"

#include "serve/guard.h"
#include "serve/standby.h"

namespace truetape {

using net::awaitable;
using net::ServerAnswer;

struct Monitor::Impl {
  Impl(net::Loop& loop, ServeConfig conf, MonitorParts given)
      : config{std::move(conf)},
        guard{config},
        parts{std::move(given)},
        server{loop, config.http, {.http = [this](net::RequestPtr request) -> awaitable<ServerAnswer> {
                 co_return answer_of(*request);
               }}} {}

  ServerAnswer answer_of(const net::ServerRequest& request) const {
    const std::string_view path = request.where.path;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool health = path == "/health/live" || path == "/health/ready";
    if (!health && path != "/metrics")
      return net::problem(404, "here are /metrics, /health/live and /health/ready only");
    if (!reads) {
      ServerAnswer answer = net::problem(405, "it can only be read");
      answer.headers.add("Allow", "GET, HEAD");
      return answer;
    }
    if (path == "/health/live") return net::text_answer(200, "application/json", "{\"status\":\"live\"}\n");
    const std::vector<std::string> reasons = parts.reasons();
    if (health) return readiness(reasons);
    if (auto refused = guard.refuse(request, Guard::Act::read)) return std::move(*refused);
    parts.metrics.gauge("truetape_ready", "1 while /health/ready answers 200").set(reasons.empty() ? 1 : 0);
    if (parts.look) parts.look();
    return net::text_answer(200, "text/plain; version=0.0.4; charset=utf-8", parts.metrics.text());
  }

  const ServeConfig config;
  const Guard guard;
  const MonitorParts parts;
  net::Server server;
};

Monitor::Monitor(net::Loop& loop, ServeConfig config, MonitorParts parts)
    : impl_{std::make_unique<Impl>(loop, std::move(config), std::move(parts))} {}
Monitor::~Monitor() = default;

Result<std::uint16_t> Monitor::listen() { return impl_->server.listen(); }
std::string Monitor::origin() const { return impl_->server.origin(); }
awaitable<void> Monitor::stop(Nanoseconds limit) { return impl_->server.stop(limit); }

}  // namespace truetape
