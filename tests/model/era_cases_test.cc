// Where one era of ids ends and the next begins (docs/semantics.md section 13), with what comes for the old one later.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

// Ids 5 and 12 of the first era, 1 to 3 of the second.
Story restarted() {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{5, "11:58:30"}});
  s.frame("s1", "A", {{12, "11:59:10"}});
  s.frame("s1", "A", {{1, "12:01:10"}});
  s.frame("s1", "A", {{2, "12:01:20"}});
  s.frame("s1", "A", {{3, "12:02:30"}});
  return s;
}

// Duplicate: content is compared in the newest era alone.
TEST(Eras, AnIdOfAnOlderEraIsADuplicateUnchecked) {
  Story s = restarted();
  s.rows(RawKind::history, "A", {{12, "11:59:10", "99"}});
  s.rows(RawKind::history, "A", {{2, "12:01:20", "99"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.duplicate_unchecked, 1U);
  EXPECT_EQ(t.outcome.counts.duplicate, 1U);
  EXPECT_EQ(t.outcome.counts.contradiction, 1U);
}

// Contradicting clocks: an id of the old era, later than its last, carries the hole below it up to the new era.
TEST(Eras, AHoleOfAnOlderEraReachesAsFarAsItsRightNeighbour) {
  Story s = restarted();
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed unverifiable");
  EXPECT_EQ(Told{s}.life("A", "1m", "11:58"), "closed partial");
  s.rows(RawKind::history, "A", {{11, "12:01:09.999"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 6), "6..11 progress missing 5");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected gap ids missing 5");
  EXPECT_EQ(t.life("A", "1m", "12:01"), "corrected gap ids missing 5");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "10/10/10/10 3 3");
}

// A tail gap is of its era: it keeps no window beyond the beginning of the next one.
TEST(Eras, ATailGapEndsWhereTheNextEraBegins) {
  Story s;
  s.config("A");
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{100, "11:58:30"}});
  s.beat("s2", "A", "12:00:00", "", "open");
  s.beat("s2", "A", "12:00:00", "12:00:20");
  EXPECT_EQ(Told{s}.gap("A", 101), "101.. open missing 0");
  s.rows(RawKind::backfill, "A", {{13, "12:05:00"}, {14, "12:05:10"}, {15, "12:05:20"}});
  s.beat("s2", "A", "12:00:00", "12:20:00");
  s.frame("s2", "A", {{200, "12:20:06"}});
  s.frame("s2", "A", {{201, "12:20:08"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 101), "101.. open missing 0");
    EXPECT_EQ(t.gap("A", 16, 1), "16..199 open missing 184");
    EXPECT_EQ(t.life("A", "1m", "12:07"), "closed unverifiable") << "sealed before the hole was seen";
    EXPECT_EQ(t.life("A", "1m", "12:12"), "corrected gap ids missing 184");
  }
  s.rows(RawKind::backfill, "A", {{16, "12:07:30"}, {17, "12:12:30"}});
  s.rows(RawKind::backfill, "A", {{101, "12:03:00", "7"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.late, 1U) << "16, and not 101: a tail gap still touches its window";
  EXPECT_EQ(t.gap("A", 101), "101.. absent missing 0");
  EXPECT_EQ(t.values("A", "1m", "12:03"), "7/7/7/7 1 1");
}

// Contradicting clocks: an id of the new era whose time is before its first is not the old era's.
TEST(Eras, AnIdNearTheFirstOfTheNewEraBelongsToIt) {
  Story s = restarted();
  s.frame("s1", "A", {{4, "12:01:09.995", "8"}}, std::chrono::minutes{2});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 6U);
  for (const auto& [key, trade] : t.outcome.trades) EXPECT_TRUE(trade.order != 4 || trade.era == 1);
  EXPECT_EQ(t.values("A", "1m", "12:01"), "8/10/8/10 3 3");
}

}  // namespace
}  // namespace truetape::model
