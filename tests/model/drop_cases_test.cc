// What a dropped item leaves behind (docs/semantics.md sections 2, 7 and 13): only a known id becomes void; where
// neither the id nor the time is vouched for, it is as if the item had never come. Worked out by hand.
#include <gtest/gtest.h>

#include "story.h"

namespace truetape::model {
namespace {

void drop(Story& s, std::uint64_t id, int offset) {
  s.add(RawKind::drop, "A")
      .with(header::id, std::to_string(id))
      .with(header::original_partition, "0")
      .with(header::original_offset, std::to_string(offset))
      .with(header::original_ordinal, "0");
}

Row bad(std::uint64_t id, const std::string& clock) { return {.id = id, .clock = clock, .type = 'H'}; }

// 1000 to 1003 were lost. A time of before the hole, vouched for by no neighbour, would make its upper run begin there:
// the minute of the lost ones would be proven.
TEST(Cases, ADroppedItemWhoseTimeIsWrongEndsNoRun) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{998, "11:58:30"}});
  s.frame("s1", "A", {{999, "11:59:58"}});
  s.frame("s1", "A", {bad(1004, "11:59:53")});
  s.frame("s1", "A", {{1005, "12:01:05", "12"}});
  s.frame("s1", "A", {{1006, "12:02:05", "13"}});
  EXPECT_EQ(Told{s}.gap("A", 1000), "1000..1004 open missing 5");
  drop(s, 1004, 3);
  {
    const Told t{s};
    EXPECT_EQ(t.gap("A", 1000), "1000..1004 open missing 5") << "it is asked for";
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed gap ids missing 5");
    EXPECT_EQ(t.life("A", "1m", "11:59"), "closed gap ids missing 5");
    EXPECT_EQ(t.outcome.counts.released, 1U);
    EXPECT_EQ(t.outcome.counts.dropped, 1U);
    EXPECT_TRUE(t.outcome.quarantined.empty());
  }
  s.rows(RawKind::backfill, "A",
         {{999, "11:59:58"},
          {1000, "12:00:10"},
          {1001, "12:00:20"},
          {1002, "12:00:30"},
          {1003, "12:00:40"},
          {1004, "12:00:50"},
          {1005, "12:01:05", "12"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.contradiction, 0U);
  EXPECT_EQ(t.gap("A", 1000), "1000..1004 repaired missing 0");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete ids repaired");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "10/10/10/10 5 5");
}

// Beyond the newest id there is nothing yet that vouches for one: it does not become the newest.
TEST(Cases, ADroppedItemWithAnAbsurdIdIsNotTheNewest) {
  for (const std::uint64_t absurd : {9'000'000'000'000'000'000ULL, 3'101ULL, 102ULL}) {
    SCOPED_TRACE(absurd);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{100, "11:58:30"}});
    s.frame("s1", "A", {{101, "11:59:50"}});
    s.frame("s1", "A", {bad(absurd, "12:00:05")});
    drop(s, absurd, 3);
    for (int i = 0; i < 4; ++i)
      s.frame("s1", "A", {{static_cast<std::uint64_t>(102 + i), "12:0" + std::to_string(2 + i) + ":00"}});
    const Told t{s};
    EXPECT_TRUE(t.outcome.gaps.empty());
    EXPECT_TRUE(t.outcome.quarantined.empty());
    EXPECT_EQ(t.outcome.counts.contradiction, 0U);
    EXPECT_EQ(t.outcome.trades.size(), 6U);
    for (const auto& [key, trade] : t.outcome.trades) EXPECT_EQ(trade.era, 0U);
    EXPECT_EQ(t.life("A", "1m", "12:00"), "closed quiet ids");
  }
}

// Below the first id as well.
TEST(Cases, ADroppedItemBelowTheFirstIdBeginsNothing) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {{100, "12:00:30"}});
  s.frame("s1", "A", {bad(90, "11:50:30")});
  s.frame("s1", "A", {{101, "12:02:30"}});
  drop(s, 90, 2);
  const Told t{s};
  EXPECT_TRUE(t.outcome.gaps.empty());
  EXPECT_EQ(t.life("A", "1m", "11:55"), "none");
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed partial");
}

// Before any trade it begins nothing.
TEST(Cases, ADroppedItemIsNotTheFirst) {
  Story s;
  s.config("A");
  s.frame("s1", "A", {bad(100, "11:59:30")});
  drop(s, 100, 1);
  s.frame("s1", "A", {{200, "12:00:30"}});
  s.frame("s1", "A", {{201, "12:01:30"}});
  const Told t{s};
  EXPECT_TRUE(t.outcome.gaps.empty());
  EXPECT_EQ(t.outcome.trades.size(), 2U);
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed partial");
}

// Its neighbours on the page said that nothing lies between: that is given up with it, on either side and also where
// two of them follow each other.
TEST(Cases, WhatADroppedItemSaysOfTheIdsBesideItIsForgotten) {
  for (const std::uint64_t given_up : {105U, 110U}) {
    SCOPED_TRACE(given_up);
    Story s;
    s.config("A");
    s.frame("s1", "A", {{100, "11:59:00"}});
    s.frame("s1", "A", {{101, "11:59:30"}});
    s.rows(RawKind::backfill, "A", {{101, "11:59:30"}, bad(105, "12:00:10"), bad(110, "12:00:20")});
    s.add(RawKind::drop, "A")
        .with(header::id, std::to_string(given_up))
        .with(header::original_partition, "0")
        .with(header::original_offset, "3")
        .with(header::original_ordinal, given_up == 105 ? "1" : "2");
    for (const std::uint64_t id : {105U, 110U, 111U})
      s.frame("s1", "A", {{id, id == 111 ? "12:01:10" : id == 110 ? "12:00:20" : "12:00:10"}});
    s.frame("s1", "A", {{112, "12:02:10"}});
    const Told t{s};
    EXPECT_EQ(t.gap("A", 102), given_up == 105 ? "102..104 open missing 3" : "none");
    EXPECT_EQ(t.gap("A", 106), "106..109 open missing 4");
    EXPECT_EQ(t.outcome.trades.size(), 6U);
  }
}

}  // namespace
}  // namespace truetape::model
