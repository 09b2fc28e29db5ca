#include "venues/binance/feed_messages.h"

#include <gtest/gtest.h>

#include "venues/json.h"

namespace truetape::binance {
namespace {

TEST(SubscribeMessageTest, IsWhatTheVenueDocuments) {
  const std::vector<std::string> two{"btcusdt@aggTrade", "btcusdt@bookTicker"};
  EXPECT_EQ(subscribe_message(true, two, 1),
            R"({"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@bookTicker"],"id":1})");
  const std::vector<std::string> one{"btcusdt@aggTrade"};
  EXPECT_EQ(subscribe_message(false, one, 312), R"({"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":312})");
}

TEST(SubscribeMessageTest, AnyNameIsSoundJson) {
  const std::vector<std::string> odd{"a\"b\\c@trade", "１２３@trade"};
  const std::string message = subscribe_message(true, odd, 1);
  json::Object object;
  json::Problem problem;
  EXPECT_TRUE(object.read(message, problem)) << message;
}

TEST(ReplyTest, AllFormsThatWereSeen) {
  struct Case {
    std::string frame;
    std::optional<std::int64_t> id;
    std::optional<std::string> error;
  };
  for (const Case& c : {
           Case{R"({"result":null,"id":1})", 1, std::nullopt},
           Case{R"({"id":99,"result":null})", 99, std::nullopt},
           Case{R"({"result":["btcusdt@aggTrade"],"id":3})", 3, std::nullopt},
           Case{R"({"result":null,"id":null})", std::nullopt, std::nullopt},
           Case{R"({"result":null,"id":"7"})", std::nullopt, std::nullopt},
           Case{R"({"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":3})", 3,
                "Invalid request: invalid stream (code 2)"},
           Case{R"({"error":{"code":2,"msg":"Invalid request: invalid stream"}})", std::nullopt,
                "Invalid request: invalid stream (code 2)"},
           Case{R"({"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"})", std::nullopt,
                "Invalid JSON: expected value at line 1 column 1 (code 3)"},
           Case{R"({"code":2,"msg":"say \"please\"","id":4})", 4, "say \"please\" (code 2)"},
           Case{R"({"error":"no","id":5})", 5, "no"},
           Case{R"({"error":{},"id":6})", 6, "no reason given"},
       }) {
    const auto reply = read_reply(c.frame);
    ASSERT_TRUE(reply) << c.frame;
    EXPECT_EQ(reply->id, c.id) << c.frame;
    EXPECT_EQ(reply->error, c.error) << c.frame;
  }
}

TEST(ReplyTest, MarketDataAndDamageAreNoReplies) {
  for (const std::string frame : {
           R"({"stream":"btcusdt@trade","data":{"e":"trade"}})",
           R"({"stream":"btcusdt@trade","data":{"result":null,"id":1}})",
           R"({"e":"trade","E":1,"s":"BTCUSDT"})",
           R"({"u":400900217,"s":"BNBUSDT","b":"25.35190000"})",
           R"({"result":null,"id":1)",
           R"([])",
           R"()",
           R"(<html>)",
       })
    EXPECT_FALSE(read_reply(frame)) << frame;
}

TEST(StreamNameTest, IsTheEnvelopes) {
  EXPECT_EQ(stream_name(R"({"stream":"btcusdt@trade","data":{}})"), "btcusdt@trade");
  EXPECT_EQ(stream_name(R"({"e":"trade"})"), "");
  EXPECT_EQ(stream_name(R"({"stream":"btcusdt)"), "");
}

TEST(ShutdownTest, BothForms) {
  const std::string raw = R"({"e":"serverShutdown","E":1770123456789})";
  const std::string combined = R"({"stream":"!serverShutdown","data":)" + raw + "}";
  EXPECT_TRUE(is_shutdown_notice(raw, stream_name(raw)));
  EXPECT_TRUE(is_shutdown_notice(combined, stream_name(combined)));
  EXPECT_FALSE(is_shutdown_notice(R"({"e":"trade"})", ""));
}

}  // namespace
}  // namespace truetape::binance
