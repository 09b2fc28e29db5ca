// A connected byte stream, plain or TLS, behind one type, so that Beast's templates are compiled once for both. For
// files of src/net. Lives on the heap: Beast and TLS hold references to it.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <memory>
#include <optional>

#include "net/loop_impl.h"

namespace truetape::net {

namespace beast = boost::beast;
namespace ssl = boost::asio::ssl;
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

class Channel {
 public:
  using executor_type = asio::io_context::executor_type;
  using Tls = ssl::stream<Socket&>;

  explicit Channel(Socket socket) : socket_{std::move(socket)} {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  executor_type get_executor() noexcept { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  Tls& start_tls(ssl::context& context) { return tls_.emplace(socket_, context); }
  Tls* tls() { return tls_ ? &*tls_ : nullptr; }

  // Ends whatever is under way, at once.
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }
  // The peer sees a reset instead of an end.
  void reset() {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
    close();
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& to) {
          if (tls_)
            tls_->async_read_some(to, std::move(handler));
          else
            socket_.async_read_some(to, std::move(handler));
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& from) {
          if (tls_)
            tls_->async_write_some(from, std::move(handler));
          else
            socket_.async_write_some(from, std::move(handler));
        },
        token, buffers);
  }

 private:
  Socket socket_;
  std::optional<Tls> tls_;
};

// What Beast's WebSocket calls at the end of a close handshake; finish() does the rest.
template <class Handler>
void async_teardown(beast::role_type, Channel& channel, Handler&& handler) {
  asio::post(channel.get_executor(), beast::bind_front_handler(std::forward<Handler>(handler), error_code{}));
}
inline void beast_close_socket(Channel& channel) { channel.close(); }

// Closes so that what was written last arrives: says goodbye in TLS, ends our direction, reads away what the peer still
// sends for at most two seconds and a megabyte.
awaitable<void> finish(Loop& loop, std::shared_ptr<Channel> channel);

// Closes the channel when the time is over, which ends its operation with an error; passed() then tells why. It ends
// with its owner.
class Deadline {
 public:
  Deadline(Loop& loop, Channel& channel) : timer_{loop}, channel_{channel} {}
  void set(Nanoseconds limit) {
    timer_.after(limit, [this] {
      passed_ = true;
      channel_.close();
    });
  }
  // Only ends what is read, so that the other side can be told; closes a second later, in case there was no read.
  void set_for_reading(Nanoseconds limit) {
    timer_.after(limit, [this] {
      passed_ = true;
      error_code ignored;
      channel_.socket().cancel(ignored);
      timer_.after(std::chrono::seconds{1}, [this] { channel_.close(); });
    });
  }
  void cancel() { timer_.cancel(); }
  bool passed() const { return passed_; }

 private:
  Timer timer_;
  Channel& channel_;
  bool passed_ = false;
};

}  // namespace truetape::net
