// Control, who may call it, health, metrics, the page.
#include <atomic>
#include <semaphore>

#include "codec/control.h"
#include "serve/guard.h"
#include "serve/testing.h"

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");

// A store whose quarantine takes its time; all else is the store's.
class SlowQuarantine final : public History {
 public:
  explicit SlowQuarantine(std::unique_ptr<History> store) : store_{std::move(store)} {}
  Status candles(const Selection& what, const std::function<bool(const Candle&)>& row) const override {
    return store_->candles(what, row);
  }
  Status trades(const Selection& what, const std::function<bool(const Trade&)>& row) const override {
    return store_->trades(what, row);
  }
  Status gaps(const Selection& what, const std::function<bool(const Gap&)>& row) const override {
    return store_->gaps(what, row);
  }
  Status quarantine(const Selection& what, const std::function<bool(const Quarantined&)>& row) const override {
    begun = true;
    go_on.acquire();
    return store_->quarantine(what, row);
  }
  Status progress(const Selection& what, const std::function<bool(const Progress&)>& row) const override {
    return store_->progress(what, row);
  }
  Status instruments(const Selection& what, const std::function<bool(const Reference&)>& row) const override {
    return store_->instruments(what, row);
  }
  Result<std::vector<Instrument>> known_instruments() const override { return store_->known_instruments(); }
  Result<std::optional<std::int64_t>> loaded(std::string_view topic, std::int32_t partition) const override {
    return store_->loaded(topic, partition);
  }
  Result<std::string> log_id() const override { return store_->log_id(); }
  Result<std::int64_t> logs() const override { return store_->logs(); }
  Result<std::vector<Missing>> missing() const override { return store_->missing(); }
  Result<std::unique_ptr<History>> snapshot() const override { return store_->snapshot(); }

  mutable std::atomic<bool> begun = false;
  mutable std::binary_semaphore go_on{0};

 private:
  const std::unique_ptr<History> store_;
};

class ServeControl : public ServeTest {
 protected:
  // All records of control, in order.
  std::vector<std::pair<std::string, std::string>> control() {
    const auto reader = *log_.reader(topic::control, "", Share::all);
    (void)*reader->poll(0ms);
    EXPECT_TRUE(reader->seek(kControlPartition, std::nullopt));
    std::vector<std::pair<std::string, std::string>> out;
    const auto step = reader->poll(0ms);
    for (const Stored& stored : step->records) out.emplace_back(stored.record.key, stored.record.value);
    return out;
  }
};

TEST_F(ServeControl, EachCallIsADurableRecordBeforeItsAnswer) {
  start();
  const auto started = send({.method = "POST", .url = "/start"});
  EXPECT_EQ(started.status, 202);
  EXPECT_EQ(started.body, "{\"state\":\"started\"}\n");
  EXPECT_EQ(control(), (std::vector<std::pair<std::string, std::string>>{{"ingest", R"({"state":"started"})"}}));
  EXPECT_EQ(send({.method = "POST", .url = "/stop"}).body, "{\"state\":\"stopped\"}\n");
  const auto wanted =
      send({.method = "POST", .url = "/api/v1/instruments", .body = R"({"instrument": "binance:ETHUSDT"})"});
  EXPECT_EQ(wanted.status, 202);
  EXPECT_EQ(wanted.body, "{\"state\":\"wanted\",\"instrument\":\"binance:ETHUSDT\"}\n");
  until([&] { return get("/api/v1/instruments").body.find("\"wanted\":true") != std::string::npos; });
  const auto pipeline = rows("/api/v1/pipeline");
  EXPECT_EQ(
      pipeline.rows,
      std::vector<std::string>{
          R"({"state":"stopped","wanted":["binance:ETHUSDT"],"intervals":["1s","1m","5m","1h"],"behind":{"process":0,"load":0,"serve":0},"feeds":[]})"});
  EXPECT_EQ(send({.method = "DELETE", .url = "/api/v1/instruments/binance:ETHUSDT"}).status, 202);
  EXPECT_EQ(control().back(), (std::pair<std::string, std::string>{"want:binance:ETHUSDT", R"({"wanted":false})"}));
  until([&] { return get("/api/v1/instruments").body.find("\"wanted\":true") == std::string::npos; });
  EXPECT_EQ(send({.method = "DELETE", .url = "/api/v1/instruments/binance:ETHUSDT"}).status, 404);
  for (const std::string body : {"", "[]", "{}", R"({"instrument":7})", R"({"instrument":"ETHUSDT"})"})
    EXPECT_EQ(send({.method = "POST", .url = "/api/v1/instruments", .body = body}).status, 400) << body;
  EXPECT_EQ(control().size(), 4U);
}

TEST_F(ServeControl, WhatWaitsInQuarantineIsSentAgainOrDropped) {
  std::vector<Row> items;
  for (int i = 0; i < 4; ++i) {
    Quarantined q;
    q.instrument = btc();
    q.offset = 10 + i;
    q.ordinal = 2;
    q.id = Text<40>::cut(std::to_string(i));
    q.reason = i == 0 ? Reason::price : Reason::rule;
    q.rule = Text<24>::cut(i == 0 ? "price" : "step");
    q.raw = "bytes " + std::to_string(i);
    q.headers = {{"kind", i == 3 ? "config" : "history"}, {"instruments", "binance:BTCUSDT"}, {"row", "7"}};
    items.emplace_back(q);
  }
  store_quarantined(items);
  start();
  const auto post = [&](const std::string& what, const std::string& body) {
    return send({.method = "POST", .url = "/api/v1/quarantine/" + what, .body = body});
  };
  const auto sent = post("replay", R"({"rule": "step"})");
  EXPECT_EQ(sent.status, 202);
  EXPECT_EQ(sent.body,
            "{\"sent\":2,\"unusable\":1,\"more\":false,\"why\":\"0/13/2: records of kind config cannot be "
            "judged again\"}\n");
  EXPECT_EQ(post("drop", R"({"items": ["0/10/2"]})").body, "{\"sent\":1,\"unusable\":0,\"more\":false}\n");
  EXPECT_EQ(post("drop", R"({"items": ["0/99"]})").body, "{\"sent\":0,\"unusable\":0,\"more\":false}\n");
  const auto reader = *log_.reader(topic::raw, "", Share::all);
  (void)*reader->poll(0ms);
  const std::int32_t where = partition_of(btc(), log_.partitions());
  ASSERT_NE(where, 0) << "where the items stand, since they came in a frame that named nothing";
  ASSERT_TRUE(reader->seek(where, std::nullopt));
  std::vector<std::string> raw;
  const auto step = reader->poll(0ms);
  for (const Stored& stored : step->records) {
    raw.emplace_back(stored.record.value);
    for (const Header& h : stored.record.headers) raw.back() += " " + std::string{h.name} + "=" + std::string{h.value};
  }
  EXPECT_EQ(raw, (std::vector<std::string>{
                     "bytes 1 kind=replay original_partition=0 original_offset=11 original_ordinal=2 "
                     "original_reason=rule original_rule=step instruments=binance:BTCUSDT row=7 "
                     "original_kind=history id=1",
                     "bytes 2 kind=replay original_partition=0 original_offset=12 original_ordinal=2 "
                     "original_reason=rule original_rule=step instruments=binance:BTCUSDT row=7 "
                     "original_kind=history id=2",
                     " kind=drop original_partition=0 original_offset=10 original_ordinal=2 original_reason=price "
                     "original_rule=price instruments=binance:BTCUSDT id=0"}));
  for (const std::string body :
       {"", "{}", "[]", R"({"all": false})", R"({"all": true, "rule": "x"})", R"({"items": []})", R"({"items": ["x"]})",
        R"({"reason": "nonsense"})", R"({"nonsense": "x"})"})
    EXPECT_EQ(post("replay", body).status, 400) << body;
}

// When it came nobody could read whose frame it was, so it stands in partition 0.
TEST_F(ServeControl, AFrameThatNamedNoInstrumentIsSentWhereItsInstrumentsAre) {
  const Instrument sol = *Instrument::parse("finnhub:SOL"), aapl = *Instrument::parse("finnhub:AAPL");
  std::vector<Row> items;
  for (int i = 0; i < 3; ++i) {
    Quarantined q;
    q.offset = 10 + i;
    q.reason = Reason::syntax;
    q.rule = Text<24>::cut("syntax");
    q.raw = i == 2 ? "nothing"
                   : R"({"data":[{"p":1,"s":"SOL","t":1,"v":1},{"p":1,"s":"AAPL","t":1,"v":1}],"type":"trade"})";
    q.headers = {{"kind", i == 1 ? "reference" : "frame"}, {"instruments", ""}, {"venue", "finnhub"}};
    items.emplace_back(q);
  }
  store_quarantined(items);
  start();
  ASSERT_NE(partition_of(sol, log_.partitions()), partition_of(aapl, log_.partitions()));
  const auto sent = send({.method = "POST", .url = "/api/v1/quarantine/replay", .body = R"({"all": true})"});
  EXPECT_EQ(sent.body, "{\"sent\":3,\"unusable\":0,\"more\":false}\n") << "items, not records";
  const auto reader = *log_.reader(topic::raw, "", Share::all);
  (void)*reader->poll(0ms);
  std::vector<std::string> raw;
  for (std::int32_t p = 0; p < log_.partitions(); ++p) ASSERT_TRUE(reader->seek(p, std::nullopt));
  for (auto step = reader->poll(0ms); step && !step->records.empty(); step = reader->poll(0ms))
    for (const Stored& stored : step->records)
      raw.push_back(std::to_string(stored.partition) + " " +
                    std::string{find_header(stored.record.headers, "instruments").value_or("-")} + " of " +
                    std::string{find_header(stored.record.headers, "original_offset").value_or("-")} + "/" +
                    std::string{find_header(stored.record.headers, "original_ordinal").value_or("-")});
  std::ranges::sort(raw);
  std::vector<std::string> expected{"0  of 11/0", "0  of 12/0"};
  for (const Instrument& i : {sol, aapl}) {
    const std::int32_t partition = partition_of(i, log_.partitions());
    expected.push_back(std::to_string(partition) + " " + i.str() + " of 10/" + (partition == 0 ? "0" : "1048576"));
  }
  std::ranges::sort(expected);
  EXPECT_EQ(raw, expected);
}

TEST_F(ServeControl, AStopDoesNotWaitForALongReplay) {
  store_quarantined({});
  auto slow = std::make_unique<SlowQuarantine>(std::move(history_));
  SlowQuarantine& store = *slow;
  history_ = std::move(slow);
  start();
  std::optional<int> replayed, stopped;
  const auto post = [this](std::string target, std::string body, std::optional<int>& status) -> awaitable<void> {
    net::HttpRequest request;
    request.method = "POST";
    request.url = serve_->origin() + target;
    request.body = std::move(body);
    const auto answer = co_await client_->send(std::move(request));
    status = answer ? answer->status : 0;
  };
  loop_.spawn([&]() -> awaitable<void> { return post("/api/v1/quarantine/replay", R"({"all": true})", replayed); });
  until([&] { return store.begun.load(); });
  loop_.spawn([&]() -> awaitable<void> { return post("/stop", "", stopped); });
  until([&] { return stopped.has_value(); });
  EXPECT_EQ(stopped, 202);
  EXPECT_EQ(control(), (std::vector<std::pair<std::string, std::string>>{{"ingest", R"({"state":"stopped"})"}}));
  EXPECT_EQ(replayed, std::nullopt);
  store.go_on.release();
  until([&] { return replayed && stopped; });
  EXPECT_EQ(replayed, 202);
}

TEST_F(ServeControl, AFullLogIsSaidAndNothingIsPromised) {
  start();
  log_.set_full(true);
  EXPECT_EQ(send({.method = "POST", .url = "/stop"}).status, 503);
  EXPECT_EQ(control().size(), 0U);
  log_.set_full(false);
  EXPECT_EQ(send({.method = "POST", .url = "/start"}).status, 202);
  // What was refused does not take effect because there is room again.
  EXPECT_EQ(control(), (std::vector<std::pair<std::string, std::string>>{{"ingest", R"({"state":"started"})"}}));
}

TEST_F(ServeControl, WhatCannotBeReceivedIsRefused) {
  start();
  const auto refused =
      send({.method = "POST", .url = "/api/v1/instruments", .body = R"({"instrument": "binnance:BTCUSDT"})"});
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body,
              testing::HasSubstr("instrument: \\\"binnance:BTCUSDT\\\" is of a venue without a live feed; "
                                 "there are feeds of binance"));
  EXPECT_EQ(
      send({.method = "POST", .url = "/api/v1/instruments", .body = R"({"instrument": "binance:BTCUSDT"})"}).status,
      202);
}

TEST_F(ServeControl, OtherSitesAndOtherNamesAreRefused) {
  start();
  const std::string own = serve_->origin();
  const auto post = [&](net::Headers headers) {
    return send({.method = "POST", .url = "/stop", .headers = std::move(headers)}).status;
  };
  EXPECT_EQ(post({}), 202);
  EXPECT_EQ(post({{"Origin", own}}), 202);
  EXPECT_EQ(post({{"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(post({{"Origin", "null"}}), 403);
  EXPECT_EQ(post({{"Origin", "https" + own.substr(4)}}), 403);
  EXPECT_EQ(get("/api/v1/progress", {{"Origin", "http://evil.example"}}).status,
            200);  // the browser keeps it to itself
  EXPECT_EQ(get("/api/v1/progress", {{"Origin", "http://evil.example"}}).headers.find("Access-Control-Allow-Origin"),
            std::nullopt);
  const net::WebSocketRequest foreign{.url = "ws" + own.substr(4) + "/api/v1/stream",
                                      .headers = {{"Origin", "http://evil.example"}}};
  const auto refused = net::run<tl::expected<std::unique_ptr<net::WebSocket>, net::ConnectError>>(
      loop_, [&] { return net::connect_websocket(*connector_, foreign); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 403);
  // A name that was made to point at this machine.
  net::run_void(loop_, [&]() -> awaitable<void> {
    const std::uint16_t port = static_cast<std::uint16_t>(std::stoi(own.substr(own.rfind(':') + 1)));
    for (const auto& [host, status] :
         std::vector<std::pair<std::string, std::string>>{{"evil.example", "421"},
                                                          {"evil.example:8780", "421"},
                                                          {"127.0.0.1.evil.example", "421"},
                                                          {"[::1", "421"},
                                                          {"::1", "421"},
                                                          {"", "421"},
                                                          {"localhost", "200"},
                                                          {"LOCALHOST:1", "200"},
                                                          {"127.0.0.1", "200"},
                                                          {"[::1]:80", "200"}}) {
      net::RawPeer peer{loop_};
      co_await peer.connect(port);
      co_await peer.write("GET /api/v1/progress HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
      const std::string answer = co_await peer.read_to_end();
      EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + status) << host;
    }
  });
}

TEST_F(ServeControl, TokensAreAskedForOnceTheyAreSet) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  ServeConfig config;
  config.read_token = "read me";
  config.control_token = "change me";
  ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
  serve_ = std::make_unique<Serve>(loop_, config, std::move(parts));
  ASSERT_TRUE(serve_->listen());
  const net::Headers read{{"Authorization", "Bearer read me"}}, change{{"Authorization", "bearer change me"}},
      wrong{{"Authorization", "Bearer read mf"}}, other{{"Authorization", "Basic read me"}};
  until([&] { return get("/api/v1/progress", read).status == 200; });
  EXPECT_EQ(get("/api/v1/progress").status, 401);
  EXPECT_EQ(get("/api/v1/progress").headers.get("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(get("/api/v1/progress", wrong).status, 401);
  EXPECT_EQ(get("/api/v1/progress", other).status, 401);
  EXPECT_EQ(get("/api/v1/progress?token=read+me").status, 401);  // would stand in logs and histories
  EXPECT_EQ(get("/api/v1/progress", change).status, 200);
  EXPECT_EQ(get("/metrics").status, 401);
  EXPECT_EQ(get("/metrics", read).status, 200);
  EXPECT_EQ(get("/health/live").status, 200);
  EXPECT_EQ(get("/health/ready").status, 200);
  EXPECT_EQ(get("/").status, 200);
  const auto post = [&](const net::Headers& headers) {
    return send({.method = "POST", .url = "/stop", .headers = headers}).status;
  };
  EXPECT_EQ(post({}), 401);
  EXPECT_EQ(post(read), 403);
  EXPECT_EQ(post(wrong), 401);
  EXPECT_EQ(post(change), 202);
  EXPECT_THROW(stream(), std::runtime_error);
  EXPECT_THROW(stream("?token=read+mf"), std::runtime_error);
  EXPECT_THAT(receive(*stream("?token=read+me&channels=feeds")), HasSubstr("\"ack\""));
}

TEST(ServeGuard, SecretsAreTheSameOnlyIfAllOfThemIs) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const std::string_view other : {"", "a", "ab", "abd", "bbc", "Abc", "abcd"})
    EXPECT_FALSE(same_secret("abc", other)) << other;
}

TEST(ServeGuard, AConfigurationThatWouldLetOthersInIsRefused) {
  const auto with = [](const std::function<void(ServeConfig&)>& change) {
    ServeConfig config;
    change(config);
    const Status fine = check(config);
    return fine ? std::string{} : fine.error().detail;
  };
  EXPECT_EQ(with([](ServeConfig&) {}), "");
  for (const char* address : {"0.0.0.0", "::", "192.168.1.2", "128.0.0.1"})
    EXPECT_THAT(with([&](ServeConfig& c) { c.http.address = address; }),
                HasSubstr("set serve.read_token and serve.control_token"))
        << address;
  EXPECT_THAT(with([](ServeConfig& c) { c.http.address = "0.0.0.0", c.read_token = "a"; }), HasSubstr("serve.address"));
  EXPECT_EQ(with([](ServeConfig& c) { c.http.address = "0.0.0.0", c.read_token = "a", c.control_token = "b"; }), "");
  EXPECT_THAT(with([](ServeConfig& c) { c.read_token = "a", c.control_token = "a"; }), HasSubstr("same"));
  EXPECT_THAT(with([](ServeConfig& c) { c.read_token = "a"; }), HasSubstr("serve.control_token: is not set"));
  for (const char* address : {"::1", "127.0.0.1", "127.1.2.3", "::ffff:127.0.0.1"})
    EXPECT_EQ(with([&](ServeConfig& c) { c.http.address = address; }), "") << address;
  EXPECT_THAT(with([](ServeConfig& c) { c.http.certificate_file = "x"; }), HasSubstr("serve.tls"));
  EXPECT_THAT(with([](ServeConfig& c) { c.recent_candles = 60; }), HasSubstr("serve.recent_candles: 60 is refused"));
}

TEST_F(ServeControl, ReadinessNamesItsReasons) {
  start();
  EXPECT_EQ(get("/health/ready").body, "{\"status\":\"ready\",\"reasons\":[]}\n");
  health_ = failure(Fault::no_space, Retry::after_backoff, "the disk is full");
  const auto not_ready = get("/health/ready");
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_EQ(not_ready.body,
            "{\"status\":\"not ready\",\"reasons\":[\"the log cannot take records: the disk is full\"]}\n");
  EXPECT_EQ(get("/health/live").status, 200);
}

TEST_F(ServeControl, MetricsCountTheCalls) {
  start();
  get("/api/v1/nothing");
  get("/api/v1/candles");
  const auto metrics = get("/metrics");
  EXPECT_EQ(metrics.headers.content_type(), "text/plain");
  EXPECT_THAT(metrics.body, HasSubstr("truetape_serve_requests_total{call=\"other\",status=\"404\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("truetape_serve_requests_total{call=\"candles\",status=\"400\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("truetape_serve_stream_clients 0\n"));
}

TEST_F(ServeControl, ThePageComesWithItsTagAndItsPolicy) {
  start();
  const auto page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.content_type(), "text/html");
  EXPECT_THAT(std::string{page.headers.get("Content-Security-Policy")}, HasSubstr("default-src 'none'"));
  EXPECT_EQ(page.headers.get("X-Content-Type-Options"), "nosniff");
  const std::string tag{page.headers.get("ETag")};
  ASSERT_FALSE(tag.empty());
  const auto again = get("/", {{"If-None-Match", tag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(send({.method = "POST", .url = "/"}).headers.get("Allow"), "GET, HEAD");
  EXPECT_EQ(get("/page/nothing.js").status, 404);
}

}  // namespace
}  // namespace truetape
