#include "sim/wire.h"

#include <algorithm>
#include <utility>

#include "sim/simulator.h"

namespace truetape::sim {
namespace {

constexpr std::string_view kHtml =
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";

}  // namespace

Wire::Wire(Simulator& simulator, std::shared_ptr<net::WebSocket> socket, ConnectionLog& log)
    : simulator_{simulator},
      socket_{std::move(socket)},
      log_{log},
      faults_(simulator.config().scenario.faults.size()) {}

void Wire::open(std::unique_ptr<Session> session) {
  session_ = std::move(session);
  socket_->on_control([this](net::WebSocket::Control kind, std::string_view payload) {
    if (deaf()) return;
    if (kind == net::WebSocket::Control::pong) ++log_.pongs;
    session_->control_frame(kind, payload);
  });
  session_->open();
}

// ---- what the client sends

void Wire::received(std::string_view message, bool) {
  ++log_.received;
  if (!deaf()) session_->received(message);
}

Subscriber Wire::subscribe(const std::string& name) {
  StreamLog*& log = logs_[name];
  if (log == nullptr) {
    log = &log_.streams.emplace_back();
    log->name = name;
  }
  log->subscribed.emplace_back(simulator_.now(), std::nullopt);
  Subscriber subscriber{.wire = this, .log = log, .faults = {}};
  const auto& faults = simulator_.config().scenario.faults;
  for (std::uint32_t i = 0; i < faults.size(); ++i)
    if (meets_messages(faults[i]) && matches(faults[i].streams, name) &&
        (faults[i].connection == 0 || faults[i].connection == number()))
      subscriber.faults.push_back(i);
  return subscriber;
}

void Wire::unsubscribe(const std::string& name) {
  if (const auto log = logs_.find(name); log != logs_.end() && !log->second->subscribed.empty())
    log->second->subscribed.back().second = simulator_.now();
}

AnswerFate Wire::answer_fate() {
  AnswerFate fate;
  const auto& scenario = simulator_.config().scenario;
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    const FaultSpec& spec = scenario.faults[i];
    if (spec.kind != FaultKind::ack || (spec.connection != 0 && spec.connection != log_.number)) continue;
    if (!faults_[i].hits(spec, mix(scenario.seed, i), log_.number, simulator_.elapsed(), 0)) continue;
    simulator_.hit(i);
    if (spec.how == "none")
      fate.silent = true;
    else if (spec.how == "late")
      fate.due = simulator_.now() + spec.by;
    else
      fate.hows.push_back(spec.how);
  }
  return fate;
}

void Wire::answer(std::string text, const AnswerFate& fate) {
  if (fate.silent) return;
  if (fate.due == Time::min()) return reply(std::move(text));
  simulator_.at(fate.due, [weak = weak_from_this(), text = std::move(text)] {
    if (const auto self = weak.lock()) self->reply(text);
  });
}

void Wire::reply(std::string text) {
  if (deaf()) return;
  Message message;
  message.bytes = std::make_shared<const std::string>(std::move(text));
  message.release = simulator_.now();
  put(std::move(message));
}

void Wire::say(std::string text) {
  if (deaf()) return;
  Message message;
  message.bytes = std::make_shared<const std::string>(std::move(text));
  message.release = simulator_.now();
  const auto& faults = simulator_.config().scenario.faults;
  for (std::uint32_t i = 0; i < faults.size(); ++i) {
    if (faults[i].kind != FaultKind::stall || (faults[i].connection != 0 && faults[i].connection != log_.number) ||
        !faults_[i].lasts(faults[i], 0, log_.number, simulator_.elapsed(), false, 0))
      continue;
    const auto until = faults_[i].until(faults[i], simulator_.elapsed());
    message.release = until ? std::max(message.release, simulator_.begin() + *until) : Time::max();
  }
  put(std::move(message));
}

void Wire::ping(std::string payload) {
  ++log_.pings;
  socket_->ping(std::move(payload));
}

// ---- what the client is sent

template <class Call>
void Wire::each_part(const Message& message, const Call& call) {
  if (message.part.log == nullptr) return;
  call(message.part);
  for (const Part& part : message.others) call(part);
}

void Wire::withhold(const Message& message, const std::string& reason) {
  each_part(message, [&](const Part& part) {
    ++part.log->counts[reason];
    if (part.first != 0) part.log->withheld[reason].add(part.first, part.last);
  });
}

void Wire::unsent(const std::vector<Part>& parts) {
  if (parts.empty()) return;
  Message message;
  message.part = parts.front();
  message.others.assign(parts.begin() + 1, parts.end());
  withhold(message, "unsent");
}

void Wire::deliver(const Subscriber& subscriber, std::uint64_t first, std::uint64_t last,
                   std::shared_ptr<const std::string> bytes) {
  Message message;
  message.part = {.log = subscriber.log, .first = first, .last = last};
  message.bytes = std::move(bytes);
  deliver(std::move(message), subscriber.faults, first);
}

void Wire::deliver(std::vector<Part> parts, const std::vector<std::uint32_t>& faults, std::uint64_t key,
                   std::shared_ptr<const std::string> bytes) {
  Message message;
  message.part = parts.front();
  parts.erase(parts.begin());
  message.others = std::move(parts);
  message.bytes = std::move(bytes);
  deliver(std::move(message), faults, key);
}

void Wire::deliver(Message message, const std::vector<std::uint32_t>& faults, std::uint64_t key) {
  if (over_) return;
  if (dead_) return withhold(message, "half_open");
  if (faults.empty() && held_.empty() && aside_.empty()) return hand_over(std::move(message));

  const auto& scenario = simulator_.config().scenario;
  const Duration elapsed = simulator_.elapsed();
  message.release = simulator_.now();
  std::uint64_t copies = 0, distance = 0;
  const FaultSpec* harm = nullptr;
  for (const std::uint32_t i : faults) {
    const FaultSpec& spec = scenario.faults[i];
    FaultState& state = faults_[i];
    const std::uint64_t seed = mix(scenario.seed, i);
    const auto hits = [&] {
      const bool hit_now = state.hits(spec, seed, log_.number, elapsed, key);
      if (hit_now) simulator_.hit(i);
      return hit_now;
    };
    const auto lasts = [&] {
      const bool now = state.lasts(spec, seed, log_.number, elapsed, true, key);
      if (now) simulator_.hit(i);
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
          message.release = until ? std::max(message.release, simulator_.begin() + *until) : Time::max();
        }
        break;
      case FaultKind::cut:
      case FaultKind::half_open:
      case FaultKind::shutdown:
      case FaultKind::oversize:
      case FaultKind::ping_flood:
      case FaultKind::error:
        if (hits()) strike(i);
        if (over_ || dead_) return withhold(message, std::string{name(spec.kind)});
        break;
      default:
        break;
    }
  }
  if (harm != nullptr) {
    corrupt(message, *harm, key);
    copies = 0;
  }
  if (distance != 0) {
    each_part(message, [](const Part& part) { ++part.log->reordered; });
    aside_.push_back({std::move(message), distance});
    return;
  }
  if (message.release > simulator_.now()) each_part(message, [](const Part& part) { ++part.log->delayed; });
  if (copies > 0) each_part(message, [&](const Part& part) { part.log->duplicated += copies; });
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

void Wire::corrupt(Message& message, const FaultSpec& fault, std::uint64_t key) const {
  each_part(message, [](const Part& part) {
    ++part.log->counts["corrupt"];
    if (part.first != 0) part.log->withheld["corrupt"].add(part.first, part.last);
  });
  message.harmed = true;
  std::string text = *message.bytes;
  if (fault.how == "binary") {
    message.binary = true;
    return;
  }
  if (fault.how == "html") {
    text = kHtml;
  } else {
    std::size_t place = 1 + mix(simulator_.config().scenario.seed, key) % (text.size() - 1);
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
  if (held_bytes_ > simulator_.config().most_held) return end("slow", "close", 1008, "Slow consumer");
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
  if (deaf()) return;
  session_->flush();
  for (Aside& aside : std::exchange(aside_, {})) put(std::move(aside.message));
  release_held(Time::max() - Duration{1});  // what is held for ever stays
}

void Wire::hand_over(Message message) {
  if (over_) return withhold(message, "unsent");
  if (!socket_->send(message.bytes, message.binary)) {
    withhold(message, "slow");
    if (!socket_->end() && !session_->drops_when_slow()) end("slow", "close", 1008, "Slow consumer");
    return;
  }
  simulator_.handed_over();
  each_part(message, [](const Part& part) { ++part.log->messages; });
  message.bytes.reset();
  unconfirmed_.push_back(std::move(message));
  confirm();
}

void Wire::confirm() {
  for (const std::uint64_t sent = socket_->stats().sent; confirmed_ < sent; ++confirmed_) {
    const Message& message = unconfirmed_.front();
    if (!message.harmed)
      each_part(message, [](const Part& part) {
        if (part.first != 0) part.log->sent.add(part.first, part.last);
      });
    unconfirmed_.pop_front();
  }
}

// ---- faults that come by time, the venue's own rules, the end

void Wire::strike(std::uint32_t fault) {
  if (deaf()) return;
  const FaultSpec& spec = simulator_.config().scenario.faults[fault];
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
      session_->say_shutdown();
      simulator_.at(simulator_.now() + spec.by, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->end("shutdown", "fin", 0, "");
      });
      break;
    }
    case FaultKind::error:
      session_->say_error(spec.status);
      break;
    case FaultKind::oversize:
      reply(R"({"e":"oversize","x":")" + std::string(spec.size, 'x') + R"("})");
      break;
    case FaultKind::ping_flood:
      for (std::uint64_t i = 0; i < spec.count; ++i) ping(std::string{kFlood} + std::to_string(i));
      break;
    default:
      break;
  }
}

bool Wire::stalled() {
  const auto& faults = simulator_.config().scenario.faults;
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
  session_->stop();
  if (how == "reset") {
    socket_->drop(true);
  } else if (how == "close") {
    socket_->close(static_cast<std::uint16_t>(code), std::move(reason), code == 1008);
  } else if (dead_) {
    socket_->drop();
  } else {
    // What was given to the network before goes out before the end.
    simulator_.loop().spawn([socket = socket_, &loop = simulator_.loop()]() -> net::awaitable<void> {
      co_await socket->queue_below(0);
      for (int i = 0; i < 4; ++i) co_await loop.turn();
      socket->drop();
    });
  }
}

void Wire::ended() {
  over_ = true;
  session_->stop();
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
  session_->ended();
}

}  // namespace truetape::sim
