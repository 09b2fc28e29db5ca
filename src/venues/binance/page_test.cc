#include "venues/binance/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace truetape::binance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(Page, IdsAndWhatLiesBetweenNeighbours) {
  const Page page = read_page(R"( [{"id":4,"price":"1"}, {"id":5},{"id":9}] )", Tape::trade);
  EXPECT_EQ(page.problem, "");
  EXPECT_TRUE(page.rising);
  EXPECT_THAT(page.ids, ElementsAre(4, 5, 9));
  EXPECT_THAT(page.elements, ElementsAre(R"({"id":4,"price":"1"})", R"({"id":5})", R"({"id":9})"));
  EXPECT_THAT(page.absent, ElementsAre(Pair(6, 8)));
}

TEST(Page, AggregatesAreNumberedByA) {
  EXPECT_THAT(read_page(R"([{"a":26129,"f":27781,"l":27781}])", Tape::agg).ids, ElementsAre(26129));
  EXPECT_THAT(read_page(R"([{"a":26129}])", Tape::trade).ids, IsEmpty());
}

TEST(Page, AnElementWithoutAReadableIdEndsTheNeighbourhood) {
  for (const char* between : {R"({"id":"7"})", R"({"id":1.5})", R"({"price":"1"})", R"({"id":99999999999999999999})",
                              "7", "null", R"({"id":7,"id":8})"}) {
    const Page page = read_page(std::string{R"([{"id":4},)"} + between + R"(,{"id":9}])", Tape::trade);
    EXPECT_EQ(page.problem, "") << between;
    EXPECT_THAT(page.ids, ElementsAre(4, 9)) << between;
    EXPECT_THAT(page.absent, IsEmpty()) << between;
    EXPECT_EQ(page.elements.size(), 3u) << between;
  }
}

TEST(Page, OfIdsThatDoNotRiseNothingIsConcluded) {
  for (const char* text : {R"([{"id":4},{"id":9},{"id":6}])", R"([{"id":4},{"id":4},{"id":7}])"}) {
    const Page page = read_page(text, Tape::trade);
    EXPECT_EQ(page.problem, "") << text;
    EXPECT_FALSE(page.rising) << text;
    EXPECT_THAT(page.absent, IsEmpty()) << text;
  }
}

TEST(Page, WhatIsNoPageSaysWhy) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is empty"},
      {" \n", "is empty"},
      {"<html>", "is no array"},
      {R"({"code":0})", "is no array"},
      {R"([{"id":4},{"id":)", "ends where a value is needed (byte 16)"},
      {R"([{"id":4})", "has no comma where one is needed (byte 9)"},
      {R"([{"id":4}]])", "goes on behind its end (byte 10)"},
  };
  for (const auto& [text, problem] : cases) EXPECT_EQ(read_page(text, Tape::trade).problem, problem) << text;
  EXPECT_EQ(read_page("[]", Tape::trade).problem, "");
}

}  // namespace
}  // namespace truetape::binance
