// The feed against a venue that behaves, and one that does not. What all venues' feeds share is tested with Binance's.
#include "venues/kucoin/feed_testing.h"

namespace truetape::kucoin {
namespace {

using Level = FeedEvent::Level;
using State = ConnectionStatus::State;
const Instrument kBtc = *Instrument::parse("kucoin:BTC-USDT");
const Instrument kEth = *Instrument::parse("kucoin:ETH-USDT");

class KucoinFeed : public FeedTest {};

TEST_F(KucoinFeed, TokenWelcomeSubscriptionThenFrames) {
  start({kBtc, kEth});
  ASSERT_TRUE(live());
  EXPECT_EQ(asked_for("POST /api/v1/bullet-public"), 1U);
  EXPECT_EQ(venue_.last().token, "/endpoint/?token=2neAiuYvAU61ZDXANAGAsiL4-_%3D.%3D%3D1");
  ASSERT_EQ(venue_.last().asked.size(), 1U);
  EXPECT_EQ(venue_.last().asked[0].type, "subscribe");
  EXPECT_EQ(venue_.last().asked[0].topic, "/market/match:BTC-USDT,ETH-USDT");
  const std::string frame = venue_.trade("BTC-USDT", 101);
  venue_.last().socket->send(frame);
  ASSERT_TRUE(until([this] { return tape().size() == 1; }));
  const PutRecord record = tape()[0];
  EXPECT_EQ(record.bytes, frame);
  EXPECT_EQ(record["instruments"], "kucoin:BTC-USDT");
  EXPECT_EQ(record["connection"], "kucoin-1");
  EXPECT_EQ(record["receive_time"], ns(kStart));
  EXPECT_EQ(sink_.records[0].kind(), "config");
  EXPECT_EQ(sink_.records[0]["tape"], "trade");
  const auto open = sink_.of_kind("session");
  ASSERT_FALSE(open.empty());
  EXPECT_EQ(open[0]["event"], "open");
  EXPECT_EQ(open[0]["instruments"], "kucoin:BTC-USDT,kucoin:ETH-USDT");
  const auto frames = sink_.of_kind("frame");
  EXPECT_EQ(frames[0].bytes, R"({"id":"hQvf8jkno","type":"welcome"})");
  EXPECT_EQ(frames[1].bytes, R"({"id":"1","type":"ack"})");
  EXPECT_EQ(frames[0]["venue"], "kucoin");
  EXPECT_EQ(told("2neAiuYv"), 0U) << "the token is nobody's business";
  ASSERT_TRUE(until([this] { return sink_.of_kind("reference").size() == 2; }));
  EXPECT_EQ(sink_.of_kind("reference")[0].bytes, venue_.symbol_entry("BTC-USDT"));
}

// The ids show no hole, so a frame says nothing of what was before it: only what follows the answer is covered.
TEST_F(KucoinFeed, AFrameBeforeTheAnswerCoversNothing) {
  std::string id;
  venue_.asked = [&](Client& client, const Client::Asked& what) {
    id = what.id;
    client.socket->send(venue_.trade("BTC-USDT", 101));
  };
  const auto opened = [this] {
    auto all = sink_.of_kind("session");
    std::erase_if(all, [](const PutRecord& r) { return r["event"] != "open"; });
    return all;
  };
  start({kBtc, kEth});
  ASSERT_TRUE(until([this] { return sink_.of_kind("frame").size() == 2; })) << "the welcome, and the trade";
  ASSERT_TRUE(until([this] { return feed_->status().clock_offset.has_value(); })) << all_told();
  pass(3s);
  EXPECT_TRUE(opened().empty()) << "nothing is covered yet";
  const Timestamp answered = loop_.clock().now();
  EXPECT_GE(answered, kStart + 3s);
  venue_.last().ack(id);
  ASSERT_TRUE(until([&] { return !opened().empty(); }));
  const PutRecord open = opened()[0];
  EXPECT_EQ(open["instruments"], "kucoin:BTC-USDT,kucoin:ETH-USDT");
  EXPECT_GE(std::stoll(open["subscribed"]), to_ns(answered));
}

TEST_F(KucoinFeed, EachChannelIsAskedForByItselfInBatchesOfAHundred) {
  config_.best = config_.ticker = true;
  std::set<Instrument> wanted;
  for (int i = 100; i < 250; ++i) wanted.insert(of("A" + std::to_string(i) + "-USDT"));
  start(wanted);
  ASSERT_TRUE(live(2));
  std::vector<std::map<std::string, std::vector<std::size_t>>> batches;
  for (const auto& client : venue_.clients) {
    auto& of = batches.emplace_back();
    for (const Client::Asked& asked : client->asked)
      of[asked.topic.substr(0, asked.topic.find(':'))].push_back(
          static_cast<std::size_t>(std::ranges::count(asked.topic, ',') + 1));
  }
  if (batches[0].at("/market/match")[0] < batches[1].at("/market/match")[0]) std::swap(batches[0], batches[1]);
  for (const std::string channel : {"/market/match", "/market/ticker", "/spotMarket/level1"}) {
    EXPECT_EQ(batches[0][channel], std::vector<std::size_t>{100});
    EXPECT_EQ(batches[1][channel], std::vector<std::size_t>{50});
  }
  EXPECT_EQ(feed_->status().connections[0].confirmed, 300U);
}

TEST_F(KucoinFeed, WhatDoesNotFitIntoOneConnectionGoesOverAnother) {
  config_.limits.streams = 2;
  start({kBtc, kEth, of("SOL-USDT")});
  ASSERT_TRUE(live(2));
  EXPECT_EQ(venue_.tokens, 2) << "one for each";
  EXPECT_NE(venue_.client(0).token, venue_.client(1).token);
  EXPECT_EQ(venue_.client(0).asked[0].topic.size() + venue_.client(1).asked[0].topic.size(),
            std::string{"/market/match:BTC-USDT,ETH-USDT/market/match:SOL-USDT"}.size());
}

TEST_F(KucoinFeed, QuotesCarryNoSessionAndTradesDo) {
  config_.best = config_.ticker = true;
  start({kBtc});
  ASSERT_TRUE(live());
  const std::string ticker =
      R"({"topic":"/market/ticker:BTC-USDT","type":"message","subject":"trade.ticker","data":{"sequence":"1","price":"1","size":"1","bestAsk":"2","bestAskSize":"1","bestBid":"1","bestBidSize":"1","time":)" +
      venue_.ms() + "}}";
  venue_.last().socket->send(ticker);
  ASSERT_TRUE(until([&] { return sink_.of_kind("frame").back().bytes == ticker; }));
  EXPECT_EQ(sink_.of_kind("frame").back()["session"], "-");
  EXPECT_EQ(sink_.of_kind("frame").back()["instruments"], "kucoin:BTC-USDT");
  EXPECT_TRUE(tape().empty());
}

TEST_F(KucoinFeed, NothingIsAskedForBeforeTheWelcome) {
  venue_.greet = [](Client&) {};
  start({kBtc});
  ASSERT_TRUE(until([this] { return venue_.clients.size() == 1; }));
  pass(5s);
  EXPECT_TRUE(venue_.last().asked.empty());
  EXPECT_TRUE(venue_.last().pings.empty());
  venue_.last().socket->send(R"({"id":"x","type":"welcome"})");
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().asked.size(), 1U);
}

TEST_F(KucoinFeed, AWelcomeThatNeverComesEndsTheConnectionAndTheNextOneHasANewToken) {
  venue_.greet = [this](Client& client) {
    if (venue_.clients.size() > 1) client.socket->send(R"({"id":"x","type":"welcome"})");
  };
  start({kBtc});
  ASSERT_TRUE(soon([this] { return is_live(); }));
  EXPECT_EQ(told("no welcome within 10 s"), 1U) << all_told();
  EXPECT_EQ(venue_.tokens, 2);
  EXPECT_NE(venue_.client(0).token, venue_.client(1).token);
}

TEST_F(KucoinFeed, ARefusedTokenIsToldAndAnotherOneAskedFor) {
  venue_.greet = [this](Client& client) {
    if (venue_.clients.size() > 1) {
      client.socket->send(R"({"id":"x","type":"welcome"})");
      return;
    }
    client.error("660fd6c84d0eab582c237b51", 401, "token is expired");
    client.socket->close(1000, "", true);
  };
  start({kBtc});
  ASSERT_TRUE(soon([this] { return is_live(); }));
  EXPECT_EQ(told("the venue refuses this connection: token is expired (code 401)"), 1U) << all_told();
  EXPECT_EQ(venue_.tokens, 2);
}

TEST_F(KucoinFeed, ATokenCallThatIsNoneIsTriedAgain) {
  int calls = 0;
  venue_.token = [&]() -> net::ServerAnswer {
    switch (++calls) {
      case 1:
        return venue_.json_answer("<html>", 503);
      case 2:
        return venue_.json_answer(R"({"code":"429000","msg":"Too many requests"})");
      case 3:
        return venue_.json_answer(R"({"code":"200000","data":{"token":"","instanceServers":[]}})");
      case 4:
        return venue_.json_answer(R"({"code":"200000","data":{"token":"x","instanceServers":[]}})");
      case 5:
        return venue_.json_answer("");
      default:
        return venue_.token_answer();
    }
  };
  start({kBtc});
  ASSERT_TRUE(soon([this] { return is_live(); }));
  EXPECT_EQ(told("/api/v1/bullet-public: answered with status 503"), 1U) << all_told();
  EXPECT_EQ(told("the venue refuses it: Too many requests (code 429000)"), 1U) << all_told();
  EXPECT_EQ(told("the answer to the token call has no token"), 1U) << all_told();
  EXPECT_EQ(told("the answer to the token call names no server"), 1U) << all_told();
  EXPECT_EQ(told("it is empty"), 1U) << all_told();
  EXPECT_EQ(calls, 6);
}

TEST_F(KucoinFeed, PingsAreMessagesAtLeastAsOftenAsTheVenueAsks) {
  venue_.ping_interval = 7'000;
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 60; ++i) {  // busy all the time, so no ping is needed for the time's sake
    venue_.last().socket->send(venue_.trade("BTC-USDT", 1000 + 3 * static_cast<std::uint64_t>(i)));
    pass(1s);
  }
  const auto& pings = venue_.last().pings;
  ASSERT_GE(pings.size(), 8U);
  for (std::size_t i = 1; i < pings.size(); ++i) EXPECT_LE(pings[i] - pings[i - 1], 8s);
  EXPECT_EQ(venue_.clients.size(), 1U);
}

TEST_F(KucoinFeed, WithoutPongsTheConnectionIsMadeAnewWithinTheVenuesTime) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(3s);
  ASSERT_FALSE(venue_.last().pings.empty());
  venue_.pongs = false;
  pass(13s);
  EXPECT_EQ(told("no answer to a ping within 10 s"), 1U) << all_told();
  venue_.pongs = true;
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && is_live(); }));
  EXPECT_EQ(venue_.tokens, 2);
}

TEST_F(KucoinFeed, WhatWasNotReadForLongMayBeLostSoTheConnectionIsMadeAnew) {
  start({kBtc});
  ASSERT_TRUE(live());
  sink_.set_room(0);
  venue_.last().socket->send(venue_.trade("BTC-USDT", 1));
  ASSERT_TRUE(until([this] { return feed_->status().connections[0].blocked; }));
  pass(5s);
  sink_.set_room(std::nullopt);
  ASSERT_TRUE(until([this] { return tape().size() == 1; }));
  pass(5s);
  EXPECT_EQ(venue_.clients.size(), 1U) << "so long a wait loses nothing";
  sink_.set_room(0);
  venue_.last().socket->send(venue_.trade("BTC-USDT", 2));
  ASSERT_TRUE(until([this] { return feed_->status().connections[0].blocked; }));
  pass(11s);
  sink_.set_room(std::nullopt);
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && is_live(); })) << all_told();
  EXPECT_EQ(tape().size(), 2U) << "what was read is kept";
  EXPECT_EQ(told("was not read for 11 s, and the venue drops what a slow client does not take"), 1U) << all_told();
}

// Each wait is short, but no time is left to catch up.
TEST_F(KucoinFeed, ShortWaitsAtManyFramesAddUp) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (std::uint64_t id = 1; id <= 10; ++id) {
    EXPECT_EQ(venue_.clients.size(), 1U) << id;
    sink_.set_room(0);
    venue_.last().socket->send(venue_.trade("BTC-USDT", id));
    ASSERT_TRUE(until([this] { return feed_->status().connections[0].blocked; }));
    pass(1s);
    sink_.set_room(std::nullopt);
    ASSERT_TRUE(until([&] { return tape().size() == id; })) << id;
  }
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && is_live(); })) << all_told();
  EXPECT_EQ(told("was not read for 10 s, and the venue drops what a slow client does not take"), 1U) << all_told();
}

// As often as the consumer waits, it catches up again.
TEST_F(KucoinFeed, WaitsThatAreCaughtUpDoNotAddUp) {
  start({kBtc});
  ASSERT_TRUE(live());
  for (std::uint64_t id = 1; id <= 12; ++id) {
    sink_.set_room(0);
    venue_.last().socket->send(venue_.trade("BTC-USDT", id));
    ASSERT_TRUE(until([this] { return feed_->status().connections[0].blocked; }));
    pass(1s);
    sink_.set_room(std::nullopt);
    ASSERT_TRUE(until([&] { return tape().size() == id; }));
    pass(2s);
  }
  EXPECT_EQ(venue_.clients.size(), 1U) << all_told();
}

TEST_F(KucoinFeed, AnAnsweredPingMovesTheWitness) {
  start({kBtc});
  ASSERT_TRUE(live());
  pass(3s);
  const auto witness = feed_->status().connections[0].witness;
  ASSERT_TRUE(witness);
  EXPECT_GE(*witness, kStart + 1s - 500ms - 1ms);
  EXPECT_LE(*witness, kStart + 3s - 500ms);
}

TEST_F(KucoinFeed, AnAckForTheWrongIdIsNotBelieved) {
  venue_.asked = [](Client& client, const Client::Asked& what) {
    client.ack("999");
    client.ack(what.id);
  };
  start({kBtc});
  ASSERT_TRUE(live());
  EXPECT_EQ(told("the venue answered a request that was not made (id 999)", Level::warning), 1U) << all_told();
}

TEST_F(KucoinFeed, ATopicThatTheVenueDoesNotHaveIsFoundAndLeftOut) {
  venue_.asked = [](Client& client, const Client::Asked& what) {
    if (what.topic.find("BSV-BTC") != std::string::npos)
      client.error(what.id, 404, "topic /market/match:BSV-BTC is not found");
    else
      client.ack(what.id);
  };
  start({kBtc, of("BSV-BTC"), kEth});
  ASSERT_TRUE(live());
  EXPECT_EQ(told("the venue refuses the stream /market/match:BSV-BTC: topic /market/match:BSV-BTC is not found (code "
                 "404)",
                 Level::error),
            1U)
      << all_told();
  EXPECT_EQ(feed_->status().connections[0].confirmed, 2U);
  EXPECT_EQ(venue_.clients.size(), 1U);
}

TEST_F(KucoinFeed, WhatIsOfTheMomentRefusesNoTopic) {
  bool refuse = true;
  venue_.asked = [&](Client& client, const Client::Asked& what) {
    if (std::exchange(refuse, false))
      client.error(what.id, 509, "exceed max permits per second");
    else
      client.ack(what.id);
  };
  start({kBtc, kEth});
  ASSERT_TRUE(soon([this] { return is_live(); }));
  EXPECT_EQ(told("the venue refuses this connection: exceed max permits per second (code 509)"), 1U) << all_told();
  EXPECT_EQ(told("the venue refuses the stream"), 0U);
  EXPECT_EQ(feed_->status().connections[0].confirmed, 2U);
}

TEST_F(KucoinFeed, NearTheEndOfItsLifeASuccessorWithATokenOfItsOwnTakesOver) {
  config_.life = 1h;
  config_.life_jitter = 0s;
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 62; ++i) {
    if (!venue_.last().gone) venue_.last().socket->send(venue_.trade("BTC-USDT", 10 + static_cast<std::uint64_t>(i)));
    pass(1min, 15s);
  }
  ASSERT_EQ(venue_.clients.size(), 2U) << all_told();
  ASSERT_TRUE(soon([this] { return venue_.client(0).gone; }, 900));
  EXPECT_EQ(venue_.tokens, 2);
  EXPECT_FALSE(venue_.client(1).gone);
}

TEST_F(KucoinFeed, AHaltedAndAnUnknownSymbolAreTold) {
  venue_.entries = {venue_.symbol_entry("BTC-USDT"), venue_.symbol_entry("ETH-USDT", false)};
  start({kBtc, kEth, of("NO-USDT")});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([this] { return told("the venue has no symbol NO-USDT") == 1; })) << all_told();
  EXPECT_EQ(told("the venue says of ETH-USDT that its status is HALTED", Level::warning), 1U) << all_told();
  EXPECT_EQ(feed_->status().unknown, (std::set<Instrument>{of("NO-USDT")}));
}

}  // namespace
}  // namespace truetape::kucoin
