// HttpClient against Server, over real sockets on loopback.
#include <gmock/gmock.h>

#include "net/http_client.h"
#include "net/server.h"
#include "net/testing.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class HttpTest : public testing::Test {
 protected:
  void serve(Handlers handlers, ServerConfig config = {}) {
    server_ = std::make_unique<Server>(loop_, std::move(config), std::move(handlers));
    const auto port = server_->listen();
    ASSERT_TRUE(port) << port.error().detail;
    ASSERT_GT(*port, 0);
  }
  void serve(std::function<ServerAnswer(const ServerRequest&)> handler, ServerConfig config = {}) {
    serve(Handlers{.http = [handler](RequestPtr request) -> awaitable<ServerAnswer> { co_return handler(*request); }},
          std::move(config));
  }
  HttpClient& client(HttpClientConfig config = {}, ConnectConfig connect = {}) {
    connector_ = *Connector::make(loop_, std::move(connect));
    client_ = std::make_unique<HttpClient>(*connector_, std::move(config));
    return *client_;
  }
  Result<HttpAnswer> send(HttpRequest request) {
    if (!client_) client();
    return run<Result<HttpAnswer>>(loop_, [&] { return client_->send(request); });
  }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpTest, RequestAndAnswerArriveWhole) {
  serve([](const ServerRequest& r) {
    EXPECT_EQ(r.method, "POST");
    EXPECT_EQ(r.where.path, "/a b");
    EXPECT_EQ(r.where.query, (std::vector<std::pair<std::string, std::string>>{{"x", "1 2"}, {"y", "é"}, {"z", ""}}));
    EXPECT_EQ(r.headers.get("x-own"), "yes");
    EXPECT_EQ(r.body, "hello");
    EXPECT_EQ(r.address, "127.0.0.1");
    ServerAnswer answer = text_answer(201, "text/plain; charset=utf-8", "world");
    answer.headers.add("X-Other", "too");
    return answer;
  });
  const auto answer = send({.method = "POST",
                            .url = server_->origin() + "/a%20b?x=1+2&y=%C3%A9&z=",
                            .headers = {{"X-Own", "yes"}},
                            .body = "hello"});
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "world");
  EXPECT_EQ(answer->headers.get("x-other"), "too");
  EXPECT_EQ(answer->headers.content_type(), "text/plain");
  EXPECT_EQ(answer->headers.get("Date"), "Thu, 08 Aug 2024 23:59:00 GMT");
}

TEST_F(HttpTest, AConnectionIsUsedAgain) {
  serve([](const ServerRequest&) { return text_answer(200, "text/plain", "x"); });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send({.url = server_->origin() + "/"}));
  EXPECT_EQ(client_->stats().connections, 1u);
  EXPECT_EQ(client_->stats().reused, 4u);
  EXPECT_EQ(server_->stats().accepted, 1u);
}

}  // namespace
}  // namespace truetape::net
