#include "sim/wire.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "sim/simulator.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

SteadyTime after(SteadyTime from, Nanoseconds by) {
  return by <= Nanoseconds::zero() || by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

constexpr std::string_view kFlood = "flood";
constexpr std::string_view kHtml =
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";

}  // namespace

Wire::Wire(Simulator& simulator, std::shared_ptr<net::WebSocket> socket, ConnectionLog& log, SocketPath path)
    : simulator_{simulator},
      socket_{std::move(socket)},
      log_{log},
      path_{std::move(path)},
      faults_(simulator.config_.scenario.faults.size()),
      timer_{simulator.loop_} {
  state_.combined = path_.combined;
}

void Wire::open() {
  for (const std::string& name : path_.streams) {
    if (std::ranges::find(state_.streams, name) != state_.streams.end()) continue;
    state_.streams.push_back(name);
    simulator_.subscribe(*this, name);
  }
  socket_->on_control([this](net::WebSocket::Control kind, std::string_view payload) { control_frame(kind, payload); });
  const Limits& limits = simulator_.config_.scenario.limits;
  const SteadyTime now = simulator_.loop_.now();
  next_ping_ = after(now, limits.ping_every);
  life_end_ = after(now, limits.life);
  notice_ = limits.life_notice > Nanoseconds::zero() ? after(now, limits.life - limits.life_notice) : SteadyTime::max();
  tick();
}

// ---- what the client sends

bool Wire::count_message() {
  const SteadyTime now = simulator_.loop_.now();
  messages_.push_back(now);
  while (now - messages_.front() >= std::chrono::seconds{1}) messages_.pop_front();
  if (std::ssize(messages_) <= simulator_.config_.scenario.limits.messages) return true;
  end("too many messages", "close", 1008, "Too many requests");
  return false;
}

void Wire::control_frame(net::WebSocket::Control kind, std::string_view payload) {
  if (over_ || dead_) return;
  if (kind == net::WebSocket::Control::pong) {
    ++log_.pongs;
    if (payload.starts_with(kFlood)) return;  // the client is not to blame
    const auto found = std::ranges::find(pings_out_, payload, &std::pair<std::string, SteadyTime>::first);
    if (found != pings_out_.end()) pings_out_.erase(pings_out_.begin(), std::next(found));
  }
  count_message();
}

void Wire::received(std::string_view message, bool) {
  ++log_.received;
  if (over_ || dead_ || !count_message()) return;
  answer_control(message);
}

void Wire::answer_control(std::string_view message) {
  const Limits& limits = simulator_.config_.scenario.limits;
  const ControlState before = state_;
  ControlAnswer answer =
      control(message, state_,
              {.streams = limits.streams,
               .nested_errors = !limits.flat_errors,
               .any_id = simulator_.market_.product() == Product::spot},
              [&](std::string_view name) { return parse_stream(name, simulator_.market_).has_value(); });

  Time due = Time::min();
  bool silent = false;
  const auto& specs = simulator_.config_.scenario.faults;
  for (std::uint32_t i = 0; i < specs.size(); ++i) {
    const FaultSpec& spec = specs[i];
    if (spec.kind != FaultKind::ack || (spec.connection != 0 && spec.connection != log_.number)) continue;
    if (!faults_[i].hits(spec, mix(simulator_.config_.scenario.seed, i), log_.number, simulator_.elapsed(), 0))
      continue;
    hit(i);
    if (spec.how == "none") {
      silent = true;
    } else if (spec.how == "late") {
      due = simulator_.now() + spec.by;
    } else if (spec.how == "wrong_id") {
      answer.text = "{\"result\":null,\"id\":987654321}";
    } else {  // refuse
      state_ = before;
      answer.subscribed = answer.unsubscribed = false;
      answer.text = "{\"error\":{\"code\":2,\"msg\":\"Invalid request: invalid stream\"}" +
                    (answer.id.empty() ? std::string{} : ",\"id\":" + answer.id) + "}";
    }
  }
  if (!silent && due == Time::min()) reply(std::move(answer.text));
  if (!silent && due != Time::min())
    simulator_.at(due, [weak = weak_from_this(), text = std::move(answer.text)] {
      if (const auto self = weak.lock()) self->reply(text);
    });
  if (answer.subscribed) {
    const std::unordered_set<std::string_view> old{before.streams.begin(), before.streams.end()};
    for (const std::string& name : state_.streams)
      if (!old.contains(name)) simulator_.subscribe(*this, name);
  }
  if (answer.unsubscribed) {
    const std::unordered_set<std::string_view> kept{state_.streams.begin(), state_.streams.end()};
    for (const std::string& name : before.streams)
      if (!kept.contains(name)) simulator_.unsubscribe(*this, name);
  }
}

void Wire::reply(std::string text) {
  if (over_ || dead_) return;
  put({.bytes = std::make_shared<const std::string>(std::move(text)), .release = simulator_.now()});
}

// ---- what the client is sent

void Wire::hit(std::uint32_t fault) { ++simulator_.truth_.hits[fault]; }

void Wire::withhold(const Message& message, const std::string& reason) {
  if (message.log == nullptr) return;
  ++message.log->counts[reason];
  if (message.first != 0) message.log->withheld[reason].add(message.first, message.last);
}

void Wire::deliver(const Subscriber& subscriber, std::uint64_t first, std::uint64_t last,
                   std::shared_ptr<const std::string> bytes) {
  if (over_) return;
  Message message{.log = subscriber.log, .first = first, .last = last, .bytes = std::move(bytes)};
  if (dead_) return withhold(message, "half_open");
  if (subscriber.faults.empty() && held_.empty() && aside_.empty()) return hand_over(std::move(message));

  const auto& scenario = simulator_.config_.scenario;
  const Duration elapsed = simulator_.elapsed();
  message.release = simulator_.now();
  std::uint64_t copies = 0, distance = 0;
  const FaultSpec* harm = nullptr;
  for (const std::uint32_t i : subscriber.faults) {
    const FaultSpec& spec = scenario.faults[i];
    FaultState& state = faults_[i];
    const std::uint64_t seed = mix(scenario.seed, i);
    const auto hits = [&] {
      const bool hit_now = state.hits(spec, seed, log_.number, elapsed, first);
      if (hit_now) hit(i);
      return hit_now;
    };
    const auto lasts = [&] {
      const bool now = state.lasts(spec, seed, log_.number, elapsed, true, first);
      if (now) hit(i);
      return now;
    };
    switch (spec.kind) {
      case FaultKind::silence:
        if (lasts()) return withhold(message, "silence");
        break;
      case FaultKind::drop:
        if (hits()) return withhold(message, "drop");
        break;
      case FaultKind::corrupt:
        if (hits()) harm = &spec;
        break;
      case FaultKind::duplicate:
        if (hits()) copies += spec.copies;
        break;
      case FaultKind::reorder:
        if (hits()) distance = spec.distance;
        break;
      case FaultKind::delay:
        if (lasts()) message.release = std::max(message.release, simulator_.now() + spec.by);
        break;
      case FaultKind::stall:
        if (lasts()) {
          const auto until = state.until(spec, elapsed);
          message.release = until ? std::max(message.release, simulator_.begin_ + *until) : Time::max();
        }
        break;
      case FaultKind::cut:
      case FaultKind::half_open:
      case FaultKind::shutdown:
      case FaultKind::oversize:
      case FaultKind::ping_flood:
        if (hits()) strike(i);
        if (over_ || dead_) return withhold(message, std::string{name(spec.kind)});
        break;
      default:
        break;
    }
  }
  if (harm != nullptr) {
    corrupt(message, *harm);
    copies = 0;
  }
  if (distance != 0) {
    ++message.log->reordered;
    aside_.push_back({std::move(message), distance});
    return;
  }
  if (message.release > simulator_.now()) ++message.log->delayed;
  message.log->duplicated += copies;
  for (; copies > 0; --copies) put(message);
  put(std::move(message));
  std::vector<Message> due;
  std::erase_if(aside_, [&](Aside& aside) {
    if (--aside.distance != 0) return false;
    due.push_back(std::move(aside.message));
    return true;
  });
  for (Message& one : due) put(std::move(one));
}

void Wire::corrupt(Message& message, const FaultSpec& fault) const {
  ++message.log->counts["corrupt"];
  if (message.first != 0) message.log->withheld["corrupt"].add(message.first, message.last);
  message.harmed = true;
  std::string text = *message.bytes;
  if (fault.how == "binary") {
    message.binary = true;
    return;
  }
  if (fault.how == "html") {
    text = kHtml;
  } else {
    std::size_t place = 1 + mix(simulator_.config_.scenario.seed, message.first) % (text.size() - 1);
    // Between two characters: a WebSocket message that is no UTF-8 is another fault.
    while (place > 1 && (static_cast<unsigned char>(text[place]) & 0xc0) == 0x80) --place;
    if (fault.how == "flip" && static_cast<unsigned char>(text[place]) < 0x80)
      text[place] = text[place] == '#' ? '%' : '#';
    else
      text.resize(place);
  }
  message.bytes = std::make_shared<const std::string>(std::move(text));
}

void Wire::put(Message message) {
  if (!held_.empty()) message.release = std::max(message.release, held_.back().release);
  if (held_.empty() && message.release <= simulator_.now()) return hand_over(std::move(message));
  const Time release = message.release;
  held_bytes_ += message.bytes->size();
  const bool first_of_its_time = held_.empty() || held_.back().release != release;
  held_.push_back(std::move(message));
  if (held_bytes_ > simulator_.config_.most_held) return end("slow", "close", 1008, "Slow consumer");
  if (first_of_its_time && release != Time::max())
    simulator_.at(release, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->release_held(self->simulator_.now());
    });
}

void Wire::release_held(Time until) {
  while (!over_ && !held_.empty() && held_.front().release <= until) {
    Message message = std::move(held_.front());
    held_.pop_front();
    held_bytes_ -= message.bytes->size();
    hand_over(std::move(message));
  }
}

void Wire::flush() {
  if (over_ || dead_) return;
  for (Aside& aside : std::exchange(aside_, {})) put(std::move(aside.message));
  release_held(Time::max() - Duration{1});  // what is held for ever stays
}

void Wire::hand_over(Message message) {
  if (over_) return withhold(message, "unsent");
  if (!socket_->send(message.bytes, message.binary)) {
    withhold(message, "slow");
    if (!socket_->end()) end("slow", "close", 1008, "Slow consumer");
    return;
  }
  ++simulator_.messages_;
  if (message.log != nullptr) ++message.log->messages;
  message.bytes.reset();
  unconfirmed_.push_back(std::move(message));
  confirm();
}

void Wire::confirm() {
  for (const std::uint64_t sent = socket_->stats().sent; confirmed_ < sent; ++confirmed_) {
    const Message& message = unconfirmed_.front();
    if (message.log != nullptr && message.first != 0 && !message.harmed)
      message.log->sent.add(message.first, message.last);
    unconfirmed_.pop_front();
  }
}

// ---- faults that come by time, the venue's own rules, the end

void Wire::strike(std::uint32_t fault) {
  if (over_ || dead_) return;
  const FaultSpec& spec = simulator_.config_.scenario.faults[fault];
  switch (spec.kind) {
    case FaultKind::cut:
      end("cut", spec.how, spec.status == 0 ? 1001 : spec.status, "");
      break;
    case FaultKind::half_open:
      dead_ = true;
      log_.end = "half_open";
      socket_->mute();
      if (spec.length)
        simulator_.at(simulator_.now() + *spec.length, [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->end("half_open", "reset", 0, "");
        });
      break;
    case FaultKind::shutdown: {
      say_shutdown();
      simulator_.at(simulator_.now() + spec.by, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->end("shutdown", "fin", 0, "");
      });
      break;
    }
    case FaultKind::oversize:
      put({.bytes =
               std::make_shared<const std::string>(R"({"e":"oversize","x":")" + std::string(spec.size, 'x') + R"("})"),
           .release = simulator_.now()});
      break;
    case FaultKind::ping_flood:
      for (std::uint64_t i = 0; i < spec.count; ++i) socket_->ping(std::string{kFlood} + std::to_string(i));
      log_.pings += spec.count;
      break;
    default:
      break;
  }
}

void Wire::say_shutdown() {
  std::string data;
  append_shutdown(data, simulator_.dialect(path_.microseconds), simulator_.now());
  if (state_.combined) data = enveloped("!serverShutdown", data);
  reply(std::move(data));
}

void Wire::tick() {
  if (over_ || dead_) return;
  const Limits& limits = simulator_.config_.scenario.limits;
  const SteadyTime now = simulator_.loop_.now();
  if (!pings_out_.empty() && now >= after(pings_out_.front().second, limits.pong_within))
    return end("no pong", "fin", 0, "");
  if (now >= life_end_) return end("life", limits.life_end, 1001, "");
  if (now >= notice_) {
    notice_ = SteadyTime::max();
    say_shutdown();
  }
  if (now >= next_ping_) {
    next_ping_ = after(now, limits.ping_every);
    if (!stalled()) {
      std::string payload;
      append_number(payload, to_ms(simulator_.now() + simulator_.skew()));
      pings_out_.emplace_back(payload, now);
      ++log_.pings;
      socket_->ping(std::move(payload));
    }
  }
  SteadyTime next = std::min({next_ping_, life_end_, notice_});
  if (!pings_out_.empty()) next = std::min(next, after(pings_out_.front().second, limits.pong_within));
  if (next != SteadyTime::max()) timer_.at(next, [this] { tick(); });
}

bool Wire::stalled() {
  const auto& faults = simulator_.config_.scenario.faults;
  for (std::uint32_t i = 0; i < faults.size(); ++i)
    if (faults[i].kind == FaultKind::stall && (faults[i].connection == 0 || faults[i].connection == log_.number) &&
        faults_[i].lasts(faults[i], 0, log_.number, simulator_.elapsed(), false, 0))
      return true;
  return false;
}

void Wire::end(std::string why, std::string_view how, int code, std::string reason) {
  if (over_) return;
  over_ = true;
  log_.end = std::move(why);
  timer_.cancel();
  if (how == "reset") {
    socket_->drop(true);
  } else if (how == "close") {
    socket_->close(static_cast<std::uint16_t>(code), std::move(reason), code == 1008);
  } else if (dead_) {
    socket_->drop();
  } else {
    // What was given to the network before goes out before the end.
    simulator_.loop_.spawn([socket = socket_, &loop = simulator_.loop_]() -> net::awaitable<void> {
      co_await socket->queue_below(0);
      for (int i = 0; i < 4; ++i) co_await loop.turn();
      socket->drop();
    });
  }
}

void Wire::ended() {
  over_ = true;
  timer_.cancel();
  socket_->on_control(nullptr);
  confirm();
  for (const Message& message : unconfirmed_) withhold(message, "unsent");
  for (const Message& message : held_) withhold(message, "unsent");
  for (const Aside& aside : aside_) withhold(aside.message, "unsent");
  unconfirmed_.clear();
  held_.clear();
  aside_.clear();
  log_.closed = simulator_.now();
  if (log_.end.empty()) {
    const auto& why = socket_->end();
    log_.end = !why || why->by == net::WebSocketEnd::By::peer ? "client"
               : why->by == net::WebSocketEnd::By::us         ? "stopped"
                                                              : why->reason;
  }
  for (const std::string& name : state_.streams) simulator_.unsubscribe(*this, name);
}

}  // namespace truetape::sim
