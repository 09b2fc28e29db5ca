#include "app/lines.h"

#include <gtest/gtest.h>

#include <vector>

namespace truetape::app {
namespace {

using namespace std::chrono_literals;

class LinesTest : public testing::Test {
 protected:
  Lines make(Lines::Format format = Lines::Format::text) {
    return Lines{clock_, format, [this](Level level, const std::string& line) {
                   told_.push_back(line);
                   levels_.push_back(level);
                 }};
  }
  ManualClock clock_{parse_rfc3339("2026-11-22T04:47:00.123999Z").value()};
  std::vector<std::string> told_;
  std::vector<Level> levels_;
};

TEST_F(LinesTest, ALineHasTimeLevelRoleAndSentence) {
  Lines lines = make();
  lines.say(Level::info, "run", "stopping");
  lines.say(Level::warning, "load", "the store is locked\nby somebody");
  lines.say(Level::error, "ingest", "the venue has no symbol X");
  EXPECT_EQ(told_, (std::vector<std::string>{
                       "2026-11-22T04:47:00.123Z info run: stopping",
                       "2026-11-22T04:47:00.123Z warning load: the store is locked by somebody",
                       "2026-11-22T04:47:00.123Z error ingest: the venue has no symbol X",
                   }));
  EXPECT_EQ(levels_, (std::vector{Level::info, Level::warning, Level::error}));
}

TEST_F(LinesTest, JsonIsOneObjectALine) {
  Lines lines = make(Lines::Format::json);
  lines.say(Level::warning, "serve", "a \"quoted\"\nline");
  EXPECT_EQ(
      told_,
      (std::vector<std::string>{
          R"({"time":"2026-11-22T04:47:00.123Z","level":"warning","role":"serve","text":"a \"quoted\"\nline"})"}));
}

TEST_F(LinesTest, TheSameSentenceIsToldOnceAMinuteAndCounted) {
  Lines lines = make();
  for (int i = 0; i < 38; ++i) lines.say(i == 20 ? Level::error : Level::warning, "load", "the store is locked");
  lines.say(Level::info, "run", "the store is locked");  // another role's
  EXPECT_EQ(told_.size(), 2U);
  clock_.advance(59s);
  lines.tell_repeats();
  EXPECT_EQ(told_.size(), 2U);
  clock_.advance(1s);
  lines.tell_repeats();
  ASSERT_EQ(told_.size(), 3U);
  EXPECT_EQ(told_[2], "2026-11-22T04:48:00.123Z error load: the store is locked … 37 times more");
  lines.say(Level::warning, "load", "the store is locked");  // a new minute
  lines.say(Level::warning, "load", "the store is locked");
  EXPECT_EQ(told_.size(), 4U);
  lines.tell_repeats(true);
  EXPECT_EQ(told_.back(), "2026-11-22T04:48:00.123Z warning load: the store is locked … once more");
}

TEST_F(LinesTest, SentencesThatDifferInNumbersAreToldTenTimesAMinute) {
  Lines lines = make();
  for (int i = 0; i < 25; ++i)
    lines.say(Level::warning, "serve", "candles/3 offset " + std::to_string(i * 7) + " is left out");
  EXPECT_EQ(told_.size(), 10U);
  clock_.advance(1min);
  lines.say(Level::info, "run", "another");
  ASSERT_EQ(told_.size(), 12U);
  EXPECT_EQ(told_[10], "2026-11-22T04:48:00.123Z warning serve: candles/3 offset 168 is left out … 15 times more");
}

TEST_F(LinesTest, WhatIsKeptIsBounded) {
  Lines lines = make();
  for (int i = 0; i < 5'000; ++i) {
    const std::string word(static_cast<std::size_t>(i % 70), static_cast<char>('a' + i % 26));
    lines.say(Level::info, "run", word + std::to_string(i));
  }
  clock_.advance(2min);
  told_.clear();
  lines.tell_repeats();
  EXPECT_LE(told_.size(), 1'000U);
}

}  // namespace
}  // namespace truetape::app
