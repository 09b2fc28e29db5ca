// Cases of docs/semantics.md section 12 about ids: eras, jumps, markers, duplicates, quarantine; worked out by hand.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

TEST(Cases, AnNaMarkerCountsAsAnId) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:58", "8"}});
  s.frame("s1", "A", {{2, "12:00:10", "9", "1", 'b', "MARKET"}});
  s.frame("s1", "A", {{.id = 3, .clock = "12:00:20", .type = 'E'}});
  s.frame("s1", "A", {{4, "12:00:30", "100", "5", 'b', "INSURANCE_FUND"}});
  s.frame("s1", "A", {{5, "12:00:40", "7", "2", 's', "RPI"}});
  s.frame("s1", "A", {{6, "12:01:00", "7"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "9/9/7/7 3 2") << "neither the marker nor the insurance fund is folded";
  EXPECT_EQ(t.outcome.counts.empty, 1U);
  EXPECT_EQ(t.outcome.counts.accepted, 5U);
  EXPECT_EQ(t.outcome.trades.size(), 5U);
  EXPECT_TRUE(t.outcome.gaps.empty());
}

TEST(Cases, AggAfterTradeIsTheOtherTape) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:58"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  Message& m = s.frame("s1", "A", {{3, "12:00:20"}});
  m.bytes += "T A agg 77 " + std::to_string(to_ns(at("12:00:21"))) + " 99 1 b - 3 5\n";
  s.frame("s1", "A", {{4, "12:01:10"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.other_tape, 1U);
  EXPECT_EQ(t.outcome.counts.accepted, 4U);
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/10/10/10 2 2");
}

TEST(Cases, IdsRestartAtOne) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:58:30"}});
  s.frame("s1", "A", {{101, "11:59:10"}});
  s.frame("s1", "A", {{1, "12:01:10", "21"}});  // 120 s after the highest
  {
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.set_aside, 1);
    EXPECT_EQ(t.outcome.trades.size(), 2U);
  }
  s.frame("s1", "A", {{2, "12:01:20", "22"}});
  s.frame("s1", "A", {{3, "12:02:30", "23"}});
  s.frame("s1", "A", {{4, "12:03:10", "24"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.set_aside, 0);
  EXPECT_EQ(t.outcome.counts.accepted, 6U);
  EXPECT_TRUE(t.outcome.quarantined.empty());
  EXPECT_EQ(t.outcome.trades.count({*Instrument::of("test", "A"), Tape::trade, 1, 1}), 1U);
  EXPECT_EQ(t.outcome.trades.count({*Instrument::of("test", "A"), Tape::trade, 0, 101}), 1U);
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed unverifiable") << "no session tells of the old era's end";
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed unverifiable");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "closed unverifiable");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "21/22/21/22 2 2");
  EXPECT_EQ(t.life("A", "1m", "12:02"), "closed complete ids");
  EXPECT_TRUE(t.outcome.gaps.empty());
}

// Two of a kind are not three: the series is given up when the old ids go on.
TEST(Cases, ARestartThatIsNoneEndsInQuarantine) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:58:30"}});
  s.frame("s1", "A", {{1, "12:01:10"}});
  s.frame("s1", "A", {{2, "12:01:20"}});
  s.frame("s1", "A", {{101, "12:01:30"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.set_aside, 0);
  ASSERT_EQ(t.outcome.quarantined.size(), 2U);
  for (const auto& [key, q] : t.outcome.quarantined) EXPECT_EQ(q.reason, Reason::era);
  EXPECT_EQ(t.outcome.trades.size(), 2U);
}

TEST(Cases, OneIdOf9e18) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:59:30"}});
  s.frame("s1", "A", {{9'000'000'000'000'000'000ULL, "12:00:10", "99"}});
  s.frame("s1", "A", {{101, "12:00:20"}});
  s.frame("s1", "A", {{102, "12:01:20"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/10/10/10 1 1");
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.reason, Reason::id_jump);
  EXPECT_TRUE(t.outcome.gaps.empty());
}

// Judged again twice it waits in a series of one: neither of the two replays has brought it in.
TEST(Cases, OneIdOf9e18ReplayedTwice) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:59:30"}});
  const Row far{9'000'000'000'000'000'000ULL, "12:00:10", "99"};
  s.frame("s1", "A", {far});
  s.frame("s1", "A", {{101, "12:00:20"}});
  for (int i = 0; i < 2; ++i)
    s.rows(RawKind::replay, "A", {far})
        .with(header::original_kind, "frame")
        .with(header::original_partition, "0")
        .with(header::original_offset, "2")
        .with(header::original_ordinal, "0");
  const Told waiting{s};
  EXPECT_EQ(waiting.outcome.counts.replayed, 0U);
  EXPECT_EQ(waiting.outcome.counts.set_aside, 1);
  s.frame("s1", "A", {{102, "12:01:20"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.replayed, 0U);
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.offset, 2);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.attempts, 2U);
}

// A jump that goes on is believed, and what lies between is a gap like any other.
TEST(Cases, AJumpThatGoesOnIsBelieved) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "11:59:30"}});
  s.frame("s1", "A", {{2'000'000, "12:00:10"}});
  s.frame("s1", "A", {{2'000'001, "12:00:20"}});
  s.frame("s1", "A", {{2'000'002, "12:00:30"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 4U);
  EXPECT_EQ(t.gap("A", 101), "101..1999999 open missing 1999899");
}

// The greatest id that is no jump: 1,000,000 above, and 50,000 for each second when that is more.
TEST(Cases, WhatIsAJump) {
  struct {
    std::uint64_t id;
    const char* clock;
    bool jump;
  } const cases[]{{1'000'100, "12:00:10", false},
                  {1'000'101, "12:00:10", true},
                  {1'250'100, "12:00:25", false},
                  {1'250'101, "12:00:25", true}};
  for (const auto& c : cases) {
    Story s;
    s.config("A");
    s.frame("s1", "A", {{100, "12:00:00"}});
    s.frame("s1", "A", {{c.id, c.clock}});
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.set_aside, c.jump ? 1 : 0) << c.id;
  }
}

TEST(Cases, AThousandTradesQuarantinedThenReplayed) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30", "1"}});
  std::vector<Row> held;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    char clock[16];
    std::snprintf(clock, sizeof clock, "12:00:%02d.%03d", static_cast<int>(i / 20), static_cast<int>(i % 20 * 50));
    Row r{2 + i, clock, std::to_string(100 + i), "1"};
    r.type = 'H';
    held.push_back(r);
  }
  for (std::size_t i = 0; i < held.size(); i += 100)
    s.frame("s1", "A",
            {held.begin() + static_cast<std::ptrdiff_t>(i), held.begin() + static_cast<std::ptrdiff_t>(i + 100)});
  s.frame("s1", "A", {{1002, "12:01:10", "2"}});
  s.frame("s1", "A", {{1003, "12:01:20", "2"}});
  {
    const Told t{s};
    EXPECT_EQ(t.outcome.counts.held, 1000U);
    EXPECT_EQ(t.outcome.quarantined.size(), 1000U);
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap");
    EXPECT_EQ(t.candle("A", "1m", "12:00")->held, 1000U);
    EXPECT_TRUE(t.outcome.gaps.empty()) << "held ids are no hole";
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    Message& m = s.rows(RawKind::replay, "A", {held[i]});
    m.with(header::original_kind, "frame")
        .with(header::original_partition, "0")
        .with(header::original_offset, std::to_string(2 + i / 100));
    m.with(header::original_ordinal, std::to_string(i % 100));
  }
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "100/1099/100/1099 1000 1000");
  EXPECT_EQ(t.outcome.counts.accepted, 1003U);
  EXPECT_EQ(t.outcome.counts.replayed, 1000U);
  EXPECT_EQ(t.outcome.trades.size(), 1003U);
  EXPECT_TRUE(t.outcome.quarantined.empty());
}

TEST(Cases, AHeldTradeThatIsDroppedBecomesVoid) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}});
  Row bad{2, "12:00:10"};
  bad.type = 'H';
  s.frame("s1", "A", {bad});
  s.frame("s1", "A", {{3, "12:00:40", "13"}});
  s.frame("s1", "A", {{4, "12:01:10"}});
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed gap");
  s.add(RawKind::drop, "A")
      .with(header::id, "2")
      .with(header::original_partition, "0")
      .with(header::original_offset, "2")
      .with(header::original_ordinal, "0");
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "13/13/13/13 1 1");
  EXPECT_TRUE(t.outcome.quarantined.empty());
  EXPECT_EQ(t.outcome.counts.dropped, 1U);
}

// The id may be held by another item than the one that is given up.
TEST(Cases, ADropOfAnotherItemLeavesTheHeldOne) {
  for (const auto& [offset, held] : {std::pair{"2", false}, {"3", true}}) {
    Story s;
    s.config("A");
    s.frame("s1", "A", {{1, "11:59:30"}});
    Row bad{2, "12:00:10"};
    bad.type = 'H';
    s.frame("s1", "A", {bad});
    s.frame("s1", "A", {{3, "12:00:40", "13"}});
    s.frame("s1", "A", {{4, "12:01:10"}});
    s.add(RawKind::drop, "A")
        .with(header::id, "2")
        .with(header::original_partition, "0")
        .with(header::original_offset, offset)
        .with(header::original_ordinal, "0");
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), held ? "closed gap" : "corrected complete ids");
    EXPECT_EQ(t.outcome.counts.released, held ? 0U : 1U);
  }
}

TEST(Cases, RawDuplicatedByTheProducer) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:59:30", "1"}});
  s.frame("s1", "A", {{2, "12:00:10", "2"}, {3, "12:00:11", "3"}});
  s.beat("s1", "A", "11:58:00", "12:00:10.500");
  s.frame("s1", "A", {{6, "12:01:10", "4"}});
  s.rows(RawKind::backfill, "A", {{3, "12:00:11", "3"}, {5, "12:00:50", "9"}, {6, "12:01:10", "4"}});
  s.beat("s1", "A", "11:58:00", "12:05:02");
  Story twice = s;
  twice.history.messages.clear();
  for (const Message& m : s.history.messages) {
    twice.history.messages.push_back(m);
    twice.history.messages.push_back(m);
  }
  const Told a{s}, b{twice};
  EXPECT_EQ(a.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(a.life("A", "1m", "12:04"), "closed quiet session");
  EXPECT_EQ(a.outcome.candles.size(), b.outcome.candles.size());
  for (const auto& [key, c] : a.outcome.candles) {
    ASSERT_TRUE(b.outcome.candles.contains(key)) << text(c);
    EXPECT_TRUE(same_content(c, b.outcome.candles.at(key))) << text(c) << "\n" << text(b.outcome.candles.at(key));
    EXPECT_EQ(c.status, b.outcome.candles.at(key).status);
  }
  EXPECT_EQ(a.outcome.trades, b.outcome.trades);
  EXPECT_EQ(b.outcome.counts.duplicate, a.outcome.counts.duplicate + 7);
}

TEST(Cases, AContradictionLeavesTheFirst) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30", "1"}});
  s.frame("s1", "A", {{2, "12:00:10", "2"}});
  s.frame("s2", "A", {{2, "12:00:10", "2.1"}});
  s.frame("s2", "A", {{2, "12:00:10", "2.0"}});  // the same value
  s.frame("s1", "A", {{3, "12:01:10", "3"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.contradiction, 1U);
  EXPECT_EQ(t.outcome.counts.duplicate, 1U);
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/2/2/2 1 1");
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.reason, Reason::contradiction);
}

// Held, its id absurd: what is beside it in the file says nothing about the ids between.
TEST(Cases, AHeldRowWithAnAbsurdIdChangesNoOtherId) {
  Row absurd{2'000'000, "11:58:30"};
  absurd.type = 'H';
  Story s;
  s.config("A");
  s.file("A", "f1",
         {{1, "11:58:10"},
          {2, "11:58:20"},
          absurd,
          {4, "11:58:40"},
          {5, "11:59:50"},
          {6, "11:59:51"},
          {7, "11:59:52"},
          {8, "12:01:00"}});
  EXPECT_EQ(Told{s}.gap("A", 3), "3..3 open missing 1");
  s.file("A", "f2",
         {{1, "11:58:10"},
          {2, "11:58:20"},
          {3, "11:58:30"},
          {4, "11:58:40"},
          {5, "11:59:50"},
          {6, "11:59:51"},
          {7, "11:59:52"},
          {8, "12:01:00"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.trades.size(), 8U);
  for (const auto& [key, trade] : t.outcome.trades) EXPECT_EQ(trade.era, 0U);
  EXPECT_EQ(t.gap("A", 3), "3..3 repaired missing 0");
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed complete ids");
}

// Quarantined as `future`: it is no neighbour, what it says of ids is not believed.
TEST(Cases, AFutureItemIsNoNeighbour) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:10"}});
  Message& page = s.rows(RawKind::backfill, "A", {{1, "11:58:10"}, {2, "11:58:20"}, {4, "12:08:40"}});
  page.receive = to_ns(at("11:59:00"));
  s.frame("s1", "A", {{4, "12:08:40"}});
  s.frame("s1", "A", {{5, "12:08:50"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..3 open missing 1");
}

// Nor is it one when its id is known already.
TEST(Cases, AFutureItemWhoseIdIsKnownIsNoNeighbour) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:10"}, {2, "11:58:20"}});
  s.frame("s1", "A", {{4, "12:08:40"}});
  s.frame("s1", "A", {{5, "12:08:50"}});
  Message& page = s.rows(RawKind::backfill, "A", {{2, "11:58:20"}, {4, "12:08:40"}});
  page.receive = to_ns(at("11:59:00"));  // by the clock of whoever asked, 4 is of the future
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 4U);
  EXPECT_EQ(t.outcome.counts.quarantined, 1U);
  EXPECT_EQ(t.gap("A", 3), "3..3 open missing 1");
}

}  // namespace
}  // namespace truetape::model
