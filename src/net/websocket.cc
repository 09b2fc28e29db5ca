#include "net/websocket.h"

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/websocket/error.hpp>

#include "net/websocket_impl.h"

namespace truetape::net {
namespace {

namespace websocket = beast::websocket;
using By = WebSocketEnd::By;
constexpr Nanoseconds kControlWindow = std::chrono::seconds{10};
constexpr std::size_t kLongestReason = 123;  // RFC 6455 5.5: 125 bytes less the code

SteadyTime later(SteadyTime from, Nanoseconds by) {
  return by <= Nanoseconds::zero() || by > SteadyTime::max() - from ? SteadyTime::max() : from + by;
}

std::string seconds(Nanoseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count()) + " s";
}

}  // namespace

WebSocket::Impl::Impl(Loop& l, std::shared_ptr<Channel> c, WebSocketConfig conf, std::string who)
    : loop{l},
      config{conf},
      peer{std::move(who)},
      channel{std::move(c)},
      stream{*channel},
      ended{l},
      drained{l},
      timer{l} {
  stream.read_message_max(config.most_message);
  stream.auto_fragment(false);
  if (config.compress) {
    websocket::permessage_deflate deflate;
    deflate.client_enable = deflate.server_enable = true;
    stream.set_option(deflate);
  }
  stream.control_callback([this](websocket::frame_type kind, beast::string_view payload) {
    heard_control(kind, {payload.data(), payload.size()});
  });
}

void WebSocket::Impl::start() {
  channel->gather(loop);
  last_heard = controls_since = loop.now();
  next_ping = later(loop.now(), config.ping_every);
  tick();
}

tl::unexpected<Error> WebSocket::Impl::error() const {
  const std::string code = std::to_string(end->code);
  const std::string reason = end->reason.empty() ? std::string{} : ", " + end->reason;
  std::string what;
  switch (end->by) {
    case By::peer:
      what = "closed by the other side (" + code + reason + "); connect again";
      break;
    case By::us:
      what = "closed by us (" + code + reason + ")";
      break;
    case By::limit:
      what = "given up (" + code + reason + "); connect again";
      break;
    case By::network:
      what = "connection lost (" + code + reason + "); connect again";
      break;
  }
  return failure(Fault::unavailable, Retry::reconnect, peer + ": " + what);
}

// ---- receiving

awaitable<Result<WebSocket::Message>> WebSocket::Impl::receive(std::shared_ptr<Impl> self) {
  self->buffer.consume(self->buffer.size());
  if (self->end) co_return self->error();
  // Time in which nobody received does not count against the peer.
  self->reading = true;
  self->last_heard = self->loop.now();
  if (self->ping_out) self->ping_out->second += self->last_heard - std::max(self->read_until, self->ping_out->second);
  self->tick();
  do {
    const auto [ec, bytes] = co_await self->stream.async_read_some(self->buffer, 0, kTuple);
    if (ec) {
      self->stop_reading();
      self->read_failed(ec);
      co_return self->error();
    }
    self->last_heard = self->loop.now();
  } while (!self->stream.is_message_done());
  Message message;
  message.receive_time = self->loop.clock().now();
  self->stop_reading();
  if (self->end) co_return self->error();  // dropped while the last bytes were on their way
  const auto data = self->buffer.data();
  message.bytes = {static_cast<const char*>(data.data()), data.size()};
  message.binary = self->stream.got_binary();
  ++self->stats.received;
  self->stats.received_bytes += data.size();
  co_return message;
}

void WebSocket::Impl::stop_reading() {
  reading = false;
  read_until = loop.now();
}

void WebSocket::Impl::read_failed(error_code ec) {
  if (end) return;
  WebSocketEnd why;
  if (ec == websocket::error::closed) {
    why.clean = true;
    if (closing) {
      why.by = closing->by;
      why.code = closing->code;
      why.reason = closing->reason;
    } else {
      const websocket::close_reason& told = stream.reason();
      why.by = By::peer;
      why.code = told.code == websocket::close_code::none ? std::uint16_t{1005} : static_cast<std::uint16_t>(told.code);
      why.reason.assign(told.reason.data(), told.reason.size());
    }
  } else if (closing) {  // it went while the handshake was under way
    why.by = closing->by;
    why.code = closing->code;
    why.reason = closing->reason;
  } else if (ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow) {
    why.by = By::limit;
    why.code = 1009;
    why.reason = "a message of more than " + std::to_string(config.most_message) + " bytes";
  } else if (ec == websocket::condition::protocol_violation) {
    why.by = By::limit;
    why.code = ec == websocket::error::bad_frame_payload ? std::uint16_t{1007} : std::uint16_t{1002};
    why.reason = "the other side broke the protocol: " + ec.message();
  } else if (ec == asio::error::eof || ec == ssl::error::stream_truncated) {
    why.by = By::peer;
    why.reason = "the stream ended without a close frame";
  } else {
    why.by = By::network;
    why.reason = ec.message();
  }
  finish_with(std::move(why));
}

void WebSocket::Impl::heard_control(websocket::frame_type kind, std::string_view payload) {
  const SteadyTime now = loop.now();
  last_heard = now;
  if (kind == websocket::frame_type::close) {  // the answer to it, and the end of the stream, within the limit
    close_limit = std::min(close_limit, later(now, config.close_timeout));
    watch(close_limit);
    return;
  }
  const bool is_ping = kind == websocket::frame_type::ping;
  if (is_ping) ++stats.pings_received;
  if (on_control && !end) {
    const auto call = on_control;  // it may set another
    call(is_ping ? Control::ping : Control::pong, payload);
    if (end) return;
  }
  if (kind == websocket::frame_type::pong && ping_out && payload == ping_out->first) {
    stats.round_trip = now - ping_out->second;
    ping_out.reset();
    next_ping = later(now, config.ping_every);
    watch(next_ping);
    return;
  }
  if (now - controls_since >= kControlWindow) {
    controls_since = now;
    controls = 0;
  }
  if (++controls > config.most_controls && config.most_controls > 0)
    // At once: a close handshake would have to read the rest of the flood.
    finish_with({.by = By::limit,
                 .code = 1006,
                 .reason = "more than " + std::to_string(config.most_controls) + " pings in 10 s",
                 .clean = false});
}

// ---- sending

bool WebSocket::Impl::send(std::shared_ptr<const std::string> bytes, bool binary) {
  if (end || closing || write_broken) return false;
  // One message is taken even if it is larger than the whole queue may be, else it could never be sent.
  if (!queue.empty() && queued + bytes->size() > config.most_queued) {
    ++stats.refused;
    return false;
  }
  queued += bytes->size();
  queue.push_back({std::move(bytes), binary});
  drained.reset();
  next_write();
  if (!slow && queued >= config.slow_queued) {
    slow = true;
    if (on_slow) {
      const auto call = on_slow;  // it may set another
      call();
    }
  }
  return true;
}

void WebSocket::Impl::next_write() {
  if (writing != Writing::nothing || end || write_broken) return;
  const auto done = [self = shared_from_this()](error_code ec, std::size_t = 0) { self->wrote(ec); };
  write_began = loop.now();
  channel->more(false);
  if (closing && queue.empty()) {
    writing = Writing::close;
    websocket::close_reason reason{static_cast<websocket::close_code>(closing->code)};
    if (closing->code == 1005)
      reason = websocket::close_reason{websocket::close_code::none};
    else
      reason.reason.assign(closing->reason.data(), closing->reason.size());
    stream.async_close(reason, done);
    return;
  }
  if (!asked_pings.empty() && !closing) {
    writing = Writing::ping;
    const std::string payload = std::move(asked_pings.front());
    asked_pings.pop_front();
    ++stats.pings_sent;
    stream.async_ping(websocket::ping_data{payload.data(), payload.size()}, done);
  } else if (ping_due && !closing) {
    ping_due = false;
    writing = Writing::ping;
    ping_out.emplace(std::to_string(++pings), write_began);
    ++stats.pings_sent;
    stream.async_ping(websocket::ping_data{ping_out->first.data(), ping_out->first.size()}, done);
  } else if (!queue.empty()) {
    writing = Writing::message;
    channel->more(queue.size() > 1);
    stream.binary(queue.front().binary);
    stream.async_write(asio::buffer(*queue.front().bytes), done);
  } else {
    return;
  }
  watch(later(write_began, config.write_timeout));
}

void WebSocket::Impl::wrote(error_code ec) {
  const Writing what = std::exchange(writing, Writing::nothing);
  if (what == Writing::close) {
    if (!end) read_failed(ec ? ec : make_error_code(websocket::error::closed));
    return;
  }
  if (end) return;
  if (ec) {
    // Whoever reads may still find the peer's close frame, and so the reason.
    write_broken = true;
    if (reading) {
      close_limit = std::min(close_limit, later(loop.now(), config.close_timeout));
      watch(close_limit);
    } else {
      finish_with({.by = By::network, .code = 1006, .reason = ec.message(), .clean = false});
    }
    return;
  }
  if (what == Writing::message) {
    ++stats.sent;
    stats.sent_bytes += queue.front().bytes->size();
    queued -= queue.front().bytes->size();
    queue.pop_front();
    drained.set();
  }
  next_write();
  if (slow && queue.empty()) {
    slow = false;
    if (on_drained) {
      const auto call = on_drained;
      call();
    }
  }
}

awaitable<void> WebSocket::Impl::queue_below(std::shared_ptr<Impl> self, std::size_t bytes) {
  while (!self->end && self->queued > bytes) {
    self->drained.reset();
    co_await self->drained.wait();
  }
}

// ---- the end

void WebSocket::Impl::begin_close(By by, std::uint16_t code, std::string reason, bool drop_queue) {
  if (end || closing) return;
  if (reason.size() > kLongestReason) {  // between two characters of UTF-8
    std::size_t cut = kLongestReason;
    while (cut > 0 && (static_cast<unsigned char>(reason[cut]) & 0xc0) == 0x80) --cut;
    reason.resize(cut);
  }
  closing = Closing{by, code, std::move(reason)};
  if (drop_queue) {
    const std::size_t keep = writing == Writing::message ? 1 : 0;
    while (queue.size() > keep) {
      queued -= queue.back().bytes->size();
      queue.pop_back();
    }
  }
  close_limit = std::min(close_limit, later(loop.now(), config.close_timeout));
  watch(close_limit);
  // Not from inside Beast's callback.
  loop.post([self = shared_from_this()] { self->next_write(); });
}

void WebSocket::Impl::finish_with(WebSocketEnd why) {
  if (end) return;
  end = std::move(why);
  timer.cancel();
  // A clean end, and one of which the peer is still to read why, are given time to arrive.
  if (end->clean || (end->by == By::limit && end->code != 1006))
    loop.spawn(net::finish(loop, channel));
  else
    channel->close();
  const std::size_t keep = writing == Writing::message ? 1 : 0;  // Beast may still hold it
  queue.resize(std::min(queue.size(), keep));
  queued = 0;
  ended.set();
  drained.set();
}

void WebSocket::Impl::drop(bool reset) {
  if (end) return;
  if (reset)
    channel->reset();
  else
    channel->close();
  finish_with({.by = By::us, .code = 1006, .reason = "dropped", .clean = false});
}

// ---- time

void WebSocket::Impl::watch(SteadyTime at) {
  if (end || at == SteadyTime::max() || (timer.armed() && at >= armed_for)) return;
  armed_for = at;
  timer.at(at, [this] { tick(); });
}

void WebSocket::Impl::tick() {
  if (end) return;
  const SteadyTime now = loop.now();
  const auto give_up = [this](std::string reason) {
    // There is no point in a close frame that nobody reads.
    finish_with({.by = closing ? closing->by : By::limit, .code = 1006, .reason = std::move(reason), .clean = false});
  };
  if (now >= close_limit)
    return give_up(closing ? closing->reason + " (and no close frame in return within " +
                                 seconds(config.close_timeout) + ")"
                           : "the other side did not finish closing");
  const bool sends = writing == Writing::message || writing == Writing::ping;
  if (sends && now >= later(write_began, config.write_timeout))
    return give_up("the other side took nothing for " + seconds(config.write_timeout));
  const auto flushing = channel->flushing_since();
  if (flushing && now >= later(*flushing, config.write_timeout))
    return give_up("the other side took nothing for " + seconds(config.write_timeout));
  if (reading && now >= later(last_heard, config.idle_timeout))
    return give_up("nothing came for " + seconds(config.idle_timeout));
  if (reading && ping_out && now >= later(ping_out->second, config.pong_timeout))
    return give_up("no pong within " + seconds(config.pong_timeout));
  if (now >= next_ping && !closing) {
    next_ping = SteadyTime::max();  // until the pong of this one
    ping_due = true;
    next_write();
  }
  SteadyTime next = std::min(close_limit, next_ping);
  if (sends) next = std::min(next, later(write_began, config.write_timeout));
  if (flushing) next = std::min(next, later(*flushing, config.write_timeout));
  if (reading) next = std::min(next, later(last_heard, config.idle_timeout));
  if (reading && ping_out) next = std::min(next, later(ping_out->second, config.pong_timeout));
  watch(next);
}

// ---- the handle

WebSocket::WebSocket(std::shared_ptr<Impl> impl) : impl_{std::move(impl)} {}
WebSocket::~WebSocket() {
  impl_->on_slow = impl_->on_drained = nullptr;
  impl_->on_control = nullptr;
  impl_->drop(false);
}

awaitable<Result<WebSocket::Message>> WebSocket::receive() { return Impl::receive(impl_); }
bool WebSocket::send(std::string bytes, bool binary) {
  return impl_->send(std::make_shared<const std::string>(std::move(bytes)), binary);
}
bool WebSocket::send(std::shared_ptr<const std::string> bytes, bool binary) {
  return impl_->send(std::move(bytes), binary);
}
std::size_t WebSocket::queued() const { return impl_->queued; }
void WebSocket::on_slow(std::function<void()> call) { impl_->on_slow = std::move(call); }
void WebSocket::on_drained(std::function<void()> call) { impl_->on_drained = std::move(call); }
void WebSocket::ping(std::string payload) {
  constexpr std::size_t kLongest = 125;  // RFC 6455 5.5
  payload.resize(std::min(payload.size(), kLongest));
  impl_->asked_pings.push_back(std::move(payload));
  impl_->next_write();
}
void WebSocket::on_control(std::function<void(Control, std::string_view)> call) { impl_->on_control = std::move(call); }
awaitable<void> WebSocket::queue_below(std::size_t bytes) { return Impl::queue_below(impl_, bytes); }
void WebSocket::close(std::uint16_t code, std::string reason, bool discard) {
  impl_->begin_close(By::us, code, std::move(reason), discard);
}
void WebSocket::drop(bool reset) { impl_->drop(reset); }
void WebSocket::mute() { impl_->channel->mute(); }
const std::optional<WebSocketEnd>& WebSocket::end() const { return impl_->end; }
awaitable<void> WebSocket::ended() {
  const auto self = impl_;  // the handle may be gone before
  co_await self->ended.wait();
}
const WebSocket::Stats& WebSocket::stats() const { return impl_->stats; }
const std::string& WebSocket::peer() const { return impl_->peer; }

}  // namespace truetape::net
