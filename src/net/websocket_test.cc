// WebSocket against WebSocket, and against peers without manners, over real sockets on loopback; time is manual.
#include "net/websocket.h"

#include <gmock/gmock.h>

#include "net/server.h"
#include "net/testing.h"
#include "net/websocket_client.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Connected = tl::expected<std::unique_ptr<WebSocket>, ConnectError>;

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

}  // namespace
}  // namespace truetape::net
