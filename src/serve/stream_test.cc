// The stream over real sockets: snapshots, changes, conflation, hostile clients.
#include "serve/testing.h"

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");

class ServeStream : public ServeTest {
 protected:
  static std::string joined(const std::vector<std::string>& rows) {
    std::string out;
    for (const std::string& row : rows) out += (out.empty() ? "" : ",") + row;
    return out;
  }
};

TEST_F(ServeStream, ASnapshotThenEachChangeUnderNumbersWithoutAHole) {
  Results first;
  first.candles = {candle(60s, kNoon, 1, 10), candle(60s, kNoon + 60s, 11, 10)};
  first.trades = {trade(20, kNoon + 119s)};
  first.progress = {progress(kNoon + 120s, 1)};
  commit(first);
  load();
  start();
  const auto socket = stream("?channels=candles:1m,trades&instruments=binance:BTCUSDT");
  EXPECT_EQ(receive(*socket), R"({"type":"ack","id":null,"subscriptions":2})");
  EXPECT_EQ(
      receive(*socket),
      R"({"type":"snapshot","seq":1,"channel":"candles:1m","instrument":"binance:BTCUSDT","as_of":"2024-08-08T12:02:00Z","stale":true,"rows":[)" +
          joined(lines(first.candles)) + "]}");
  EXPECT_EQ(
      receive(*socket),
      R"({"type":"snapshot","seq":2,"channel":"trades","instrument":"binance:BTCUSDT","as_of":"2024-08-08T12:02:00Z","stale":true,"rows":[)" +
          joined(lines(first.trades)) + "]}");
  // An open second makes an open minute.
  Results second;
  second.candles = {candle(1s, kNoon + 121s, 21, 3, CandleStatus::open)};
  second.trades = {trade(21, kNoon + 121s), trade(22, kNoon + 121s), trade(23, kNoon + 121s)};
  commit(second);
  Candle open = candle(60s, kNoon + 120s, 21, 3, CandleStatus::open);
  open.first_time = kNoon + 121s;
  open.last_time = kNoon + 121s + 2ms;
  std::vector<std::string> got{receive(*socket), receive(*socket)};
  EXPECT_EQ(got[0], R"({"type":"update","seq":3,"channel":"candles:1m","instrument":"binance:BTCUSDT","rows":[)" +
                        line(open) + "]}");
  EXPECT_EQ(got[1], R"({"type":"update","seq":4,"channel":"trades","instrument":"binance:BTCUSDT","rows":[)" +
                        joined(lines(second.trades)) + "]}");
  // The stream's own row takes its place.
  const Candle closed = candle(60s, kNoon + 120s, 21, 40, CandleStatus::closed, 2);
  commit({.candles = {closed}});
  EXPECT_EQ(receive(*socket),
            R"({"type":"update","seq":5,"channel":"candles:1m","instrument":"binance:BTCUSDT","rows":[)" +
                line(closed) + "]}");
  // An older row of its key changes nothing; a correction does.
  const Candle corrected = candle(60s, kNoon + 120s, 21, 41, CandleStatus::corrected, 3);
  commit({.candles = {candle(60s, kNoon + 120s, 21, 39, CandleStatus::closed, 1), corrected}});
  EXPECT_EQ(receive(*socket),
            R"({"type":"update","seq":6,"channel":"candles:1m","instrument":"binance:BTCUSDT","rows":[)" +
                line(corrected) + "]}");
  socket->send(R"({"op":"unsubscribe","id":"x","channels":["trades"],"instruments":["binance:BTCUSDT"]})");
  EXPECT_EQ(receive(*socket), R"({"type":"ack","id":"x","subscriptions":1})");
  commit({.trades = {trade(24, kNoon + 122s)}, .progress = {progress(kNoon + 122s, 2)}});
  until([&] { return !rows("/api/v1/progress").stale; });
  loop_.advance(1s);
  EXPECT_EQ(receive(*socket),
            R"({"type":"status","seq":7,"instrument":"binance:BTCUSDT","as_of":"2024-08-08T12:02:02Z","stale":false})");
  loop_.advance(11s);
  EXPECT_EQ(receive(*socket),
            R"({"type":"status","seq":8,"instrument":"binance:BTCUSDT","as_of":"2024-08-08T12:02:02Z","stale":true})");
}

TEST_F(ServeStream, WhatIsAskedWronglyIsAnErrorWithItsId) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  ServeConfig config;
  config.most_subscriptions = 3;
  start(config);
  const auto socket = stream();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"hello", R"("id":null,"detail":"this is no JSON object")"},
      {"[1]", R"("id":null,"detail":"this is no JSON object")"},
      {R"({"id":7})", R"("id":7,"detail":"op: is missing; allowed: subscribe, unsubscribe")"},
      {R"({"id":7,"op":"subscibe"})", R"(op: \"subscibe\" is none; allowed: subscribe, unsubscribe)"},
      {R"({"id":{},"op":"subscribe"})", R"("id":null,"detail":"id: must be a number or a text")"},
      {R"({"id":"a","op":"subscribe"})",
       R"("id":"a","detail":"channels: is missing; name at least one, such as candles:1m")"},
      {R"({"id":1,"op":"subscribe","channels":"trades"})", "channels: must be a list of texts"},
      {R"({"id":1,"op":"subscribe","channels":["trades"]})", "instruments: is missing; trades is of instruments"},
      {R"({"id":1,"op":"subscribe","channels":["books"],"instruments":["binance:BTCUSDT"]})",
       "is none; there are candles:INTERVAL"},
      {R"({"id":1,"op":"subscribe","channels":["candles:7m"],"instruments":["binance:BTCUSDT"]})",
       "there are 1s, 1m, 5m, 1h"},
      {R"({"id":1,"op":"subscribe","channels":["trades"],"instruments":["binance:NOSUCH"]})",
       "nothing is known of binance:NOSUCH"},
      {R"({"id":1,"op":"subscribe","channels":["trades","quotes","gaps","progress"],"instruments":["binance:BTCUSDT"]})",
       "at most 3 subscriptions are allowed on a connection"}};
  for (const auto& [message, part] : cases) {
    socket->send(message);
    const std::string answer = receive(*socket);
    EXPECT_THAT(answer, testing::StartsWith(R"({"type":"error","id":)")) << message;
    EXPECT_THAT(answer, HasSubstr(part)) << message;
  }
  const net::Headers upgrade{{"Connection", "Upgrade"},
                             {"Upgrade", "websocket"},
                             {"Sec-WebSocket-Version", "13"},
                             {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  EXPECT_EQ(get("/api/v1/stream?channels=books", upgrade).status, 400);
  const auto unknown = get("/api/v1/stream?channel=trades", upgrade);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr("channel: is not known here; allowed: channels, instruments, token"));
}

TEST_F(ServeStream, TenThousandSubscriptionsAreRefusedAndTheConnectionGoesOn) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  start();
  const auto socket = stream();
  std::string instruments, channels;
  for (int i = 0; i < 100; ++i) {
    instruments += (i == 0 ? "\"" : ",\"") + std::string{"binance:BTCUSDT\""};
    channels += (i == 0 ? "\"" : ",\"") + std::string{"trades\""};
  }
  socket->send(R"({"op":"subscribe","id":1,"channels":[)" + channels + R"(],"instruments":[)" + instruments + "]}");
  EXPECT_THAT(receive(*socket), HasSubstr("at most 1000 subscriptions"));
  // One by one it is the same subscription, with one snapshot.
  for (int i = 0; i < 3; ++i) {
    socket->send(R"({"op":"subscribe","id":2,"channels":["progress"],"instruments":["binance:BTCUSDT"]})");
    EXPECT_EQ(receive(*socket), R"({"type":"ack","id":2,"subscriptions":1})");
    if (i == 0) {
      EXPECT_EQ(
          receive(*socket),
          R"({"type":"snapshot","seq":1,"channel":"progress","instrument":"binance:BTCUSDT","as_of":null,"stale":true,"rows":[]})");
    }
  }
  socket->send(std::string(100'000, 'x'));
  EXPECT_THAT(receive(*socket), HasSubstr("1009"));
}

TEST_F(ServeStream, ASlowClientGetsTheNewestOfEachCandleAndTheNumberOfItsTrades) {
  commit({.trades = {trade(1, kNoon)}, .candles = {candle(1s, kNoon, 1, 1)}});
  ServeConfig config;
  config.http.websocket.slow_queued = 20'000;
  start(config);
  const auto socket = stream("?channels=candles:1s,trades&instruments=binance:BTCUSDT");
  for (int i = 0; i < 3; ++i) receive(*socket);
  // Far more than the sockets' buffers hold, while nothing is read.
  std::uint64_t id = 1, revision = 1;
  const auto counter = [&](const char* name) {
    return metrics_.text().find(std::string{name} + " 0\n") == std::string::npos;
  };
  for (int step = 0; step < 400; ++step) {
    Results more;
    for (int i = 0; i < 100; ++i) more.trades.push_back(trade(++id, kNoon + 1s));
    more.candles.push_back(candle(1s, kNoon + 1s, 2, id - 1, CandleStatus::open, ++revision));
    commit(more);
    if (step % 10 == 9) {
      net::settle(loop_, 5ms);
      get("/metrics");
      if (step > 200 && counter("truetape_serve_stream_conflated_total")) break;
    }
  }
  get("/metrics");
  ASSERT_TRUE(counter("truetape_serve_stream_conflated_total"));
  ASSERT_TRUE(counter("truetape_serve_stream_skipped_total"));
  // It reads again: each trade was sent or counted, the last candle is the newest.
  std::uint64_t seq = 3, trades = 0;
  std::string last_candle;
  const std::string newest = "\"last_id\":" + std::to_string(id);
  while (trades < id - 1 || last_candle.find(newest) == std::string::npos) {
    const std::string message = receive(*socket);
    simdjson::dom::parser parser;
    simdjson::dom::element element = parser.parse(message);
    EXPECT_EQ(std::uint64_t{element["seq"]}, ++seq - 1);
    const std::string_view type = element["type"], channel = element["channel"];
    if (type == "skipped") {
      EXPECT_EQ(channel, "trades");
      trades += std::uint64_t{element["rows"]};
    } else if (channel == "trades") {
      trades += simdjson::dom::array{element["rows"]}.size();
    } else {
      last_candle = message;
    }
  }
  EXPECT_EQ(trades, id - 1);
}

TEST_F(ServeStream, AClientThatStaysSlowIsClosedWith1013AndOthersGoOn) {
  commit({.trades = {trade(1, kNoon)}, .candles = {candle(1s, kNoon, 1, 1)}});
  ServeConfig config;
  config.http.websocket.slow_queued = 20'000;
  start(config);
  const auto slow = stream("?channels=trades&instruments=binance:BTCUSDT");
  for (int i = 0; i < 2; ++i) receive(*slow);
  std::uint64_t id = 1;
  const auto send_more = [&](int trades) {
    Results more;
    for (int i = 0; i < trades; ++i) more.trades.push_back(trade(++id, kNoon + 1s));
    commit(more);
    until([&] {
      return rows("/api/v1/trades?instrument=binance:BTCUSDT&limit=1").rows == std::vector{line(trade(id, kNoon + 1s))};
    });
    net::settle(loop_, 20ms);
  };
  const auto skipped = [&] {
    const std::string body = get("/metrics").body, name = "\ntruetape_serve_stream_skipped_total ";
    return std::stoull(body.substr(body.find(name) + name.size()));
  };
  // Until nothing drains any more: all buffers between the two are full, and one more trade is only counted.
  bool full = false;
  for (int step = 0; step < 1000 && !full; ++step) {
    for (int i = 0; i < 5; ++i) send_more(200);
    const auto before = skipped();
    send_more(1);
    full = skipped() > before;
  }
  ASSERT_TRUE(full);
  loop_.advance(10s);
  std::string end;
  for (int i = 0; i < 100'000 && !end.starts_with("end: "); ++i) end = receive(*slow);
  EXPECT_THAT(end, HasSubstr("1013"));
  EXPECT_THAT(get("/metrics").body, HasSubstr("truetape_serve_stream_closed_slow_total 1\n"));
  const auto other = stream("?channels=progress&instruments=binance:BTCUSDT");
  EXPECT_THAT(receive(*other), HasSubstr("ack"));
}

TEST_F(ServeStream, FeedsAndInstrumentsAreFollowedWithoutAnInstrument) {
  start();
  const auto socket = stream("?channels=feeds,instruments");
  EXPECT_EQ(receive(*socket), R"({"type":"ack","id":null,"subscriptions":2})");
  EXPECT_EQ(receive(*socket), R"({"type":"snapshot","seq":1,"channel":"feeds","rows":[{"state":"started"}]})");
  EXPECT_EQ(receive(*socket), R"({"type":"snapshot","seq":2,"channel":"instruments","rows":[]})");
  EXPECT_EQ(send({.method = "POST", .url = "/stop"}).body, "{\"state\":\"stopped\"}\n");
  EXPECT_EQ(receive(*socket), R"({"type":"update","seq":3,"channel":"feeds","rows":[{"state":"stopped"}]})");
  const auto wanted =
      send({.method = "POST", .url = "/api/v1/instruments", .body = R"({"instrument":"binance:ETHUSDT"})"});
  EXPECT_EQ(wanted.status, 202);
  EXPECT_EQ(
      receive(*socket),
      R"({"type":"update","seq":4,"channel":"instruments","rows":[{"instrument":"binance:ETHUSDT","base":null,"quote":null,"name":null,"tick":null,)"
      R"("lot":null,"status":null,"tape":null,"wanted":true,"as_of":null,"stale":true,"open_gaps":0}]})");
  bool stopped = false;
  loop_.spawn([&]() -> awaitable<void> {
    co_await serve_->stop(1s);
    stopped = true;
  });
  EXPECT_THAT(receive(*socket), HasSubstr("1001"));
  until([&] { return stopped; });
  serve_.reset();
}

TEST_F(ServeStream, HeadlinesAndTheirCountsAreFollowedWithoutAnInstrument) {
  const Timestamp noon = at("2024-08-08T12:00:00Z");
  commit({.news = {headline("1", noon, {"AAPL"}), headline("2", noon, {})},
          .news_counts = {news_count("AAPL", 60s, noon, 1, 1), news_count("", 60s, noon, 1, 1),
                          news_count("AAPL", 3600s, noon, 1, 1)}});
  start();
  const auto socket = stream("?channels=news,news_counts:1m&instruments=");
  EXPECT_EQ(receive(*socket), R"({"type":"ack","id":null,"subscriptions":2})");
  const std::string second =
      R"({"venue":"finnhub","id":"2","event_time":"2024-08-08T12:00:00Z","headline":"h","source":"Yahoo","url":"u","summary":null,"related":)";
  const std::string first =
      R"({"venue":"finnhub","id":"1","event_time":"2024-08-08T12:00:00Z","headline":"h","source":"Yahoo","url":"u","summary":null,"related":"finnhub:AAPL"})";
  EXPECT_EQ(receive(*socket),
            R"({"type":"snapshot","seq":1,"channel":"news","rows":[)" + first + "," + second + "null}]}");
  const auto row = [](std::string_view instrument, int headlines, int revision) {
    return R"({"instrument":)" + std::string{instrument} +
           R"(,"source":"Yahoo","interval":"1m","start":"2024-08-08T12:00:00Z","headlines":)" +
           std::to_string(headlines) +
           R"(,"first_time":"2024-08-08T12:00:00Z","last_time":"2024-08-08T12:00:00Z","venue":"finnhub","epoch":1700000000,"revision":)" +
           std::to_string(revision) + "}";
  };
  EXPECT_EQ(receive(*socket), R"({"type":"snapshot","seq":2,"channel":"news_counts:1m","rows":[)" + row("null", 1, 1) +
                                  "," + row("\"finnhub:AAPL\"", 1, 1) + "]}");
  // A headline that named nothing names something; an older count again is no change.
  commit({.news = {headline("2", noon, {"AAPL"})},
          .news_counts = {news_count("", 60s, noon, 0, 2), news_count("AAPL", 60s, noon, 2, 2),
                          news_count("AAPL", 60s, noon, 1, 1)}});
  // A look at the log may bring the two topics in one batch or in two.
  std::string news, counts;
  while (news.empty() || counts.empty()) {
    const std::string message = receive(*socket);
    (message.find("\"channel\":\"news\"") != std::string::npos ? news : counts) = message;
  }
  EXPECT_THAT(news, HasSubstr(R"("channel":"news","rows":[)" + second + "\"finnhub:AAPL\"}]}"));
  EXPECT_THAT(counts, HasSubstr(R"("channel":"news_counts:1m","rows":[)" + row("null", 0, 2) + "," +
                                row("\"finnhub:AAPL\"", 2, 2) + "]}"));
  const auto later = stream("?channels=news_counts:1m");
  receive(*later);
  EXPECT_THAT(receive(*later), HasSubstr("\"rows\":[" + row("\"finnhub:AAPL\"", 2, 2) + "]}"));
  const auto hours = stream("?channels=news_counts:1h");
  receive(*hours);
  EXPECT_THAT(receive(*hours), HasSubstr(R"("interval":"1h")"));
  socket->send(R"({"id":1,"op":"subscribe","channels":["news_counts:5m"]})");
  EXPECT_THAT(receive(*socket), HasSubstr("there are 1m, 1h, such as news_counts:1m"));
}

}  // namespace
}  // namespace truetape
