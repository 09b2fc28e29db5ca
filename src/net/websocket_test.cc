// WebSocket against WebSocket over real sockets on loopback; time is manual.
#include "net/testing_websocket.h"

namespace truetape::net {
namespace {

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

TEST_F(WebSocketTest, PingsThatAreAskedForGoOutInOrderAndBothSidesHearThem) {
  std::vector<std::string> pings, pongs;
  serve([&](RequestPtr, std::shared_ptr<WebSocket> peer) -> awaitable<void> {
    peer->on_control([&](WebSocket::Control kind, std::string_view payload) {
      if (kind == WebSocket::Control::ping) pings.emplace_back(payload);
    });
    co_await peer->receive();
  });
  const auto ws = socket();
  ws->on_control([&](WebSocket::Control kind, std::string_view payload) {
    if (kind == WebSocket::Control::pong) pongs.emplace_back(payload);
  });
  loop_.spawn([&]() -> awaitable<void> { co_await ws->receive(); });
  ws->ping("1");
  ws->ping("");
  ws->ping(std::string(200, 'x'));
  ASSERT_TRUE(loop_.run_until([&] { return pongs.size() == 3; }));
  EXPECT_EQ(pings, (std::vector<std::string>{"1", "", std::string(125, 'x')}));
  EXPECT_EQ(pongs, pings);
  EXPECT_EQ(ws->stats().pings_sent, 3u);
  EXPECT_FALSE(ws->stats().round_trip) << "that is of the connection's own pings";
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
