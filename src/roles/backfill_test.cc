#include "roles/backfill_testing.h"

namespace truetape {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using What = FillAnswer::What;

TEST_F(BackfillTest, AGapIsAskedForOnceProcessKnowsAllThatTheLogHolds) {
  process({gap(kBtc, 4711, 4720)});
  receive();  // perhaps the very trades, from a file
  start();
  pass(2s);
  EXPECT_THAT(asked(), IsEmpty());
  process();
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("4711-4720"));
  EXPECT_THAT(said(), ElementsAre("4711-4720 more"));
  EXPECT_EQ(metrics_.gauge("truetape_backfill_gaps", "", {{"venue", "binance"}}).value(), 1);
  EXPECT_EQ(metrics_.gauge("truetape_backfill_missing_ids", "", {{"venue", "binance"}}).value(), 10);
  EXPECT_EQ(metrics_.counter("truetape_backfill_requests_total", "", {{"venue", "binance"}}).value(), 1u);
  Gap ended = gap(kBtc, 4711, 4720);
  ended.state = GapState::repaired;
  process({ended});
  pass(10min);
  EXPECT_EQ(asked().size(), 1u);
  EXPECT_EQ(metrics_.gauge("truetape_backfill_gaps", "", {{"venue", "binance"}}).value(), 0);
}

TEST_F(BackfillTest, WhatEndsBeforeItIsAskedForIsNotAskedFor) {
  process({gap(kBtc, 4711, 4720)});
  Gap ended = gap(kBtc, 4711, 4720);
  ended.state = GapState::repaired;
  process({ended, gap(kBtc, 1, 2)});
  start();
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("1-2"));
}

TEST_F(BackfillTest, NewestFirstAndNeighboursOfOnePageTogether) {
  process({gap(kBtc, 100, 110, 1s), gap(kBtc, 150, 160, 2s), gap(kBtc, 190, 195, 3s), gap(kEth, 5, 6, 10s)});
  start();
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("5-6", "100-195"));
  EXPECT_THAT(said(), ElementsAre("5-6 more", "100-195 more"));
}

TEST_F(BackfillTest, ALongHoleIsAskedForPieceByPieceFromItsEnd) {
  process({gap(kBtc, 1, 2500)});
  start();
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("1501-2500"));
  process({gap(kBtc, 1, 1500)});
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("1501-2500", "501-1500"));
  stop();
  start();  // it knows nothing but what the log says
  process();
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("501-1500"));
}

TEST_F(BackfillTest, WhatIsStillMissingIsLookedForAtTheEndThenAtTheBeginning) {
  Gap narrowed = gap(kBtc, 101, 200);
  narrowed.missing = 30;
  process({narrowed});
  start();
  process();
  pass(200ms);
  process();
  pass(200ms);
  process();
  pass(200ms);
  EXPECT_THAT(asked(), ElementsAre("171-200", "101-130", "101-200"));
  for (int i = 0; i < 12; ++i) {
    process();
    pass(10min);
  }
  EXPECT_LT(asked().size(), 40u) << "and then seldom";
  EXPECT_GT(asked().size(), 6u);
}

TEST_F(BackfillTest, NotAskedForByItself) {
  Gap manual = gap(kBtc, 1, 9'000'000);
  manual.reason = GapReason::manual;
  Gap long_tail = gap(kBtc, 20'000'001, 20'000'010);
  long_tail.reason = GapReason::tail;
  long_tail.to = long_tail.from + 25h;
  process({manual, long_tail, gap(*Instrument::parse("binance:LTCUSDT"), 1, 5),
           gap(*Instrument::parse("kucoin:BTC-USDT"), 1, 5)});
  start();
  pass(1s);
  process();
  pass(1min);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_THAT(told_, HasSubstr("binance:BTCUSDT 1-9000000"));
  EXPECT_THAT(told_, HasSubstr("binance:BTCUSDT 20000001-20000010"));
  want(*Instrument::parse("binance:LTCUSDT"));
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("1-5"));
}

TEST_F(BackfillTest, AWildcardWantsAllOfItsVenue) {
  process({gap(*Instrument::parse("binance:LTCBTC"), 1, 5), gap(*Instrument::parse("kucoin:LTC-BTC"), 6, 9)});
  start();
  want(*Instrument::parse("binance:*#50"));  // is none
  pass(1min);
  EXPECT_THAT(asked(), IsEmpty());
  want(*Instrument::parse("binance:*/USDT#50"));
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("1-5"));
}

TEST_F(BackfillTest, NothingIsAskedWhileIngestIsStopped) {
  process({gap(kBtc, 4711, 4720)});
  say(IngestSwitch{false});
  start();
  pass(1min);
  EXPECT_THAT(asked(), IsEmpty());
  say(IngestSwitch{true});
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("4711-4720"));
}

TEST_F(BackfillTest, ExhaustedOnlyAfterThreeEqualAnswersOverAMinute) {
  answers_ = {part({{4711, 4720}})};
  process({gap(kBtc, 4711, 4720)});
  start();
  for (int i = 0; i < 59; ++i) {
    process();
    pass(1s);
  }
  EXPECT_GT(asked().size(), 3u) << "soon at first: mostly a database lags";
  EXPECT_THAT(said(), IsEmpty());
  for (int i = 0; i < 40; ++i) {
    process();
    pass(1s);
  }
  EXPECT_THAT(said(), ElementsAre("4711-4720 exhausted"));
  EXPECT_THAT(
      told_,
      HasSubstr("BTCUSDT 4711-4720: the venue does not have these trades any more; what is missing of them is lost"));
}

TEST_F(BackfillTest, AnswersThatDifferBeginAnew) {
  process({gap(kBtc, 4711, 4720)});
  for (std::uint64_t i = 0; i < 40; ++i) answers_.push_back(part({{4711 + i % 10, 4720}}));
  start();
  for (int i = 0; i < 100; ++i) {
    process();
    pass(1s);
  }
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(BackfillTest, ATailIsAskedForAfterAWhileAndNothingNewerIsSaidWithItsTime) {
  FillAnswer nothing;
  nothing.what = What::nothing;
  for (int i = 0; i < 20; ++i) {
    nothing.as_of = kStart + std::chrono::seconds{i};
    answers_.push_back(nothing);
  }
  process({gap(kBtc, 4711, std::nullopt)});
  start();
  process();
  pass(2s);
  EXPECT_THAT(asked(), IsEmpty()) << "mostly the next trade says soon where it ends";
  for (int i = 0; i < 99; ++i) {
    process();
    pass(1s);
  }
  EXPECT_THAT(asked(), testing::Each("4711-"));
  ASSERT_GE(said().size(), 1u);
  EXPECT_EQ(said()[0], "4711-- more nothing after 4710");
}

TEST_F(BackfillTest, ATailThatHasGotAnEndIsAHole) {
  process({gap(kBtc, 4711, std::nullopt)});
  start();
  pass(1s);
  process({gap(kBtc, 4711, 4900)});
  pass(1s);
  EXPECT_THAT(asked(), ElementsAre("4711-4900"));
}

TEST_F(BackfillTest, ARefusalIsBelievedLikeAnExhaustion) {
  answers_ = {without(What::refused, "status 400: Invalid symbol.")};
  process({gap(kBtc, 4711, 4720)});
  start();
  for (int i = 0; i < 100; ++i) {
    process();
    pass(1s);
  }
  EXPECT_THAT(said(), ElementsAre("4711-4720 refused"));
  EXPECT_THAT(told_, HasSubstr("the venue refuses to give these trades: status 400: Invalid symbol."));
}

// Only a wildcard means it, and the venue's list does not have it any more.
TEST_F(BackfillTest, EachGapOfADelistedSymbolIsLostByItselfAndTheTailToo) {
  want(kBtc, false);
  want(kEth, false);
  want(*Instrument::parse("binance:*/USDT"));
  answers_ = {without(What::refused, "status 400: Invalid symbol.")};
  const std::vector<Gap> gaps = {gap(kBtc, 4650, 4660, 1s), gap(kBtc, 4690, 4695, 2s),
                                 gap(kBtc, 4711, std::nullopt, 3s)};
  process(gaps);
  start();
  for (int i = 0; i < 120 && said().size() < 3; ++i) {
    process();
    pass(1s);
  }
  EXPECT_THAT(said(), testing::UnorderedElementsAre("4650-4660 refused", "4690-4695 refused", "4711-4711 refused"));
  const auto all = asked();
  EXPECT_THAT(std::set(all.begin(), all.end()), ElementsAre("4650-4660", "4650-4695", "4690-4695", "4711-"))
      << "two of one page at first together";
  std::vector<Gap> lost = gaps;
  for (Gap& g : lost) g.state = GapState::lost;
  process(lost);
  pass(1s);
  const std::size_t before = asked().size();
  pass(10min);
  EXPECT_EQ(asked().size(), before) << "it has ended";
}

TEST_F(BackfillTest, WhereSomebodyMustDoSomethingTheGapStaysAndItIsToldOnce) {
  answers_ = {without(What::unable, "it wants an API key"), without(What::unable, "it wants an API key"), FillAnswer{}};
  answers_.back().what = What::given;
  process({gap(kBtc, 4711, 4720)});
  start();
  process();
  pass(4min);
  EXPECT_EQ(asked().size(), 1u);
  EXPECT_EQ(metrics_.gauge("truetape_backfill_unable", "", {{"venue", "binance"}}).value(), 1);
  process();
  pass(7min);
  EXPECT_EQ(asked().size(), 3u);
  EXPECT_EQ(told_,
            "binance: what is missing cannot be asked for: it wants an API key. The gaps stay open meanwhile\n"
            "binance: answers again\n");
  EXPECT_THAT(said(), ElementsAre("4711-4720 more"));
  EXPECT_EQ(metrics_.gauge("truetape_backfill_unable", "", {{"venue", "binance"}}).value(), 0);
}

TEST_F(BackfillTest, AfterTroubleItIsAskedAgainLaterAndLater) {
  answers_ = {without(What::trouble, "no connection")};
  process({gap(kBtc, 4711, 4720)});
  start();
  for (int i = 0; i < 60; ++i) {
    process();
    pass(10s);
  }
  EXPECT_GT(asked().size(), 5u);
  EXPECT_LT(asked().size(), 20u);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(BackfillTest, AQuestionThatFailsKeepsItFromNoOther) {
  answers_ = {without(What::trouble, "status 500"), FillAnswer{}, without(What::trouble, "status 500"), FillAnswer{}};
  answers_[1].what = answers_[3].what = What::given;
  process({gap(kBtc, 4711, 4720), gap(kBtc, 9000, 9001, 3600s), gap(kEth, 7, 8, 7200s)});
  start();
  for (int i = 0; i < 20; ++i) {
    process();
    pass(1s);
  }
  const auto after = asked();
  ASSERT_GE(after.size(), 4u);
  EXPECT_EQ(after[0], "7-8");
  EXPECT_EQ(after[1], "9000-9001") << "the newest of those that did not fail";
  EXPECT_EQ(after[2], "4711-4720");
  EXPECT_NE(std::ranges::find(after.begin() + 3, after.end(), "7-8"), after.end()) << "and then again";
}

TEST_F(BackfillTest, NorDoesOneThatTheVenueDoesNotAnswerUsAt) {
  answers_ = {without(What::unable, "status 403"), FillAnswer{}};
  answers_.back().what = What::given;
  process({gap(kBtc, 4711, 4720), gap(kBtc, 9000, 9001, 3600s)});
  start();
  process();
  pass(6min);
  const auto after = asked();
  ASSERT_GE(after.size(), 2u);
  EXPECT_EQ(after[0], "9000-9001");
  EXPECT_EQ(after[1], "4711-4720");
}

TEST_F(BackfillTest, WhatIsTooOldToBeHadKeepsItFromNothingYoung) {
  const auto times = [this](std::string_view question) {
    const auto all = asked();
    return std::ranges::count(all, question);
  };
  answers_ = {without(What::too_old, "it wants an API key"), FillAnswer{}};
  answers_.back().what = What::given;
  process({gap(kBtc, 4711, 4720), gap(kBtc, 9000, 9001, 3600s)});
  start();
  process();
  pass(2s);
  EXPECT_THAT(asked(), testing::Contains("4711-4720"));
  EXPECT_EQ(times("9000-9001"), 1);
  EXPECT_EQ(metrics_.gauge("truetape_backfill_unable", "", {{"venue", "binance"}}).value(), 1);
  EXPECT_EQ(
      told_,
      "binance: BTCUSDT 9000-9001 and what is as old cannot be asked for: it wants an API key. The gaps stay open "
      "meanwhile\n");
  process();
  pass(4min);
  EXPECT_EQ(times("9000-9001"), 1);
  process();
  pass(2min);
  EXPECT_EQ(times("9000-9001"), 2);
  EXPECT_EQ(metrics_.gauge("truetape_backfill_unable", "", {{"venue", "binance"}}).value(), 0);
}

TEST_F(BackfillTest, TheSkippedIdsStandInTheAnswer) {
  FillAnswer given;
  given.what = What::given;
  given.absent = {{4712, 4713}, {4715, 4715}};
  answers_ = {given};
  process({gap(kBtc, 4711, 4720)});
  start();
  pass(1s);
  ASSERT_GE(said().size(), 1u);
  EXPECT_EQ(said()[0], "4711-4720 more skipped 4712-4713,4715-4715");
}

}  // namespace
}  // namespace truetape
