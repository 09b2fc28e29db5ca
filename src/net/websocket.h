// One WebSocket connection, of either side; connect_websocket() and a Server make them. Loop's thread only.
//
// Reading is by receive(), one call at a time: who does not call it leaves the bytes in the network, which slows the
// peer down. Pings of the peer are answered, and its close is noticed, only while a receive() waits: a side that only
// sends still needs a loop of receive(). Sending never waits: messages go into a bounded queue. Dropping the last
// pointer closes the connection at once.
//
//   for (;;) {
//     auto message = co_await socket->receive();
//     if (!message) break;                          // socket->end() tells why
//     use(message->bytes, message->receive_time);
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "net/loop.h"

namespace truetape::net {

// Time-outs are by the loop's clock; zero turns one off.
struct WebSocketConfig {
  std::size_t most_message = 1 << 20;                    // bytes of a received message; a longer one closes with 1009
  std::size_t most_queued = 4 << 20;                     // bytes waiting to be sent; send() refuses above
  std::size_t slow_queued = 1 << 20;                     // bytes at which on_slow is called
  Nanoseconds idle_timeout = std::chrono::seconds{90};   // nothing at all received: not even a ping or pong
  Nanoseconds ping_every{};                              // our own pings
  Nanoseconds pong_timeout = std::chrono::seconds{20};   // for our pings
  Nanoseconds write_timeout = std::chrono::seconds{20};  // one message, or at most 64 KB of small ones, not taken by
                                                         // the network: the peer has stopped reading
  Nanoseconds close_timeout = std::chrono::seconds{5};   // of the close handshake, the queue before it included
  int most_controls = 100;  // pings and pongs of the peer in any 10 s; more ends the connection; 0: any number
  bool compress = false;    // permessage-deflate, if the other side offers or takes it too
};

// Why a connection ended.
struct WebSocketEnd {
  enum class By {
    peer,     // close frame received, or the connection ended without (code 1006)
    us,       // close() or drop()
    limit,    // one of WebSocketConfig
    network,  // an error of the connection (code 1006)
  };
  By by = By::network;
  std::uint16_t code = 1006;  // as of RFC 6455 7.4; 1005: close frame without a code
  std::string reason;         // the peer's or ours
  bool clean = false;         // close frames went both ways
};

class WebSocket {
 public:
  // The bytes live until the next receive() and no longer than the socket. The time is our clock's right after the
  // read, before anything else ran.
  struct Message {
    std::string_view bytes;
    bool binary = false;
    Timestamp receive_time;
  };
  struct Stats {
    std::uint64_t received = 0, received_bytes = 0, sent = 0, sent_bytes = 0;  // messages and their payloads
    std::uint64_t refused = 0;                                                 // send() calls that found the queue full
    std::uint64_t pings_received = 0, pings_sent = 0;
    std::optional<Nanoseconds> round_trip;  // of the last answered ping of ours
  };

  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // The error's sentence names the peer and why it ended; Retry::reconnect.
  awaitable<Result<Message>> receive();

  // Queues one message, text unless `binary` (text must be UTF-8: the peer may check). False: the queue is full or the
  // connection has ended or is closing; nothing was queued. The shared form is for the same bytes to many.
  bool send(std::string bytes, bool binary = false);
  bool send(std::shared_ptr<const std::string> bytes, bool binary = false);
  // Bytes that wait. Small messages are given to the network together: up to 128 KB of them are on their way and no
  // longer counted here.
  std::size_t queued() const;

  // Called once when queued() reaches slow_queued, and again after it was empty in between; the callback may send,
  // close or drop. on_drained: called when the queue becomes empty after on_slow was called.
  void on_slow(std::function<void()> call);
  void on_drained(std::function<void()> call);

  // For who keeps a protocol's own rules about pings, besides those of WebSocketConfig (which answers the peer's).
  // Pings go out in order before what is queued; the payload is cut to 125 bytes. The callback must not destroy the
  // socket; it may close and drop.
  enum class Control { ping, pong };
  void ping(std::string payload);
  void on_control(std::function<void(Control kind, std::string_view payload)> call);
  // Waits until at most `bytes` are queued, or the end. For senders that want to be slowed down.
  awaitable<void> queue_below(std::size_t bytes);

  // Begins the close handshake, after what is queued was sent, or with `discard` right after the message under way. The
  // reason is cut to 123 bytes. The end comes within close_timeout. Further calls do nothing.
  void close(std::uint16_t code, std::string reason, bool discard = false);
  // Ends now, without a close frame: the peer sees the stream end, or with `reset` a reset.
  void drop(bool reset = false);

  // For who plays a broken network: nothing reaches the peer any more, not even pongs, but the connection stays.
  void mute();

  // Empty while the connection is up.
  const std::optional<WebSocketEnd>& end() const;
  awaitable<void> ended();  // waits for it
  const Stats& stats() const;
  const std::string& peer() const;  // for sentences: the URL without query, or the client's address

  struct Impl;
  explicit WebSocket(std::shared_ptr<Impl> impl);  // for src/net only
  Impl& impl() { return *impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace truetape::net
