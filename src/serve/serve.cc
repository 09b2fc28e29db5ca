#include "serve/serve.h"

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "codec/cells.h"
#include "core/utf8.h"
#include "core/wildcard.h"
#include "serve/assets.h"
#include "serve/context.h"
#include "serve/control_calls.h"
#include "serve/guard.h"
#include "serve/klines.h"
#include "serve/lag.h"
#include "serve/rest.h"
#include "serve/standby.h"
#include "serve/stream.h"

namespace truetape {
namespace {

using net::awaitable;
using net::ServerAnswer;
using namespace std::chrono_literals;

constexpr std::string_view kStream = "/api/v1/stream";
constexpr std::size_t kMostClientMessage = 64 * 1024;  // bytes that a stream client may send at once
constexpr std::size_t kFilledAtOnce = 64;              // wanted instruments that are read before anybody asks
// Records from which a role counts as far behind: seconds of work.
constexpr std::int64_t kProcessFar = 200'000, kLoadFar = 500'000, kServeFar = 500'000;

// The calls by their paths: what metrics call them, and the methods that they know.
struct Call {
  std::string_view path, name, methods;
};
constexpr std::string_view kRead = "GET, HEAD";
constexpr std::array kCalls{Call{"/api/v1/candles", "candles", kRead},
                            Call{"/api/v1/trades", "trades", kRead},
                            Call{"/api/v1/quotes", "quotes", kRead},
                            Call{"/api/v1/gaps", "gaps", kRead},
                            Call{"/api/v1/quarantine", "quarantine", kRead},
                            Call{"/api/v1/news", "news", kRead},
                            Call{"/api/v1/news/counts", "news", kRead},
                            Call{"/api/v1/progress", "progress", kRead},
                            Call{"/api/v1/reconciled", "reconciled", kRead},
                            Call{"/api/v1/instruments", "instruments", "GET, HEAD, POST"},
                            Call{"/api/v1/pipeline", "pipeline", kRead},
                            Call{"/api/v1/explain", "explain", kRead},
                            Call{"/api/v1/cross", "cross", kRead},
                            Call{kStream, "stream", kRead},
                            Call{"/api/v3/klines", "klines", kRead},
                            Call{"/api/v3/exchangeInfo", "exchangeInfo", kRead},
                            Call{"/api/v3/time", "time", kRead},
                            Call{"/api/v3/ping", "ping", kRead},
                            Call{"/api/v1/quarantine/replay", "control", "POST"},
                            Call{"/api/v1/quarantine/drop", "control", "POST"},
                            Call{"/start", "control", "POST"},
                            Call{"/stop", "control", "POST"},
                            Call{"/metrics", "metrics", kRead},
                            Call{"/health/live", "health", kRead},
                            Call{"/health/ready", "health", kRead}};
constexpr Call kUnwant{"/api/v1/instruments/", "control", "DELETE"};
constexpr Call kPage{"/", "page", kRead};
constexpr Call kNothing{"", "other", ""};

const Asset* find_asset(std::string_view path) {
  const auto assets = page_assets();
  const auto found = std::ranges::lower_bound(assets, path, {}, &Asset::path);
  return found != assets.end() && found->path == path ? &*found : nullptr;
}

const Call& find_call(std::string_view path) {
  const auto found = std::ranges::find(kCalls, path, &Call::path);
  if (found != kCalls.end()) return *found;
  if (path.starts_with(kUnwant.path) && path.size() > kUnwant.path.size()) return kUnwant;
  return find_asset(path) != nullptr ? kPage : kNothing;
}

bool knows(std::string_view methods, std::string_view method) {
  for (std::size_t at = methods.find(method); at != std::string_view::npos; at = methods.find(method, at + 1)) {
    const std::size_t end = at + method.size();
    if ((at == 0 || methods[at - 1] == ' ') && (end == methods.size() || methods[end] == ',')) return true;
  }
  return false;
}

ServerAnswer asset_answer(const Asset& asset, const net::ServerRequest& request) {
  ServerAnswer answer;
  answer.headers.add("ETag", std::string{asset.etag});
  answer.headers.add("Cache-Control", "no-cache");  // ask each time; the tag answers
  answer.headers.add("Content-Security-Policy", std::string{kPagePolicy});
  answer.headers.add("X-Content-Type-Options", "nosniff");
  answer.headers.add("Referrer-Policy", "no-referrer");
  const std::string_view had = request.headers.get("If-None-Match");
  if (had == "*" || had.find(asset.etag) != std::string_view::npos) {
    answer.status = 304;
    return answer;
  }
  answer.headers.add("Content-Type", std::string{asset.content_type});
  answer.body = asset.bytes;
  return answer;
}

ServerAnswer nothing_at(std::string_view path) {
  std::string sentence = "there is nothing at ";
  append_utf8(path.substr(0, 200), sentence);
  return net::problem(404, sentence);
}

ServeConfig limited(ServeConfig config) {
  auto& websocket = config.http.websocket;
  websocket.most_message = std::min(websocket.most_message, kMostClientMessage);
  return config;
}

// What is under way, counted apart from who counts: a frame may go after Serve, with its loop.
class Active {
 public:
  explicit Active(std::shared_ptr<int> count) : count_{std::move(count)} { ++*count_; }
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;
  ~Active() { --*count_; }

 private:
  std::shared_ptr<int> count_;
};

}  // namespace

struct Serve::Impl {
  Impl(net::Loop& loop, ServeConfig conf, ServeParts parts)
      : context{loop, limited(std::move(conf)), std::move(parts)},
        guard{context.config},
        stream{context},
        control{context},
        lag{context},
        tick{loop},
        server{loop, context.config.http, handlers()} {
    server.on_trouble([this](const std::string& sentence) { trouble(sentence); });
  }

  net::Handlers handlers() {
    net::Handlers out;
    out.http = [this](net::RequestPtr request) { return counted(std::move(request)); };
    out.upgrade = [this](net::RequestPtr request) { return upgrade(std::move(request)); };
    out.websocket = [this](net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
      return client(std::move(request), std::move(socket));
    };
    return out;
  }

  void trouble(const std::string& sentence) const {
    if (context.parts.trouble) context.parts.trouble(sentence);
  }

  // Of the follower's thread.
  void give(std::unique_ptr<Followed> batch, std::function<void()> taken) {
    context.loop.post([this, still = std::weak_ptr{alive}, shared = std::shared_ptr<Followed>{std::move(batch)},
                       taken = std::move(taken)] {
      if (still.expired()) return;
      take(*shared);
      taken();
    });
  }

  void take(const Followed& batch) {
    const bool before = context.recent.caught_up();
    const Changes changes = context.recent.apply(batch, context.loop.now());
    context.cross.take(batch);
    stream.push(changes, batch.read);
    if (!context.recent.caught_up() || (before && changes.instruments.empty())) return;
    // What is wanted is what will be asked for.
    for (const Instrument& instrument : context.recent.control().wanted) {
      if (is_wildcard(instrument)) continue;
      InstrumentMemory& of = context.recent.at(instrument);
      if (!of.filled && !of.filling && filled_early < kFilledAtOnce) {
        ++filled_early;
        context.loop.spawn(fill_early(&of));
      }
    }
  }
  awaitable<void> fill_early(InstrumentMemory* of) {
    const Active here{active};
    co_await context.filled(*of);  // an error: whoever asks tries again and is told
  }

  void every_second() {
    tick.after(1s, [this] { every_second(); });
    stream.tell_status();
  }

  static ServerAnswer wait_answer() {
    ServerAnswer wait = net::problem(503, "the recent past is being read; ask again in a moment");
    wait.headers.add("Retry-After", "1");
    return wait;
  }

  awaitable<ServerAnswer> counted(net::RequestPtr request) {
    const Active here{active};
    const Call& call = find_call(request->where.path);
    ServerAnswer answer = co_await answer_of(request, call);
    count(call, answer.status);
    co_return answer;
  }
  void count(const Call& call, int status) {
    Counter*& counter = requests[{call.name.data(), status}];
    if (counter == nullptr)
      counter = &context.parts.metrics.counter("truetape_serve_requests_total", "Requests answered",
                                               {{"call", std::string{call.name}}, {"status", std::to_string(status)}});
    counter->add();
  }

  awaitable<ServerAnswer> answer_of(net::RequestPtr request, const Call& call) {
    const std::string_view path = request->where.path;
    if (call.methods.empty()) co_return nothing_at(request->where.path);
    if (!knows(call.methods, request->method)) {
      ServerAnswer refusal =
          net::problem(405, request->method.substr(0, 40) + " is refused here; allowed: " + std::string{call.methods});
      refusal.headers.add("Allow", std::string{call.methods});
      co_return refusal;
    }
    if (path == "/health/live") co_return net::text_answer(200, "application/json", "{\"status\":\"live\"}\n");
    if (path == "/health/ready") co_return co_await ready();
    const bool change = request->method == "POST" || request->method == "DELETE";
    const auto act = &call == &kPage ? Guard::Act::page : change ? Guard::Act::change : Guard::Act::read;
    if (auto refused = guard.refuse(*request, act)) co_return std::move(*refused);
    if (&call == &kPage) co_return asset_answer(*find_asset(path), *request);
    if (path == "/metrics") co_return co_await metrics_text();
    if (path == kStream) {
      ServerAnswer answer = net::problem(426, "this is a WebSocket; send an upgrade");
      answer.headers.add("Upgrade", "websocket");
      co_return answer;
    }
    if (!context.recent.caught_up()) co_return wait_answer();
    if (change) {
      if (auto done = control.call(request)) co_return co_await std::move(*done);
    } else if (path == "/api/v1/pipeline") {
      co_return co_await pipeline();
    } else if (auto rows = rest_call(context, request)) {
      co_return co_await std::move(*rows);
    } else if (auto binance = binance_call(context, request)) {
      co_return co_await std::move(*binance);
    }
    co_return nothing_at(request->where.path);
  }

  awaitable<std::optional<ServerAnswer>> upgrade(net::RequestPtr request) {
    std::optional<ServerAnswer> refused;
    if (request->where.path != kStream)
      refused = net::problem(404, "the only WebSocket here is " + std::string{kStream});
    else if ((refused = guard.refuse(*request, Guard::Act::stream))) {
    } else if (!context.recent.caught_up())
      refused = wait_answer();
    else
      refused = stream.refuse(*request);
    count(find_call(request->where.path), refused ? refused->status : 101);
    co_return refused;
  }

  awaitable<void> client(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
    const Active here{active};
    co_await stream.serve(std::move(request), std::move(socket));
  }

  awaitable<ServerAnswer> pipeline() {
    const auto behind = co_await lag.read();
    if (!behind) co_return net::problem(503, behind.error().detail);
    const ControlState& state = context.recent.control();
    std::optional<Timestamp> as_of;
    bool stale = true;
    for (const auto& [instrument, of] : context.recent.all()) {
      if (!state.wants(instrument, of->reference ? std::string_view{of->reference->quote} : std::string_view{}))
        continue;
      stale &= context.recent.judge(*of, context.loop.now());
      as_of = std::max(as_of, of->as_of());
    }
    std::string body = "{";
    append_as_of(as_of, stale, body);
    body += ",\"rows\":[{\"state\":\"";
    body += state.started ? "started" : "stopped";
    body += "\",\"wanted\":[";
    for (const Instrument& instrument : state.wanted) {
      if (instrument != *state.wanted.begin()) body += ',';
      append_json(instrument.text(), body);
    }
    body += "],\"intervals\":[";
    for (const Interval interval : context.recent.intervals()) {
      if (interval != context.recent.intervals().front()) body += ',';
      append_json(to_text(interval), body);
    }
    body += "],\"behind\":{\"process\":" + std::to_string(behind->process) +
            ",\"load\":" + std::to_string(behind->load) + ",\"serve\":" + std::to_string(behind->serve) +
            "},\"feeds\":[";
    for (auto feed = state.feeds.begin(); feed != state.feeds.end(); ++feed) {
      if (feed != state.feeds.begin()) body += ',';
      body += feed_json(feed->second);
    }
    ServerAnswer answer = net::text_answer(200, "application/json", body + "]}],\"next\":null}\n");
    answer.headers.add("Cache-Control", "no-store");
    co_return answer;
  }

  // Why not to send anybody here; none: ready.
  awaitable<std::vector<std::string>> reasons_against() {
    std::vector<std::string> reasons;
    if (context.parts.log_health)
      if (const Status healthy = context.parts.log_health(); !healthy)
        reasons.push_back("the log cannot take records: " + healthy.error().detail);
    if (!context.recent.caught_up()) reasons.emplace_back("the recent past is being read");
    const auto behind = co_await lag.read();
    if (!behind) {
      reasons.push_back("how far process and load are is not known: " + behind.error().detail);
    } else {
      const auto far = [&](const char* role, std::int64_t records, std::int64_t most) {
        if (records > most) reasons.push_back(std::string{role} + " is " + std::to_string(records) + " records behind");
      };
      far("process", behind->process, kProcessFar);
      far("load", behind->load, kLoadFar);
      far("serve", behind->serve, kServeFar);
    }
    co_return reasons;
  }

  awaitable<ServerAnswer> ready() {
    const std::vector<std::string> reasons = co_await reasons_against();
    co_return readiness(reasons);
  }

  awaitable<ServerAnswer> metrics_text() {
    Metrics& metrics = context.parts.metrics;
    const std::vector<std::string> reasons = co_await reasons_against();
    metrics.gauge("truetape_ready", "1 while /health/ready answers 200").set(reasons.empty() ? 1 : 0);
    // Of all roles: one that does not get on does not count what it has before it.
    if (const auto behind = co_await lag.read(); behind) {
      const auto set = [&](const char* role, std::int64_t records) {
        metrics.gauge("truetape_role_behind_records", "Records that a role has before it.", {{"role", role}})
            .set(records);
      };
      set("process", behind->process);
      set("load", behind->load);
      set("serve", behind->serve);
    }
    metrics.gauge("truetape_serve_stream_clients", "Clients of the stream now")
        .set(static_cast<std::int64_t>(stream.clients()));
    metrics.gauge("truetape_serve_connections", "Connections now, those of the stream included")
        .set(static_cast<std::int64_t>(server.stats().open));
    const StreamCounts& now = stream.counts();
    const auto add = [&](const char* name, const char* help, std::uint64_t StreamCounts::*member) {
      metrics.counter(name, help).add(now.*member - told.*member);
    };
    add("truetape_serve_stream_messages_total", "Messages of data queued for clients of the stream",
        &StreamCounts::messages);
    add("truetape_serve_stream_conflated_total", "Rows that a slow client got a newer one instead of",
        &StreamCounts::conflated);
    add("truetape_serve_stream_skipped_total", "Trades that slow clients were told the number of instead",
        &StreamCounts::skipped);
    add("truetape_serve_stream_closed_slow_total", "Clients of the stream that were closed because they stayed slow",
        &StreamCounts::closed_slow);
    told = now;
    metrics.counter("truetape_serve_refused_connections_total", "Connections refused because there were too many")
        .add(server.stats().refused_connections - std::exchange(told_refused, server.stats().refused_connections));
    co_return net::text_answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text());
  }

  Context context;
  Guard guard;
  Stream stream;
  ControlCalls control;
  LagWatch lag;
  StreamCounts told;
  std::uint64_t told_refused = 0;
  std::map<std::pair<const char*, int>, Counter*> requests;
  std::size_t filled_early = 0;
  const std::shared_ptr<int> active = std::make_shared<int>(0);
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  net::Timer tick;
  net::Server server;
  std::unique_ptr<Follower> follower;  // first to go
};

Serve::Serve(net::Loop& loop, ServeConfig config, ServeParts parts)
    : impl_{std::make_unique<Impl>(loop, std::move(config), std::move(parts))} {}
Serve::~Serve() = default;

Result<std::uint16_t> Serve::listen() {
  Impl* const own = impl_.get();
  if (Status fine = check(own->context.config); !fine) return tl::unexpected{fine.error()};
  auto port = own->server.listen();
  if (!port) return port;
  own->follower = std::make_unique<Follower>(
      own->context.parts.log, own->context.parts.history,
      [own](std::unique_ptr<Followed> batch, std::function<void()> taken) {
        own->give(std::move(batch), std::move(taken));
      },
      [own](const std::string& sentence) { own->trouble(sentence); });
  own->every_second();
  return port;
}

std::string Serve::origin() const { return impl_->server.origin(); }

awaitable<void> Serve::stop(Nanoseconds limit) {
  Impl* const own = impl_.get();
  own->follower.reset();
  own->tick.cancel();
  co_await own->server.stop(limit);
  // What was cut may still wait for the store or the log, whose calls end by themselves.
  const auto pause = [] {
    std::this_thread::sleep_for(1ms);
    return true;
  };
  while (*own->active > 0) co_await own->context.workers.run(pause);
}

}  // namespace truetape
