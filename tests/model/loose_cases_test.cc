// Venues whose ids only rise (docs/semantics.md sections 2, 4 and 13): what pages of their REST API prove, and what
// not.
#include "story.h"

namespace truetape::model {
namespace {

Story loose() {
  Story s;
  s.venue = "loose";
  s.config("A");
  return s;
}

// Two trades of the minute came live, a third did not.
Story with_a_lost_trade() {
  Story s = loose();
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{100, "11:59:30", "1"}});
  s.frame("s1", "A", {{107, "12:00:10", "2"}});
  s.frame("s1", "A", {{120, "12:01:10", "4"}});
  return s;
}

TEST(LooseCases, WithoutAPageNothingIsProved) {
  const Told t{with_a_lost_trade()};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed unverifiable");
  EXPECT_TRUE(t.outcome.gaps.empty());
}

TEST(LooseCases, APageThatHoldsBothEndsProvesTheWindowAndBringsWhatWasMissed) {
  Story s = with_a_lost_trade();
  s.rows(RawKind::backfill, "A",
         {{100, "11:59:30", "1"}, {107, "12:00:10", "2"}, {111, "12:00:40", "3"}, {120, "12:01:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete overlap");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/3/2/3 2 2");
  EXPECT_EQ(t.outcome.counts.accepted, 4U);
  EXPECT_EQ(t.outcome.counts.duplicate, 3U);
  EXPECT_EQ(t.life("A", "1m", "11:59"), "closed unverifiable") << "it begins before the page";
  EXPECT_EQ(t.life("A", "1s", "12:00:40"), "corrected complete overlap");
}

TEST(LooseCases, OneEndIsNotEnough) {
  Story s = with_a_lost_trade();
  s.rows(RawKind::backfill, "A", {{107, "12:00:10", "2"}, {111, "12:00:40", "3"}, {120, "12:01:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected unverifiable");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/3/2/3 2 2");
}

TEST(LooseCases, PagesThatShareATradeAreJoined) {
  for (const bool share : {true, false}) {
    SCOPED_TRACE(share ? "shared" : "not shared");
    Story s = with_a_lost_trade();
    s.rows(RawKind::backfill, "A", {{111, "12:00:40", "3"}, {120, "12:01:10", "4"}});
    std::vector<Row> second{{100, "11:59:30", "1"}, {107, "12:00:10", "2"}};
    if (share) second.push_back({111, "12:00:40", "3"});
    s.rows(RawKind::backfill, "A", second);
    EXPECT_EQ((Told{s}.life("A", "1m", "12:00")), share ? "corrected complete overlap" : "corrected unverifiable");
  }
}

TEST(LooseCases, ATradeThatThePageLeftOutTakesTheProofAway) {
  // It was known before the page came …
  Story s = with_a_lost_trade();
  s.rows(RawKind::backfill, "A", {{100, "11:59:30", "1"}, {120, "12:01:10", "4"}});
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed unverifiable");
  // … or comes after it.
  Story later = with_a_lost_trade();
  later.rows(RawKind::backfill, "A", {{100, "11:59:30", "1"}, {107, "12:00:10", "2"}, {120, "12:01:10", "4"}});
  EXPECT_EQ(Told{later}.life("A", "1m", "12:00"), "corrected complete overlap");
  later.frame("s1", "A", {{111, "12:00:40", "3"}});
  const Told t{later};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected unverifiable");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/3/2/3 2 2");
}

TEST(LooseCases, ABadItemBreaksThePage) {
  Story s = with_a_lost_trade();
  Row bad{111, "12:00:40", "3"};
  bad.type = 'H';
  s.rows(RawKind::backfill, "A", {{100, "11:59:30", "1"}, {107, "12:00:10", "2"}, bad, {120, "12:01:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "closed unverifiable");
  EXPECT_EQ(t.outcome.quarantined.size(), 1U);
}

TEST(LooseCases, AQuietWindowIsFlatAtTheLastPrice) {
  Story s = loose();
  s.frame("s1", "A", {{100, "11:59:30", "7"}});
  s.frame("s1", "A", {{120, "12:03:10", "4"}});
  s.rows(RawKind::backfill, "A", {{100, "11:59:30", "7"}, {120, "12:03:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:01"), "corrected quiet overlap");
  EXPECT_EQ(t.values("A", "1m", "12:01"), "7/7/7/7 0 0");
}

// A page may begin before anything live, and before what age has sealed.
TEST(LooseCases, APageOlderThanTheHorizonGivesThePriceOfWhatFollows) {
  Story s = loose();
  s.frame("s1", "A", {{120, "12:20:10", "4"}});
  s.rows(RawKind::backfill, "A", {{100, "12:00:30", "7"}, {103, "12:09:40", "8"}, {120, "12:20:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:15"), "corrected quiet overlap");
  EXPECT_EQ(t.values("A", "1m", "12:15"), "8/8/8/8 0 0");
  EXPECT_EQ(t.outcome.counts.late, 2U);
}

TEST(LooseCases, ABreakInTheSessionsIsAGapUntilAPageFillsIt) {
  Story s = loose();
  s.beat("s1", "A", "11:58:00", "", "open");
  s.frame("s1", "A", {{100, "11:59:30", "1"}});
  s.beat("s1", "A", "11:58:00", "12:00:20");
  s.beat("s2", "A", "12:00:40", "", "open");
  s.frame("s2", "A", {{120, "12:01:10", "4"}});
  EXPECT_EQ(Told{s}.life("A", "1m", "12:00"), "closed gap session");
  EXPECT_EQ(Told{s}.life("A", "1m", "11:58"), "none");
  s.rows(RawKind::backfill, "A", {{100, "11:59:30", "1"}, {107, "12:00:30", "2"}, {120, "12:01:10", "4"}});
  const Told t{s};
  EXPECT_EQ(t.life("A", "1m", "12:00"), "corrected complete overlap");
  EXPECT_EQ(t.values("A", "1m", "12:00"), "2/2/2/2 1 1");
}

TEST(LooseCases, ALiveTradeOlderThanTheHorizonWaitsInQuarantine) {
  Story s = loose();
  s.frame("s1", "A", {{120, "12:20:10"}});
  s.frame("s1", "A", {{103, "12:10:10"}});
  s.frame("s1", "A", {{102, "12:10:09.999"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 2U);
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.rule.str(), "horizon");
  EXPECT_EQ(t.outcome.quarantined.begin()->second.id.str(), "102");
}

// Also where nothing was live yet: what files brought is remembered only so far, and what is forgotten must not come
// twice.
TEST(LooseCases, ALiveTradeBelowTheFloorWaitsInQuarantine) {
  Story s = loose();
  const auto clock = [](std::uint64_t minute) {
    return std::to_string(12 + minute / 60) + (minute % 60 < 10 ? ":0" : ":") + std::to_string(minute % 60) + ":01";
  };
  for (std::uint64_t i = 0; i < 1'020; ++i) s.rows(RawKind::history, "A", {{100 + i * 3, clock(i / 2)}});
  s.frame("s1", "A", {{100 + 19 * 3, clock(9)}});  // forgotten
  s.frame("s1", "A", {{100 + 20 * 3, clock(10)}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'020U);
  EXPECT_EQ(t.outcome.counts.duplicate, 1U);
  ASSERT_EQ(t.outcome.quarantined.size(), 1U);
  EXPECT_EQ(t.outcome.quarantined.begin()->second.rule.str(), "horizon");
}

std::string clock_of(std::uint64_t second) {
  char text[16];
  std::snprintf(text, sizeof text, "%02u:%02u:%02u", static_cast<unsigned>(12 + second / 3600),
                static_cast<unsigned>(second / 60 % 60), static_cast<unsigned>(second % 60));
  return text;
}

// One absurd id, or ids that the venue begins anew, must not refuse all that comes after.
TEST(LooseCases, OneIdOf9e18RefusesNothing) {
  Story s = loose();
  s.frame("s1", "A", {{9'000'000'000'000'000'000ULL, "11:59:59"}});
  for (std::uint64_t i = 0; i < 1'500; ++i) s.frame("s1", "A", {{100 + i * 3, clock_of(i * 4)}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'501U);
  EXPECT_TRUE(t.outcome.quarantined.empty());
}

// The same trade came on two connections and was refused on both; long after, both are judged again.
TEST(LooseCases, ATradeThatWaitsAtTwoPlacesComesOnce) {
  Story s = loose();
  Row bad{100, "12:00:00"};
  bad.type = 'H';
  s.frame("s1", "A", {bad});
  s.frame("s1", "A", {bad});
  for (std::uint64_t i = 1; i < 1'500; ++i) s.frame("s1", "A", {{100 + i * 3, clock_of(i * 4)}});
  const Told before{s};
  ASSERT_EQ(before.outcome.quarantined.size(), 2U);
  for (const auto& [key, q] : before.outcome.quarantined)
    s.rows(RawKind::replay, "A", {bad})
        .with(header::original_kind, "frame")
        .with(header::original_partition, std::to_string(q.partition))
        .with(header::original_offset, std::to_string(q.offset))
        .with(header::original_ordinal, std::to_string(q.ordinal));
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'500U);
  EXPECT_EQ(t.outcome.counts.duplicate_unchecked, 1U);
  EXPECT_EQ(t.outcome.counts.replayed, 2U);
  EXPECT_TRUE(t.outcome.quarantined.empty());
}

// Nobody could read its id, so nobody knows that it waits: the first replay counts, also long after, and no other.
TEST(LooseCases, ATradeWithoutAReadableIdComesOnceByReplays) {
  Story s = loose();
  s.frame("s1", "A", {{1, "11:59:59"}});
  s.frame("s1", "A", {{200, "12:00:00"}});
  for (std::uint64_t i = 1; i < 1'500; ++i) s.frame("s1", "A", {{200 + i * 3, clock_of(i * 4)}});
  const auto replay = [&](Row row, const char* offset, bool readable) {
    Message& m = s.rows(RawKind::replay, "A", {row});
    m.with(header::original_kind, "frame").with(header::original_offset, offset).with(header::original_ordinal, "0");
    if (readable) m.with(header::id, "201");
  };
  replay({201, "12:00:01"}, "-7", true);
  EXPECT_EQ(Told{s}.outcome.counts.accepted, 1'501U) << "readable, and it does not wait: it may have come";
  replay({201, "12:00:01"}, "-8", false);
  replay({201, "12:00:01"}, "-9", false);
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'502U);
  EXPECT_EQ(t.outcome.counts.duplicate_unchecked, 2U);
}

// What is forgotten is what was there, not what lies beyond a horizon that was changed since.
TEST(LooseCases, OfTheTimeAfterWhatIsForgottenAPageBringsAll) {
  Story s = loose();
  s.frame("s1", "A", {{9'000'000'000'000'000'000ULL, "11:59:59"}});
  for (std::uint64_t i = 0; i < 1'500; ++i) s.frame("s1", "A", {{100 + i * 3, clock_of(i * 4)}});
  s.frame("s1", "A", {{10'000, "15:00:00"}});  // after more than an hour without one
  s.rows(RawKind::backfill, "A", {{5'000, "14:00:00"}, {5'001, "14:00:01"}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'504U);
}

// More than a thousand trades later a page of long ago brings nothing twice; what is remembered has a bound.
TEST(LooseCases, WhatIsForgottenIsNotTakenAgain) {
  Story s = loose();
  const auto clock = [](std::uint64_t second) { return clock_of(second); };
  for (std::uint64_t i = 0; i < 1'500; ++i) s.frame("s1", "A", {{100 + i * 3, clock(i * 4)}});
  s.rows(RawKind::backfill, "A", {{100, clock(0)}, {103, clock(4)}, {104, clock(5)}, {106, clock(8)}});
  const Told t{s};
  EXPECT_EQ(t.outcome.counts.accepted, 1'500U);
  EXPECT_EQ(t.outcome.counts.duplicate_unchecked, 4U);
}

}  // namespace
}  // namespace truetape::model
