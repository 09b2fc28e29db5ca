// Headlines by REST: what is asked for, what is put, what becomes of answers that are none.
#include "venues/finnhub/feed_testing.h"

namespace truetape::finnhub {
namespace {

using Level = FeedEvent::Level;

class FinnhubNews : public FeedTest {};

constexpr std::string_view kCompany = "/company-news?symbol=AAPL&from=2024-10-13&to=2024-10-14";

std::string page(std::initializer_list<std::int64_t> ids) {
  std::string out = "[";
  for (const std::int64_t id : ids)
    out += (out.size() > 1 ? "," : "") + std::string{R"({"datetime":1728914400,"headline":"h","id":)"} +
           std::to_string(id) + "}";
  return out + "]";
}

TEST_F(FinnhubNews, HeadlinesArePolledAndPutAsTheyCame) {
  venue_.pages[std::string{kCompany}] = page({12, 11});
  venue_.pages["/news?category=general"] = page({7, 9});
  start({kAapl, kBtc}, make_news_errand());
  ASSERT_TRUE(live());
  pass(20s);
  const auto first = sink_.of_kind("backfill");
  ASSERT_EQ(first.size(), 2u) << "of crypto there is nothing";
  EXPECT_EQ(first[0].bytes, page({12, 11}));
  EXPECT_EQ(first[1].bytes, page({7, 9}));
  for (const PutRecord& r : first) {
    EXPECT_EQ(r.partition, 0);
    EXPECT_EQ(r["venue"], "finnhub");
    EXPECT_EQ(r["instruments"], "");
    EXPECT_EQ(r["as_of"], "-") << "what was before these pages nobody knows";
  }
  // What came before is not put again, but that there is nothing new is: until the round began.
  pass(1min);
  const auto second = sink_.of_kind("backfill");
  ASSERT_EQ(second.size(), 3u);
  EXPECT_EQ(second[2].bytes, "[]");
  EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/news?category=general&minId=9"));
  EXPECT_GE(std::stoll(second[2]["as_of"]), to_ns(kStart + 59s));
  EXPECT_LE(std::stoll(second[2]["as_of"]), to_ns(kStart + 65s));
}

// Where the plan lacks the stream nothing is said, and what a connection missed it does not tell later.
TEST_F(FinnhubNews, BesideTheStreamHeadlinesAreAskedForHourlyAndAfterAReconnect) {
  options_.news = NewsBy::stream;
  venue_.pages[std::string{kCompany}] = page({11});
  start_as_configured({kAapl});
  ASSERT_TRUE(live());
  pass(20s);
  const auto asked = [this] {
    return std::ranges::count_if(venue_.requests,
                                 [](const std::string& r) { return r.find("/company-news") != std::string::npos; });
  };
  const auto ping = [&](int minutes) {
    for (; minutes > 0; --minutes) {
      venue_.send(R"({"type":"ping"})");
      pass(1min, 20s);
    }
  };
  EXPECT_EQ(asked(), 1);
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), page({11}), &PutRecord::bytes), 1);
  ping(58);
  EXPECT_EQ(asked(), 1);
  ping(3);
  EXPECT_EQ(asked(), 2) << "after an hour";
  venue_.pages[std::string{kCompany}] = page({12, 11});
  venue_.sockets[0]->drop();
  pass(3min, 5s);
  ASSERT_TRUE(until([&] { return venue_.sockets.size() >= 2; }));
  EXPECT_EQ(asked(), 2);
  venue_.trade("AAPL");
  ping(5);
  EXPECT_EQ(asked(), 3) << "after the reconnect";
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), page({12}), &PutRecord::bytes), 1);
  ping(50);
  EXPECT_EQ(asked(), 3) << "hourly again";
}

TEST_F(FinnhubNews, BesideTheStreamAQuestionThatFailedIsAskedAgainSoon) {
  options_.news = NewsBy::stream;
  int failures = 2;
  venue_.rest = [well = venue_.rest, &failures](const net::ServerRequest& request) {
    if (request.target.find("/company-news") == std::string::npos || failures-- <= 0) return well(request);
    return net::text_answer(502, "application/json", "{}");
  };
  venue_.pages[std::string{kCompany}] = page({11});
  start_as_configured({kAapl, kBtc});
  ASSERT_TRUE(live());
  const auto asked = [this](std::string_view what) {
    return std::ranges::count_if(venue_.requests,
                                 [&](const std::string& r) { return r.find(what) != std::string::npos; });
  };
  const auto ping = [&](int minutes) {
    for (; minutes > 0; --minutes) {
      venue_.send(R"({"type":"ping"})");
      pass(1min, 20s);
    }
  };
  ping(6);
  EXPECT_EQ(asked("/company-news"), 3) << "after one minute and two more";
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), page({11}), &PutRecord::bytes), 1);
  ping(40);
  EXPECT_EQ(asked("/company-news"), 3) << "and hourly from then on";
  // A question that nobody wants answered any more drives nothing.
  venue_.rest = [well = venue_.rest](const net::ServerRequest& request) {
    if (request.target.find("category=crypto") == std::string::npos) return well(request);
    return net::text_answer(502, "application/json", "{}");
  };
  ping(30);
  const auto crypto = asked("category=crypto");
  EXPECT_GT(crypto, 3);
  feed_->want({kAapl});
  ping(20);
  const auto general = asked("category=general");
  ping(20);
  EXPECT_LE(asked("category=general"), general + 1);
}

TEST_F(FinnhubNews, NewsOffAsksForNone) {
  start_as_configured({kAapl});
  ASSERT_TRUE(live());
  pass(2min);
  EXPECT_THAT(venue_.requests, testing::Not(testing::Contains(HasSubstr("news"))));
}

std::string array(std::initializer_list<std::string_view> elements) {
  std::string out = "[";
  for (const std::string_view element : elements) (out += out.size() > 1 ? "," : "") += element;
  return out + "]";
}

TEST_F(FinnhubNews, EachElementOfAPageIsPutOnce) {
  const std::string_view nameless = R"({"datetime":1728914400, "headline":"no id","id":null})";
  const std::string_view ms = R"({"datetime":1728914400000,"headline":"ms","id":13})";
  const std::string_view good = R"({"datetime":1728914400,"headline":"a","id":11,"related":"AAPL"})";
  const std::string_view later = R"({"datetime":1728914460,"headline":"b","id":14,"related":"AAPL"})";
  const std::string of_microsoft = "/company-news?symbol=MSFT&from=2024-10-13&to=2024-10-14";
  const auto put = [this] {
    std::vector<std::string> out;
    for (const PutRecord& r : sink_.of_kind("backfill"))
      if (r.bytes != "[]") out.push_back(r.bytes);
    return out;
  };
  const std::string first = "[ " + std::string{nameless} + " , \"odd\"," + std::string{good} + "]";
  venue_.pages[std::string{kCompany}] = first;
  venue_.pages[of_microsoft] = array({good});
  start({kAapl, *Instrument::parse("finnhub:MSFT")}, make_news_errand());
  ASSERT_TRUE(live());
  pass(70s);
  EXPECT_THAT(put(), ElementsAre(first, array({good}))) << "as it came, and for each symbol";
  venue_.pages[std::string{kCompany}] = array({later, "\"odd\"", nameless, good, ms});
  pass(70s);
  EXPECT_THAT(put(), ElementsAre(first, array({good}), array({later, ms})));
  // What left the page and comes back was put, too.
  venue_.pages[std::string{kCompany}] = array({good});
  pass(70s);
  venue_.pages[std::string{kCompany}] = array({nameless, good});
  pass(70s);
  EXPECT_EQ(put().size(), 3u);
  // What was put may be lost: all that is listed is put again.
  sink_.lose();
  pass(70s);
  EXPECT_THAT(put(), ElementsAre(first, array({good}), array({later, ms}), array({nameless, good}), array({good})));
}

TEST_F(FinnhubNews, BadHeadlinesOfTheMarketsAreNotPutEachMinute) {
  const std::string bad = R"([{"datetime":1728914400,"headline":"h","id":"7"}])";  // so no id is known to ask behind
  venue_.pages["/news?category=general"] = bad;
  start({kBtc}, make_news_errand());
  ASSERT_TRUE(live());
  pass(10min, 5s);
  EXPECT_GE(std::ranges::count(venue_.requests, "/api/v1/news?category=general"), 9);
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), bad, &PutRecord::bytes), 1);
}

TEST_F(FinnhubNews, AHeadlineOfTheFutureIsPutAgainOnceItsTimeHasCome) {
  const auto at = [](Nanoseconds from_start) {
    return R"({"datetime":)" + std::to_string(to_ns(kStart + from_start) / 1'000'000'000) + R"(,"headline":"h","id":)" +
           std::to_string(from_start.count()) + "}";
  };
  const std::string now = at(-1h), soon = at(5min), never = at(24h * 365);
  venue_.pages[std::string{kCompany}] = array({never, soon, now});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  const auto put = [this](const std::string& bytes) {
    return std::ranges::count(sink_.of_kind("backfill"), bytes, &PutRecord::bytes);
  };
  pass(4min);
  EXPECT_EQ(put(array({never, soon, now})), 1);
  EXPECT_EQ(put(array({soon})), 0);
  pass(30min, 5s);
  EXPECT_EQ(put(array({soon})), 1);
  for (const PutRecord& r : sink_.of_kind("backfill"))
    EXPECT_THAT(r.bytes, testing::AnyOf(array({never, soon, now}), array({soon}), "[]"));
}

TEST_F(FinnhubNews, APageThatCannotBeReadIsPutAsAWhole) {
  // In quarantine all of it is one item, so what it holds counts as not put.
  const std::string cut = page({12, 11}).substr(0, 80);
  venue_.pages[std::string{kCompany}] = cut;
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  const auto put = [this](const std::string& bytes) {
    return std::ranges::count(sink_.of_kind("backfill"), bytes, &PutRecord::bytes);
  };
  pass(3min);
  EXPECT_EQ(put(cut), 1);
  venue_.pages[std::string{kCompany}] = page({12, 11});
  pass(6min);
  EXPECT_EQ(put(cut), 1);
  EXPECT_EQ(put(page({12, 11})), 1);
}

TEST_F(FinnhubNews, APageThatMayBeCutOffSaysNotHowFarTheNewsHaveCome) {
  venue_.pages["/news?category=general"] = page({101, 102, 103});            // as many as the venue tells
  venue_.pages["/news?category=general&minId=103"] = page({201, 202, 203});  // as full: 104 may be missing
  venue_.pages["/news?category=general&minId=203"] = page({204, 205});
  start({kBtc}, make_news_errand());
  ASSERT_TRUE(live());
  pass(4min - 30s, 5s);
  const auto put = sink_.of_kind("backfill");
  ASSERT_EQ(put.size(), 4u);
  const std::pair<std::string, bool> expected[] = {
      {page({101, 102, 103}), false}, {page({201, 202, 203}), false}, {page({204, 205}), true}, {"[]", true}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(put[i].bytes, expected[i].first);
    EXPECT_EQ(put[i]["as_of"] != "-", expected[i].second) << i;
  }
  // What may have been lost is asked for again, and what comes reaches back to nothing that is there.
  sink_.lose();
  pass(1min, 5s);
  EXPECT_EQ(sink_.of_kind("backfill").back().bytes, page({101, 102, 103}));
  EXPECT_EQ(sink_.of_kind("backfill").back()["as_of"], "-");
}

TEST_F(FinnhubNews, AnAbsurdIdIsNotTheNewest) {
  const std::int64_t absurd = 9'000'000'000'000'000'000;
  venue_.pages["/news?category=general"] = page({7'000'000, absurd, 7'000'100});
  venue_.pages["/news?category=general&minId=7000100"] = page({absurd, 7'400'000});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(3min);
  EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/news?category=general&minId=7000100"));
  EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/news?category=general&minId=7400000"));
  EXPECT_THAT(venue_.requests, testing::Not(testing::Contains(HasSubstr(std::to_string(absurd)))));
}

TEST_F(FinnhubNews, AnIdBehindWhichNothingComesIsForgottenAfterAnHour) {
  venue_.pages["/news?category=general"] = page({9'000'000'000'000'000'000});  // nothing near to tell it from
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(20s);
  venue_.pages["/news?category=general"] = page({7'000'000, 7'000'001});
  const auto whole = [this] { return std::ranges::count(venue_.requests, "/api/v1/news?category=general"); };
  pass(58min, 10s);
  EXPECT_EQ(whole(), 1);
  EXPECT_THAT(venue_.requests, testing::Contains("/api/v1/news?category=general&minId=9000000000000000000"));
  pass(5min, 10s);
  EXPECT_EQ(whole(), 2);
  EXPECT_EQ(venue_.requests.back(), "/api/v1/news?category=general&minId=7000001");
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), page({7'000'000, 7'000'001}), &PutRecord::bytes), 1);
}

TEST_F(FinnhubNews, HeadlinesThatMayBeLostAreAskedForAndPutAgain) {
  venue_.pages[std::string{kCompany}] = page({12, 11});
  venue_.pages["/news?category=general"] = page({7, 9});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(80s);
  const auto put = [this](const std::string& bytes) {
    return std::ranges::count(sink_.of_kind("backfill"), bytes, &PutRecord::bytes);
  };
  EXPECT_EQ(put(page({12, 11})), 1);
  EXPECT_EQ(put(page({7, 9})), 1);
  sink_.lose();
  pass(1min);
  EXPECT_EQ(put(page({12, 11})), 2);
  EXPECT_EQ(put(page({7, 9})), 2);
  pass(2min);
  EXPECT_EQ(put(page({12, 11})), 2);
  EXPECT_EQ(put(page({7, 9})), 2);
}

TEST_F(FinnhubNews, PollingLeavesRoomInTheBudget) {
  std::set<Instrument> wanted;
  for (int i = 0; i < 40; ++i) wanted.insert(*Instrument::of("finnhub", "S" + std::to_string(i)));
  start(wanted, make_news_errand());
  pass(5s);  // of asking for the symbols one by one
  ASSERT_TRUE(live());
  pass(5min);
  for (const Timestamp from : venue_.asked_at)
    EXPECT_LE(std::ranges::count_if(venue_.asked_at, [&](Timestamp t) { return t >= from && t < from + 1min; }), 30);
  EXPECT_GE(std::ranges::count_if(venue_.requests,
                                  [](const std::string& r) { return r.find("/company-news") != std::string::npos; }),
            80);
}

TEST_F(FinnhubNews, WhatThePlanDoesNotHaveIsAskedForSeldom) {
  const auto usual = venue_.rest;
  venue_.rest = [&](const net::ServerRequest& request) {
    if (request.target.find("/company-news") == std::string::npos) return usual(request);
    return net::text_answer(403, "application/json", R"({"error":"You don't have access to this resource."})");
  };
  venue_.pages["/news?category=general"] = page({7});
  venue_.pages["/news?category=general&minId=7"] = page({8, 9});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(30min, 5s);
  const auto asked = std::ranges::count_if(
      venue_.requests, [](const std::string& r) { return r.find("/company-news") != std::string::npos; });
  EXPECT_GE(asked, 3);
  EXPECT_LE(asked, 6) << "1, 2, 4, 8 … minutes apart";
  EXPECT_THAT(all_told(),
              HasSubstr("/api/v1/company-news: answered with status 403: {\"error\":\"You don't have access "
                        "to this resource.\"}; your plan does not include this"));
  ASSERT_EQ(sink_.of_kind("backfill").size(), 2u);
  for (const PutRecord& r : sink_.of_kind("backfill"))
    EXPECT_EQ(r["as_of"], "-") << "not all was answered, so nothing is said of how far it has come";
}

// ---- answers that are no page, and pages in disorder

// The answer for one of the questions, and what is told of it.
struct PageTrouble {
  std::string name, body, told;
  int status = 200;
  std::string type = "application/json";
  Level level = Level::warning;
  bool once = true;  // else each time
};
void PrintTo(const PageTrouble& trouble, std::ostream* out) { *out << trouble.name; }

class PageTroubles : public FinnhubNews, public testing::WithParamInterface<PageTrouble> {};

INSTANTIATE_TEST_SUITE_P(
    Finnhub, PageTroubles,
    testing::Values(
        // The newest come first: what is missing would be older than the newest, behind which is asked from then on.
        PageTrouble{"Truncated", R"([{"datetime":1728914400,"headline":"h","id":9},{"datetime":17289)",
                    "the page of headlines of general cannot be read: at byte 64 it ends inside "},
        PageTrouble{"AnError", R"({"error":"You don't have access to this resource."})",
                    "the page of headlines of general cannot be read: at byte 0 it is no array ({\"error\":\"You don't "
                    "have access to this resource.\"}); it is asked for again"},
        PageTrouble{"TwoPages", "[][]",
                    "the page of headlines of general cannot be read: at byte 2 it goes on behind its end"},
        PageTrouble{"Html", "<html>maintenance</html>", "answered text/html that is no JSON (<html>maintenance</html>)",
                    200, "text/html", Level::warning, false},
        PageTrouble{"Empty", "", "answered application/json that is no JSON ()", 200, "application/json",
                    Level::warning, false},
        PageTrouble{"Unavailable", "busy", "answered with status 503: busy; it is asked again later", 503, "text/plain",
                    Level::warning, false},
        PageTrouble{
            "TokenRevoked", R"({"error":"Invalid API key: s3cr3t/+token"})",
            "answered with status 401: {\"error\":\"Invalid API key: ***\"}; the venue does not know the token: "
            "check feed.finnhub.token",
            401, "application/json", Level::error, false},
        PageTrouble{"NotInThePlan", R"({"error":"You don't have access to this resource."})",
                    "; your plan does not include this", 403, "application/json", Level::error, false}),
    [](const auto& tested) { return tested.param.name; });

TEST_P(PageTroubles, SayNothingOfHowFarTheNewsHaveComeAndLeaveNoHeadlineOut) {
  const PageTrouble& trouble = GetParam();
  const auto usual = venue_.rest;
  std::vector<Timestamp> asked;
  venue_.rest = [&](const net::ServerRequest& request) {
    if (request.target.find("/news?category=general") == std::string::npos) return usual(request);
    asked.push_back(venue_.now());
    return net::text_answer(trouble.status, trouble.type, trouble.body);
  };
  venue_.pages[std::string{kCompany}] = page({12, 11});
  venue_.pages["/news?category=general"] = page({9, 7, 8});
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(6min, 3s);
  // The company's went on, each minute, and was put once; of the market's there is what is for quarantine.
  const std::size_t have = trouble.once ? 2 : 1;
  ASSERT_EQ(sink_.of_kind("backfill").size(), have) << all_told();
  EXPECT_EQ(sink_.of_kind("backfill")[0].bytes, page({12, 11}));
  EXPECT_EQ(sink_.of_kind("backfill").back().bytes, trouble.once ? trouble.body : page({12, 11}));
  for (const PutRecord& r : sink_.of_kind("backfill")) EXPECT_EQ(r["as_of"], "-");
  EXPECT_GE(asked_for("/company-news"), 6);
  // After a minute, and after two: at the first round then.
  ASSERT_EQ(asked.size(), 3u);
  for (std::size_t i = 1; i < asked.size(); ++i) {
    EXPECT_GE(asked[i] - asked[i - 1], std::chrono::minutes{1 << (i - 1)}) << i;
    EXPECT_LE(asked[i] - asked[i - 1], std::chrono::minutes{1 << (i - 1)} + 75s) << i;
  }
  EXPECT_EQ(told(trouble.told, trouble.level), trouble.once ? 1u : asked.size()) << all_told();
  EXPECT_EQ(asked_for("minId"), 0) << "nothing is known of how far it has come";
  // Well again: the whole page is put, and a round later it is known how far they have come.
  venue_.rest = usual;
  pass(4min + 140s, 3s);
  const auto put = sink_.of_kind("backfill");
  ASSERT_GE(put.size(), have + 2);
  EXPECT_EQ(put[have].bytes, page({9, 7, 8}));
  EXPECT_EQ(put[have]["as_of"], "-");
  EXPECT_EQ(put[have + 1].bytes, "[]");
  EXPECT_GE(std::stoll(put[have + 1]["as_of"]), to_ns(asked.back()));
  EXPECT_EQ(venue_.requests.back(), "/api/v1/news?category=general&minId=9");
}

// In any order the greatest id is the newest; one headline twice, in a page or in the next one, keeps nothing back.
TEST_F(FinnhubNews, PagesOutOfOrderAndOverlappingAreAskedForBehindTheirNewest) {
  const std::vector<std::pair<std::string, std::string>> pages{
      {"/news?category=general", page({7, 9, 8, 9, 7})},
      {"/news?category=general&minId=9", page({11, 9, 12, 8, 10, 12})},
      {"/news?category=general&minId=12", page({12, 11})},  // nothing new
  };
  for (const auto& [target, bytes] : pages) venue_.pages[target] = bytes;
  start({kAapl}, make_news_errand());
  ASSERT_TRUE(live());
  pass(4min);
  std::vector<std::string> asked;
  for (const std::string& target : venue_.requests)
    if (const auto at = target.find("/news?"); at != std::string::npos) asked.push_back(target.substr(at));
  EXPECT_THAT(asked, ElementsAre(pages[0].first, pages[1].first, pages[2].first, pages[2].first));
  // Each headline once; and how far they have come only where a page shows that nothing is missing before it.
  const std::pair<std::string, bool> expected[] = {
      {page({7, 9, 8}), false}, {page({11, 12, 10}), false}, {"[]", true}, {"[]", true}};
  const auto put = sink_.of_kind("backfill");
  ASSERT_EQ(put.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(put[i].bytes, expected[i].first) << i;
    EXPECT_EQ(put[i]["as_of"] != "-", expected[i].second) << i;
  }
  // Nothing is known to be put any more: what a page tells twice does not show that it reaches back.
  sink_.lose();
  pass(70s);
  const auto again = sink_.of_kind("backfill");
  ASSERT_GT(again.size(), put.size());
  EXPECT_EQ(again[put.size()].bytes, page({7, 9, 8}));
  EXPECT_EQ(again[put.size()]["as_of"], "-");
}

}  // namespace
}  // namespace truetape::finnhub
