// What the tests of serve share: a log in memory that results are written to as process does, a store that they are
// loaded into, and a client, all on one loop with a clock that stands still.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <simdjson.h>
#include <deque>
#include <filesystem>

#include "codec/keys.h"
#include "codec/rows.h"
#include "codec/wire.h"
#include "log/memory/memory_log.h"
#include "net/http_client.h"
#include "net/testing.h"
#include "net/websocket_client.h"
#include "roles/load.h"
#include "serve/serve.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/feed.h"
#include "venues/venue.h"

namespace truetape {

using namespace std::chrono_literals;
using net::awaitable;
using testing::HasSubstr;

inline Instrument btc() { return *Instrument::parse("binance:BTCUSDT"); }
inline Timestamp at(std::string_view text) { return *parse_rfc3339(text); }
inline Decimal decimal(std::string_view text) { return parse_decimal(text).value; }

// What results a step of process gives.
struct Results {
  std::vector<Trade> trades = {};
  std::vector<Candle> candles = {};
  std::vector<Quote> quotes = {};
  std::vector<Gap> gaps = {};
  std::vector<Progress> progress = {};
  std::vector<Reference> references = {};
  std::vector<News> news = {};
  std::vector<NewsCount> news_counts = {};
};

inline Trade trade(std::uint64_t id, Timestamp time, const Instrument& instrument = btc()) {
  Trade t;
  t.instrument = instrument;
  t.order = t.first_id = t.last_id = id;
  t.id = Text<40>::cut(std::to_string(id));
  t.event_time = time;
  t.price = Decimal::of(6'000'000 + static_cast<std::int64_t>(id), 2).value();
  t.quantity = decimal("0.5");
  t.taker_side = Side::buy;
  return t;
}

// A candle of `trades` trades from id `first`, one unit each.
inline Candle candle(Interval interval, Timestamp start, std::uint64_t first, std::uint64_t trades,
                     CandleStatus status = CandleStatus::closed, std::uint64_t revision = 1,
                     const Instrument& instrument = btc()) {
  Candle c;
  c.instrument = instrument;
  c.interval = interval;
  c.start = start;
  c.status = status;
  c.completeness = status == CandleStatus::open ? Completeness::none : Completeness::complete;
  c.proof = status == CandleStatus::open ? Proof::none : Proof::ids;
  c.revision = revision;
  c.epoch = 1'700'000'000;
  c.open = Decimal::of(static_cast<std::int64_t>(first), 0);
  c.close = c.high = Decimal::of(static_cast<std::int64_t>(first + trades - 1), 0);
  c.low = c.open;
  c.volume = to_amount(Decimal::of(static_cast<std::int64_t>(trades), 0).value());
  c.quote_volume = c.volume;
  c.taker_buy_volume = c.taker_buy_quote_volume = Amount{};
  c.vwap = to_amount(Decimal{1, 0});
  c.trades = trades;
  c.first_id = first;
  c.last_id = first + trades - 1;
  c.first_time = start;
  c.last_time = start + std::chrono::milliseconds{trades - 1};
  return c;
}

inline Progress progress(Timestamp frontier, std::uint64_t revision, const Instrument& instrument = btc()) {
  Progress p;
  p.instrument = instrument;
  p.frontier = frontier;
  p.epoch = 1'700'000'000;
  p.revision = revision;
  return p;
}

inline News headline(std::string id, Timestamp time, std::vector<std::string_view> related) {
  News n{"finnhub", std::move(id), time, "h", "Yahoo", "u", "", {}};
  for (const std::string_view symbol : related) n.related.push_back(*Instrument::of("finnhub", symbol));
  return n;
}

// Of Yahoo's headlines about `symbol` (empty: about none).
inline NewsCount news_count(std::string_view symbol, Interval interval, Timestamp start, std::uint64_t headlines,
                            std::uint64_t revision) {
  NewsCount n;
  n.venue = "finnhub";
  if (!symbol.empty()) n.instrument = *Instrument::of("finnhub", symbol);
  n.source = "Yahoo";
  n.interval = interval;
  n.start = n.first_time = n.last_time = start;
  n.headlines = headlines;
  n.epoch = 1'700'000'000;
  n.revision = revision;
  return n;
}

class ServeTest : public testing::Test {
 protected:
  ServeTest() {
    std::string name = (std::filesystem::temp_directory_path() / "truetape-serve-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    history_ = open_sqlite_history(directory_ / "store.db");
    connector_ = std::move(*net::Connector::make(loop_, {}));
    client_ = std::make_unique<net::HttpClient>(*connector_, net::HttpClientConfig{});
  }
  ~ServeTest() override {
    if (serve_) stop();
    std::filesystem::remove_all(directory_);
  }

  std::vector<Interval> intervals_{1s, 60s, 300s, 3600s};

  void start(ServeConfig config = {}) {
    ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
    parts.log_health = [this] { return health_; };
    parts.explain = explain_;
    parts.route = route_frame;
    parts.trouble = [this](const std::string& sentence) { ADD_FAILURE() << sentence; };
    serve_ = std::make_unique<Serve>(loop_, std::move(config), std::move(parts));
    const auto port = serve_->listen();
    ASSERT_TRUE(port) << port.error().detail;
    until([this] { return get("/api/v1/progress").status == 200; });
  }
  void stop() {
    net::run_void(loop_, [this]() -> awaitable<void> { co_await serve_->stop(1s); });
    serve_.reset();
  }

  // Into the store, as load writes what waits in quarantine; once, since the next would begin at the same position.
  void store_quarantined(const std::vector<Row>& items) {
    SqliteOptions options;
    options.log_id = log_.id();
    const auto sink = make_sqlite_sink(directory_ / "store.db", options);
    ASSERT_TRUE(sink->open());
    ASSERT_TRUE(sink->claim(topic::quarantine, 0));
    ASSERT_TRUE(sink->write({topic::quarantine, 0, 0, static_cast<std::int64_t>(items.size()), items}));
  }

  std::function<Result<std::string>(const WindowQuestion&)> explain_;  // as start() takes it

  // As process does: a record of raw, and its results in one commit.
  void commit(const Results& results) {
    if (!task_) {
      task_ = std::move(*log_.task());
      raw_ = std::move(*log_.appender(topic::raw));
    }
    ASSERT_TRUE(raw_->append(0, {"key", "frame", {}}));
    ASSERT_TRUE(*raw_->flush(5s));
    for (int tries = 0; tries < 100; ++tries)
      if (!task_->poll(10ms)->records.empty()) break;
    std::deque<std::pair<std::string, std::string>> texts;
    std::vector<Output> outputs;
    const auto put = [&](std::string_view topic, const auto& rows) {
      for (const auto& row : rows) {
        auto& [key, value] = texts.emplace_back();
        put_key(row, key);
        wire::encode(row, value);
        std::int32_t partition = 0;  // of news, which belongs to no instrument in raw
        if constexpr (!std::is_same_v<decltype(row), const News&> && !std::is_same_v<decltype(row), const NewsCount&>)
          partition = partition_of(row.instrument, log_.partitions());
        outputs.push_back(Output{topic, partition, Record{key, value, {}}});
      }
    };
    put(topic::trades, results.trades);
    put(topic::candles, results.candles);
    put(topic::quotes, results.quotes);
    put(topic::gaps, results.gaps);
    put(topic::progress, results.progress);
    put(topic::instruments, results.references);
    put(topic::news, results.news);
    put(topic::news_counts, results.news_counts);
    const Status done = task_->commit(outputs, {});
    ASSERT_TRUE(done) << done.error().detail;
  }
  // Everything in the log is in the store.
  void load() {
    SqliteOptions options;
    options.log_id = log_.id();
    if (!load_) load_ = std::move(*LoadRole::open(log_, make_sqlite_sink(directory_ / "store.db", options), clock_));
    for (;;) {
      ASSERT_TRUE(load_->step(0ms));
      ASSERT_TRUE(load_->flush());
      const auto lag = load_->lag();
      if (*lag && **lag == 0) return;
    }
  }

  void until(const std::function<bool()>& done) {
    for (const auto end = std::chrono::steady_clock::now() + 20s; !done();) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it did not come";
      net::settle(loop_, 2ms);
    }
  }

  net::HttpAnswer send(net::HttpRequest request) {
    request.url = serve_->origin() + request.url;
    const auto answer = net::run<Result<net::HttpAnswer>>(loop_, [&] { return client_->send(request); });
    if (!answer) {
      ADD_FAILURE() << answer.error().detail;
      return {};
    }
    return *answer;
  }
  // Sends it and lets time go until the answer is there.
  net::HttpAnswer get_in_time(const std::string& target) {
    std::optional<net::HttpAnswer> answer;
    loop_.spawn([&]() -> net::awaitable<void> {
      const net::HttpRequest request{.url = serve_->origin() + target};
      answer = *co_await client_->send(request);
    });
    until([&] {
      loop_.advance(std::chrono::milliseconds{100});
      return answer.has_value();
    });
    return *answer;
  }
  net::HttpAnswer get(const std::string& target, net::Headers headers = {}) {
    return send({.url = target, .headers = std::move(headers)});
  }
  // The rows of a JSON answer, each as it stands there; the members beside them.
  struct Answer {
    std::vector<std::string> rows;
    std::string as_of, next;
    bool stale = false;
  };
  Answer rows(const std::string& target) {
    const net::HttpAnswer answer = get(target);
    EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
    return parse(answer.body);
  }
  static Answer parse(const std::string& body) {
    Answer out;
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    if (parser.parse(body).get(element) != simdjson::SUCCESS) {
      ADD_FAILURE() << "no JSON: " << body;
      return out;
    }
    simdjson::dom::array list;
    if (element["rows"].get(list) == simdjson::SUCCESS)
      for (const simdjson::dom::element row : list) out.rows.push_back(simdjson::minify(row));
    std::string_view text;
    if (element["as_of"].get(text) == simdjson::SUCCESS) out.as_of = text;
    if (element["next"].get(text) == simdjson::SUCCESS) out.next = text;
    bool stale = false;
    if (element["stale"].get(stale) == simdjson::SUCCESS) out.stale = stale;
    return out;
  }
  // What `truetape query --format json` prints of a row.
  template <class T>
  static std::string line(const T& row) {
    RowCells cells;
    put_cells(row, cells);
    std::string out;
    append_json_row(columns<T>(), cells, out);
    out.pop_back();
    return out;
  }
  template <class T>
  static std::vector<std::string> lines(const std::vector<T>& of) {
    std::vector<std::string> out;
    for (const T& row : of) out.push_back(line(row));
    return out;
  }

  std::unique_ptr<net::WebSocket> stream(const std::string& query = "", net::WebSocketConfig config = {}) {
    const net::WebSocketRequest request{
        .url = "ws" + serve_->origin().substr(4) + "/api/v1/stream" + query, .headers = {}, .config = config};
    auto connected = net::run<tl::expected<std::unique_ptr<net::WebSocket>, net::ConnectError>>(
        loop_, [&] { return net::connect_websocket(*connector_, request); });
    if (!connected) throw std::runtime_error{connected.error().detail};
    return std::move(*connected);
  }
  std::string receive(net::WebSocket& socket) {
    return net::run<std::string>(loop_, [&]() -> awaitable<std::string> {
      const auto message = co_await socket.receive();
      if (!message) co_return "end: " + message.error().detail;
      co_return std::string{message->bytes};
    });
  }

  ManualClock clock_{at("2024-08-08T12:00:00Z")};
  net::Loop loop_{clock_};
  static MemoryOptions two_partitions() {
    MemoryOptions options;
    options.partitions = 2;
    return options;
  }
  MemoryLog log_{two_partitions()};
  Metrics metrics_;
  Status health_;
  std::filesystem::path directory_;
  std::unique_ptr<History> history_;
  std::unique_ptr<net::Connector> connector_;
  std::unique_ptr<net::HttpClient> client_;
  std::unique_ptr<Appender> raw_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<LoadRole> load_;
  std::unique_ptr<Serve> serve_;
};

}  // namespace truetape
