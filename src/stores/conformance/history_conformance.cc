// What a history reads.
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
#include "stores/conformance/sample_rows.h"

namespace truetape {

using namespace conformance;

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
      q.reason = random.symbol(Reason::foreign);
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

    const auto known = store->known_instruments();
    ASSERT_TRUE(known);
    ASSERT_TRUE(std::is_sorted(known->begin(), known->end())) << seed;
    for (const Trade& t : all_trades(*store))
      ASSERT_TRUE(std::binary_search(known->begin(), known->end(), t.instrument)) << t.instrument.text();

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
    // The newest rows are the end of what the same selection gives without a limit, in the same order.
    const auto newest_are_the_end = [&](const Selection& what, auto read) {
      const auto all = read(what);
      for (const std::uint64_t limit : {0U, 1U, 2U, 7U, 1000U}) {
        Selection asked = what;
        asked.limit = limit;
        asked.newest = true;
        const auto count = static_cast<std::ptrdiff_t>(std::min<std::size_t>(limit, all.size()));
        ASSERT_EQ(read(asked), std::vector(all.end() - count, all.end())) << seed << ", " << limit;
      }
    };
    const auto gaps_of = [&](const Selection& what) {
      std::vector<Gap> out;
      EXPECT_TRUE(store->gaps(what, [&](const Gap& g) { return out.push_back(g), true; }));
      return out;
    };
    const auto quarantine_of = [&](const Selection& what) {
      std::vector<Quarantined> out;
      EXPECT_TRUE(store->quarantine(what, [&](const Quarantined& q) { return out.push_back(q), true; }));
      return out;
    };
    const auto trades_of = [&](const Selection& what) { return all_trades(*store, what); };
    const auto candles_of = [&](const Selection& what) { return all_candles(*store, what); };
    newest_are_the_end({}, trades_of);
    newest_are_the_end({}, candles_of);
    newest_are_the_end({}, gaps_of);
    newest_are_the_end({}, quarantine_of);
    newest_are_the_end({.from = middle.event_time}, trades_of);
    newest_are_the_end({.to = middle.event_time}, trades_of);
    for (const Instrument& one : *known) {
      newest_are_the_end({.instrument = one}, trades_of);
      newest_are_the_end({.instrument = one, .tape = Tape::agg}, trades_of);
      newest_are_the_end({.instrument = one}, candles_of);
      newest_are_the_end({.instrument = one, .interval = Interval{60}}, candles_of);
      newest_are_the_end({.instrument = one, .tape = Tape::trade, .interval = Interval{60}}, candles_of);
      newest_are_the_end({.instrument = one}, gaps_of);
      newest_are_the_end({.instrument = one}, quarantine_of);
    }
  }
}

// An item that was judged again stands there once, and not at all once it came out of quarantine, whatever is written
// again. Another log's item of the same place is another.
TEST_P(SinkConformance, WhatCameOutOfQuarantineIsThereNoMore) {
  constexpr std::string_view kTopic = "quarantine";
  const auto item = [](std::int64_t offset, std::uint32_t version, std::uint32_t attempts, Reason reason,
                       Resolution resolution = Resolution::none) {
    Quarantined q;
    q.offset = offset;
    q.reason = reason;
    q.rule = Text<24>::cut(name(reason));
    q.rule_version = version;
    q.attempts = attempts;
    q.resolution = resolution;
    if (resolution == Resolution::none) q.raw = "bytes";
    return q;
  };
  const std::vector<Row> rows{item(1, 1, 1, Reason::price),
                              item(2, 1, 1, Reason::price),
                              item(3, 2, 1, Reason::rule),
                              item(1, 1, 2, Reason::price, Resolution::replayed),
                              item(2, 1, 2, Reason::quantity),
                              item(3, 2, 2, Reason::rule, Resolution::dropped),
                              item(1, 1, 2, Reason::price, Resolution::dropped),  // races: it is out either way
                              item(3, 2, 2, Reason::contradiction)};
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTopic, 0));
  const auto there = [&](const Selection& what = {}) {
    std::vector<Quarantined> out;
    EXPECT_TRUE(history()->quarantine(what, [&](const Quarantined& q) { return out.push_back(q), true; }));
    return out;
  };
  ASSERT_TRUE(sink->write(batch(kTopic, 0, std::span{rows}.first(3))));
  EXPECT_EQ(there().size(), 3U);
  EXPECT_EQ(there({.reason = Reason::rule}).size(), 1U);
  EXPECT_EQ(there({.rule = "price", .this_log = true}).size(), 2U);
  EXPECT_EQ(there({.reason = Reason::rule, .rule = "price"}).size(), 0U);
  const std::vector<Quarantined> left{item(2, 1, 2, Reason::quantity)};
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(sink->write(batch(kTopic, 0, rows)));
    EXPECT_EQ(there(), left);
    ASSERT_TRUE(sink->write(batch(kTopic, 0, std::span{rows}.first(3))));
    EXPECT_EQ(there(), left);
  }
  EXPECT_EQ(there({.reason = Reason::quantity}), left);
  EXPECT_EQ(sink->counts().contradictions, 0U) << sink->counts().last_contradiction;
}

// Ids and times that are only nearly in one order, over several of whatever blocks a store reads trades in.
TEST_P(SinkConformance, TheNewestTradesAreThoseOfTheGreatestTimes) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  std::mt19937_64 random{7};
  std::vector<Row> rows;
  for (std::uint64_t n = 0; n < 20'000; ++n) {
    Trade t = trade(n);
    t.event_time += std::chrono::milliseconds{static_cast<std::int64_t>(random() % 6'000)};
    if (n % 5 == 0) t.id = {};  // known by its place instead
    rows.emplace_back(t);
  }
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  const auto store = history();
  const auto all = all_trades(*store);
  ASSERT_EQ(all.size(), rows.size());
  for (const std::uint64_t limit : {1U, 500U, 4'097U, 19'999U}) {
    const auto newest = all_trades(*store, {.limit = limit, .newest = true});
    EXPECT_TRUE(newest == std::vector(all.end() - static_cast<std::ptrdiff_t>(limit), all.end())) << limit;
  }
  const Timestamp middle = all[10'000].event_time;
  const auto before = all_trades(*store, {.to = middle});
  EXPECT_TRUE(all_trades(*store, {.to = middle, .limit = 100, .newest = true}) ==
              std::vector(before.end() - 100, before.end()));
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

TEST_P(SinkConformance, AGapIsFoundByAnyPartOfIt) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("gaps", 0));
  const auto at = [](std::int64_t s) { return timestamp_ns((1'700'000'000 + s) * 1'000'000'000); };
  const auto gap = [&](std::uint64_t first, std::int64_t from, std::optional<std::int64_t> to) {
    Gap g;
    g.instrument = instrument("binance:BTCUSDT");
    g.first_id = first;
    if (to) g.last_id = first;
    g.missing = to ? 1 : 0;
    g.from = at(from);
    if (to) g.to = at(*to);
    g.state = GapState::open;
    g.reason = to ? GapReason::missing_ids : GapReason::tail;
    return Row{g};
  };
  const std::vector<Row> rows{gap(1, 10, 20), gap(2, 30, 40), gap(3, 50, std::nullopt)};
  ASSERT_TRUE(sink->write(batch("gaps", 0, rows)));
  struct Asked {
    std::optional<std::int64_t> from, to;
    std::vector<std::uint64_t> found;
  };
  const auto store = history();
  for (const Asked& asked : std::initializer_list<Asked>{{{}, {}, {1, 2, 3}},
                                                         {12, 15, {1}},  // inside of it
                                                         {20, 21, {1}},  // its end belongs to it
                                                         {21, 30, {}},   // what is asked for is half open
                                                         {21, 31, {2}},
                                                         {5, 60, {1, 2, 3}},
                                                         {{}, 10, {}},
                                                         {{}, 11, {1}},
                                                         {40, {}, {2, 3}},
                                                         {41, {}, {3}},
                                                         {90, 91, {3}}}) {  // nobody knows where it ends
    Selection what;
    if (asked.from) what.from = at(*asked.from);
    if (asked.to) what.to = at(*asked.to);
    std::vector<std::uint64_t> found;
    ASSERT_TRUE(store->gaps(what, [&](const Gap& g) { return found.push_back(g.first_id), true; }));
    EXPECT_EQ(found, asked.found) << asked.from.value_or(-1) << " to " << asked.to.value_or(-1);
  }
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

TEST_P(SinkConformance, HeadlinesAreKeptOnceAndFoundByTimeInstrumentAndSource) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("news", 0));
  const auto instrument = [](std::string_view symbol) { return *Instrument::of("finnhub", symbol); };
  const auto headline = [&](std::string id, std::int64_t seconds, std::string source,
                            std::vector<std::string_view> related) {
    News n{"finnhub", std::move(id), timestamp_ns(seconds * 1'000'000'000), "headline", std::move(source), "url", "",
           {}};
    for (const std::string_view symbol : related) n.related.push_back(instrument(symbol));
    return n;
  };
  const News a = headline("9", 100, "Yahoo", {"AAPL"}), more = headline("9", 100, "Yahoo", {"AAPL", "BINANCE:BTCUSDT"}),
             b = headline("10", 100, "CNBC", {"AAPL"}), c = headline("8", 90, "Yahoo", {});
  const std::vector<Row> rows{a, b, more, c, a};
  ASSERT_TRUE(sink->write(batch("news", 0, rows)));
  ASSERT_TRUE(sink->write(batch("news", 0, rows)));  // again
  const auto found = [&](Selection what) {
    std::vector<News> out;
    EXPECT_TRUE(history()->news(what, [&](const News& n) {
      out.push_back(n);
      return true;
    }));
    return out;
  };
  EXPECT_EQ(found({}), (std::vector<News>{c, b, more}));
  EXPECT_EQ(found({.instrument = instrument("AAPL")}), (std::vector<News>{b, more}));
  EXPECT_EQ(found({.instrument = instrument("BINANCE:BTCUSDT")}), std::vector<News>{more});
  EXPECT_EQ(found({.source = "Yahoo"}), (std::vector<News>{c, more}));
  EXPECT_EQ(found({.source = "", .from = timestamp_ns(95'000'000'000)}), (std::vector<News>{b, more}));
  EXPECT_EQ(found({.to = timestamp_ns(100'000'000'000)}), std::vector<News>{c});
  EXPECT_EQ(found({.limit = 2, .newest = true}), (std::vector<News>{b, more}));
  EXPECT_EQ(found({.limit = 1}), std::vector<News>{c});
}

// The heart forgets old ids: what names such a headline then need not name what it named before.
TEST_P(SinkConformance, AHeadlineKeepsAllThatAnyRowOfItNamed) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("news", 0));
  const auto headline = [&](std::string text, std::int64_t seconds, std::vector<std::string_view> related) {
    News n{"finnhub", "9", timestamp_ns(seconds * 1'000'000'000), std::move(text), "Yahoo", "url", "", {}};
    for (const std::string_view symbol : related) n.related.push_back(*Instrument::of("finnhub", symbol));
    return n;
  };
  const std::vector<Row> rows{headline("a", 100, {"AAPL", "MSFT"}), headline("b", 130, {"BINANCE:BTCUSDT"}),
                              headline("c", 100, {"MSFT"}), headline("d", 100, {})};
  const News expected = headline("b", 100, {"AAPL", "MSFT", "BINANCE:BTCUSDT"});
  const auto found = [&](std::string_view symbol) {
    std::vector<News> out;
    const Selection what{.instrument = *Instrument::of("finnhub", symbol)};
    EXPECT_TRUE(history()->news(what, [&](const News& n) { return out.push_back(n), true; }));
    return out;
  };
  for (int again = 0; again < 2; ++again) {
    for (std::int64_t i = 0; i < 4; ++i) {
      const std::vector<Row> one{rows[static_cast<std::size_t>(i)]};
      ASSERT_TRUE(sink->write(batch("news", i, one)));
    }
    for (const std::string_view symbol : {"AAPL", "MSFT", "BINANCE:BTCUSDT"})
      EXPECT_EQ(found(symbol), std::vector<News>{expected}) << symbol;
  }
}

TEST_P(SinkConformance, CountsOfHeadlinesAreKeptByRevisionAndFoundByTimeInstrumentAndSource) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("news_counts", 0));
  const auto at = [](std::int64_t seconds) { return timestamp_ns(seconds * 1'000'000'000); };
  const auto count = [&](std::string_view symbol, std::string source, std::int64_t length, std::int64_t start,
                         std::uint64_t headlines, std::uint64_t revision, std::int64_t epoch = 5) {
    NewsCount n;
    n.venue = "finnhub";
    if (!symbol.empty()) n.instrument = *Instrument::of("finnhub", symbol);
    n.source = std::move(source);
    n.interval = Interval{length};
    n.start = at(start);
    n.headlines = headlines;
    n.first_time = at(start + 1);
    n.last_time = at(start + 2);
    n.epoch = epoch;
    n.revision = revision;
    return n;
  };
  const NewsCount a1 = count("AAPL", "Yahoo", 60, 3600, 1, 1), a2 = count("AAPL", "Yahoo", 60, 3600, 2, 2),
                  b = count("AAPL", "CNBC", 60, 3660, 1, 1), c = count("MSFT", "Yahoo", 60, 3600, 7, 7),
                  hour = count("AAPL", "Yahoo", 3600, 3600, 3, 3), general = count("", "Yahoo", 60, 3600, 1, 1),
                  back = count("", "Yahoo", 3600, 3600, 0, 2), old = count("MSFT", "Yahoo", 60, 3600, 6, 9, 4),
                  least = count("MSFT", "CNBC", 60, 3600, 1, 1, 4), anew = count("MSFT", "CNBC", 60, 3600, 2, 1, 6);
  const std::vector<Row> rows{a1, a2, b, c, hour, general, back, a1, old, least, anew};
  ASSERT_TRUE(sink->write(batch("news_counts", 0, rows)));
  ASSERT_TRUE(sink->write(batch("news_counts", 0, rows)));  // again
  EXPECT_EQ(sink->counts().contradictions, 0U);
  const auto found = [&](Selection what) {
    std::vector<NewsCount> out;
    EXPECT_TRUE(history()->news_counts(what, [&](const NewsCount& n) { return out.push_back(n), true; }));
    return out;
  };
  using Rows = std::vector<NewsCount>;
  EXPECT_EQ(found({}), (Rows{general, a2, anew, c, b, hour}));
  EXPECT_EQ(found({.interval = Interval{3600}}), Rows{hour});
  EXPECT_EQ(found({.instrument = a1.instrument}), (Rows{a2, b, hour}));
  EXPECT_EQ(found({.instrument = a1.instrument, .interval = Interval{60}, .source = "CNBC"}), Rows{b});
  EXPECT_EQ(found({.source = "CNBC"}), (Rows{anew, b}));
  EXPECT_EQ(found({.from = at(3660)}), Rows{b});
  EXPECT_EQ(found({.interval = Interval{60}, .to = at(3660)}), (Rows{general, a2, anew, c}));
  EXPECT_EQ(found({.limit = 2}), (Rows{general, a2}));
  EXPECT_EQ(found({.limit = 2, .newest = true}), (Rows{b, hour}));
  // Of one order, with other content.
  const std::vector<Row> other{count("AAPL", "Yahoo", 60, 3600, 5, 2)};
  ASSERT_TRUE(sink->write(batch("news_counts", static_cast<std::int64_t>(rows.size()), other)));
  EXPECT_EQ(sink->counts().contradictions, 1U);
  EXPECT_EQ(found({.interval = Interval{60}, .limit = 2}), (Rows{general, a2}));
}

// Another epoch may count from a log that holds less.
TEST_P(SinkConformance, ACountOfHeadlinesFallsOnlyWithinItsEpoch) {
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim("news_counts", 0));
  std::int64_t offset = 0;
  const auto after = [&](std::int64_t epoch, std::uint64_t revision, std::uint64_t headlines) {
    NewsCount n;
    n.venue = "finnhub";
    n.source = "Yahoo";
    n.interval = Interval{3600};
    n.start = n.first_time = n.last_time = timestamp_ns(3'600'000'000'000);
    n.headlines = headlines;
    n.epoch = epoch;
    n.revision = revision;
    const std::vector<Row> rows{n};
    EXPECT_TRUE(sink->write(batch("news_counts", offset++, rows)));
    std::vector<NewsCount> out;
    EXPECT_TRUE(history()->news_counts({}, [&](const NewsCount& row) { return out.push_back(row), true; }));
    return out.size() == 1 ? std::tuple{out[0].epoch, out[0].revision, out[0].headlines} : std::tuple{-1L, 0UL, 0UL};
  };
  using Stored = std::tuple<std::int64_t, std::uint64_t, std::uint64_t>;
  EXPECT_EQ(after(1, 40, 40), (Stored{1, 40, 40}));
  for (std::uint64_t n = 1; n <= 5; ++n) EXPECT_EQ(after(2, n, n), (Stored{1, 40, 40}));
  EXPECT_EQ(after(2, 41, 41), (Stored{2, 41, 41}));
  EXPECT_EQ(after(2, 42, 40), (Stored{2, 42, 40}));
  EXPECT_EQ(after(2, 41, 50), (Stored{2, 42, 40})) << "an older revision";
  EXPECT_EQ(after(1, 99, 40), (Stored{2, 42, 40})) << "as many, of an older epoch";
  EXPECT_EQ(after(3, 7, 40), (Stored{3, 7, 40})) << "as many, of a newer epoch";
  EXPECT_EQ(after(2, 43, 44), (Stored{2, 43, 44}));
  EXPECT_EQ(sink->counts().contradictions, 0U);
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

TEST_P(SinkConformance, ASnapshotIsTheStoreOfOneInstant) {
  EXPECT_EQ(history()->snapshot().error().fault, Fault::not_found);
  const auto sink = open_sink();
  ASSERT_TRUE(sink->claim(kTrades, 0));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, trades(0, 50))));
  const auto store = history();
  auto then = store->snapshot();
  ASSERT_TRUE(then) << then.error().detail;
  ASSERT_TRUE(sink->write(batch(kTrades, 50, trades(50, 70))));
  auto now = store->snapshot();
  ASSERT_TRUE(now) << now.error().detail;
  auto again = (*then)->snapshot();  // of the same instant
  ASSERT_TRUE(again) << again.error().detail;
  then->reset();
  for (const auto& [snapshot, rows] : {std::pair{again->get(), 50}, {now->get(), 70}}) {
    EXPECT_EQ(snapshot->loaded(kTrades, 0).value(), rows);
    EXPECT_EQ(all_trades(*snapshot), expected_trades(0, static_cast<std::uint64_t>(rows)));
    EXPECT_EQ(snapshot->loaded(kTrades, 0).value(), rows);
  }
  again->reset();
  EXPECT_EQ(all_trades(**now), expected_trades(0, 70));
}

TEST_P(SinkConformance, AScanGivesTheSameTradesInAnyOrder) {
  RandomRecords random{7};
  const auto sink = open_sink();
  std::map<std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t, Text<40>, std::uint64_t, std::uint32_t>, Trade>
      kept;
  const auto key = [](const Trade& t) {
    return t.id.empty() ? std::tuple{t.instrument, t.tape, 0U, std::uint64_t{0}, t.source, t.seq, t.ordinal}
                        : std::tuple{t.instrument, t.tape, t.era, t.order, Text<40>{}, std::uint64_t{0}, 0U};
  };
  for (int n = 0; n < 300; ++n) {
    const Trade t = random.trade();
    kept.try_emplace(key(t), t);
  }
  std::vector<Row> rows;
  for (const auto& [ignored, t] : kept) rows.emplace_back(t);
  ASSERT_TRUE(sink->claim(kTrades, 0));
  ASSERT_TRUE(sink->write(batch(kTrades, 0, rows)));
  const auto store = history();
  const auto middle = std::next(kept.begin(), 150)->second;
  const Selection selections[] = {{},
                                  {.instrument = middle.instrument},
                                  {.instrument = middle.instrument, .tape = middle.tape},
                                  {.tape = Tape::agg},
                                  {.from = middle.event_time},
                                  {.instrument = middle.instrument, .to = middle.event_time},
                                  {.instrument = Instrument::parse("binance:UNKNOWN")}};
  for (const Selection& what : selections) {
    std::map<decltype(key(middle)), Trade> expected, scanned;
    for (const Trade& t : all_trades(*store, what)) expected.emplace(key(t), t);
    ASSERT_TRUE(store->scan_trades(what, [&](const Trade& t) {
      EXPECT_TRUE(scanned.emplace(key(t), t).second);
      return true;
    }));
    EXPECT_EQ(scanned, expected);
  }
  std::size_t given = 0;
  ASSERT_TRUE(store->scan_trades({}, [&](const Trade&) { return ++given < 3; }));
  EXPECT_EQ(given, 3U);
}

}  // namespace truetape
