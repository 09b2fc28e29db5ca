// An HTTP/1.1 and WebSocket server with limits on every wait, size and number. One Loop, and its thread only: handlers
// are coroutines on it and must not block (Workers in workers.h runs what does).
//
//   Server server{loop, {}, {.http = [](std::shared_ptr<const ServerRequest> request) -> awaitable<ServerAnswer> {
//     co_return text_answer(200, "text/plain", "hello\n");
//   }}};
//   auto port = server.listen();     // an error says who has the port
//   ...
//   co_await server.stop(5s);        // or the destructor, which cuts everything
//
// What the server answers by itself: 400 no HTTP, or a target that cannot be decoded; 408 too slow; 413 body too large;
// 431 header too large; 426 an upgrade where none is offered; 500 a handler threw; 503 too many connections. Its bodies
// are problem details (RFC 9457).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "net/headers.h"
#include "net/loop.h"
#include "net/url.h"
#include "net/websocket.h"

namespace truetape::net {

struct ServerConfig {
  std::string address = "127.0.0.1";                 // a numeric address, IPv4 or IPv6
  std::uint16_t port = 0;                            // 0: a free one, which port() tells
  std::string certificate_file = {}, key_file = {};  // PEM; both or none: TLS or not
  std::size_t most_connections = 1000;               // in all; more get 503
  std::size_t most_per_address = 100;                // from one address; loopback counts too
  std::uint32_t most_header = 16 * 1024;             // bytes of request line and header
  std::uint64_t most_body = 1024 * 1024;             // bytes
  Nanoseconds header_timeout =
      std::chrono::seconds{10};  // from a connection's or request's first byte to its header's end
  Nanoseconds body_timeout = std::chrono::seconds{20};   // the whole body
  Nanoseconds write_timeout = std::chrono::seconds{20};  // one answer, or one piece of a streamed one
  Nanoseconds idle_timeout = std::chrono::seconds{60};   // between two requests
  WebSocketConfig websocket = {};
};

struct ServerRequest {
  std::string method;  // as sent: "GET"
  std::string target;  // as sent
  Target where;        // decoded path and query
  Headers headers;
  std::string body;
  std::string address;  // of the client, without port
  bool tls = false;
  Timestamp received;  // when the header was complete
};

struct ServerAnswer {
  // The next piece of a body; empty: the end. An error cuts the connection, so that the client sees that the body is
  // not whole. Called again after the piece before has been taken by the network: a slow client slows the source.
  using Source = std::function<awaitable<Result<std::string>>()>;
  enum class Then { keep, close, cut, reset };  // cut: no answer at all, the stream just ends; reset: so rudely

  int status = 200;
  Headers headers = {};  // besides Date, Content-Length, Transfer-Encoding, Connection, which are set by the server
  std::string body = {};
  Source source = {};  // instead of `body`; sent in chunks
  Then then = Then::keep;
};
ServerAnswer text_answer(int status, std::string content_type, std::string body);
// application/problem+json of RFC 9457, with the status' own words as the title.
ServerAnswer problem(int status, std::string_view detail);

// The request lives as long as somebody holds it.
using RequestPtr = std::shared_ptr<const ServerRequest>;

struct Handlers {
  std::function<awaitable<ServerAnswer>(RequestPtr)> http = {};
  // Before an upgrade: an answer refuses it. Not set, or nullopt: accepted. Without `websocket` there is no upgrade.
  std::function<awaitable<std::optional<ServerAnswer>>(RequestPtr)> upgrade = {};
  // The life of a client. When it returns and the socket is dropped, the connection ends; return after close() and
  // ended() for a close frame. An exception closes with 1011.
  std::function<awaitable<void>(RequestPtr, std::shared_ptr<WebSocket>)> websocket = {};
};

class Server {
 public:
  Server(Loop& loop, ServerConfig config, Handlers handlers);
  ~Server();  // cuts all connections
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and accepts from now on; answers the port.
  Result<std::uint16_t> listen();
  std::uint16_t port() const;
  std::string origin() const;  // "http://127.0.0.1:8080"

  // No new connections; those that are idle end now, answers under way are finished, WebSockets are closed with 1001.
  // What is left after `limit` is cut.
  awaitable<void> stop(Nanoseconds limit);

  struct Stats {
    std::uint64_t accepted = 0, requests = 0, upgrades = 0;
    std::uint64_t refused_connections = 0;  // over a limit
    std::uint64_t bad_requests = 0;         // 400, 408, 413, 431
    std::uint64_t failed_handlers = 0;      // threw
    std::size_t open = 0;                   // connections now, WebSockets included
  };
  const Stats& stats() const;
  // Called with one sentence for what no client is told: a handler that threw, accept() failing.
  void on_trouble(std::function<void(const std::string&)> call);

  struct Impl;  // for src/net only

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace truetape::net
