// What the filler asks of a scripted venue, over real sockets, and what becomes of the answers. Time is manual.
#include "venues/binance/filler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/feed_testing.h"

namespace truetape::binance {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using What = FillAnswer::What;

const Timestamp kStart = *parse_rfc3339("2024-08-08T23:59:00Z");
const Instrument kBtc = *Instrument::parse("binance:BTCUSDT");
constexpr std::string_view kKey = "the-key-that-nobody-may-see";

class FillerTest : public testing::Test {
 protected:
  FillerTest() {
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      if (request->where.path.ends_with("/time")) {
        ++times;
        co_return json(R"({"serverTime":)" + std::to_string(to_ns(loop_.clock().now() + ahead) / 1'000'000) + "}");
      }
      asked.push_back(request->target);
      keys.push_back(std::string{request->headers.get("X-MBX-APIKEY")});
      if (trouble) {
        auto answer = trouble(*request);
        if (answer) co_return std::move(*answer);
      }
      co_return page(*request);
    };
    server_ = std::make_unique<net::Server>(loop_, net::ServerConfig{}, std::move(handlers));
    if (!server_->listen()) throw std::runtime_error{"no port"};
    connector_ = *net::Connector::make(loop_, {});
    use(Product::spot, {});
  }
  ~FillerTest() override {
    if (filler_) filler_->stop();
    net::settle(loop_, 2ms);
  }

  void use(Product product, FillOptions options) {
    options.url = "http://me:pass@127.0.0.1:" + std::to_string(server_->port());
    options.seed = 7;
    config_ = filler_config(product, options);
    config_.backoff = {10ms, 100ms, 2};
  }
  static net::ServerAnswer json(std::string body, int status = 200) {
    return net::text_answer(status, "application/json;charset=UTF-8", std::move(body));
  }
  std::string element(std::uint64_t id, Tape tape) const {
    const std::string number = std::to_string(id);
    if (tape == Tape::agg)
      return R"({"a":)" + number + R"(,"p":"61000.1","q":"0.001","f":)" + number + R"(,"l":)" + number +
             R"(,"T":1723161540000,"m":true})";
    return R"({"id":)" + number + R"(,"price":"61000.1","qty":"0.001","time":1723161540000,"isBuyerMaker":true})";
  }
  // As the venue answers: of the ids that it has, those from fromId on, or the newest.
  net::ServerAnswer page(const net::ServerRequest& request) const {
    const Tape tape = request.where.path.ends_with("/aggTrades") ? Tape::agg : Tape::trade;
    const auto limit = std::stoull(std::string{*request.where.find("limit")});
    std::vector<std::uint64_t> ids;
    if (const auto from = request.where.find("fromId")) {
      for (auto at = has.lower_bound(std::stoull(std::string{*from})); at != has.end() && ids.size() < limit; ++at)
        ids.push_back(*at);
    } else {
      for (auto at = has.rbegin(); at != has.rend() && ids.size() < limit; ++at) ids.insert(ids.begin(), *at);
    }
    std::string out = "[";
    for (const std::uint64_t id : ids) out += (out.size() > 1 ? "," : "") + element(id, tape);
    return json(out + "]");
  }
  void have(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t id = first; id <= last; ++id) has.insert(id);
  }

  void ask(FillQuestion question) {
    if (!filler_)
      filler_ =
          make_filler(config_, {connector_.get(), &sink_, [this](const FeedEvent& e) { told_ += e.text + "\n"; }});
    answer_.reset();
    loop_.spawn([this, question]() -> net::awaitable<void> { answer_ = co_await filler_->fill(question); });
  }
  bool answered(std::chrono::milliseconds guard = 150ms) {
    return loop_.run_until([this] { return answer_.has_value(); }, guard);
  }
  FillAnswer fill(std::uint64_t first, std::optional<std::uint64_t> last, Tape tape = Tape::trade) {
    ask({.instrument = config_.product == Product::spot ? kBtc : *Instrument::parse("binance-usdm:BTCUSDT"),
         .tape = tape,
         .first_id = first,
         .last_id = last});
    for (int i = 0; i < 300 && !answered(); ++i) loop_.advance(1s);
    EXPECT_TRUE(answer_);
    return answer_.value_or(FillAnswer{});
  }
  std::vector<PutRecord> pages() const { return sink_.of_kind("backfill"); }

  ManualClock clock_{kStart};
  net::Loop loop_{clock_};
  MemorySink sink_{loop_, 1};
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<net::Connector> connector_;
  FillerConfig config_;
  std::unique_ptr<Filler> filler_;
  std::optional<FillAnswer> answer_;
  std::string told_;

  std::set<std::uint64_t> has;
  std::vector<std::string> asked, keys;
  int times = 0;
  Nanoseconds ahead{};
  std::function<std::optional<net::ServerAnswer>(const net::ServerRequest&)> trouble;
};

TEST_F(FillerTest, AHoleIsAskedForPageByPageFromItsLeftNeighbourOn) {
  have(1, 9000);
  ahead = 5min;
  const FillAnswer answer = fill(4711, 6210);
  EXPECT_EQ(answer.what, What::given) << answer.text;
  EXPECT_THAT(answer.missing, IsEmpty());
  EXPECT_THAT(answer.absent, IsEmpty());
  EXPECT_THAT(asked, ElementsAre("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=4710&limit=1000",
                                 "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=5709&limit=503"));
  ASSERT_EQ(pages().size(), 2u);
  const PutRecord first = pages()[0];
  EXPECT_EQ(first.key, "binance:BTCUSDT");
  EXPECT_EQ(first["instruments"], "binance:BTCUSDT");
  EXPECT_EQ(first["tape"], "trade");
  EXPECT_EQ(first["venue"], "binance");
  EXPECT_EQ(first["receive_time"], std::to_string(to_ns(kStart)));
  EXPECT_EQ(first["clock_offset"], std::to_string(std::chrono::nanoseconds{5min}.count())) << "or all is `future`";
  EXPECT_TRUE(first.bytes.starts_with("[" + element(4710, Tape::trade) + "," + element(4711, Tape::trade)));
  EXPECT_TRUE(first.bytes.ends_with(element(5709, Tape::trade) + "]"));
  EXPECT_TRUE(pages()[1].bytes.ends_with(element(6211, Tape::trade) + "]")) << "with the right neighbour";
  EXPECT_EQ(answer.pages, 2u);
  EXPECT_EQ(answer.trades, 1503u);
  const FillCounts counts = filler_->counts();
  EXPECT_EQ(counts.requests, 3u);
  EXPECT_EQ(counts.pages, 2u);
  EXPECT_EQ(counts.trades, 1503u);
}

TEST_F(FillerTest, IdsBetweenNeighboursOfAPageAreAbsent) {
  have(1, 99);
  have(103, 200);
  const FillAnswer answer = fill(98, 120);
  EXPECT_EQ(answer.what, What::given);
  EXPECT_THAT(answer.absent, ElementsAre(FillRange{100, 102}));
  EXPECT_THAT(fill(99, 101).absent, ElementsAre(FillRange{100, 101})) << "no more than was asked for";
  EXPECT_EQ(fill(101, 101).what, What::part) << "its neighbours were not shown";
}

TEST_F(FillerTest, AcrossTheEndOfAPageToo) {
  have(1, 1000);
  have(1003, 3000);
  const FillAnswer answer = fill(2, 2000);
  EXPECT_EQ(answer.what, What::given);
  EXPECT_THAT(answer.absent, ElementsAre(FillRange{1001, 1002}));
}

TEST_F(FillerTest, WhatTheVenueDoesNotGiveIsNamed) {
  struct Case {
    const char* what;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> has;
    std::uint64_t first, last;
    std::vector<FillRange> missing;
    std::optional<std::uint64_t> none_to;
    std::size_t pages;
  };
  constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();
  for (const Case& c : {
           Case{"it begins later than asked, which proves nothing", {{60, 200}}, 50, 99, {{50, 59}}, std::nullopt, 1},
           Case{"its database lags", {{1, 70}}, 50, 99, {{71, 99}}, kNoEnd, 1},
           Case{"both", {{60, 70}}, 50, 99, {{50, 59}, {71, 99}}, kNoEnd, 1},
           Case{"it has nothing at all", {}, 50, 99, {{50, 99}}, kNoEnd, 0},
           Case{"only something later", {{500, 600}}, 50, 99, {{50, 99}}, 499, 0},
       }) {
    has.clear();
    for (const auto& [a, b] : c.has) have(a, b);
    sink_.records.clear();
    const FillAnswer answer = fill(c.first, c.last);
    EXPECT_EQ(answer.what, What::part) << c.what;
    EXPECT_EQ(answer.missing, c.missing) << c.what;
    EXPECT_EQ(answer.none_to, c.none_to) << c.what;
    EXPECT_THAT(answer.absent, IsEmpty()) << c.what;
    EXPECT_EQ(pages().size(), c.pages) << c.what;
  }
}

TEST_F(FillerTest, TheMostRecentInsteadOfWhatWasAskedForIsNotTaken) {
  have(1, 5000);
  trouble = [this](const net::ServerRequest&) {
    std::string out = "[";
    for (std::uint64_t id = 4900; id <= 5000; ++id) out += (out.size() > 1 ? "," : "") + element(id, Tape::agg);
    return json(out + "]");
  };
  const FillAnswer answer = fill(100, 120, Tape::agg);
  EXPECT_EQ(answer.what, What::part);
  EXPECT_THAT(answer.missing, ElementsAre(FillRange{100, 120}));
  EXPECT_THAT(pages(), IsEmpty());
}

TEST_F(FillerTest, AQuestionWithoutAnEndGoesToTheNewest) {
  have(1, 2500);
  const FillAnswer answer = fill(701, std::nullopt);
  EXPECT_EQ(answer.what, What::given);
  EXPECT_EQ(answer.pages, 2u);
  EXPECT_TRUE(pages()[1].bytes.ends_with(element(2500, Tape::trade) + "]"));
  const FillAnswer more = fill(2501, std::nullopt);
  EXPECT_EQ(more.what, What::nothing);
  EXPECT_EQ(more.as_of, loop_.clock().now() - 1s) << "the venue's time before the question, less a margin";
  has.clear();
  have(1, 2490);
  const FillAnswer lagging = fill(2501, std::nullopt);
  EXPECT_EQ(lagging.what, What::part) << "a list that ends before what is known says nothing of what comes after";
  has.clear();
  const FillAnswer none = fill(2501, std::nullopt);
  EXPECT_EQ(none.what, What::part) << "a venue that does not know the last trade either says nothing of later ones";
  EXPECT_THAT(none.missing, ElementsAre(FillRange{2501, 2501}));
}

TEST_F(FillerTest, AnswersThatAreNoneAreAskedForAgainAndThenTold) {
  have(1, 200);
  struct Case {
    net::ServerAnswer answer;
    std::string says;
    std::uint64_t FillCounts::*counted;
  };
  net::ServerAnswer limited = json(R"({"code":-1003,"msg":"Too much request weight used"})", 429);
  limited.headers.add("Retry-After", "1");
  const std::vector<Case> cases = {
      {net::text_answer(200, "text/html", "<html>Please log in</html>"),
       "the answer is no page of trades: is no array (<html>Please log in</html>)", &FillCounts::unusable},
      {json(""), "the answer is no page of trades: is empty", &FillCounts::unusable},
      {json(R"([{"id":50},{"id":5)"), "the answer is no page of trades", &FillCounts::unusable},
      {json("{}"), "is no array", &FillCounts::unusable},
      {json("busy", 503), "answered with status 503: busy", &FillCounts::failed},
      {limited, "answered with status 429", &FillCounts::limited},
  };
  for (const Case& c : cases) {
    filler_.reset();
    sink_.records.clear();
    asked.clear();
    trouble = [&](const net::ServerRequest&) { return c.answer; };
    const FillAnswer bad = fill(50, 60);
    EXPECT_EQ(bad.what, What::trouble) << c.says;
    EXPECT_THAT(bad.text, HasSubstr(c.says));
    EXPECT_THAT(bad.text, testing::StartsWith("http://127.0.0.1:" + std::to_string(server_->port()) + "/api/v3/"));
    EXPECT_EQ(filler_->counts().*c.counted, 4u) << c.says;
    EXPECT_EQ(asked.size(), 4u) << c.says;
    EXPECT_THAT(sink_.records, IsEmpty()) << c.says;
    int left = 2;
    trouble = [&](const net::ServerRequest&) { return left-- > 0 ? std::optional{c.answer} : std::nullopt; };
    EXPECT_EQ(fill(50, 60).what, What::given) << c.says;
    EXPECT_EQ(pages().size(), 1u) << c.says;
  }
}

TEST_F(FillerTest, APageOutOfOrderIsTakenTradeByTrade) {
  const auto shuffled = [this](const net::ServerRequest&) {
    return json("[" + element(50, Tape::trade) + "," + element(53, Tape::trade) + "," + element(51, Tape::trade) + "]");
  };
  trouble = shuffled;
  const FillAnswer answer = fill(50, 53);
  EXPECT_EQ(answer.what, What::part);
  EXPECT_THAT(answer.missing, ElementsAre(FillRange{50, 53})) << "nothing is concluded from it";
  EXPECT_EQ(answer.none_to, std::nullopt);
  EXPECT_THAT(answer.absent, IsEmpty());
  ASSERT_EQ(pages().size(), 3u);
  EXPECT_EQ(pages()[1].bytes, element(53, Tape::trade));
  EXPECT_EQ(filler_->counts().disordered, 1u);
  EXPECT_THAT(told_, HasSubstr("is not in the order of its ids"));
}

TEST_F(FillerTest, RefusalsSayWhoCanDoWhat) {
  struct Case {
    int status;
    std::string body;
    What what;
    std::string says;
  };
  for (const Case& c : {
           Case{400, R"({"code":-1121,"msg":"Invalid symbol."})", What::refused, "status 400"},
           Case{401, R"({"code":-2014,"msg":"API-key format invalid."})", What::unable,
                "it wants another API key: set feed.binance.api_key"},
           Case{403, "<html>", What::unable, "(403)"},
           Case{404, "", What::unable, "set feed.binance.fill_url"},
           Case{451, R"({"code":0,"msg":"restricted location"})", What::unable, "(451)"},
       }) {
    use(Product::spot, {.api_key = std::string{kKey}});
    filler_.reset();
    trouble = [&](const net::ServerRequest&) { return json(c.body, c.status); };
    const FillAnswer answer = fill(50, 60);
    EXPECT_EQ(answer.what, c.what) << c.status;
    EXPECT_THAT(answer.text, AllOf(HasSubstr(c.says), Not(HasSubstr(std::string{kKey})))) << c.status;
  }
  EXPECT_THAT(sink_.records, IsEmpty());
}

TEST_F(FillerTest, TheKeyIsSentAndStandsNowhereElse) {
  have(1, 200);
  use(Product::usdm, {.api_key = std::string{kKey}});
  EXPECT_EQ(fill(50, 60).what, What::given);
  EXPECT_THAT(keys, ElementsAre(kKey));
  EXPECT_THAT(asked, ElementsAre("/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=30&limit=32"))
      << "the neighbour may be a record that REST does not show";
  for (const PutRecord& r : sink_.records) {
    EXPECT_THAT(r.bytes, Not(HasSubstr(std::string{kKey})));
    for (const auto& [name, value] : r.headers) EXPECT_THAT(value, Not(HasSubstr(std::string{kKey})));
  }
  EXPECT_THAT(told_, Not(HasSubstr(std::string{kKey})));
}

TEST_F(FillerTest, WithoutAKeyTheNewestTradesAreTakenWhereTheyReach) {
  use(Product::usdm, {});
  trouble = [](const net::ServerRequest& request) -> std::optional<net::ServerAnswer> {
    if (request.where.path.ends_with("/historicalTrades"))
      return json(R"({"code":-2014,"msg":"API-key format invalid."})", 401);
    return std::nullopt;
  };
  have(1000, 3000);
  const FillAnswer whole = fill(2500, 2600);
  EXPECT_EQ(whole.what, What::given);
  EXPECT_EQ(pages().size(), 1u);
  EXPECT_EQ(asked.back(), "/fapi/v1/trades?symbol=BTCUSDT&limit=1000");
  const FillAnswer half = fill(1900, 2600);
  EXPECT_EQ(half.what, What::too_old);
  EXPECT_THAT(half.missing, ElementsAre(FillRange{1900, 2000}));
  const FillAnswer old = fill(1100, 1200);
  EXPECT_EQ(old.what, What::too_old);
  EXPECT_THAT(old.text, HasSubstr("it wants an API key: set feed.binance-usdm.api_key, or import"));
  EXPECT_EQ(pages().size(), 2u);
  const FillAnswer quiet = fill(3001, std::nullopt);
  EXPECT_EQ(quiet.what, What::nothing) << "the newest is the one before";
  EXPECT_TRUE(quiet.as_of);
  EXPECT_EQ(fill(3002, std::nullopt).what, What::trouble) << "it lags";
  EXPECT_EQ(fill(3001, 3004).what, What::trouble);
  const auto called = [this](std::string_view path) {
    return std::ranges::count_if(asked, [&](const std::string& call) { return call.starts_with(path); });
  };
  EXPECT_EQ(called("/fapi/v1/historicalTrades"), 1) << "it costs forty times as much, and was refused just now";
  // What fails with the newest trades is of them, not of the key.
  for (const auto& [status, what] : {std::pair{400, What::refused}, std::pair{503, What::trouble}}) {
    trouble = [status = status](const net::ServerRequest&) { return json("{}", status); };
    const FillAnswer answer = fill(2500, 2600);
    EXPECT_EQ(answer.what, what) << status;
    EXPECT_THAT(answer.text, HasSubstr("/fapi/v1/trades: answered with status " + std::to_string(status)));
  }
  trouble = [](const net::ServerRequest&) { return json("[]"); };
  EXPECT_EQ(fill(2500, 2600).what, What::trouble);
  trouble = nullptr;
  loop_.advance(5min);
  EXPECT_EQ(fill(2500, 2600).what, What::given);
  EXPECT_EQ(called("/fapi/v1/historicalTrades"), 2);
}

TEST_F(FillerTest, OfTheNewestTradesToWhatIsNotAmongThemIsMissing) {
  use(Product::usdm, {});
  trouble = [](const net::ServerRequest& request) -> std::optional<net::ServerAnswer> {
    if (request.where.path.ends_with("/historicalTrades"))
      return json(R"({"code":-2014,"msg":"API-key format invalid."})", 401);
    return std::nullopt;
  };
  have(1000, 1099);
  have(1103, 1200);
  const FillAnswer lags = fill(1150, 1250);
  EXPECT_EQ(lags.what, What::part) << "it ends before what was asked for does";
  EXPECT_THAT(lags.missing, ElementsAre(FillRange{1201, 1250}));
  EXPECT_EQ(lags.newest, 1200u);
  const FillAnswer whole = fill(1050, 1150);
  EXPECT_EQ(whole.what, What::given);
  EXPECT_THAT(whole.absent, ElementsAre(FillRange{1100, 1102}));
  EXPECT_THAT(whole.missing, IsEmpty());
  const FillAnswer both = fill(990, 1210);
  EXPECT_EQ(both.what, What::too_old);
  EXPECT_THAT(both.missing, ElementsAre(FillRange{990, 999}, FillRange{1201, 1210}));
  EXPECT_THAT(both.absent, ElementsAre(FillRange{1100, 1102}));
  trouble = [&](const net::ServerRequest& request) -> std::optional<net::ServerAnswer> {
    if (request.where.path.ends_with("/historicalTrades")) return json("{}", 401);
    return json("[" + element(1000, Tape::trade) + R"(,{"price":"1"},)" + element(1003, Tape::trade) + "," +
                element(1004, Tape::trade) + "]");
  };
  const FillAnswer unreadable = fill(1000, 1004);
  EXPECT_EQ(unreadable.what, What::part) << "one of its elements cannot be read";
  EXPECT_THAT(unreadable.missing, ElementsAre(FillRange{1001, 1002}));
}

TEST_F(FillerTest, WhereTheSameIsAnsweredAgainNeighboursAreLookedForFartherOff) {
  use(Product::usdm, {.api_key = std::string{kKey}});
  have(1, 8'000);
  for (std::uint64_t id = 8'001; id <= 8'030; ++id) has.erase(id);  // forced orders, which REST does not show
  have(8'032, 8'100);
  const auto again = [&](int before) {
    ask({.instrument = *Instrument::parse("binance-usdm:BTCUSDT"),
         .first_id = 8'031,
         .last_id = 8'031,
         .again = before});
    for (int i = 0; i < 300 && !answered(); ++i) loop_.advance(1s);
    return answer_.value_or(FillAnswer{});
  };
  const FillAnswer first = again(0);
  EXPECT_EQ(first.what, What::part);
  EXPECT_THAT(asked.back(), HasSubstr("fromId=8011&"));
  const FillAnswer second = again(1);
  EXPECT_THAT(asked.back(), HasSubstr("fromId=7831&"));
  EXPECT_EQ(second.what, What::given);
  EXPECT_THAT(second.absent, ElementsAre(FillRange{8'031, 8'031}));
  again(7);
  EXPECT_EQ(std::ranges::count_if(asked, [](const std::string& c) { return c.find("fromId=6031&") != c.npos; }), 1);
}

TEST_F(FillerTest, APageFromItsNewestTradeDownIsTakenAsWell) {
  trouble = [this](const net::ServerRequest&) {
    std::string out = "[";
    for (std::uint64_t id = 61; id >= 49; --id) out += (out.size() > 1 ? "," : "") + element(id, Tape::trade);
    return json(out + "]");
  };
  const FillAnswer answer = fill(50, 60);
  EXPECT_EQ(answer.what, What::part);
  EXPECT_EQ(answer.trades, 13u);
  EXPECT_EQ(pages().size(), 13u);
}

TEST_F(FillerTest, IdsMayBeginAtZero) {
  have(0, 100);
  EXPECT_EQ(fill(0, 50, Tape::agg).what, What::given);
}

TEST_F(FillerTest, AggregatesAreAskedForByTheirOwnIds) {
  have(1, 3000);
  EXPECT_EQ(fill(50, 1060, Tape::agg).what, What::given);
  EXPECT_THAT(asked, ElementsAre("/api/v3/aggTrades?symbol=BTCUSDT&fromId=49&limit=1000",
                                 "/api/v3/aggTrades?symbol=BTCUSDT&fromId=1048&limit=14"));
  EXPECT_EQ(pages()[0]["tape"], "agg");
}

TEST_F(FillerTest, SymbolsOfOtherLettersArePercentEncoded) {
  have(1, 200);
  const auto fill_of = [&](Product product, const char* instrument) {
    use(product, {});
    filler_.reset();
    ask({.instrument = *Instrument::parse(instrument), .first_id = 50, .last_id = 60});
    for (int i = 0; i < 300 && !answered(); ++i) loop_.advance(1s);
    return answer_.value_or(FillAnswer{});
  };
  EXPECT_EQ(fill_of(Product::spot, "binance:币安USDT").what, What::given);
  EXPECT_EQ(asked.back(), "/api/v3/historicalTrades?symbol=%E5%B8%81%E5%AE%89USDT&fromId=49&limit=13");
  std::optional<Result<std::optional<std::uint64_t>>> first;
  loop_.spawn([&]() -> net::awaitable<void> {
    const Instrument instrument = *Instrument::parse("binance:币安USDT");
    first = co_await filler_->first_id_at(instrument, Tape::agg, kStart);
  });
  trouble = [](const net::ServerRequest&) { return json("[]"); };
  EXPECT_TRUE(loop_.run_until([&] { return first.has_value(); }));
  EXPECT_EQ(asked.back(), "/api/v3/aggTrades?symbol=%E5%B8%81%E5%AE%89USDT&startTime=1723161540000&limit=1");
  trouble = [](const net::ServerRequest& request) -> std::optional<net::ServerAnswer> {
    if (request.where.path.ends_with("/historicalTrades")) return json(R"({"code":-2014,"msg":"API-key"})", 401);
    return std::nullopt;
  };
  EXPECT_EQ(fill_of(Product::usdm, "binance-usdm:币安USDT").what, What::given);
  EXPECT_EQ(asked.back(), "/fapi/v1/trades?symbol=%E5%B8%81%E5%AE%89USDT&limit=1000");
}

TEST_F(FillerTest, OnlyItsShareOfTheLimitIsUsed) {
  have(1, 200'000);
  config_.unit_pages = 200;
  ask({.instrument = kBtc, .first_id = 2, .last_id = 150'000});
  loop_.run_until([this] { return asked.size() >= 95; }, 60s);
  answered(100ms);
  EXPECT_EQ(asked.size(), 95u) << "25 each, and 1 for the time, of 40 % of 6000";
  loop_.advance(59s);
  answered(100ms);
  EXPECT_EQ(asked.size(), 95u);
  loop_.advance(2s);
  EXPECT_TRUE(answered(60s));
  EXPECT_EQ(answer_->what, What::given);
}

TEST_F(FillerTest, RetryAfterIsObeyed) {
  have(1, 200);
  trouble = [](const net::ServerRequest&) {
    auto answer = json(R"({"code":-1003,"msg":"Too much request weight used"})", 429);
    answer.headers.add("Retry-After", "90");
    return answer;
  };
  ask({.instrument = kBtc, .first_id = 50, .last_id = 60});
  ASSERT_TRUE(loop_.run_until([&] { return asked.size() == 1; }));
  answered(50ms);
  trouble = nullptr;
  for (int i = 0; i < 89; ++i) loop_.advance(1s);
  answered(50ms);
  EXPECT_EQ(asked.size(), 1u);
  for (int i = 0; i < 3; ++i) loop_.advance(1s);
  EXPECT_TRUE(answered(5000ms));
  EXPECT_EQ(answer_->what, What::given);
}

TEST_F(FillerTest, ALongBanIsToldOnce) {
  have(1, 200);
  trouble = [](const net::ServerRequest&) {
    auto answer = json(R"({"code":-1003,"msg":"Way too much request weight used; IP banned"})", 418);
    answer.headers.add("Retry-After", "7200");
    return answer;
  };
  ask({.instrument = kBtc, .first_id = 50, .last_id = 60});
  ASSERT_TRUE(loop_.run_until([&] { return asked.size() == 1; }));
  trouble = nullptr;
  answered(50ms);
  for (int i = 0; i < 5; ++i) {
    loop_.advance(1s);
    answered(20ms);
  }
  EXPECT_THAT(told_, testing::StartsWith("binance: the venue wants no requests of ours until 2024-08-09T01:59:0"));
  EXPECT_EQ(std::ranges::count(told_, '\n'), 1);
  loop_.advance(2h);
  EXPECT_TRUE(answered(5000ms));
  EXPECT_EQ(answer_->what, What::given);
  EXPECT_EQ(std::ranges::count(told_, '\n'), 1);
}

TEST_F(FillerTest, NoPageIsAskedForBeforeTheOneBeforeHasFoundRoom) {
  have(1, 5000);
  sink_.set_room(1);
  ask({.instrument = kBtc, .first_id = 2, .last_id = 4000});
  EXPECT_FALSE(answered(300ms));
  EXPECT_EQ(pages().size(), 1u);
  EXPECT_EQ(asked.size(), 2u);
  sink_.set_room(std::nullopt);
  EXPECT_TRUE(answered(5000ms));
  EXPECT_EQ(pages().size(), 5u);
}

TEST_F(FillerTest, StoppedItAnswersSoon) {
  have(1, 200);
  trouble = [](const net::ServerRequest&) { return json("busy", 503); };
  ask({.instrument = kBtc, .first_id = 50, .last_id = 60});
  ASSERT_TRUE(loop_.run_until([&] { return !asked.empty(); }));
  answered(50ms);
  filler_->stop();
  EXPECT_TRUE(answered(5000ms));
  EXPECT_EQ(answer_->what, What::stopped);
}

TEST_F(FillerTest, TheFirstIdFromATimeOn) {
  trouble = [](const net::ServerRequest& request) -> std::optional<net::ServerAnswer> {
    if (request.where.find("startTime") == "1723161540000")
      return json(R"([{"a":26129,"p":"1","q":"1","f":27781,"l":27783,"T":1723161540007,"m":true,"M":true}])");
    if (request.where.find("startTime") == "1723161600000") return json("[]");
    return json(R"({"code":-1130,"msg":"Data sent for parameter 'startTime' is not valid."})", 400);
  };
  ask({.instrument = kBtc, .first_id = 1, .last_id = 1});  // makes the filler
  answered(2000ms);
  const auto first_id_at = [&](Tape tape, std::int64_t ms) {
    std::optional<Result<std::optional<std::uint64_t>>> out;
    loop_.spawn([&, tape, ms]() -> net::awaitable<void> {
      out = co_await filler_->first_id_at(kBtc, tape, *from_epoch(ms, TimeUnit::ms));
    });
    EXPECT_TRUE(loop_.run_until([&] { return out.has_value(); }));
    return *out;
  };
  EXPECT_EQ(*first_id_at(Tape::trade, 1723161540000), 27781u);
  EXPECT_EQ(asked.back(), "/api/v3/aggTrades?symbol=BTCUSDT&startTime=1723161540000&limit=1");
  EXPECT_EQ(*first_id_at(Tape::agg, 1723161540000), 26129u);
  EXPECT_EQ(*first_id_at(Tape::trade, 1723161600000), std::nullopt);
  const auto refused = first_id_at(Tape::trade, 1);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("-1130"));
}

}  // namespace
}  // namespace truetape::binance
