// The cases that break the naive version (docs/semantics.md section 12), with expectations worked out by hand.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Cases, FirstIdInMidWindow) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "12:00:20", "", "open");
  s.frame("s1", "A", {{7, "12:00:30", "10", "1"}});
  s.frame("s1", "A", {{8, "12:00:45", "12", "2"}});
  s.frame("s1", "A", {{9, "12:01:10", "11", "3"}});
  s.frame("s1", "A", {{10, "12:02:00", "9", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed partial");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/12/10/12 3 2");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "11/11/11/11 3 1");
  EXPECT_EQ(t.life("A", "1s", "12:00:30"), "closed partial");
  EXPECT_EQ(t.life("A", "1s", "12:00:45"), "closed complete ids");
  EXPECT_EQ(t.life("A", "1s", "12:02:00"), "open");
  EXPECT_EQ(t.values("A", "1s", "12:02:00"), "9/9/9/9 4 1");
  EXPECT_TRUE(t.outcome.gaps.empty());
}

// A trade exactly at a window's end belongs to the next one, and closes this one without waiting.
TEST(Cases, TheEdgeOfAWindowBelongsToTheNext) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:59.999", "5", "1"}});
  s.frame("s1", "A", {{2, "12:00:00", "6", "1"}});
  s.frame("s1", "A", {{3, "12:00:59.999", "7", "1"}});
  s.frame("s1", "A", {{4, "12:01:00", "8", "1"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "6/7/6/7 2 2");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "none");
}

// Open and close go by (time, id), never by arrival.
TEST(Cases, OpenAndCloseGoByTimeAndId) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:50", "5"}});
  s.frame("s1", "A", {{2, "11:59:50", "10"}});
  s.frame("s1", "A", {{5, "12:00:30", "50"}});
  s.frame("s2", "A", {{4, "12:00:29.800", "40"}}, milliseconds{600});
  s.frame("s2", "A", {{3, "12:00:29.800", "30"}}, milliseconds{650});
  s.frame("s1", "A", {{6, "12:00:30", "20"}});
  s.frame("s1", "A", {{7, "12:01:30", "60"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "30/50/20/20 4 4");
  EXPECT_TRUE(t.outcome.gaps.empty()) << "reordering within the settle time opens no gap";
}

TEST(Cases, TwoFilesOfOneVenueEitherOrder) {
  const std::vector<Row> a{{1, "10:00:10"}, {2, "10:00:40", "11"}, {3, "10:01:10", "12"}, {4, "10:02:20", "13"}};
  const std::vector<Row> b{
      {901, "15:00:10"}, {902, "15:00:40", "21"}, {903, "15:01:10", "22"}, {904, "15:02:20", "23"}};
  std::vector<Outcome> outcomes;
  for (const bool a_first : {true, false}) {
    Story s;
    s.config("A");
    s.config("B");
    if (a_first) s.file("A", "fa", a);
    s.file("B", "fb", b);
    if (!a_first) s.file("A", "fa", a);
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "10:00"), "closed partial");
    EXPECT_EQ(t.life("A", "1m", "10:01"), "closed complete ids");
    EXPECT_EQ(t.life("B", "1m", "15:01"), "closed complete ids");
    EXPECT_EQ(t.values("B", "1m", "15:01"), "22/22/22/22 1 1");
    outcomes.push_back(t.outcome);
  }
  EXPECT_EQ(outcomes[0].candles, outcomes[1].candles);
}

TEST(Cases, Day2BeforeDay1) {
  const std::string d1 = "2024-03-05", d2 = "2024-03-06";
  const std::vector<Row> day1{{1, "23:58:30", "1"}, {2, "23:58:50", "2"}, {3, "23:59:20", "3"}, {4, "23:59:50", "4"}};
  std::vector<Row> day2{{5, "00:00:10", "5"}, {6, "00:00:50", "6"}, {7, "00:01:10", "7"}, {8, "00:02:10", "8"}};
  for (Row& r : day2) r.day = d2;
  for (const bool late_first : {false, true}) {
    Story s;
    s.config("A");
    if (late_first) s.file("A", "d2", day2);
    s.file("A", "d1", day1);
    if (!late_first) s.file("A", "d2", day2);
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "23:58", d1), "closed partial");
    const std::string closed = late_first ? "corrected complete ids" : "closed complete ids";
    EXPECT_EQ(t.values("A", "1m", "23:59", d1), "3/4/3/4 2 2");
    EXPECT_EQ(t.life("A", "1m", "23:59", d1), "closed complete ids");
    EXPECT_EQ(t.life("A", "1m", "00:00", d2), closed);
    EXPECT_EQ(t.values("A", "1m", "00:00", d2), "5/6/5/6 2 2");
    EXPECT_EQ(t.life("A", "1m", "00:01", d2), "closed complete ids");
    EXPECT_TRUE(t.outcome.gaps.empty());
  }
}

// Our clock 5 minutes behind the venue's: with the measured offset nothing is lost, without it all is `future`.
TEST(Cases, ClockFiveMinutesBehindOrAhead) {
  for (const auto off : {seconds{300}, seconds{-300}}) {
    Story s;
    s.offset["s1"] = off;
    s.config("A");
    s.beat("s1", "A", "11:59:00", "", "open");
    s.frame("s1", "A", {{1, "11:59:30"}});
    s.frame("s1", "A", {{2, "12:00:30", "12"}});
    s.frame("s1", "A", {{3, "12:01:30"}});
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids") << off.count();
    EXPECT_EQ(t.outcome.counts.accepted, 3U);
    EXPECT_TRUE(t.outcome.quarantined.empty());
  }
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}}, seconds{-300});
  s.frame("s1", "A", {{2, "12:00:30"}}, seconds{-10});  // just within the tolerance of 10 s
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1U);
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.reason, Reason::future);
}

// A capture of 2024 that is played today: venue time is years behind ours, and nothing goes by ours.
TEST(Cases, ACaptureOf2024PlayedToday) {
  Story s;
  s.config("A");
  const milliseconds years{2LL * 365 * 24 * 3600 * 1000};
  s.frame("s1", "A", {{1, "11:59:30"}}, years);
  s.frame("s1", "A", {{2, "12:00:30", "12"}}, years);
  s.frame("s1", "A", {{3, "12:01:30"}}, years);
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.life("A", "1s", "12:01:30"), "open");
}

// The last session record reached partition 0 and not partition 1: each goes by what it has itself.
TEST(Cases, KillBetweenTheSessionRecordsOfTwoPartitions) {
  Story s;
  s.partition_of_symbol["B"] = 1;
  for (const char* symbol : {"A", "B"}) {
    s.config(symbol);
    s.beat("s1", symbol, "11:58:00", "", "open");
    s.frame("s1", symbol, {{1, "11:58:30"}});
    s.frame("s1", symbol, {{2, "12:00:10", "12"}});
  }
  s.beat("s1", "A", "11:58:00", "12:02:30");  // killed here
  for (const char* symbol : {"A", "B"}) {
    s.beat("s2", symbol, "12:05:00", "", "open");
    s.beat("s2", symbol, "12:05:00", "12:07:30");
  }
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete session");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "closed quiet session");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "12/12/12/12 0 0");
  EXPECT_EQ(t.life("A", "1m", "12:02"), "closed gap session");
  EXPECT_EQ(t.life("B", "1m", "12:00"), "closed gap session");
  EXPECT_EQ(t.life("B", "1m", "12:01"), "closed gap session");
  EXPECT_EQ(t.gap("A", 3), "3.. open missing 0");
  EXPECT_EQ(t.gap("B", 3), "3.. open missing 0");
}

// No FIN: evidence stands still, so nothing is called quiet until the next connection shows the break.
TEST(Cases, TheCablePulled) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:58:30"}});
  s.frame("s1", "A", {{2, "12:00:10", "12"}});
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "none");
    EXPECT_EQ(t.life("A", "1s", "12:00:10"), "open");
  }
  s.beat("s2", "A", "12:04:00", "", "open");
  s.beat("s2", "A", "12:04:00", "12:04:20");
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap session");
    EXPECT_EQ(t.life("A", "1m", "12:01"), "closed gap session");
    EXPECT_EQ(t.values("A", "1m", "12:01"), "-/-/-/- - -");
    EXPECT_EQ(t.gap("A", 3), "3.. open missing 0");
  }
  s.frame("s2", "A", {{5, "12:04:30", "15"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 3), "3..4 open missing 2");
    EXPECT_EQ(t.life("A", "1m", "12:01"), "closed gap session") << "only the proof is better: nothing is emitted";
  }
}

TEST(Cases, ALostTailThenTheNextTrade) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:59:00", "", "open");
  s.frame("s1", "A", {{8, "11:59:58", "8"}});
  s.frame("s1", "A", {{9, "12:00:10", "9"}});
  s.beat("s1", "A", "11:59:00", "12:01:02");
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete session");
    EXPECT_EQ(t.life("A", "1s", "12:00:10"), "closed complete session");
  }
  s.frame("s1", "A", {{12, "12:01:30", "12"}});
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected gap ids missing 2");
    EXPECT_EQ(t.gap("A", 10), "none") << "pending: the settle time is not over";
  }
  s.frame("s1", "A", {{13, "12:01:30.500", "13"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 10), "10..11 open missing 2");
  }
  s.rows(RawKind::backfill, "A",
         {{9, "12:00:10", "9"}, {10, "12:00:20", "20"}, {11, "12:01:20", "5"}, {12, "12:01:30", "12"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 10), "10..11 repaired missing 0");
    EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids repaired");
    EXPECT_EQ(t.values("A", "1m", "12:00"), "9/20/9/20 2 2");
    EXPECT_EQ(t.outcome.counts.duplicate, 2U);
  }
}

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

TEST(Cases, AnOutageOfTwoHours) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:58:30", "1"}});
  s.frame("s1", "A", {{2, "11:59:30", "2"}});
  s.frame("s1", "A", {{3, "12:00:10", "3"}});
  s.beat("s2", "A", "14:00:05", "", "open");
  s.frame("s2", "A", {{204, "14:00:20", "4"}});
  s.beat("s2", "A", "14:00:05", "14:01:30");
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 4), "4..203 open missing 200");
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 200");
    EXPECT_EQ(t.values("A", "1m", "12:00"), "3/3/3/3 1 1");
    EXPECT_EQ(t.life("A", "1m", "13:00"), "closed gap ids missing 200");
    EXPECT_EQ(t.values("A", "1m", "13:00"), "-/-/-/- - -");
    EXPECT_EQ(t.life("A", "1m", "14:00"), "closed gap ids missing 200");
  }
  // The venue gives them: one each 36 s from 12:00:36 on.
  std::vector<Row> page{{3, "12:00:10", "3"}};
  for (std::uint64_t i = 0; i < 199; ++i) {
    const std::uint64_t second = 36 + i * 36;
    char clock[16];
    std::snprintf(clock, sizeof clock, "%02d:%02d:%02d", static_cast<int>(12 + second / 3600),
                  static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
    page.push_back({4 + i, clock, "5", "2"});
  }
  page.push_back({203, "14:00:10", "6"});
  page.push_back({204, "14:00:20", "4"});
  s.rows(RawKind::backfill, "A", page);
  const Told t{s};
  EXPECT_EQ(t.gap("A", 4), "4..203 repaired missing 0");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids repaired");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "3/5/3/5 3 2");
  EXPECT_EQ(t.life("A", "1m", "13:00"), "corrected complete ids repaired");
  EXPECT_EQ(t.values("A", "1m", "13:00"), "5/5/5/5 4 2") << "at 13:00:00 and 13:00:36";
  EXPECT_EQ(t.life("A", "1m", "14:00"), "corrected complete session repaired");
  EXPECT_EQ(t.outcome.counts.late, 0U);
  EXPECT_EQ(t.outcome.trades.size(), 204U);
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
  EXPECT_EQ(t.outcome.trades.size(), 1003U);
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

TEST(Cases, ADeclarationStandsForTheMissingNeighbours) {
  Story s;
  s.config("A");
  s.file("A", "f", {{1, "00:00:20", "1"}, {2, "00:03:30", "2"}, {3, "23:58:40", "3"}});
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "00:00"), "closed partial");
    EXPECT_EQ(t.life("A", "1m", "00:01"), "closed quiet ids");
    EXPECT_EQ(t.life("A", "1m", "23:58"), "none") << "open: nothing is known past it";
  }
  s.span(RawKind::coverage, "A", "", at("00:00"), at("00:00", "2024-03-06"));
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "00:00"), "corrected complete declared");
  EXPECT_EQ(t.life("A", "1m", "23:58"), "closed complete declared");
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

TEST(Cases, AbsentIdsNeedNeighboursInOnePage) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  s.frame("s1", "A", {{6, "12:00:50"}});
  s.frame("s1", "A", {{7, "12:01:10"}});
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed gap ids missing 3");
  s.rows(RawKind::backfill, "A", {{6, "12:00:50"}});  // first of a page: proves nothing
  EXPECT_EQ(Told{s}.gap("A", 3), "3..5 open missing 3");
  s.rows(RawKind::backfill, "A", {{2, "12:00:10"}, {6, "12:00:50"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..5 absent missing 0");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids repaired");
}

TEST(Cases, ALostGapMayStillBeRepaired) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  s.frame("s1", "A", {{6, "12:00:50"}});
  s.frame("s1", "A", {{7, "12:01:10"}});
  s.add(RawKind::answer, "A").with(header::first_id, "3").with(header::last_id, "5").with(header::verdict, "exhausted");
  EXPECT_EQ(Told{s}.gap("A", 3), "3..5 lost missing 3");
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed gap ids missing 3");
  s.rows(RawKind::backfill, "A", {{4, "12:00:30", "44"}});  // splits it
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 3), "3..3 lost missing 1");
    EXPECT_EQ(t.gap("A", 5), "5..5 lost missing 1");
    EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected gap ids missing 2");
  }
  s.rows(RawKind::backfill, "A", {{3, "12:00:20"}, {4, "12:00:30", "44"}, {5, "12:00:40"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..3 repaired missing 0");
  EXPECT_EQ(t.gap("A", 5), "5..5 repaired missing 0");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids repaired");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/44/10/10 5 5");
}

// A range that was announced keeps its holes pending until its end, then opens them at once.
TEST(Cases, HolesInAnAnnouncedRangeOpenAtItsEnd) {
  Story s;
  s.config("A");
  s.span(RawKind::begin, "A", "r", at("11:00"), at("13:00"));
  s.rows(RawKind::history, "A", {{1, "11:59:30"}, {2, "12:00:10"}});
  s.rows(RawKind::history, "A", {{6, "12:00:50"}, {7, "12:01:10"}, {8, "12:03:10"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 3), "none");
    EXPECT_EQ(t.life("A", "1m", "12:00"), "none") << "a pending hole touches it";
    EXPECT_EQ(t.life("A", "1m", "12:02"), "closed quiet ids");
  }
  s.add(RawKind::end, "A").with(header::range, "r");
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..5 open missing 3");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 3");
}

TEST(Cases, ATradeForASealedWindowIsLate) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:58:30", "1"}});
  s.frame("s1", "A", {{2, "12:00:10", "2"}});
  s.beat("s1", "A", "11:58:00", "12:11:00");  // the 1 m window of 12:00 ends 10 min before
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete session");
  }
  s.frame("s2", "A", {{3, "12:00:20", "3"}}, minutes{11});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete session");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/2/2/2 1 1");
  EXPECT_EQ(t.outcome.counts.late, 1U);
  EXPECT_EQ(t.outcome.trades.size(), 3U) << "accepted all the same";
  EXPECT_EQ(t.outcome.late.count({*Instrument::of("test", "A"), Tape::trade, minutes{1}, at("12:00")}), 1U);
}

// Of a long silence only so many empty windows are emitted, for each interval of at least a minute.
TEST(Cases, AtMost1440WindowsOfOneSilence) {
  Story s;
  s.config("A");
  s.file(
      "A", "f",
      {{1, "00:00:20", "1"}, {2, "00:01:30", "2"}, {.id = 3, .clock = "00:01:30", .price = "3", .day = "2024-03-07"}});
  for (int i = 0; i < 60; ++i) s.beat("s1", "A", "12:00", "");  // one record closes only so many windows
  const Told t{s, story_rules(), false};
  std::size_t quiet_1m = 0, quiet_5m = 0, quiet_1s = 0;
  for (const auto& [key, c] : t.outcome.candles) {
    if (c.completeness != Completeness::quiet) continue;
    EXPECT_EQ(c.close, (Decimal{2, 0})) << text(c);
    quiet_1s += c.interval == seconds{1};
    quiet_1m += c.interval == minutes{1};
    quiet_5m += c.interval == minutes{5};
  }
  EXPECT_EQ(quiet_1s, 0U);
  EXPECT_EQ(quiet_1m, 1440U);
  EXPECT_EQ(quiet_5m, 575U) << "all of 00:05 on the first day to 23:55 on the second";
}

}  // namespace
}  // namespace truetape::model
