// Cases of docs/semantics.md section 12 about what was lost, and what became of it; worked out by hand.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

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

// The venue had nothing behind the tail when it was asked: of the ids that turn out to be missing it has not been
// asked.
TEST(Cases, WhatLacksBehindATailThatWasGivenUpIsOpen) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:59:00", "", "open");
  s.frame("s1", "A", {{2, "11:59:50"}});
  s.beat("s2", "A", "12:04:00", "", "open");
  s.beat("s2", "A", "12:04:00", "12:04:20");
  s.add(RawKind::answer, "A").with(header::first_id, "3").with(header::last_id, "3").with(header::verdict, "exhausted");
  EXPECT_EQ(Told{s}.gap("A", 3), "3.. lost missing 0");
  s.frame("s2", "A", {{6, "12:04:30", "15"}});
  EXPECT_EQ(Told{s}.gap("A", 3), "3..5 open missing 3");
  s.add(RawKind::answer, "A").with(header::first_id, "3").with(header::last_id, "5").with(header::verdict, "exhausted");
  EXPECT_EQ(Told{s}.gap("A", 3), "3..5 lost missing 3");
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

// An answer names an id that does not exist, beside one that is missing still: that is not forgotten.
TEST(Cases, ASkippedIdBesideAMissingOneIsRemembered) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:10"}});
  s.frame("s1", "A", {{4, "11:58:40"}});
  s.add(RawKind::answer, "A")
      .with(header::first_id, "3")
      .with(header::last_id, "3")
      .with(header::skipped, "3-3")
      .with(header::verdict, "more");
  s.frame("s1", "A", {{5, "11:59:40"}});
  EXPECT_EQ(Told{s}.gap("A", 2), "2..3 open missing 2");
  s.rows(RawKind::backfill, "A", {{2, "11:58:20"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 2), "2..3 repaired missing 0");
  EXPECT_EQ(t.life("A", "1s", "11:58:40"), "corrected complete ids repaired");
}

// A verdict holds for a gap only if all that it lacks lies in the answer's range: neither end may stick out.
TEST(Cases, AnAnswerForPartOfAGapDecidesNothing) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  s.frame("s1", "A", {{6, "12:00:50"}});
  s.frame("s1", "A", {{7, "12:01:10"}});
  const auto exhausted = [&](const std::string& first, const std::string& last) {
    s.add(RawKind::answer, "A")
        .with(header::first_id, first)
        .with(header::last_id, last)
        .with(header::verdict, "exhausted");
    return Told{s}.gap("A", 3);
  };
  EXPECT_EQ(exhausted("4", "9"), "3..5 open missing 3") << "the first that is missing is outside";
  EXPECT_EQ(exhausted("1", "4"), "3..5 open missing 3") << "the last one is";
  s.rows(RawKind::backfill, "A", {{5, "12:00:40"}});
  EXPECT_EQ(Told{s}.gap("A", 3), "3..5 progress missing 2");
  EXPECT_EQ(exhausted("3", "4"), "3..5 lost missing 2") << "what is missing still lies in it";
}

// The ends of a range are cut to milliseconds, as the times of trades are.
TEST(Cases, TheEndsOfARangeAreCutToMilliseconds) {
  const auto with_range = [](const std::string& from, const std::string& to) {
    Story s;
    s.config("A");
    s.span(RawKind::begin, "A", "r", at(from), at(to));
    s.frame("s1", "A", {{1, "11:59:30"}});
    s.frame("s1", "A", {{2, "12:00:10"}});
    s.frame("s1", "A", {{6, "12:00:50"}});
    s.frame("s1", "A", {{7, "12:01:10"}});
    return Told{s}.gap("A", 3);
  };
  EXPECT_EQ(with_range("12:00:50.000900", "13:00"), "none") << "begins at the trade above the hole: it is inside";
  EXPECT_EQ(with_range("12:00:50.001", "13:00"), "3..5 open missing 3");
  EXPECT_EQ(with_range("11:00", "12:00:10.000900"), "3..5 open missing 3") << "ends before the trade below it";
  EXPECT_EQ(with_range("11:00", "12:00:10.001"), "none");
}

// An id was found above the split: the part below it, of which the venue has nothing, is absent and not repaired.
TEST(Cases, WhatWasFoundAboveASplitIsNotOfTheLowerPart) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:59:30"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  s.frame("s1", "A", {{8, "12:00:50"}});
  s.frame("s1", "A", {{9, "12:01:10"}});
  s.rows(RawKind::backfill, "A", {{7, "12:00:45"}});
  EXPECT_EQ(Told{s}.gap("A", 3), "3..7 progress missing 4");
  s.rows(RawKind::backfill, "A", {{5, "12:00:30"}});  // splits it
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 3), "3..4 progress missing 2");
    EXPECT_EQ(t.gap("A", 6).substr(0, 3), "6..");
  }
  s.rows(RawKind::backfill, "A", {{2, "12:00:10"}, {5, "12:00:30"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..4 absent missing 0");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected gap ids missing 3") << "that less is missing alone emits nothing";
}

}  // namespace
}  // namespace truetape::model
