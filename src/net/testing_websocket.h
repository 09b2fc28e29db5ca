// What the tests of WebSockets share. Link OpenSSL::Crypto.
#pragma once

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "net/server.h"
#include "net/testing.h"
#include "net/websocket.h"
#include "net/websocket_client.h"

namespace truetape::net {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Connected = tl::expected<std::unique_ptr<WebSocket>, ConnectError>;

// What a server answers to a Sec-WebSocket-Key (RFC 6455, 4.2.2).
inline std::string websocket_accept(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 29> encoded{};
  EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return reinterpret_cast<const char*>(encoded.data());
}

// Server and client on one loop; time is manual.
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

}  // namespace truetape::net
