#include "venues/coinbase/testing.h"

namespace truetape::coinbase {
namespace {

TEST(CoinbaseRoute, WhomAFrameSpeaksOf) {
  for (const auto& [frame, to] : std::vector<std::pair<std::string, std::string>>{
           {std::string{kMatch}, "coinbase:BTC-USD"},
           {std::string{kLastMatch}, "coinbase:BTC-USD"},
           {std::string{kTicker}, "coinbase:ETH-USD"},
           {with(kMatch, "BTC-USD", "btc-usd"), "coinbase:BTC-USD"},
           {with(kMatch, R"("product_id")", R"("product\u005fid")"), "coinbase:BTC-USD"},
           {std::string{kMatch.substr(0, kMatch.size() - 1)}, "coinbase:BTC-USD"},  // damaged: a guess
           {with(kMatch, "\"sell\"", "sell"), "coinbase:BTC-USD"},
           {R"({"type":"l2update","product_id":"SKL-BTC","changes":[]})", "coinbase:SKL-BTC"},
           // Products within something else are not whom it speaks of.
           {R"({"type":"subscriptions","channels":[{"name":"level2","product_ids":["BTC-USD"]}]})", ""},
           {R"({"type":"new","data":{"product_id":"BTC-USD"}})", ""},
           {R"({"type":"error","message":"Failed to subscribe","reason":"BTC-USD"})", ""},
           {with(kMatch, R"("BTC-USD")", "7"), ""},
           {with(kMatch, "BTC-USD", ""), ""},
           {with(kMatch, "BTC-USD", std::string(60, 'A')), ""},
           {"", ""},
           {"\"product_id\":\"", ""},
       })
    EXPECT_EQ(routed(frame), to) << frame;
}

TEST(CoinbaseRoute, WhenAFrameWasSent) {
  const auto ns = [](std::int64_t value) { return std::optional{timestamp_ns(value)}; };
  for (const auto& [frame, time] : std::vector<std::pair<std::string, std::optional<Timestamp>>>{
           {std::string{kMatch}, ns(1'415'348'367'028'459'000)},
           {std::string{kLastMatch}, ns(1'415'348'221'500'000'000)},
           {std::string{kTicker}, ns(1'666'222'102'061'769'000)},
           {R"({"type":"l2update","product_id":"A-B","changes":[],"time":"2019-08-14T20:42:27Z"})",
            ns(1'565'815'347'000'000'000)},
           {with(kMatch, R"("time")", R"("\u0074ime")"), ns(1'415'348'367'028'459'000)},
           {with(kMatch, "2014-11-07T", "2014-11-07 "), std::nullopt},
           {with(kMatch, "028459Z", "028459+01:00"), std::nullopt},
           {with(kMatch, R"("2014-11-07T08:19:27.028459Z")", "1415348367"), std::nullopt},
           {R"({"type":"new","data":{"time":"2019-08-14T20:42:27Z"}})", std::nullopt},
           {std::string{kMatch.substr(0, kMatch.size() - 1)}, std::nullopt},
           {R"({"type":"subscriptions","channels":[]})", std::nullopt},
           {"", std::nullopt},
       })
    EXPECT_EQ(kExchange.sent_time(frame), time) << frame;
}

TEST(CoinbaseRoute, TheLastTradeBeforeASubscription) {
  EXPECT_EQ(kExchange.last_before(kLastMatch), timestamp_ns(1'415'348'221'500'000'000));
  EXPECT_EQ(kExchange.last_before(kMatch), std::nullopt);
  EXPECT_EQ(kExchange.last_before(kLastMatch.substr(0, 60)), std::nullopt);
  EXPECT_EQ(kExchange.last_before(""), std::nullopt);
}

}  // namespace
}  // namespace truetape::coinbase
