// WebSocket against WebSocket, and against peers without manners, over real sockets on loopback; time is manual.
#include "net/websocket.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "net/server.h"
#include "net/testing.h"
#include "net/websocket_client.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Connected = tl::expected<std::unique_ptr<WebSocket>, ConnectError>;

// What a server answers to a Sec-WebSocket-Key (RFC 6455, 4.2.2).
std::string websocket_accept(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 29> encoded{};
  EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return reinterpret_cast<const char*>(encoded.data());
}

class WebSocketTest : public testing::Test {
 protected:
  using Life = std::function<awaitable<void>(RequestPtr, std::shared_ptr<WebSocket>)>;

  void serve(Life life, ServerConfig config = {}) {
    server_ = std::make_unique<Server>(loop_, std::move(config), Handlers{.websocket = std::move(life)});
    const auto port = server_->listen();
    ASSERT_TRUE(port) << port.error().detail;
  }
  std::string url(const std::string& path = "/ws") const { return "ws" + server_->origin().substr(4) + path; }
  Connected connect(WebSocketRequest request) {
    if (!connector_) connector_ = *Connector::make(loop_, {});
    return run<Connected>(loop_, [&] { return connect_websocket(*connector_, request); });
  }
  std::unique_ptr<WebSocket> socket(WebSocketConfig config = {}) {
    auto connected = connect({.url = url(), .config = config});
    if (!connected) throw std::runtime_error{connected.error().detail};
    return std::move(*connected);
  }
  Result<std::string> receive(WebSocket& socket) {
    return run<Result<std::string>>(loop_, [&]() -> awaitable<Result<std::string>> {
      const auto message = co_await socket.receive();
      if (!message) co_return tl::unexpected{message.error()};
      co_return std::string{message->bytes};
    });
  }
  static awaitable<void> echo(RequestPtr, std::shared_ptr<WebSocket> socket) {
    for (;;) {
      const auto message = co_await socket->receive();
      if (!message) co_return;
      socket->send(std::string{message->bytes}, message->binary);
    }
  }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Connector> connector_;
};

TEST_F(WebSocketTest, MessagesOfAllSizesComeBackWhole) {
  serve(echo);
  const auto ws = socket();
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 1u << 20}) {
    const std::string sent(size, 'x');
    ASSERT_TRUE(ws->send(sent));
    const auto back = receive(*ws);
    ASSERT_TRUE(back) << size << ": " << back.error().detail;
    EXPECT_EQ(*back, sent);
  }
  EXPECT_EQ(ws->stats().received, 7u);
}

TEST_F(WebSocketTest, ThePeersCloseReasonIsTold) {
  serve([](RequestPtr, std::shared_ptr<WebSocket> socket) -> awaitable<void> {
    socket->send("last words");
    socket->close(1008, "Too many requests");
    co_await socket->receive();
  });
  const auto ws = socket();
  EXPECT_EQ(receive(*ws), "last words");
  const auto after = receive(*ws);
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().detail, ws->peer() + ": closed by the other side (1008, Too many requests); connect again");
  EXPECT_EQ(after.error().retry, Retry::reconnect);
  ASSERT_TRUE(ws->end());
  EXPECT_EQ(ws->end()->by, WebSocketEnd::By::peer);
  EXPECT_EQ(ws->end()->code, 1008);
  EXPECT_EQ(ws->end()->reason, "Too many requests");
  EXPECT_TRUE(ws->end()->clean);
}

// ---- the handshake

TEST_F(WebSocketTest, ARefusedHandshakeTellsStatusHeadersAndKindOfContent) {
  struct Case {
    int status;
    Retry retry;
  };
  int status = 0;
  ServerConfig config;
  server_ = std::make_unique<Server>(
      loop_, config,
      Handlers{.upgrade = [&](RequestPtr request) -> awaitable<std::optional<ServerAnswer>> {
                 EXPECT_EQ(request->where.path, "/stream");
                 EXPECT_EQ(request->where.find("streams"), "btcusdt@trade/ethusdt@trade");
                 ServerAnswer answer = text_answer(status, "text/html; charset=utf-8", "<html>\n<title>No</title>");
                 answer.headers.add("Retry-After", "120");
                 co_return answer;
               },
               .websocket = echo});
  ASSERT_TRUE(server_->listen());
  for (const Case& c :
       {Case{403, Retry::never}, Case{404, Retry::never}, Case{451, Retry::never}, Case{418, Retry::after_backoff},
        Case{429, Retry::after_backoff}, Case{503, Retry::after_backoff}, Case{200, Retry::never}}) {
    status = c.status;
    const auto refused = connect({.url = url("/stream?streams=btcusdt@trade/ethusdt%40trade")});
    ASSERT_FALSE(refused);
    const ConnectError& error = refused.error();
    EXPECT_EQ(error.stage, Stage::handshake);
    EXPECT_EQ(error.status, c.status);
    EXPECT_EQ(error.retry, c.retry) << c.status;
    EXPECT_EQ(error.headers.get("retry-after"), "120");
    EXPECT_EQ(error.body, "<html>\n<title>No</title>");
    EXPECT_THAT(error.detail, HasSubstr(url("/stream") + ": answered with status " + std::to_string(c.status) +
                                        " instead of a WebSocket, text/html: <html> <title>No</title>"));
  }
}

TEST_F(WebSocketTest, AServerWithoutWebSocketsSays426) {
  server_ = std::make_unique<Server>(loop_, ServerConfig{}, Handlers{});
  ASSERT_TRUE(server_->listen());
  const auto refused = connect({.url = url()});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 426);
}

TEST_F(WebSocketTest, OtherPeersThanAWebSocketServer) {
  struct Case {
    std::string said, why;
  };
  for (const Case& c : {
           Case{"", "the WebSocket handshake failed"},
           Case{"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is this a WebSocket server?"},
           Case{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                "upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
                "WebSocket"},
           Case{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "WebSocket"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "the WebSocket handshake failed"},
       }) {
    RawServer raw{loop_, [&](RawPeer& peer) -> awaitable<void> {
                    co_await peer.read_until("\r\n\r\n");
                    co_await peer.write(c.said);
                  }};
    const auto refused = connect({.url = raw.origin("ws") + "/"});
    ASSERT_FALSE(refused) << c.said;
    EXPECT_EQ(refused.error().stage, Stage::handshake);
    EXPECT_THAT(refused.error().detail, HasSubstr(c.why)) << c.said;
  }
}

TEST_F(WebSocketTest, AHandshakeThatHangsEndsInTime) {
  RawServer raw{loop_, [](RawPeer& peer) -> awaitable<void> { co_await peer.read_to_end(); }};
  connector_ = *Connector::make(loop_, {});
  std::optional<Connected> connected;
  loop_.spawn([&]() -> awaitable<void> {
    const WebSocketRequest request{.url = raw.origin("ws") + "/"};
    connected.emplace(co_await connect_websocket(*connector_, request));
  });
  settle(loop_);
  EXPECT_FALSE(connected);
  loop_.advance(10s);
  ASSERT_TRUE(loop_.run_until([&] { return connected.has_value(); }));
  EXPECT_THAT(connected->error().detail, HasSubstr("no answer to the WebSocket handshake in time"));
}

TEST_F(WebSocketTest, OwnHeadersAndWrongAddresses) {
  std::string key;
  serve([&](RequestPtr request, std::shared_ptr<WebSocket>) -> awaitable<void> {
    key = request->headers.get("X-Key");
    co_return;
  });
  EXPECT_TRUE(connect({.url = url(), .headers = {{"X-Key", "k"}}}));
  EXPECT_EQ(key, "k");
  for (const std::string bad : {"http://127.0.0.1/", "127.0.0.1", ""}) {
    const auto refused = connect({.url = bad});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().retry, Retry::never);
  }
}

// ---- frames that a peer without manners sends

// What a server says after the handshake, in raw bytes.
class RudeServerTest : public WebSocketTest {
 protected:
  void rude(std::string bytes, std::function<awaitable<void>(RawPeer&)> more = {}) {
    raw_ = std::make_unique<RawServer>(loop_, [this, bytes, more](RawPeer& peer) -> awaitable<void> {
      const std::string request = co_await peer.read_until("\r\n\r\n");
      const std::size_t at = request.find("Sec-WebSocket-Key: ") + 19;
      const std::string answer =
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
          websocket_accept(request.substr(at, 24)) + "\r\n\r\n";
      co_await peer.write(answer + bytes);
      if (more)
        co_await more(peer);
      else
        co_await peer.read_to_end();
    });
  }
  std::unique_ptr<WebSocket> to_rude(WebSocketConfig config = {}) {
    auto connected = connect({.url = raw_->origin("ws") + "/", .config = config});
    if (!connected) throw std::runtime_error{connected.error().detail};
    return std::move(*connected);
  }
  static std::string frame(int first, std::string payload) {
    std::string head{static_cast<char>(first)};
    if (payload.size() < 126) {
      head += static_cast<char>(payload.size());
    } else {
      head += static_cast<char>(126);
      head += static_cast<char>(payload.size() >> 8);
      head += static_cast<char>(payload.size() & 255);
    }
    return head + payload;
  }
  std::unique_ptr<RawServer> raw_;
};

TEST_F(RudeServerTest, FragmentsAreOneMessageAndControlsMayComeBetween) {
  rude(frame(0x01, "one ") + frame(0x89, "ping") + frame(0x00, "two ") + frame(0x8a, "unasked") + frame(0x80, "three") +
       frame(0x82, std::string("\0\xff", 2)));
  const auto ws = to_rude();
  EXPECT_EQ(receive(*ws), "one two three");
  EXPECT_EQ(receive(*ws), std::string("\0\xff", 2));
  EXPECT_EQ(ws->stats().pings_received, 1u);
}

TEST_F(RudeServerTest, PingsAreAnsweredAtOnceWithTheirPayload) {
  std::string heard;
  rude(frame(0x89, "1770123456789"), [&](RawPeer& peer) -> awaitable<void> {
    std::array<char, 6 + 13> pong;
    co_await asio::async_read(peer.socket, asio::buffer(pong), kTuple);
    EXPECT_EQ(pong[0], static_cast<char>(0x8a));
    EXPECT_EQ(pong[1], static_cast<char>(0x80 | 13));
    for (std::size_t i = 0; i < 13; ++i) heard += static_cast<char>(pong[6 + i] ^ pong[2 + i % 4]);
    co_await peer.write(frame(0x81, "done"));
    co_await peer.read_to_end();
  });
  const auto ws = to_rude();
  EXPECT_EQ(receive(*ws), "done");
  EXPECT_EQ(heard, "1770123456789");
}

TEST_F(RudeServerTest, WhatBreaksTheProtocolOrTheLimitEndsTheConnection) {
  struct Case {
    std::string bytes, reason;
    int code;
    WebSocketEnd::By by;
  };
  WebSocketConfig config;
  config.most_message = 100;
  const auto limit = WebSocketEnd::By::limit, peer = WebSocketEnd::By::peer;
  for (const Case& c : {
           Case{frame(0x81, std::string(101, 'x')), "a message of more than 100 bytes", 1009, limit},
           Case{frame(0x01, std::string(99, 'x')) + frame(0x80, "xx"), "a message of more than 100 bytes", 1009, limit},
           Case{std::string("\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10), "a message of more than 100 bytes", 1009,
                limit},
           Case{frame(0x83, "x"), "the other side broke the protocol", 1002, limit},
           Case{frame(0xc1, "x"), "the other side broke the protocol", 1002, limit},
           Case{frame(0x80, "x"), "the other side broke the protocol", 1002, limit},
           Case{frame(0x09, "x"), "the other side broke the protocol", 1002, limit},
           Case{std::string("\x81\x81mask!", 7), "the other side broke the protocol", 1002, limit},
           Case{frame(0x81, "\xff\xfe"), "the other side broke the protocol", 1007, limit},
           Case{frame(0x88, std::string("\x03\xf0Too many requests", 19)), "Too many requests", 1008, peer},
           Case{frame(0x88, ""), "", 1005, peer},
       }) {
    rude(c.bytes);
    const auto ws = to_rude(config);
    const auto message = receive(*ws);
    ASSERT_FALSE(message) << c.reason;
    ASSERT_TRUE(ws->end());
    EXPECT_EQ(ws->end()->code, c.code) << message.error().detail;
    EXPECT_THAT(ws->end()->reason, HasSubstr(c.reason));
    EXPECT_EQ(ws->end()->by, c.by) << message.error().detail;
    EXPECT_FALSE(receive(*ws)) << "and so it stays";
  }
}

TEST_F(RudeServerTest, TheStreamsEndWithoutACloseFrame) {
  rude(frame(0x81, "last"), [](RawPeer& peer) -> awaitable<void> {
    peer.socket.close();
    co_return;
  });
  const auto ws = to_rude();
  EXPECT_EQ(receive(*ws), "last");
  EXPECT_FALSE(receive(*ws));
  EXPECT_EQ(ws->end()->code, 1006);
  EXPECT_FALSE(ws->end()->clean);

  rude("", [](RawPeer& peer) -> awaitable<void> {
    peer.socket.set_option(asio::socket_base::linger{true, 0});
    peer.socket.close();
    co_return;
  });
  const auto other = to_rude();
  EXPECT_FALSE(receive(*other));
  EXPECT_EQ(other->end()->by, WebSocketEnd::By::network);
  EXPECT_EQ(other->end()->reason, "Connection reset by peer");
}

TEST_F(RudeServerTest, AFloodOfPingsIsBounded) {
  std::uint64_t sent = 0;
  rude("", [&](RawPeer& peer) -> awaitable<void> {
    std::string flood;
    for (int i = 0; i < 1000; ++i) flood += frame(0x89, "x");
    while (co_await peer.write(flood)) sent += 1000;  // and the pongs are never read
  });
  const auto ws = to_rude();
  std::optional<Result<std::string>> got;
  loop_.spawn([&]() -> awaitable<void> {
    const auto message = co_await ws->receive();
    got.emplace(tl::unexpected{message.error()});
  });
  ASSERT_TRUE(loop_.run_until([&] { return got.has_value(); }));
  EXPECT_EQ(ws->end()->by, WebSocketEnd::By::limit);
  EXPECT_EQ(ws->end()->reason, "more than 100 pings in 10 s");
  EXPECT_LE(ws->stats().pings_received, 101u);
  EXPECT_EQ(ws->queued(), 0u);
}

TEST_F(RudeServerTest, PingsAtTheirUsualPaceGoOnForEver) {
  rude("", [&](RawPeer& peer) -> awaitable<void> {
    for (int i = 0; i < 300; ++i) {
      if (!co_await peer.write(frame(0x89, "1770123456789"))) co_return;
      co_await loop_.sleep(200ms);
    }
    co_await peer.write(frame(0x81, "still here"));
    co_await peer.read_to_end();
  });
  const auto ws = to_rude();
  std::optional<std::string> got;
  loop_.spawn([&]() -> awaitable<void> {
    const auto message = co_await ws->receive();
    got = message ? std::string{message->bytes} : message.error().detail;
  });
  for (std::uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(loop_.run_until([&] { return ws->stats().pings_received > i; }));
    loop_.advance(200ms);
  }
  ASSERT_TRUE(loop_.run_until([&] { return got.has_value(); }));
  EXPECT_EQ(got, "still here");
}

TEST_F(RudeServerTest, SilenceIsNoticedByTheIdleLimit) {
  rude("");
  const auto ws = to_rude();
  std::optional<std::string> got;
  loop_.spawn([&]() -> awaitable<void> { got = (co_await ws->receive()).error().detail; });
  settle(loop_, 5ms);
  loop_.advance(89s);
  EXPECT_FALSE(got);
  loop_.advance(1s);
  ASSERT_TRUE(loop_.run_until([&] { return got.has_value(); }));
  EXPECT_EQ(got, ws->peer() + ": given up (1006, nothing came for 90 s); connect again");
}

TEST_F(RudeServerTest, AHalfOpenPeerIsNoticedByOurPing) {
  int frames = 0;
  rude("", [&](RawPeer& peer) -> awaitable<void> {  // goes on sending, but does not react
    for (; co_await peer.write(frame(0x81, "tick")); ++frames) co_await loop_.sleep(1s);
  });
  WebSocketConfig config;
  config.ping_every = 30s;
  config.pong_timeout = 10s;
  const auto ws = to_rude(config);
  std::optional<std::string> got;
  loop_.spawn([&]() -> awaitable<void> {
    for (;;) {
      const auto message = co_await ws->receive();
      if (message) continue;
      got = message.error().detail;
      co_return;
    }
  });
  for (int i = 0; i < 60 && !got; ++i) {
    loop_.advance(1s);
    settle(loop_, 2ms);
  }
  ASSERT_TRUE(got);
  EXPECT_EQ(got, ws->peer() + ": given up (1006, no pong within 10 s); connect again");
  EXPECT_EQ(ws->stats().pings_sent, 1u);
}

TEST_F(RudeServerTest, APeerThatStopsReadingIsGivenUp) {
  rude("", [&](RawPeer&) -> awaitable<void> { co_await loop_.sleep(1h); });
  WebSocketConfig config;
  config.most_queued = 64 << 20;
  const auto ws = to_rude(config);
  ASSERT_TRUE(ws->send(std::string(32 << 20, 'x')));  // more than the network's buffers
  settle(loop_, 100ms);
  EXPECT_FALSE(ws->end());
  loop_.advance(20s);
  ASSERT_TRUE(loop_.run_until([&] { return ws->end().has_value(); }));
  EXPECT_EQ(ws->end()->reason, "the other side took nothing for 20 s");
}

// ---- our own pings, time stamps, limits

TEST_F(WebSocketTest, TheRoundTripOfOurPingIsMeasured) {
  serve(echo);
  WebSocketConfig config;
  config.ping_every = 30s;
  const auto ws = socket(config);
  loop_.spawn([&]() -> awaitable<void> { co_await ws->receive(); });
  for (std::uint64_t i = 1; i <= 3; ++i) {
    loop_.advance(30s);
    ASSERT_TRUE(loop_.run_until([&] { return ws->stats().round_trip.has_value() && ws->stats().pings_sent == i; }));
    settle(loop_, 5ms);
  }
  EXPECT_EQ(ws->stats().round_trip, 0ns) << "the manual clock stood still meanwhile";
  EXPECT_FALSE(ws->end());
  ws->drop();
  settle(loop_, 5ms);
}

TEST_F(WebSocketTest, TimeInWhichNobodyReceivesDoesNotCount) {
  ServerConfig patient;
  patient.websocket.idle_timeout = 0s;
  serve(echo, patient);
  WebSocketConfig config;
  config.ping_every = 10s;
  const auto ws = socket(config);
  loop_.advance(1h);
  settle(loop_, 5ms);
  EXPECT_FALSE(ws->end());
  ws->send("x");
  EXPECT_EQ(receive(*ws), "x");
}

TEST_F(WebSocketTest, AMessageCarriesTheTimeOfItsReceipt) {
  serve([this](RequestPtr, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      peer->send(std::to_string(i));
      co_await loop_.sleep(250ms);
    }
    co_await peer->receive();
  });
  const auto ws = socket();
  std::vector<Timestamp> times;
  loop_.spawn([&]() -> awaitable<void> {
    while (times.size() < 3) {
      const auto message = co_await ws->receive();
      if (!message) co_return;
      times.push_back(message->receive_time);
    }
  });
  const Timestamp start = clock_.now();
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(loop_.run_until([&] { return times.size() == i; }));
    if (i < 3) loop_.advance(250ms);
  }
  EXPECT_EQ(times, (std::vector<Timestamp>{start, start + 250ms, start + 500ms}));
}

TEST_F(WebSocketTest, ASlowClientIsToldOnceConflatedAndThenDrained) {
  std::shared_ptr<WebSocket> peer;
  int slow = 0, drained = 0;
  ServerConfig config;
  config.websocket.slow_queued = 1 << 20;
  config.websocket.most_queued = 2 << 20;
  serve(
      [&](RequestPtr, std::shared_ptr<WebSocket> s) -> awaitable<void> {
        peer = s;
        s->on_slow([&] { ++slow; });
        s->on_drained([&] { ++drained; });
        co_await s->receive();
      },
      config);
  WebSocketConfig reader;
  const auto ws = socket(reader);
  ASSERT_TRUE(loop_.run_until([&] { return peer != nullptr; }));
  const auto update = std::make_shared<const std::string>(64 << 10, 'u');
  std::uint64_t taken = 0;
  while (peer->send(update)) {
    ++taken;
    ASSERT_LE(peer->queued(), 2u << 20);
    ASSERT_LT(taken, 1000u);
    loop_.advance(0s);
  }
  EXPECT_EQ(slow, 1);
  EXPECT_EQ(drained, 0);
  EXPECT_EQ(peer->stats().refused, 1u);
  EXPECT_FALSE(peer->send(update)) << "refused again, the queue is as it was";
  for (std::uint64_t i = 0; i < taken; ++i) ASSERT_EQ(receive(*ws), *update);
  ASSERT_TRUE(loop_.run_until([&] { return drained == 1; }));
  EXPECT_EQ(peer->queued(), 0u);
  EXPECT_TRUE(peer->send(update));
  EXPECT_EQ(receive(*ws), *update);
  EXPECT_EQ(slow, 1);
  peer.reset();
}

TEST_F(WebSocketTest, ASlowClientIsClosedWithAReasonAndTheQueueIsDropped) {
  std::shared_ptr<WebSocket> peer;
  serve([&](RequestPtr, std::shared_ptr<WebSocket> s) -> awaitable<void> {
    peer = s;
    s->on_slow([&] { peer->close(1013, "too slow", true); });
    co_await s->receive();
  });
  const auto ws = socket();
  ASSERT_TRUE(loop_.run_until([&] { return peer != nullptr; }));
  while (peer->send(std::string(256 << 10, 'u'))) loop_.advance(0s);
  EXPECT_LE(peer->queued(), 256u << 10) << "only the message under way is left";
  Result<std::string> last = receive(*ws);
  while (last) last = receive(*ws);
  EXPECT_EQ(ws->end()->code, 1013);
  EXPECT_EQ(ws->end()->reason, "too slow");
  ASSERT_TRUE(loop_.run_until([&] { return peer->end().has_value(); }));
  EXPECT_EQ(peer->end()->by, WebSocketEnd::By::us);
  EXPECT_TRUE(peer->end()->clean);
  peer.reset();
}

TEST_F(WebSocketTest, AMessageAboveTheWholeQueueIsTakenWhenNothingWaits) {
  ServerConfig config;
  config.websocket.most_message = 8 << 20;
  serve(echo, config);
  WebSocketConfig client;
  client.most_message = 8 << 20;
  client.most_queued = 1 << 20;
  const auto ws = socket(client);
  EXPECT_TRUE(ws->send(std::string(5 << 20, 'x')));
  EXPECT_FALSE(ws->send("y"));
  EXPECT_EQ(receive(*ws)->size(), 5u << 20);
}

TEST_F(WebSocketTest, QueueBelowSlowsASender) {
  serve(echo);
  const auto ws = socket();
  int sent = 0;
  std::size_t most = 0;
  loop_.spawn([&]() -> awaitable<void> {
    for (; sent < 200; ++sent) {
      co_await ws->queue_below(256 << 10);
      EXPECT_TRUE(ws->send(std::string(64 << 10, 'x')));
      most = std::max(most, ws->queued());
    }
  });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(receive(*ws));
  EXPECT_EQ(sent, 200);
  EXPECT_LE(most, 320u << 10);
}

// ---- ends

TEST_F(WebSocketTest, CloseSendsWhatIsQueuedFirst) {
  std::vector<std::string> heard;
  std::optional<WebSocketEnd> end;
  serve([&](RequestPtr, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
    for (;;) {
      const auto message = co_await peer->receive();
      if (!message) break;
      heard.emplace_back(message->bytes);
    }
    end = peer->end();
  });
  const auto ws = socket();
  for (int i = 0; i < 100; ++i) ws->send(std::to_string(i));
  ws->close(1000, "done");
  EXPECT_FALSE(ws->send("too late"));
  run_void(loop_, [&] { return ws->ended(); });
  ASSERT_TRUE(loop_.run_until([&] { return end.has_value(); }));
  EXPECT_EQ(heard.size(), 100u);
  EXPECT_EQ(end->code, 1000);
  EXPECT_EQ(end->reason, "done");
  EXPECT_TRUE(ws->end()->clean);
  EXPECT_EQ(ws->end()->by, WebSocketEnd::By::us);
}

TEST_F(WebSocketTest, AReasonIsCutBetweenCharacters) {
  serve([](RequestPtr, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
    std::string reason(122, 'x');
    reason += "é and more";
    peer->close(1008, reason);
    co_await peer->receive();
  });
  const auto ws = socket();
  EXPECT_FALSE(receive(*ws));
  EXPECT_EQ(ws->end()->reason, std::string(122, 'x'));
}

TEST_F(WebSocketTest, ACloseThatIsNotAnsweredEndsInTime) {
  serve([this](RequestPtr, std::shared_ptr<WebSocket>) -> awaitable<void> { co_await loop_.sleep(1h); });
  const auto ws = socket();
  ws->close(1000, "bye");
  settle(loop_);
  EXPECT_FALSE(ws->end());
  loop_.advance(5s);
  ASSERT_TRUE(loop_.run_until([&] { return ws->end().has_value(); }));
  EXPECT_FALSE(ws->end()->clean);
  EXPECT_EQ(ws->end()->reason, "bye (and no close frame in return within 5 s)");
}

TEST_F(WebSocketTest, DropEndsAWaitingReceive) {
  serve(echo);
  const auto ws = socket();
  std::optional<std::string> got;
  loop_.spawn([&]() -> awaitable<void> { got = (co_await ws->receive()).error().detail; });
  settle(loop_, 5ms);
  ws->drop();
  ASSERT_TRUE(loop_.run_until([&] { return got.has_value(); }));
  EXPECT_EQ(got, ws->peer() + ": closed by us (1006, dropped)");
}

TEST_F(WebSocketTest, AHandlerThatReturnsClosesAndOneThatThrowsSaysSo) {
  serve([](RequestPtr request, std::shared_ptr<WebSocket>) -> awaitable<void> {
    if (request->where.path == "/bad") throw std::runtime_error{"broken"};
    co_return;
  });
  const auto good = connect({.url = url("/good")});
  ASSERT_TRUE(good);
  EXPECT_FALSE(receive(**good));
  EXPECT_EQ((*good)->end()->code, 1000);
  const auto bad = connect({.url = url("/bad")});
  ASSERT_TRUE(bad);
  EXPECT_FALSE(receive(**bad));
  EXPECT_EQ((*bad)->end()->code, 1011);
  EXPECT_EQ(server_->stats().failed_handlers, 1u);
  ASSERT_TRUE(loop_.run_until([&] { return server_->stats().open == 0; }));
}

TEST_F(WebSocketTest, AStoppedServerSaysThatItGoes) {
  serve(echo);
  const auto ws = socket();
  bool stopped = false;
  loop_.spawn([&]() -> awaitable<void> {
    co_await server_->stop(5s);
    stopped = true;
  });
  EXPECT_FALSE(receive(*ws));
  EXPECT_EQ(ws->end()->code, 1001);
  EXPECT_EQ(ws->end()->reason, "the server stops");
  EXPECT_TRUE(loop_.run_until([&] { return stopped; }));
}

TEST_F(WebSocketTest, ADestroyedServerCutsItsClients) {
  serve(echo);
  const auto ws = socket();
  ws->send("x");
  EXPECT_EQ(receive(*ws), "x");
  server_.reset();
  EXPECT_FALSE(receive(*ws));
  EXPECT_EQ(ws->end()->code, 1006);
}

TEST_F(WebSocketTest, CompressionWhereBothWantIt) {
  for (const bool server : {false, true}) {
    for (const bool client : {false, true}) {
      std::string offered;
      ServerConfig config;
      config.websocket.compress = server;
      serve(
          [&](RequestPtr request, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
            offered = request->headers.get("Sec-WebSocket-Extensions");
            co_await echo(request, peer);
          },
          config);
      WebSocketConfig mine;
      mine.compress = client;
      const auto ws = socket(mine);
      ws->send(std::string(100000, 'x'));
      EXPECT_EQ(receive(*ws), std::string(100000, 'x'));
      EXPECT_EQ(offered.starts_with("permessage-deflate"), client);
    }
  }
}

}  // namespace
}  // namespace truetape::net
