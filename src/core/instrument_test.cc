#include "core/instrument.h"

#include <gtest/gtest.h>

#include "core/text.h"

namespace truetape {
namespace {

TEST(Instrument, HasVenueAndSymbol) {
  const auto i = Instrument::parse("finnhub:BINANCE:BTCUSDT");
  ASSERT_TRUE(i);
  EXPECT_EQ(i->venue(), "finnhub");
  EXPECT_EQ(i->symbol(), "BINANCE:BTCUSDT");
  EXPECT_EQ(i->text(), "finnhub:BINANCE:BTCUSDT");
  EXPECT_EQ(i, Instrument::of("finnhub", "BINANCE:BTCUSDT"));
  EXPECT_TRUE(Instrument{}.empty());
  EXPECT_TRUE(Instrument::parse("binance-usdm:1000SHIBUSDT"));
  EXPECT_TRUE(Instrument::parse("a:" + std::string(60, 'X')));
  EXPECT_LT(*Instrument::parse("binance:BTCUSDT"), *Instrument::parse("binance:ETHUSDT"));
  EXPECT_LT(*Instrument::parse("binance:BTC"), *Instrument::parse("binance:BTCUSDT"));
  const std::string too_long = "a:" + std::string(61, 'X');
  for (const char* text :
       {"", ":", "binance", "binance:", ":BTCUSDT", "Binance:BTCUSDT", "bi nance:BTCUSDT", "binance:BTC USDT",
        "binance:BTC,USDT", "binance:BTC\n", "binance:BTC\x7f", too_long.c_str()})
    EXPECT_EQ(Instrument::parse(text), std::nullopt) << text;
}

// Computed by a Python port of org.apache.kafka.common.utils.Utils.murmur2 that gives Kafka's own test values.
TEST(Instrument, PartitionIsWhatKafkasJavaClientTakes) {
  struct Case {
    const char* text;
    std::int32_t hash;  // toPositive(murmur2)
  };
  for (const Case& c : {Case{"binance:BTCUSDT", 1'840'822'121}, Case{"binance-usdm:BTCUSDT", 1'838'404'877},
                        Case{"kucoin:BTC-USDT", 1'367'377'883}, Case{"finnhub:AAPL", 275'279'619},
                        Case{"v:A", 1'606'403'853}, Case{"v:AB", 1'107'501'440}, Case{"v:Ä", 265'126'448}}) {
    const auto i = Instrument::parse(c.text);
    ASSERT_TRUE(i) << c.text;
    for (const std::int32_t partitions : {1, 2, 3, 8, 50, 1'000'003, INT32_MAX})
      EXPECT_EQ(partition_of(*i, partitions), c.hash % partitions) << c.text << ' ' << partitions;
  }
}

TEST(Instrument, Murmur2IsKafkas) {
  struct Case {
    const char* text;
    std::int32_t hash;
  };
  // org.apache.kafka.common.utils.UtilsTest.testMurmur2
  for (const Case& c :
       {Case{"21", -973'932'308}, Case{"foobar", -790'332'482}, Case{"a-little-bit-long-string", -985'981'536},
        Case{"a-little-bit-longer-string", -1'486'304'829},
        Case{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58'897'971}, Case{"abc", 479'470'107}})
    EXPECT_EQ(static_cast<std::int32_t>(murmur2(c.text)), c.hash) << c.text;
}

TEST(Text, IsCutRefusedAndOrdered) {
  EXPECT_EQ(Text<3>::from("abcd"), std::nullopt);
  EXPECT_EQ(Text<3>::from("abc")->view(), "abc");
  EXPECT_EQ(Text<3>::cut("abcd").view(), "abc");
  EXPECT_TRUE(Text<3>{}.empty());
  EXPECT_LT(Text<3>::cut("ab"), Text<3>::cut("abc"));
  EXPECT_LT(Text<3>::cut("abc"), Text<3>::cut("\xff"));  // by bytes, unsigned
}

}  // namespace
}  // namespace truetape
