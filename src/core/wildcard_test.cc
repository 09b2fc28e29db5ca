#include "core/wildcard.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

TEST(Wildcard, AllByQuoteAndTheGreatest) {
  struct Case {
    std::string_view text, quote;
    std::uint32_t top;
  };
  for (const Case& c : {Case{"binance:*", "", 0}, Case{"binance:*/USDT", "USDT", 0},
                        Case{"kucoin:*/USDT#50", "USDT", 50}, Case{"binance:*/BTC#10000", "BTC", 10'000}}) {
    const auto instrument = Instrument::parse(c.text);
    ASSERT_TRUE(instrument) << c.text;
    EXPECT_TRUE(is_wildcard(*instrument)) << c.text;
    EXPECT_EQ(wildcard_of(*instrument), (Wildcard{std::string{c.quote}, c.top})) << c.text;
  }
}

TEST(Wildcard, WhatIsWrittenOtherwiseIsNone) {
  for (const std::string_view text :
       {"binance:BTCUSDT", "binance:*USDT", "binance:*/", "binance:*/#5", "binance:*#", "binance:*/A#0",
        "binance:*/A#10001", "binance:*/A#-1", "binance:*/A#5x", "binance:*/usdt", "binance:**", "binance:*/A/B"})
    EXPECT_EQ(wildcard_of(*Instrument::parse(text)), std::nullopt) << text;
  EXPECT_FALSE(is_wildcard(*Instrument::parse("finnhub:BINANCE:BTCUSDT")));
}

TEST(Wildcard, TheGreatestAreOfOneQuote) {
  for (const std::string_view text : {"binance:*#50", "binance-usdm:*#1", "kucoin:*#10000"}) {
    EXPECT_EQ(wildcard_of(*Instrument::parse(text)), std::nullopt) << text;
    EXPECT_TRUE(is_wildcard(*Instrument::parse(text))) << text;
  }
}

TEST(Wildcard, MayMeanWhatIsPricedInItsQuote) {
  EXPECT_TRUE(may_mean({}, "BTC"));
  EXPECT_TRUE(may_mean({"USDT", 5}, "USDT"));
  EXPECT_FALSE(may_mean({"USDT", 0}, "BTC"));
  EXPECT_FALSE(may_mean({"USDT", 0}, ""));
}

}  // namespace
}  // namespace truetape
