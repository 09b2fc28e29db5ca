#include "serve/serve.h"

#include <algorithm>
#include <array>
#include <utility>

#include "serve/context.h"
#include "serve/guard.h"
#include "serve/rest.h"

namespace truetape {

using net::awaitable;
using net::ServerAnswer;

struct Serve::Impl {
  Impl(net::Loop& loop, ServeConfig conf, ServeParts parts)
      : context{loop, conf, std::move(parts)}, guard{context.config}, server{loop, context.config.http, handlers()} {}
  ~Impl() { *alive = false; }

  net::Handlers handlers() {
    net::Handlers out;
    out.http = [this](net::RequestPtr request) { return answer(std::move(request)); };
    return out;
  }

  // Of the follower's thread.
  void give(std::unique_ptr<Followed> batch, std::function<void()> taken) {
    context.loop.post([this, alive = std::weak_ptr{alive}, shared = std::shared_ptr<Followed>{std::move(batch)},
                       taken = std::move(taken)] {
      if (alive.expired()) return;
      take(*shared);
      taken();
    });
  }
  void take(const Followed& batch) { context.recent.apply(batch, context.loop.now()); }

  awaitable<ServerAnswer> answer(net::RequestPtr request) {
    const std::string_view path = request->where.path;
    if (path == "/health/live") co_return net::text_answer(200, "application/json", "{\"status\":\"ok\"}\n");
    if (auto refused = guard.refuse(*request, Guard::Act::read)) co_return std::move(*refused);
    if (path.starts_with("/api/") && !context.recent.caught_up()) {
      ServerAnswer wait = net::problem(503, "the recent past is being read; ask again in a moment");
      wait.headers.add("Retry-After", "1");
      co_return wait;
    }
    if (auto call = rest_call(context, request)) co_return co_await std::move(*call);
    co_return net::problem(404, "there is nothing at " + request->where.path.substr(0, 200));
  }

  Context context;
  Guard guard;
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  net::Server server;
  std::unique_ptr<Follower> follower;  // first to go
};

Serve::Serve(net::Loop& loop, ServeConfig config, ServeParts parts)
    : impl_{std::make_unique<Impl>(loop, std::move(config), std::move(parts))} {}
Serve::~Serve() = default;

Result<std::uint16_t> Serve::listen() {
  if (Status fine = check(impl_->context.config); !fine) return tl::unexpected{fine.error()};
  auto port = impl_->server.listen();
  if (!port) return port;
  Impl* const own = impl_.get();
  own->follower = std::make_unique<Follower>(
      own->context.parts.log, own->context.parts.history,
      [own](std::unique_ptr<Followed> batch, std::function<void()> taken) {
        own->give(std::move(batch), std::move(taken));
      },
      [](const std::string&) {});
  return port;
}

std::string Serve::origin() const { return impl_->server.origin(); }

awaitable<void> Serve::stop(Nanoseconds limit) {
  impl_->follower.reset();
  co_await impl_->server.stop(limit);
}

}  // namespace truetape
