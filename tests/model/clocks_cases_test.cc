// Clocks of one venue that contradict its ids (docs/semantics.md section 13): the times of holes then do not ascend
// with their ids, so a search may not stop at the first hole that lies before the window.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

// 2..3 lack between 11:58:30 and 12:00:30, and 6 between 11:59:40 and 11:59:50: the lower ids' hole ends later.
// `announced`: a range holds the lower hole and not the others.
Story contradicting(bool announced = false) {
  Story s;
  s.config("A");
  if (announced) s.span(RawKind::begin, "A", "r", at("11:58:00"), at("11:59:00"));
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{1, "11:58:30"}});
  s.frame("s1", "A", {{4, "12:00:30"}});
  s.frame("s1", "A", {{5, "11:59:40"}}, std::chrono::seconds{51});
  s.frame("s1", "A", {{7, "11:59:50"}}, std::chrono::seconds{42});
  return s;
}

// Rule 3: all holes that touch the window are missing in it, also beyond one that does not.
TEST(Clocks, AHoleIsMissingBeyondOneThatEndedBefore) {
  Story s = contradicting();
  s.frame("s1", "A", {{10, "12:01:10"}});
  s.frame("s1", "A", {{11, "12:02:20"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 2), "2..3 open missing 2");
  EXPECT_EQ(t.gap("A", 6), "6..6 open missing 1");
  EXPECT_EQ(t.gap("A", 8), "8..9 open missing 2");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 4") << "2, 3, 8 and 9";
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed gap ids missing 5");
}

// Section 5: a pending hole keeps the window open.
TEST(Clocks, AHoleIsPendingBeyondOneThatEndedBefore) {
  Story s = contradicting(true);
  s.frame("s1", "A", {{10, "12:01:10"}});
  s.frame("s1", "A", {{11, "12:02:20"}});
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 2), "none");
    EXPECT_EQ(t.gap("A", 8), "8..9 open missing 2");
    EXPECT_EQ(t.life("A", "1m", "12:00"), "none");
  }
  s.add(RawKind::end, "A").with(header::range, "r");
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed gap ids missing 4");
}

// Section 5: an open gap keeps the window's state, so a trade that fills it is not late.
TEST(Clocks, AnOpenGapKeepsStateBeyondOneThatEndedBefore) {
  Story s = contradicting();
  s.beat("s1", "A", "11:58:00", "12:20:00");
  {
    const Told t{s};
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 2");
  }
  s.rows(RawKind::backfill, "A", {{2, "12:00:10", "12"}, {3, "12:00:20", "13"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 2), "2..3 repaired missing 0");
  EXPECT_EQ(t.outcome.counts.late, 0U);
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete session repaired");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "12/13/10/10 3 3");
}

// Section 13 State: any run may hold a window's stretch, not the newest alone, so what comes for it is late.
TEST(Clocks, AnOlderRunSealsAWindow) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "11:58:00"}});
  s.frame("s1", "A", {{2, "12:00:10"}});
  s.frame("s1", "A", {{3, "12:03:00"}});  // this run holds 11:59:00 to 12:02:00
  s.frame("s1", "A", {{5, "12:03:10"}});
  s.frame("s1", "A", {{7, "12:03:05"}}, std::chrono::seconds{6});  // the hole of 6 ends before it begins
  s.frame("s1", "A", {{4, "12:00:20", "99"}}, std::chrono::minutes{3});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 6U);
  EXPECT_EQ(t.outcome.counts.late, 1U);
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed complete ids");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/10/10/10 1 1");
  EXPECT_EQ(t.life("A", "1s", "12:00:20"), "none");
}

// Rule 2: one hole alone, whose right end is before its left one. The run above it holds the window, the one below
// does not.
TEST(Clocks, ARunAboveAReversedHoleHoldsAWindow) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{1, "12:00:30"}});
  s.frame("s1", "A", {{2, "12:01:30"}});
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed partial");
  s.frame("s1", "A", {{4, "11:59:50"}}, std::chrono::seconds{101});
  s.frame("s1", "A", {{5, "12:02:10"}});
  const Told t{s};
  EXPECT_EQ(t.gap("A", 3), "3..3 open missing 1");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids");
}

}  // namespace
}  // namespace truetape::model
