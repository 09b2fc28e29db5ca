// HttpClient against servers that do wrong, over real sockets on loopback; time is manual.
#include "net/http_client.h"

#include <gmock/gmock.h>

#include "net/http_date.h"
#include "net/testing.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Answer = Result<HttpAnswer>;

class HttpClientTest : public testing::Test {
 protected:
  // A server that reads the header of one request and then says these bytes; `more` comes after.
  void answers(std::string bytes, std::function<awaitable<void>(RawPeer&)> more = {}) {
    server_ = std::make_unique<RawServer>(loop_, [bytes, more](RawPeer& peer) -> awaitable<void> {
      co_await peer.read_until("\r\n\r\n");
      co_await peer.write(bytes);
      if (more) co_await more(peer);
    });
  }
  HttpClient& client(HttpClientConfig config = {}, ConnectConfig connect = {}) {
    client_.reset();
    connector_ = *Connector::make(loop_, std::move(connect));
    client_ = std::make_unique<HttpClient>(*connector_, std::move(config));
    return *client_;
  }
  Answer send(HttpRequest request = {}) {
    if (!client_) client();
    if (request.url.empty()) request.url = server_->origin("http") + "/x?secret=1";
    return run<Answer>(loop_, [&] { return client_->send(request); });
  }
  // Sends, lets the sockets rest, then lets time pass; the answer must be there.
  Answer send_and_wait(Nanoseconds time) {
    if (!client_) client();
    std::optional<Answer> answer;
    loop_.spawn([&]() -> awaitable<void> {
      const HttpRequest request{.url = server_->origin("http") + "/x"};
      answer = co_await client_->send(request);
    });
    settle(loop_);
    EXPECT_FALSE(answer) << "before its time";
    loop_.advance(time);
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  static awaitable<void> hold(RawPeer& peer) { co_await peer.read_to_end(); }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
  std::unique_ptr<RawServer> server_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, FormsOfABody) {
  struct Case {
    std::string said, body;
  };
  for (const Case& c : {
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "hello"},
           Case{"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"},
           Case{"HTTP/1.0 200 OK\r\n\r\nold", "old"},
           Case{"HTTP/1.1 204 No Content\r\n\r\n", ""},
           Case{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
                "OK\r\nContent-Length: 2\r\n\r\nok",
                "ok"},
       }) {
    answers(c.said);
    const Answer answer = send();
    ASSERT_TRUE(answer) << c.said << ": " << answer.error().detail;
    EXPECT_EQ(answer->body, c.body) << c.said;
    EXPECT_EQ(answer->status, c.body.empty() ? 204 : 200);
  }
}

TEST_F(HttpClientTest, EveryStatusIsAnAnswerAndItsContentIsTold) {
  answers(
      "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nX-MBX-USED-WEIGHT-1M: 6001\r\nContent-Type: text/html; "
      "charset=UTF-8\r\nContent-Length: 6\r\n\r\n<html>");
  const Answer answer = send();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 429);
  EXPECT_EQ(answer->headers.content_type(), "text/html");
  EXPECT_EQ(answer->body, "<html>");
  EXPECT_EQ(retry_after(answer->headers, answer->received), 30s);
  EXPECT_EQ(answer->headers.get("x-mbx-used-weight-1m"), "6001");
}

TEST_F(HttpClientTest, TheAnswerOfAHeadHasNoBody) {
  answers("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  const Answer answer = send({.method = "HEAD"});
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->headers.get("Content-Length"), "5000");
  EXPECT_EQ(answer->body, "");
}

TEST_F(HttpClientTest, BrokenAnswersAreErrorsWithTheReason) {
  struct Case {
    std::string said, why;
    Retry retry;
  };
  HttpClientConfig config;
  config.most_header = 1024;
  config.most_body = 100;
  client(config);
  for (const Case& c : {
           Case{"", "the connection ended before an answer", Retry::reconnect},
           Case{"HTTP/1.1 200 OK\r\nContent-Le", "the connection ended before an answer", Retry::reconnect},
           Case{"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is no HTTP", Retry::never},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "ended within the body", Retry::reconnect},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "ended within the body",
                Retry::reconnect},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", "ended within the body",
                Retry::reconnect},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "longer than 100 bytes", Retry::never},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + std::string(255, 'x') + "\r\n",
                "longer than 100 bytes", Retry::never},
           Case{"HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", "header is longer than 1024 bytes",
                Retry::never},
       }) {
    answers(c.said);
    const Answer answer = send();
    ASSERT_FALSE(answer) << c.said;
    EXPECT_THAT(answer.error().detail, HasSubstr(c.why)) << c.said;
    EXPECT_EQ(answer.error().retry, c.retry) << c.said;
    EXPECT_THAT(answer.error().detail, HasSubstr("GET " + server_->origin("http") + "/x:"))
        << "who, and without the query";
    EXPECT_EQ(server_->accepted, 1) << "nothing is asked twice on a new connection";
  }
}

TEST_F(HttpClientTest, SilenceEndsInTimeWhereverItBegins) {
  for (const auto& [said, why, limit] : {
           std::tuple{"", "no answer in time", 15s},
           std::tuple{"HTTP/1.1 200 OK\r\nConte", "no answer in time", 15s},
           std::tuple{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "the body did not come in time", 60s},
       }) {
    answers(said, hold);
    const Answer answer = send_and_wait(limit);
    ASSERT_FALSE(answer) << said;
    EXPECT_THAT(answer.error().detail, HasSubstr(why));
    EXPECT_EQ(answer.error().retry, Retry::after_backoff);
  }
}

TEST_F(HttpClientTest, ABodyThatDripsIsCutAtTheLimitOfTheWhole) {
  answers("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", [this](RawPeer& peer) -> awaitable<void> {
    for (int i = 0; i < 1000; ++i) {
      if (!co_await peer.write("x")) co_return;
      co_await loop_.sleep(1s);
    }
  });
  std::optional<Answer> answer;
  client();
  loop_.spawn([&]() -> awaitable<void> {
    const HttpRequest request{.url = server_->origin("http") + "/x"};
    answer = co_await client_->send(request);
  });
  settle(loop_);
  for (int i = 0; i < 61 && !answer; ++i) {
    loop_.advance(1s);
    settle(loop_, 2ms);
  }
  ASSERT_TRUE(loop_.run_until([&] { return answer.has_value(); }));
  ASSERT_FALSE(*answer);
  EXPECT_THAT(answer->error().detail, HasSubstr("the body did not come in time"));
}

TEST_F(HttpClientTest, AKeptConnectionThatTheServerClosedIsReplaced) {
  const std::string said = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
  answers(said);  // answers one request, then closes
  ASSERT_TRUE(send());
  ASSERT_TRUE(send()) << "sent again on a new connection";
  EXPECT_EQ(server_->accepted, 2);
  const Answer posted = send({.method = "POST"});
  ASSERT_FALSE(posted) << "but not what may have been done already";
  EXPECT_THAT(posted.error().detail, HasSubstr("the connection ended before an answer"));
}

TEST_F(HttpClientTest, AnUnusedConnectionIsClosed) {
  std::string seen = "open";
  answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", [&](RawPeer& peer) -> awaitable<void> {
    co_await peer.read_to_end();
    seen = "closed";
  });
  ASSERT_TRUE(send());
  loop_.advance(29s);
  settle(loop_);
  EXPECT_EQ(seen, "open");
  loop_.advance(1s);
  EXPECT_TRUE(loop_.run_until([&] { return seen == "closed"; }));
}

TEST_F(HttpClientTest, MoreRequestsThanConnectionsWaitTheirTurn) {
  int open = 0, most = 0, answered = 0;
  server_ = std::make_unique<RawServer>(loop_, [&](RawPeer& peer) -> awaitable<void> {
    most = std::max(most, ++open);
    for (;;) {
      if ((co_await peer.read_until("\r\n\r\n")).empty()) break;
      co_await loop_.turn();
      co_await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    }
    --open;
  });
  HttpClientConfig config;
  config.most_connections = 3;
  client(config);
  for (int i = 0; i < 20; ++i) {
    loop_.spawn([&]() -> awaitable<void> {
      const HttpRequest request{.url = server_->origin("http") + "/"};
      const Answer answer = co_await client_->send(request);
      answered += answer ? 1 : 0;
    });
  }
  ASSERT_TRUE(loop_.run_until([&] { return answered == 20; }));
  EXPECT_EQ(most, 3);
  EXPECT_EQ(client_->stats().connections, 3u);
}

TEST_F(HttpClientTest, CloseEndsWhatIsUnderWayAndWhatWaits) {
  answers("", hold);
  HttpClientConfig config;
  config.most_connections = 1;
  client(config);
  std::vector<std::string> ends;
  for (int i = 0; i < 2; ++i) {
    loop_.spawn([&]() -> awaitable<void> {
      const HttpRequest request{.url = server_->origin("http") + "/"};
      const Answer answer = co_await client_->send(request);
      ends.push_back(answer ? "answered" : answer.error().detail);
    });
  }
  settle(loop_);
  client_->close();
  ASSERT_TRUE(loop_.run_until([&] { return ends.size() == 2; }));
  for (const std::string& end : ends) EXPECT_THAT(end, HasSubstr("ended, the client was closed"));
  EXPECT_FALSE(send());
}

TEST_F(HttpClientTest, NoServerNoNameNoUrl) {
  asio::ip::tcp::acceptor unused{loop_.impl().context, {asio::ip::make_address("127.0.0.1"), 0}};
  const std::string refused = "http://127.0.0.1:" + std::to_string(unused.local_endpoint().port());
  unused.close();
  client();
  Answer answer = send({.url = refused + "/"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().detail, refused +
                                       ": no connection to 127.0.0.1 (Connection refused); check the address, the "
                                       "network, and whether the server runs");
  EXPECT_EQ(answer.error().fault, Fault::unavailable);
  EXPECT_EQ(answer.error().retry, Retry::after_backoff);

  answer = send({.url = "http://no-such-host.invalid/"});
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().detail, HasSubstr("the name 'no-such-host.invalid' is not known"));

  answer = send({.url = "ws://127.0.0.1/"});
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().detail, HasSubstr("is no address of HTTP"));
  EXPECT_EQ(answer.error().retry, Retry::never);
  for (const HttpRequest& bad :
       {HttpRequest{.url = refused, .headers = {{"X", "a\r\nY: b"}}}, HttpRequest{.method = "GET /", .url = refused},
        HttpRequest{.method = "", .url = refused}}) {
    answer = send(bad);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().retry, Retry::never);
  }
}

// ---- proxies

TEST_F(HttpClientTest, PlainHttpGoesThroughAProxyInTheAbsoluteForm) {
  std::string heard;
  server_ = std::make_unique<RawServer>(loop_, [&](RawPeer& peer) -> awaitable<void> {
    heard = co_await peer.read_until("\r\n\r\n");
    co_await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  ConnectConfig connect;
  connect.proxy.http = *parse_url("http://user:pass@127.0.0.1:" + std::to_string(server_->port()));
  client({}, connect);
  const Answer answer = send({.url = "http://exchange.test/v1/time?x=1"});
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_THAT(heard, HasSubstr("GET http://exchange.test/v1/time?x=1 HTTP/1.1\r\n"));
  EXPECT_THAT(heard, HasSubstr("Host: exchange.test\r\n"));
  EXPECT_THAT(heard, HasSubstr("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"));
}

TEST_F(HttpClientTest, AProxyThatRefusesIsNamed) {
  struct Case {
    std::string said, why;
    Retry retry;
  };
  for (const Case& c : {
           Case{"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!",
                "status 407; give it a user and password", Retry::never},
           Case{"HTTP/1.1 403 Forbidden\r\n\r\n", "status 403; ask its operator", Retry::never},
           Case{"HTTP/1.1 502 Bad Gateway\r\n\r\n", "status 502", Retry::after_backoff},
           Case{"", "did not answer a CONNECT", Retry::after_backoff},
           Case{"hello\r\n\r\n", "did not answer a CONNECT", Retry::after_backoff},
           Case{"HTTP/1.1 200 OK\r\n\r\nsurprise", "sent bytes of its own", Retry::after_backoff},
       }) {
    answers(c.said);
    ConnectConfig connect;
    connect.proxy.https = *parse_url("http://127.0.0.1:" + std::to_string(server_->port()));
    client({}, connect);
    const Answer answer = send({.url = "https://exchange.test/"});
    ASSERT_FALSE(answer) << c.said;
    EXPECT_THAT(answer.error().detail, HasSubstr("http://127.0.0.1:" + std::to_string(server_->port()) + ": the proxy"))
        << c.said;
    EXPECT_THAT(answer.error().detail, HasSubstr(c.why)) << c.said;
    EXPECT_EQ(answer.error().retry, c.retry) << c.said;
  }
}

TEST_F(HttpClientTest, AProxyThatIsSilentEndsInTime) {
  server_ = std::make_unique<RawServer>(loop_, hold);
  ConnectConfig connect;
  connect.proxy.https = *parse_url("http://127.0.0.1:" + std::to_string(server_->port()));
  client({}, connect);
  std::optional<Answer> answer;
  loop_.spawn([&]() -> awaitable<void> {
    const HttpRequest request{.url = "https://exchange.test/"};
    answer = co_await client_->send(request);
  });
  settle(loop_);
  loop_.advance(10s);
  ASSERT_TRUE(loop_.run_until([&] { return answer.has_value(); }));
  EXPECT_THAT(answer->error().detail, HasSubstr("no answer in time while asking the proxy for exchange.test:443"));
}

}  // namespace
}  // namespace truetape::net
