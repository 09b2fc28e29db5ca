#include "venues/kucoin/testing.h"

namespace truetape::kucoin {
namespace {

TEST(KucoinRoute, FramesGoToTheSymbolOfTheirTopic) {
  for (
      const auto& [frame, to] : std::vector<std::pair<std::string, std::string_view>>{
          {std::string{kTrade}, "kucoin:BTC-USDT"},
          {std::string{kOldTrade}, "kucoin:ABC-BTC"},
          {std::string{kTicker}, "kucoin:BTC-USDT"},
          {std::string{kBest}, "kucoin:BTC-USDT"},
          {with(with(kTicker, "/market/ticker:BTC-USDT", "/market/ticker:all"), "trade.ticker", "eth-usdt"),
           "kucoin:ETH-USDT"},
          {R"({"topic":"/market/candles:ABC-BTC_1min","type":"message","subject":"trade.candles.add","data":{}})",
           "kucoin:ABC-BTC"},
          {R"({"topic":"/market/level2:BTC-USDT","type":"message","subject":"trade.l2update","data":{"changes":{"asks":[["1","2","3"]]}}})",
           "kucoin:BTC-USDT"},
          {R"({"topic":"/callauction/level2Depth50:BTC-USDT","type":"message","subject":"level2","data":{}})",
           "kucoin:BTC-USDT"},
          {R"({ "type" : "message", "topic" : "/market/match:BTC\u002dUSDT" })", "kucoin:BTC-USDT"},
          // Two of them, which the venue does not send: the data says whose it is.
          {with(kTrade, "match:BTC-USDT", "match:BTC-USDT,ETH-USDT"), "kucoin:BTC-USDT"},
          {with(kTrade, R"("topic":"/market/match:BTC-USDT",)", ""), "kucoin:BTC-USDT"},
      })
    EXPECT_EQ(routed(frame), to) << frame;
}

TEST(KucoinRoute, ControlFramesAndMarketsSpeakOfNobody) {
  for (
      const std::string_view frame :
      {R"({"id":"hQvf8jkno","type":"welcome"})", R"({"id":"1","type":"ack"})",
       R"({"id":"1","type":"pong","timestamp":1764215232226553})",
       R"({"id":"6","type":"error","code":404,"data":"topic /market/level2:BSV-BTC is not found"})",
       R"({"topic":"/market/snapshot:BTC","type":"message","subject":"trade.snapshot","data":{"data":{"symbol":"BTC-USDT"}}})",
       R"({"topic":"/indicator/index:USDT-BTC","type":"message","subject":"tick","data":{}})",
       R"({"topic":"/market/ticker:all","type":"message","subject":"trade.ticker","data":{}})", "", "{", "x", "7",
       "[]"})
    EXPECT_EQ(routed(frame), "") << frame;
}

TEST(KucoinRoute, DamagedFramesGoWhereTheySeemToBelong) {
  EXPECT_EQ(routed(kTrade.substr(0, 100)), "kucoin:BTC-USDT");
  EXPECT_EQ(routed(kOldTrade.substr(0, 100)), "kucoin:ABC-BTC");
  EXPECT_EQ(routed(R"({"topic":"/market/ticker:all","type":"message","subject":"ETH-USDT","data":{"seq)"),
            "kucoin:ETH-USDT");
}

TEST(KucoinSentTime, IsTheTimeInTheFrameWhateverItsUnit) {
  EXPECT_EQ(kucoin::kSpot.sent_time(kTrade), timestamp_ns(1'729'843'222'921'000'000));
  EXPECT_EQ(kucoin::kSpot.sent_time(kOldTrade), timestamp_ns(1'619'378'327'739'050'725));
  EXPECT_EQ(kucoin::kSpot.sent_time(kTicker), timestamp_ns(1'729'757'723'612'000'000));
  EXPECT_EQ(kucoin::kSpot.sent_time(kBest), timestamp_ns(1'729'816'058'766'000'000));
  EXPECT_EQ(kucoin::kSpot.sent_time(R"({"id":"1","type":"pong","timestamp":1764215232226553})"),
            timestamp_ns(1'764'215'232'226'553'000));
  EXPECT_EQ(
      kucoin::kSpot.sent_time(
          R"({"topic":"/market/level2:A-B","type":"message","subject":"trade.l2update","data":{"changes":{"asks":[["1","2","3"]]},"time":1729843222921}})"),
      timestamp_ns(1'729'843'222'921'000'000));
  for (const std::string_view frame :
       {R"({"id":"1","type":"pong"})", R"({"id":"hQvf8jkno","type":"welcome"})",
        R"({"id":"1","type":"ack","timestamp":1764215232226553})",
        R"({"topic":"x","type":"message","data":{"time":"1729843222"}})",
        R"({"topic":"x","type":"message","data":{"time":"soon"}})",
        R"({"topic":"x","type":"message","data":{"time":99999999999999999999}})",
        R"({"topic":"x","type":"message","data":{"inner":{"time":1729843222921}}})", "", "{"})
    EXPECT_EQ(kucoin::kSpot.sent_time(frame), std::nullopt) << frame;
}

}  // namespace
}  // namespace truetape::kucoin
