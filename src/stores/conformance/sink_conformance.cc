#include "stores/conformance/sink_conformance.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "codec/random_records.h"
#include "core/row_order.h"

namespace truetape {
namespace {

constexpr std::string_view kTrades = "trades";
constexpr std::string_view kCandles = "candles";

Instrument instrument(std::string_view text) { return Instrument::parse(text).value(); }

// Trade number n of an instrument: everything about it follows from n.
Trade trade(std::uint64_t n, std::string_view of = "binance:BTCUSDT") {
  Trade t;
  t.instrument = instrument(of);
  t.order = t.first_id = t.last_id = n;
  t.id = Text<40>::cut(std::to_string(n));
  t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(n) * 1'000'000);
  t.price = Decimal::of(6'000'000 + static_cast<std::int64_t>(n % 1000), 2).value();
  t.quantity = Decimal::of(1 + static_cast<std::int64_t>(n % 7), 3).value();
  t.taker_side = n % 2 == 0 ? Side::buy : Side::sell;
  t.source = Text<40>::cut("session-1");
  t.seq = n / 10;
  t.ordinal = static_cast<std::uint32_t>(n % 10);
  return t;
}

std::vector<Row> trades(std::uint64_t first, std::uint64_t end) {
  std::vector<Row> rows;
  for (std::uint64_t n = first; n < end; ++n) rows.emplace_back(trade(n));
  return rows;
}

Candle candle(CandleStatus status, Completeness completeness, std::int64_t epoch, std::uint64_t revision,
              std::int64_t close) {
  Candle c;
  c.instrument = instrument("binance:BTCUSDT");
  c.interval = std::chrono::minutes{1};
  c.start = timestamp_ns(1'700'000'040'000'000'000);
  c.status = status;
  c.completeness = completeness;
  c.epoch = epoch;
  c.revision = revision;
  c.open = c.high = c.low = c.close = Decimal::of(close, 2);
  return c;
}

Batch batch(std::string_view topic, std::int64_t first, std::span<const Row> rows, std::int32_t partition = 0) {
  return {topic, partition, first, first + static_cast<std::int64_t>(rows.size()), rows};
}

std::vector<Trade> all_trades(const History& history, const Selection& what = {}) {
  std::vector<Trade> out;
  const auto done = history.trades(what, [&](const Trade& t) { return out.push_back(t), true; });
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}
std::vector<Candle> all_candles(const History& history, const Selection& what = {}) {
  std::vector<Candle> out;
  const auto done = history.candles(what, [&](const Candle& c) { return out.push_back(c), true; });
  EXPECT_TRUE(done) << done.error().detail;
  return out;
}
std::vector<Trade> expected_trades(std::uint64_t first, std::uint64_t end) {
  std::vector<Trade> out;
  for (std::uint64_t n = first; n < end; ++n) out.push_back(trade(n));
  return out;
}

}  // namespace

SinkConformance::SinkConformance() {
  std::string pattern = (std::filesystem::temp_directory_path() / "truetape-sink-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
  directory_ = pattern;
}
SinkConformance::~SinkConformance() { std::filesystem::remove_all(directory_); }

std::unique_ptr<Sink> SinkConformance::open_sink(const SinkSettings& settings) {
  auto sink = GetParam().sink(directory_, settings);
  const auto opened = sink->open();
  EXPECT_TRUE(opened) << opened.error().detail;
  return sink;
}

TEST_P(SinkConformance, NothingIsThereBeforeTheFirstOpen) {
  const auto store = history();
  std::size_t rows = 0;
  const auto done = store->trades({}, [&](const Trade&) { return ++rows, true; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::not_found);
  EXPECT_NE(done.error().detail.find("nothing was loaded"), std::string::npos) << done.error().detail;
  EXPECT_EQ(rows, 0U);
  EXPECT_EQ(store->loaded(kTrades, 0).error().fault, Fault::not_found);
  // The same object sees the store as soon as it is there.
  open_sink();
  EXPECT_EQ(all_trades(*store).size(), 0U);
  EXPECT_EQ(store->log_id().value(), "");
}

TEST_P(SinkConformance, ClaimAnswersWhereToGoOn) {
  const auto rows = trades(0, 10);
  {
    const auto sink = open_sink();
    EXPECT_EQ(sink->claim(kTrades, 0).value(), std::nullopt);
    EXPECT_EQ(sink->write(batch(kTrades, 100, rows)).value(), 110);
  }
  const auto sink = open_sink();
  EXPECT_EQ(sink->claim(kTrades, 0).value(), 110);
  EXPECT_EQ(sink->claim(kTrades, 1).value(), std::nullopt);
  EXPECT_EQ(sink->claim(kCandles, 0).value(), std::nullopt);
  EXPECT_EQ(history()->loaded(kTrades, 0).value(), 110);
  EXPECT_EQ(history()->loaded(kTrades, 1).value(), std::nullopt);
  EXPECT_EQ(history()->log_id().value(), SinkSettings{}.log_id);
}

// A store that was lost is loaded from what the log still has: what it no longer has is told from then on.
TEST_P(SinkConformance, WhatTheLogNoLongerHadIsTold) {
  using Told = std::vector<std::tuple<std::string, std::string, std::int32_t, std::int64_t, std::int64_t>>;
  const auto told = [this] {
    Told out;
    const auto missing = history()->missing();
    EXPECT_TRUE(missing);
    for (const Missing& m : *missing)
      out.emplace_back(m.log_id, m.topic, m.partition, m.first, m.next);
    return out;
  };
  const std::string log = SinkSettings{}.log_id;
  {
    const auto sink = open_sink();
    for (const std::int32_t partition : {0, 1, 2}) ASSERT_TRUE(sink->claim(kTrades, partition));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10), 0)));
    EXPECT_EQ(told(), Told{});
    ASSERT_TRUE(sink->write(batch(kTrades, 70, trades(70, 80), 1)));
    ASSERT_TRUE(sink->write(batch(kTrades, 80, trades(80, 90), 1)));
    const Told expected{{log, "trades", 1, 0, 70}};
    EXPECT_EQ(told(), expected);
  }
  // Loading again all that the log has: what the store had before is not missing.
  const auto sink = open_sink({.adopt = true});
  for (const std::int32_t partition : {0, 1}) ASSERT_EQ(sink->claim(kTrades, partition).value(), std::nullopt);
  ASSERT_TRUE(sink->write(batch(kTrades, 4, trades(4, 10), 0)));
  ASSERT_TRUE(sink->write(batch(kTrades, 95, trades(95, 99), 1)));
  const Told expected{{log, "trades", 1, 0, 70}, {log, "trades", 1, 90, 95}};
  EXPECT_EQ(told(), expected);
}

TEST_P(SinkConformance, AnyPartAgainChangesNothing) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  const auto rows = trades(0, 100);
  const std::span all{rows};
  ASSERT_TRUE(sink->write(batch(kTrades, 0, all)));
  for (const auto& [first, count] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 100}, {0, 1}, {99, 1}, {40, 20}, {100, 0}})
    EXPECT_EQ(sink->write(batch(kTrades, static_cast<std::int64_t>(first), all.subspan(first, count))).value(), 100)
        << first;
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 100));
  EXPECT_EQ(sink->counts().contradictions, 0U) << sink->counts().last_contradiction;
  EXPECT_EQ(sink->counts().written, 100U);
  EXPECT_EQ(sink->counts().unchanged, 122U);
}

TEST_P(SinkConformance, ABatchThatWouldLeaveAHoleIsRefused) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10))));
  const auto refused = sink->write(batch(kTrades, 11, trades(11, 12)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::out_of_range);
  EXPECT_EQ(sink->write(batch(kTrades, 10, trades(10, 12))).value(), 12);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 12));
}

TEST_P(SinkConformance, AnUnclaimedPartitionIsRefused) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  EXPECT_EQ(sink->write(batch(kTrades, 0, trades(0, 1), 1)).error().fault, Fault::refused);
  EXPECT_EQ(all_trades(*history()).size(), 0U);
}

TEST_P(SinkConformance, AnOlderOwnersLaterWritesChangeNothing) {
  const auto old_owner = open_sink();
  ASSERT_TRUE(old_owner->claim(kTrades, 0));
  ASSERT_TRUE(old_owner->claim(kTrades, 1));
  ASSERT_TRUE(old_owner->write(batch(kTrades, 0, trades(0, 5))));
  const auto new_owner = open_sink();
  EXPECT_EQ(new_owner->claim(kTrades, 0).value(), 5);
  const auto refused = old_owner->write(batch(kTrades, 5, trades(5, 9)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_EQ(refused.error().retry, Retry::rebuild);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 5));
  // Only that partition was taken; and all of several batches or none.
  const auto other = trades(100, 101), own = trades(5, 6);
  const Batch both[] = {batch(kTrades, 0, other, 1), batch(kTrades, 5, own)};
  EXPECT_FALSE(old_owner->write_all(both));
  EXPECT_EQ(all_trades(*history()).size(), 5U);
  EXPECT_TRUE(old_owner->write(batch(kTrades, 0, other, 1)));
  EXPECT_EQ(new_owner->write(batch(kTrades, 5, trades(5, 9))).value(), 9);
  EXPECT_EQ(all_trades(*history()).size(), 10U);
}

TEST_P(SinkConformance, AnotherLogsIdIsRefusedUntilAdopted) {
  {
    const auto sink = open_sink();
    ASSERT_TRUE(sink->claim(kTrades, 0));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 10))));
  }
  SinkSettings other{.log_id = "22222222-2222-4222-8222-222222222222"};
  {
    const auto sink = open_sink(other);
    const auto refused = sink->claim(kTrades, 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::mismatch);
    EXPECT_EQ(refused.error().retry, Retry::never);
    EXPECT_NE(refused.error().detail.find("--adopt"), std::string::npos);
  }
  other.adopt = true;
  const auto sink = open_sink(other);
  EXPECT_EQ(sink->claim(kTrades, 0).value(), std::nullopt);
  EXPECT_EQ(sink->write(batch(kTrades, 3, trades(5, 12))).value(), 10);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 12));
  EXPECT_EQ(history()->log_id().value(), other.log_id);
}

TEST_P(SinkConformance, OfTwoRowsWithOneKeyTheGreaterOrderStays) {
  using enum CandleStatus;
  // In rising row order (semantics section 6): settled beats open and partial whatever the epoch; then epoch; then
  // revision.
  std::vector<Candle> rising{
      candle(open, Completeness::none, 5, 1, 1),       candle(open, Completeness::none, 5, 2, 2),
      candle(closed, Completeness::partial, 5, 3, 3),  candle(open, Completeness::gap, 6, 1, 4),
      candle(closed, Completeness::complete, 4, 1, 5), candle(corrected, Completeness::gap, 4, 2, 6),
      candle(closed, Completeness::quiet, 6, 1, 7)};
  ASSERT_TRUE(std::is_sorted(rising.begin(), rising.end(),
                             [](const Candle& a, const Candle& b) { return row_order(a) < row_order(b); }));
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kCandles, 0));
  std::int64_t next = 0;
  std::mt19937 random{7};
  for (int round = 0; round < 40; ++round) {
    // Each round is a window of its own, so that it begins empty.
    const Timestamp start = timestamp_ns(1'700'000'040'000'000'000 + round * 60'000'000'000);
    std::vector<Candle> shuffled = rising;
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    std::vector<Candle> best;
    for (Candle& c : shuffled) {
      c.start = start;
      if (best.empty() || replaces(row_order(c), row_order(best.front()))) best = {c};
      const Row row{c};
      ASSERT_TRUE(sink->write(batch(kCandles, next++, {&row, 1})));
      ASSERT_EQ(all_candles(*history(), {.from = start}), best);
    }
  }
  EXPECT_EQ(sink->counts().contradictions, 0U);
}

TEST_P(SinkConformance, EqualOrderWithOtherContentIsAnAlarmAndNoUpdate) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kCandles, 0));
  ASSERT_TRUE(sink->claim(kTrades, 0));
  const Row first{candle(CandleStatus::closed, Completeness::complete, 5, 1, 100)},
      other{candle(CandleStatus::closed, Completeness::complete, 5, 1, 101)};
  ASSERT_TRUE(sink->write(batch(kCandles, 0, {&first, 1})));
  ASSERT_TRUE(sink->write(batch(kCandles, 1, {&other, 1})));
  EXPECT_EQ(sink->counts().contradictions, 1U);
  EXPECT_NE(sink->counts().last_contradiction.find("binance:BTCUSDT 1m 2023-11-14T22:14:00Z"), std::string::npos)
      << sink->counts().last_contradiction;
  EXPECT_EQ(all_candles(*history()), std::vector{std::get<Candle>(first)});

  Trade a = trade(1), b = trade(1), c = trade(1);
  b.receive_time = a.event_time;  // seen on another way: the same content
  b.source = Text<40>::cut("session-2");
  c.price = Decimal::of(1, 0).value();
  const Row rows[] = {a, b, c};
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  EXPECT_EQ(sink->counts().contradictions, 2U);
  EXPECT_EQ(all_trades(*history()), std::vector{a});
}

TEST_P(SinkConformance, TradesWithoutIdsAreKnownByWhereTheyStood) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  std::vector<Row> rows;
  std::vector<Trade> expected;
  for (std::uint64_t n = 0; n < 30; ++n) {
    Trade t = trade(n, "finnhub:AAPL");
    t.id = {};
    t.order = t.first_id = t.last_id = 0;
    t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(n / 3) * 1'000'000);
    rows.emplace_back(t);
    expected.push_back(t);
  }
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  EXPECT_EQ(all_trades(*history()), expected);
  EXPECT_EQ(sink->counts().contradictions, 0U);
}

TEST_P(SinkConformance, HistoryReadsWhatWasWritten) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    RandomRecords random{seed};
    const auto sink = open_sink();
    std::map<std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>, Trade> trades_written;
    std::map<std::tuple<Instrument, Tape, std::int64_t, Timestamp>, Candle> candles_written;
    std::map<std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>, Gap> gaps_written;
    std::map<std::pair<Instrument, Tape>, Progress> progress_written;
    std::map<Instrument, Reference> references_written;
    std::map<std::tuple<Instrument, std::int64_t>, Quarantined> quarantine_written;
    std::map<std::string_view, std::vector<Row>> rows;
    for (std::uint64_t n = 0; n < 60; ++n) {
      Trade t = random.trade();
      if (t.id.empty()) t.id = Text<40>::cut("x");
      if (trades_written.try_emplace({t.instrument, t.tape, t.era, t.order}, t).second) rows["trades"].emplace_back(t);
      const Candle c = random.candle();
      if (candles_written.try_emplace({c.instrument, c.tape, c.interval.count(), c.start}, c).second)
        rows["candles"].emplace_back(c);
      const Gap g = random.gap();
      if (gaps_written.try_emplace({g.instrument, g.tape, g.era, g.first_id}, g).second) rows["gaps"].emplace_back(g);
      const Progress p = random.progress();
      if (progress_written.try_emplace({p.instrument, p.tape}, p).second) rows["progress"].emplace_back(p);
      const Reference r = random.reference();
      references_written.insert_or_assign(r.instrument, r);
      rows["instruments"].emplace_back(r);
      Quarantined q;
      if (random.coin()) q.instrument = random.instrument();
      q.partition = 0;
      q.offset = static_cast<std::int64_t>(n);
      q.ordinal = static_cast<std::uint32_t>(random.number());
      if (random.coin()) q.receive_time = random.time();
      q.id = Text<40>::cut(random.text(20));
      q.reason = random.symbol(Reason::columns);
      q.detail = random.text(100);
      q.rule = Text<24>::cut(random.text(20));
      q.rule_version = static_cast<std::uint32_t>(random.number());
      q.raw = std::string{"\x00\xff{", 3} + random.text(200);
      q.headers = {
          {"kind", "frame"}, {random.text(9) + "=%", random.text(50) + std::string{"\n\r\x00%3D", 6}}, {"", ""}};
      quarantine_written.try_emplace({q.instrument, q.offset}, q);
      rows["quarantine"].emplace_back(q);
      rows["late"].emplace_back(random.late_window());
    }
    std::vector<Batch> batches;
    for (const auto& [topic, of] : rows) {
      ASSERT_TRUE(sink->claim(topic, 0));
      batches.push_back(batch(topic, 0, of));
    }
    const auto written = sink->write_all(batches);
    ASSERT_TRUE(written) << written.error().detail;
    ASSERT_EQ(sink->counts().contradictions, 0U) << sink->counts().last_contradiction;

    const auto store = history();
    const auto sorted = [](const auto& map, auto key) {
      std::vector<std::decay_t<decltype(map.begin()->second)>> out;
      for (const auto& [ignored, row] : map) out.push_back(row);
      std::sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
      return out;
    };
    ASSERT_EQ(all_trades(*store), sorted(trades_written,
                                         [](const Trade& t) {
                                           return std::tuple{t.instrument, t.tape, t.event_time, t.era, t.order};
                                         }))
        << seed;
    ASSERT_EQ(all_candles(*store), sorted(candles_written,
                                          [](const Candle& c) {
                                            return std::tuple{c.instrument, c.tape, c.interval, c.start};
                                          }))
        << seed;
    std::vector<Gap> gaps;
    ASSERT_TRUE(store->gaps({}, [&](const Gap& g) { return gaps.push_back(g), true; }));
    const auto gaps_expected = sorted(gaps_written, [](const Gap& g) {
      return std::tuple{g.instrument, g.tape, g.from, g.era};
    });
    ASSERT_EQ(gaps, gaps_expected) << seed;
    std::vector<Progress> progress;
    ASSERT_TRUE(store->progress({}, [&](const Progress& p) { return progress.push_back(p), true; }));
    ASSERT_EQ(progress, sorted(progress_written,
                               [](const Progress& p) {
                                 return std::tuple{p.instrument, p.tape};
                               }))
        << seed;
    std::vector<Reference> references;
    ASSERT_TRUE(store->instruments({}, [&](const Reference& r) { return references.push_back(r), true; }));
    ASSERT_EQ(references, sorted(references_written, [](const Reference& r) { return r.instrument; })) << seed;
    std::vector<Quarantined> quarantined;
    ASSERT_TRUE(store->quarantine({}, [&](const Quarantined& q) { return quarantined.push_back(q), true; }));
    ASSERT_EQ(quarantined, sorted(quarantine_written,
                                  [](const Quarantined& q) {
                                    return std::tuple{q.instrument, q.offset};
                                  }))
        << seed;

    // Half-open times, one instrument, a limit.
    const auto trades_sorted = all_trades(*store);
    const Trade& middle = trades_sorted[trades_sorted.size() / 2];
    std::vector<Trade> part;
    for (const Trade& t : trades_sorted)
      if (t.instrument == middle.instrument && t.tape == middle.tape && t.event_time >= middle.event_time)
        part.push_back(t);
    ASSERT_EQ(all_trades(*store, {.instrument = middle.instrument, .tape = middle.tape, .from = middle.event_time}),
              part)
        << seed;
    std::vector<Trade> before;
    for (const Trade& t : trades_sorted)
      if (t.instrument == middle.instrument && t.event_time < middle.event_time) before.push_back(t);
    ASSERT_EQ(all_trades(*store, {.instrument = middle.instrument, .to = middle.event_time}), before) << seed;
    ASSERT_EQ(all_trades(*store, {.limit = 7}), std::vector(trades_sorted.begin(), trades_sorted.begin() + 7)) << seed;
  }
}

TEST_P(SinkConformance, TradesComeInOrderOfTimeThoughIdsDoNot) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  std::mt19937_64 random{3};
  std::vector<Row> rows;
  std::vector<Trade> expected;
  for (std::uint64_t n = 0; n < 30'000; ++n) {
    Trade t = trade(n);
    // Mostly near its place, now and then far from it; many equal times.
    const std::int64_t place =
        static_cast<std::int64_t>(n + (random() % 50 == 0 ? random() % 20'000 : random() % 5)) / 4;
    t.event_time = timestamp_ns(1'700'000'000'000'000'000 + place * 1'000'000);
    if (n % 10 == 0) {
      t.id = {};
      t.order = t.first_id = t.last_id = 0;
    }
    rows.emplace_back(t);
    expected.push_back(t);
  }
  std::stable_sort(expected.begin(), expected.end(), [](const Trade& a, const Trade& b) {
    return std::tuple{a.event_time, a.id.empty(), a.order, a.seq, a.ordinal} <
           std::tuple{b.event_time, b.id.empty(), b.order, b.seq, b.ordinal};
  });
  std::shuffle(rows.begin(), rows.end(), random);
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  const auto store = history();
  EXPECT_TRUE(all_trades(*store) == expected);
  std::vector<Trade> part;
  const Timestamp from = expected[9'000].event_time, to = expected[21'000].event_time;
  for (const Trade& t : expected)
    if (t.event_time >= from && t.event_time < to) part.push_back(t);
  EXPECT_TRUE(all_trades(*store, {.from = from, .to = to}) == part);
  part.resize(5'000);
  EXPECT_TRUE(all_trades(*store, {.from = from, .to = to, .limit = 5'000}) == part);
}

TEST_P(SinkConformance, AnOlderReferenceAgainChangesNothing) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("instruments", 0));
  const auto reference = [](std::string status) {
    return Row{Reference{instrument("binance:BTCUSDT"), "BTC", "USDT", "BTC-USDT", {}, {}, std::move(status)}};
  };
  const std::vector<Row> rows{reference("PRE"), reference("TRADING"), reference("HALT")};
  const std::span all{rows};
  const auto status = [&] {
    std::string out;
    EXPECT_TRUE(history()->instruments({}, [&](const Reference& r) { return out = r.status, true; }));
    return out;
  };
  ASSERT_TRUE(sink->write(batch("instruments", 0, all.first(2))));
  EXPECT_EQ(status(), "TRADING");
  ASSERT_TRUE(sink->write(batch("instruments", 2, all.subspan(2))));
  EXPECT_EQ(status(), "HALT");
  for (const auto& [first, count] :
       std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {0, 2}, {1, 1}, {0, 3}, {1, 2}, {2, 1}}) {
    ASSERT_TRUE(sink->write(batch("instruments", static_cast<std::int64_t>(first), all.subspan(first, count))));
    EXPECT_EQ(status(), "HALT") << first << "+" << count;
  }
}

TEST_P(SinkConformance, RowsThatTheStoreDoesNotKeepAreRefused) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("news", 0));
  const Row row{News{"finnhub", "1", {}, "headline", "", "", "", {}}};
  const auto refused = sink->write(batch("news", 0, {&row, 1}));
  if (!refused) {
    EXPECT_EQ(refused.error().fault, Fault::refused);
    EXPECT_EQ(refused.error().retry, Retry::never);
    EXPECT_EQ(history()->loaded("news", 0).value(), std::nullopt);
  } else {
    EXPECT_EQ(*refused, 1);
  }
}

TEST_P(SinkConformance, AReaderSeesWholeBatchesWhileAnotherWrites) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 50))));
  std::atomic<bool> done{false};
  std::atomic<int> reads{0};
  std::thread reader{[&] {
    const auto store = history();
    while (!done || reads < 3) {
      const auto rows = all_trades(*store);
      EXPECT_EQ(rows.size() % 50, 0U);
      EXPECT_TRUE(rows == expected_trades(0, rows.size()));
      ++reads;
    }
  }};
  for (std::uint64_t n = 1; n < 100; ++n) {
    const auto written = sink->write(batch(kTrades, static_cast<std::int64_t>(n) * 50, trades(n * 50, n * 50 + 50)));
    ASSERT_TRUE(written) << written.error().detail;
  }
  done = true;
  reader.join();
  // A reader that is paused in the middle of its rows holds nobody up, and keeps its snapshot.
  const auto store = history();
  std::size_t seen = 0;
  ASSERT_TRUE(store->trades({}, [&](const Trade&) {
    if (++seen == 10) {
      const auto written = sink->write(batch(kTrades, 5'000, trades(5'000, 5'050)));
      EXPECT_TRUE(written) << written.error().detail;
    }
    return true;
  }));
  EXPECT_EQ(seen, 5'000U);
  EXPECT_EQ(all_trades(*store).size(), 5'050U);
}

TEST_P(SinkConformance, ALockedStoreIsTriedAgain) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  {
    const auto held = GetParam().lock(directory_);
    const auto refused = sink->write(batch(kTrades, 0, trades(0, 10)));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_EQ(refused.error().retry, Retry::after_backoff);
    EXPECT_EQ(sink->counts().rows, 0U);
  }
  EXPECT_EQ(sink->write(batch(kTrades, 0, trades(0, 10))).value(), 10);
  EXPECT_EQ(all_trades(*history()), expected_trades(0, 10));
}

TEST_P(SinkConformance, AFullStoreKeepsWhatItHasAndSaysSo) {
  {
    const auto sink = open_sink({.max_bytes = 400'000});
    ASSERT_TRUE(sink->claim(kTrades, 0));
    ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 1'000))));
    const auto full = sink->write(batch(kTrades, 1'000, trades(1'000, 50'000)));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().fault, Fault::no_space);
    EXPECT_EQ(full.error().retry, Retry::after_backoff);
    EXPECT_NE(full.error().detail.find("make room"), std::string::npos) << full.error().detail;
    EXPECT_EQ(sink->counts().rows, 1'000U);
    EXPECT_EQ(all_trades(*history()), expected_trades(0, 1'000));
    // A batch that fits still goes in.
    EXPECT_EQ(sink->write(batch(kTrades, 1'000, trades(1'000, 1'100))).value(), 1'100);
  }
  const auto sink = open_sink();
  EXPECT_EQ(sink->claim(kTrades, 0).value(), 1'100);
  ASSERT_TRUE(sink->write(batch(kTrades, 1'100, trades(1'100, 5'000))));
  EXPECT_TRUE(all_trades(*history()) == expected_trades(0, 5'000));
}

TEST_P(SinkConformance, ANewerSchemaIsRefused) {
  open_sink();
  GetParam().make_newer(directory_);
  const auto sink = GetParam().sink(directory_, {});
  const auto refused = sink->open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_NE(refused.error().detail.find("newer"), std::string::npos);
  const auto read = history()->trades({}, [](const Trade&) { return true; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault, Fault::mismatch);
}

TEST_P(SinkConformance, ACrashBetweenAnyTwoCallsLosesAndDoublesNothing) {
  // What one life does, call by call; life k dies after k calls, and the next goes on from what it claims.
  std::uint64_t done = 0;
  for (int calls = 1; calls < 12; ++calls) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto sink = GetParam().sink(directory_, {});
      int left = calls;
      const auto die = [] { ::kill(::getpid(), SIGKILL); };
      if (!sink->open()) ::_exit(1);
      if (--left == 0) die();
      const auto at = sink->claim(kTrades, 0);
      if (!at) ::_exit(2);
      if (--left == 0) die();
      for (auto next = static_cast<std::uint64_t>(at->value_or(0));; next += 20) {
        if (!sink->write(batch(kTrades, static_cast<std::int64_t>(next), trades(next, next + 20)))) ::_exit(3);
        if (--left == 0) die();
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    done += static_cast<std::uint64_t>(std::max(0, calls - 2)) * 20;
    ASSERT_EQ(all_trades(*history()), expected_trades(0, done)) << calls;
    if (done != 0) {
      ASSERT_EQ(history()->loaded(kTrades, 0).value(), static_cast<std::int64_t>(done));
    }
  }
}

TEST_P(SinkConformance, AKillAtAnyInstantLosesAndDoublesNothing) {
  std::mt19937 random{11};
  open_sink();
  std::uint64_t before = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto sink = GetParam().sink(directory_, {.busy_ms = 5'000});
      if (!sink->open()) ::_exit(1);
      const auto at = sink->claim(kTrades, 0);
      if (!at) ::_exit(2);
      for (auto next = static_cast<std::uint64_t>(at->value_or(0));; next += 37)
        if (!sink->write(batch(kTrades, static_cast<std::int64_t>(next), trades(next, next + 37)))) ::_exit(3);
    }
    // From its first instant on; later rounds live longer, so that something is written on a slow machine too.
    std::this_thread::sleep_for(std::chrono::microseconds{random() % (10'000 + static_cast<unsigned>(round) * 4'000)});
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    const auto rows = all_trades(*history());
    ASSERT_GE(rows.size(), before);
    ASSERT_EQ(rows.size() % 37, 0U);
    ASSERT_TRUE(rows == expected_trades(0, rows.size()));
    if (!rows.empty()) {
      ASSERT_EQ(history()->loaded(kTrades, 0).value(), static_cast<std::int64_t>(rows.size()));
    }
    before = rows.size();
  }
  EXPECT_GT(before, 0U);
}

}  // namespace truetape
