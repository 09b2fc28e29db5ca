#include "venues/feed_connection.h"

#include <algorithm>

#include "venues/feed_rest.h"

namespace truetape::feeds {
namespace {

using Level = FeedEvent::Level;
constexpr Nanoseconds kOffsetStep = std::chrono::milliseconds{1};  // smaller changes of the clocks are noise
constexpr Nanoseconds kDrift = std::chrono::milliseconds{100};     // of our clock between two answers of the venue
constexpr std::int64_t kPingIds = 1'000'000'000;
constexpr std::size_t kNamed = 5;  // streams named in a sentence
// Venue::last_before comes beside the answer to a subscription; of what never traded it does not come.
constexpr Nanoseconds kLastBefore = std::chrono::seconds{5};
constexpr Nanoseconds kOverRefusal = std::chrono::seconds{5};  // closed so soon after it: because of it

net::RateConfig messages_config(const Settings& config) {
  // One of the venue's messages is left free: our pongs to its pings count too, and cannot wait.
  const net::RateWindow second{config.messages_within, std::max(1, config.messages - 1), true, {}};
  return {.windows = {second}};
}

std::string seconds(Nanoseconds span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + " s";
}

std::string some_of(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) out += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kNamed) out += " and " + std::to_string(names.size() - kNamed) + " more";
  return out;
}

}  // namespace

Connection::Connection(Context& context, ConnectionStatus& status, std::size_t route, Refusals& refusals,
                       std::function<void()> changed)
    : context_{context},
      status_{status},
      route_{route},
      refusals_{refusals},
      changed_{std::move(changed)},
      sessions_{context.sink, std::string{context.venue.name}, status.name,
                [&context] { return context.new_session_id(); }},
      messages_{messages_config(context.config)},
      beat_{context.loop},
      send_later_{context.loop} {}

net::awaitable<tl::expected<void, net::ConnectError>> Connection::open(const Streams& streams) {
  for (const auto& [name, stream] : streams) add(stream);
  net::WebSocketRequest request;
  ping_every_ = context_.config.ping_every;
  pong_timeout_ = context_.config.pong_timeout;
  welcomed_ = !context_.config.welcomed;
  if (const auto question = context_.dialect.address_question()) {
    auto address = co_await context_.rest->address(*question);
    if (!address) co_return tl::unexpected{std::move(address.error())};
    request.url = std::move(address->url);
    ping_every_ = address->ping_every.value_or(ping_every_);
    pong_timeout_ = address->pong_timeout.value_or(pong_timeout_);
  } else {
    request.url = context_.config.stream_url + context_.dialect.socket_target(route_, context_.config);
  }
  request.config.idle_timeout = context_.config.idle_timeout;
  request.config.most_message = context_.config.most_message;
  auto socket = co_await net::connect_websocket(context_.connector, std::move(request));
  if (!socket) co_return tl::unexpected{std::move(socket.error())};
  socket_ = std::move(*socket);
  socket_->on_control([this](net::WebSocket::Control kind, std::string_view payload) { heard_control(kind, payload); });
  opened_at_ = context_.loop.now();
  const auto jitter = static_cast<std::uint64_t>(context_.config.life_jitter.count());
  leave_at_ = opened_at_ + context_.config.life +
              Nanoseconds{jitter > 0 ? static_cast<std::int64_t>(context_.random() % jitter) : 0};
  beat_.after(context_.config.beat, [this] { tick(); });
  pump();
  co_return tl::expected<void, net::ConnectError>{};
}

net::awaitable<void> Connection::read(std::shared_ptr<Connection> self) {
  Connection& own = *self;
  for (;;) {
    const net::SteadyTime asked = own.context_.loop.now();
    const auto message = co_await own.socket_->receive();
    if (!message) {
      if (own.why_.empty()) own.why_ = message.error().detail;
      break;
    }
    const Frame frame = own.look_at(*message);
    bool stopped = false;
    // What was waited for a message had been caught up before.
    own.unread_ = std::max(own.unread_ - (own.context_.loop.now() - asked), Nanoseconds::zero());
    while (!frame.unwanted && !own.sessions_.frame(frame.bytes, own.to_, frame.received, frame.tape)) {
      // Not reading is all that is done about it: the venue slows down or cuts us.
      own.status_.blocked = own.blocked_ = true;
      const net::SteadyTime since = own.context_.loop.now();
      co_await own.context_.sink.room();
      own.status_.blocked = own.blocked_ = false;
      own.unread_ += own.context_.loop.now() - since;
      stopped = own.context_.stopping;
      if (stopped) break;
      // Time in which nobody read does not count against the venue.
      if (own.ping_) own.ping_->asked = own.context_.loop.now();
      if (own.request_) own.request_->asked = own.context_.loop.now();
    }
    if (stopped) break;
    own.was_put(frame);
    if (const Nanoseconds most = own.context_.config.slow_loses; most > Nanoseconds::zero() && own.unread_ >= most) {
      own.why_ =
          "it was not read for " + seconds(own.unread_) + ", and the venue drops what a slow client does not take";
      break;
    }
  }
  own.sessions_.close(own.context_.loop.clock().now());
  if (own.request_ && own.request_->again) {
    own.refused_last_ = own.request_->names.front();
    own.refused_at_ = own.context_.loop.now();
  }
  if (const auto over = own.refusals_.streams.find(own.refused_last_);
      over != own.refusals_.streams.end() && !own.finishing_ &&
      own.context_.loop.now() - own.refused_at_ < kOverRefusal) {
    ++over->second.cuts;
    over->second.again = own.context_.loop.now() + own.context_.config.symbols_every;
  }
  own.beat_.cancel();
  own.send_later_.cancel();
  own.socket_->drop();
  own.ended_ = true;
  own.ended_at_ = own.context_.loop.now();
  own.changed_();
}

// ---- what comes

Connection::Frame Connection::look_at(const net::WebSocket::Message& message) {
  const Heard heard = context_.dialect.heard(message.bytes);
  Frame frame{message.bytes, heard.stream, message.receive_time, context_.loop.now()};
  frame.of_none = heard.stream.empty() && !heard.kind;
  if (frame.of_none && !context_.config.secret.empty()) {  // a refusal may name the token
    masked_ = context_.masked(std::string{frame.bytes});
    frame.bytes = masked_;
  }
  update_clock(frame.received, frame.steady);
  to_.clear();
  context_.venue.route(frame.bytes, to_);
  if (heard.stream.empty() && heard.kind) {
    for (const Instrument& instrument : to_)
      if (const auto found = streams_.find(context_.dialect.stream_of(instrument, *heard.kind).name);
          found != streams_.end())
        hear(found->second, frame.bytes);
    frame.tape = !to_.empty() && is_tape(*heard.kind);
  } else if (const auto found = streams_.find(heard.stream); found != streams_.end()) {
    hear(found->second, frame.bytes);
    frame.tape = !to_.empty() && is_tape(found->second.stream.kind);
    frame.unwanted = found->second.stream.shared &&
                     std::ranges::none_of(to_, [this](const Instrument& i) { return context_.wanted.contains(i); });
  }
  return frame;
}

// Where the venue answers no subscriptions, what comes says that there is one.
void Connection::hear(Carried& carried, std::string_view frame) {
  if (std::exchange(carried.heard, true) || !is_tape(carried.stream.kind)) return;
  if (context_.venue.last_before != nullptr) carried.last_before = context_.venue.last_before(frame);
  if (!context_.config.acknowledged) first_heard_.push_back(carried.stream.instrument);
}

void Connection::was_put(const Frame& frame) {
  ++status_.frames;
  status_.bytes += frame.bytes.size();
  status_.last_frame = frame.received;
  look_at_times(frame.bytes, frame.steady);
  if (!first_heard_.empty()) {
    // From this frame on: what was sent before it may have been before the subscription.
    to_carry_.push_back({frame.steady, frame.steady, {}, std::move(first_heard_)});
    first_heard_.clear();
    carry_pending();
  }
  if (!awaited_.empty()) carry_awaited();
  if (frame.of_none || (!frame.stream.empty() && to_.empty()))
    if (const auto reply = context_.dialect.reply(frame.bytes)) was_said(*reply);
}

void Connection::was_said(const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::answer:
      return answered(reply);
    case Reply::Kind::pong:
      if (ping_ && reply.id == ping_->id) pong();
      return;
    case Reply::Kind::welcome:
      if (std::exchange(welcomed_, true)) return;
      return pump();
    case Reply::Kind::notice:
      return set_leaving("the venue is about to close this connection");
    case Reply::Kind::refusal:
      return fail("the venue refuses this connection: " + reply.error.value_or("no reason given"));
    case Reply::Kind::remark:
      context_.tell(Level::warning, status_.name, "the venue says: " + reply.error.value_or("no reason given"));
  }
}

void Connection::look_at_times(std::string_view frame, net::SteadyTime steady) {
  const auto sent = context_.venue.sent_time(frame);
  if (!sent) return;
  const auto venue_now = context_.clock.at(steady);
  context_.clock.heard(*sent, steady);
  // A time beyond what the venue's clock can show is damage: it proves nothing.
  if (!venue_now || *sent > *venue_now + context_.clock.error() + kDrift) return;
  if (!newest_ || *sent > *newest_) {
    newest_ = *sent;
    sessions_.witness(*sent - context_.config.witness_lag);
  }
}

void Connection::update_clock(Timestamp now, net::SteadyTime steady) {
  const auto offset = context_.clock.offset(now, steady);
  if (!offset) return;
  if (offset_ && *offset - *offset_ < kOffsetStep && *offset_ - *offset < kOffsetStep) return;
  offset_ = offset;
  sessions_.set_clock(*offset, context_.clock.error());
}

// ---- what is asked for

void Connection::add(const Stream& stream) {
  if (!streams_.try_emplace(stream.name, Carried{stream}).second) return;
  if (const auto found = refusals_.streams.find(stream.name); found != refusals_.streams.end() && !found->second.given)
    return;
  to_add_.insert(stream.name);
  subscribed_ = false;
}

void Connection::remove(const std::vector<Stream>& streams) {
  std::vector<Instrument> of_tape;
  for (const Stream& stream : streams) {
    if (is_tape(stream.kind)) of_tape.push_back(stream.instrument);
    std::erase_if(awaited_, [&](const Awaited& waiting) { return waiting.name == stream.name; });
    const bool never_asked = to_add_.erase(stream.name) > 0;
    if (streams_.erase(stream.name) > 0 && !never_asked) to_remove_.insert(stream.name);
  }
  for (ToCarry& waiting : to_carry_)
    for (auto* instruments : {&waiting.heard, &waiting.silent})
      std::erase_if(*instruments, [&](const Instrument& i) { return std::ranges::find(of_tape, i) != of_tape.end(); });
  // Before the venue hears of it: from then on nothing more is proved of them.
  sessions_.drop(of_tape, context_.loop.clock().now());
}

void Connection::pump() {
  send_next();
  settle();
}

void Connection::send_next() {
  if (!socket_ || !welcomed_ || request_ || finishing_ || ended_) return;
  std::erase_if(refusals_.suspects, [](const auto& names) { return names.empty(); });
  const net::SteadyTime now = context_.loop.now();
  const bool usual = !to_remove_.empty() || !to_add_.empty() || !refusals_.suspects.empty();
  std::string again = usual ? std::string{} : refused_before(now);
  if (!usual && again.empty()) return;
  if (const Nanoseconds wait = messages_.wait(1, now); wait > Nanoseconds::zero()) {
    send_later_.after(wait, [this] { pump(); });
    return;
  }
  Request request{++requests_, to_remove_.empty(), {}, now, now, !usual};
  std::set<std::string>& from = request.subscribe ? to_add_ : to_remove_;
  if (!usual) {
    request.names.push_back(std::move(again));
  } else if (from.empty()) {
    request.names = std::move(refusals_.suspects.front());
    refusals_.suspects.pop_front();
  } else {
    // What was refused together with others is asked for apart from the rest.
    if (request.subscribe)
      for (const auto& names : refusals_.suspects)
        for (const std::string& name : names) to_add_.erase(name);
    if (from.empty()) return send_next();
    const std::vector<std::string> all{from.begin(), from.end()};
    request.names.assign(
        all.begin(), all.begin() + static_cast<std::ptrdiff_t>(context_.dialect.batch(all, context_.config.limits)));
    for (const std::string& name : request.names) from.erase(name);
  }
  messages_.spend(1, now);
  socket_->send(context_.dialect.subscribe_message(request.subscribe, request.names, request.id));
  if (context_.config.acknowledged) {
    request_ = std::move(request);
    return;
  }
  unanswered(request);
  send_next();
}

std::string Connection::refused_before(net::SteadyTime now) const {
  // An answer without an id could be another request's once this one is given up: the connection would have to end for
  // it. So it is asked for before anything depends on the connection, or not at all.
  if (!context_.config.answers_have_ids && subscribed_once_) return {};
  for (const auto& [name, refusal] : refusals_.streams) {
    const auto found = streams_.find(name);
    if (found == streams_.end() || found->second.confirmed || to_remove_.contains(name)) continue;
    if (refusal.cuts >= Refusal::kCutsBelieved && !refusal.given) continue;
    if (refusal.given || now >= refusal.again) return name;
  }
  return {};
}

void Connection::put_off(const std::string& name) {
  const auto found = refusals_.streams.find(name);
  if (found == refusals_.streams.end()) return;
  found->second.given = false;
  found->second.again = context_.loop.now() + found->second.backoff.next();
}

// Where no answer comes. What the venue does not carry stays silent, which is told.
void Connection::unanswered(const Request& request) {
  if (!request.subscribe) return;
  for (const std::string& name : request.names)
    if (const auto found = streams_.find(name); found != streams_.end()) found->second.confirmed = true;
  look_for_silence_at_ = context_.loop.now() + context_.config.silent_after;
}

void Connection::answered(const Reply& reply) {
  // Without an id it can only be about the one request that waits.
  const bool named = reply.id.has_value() || reply.error.has_value() || !context_.config.answers_have_ids;
  if (!request_ || (reply.id && *reply.id != request_->id) || !named) {
    context_.tell(Level::warning, status_.name,
                  "the venue answered a request that was not made" +
                      (reply.id ? " (id " + std::to_string(*reply.id) + ")" : std::string{}) +
                      (reply.error ? ": " + *reply.error : std::string{}) + "; the answer is not believed");
    return;
  }
  const Request request = std::move(*request_);
  request_.reset();
  if (!reply.error)
    confirmed(request);
  else if (request.subscribe)
    refused(request, *reply.error);
  else
    context_.tell(Level::warning, status_.name,
                  "the venue refused to end " + some_of(request.names) + ": " + *reply.error +
                      "; what still comes of it is kept");
  pump();
}

void Connection::confirmed(const Request& request) {
  if (!request.subscribe) return;
  const net::SteadyTime now = context_.loop.now();
  ToCarry tapes{request.sent, now, {}, {}};
  for (const std::string& name : request.names) {
    const auto found = streams_.find(name);
    if (found == streams_.end()) {  // no longer wanted meanwhile
      to_remove_.insert(name);
      continue;
    }
    if (to_remove_.contains(name)) continue;  // and wanted again: it is ended first, and asked for anew
    Carried& carried = found->second;
    carried.confirmed = true;
    if (const auto refusal = refusals_.streams.find(name);
        refusal != refusals_.streams.end() && !std::exchange(refusal->second.given, true)) {
      refusal->second.backoff.reset();
      refusal->second.cuts = 0;
      context_.tell(Level::info, status_.name, "the venue gives the stream " + name + " now, which it had refused");
    }
    if (!is_tape(carried.stream.kind)) continue;
    if (context_.venue.last_before != nullptr && !carried.heard)
      awaited_.push_back({name, request.sent, now});
    else
      (carried.heard ? tapes.heard : tapes.silent).push_back(carried.stream.instrument);
  }
  look_for_silence_at_ = now + context_.config.silent_after;
  if (!tapes.heard.empty() || !tapes.silent.empty()) to_carry_.push_back(std::move(tapes));
  carry_pending();
}

// They are carried from the last trade before the subscription on, which may come behind the answer.
void Connection::carry_awaited() {
  const net::SteadyTime now = context_.loop.now();
  for (Awaited& waiting : std::exchange(awaited_, {})) {
    const auto found = streams_.find(waiting.name);
    if (found == streams_.end()) continue;  // no longer wanted meanwhile
    const bool heard = found->second.heard;
    if (!heard && now - waiting.confirmed < kLastBefore) {
      awaited_.push_back(std::move(waiting));
      continue;
    }
    ToCarry tape{waiting.sent, waiting.confirmed, {}, {}};
    (heard ? tape.heard : tape.silent).push_back(found->second.stream.instrument);
    to_carry_.push_back(std::move(tape));
  }
  carry_pending();
}

std::optional<Timestamp> Connection::last_before(const Instrument& instrument) const {
  const StreamKind kind = context_.config.tape == Tape::trade ? StreamKind::trade : StreamKind::agg;
  const auto found = streams_.find(context_.dialect.stream_of(instrument, kind).name);
  return found == streams_.end() ? std::nullopt : found->second.last_before;
}

// The subscription held when the answer came, at the latest; what the venue sends later comes here. Of an instrument of
// which a frame came before the answer, all that followed that frame came too, so there its beginning may be told by
// when it was asked for: it is before the frame, and the frame's id tells what is missing before it.
void Connection::carry_pending() {
  if (to_carry_.empty() || !context_.clock.known()) return;
  update_clock(context_.loop.clock().now(), context_.loop.now());
  const Nanoseconds error = context_.clock.error();
  for (const ToCarry& tapes : std::exchange(to_carry_, {})) {
    const Timestamp since = *context_.clock.at(tapes.confirmed) + error;
    // Where ids prove nothing, the frame says nothing of what was before it.
    const bool ids = context_.venue.trade_ids == TradeIds::contiguous;
    if (!ids) sessions_.carry(tapes.heard, since);
    for (const Instrument& instrument : tapes.heard) {
      if (!ids) break;
      const Timestamp asked = *context_.clock.at(tapes.sent) - error;
      sessions_.carry({&instrument, 1}, std::min(asked, last_before(instrument).value_or(asked)));
    }
    sessions_.carry(tapes.silent, since);
    if (context_.carried_anew) {
      for (const auto* carried : {&tapes.heard, &tapes.silent})
        context_.new_carried.insert(carried->begin(), carried->end());
      context_.carried_anew();
    }
    carries_since_ = std::max(carries_since_.value_or(since), since);
  }
  say_what_is_new();
}

bool Connection::carries() const {
  return std::ranges::any_of(streams_, [this](const auto& entry) { return is_tape(entry.second.stream.kind); });
}

bool Connection::has_heard_what(const Connection& other) const {
  return std::ranges::all_of(other.streams_, [this](const auto& entry) {
    if (!entry.second.heard || !is_tape(entry.second.stream.kind)) return true;
    const auto own = streams_.find(entry.first);
    return own == streams_.end() || own->second.heard;
  });
}

void Connection::say_what_is_new() {
  status_.witness = sessions_.witness();
  sessions_.beat(context_.loop.clock().now());
}

void Connection::refused(const Request& request, const std::string& error) {
  if (request.names.size() == 1) {
    const std::string& name = request.names.front();
    if (!streams_.contains(name)) return;  // no longer wanted meanwhile
    const auto [found, first] =
        refusals_.streams.try_emplace(name, Refusal{net::Backoff{context_.config.stream_backoff, context_.random()}});
    const bool known = !first && !found->second.given;
    put_off(name);
    refused_last_ = name;
    refused_at_ = context_.loop.now();
    if (!known)
      context_.tell(
          Level::error, status_.name,
          "the venue refuses the stream " + name + ": " + error +
              "; check the symbol's spelling and whether the venue still offers it; it is asked for again later");
    return;
  }
  // Each half by itself, until it is known which one is meant; also by the next connection, if this one is closed now.
  const auto middle = request.names.begin() + static_cast<std::ptrdiff_t>(request.names.size() / 2);
  refusals_.suspects.emplace_back(request.names.begin(), middle);
  refusals_.suspects.emplace_back(middle, request.names.end());
  context_.tell(Level::info, status_.name,
                "the venue refused " + std::to_string(request.names.size()) + " streams together (" + error +
                    "); they are asked for in halves");
}

void Connection::settle() {
  status_.streams = streams_.size();
  status_.confirmed = 0;
  for (const auto& [name, carried] : streams_) status_.confirmed += carried.confirmed ? 1 : 0;
  const bool beside = context_.config.answers_have_ids;  // what was refused before is asked for beside all else
  const bool asked = beside ? !request_ || request_->again : !request_ && refused_before(context_.loop.now()).empty();
  const bool all = asked && to_add_.empty() && to_remove_.empty() && refusals_.suspects.empty();
  if (all == subscribed_) return;
  subscribed_ = all;
  subscribed_once_ = subscribed_once_ || all;
  subscribed_at_ = context_.loop.now();
  changed_();
}

// ---- time

void Connection::tick() {
  const net::SteadyTime now = context_.loop.now();
  beat_.after(context_.config.beat, [this] { tick(); });
  update_clock(context_.loop.clock().now(), now);
  carry_awaited();
  if (!blocked_) {
    if (!welcomed_ && now - opened_at_ >= context_.config.welcome_timeout)
      return fail("no welcome within " + seconds(context_.config.welcome_timeout));
    const bool unanswered = request_ && now - request_->asked >= context_.config.ack_timeout;
    if (unanswered && request_->again && context_.config.answers_have_ids) {
      put_off(request_->names.front());  // the others do not suffer for it
      request_.reset();
      pump();
    } else if (unanswered)
      return fail("no answer to a subscription of " + some_of(request_->names) + " within " +
                  seconds(context_.config.ack_timeout));
    if (ping_ && now - ping_->asked >= pong_timeout_) {
      if (pongs_) return fail("no answer to a ping within " + seconds(pong_timeout_) + ": the connection is half open");
      ping_.reset();
      if (!std::exchange(ping_again_, now + context_.config.ping_again))
        context_.tell(Level::info, status_.name, "the venue does not answer pings: quiet symbols prove less");
    }
    ping();
    if (!request_ && !refused_before(now).empty()) pump();
  }
  say_what_is_new();
  tell_of_silence(now);
  if (now >= leave_at_) set_leaving("it is near the age at which the venue cuts it");
}

// Where frames tell no time of their own for a while, an answered ping proves that all before it has come. One is sent
// in any case: a busy connection that becomes half open is noticed soon only if pings are known to be answered.
void Connection::ping() {
  const net::SteadyTime now = context_.loop.now();
  const auto venue_now = context_.clock.at(now);
  const bool told_the_time = newest_ && venue_now && *newest_ + context_.config.beat > *venue_now;
  const bool due = ping_every_ > Nanoseconds::zero() && (!pinged_at_ || now - *pinged_at_ >= ping_every_);
  if (!welcomed_ || ping_) return;
  if (!due && pinged_at_ && now - *pinged_at_ < context_.config.ping_spacing) return;
  if (!due && ((ping_again_ && now < *ping_again_) || (pongs_ && told_the_time))) return;
  if (messages_.wait(1, now) > Nanoseconds::zero()) return;
  messages_.spend(1, now);
  ++pings_;
  pinged_at_ = now;
  // Their ids are apart from those of subscriptions.
  ping_ = Ping{"truetape " + std::to_string(pings_), kPingIds + pings_, now, now};
  if (auto message = context_.dialect.ping_message(ping_->id)) {
    socket_->send(std::move(*message));
  } else {
    socket_->ping(ping_->payload);
  }
}

void Connection::heard_control(net::WebSocket::Control kind, std::string_view payload) {
  const net::SteadyTime now = context_.loop.now();
  if (kind == net::WebSocket::Control::ping) return messages_.spend(1, now);  // our pong counts
  if (ping_ && payload == ping_->payload) pong();
}

void Connection::pong() {
  const net::SteadyTime now = context_.loop.now();
  pongs_ = true;
  ping_again_.reset();
  status_.round_trip = now - ping_->sent;
  if (const auto sent = context_.clock.at(ping_->sent))
    sessions_.witness(*sent - context_.clock.error() - context_.config.witness_lag);
  ping_.reset();
  say_what_is_new();
}

void Connection::tell_of_silence(net::SteadyTime now) {
  if (!look_for_silence_at_ || now < *look_for_silence_at_) return;
  look_for_silence_at_.reset();
  struct Seen {
    std::size_t heard = 0, streams = 0;
    std::vector<std::string> silent;
  };
  std::map<StreamKind, Seen> kinds;
  for (auto& [name, carried] : streams_) {
    if (!carried.confirmed || carried.stream.kind == StreamKind::news) continue;  // headlines are seldom
    Seen& seen = kinds[carried.stream.kind];
    ++seen.streams;
    if (carried.heard) ++seen.heard;
    if (carried.heard || std::exchange(carried.told, true)) continue;
    seen.silent.push_back(name);
  }
  for (auto& [kind, seen] : kinds) {
    if (seen.silent.empty()) continue;
    std::ranges::sort(seen.silent);
    if (seen.heard == 0) {
      context_.tell(Level::warning, status_.name,
                    "none of " + std::to_string(seen.streams) + " streams " +
                        std::string{context_.dialect.kind_name(kind)} + " has sent anything in the " +
                        seconds(context_.config.silent_after) + " since " +
                        (context_.config.acknowledged ? "the venue confirmed them at " : "they were asked for at ") +
                        context_.dialect.socket_place(route_) +
                        ": they may be quiet, but a stream that the venue does not have there is confirmed and silent "
                        "too; check the symbols and stream_url (" +
                        some_of(seen.silent) + ")");
    } else {
      context_.tell(Level::info, status_.name,
                    "nothing yet of " + some_of(seen.silent) + ": quiet, or a symbol that the venue does not have");
    }
  }
}

// ---- the end

void Connection::set_leaving(const std::string& why) {
  if (leaving_ || finishing_) return;
  leaving_ = true;
  context_.tell(Level::info, status_.name, why + ": another one takes over first");
  changed_();
}

void Connection::fail(std::string why) {
  why_ = std::move(why);
  socket_->drop();
}

void Connection::finish(std::string why) {
  if (finishing_ || ended_) return;
  finishing_ = true;
  why_ = std::move(why);
  socket_->close(1000, "done", true);
}

}  // namespace truetape::feeds
