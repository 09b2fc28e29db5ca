// The simulator's listener: REST, handshakes, the life of a client; and its list of all trades.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

constexpr std::size_t kTradesBuffer = 1 << 16;

}  // namespace

// ---- the server

net::awaitable<net::ServerAnswer> Simulator::answer(net::RequestPtr request) {
  contacted();
  net::ServerAnswer result;
  Nanoseconds late{};
  Duration database{};
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
      result.then = spec.how == "cut" ? net::ServerAnswer::Then::cut : net::ServerAnswer::Then::reset;
      co_return result;
    } else if (spec.how == "html") {
      co_return net::text_answer(spec.status == 0 ? 200 : spec.status, "text/html",
                                 "<html><head><title>Just a moment</title></head><body>Please sign in.</body></html>");
    } else {
      const int status = spec.status == 0 ? 503 : spec.status;
      co_return refusal(status);
    }
  }
  if (late > Nanoseconds::zero()) co_await loop_.sleep(late);
  const std::string_view unit = request->headers.get("X-MBX-TIME-UNIT");
  const RestRequest asked{.method = request->method,
                          .path = path,
                          .query = request->where.query,
                          .address = request->address,
                          .has_key = request->headers.find("X-MBX-APIKEY").has_value(),
                          .microseconds = unit == "MICROSECOND" || unit == "microsecond",
                          .html_accepted = request->headers.get("Accept").find("text/html") != std::string_view::npos,
                          .now = now(),
                          .skew = skew(),
                          .database_lag = database,
                          .real = loop_.clock().now()};
  RestAnswer answered = rest_.answer(asked);
  result = net::text_answer(answered.status, answered.content_type, std::move(answered.body));
  for (auto& [name, value] : answered.headers) result.headers.add(name, value);
  co_return result;
}

net::ServerAnswer Simulator::refusal(int status) const {
  std::string body;
  switch (status) {
    case 418:
    case 429:
      body = error_body(-1003, "Too many requests.");
      break;
    case 403:
      return net::text_answer(status, "text/html",
                              "<html><head><title>ERROR: The request could not be satisfied"
                              "</title></head><body><h1>403 ERROR</h1></body></html>");
    case 451:
      body = error_body(0,
                        "Service unavailable from a restricted location according to 'b. Eligibility' in the terms "
                        "of use. Please contact customer service if you believe you received this message in error.");
      break;
    case 503:
      body =
          error_body(-1008, "Server is currently overloaded with other requests. Please try again in a few minutes.");
      break;
    case 408:
    case 504:
      body = error_body(-1007,
                        "Timeout waiting for response from backend server. Send status unknown; execution "
                        "status unknown.");
      break;
    default:
      body = error_body(-1001, "Internal error; unable to process your request. Please try again.");
  }
  net::ServerAnswer result = net::text_answer(status, "application/json;charset=UTF-8", std::move(body));
  if ((status == 418 || status == 429) && config_.scenario.limits.retry_after) result.headers.add("Retry-After", "5");
  return result;
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
    co_return refusal(spec.status == 0 ? 503 : spec.status);
  }
  if (request->target.size() > scenario.limits.url) co_return plain(414, "URI Too Long");
  auto path = parse_socket_path(request->where, market_.product());
  if (!path) co_return plain(400, path.error().detail);
  if (!*path) co_return plain(404, "");
  if ((*path)->streams.size() > scenario.limits.streams) co_return plain(400, "Too many streams");
  auto& connects = connects_[request->address];
  const SteadyTime now = loop_.now();
  std::erase_if(connects, [&](SteadyTime time) { return now - time >= std::chrono::minutes{5}; });
  if (std::ssize(connects) >= scenario.limits.connects) {
    net::ServerAnswer refused = plain(429, "Too many connection attempts");
    refused.headers.add("Retry-After", "60");
    co_return refused;
  }
  connects.push_back(now);
  co_return std::nullopt;
}

net::awaitable<void> Simulator::serve(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
  auto path = parse_socket_path(request->where, market_.product());
  auto log = std::make_unique<ConnectionLog>();
  log->number = ++connections_;
  log->address = request->address;
  log->path = request->where.path;
  log->opened = now();
  ConnectionLog& own = *truth_.connections.emplace_back(std::move(log));
  const auto wire = std::make_shared<Wire>(*this, socket, own, std::move(**path));
  wires_.push_back(wire.get());
  wire->open();
  for (;;) {
    const auto message = co_await socket->receive();
    if (!message) break;
    wire->received(message->bytes, message->binary);
  }
  wire->ended();
  std::erase(wires_, wire.get());
}

// ---- the list of all trades

void Simulator::log_trade(std::uint32_t instrument, const Print& print) {
  const Listing& listing = market_.listing(instrument);
  const auto number = [&](auto value) {
    append_number(trades_, value);
    trades_ += ',';
  };
  trades_ += listing.symbol;
  trades_ += ",trade,";
  for (int i = 0; i < 3; ++i) number(print.id);
  number(to_us(print.traded));
  number(to_us(print.told));
  append_units(trades_, print.price, listing.price_decimals);
  trades_ += ',';
  append_units(trades_, print.quantity, listing.quantity_decimals);
  trades_ += print.buyer_is_maker ? ",true," : ",false,";
  trades_ += kind_text(print.kind);
  trades_ += '\n';
  write_trades(false);
}

void Simulator::log_trade(std::uint32_t instrument, const Aggregate& aggregate) {
  const Listing& listing = market_.listing(instrument);
  const auto number = [&](auto value) {
    append_number(trades_, value);
    trades_ += ',';
  };
  trades_ += listing.symbol;
  trades_ += ",agg,";
  number(aggregate.id);
  number(aggregate.first);
  number(aggregate.last);
  number(to_us(aggregate.traded));
  number(to_us(aggregate.told));
  append_units(trades_, aggregate.price, listing.price_decimals);
  trades_ += ',';
  append_units(trades_, aggregate.quantity, listing.quantity_decimals);
  trades_ += aggregate.buyer_is_maker ? ",true,MARKET\n" : ",false,MARKET\n";
  write_trades(false);
}

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
