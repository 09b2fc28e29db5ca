// Pages of last trades: when they are asked for, what becomes of answers that are none.
#include "venues/kucoin/feed_testing.h"

namespace truetape::kucoin {
namespace {

using Level = FeedEvent::Level;
const Instrument kBtc = *Instrument::parse("kucoin:BTC-USDT");
const Instrument kEth = *Instrument::parse("kucoin:ETH-USDT");

class KucoinLastTrades : public FeedTest {};

TEST_F(KucoinLastTrades, LastTradesArePutWhenAnInstrumentIsCarriedAndSoonAfter) {
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([this] { return sink_.of_kind("backfill").size() == 1; })) << all_told();
  const PutRecord page = sink_.of_kind("backfill")[0];
  EXPECT_EQ(page.bytes, venue_.pages["BTC-USDT"]);
  EXPECT_EQ(page["instruments"], "kucoin:BTC-USDT");
  EXPECT_EQ(page["venue"], "kucoin");
  EXPECT_EQ(page["tape"], "trade");
  EXPECT_EQ(page["receive_time"], ns(kStart));
  EXPECT_EQ(page["session"], "-");
  venue_.pages["BTC-USDT"] = venue_.page(106, 136);  // two more
  pass(6s);
  EXPECT_EQ(asked_for("histories"), 2U);
  ASSERT_EQ(sink_.of_kind("backfill").size(), 2U);
  EXPECT_EQ(sink_.of_kind("backfill")[1].bytes, venue_.pages["BTC-USDT"]);
}

TEST_F(KucoinLastTrades, AnUnchangedPageIsNotPutAgainAndAskedForMoreSeldom) {
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  start({kBtc, kEth});  // of ETH-USDT there are no trades at all
  ASSERT_TRUE(live());
  pass(30min, 5s);
  EXPECT_EQ(sink_.of_kind("backfill").size(), 1U);
  for (const std::string symbol : {"BTC-USDT", "ETH-USDT"}) {  // at 0 s, 5 s, 1 min, 2 min, then each 5 min
    EXPECT_GE(asked_for("histories?symbol=" + symbol), 7U) << symbol;
    EXPECT_LE(asked_for("histories?symbol=" + symbol), 12U) << symbol;
  }
}

TEST_F(KucoinLastTrades, WhereTradesAreManyPagesOverlap) {
  std::uint64_t next = 100;
  venue_.histories = [&](const std::string&) { return venue_.json_answer(venue_.page(next - 3 * 100, next)); };
  next = 10'000;
  start({kBtc});
  ASSERT_TRUE(live());
  for (int i = 0; i < 120; ++i) {  // ten trades a second
    next += 30;
    pass(1s);
  }
  // 40 trades between two pages: each four seconds.
  EXPECT_GE(asked_for("histories"), 22U);
  EXPECT_LE(asked_for("histories"), 35U);
  EXPECT_EQ(told("more trades of"), 0U) << all_told();
}

TEST_F(KucoinLastTrades, AfterACutTheLastTradesAreAskedForAtOnceAndAHoleInThemIsTold) {
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([this] { return sink_.of_kind("backfill").size() == 1; }));
  pass(20s);
  venue_.pages["BTC-USDT"] = venue_.page(9'000, 9'300);
  venue_.last().socket->drop();
  ASSERT_TRUE(soon([this] { return venue_.clients.size() == 2 && sink_.of_kind("backfill").size() == 2; }))
      << all_told();
  EXPECT_EQ(told("more trades of BTC-USDT were made since its last page than the venue tells of", Level::info), 1U)
      << all_told();
}

// What is no page, the answer for BTC-USDT alone, and what is told of it.
struct PageTrouble {
  std::string name, body, told;
  int status = 200;
  std::string type = "application/json;charset=UTF-8";
  Level level = Level::warning;
  bool once = true;  // else each time
};
void PrintTo(const PageTrouble& trouble, std::ostream* out) { *out << trouble.name; }

class PageTroubles : public KucoinLastTrades, public testing::WithParamInterface<PageTrouble> {};

constexpr std::string_view kCutShort =
    R"({"code":"200000","data":[{"sequence":"100","price":"67523","size":"0.003","side":"buy","time":1729843200000000000},{"seq)";

INSTANTIATE_TEST_SUITE_P(
    Kucoin, PageTroubles,
    testing::Values(
        PageTrouble{"Refusal", R"({"code":"900001","msg":"The trading pair does not exist"})",
                    "the last trades of BTC-USDT cannot be read: $.code is 900001: the venue has refused "
                    "({\"code\":\"900001\",\"msg\":\"The trading pair does not exist\"}); they are asked for again"},
        PageTrouble{"Truncated", std::string{kCutShort},
                    "the last trades of BTC-USDT cannot be read: $: at byte 120 the JSON ends inside a text"},
        PageTrouble{"NoData", R"({"code":"200000","data":null})",
                    "the last trades of BTC-USDT cannot be read: $.data is null, an array is needed"},
        PageTrouble{"NoTradeInIt", R"({"code":"200000","data":[{},7]})",
                    "the last trades of BTC-USDT cannot be read: $.data[0].sequence is missing"},
        PageTrouble{"Html", "<html>maintenance</html>", "answered text/html that is no JSON (<html>maintenance</html>)",
                    200, "text/html", Level::warning, false},
        PageTrouble{"Empty", "", "answered application/json that is no JSON ()", 200, "application/json;charset=UTF-8",
                    Level::warning, false},
        PageTrouble{
            "NotFound", R"({"code":"404000","msg":"Url Not Found"})",
            "answered with status 404: {\"code\":\"404000\",\"msg\":\"Url Not Found\"}; it is asked again later", 404,
            "application/json", Level::warning, false},
        PageTrouble{"Forbidden", "denied", "answered with status 403: denied; a firewall of the venue", 403,
                    "text/plain", Level::error, false}),
    [](const auto& tested) { return tested.param.name; });

TEST_P(PageTroubles, AreToldAndAskedForAgainLaterAndLaterAndNothingIsPut) {
  const PageTrouble& trouble = GetParam();
  const auto good = venue_.histories;
  std::vector<Timestamp> asked;
  venue_.histories = [&](const std::string& symbol) {
    if (symbol != "BTC-USDT") return good(symbol);
    asked.push_back(venue_.now());
    return net::text_answer(trouble.status, trouble.type, trouble.body);
  };
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  venue_.pages["ETH-USDT"] = venue_.page(200, 230);
  start({kBtc, kEth});
  ASSERT_TRUE(live());
  pass(3min);
  ASSERT_EQ(sink_.of_kind("backfill").size(), 1U) << all_told();
  EXPECT_EQ(sink_.of_kind("backfill")[0].bytes, venue_.pages["ETH-USDT"]) << "the other one's";
  ASSERT_EQ(asked.size(), 6U);
  Nanoseconds wait = 5s;
  for (std::size_t i = 1; i < asked.size(); ++i, wait *= 2) {
    EXPECT_GE(asked[i] - asked[i - 1], wait) << i;
    EXPECT_LE(asked[i] - asked[i - 1], wait + 3s) << i;
  }
  EXPECT_EQ(told(trouble.told, trouble.level), trouble.once ? 1U : asked.size()) << all_told();
  // Well again: what is there is put, once; and trouble that comes back is told anew and begins with short waits.
  const auto bad = std::exchange(venue_.histories, good);
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 2; }, 310)) << all_told();
  EXPECT_EQ(sink_.of_kind("backfill")[1].bytes, venue_.pages["BTC-USDT"]);
  asked.clear();
  venue_.histories = bad;
  ASSERT_TRUE(soon([&] { return asked.size() == 2; }, 320));
  EXPECT_LE(asked[1] - asked[0], 8s);
  EXPECT_EQ(told(trouble.told, trouble.level), trouble.once ? 2U : 8U) << all_told();
  EXPECT_EQ(sink_.of_kind("backfill").size(), 2U);
}

// What a page says counts, not how: the same trades in another order, or some of them twice, are nothing new.
TEST_F(KucoinLastTrades, ThePageOfBeforeInAnotherOrderOrWithRepeatsIsNotPutAgain) {
  const auto row = [this](int sequence) {
    return R"({"sequence":")" + std::to_string(sequence) + R"(","price":"67523","size":"0.003","side":"buy","time":)" +
           std::to_string(to_ns(kStart) / 1'000'000) + "000000}";
  };
  const auto page = [&](const std::vector<int>& sequences) {
    std::string out = R"({"code":"200000","data":[)";
    for (const int sequence : sequences) out += (out.ends_with('[') ? "" : ",") + row(sequence);
    return out + "]}";
  };
  const std::vector<std::string> put{page({1, 4, 7, 10}), page({4, 4, 7, 7, 10, 13}), page({13, 16, 10, 7})};
  venue_.pages["BTC-USDT"] = put[0];
  start({kBtc});
  ASSERT_TRUE(live());
  const auto expect_put = [&](std::size_t count) {
    ASSERT_TRUE(soon([&] { return sink_.of_kind("backfill").size() == count; }, 400)) << count;
    EXPECT_EQ(sink_.of_kind("backfill").back().bytes, put[count - 1]);
  };
  expect_put(1);
  const std::vector<std::vector<int>> same{{10, 7, 4, 1}, {4, 1, 10, 7}, {1, 1, 4, 7, 7, 10, 10}, {7, 10}};
  for (const std::vector<int>& sequences : same) {
    venue_.pages["BTC-USDT"] = page(sequences);
    const std::size_t before = asked_for("histories");
    ASSERT_TRUE(soon([&] { return asked_for("histories") > before; }, 400));
    pass(1s);
    EXPECT_EQ(sink_.of_kind("backfill").size(), 1U) << venue_.pages["BTC-USDT"];
  }
  venue_.pages["BTC-USDT"] = put[1];
  expect_put(2);
  venue_.pages["BTC-USDT"] = put[2];
  expect_put(3);
  EXPECT_EQ(told("last trades"), 0U) << all_told();
  EXPECT_EQ(told("more trades"), 0U) << all_told();
}

TEST_F(KucoinLastTrades, ARateLimitIsWaitedForAndOthersPagesComeLater) {
  bool limited = true;
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  const auto good = venue_.histories;
  venue_.histories = [&](const std::string& symbol) {
    if (!std::exchange(limited, false)) return good(symbol);
    auto answer = venue_.json_answer(R"({"code":"429000","msg":"Too many requests"})", 429);
    answer.headers.add("gw-ratelimit-reset", "20000");
    return answer;
  };
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([&] { return !limited; }));
  pass(10s);
  EXPECT_EQ(asked_for("histories"), 1U);
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 1; })) << all_told();
}

TEST_F(KucoinLastTrades, OneWhosePageIsNotToBeHadKeepsNoOtherFromItsOwn) {
  const std::vector<net::ServerAnswer> troubles{venue_.json_answer(R"({"code":"404000","msg":"Url Not Found"})", 404),
                                                venue_.json_answer("", 503),
                                                net::text_answer(200, "text/html", "<html>")};
  std::size_t trouble = 0;
  const auto good = venue_.histories;
  venue_.histories = [&](const std::string& symbol) {
    return symbol == "BTC-USDT" ? troubles[trouble++ % troubles.size()] : good(symbol);
  };
  std::set<Instrument> wanted{kBtc};
  for (int i = 10; i < 20; ++i) {
    wanted.insert(of("A" + std::to_string(i) + "-USDT"));
    venue_.pages["A" + std::to_string(i) + "-USDT"] = venue_.page(100, 130);
  }
  start(wanted);
  ASSERT_TRUE(live());
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 10; }, 60)) << all_told();
  pass(20min, 5s);
  // At 0 s, 5 s, 1 min, 2 min, then each 5 min.
  for (int i = 10; i < 20; ++i) EXPECT_GE(asked_for("symbol=A" + std::to_string(i)), 5U) << i;
  // After 5, 10, 20, 40 s, 80, 160 s, then each 5 min.
  EXPECT_GE(asked_for("symbol=BTC-USDT"), 7U);
  EXPECT_LE(asked_for("symbol=BTC-USDT"), 13U);
  venue_.histories = good;
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 11; }, 301)) << "it is still asked for";
}

TEST_F(KucoinLastTrades, WhileNoPageIsToBeHadAllWaitTogetherAndThenAllAreAskedForSoon) {
  const auto good = venue_.histories;
  venue_.histories = [&](const std::string&) { return venue_.json_answer("", 503); };
  std::set<Instrument> wanted;
  for (int i = 10; i < 20; ++i) {
    wanted.insert(of("A" + std::to_string(i) + "-USDT"));
    venue_.pages["A" + std::to_string(i) + "-USDT"] = venue_.page(100, 130);
  }
  start(wanted);
  ASSERT_TRUE(live());
  pass(30min, 5s);
  EXPECT_GE(asked_for("histories"), 30U);
  EXPECT_LE(asked_for("histories"), 75U) << "half a minute to a minute between any two";
  venue_.histories = good;
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 10; }, 75)) << all_told();
}

TEST_F(KucoinLastTrades, AnAbsurdSequenceOrANewBeginningKeepsNoPageBack) {
  const std::string plain = venue_.page(100, 130);
  const std::string absurd =
      R"({"sequence":"9000000000000000000","price":"1","size":"1","side":"buy","time":)" + venue_.ms() + "000000}";
  venue_.pages["BTC-USDT"] = plain.substr(0, plain.size() - 2) + "," + absurd + "]}";
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([this] { return sink_.of_kind("backfill").size() == 1; })) << all_told();
  std::size_t put = 1;
  for (const std::string& next : {venue_.page(106, 136), venue_.page(112, 142), venue_.page(1, 31)}) {
    venue_.pages["BTC-USDT"] = next;
    ++put;
    ASSERT_TRUE(soon([&] { return sink_.of_kind("backfill").size() == put; })) << put;
    EXPECT_EQ(sink_.of_kind("backfill").back().bytes, next);
  }
  pass(10min, 5s);
  EXPECT_EQ(sink_.of_kind("backfill").size(), put) << "what is not new is not put";
}

TEST_F(KucoinLastTrades, APageThatMayBeLostIsPutAgain) {
  venue_.pages["BTC-USDT"] = venue_.page(100, 130);
  start({kBtc});
  ASSERT_TRUE(live());
  ASSERT_TRUE(until([this] { return sink_.of_kind("backfill").size() == 1; })) << all_told();
  pass(6s);
  EXPECT_EQ(sink_.of_kind("backfill").size(), 1U);
  sink_.lose();
  ASSERT_TRUE(soon([this] { return sink_.of_kind("backfill").size() == 2; })) << all_told();
  EXPECT_EQ(sink_.of_kind("backfill")[1].bytes, venue_.pages["BTC-USDT"]);
}

TEST_F(KucoinLastTrades, NothingMoreIsAskedForOfWhatIsNoLongerWanted) {
  start({kBtc, kEth});
  ASSERT_TRUE(live());
  ASSERT_TRUE(soon([this] { return asked_for("histories?symbol=ETH-USDT") > 0; }));
  feed_->want({kBtc});
  pass(2s);
  ASSERT_EQ(venue_.last().asked.back().type, "unsubscribe");
  EXPECT_EQ(venue_.last().asked.back().topic, "/market/match:ETH-USDT");
  const std::size_t before = asked_for("histories?symbol=ETH-USDT");
  pass(10min, 10s);
  EXPECT_EQ(asked_for("histories?symbol=ETH-USDT"), before);
}

}  // namespace
}  // namespace truetape::kucoin
