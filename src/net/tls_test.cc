// TLS between client and server, good and bad certificates, and through a proxy; over real sockets on loopback.
#include <gmock/gmock.h>

#include <fstream>

#include "net/http_client.h"
#include "net/server.h"
#include "net/testing.h"
#include "net/testing_authority.h"
#include "net/websocket_client.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Answer = Result<HttpAnswer>;
using Connected = tl::expected<std::unique_ptr<WebSocket>, ConnectError>;

class TlsTest : public testing::Test {
 protected:
  void serve(const TestAuthority::Files& files) {
    ServerConfig config;
    config.certificate_file = files.certificate;
    config.key_file = files.key;
    Handlers handlers;
    handlers.http = [](RequestPtr request) -> awaitable<ServerAnswer> {
      co_return text_answer(200, "text/plain", request->tls ? std::string(100000, 's') : "plain");
    };
    handlers.websocket = [](RequestPtr, std::shared_ptr<WebSocket> socket) -> awaitable<void> {
      const auto message = co_await socket->receive();
      if (message) socket->send(std::string{message->bytes});
      socket->close(1000, "bye");
      co_await socket->receive();
    };
    server_ = std::make_unique<Server>(loop_, config, handlers);
    const auto port = server_->listen();
    ASSERT_TRUE(port) << port.error().detail;
  }
  std::string at(const std::string& scheme, const std::string& host) const {
    return scheme + "://" + host + ":" + std::to_string(server_->port());
  }
  void trust(const std::string& ca_file, ProxySettings proxy = {}) {
    ConnectConfig config;
    config.ca_file = ca_file;
    config.proxy = std::move(proxy);
    auto connector = Connector::make(loop_, config);
    ASSERT_TRUE(connector) << connector.error().detail;
    connector_ = std::move(*connector);
  }
  Answer get(const std::string& url) {
    HttpClient client{*connector_, {}};
    const HttpRequest request{.url = url};
    return run<Answer>(loop_, [&] { return client.send(request); });
  }
  Connected connect(const std::string& url) {
    const WebSocketRequest request{.url = url};
    return run<Connected>(loop_, [&] { return connect_websocket(*connector_, request); });
  }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
  TempFolder folder_;
  TestAuthority authority_{folder_};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Connector> connector_;
};

TEST_F(TlsTest, HttpAndWebSocketByNameAndByAddress) {
  serve(authority_.issue("good", "DNS:localhost,IP:127.0.0.1"));
  trust(authority_.ca_file());
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    const Answer answer = get(at("https", host) + "/");
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->body, std::string(100000, 's'));
    auto socket = connect(at("wss", host) + "/ws");
    ASSERT_TRUE(socket) << socket.error().detail;
    (*socket)->send("over TLS");
    run_void(loop_, [&]() -> awaitable<void> {
      const auto message = co_await (*socket)->receive();
      EXPECT_EQ(message ? message->bytes : message.error().detail, "over TLS");
      EXPECT_FALSE(co_await (*socket)->receive());
    });
    ASSERT_TRUE((*socket)->end());
    EXPECT_EQ((*socket)->end()->code, 1000);
    EXPECT_TRUE((*socket)->end()->clean);
  }
}

TEST_F(TlsTest, AWrongCertificateIsRefusedWithTheReason) {
  const TestAuthority stranger{folder_, "stranger"};
  struct Case {
    TestAuthority::Files files;
    std::string trusted, why;
  };
  for (const Case& c : {
           Case{authority_.issue("expired", "DNS:localhost", -7200, -3600), authority_.ca_file(),
                "certificate has expired"},
           Case{authority_.issue("early", "DNS:localhost", 3600, 7200), authority_.ca_file(),
                "certificate is not yet valid"},
           Case{authority_.issue("other", "DNS:example.com"), authority_.ca_file(), "hostname mismatch"},
           Case{authority_.issue("address", "IP:127.0.0.1"), authority_.ca_file(), "hostname mismatch"},
           Case{authority_.issue("unnamed", ""), authority_.ca_file(), "hostname mismatch"},
           Case{authority_.issue("unknown", "DNS:localhost"), stranger.ca_file(),
                "unable to get local issuer certificate"},
           Case{authority_.issue("system", "DNS:localhost"), "", "unable to get local issuer certificate"},
       }) {
    serve(c.files);
    trust(c.trusted);
    const Answer answer = get(at("https", "localhost") + "/");
    ASSERT_FALSE(answer) << c.files.certificate;
    EXPECT_THAT(answer.error().detail, HasSubstr("its certificate is not to be trusted (" + c.why + ")"));
    EXPECT_EQ(answer.error().fault, Fault::refused);
    const Connected socket = connect(at("wss", "localhost") + "/");
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().stage, Stage::tls);
    EXPECT_EQ(server_->stats().requests + server_->stats().upgrades, 0u) << "nothing was said before";
  }
  serve(authority_.issue("name", "DNS:localhost"));
  trust(authority_.ca_file());
  EXPECT_THAT(get(at("https", "127.0.0.1") + "/").error().detail, HasSubstr("IP address mismatch"));
}

TEST_F(TlsTest, TheFileOfTheSystemsAuthoritiesMayBeNamedByTheEnvironment) {
  serve(authority_.issue("good", "DNS:localhost"));
  ASSERT_EQ(::setenv("SSL_CERT_FILE", authority_.ca_file().c_str(), 1), 0);
  trust("");
  const auto known = get(at("https", "localhost") + "/");
  ASSERT_EQ(::unsetenv("SSL_CERT_FILE"), 0);
  ASSERT_TRUE(known) << known.error().detail;
  EXPECT_EQ(known->status, 200);
}

TEST_F(TlsTest, TlsToAPlainPortAndPlainToATlsPort) {
  serve(authority_.issue("good", "DNS:localhost"));
  trust(authority_.ca_file());
  EXPECT_FALSE(get(at("http", "localhost") + "/"));
  RawServer plain{loop_,
                  [](RawPeer& peer) -> awaitable<void> { co_await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"); }};
  const Answer answer = get(plain.origin("https") + "/");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().detail, HasSubstr("TLS failed"));
  EXPECT_THAT(answer.error().detail, HasSubstr("is this a TLS port?"));
}

TEST_F(TlsTest, AHandshakeThatHangsEndsInTimeOnBothSides) {
  serve(authority_.issue("good", "DNS:localhost"));
  trust(authority_.ca_file());
  RawPeer silent{loop_};
  run_void(loop_, [&]() -> awaitable<void> { co_await silent.connect(server_->port()); });
  ASSERT_TRUE(loop_.run_until([&] { return server_->stats().open == 1; }));
  RawServer hanging{loop_, [](RawPeer& peer) -> awaitable<void> { co_await peer.read_to_end(); }};
  std::optional<Answer> answer;
  HttpClient client{*connector_, {}};
  loop_.spawn([&]() -> awaitable<void> {
    const HttpRequest request{.url = hanging.origin("https") + "/"};
    answer = co_await client.send(request);
  });
  settle(loop_);
  EXPECT_FALSE(answer);
  loop_.advance(10s);
  ASSERT_TRUE(loop_.run_until([&] { return answer && server_->stats().open == 0; }));
  EXPECT_THAT(answer->error().detail, HasSubstr("no answer in time while beginning TLS"));
}

TEST_F(TlsTest, ThroughAProxyByConnect) {
  serve(authority_.issue("exchange", "DNS:exchange.test"));
  std::vector<std::string> heard;
  RawServer proxy{loop_, [&](RawPeer& peer) -> awaitable<void> {
                    heard.push_back(co_await peer.read_until("\r\n\r\n"));
                    RawPeer target{loop_};
                    co_await target.connect(server_->port());
                    co_await peer.write("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
                    bool back_done = false;
                    Event done{loop_};
                    const auto copy = [](asio::ip::tcp::socket& from, asio::ip::tcp::socket& to) -> awaitable<void> {
                      std::array<char, 16384> bytes;
                      for (;;) {
                        const auto [ec, n] = co_await from.async_read_some(asio::buffer(bytes), kTuple);
                        if (ec) break;
                        const auto [failed, written] =
                            co_await asio::async_write(to, asio::buffer(bytes.data(), n), kTuple);
                        if (failed) break;
                      }
                      error_code ignored;
                      to.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
                    };
                    loop_.spawn([&]() -> awaitable<void> {
                      co_await copy(target.socket, peer.socket);
                      back_done = true;
                      done.set();
                    });
                    co_await copy(peer.socket, target.socket);
                    if (!back_done) co_await done.wait();
                  }};
  ProxySettings settings;
  settings.https = *parse_url("http://user:pass@127.0.0.1:" + std::to_string(proxy.port()));
  trust(authority_.ca_file(), settings);
  const Answer answer = get("https://exchange.test/x");
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->body.size(), 100000u);
  auto socket = connect("wss://exchange.test:9443/ws");
  ASSERT_TRUE(socket) << socket.error().detail;
  EXPECT_EQ(heard, (std::vector<std::string>{"CONNECT exchange.test:443 HTTP/1.1\r\nHost: "
                                             "exchange.test:443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
                                             "CONNECT exchange.test:9443 HTTP/1.1\r\nHost: "
                                             "exchange.test:9443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"}));
  socket->reset();
  settle(loop_);
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreTold) {
  const auto good = authority_.issue("good", "DNS:localhost");
  const auto other = authority_.issue("other", "DNS:localhost");
  std::ofstream{folder_ / "empty.pem"};
  for (const std::string& file : {folder_ / "none.pem", folder_ / "empty.pem", good.key}) {
    const auto connector = Connector::make(loop_, {.ca_file = file});
    ASSERT_FALSE(connector) << file;
    EXPECT_THAT(connector.error().detail, HasSubstr(file));
  }
  const auto listen = [&](const std::string& certificate, const std::string& key) {
    Server server{loop_, {.certificate_file = certificate, .key_file = key}, {}};
    const auto port = server.listen();
    return port ? "listens" : port.error().detail;
  };
  EXPECT_EQ(listen(good.certificate, good.key), "listens");
  EXPECT_THAT(listen(good.certificate, other.key), HasSubstr("does not belong to the certificate"));
  EXPECT_THAT(listen(folder_ / "none.pem", good.key),
              HasSubstr("the certificate '" + (folder_ / "none.pem") + "' cannot be used"));
  EXPECT_THAT(listen(good.certificate, folder_ / "none.key"), HasSubstr("the private key '"));
}

}  // namespace
}  // namespace truetape::net
