#include "venues/feed_clock.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

using namespace std::chrono_literals;

const Timestamp kNow = *parse_rfc3339("2024-08-08T23:59:00Z");
constexpr VenueClock::SteadyTime kSteady{1000s};

// What the venue's REST time says `later` after kSteady, if its clock is `ahead` of ours and each way takes `way`.
void ask(VenueClock& clock, Nanoseconds ahead, Nanoseconds later = 0s, Nanoseconds way = 20ms) {
  const auto server = std::chrono::floor<std::chrono::milliseconds>(kNow + later + ahead - way);
  clock.answered(server, kNow + later - 2 * way, kNow + later, kSteady + later);
}

TEST(VenueClockTest, NothingIsKnownAtFirst) {
  const VenueClock clock;
  EXPECT_FALSE(clock.known());
  EXPECT_FALSE(clock.at(kSteady));
  EXPECT_FALSE(clock.offset(kNow, kSteady));
  EXPECT_FALSE(clock.doubtful());
}

TEST(VenueClockTest, TheVenuesAnswerLiesInTheMiddleOfItsWay) {
  VenueClock clock;
  ask(clock, 5min);
  EXPECT_EQ(clock.offset(kNow, kSteady), 5min + 500us);  // the millisecond is cut off, half of it on average
  EXPECT_EQ(clock.error(), 20ms + 500us);
  EXPECT_EQ(clock.at(kSteady + 1h), kNow + 1h + 5min + 500us);
}

TEST(VenueClockTest, AStepOfOurWallClockChangesOurOffsetAndNotTheVenuesTime) {
  VenueClock clock;
  ask(clock, -5min);
  // Ten seconds later our wall clock was set ahead by five minutes.
  EXPECT_EQ(clock.at(kSteady + 10s), kNow + 10s - 5min + 500us);
  EXPECT_EQ(clock.offset(kNow + 10s + 5min, kSteady + 10s), -10min + 500us);
}

TEST(VenueClockTest, TheShortestWayCountsUnlessItIsOld) {
  VenueClock clock;
  ask(clock, 100ms, 0s, 10ms);
  ask(clock, 130ms, 10s, 200ms);
  EXPECT_EQ(clock.offset(kNow, kSteady), 100ms + 500us);
  ask(clock, 120ms, 1h, 50ms);  // 360 ms of drift are possible by then
  EXPECT_EQ(clock.offset(kNow, kSteady), 120ms + 500us);
  EXPECT_EQ(clock.error(), 50ms + 500us);
}

TEST(VenueClockTest, AnAnswerThatContradictsAllBeforeReplacesThem) {
  VenueClock clock;
  for (int i = 0; i < 8; ++i) ask(clock, 0s, i * 1min, 1ms);
  ask(clock, 10min, 9min, 100ms);  // the machine has slept: its steady clock stood still
  EXPECT_EQ(clock.offset(kNow, kSteady), 10min + 500us);
  EXPECT_EQ(clock.error(), 100ms + 500us);
}

TEST(VenueClockTest, AnswersAroundAStepOfOurClockOrWithALongWayCountNothing) {
  VenueClock clock;
  clock.answered(kNow, kNow + 1s, kNow, kSteady);
  EXPECT_FALSE(clock.known());
  clock.answered(kNow, kNow - 11s, kNow, kSteady);
  EXPECT_FALSE(clock.known());
}

TEST(VenueClockTest, FramesTellWhatTheVenueHasNotAnswered) {
  VenueClock clock;
  for (const Nanoseconds way : {30ms, 25ms, 90ms, 28ms}) clock.heard(kNow + 2s - way, kSteady);
  EXPECT_FALSE(clock.known()) << "too few to tell damage";
  clock.heard(kNow + 2s - 31ms, kSteady);
  clock.heard(kNow + 24h, kSteady);  // damage
  EXPECT_EQ(clock.offset(kNow, kSteady), 2s - 25ms);
  EXPECT_EQ(clock.error(), 1s);
  ask(clock, 2s);
  EXPECT_EQ(clock.offset(kNow, kSteady), 2s + 500us) << "and its answer is better";
}

// Frames that waited while nobody read say when they were read; timely ones must not look as if they came from the
// future.
TEST(VenueClockTest, FramesThatCameLateHardlyMoveIt) {
  VenueClock clock;
  for (int i = 0; i < 20; ++i) clock.heard(kNow - 18s + i * 500ms, kSteady);
  for (int i = 0; i < 11; ++i) clock.heard(kNow - 40ms, kSteady);
  EXPECT_EQ(clock.offset(kNow, kSteady), -40ms);
}

TEST(VenueClockTest, FramesFromTheFutureOrLongPastAskForANewAnswer) {
  for (const auto& [sent, doubt] :
       {std::pair<Nanoseconds, bool>{-30ms, false}, {900ms, false}, {1100ms, true}, {-29s, false}, {-31s, true}}) {
    VenueClock clock;
    ask(clock, 0s);
    for (int i = 0; i < 30; ++i) clock.heard(kNow + sent, kSteady);
    EXPECT_FALSE(clock.doubtful()) << "too few frames";
    clock.heard(kNow + sent, kSteady);
    EXPECT_EQ(clock.doubtful(), doubt) << sent.count();
  }
}

}  // namespace
}  // namespace truetape
