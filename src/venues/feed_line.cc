#include "venues/feed_line.h"

#include "net/http_date.h"

namespace truetape::feeds {
namespace {

using Level = FeedEvent::Level;
using State = ConnectionStatus::State;
constexpr Nanoseconds kForEver = Nanoseconds::max();

std::string seconds(Nanoseconds span) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(span).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace

Line::Line(Context& context, std::size_t route, std::string name)
    : context_{context},
      route_{route},
      wake_{context.loop},
      backoff_{context.config.backoff, context.random()},
      refused_backoff_{context.config.refused_backoff, context.random()} {
  status_.name = std::move(name);
  status_.since = context.loop.clock().now();
}

void Line::set_state(State state) {
  if (state == State::live && status_.state != State::live && !status_.trouble.empty())
    context_.tell(Level::info, status_.name, "live again, streams: " + std::to_string(status_.confirmed));
  if (state == State::live || state == State::idle) status_.trouble.clear();
  if (status_.state == state) return;
  status_.state = state;
  status_.since = context_.loop.clock().now();
}

void Line::change(const std::vector<Stream>& add, const std::vector<Stream>& remove) {
  for (const Stream& stream : remove) {
    streams_.erase(stream.name);
    refusals_.forget(stream.name);
  }
  for (const Stream& stream : add) streams_.try_emplace(stream.name, stream);
  status_.streams = streams_.size();
  for (const Ptr& connection : {current_, next_}) {
    if (!connection) continue;
    connection->remove(remove);
    for (const Stream& stream : add) connection->add(stream);
    connection->pump();
  }
  wake_.set();
}

void Line::stop() {
  for (const Ptr& connection : {current_, next_})
    if (connection) connection->finish("stopped");
  wake_.set();
}

net::awaitable<bool> Line::until(std::function<bool()> done, Nanoseconds limit) {
  const net::SteadyTime now = context_.loop.now();
  const net::SteadyTime end = limit > net::SteadyTime::max() - now ? net::SteadyTime::max() : now + limit;
  while (!done()) {
    const Nanoseconds left = end - context_.loop.now();
    if (left <= Nanoseconds::zero()) co_return false;
    wake_.reset();
    co_await wake_.wait_for(end == net::SteadyTime::max() ? kForEver : left);
  }
  co_return true;
}

net::awaitable<void> Line::run() {
  while (!context_.stopping) {
    if (streams_.empty() && !current_) {
      set_state(State::idle);
      co_await until([this] { return context_.stopping || !streams_.empty(); }, kForEver);
      continue;
    }
    Ptr next = co_await connect();
    if (context_.stopping) {
      next_ = next;
      break;
    }
    if (!next) {
      if (current_ && current_->ended()) {
        const Ptr over = std::exchange(current_, nullptr);
        co_await end(over);
      }
      continue;
    }
    co_await take_over(std::move(next));
    if (!current_) continue;
    // Now there is one that carries all.
    co_await until([this] { return context_.stopping || current_->ended() || current_->leaving() || streams_.empty(); },
                   kForEver);
    if (context_.stopping) continue;
    if (current_->leaving() && !current_->ended() && !streams_.empty() && context_.config.overlap) continue;
    current_->finish(streams_.empty() ? "nothing is wanted of it" : "another one takes its place");
    const Ptr over = std::exchange(current_, nullptr);
    co_await until([&over] { return over->ended(); }, kForEver);
    co_await end(over);
  }
  for (const Ptr& connection : {current_, next_}) {
    if (!connection) continue;
    connection->finish("stopped");
    co_await until([&connection] { return connection->ended(); }, kForEver);
  }
  current_ = next_ = nullptr;
  set_state(State::idle);
}

// A connection has ended by itself, or was refused.
net::awaitable<void> Line::end(Ptr connection) {
  if (context_.stopping || streams_.empty()) co_return;
  if (connection->ended_at() - connection->opened_at() >= context_.config.steady_after) backoff_.reset();
  // Who cuts again and again, and sends between, is heard at least half of the time.
  const Nanoseconds worked = connection->worked_for();
  const Nanoseconds at_most = worked >= context_.config.worked_after ? worked : kForEver;
  ++status_.failures;
  const std::string why = connection->why();
  co_await back_off(backoff_, Nanoseconds::zero(), at_most, why, Level::warning);
}

net::awaitable<void> Line::back_off(net::Backoff& backoff, Nanoseconds at_least, Nanoseconds at_most, std::string why,
                                    Level level) {
  Nanoseconds wait = backoff.next();
  if (wait > at_most)
    wait = at_most -
           Nanoseconds{static_cast<std::int64_t>(context_.random() % static_cast<std::uint64_t>(at_most.count() / 2))};
  wait = std::max(wait, at_least);
  context_.tell(level, status_.name, why + "; the next attempt is in " + seconds(wait));
  status_.trouble = context_.masked(std::move(why));
  status_.next_attempt = context_.loop.clock().now() + wait;
  if (!current_) set_state(State::waiting);
  co_await until([this] { return context_.stopping; }, wait);
  status_.next_attempt.reset();
}

// All connections of the feed share what the venue allows of attempts.
net::awaitable<void> Line::wait_for_turn() {
  for (;;) {
    const Nanoseconds wait = context_.attempts.wait(1, context_.loop.now());
    if (wait <= Nanoseconds::zero() || context_.stopping) break;
    co_await until([this] { return context_.stopping; }, wait);
  }
  context_.attempts.spend(1, context_.loop.now());
}

net::awaitable<Line::Ptr> Line::connect() {
  co_await wait_for_turn();
  if (context_.stopping) co_return nullptr;
  if (!current_) set_state(State::connecting);
  for (auto& [name, refusal] : refusals_.streams)
    if (refusal.cuts >= Refusal::kCutsBelieved && context_.loop.now() >= refusal.again)
      refusal.cuts = Refusal::kCutsBelieved - 1;  // this one may ask
  auto connection = std::make_shared<Connection>(context_, status_, route_, refusals_, [this] { wake_.set(); });
  ++status_.connects;
  const Connection::Streams streams = streams_;
  auto opened = co_await connection->open(streams);
  if (opened) {
    // What changed while it was being opened.
    std::vector<Stream> gone;
    for (const auto& [name, stream] : streams)
      if (!streams_.contains(name)) gone.push_back(stream);
    connection->remove(gone);
    for (const auto& [name, stream] : streams_) connection->add(stream);
    connection->pump();
    context_.loop.spawn(Connection::read(connection));
    co_return connection;
  }
  ++status_.failures;
  const net::ConnectError& error = opened.error();
  const std::string what = context_.dialect.advice(error.status);
  Nanoseconds at_least{};
  if (error.status == 429 || error.status == 418) {
    context_.attempts.answered(error.status, error.headers, context_.loop.now(), context_.loop.clock().now());
    at_least = std::max(context_.config.busy_pause, context_.attempts.blocked_until() - context_.loop.now());
  }
  const bool refused = error.retry == Retry::never;
  std::string why = error.detail;
  if (!what.empty()) why += "; " + what;
  net::Backoff& backoff = refused ? refused_backoff_ : backoff_;
  const Level level = refused ? Level::error : Level::warning;
  co_await back_off(backoff, at_least, kForEver, why, level);
  co_return nullptr;
}

// The connections beside it that carry the same: the one before it, and its twin's.
bool Line::is_covered(const Connection& next) const {
  bool others = false;
  const auto since = next.carries_since();
  for (const Ptr& other : {current_, twin_ != nullptr ? twin_->current_ : nullptr}) {
    if (!other || other->ended() || !other->subscribed()) continue;
    others = true;
    const auto reached = other->witness();
    if (!since || !reached || *reached < *since) continue;
    other->say_what_is_new();
    return true;
  }
  return !others || !next.carries();
}

// Make before break. First the new connection carries everything, and what is known to have been received beside it
// reaches as far as it begins: so no evidence is missing between them. Then both go on until the new one has heard of
// every tape that the old one has heard of, since a session proves nothing of a tape from which nothing came.
net::awaitable<void> Line::take_over(Ptr next) {
  next_ = next;
  next->hold_witness(true);
  if (!current_) set_state(State::subscribing);
  const auto broken = [this, &next] { return context_.stopping || next->ended() || streams_.empty(); };
  co_await until([&] { return broken() || next->subscribed(); }, kForEver);
  if (!current_ && !broken()) set_state(State::live);
  // Time moves on with each beat, which wakes nobody.
  const net::SteadyTime covered_by = context_.loop.now() + context_.config.cover_limit;
  while (!broken() && !is_covered(*next) && context_.loop.now() < covered_by)
    co_await until(broken, context_.config.beat / 2);
  next->hold_witness(false);
  if (!broken()) next->say_what_is_new();

  const net::SteadyTime heard_by = context_.loop.now() + context_.config.overlap_limit;
  while (current_ && !current_->ended() && !broken() && !next->leaving() && !next->has_heard_what(*current_) &&
         context_.loop.now() < heard_by)
    co_await until([&] { return broken() || current_->ended(); }, context_.config.beat);
  if (context_.stopping) co_return;
  if (next->ended()) {
    next_ = nullptr;
    co_await end(next);
    if (current_ && current_->ended()) current_ = nullptr;
    co_return;
  }
  const Ptr old = std::exchange(current_, next);
  next_ = nullptr;
  if (old) old->finish("another connection has taken over");
  if (old) co_await until([&old] { return old->ended(); }, kForEver);
  refused_backoff_.reset();
  set_state(State::live);
}

}  // namespace truetape::feeds
