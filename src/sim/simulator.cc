#include "sim/simulator.h"

#include <algorithm>
#include <array>
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

// Comes by itself at its times, not with a message.
bool comes_by_time(const FaultSpec& fault) {
  switch (fault.kind) {
    case FaultKind::cut:
    case FaultKind::half_open:
    case FaultKind::shutdown:
    case FaultKind::oversize:
    case FaultKind::ping_flood:
      return fault.at && !fault.after && fault.rate == 0;
    default:
      return false;
  }
}
// Meets messages of streams.
bool meets_messages(const FaultSpec& fault) {
  switch (fault.kind) {
    case FaultKind::ack:
    case FaultKind::skew:
    case FaultKind::refuse:
    case FaultKind::lag:
      return false;
    default:
      return !comes_by_time(fault);
  }
}

}  // namespace

Simulator::Simulator(net::Loop& loop, SimulatorConfig config, std::unique_ptr<Tape> tape)
    : loop_{loop},
      config_{std::move(config)},
      tape_{std::move(tape)},
      market_{tape_->product(), tape_->listings(), config_.keep},
      rest_{market_, config_.scenario.limits},
      begin_{config_.begin.value_or(tape_->begin())},
      ratchet_{begin_},
      contact_{loop},
      subscriber_{loop},
      wake_{loop},
      fans_(market_.size()),
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
    trades_ = "symbol,tape,id,first_id,last_id,time_us,told_us,price,quantity,buyer_is_maker,kind\n";
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
  std::visit([&](const auto& what) { play(event.instrument, what); }, event.what);
}

void Simulator::play(std::uint32_t instrument, const Print& print) {
  const auto made = market_.publish(instrument, print);
  const Listing& listing = market_.listing(instrument);
  if (trades_file_) log_trade(instrument, print);
  const Fans& fans = fans_[instrument];
  if (fans.trade != nullptr)
    send(*fans.trade, print.id, print.id,
         [&](std::string& out, const Dialect& dialect) { append_trade(out, dialect, listing, print); });
  if (made && fans.aggregate != nullptr)
    send(*fans.aggregate, made->id, made->id,
         [&](std::string& out, const Dialect& dialect) { append_aggregate(out, dialect, listing, *made); });
}

void Simulator::play(std::uint32_t instrument, const Aggregate& aggregate) {
  market_.publish(instrument, aggregate);
  const Listing& listing = market_.listing(instrument);
  if (trades_file_) log_trade(instrument, aggregate);
  if (const Fans& fans = fans_[instrument]; fans.aggregate != nullptr)
    send(*fans.aggregate, aggregate.id, aggregate.id,
         [&](std::string& out, const Dialect& dialect) { append_aggregate(out, dialect, listing, aggregate); });
}

void Simulator::play(std::uint32_t instrument, const Quote& quote) {
  market_.publish(instrument, quote);
  const Listing& listing = market_.listing(instrument);
  if (const Fans& fans = fans_[instrument]; fans.quote != nullptr)
    send(*fans.quote, 0, 0,
         [&](std::string& out, const Dialect& dialect) { append_quote(out, dialect, listing, quote); });
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
          std::ranges::none_of(wire->logs, [&](const auto& log) { return matches(spec.streams, log.first); }))
        continue;
      ++truth_.hits[index];
      wire->strike(static_cast<std::uint32_t>(index));
    }
    if (spec.every) repeat_fault(index, from + *spec.every);
  });
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

Dialect Simulator::dialect(bool microseconds) {
  return {.product = market_.product(),
          .microseconds = microseconds,
          .newer_fields = config_.newer_fields,
          .skew = skews_.empty() ? Duration{} : skew()};
}

// ---- streams

template <class Write>
void Simulator::send(Topic& topic, std::uint64_t first, std::uint64_t last, const Write& write) {
  std::array<std::shared_ptr<const std::string>, 4> made;
  for (const Subscriber& subscriber : topic.subscribers) {
    const bool combined = subscriber.wire->combined(), microseconds = subscriber.wire->microseconds();
    auto& bytes = made[(combined ? 2u : 0u) + (microseconds ? 1u : 0u)];
    if (!bytes) {
      std::string out;
      out.reserve(256);
      if (combined) {
        out += "{\"stream\":\"";
        out += topic.name;
        out += "\",\"data\":";
      }
      write(out, dialect(microseconds));
      if (combined) out += '}';
      bytes = std::make_shared<const std::string>(std::move(out));
    }
    subscriber.wire->deliver(subscriber, first, last, bytes);
  }
}

Topic* Simulator::topic(const std::string& name) {
  if (const auto found = topics_.find(name); found != topics_.end()) return found->second.get();
  const auto stream = parse_stream(name, market_);
  if (!stream || stream->kind == StreamKind::silent) return nullptr;
  Topic* made =
      topics_.emplace(name, std::make_unique<Topic>(Topic{.name = name, .stream = *stream})).first->second.get();
  if (stream->kind == StreamKind::trade) fans_[stream->instrument].trade = made;
  if (stream->kind == StreamKind::aggregate) fans_[stream->instrument].aggregate = made;
  if (stream->kind == StreamKind::quote) fans_[stream->instrument].quote = made;
  return made;
}

void Simulator::subscribe(Wire& wire, const std::string& name) {
  auto& log = wire.logs[name];
  if (log == nullptr) {
    log = &wire.log().streams.emplace_back();
    log->name = name;
  }
  log->subscribed.emplace_back(now(), std::nullopt);
  Topic* const wanted = topic(name);
  if (wanted == nullptr || !served(wanted->stream, wire.route())) {  // acked, and silent
    subscriber_.set();                                               // but the tape begins
    return;
  }
  Subscriber subscriber{.wire = &wire, .log = log, .faults = {}};
  const auto& faults = config_.scenario.faults;
  for (std::uint32_t i = 0; i < faults.size(); ++i)
    if (meets_messages(faults[i]) && matches(faults[i].streams, name) &&
        (faults[i].connection == 0 || faults[i].connection == wire.number()))
      subscriber.faults.push_back(i);
  wanted->subscribers.push_back(std::move(subscriber));
  somebody_subscribed();
  if (const Duration every = tick_every(*wanted); every != Duration{} && !wanted->ticking) {
    wanted->ticking = true;
    tick(*wanted);
  }
}

void Simulator::unsubscribe(Wire& wire, const std::string& name) {
  if (const auto log = wire.logs.find(name); log != wire.logs.end() && !log->second->subscribed.empty())
    log->second->subscribed.back().second = now();
  const auto found = topics_.find(name);
  if (found == topics_.end()) return;
  const auto gone =
      std::erase_if(found->second->subscribers, [&](const Subscriber& subscriber) { return subscriber.wire == &wire; });
  subscriptions_ -= gone;
  if (subscriptions_ == 0 && !stopping_) subscriber_.reset();
}

Duration Simulator::tick_every(const Topic& topic) const {
  using namespace std::chrono_literals;
  const bool spot = market_.product() == Product::spot;
  switch (topic.stream.kind) {
    case StreamKind::kline:
      return spot ? topic.stream.interval->length == 1s ? 1s : 2s : Duration{250ms};
    case StreamKind::ticker:
    case StreamKind::mini_ticker:
      return spot ? 1s : 2s;
    case StreamKind::all_tickers:
    case StreamKind::all_mini_tickers:
      return 1s;
    case StreamKind::all_quotes:
      return 5s;
    default:
      return {};
  }
}

void Simulator::push_kline(Topic& topic, const Bar& bar, bool closed) {
  const Listing& listing = market_.listing(topic.stream.instrument);
  send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
    append_kline(out, dialect, listing, *topic.stream.interval, bar, closed, now());
  });
}

void Simulator::tick(Topic& topic) {
  if (topic.subscribers.empty()) {
    topic.ticking = false;
    topic.sent.reset();
    return;
  }
  const Duration every = tick_every(topic);
  const Time time = now();
  const std::uint32_t instrument = topic.stream.instrument;
  const auto ticker = [&](std::string& out, const Dialect& dialect, std::uint32_t of, bool mini) {
    const auto [day, before] = market_.day(of, time);
    append_ticker(out, dialect, market_.listing(of), day, before, market_, of, time, mini);
  };
  switch (topic.stream.kind) {
    case StreamKind::kline: {
      const BarInterval& interval = *topic.stream.interval;
      const Time current = bar_start(time, interval);
      while (topic.sent && topic.sent->start < current) {
        const Time start = topic.sent->start;
        const auto over = market_.bars(instrument, interval, start, start + Duration{1}, time, 1, false);
        if (!over.empty()) push_kline(topic, over.front(), true);
        topic.sent->start = next_bar(start, interval);
        topic.sent->trades = 0;
      }
      if (const auto bar = market_.bar_at(instrument, interval, time)) {
        if (bar->trades != 0 && (!topic.sent || topic.sent->trades != bar->trades)) push_kline(topic, *bar, false);
        topic.sent = *bar;
      }
      break;
    }
    case StreamKind::ticker:
    case StreamKind::mini_ticker:
      if (market_.last(instrument))
        send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
          ticker(out, dialect, instrument, topic.stream.kind == StreamKind::mini_ticker);
        });
      break;
    case StreamKind::all_tickers:
    case StreamKind::all_mini_tickers:
      send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
        out += '[';
        for (std::uint32_t i = 0; i < market_.size(); ++i) {
          const auto& last = market_.last(i);
          if (!last || last->told <= time - every) continue;  // only those that changed
          if (out.back() == '}') out += ',';
          ticker(out, dialect, i, topic.stream.kind == StreamKind::all_mini_tickers);
        }
        if (dialect.product == Product::usdm && dialect.newer_fields) {
          if (out.back() == '}') out += ',';
          append_coin_row(out, dialect, time, topic.stream.kind == StreamKind::all_mini_tickers);
        }
        out += ']';
      });
      break;
    case StreamKind::all_quotes:
      for (std::uint32_t i = 0; i < market_.size(); ++i)
        if (const auto& quote = market_.quote(i))
          send(topic, 0, 0, [&](std::string& out, const Dialect& dialect) {
            append_quote(out, dialect, market_.listing(i), *quote);
          });
      break;
    default:
      break;
  }
  // At whole multiples, whenever it was subscribed.
  const Time next{(time.time_since_epoch() / every + 1) * every};
  at(next, [this, &topic] { tick(topic); });
}

}  // namespace truetape::sim
