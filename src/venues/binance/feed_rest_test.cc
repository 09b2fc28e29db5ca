// What the feed asks of the venue's REST interface: its time and its symbol list, within the budget.
#include "venues/binance/feed_testing.h"

namespace truetape::binance {
namespace {

using Level = FeedEvent::Level;
const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
const Instrument kEth = *Instrument::parse("binance:ETHUSDT");

class FeedRestTest : public FeedTest {
 protected:
  std::size_t asked(const std::string& path) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(venue_.requests, [&](const std::string& target) { return target.starts_with(path); }));
  }
  bool references(std::size_t count) {
    return until([&] { return sink_.of_kind("reference").size() >= count; });
  }
  // Lets at most a quarter of an hour pass.
  bool passed_until(const std::function<bool()>& done) {
    for (int i = 0; i < 90 && !done(); ++i) pass(10s, 10s);
    return done();
  }
  // Beside the list and the time.
  void answer_turnovers(const std::vector<std::pair<std::string, std::string>>& turnovers) {
    std::string out = "[";
    for (const auto& [symbol, turnover] : turnovers)
      out += (out.size() > 1 ? "," : "") + (R"({"symbol":")" + symbol + R"(","quoteVolume":")" + turnover + R"("})");
    answer_list([this, body = out + "]"](const net::ServerRequest& request) {
      const bool asks = request.where.path.ends_with("/ticker/24hr");
      return net::text_answer(200, "application/json", asks ? body : venue_.symbol_list(venue_.entries));
    });
  }
  // Instead of the symbol list; the time is told as always.
  void answer_list(std::function<net::ServerAnswer(const net::ServerRequest&)> answer) {
    venue_.rest = [this, answer](const net::ServerRequest& request) {
      if (request.where.path.ends_with("/time"))
        return net::text_answer(200, "application/json", R"({"serverTime":)" + venue_.ms() + "}");
      return answer(request);
    };
  }
};

TEST_F(FeedRestTest, EachWantedSymbolsEntryIsHandedOverAsItCame) {
  venue_.entries = {venue_.symbol_entry("ETHUSDT"), venue_.symbol_entry("LTCUSDT"), venue_.symbol_entry("BTCUSDT")};
  start({kBtc, kEth});
  ASSERT_TRUE(references(2));
  const auto all = sink_.of_kind("reference");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].bytes, venue_.entries[0]);
  EXPECT_EQ(all[0]["instruments"], "binance:ETHUSDT");
  EXPECT_EQ(all[0].key, "binance:ETHUSDT");
  EXPECT_EQ(all[0]["receive_time"], ns(kStart));
  EXPECT_EQ(all[0]["session"], "-");
  EXPECT_EQ(all[1].bytes, venue_.entries[2]);
  EXPECT_EQ(asked("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"), 1u)
      << testing::PrintToString(venue_.requests);
  EXPECT_TRUE(feed_->status().unknown.empty());
  EXPECT_TRUE(events_.empty()) << all_told();
}

TEST_F(FeedRestTest, AWildcardFollowsTheWholeListWithoutARestart) {
  const auto entry = [](const std::string& symbol, const std::string& quote, const std::string& status = "TRADING") {
    return R"({"symbol":")" + symbol + R"(","status":")" + status + R"(","baseAsset":"B","quoteAsset":")" + quote +
           R"(","filters":[]})";
  };
  venue_.entries = {entry("BTCUSDT", "USDT"), entry("ETHBTC", "BTC"), entry("LTCUSDT", "USDT"),
                    entry("OLDUSDT", "USDT", "BREAK")};
  start({*Instrument::parse("binance:*/USDT")});
  ASSERT_TRUE(references(2)) << all_told();
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 1u) << testing::PrintToString(venue_.requests);
  ASSERT_TRUE(live());
  EXPECT_EQ(feed_->status().instruments, 2u);
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"btcusdt@trade", "ltcusdt@trade"}));
  ASSERT_FALSE(sink_.records.empty());
  EXPECT_EQ(sink_.records[0].kind(), "config") << "the tape is fixed before anything else";
  // A halt of all, however long, leaves what was selected.
  venue_.entries = {entry("BTCUSDT", "USDT", "HALT"), entry("LTCUSDT", "USDT", "BREAK"),
                    entry("ETHBTC", "BTC", "HALT")};
  pass(16min, 10s);
  EXPECT_EQ(feed_->status().instruments, 2u) << all_told();
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"btcusdt@trade", "ltcusdt@trade"}));
  // One is listed, one is delisted, one is halted.
  venue_.entries = {entry("BTCUSDT", "USDT", "BREAK"), entry("NEWUSDT", "USDT")};
  pass(6min, 10s);
  ASSERT_TRUE(until([&] {
    return venue_.last().streams == std::set<std::string>{"btcusdt@trade", "newusdt@trade"};
  })) << all_told();
  EXPECT_EQ(venue_.clients.size(), 1u) << "the same connection";
  EXPECT_EQ(told("2 instruments are wanted by the venue's list; new: NEWUSDT; no longer: LTCUSDT", Level::info), 1u)
      << all_told();
}

TEST_F(FeedRestTest, AnEmptyListIsNoAnswer) {
  venue_.entries = {venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("ETHUSDT")};
  const auto entries = venue_.entries;
  start({*Instrument::parse("binance:*")});
  ASSERT_TRUE(references(2)) << all_told();
  ASSERT_TRUE(live());
  for (int time = 1; time <= 2; ++time) {
    venue_.entries.clear();
    pass(15min, 10s);
    EXPECT_EQ(feed_->status().instruments, 2u) << all_told();
    EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"btcusdt@trade", "ethusdt@trade"}));
    EXPECT_EQ(told("the venue's symbol list is empty, which is not believed: what is wanted stays; it is asked again, "
                   "and if it stays check rest_url",
                   Level::warning),
              static_cast<std::size_t>(time))
        << "once for each time that it becomes empty\n"
        << all_told();
    venue_.entries = entries;
    pass(2min, 10s);
  }
  EXPECT_EQ(told("more than half"), 0u) << all_told();
  EXPECT_EQ(feed_->status().instruments, 2u);
  // Nor does it say that a symbol that is wanted by its name does not exist.
  stop();
  ended_ = false;
  venue_.entries.clear();
  answer_list(
      [this](const net::ServerRequest&) { return net::text_answer(200, "application/json", venue_.symbol_list({})); });
  start({kBtc});
  ASSERT_TRUE(live());
  pass(5min, 10s);
  EXPECT_TRUE(feed_->status().unknown.empty());
  EXPECT_EQ(told("the venue has no symbol"), 0u) << all_told();
}

TEST_F(FeedRestTest, AListThatIsNotBelievedMakesNothingUnknown) {
  const Instrument gone = spot("GONEUSDT");
  for (const char* symbol : {"AUSDT", "BUSDT", "CUSDT", "DUSDT", "BTCUSDT"})
    venue_.entries.push_back(venue_.symbol_entry(symbol));
  const auto entries = venue_.entries;
  start({*Instrument::parse("binance:*"), kBtc, gone});
  ASSERT_TRUE(references(5)) << all_told();
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([&] { return feed_->status().unknown == std::set<Instrument>{gone}; })) << all_told();
  constexpr const char* kDoubt = "more than half of what was selected is no longer in the venue's symbol list";
  venue_.entries = {venue_.symbol_entry("AUSDT", "BREAK")};
  ASSERT_TRUE(passed_until([&] { return told(kDoubt, Level::warning) == 1; })) << all_told();
  pass(50s, 10s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 2u);
  EXPECT_EQ(feed_->status().unknown, std::set<Instrument>{gone});
  EXPECT_EQ(told("the venue has no symbol"), 1u) << all_told();
  EXPECT_EQ(sink_.of_kind("reference").size(), 5u) << "nothing is taken from what is not believed";
  venue_.entries = entries;
  pass(20s, 10s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 3u) << "it is asked for again soon";
  EXPECT_EQ(feed_->status().instruments, 6u);
  EXPECT_EQ(feed_->status().unknown, std::set<Instrument>{gone});
  EXPECT_EQ(told(kDoubt), 1u) << all_told();
  // What it says twice is believed.
  venue_.entries = {venue_.symbol_entry("AUSDT")};
  ASSERT_TRUE(passed_until([&] { return told(kDoubt, Level::warning) == 2; })) << all_told();
  EXPECT_EQ(feed_->status().instruments, 6u);
  pass(70s, 10s);
  EXPECT_EQ(feed_->status().instruments, 3u) << "AUSDT by the list, two by their names";
  EXPECT_EQ(feed_->status().unknown, (std::set<Instrument>{kBtc, gone}));
}

TEST_F(FeedRestTest, AWildcardThatMeansNothingIsTold) {
  venue_.entries = {venue_.symbol_entry("BTCUSDT")};
  start({*Instrument::parse("binance:*/XYZ"), *Instrument::parse("binance:BTCUSDT")});
  ASSERT_TRUE(live()) << all_told();
  pass(20min, 10s);
  EXPECT_EQ(
      told("binance:*/XYZ means none of the 1 symbols that the venue lists: check its spelling; it goes on looking",
           Level::warning),
      1u)
      << all_told();
}

TEST_F(FeedRestTest, TheGreatestAreChosenByTheirTurnover) {
  answer_turnovers({{"BTCUSDT", "5.5"}, {"ETHUSDT", "1e3"}, {"LTCUSDT", "7.25"}});
  venue_.entries = {venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("ETHUSDT"), venue_.symbol_entry("LTCUSDT")};
  start({*Instrument::parse("binance:*/Q#2")});
  ASSERT_TRUE(references(2)) << all_told();
  ASSERT_TRUE(live());
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"ethusdt@trade", "ltcusdt@trade"}));
  EXPECT_EQ(asked("/api/v3/ticker/24hr?type=MINI"), 1u);
}

TEST_F(FeedRestTest, TurnoversOfFewSymbolsSelectNothing) {
  for (const char* symbol : {"AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT"})
    venue_.entries.push_back(venue_.symbol_entry(symbol));
  venue_.entries.push_back(venue_.symbol_entry("HALTUSDT", "BREAK"));  // need not be told of
  answer_turnovers({});
  start({*Instrument::parse("binance:*/Q#2"), spot("EUSDT"), spot("NONEUSDT")});
  ASSERT_TRUE(live());
  pass(30s);
  EXPECT_EQ(feed_->status().instruments, 2u) << "those of the greatest name; of others nobody knows whether they are";
  EXPECT_EQ(told("the venue's list of turnovers has only 0 of the 5 symbols that trade in Q, which is not believed",
                 Level::warning),
            1u)
      << all_told();
  // Nor is a number that is none.
  answer_turnovers({{"AUSDT", "nan"}, {"BUSDT", "inf"}, {"CUSDT", "-1"}, {"DUSDT", "1"}, {"EUSDT", "2"}});
  pass(1min);
  EXPECT_EQ(feed_->status().instruments, 2u) << all_told();
  answer_turnovers({{"AUSDT", "1"}, {"BUSDT", "2"}, {"CUSDT", "3"}, {"DUSDT", "4"}, {"EUSDT", "0"}});
  const std::set<std::string> selected{"cusdt@trade", "dusdt@trade", "eusdt@trade", "noneusdt@trade"};
  ASSERT_TRUE(passed_until([&] { return venue_.last().streams == selected; })) << all_told();
  EXPECT_EQ(told("the venue's list of turnovers"), 1u) << all_told();
  // Later as well.
  answer_turnovers({{"AUSDT", "9"}, {"BUSDT", "8"}});
  pass(15min, 10s);
  EXPECT_EQ(venue_.last().streams, selected);
  EXPECT_EQ(told("the venue's list of turnovers has only 2 of the 5 symbols"), 1u) << all_told();
  answer_turnovers({{"AUSDT", "9"}, {"BUSDT", "8"}, {"HALTUSDT", "99"}, {"EUSDT", "1"}});
  EXPECT_TRUE(passed_until([&] {
    return venue_.last().streams ==
           std::set<std::string>{"ausdt@trade", "busdt@trade", "eusdt@trade", "noneusdt@trade"};
  })) << all_told();
}

// Of one quote turnovers are not known, or of none: other wildcards follow the list.
TEST_F(FeedRestTest, AQuoteWithoutTurnoversLeavesTheOtherWildcards) {
  const auto with_quote = [this](const char* symbol, const std::string& quote) {
    std::string entry = venue_.symbol_entry(symbol);
    const std::string of = R"("quoteAsset":"Q")";
    entry.replace(entry.find(of), of.size(), R"("quoteAsset":")" + quote + '"');
    return entry;
  };
  venue_.entries = {with_quote("AR", "R"), with_quote("BR", "R"), with_quote("AS", "S"), with_quote("BS", "S"),
                    with_quote("AT", "T")};
  answer_turnovers({{"AR", "1"}, {"BR", "2"}});
  start({*Instrument::parse("binance:*/R#1"), *Instrument::parse("binance:*/S#1"), *Instrument::parse("binance:*/T")});
  const auto streams = [&](std::set<std::string> expected) {
    EXPECT_TRUE(passed_until([&] { return venue_.last().streams == expected; })) << all_told();
  };
  ASSERT_TRUE(live()) << all_told();
  streams({"br@trade", "at@trade"});
  EXPECT_EQ(
      told("the venue's list of turnovers has only 0 of the 2 symbols that trade in S, which is not believed: what "
           "is wanted of these stays",
           Level::warning),
      1u)
      << all_told();
  answer_turnovers({{"AR", "1"}, {"BR", "2"}, {"AS", "1"}, {"BS", "2"}});
  streams({"br@trade", "bs@trade", "at@trade"});
  // None can be read: listings of a wildcard without ranks are still followed, who is greatest stays.
  answer_list([this](const net::ServerRequest& request) {
    const bool asks = request.where.path.ends_with("/ticker/24hr");
    return net::text_answer(200, "application/json", asks ? "{}" : venue_.symbol_list(venue_.entries));
  });
  venue_.entries.push_back(with_quote("BT", "T"));
  streams({"br@trade", "bs@trade", "at@trade", "bt@trade"});
}

TEST_F(FeedRestTest, AWildcardThatCannotBeFollowedIsToldAndLeavesTheOthers) {
  const Instrument of_all_quotes = *Instrument::parse("binance:*#2");  // as a log may hold it
  venue_.entries = {venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("ETHUSDT")};
  start({of_all_quotes, kBtc});
  ASSERT_TRUE(references(1)) << all_told();
  ASSERT_TRUE(live());
  feed_->want({of_all_quotes, kBtc, kEth});
  ASSERT_TRUE(references(2)) << all_told();
  EXPECT_TRUE(until([&] { return venue_.last().streams.size() == 2; }));
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"btcusdt@trade", "ethusdt@trade"}));
  EXPECT_EQ(
      told("binance:*#2 is wanted, but is no wildcard that can be followed: nothing will come of it", Level::error), 1u)
      << all_told();
  EXPECT_EQ(feed_->status().unknown, std::set<Instrument>{of_all_quotes});
  feed_->want({kBtc});
  EXPECT_TRUE(feed_->status().unknown.empty());
}

TEST_F(FeedRestTest, TheListIsAskedForHourlyAndAnEntryIsPutAgainWhenItChanged) {
  start({kBtc, kEth});
  ASSERT_TRUE(references(2));
  pass(61min, 30s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 2u);
  EXPECT_EQ(sink_.of_kind("reference").size(), 2u);
  std::erase(venue_.entries, venue_.symbol_entry("BTCUSDT"));
  venue_.entries.push_back(venue_.symbol_entry("BTCUSDT", "BREAK"));
  pass(60min, 30s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 3u);
  ASSERT_EQ(sink_.of_kind("reference").size(), 3u);
  EXPECT_EQ(sink_.of_kind("reference")[2].bytes, venue_.symbol_entry("BTCUSDT", "BREAK"));
  EXPECT_EQ(told("the venue says of BTCUSDT that its status is BREAK", Level::warning), 1u) << all_told();
}

TEST_F(FeedRestTest, WhatMayBeLostIsPutAgainOnce) {
  for (const auto& wanted : {std::set<Instrument>{kBtc, kEth}, std::set<Instrument>{*Instrument::parse("binance:*")}}) {
    stop();
    ended_ = false;
    sink_.records.clear();
    venue_.entries = {venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("ETHUSDT")};
    start(wanted);
    ASSERT_TRUE(references(2));
    ASSERT_TRUE(live());
    EXPECT_EQ(sink_.of_kind("config").size(), 2u);
    for (std::size_t times = 2; times <= 3; ++times) {
      sink_.lose();
      pass(10s);
      EXPECT_EQ(sink_.of_kind("config").size(), 2 * times);
      pass(1min, 10s);
      EXPECT_EQ(sink_.of_kind("reference").size(), 2 * times);
    }
    pass(10min, 10s);
    EXPECT_EQ(sink_.of_kind("config").size(), 6u);
    EXPECT_EQ(sink_.of_kind("reference").size(), 6u);
    EXPECT_EQ(sink_.of_kind("reference")[5].bytes, venue_.entries[1]);
  }
}

TEST_F(FeedRestTest, WhatIsWantedLaterIsAskedForAtOnce) {
  start({kBtc});
  ASSERT_TRUE(references(1));
  venue_.entries.push_back(venue_.symbol_entry("ETHUSDT"));
  feed_->want({kBtc, kEth});
  ASSERT_TRUE(references(2));
  EXPECT_EQ(sink_.of_kind("reference")[1]["instruments"], "binance:ETHUSDT");
}

TEST_F(FeedRestTest, AnUnknownSymbolIsFoundInTheWholeListAndTold) {
  answer_list([this](const net::ServerRequest& request) {
    if (request.where.find("symbols"))
      return net::text_answer(400, "application/json", R"({"code":-1121,"msg":"Invalid symbol."})");
    return net::text_answer(200, "application/json", venue_.symbol_list({venue_.symbol_entry("BTCUSDT")}));
  });
  const Instrument wrong = spot("BTCUDST");
  start({kBtc, wrong});
  ASSERT_TRUE(references(1));
  ASSERT_TRUE(until([&] { return !events_.empty(); }));
  EXPECT_EQ(told("binance: the venue has no symbol BTCUDST: nothing will come of it; check its spelling", Level::error),
            1u)
      << all_told();
  EXPECT_EQ(feed_->status().unknown, std::set<Instrument>{wrong});
  feed_->want({kBtc});
  ASSERT_TRUE(until([&] { return feed_->status().unknown.empty(); }));
}

TEST_F(FeedRestTest, ANamedSymbolThatIsDelistedWhileItRunsIsToldAndHarmsNoOther) {
  const Instrument old = spot("OLDUSDT");
  const std::vector<std::string> with{venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("OLDUSDT")};
  std::vector<std::string> listed = with;
  answer_list([&](const net::ServerRequest& request) {
    const auto names = request.where.find("symbols");
    if (names && names->find("OLDUSDT") != names->npos && listed.size() < with.size())
      return net::text_answer(400, "application/json", R"({"code":-1121,"msg":"Invalid symbol."})");
    return net::text_answer(200, "application/json", venue_.symbol_list(listed));
  });
  start({kBtc, old});
  ASSERT_TRUE(live());
  ASSERT_TRUE(references(2));
  const std::string sentence = "the venue has no symbol OLDUSDT: nothing will come of it; check its spelling";
  for (const std::size_t times : {1u, 2u}) {
    listed = {with[0]};
    pass(125min, 30s);
    EXPECT_EQ(feed_->status().unknown, std::set<Instrument>{old});
    EXPECT_EQ(told(sentence, Level::error), times) << "once, not with each list\n" << all_told();
    listed = with;
    pass(65min, 30s);
    EXPECT_TRUE(feed_->status().unknown.empty());
  }
  EXPECT_EQ(sink_.of_kind("reference").size(), 2u) << "nothing else changed";
  EXPECT_EQ(venue_.clients.size(), 1u) << all_told();
  EXPECT_EQ(venue_.last().streams, (std::set<std::string>{"btcusdt@trade", "oldusdt@trade"}))
      << "it is wanted by its name: it goes on as soon as the venue has it again";
  EXPECT_EQ(sessions("open").size(), 1u);
  EXPECT_TRUE(sessions("close").empty());
}

TEST_F(FeedRestTest, UsdmGivesItsWholeList) {
  configure(Product::usdm, {.best = false, .ticker = false, .seed = 7});
  venue_.entries = {venue_.symbol_entry("BTCUSDT"), venue_.symbol_entry("BTCUSDT_250328")};
  start({usdm("BTCUSDT_250328")});
  ASSERT_TRUE(references(1));
  EXPECT_EQ(sink_.of_kind("reference")[0]["instruments"], "binance-usdm:BTCUSDT_250328");
  EXPECT_EQ(asked("/fapi/v1/exchangeInfo"), 1u);
  EXPECT_EQ(asked("/fapi/v1/exchangeInfo?"), 0u) << "it cannot be asked for some symbols only";
}

TEST_F(FeedRestTest, TheTimeIsAskedForThriceAndThenEveryTenMinutes) {
  start({kBtc});
  ASSERT_TRUE(references(1));
  EXPECT_EQ(asked("/api/v3/time"), 3u);
  pass(31min, 30s);
  EXPECT_EQ(asked("/api/v3/time"), 6u);
}

TEST_F(FeedRestTest, FramesFromTheFutureAskForTheTimeAgain) {
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(references(1));
  venue_.ahead = 5min;  // its clock was set
  for (int i = 0; i < 40; ++i) venue_.last().send("btcusdt@trade", venue_.trade("BTCUSDT", i));
  ASSERT_TRUE(frames(41));
  pass(45s, 5s);
  EXPECT_EQ(feed_->status().clock_offset, 5min + 500us);
  EXPECT_EQ(asked("/api/v3/time"), 4u);
}

TEST_F(FeedRestTest, AnswersThatAreNoneAreToldAndAskedForAgain) {
  struct Case {
    net::ServerAnswer answer;
    std::string says;
  };
  for (const Case& c : {
           Case{net::text_answer(200, "text/html; charset=utf-8", "<html>Please log in</html>"),
                "answered text/html that is no JSON (<html>Please log in</html>); check rest_url and proxies"},
           Case{net::text_answer(200, "application/json", R"({"symbols":[{]})"),
                "the venue's symbol list cannot be read"},
           Case{net::text_answer(200, "application/json", R"({"msg":"ok"})"), "the venue's symbol list cannot be read"},
           Case{net::text_answer(200, "application/json", ""), "that is no JSON"},
           Case{net::text_answer(503, "text/plain", "busy"), "answered with status 503: busy; it is asked again later"},
           Case{net::text_answer(400, "application/json", R"({"code":-1100,"msg":"Illegal characters"})"),
                "the venue refuses its symbol list"},
       }) {
    stop();
    ended_ = false;
    events_.clear();
    sink_.records.clear();
    answer_list([&](const net::ServerRequest&) { return c.answer; });
    start({kBtc});
    ASSERT_TRUE(until([&] { return told(c.says, Level::warning) == 1; })) << all_told();
    answer_list([this](const net::ServerRequest&) {
      return net::text_answer(200, "application/json", venue_.symbol_list({venue_.symbol_entry("BTCUSDT")}));
    });
    pass(2s);
    EXPECT_TRUE(references(1)) << c.says;
    EXPECT_EQ(told(c.says), 1u);
  }
}

TEST_F(FeedRestTest, TheUserOfTheAddressIsInNoSentence) {
  rest_user_ = "me:pass@";
  for (const auto& [answer, says] : std::vector<std::pair<net::ServerAnswer, std::string>>{
           {net::text_answer(200, "text/html", "<html>"), "/api/v3/exchangeInfo: answered text/html that is no JSON"},
           {net::text_answer(503, "text/plain", "busy"), "/api/v3/exchangeInfo: answered with status 503"}}) {
    stop();
    ended_ = false;
    events_.clear();
    answer_list([&](const net::ServerRequest&) { return answer; });
    start({kBtc});
    ASSERT_TRUE(until([&] { return told("http://" + venue_.address() + says, Level::warning) == 1; })) << all_told();
    EXPECT_EQ(told("pass@"), 0u) << all_told();
  }
}

TEST_F(FeedRestTest, ARefusedPlaceIsToldWhatToDoAndAskedSeldom) {
  for (const int status : {451, 403}) {
    stop();
    ended_ = false;
    events_.clear();
    venue_.requests.clear();
    venue_.rest = [status](const net::ServerRequest&) {
      return net::text_answer(status, "application/json", R"({"code":0,"msg":"restricted location"})");
    };
    start({kBtc});
    pass(14min, 10s);
    EXPECT_EQ(told("(" + std::to_string(status) + ")", Level::error), 2u) << all_told();
    EXPECT_EQ(venue_.requests.size(), 2u) << "the time and the list, each once in a quarter of an hour";
  }
}

TEST_F(FeedRestTest, RetryAfterAndTheVenuesCountOfWeightsAreObeyed) {
  answer_list([](const net::ServerRequest&) {
    auto answer = net::text_answer(429, "application/json", R"({"code":-1003,"msg":"Too much request weight used"})");
    answer.headers.add("Retry-After", "90");
    return answer;
  });
  start({kBtc});
  ASSERT_TRUE(until([&] { return told("answered with status 429", Level::warning) == 1; }));
  const std::size_t before = venue_.requests.size();
  answer_list([this](const net::ServerRequest&) {
    return net::text_answer(200, "application/json", venue_.symbol_list({venue_.symbol_entry("BTCUSDT")}));
  });
  pass(89s);
  EXPECT_EQ(venue_.requests.size(), before);
  pass(10s);
  EXPECT_TRUE(references(1));
}

TEST_F(FeedRestTest, ABanWhoseEndStandsInTheTextIsWaitedFor) {
  configure(Product::usdm, {.best = false, .ticker = false, .seed = 7});
  answer_list([this](const net::ServerRequest&) {
    return net::text_answer(418, "application/json",
                            R"({"code":-1003,"msg":"Way too many requests; IP banned until )" + venue_.ms(-5min) +
                                R"(. Please use the websocket for live updates to avoid bans."})");
  });
  start({usdm("BTCUSDT")});
  ASSERT_TRUE(until([&] { return told("answered with status 418", Level::warning) == 1; }));
  const std::size_t before = venue_.requests.size();
  answer_list([this](const net::ServerRequest&) {
    return net::text_answer(200, "application/json", venue_.symbol_list({venue_.symbol_entry("BTCUSDT")}));
  });
  pass(299s, 3s);
  EXPECT_EQ(venue_.requests.size(), before);
  pass(10s);
  EXPECT_TRUE(references(1));
}

TEST_F(FeedRestTest, OthersBehindTheSameAddressAreCountedByTheVenuesHeader) {
  venue_.rest = [this](const net::ServerRequest& request) {
    const bool time = request.where.path.ends_with("/time");
    auto answer = net::text_answer(
        200, "application/json",
        time ? R"({"serverTime":)" + venue_.ms() + "}" : venue_.symbol_list({venue_.symbol_entry("BTCUSDT")}));
    answer.headers.add("X-MBX-USED-WEIGHT-1M", "2990");  // of the 3000 that are ours
    return answer;
  };
  start({kBtc});
  ASSERT_TRUE(until([&] { return asked("/api/v3/time") == 3; }));
  pass(55s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 0u) << "a weight of 20 has to wait";
  pass(10s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 1u);
}

TEST_F(FeedRestTest, ALimitThatTheVenueTellsIsObeyed) {
  answer_list([](const net::ServerRequest&) {
    return net::text_answer(
        200, "application/json",
        R"({"rateLimits":[{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1},)"
        R"({"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":40}],"symbols":[]})");
  });
  start({kBtc});
  ASSERT_TRUE(until([&] { return asked("/api/v3/exchangeInfo") == 1; }));
  pass(1s);
  feed_->want({kBtc, kEth});
  pass(50s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 1u) << "half of 40 are ours, and they were used";
  pass(15s);
  EXPECT_EQ(asked("/api/v3/exchangeInfo"), 2u);
}

TEST_F(FeedRestTest, AnEntryWaitsForRoomInTheLog) {
  start({kBtc});
  sink_.set_room(1);  // for the config record
  pass(2s);
  EXPECT_TRUE(sink_.of_kind("reference").empty());
  sink_.set_room(std::nullopt);
  EXPECT_TRUE(references(1));
}

}  // namespace
}  // namespace truetape::binance
