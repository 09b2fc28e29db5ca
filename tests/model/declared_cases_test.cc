// Declarations (docs/semantics.md section 13): what they prove does not depend on when they come.
#include "story.h"

namespace truetape::model {
namespace {

const std::vector<Row> kTwo{{5, "12:00:00"}, {6, "12:01:10"}};

TEST(DeclaredCases, ADeclarationCountsWhetherItComesBeforeOrAfterTheTrades) {
  for (const bool before : {true, false}) {
    SCOPED_TRACE(before ? "before" : "after");
    Story story;
    const auto declare = [&] { story.span(RawKind::coverage, "A", "", at("11:50"), at("12:02")); };
    if (before) declare();
    story.rows(RawKind::history, "A", kTwo);
    if (!before) declare();
    const Told told{story};
    EXPECT_EQ(told.life("A", "1m", "11:59"), "closed quiet declared");
    EXPECT_EQ(told.life("A", "5m", "11:55"), "closed quiet declared");
    EXPECT_EQ(told.life("A", "1m", "12:00"), before ? "closed complete declared" : "corrected complete declared");
    EXPECT_EQ(told.life("A", "1s", "12:01:10"), "closed complete declared");
    // The declaration had closed it as quiet before its trade came.
    EXPECT_EQ(told.life("A", "1m", "12:01"), before ? "corrected complete declared" : "closed complete declared");
    EXPECT_EQ(told.life("A", "1m", "11:49"), "none");
  }
}

TEST(DeclaredCases, TheFirstIdMovesDownIntoADeclaration) {
  Story story;
  story.span(RawKind::coverage, "A", "", at("11:50"), at("12:02"));
  story.rows(RawKind::history, "A", {{6, "12:03:00"}});
  story.rows(RawKind::backfill, "A", {{5, "12:00:00"}});
  const Told told{story};
  EXPECT_EQ(told.life("A", "1m", "11:50"), "closed quiet declared");
  EXPECT_EQ(told.life("A", "1m", "11:59"), "closed quiet declared");
  EXPECT_EQ(told.life("A", "1m", "12:01"), "closed quiet ids");
}

// What was declared before its ids came is quiet until they do, and never sealed by the declaration.
TEST(DeclaredCases, ADeclarationBeforeTheSecondFileMakesNoTradeLate) {
  for (const bool before : {true, false}) {
    SCOPED_TRACE(before ? "before" : "after");
    Story story;
    const auto declare = [&] { story.span(RawKind::coverage, "A", "", at("11:58"), at("12:10")); };
    story.file("A", "f1", {{1, "11:58:10"}, {2, "11:58:50"}});
    if (before) declare();
    story.file("A", "f2", {{3, "12:00:10"}, {4, "12:05:10"}});
    if (!before) declare();
    const Told told{story};
    EXPECT_EQ(told.outcome.counts.late, 0U);
    EXPECT_EQ(told.life("A", "1m", "12:00"), before ? "corrected complete declared" : "closed complete ids");
    EXPECT_EQ(told.values("A", "1m", "12:00"), "10/10/10/10 1 1");
  }
}

// A declaration reaches into a hole only as long as no id there says that something is missing before it.
TEST(DeclaredCases, AnIdWithinTheHoleEndsWhatADeclarationProved) {
  Story story;
  story.rows(RawKind::history, "A", {{1, "11:58:10"}, {2, "12:00:20"}});
  story.span(RawKind::coverage, "A", "", at("11:58"), at("12:05"));
  story.frame("s1", "A", {{50, "12:07:00"}});
  EXPECT_EQ(Told{story}.life("A", "1m", "12:00"), "closed complete declared");
  EXPECT_EQ(Told{story}.life("A", "1m", "12:01"), "closed quiet declared");
  story.rows(RawKind::backfill, "A", {{10, "12:02:30"}});
  const Told told{story};
  EXPECT_EQ(told.life("A", "1m", "12:00"), "corrected gap ids missing 7");
  EXPECT_EQ(told.life("A", "1m", "12:01"), "corrected gap ids missing 7");
}

}  // namespace
}  // namespace truetape::model
