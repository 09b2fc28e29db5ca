#include "serve/monitor.h"

#include "serve/testing.h"

namespace truetape {
namespace {

class MonitorTest : public testing::Test {
 protected:
  net::HttpAnswer ask(ServeConfig config, const std::string& method, const std::string& target,
                      const std::string& token = "") {
    Monitor monitor{loop_,
                    std::move(config),
                    {.metrics = metrics_,
                     .reasons = [this] { return reasons_; },
                     .look = [this] { metrics_.gauge("truetape_looked", "").set(++looked_); }}};
    const auto port = monitor.listen();
    EXPECT_TRUE(port) << port.error().detail;
    EXPECT_EQ(monitor.origin(), "http://127.0.0.1:" + std::to_string(*port));
    const auto connector = std::move(*net::Connector::make(loop_, {}));
    net::HttpClient client{*connector, net::HttpClientConfig{}};
    net::HttpRequest request{.method = method, .url = monitor.origin() + target};
    if (!token.empty()) request.headers.add("Authorization", "Bearer " + token);
    auto answer = net::run<Result<net::HttpAnswer>>(loop_, [&] { return client.send(request); });
    EXPECT_TRUE(answer) << answer.error().detail;
    net::run_void(loop_, [&]() -> awaitable<void> { co_await monitor.stop(1s); });
    return *answer;
  }

  const ManualClock clock_{at("2024-08-08T12:00:00Z")};
  net::Loop loop_{clock_};
  Metrics metrics_;
  std::vector<std::string> reasons_;
  int looked_ = 0;
};

TEST_F(MonitorTest, IsReadyWhereNothingIsWrong) {
  EXPECT_EQ(ask({}, "GET", "/health/live").status, 200);
  const auto ready = ask({}, "GET", "/health/ready");
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(ready.body, HasSubstr(R"({"status":"ready","reasons":[]})"));
  EXPECT_THAT(ask({}, "GET", "/metrics").body, HasSubstr("truetape_ready 1\n"));
}

TEST_F(MonitorTest, SaysWhyItIsNotReadyAndLooksWhenItIsAsked) {
  reasons_ = {"process: the brokers are away"};
  EXPECT_EQ(ask({}, "GET", "/health/live").status, 200);
  const auto ready = ask({}, "GET", "/health/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr(R"(["process: the brokers are away"])"));
  EXPECT_EQ(looked_, 0);
  const std::string text = ask({}, "GET", "/metrics").body;
  EXPECT_THAT(text, HasSubstr("truetape_ready 0\n"));
  EXPECT_THAT(text, HasSubstr("truetape_looked 1\n"));
}

TEST_F(MonitorTest, ServesNothingElse) {
  EXPECT_EQ(ask({}, "GET", "/").status, 404);
  EXPECT_EQ(ask({}, "GET", "/api/v1/candles").status, 404);
  EXPECT_EQ(ask({}, "POST", "/metrics").status, 405);
}

TEST_F(MonitorTest, AsksForTheReadToken) {
  ServeConfig config;
  config.read_token = "reader";
  config.control_token = "controller";
  EXPECT_EQ(ask(config, "GET", "/health/ready").status, 200);
  EXPECT_EQ(ask(config, "GET", "/metrics").status, 401);
  EXPECT_EQ(ask(config, "GET", "/metrics", "reader").status, 200);
}

}  // namespace
}  // namespace truetape
