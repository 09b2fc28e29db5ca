#include "serve/standby.h"

#include "serve/testing.h"

namespace truetape {
namespace {

struct Case {
  std::string method, target;
  int status;
  std::string body;  // a part of it
};

void expect(net::Loop& loop, Metrics& metrics, ServeConfig config, const std::vector<Case>& cases) {
  Standby standby{loop, std::move(config), metrics, "the disk is full"};
  const auto port = standby.listen();
  ASSERT_TRUE(port) << port.error().detail;
  const auto connector = std::move(*net::Connector::make(loop, {}));
  net::HttpClient client{*connector, net::HttpClientConfig{}};
  for (const Case& c : cases) {
    net::HttpRequest request{.method = c.method, .url = "http://127.0.0.1:" + std::to_string(*port) + c.target};
    const auto answer = net::run<Result<net::HttpAnswer>>(loop, [&] { return client.send(request); });
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->status, c.status) << c.method << ' ' << c.target;
    EXPECT_THAT(answer->body, HasSubstr(c.body)) << c.method << ' ' << c.target;
  }
  net::run_void(loop, [&]() -> awaitable<void> { co_await standby.stop(1s); });
}

TEST(StandbyTest, TellsThatAllBeginsAnewAndWhy) {
  const ManualClock clock{at("2024-08-08T12:00:00Z")};
  net::Loop loop{clock};
  Metrics metrics;
  metrics.gauge("truetape_up", "").set(0);
  const std::string reason = "all begins anew: the disk is full";
  expect(loop, metrics, {},
         {{"GET", "/health/live", 200, "live"},
          {"GET", "/health/ready", 503, R"({"status":"not ready","reasons":[")" + reason + R"("]})"},
          {"GET", "/metrics", 200, "truetape_up 0\n"},
          {"GET", "/metrics", 200, "truetape_ready 0\n"},
          {"GET", "/api/v1/candles?instrument=binance:BTCUSDT&interval=1m", 503, reason},
          {"POST", "/stop", 503, reason},
          {"GET", "/", 503, reason}});
}

TEST(StandbyTest, AsksForTheSameTokens) {
  const ManualClock clock{at("2024-08-08T12:00:00Z")};
  net::Loop loop{clock};
  Metrics metrics;
  ServeConfig config;
  config.read_token = "r";
  config.control_token = "c";
  expect(loop, metrics, config,
         {{"GET", "/health/ready", 503, "the disk is full"}, {"GET", "/metrics", 401, ""}, {"POST", "/stop", 401, ""}});
}

}  // namespace
}  // namespace truetape
