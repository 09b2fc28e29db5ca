#include "serve/standby.h"

#include "codec/cells.h"
#include "serve/guard.h"

namespace truetape {

using net::awaitable;
using net::ServerAnswer;

ServerAnswer readiness(const std::vector<std::string>& reasons) {
  std::string body =
      reasons.empty() ? "{\"status\":\"ready\",\"reasons\":[" : "{\"status\":\"not ready\",\"reasons\":[";
  for (const std::string& reason : reasons) {
    if (&reason != &reasons.front()) body += ',';
    append_json(reason, body);
  }
  ServerAnswer answer = net::text_answer(reasons.empty() ? 200 : 503, "application/json", body + "]}\n");
  if (!reasons.empty()) answer.headers.add("Retry-After", "1");
  return answer;
}

struct Standby::Impl {
  Impl(net::Loop& loop, ServeConfig conf, Metrics& counted, std::string why)
      : config{std::move(conf)},
        guard{config},
        metrics{counted},
        reason{"all begins anew: " + std::move(why)},
        server{loop, config.http, {.http = [this](net::RequestPtr request) -> awaitable<ServerAnswer> {
                 co_return answer_of(*request);
               }}} {}

  ServerAnswer answer_of(const net::ServerRequest& request) const {
    const std::string_view path = request.where.path;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (reads && path == "/health/live") return net::text_answer(200, "application/json", "{\"status\":\"live\"}\n");
    if (reads && path == "/health/ready") return readiness({reason});
    if (auto refused = guard.refuse(request, reads ? Guard::Act::read : Guard::Act::change)) return std::move(*refused);
    if (reads && path == "/metrics") {
      metrics.gauge("truetape_ready", "1 while /health/ready answers 200").set(0);
      return net::text_answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text());
    }
    ServerAnswer answer = net::problem(503, reason);
    answer.headers.add("Retry-After", "1");
    return answer;
  }

  const ServeConfig config;
  const Guard guard;
  Metrics& metrics;
  const std::string reason;
  net::Server server;
};

Standby::Standby(net::Loop& loop, ServeConfig config, Metrics& metrics, std::string reason)
    : impl_{std::make_unique<Impl>(loop, std::move(config), metrics, std::move(reason))} {}
Standby::~Standby() = default;

Result<std::uint16_t> Standby::listen() { return impl_->server.listen(); }
awaitable<void> Standby::stop(Nanoseconds limit) { return impl_->server.stop(limit); }

}  // namespace truetape
