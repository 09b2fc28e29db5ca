// Handshakes that fail, and peers without manners, over real sockets on loopback; time is manual.
#include "net/testing_websocket.h"

namespace truetape::net {
namespace {

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

}  // namespace
}  // namespace truetape::net
