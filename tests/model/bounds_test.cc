// Bounds and tie-breaks of docs/semantics.md, each on the spot: at the bound and one millisecond beside it.
#include <gtest/gtest.h>

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
    m.bytes += "T A agg " + std::to_string(id) + " " + std::to_string(to_ns(at(clock))) + " 10 1 b - " + std::to_string(first) + " " + std::to_string(last) + "\n";
  };
  row(70, "11:59:10", 100, 100);
  row(71, "12:00:10", 101, 105);
  row(72, "12:00:20", 106, 107);
  row(73, "12:01:20", 108, 108);
  const Told t{s};
  const auto it = t.outcome.candles.find({*Instrument::of("test", "A"), Tape::agg, std::chrono::minutes{1}, at("12:00")});
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

// A taker's side that is unknown empties what takers bought, and nothing else.
TEST(Bounds, AnUnknownSideEmptiesTheTakersVolumes) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:10"}});
  s.frame("s1", "A", {{2, "12:00:10", "10", "2", 'b'}, {3, "12:00:20", "10", "3", '?'}, {4, "12:01:20", "10", "5", 's'}, {5, "12:02:20", "10", "1", 'b'}});
  const Told t{s};
  EXPECT_EQ(to_text(*t.candle("A", "1m", "12:00")->volume), "5");
  EXPECT_FALSE(t.candle("A", "1m", "12:00")->taker_buy_volume);
  EXPECT_EQ(to_text(*t.candle("A", "1m", "12:01")->taker_buy_volume), "0");
}

}  // namespace
}  // namespace truetape::model
