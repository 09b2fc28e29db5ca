// A connection without a network, in place of a TCP socket: for simulations, which play the other side by calls and let
// time stand still (ConnectConfig::wire makes them). One loop's thread.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace truetape::net {

class MemoryWire {
 public:
  // ---- the other side
  // The near side reads these bytes.
  void deliver(std::string_view bytes) {
    if (closed_ || ended_ || broken_) return;
    in_ += bytes;
    serve();
  }
  // Nothing more comes: the near side reads what it has, then an end.
  void end() {
    ended_ = true;
    serve();
  }
  // The connection is gone, and what was not read with it.
  void reset() {
    broken_ = true;
    serve();
  }
  bool closed() const { return closed_; }  // by the near side
  // What the near side wrote; that it closed. Called within its calls: note it, and act on it later.
  std::function<void(std::string_view bytes)> on_bytes;
  std::function<void()> on_close;

  // ---- the near side: for Channel
  template <class Buffers, class Handler>
  void async_read_some(boost::asio::io_context::executor_type executor, const Buffers& to, Handler handler) {
    waiting_ = std::make_unique<ReadFor<Buffers, Handler>>(std::move(executor), to, std::move(handler));
    serve();
  }
  template <class Buffers, class Handler>
  void async_write_some(boost::asio::io_context::executor_type executor, const Buffers& from, Handler handler) {
    const std::size_t size = boost::asio::buffer_size(from);
    const boost::system::error_code ec = write_error();
    if (!ec && on_bytes) {
      std::string bytes(size, '\0');
      boost::asio::buffer_copy(boost::asio::buffer(bytes), from);
      on_bytes(bytes);
    }
    boost::asio::post(executor, boost::beast::bind_front_handler(std::move(handler), ec, ec ? 0 : size));
  }
  void close() {
    if (std::exchange(closed_, true)) return;
    serve();
    if (on_close) on_close();
  }
  void cancel_reading() {
    if (waiting_) std::exchange(waiting_, nullptr)->fail(boost::asio::error::operation_aborted);
  }

 private:
  struct Read {
    virtual ~Read() = default;
    virtual std::size_t take(std::string_view bytes) = 0;  // completes with as many as it has room for
    virtual void fail(boost::system::error_code ec) = 0;
  };
  template <class Buffers, class Handler>
  struct ReadFor final : Read {
    ReadFor(boost::asio::io_context::executor_type e, const Buffers& b, Handler h)
        : executor{std::move(e)}, buffers{b}, handler{std::move(h)} {}
    std::size_t take(std::string_view bytes) override {
      const std::size_t taken = boost::asio::buffer_copy(buffers, boost::asio::buffer(bytes.data(), bytes.size()));
      done({}, taken);
      return taken;
    }
    void fail(boost::system::error_code ec) override { done(ec, 0); }
    void done(boost::system::error_code ec, std::size_t bytes) {
      boost::asio::post(executor, boost::beast::bind_front_handler(std::move(handler), ec, bytes));
    }
    boost::asio::io_context::executor_type executor;
    Buffers buffers;
    Handler handler;
  };

  boost::system::error_code write_error() const {
    if (closed_) return boost::asio::error::operation_aborted;
    if (broken_) return boost::asio::error::connection_reset;
    return {};
  }
  void serve() {
    if (!waiting_) return;
    if (const auto ec = write_error()) {
      std::exchange(waiting_, nullptr)->fail(ec);
    } else if (read_ < in_.size()) {
      const auto read = std::exchange(waiting_, nullptr);
      read_ += read->take(std::string_view{in_}.substr(read_));
      if (read_ < in_.size()) return;
      in_.clear();
      read_ = 0;
    } else if (ended_) {
      std::exchange(waiting_, nullptr)->fail(boost::asio::error::eof);
    }
  }

  std::string in_;
  std::size_t read_ = 0;  // of in_
  bool ended_ = false, broken_ = false, closed_ = false;
  std::unique_ptr<Read> waiting_;
};

}  // namespace truetape::net
