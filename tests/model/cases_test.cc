// The cases that break the naive version (docs/semantics.md section 12), with expectations worked out by hand: windows,
// files, clocks. Those about gaps and ids are in files beside this one.
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

}  // namespace
}  // namespace truetape::model
