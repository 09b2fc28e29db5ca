#include "venues/coinbase/feed.h"

#include "venues/feed_entry.h"
#include "venues/feed_script_testing.h"
#include "venues/json.h"

namespace truetape::coinbase {
namespace {

using feeds::Reply;
using feeds::ScriptedClient;
using feeds::StreamKind;
using testing::ElementsAre;
using namespace std::chrono_literals;

const auto kDialect = make_dialect();

Instrument product(const std::string& id) { return *Instrument::of("coinbase", id); }

TEST(CoinbaseDialect, StreamsAreChannelsOfProducts) {
  EXPECT_EQ(kDialect->stream_of(product("BTC-USD"), StreamKind::trade).name, "matches:BTC-USD");
  EXPECT_EQ(kDialect->stream_of(product("BTC-USD"), StreamKind::ticker).name, "ticker:BTC-USD");
  EXPECT_THAT(kDialect->kinds(feed_settings({})), ElementsAre(StreamKind::trade, StreamKind::ticker));
  EXPECT_THAT(kDialect->kinds(feed_settings({.best = false})), ElementsAre(StreamKind::trade, StreamKind::ticker));
  EXPECT_THAT(kDialect->kinds(feed_settings({.best = false, .ticker = false})), ElementsAre(StreamKind::trade));
}

TEST(CoinbaseDialect, AMessageIsOfOneChannel) {
  const std::vector<std::string> names{"matches:A-B", "matches:C-D", "matches:E-F", "ticker:A-B"};
  EXPECT_EQ(kDialect->batch(names, {}), 3U);
  EXPECT_EQ(kDialect->batch(std::span{names}.subspan(3), {}), 1U);
  EXPECT_EQ(kDialect->batch(names, {.names = 2}), 2U);
  EXPECT_EQ(kDialect->batch(names, {.bytes = 28}), 2U);
  EXPECT_EQ(kDialect->batch(names, {.bytes = 1}), 1U);
  EXPECT_EQ(kDialect->subscribe_message(true, std::span{names}.first(2), 7),
            R"({"type":"subscribe","channels":[{"name":"matches","product_ids":["A-B","C-D"]}]})");
  EXPECT_EQ(kDialect->subscribe_message(false, std::span{names}.last(2), 8),
            R"({"type":"unsubscribe","channels":[{"name":"matches","product_ids":["E-F"]},)"
            R"({"name":"ticker","product_ids":["A-B"]}]})");
  const std::vector<std::string> odd{R"(matches:A"\B)"};
  EXPECT_EQ(kDialect->subscribe_message(true, odd, 9),
            R"({"type":"subscribe","channels":[{"name":"matches","product_ids":["A\"\\B"]}]})");
}

TEST(CoinbaseDialect, WhoseAFrameIs) {
  for (const auto& [frame, kind] : std::vector<std::pair<std::string_view, std::optional<StreamKind>>>{
           {R"({"type":"match","trade_id":1})", StreamKind::trade},
           {R"({"type":"last_match","trade_id":1})", StreamKind::trade},
           {R"({ "trade_id": 1, "type": "match" })", StreamKind::trade},
           {R"({"type":"ticker","sequence":1})", StreamKind::ticker},
           {R"({"type":"subscriptions","channels":[]})", std::nullopt},
           {R"({"type":"match_all"})", std::nullopt},
           {R"({"type":7})", std::nullopt},
           {R"({"type":")", std::nullopt},
           {"", std::nullopt},
       }) {
    const feeds::Heard heard = kDialect->heard(frame);
    EXPECT_EQ(heard.kind, kind) << frame;
    EXPECT_TRUE(heard.stream.empty()) << frame;
  }
}

TEST(CoinbaseDialect, WhatTheVenueSaysOfAConnection) {
  struct Case {
    std::string_view frame;
    Reply::Kind kind;
    std::optional<std::string> error;
  };
  for (const Case& c : {
           Case{R"({"type":"subscriptions","channels":[{"name":"matches","product_ids":["A-B"]}]})",
                Reply::Kind::answer, std::nullopt},
           Case{R"({"type":"error","message":"Failed to subscribe","reason":"X-Y is not a valid product"})",
                Reply::Kind::answer, "Failed to subscribe: X-Y is not a valid product"},
           Case{R"({"reason":"No channels provided","message":"Failed to unsubscribe","type":"error"})",
                Reply::Kind::answer, "Failed to unsubscribe: No channels provided"},
           Case{R"({"type":"error","message":"ErrSlowConsume"})", Reply::Kind::remark, "ErrSlowConsume"},
           Case{R"({"type":"error"})", Reply::Kind::remark, "no reason given"},
       }) {
    const auto reply = kDialect->reply(c.frame);
    ASSERT_TRUE(reply) << c.frame;
    EXPECT_EQ(reply->kind, c.kind) << c.frame;
    EXPECT_EQ(reply->error, c.error) << c.frame;
    EXPECT_EQ(reply->id, std::nullopt) << c.frame;
  }
  for (const std::string_view frame : {R"({"type":"heartbeat","product_id":"A-B"})", "[]", "", "{"})
    EXPECT_FALSE(kDialect->reply(frame)) << frame;
}

TEST(CoinbaseDialect, TimeAndSymbolList) {
  EXPECT_EQ(kDialect->time(R"({"iso":"2015-01-07T23:47:25.201Z","epoch":1420674445.201})"),
            timestamp_ns(1'420'674'445'201'000'000));
  EXPECT_EQ(kDialect->time(R"({"epoch":1420674445.201})"), std::nullopt);
  EXPECT_EQ(kDialect->time("[]"), std::nullopt);
  EXPECT_EQ(kDialect->symbol_questions({product("A-B")}, false).at(0).target, "/products");

  const std::string answer = R"([{"id":"A-B","quote_currency":"B","status":"online"},7,{"id":""},)"
                             R"({"id":"C-D","quote_currency":"D","status":"online","trading_disabled":true},)"
                             R"({"id":"E-F","quote_currency":"F","status":"offline","post_only":true},)"
                             R"({"id":"G-H","quote_currency":"H","status":"delisted"}])";
  const auto list = kDialect->symbols(answer);
  ASSERT_TRUE(list);
  ASSERT_EQ(list->entries.size(), 4U);
  struct Want {
    std::string instrument, status, quote;
    bool trades;
  };
  const Want wants[] = {{"coinbase:A-B", "online", "B", true},
                        {"coinbase:C-D", "trading_disabled", "D", false},
                        {"coinbase:E-F", "offline", "F", false},
                        {"coinbase:G-H", "delisted", "H", false}};
  for (std::size_t i = 0; i < 4; ++i) {
    const feeds::Listed& entry = list->entries[i];
    EXPECT_EQ(entry.instrument.text(), wants[i].instrument);
    EXPECT_EQ(entry.status, wants[i].status) << i;
    EXPECT_EQ(entry.quote, wants[i].quote) << i;
    EXPECT_EQ(entry.trades, wants[i].trades) << i;
  }
  EXPECT_EQ(list->entries[0].bytes, R"({"id":"A-B","quote_currency":"B","status":"online"})");
  for (const std::string_view bad : {R"({"message":"NotFound"})", "<html>", "", "[1,"})
    EXPECT_FALSE(kDialect->symbols(bad)) << bad;
}

// The venue as its documents and a recording show it: the last trades before a subscription come before and behind the
// answer to it.
class CoinbaseFeed : public feeds::ScriptedFeedTest {
 protected:
  CoinbaseFeed() {
    venue_.rest = [this](const net::ServerRequest& request) {
      const std::string body = request.where.path == "/time" ? R"({"iso":")" + time() + R"(","epoch":0})" : products_;
      return net::text_answer(200, "application/json", body);
    };
    venue_.said = [this](ScriptedClient& client, const std::string& message) {
      if (const std::size_t at = message.find("BAD-ONE"); at != std::string::npos)
        return client.send(
            R"({"type":"error","message":"Failed to subscribe","reason":"BAD-ONE is not a valid product"})");
      for (const std::string& frame : before_answer_) client.send(frame);
      client.send(R"({"type":"subscriptions","channels":[]})");
      for (const std::string& frame : behind_answer_) client.send(frame);
    };
  }
  std::string time(Nanoseconds before = {}) const {
    std::string text = to_rfc3339(venue_.now() - before);
    return text;
  }
  std::string match(int id, const std::string& of = "BTC-USD", Nanoseconds before = {},
                    const std::string& type = "match") const {
    return R"({"type":")" + type + R"(","trade_id":)" + std::to_string(id) +
           R"(,"side":"buy","size":"1","price":"2","product_id":")" + of + R"(","sequence":1,"time":")" + time(before) +
           R"("})";
  }
  void want(std::set<Instrument> wanted, const FeedOptions& options = {.best = false, .ticker = false, .seed = 7}) {
    start(make_dialect(), feed_settings(options), std::move(wanted));
  }

  std::string products_ = R"([{"id":"BTC-USD","status":"online"},{"id":"ETH-USD","status":"online"}])";
  std::vector<std::string> before_answer_, behind_answer_;
};

TEST_F(CoinbaseFeed, SubscribesChannelByChannelAndPutsFramesAsTheyCame) {
  want({product("BTC-USD"), product("ETH-USD")}, {.seed = 7});
  ASSERT_TRUE(live()) << all_told();
  EXPECT_EQ(venue_.last().target, "/");
  EXPECT_THAT(
      venue_.last().messages,
      ElementsAre(R"({"type":"subscribe","channels":[{"name":"matches","product_ids":["BTC-USD","ETH-USD"]}]})",
                  R"({"type":"subscribe","channels":[{"name":"ticker","product_ids":["BTC-USD","ETH-USD"]}]})"));
  const std::string trade = match(10);
  const std::string ticker =
      R"({"type":"ticker","sequence":5,"product_id":"ETH-USD","price":"3","time":")" + time() + "\"}";
  venue_.last().send(trade);
  venue_.last().send(ticker);
  ASSERT_TRUE(frames(4));  // and two answers
  const auto put = sink_.of_kind("frame");
  const auto find = [&](const std::string& bytes) {
    return *std::ranges::find_if(put, [&](const PutRecord& r) { return r.bytes == bytes; });
  };
  EXPECT_EQ(find(trade).key, "coinbase:BTC-USD");
  EXPECT_NE(find(trade)["session"], "-");  // evidence
  EXPECT_EQ(find(ticker).key, "coinbase:ETH-USD");
  EXPECT_EQ(find(ticker)["session"], "-");
  EXPECT_TRUE(until([&] { return sink_.of_kind("reference").size() == 2; })) << all_told();
  EXPECT_EQ(feed_->status().connections.at(0).confirmed, 4U);
}

// Nothing was traded between the last trade that the venue tells and the subscription: so a quiet product is covered
// from that trade on, whether it is told before the answer or behind it.
TEST_F(CoinbaseFeed, WhatItCoversBeginsWithTheLastTradeBeforeTheSubscription) {
  const Timestamp begin = venue_.now();
  before_answer_ = {match(7, "BTC-USD", 90s, "last_match")};
  behind_answer_ = {match(9, "ETH-USD", 200s, "last_match"), match(10, "ETH-USD")};
  want({product("BTC-USD"), product("ETH-USD")});
  ASSERT_TRUE(live()) << all_told();
  ASSERT_TRUE(frames(4));
  pass(2s);
  std::map<std::string, std::string> since;
  for (const PutRecord& r : sink_.of_kind("session"))
    if (r["subscribed"] != "-") since.emplace(r["instruments"], r["subscribed"]);
  const auto ns = [&](Nanoseconds before) { return std::to_string(to_ns(begin - before)); };
  EXPECT_EQ(since["coinbase:BTC-USD"], ns(90s));
  EXPECT_EQ(since["coinbase:ETH-USD"], ns(200s));
}

TEST_F(CoinbaseFeed, AProductThatNeverTradedIsCoveredFromTheAnswerOn) {
  products_ = R"([{"id":"BTC-USD","status":"online"}])";
  want({product("BTC-USD")});
  ASSERT_TRUE(live()) << all_told();
  const Timestamp confirmed = venue_.now();
  pass(4s);
  EXPECT_TRUE(sink_.of_kind("session").empty());  // its last trade may still come
  pass(3s);
  const auto open = sessions("open");
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0]["instruments"], "coinbase:BTC-USD");
  EXPECT_GE(std::stoll(open[0]["subscribed"]), to_ns(confirmed));
  EXPECT_LT(std::stoll(open[0]["subscribed"]), to_ns(confirmed + 1s));
}

TEST_F(CoinbaseFeed, OneBadProductDoesNotCostTheOthers) {
  want({product("BAD-ONE"), product("BTC-USD"), product("ETH-USD")});
  ASSERT_TRUE(live()) << all_told();
  EXPECT_EQ(feed_->status().connections.at(0).confirmed, 2U);
  EXPECT_EQ(told("the venue refuses the stream matches:BAD-ONE: Failed to subscribe: BAD-ONE is not a valid product"),
            1U)
      << all_told();
  EXPECT_TRUE(until([&] { return told("the venue has no symbol BAD-ONE") == 1; })) << all_told();
}

TEST_F(CoinbaseFeed, WhatWasRefusedIsAskedForByTheNextConnectionAlone) {
  want({product("BAD-ONE"), product("BTC-USD")});
  ASSERT_TRUE(live()) << all_told();
  const auto of_bad = [](const ScriptedClient& client) {
    return std::ranges::count_if(client.messages, [](const auto& m) { return m.find("BAD-ONE") != m.npos; });
  };
  const auto before = of_bad(venue_.last());
  pass(1h);
  EXPECT_EQ(venue_.clients.size(), 1U) << all_told();
  EXPECT_EQ(of_bad(venue_.last()), before);
  venue_.last().socket->drop();
  for (int i = 0; i < 60 && venue_.clients.size() == 1; ++i) pass(1s);
  ASSERT_EQ(venue_.clients.size(), 2U) << all_told();
  ASSERT_TRUE(live()) << all_told();
  EXPECT_EQ(of_bad(venue_.last()), 1) << "by itself, before the connection counts";
  EXPECT_EQ(told("the venue refuses the stream matches:BAD-ONE"), 1U) << all_told();
}

TEST_F(CoinbaseFeed, AnErrorThatIsNoAnswerIsTold) {
  want({product("BTC-USD")});
  ASSERT_TRUE(live());
  venue_.last().send(R"({"type":"error","message":"ErrSlowConsume"})");
  EXPECT_TRUE(until([&] { return told("the venue says: ErrSlowConsume") == 1; })) << all_told();
}

TEST_F(CoinbaseFeed, UnsubscribesWhatIsNoLongerWanted) {
  want({product("BTC-USD"), product("ETH-USD")});
  ASSERT_TRUE(live());
  feed_->want({product("BTC-USD")});
  ASSERT_TRUE(until([&] { return venue_.last().messages.size() == 2; }));
  EXPECT_EQ(venue_.last().messages[1],
            R"({"type":"unsubscribe","channels":[{"name":"matches","product_ids":["ETH-USD"]}]})");
}

TEST_F(CoinbaseFeed, ATradeAfterACutComesOverAnotherConnection) {
  want({product("BTC-USD")});
  ASSERT_TRUE(live());
  venue_.last().send(match(10));
  ASSERT_TRUE(frames(2));
  venue_.last().socket->drop();
  ASSERT_TRUE(until([&] { return told("closed by the other side") == 1; }));
  pass(2s, 100ms);
  ASSERT_TRUE(until([&] { return venue_.clients.size() == 2; })) << all_told();
  ASSERT_TRUE(live());
  venue_.last().send(match(11));
  ASSERT_TRUE(frames(4));
  const auto put = sink_.of_kind("frame");
  EXPECT_NE(put.back()["session"], put[1]["session"]);
  EXPECT_EQ(put.back().bytes, match(11));
}

}  // namespace
}  // namespace truetape::coinbase
