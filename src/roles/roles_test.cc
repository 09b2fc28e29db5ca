#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "codec/quarantine.h"
#include "codec/wire.h"
#include "core/row_order.h"
#include "log/memory/memory_log.h"
#include "roles/load.h"
#include "roles/process.h"
#include "roles/run.h"

namespace truetape {
namespace {

constexpr std::chrono::milliseconds kNow{0};

Instrument instrument(int n) { return Instrument::parse("binance:COIN" + std::to_string(n)).value(); }

struct Died {};  // what a decoder throws here stands for the process dying

// A frame is "ID MILLISECONDS"; "die" ends the process, anything else is a bad item.
class TestDecoder final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    Item item;
    item.raw = record.bytes;
    item.trade.instrument = record.instrument_list().front();
    if (record.bytes == "die" && deadly) throw Died{};
    const char* end = record.bytes.data() + record.bytes.size();
    std::int64_t ms = 0;
    const auto id = std::from_chars(record.bytes.data(), end, item.trade.order);
    if (id.ec != std::errc{} || std::from_chars(id.ptr + 1, end, ms).ec != std::errc{}) {
      item.type = Item::Type::bad;
      item.reason = Reason::syntax;
      item.detail = "no trade";
    } else {
      item.has_id = item.has_time = true;
      item.trade.id = Text<40>::cut(std::to_string(item.trade.order));
      item.trade.first_id = item.trade.last_id = item.trade.order;
      item.trade.event_time = timestamp_ns(ms * 1'000'000);
      item.trade.price = Decimal::of(100 + static_cast<std::int64_t>(item.trade.order % 10), 0).value();
      item.trade.quantity = Decimal::of(1, 0).value();
      item.trade.receive_time = record.receive_time;
    }
    out.items.push_back(item);
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }
  bool deadly = true;
};

constexpr std::int64_t kStart = 1'700'000'000'000;  // ms

// Appends frames of `trades` trades of each instrument, one every 250 ms.
void append_trades(Log& log, int instruments, std::uint64_t first, std::uint64_t end,
                   std::optional<std::uint64_t> die_at = std::nullopt) {
  auto appender = log.appender(topic::raw).value();
  for (std::uint64_t n = first; n < end; ++n)
    for (int i = 0; i < instruments; ++i) {
      const std::string name = instrument(i).str(),
                        time = std::to_string((kStart + static_cast<std::int64_t>(n) * 250) * 1'000'000);
      const std::string value =
          die_at == n && i == 0 ? "die"
                                : std::to_string(n) + " " + std::to_string(kStart + static_cast<std::int64_t>(n) * 250);
      const Header headers[] = {{header::kind, "frame"}, {header::instruments, name}, {header::receive_time, time}};
      ASSERT_TRUE(appender->append(partition_of(instrument(i), log.partitions()), {name, value, headers}));
    }
  ASSERT_TRUE(appender->flush(kNow).value());
}

template <class T>
std::vector<T> read_topic(Log& log, std::string_view topic) {
  auto reader = log.reader(topic, "", Share::all).value();
  std::vector<T> out;
  for (int empty = 0; empty < 2;) {
    auto step = reader->poll(kNow).value();
    empty = step.records.empty() ? empty + 1 : 0;
    for (const Stored& stored : step.records) {
      if constexpr (std::is_same_v<T, Quarantined>)
        out.push_back(read_quarantined(stored.record.value, stored.record.headers).value());
      else
        out.push_back(wire::decode<T>(stored.record.value).value());
    }
    for (const std::int32_t partition : std::vector(step.assigned))
      EXPECT_TRUE(reader->seek(partition, log.span(topic, partition).value().oldest));
  }
  return out;
}

using WindowId = std::tuple<Instrument, Interval, Timestamp>;
std::map<WindowId, Candle> last_candles(const std::vector<Candle>& rows) {
  std::map<WindowId, Candle> out;
  for (const Candle& c : rows) out.insert_or_assign({c.instrument, c.interval, c.start}, c);
  return out;
}

Rules rules() {
  Rules out;
  out.intervals = {std::chrono::seconds{1}, std::chrono::minutes{1}};
  return out;
}

// A store in memory that outlives its sinks.
struct MapStore {
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> positions;
  std::map<std::tuple<Instrument, std::uint64_t>, Trade> trades;
  std::map<WindowId, Candle> candles;
  std::vector<Quote> quotes;
  std::size_t quarantined = 0, doubled = 0, batches = 0;
  std::vector<Quarantined> foreign;
  int refuse = 0;      // so many writes fail with after_backoff
  int fail_every = 0;  // each n-th write fails with rebuild, in turn before and after its effect
  int writes = 0;
  bool refuse_open = false;
};
class MapSink final : public Sink {
 public:
  explicit MapSink(MapStore& store) : store_{store} {}
  Status open() override {
    if (store_.refuse_open) return failure(Fault::unavailable, Retry::after_backoff, "the store does not answer");
    return {};
  }
  Result<std::optional<std::int64_t>> claim(std::string_view topic, std::int32_t partition) override {
    const auto found = store_.positions.find({std::string{topic}, partition});
    return found == store_.positions.end() ? std::nullopt : std::optional{found->second};
  }
  Result<std::int64_t> write(const Batch& batch) override {
    if (auto done = write_all({&batch, 1}); !done) return tl::unexpected{done.error()};
    return batch.next;
  }
  Status write_all(std::span<const Batch> batches) override {
    if (store_.refuse > 0) return --store_.refuse, failure(Fault::unavailable, Retry::after_backoff, "locked");
    const bool fails = store_.fail_every > 0 && ++store_.writes % store_.fail_every == 0;
    if (fails && store_.writes / store_.fail_every % 2 == 0) return failure(Fault::io, Retry::rebuild, "died before");
    for (const Batch& batch : batches) {
      const auto [position, fresh] =
          store_.positions.try_emplace({std::string{batch.topic}, batch.partition}, batch.first);
      EXPECT_EQ(batch.first, position->second);  // goes on exactly where the store says
      position->second = batch.next;
      for (const Row& row : batch.rows) {
        if (const auto* t = std::get_if<Trade>(&row))
          store_.doubled += store_.trades.try_emplace({t->instrument, t->order}, *t).second ? 0U : 1U;
        if (const auto* c = std::get_if<Candle>(&row))
          store_.candles.insert_or_assign({c->instrument, c->interval, c->start}, *c);
        if (const auto* q = std::get_if<Quote>(&row)) store_.quotes.push_back(*q);
        store_.quarantined += std::holds_alternative<Quarantined>(row) ? 1U : 0U;
        if (const auto* q = std::get_if<Quarantined>(&row); q != nullptr && q->reason == Reason::foreign)
          store_.foreign.push_back(*q);
      }
    }
    ++store_.batches;
    if (fails) return failure(Fault::io, Retry::rebuild, "died after");
    return {};
  }

 private:
  MapStore& store_;
};

// Both roles, rebuilt after every error, until nothing is left to do.
void run_both(
    MemoryLog& log, const Decoder& decoder, MapStore& store, const std::function<void()>& between = [] {}) {
  const Rules settings = rules();
  const ManualClock clock{timestamp_ns(0)};
  std::unique_ptr<ProcessRole> process;
  std::unique_ptr<LoadRole> load;
  int idle = 0;
  for (int turn = 0; idle < 4 && turn < 100'000; ++turn) {
    between();
    std::uint64_t before = 0, after = 0;
    if (!process) {
      if (auto opened = ProcessRole::open(log, settings, decoder, {.linger = kNow})) process = std::move(*opened);
    }
    if (process) {
      if (process->step())
        after += process->take_counts().records;
      else
        process.reset();
    }
    if (!load) {
      if (auto opened = LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.max_rows = 50}))
        load = std::move(*opened);
    }
    if (load) {
      before += load->counts().records;
      auto done = load->step(kNow);
      if (done) done = load->flush();
      if (done)
        after += load->counts().records;
      else if (done.error().retry != Retry::after_backoff)
        load.reset();
      else
        ++after;
    }
    idle = process && load && after == before ? idle + 1 : 0;
  }
  ASSERT_EQ(idle, 4);
}

TEST(Roles, FromRawToStore) {
  MemoryLog log{MemoryOptions{.partitions = 3, .dice = {}}};
  append_trades(log, 3, 1, 500);
  MapStore store;
  const TestDecoder decoder;
  run_both(log, decoder, store);
  EXPECT_EQ(store.trades.size(), 3 * 499U);
  EXPECT_EQ(store.doubled, 0U);
  EXPECT_EQ(read_topic<Trade>(log, topic::trades).size(), 3 * 499U);
  EXPECT_EQ(store.candles, last_candles(read_topic<Candle>(log, topic::candles)));
  EXPECT_GT(store.candles.size(), 3 * 120U);
}

TEST(Roles, CrashesAnywhereLoseAndDoubleNothing) {
  std::map<WindowId, Candle> undisturbed;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    MemoryLog log{MemoryOptions{.partitions = 3, .step_records = 7, .offset_holes = seed % 2 == 1, .dice = {}}};
    append_trades(log, 3, 1, 60);
    auto faults = std::make_shared<RandomFaults>(seed, 60);
    if (seed != 0) log.set_dice(faults);
    MapStore store;
    store.fail_every = seed == 0 ? 0 : 5;
    const TestDecoder decoder;
    int turns = 0;
    run_both(log, decoder, store, [&] {
      if (++turns == 2'000) faults->stop();
    });
    log.set_dice(nullptr);
    ASSERT_EQ(store.trades.size(), 3 * 59U) << seed;
    ASSERT_EQ(store.doubled, 0U) << seed;
    const auto in_log = read_topic<Trade>(log, topic::trades);
    ASSERT_EQ(in_log.size(), 3 * 59U) << seed;
    const auto candles = last_candles(read_topic<Candle>(log, topic::candles));
    ASSERT_EQ(store.candles, candles) << seed;
    if (seed == 0) undisturbed = candles;
    ASSERT_EQ(candles, undisturbed) << seed;
  }
}

TEST(Roles, AStoreThatWasEmptiedGetsEverythingAgain) {
  MemoryLog log{MemoryOptions{.partitions = 2, .dice = {}}};
  append_trades(log, 2, 1, 50);
  const TestDecoder decoder;
  MapStore store;
  run_both(log, decoder, store);
  MapStore emptied;
  run_both(log, decoder, emptied);
  EXPECT_EQ(emptied.trades, store.trades);
  EXPECT_EQ(emptied.candles, store.candles);
}

TEST(Roles, RetentionWaitsForAStoreThatBeginsAnew) {
  MemoryLog log{MemoryOptions{.partitions = 1, .step_records = 5, .dice = {}}};
  append_trades(log, 1, 1, 50);
  const TestDecoder decoder;
  MapStore store;
  run_both(log, decoder, store);
  MapStore emptied;
  const ManualClock clock{timestamp_ns(0)};
  auto role = LoadRole::open(log, std::make_unique<MapSink>(emptied), clock, {.max_rows = 1}).value();
  ASSERT_TRUE(role->step(kNow));  // it is assigned everything, and has read nothing yet
  for (const std::string_view topic : topic::all) log.trim(topic, 0, INT64_MAX);
  while (role->lag().value().value_or(1) > 0) ASSERT_TRUE(role->step(kNow));
  EXPECT_EQ(emptied.trades, store.trades);
  EXPECT_EQ(emptied.candles, store.candles);
}

TEST(Roles, RetentionWaitsForAStoreThatIsDownFromTheBeginning) {
  MemoryLog log{MemoryOptions{.partitions = 1, .step_records = 5, .dice = {}}};
  const ManualClock clock{timestamp_ns(0)};
  MapStore store;
  store.refuse_open = true;
  ASSERT_FALSE(LoadRole::open(log, std::make_unique<MapSink>(store), clock));
  append_trades(log, 1, 1, 50);
  const TestDecoder decoder;
  const Rules settings = rules();
  auto process = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  do ASSERT_TRUE(process->step());
  while (process->lag().value() > 0);
  log.trim(topic::trades, 0, INT64_MAX);
  EXPECT_EQ(log.span(topic::trades, 0)->oldest, 0);
}

// A store that an older program loaded has positions of the other topics only.
TEST(Roles, QuotesAreLoadedFromTheOldestThatTheLogHas) {
  MemoryLog log{MemoryOptions{.partitions = 1, .step_records = 5, .dice = {}}};
  std::vector<Quote> expected;
  auto task = log.task().value();
  for (std::uint64_t n = 1; n <= 30; ++n) {
    append_trades(log, 1, n, n + 1);
    while (task->poll(kNow).value().records.empty()) {
    }
    Quote q;
    q.instrument = instrument(0);
    q.order = n;
    if (n > 10) expected.push_back(q);
    Trade t;
    t.instrument = q.instrument;
    t.order = t.first_id = t.last_id = n;
    t.id = Text<40>::cut(std::to_string(n));
    std::string quote, trade;
    wire::encode(q, quote);
    wire::encode(t, trade);
    const std::vector<Output> outputs{{topic::quotes, 0, {q.instrument.text(), quote, {}}},
                                      {topic::trades, 0, {q.instrument.text(), trade, {}}}};
    ASSERT_TRUE(task->commit(outputs, {}));
  }
  log.trim(topic::quotes, 0, 10);
  ASSERT_EQ(log.span(topic::quotes, 0)->oldest, 10);
  MapStore store;
  store.positions[{"trades", 0}] = 25;
  const ManualClock clock{timestamp_ns(0)};
  auto role = LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.max_rows = 1}).value();
  while (role->lag().value().value_or(1) > 0) ASSERT_TRUE(role->step(kNow));
  EXPECT_EQ(store.quotes, expected);
  EXPECT_EQ(store.positions.at({"quotes", 0}), 30);
  EXPECT_EQ(store.trades.size(), 5U) << "the others go on where they were";
}

TEST(Roles, AStoreAheadOfItsLogIsRefusedWithAdvice) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 50);
  const TestDecoder decoder;
  MapStore store;
  run_both(log, decoder, store);
  store.positions[{"trades", 0}] = 1'000;
  const ManualClock clock{timestamp_ns(0)};
  auto role = LoadRole::open(log, std::make_unique<MapSink>(store), clock).value();
  const auto refused = role->step(kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry, Retry::never);
  EXPECT_NE(refused.error().detail.find("trades/0 up to offset 1000"), std::string::npos) << refused.error().detail;
  EXPECT_NE(refused.error().detail.find("--adopt"), std::string::npos);
}

TEST(Roles, WhileTheStoreIsDownItsRowsWaitInTheRole) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 50);
  const TestDecoder decoder;
  const Rules settings = rules();
  auto process = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  do ASSERT_TRUE(process->step());
  while (process->lag().value() > 0);
  ManualClock clock{timestamp_ns(0)};
  MapStore store;
  store.refuse = 3;
  auto role = LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.max_wait = std::chrono::milliseconds{100}})
                  .value();
  ASSERT_TRUE(role->step(kNow));  // assigns
  ASSERT_TRUE(role->step(kNow));  // takes, and waits for more
  EXPECT_EQ(store.batches, 0U);
  const auto taken = role->counts().records;
  EXPECT_GT(taken, 49U);
  clock.advance(std::chrono::milliseconds{100});
  for (int i = 0; i < 3; ++i) {
    const auto refused = role->step(kNow);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().retry, Retry::after_backoff);
    EXPECT_EQ(role->counts().records, taken);  // it reads no further
  }
  ASSERT_TRUE(role->step(kNow));
  EXPECT_EQ(store.trades.size(), 49U);
  EXPECT_EQ(store.batches, 1U);
  EXPECT_EQ(role->lag().value(), 0);
}

TEST(Roles, NothingIsBehindThoughTheLogEndsWithOffsetsThatNoRecordHas) {
  MemoryLog log{MemoryOptions{.partitions = 1, .offset_holes = true, .dice = {}}};
  append_trades(log, 1, 1, 50);
  const TestDecoder decoder;
  const Rules settings = rules();
  auto process = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  do ASSERT_TRUE(process->step());
  while (process->lag().value() > 0);
  const ManualClock clock{timestamp_ns(0)};
  MapStore store;
  auto role = LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.max_rows = 1}).value();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(role->step(kNow));
  EXPECT_EQ(store.trades.size(), 49U);
  EXPECT_EQ(role->lag().value(), 0);
  ASSERT_TRUE(role->flush());
  EXPECT_EQ(store.positions.at({"trades", 0}), log.span(topic::trades, 0)->end);
}

TEST(Roles, WhatTruetapeDidNotWriteGoesToTheStoresQuarantineAndStopsNothing) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 10);
  const TestDecoder decoder;
  const Rules settings = rules();
  auto process = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  do ASSERT_TRUE(process->step());
  while (process->lag().value() > 0);
  process.reset();
  append_trades(log, 1, 11, 20);
  {
    auto task = log.task().value();
    while (task->poll(kNow).value().records.empty()) {
    }
    const std::string cut{"\0\0\0\0\1\7", 6};
    const std::vector<Output> outputs{{topic::trades, 0, {"k", "hello", {}}}, {topic::trades, 0, {"k", cut, {}}}};
    ASSERT_TRUE(task->commit(outputs, {}));
  }
  const ManualClock clock{timestamp_ns(0)};
  Metrics metrics;
  MapStore store;
  auto role =
      LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.max_rows = 1, .metrics = &metrics}).value();
  while (role->lag().value().value_or(1) > 0) ASSERT_TRUE(role->step(kNow));
  EXPECT_EQ(store.trades.size(), 9U);
  EXPECT_EQ(role->counts().foreign, 2U);
  ASSERT_EQ(store.foreign.size(), 2U);
  EXPECT_EQ(store.foreign[0].reason, Reason::foreign);
  EXPECT_EQ(store.foreign[0].raw, "hello");
  EXPECT_EQ(store.foreign[0].ordinal, 0x8000'0001U);
  EXPECT_EQ(store.foreign[0].headers.back(), (std::pair<std::string, std::string>{"truetape.original.key", "k"}));
  EXPECT_EQ(store.foreign[0].detail.find("trades/0 offset 9: The value begins with byte 104"), 0U)
      << store.foreign[0].detail;
  EXPECT_EQ(store.foreign[1].offset, 10);
  EXPECT_NE(metrics.text().find("truetape_load_foreign_total{store=\"sqlite\",topic=\"trades\"} 2"), std::string::npos)
      << metrics.text();
}

TEST(Roles, OpenCandlesAreKeptBackUntilThePartitionHasCaughtUp) {
  const auto open_candles = [](std::int64_t catch_up) {
    MemoryLog log{MemoryOptions{.partitions = 1, .step_records = 5, .dice = {}}};
    append_trades(log, 1, 1, 60);  // 59 records, 12 steps
    const TestDecoder decoder;
    const Rules settings = rules();
    auto role = ProcessRole::open(log, settings, decoder, {.linger = kNow, .catch_up = catch_up}).value();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(role->step());
    EXPECT_EQ(role->take_counts().steps, 12U);
    std::vector<Candle> rows = read_topic<Candle>(log, topic::candles);
    const auto last = last_candles(rows);
    return std::pair{
        std::count_if(rows.begin(), rows.end(), [](const Candle& c) { return c.status == CandleStatus::open; }), last};
  };
  const auto live = open_candles(1'000'000), caught_up = open_candles(0);
  EXPECT_GE(live.first, 12);
  EXPECT_EQ(caught_up.first, 1);  // the base window that is open at the end
  EXPECT_EQ(caught_up.second, live.second);
}

// "name{labels} value" lines of that name.
std::string metric(const Metrics& metrics, std::string_view name) {
  std::string out;
  std::istringstream text{metrics.text()};
  for (std::string line; std::getline(text, line);)
    if (line.starts_with(name) && line.size() > name.size() && (line[name.size()] == '{' || line[name.size()] == ' '))
      out += line.substr(name.size()) + '\n';
  return out;
}

TEST(Roles, MetricsTellWhatBecameOfEachItem) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 30);
  append_trades(log, 1, 20, 35);  // 10 of them for the second time
  {                               // far beyond, but not later: set aside
    const std::string name = instrument(0).str(), value = "9000000 " + std::to_string(kStart + 9'000);
    const Header headers[] = {{header::kind, "frame"}, {header::instruments, name}};
    auto appender = log.appender(topic::raw).value();
    ASSERT_TRUE(appender->append(0, {name, value, headers}));
    ASSERT_TRUE(appender->flush(kNow).value());
  }
  append_trades(log, 1, 36, 37, 36);  // "die", which is no trade here
  TestDecoder decoder;
  decoder.deadly = false;
  const Rules settings = rules();
  Metrics metrics;
  auto role = ProcessRole::open(log, settings, decoder, {.linger = kNow, .metrics = &metrics}).value();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(role->step());
  const Counts counts = role->take_counts().venues.at("binance");
  EXPECT_EQ(counts.in, 46U);
  EXPECT_EQ(metric(metrics, "truetape_items_in_total"), "{venue=\"binance\"} 46\n");
  EXPECT_EQ(metric(metrics, "truetape_items_total"),
            "{venue=\"binance\",outcome=\"accepted\"} 34\n"
            "{venue=\"binance\",outcome=\"contradiction\"} 0\n"
            "{venue=\"binance\",outcome=\"duplicate\"} 10\n"
            "{venue=\"binance\",outcome=\"held\"} 0\n"
            "{venue=\"binance\",outcome=\"not_a_trade\"} 0\n"
            "{venue=\"binance\",outcome=\"other_tape\"} 0\n"
            "{venue=\"binance\",outcome=\"quarantined\"} 1\n"
            "{venue=\"binance\",outcome=\"undecodable\"} 0\n"
            "{venue=\"binance\",outcome=\"void\"} 0\n");
  EXPECT_EQ(metric(metrics, "truetape_items_set_aside"), "{venue=\"binance\"} 1\n");
  EXPECT_EQ(metric(metrics, "truetape_raw_records_total"), "{venue=\"binance\",kind=\"frame\"} 46\n");
  const auto waiting = role->set_aside();
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].trade.order, 9'000'000U);
  EXPECT_FALSE(waiting[0].restart);

  // A restart knows it too, and its counters go on.
  role.reset();
  append_trades(log, 1, 35, 36);
  role = ProcessRole::open(log, settings, decoder, {.linger = kNow, .metrics = &metrics}).value();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(role->step());
  EXPECT_EQ(metric(metrics, "truetape_items_in_total"), "{venue=\"binance\"} 47\n");

  std::uint64_t closed = 0;
  for (const Candle& candle : read_topic<Candle>(log, topic::candles)) closed += candle.status == CandleStatus::closed;
  EXPECT_GT(closed, 0U);
  EXPECT_NE(metric(metrics, "truetape_candle_rows_total").find("{status=\"closed\"} " + std::to_string(closed) + "\n"),
            std::string::npos)
      << metric(metrics, "truetape_candle_rows_total");

  MapStore store;
  store.refuse = 2;
  const ManualClock clock{timestamp_ns(0)};
  auto load =
      LoadRole::open(log, std::make_unique<MapSink>(store), clock, {.name = "map", .metrics = &metrics}).value();
  for (int i = 0; i < 6; ++i) {
    (void)load->step(kNow);
    (void)load->flush();
  }
  EXPECT_EQ(store.trades.size(), 35U);
  EXPECT_EQ(metric(metrics, "truetape_load_failed_batches_total"), "{store=\"map\"} 2\n");
  EXPECT_EQ(metric(metrics, "truetape_load_batches_total"), "{store=\"map\"} " + std::to_string(store.batches) + "\n");
}

TEST(Roles, StateOfAnotherVersionIsRefusedWithWhatToDo) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 3);
  const TestDecoder decoder;
  const Rules settings = rules();
  auto role = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(role->step());
  role.reset();
  append_trades(log, 1, 3, 4);
  auto task = log.task().value();
  const StateChange version{0, "\nv", "9"};
  while (task->poll(kNow).value().records.empty()) {
  }
  ASSERT_TRUE(task->commit({}, {&version, 1}));
  task.reset();
  role = ProcessRole::open(log, settings, decoder, {.linger = kNow}).value();
  const Status refused = role->step();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().retry, Retry::never);
  EXPECT_EQ(
      refused.error().detail,
      "the state of partition 0 was written by another version of truetape (it is of version 9, this program "
      "reads 4); go on with that version, or make state and results anew from raw with this one: truetape rebuild "
      "--data DIR");
}

TEST(Roles, ARecordAtWhichTheProcessDiedThreeTimesIsQuarantined) {
  std::string pattern = (std::filesystem::temp_directory_path() / "truetape-roles-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path directory = pattern;
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  append_trades(log, 1, 1, 30, 11);  // record 10 is the deadly one
  const TestDecoder decoder;
  const Rules settings = rules();
  int deaths = 0;
  for (bool done = false; !done;) {
    auto attempts = Attempts::open(directory / "process.attempt").value();
    auto role = ProcessRole::open(log, settings, decoder, {.linger = kNow}, attempts.get()).value();
    try {
      for (int i = 0; i < 5; ++i) ASSERT_TRUE(role->step());
      const ProcessCounts counts = role->take_counts();
      EXPECT_EQ(counts.crashed, 1U);
      EXPECT_TRUE(counts.venues.at("binance").balanced());
      EXPECT_EQ(counts.venues.at("binance").accepted, 28U);
      done = true;
    } catch (const Died&) {
      ASSERT_LE(++deaths, 3);
    }
  }
  EXPECT_EQ(deaths, 3);
  const auto quarantined = read_topic<Quarantined>(log, topic::quarantine);
  ASSERT_EQ(quarantined.size(), 1U);
  EXPECT_EQ(quarantined[0].reason, Reason::crashed);
  EXPECT_EQ(quarantined[0].offset, 10);
  EXPECT_EQ(quarantined[0].raw, "die");
  EXPECT_EQ(read_topic<Trade>(log, topic::trades).size(), 28U);
  std::filesystem::remove_all(directory);
}

TEST(Roles, StepsOfOtherPartitionsDoNotSaveARecordAtWhichTheProcessDies) {
  std::string pattern = (std::filesystem::temp_directory_path() / "truetape-roles-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path file = std::filesystem::path{pattern} / "process.attempt";
  // The other instrument's partition comes first in each life, and the first step holds nothing else.
  std::int32_t partitions = 2;
  while (partition_of(instrument(1), partitions) >= partition_of(instrument(0), partitions)) ++partitions;
  MemoryLog log{MemoryOptions{.partitions = partitions, .step_records = 5, .dice = {}}};
  append_trades(log, 2, 1, 300, 11);
  const TestDecoder decoder;
  const Rules settings = rules();
  int deaths = 0;
  for (bool done = false; !done;) {
    auto attempts = Attempts::open(file).value();
    auto role = ProcessRole::open(log, settings, decoder, {.linger = kNow}, attempts.get()).value();
    try {
      do ASSERT_TRUE(role->step());
      while (role->lag().value() > 0);
      EXPECT_EQ(role->take_counts().crashed, 1U);
      done = true;
    } catch (const Died&) {
      ASSERT_LE(++deaths, 3);
    }
  }
  EXPECT_EQ(deaths, 3);
  EXPECT_EQ(read_topic<Trade>(log, topic::trades).size(), 2 * 299U - 1);
  std::filesystem::remove_all(pattern);
}

TEST(RunRole, RebuildsAfterErrorsAndEndsAtNever) {
  struct Role {
    int steps = 0;
  };
  int made = 0, kept = 0;
  std::vector<std::string> reports;
  const auto ended = run_role<Role>(
      std::stop_token{},
      [&]() -> Result<std::unique_ptr<Role>> {
        if (++made == 2) return failure(Fault::unavailable, Retry::reconnect, "not made");
        return std::make_unique<Role>();
      },
      [&](Role& role) -> Status {
        if (++role.steps == 2 && made == 1) return failure(Fault::io, Retry::rebuild, "rebuild");
        if (role.steps == 2 && made == 3) return ++kept, failure(Fault::unavailable, Retry::after_backoff, "wait");
        if (role.steps == 4) return failure(Fault::mismatch, Retry::never, "never");
        return {};
      },
      true, [&](const Error& error) { reports.push_back(error.detail); }, {.first_pause = kNow, .longest_pause = kNow});
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().detail, "never");
  EXPECT_EQ(made, 3);
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(reports, (std::vector<std::string>{"rebuild", "not made", "wait"}));
}

}  // namespace
}  // namespace truetape
