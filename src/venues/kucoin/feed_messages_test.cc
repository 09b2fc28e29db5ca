#include "venues/kucoin/feed_messages.h"

#include "venues/kucoin/feed.h"
#include "venues/kucoin/testing.h"

namespace truetape::kucoin {
namespace {

using feeds::Reply;

TEST(KucoinMessages, ATopicIsFoundWhereverItStands) {
  EXPECT_EQ(topic_of(kTrade), "/market/match:BTC-USDT");
  EXPECT_EQ(topic_of(kOldTrade), "/market/match:ABC-BTC");
  EXPECT_EQ(topic_of(R"({ "type" : "message", "topic" : "/market/match:A-B" })"), "/market/match:A-B");
  for (const std::string_view frame :
       {R"({"id":"1","type":"ack"})", R"({"topic":7})", R"({"data":{"topic":"/market/match:A-B"}})", "", "{", "x"})
    EXPECT_EQ(topic_of(frame), "") << frame;
}

TEST(KucoinMessages, SubscriptionsOfOneChannelShareAMessage) {
  const std::vector<std::string> topics{"/market/match:A-B", "/market/match:C-D", "/market/ticker:A-B"};
  const feeds::PlanLimits limits{.names = 100, .bytes = 8000};
  EXPECT_EQ(batch_size(topics, limits), 2U);
  EXPECT_EQ(batch_size(topics, {.names = 1, .bytes = 8000}), 1U);
  EXPECT_EQ(batch_size(topics, {.names = 100, .bytes = 3}), 1U);
  EXPECT_EQ(subscribe_message(true, std::span{topics}.first(2), 5),
            R"({"id":"5","type":"subscribe","topic":"/market/match:A-B,C-D","privateChannel":false,"response":true})");
  EXPECT_EQ(subscribe_message(false, std::span{topics}.last(1), 6),
            R"({"id":"6","type":"unsubscribe","topic":"/market/ticker:A-B","privateChannel":false,"response":true})");
  EXPECT_EQ(ping_message(7), R"({"id":"7","type":"ping"})");
}

TEST(KucoinMessages, RepliesAreToldApart) {
  struct Case {
    std::string_view frame;
    Reply::Kind kind;
    std::optional<std::int64_t> id;
    std::optional<std::string> error;
  };
  for (
      const Case& c : std::vector<Case>{
          {R"({"id":"hQvf8jkno","type":"welcome"})", Reply::Kind::welcome, {}, {}},
          {R"({"id":"5","type":"ack"})", Reply::Kind::answer, 5, {}},
          {R"({"id":5,"type":"ack"})", Reply::Kind::answer, 5, {}},
          {R"({"id":"x","type":"ack"})", Reply::Kind::answer, {}, {}},
          {R"({"id":"9","type":"pong","timestamp":1764215232226553})", Reply::Kind::pong, 9, {}},
          {R"({"id":"5","type":"error","code":404,"data":"topic does not exist"})", Reply::Kind::answer, 5,
           "topic does not exist (code 404)"},
          {R"({"type":"error","code":400,"data":"topic is invalid"})",
           Reply::Kind::answer,
           {},
           "topic is invalid (code 400)"},
          {R"({"id":"5","type":"error","code":509,"data":"exceed max subscription count limitation of 400 per session"})",
           Reply::Kind::answer, 5, "exceed max subscription count limitation of 400 per session (code 509)"},
          {R"({"id":"5","type":"error","code":509,"data":"exceed max permits per second"})",
           Reply::Kind::refusal,
           {},
           "exceed max permits per second (code 509)"},
          {R"({"id":"a","type":"error","code":509,"data":"exceed max session count limitation of 50"})",
           Reply::Kind::refusal,
           {},
           "exceed max session count limitation of 50 (code 509)"},
          {R"({"id":"a","type":"error","code":401,"data":"token is invalid"})",
           Reply::Kind::refusal,
           {},
           "token is invalid (code 401)"},
          {R"({"type":"error","code":400,"data":"ping timeout"})", Reply::Kind::refusal, {}, "ping timeout (code 400)"},
          {R"({"type":"error","code":500,"data":"system error"})", Reply::Kind::refusal, {}, "system error (code 500)"},
          {R"({"id":"5","type":"error","code":415,"data":"type is not supported"})",
           Reply::Kind::remark,
           {},
           "type is not supported (code 415)"},
          {R"({"id":"5","type":"error"})", Reply::Kind::refusal, {}, "no reason given (code 0)"},
      }) {
    const auto reply = read_reply(c.frame);
    ASSERT_TRUE(reply) << c.frame;
    EXPECT_EQ(reply->kind, c.kind) << c.frame;
    EXPECT_EQ(reply->id, c.id) << c.frame;
    EXPECT_EQ(reply->error, c.error) << c.frame;
  }
  for (const std::string_view frame :
       {R"({"id":"5","type":"notice"})", R"({"id":"5"})", R"({"type":7})", "[]", "", "<html>"})
    EXPECT_FALSE(read_reply(frame)) << frame;
}

std::string token_answer(std::string_view servers) {
  return R"({"code":"200000","data":{"token":"a+b=","instanceServers":)" + std::string{servers} + "}}";
}
constexpr std::string_view kServer =
    R"([{"endpoint":"wss://ws-api-spot.kucoin.com/","encrypt":true,"protocol":"websocket","pingInterval":18000,"pingTimeout":10000}])";

TEST(KucoinMessages, TheTokenCallTellsTheAddress) {
  const feeds::Settings settings = feed_settings({});
  const auto address = read_address(token_answer(kServer), settings);
  ASSERT_TRUE(address) << address.error().detail;
  EXPECT_EQ(address->url, "wss://ws-api-spot.kucoin.com/?token=a%2Bb%3D");
  EXPECT_EQ(address->ping_every, std::chrono::seconds{18});
  EXPECT_EQ(address->pong_timeout, std::chrono::seconds{10});
  const auto longer = read_address(
      token_answer(R"([{"endpoint":"wss://push-private.kucoin.com/endpoint?a=1","pingInterval":0,"pingTimeout":"x"}])"),
      settings);
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->url, "wss://push-private.kucoin.com/endpoint?a=1&token=a%2Bb%3D");
  EXPECT_EQ(longer->ping_every, std::nullopt);
  EXPECT_EQ(longer->pong_timeout, std::nullopt);
  feeds::Settings own = settings;
  own.stream_url = "wss://proxy.example:8443";
  const auto other = read_address(token_answer(kServer), own);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->url, "wss://proxy.example:8443/?token=a%2Bb%3D");
}

TEST(KucoinMessages, TheSymbolListAndItsTurnovers) {
  const auto dialect = make_dialect();
  const auto list = dialect->symbols(
      R"({"code":"200000","data":[{"symbol":"BTC-USDT","quoteCurrency":"USDT","enableTrading":true},7,{"symbol":7},{"symbol":"ABC-BTC","quoteCurrency":"BTC","enableTrading":false}]})");
  ASSERT_TRUE(list) << list.error().detail;
  ASSERT_EQ(list->entries.size(), 2U);
  EXPECT_EQ(list->entries[0].instrument.text(), "kucoin:BTC-USDT");
  EXPECT_EQ(list->entries[0].bytes, R"({"symbol":"BTC-USDT","quoteCurrency":"USDT","enableTrading":true})");
  EXPECT_TRUE(list->entries[0].trades);
  EXPECT_EQ(list->entries[0].quote, "USDT");
  EXPECT_FALSE(list->entries[1].trades);
  EXPECT_EQ(list->entries[1].status, "HALTED");
  const auto turnovers = dialect->turnovers(
      R"({"code":"200000","data":{"time":1,"ticker":[{"symbol":"BTC-USDT","volValue":"68144.5"},{"symbol":"ABC-BTC","volValue":null}]}})");
  ASSERT_TRUE(turnovers) << turnovers.error().detail;
  EXPECT_EQ(*turnovers, (std::map<Instrument, double>{{*Instrument::parse("kucoin:BTC-USDT"), 68144.5}}));
  EXPECT_EQ(dialect->symbols(R"({"code":"200000","data":{}})").error().detail, "its \"data\" is no array");
  EXPECT_EQ(dialect->turnovers(R"({"code":"200000","data":[]})").error().detail,
            "there is no array \"ticker\" in its \"data\"");
}

TEST(KucoinMessages, WhatTellsNoAddressIsNamed) {
  const feeds::Settings settings = feed_settings({});
  for (const auto& [answer, detail] : std::vector<std::pair<std::string, std::string>>{
           {token_answer("[]"), "the answer to the token call names no server"},
           {token_answer("null"), "the answer to the token call names no server"},
           {token_answer(R"([{"endpoint":"https://x/"}])"),
            "the answer to the token call names a server that is none: https://x/"},
           {token_answer(R"([{"endpoint":"ws://x/"}])"),
            "the answer to the token call names a server without encryption: ws://x/"},
           {R"({"code":"200000","data":{"instanceServers":[]}})", "the answer to the token call has no token"},
           {R"({"code":"200000"})", "the answer to the token call has no \"data\""},
           {R"({"code":"429000","msg":"Too many requests"})", "the venue refuses it: Too many requests (code 429000)"},
       }) {
    const auto address = read_address(answer, settings);
    ASSERT_FALSE(address) << answer;
    EXPECT_EQ(address.error().detail, detail);
  }
}

}  // namespace
}  // namespace truetape::kucoin
