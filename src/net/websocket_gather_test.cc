// Small messages go out together, few system calls for many; nothing of that may show to the other side. Over real
// sockets on loopback, plain and TLS; time is manual.
#include "net/testing_authority.h"
#include "net/testing_websocket.h"
#include "net/websocket_impl.h"

namespace truetape::net {
namespace {

std::string numbered(int i) { return std::to_string(i) + std::string(static_cast<std::size_t>(i % 300), '.'); }

// All messages that a client hears until the end.
struct Heard {
  std::vector<std::string> messages;
  std::optional<WebSocketEnd> end;
};
awaitable<Heard> hear(WebSocket& socket) {
  Heard heard;
  for (;;) {
    const auto message = co_await socket.receive();
    if (!message) break;
    heard.messages.emplace_back(message->bytes);
  }
  heard.end = socket.end();
  co_return heard;
}

class GatherTest : public RudeServerTest, public testing::WithParamInterface<bool> {
 protected:
  void serve_life(Life life) {
    ServerConfig config;
    if (tls()) {
      const auto files = authority_.issue("good", "IP:127.0.0.1");
      config.certificate_file = files.certificate;
      config.key_file = files.key;
      connector_ = *Connector::make(loop_, {.ca_file = authority_.ca_file()});
    }
    serve(std::move(life), config);
  }
  bool tls() const { return GetParam(); }
  std::unique_ptr<WebSocket> client(WebSocketConfig config = {}) {
    auto connected =
        connect({.url = (tls() ? "wss://127.0.0.1:" : "ws://127.0.0.1:") + std::to_string(server_->port()) + "/",
                 .config = config});
    if (!connected) throw std::runtime_error{connected.error().detail};
    return std::move(*connected);
  }
  TempFolder folder_;
  TestAuthority authority_{folder_};
};
INSTANTIATE_TEST_SUITE_P(, GatherTest, testing::Values(false, true),
                         [](const auto& with_tls) { return with_tls.param ? "tls" : "plain"; });

TEST_P(GatherTest, ManySmallMessagesArriveCompleteAndInOrderAndCloseDeliversAll) {
  constexpr int kMessages = 20'000;  // 3 MB: the buffer fills and empties many times
  serve_life([](RequestPtr, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
    for (int i = 0; i < kMessages; ++i) EXPECT_TRUE(peer->send(numbered(i)));
    peer->close(1000, "that was all");
    co_await peer->ended();
  });
  const auto ws = client();
  const Heard heard = run<Heard>(loop_, [&] { return hear(*ws); });
  ASSERT_EQ(heard.messages.size(), std::size_t{kMessages});
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(heard.messages[static_cast<std::size_t>(i)], numbered(i));
  EXPECT_EQ(heard.end->code, 1000);
  EXPECT_EQ(heard.end->reason, "that was all");
  EXPECT_TRUE(heard.end->clean);
}

TEST_P(GatherTest, SmallAndLargeMessagesPingsAndPongsKeepTheirOrderAndBytes) {
  const std::vector<std::size_t> sizes{1, 100'000, 5, 16'384, 16'370, 3, 70'000, 65'536, 2, 0, 40'000, 10};
  constexpr int kRounds = 20;
  serve_life(echo);
  WebSocketConfig config;
  config.ping_every = 1s;
  config.most_queued = 16 << 20;
  const auto ws = client(config);
  for (int round = 0; round < kRounds; ++round)
    for (const std::size_t size : sizes) ASSERT_TRUE(ws->send(std::string(size, static_cast<char>('a' + round))));
  for (int round = 0; round < kRounds; ++round) {
    for (const std::size_t size : sizes) {
      const auto back = receive(*ws);
      ASSERT_TRUE(back) << back.error().detail;
      ASSERT_EQ(*back, std::string(size, static_cast<char>('a' + round)));
    }
    loop_.advance(1s);
  }
  EXPECT_GE(ws->stats().pings_sent, 1u);
  EXPECT_TRUE(ws->stats().round_trip);
  EXPECT_FALSE(ws->end());
}

TEST_P(GatherTest, OneMessageGoesOutAtOnce) {
  serve_life(echo);
  const auto ws = client();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(ws->send(numbered(i)));
    EXPECT_EQ(receive(*ws), numbered(i));
  }
}

TEST_P(GatherTest, WhatCannotGoOutFailsTheNextMessageAndTheReaderLearnsWhy) {
  std::shared_ptr<WebSocket> peer;
  serve_life([&](RequestPtr, std::shared_ptr<WebSocket> s) -> awaitable<void> {
    peer = s;
    co_await loop_.sleep(1h);
  });
  auto ws = client();
  ASSERT_TRUE(loop_.run_until([&] { return peer != nullptr; }));
  ws->drop(true);  // a reset; nobody at the other side reads, so only sending can notice
  settle(loop_);
  ASSERT_FALSE(peer->end());
  ASSERT_TRUE(peer->send("into the void"));  // is done: its bytes are gathered
  settle(loop_);
  peer->send("and this one finds out");
  ASSERT_TRUE(loop_.run_until([&] { return peer->end().has_value(); }));
  EXPECT_EQ(peer->end()->code, 1006);
  EXPECT_EQ(peer->end()->by, WebSocketEnd::By::network);
  EXPECT_FALSE(peer->send("too late"));
  peer.reset();
}

TEST_P(GatherTest, APeerThatStopsReadingSmallMessagesIsGivenUp) {
  std::shared_ptr<WebSocket> peer;
  serve_life([&](RequestPtr, std::shared_ptr<WebSocket> s) -> awaitable<void> {
    peer = s;
    co_await loop_.sleep(1h);
  });
  const auto ws = client();
  ASSERT_TRUE(loop_.run_until([&] { return peer != nullptr; }));
  // Until the network takes no more: what is left then fits into the buffer before it, so no message waits.
  bool full = false;
  for (int i = 0; i < 20'000 && !full; ++i) {
    ASSERT_TRUE(peer->send(std::string(4000, 'x')));
    for (int poll = 0; poll < 4; ++poll) loop_.advance(0s);
    full = peer->impl().channel->flushing_since().has_value();
    if (!full) continue;
    settle(loop_);
    full = peer->impl().channel->flushing_since().has_value();
  }
  ASSERT_TRUE(full);
  EXPECT_EQ(peer->queued(), 0u);
  EXPECT_FALSE(peer->end());
  loop_.advance(20s);
  ASSERT_TRUE(loop_.run_until([&] { return peer->end().has_value(); }));
  EXPECT_EQ(peer->end()->reason, "the other side took nothing for 20 s");
  peer.reset();
}

TEST_P(GatherTest, ALoopMayGoWhileMessagesWaitForTheNetwork) {
  ManualClock clock{*parse_rfc3339("2024-08-08T23:59:00Z")};
  auto loop = std::make_unique<Loop>(clock);
  ServerConfig config;
  if (tls()) {
    const auto files = authority_.issue("good", "IP:127.0.0.1");
    config.certificate_file = files.certificate;
    config.key_file = files.key;
  }
  std::shared_ptr<WebSocket> peer;
  auto server = std::make_unique<Server>(
      *loop, config, Handlers{.websocket = [&](RequestPtr, std::shared_ptr<WebSocket> s) -> awaitable<void> {
        peer = s;
        co_await s->ended();
      }});
  ASSERT_TRUE(server->listen());
  auto connector = *Connector::make(*loop, {.ca_file = tls() ? authority_.ca_file() : ""});
  const WebSocketRequest request{.url = (tls() ? "wss" : "ws") + server->origin().substr(tls() ? 5 : 4)};
  auto ws = run<Connected>(*loop, [&] { return connect_websocket(*connector, request); });
  ASSERT_TRUE(ws);
  ASSERT_TRUE(loop->run_until([&] { return peer != nullptr; }));
  while (peer->send(std::string(1000, 'x'))) loop->advance(0s);  // nobody reads: buffer, network and queue are full
  // The sanitizer sees what is left behind.
  peer.reset();
  ws->reset();
  server.reset();
  connector.reset();
  loop.reset();
}

}  // namespace
}  // namespace truetape::net
