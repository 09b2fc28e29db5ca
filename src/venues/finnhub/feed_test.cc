// The feed against a scripted venue on loopback, with a manual clock.
#include "venues/finnhub/feed.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/feed_testing.h"
#include "venues/finnhub/markets.h"

namespace truetape::finnhub {
std::span<const FeedEntry> feed_entries();  // for venues/feeds.cc
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Level = FeedEvent::Level;

const Timestamp kStart = *parse_rfc3339("2024-10-14T14:00:00Z");
constexpr std::string_view kToken = "s3cr3t/+token";
const Instrument kAapl = *Instrument::parse("finnhub:AAPL");
const Instrument kBtc = *Instrument::parse("finnhub:BINANCE:BTCUSDT");

// Speaks as the venue does unless a test says otherwise.
class ScriptedVenue {
 public:
  explicit ScriptedVenue(net::Loop& loop) : loop_{loop} {
    net::ServerConfig config;
    config.websocket.idle_timeout = 0s;
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      requests.push_back(request->target);
      asked_at.push_back(loop_.clock().now());
      tokens.emplace_back(request->headers.get("X-Finnhub-Token"));
      co_return rest(*request);
    };
    handlers.upgrade = [this](net::RequestPtr request) -> net::awaitable<std::optional<net::ServerAnswer>> {
      attempts.push_back(loop_.clock().now());
      targets.push_back(request->target);
      if (refuse == 0) co_return std::nullopt;
      co_return net::text_answer(refuse, "application/json", R"({"error":"no"})");
    };
    handlers.websocket = [this](net::RequestPtr, std::shared_ptr<net::WebSocket> socket) -> net::awaitable<void> {
      sockets.push_back(socket);
      for (;;) {
        const auto message = co_await socket->receive();
        if (!message) break;
        messages.emplace_back(message->bytes);
      }
    };
    server_ = std::make_unique<net::Server>(loop, config, std::move(handlers));
    if (!server_->listen()) throw std::runtime_error{"no port"};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  void send(const std::string& frame) { sockets.back()->send(frame); }
  void trade(const std::string& symbol, const std::string& price = "164.06") {
    const auto ms = to_ns(loop_.clock().now()) / 1'000'000;
    send(R"({"data":[{"c":null,"p":)" + price + R"(,"s":")" + symbol + R"(","t":)" + std::to_string(ms) +
         R"(,"v":1}],"type":"trade"})");
  }
  net::ServerAnswer json(std::string body) const { return net::text_answer(200, "application/json", std::move(body)); }

  int refuse = 0;                            // status
  std::map<std::string, std::string> pages;  // by path and query behind /api/v1
  std::function<net::ServerAnswer(const net::ServerRequest&)> rest = [this](const net::ServerRequest& request) {
    const std::string target = request.target.substr(std::string_view{"/api/v1"}.size());
    if (target.starts_with("/stock/market-status"))
      return json(R"({"exchange":"US","holiday":null,"isOpen":true,"session":"regular","t":)" +
                  std::to_string(to_ns(loop_.clock().now()) / 1'000'000'000) + R"(,"timezone":"America/New_York"})");
    const auto page = pages.find(target);
    return json(page == pages.end() ? "[]" : page->second);
  };

  std::vector<std::shared_ptr<net::WebSocket>> sockets;
  std::vector<Timestamp> attempts, asked_at;
  std::vector<std::string> targets, messages, requests, tokens;

 private:
  net::Loop& loop_;
  std::unique_ptr<net::Server> server_;
};

class FinnhubFeed : public testing::Test {
 protected:
  FinnhubFeed() { connector_ = *net::Connector::make(loop_, {}); }
  ~FinnhubFeed() override { stop(); }

  void start(std::set<Instrument> wanted, std::unique_ptr<feeds::Errand> errand = nullptr) {
    set_options();
    start_with(std::move(wanted),
               feeds::make_feed(make_dialect(), feed_settings(options_), parts(), std::move(errand)));
  }
  // With the errand that the option `news` asks for.
  void start_as_configured(std::set<Instrument> wanted) {
    set_options();
    start_with(std::move(wanted), feed_entries().front().make(options_, parts()));
  }
  void set_options() {
    options_.token = kToken;
    options_.seed = 7;
    options_.stream_url = "ws://" + venue_.address();
    options_.rest_url = "http://" + venue_.address();
  }
  FeedParts parts() {
    return {connector_.get(), &sink_, [this](const FeedEvent& event) { events_.push_back(event); }};
  }
  void start_with(std::set<Instrument> wanted, std::unique_ptr<Feed> feed) {
    feed_ = std::move(feed);
    feed_->want(std::move(wanted));
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await feed_->run();
      ended_ = true;
    });
  }
  void stop() {
    if (!feed_) return;
    feed_->stop();
    for (int i = 0; i < 20 && !ended_; ++i) {
      net::settle(loop_, 2ms);
      if (!ended_) loop_.advance(1s);
    }
    EXPECT_TRUE(ended_) << "run() did not return";
    feed_.reset();
    // Whatever happened: the token went nowhere but to the venue.
    EXPECT_THAT(all_told(), testing::Not(HasSubstr("s3cr3t")));
    for (const PutRecord& record : sink_.records) {
      EXPECT_THAT(record.bytes, testing::Not(HasSubstr("s3cr3t")));
      for (const auto& [name, value] : record.headers) EXPECT_THAT(value, testing::Not(HasSubstr("s3cr3t"))) << name;
    }
  }
  void pass(Nanoseconds span, Nanoseconds step = 1s) {
    for (; span > 0s; span -= step) {
      loop_.advance(std::min(span, step));
      net::settle(loop_, 2ms);
    }
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done); }
  bool live() {
    return until([&] {
      const FeedStatus status = feed_->status();
      return std::ranges::count(status.connections, ConnectionStatus::State::live, &ConnectionStatus::state) == 1 &&
             !venue_.sockets.empty() && status.clock_offset.has_value();
    });
  }
  bool frames(std::size_t count) {
    return until([&] { return sink_.of_kind("frame").size() >= count; });
  }
  bool said(std::size_t count) {
    return until([&] { return venue_.messages.size() >= count; });
  }
  std::string all_told() const {
    std::string out;
    for (const FeedEvent& e : events_)
      out += (e.level == Level::error     ? "error "
              : e.level == Level::warning ? "warning "
                                          : "info ") +
             e.connection + " | " + e.text + "\n";
    return out;
  }

  ManualClock clock_{kStart};
  net::Loop loop_{clock_};
  ScriptedVenue venue_{loop_};
  MemorySink sink_{loop_, 8};
  std::unique_ptr<net::Connector> connector_;
  FeedOptions options_;
  std::vector<FeedEvent> events_;
  std::unique_ptr<Feed> feed_;
  bool ended_ = false;
};

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

// ---- headlines by REST

constexpr std::string_view kCompany = "/company-news?symbol=AAPL&from=2024-10-13&to=2024-10-14";

std::string page(std::initializer_list<std::int64_t> ids) {
  std::string out = "[";
  for (const std::int64_t id : ids)
    out += (out.size() > 1 ? "," : "") + std::string{R"({"datetime":1728914400,"headline":"h","id":)"} +
           std::to_string(id) + "}";
  return out + "]";
}

TEST_F(FinnhubFeed, HeadlinesArePolledAndPutAsTheyCame) {
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
TEST_F(FinnhubFeed, BesideTheStreamHeadlinesAreAskedForHourlyAndAfterAReconnect) {
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

TEST_F(FinnhubFeed, NewsOffAsksForNone) {
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

TEST_F(FinnhubFeed, EachElementOfAPageIsPutOnce) {
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

TEST_F(FinnhubFeed, BadHeadlinesOfTheMarketsAreNotPutEachMinute) {
  const std::string bad = R"([{"datetime":1728914400,"headline":"h","id":"7"}])";  // so no id is known to ask behind
  venue_.pages["/news?category=general"] = bad;
  start({kBtc}, make_news_errand());
  ASSERT_TRUE(live());
  pass(10min, 5s);
  EXPECT_GE(std::ranges::count(venue_.requests, "/api/v1/news?category=general"), 9);
  EXPECT_EQ(std::ranges::count(sink_.of_kind("backfill"), bad, &PutRecord::bytes), 1);
}

TEST_F(FinnhubFeed, AHeadlineOfTheFutureIsPutAgainOnceItsTimeHasCome) {
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

TEST_F(FinnhubFeed, APageThatCannotBeReadIsPutAsAWhole) {
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
  pass(2min);
  EXPECT_EQ(put(cut), 1);
  EXPECT_EQ(put(page({12, 11})), 1);
}

TEST_F(FinnhubFeed, APageThatMayBeCutOffSaysNotHowFarTheNewsHaveCome) {
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

TEST_F(FinnhubFeed, AnAbsurdIdIsNotTheNewest) {
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

TEST_F(FinnhubFeed, AnIdBehindWhichNothingComesIsForgottenAfterAnHour) {
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

TEST_F(FinnhubFeed, HeadlinesThatMayBeLostAreAskedForAndPutAgain) {
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

TEST_F(FinnhubFeed, PollingLeavesRoomInTheBudget) {
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

TEST_F(FinnhubFeed, WhatThePlanDoesNotHaveIsAskedForSeldom) {
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
