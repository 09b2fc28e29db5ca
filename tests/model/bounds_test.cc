// Bounds and tie-breaks of docs/semantics.md, each on the spot: at the bound and one millisecond beside it.
#include <gtest/gtest.h>

#include <iomanip>
#include <sstream>

#include <set>

#include "story.h"

namespace truetape::model {
namespace {

// Section 5: F >= e + bound closes, one millisecond less does not.
TEST(Bounds, AWindowClosesOneSecondAfterItsEnd) {
  for (const bool there : {false, true}) {
    Story s;
    s.config("A");
    s.beat("s1", "A", "11:58:00", "", "open");
    s.frame("s1", "A", {{1, "11:58:30"}});
    s.frame("s1", "A", {{2, "12:00:10"}});
    s.beat("s1", "A", "11:58:00", there ? "12:01:01" : "12:01:00.999");
    EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), there ? "closed complete session" : "none");
  }
}

// Section 13: a tail gap opens at w >= subscribed + settle, where sessions leave a break, and nowhere else.
TEST(Bounds, ATailGapOpensAfterTheSettleTime) {
  for (const bool there : {false, true}) {
    Story s;
    s.config("A");
    s.beat("s1", "A", "11:58:00", "", "open");
    s.frame("s1", "A", {{1, "11:58:30"}});
    s.beat("s2", "A", "11:59:00", "", "open");
    s.beat("s2", "A", "11:59:00", there ? "11:59:00.500" : "11:59:00.499");
    EXPECT_EQ(Told{s}.gap("A", 2), there ? "2.. open missing 0" : "none");
  }
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:58:30"}});
  s.beat("s1", "A", "11:58:00", "11:59:00");  // no break: the first session reaches the second's beginning
  s.beat("s2", "A", "11:59:00", "", "open");
  s.beat("s2", "A", "11:59:00", "11:59:20");
  EXPECT_EQ(Told{s}.gap("A", 2), "none");
}

// Section 2: an old id restarts the ids when it comes more than 60 s after the newest; at 60 s it fills a hole.
TEST(Bounds, AnOldIdRestartsAfterSixtySeconds) {
  for (const bool there : {false, true}) {
    Story s;
    s.config("A");
    s.frame("s1", "A", {{1, "11:58:00"}});
    s.frame("s1", "A", {{3, "11:58:30"}});
    s.frame("s1", "A", {{2, there ? "11:59:30.001" : "11:59:30"}});
    EXPECT_EQ(Told{s}.outcome.counts.set_aside, there ? 1 : 0);
  }
}

// Section 2: two in a row are set aside, three are believed.
TEST(Bounds, ThreeInARowAreBelieved) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:58:00"}});
  s.frame("s1", "A", {{1, "11:59:30"}});
  s.frame("s1", "A", {{2, "11:59:31"}});
  EXPECT_EQ(Told{s}.outcome.counts.set_aside, 2);
  s.frame("s1", "A", {{3, "11:59:32"}});
  EXPECT_EQ(Told{s}.outcome.counts.set_aside, 0);
  EXPECT_EQ(Told{s}.outcome.counts.accepted, 4U);
}

// Rule 3: the hole must begin before e and end at or after s; neighbours at the edges decide.
TEST(Bounds, AHoleTouchesTheWindowsOfItsNeighbours) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:10"}});
  s.frame("s1", "A", {{2, "11:59:10"}});
  s.frame("s1", "A", {{3, "12:00:00"}});  // left end exactly at the edge: belongs to 12:00
  s.frame("s1", "A", {{6, "12:02:00"}});  // right end exactly at the edge: belongs to 12:02
  s.frame("s1", "A", {{7, "12:03:10"}});
  s.frame("s1", "A", {{8, "12:04:10"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed complete ids");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 2");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "closed gap ids missing 2");
  EXPECT_EQ(t.life("A", "1m", "12:02"), "closed gap ids missing 2");
  EXPECT_EQ(t.life("A", "1m", "12:03"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "-/-/-/- - -");
}

// Rule 3 again, of what is said to lack in a window: a hole that begins exactly at its end is of the next one.
TEST(Bounds, AHoleAtTheEndOfAWindowIsNotMissingInIt) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:30"}});
  s.frame("s1", "A", {{2, "11:59:10"}});
  s.frame("s1", "A", {{4, "12:01:00"}});
  s.frame("s1", "A", {{7, "12:01:00.200"}});
  Row held{3, "12:00:10"};
  held.type = 'H';
  s.frame("s1", "A", {held}, std::chrono::seconds{51});  // the item that closes 12:00 comes when both holes are there
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap");
  EXPECT_EQ(t.candle("A", "1m", "12:00")->held, 1U);
  EXPECT_EQ(t.candle("A", "1m", "12:00")->missing, 0U);
}

// Section 13: of many sessions the one whose evidence reaches least far gives way, not the one that is longest there.
TEST(Bounds, ASteadySessionKeepsItsEvidenceBesideOneThatReconnectsOften) {
  Story s;
  s.config("A");
  s.beat("steady", "A", "11:00", "", "open");
  s.frame("steady", "A", {{1, "11:00:30"}});
  s.beat("steady", "A", "11:00", "11:01:10");
  for (int i = 0; i < 12; ++i) {
    const std::string name = "r" + std::to_string(i);
    const std::string minute = "11:" + std::to_string(10 + i);
    s.beat(name, "A", minute, "", "open");
    s.beat("steady", "A", "11:00", minute + ":02");
    s.beat(name, "A", minute, minute + ":01");
  }
  s.beat("steady", "A", "11:00", "11:40");
  const Told t{s};
  EXPECT_EQ(t.gap("A", 2), "none");
  EXPECT_EQ(t.life("A", "1m", "11:30"), "closed quiet session");
}

// Section 13: touching declarations are one.
TEST(Bounds, TouchingDeclarationsAreOne) {
  Story s;
  s.config("A");
  s.file("A", "f", {{1, "11:58:10"}, {2, "11:59:10"}});
  s.span(RawKind::coverage, "A", "", at("11:00"), at("12:00"));
  s.span(RawKind::coverage, "A", "", at("12:00"), at("12:05"));
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed complete declared");
  EXPECT_EQ(t.life("A", "1m", "12:04"), "closed quiet declared");
  EXPECT_EQ(t.life("A", "1m", "12:05"), "none");
}

// Section 2: on tape agg a record counts l - f + 1 trades, and its own ids are the candle's.
TEST(Bounds, AnAggregateCountsItsTrades) {
  Story s{"agg"};
  s.config("A");
  Message& m = s.frame("s1", "A", {{1, "12:02:00"}});
  m.bytes.clear();
  const auto row = [&](int id, const char* clock, int first, int last) {
    m.bytes += "T A agg " + std::to_string(id) + " " + std::to_string(to_ns(at(clock))) + " 10 1 b - " +
               std::to_string(first) + " " + std::to_string(last) + "\n";
  };
  row(70, "11:59:10", 100, 100);
  row(71, "12:00:10", 101, 105);
  row(72, "12:00:20", 106, 107);
  row(73, "12:01:20", 108, 108);
  const Told t{s};
  const auto it =
      t.outcome.candles.find({*Instrument::of("test", "A"), Tape::agg, std::chrono::minutes{1}, at("12:00")});
  ASSERT_NE(it, t.outcome.candles.end());
  EXPECT_EQ(it->second.completeness, Completeness::complete);
  EXPECT_EQ(it->second.trades, 7U);
  EXPECT_EQ(it->second.first_id, 71U);
  EXPECT_EQ(it->second.last_id, 72U);
}

// Section 13 Duplicate: content is compared for the newest 4,096 ids; older ones are duplicates unchecked.
TEST(Bounds, ContentIsRememberedFor4096Ids) {
  Story s;
  s.config("A");
  std::vector<Row> all;
  for (std::uint64_t id = 1; id <= 4097; ++id) all.push_back({id, "12:00:00"});
  s.rows(RawKind::history, "A", all);
  s.rows(RawKind::history, "A", {{2, "12:00:00", "99"}});  // 4,095 below the top: compared
  s.rows(RawKind::history, "A", {{1, "12:00:00", "99"}});  // 4,096 below: not
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.contradiction, 1U);
  EXPECT_EQ(t.outcome.counts.duplicate_unchecked, 1U);
}

// Section 13 Held: known only if its time lies between its neighbours', both ends included; else its id is a hole, and
// the trade makes no window `gap` by rule 1.
TEST(Bounds, AHeldIdIsKnownBetweenItsNeighbours) {
  struct {
    const char* clock;
    bool known;
    const char *before, *within;  // windows 11:59 and 12:00
  } const cases[] = {
      {"11:59:29.999", false, "closed gap ids missing 1", "closed gap ids missing 1"},
      {"11:59:30", true, "closed gap", "closed complete ids"},
      {"12:00:40", true, "closed complete ids", "closed gap"},
      {"12:00:40.001", false, "closed gap ids missing 1", "closed gap ids missing 1"},
      {"12:02:00", false, "closed gap ids missing 1", "closed gap ids missing 1"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.clock);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{1, "11:58:30"}});
    s.frame("s1", "A", {{2, "11:59:30"}});
    Row held{3, c.clock};
    held.type = 'H';
    s.frame("s1", "A", {held});
    s.frame("s1", "A", {{4, "12:00:40"}});
    s.frame("s1", "A", {{5, "12:01:10"}});
    s.frame("s1", "A", {{6, "12:02:10"}});
    s.frame("s1", "A", {{7, "12:03:10"}});
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.held, 1U);
    EXPECT_EQ(t.gap("A", 3), c.known ? "none" : "3..3 open missing 1");
    EXPECT_EQ(t.life("A", "1m", "11:59"), c.before);
    EXPECT_EQ(t.life("A", "1m", "12:00"), c.within);
    EXPECT_EQ(t.life("A", "1m", "12:02"), "closed complete ids");
  }
}

// Section 13 Held: with one neighbour it is not known; its window is `gap` unless its time is against that neighbour.
TEST(Bounds, AHeldIdWithOneNeighbourCountsIfNotAgainstIt) {
  for (const bool against : {false, true}) {  // above the newest id
    SCOPED_TRACE(against);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{1, "11:58:30"}});
    s.frame("s1", "A", {{2, "11:59:10"}});
    s.frame("s1", "A", {{3, "12:00:00"}});
    Row held{9, against ? "11:59:59.999" : "12:00:00"};
    held.type = 'H';
    s.frame("s1", "A", {held});
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.held, 1U);
    EXPECT_EQ(t.life("A", "1m", "11:59"), "closed complete ids");
    EXPECT_EQ(t.life("A", "1s", "12:00:00"), against ? "open" : "open gap");
    EXPECT_TRUE(t.outcome.gaps.empty()) << "it ends no run and makes no hole";
  }
  for (const bool against : {false, true}) {  // below the first id
    SCOPED_TRACE(against);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{5, "12:00:00"}});
    Row held{1, against ? "12:00:00.001" : "12:00:00"};
    held.type = 'H';
    s.frame("s1", "A", {held});
    s.frame("s1", "A", {{6, "12:01:10"}});
    s.span(RawKind::coverage, "A", "", at("11:50"), at("12:02"));
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.held, 1U);
    EXPECT_EQ(t.life("A", "1m", "12:00"), against ? "corrected complete declared" : "corrected gap")
        << "partial until declared";
    EXPECT_TRUE(t.outcome.gaps.empty());
  }
}

// Section 13 Eras: what is before the first of an era is of the era before, unless it comes after the last of that one
// and its id is below the first of this.
TEST(Bounds, AnItemBelongsToTheEraOfItsTime) {
  struct {
    std::uint64_t id;
    const char* clock;
    std::uint32_t era;
    const char* gap = "6..11 open missing 6";
  } const cases[] = {
      {7, "11:58:50", 0, "6..6 progress missing 1"},  // into the old era's hole
      {9, "11:59:10.0005", 0,
       "6..8 progress missing 3"},  // in the millisecond of the last of the old era, not after it
      {9, "11:59:10.001", 1},       // after it, and below the new era's first
      {9, "12:01:09.999", 1},       // so is this
      {9, "12:01:10", 1},           // at the new era's first
      {13, "12:01:09.999", 0},      // not below the new era's first: continues the old one
      {13, "12:01:10", 1},          // and the new one
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::to_string(c.id) + " @" + c.clock);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{5, "11:58:30"}});
    s.frame("s1", "A", {{12, "11:59:10"}});
    s.frame("s1", "A", {{10, "12:01:10.0005"}});  // the same millisecond as 12:01:10
    s.frame("s1", "A", {{11, "12:01:20"}});
    s.frame("s1", "A", {{12, "12:01:30"}});
    s.rows(RawKind::history, "A", {{c.id, c.clock}});
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.accepted, 6U);
    const auto trade = [&](std::uint32_t era) {
      return t.outcome.trades.contains({*Instrument::of("test", "A"), Tape::trade, era, c.id});
    };
    EXPECT_TRUE(trade(c.era));
    EXPECT_FALSE(trade(1 - c.era));
    EXPECT_EQ(t.gap("A", 6), c.gap);
  }
}

// A taker's side that is unknown empties what takers bought, and nothing else.
TEST(Bounds, AnUnknownSideEmptiesTheTakersVolumes) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:10"}});
  s.frame("s1", "A",
          {{2, "12:00:10", "10", "2", 'b'},
           {3, "12:00:20", "10", "3", '?'},
           {4, "12:01:20", "10", "5", 's'},
           {5, "12:02:20", "10", "1", 'b'}});
  const Told t{s};
  EXPECT_EQ(to_text(*t.candle("A", "1m", "12:00")->volume), "5");
  EXPECT_FALSE(t.candle("A", "1m", "12:00")->taker_buy_volume);
  EXPECT_EQ(to_text(*t.candle("A", "1m", "12:01")->taker_buy_volume), "0");
}

// Section 5: above `max_windows` the oldest go to the batch path, counted, and the stream never emits their keys again.
TEST(Bounds, TheOldestWindowsMakeRoom) {
  Rules rules = story_rules();
  rules.max_windows = 40;
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:59:00", "", "open");
  // One second in two is missing, so every window is touched by an open gap and keeps its state.
  const auto clock = [](int second) {
    return "12:0" + std::to_string(second / 60) + ":" + (second % 60 < 10 ? "0" : "") + std::to_string(second % 60);
  };
  for (int i = 0; i < 100; ++i) s.frame("s1", "A", {{static_cast<std::uint64_t>(1 + 2 * i), clock(i)}});
  const Told before{s, rules, false};
  const Candle* kept = before.candle("A", "1s", clock(0));
  ASSERT_NE(kept, nullptr);
  const auto late = [](const Told& t) {
    std::set<Timestamp> starts;
    for (const auto& [key, window] : t.outcome.late)
      if (std::get<2>(key) == std::chrono::seconds{1}) starts.insert(std::get<3>(key));
    return starts;
  };
  // 100 windows of 1 s, two of 1 m and one of 5 m; 40 are kept.
  EXPECT_EQ(late(before).size(), 63U);
  EXPECT_TRUE(late(before).contains(at(clock(0))));
  EXPECT_FALSE(late(before).contains(at(clock(63))));
  EXPECT_EQ(before.outcome.counts.late, 0U);  // no trade came too late

  // The missing trades of the first minute come: known and counted, but for the batch path. Those of kept windows
  // count.
  for (const int second : {0, 62, 63, 98})
    s.rows(RawKind::backfill, "A", {{static_cast<std::uint64_t>(2 + 2 * second), clock(second)}});
  const Told after{s, rules, false};
  EXPECT_EQ(text(*after.candle("A", "1s", clock(0))), text(*kept));
  EXPECT_EQ(after.values("A", "1s", clock(62)), "10/10/10/10 1 1");
  EXPECT_EQ(after.values("A", "1s", clock(63)), "10/10/10/10 2 2");
  EXPECT_EQ(after.values("A", "1s", clock(98)), "10/10/10/10 2 2");
  EXPECT_EQ(after.values("A", "1m", "12:00"), "10/10/10/10 61 61");  // the minute itself has its state
  EXPECT_EQ(after.outcome.counts.late, 2U);
  EXPECT_EQ(after.outcome.trades.size(), 104U);
}

// Section 5: what makes room is judged then, with the trades of the base windows in it that are still open.
TEST(Bounds, WhatIsOpenClosesBeforeItMakesRoom) {
  Rules rules = story_rules();
  rules.intervals = {std::chrono::seconds{1}, std::chrono::minutes{1}};
  rules.max_windows = 30;
  Story s;
  s.config("A");
  s.span(RawKind::begin, "A", "r", at("11:58:30"), at("11:58:41"));  // 4 is pending: 11:58:30 and 11:58:40 stay open
  s.frame("s1", "A", {{1, "11:57:50"}});
  s.frame("s1", "A", {{2, "11:58:10", "11"}});
  s.frame("s1", "A", {{3, "11:58:30", "13"}});
  s.frame("s1", "A", {{5, "11:58:40", "9"}});
  s.frame("s1", "A", {{6, "11:58:50", "12"}});
  s.frame("s1", "A", {{7, "12:30:00"}});  // quiet minutes until then, more than there is room for
  const Told t{s, rules, false};
  const auto late = [&](const char* interval, const char* clock) {
    return t.outcome.late.contains({*Instrument::of("test", "A"), Tape::trade, *parse_interval(interval), at(clock)});
  };
  EXPECT_TRUE(late("1m", "11:58"));
  EXPECT_FALSE(late("1s", "11:58:30")) << "it makes no room itself";
  EXPECT_EQ(t.life("A", "1s", "11:58:30"), "closed gap ids missing 1");
  EXPECT_EQ(t.life("A", "1m", "11:58"), "closed gap ids missing 1");
  EXPECT_EQ(t.values("A", "1m", "11:58"), "11/13/9/12 4 4");
}

// More sessions since the last trade than are remembered one by one: together they still cover it.
TEST(Bounds, ManySessionsOverlapOnAQuietInstrument) {
  Story s;
  s.config("A");
  s.beat("s0", "A", "11:58:00", "", "open");
  s.frame("s0", "A", {{1, "11:58:05"}});
  s.beat("s0", "A", "11:58:00", "12:00:45");
  const auto clock = [](int seconds) {
    std::ostringstream out;
    out << "12:" << std::setfill('0') << std::setw(2) << seconds / 60 << ':' << std::setw(2) << seconds % 60;
    return out.str();
  };
  for (int i = 1; i < 12; ++i) {
    const std::string name = "s" + std::to_string(i), from = clock(i * 20), to = clock(i * 20 + 25);
    s.beat(name, "A", from, "", "open");
    s.frame(name, "A", {{1, "11:58:05"}}, std::chrono::minutes{3});
    s.beat(name, "A", from, to);
  }
  const Told t{s};
  EXPECT_EQ(t.gap("A", 2), "none");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed quiet session");
  EXPECT_EQ(t.life("A", "1m", "12:02"), "closed quiet session");
}

}  // namespace
}  // namespace truetape::model
