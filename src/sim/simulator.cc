#include "sim/simulator.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "sim/wire.h"

namespace truetape::sim {
namespace {

using net::SteadyTime;

int close_file(std::FILE* file) { return file == nullptr ? 0 : std::fclose(file); }

SteadyTime later(SteadyTime from, Nanoseconds by) {
  return by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

}  // namespace

Simulator::Simulator(net::Loop& loop, SimulatorConfig config, std::unique_ptr<Tape> tape)
    : loop_{loop},
      config_{std::move(config)},
      tape_{std::move(tape)},
      market_{tape_->product(), tape_->listings(), config_.keep},
      begin_{config_.begin.value_or(tape_->begin())},
      ratchet_{begin_},
      contact_{loop},
      subscriber_{loop},
      wake_{loop},
      venue_faults_(config_.scenario.faults.size()),
      trades_file_{nullptr, close_file},
      server_{loop,
              server_config(),
              {.http = [this](net::RequestPtr request) { return answer(std::move(request)); },
               .upgrade = [this](net::RequestPtr request) { return upgrade(std::move(request)); },
               .websocket =
                   [this](net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
                     return serve(std::move(request), std::move(socket));
                   }}} {
  front_ = make_front(*this);
  truth_.tape = tape_->description();
  truth_.seed = config_.scenario.seed;
  truth_.from = truth_.to = begin_;
  for (const FaultSpec& fault : config_.scenario.faults) {
    truth_.faults.push_back(to_text(fault));
    truth_.hits.push_back(0);
    if (fault.kind == FaultKind::skew) skews_.push_back(static_cast<std::uint32_t>(truth_.faults.size() - 1));
  }
}

Simulator::~Simulator() = default;

net::ServerConfig Simulator::server_config() const {
  net::ServerConfig server;
  server.address = config_.address;
  server.port = config_.port;
  server.certificate_file = config_.certificate_file;
  server.key_file = config_.key_file;
  server.most_connections = server.most_per_address = 20'000;
  server.websocket.most_message = config_.scenario.limits.message_size;
  server.websocket.most_queued = config_.most_queued;
  server.websocket.idle_timeout = Nanoseconds::zero();  // the venue's own rule is about pongs
  server.websocket.write_timeout = std::chrono::seconds{60};
  server.websocket.most_controls = 0;  // counted here
  return server;
}

Result<std::uint16_t> Simulator::listen() {
  if (!config_.trades_file.empty()) {
    trades_file_.reset(std::fopen(config_.trades_file.c_str(), "wb"));
    if (!trades_file_)
      return failure(Fault::io, Retry::never,
                     config_.trades_file + ": cannot be written: " + std::strerror(errno) + "; name another file");
    trades_ = front_->trades_header();
  }
  return server_.listen();
}
std::string Simulator::rest_url() const { return server_.origin(); }
std::string Simulator::websocket_url() const {
  const std::string origin = server_.origin();
  return "ws" + origin.substr(4);  // http and https alike
}

// ---- time

Time Simulator::now() const {
  if (playing_) return *playing_;
  if (config_.begin_now && phase_ == Phase::waiting)
    return std::chrono::floor<Duration>(loop_.clock().now()) + *config_.begin_now;
  if (config_.speed == 0) {
    if (!restart_) return ratchet_;
    return ratchet_ + std::chrono::floor<Duration>(loop_.now() - *restart_);
  }
  const auto scaled = [&](Nanoseconds real) {
    return Duration{static_cast<std::int64_t>(static_cast<double>(real.count()) * config_.speed / 1000)};
  };
  if (!start_) return begin_ - scaled(config_.lead);
  const Nanoseconds since = loop_.now() - *start_;
  const Time time = begin_ + scaled(since);
  return phase_ == Phase::waiting ? std::min(time, begin_) : time;
}

Duration Simulator::elapsed() const {
  return phase_ == Phase::waiting ? Duration{} : std::max(Duration{}, now() - begin_);
}

SteadyTime Simulator::when(Time venue) const {
  if (config_.speed == 0) return restart_ ? later(*restart_, venue - ratchet_) : SteadyTime::max();
  const double real = static_cast<double>((venue - begin_).count()) * 1000 / config_.speed;
  constexpr double kFar = 1e18;
  return real > kFar ? SteadyTime::max() : later(*start_, Nanoseconds{static_cast<std::int64_t>(std::ceil(real))});
}

void Simulator::contacted() { contact_.set(); }
void Simulator::somebody_subscribed() {
  ++subscriptions_;
  subscriber_.set();
}

void Simulator::unsubscribed(std::uint64_t subscriptions) {
  subscriptions_ -= subscriptions;
  if (subscriptions_ == 0 && !stopping_) subscriber_.reset();
}

void Simulator::at(Time time, std::function<void()> call) {
  const auto place = agenda_.emplace(time, std::move(call));
  if (place == agenda_.begin()) wake_.set();
}

void Simulator::stop(std::string why) {
  if (stopping_) return;
  stopping_ = true;
  truth_.ended = std::move(why);
  contact_.set();
  subscriber_.set();
  wake_.set();
}

// ---- the tape

net::awaitable<void> Simulator::run() {
  co_await wait_for_clients();
  phase_ = Phase::running;
  shift_ = begin_ - tape_->begin();
  ratchet_ = truth_.from = begin_;
  fetch();
  schedule_faults();
  if (config_.speed == 0) co_await play_unthrottled();
  co_await play_paced();
  if (truth_.ended.empty()) truth_.ended = "end of tape";
  truth_.to = now();
  co_await finish();
}

net::awaitable<void> Simulator::wait_for_clients() {
  if (config_.wait) co_await contact_.wait();
  if (!config_.begin_now) start_ = later(loop_.now(), config_.lead);
  if (config_.wait) co_await subscriber_.wait();
  // Other venues' clients subscribe by many messages: the tape leaves them the time for it. The clock stands meanwhile.
  if (config_.wait && !stopping_ && !of_binance(market_.product()) && (config_.speed == 0 || !config_.begin_now) &&
      config_.lead > Nanoseconds::zero())
    co_await loop_.sleep(config_.lead);
  if (config_.begin_now) {  // the clock goes on from where it is
    start_ = later(loop_.now(), config_.lead);
    begin_ =
        now() + Duration{static_cast<std::int64_t>(static_cast<double>(config_.lead.count()) * config_.speed / 1000)};
  }
  start_ = std::max(*start_, loop_.now());
}

void Simulator::fetch() {
  has_next_ = tape_->next(next_);
  if (!has_next_ || shift_ == Duration{}) return;
  next_.at += shift_;
  std::visit(
      [&](auto& what) {
        what.traded += shift_;
        what.told += shift_;
      },
      next_.what);
}

bool Simulator::run_due(Time now) {
  const bool planned = !agenda_.empty() && agenda_.begin()->first <= now;
  const bool event = has_next_ && next_.at <= now;
  if (planned && (!event || agenda_.begin()->first <= next_.at)) {
    playing_ = agenda_.begin()->first;
    const auto call = std::move(agenda_.begin()->second);
    agenda_.erase(agenda_.begin());
    call();
  } else if (event) {
    playing_ = next_.at;
    play(next_);
    fetch();
  } else {
    return false;
  }
  ratchet_ = std::max(ratchet_, *playing_);
  playing_.reset();
  return true;
}

net::awaitable<void> Simulator::play_unthrottled() {
  constexpr int kAtOnce = 256;
  constexpr std::size_t kQueued = 1 << 20;
  while (!stopping_ && has_next_) {
    if (config_.wait && subscriptions_ == 0) {
      subscriber_.reset();
      co_await subscriber_.wait();
      continue;
    }
    for (int i = 0; i < kAtOnce && has_next_; ++i) run_due(next_.at);
    std::vector<std::shared_ptr<net::WebSocket>> full;
    for (Wire* wire : wires_)
      if (wire->socket()->queued() > kQueued) full.push_back(wire->socket());
    for (const auto& socket : full) co_await socket->queue_below(kQueued / 2);
    co_await loop_.turn();
  }
  restart_ = loop_.now();
}

net::awaitable<void> Simulator::play_paced() {
  constexpr int kAtOnce = 512;
  // Never no time at all: what is due may be a rounding away.
  const Nanoseconds shortest = std::max(config_.grain, Nanoseconds{1000});
  SteadyTime end = SteadyTime::max();
  while (!stopping_) {
    const Time due = now();
    int done = 0;
    while (done < kAtOnce && run_due(due)) ++done;
    if (!has_next_ && phase_ == Phase::running) {
      phase_ = Phase::ended;
      end = later(loop_.now(), config_.linger);
    }
    if (phase_ == Phase::ended && loop_.now() >= end) break;
    if (done == kAtOnce) {
      co_await loop_.turn();
      continue;
    }
    SteadyTime next = end;
    if (has_next_) next = std::min(next, when(next_.at));
    if (!agenda_.empty()) next = std::min(next, when(agenda_.begin()->first));
    wake_.reset();
    const Nanoseconds wait = next == SteadyTime::max() ? Nanoseconds::max() : next - loop_.now();
    co_await wake_.wait_for(std::max(wait, shortest));
  }
}

net::awaitable<void> Simulator::finish() {
  write_trades(true);
  const std::vector<Wire*> all = wires_;
  std::vector<std::shared_ptr<net::WebSocket>> sockets;
  for (Wire* wire : all) {
    wire->flush();
    if (wire->log().end == "half_open")
      wire->end("half_open", "reset", 0, "");
    else if (wire->log().end.empty())
      wire->log().end = "stopped";
    sockets.push_back(wire->socket());
  }
  for (const auto& socket : sockets) co_await socket->queue_below(0);
  sockets.clear();
  co_await server_.stop(std::chrono::seconds{5});
  while (!wires_.empty()) co_await loop_.turn();  // their ends are being written down
  over_ = true;
}

void Simulator::play(const TapeEvent& event) {
  ++played_;
  front_->play(event);
}

void Simulator::schedule_faults() {
  for (std::size_t i = 0; i < config_.scenario.faults.size(); ++i)
    if (comes_by_time(config_.scenario.faults[i])) repeat_fault(i, *config_.scenario.faults[i].at);
}

void Simulator::repeat_fault(std::size_t index, Duration from) {
  at(begin_ + from, [this, index, from] {
    const FaultSpec& spec = config_.scenario.faults[index];
    for (Wire* wire : std::vector<Wire*>{wires_}) {
      if (wire->over() || (spec.connection != 0 && spec.connection != wire->number())) continue;
      if (spec.streams != "*" &&
          std::ranges::none_of(wire->logs(), [&](const auto& log) { return matches(spec.streams, log.first); }))
        continue;
      ++truth_.hits[index];
      wire->strike(static_cast<std::uint32_t>(index));
    }
    if (spec.every) repeat_fault(index, from + *spec.every);
  });
}

const FaultSpec* Simulator::meets(FaultKind kind, std::uint64_t connection) {
  const auto& scenario = config_.scenario;
  for (std::uint32_t i = 0; i < scenario.faults.size(); ++i) {
    const FaultSpec& spec = scenario.faults[i];
    if (spec.kind != kind || (spec.connection != 0 && spec.connection != connection)) continue;
    if (!venue_faults_[i].hits(spec, mix(scenario.seed, i), 0, elapsed(), 0)) continue;
    hit(i);
    return &spec;
  }
  return nullptr;
}

Duration Simulator::skew() {
  Duration sum{};
  for (const std::uint32_t i : skews_) {
    FaultState state;
    if (!state.lasts(config_.scenario.faults[i], 0, 0, elapsed(), false, 0)) continue;
    sum += config_.scenario.faults[i].by;
    ++truth_.hits[i];
  }
  return sum;
}

}  // namespace truetape::sim
