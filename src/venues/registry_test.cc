#include <gtest/gtest.h>

#include <set>

#include "venues/venue.h"

namespace truetape {
namespace {

TEST(Registry, FindsEachVenueByItsNameAndNoOther) {
  std::set<std::string_view> names;
  for (const Venue& venue : venues()) {
    EXPECT_TRUE(names.insert(venue.name).second) << venue.name;
    EXPECT_EQ(find_venue(venue.name), &venue);
    EXPECT_TRUE(Instrument::of(venue.name, "X").has_value()) << venue.name;
    EXPECT_NE(venue.route, nullptr);
    EXPECT_NE(venue.sent_time, nullptr);
    EXPECT_NE(venue.decode, nullptr);
  }
  EXPECT_EQ(find_venue("binance")->trade_ids, TradeIds::contiguous);
  EXPECT_EQ(find_venue("binance-usdm")->trade_ids, TradeIds::contiguous);
  EXPECT_EQ(find_venue("finnhub")->trade_ids, TradeIds::none);
  EXPECT_EQ(find_venue("kucoin")->trade_ids, TradeIds::rising);
  EXPECT_EQ(find_venue("binance-"), nullptr);
  EXPECT_EQ(find_venue(""), nullptr);
}

}  // namespace
}  // namespace truetape
