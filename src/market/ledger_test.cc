#include "market/ledger.h"

#include <gtest/gtest.h>

#include <string>

namespace truetape::market {
namespace {

using Kind = Ledger::Change::Kind;

Timestamp at(std::uint64_t id) { return timestamp_ns(static_cast<std::int64_t>(id) * 1'000'000'000); }

// The ids of a ledger as text: "3-5 8-8".
std::string runs(const Ledger& ledger) {
  if (ledger.empty()) return "";
  std::string out = std::to_string(ledger.first().id) + "-";
  for (const auto& [key, hole] : ledger.holes())
    out += std::to_string(hole.left) + " " + std::to_string(hole.right) + "-";
  return out + std::to_string(ledger.top().id);
}

struct Step {
  std::uint64_t id;
  Kind kind;
  std::string runs;
};

TEST(Ledger, EveryWayAnIdCanJoin) {
  Ledger ledger;
  for (const Step& step : std::vector<Step>{{10, Kind::first, "10-10"},
                                            {11, Kind::top, "10-11"},
                                            {11, Kind::known, "10-11"},
                                            {20, Kind::top_hole, "10-11 20-20"},
                                            {12, Kind::fill_left, "10-12 20-20"},
                                            {19, Kind::fill_right, "10-12 19-20"},
                                            {15, Kind::split, "10-12 15-15 19-20"},
                                            {14, Kind::fill_right, "10-12 14-15 19-20"},
                                            {13, Kind::fill_last, "10-15 19-20"},
                                            {9, Kind::below, "9-15 19-20"},
                                            {5, Kind::below_hole, "5-5 9-15 19-20"},
                                            {17, Kind::split, "5-5 9-15 17-17 19-20"}}) {
    EXPECT_EQ(ledger.insert(step.id, at(step.id), std::nullopt).kind, step.kind) << step.id;
    EXPECT_EQ(runs(ledger), step.runs);
  }
  for (const auto& [id, known] : {std::pair{4U, false},
                                  {5U, true},
                                  {6U, false},
                                  {8U, false},
                                  {9U, true},
                                  {16U, false},
                                  {18U, false},
                                  {20U, true},
                                  {21U, false}})
    EXPECT_EQ(ledger.knows(id), known) << id;
}

TEST(Ledger, HolesKeepTheTimesOfTheirNeighbours) {
  Ledger ledger;
  ledger.insert(1, at(1), std::nullopt);
  ledger.insert(9, at(9), std::nullopt);
  ledger.insert(4, at(4), std::nullopt);
  const auto first = ledger.holes().begin();
  EXPECT_EQ(first->second.left_time, at(1));
  EXPECT_EQ(first->second.right_time, at(4));
  EXPECT_EQ(std::next(first)->second.missing(), 4U);
  EXPECT_TRUE(first->second.touches(at(1), at(2)));
  EXPECT_FALSE(first->second.touches(at(0), at(1)));  // t_hi(left) < e must hold
  EXPECT_TRUE(first->second.touches(at(4), at(5)));   // t_lo(right) >= s
  EXPECT_FALSE(first->second.touches(at(5), at(6)));
}

TEST(Ledger, TheFirstHoleReachingATimeEndsTheFirstRunThatDoes) {
  Ledger ledger;
  for (const std::uint64_t id : {1U, 5U, 6U, 20U}) ledger.insert(id, at(id), std::nullopt);
  EXPECT_EQ(ledger.first_hole_reaching(at(1))->second.left, 1U);
  EXPECT_EQ(ledger.first_hole_reaching(at(2))->second.left, 6U);
  EXPECT_EQ(ledger.first_hole_reaching(at(6))->second.left, 6U);
  EXPECT_EQ(ledger.first_hole_reaching(at(7)), ledger.holes().end());
}

TEST(Ledger, AbsentIdsShrinkTheHoleOrRaiseTheTop) {
  Ledger ledger;
  ledger.insert(1, at(1), std::nullopt);
  ledger.insert(10, at(10), std::nullopt);
  const auto inside = ledger.absorb(1, 5);  // 2..4 do not exist, 5 comes next
  ASSERT_EQ(inside.size(), 1U);
  EXPECT_EQ(inside[0].last, 4U);
  EXPECT_FALSE(inside[0].ended);
  EXPECT_EQ(runs(ledger), "1-4 10-10");
  EXPECT_EQ(ledger.holes().begin()->second.left_time, at(1));  // an absent id has no time of its own
  EXPECT_EQ(ledger.insert(5, at(5), std::nullopt).kind, Kind::fill_left);

  const auto above = ledger.absorb(10, 13);  // 11 and 12 do not exist
  ASSERT_EQ(above.size(), 1U);
  EXPECT_EQ(above[0].hole.right, 0U);
  EXPECT_EQ(ledger.insert(13, at(13), std::nullopt).kind, Kind::top);

  const auto bridged = ledger.bridge(5, 10);
  ASSERT_EQ(bridged.size(), 1U);
  EXPECT_TRUE(bridged[0].ended);
  EXPECT_EQ(runs(ledger), "1-13");
}

TEST(Ledger, AHoleRemembersTheTradeBelowIt) {
  Ledger ledger;
  const auto point = [](std::uint64_t id) {
    return std::optional{Point{at(id), id, Decimal{static_cast<std::int64_t>(id), 0}}};
  };
  ledger.insert(1, at(1), point(1));
  ledger.insert(10, at(10), std::nullopt);  // a marker: no price
  ledger.insert(2, at(2), point(2));
  EXPECT_EQ(ledger.holes().begin()->second.before, point(2));
  ledger.insert(3, at(3), std::nullopt);
  EXPECT_EQ(ledger.holes().begin()->second.before, point(2));
}

}  // namespace
}  // namespace truetape::market
