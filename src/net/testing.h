// What the tests of src/net and of its users share: running work to its end, and a raw TCP client and server that say
// exactly what a test tells them to.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <string>
#include <utility>

#include "net/loop.h"
#include "net/loop_impl.h"

namespace truetape::net {

inline constexpr std::chrono::seconds kGuard{60};  // real time; a sanitized build on a busy machine is slow

// Runs work on the loop and answers its result; fails the test if it takes longer than the guard.
template <class T>
T run(Loop& loop, std::function<awaitable<T>()> work) {
  std::optional<T> result;
  loop.spawn([&]() -> awaitable<void> { result.emplace(co_await work()); });
  if (!loop.run_until([&] { return result.has_value(); }, kGuard)) ADD_FAILURE() << "the work did not end";
  if (!result) std::abort();  // going on would touch what is not there
  return std::move(*result);
}
inline void run_void(Loop& loop, std::function<awaitable<void>()> work) {
  bool done = false;
  loop.spawn([&]() -> awaitable<void> {
    co_await work();
    done = true;
  });
  EXPECT_TRUE(loop.run_until([&] { return done; }, kGuard)) << "the work did not end";
}
// Lets the sockets rest: everything that is on its way on loopback arrives. No outcome may depend on it happening.
inline void settle(Loop& loop, std::chrono::milliseconds real = std::chrono::milliseconds{30}) {
  const auto until = std::chrono::steady_clock::now() + real;
  loop.run_until([&] { return std::chrono::steady_clock::now() >= until; }, real + std::chrono::milliseconds{1});
}

// A TCP peer without manners.
class RawPeer {
 public:
  explicit RawPeer(Loop& loop) : loop_{loop}, socket{loop.impl().context} {}
  awaitable<bool> connect(std::uint16_t port) {
    const asio::ip::tcp::endpoint to{asio::ip::make_address("127.0.0.1"), port};
    const auto [ec] = co_await socket.async_connect(to, kTuple);
    co_return !ec;
  }
  awaitable<bool> write(std::string bytes) {
    const auto [ec, n] = co_await asio::async_write(socket, asio::buffer(bytes), kTuple);
    co_return !ec;
  }
  // Up to and with `end`, or what came before the stream ended.
  awaitable<std::string> read_until(std::string end) {
    const auto [ec, n] = co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer_), end, kTuple);
    const std::size_t length = ec ? buffer_.size() : n;
    std::string result = buffer_.substr(0, length);
    buffer_.erase(0, length);
    co_return result;
  }
  awaitable<std::string> read_to_end() {
    co_await asio::async_read(socket, asio::dynamic_buffer(buffer_), kTuple);  // its end is an error to Asio
    co_return std::exchange(buffer_, {});
  }

 private:
  Loop& loop_;
  std::string buffer_;

 public:
  asio::ip::tcp::socket socket;
};

// A TCP server on loopback that gives each connection to `talk`.
class RawServer {
 public:
  RawServer(Loop& loop, std::function<awaitable<void>(RawPeer&)> talk)
      : loop_{loop}, talk_{std::move(talk)}, acceptor_{loop.impl().context, {asio::ip::make_address("127.0.0.1"), 0}} {
    loop.spawn([this]() -> awaitable<void> {
      for (;;) {
        auto peer = std::make_shared<RawPeer>(loop_);
        const auto [ec] = co_await acceptor_.async_accept(peer->socket, kTuple);
        if (ec) co_return;
        ++accepted;
        loop_.spawn([this, peer]() -> awaitable<void> { co_await talk_(*peer); });
      }
    });
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string origin(const std::string& scheme) const { return scheme + "://127.0.0.1:" + std::to_string(port()); }
  int accepted = 0;

 private:
  Loop& loop_;
  std::function<awaitable<void>(RawPeer&)> talk_;
  asio::ip::tcp::acceptor acceptor_;
};

}  // namespace truetape::net
