#include "venues/binance/testing.h"

namespace truetape::binance {
namespace {

std::string routed(const Venue& venue, std::string_view frame) {
  std::vector<Instrument> to;
  venue.route(frame, to);
  std::string out;
  for (const Instrument& i : to) out += (out.empty() ? "" : ",") + i.str();
  return out;
}

TEST(BinanceRoute, FramesGoToTheInstrumentThatDecodeFinds) {
  for (const auto& [venue, file] :
       {std::pair{&binance::kSpot, "spot-btcusdt.frames"}, std::pair{&binance::kUsdm, "usdm-btcusdt.frames"}})
    for (const Captured& c : captured(file))
      EXPECT_EQ(routed(*venue, c.frame), std::string{venue->name} + ":BTCUSDT") << c.frame;
}

TEST(BinanceRoute, SpellingOfTheJsonDoesNotMatter) {
  for (const auto& [frame, to] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {R"({"e":"trade","s":"BTCUSDT"})", "binance:BTCUSDT"},
           {R"({ "s" : "BTCUSDT" , "e" : "trade" })", "binance:BTCUSDT"},
           {R"({"e":"trade","\u0073":"BTC\u0055SDT"})", "binance:BTCUSDT"},
           {R"({"e":"trade","x":{"s":"ETHUSDT"},"s":"BTCUSDT"})", "binance:BTCUSDT"},
           {R"({"e":"trade","x":"\"s\":\"ETHUSDT\"","s":"BTCUSDT"})", "binance:BTCUSDT"},
           {R"({"data":{"s":"BTCUSDT"},"stream":"ethusdt@trade"})", "binance:BTCUSDT"},
           {R"({"stream":"btcusdt@depth5","data":{"lastUpdateId":160,"bids":[],"asks":[]}})", "binance:BTCUSDT"},
           {"{\"e\":\"trade\",\"s\":\"１２３４５６\"}", "binance:１２３４５６"},
           {R"({"e":"trade","s":"btcusdt"})", "binance:BTCUSDT"},
       })
    EXPECT_EQ(routed(binance::kSpot, frame), to) << frame;
}

TEST(BinanceRoute, ControlFramesSpeakOfNobody) {
  for (const std::string_view frame :
       {R"({"result":null,"id":1})", R"({"lastUpdateId":160,"bids":[["1","2"]],"asks":[]})", R"([{"s":"BTCUSDT"}])",
        R"({"stream":"!miniTicker@arr","data":[{"s":"BTCUSDT"}]})", R"({"e":"serverShutdown","E":1770123456789})", "",
        "{", "x", "7", R"({"e":"trade","s":""})", "{\"e\":\"trade\",\"s\":\"\xff\"}"})
    EXPECT_EQ(routed(binance::kSpot, frame), "") << frame;
}

TEST(BinanceRoute, DamagedFramesGoWhereTheySeemToBelong) {
  EXPECT_EQ(routed(binance::kSpot, R"({"stream":"btcusdt@trade","data":{"e":"trade","E":17231612)"), "binance:BTCUSDT");
  EXPECT_EQ(routed(binance::kSpot, R"({"e":"trade","E":1723161255343,"s":"BTCUSDT","t":37356)"), "binance:BTCUSDT");
  EXPECT_EQ(routed(binance::kSpot, "{\"e\":\"trade\",\xff\"s\":\"BTCUSDT\"}"), "binance:BTCUSDT");
}

TEST(BinanceSentTime, IsTheEventTimeOfTheVenue) {
  EXPECT_EQ(binance::kSpot.sent_time(
                R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","T":1}})"),
            timestamp_ns(1'723'161'255'343'000'000));
  EXPECT_EQ(binance::kSpot.sent_time(R"({"e":"trade","E":1723161255343001})"), timestamp_ns(1'723'161'255'343'001'000));
  EXPECT_EQ(binance::kSpot.sent_time(R"({ "T" : 5, "E" : 1723161255343 })"), timestamp_ns(1'723'161'255'343'000'000));
  EXPECT_EQ(
      binance::kUsdm.sent_time(
          R"({"e":"bookTicker","u":11659858833361,"s":"BTCUSDT","b":"1","B":"1","a":"1","A":"1","T":1790370834266,"E":1790370834267,"st":1})"),
      timestamp_ns(1'790'370'834'267'000'000));
  for (const std::string_view frame :
       {R"({"u":400900217,"s":"BNBUSDT","b":"1","B":"2","a":"1","A":"1"})", R"({"e":"x","k":{"E":1723161255343}})",
        R"({"E":"1723161255343"})", R"({"E":1723161255})", R"({"E":9723161255343})", R"({"E":-723161255343})",
        R"({"E":1723161255.43})", R"({"result":null,"id":1})", ""})
    EXPECT_EQ(binance::kSpot.sent_time(frame), std::nullopt) << frame;
}

}  // namespace
}  // namespace truetape::binance
