#include "sim/binance_session.h"

#include <algorithm>
#include <unordered_set>

#include "sim/binance_front.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

SteadyTime after(SteadyTime from, Nanoseconds by) {
  return by <= Nanoseconds::zero() || by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

}  // namespace

BinanceSession::BinanceSession(BinanceFront& front, Simulator& simulator, Wire& wire, SocketPath path)
    : front_{front}, simulator_{simulator}, wire_{wire}, path_{std::move(path)}, timer_{simulator.loop()} {
  state_.combined = path_.combined;
}

void BinanceSession::open() {
  for (const std::string& name : path_.streams) {
    if (std::ranges::find(state_.streams, name) != state_.streams.end()) continue;
    state_.streams.push_back(name);
    front_.subscribe(*this, wire_, name);
  }
  const Limits& limits = simulator_.limits();
  const SteadyTime now = simulator_.loop().now();
  next_ping_ = after(now, limits.ping_every);
  life_end_ = after(now, limits.life);
  notice_ = limits.life_notice > Nanoseconds::zero() ? after(now, limits.life - limits.life_notice) : SteadyTime::max();
  tick();
}

bool BinanceSession::count_message() {
  const SteadyTime now = simulator_.loop().now();
  messages_.push_back(now);
  while (now - messages_.front() >= std::chrono::seconds{1}) messages_.pop_front();
  if (std::ssize(messages_) <= simulator_.limits().messages) return true;
  wire_.end("too many messages", "close", 1008, "Too many requests");
  return false;
}

void BinanceSession::control_frame(net::WebSocket::Control kind, std::string_view payload) {
  if (kind == net::WebSocket::Control::pong) {
    if (payload.starts_with(kFlood)) return;  // the client is not to blame
    const auto found = std::ranges::find(pings_out_, payload, &std::pair<std::string, SteadyTime>::first);
    if (found != pings_out_.end()) pings_out_.erase(pings_out_.begin(), std::next(found));
  }
  count_message();
}

void BinanceSession::received(std::string_view message) {
  if (count_message()) answer_control(message);
}

void BinanceSession::answer_control(std::string_view message) {
  const Limits& limits = simulator_.limits();
  const ControlState before = state_;
  ControlAnswer answer =
      control(message, state_,
              {.streams = limits.streams,
               .nested_errors = !limits.flat_errors,
               .any_id = simulator_.market().product() == Product::spot},
              [&](std::string_view name) { return parse_stream(name, simulator_.market()).has_value(); });

  const AnswerFate fate = wire_.answer_fate();
  for (const std::string_view how : fate.hows) {
    if (how == "wrong_id") {
      answer.text = "{\"result\":null,\"id\":987654321}";
    } else {  // refuse
      state_ = before;
      answer.subscribed = answer.unsubscribed = false;
      answer.text = "{\"error\":{\"code\":2,\"msg\":\"Invalid request: invalid stream\"}" +
                    (answer.id.empty() ? std::string{} : ",\"id\":" + answer.id) + "}";
    }
  }
  wire_.answer(std::move(answer.text), fate);
  if (answer.subscribed) {
    const std::unordered_set<std::string_view> old{before.streams.begin(), before.streams.end()};
    for (const std::string& name : state_.streams)
      if (!old.contains(name)) front_.subscribe(*this, wire_, name);
  }
  if (answer.unsubscribed) {
    const std::unordered_set<std::string_view> kept{state_.streams.begin(), state_.streams.end()};
    for (const std::string& name : before.streams)
      if (!kept.contains(name)) front_.unsubscribe(wire_, name);
  }
}

void BinanceSession::say_shutdown() {
  std::string data;
  append_shutdown(data, front_.dialect(path_.microseconds), simulator_.now());
  if (state_.combined) data = enveloped("!serverShutdown", data);
  wire_.reply(std::move(data));
}

void BinanceSession::say_error(int code) {
  wire_.reply("{\"error\":{\"code\":" + std::to_string(code) + ",\"msg\":\"Internal error\"}}");
}

void BinanceSession::tick() {
  if (wire_.deaf()) return;
  const Limits& limits = simulator_.limits();
  const SteadyTime now = simulator_.loop().now();
  if (!pings_out_.empty() && now >= after(pings_out_.front().second, limits.pong_within))
    return wire_.end("no pong", "fin", 0, "");
  if (now >= life_end_) return wire_.end("life", limits.life_end, 1001, "");
  if (now >= notice_) {
    notice_ = SteadyTime::max();
    say_shutdown();
  }
  if (now >= next_ping_) {
    next_ping_ = after(now, limits.ping_every);
    if (!wire_.stalled()) {
      std::string payload;
      append_number(payload, to_ms(simulator_.now() + simulator_.skew()));
      pings_out_.emplace_back(payload, now);
      wire_.ping(std::move(payload));
    }
  }
  SteadyTime next = std::min({next_ping_, life_end_, notice_});
  if (!pings_out_.empty()) next = std::min(next, after(pings_out_.front().second, limits.pong_within));
  if (next != SteadyTime::max()) timer_.at(next, [this] { tick(); });
}

void BinanceSession::ended() {
  for (const std::string& name : state_.streams) front_.unsubscribe(wire_, name);
}

}  // namespace truetape::sim
