#include <gmock/gmock.h>

#include "net/connector.h"
#include "venues/feed_entry.h"
#include "venues/feed_testing.h"

namespace truetape {
namespace {

using testing::HasSubstr;

class FeedsTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Feed>> make(std::string_view venue, const FeedOptions& options = {}) {
    return make_feed(venue, options, {connector_.get(), &sink_, {}});
  }
  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  net::Loop loop_{clock_};
  MemorySink sink_{loop_, 1};
  std::unique_ptr<net::Connector> connector_ = *net::Connector::make(loop_, {});
};

TEST_F(FeedsTest, EachVenueByItsName) {
  for (const std::string_view venue : {"binance", "binance-usdm"}) {
    const auto feed = make(venue);
    ASSERT_TRUE(feed);
    EXPECT_EQ((*feed)->venue(), venue);
    EXPECT_TRUE((*feed)->status().connections.empty());
  }
}

std::string all_feeds() {
  std::string out;
  for (const FeedEntry& entry : feed_entries()) out += (out.empty() ? "" : ", ") + std::string{entry.venue};
  return out;
}

TEST_F(FeedsTest, AForeignVenueNamesThoseThatThereAre) {
  const auto feed = make("nyse");
  ASSERT_FALSE(feed);
  EXPECT_EQ(feed.error().detail, "there is no live feed of 'nyse'; there are feeds of " + all_feeds());
  EXPECT_EQ(feed.error().fault, Fault::not_found);
}

TEST_F(FeedsTest, WhatCanBeReceived) {
  EXPECT_EQ(receivable("binance-usdm:1000SHIBUSDT_251226").value().text(), "binance-usdm:1000SHIBUSDT_251226");
  EXPECT_TRUE(receivable("binance:*/USDT#50"));
  EXPECT_TRUE(receivable("binance:\u5e01USDT")) << "not every symbol is of ASCII";
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"BTCUSDT", "\"BTCUSDT\" is no instrument; write VENUE:SYMBOL, such as binance:BTCUSDT"},
           {std::string(100, 'A'), '"' + std::string(80, 'A') +
                                       "\" is no instrument; write VENUE:SYMBOL, such as "
                                       "binance:BTCUSDT"},
           {"nyse:IBM", "\"nyse:IBM\" is of a venue without a live feed; there are feeds of " + all_feeds()},
           {"binance:*USDT",
            "\"binance:*USDT\" is no wildcard; write binance:*, binance:*/QUOTE for what is priced in QUOTE, or "
            "binance:*/QUOTE#50 for the 50 of these with the greatest turnover"},
           {"binance:*#50",
            "\"binance:*#50\" compares turnovers in different currencies; name one, as in binance:*/USDT#50 for the 50 "
            "with the greatest turnover of those priced in USDT"},
           {"kucoin:*#5",
            "\"kucoin:*#5\" compares turnovers in different currencies; name one, as in kucoin:*/USDT#50 for the 50 "
            "with the greatest turnover of those priced in USDT"},
           {"binance:btcUSDT", "\"binance:btcUSDT\" is not in the venue's spelling; write binance:BTCUSDT"}}) {
    const auto refused = receivable(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().detail, says);
  }
}

TEST_F(FeedsTest, OptionsThatCannotBeFollowedAreRefused) {
  struct Case {
    FeedOptions options;
    std::string says;
  };
  for (const Case& c : {
           Case{{.connections = 0}, "connections is 0; it may be 1 or 2"},
           Case{{.connections = 3}, "connections is 3; it may be 1 or 2"},
           Case{{.stream_url = "https://example.com"}, "it begins with wss:// or ws://"},
           Case{{.rest_url = "wss://example.com"}, "it begins with https:// or http://"},
           Case{{.stream_url = "wss://example.com/stream"}, "stream_url has a path"},
           Case{{.stream_url = "example"}, "stream_url: "},
       }) {
    const auto feed = make("binance", c.options);
    ASSERT_FALSE(feed) << c.says;
    EXPECT_THAT(feed.error().detail, HasSubstr(c.says));
  }
  for (const FeedOptions& options : {FeedOptions{.stream_url = "https://me:secret@example.com"},
                                     FeedOptions{.stream_url = "wss://me:secret@example.com/stream"},
                                     FeedOptions{.rest_url = "https://me:secret@example.com%zz"}}) {
    const auto feed = make("binance", options);
    ASSERT_FALSE(feed);
    EXPECT_THAT(feed.error().detail, HasSubstr("://example.com"));
    EXPECT_THAT(feed.error().detail, testing::Not(HasSubstr("secret")));
  }
  for (const auto& [options, says] : std::vector<std::pair<FeedOptions, std::string>>{
           {{}, "finnhub lets in nobody without a token: set feed.finnhub.token"},
           {{.connections = 2, .token = "t"}, "finnhub allows one connection: connections must be 1"},
           {{.tape = Tape::agg, .token = "t"}, "finnhub has no aggregates: its tape is trade"},
       }) {
    const auto feed = make("finnhub", options);
    ASSERT_FALSE(feed) << says;
    EXPECT_THAT(feed.error().detail, testing::StartsWith(says));
  }
  EXPECT_TRUE(make("finnhub", {.news = NewsBy::poll, .token = "t"}));
  EXPECT_FALSE(make("binance", {.news = NewsBy::poll}));
  EXPECT_TRUE(make("binance", {.stream_url = "ws://127.0.0.1:9001/", .rest_url = "http://127.0.0.1:9002"}));
}

TEST(ConnectionStateTest, Names) {
  using State = ConnectionStatus::State;
  EXPECT_EQ(name(State::idle), "idle");
  EXPECT_EQ(name(State::waiting), "waiting");
  EXPECT_EQ(name(State::connecting), "connecting");
  EXPECT_EQ(name(State::subscribing), "subscribing");
  EXPECT_EQ(name(State::live), "live");
}

}  // namespace
}  // namespace truetape
