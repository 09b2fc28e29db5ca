#include "market/news_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "market/bytes.h"
#include "market/news.h"

namespace truetape::market {
namespace {

constexpr std::int64_t kEpoch = 1'700'000'000;

Timestamp at(std::int64_t seconds) { return timestamp_ns(seconds * 1'000'000'000); }

News headline(std::int64_t id, std::int64_t seconds, std::string source, std::vector<std::string> related = {}) {
  News n{"finnhub", std::to_string(id), at(seconds), "h", std::move(source), "", "", {}};
  for (const std::string& symbol : related) n.related.push_back(*Instrument::of("finnhub", symbol));
  return n;
}

using Key = std::tuple<std::string, std::string, Interval, Timestamp>;  // instrument, source, interval, start

// A desk whose state is kept beside, as the log keeps it.
struct Kept {
  explicit Kept(std::size_t most = NewsCounter::kRows) : most_rows{most} {}
  std::size_t most_rows;
  NewsDesk desk{most_rows};
  Results out;
  std::map<std::string, std::string> state;
  std::map<Key, NewsCount> rows;  // the last of each key
  std::size_t told = 0;

  void fold(const News& news) { desk.fold(news, out); }
  void commit() {
    desk.finish_batch(out, kEpoch);
    std::set<std::string> once;
    for (const auto& [key, value] : out.state) {
      EXPECT_TRUE(once.insert(key).second) << key;
      if (value)
        state[key] = *value;
      else
        state.erase(key);
    }
    for (const NewsCount& row : out.news_counts) {
      ++told;
      EXPECT_EQ(row.epoch, kEpoch);
      const auto [found, fresh] = rows.try_emplace({row.instrument.str(), row.source, row.interval, row.start}, row);
      if (!fresh) {
        EXPECT_GT(row.revision, found->second.revision);
        found->second = row;
      }
    }
    out.clear();
  }
  void restart(bool uncounted = false) {
    commit();
    desk = NewsDesk{most_rows};
    for (const auto& [key, value] : state) {
      EXPECT_TRUE(NewsDesk::is_key(key.substr(1)));
      desk.restore(key.substr(1), value);
    }
    desk.restored(uncounted);
  }
  std::map<Key, std::uint64_t> counts() const {
    std::map<Key, std::uint64_t> counted;
    for (const auto& [key, row] : rows)
      if (row.headlines > 0) counted[key] = row.headlines;
    return counted;
  }
};

// The judge: of each id the first time and source that were told, and all that it ever named.
std::map<Key, std::uint64_t> counted_slowly(const std::vector<News>& all) {
  std::map<std::string, News> ids;
  for (const News& n : all) {
    News& known = ids.try_emplace(n.id, n).first->second;
    for (const Instrument& i : n.related)
      if (std::ranges::find(known.related, i) == known.related.end()) known.related.push_back(i);
  }
  std::map<Key, std::uint64_t> out;
  for (const auto& [id, n] : ids)
    for (const std::int64_t length : {60, 3600}) {
      const std::int64_t seconds = to_ns(n.event_time) / 1'000'000'000;
      const Timestamp start = at(seconds - seconds % length);
      for (const Instrument& i : n.related) ++out[{i.str(), n.source, Interval{length}, start}];
      if (n.related.empty()) ++out[{"", n.source, Interval{length}, start}];
    }
  return out;
}

TEST(NewsCounts, AreThoseOfASlowCountInAnyOrderBatchAndRestart) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random{seed};
    const auto below = [&](std::size_t n) { return static_cast<std::int64_t>(random() % n); };
    const char* const symbols[] = {"AAPL", "MSFT", "BINANCE:BTCUSDT"};
    const char* const sources[] = {"Yahoo", "", "Reuters: World"};
    std::vector<News> all;
    for (int n = 0; n < 300; ++n) {
      std::vector<std::string> related;
      for (const char* symbol : symbols)
        if (below(3) == 0) related.emplace_back(symbol);
      // The time of an id may differ from one telling to the next; its source too, seldom.
      const std::int64_t id = below(120);
      all.push_back(headline(id, 1'700'000'000 + id * 53 + (below(8) == 0 ? below(4'000) : 0),
                             sources[below(20) == 0 ? below(3) : id % 3], related));
    }
    Kept once, often;
    for (const News& n : all) once.fold(n);
    once.commit();
    for (const News& n : all) {
      often.fold(n);
      if (below(4) == 0) often.commit();
      if (below(8) == 0) often.restart();
    }
    often.commit();
    const auto expected = counted_slowly(all);
    EXPECT_EQ(once.counts(), expected) << "seed " << seed;
    EXPECT_EQ(often.rows, once.rows) << "seed " << seed;
    EXPECT_EQ(often.state, once.state) << "seed " << seed;
    // Where an id is told with one time and source, the order makes no difference.
    std::map<std::string, News> first;
    for (const News& n : all) first.try_emplace(n.id, n);
    for (News& n : all) {
      n.event_time = first.at(n.id).event_time;
      n.source = first.at(n.id).source;
    }
    std::ranges::shuffle(all, random);
    Kept shuffled;
    for (const News& n : all) shuffled.fold(n);
    shuffled.commit();
    EXPECT_EQ(shuffled.counts(), expected) << "seed " << seed;
  }
}

TEST(NewsCounts, ALateHeadlineCorrectsItsWindow) {
  Kept kept;
  kept.fold(headline(1, 3600, "Yahoo", {"AAPL"}));
  kept.fold(headline(2, 9000, "Yahoo", {"AAPL"}));
  kept.commit();
  kept.fold(headline(3, 3659, "Yahoo", {"AAPL", "MSFT"}));
  kept.fold(headline(3, 3659, "Yahoo", {"AAPL"}));
  kept.commit();
  const auto row = [&](std::string_view symbol, std::int64_t length, std::int64_t start) {
    return kept.rows.at({"finnhub:" + std::string{symbol}, "Yahoo", Interval{length}, at(start)});
  };
  NewsCount expected;
  expected.venue = "finnhub";
  expected.instrument = *Instrument::parse("finnhub:AAPL");
  expected.source = "Yahoo";
  expected.interval = Interval{60};
  expected.start = expected.first_time = at(3600);
  expected.last_time = at(3659);
  expected.headlines = expected.revision = 2;
  expected.epoch = kEpoch;
  EXPECT_EQ(row("AAPL", 60, 3600), expected);
  expected.interval = Interval{3600};
  EXPECT_EQ(row("AAPL", 3600, 3600), expected);
  EXPECT_EQ(row("MSFT", 60, 3600).headlines, 1U);
  EXPECT_EQ(row("MSFT", 60, 3600).first_time, at(3659));
  EXPECT_EQ(row("AAPL", 60, 9000).headlines, 1U);
}

TEST(NewsCounts, AHeadlineThatNamedNothingMovesToWhatItNamesLater) {
  Kept kept;
  kept.fold(headline(1, 3600, "Yahoo"));
  kept.fold(headline(2, 3601, "Yahoo"));
  kept.commit();
  const Key general{"", "Yahoo", Interval{60}, at(3600)}, apple{"finnhub:AAPL", "Yahoo", Interval{60}, at(3600)};
  EXPECT_EQ(kept.rows.at(general).headlines, 2U);
  kept.restart();
  kept.fold(headline(1, 3600, "Yahoo", {"AAPL"}));
  kept.commit();
  EXPECT_EQ(kept.rows.at(general).headlines, 1U);
  EXPECT_EQ(kept.rows.at(general).revision, 3U);
  EXPECT_EQ(kept.rows.at(apple).headlines, 1U);
}

TEST(NewsCounts, WhatIsForgottenAndToldAgainIsNotCountedTwice) {
  Kept kept;
  std::vector<News> all;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(NewsDesk::kIds) + 100; ++i)
    all.push_back(headline(i, 3600 + i, "Yahoo", {"AAPL"}));
  for (const News& n : all) kept.fold(n);
  kept.commit();
  const auto before = kept.counts();
  EXPECT_EQ(before, counted_slowly(all));
  const std::size_t told = kept.told;
  kept.restart();
  for (std::int64_t i = 0; i < 200; ++i) kept.fold(headline(i, 3600 + i, "Yahoo", {"AAPL"}));
  kept.commit();
  EXPECT_EQ(kept.counts(), before);
  EXPECT_EQ(kept.told, told);
  // Nor under another symbol, where it is forgotten; what is remembered counts there.
  kept.fold(headline(5, 3605, "Yahoo", {"MSFT"}));
  kept.fold(headline(150, 3750, "Yahoo", {"MSFT"}));
  kept.commit();
  EXPECT_EQ(kept.told, told + 2);
  EXPECT_EQ(kept.rows.at({"finnhub:MSFT", "Yahoo", Interval{3600}, at(3600)}).headlines, 1U);
  // Windows that lie wholly before what is remembered have left the state.
  std::size_t windows = 0;
  for (const auto& [key, value] : kept.state) windows += key.starts_with("\nw/") ? 1U : 0U;
  EXPECT_LT(windows, kept.rows.size());
}

TEST(NewsCounts, TheFirstThatIsForgottenWasCounted) {
  Kept kept;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(NewsDesk::kIds); ++i)
    kept.fold(headline(i, 100'000 + i, "Yahoo", {"AAPL"}));
  for (int again = 0; again < 2; ++again) kept.fold(headline(999'999, 50, "Yahoo", {"AAPL"}));  // older than all
  kept.commit();
  EXPECT_EQ(kept.rows.at({"finnhub:AAPL", "Yahoo", Interval{60}, at(0)}).headlines, 1U);
}

TEST(NewsCounts, RowsThatMayStillChangeAreBounded) {
  Kept often, once;
  // 64 symbols a headline, two windows each: 128 rows.
  std::vector<std::string> symbols;
  for (int i = 0; i < 64; ++i) symbols.push_back("S" + std::to_string(i));
  for (std::int64_t i = 0; i < 1'000; ++i) {
    const News n = headline(i, 3'600 * i, "Yahoo", symbols);
    once.fold(n);
    often.fold(n);
    if (i % 100 == 50) often.restart();
  }
  once.commit();
  often.commit();
  std::size_t windows = 0;
  for (const auto& [key, value] : once.state) windows += key.starts_with("\nw/") ? 1U : 0U;
  EXPECT_LE(windows, NewsCounter::kRows);
  EXPECT_GT(windows, NewsCounter::kRows - 200);
  EXPECT_EQ(once.rows.size(), 128'000U);
  EXPECT_EQ(once.state, often.state);
  EXPECT_EQ(once.rows, often.rows);
}

TEST(NewsCounts, ALongSourceIsCutBetweenCharacters) {
  EXPECT_EQ(NewsCounter::counted_source("Yahoo"), "Yahoo");
  EXPECT_EQ(NewsCounter::counted_source(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(NewsCounter::counted_source(std::string(201, 'x')), std::string(200, 'x'));
  EXPECT_EQ(NewsCounter::counted_source(std::string(199, 'x') + "é"), std::string(199, 'x'));
  Kept kept;
  kept.fold(headline(1, 60, std::string(3'000, 'x')));
  kept.restart();
  EXPECT_EQ(kept.rows.size(), 2U);
  for (const auto& [key, value] : kept.state) EXPECT_LE(key.size(), 511U);  // what a log takes
}

// A program of state version 3 remembered ids and did not count: what came by then is in no row.
TEST(NewsCounts, BeginBehindWhatAnOlderProgramKnew) {
  Kept kept;
  kept.state
      ["\nn/\x07"
       "finnhub\x01"
       "1"] = [] {
    std::string value;
    Writer w{value};
    w.time(at(7'300));
    w.number(0);
    return value;
  }();
  kept.restart(true);
  kept.fold(headline(1, 7'300, "Yahoo", {"AAPL"}));  // the id is known
  kept.fold(headline(2, 10'799, "Yahoo", {"AAPL"}));
  kept.fold(headline(3, 10'800, "Yahoo", {"AAPL"}));
  kept.fold(headline(4, 10'801, "Yahoo", {"AAPL"}));
  kept.restart();
  EXPECT_EQ(kept.counts(), (std::map<Key, std::uint64_t>{{{"finnhub:AAPL", "Yahoo", Interval{60}, at(10'800)}, 2},
                                                         {{"finnhub:AAPL", "Yahoo", Interval{3600}, at(10'800)}, 2}}));
}

// A row of three symbols at the limit: each of its windows has all three, or none may change.
TEST(NewsCounts, TheLimitOfRowsStandsBehindAWholeHeadline) {
  Kept kept{4};
  kept.fold(headline(1, 7'200, "Yahoo", {"AAPL", "MSFT"}));  // as many rows as may be
  kept.fold(headline(2, 60, "Yahoo", {"A", "B", "C"}));      // late
  kept.restart();
  std::map<Key, std::uint64_t> expected;
  for (const std::string symbol : {"A", "B", "C"})
    for (const std::int64_t length : {60, 3600})
      expected[{"finnhub:" + symbol, "Yahoo", Interval{length}, at(length == 60 ? 60 : 0)}] = 1;
  for (const std::string symbol : {"AAPL", "MSFT"})
    for (const std::int64_t length : {60, 3600})
      expected[{"finnhub:" + symbol, "Yahoo", Interval{length}, at(7'200)}] = 1;
  EXPECT_EQ(kept.counts(), expected);
  EXPECT_EQ(std::ranges::count_if(kept.state, [](const auto& kv) { return kv.first.starts_with("\nw/"); }), 4);
  // Sealed until the end of the late one's hour, which is 3600 s.
  kept.fold(headline(3, 3'599, "Yahoo", {"A"}));
  kept.commit();
  EXPECT_EQ(kept.counts(), expected);
  kept.fold(headline(4, 3'600, "Yahoo", {"A"}));
  kept.commit();
  EXPECT_EQ(kept.rows.at({"finnhub:A", "Yahoo", Interval{3600}, at(3'600)}).headlines, 1U);
}

// The seconds of what is forgotten: one of them may be told again, those behind count.
TEST(NewsCounts, TheSecondOfAForgottenHeadlineIsSealedAndTheNextIsNot) {
  Kept kept;
  for (std::int64_t i = 0; i <= static_cast<std::int64_t>(NewsDesk::kIds); ++i)
    kept.fold(headline(i, i == 0 ? 50 : 7'200, "Yahoo", {"AAPL"}));
  kept.fold(headline(900'000, 50, "Yahoo", {"B"}));
  kept.fold(headline(900'001, 51, "Yahoo", {"C"}));
  kept.commit();
  EXPECT_FALSE(kept.rows.contains({"finnhub:B", "Yahoo", Interval{3600}, at(0)}));
  EXPECT_EQ(kept.rows.at({"finnhub:C", "Yahoo", Interval{3600}, at(0)}).headlines, 1U);
}

TEST(NewsCounts, DamagedStateIsFound) {
  NewsCounter counter;
  EXPECT_THROW(counter.restore("w", ""), std::runtime_error);
  EXPECT_THROW(counter.restore("w/", ""), std::runtime_error);
  EXPECT_THROW(counter.restore("w/\x01x", "\x01\x01\x01\x01"), std::runtime_error);
}

}  // namespace
}  // namespace truetape::market
