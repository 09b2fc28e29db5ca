// The inside of a WebSocket, for files of src/net.
#pragma once

#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>

#include "net/channel.h"
#include "net/websocket.h"

namespace truetape::net {

struct WebSocket::Impl : std::enable_shared_from_this<WebSocket::Impl> {
  Impl(Loop& l, std::shared_ptr<Channel> c, WebSocketConfig conf, std::string who);

  // After the handshake.
  void start();

  static awaitable<Result<Message>> receive(std::shared_ptr<Impl> self);
  static awaitable<void> queue_below(std::shared_ptr<Impl> self, std::size_t bytes);
  bool send(std::shared_ptr<const std::string> bytes, bool binary);
  void begin_close(WebSocketEnd::By by, std::uint16_t code, std::string reason, bool drop_queue);
  // Sets the end, once, and lets go of the connection.
  void finish_with(WebSocketEnd why);
  void drop(bool reset);

  // Starts the next operation of the sending side unless one is under way.
  void next_write();
  void wrote(error_code ec);
  void stop_reading();
  void read_failed(error_code ec);
  void heard_control(beast::websocket::frame_type kind, std::string_view payload);
  // Looks at all time-outs, and arms the timer for the next.
  void tick();
  void watch(SteadyTime at);
  tl::unexpected<Error> error() const;

  Loop& loop;
  WebSocketConfig config;
  std::string peer;
  std::shared_ptr<Channel> channel;
  beast::websocket::stream<Channel&> stream;
  beast::flat_buffer buffer;

  struct Outgoing {
    std::shared_ptr<const std::string> bytes;
    bool binary;
  };
  std::deque<Outgoing> queue;  // the front is under way while `writing` says so
  std::size_t queued = 0;
  enum class Writing { nothing, message, ping, close } writing = Writing::nothing;
  SteadyTime write_began{};
  bool write_broken = false;  // nothing more can be sent; the reading side finds out why
  bool slow = false;
  std::function<void()> on_slow, on_drained;

  bool reading = false;
  SteadyTime last_heard{}, read_until{};
  std::optional<std::pair<std::string, SteadyTime>> ping_out;  // payload of our unanswered ping, and when it was due
  SteadyTime next_ping = SteadyTime::max();
  bool ping_due = false;
  std::deque<std::string> asked_pings;  // by ping()
  std::function<void(Control, std::string_view)> on_control;
  std::uint64_t pings = 0;
  SteadyTime controls_since{};
  int controls = 0;

  struct Closing {
    WebSocketEnd::By by;
    std::uint16_t code;
    std::string reason;
  };
  std::optional<Closing> closing;
  SteadyTime close_limit = SteadyTime::max();
  std::optional<WebSocketEnd> end;
  Event ended, drained;
  Stats stats;
  SteadyTime armed_for = SteadyTime::max();
  Timer timer;
};

}  // namespace truetape::net
