// The simulator's listener: REST, handshakes, the life of a client; and its list of all trades.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {
namespace {

constexpr std::size_t kTradesBuffer = 1 << 16;

net::ServerAnswer to_server(RestAnswer answer) {
  net::ServerAnswer result = net::text_answer(answer.status, std::move(answer.content_type), std::move(answer.body));
  for (auto& [name, value] : answer.headers) result.headers.add(name, value);
  return result;
}

}  // namespace

// ---- the server

net::awaitable<net::ServerAnswer> Simulator::answer(net::RequestPtr request) {
  contacted();
  Nanoseconds late{};
  Duration database{};
  std::string_view harm;
  const auto& scenario = config_.scenario;
  const std::string_view path = request->where.path;
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    const FaultSpec& spec = scenario.faults[i];
    if ((spec.kind != FaultKind::refuse && spec.kind != FaultKind::lag) || spec.how == "handshake" ||
        !matches(spec.path, path))
      continue;
    if (!venue_faults_[i].hits(spec, mix(scenario.seed, i), 0, elapsed(), 0)) continue;
    ++truth_.hits[i];
    if (spec.kind == FaultKind::lag) {
      if (spec.how == "answers") late += spec.by;
      if (spec.how == "database") database = std::max(database, spec.by);
    } else if (spec.how == "cut" || spec.how == "reset") {
      net::ServerAnswer result;
      result.then = spec.how == "cut" ? net::ServerAnswer::Then::cut : net::ServerAnswer::Then::reset;
      co_return result;
    } else if (spec.how == "html") {
      co_return net::text_answer(spec.status == 0 ? 200 : spec.status, "text/html",
                                 "<html><head><title>Just a moment</title></head><body>Please sign in.</body></html>");
    } else if (spec.how != "rest") {
      harm = spec.how;
    } else {
      co_return to_server(front_->refusal(spec.status == 0 ? 503 : spec.status));
    }
  }
  if (late > Nanoseconds::zero()) co_await loop_.sleep(late);
  RestAnswer answered = front_->answer(*request, database);
  if (!harm.empty()) answered.body = harmed_answer(std::move(answered.body), harm);
  co_return to_server(std::move(answered));
}

net::awaitable<std::optional<net::ServerAnswer>> Simulator::upgrade(net::RequestPtr request) {
  contacted();
  const auto& scenario = config_.scenario;
  const auto plain = [](int status, std::string text) {
    return net::text_answer(status, "text/plain", std::move(text));
  };
  if (stopping_) co_return plain(503, "stopping");
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    const FaultSpec& spec = scenario.faults[i];
    if (spec.kind != FaultKind::refuse || spec.how != "handshake" || !matches(spec.path, request->where.path)) continue;
    if (!venue_faults_[i].hits(spec, mix(scenario.seed, i), 0, elapsed(), 0)) continue;
    ++truth_.hits[i];
    co_return to_server(front_->refusal(spec.status == 0 ? 503 : spec.status));
  }
  if (request->target.size() > scenario.limits.url) co_return plain(414, "URI Too Long");
  co_return front_->upgrade(*request);
}

net::awaitable<void> Simulator::serve(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
  auto log = std::make_unique<ConnectionLog>();
  log->number = ++connections_;
  log->address = request->address;
  log->path = request->where.path;
  log->opened = now();
  ConnectionLog& own = *truth_.connections.emplace_back(std::move(log));
  const auto wire = std::make_shared<Wire>(*this, socket, own);
  wires_.push_back(wire.get());
  wire->open(front_->session(*wire, *request));
  for (;;) {
    const auto message = co_await socket->receive();
    if (!message) break;
    wire->received(message->bytes, message->binary);
  }
  wire->ended();
  std::erase(wires_, wire.get());
}

// ---- the list of all trades

void Simulator::write_trades(bool all) {
  if (!trades_file_ || (!all && trades_.size() < kTradesBuffer)) return;
  const bool written = std::fwrite(trades_.data(), 1, trades_.size(), trades_file_.get()) == trades_.size() &&
                       (!all || std::fflush(trades_file_.get()) == 0);
  trades_.clear();
  if (written) return;
  if (trouble_) trouble_(config_.trades_file + ": cannot be written: " + std::strerror(errno));
  trades_file_.reset();
}

}  // namespace truetape::sim
