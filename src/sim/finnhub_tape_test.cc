#include "sim/finnhub_tape.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>

#include "sim/finnhub_messages.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;
using finnhub::Class;

class FinnhubTapeTest : public testing::Test {
 protected:
  std::unique_ptr<Tape> read(const std::string& text, CaptureCounts& counts) {
    const std::string path =
        testing::TempDir() + "finnhub_tape_" + std::to_string(getpid()) + "_" + std::to_string(++files_) + ".jsonl";
    std::ofstream{path} << text;
    auto tape = open_capture({.product = Product::finnhub, .sources = {{.file = path}}}, &counts);
    if (tape) return std::move(*tape);
    error_ = tape.error().detail;
    return nullptr;
  }
  int files_ = 0;
  std::string error_;
};

// Messages as the tape's groups make them.
std::vector<std::string> messages_of(Tape& tape) {
  std::vector<std::string> result, items;
  TapeEvent event;
  while (tape.next(event)) {
    if (const auto* deal = std::get_if<Deal>(&event.what)) {
      items.push_back(finnhub::trade_item(tape.listings()[event.instrument], *deal));
      if (deal->ends) result.push_back(finnhub::data_message(std::exchange(items, {}), "trade"));
    } else if (const auto* news = std::get_if<News>(&event.what)) {
      items.push_back(finnhub::news_item(*news));
      if (news->ends) result.push_back(finnhub::data_message(std::exchange(items, {}), "news"));
    }
  }
  return result;
}

TEST_F(FinnhubTapeTest, MessagesComeBackByteForByte) {
  const std::vector<std::string> lines{
      R"({"data":[{"c":["1","12"],"p":164.0601,"s":"AAPL","t":1680286537580,"v":5},{"c":["1","8"],"p":164.06,"s":"AAPL","t":1680286538064,"v":142},{"c":["1","8"],"p":164.06,"s":"AAPL","t":1680286538064,"v":142}],"type":"trade"})",
      R"({"data":[{"c":null,"p":66972.77,"s":"BINANCE:BTCUSDT","t":1721555886208,"v":0.0001},{"c":[],"p":255,"s":"TSLA","t":1721555886100,"v":1e-07},{"p":1.0841,"s":"OANDA:EUR_USD","t":1721555886100,"v":0}],"type":"trade"})",
      R"({"data":[{"category":"company","datetime":1721555888,"headline":"A \"B\" \\ C","id":119440189,"image":"https://i.invalid/1","related":"CVVUF","source":"Yahoo","summary":"","url":"https://n.invalid/1"}],"type":"news"})"};
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  CaptureCounts counts;
  const auto tape =
      read(text + R"({"type":"ping"})" + '\n' + R"({"data":[],"type":"trade"})" + '\n' +
               R"({"data":[{"p":1,"s":"AAPL","t":1680286537580,"v":1},{"p":"x"}],"type":"trade"})" + "\n{\n",
           counts);
  ASSERT_TRUE(tape) << error_;
  EXPECT_EQ(counts.trades, 6u);
  EXPECT_EQ(counts.news, 1u);
  EXPECT_EQ(counts.others, 2u);
  EXPECT_EQ(counts.unreadable, 2u);
  EXPECT_EQ(to_ms(tape->begin()), 1680286538064) << "when its latest trade happened";
  EXPECT_EQ(messages_of(*tape), lines);
}

TEST_F(FinnhubTapeTest, TradesAreNumberedBySymbolAndReceiveTimesCount) {
  CaptureCounts counts;
  const auto tape = read(
      R"(1680286539000000000 {"data":[{"p":1,"s":"A","t":1680286537580,"v":1},{"p":2,"s":"B","t":1680286537580,"v":1},{"p":3,"s":"A","t":1680286537580,"v":1}],"type":"trade"}
1680286538000000000 {"type":"trade","data":[{"v":1,"t":1680286537580,"s":"A","p":4}]}
)",
      counts);
  ASSERT_TRUE(tape) << error_;
  std::vector<std::string> got;
  TapeEvent event;
  while (tape->next(event)) {
    const auto& deal = std::get<Deal>(event.what);
    got.push_back(std::to_string(to_ms(event.at)) + ' ' + tape->listings()[event.instrument].symbol +
                  std::to_string(deal.id) + (deal.ends ? "." : ""));
  }
  EXPECT_EQ(got, (std::vector<std::string>{"1680286539000 A1", "1680286539000 B1", "1680286539000 A2.",
                                           "1680286539000 A3."}));
}

TEST_F(FinnhubTapeTest, WhatCannotBePlayedIsRefusedWithASentence) {
  CaptureCounts counts;
  EXPECT_EQ(read(R"({"type":"ping"})", counts), nullptr);
  EXPECT_NE(error_.find("there is no trade and no headline of Finnhub"), std::string::npos);
}

TEST(FinnhubGenerator, HasAllThatTheStreamHas) {
  const auto tape = make_generator({.product = Product::finnhub,
                                    .symbols = 4,
                                    .rate = 1000,
                                    .seed = 5,
                                    .start = from_ms(1680286537000),
                                    .length = 20s,
                                    .news = 600});
  EXPECT_EQ(tape->listings()[0].symbol, "AAPL");
  std::uint64_t trades = 0, twins = 0, early = 0, updates = 0, empty = 0, absent = 0, odd = 0, news = 0;
  std::vector<std::uint64_t> last(4);
  std::string before;
  std::set<std::uint64_t> news_ids;
  Time time{};
  TapeEvent event;
  while (tape->next(event)) {
    ASSERT_GE(event.at, time);
    time = event.at;
    if (const auto* one = std::get_if<News>(&event.what)) {
      ++news;
      EXPECT_TRUE(news_ids.empty() || one->text->id > *news_ids.rbegin());
      news_ids.insert(one->text->id);
      continue;
    }
    const auto& deal = std::get<Deal>(event.what);
    const Listing& listing = tape->listings()[event.instrument];
    ASSERT_EQ(deal.id, ++last[event.instrument]);
    const std::string item = finnhub::trade_item(listing, deal);
    ++trades;
    twins += item == before;
    before = item;
    early += deal.told - deal.traded > 3ms;
    ASSERT_LE(deal.told - deal.traded, 152ms);
    const bool currencies = finnhub::class_of(listing.symbol) == Class::currencies;
    updates += item.find("\"v\":0}") != std::string::npos;
    empty += item.starts_with("{\"c\":[],");
    absent += item.starts_with("{\"p\"");
    ASSERT_EQ(item.starts_with("{\"c\":null,"), finnhub::class_of(listing.symbol) == Class::crypto);
    if (!currencies) {
      ASSERT_GT(deal.quantity, 0);
    }
    if (finnhub::class_of(listing.symbol) == Class::shares) {
      odd += item.find("\"12\"") != std::string::npos;
      ASSERT_EQ(item.find("\"12\"") != std::string::npos, deal.quantity < 100 * kOne) << item;
    }
  }
  EXPECT_GT(trades, 19'000u);
  EXPECT_GT(twins, trades / 100);
  EXPECT_GT(early, trades / 100);
  for (const std::uint64_t count : {updates, empty, absent}) EXPECT_GT(count, trades / 20);
  EXPECT_GT(odd, 100u);
  EXPECT_GT(news, 150u);
}

}  // namespace
}  // namespace truetape::sim
