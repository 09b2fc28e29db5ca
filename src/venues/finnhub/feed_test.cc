// The feed against a scripted venue on loopback, with a manual clock.
#include "venues/finnhub/feed_testing.h"
#include "venues/finnhub/markets.h"

namespace truetape::finnhub {
namespace {

using Level = FeedEvent::Level;

class FinnhubFeed : public FeedTest {};

TEST_F(FinnhubFeed, OneSymbolAMessageAndTheTokenInTheAddress) {
  start({kAapl, kBtc, *Instrument::parse("finnhub:IC%20MARKETS:1")});
  ASSERT_TRUE(live());
  ASSERT_TRUE(said(3));
  EXPECT_THAT(venue_.targets, ElementsAre("/?token=s3cr3t%2F%2Btoken"));
  EXPECT_THAT(venue_.messages, ElementsAre(R"({"type":"subscribe","symbol":"AAPL"})",
                                           R"({"type":"subscribe","symbol":"BINANCE:BTCUSDT"})",
                                           R"({"type":"subscribe","symbol":"IC MARKETS:1"})"));
  ASSERT_TRUE(until([&] { return venue_.requests.size() >= 6; }));
  for (const std::string& target : venue_.requests) EXPECT_THAT(target, testing::Not(HasSubstr("token")));
  for (const std::string& token : venue_.tokens) EXPECT_EQ(token, kToken);
  // Wanted no longer.
  feed_->want({kBtc});
  ASSERT_TRUE(said(5));
  EXPECT_THAT(std::vector<std::string>(venue_.messages.begin() + 3, venue_.messages.end()),
              testing::UnorderedElementsAre(R"({"type":"unsubscribe","symbol":"AAPL"})",
                                            R"({"type":"unsubscribe","symbol":"IC MARKETS:1"})"));
}

TEST_F(FinnhubFeed, ASubscriptionHoldsFromItsFirstFrameOn) {
  start({kAapl, kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(said(2));
  pass(3s);
  EXPECT_TRUE(sink_.of_kind("session").empty()) << "nothing came yet";
  venue_.trade("AAPL");
  ASSERT_TRUE(frames(1));
  pass(2s);
  const auto sessions = sink_.of_kind("session");
  ASSERT_FALSE(sessions.empty());
  EXPECT_EQ(sessions[0]["event"], "open");
  EXPECT_EQ(sessions[0]["instruments"], "finnhub:AAPL");
  EXPECT_GE(std::stoll(sessions[0]["subscribed"]), to_ns(kStart + 3s));
  for (const PutRecord& s : sessions) EXPECT_THAT(s["instruments"], testing::Not(HasSubstr("BTCUSDT")));
  const auto frame = sink_.of_kind("frame")[0];
  EXPECT_EQ(frame["instruments"], "finnhub:AAPL");
  EXPECT_EQ(frame["connection"], "finnhub-1");
  EXPECT_EQ(frame["seq"], "1");
}

TEST_F(FinnhubFeed, AFrameOfSeveralSymbolsComesToEachPartitionOnce) {
  start({kAapl, kBtc});
  ASSERT_TRUE(live());
  const auto ms = std::to_string(to_ns(kStart) / 1'000'000);
  const std::string frame = R"({"data":[{"c":null,"p":1,"s":"AAPL","t":)" + ms +
                            R"(,"v":1},{"c":null,"p":2,"s":"BINANCE:BTCUSDT","t":)" + ms +
                            R"(,"v":1}],"type":"trade"})";
  venue_.send(frame);
  ASSERT_NE(partition_of(kAapl, 8), partition_of(kBtc, 8));
  ASSERT_TRUE(frames(2));
  for (const PutRecord& r : sink_.of_kind("frame")) {
    EXPECT_EQ(r.bytes, frame);
    EXPECT_EQ(r["instruments"], r.partition == partition_of(kAapl, 8) ? kAapl.str() : kBtc.str());
  }
}

TEST_F(FinnhubFeed, PingsAndErrorsGoToNobodyAndErrorsAreTold) {
  start({kAapl});
  ASSERT_TRUE(live());
  venue_.send(R"({"type":"ping"})");
  venue_.send(R"({"msg":"Subscribing to too many symbols","type":"error"})");
  ASSERT_TRUE(frames(2));
  for (const PutRecord& r : sink_.of_kind("frame")) {
    EXPECT_EQ(r.partition, 0);
    EXPECT_EQ(r["instruments"], "");
    EXPECT_EQ(r["venue"], "finnhub");
    EXPECT_EQ(r["session"], "-");
  }
  ASSERT_TRUE(until([&] { return all_told().find("too many symbols") != std::string::npos; }));
  EXPECT_THAT(all_told(),
              HasSubstr("warning finnhub-1 | finnhub: the venue says: Subscribing to too many symbols; some "
                        "stay silent: want fewer instruments, and set feed.finnhub.symbols"));
  EXPECT_EQ(venue_.sockets.size(), 1u) << "the connection stays";
}

TEST_F(FinnhubFeed, ABadTokenIsToldAndTriedSlowly) {
  venue_.refuse = 401;
  start({kAapl});
  pass(20min, 10s);
  EXPECT_THAT(all_told(), HasSubstr("error finnhub-1 | finnhub: ws://" + venue_.address() +
                                    "/: answered with status 401 instead of a WebSocket"));
  EXPECT_THAT(all_told(),
              HasSubstr("; the venue does not know the token: check feed.finnhub.token; the next attempt is in "));
  ASSERT_GE(venue_.attempts.size(), 2u);
  EXPECT_LE(venue_.attempts.size(), 20u);
  for (std::size_t i = 1; i < venue_.attempts.size(); ++i) EXPECT_GE(venue_.attempts[i] - venue_.attempts[i - 1], 30s);
  venue_.refuse = 0;
  pass(16min, 10s);
  EXPECT_TRUE(live());
}

TEST_F(FinnhubFeed, AKeyThatIsInUseIsTriedAgainAfterMinutes) {
  venue_.refuse = 429;
  start({kAapl});
  pass(30min, 10s);
  ASSERT_GE(venue_.attempts.size(), 2u);
  for (std::size_t i = 1; i < venue_.attempts.size(); ++i) EXPECT_GE(venue_.attempts[i] - venue_.attempts[i - 1], 2min);
  EXPECT_THAT(all_told(), HasSubstr("one connection of a key"));
}

TEST_F(FinnhubFeed, AnUpgradeAnsweredWith200IsNoConnection) {
  venue_.refuse = 200;
  start({kAapl});
  pass(10s);
  EXPECT_THAT(all_told(), HasSubstr("answered with status 200 instead of a WebSocket"));
  venue_.refuse = 0;
  pass(2min, 5s);
  EXPECT_TRUE(live());
}

TEST_F(FinnhubFeed, QuietAfterHoursIsNotDeadButNothingAtAllIs) {
  start({kAapl});
  ASSERT_TRUE(live());
  venue_.trade("AAPL");
  ASSERT_TRUE(frames(1));
  for (int minute = 0; minute < 30; ++minute) {
    venue_.send(R"({"type":"ping"})");
    pass(1min, 10s);
  }
  EXPECT_EQ(venue_.sockets.size(), 1u);
  EXPECT_EQ(events_.size(), 1u) << all_told();  // that AAPL is in no list
  // The cable is pulled: the server's pings stop, and ours are not answered.
  venue_.sockets[0]->drop();
  pass(3min, 5s);
  ASSERT_TRUE(until([&] { return venue_.sockets.size() >= 2; }));
  ASSERT_TRUE(said(2));
  EXPECT_EQ(venue_.messages[1], R"({"type":"subscribe","symbol":"AAPL"})") << "asked for again";
  venue_.trade("AAPL");
  ASSERT_TRUE(frames(32));
  pass(2s);
  const auto sessions = sink_.of_kind("session");
  EXPECT_NE(sessions.front()["session"], sessions.back()["session"]) << "a session of its own";
}

TEST_F(FinnhubFeed, NoMoreThanThePlanAllows) {
  options_.symbols = 2;
  start({kAapl, kBtc, *Instrument::parse("finnhub:MSFT")});
  ASSERT_TRUE(live());
  ASSERT_TRUE(said(2));
  pass(2s);
  EXPECT_EQ(venue_.messages.size(), 2u);
  EXPECT_EQ(venue_.attempts.size(), 1u) << "one connection of a key";
  EXPECT_THAT(all_told(), HasSubstr("no room for MSFT: the venue allows 2 subscriptions of a connection"));
  feed_->want({kAapl, *Instrument::parse("finnhub:MSFT")});
  ASSERT_TRUE(said(4));
  EXPECT_EQ(venue_.messages[3], R"({"type":"subscribe","symbol":"MSFT"})") << "the slot is free at once";
}

TEST_F(FinnhubFeed, SymbolListsGiveReferencesAndTellWhatIsInNone) {
  venue_.pages["/stock/symbol?exchange=US"] =
      R"([{"currency":"USD","displaySymbol":"AAPL","symbol":"AAPL","type":"Common Stock"},{"currency":"USD","displaySymbol":"B","symbol":"B"}])";
  venue_.pages["/crypto/symbol?exchange=binance"] =
      R"([{"description":"Binance BTCUSDT","displaySymbol":"BTC/USDT","symbol":"BINANCE:BTCUSDT"}])";
  start({kAapl, kBtc, *Instrument::parse("finnhub:OANDA:XXX")});
  ASSERT_TRUE(until([&] { return feed_->status().unknown.size() == 1; }));
  const auto references = sink_.of_kind("reference");
  ASSERT_EQ(references.size(), 2u);
  EXPECT_EQ(references[0]["instruments"], "finnhub:BINANCE:BTCUSDT");
  EXPECT_EQ(references[1].bytes, R"({"currency":"USD","displaySymbol":"AAPL","symbol":"AAPL","type":"Common Stock"})");
  EXPECT_THAT(all_told(), HasSubstr("the venue has no symbol OANDA:XXX"));
  EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/forex/symbol?exchange=oanda"));
}

net::ServerAnswer refusal(int status) {
  return net::text_answer(status, "application/json", R"({"error":"You don't have access to this resource."})");
}

TEST_F(FinnhubFeed, AListThatThePlanDoesNotHaveKeepsNoOtherBack) {
  const Instrument oanda = *Instrument::parse("finnhub:OANDA:XXX");
  venue_.pages["/stock/symbol?exchange=US"] = R"([{"currency":"USD","displaySymbol":"AAPL","symbol":"AAPL"}])";
  bool included = false;
  const auto usual = venue_.rest;
  venue_.rest = [&](const net::ServerRequest& request) {
    return request.target.find("/crypto/symbol") != std::string::npos && !included ? refusal(403) : usual(request);
  };
  const auto asked = [&](std::string_view what) {
    return std::ranges::count_if(venue_.requests,
                                 [&](const std::string& r) { return r.find(what) != std::string::npos; });
  };
  start({kAapl, kBtc, oanda});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([&] { return feed_->status().unknown.size() == 1; })) << all_told();
  EXPECT_EQ(feed_->status().unknown, (std::set<Instrument>{oanda})) << "of BINANCE:BTCUSDT nobody knows";
  ASSERT_EQ(sink_.of_kind("reference").size(), 1u);
  EXPECT_EQ(sink_.of_kind("reference")[0]["instruments"], kAapl.str());
  pass(55min, 10s);
  EXPECT_EQ(asked("/stock/symbol"), 1) << "hourly";
  EXPECT_EQ(asked("/forex/symbol"), 1);
  EXPECT_EQ(asked("/crypto/symbol"), 4) << "each 15 minutes";
  EXPECT_THAT(all_told(), testing::Not(HasSubstr("no symbol BINANCE:BTCUSDT")));
  // What is wanted later is looked up at once where that can be done.
  feed_->want({kAapl, kBtc, oanda, *Instrument::parse("finnhub:OANDA:YYY")});
  ASSERT_TRUE(until([&] { return feed_->status().unknown.size() == 2; }));
  EXPECT_EQ(asked("/crypto/symbol"), 4);
  included = true;
  pass(10min, 10s);
  EXPECT_EQ(asked("/crypto/symbol"), 5);
  ASSERT_TRUE(until([&] { return feed_->status().unknown.contains(kBtc); })) << "now it is known";
}

TEST_F(FinnhubFeed, AListThatFailsIsAskedForAgainWithoutTheOthers) {
  int fail = 3;
  const auto usual = venue_.rest;
  venue_.rest = [&](const net::ServerRequest& request) {
    if (request.target.find("/stock/symbol") == std::string::npos || fail-- <= 0) return usual(request);
    return net::text_answer(503, "text/plain", "busy");
  };
  start({kAapl, kBtc});
  ASSERT_TRUE(live());
  pass(30s);
  EXPECT_EQ(std::ranges::count(venue_.requests, "/api/v1/crypto/symbol?exchange=binance"), 1);
  EXPECT_EQ(std::ranges::count(venue_.requests, "/api/v1/stock/symbol?exchange=US"), 4);
  EXPECT_EQ(feed_->status().unknown, (std::set<Instrument>{kAapl, kBtc}));
}

TEST_F(FinnhubFeed, TooManyQuestionsAreAMinutesMatter) {
  for (const int seconds : {0, 20}) {
    stop();
    ended_ = false;
    events_.clear();
    venue_.requests.clear();
    bool limited = true;
    const auto usual = venue_.rest;
    venue_.rest = [&](const net::ServerRequest& request) {
      if (!limited) return usual(request);
      auto answer = net::text_answer(429, "application/json", R"({"error":"API limit reached."})");
      if (seconds > 0) answer.headers.add("Retry-After", std::to_string(seconds));
      return answer;
    };
    const int wait = seconds > 0 ? seconds : 60;
    start({kAapl});
    ASSERT_TRUE(until([&] { return all_told().find("answered with status 429") != std::string::npos; }));
    limited = false;
    pass(std::chrono::seconds{wait - 2});
    EXPECT_EQ(venue_.requests.size(), 1u);
    pass(15s);
    EXPECT_TRUE(feed_->status().clock_offset.has_value()) << all_told();
    EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/stock/symbol?exchange=US"));
    EXPECT_THAT(all_told(), HasSubstr("warning  | finnhub: http://"));
    EXPECT_EQ(std::ranges::count(events_, Level::error, &FeedEvent::level), 1)
        << "that AAPL is in no list: " << all_told();
    venue_.rest = usual;
  }
}

TEST_F(FinnhubFeed, HeadlinesByTheStream) {
  options_.news = NewsBy::stream;
  start({kAapl});
  ASSERT_TRUE(live());
  ASSERT_TRUE(said(2));
  EXPECT_THAT(venue_.messages,
              ElementsAre(R"({"type":"subscribe","symbol":"AAPL"})", R"({"type":"subscribe-news","symbol":"AAPL"})"));
  const std::string news =
      R"({"data":[{"category":"company","datetime":1728914400,"headline":"h","id":1,"related":"AAPL"}],"type":"news"})";
  venue_.send(news);
  ASSERT_TRUE(frames(1));
  EXPECT_EQ(sink_.of_kind("frame")[0].bytes, news);
  EXPECT_EQ(sink_.of_kind("frame")[0].partition, 0);
}

// ---- what is the venue's own, without a network

TEST(FinnhubDialect, MarketsAndListsOfSymbols) {
  const std::tuple<std::string_view, Market, std::string_view> cases[] = {
      {"AAPL", Market::share, "/stock/symbol?exchange=US"},
      {"BRK.B", Market::share, "/stock/symbol?exchange=US"},
      {"BARC.L", Market::elsewhere, "/stock/symbol?exchange=L"},
      {"ERE.UN.TO", Market::elsewhere, "/stock/symbol?exchange=TO"},
      {"BINANCE:BTCUSDT", Market::crypto, "/crypto/symbol?exchange=binance"},
      {"OANDA:EUR_USD", Market::forex, "/forex/symbol?exchange=oanda"},
      {"IC MARKETS:1", Market::forex, "/forex/symbol?exchange=ic%20markets"},
  };
  for (const auto& [symbol, market, list] : cases) {
    EXPECT_EQ(market_of(symbol), market) << symbol;
    EXPECT_THAT(
        lists_of({*Instrument::parse("finnhub:" + std::string{symbol == "IC MARKETS:1" ? "IC%20MARKETS:1" : symbol})}),
        ElementsAre(std::string{list}));
  }
}

TEST(FinnhubDialect, ReadsItsTimeAndNothingElseAsOne) {
  const auto dialect = make_dialect();
  EXPECT_EQ(dialect->time(R"({"exchange":"US","t":1789580601})"), timestamp_ns(1'789'580'601'500'000'000));
  for (const std::string_view bad : {"", "[]", "{}", R"({"t":1789580601000})", R"({"t":"1789580601"})", "<html>"})
    EXPECT_EQ(dialect->time(bad), std::nullopt) << bad;
  for (const std::string_view bad : {"", "{}", "[7]", R"([{"symbol":7}])", R"([{"symbol":"A"})", R"([{"symbol":"A"}{)"})
    EXPECT_FALSE(dialect->symbols(bad)) << bad;
  EXPECT_TRUE(dialect->symbols(" [ ] ")->entries.empty());
}

TEST(FinnhubDialect, SaysWhoseAFrameIs) {
  const auto dialect = make_dialect();
  const auto kind = [&](std::string_view frame) { return dialect->heard(frame).kind; };
  EXPECT_EQ(kind(R"({"data":[],"type":"trade"})"), feeds::StreamKind::trade);
  EXPECT_EQ(kind(R"({ "type" : "trade" , "data":[] })"), feeds::StreamKind::trade);
  for (const std::string_view other : {R"({"type":"ping"})", R"({"msg":"trade","type":"error"})", "trade",
                                       R"({"data":[{"headline":"trade"}],"type":"news"})"})
    EXPECT_EQ(kind(other), std::nullopt) << other;
}

}  // namespace
}  // namespace truetape::finnhub
