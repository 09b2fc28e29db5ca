#include "venues/feed_wildcards.h"

#include <gtest/gtest.h>

namespace truetape::feeds {
namespace {

Instrument of(std::string_view symbol) { return *Instrument::of("acme", symbol); }
std::set<Instrument> all(std::initializer_list<std::string_view> symbols) {
  std::set<Instrument> out;
  for (const std::string_view symbol : symbols) out.insert(of(symbol));
  return out;
}
std::vector<Offered> offered(std::initializer_list<std::tuple<std::string_view, std::string_view, double>> rows) {
  std::vector<Offered> out;
  for (const auto& [symbol, quote, turnover] : rows) out.push_back({of(symbol), std::string{quote}, turnover});
  return out;
}

TEST(Wildcards, NamedOnesAreWantedBeforeAnyListAndSelectedOnesWithIt) {
  Wildcards wildcards;
  wildcards.want(all({"A-X", "*/Y"}));
  EXPECT_TRUE(wildcards.any());
  EXPECT_TRUE(wildcards.ranked().empty());
  EXPECT_EQ(wildcards.instruments(), all({"A-X"}));
  EXPECT_TRUE(wildcards.listed(offered({{"A-X", "X", 0}, {"B-X", "X", 0}, {"B-Y", "Y", 0}, {"C-Y", "Y", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-Y", "C-Y"}));
}

TEST(Wildcards, ListingsComeAndDelistingsGoButWhatIsNamedStays) {
  Wildcards wildcards;
  wildcards.want(all({"A-X", "*"}));
  wildcards.listed(offered({{"A-X", "X", 0}, {"B-X", "X", 0}, {"C-X", "X", 0}}));
  EXPECT_TRUE(wildcards.listed(offered({{"B-X", "X", 0}, {"C-X", "X", 0}, {"D-X", "X", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-X", "D-X"}));
  wildcards.want(all({"A-X"}));
  EXPECT_FALSE(wildcards.any());
  EXPECT_EQ(wildcards.instruments(), all({"A-X"}));
}

TEST(Wildcards, WhoIsGreatestInAThinQuoteStaysWhatItWas) {
  Wildcards wildcards;
  const auto list = offered({{"A-X", "X", 40}, {"B-X", "X", 30}, {"A-Y", "Y", 1}, {"B-Y", "Y", 2}});
  EXPECT_TRUE(wildcards.want(all({"*/X#1", "*/Y#1"})));
  EXPECT_TRUE(wildcards.listed(list, {"Y"}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X"}));
  EXPECT_TRUE(wildcards.idle().empty()) << "its meaning is not known";
  EXPECT_TRUE(wildcards.listed(list));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-Y"}));
  EXPECT_TRUE(wildcards.listed(offered({{"B-X", "X", 40}, {"A-X", "X", 1}, {"A-Y", "Y", 9}}), {"X", "Y"}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-Y"}));
  // Another one instead: what the old one meant goes only once it is known what the new one means.
  EXPECT_TRUE(wildcards.want(all({"*/X#1", "*/Y#2"})));
  EXPECT_TRUE(wildcards.listed(list, {"Y"}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-Y"}));
  EXPECT_TRUE(wildcards.listed(offered({{"A-X", "X", 40}, {"A-Y", "Y", 1}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "A-Y"}));
}

TEST(Wildcards, TheGreatestStayUntilTheyAreFarFromIt) {
  Wildcards wildcards;
  wildcards.want(all({"*/X#2"}));
  EXPECT_EQ(wildcards.ranked(), std::set<std::string>{"X"});
  wildcards.listed(offered({{"A-X", "X", 40}, {"B-X", "X", 30}, {"C-X", "X", 20}, {"D-X", "X", 10}, {"E-Y", "Y", 99}}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X"}));
  wildcards.listed(offered({{"A-X", "X", 40}, {"B-X", "X", 20}, {"C-X", "X", 30}, {"D-X", "X", 10}}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X"})) << "third of two: stays";
  wildcards.listed(offered({{"A-X", "X", 40}, {"B-X", "X", 5}, {"C-X", "X", 30}, {"D-X", "X", 10}}));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "C-X"})) << "fourth of two: goes";
}

TEST(Wildcards, WhatWasMeantStaysUntilTheListTellsWhatIsMeantNow) {
  Wildcards wildcards;
  EXPECT_TRUE(wildcards.want(all({"*/X"})));
  wildcards.listed(offered({{"A-X", "X", 1}, {"B-X", "X", 2}}));
  EXPECT_FALSE(wildcards.want(all({"*/X", "C-Y"}))) << "its meaning is known";
  EXPECT_TRUE(wildcards.want(all({"*/X#1"})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X"})) << "no list has come since";
  wildcards.listed(offered({{"A-X", "X", 1}, {"B-X", "X", 2}}));
  EXPECT_EQ(wildcards.instruments(), all({"B-X"}));
}

TEST(Wildcards, AListWithoutMostOfWhatWasSelectedIsBelievedTheSecondTime) {
  Wildcards wildcards;
  wildcards.want(all({"*"}));
  wildcards.listed(offered({{"A-X", "X", 0}, {"B-X", "X", 0}, {"C-X", "X", 0}}));
  EXPECT_FALSE(wildcards.listed(offered({{"A-X", "X", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-X"}));
  EXPECT_TRUE(wildcards.listed(offered({{"A-X", "X", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X"}));
}

TEST(Wildcards, AnEmptyListIsNeverBelieved) {
  Wildcards wildcards;
  wildcards.want(all({"*"}));
  wildcards.listed(offered({{"A-X", "X", 0}, {"B-X", "X", 0}, {"C-X", "X", 0}}));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(wildcards.listed({}));
    EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-X"}));
  }
  // Nor is it the first of two that say the same.
  EXPECT_FALSE(wildcards.listed(offered({{"A-X", "X", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-X"}));
  EXPECT_FALSE(wildcards.listed({}));
  EXPECT_TRUE(wildcards.listed(offered({{"A-X", "X", 0}, {"D-Y", "Y", 0}})));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "D-Y"}));
}

TEST(Wildcards, AHaltLeavesWhatWasSelectedAndADelistingDoesNot) {
  Wildcards wildcards;
  wildcards.want(all({"*/X", "*/Y#1"}));
  const auto list = offered({{"A-X", "X", 3}, {"B-X", "X", 2}, {"C-Y", "Y", 2}, {"D-Y", "Y", 1}});
  ASSERT_TRUE(wildcards.listed(list));
  ASSERT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-Y"}));
  auto halted = list;
  halted.push_back({of("E-X"), "X", 9});
  for (Offered& one : halted) one.trades = false;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(wildcards.listed(halted));
    EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-Y"})) << "E-X was halted before it was selected";
  }
  std::erase_if(halted, [](const Offered& one) { return one.instrument == of("B-X"); });
  EXPECT_TRUE(wildcards.listed(halted));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "C-Y"})) << "delisted";
  EXPECT_TRUE(wildcards.listed(list));
  EXPECT_EQ(wildcards.instruments(), all({"A-X", "B-X", "C-Y"}));
}

}  // namespace
}  // namespace truetape::feeds
