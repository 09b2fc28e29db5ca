// REST over real sockets: memory and store together, parameters, paging, formats.
#include "serve/rest.h"
#include "serve/context.h"
#include "serve/request.h"
#include "serve/testing.h"

#include <atomic>
#include <future>

namespace truetape {
namespace {

const Timestamp kNoon = at("2024-08-08T12:00:00Z");

class ServeRest : public ServeTest {};

TEST_F(ServeRest, CandlesOfTheStoreAndOfTheLogAreOneAnswer) {
  Results stored, fresh;
  for (std::uint64_t i = 0; i < 300; ++i) stored.candles.push_back(candle(60s, kNoon + i * 60s, 1 + i * 10, 10));
  commit(stored);
  load();
  start();
  for (std::uint64_t i = 300; i < 303; ++i) fresh.candles.push_back(candle(60s, kNoon + i * 60s, 1 + i * 10, 10));
  fresh.candles.push_back(candle(1s, kNoon + 303 * 60s, 3031, 4, CandleStatus::open));
  commit(fresh);
  const std::string base = "/api/v1/candles?instrument=binance:BTCUSDT&interval=1m";
  until([&] {
    return rows(base + "&limit=1").rows != std::vector{line(stored.candles.back())} &&
           rows(base + "&limit=1").rows != std::vector{line(fresh.candles[0])};
  });
  std::vector<Candle> all = stored.candles;
  all.insert(all.end(), fresh.candles.begin(), fresh.candles.end() - 1);
  // The window that is open is rolled up from its seconds.
  Candle open = candle(60s, kNoon + 303 * 60s, 3031, 4, CandleStatus::open);
  all.push_back(open);
  const auto expected = lines(all);
  EXPECT_EQ(rows(base + "&limit=3").rows, std::vector(expected.end() - 3, expected.end()));
  EXPECT_EQ(rows(base + "&limit=200").rows, std::vector(expected.end() - 200, expected.end()));  // memory and store
  EXPECT_EQ(rows(base + "&limit=10000").rows, expected);
  EXPECT_EQ(rows(base + "&from=2024-08-08T12:01:00Z&to=2024-08-08T12:03:00Z").rows,
            std::vector(expected.begin() + 1, expected.begin() + 3));
  EXPECT_EQ(rows(base + "&to=1723118520000&limit=1").rows, std::vector{expected[1]});
  EXPECT_EQ(rows(base + "&from=2030-01-01").rows, std::vector<std::string>{});
}

TEST_F(ServeRest, PagesGoOnBehindTheRowBeforeWhileRowsComeIn) {
  Results stored;
  for (std::uint64_t i = 0; i < 1500; ++i) stored.trades.push_back(trade(1 + i, kNoon + i / 7 * 1s));
  commit(stored);
  load();
  start();
  std::vector<std::string> expected = lines(stored.trades), got;
  std::string cursor;
  const std::string base = "/api/v1/trades?instrument=binance:BTCUSDT&from=2024-08-08&limit=617";
  for (int page = 0; page < 10; ++page) {
    const Answer answer = rows(base + (cursor.empty() ? "" : "&cursor=" + cursor));
    got.insert(got.end(), answer.rows.begin(), answer.rows.end());
    cursor = answer.next;
    if (cursor.empty()) break;
    if (page == 0) {
      Results more;
      for (std::uint64_t i = 1500; i < 1600; ++i) more.trades.push_back(trade(1 + i, kNoon + i / 7 * 1s));
      commit(more);
      const auto lines_of_more = lines(more.trades);
      expected.insert(expected.end(), lines_of_more.begin(), lines_of_more.end());
      until([&] {
        return rows("/api/v1/trades?instrument=binance:BTCUSDT&limit=1").rows == std::vector{expected.back()};
      });
    }
  }
  EXPECT_EQ(got, expected);
}

TEST_F(ServeRest, CsvAndNdjsonHaveTheRowsAloneAndTheRestInTheHeader) {
  Results stored;
  for (std::uint64_t i = 0; i < 1201; ++i) stored.trades.push_back(trade(1 + i, kNoon + i * 1s));
  stored.progress.push_back(progress(kNoon + 1201s, 1));
  commit(stored);
  load();
  start();
  const std::string target = "/api/v1/trades?instrument=binance:BTCUSDT&from=0&limit=1200";
  const auto ndjson = get(target, {{"Accept", "application/x-ndjson"}});
  EXPECT_EQ(ndjson.headers.content_type(), "application/x-ndjson");
  EXPECT_EQ(ndjson.headers.get("Truetape-As-Of"), "2024-08-08T12:20:01Z");
  EXPECT_EQ(ndjson.headers.get("Truetape-Stale"), "true");
  std::string expected;
  for (std::size_t i = 0; i < 1200; ++i) expected += line(stored.trades[i]) + "\n";
  EXPECT_EQ(ndjson.body, expected);
  const std::string link{ndjson.headers.get("Link")};
  ASSERT_THAT(link, testing::StartsWith("</api/v1/trades?instrument=binance%3ABTCUSDT&from=0&limit=1200&cursor="));
  ASSERT_THAT(link, testing::EndsWith(">; rel=\"next\""));
  const auto csv = get(link.substr(1, link.find('>') - 1), {{"Accept", "text/csv"}});
  EXPECT_EQ(csv.headers.find("Link"), std::nullopt);
  RowCells cells;
  put_cells(stored.trades.back(), cells);
  std::string last = csv_header(columns<Trade>()) + "\n";
  append_csv_row(cells, last);
  EXPECT_EQ(csv.body, last);
  EXPECT_EQ(get(target, {{"Accept", "image/png"}}).status, 406);
  EXPECT_EQ(get(target, {{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}}).headers.content_type(),
            "application/json");
}

TEST_F(ServeRest, AnExplanationIsAskedForInOnePlaceAndPassedOn) {
  std::vector<WindowQuestion> asked;
  std::optional<Error> refusal;
  explain_ = [&](const WindowQuestion& of) -> Result<std::string> {
    asked.push_back(of);
    if (refusal) return tl::unexpected{*refusal};
    return R"({"says":"Complete."})";
  };
  Candle agg = candle(60s, kNoon, 1, 10);
  agg.tape = Tape::agg;
  commit({.candles = {candle(60s, kNoon, 1, 10), agg}});
  load();
  start();
  const std::string target = "/api/v1/explain?instrument=binance:BTCUSDT&interval=1m&start=";
  const auto answer = get(target + "2024-08-08T12:00:00Z");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.headers.content_type(), "application/json");
  EXPECT_EQ(answer.body, "{\"says\":\"Complete.\"}\n");
  EXPECT_EQ(get(target + "1723118400000&tape=agg").status, 200);
  ASSERT_EQ(asked.size(), 2U);
  for (const WindowQuestion& one : asked) {
    EXPECT_EQ(one.instrument, btc());
    EXPECT_EQ(one.interval, Interval{60s});
    EXPECT_EQ(one.start, kNoon);
  }
  EXPECT_EQ(asked[1].tape, Tape::agg);
  const auto refused = [&](const std::string& query, int status, const std::string& words) {
    const auto problem = get(query);
    EXPECT_EQ(problem.status, status) << query;
    EXPECT_THAT(problem.body, HasSubstr(words)) << query;
  };
  refused("/api/v1/explain?instrument=binance:BTCUSDT&interval=1m", 400,
          "start: is missing; write when the window begins");
  refused(target + "noon", 400, "start: \\\"noon\\\" is no time");
  refused(target + "0&limit=3", 400, "limit: there is no such parameter here");
  refused("/api/v1/explain?instrument=binance:BTCUSDT&interval=2m&start=0", 400, "there are 1s, 1m, 5m, 1h");
  refused("/api/v1/explain?instrument=binance:NOSUCH&interval=1m&start=0", 404, "nothing is known of binance:NOSUCH");
  EXPECT_EQ(get(target + "0", {{"Accept", "text/csv"}}).status, 406);
  EXPECT_EQ(asked.size(), 2U) << "none of these reached the store";
  refusal = Error{Fault::malformed, Retry::never, "start: no window of 1m begins there"};
  refused(target + "1", 400, "no window of 1m begins there");
  refusal = Error{Fault::not_found, Retry::never, "nothing of it was loaded"};
  refused(target + "0", 404, "nothing of it was loaded");
  refusal = Error{Fault::io, Retry::after_backoff, "the store cannot be read"};
  refused(target + "0", 503, "the store cannot be read");
}

TEST_F(ServeRest, WhatIsAskedWronglyIsRefusedWithASentence) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  start();
  const std::string candles = "/api/v1/candles?instrument=binance:BTCUSDT&interval=1m";
  const std::vector<std::tuple<std::string, int, std::string>> cases{
      {"/api/v1/candles", 400, "instrument: is missing"},
      {"/api/v1/candles?instrument=binance:BTCUSDT", 400, "interval: is missing; there are 1s, 1m, 5m, 1h"},
      {"/api/v1/candles?instrument=BTCUSDT&interval=1m", 400, "write VENUE:SYMBOL"},
      {"/api/v1/candles?instrument=binance:NOSUCH&interval=1m", 404, "nothing is known of binance:NOSUCH"},
      {"/api/v1/candles?instrument=binance:BTCUSDT&interval=7m", 400, "there are 1s, 1m, 5m, 1h"},
      {candles + "&limit=0", 400, "limit: 0 is refused; allowed: a whole number from 1 to 10000"},
      {candles + "&limit=1000000000", 400, "limit: 1000000000 is refused"},
      {candles + "&limit=-1", 400, "limit: -1 is refused"},
      {candles + "&limit=99999999999999999999999", 400, "is refused"},
      {candles + "&from=2024-08-09&to=2024-08-08", 400, "to: must be after from"},
      {candles + "&from=2024-08-09&to=2024-08-09", 400, "to: must be after from"},
      {candles + "&from=yesterday", 400, "from: \"yesterday\" is no time"},
      {candles + "&tape=both", 400, "tape: \"both\" is refused; allowed: trade, agg"},
      {candles + "&cursor=!!!", 400, "cursor: this is none"},
      {candles + "&cursor=QUJD", 400, "cursor: it is of another call"},
      {candles + "&interval=5m", 400, "interval: given twice"},
      {candles + "&colour=red", 400, "colour: there is no such parameter here"},
      {"/api/v1/candles?%ff=1", 400, "\xef\xbf\xbd: there is no such parameter"},
      {"/%ff%fe", 404, "there is nothing at /\xef\xbf\xbd\xef\xbf\xbd"},
      {"/api/v1/nothing", 404, "there is nothing at /api/v1/nothing"},
      {"/etc/passwd", 404, "there is nothing at"},
      {"/page/../../etc/passwd", 400, ""},
      {"/page/%2e%2e/%2e%2e/etc/passwd", 400, ""},
      {"/page/..%2f..%2fetc/passwd", 400, ""},
      {"/api/v1/stream", 426, "WebSocket"},
      {"/" + std::string(5000, 'x'), 404, "there is nothing at"}};
  for (const auto& [target, status, sentence] : cases) {
    const auto answer = get(target);
    EXPECT_EQ(answer.status, status) << target << ": " << answer.body;
    EXPECT_EQ(answer.headers.content_type(), "application/problem+json") << target;
    std::string_view detail;
    simdjson::dom::parser parser;
    ASSERT_EQ(parser.parse(answer.body)["detail"].get(detail), simdjson::SUCCESS) << target;
    EXPECT_THAT(std::string{detail}, HasSubstr(sentence)) << target;
  }
  const auto wrong_verb = send({.method = "POST", .url = "/api/v1/candles"});
  EXPECT_EQ(wrong_verb.status, 405);
  EXPECT_EQ(wrong_verb.headers.get("Allow"), "GET, HEAD");
  EXPECT_EQ(send({.method = "GET", .url = "/start"}).headers.get("Allow"), "POST");
  EXPECT_EQ(send({.method = "PUT", .url = "/api/v1/instruments/binance:BTCUSDT"}).headers.get("Allow"), "DELETE");
  EXPECT_EQ(send({.method = "POST", .url = "/start", .body = std::string(2'000'000, 'x')}).status, 413);
}

TEST_F(ServeRest, AnInstrumentIsLiveWhileItsTimeMovesAndStaleWhenItDoesNot) {
  Results first{.candles = {candle(60s, kNoon, 1, 10)}, .progress = {progress(kNoon, 1)}};
  first.references.push_back({btc(), "BTC", "USDT", "BTC-USDT", decimal("0.01"), decimal("0.00001"), "TRADING"});
  commit(first);
  start();
  // What was in the log before is the past.
  EXPECT_EQ(
      rows("/api/v1/instruments").rows,
      std::vector<std::string>{
          R"({"instrument":"binance:BTCUSDT","base":"BTC","quote":"USDT","name":"BTC-USDT","tick":"0.01","lot":"0.00001",)"
          R"("status":"TRADING","tape":"trade","wanted":false,"as_of":"2024-08-08T12:00:00Z","stale":true,"open_gaps":0})"});
  commit({.progress = {progress(kNoon + 1s, 2)}});
  const std::string target = "/api/v1/progress?instrument=binance:BTCUSDT";
  until([&] { return !rows(target).stale; });
  EXPECT_EQ(rows(target).as_of, "2024-08-08T12:00:01Z");
  loop_.advance(10s);
  EXPECT_FALSE(rows(target).stale);
  loop_.advance(1ns);
  EXPECT_TRUE(rows(target).stale);
  EXPECT_EQ(rows(target).as_of, "2024-08-08T12:00:01Z");
  // The same time again is no news.
  commit({.progress = {progress(kNoon + 1s, 3)}});
  net::settle(loop_);
  EXPECT_TRUE(rows(target).stale);
}

TEST_F(ServeRest, HolesOfTheLogStandBesideThoseOfTheStore) {
  const auto gap = [](std::uint64_t first, GapState state, std::uint64_t revision) {
    Gap g;
    g.instrument = btc();
    g.first_id = first;
    g.last_id = first + 4;
    g.missing = 5;
    g.from = kNoon + std::chrono::seconds{first};
    g.to = g.from + 2s;
    g.state = state;
    g.epoch = 1'700'000'000;
    g.revision = revision;
    return g;
  };
  commit({.gaps = {gap(10, GapState::open, 1), gap(20, GapState::repaired, 1), gap(30, GapState::open, 1)}});
  load();
  start();
  commit({.gaps = {gap(10, GapState::repaired, 2), gap(40, GapState::open, 1)}});
  const std::vector expected = lines<Gap>({gap(10, GapState::repaired, 2), gap(20, GapState::repaired, 1),
                                           gap(30, GapState::open, 1), gap(40, GapState::open, 1)});
  const std::string target = "/api/v1/gaps?instrument=binance:BTCUSDT";
  until([&] { return rows(target).rows.size() == 4; });
  EXPECT_EQ(rows(target).rows, expected);
  EXPECT_EQ(rows(target + "&limit=2").rows, std::vector(expected.begin() + 2, expected.end()));
  EXPECT_EQ(rows("/api/v1/gaps?from=2024-08-08T12:00:31Z&to=2024-08-08T12:00:41Z").rows,
            std::vector(expected.begin() + 2, expected.end()));
  const Answer first = rows("/api/v1/gaps?limit=3");
  EXPECT_EQ(first.rows, std::vector(expected.begin(), expected.begin() + 3));
  EXPECT_EQ(rows("/api/v1/gaps?limit=3&cursor=" + first.next).rows, std::vector{expected[3]});
  EXPECT_THAT(rows("/api/v1/instruments").rows[0], testing::EndsWith("\"open_gaps\":2}"));
}

TEST_F(ServeRest, WhatMemoryHasLetGoIsShownOnceTheStoreHasIt) {
  start();
  Results results;
  for (std::uint64_t i = 0; i < 700; ++i) results.trades.push_back(trade(1 + i, kNoon + i * 1s));
  commit(results);
  until([&] { return rows("/api/v1/instruments").rows.size() == 1; });
  std::optional<net::HttpAnswer> answer;
  loop_.spawn([&]() -> awaitable<void> {
    const net::HttpRequest request{.url = serve_->origin() + "/api/v1/trades?instrument=binance:BTCUSDT&limit=699"};
    answer = *co_await client_->send(request);
  });
  // The store has nothing yet, and memory not all.
  net::settle(loop_);
  EXPECT_FALSE(answer);
  load();
  until([&] {
    loop_.advance(20ms);
    return answer.has_value();
  });
  EXPECT_EQ(parse(answer->body).rows, lines(std::vector(results.trades.begin() + 1, results.trades.end())));
}

// An explanation that takes long keeps neither the store's readers waiting nor, for ever, those who ask behind it.
TEST_F(ServeRest, ExplanationsAreMadeOneAtATimeBesideTheOtherCalls) {
  ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
  std::promise<void> release;
  std::atomic<int> making = 0, most = 0;
  parts.explain = [&, released = release.get_future().share()](const WindowQuestion&) -> Result<std::string> {
    most = std::max<int>(most, ++making);
    released.wait();
    --making;
    return "{}";
  };
  Context context{loop_, {}, parts};
  context.recent.at(btc());
  net::ServerRequest request;
  request.method = "GET";
  request.where =
      *net::parse_target("/api/v1/explain?instrument=binance:BTCUSDT&interval=1m&start=2024-08-08T12:00:00Z");
  const auto shared = std::make_shared<const net::ServerRequest>(std::move(request));
  std::vector<net::ServerAnswer> answers;
  const auto ask = [&] {
    loop_.spawn([&]() -> awaitable<void> {
      auto call = std::move(*rest_call(context, shared));
      answers.push_back(co_await std::move(call));
    });
  };
  ask();
  until([&] { return making == 1; });
  for (int i = 0; i < 9; ++i) ask();
  until([&] { return !answers.empty(); });
  EXPECT_EQ(answers.size(), 1U);  // one is made, eight wait
  const net::ServerAnswer refused = answers.empty() ? net::ServerAnswer{} : answers[0];
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.get("Retry-After"), "1");
  EXPECT_THAT(refused.body, HasSubstr("other explanations are being made"));
  const auto quick = [] { return true; };  // the store's readers go on
  EXPECT_TRUE(net::run<bool>(loop_, [&] { return context.workers.run(quick); }));
  release.set_value();
  until([&] { return answers.size() == 10; });
  EXPECT_EQ(std::ranges::count(answers, 200, &net::ServerAnswer::status), 9);
  EXPECT_EQ(most, 1);
}

TEST_F(ServeRest, AStoreThatDoesNotCatchUpIsSaid) {
  start();
  Results results;
  for (std::uint64_t i = 0; i < 700; ++i) results.trades.push_back(trade(1 + i, kNoon + i * 1s));
  commit(results);
  until([&] { return rows("/api/v1/instruments").rows.size() == 1; });
  const net::HttpAnswer answer = get_in_time("/api/v1/trades?instrument=binance:BTCUSDT");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.get("Retry-After"), "1");
  EXPECT_THAT(answer.body, HasSubstr("loading is behind"));
}

TEST_F(ServeRest, WhatMemoryLetsGoAfterItWasFilledIsWaitedForToo) {
  Results stored, fresh;
  for (std::uint64_t i = 0; i < 300; ++i) stored.trades.push_back(trade(1 + i, kNoon + i * 1s));
  commit(stored);
  load();
  start();
  const std::string base = "/api/v1/trades?instrument=binance:BTCUSDT";
  EXPECT_EQ(rows(base).rows.size(), 300U);
  for (std::uint64_t i = 300; i < 1300; ++i) fresh.trades.push_back(trade(1 + i, kNoon + i * 1s));
  commit(fresh);
  until([&] { return rows(base + "&limit=1").rows == std::vector{line(fresh.trades.back())}; });
  std::vector<std::string> expected = lines(stored.trades);
  const auto more = lines(fresh.trades);
  expected.insert(expected.end(), more.begin(), more.end());
  // The store ends at 300, memory begins at 1100.
  const auto refused = get_in_time(base + "&limit=500");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.get("Retry-After"), "1");
  EXPECT_THAT(refused.body, HasSubstr("loading is behind"));
  EXPECT_EQ(get_in_time(base + "&from=0&limit=400").status, 503);
  // What memory has whole needs no store.
  EXPECT_EQ(rows(base + "&limit=200").rows, std::vector(expected.end() - 200, expected.end()));
  EXPECT_EQ(rows(base + "&from=2024-08-08T12:21:00Z").rows, std::vector(expected.begin() + 1260, expected.end()));
  load();
  EXPECT_EQ(rows(base + "&limit=500").rows, std::vector(expected.end() - 500, expected.end()));
  std::vector<std::string> got;
  std::string cursor;
  for (int page = 0; page < 10; ++page) {
    const Answer answer = rows(base + "&from=0&limit=400" + (cursor.empty() ? "" : "&cursor=" + cursor));
    got.insert(got.end(), answer.rows.begin(), answer.rows.end());
    cursor = answer.next;
    if (cursor.empty()) break;
  }
  EXPECT_EQ(got, expected);
}

TEST_F(ServeRest, TradesThatWereNotReadAreWaitedForThoughNoneHasGone) {
  ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
  Context context{loop_, {}, parts};
  const std::int32_t partition = partition_of(btc(), log_.partitions());
  Followed first;
  first.begun = first.skipped = {{topic::trades, partition, 2}};
  context.recent.apply(first, loop_.now());
  InstrumentMemory& of = context.recent.at(btc());
  std::optional<Status> status;
  const auto fill = [&] {
    status.reset();
    loop_.spawn([&]() -> awaitable<void> { status = co_await context.filled(of); });
    until([&] {
      loop_.advance(100ms);
      return status.has_value();
    });
  };
  fill();
  EXPECT_FALSE(*status);
  EXPECT_FALSE(of.filled);
  commit({.trades = {trade(1, kNoon), trade(2, kNoon + 1s)}});
  load();
  fill();
  EXPECT_TRUE(*status);
  ASSERT_NE(of.memory(Tape::trade), nullptr);
  EXPECT_EQ(of.memory(Tape::trade)->trades.size(), 2U);
}

TEST_F(ServeRest, TheLinkGoesOnBehindTheLastRowOfTheBody) {
  Results stored;
  for (std::uint64_t i = 0; i < 1500; ++i) stored.trades.push_back(trade(1 + i, kNoon + i * 1s));
  commit(stored);
  load();
  ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
  Context context{loop_, {}, parts};
  context.recent.at(btc());
  net::ServerRequest request;
  request.method = "GET";
  request.where = *net::parse_target("/api/v1/trades?instrument=binance:BTCUSDT&from=0&limit=1200");
  request.headers.add("Accept", "application/x-ndjson");
  const auto shared = std::make_shared<const net::ServerRequest>(std::move(request));
  const auto answer = net::run<net::ServerAnswer>(loop_, [&] { return std::move(*rest_call(context, shared)); });
  ASSERT_EQ(answer.status, 200);
  ASSERT_TRUE(answer.source);
  // Trades of the past come while the client reads: the link says 1200, so the body must go as far.
  Results late;
  for (std::uint64_t i = 0; i < 3; ++i) late.trades.push_back(trade(5000 + i, kNoon + 600s + i * 1ms));
  commit(late);
  load();
  std::string body;
  for (;;) {
    const auto piece = net::run<Result<std::string>>(loop_, [&] { return answer.source(); });
    ASSERT_TRUE(piece);
    if (piece->empty()) break;
    body += *piece;
  }
  EXPECT_THAT(body, testing::EndsWith(line(stored.trades[1199]) + "\n"));
  EXPECT_EQ(std::ranges::count(body, '\n'), 1203);
  const std::string link{answer.headers.get("Link")};
  const auto at_cursor = link.find("cursor=") + 7;
  const auto cursor = decode_cursor(link.substr(at_cursor, link.find('>') - at_cursor));
  ASSERT_TRUE(cursor);
  EXPECT_THAT(*cursor, HasSubstr("\n1200\n"));
}

TEST_F(ServeRest, AsOfIsThatOfTheTape) {
  Results results{.candles = {candle(60s, kNoon, 1, 10)}, .progress = {progress(kNoon + 60s, 1)}};
  results.progress.push_back(progress(kNoon + 30s, 1));
  results.progress.back().tape = Tape::agg;
  commit(results);
  start();
  const std::string base = "/api/v1/candles?instrument=binance:BTCUSDT&interval=1m&tape=";
  EXPECT_EQ(rows(base + "trade").as_of, "2024-08-08T12:01:00Z");
  EXPECT_EQ(rows(base + "agg").as_of, "2024-08-08T12:00:30Z");
  EXPECT_EQ(rows("/api/v1/trades?instrument=binance:BTCUSDT&tape=agg").as_of, "2024-08-08T12:00:30Z");
  EXPECT_EQ(rows("/api/v1/gaps?instrument=binance:BTCUSDT&tape=agg").as_of, "2024-08-08T12:00:30Z");
}

TEST_F(ServeRest, WhatIngestSaysOfTheFeedOutweighsThatTimeMoves) {
  commit({.progress = {progress(kNoon, 1)}});
  start();
  const auto control = log_.appender(topic::control).value();
  const auto say = [&](const ControlRecord& record) {
    const ControlText text = control_text(record);
    EXPECT_TRUE(control->append(kControlPartition, {text.key, text.value, {}}));
    EXPECT_TRUE(control->flush(1s).value());
  };
  FeedReport report{.venue = "binance", .running = true};
  report.connections.push_back({.name = "binance-1", .state = "live", .last_frame = {}, .witness = {}});
  say(WantedInstrument{btc(), true});
  say(report);
  commit({.progress = {progress(kNoon + 1s, 2)}});
  const std::string target = "/api/v1/progress?instrument=binance:BTCUSDT";
  until([&] { return !rows(target).stale; });
  const auto stale_by = [&](const FeedReport& worse) {
    say(worse);
    until([&] { return rows(target).stale; });
    say(report);
    until([&] { return !rows(target).stale; });
  };
  FeedReport worse = report;
  worse.unknown = {btc()};
  stale_by(worse);
  worse = report;
  worse.connections.front().state = "waiting";
  stale_by(worse);
  worse = report;
  worse.running = false;
  stale_by(worse);
}

TEST_F(ServeRest, ThePipelineSpeaksOfWhatIsWanted) {
  commit({.progress = {progress(kNoon, 1)}});
  start();
  commit({.progress = {progress(kNoon + 1s, 2)}});
  until([&] { return !rows("/api/v1/progress?instrument=binance:BTCUSDT").stale; });
  const Answer pipeline = rows("/api/v1/pipeline");  // nobody wants it: it is imported
  EXPECT_EQ(pipeline.as_of, "");
  EXPECT_TRUE(pipeline.stale);
}

// A store whose calls throw while it is told to.
class ThrowingHistory final : public History {
 public:
  explicit ThrowingHistory(const History& history) : history_{history} {}
  std::atomic<bool> throws = true;
  Status candles(const Selection& what, const std::function<bool(const Candle&)>& row) const override {
    if (throws) throw std::runtime_error{"no memory"};
    return history_.candles(what, row);
  }
  Status trades(const Selection& what, const std::function<bool(const Trade&)>& row) const override {
    return history_.trades(what, row);
  }
  Status gaps(const Selection& what, const std::function<bool(const Gap&)>& row) const override {
    return history_.gaps(what, row);
  }
  Status quarantine(const Selection& what, const std::function<bool(const Quarantined&)>& row) const override {
    return history_.quarantine(what, row);
  }
  Status progress(const Selection& what, const std::function<bool(const Progress&)>& row) const override {
    return history_.progress(what, row);
  }
  Status instruments(const Selection& what, const std::function<bool(const Reference&)>& row) const override {
    return history_.instruments(what, row);
  }
  Result<std::vector<Instrument>> known_instruments() const override { return history_.known_instruments(); }
  Result<std::optional<std::int64_t>> loaded(std::string_view topic, std::int32_t partition) const override {
    return history_.loaded(topic, partition);
  }
  Result<std::string> log_id() const override { return history_.log_id(); }
  Result<std::int64_t> logs() const override { return history_.logs(); }
  Result<std::vector<Missing>> missing() const override { return history_.missing(); }
  Result<std::unique_ptr<History>> snapshot() const override { return history_.snapshot(); }

 private:
  const History& history_;
};

TEST_F(ServeRest, AStoreThatThrewIsAskedAgain) {
  commit({.trades = {trade(1, kNoon)}});
  load();
  ThrowingHistory throwing{*history_};
  ServeParts parts{log_, throwing, metrics_, intervals_, receivable};
  Context context{loop_, {}, parts};
  InstrumentMemory& of = context.recent.at(btc());
  const auto fill = [&] { return net::run<Status>(loop_, [&] { return context.filled(of); }); };
  const Status first = fill();
  ASSERT_FALSE(first);
  EXPECT_THAT(first.error().detail, HasSubstr("no memory"));
  throwing.throws = false;
  EXPECT_TRUE(fill());
  EXPECT_EQ(of.memory(Tape::trade)->trades.size(), 1U);
}

TEST_F(ServeRest, NothingIsBehindTheGreatestCursor) {
  commit({.candles = {candle(60s, kNoon, 1, 10)}});
  start();
  const std::string cursor = encode_cursor("9223372036854775807\n");
  EXPECT_EQ(rows("/api/v1/candles?instrument=binance:BTCUSDT&interval=1m&cursor=" + cursor).rows,
            std::vector<std::string>{});
}

TEST_F(ServeRest, AHoleThatDoesNotMatchAnyMoreIsNotGivenAsItWas) {
  Gap gap;
  gap.instrument = btc();
  gap.first_id = 10;
  gap.last_id = 14;
  gap.missing = 5;
  gap.from = kNoon;
  gap.state = GapState::open;  // no end yet
  gap.epoch = 1;
  gap.revision = 1;
  commit({.gaps = {gap}});
  load();
  start();
  gap.to = kNoon + 2s;
  gap.state = GapState::repaired;
  gap.revision = 2;
  commit({.gaps = {gap}});
  const std::string base = "/api/v1/gaps?instrument=binance:BTCUSDT";
  until([&] { return rows(base).rows == std::vector{line(gap)}; });
  EXPECT_EQ(rows(base + "&from=2024-08-08T12:00:01Z").rows, std::vector{line(gap)});
  EXPECT_EQ(rows(base + "&from=2024-08-08T12:01:00Z").rows, std::vector<std::string>{});
}

TEST_F(ServeRest, QuarantineComesWholeAndInPages) {
  // Quarantined items come by the store alone; written as load writes them.
  std::vector<Row> items;
  std::vector<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    Quarantined q;
    if (i > 1) q.instrument = btc();
    q.offset = i;
    q.receive_time = kNoon + i * 1s;
    q.reason = Reason::wrong_type;
    q.detail = "$.p: a number";
    q.rule = Text<24>::cut(i == 4 ? "step" : "wrong_type");
    if (i == 5) q.reason = Reason::price;
    q.raw = "{\"p\":" + std::to_string(i) + "}";
    items.emplace_back(q);
    expected.push_back(line(q));
  }
  store_quarantined(items);
  start();
  std::vector<std::string> got;
  std::string cursor;
  for (int page = 0; page < 4; ++page) {
    const Answer answer = rows("/api/v1/quarantine?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor));
    got.insert(got.end(), answer.rows.begin(), answer.rows.end());
    cursor = answer.next;
  }
  EXPECT_EQ(cursor, "");
  EXPECT_EQ(got, expected);
  EXPECT_EQ(rows("/api/v1/quarantine?instrument=binance:BTCUSDT&limit=2").rows,
            std::vector(expected.end() - 2, expected.end()));
  EXPECT_EQ(rows("/api/v1/quarantine?from=2024-08-08T12:00:03Z&to=2024-08-08T12:00:05Z").rows,
            std::vector(expected.begin() + 3, expected.begin() + 5));
  EXPECT_EQ(rows("/api/v1/quarantine?rule=step").rows, std::vector{expected[4]});
  EXPECT_EQ(rows("/api/v1/quarantine?instrument=binance:BTCUSDT&reason=price").rows, std::vector{expected[5]});
  EXPECT_EQ(get("/api/v1/quarantine?reason=nonsense").status, 400);
}

TEST_F(ServeRest, WhatComparisonsWithTheVenueFoundIsGivenByWindow) {
  ServeParts parts{log_, *history_, metrics_, intervals_, receivable};
  std::vector<ReconciledWindow> known;
  for (int i = 0; i < 5; ++i) {
    ReconciledWindow window;
    window.instrument = btc();
    window.interval = 60s;
    window.start = kNoon + i * 60s;
    window.equal = i != 2;
    window.revision = static_cast<std::uint64_t>(i);
    known.push_back(window);
  }
  known[2].cause = Cause::gap;
  known[2].difference = "volume 1 here, 2 there";
  parts.reconciled = [&](const Instrument& instrument, Tape tape, Interval interval, Timestamp from, Timestamp to,
                         std::uint64_t most, bool newest) {
    std::vector<ReconciledWindow> out;
    if (instrument == btc() && tape == Tape::trade && interval == 60s)
      std::ranges::copy_if(known, std::back_inserter(out),
                           [&](const auto& w) { return w.start >= from && w.start < to; });
    while (out.size() > most) out.erase(newest ? out.begin() : std::prev(out.end()));
    return out;
  };
  Context context{loop_, {}, parts};
  context.recent.at(btc());
  const auto ask = [&](const std::string& query, const char* accept = "application/json") {
    net::ServerRequest request;
    request.method = "GET";
    request.where = *net::parse_target("/api/v1/reconciled" + query);
    request.headers.add("Accept", accept);
    const auto shared = std::make_shared<const net::ServerRequest>(std::move(request));
    return net::run<net::ServerAnswer>(loop_, [&] { return std::move(*rest_call(context, shared)); });
  };
  const std::string base = "?instrument=binance:BTCUSDT&interval=1m", since = "&from=2024-08-08T12:00:00Z";
  EXPECT_EQ(parse(ask(base).body).rows, lines(known));
  EXPECT_EQ(parse(ask(base + "&limit=2").body).rows, lines(std::vector(known.begin() + 3, known.end())));
  const Answer first = parse(ask(base + since + "&limit=3").body);
  EXPECT_EQ(first.rows, lines(std::vector(known.begin(), known.begin() + 3)));
  const Answer second = parse(ask(base + since + "&limit=3&cursor=" + first.next).body);
  EXPECT_EQ(second.rows, lines(std::vector(known.begin() + 3, known.end())));
  EXPECT_EQ(second.next, "");
  EXPECT_EQ(parse(ask(base + since + "&to=2024-08-08T12:02:00Z").body).rows,
            lines(std::vector(known.begin(), known.begin() + 2)));
  EXPECT_THAT(
      ask(base, "text/csv").body,
      HasSubstr("\nbinance:BTCUSDT,trade,1m,2024-08-08T12:02:00Z,differs,gap,\"volume 1 here, 2 there\",,0,2,"));
  EXPECT_TRUE(parse(ask("?instrument=binance:BTCUSDT&interval=5m").body).rows.empty());
  EXPECT_EQ(ask(base + "&cursor=YQ").status, 400);
  EXPECT_EQ(ask("?instrument=binance:BTCUSDT").status, 400);
  EXPECT_EQ(ask("?instrument=binance:NONE&interval=1m").status, 404);
  parts.reconciled = nullptr;  // nobody compares here
  Context without{loop_, {}, parts};
  without.recent.at(btc());
  net::ServerRequest request;
  request.where = *net::parse_target("/api/v1/reconciled" + base);
  const auto shared = std::make_shared<const net::ServerRequest>(std::move(request));
  const auto none = net::run<net::ServerAnswer>(loop_, [&] { return std::move(*rest_call(without, shared)); });
  EXPECT_TRUE(parse(none.body).rows.empty());
}

TEST_F(ServeRest, LastPricesThatTheLogHasNoMoreAreThoseOfTheStore) {
  const auto best = [](std::string_view instrument, std::string_view bid, Timestamp time) {
    Quote q;
    q.instrument = *Instrument::parse(instrument);
    q.receive_time = time;
    q.bid = decimal(bid);
    return q;
  };
  const Quote old = best("binance:OLDUSDT", "1.5", kNoon), before = best("binance:BTCUSDT", "60000", kNoon),
              after = best("binance:BTCUSDT", "60001", kNoon + 1s);
  commit({.quotes = {old, before}});
  load();
  for (std::int32_t p = 0; p < log_.partitions(); ++p) log_.trim(topic::quotes, p, INT64_MAX);
  commit({.quotes = {after}});
  start();
  until([&] { return rows("/api/v1/quotes?instrument=binance:BTCUSDT").rows == lines(std::vector{after}); });
  EXPECT_EQ(rows("/api/v1/quotes").rows, lines(std::vector{after, old}));
}

TEST_F(ServeRest, CountsOfHeadlinesAreTheStoresRowsOfWholeWindows) {
  const Timestamp noon = at("2024-08-08T12:00:00Z");
  commit({.news_counts = {news_count("AAPL", 60s, noon, 1, 1), news_count("", 60s, noon, 2, 2),
                          news_count("AAPL", 60s, noon, 3, 3), news_count("MSFT", 60s, noon + 60s, 1, 1),
                          news_count("MSFT", 60s, noon + 120s, 0, 2), news_count("AAPL", 3600s, noon, 3, 3)}});
  load();
  start();
  const auto counts = [&](const std::string& query) {
    return get("/api/v1/news/counts?" + query, {{"Accept", "text/csv"}}).body;
  };
  const std::string head = "instrument,source,interval,start,headlines,first_time,last_time,venue,epoch,revision\n";
  const auto row = [](std::string_view instrument, std::string_view interval, std::string_view start, int headlines) {
    const std::string count = std::to_string(headlines), time{start};
    return std::string{instrument} + ",Yahoo," + std::string{interval} + "," + time + "," + count + "," + time + "," +
           time + ",finnhub,1700000000," + count + "\n";
  };
  const std::string none = row("", "1m", "2024-08-08T12:00:00Z", 2),
                    apple = row("finnhub:AAPL", "1m", "2024-08-08T12:00:00Z", 3),
                    other = row("finnhub:MSFT", "1m", "2024-08-08T12:01:00Z", 1);
  const std::string day = "&from=2024-08-08&to=2024-08-09";
  EXPECT_EQ(counts("interval=1m" + day), head + none + apple + other);
  EXPECT_EQ(counts("interval=1h" + day), head + row("finnhub:AAPL", "1h", "2024-08-08T12:00:00Z", 3));
  EXPECT_EQ(counts("interval=1m&symbol=finnhub:MSFT" + day), head + other);
  EXPECT_EQ(counts("interval=1m&source=Reuters" + day), head);
  // From inside of a window to inside of the next: both are told whole.
  EXPECT_EQ(counts("interval=1m&from=2024-08-08T12:00:30Z&to=2024-08-08T12:01:01Z"), head + none + apple + other);
  EXPECT_EQ(counts("interval=1m&from=2024-08-08T12:00:30Z&to=2024-08-08T12:01:00Z"), head + none + apple);
  EXPECT_THAT(
      get("/api/v1/news/counts?interval=1h" + day).body,
      HasSubstr(
          R"("rows":[{"instrument":"finnhub:AAPL","source":"Yahoo","interval":"1h","start":"2024-08-08T12:00:00Z","headlines":3,)"));
  EXPECT_EQ(get("/api/v1/news/counts?interval=5m" + day).status, 400);
  EXPECT_EQ(get("/api/v1/news/counts?interval=1m&from=2024-01-01&to=2024-08-09").status, 400);
}

}  // namespace
}  // namespace truetape
