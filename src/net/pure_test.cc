// What needs no network: addresses, dates, headers, back-off, rate budget, proxies by environment.
#include <gmock/gmock.h>

#include <map>
#include <random>

#include "net/backoff.h"
#include "net/http_date.h"
#include "net/proxy.h"
#include "net/rate_budget.h"
#include "net/url.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const Timestamp kNow = *parse_rfc3339("2024-08-08T23:59:00Z");

// ---- addresses

TEST(UrlTest, Parts) {
  struct Case {
    std::string text, scheme, host;
    int port;
    std::string target, host_field;
  };
  for (const Case& c : {
           Case{"wss://stream.example.com:9443/ws?timeUnit=MICROSECOND", "wss", "stream.example.com", 9443,
                "/ws?timeUnit=MICROSECOND", "stream.example.com:9443"},
           Case{"HTTPS://API.Example.com", "https", "api.example.com", 443, "/", "api.example.com"},
           Case{"http://127.0.0.1:80/a%20b", "http", "127.0.0.1", 80, "/a%20b", "127.0.0.1"},
           Case{"ws://[::1]:8080/stream?streams=a@trade/b@trade", "ws", "::1", 8080, "/stream?streams=a@trade/b@trade",
                "[::1]:8080"},
           Case{"https://host?x=1", "https", "host", 443, "/?x=1", "host"},
       }) {
    const auto url = parse_url(c.text);
    ASSERT_TRUE(url) << c.text << ": " << url.error().detail;
    EXPECT_EQ(url->scheme, c.scheme) << c.text;
    EXPECT_EQ(url->host, c.host) << c.text;
    EXPECT_EQ(url->port, c.port) << c.text;
    EXPECT_EQ(url->target, c.target) << c.text;
    EXPECT_EQ(url->host_field(), c.host_field) << c.text;
  }
}

TEST(UrlTest, ASecretIsInNoSentence) {
  const auto url = parse_url("https://user:p%40ss@host/v1/x?token=secret");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->user, "user");
  EXPECT_EQ(url->password, "p@ss");
  EXPECT_EQ(url->place(), "https://host/v1/x");
  for (const auto& [text, place] : std::map<std::string, std::string>{
           {"https://user:p%40ss@host:81/v1/x?token=secret", "https://host:81/v1/x"},
           {"HTTP://user@Host", "http://host/"},
           {"http://host/of@all", "http://host/of@all"},
           // What is no URL.
           {"https://user:p/ss@host/x?token=secret", "https://host/x"},
           {"https://user:p@ss%zz@host", "https://host"},
           {"user:pass@host", "host"},
           {"host:80", "host:80"},
           {"", ""},
           {"http://a b/" + std::string(300, 'x'), "http://a b/" + std::string(189, 'x') + "..."}}) {
    EXPECT_EQ(place_of(text), place) << text;
    const auto parsed = parse_url(text);
    if (!parsed) {
      EXPECT_THAT(parsed.error().detail, HasSubstr("'" + place + "'"));
    }
  }
  for (const char* text : {"ftp://user:secret@host/", "http://user:secret@host:0/", "http://user:secret@1.2.3.4x:81/"})
    EXPECT_THAT(parse_url(text).error().detail, testing::Not(HasSubstr("secret"))) << text;
}

TEST(UrlTest, RefusedWithTheReason) {
  for (const auto& [text, why] : std::map<std::string, std::string>{{"", "is no URL"},
                                                                    {"stream.example.com", "is no URL"},
                                                                    {"http://a b/", "is no URL"},
                                                                    {"ftp://host/", "begins with ftp"},
                                                                    {"http:///path", "names no host"},
                                                                    {"http://host:0/", "port outside"},
                                                                    {"http://host:65536/", "port outside"},
                                                                    {"http://127.0.0.1.host/", "like an address"},
                                                                    {"http://me@1.2.3.4x:81/", "like an address"},
                                                                    {"https://host/%zz", "is no URL"}}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error().detail, HasSubstr(why)) << text;
  }
}

TEST(TargetTest, IsDecoded) {
  const auto target = parse_target("/api/v1/%E5%B8%81?symbol=BTC%2FUSDT&from=a+b&from=c&flag&x=%40");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/api/v1/币");
  EXPECT_THAT(target->query, ElementsAre(Pair("symbol", "BTC/USDT"), Pair("from", "a b"), Pair("from", "c"),
                                         Pair("flag", ""), Pair("x", "@")));
  EXPECT_EQ(target->find("from"), "a b");
  EXPECT_EQ(target->find("flag"), "");
  EXPECT_EQ(target->find("none"), std::nullopt);
}

TEST(TargetTest, Refused) {
  for (const std::string text : {"", "x", "*", "/../etc/passwd", "/a/..", "/a/%2e%2e/b", "/a/%2e", "/a%2f..%2fb",
                                 "/%00", "/%", "/%4", "/a b", "/?a=%gg"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(UrlTest, PercentEncoding) { EXPECT_EQ(percent_encode("[\"BTC\"] é~"), "%5B%22BTC%22%5D%20%C3%A9~"); }

// ---- headers and dates

TEST(HeadersTest, NamesAndWordsWithoutCase) {
  Headers headers{
      {"Content-Type", "Text/HTML; charset=utf-8"}, {"connection", "keep-alive, Upgrade"}, {"X", "1"}, {"x", "2"}};
  EXPECT_EQ(headers.content_type(), "text/html");
  EXPECT_TRUE(headers.has_word("Connection", "upgrade"));
  EXPECT_FALSE(headers.has_word("Connection", "up"));
  EXPECT_EQ(headers.get("x"), "1");
  headers.set("X", "3");
  EXPECT_EQ(headers.get("x"), "3");
  EXPECT_EQ(headers.size(), 3u);
  EXPECT_EQ(Headers{}.content_type(), "");
}

TEST(HttpDateTest, AllThreeForms) {
  const Timestamp then = *parse_rfc3339("1994-11-06T08:49:37Z");
  EXPECT_EQ(to_http_date(then), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(to_http_date(then + 999ms), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const std::string text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"})
    EXPECT_EQ(parse_http_date(text, kNow), then) << text;
  for (const std::string text :
       {"", "Sun", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "1994-11-06T08:49:37Z", ",", "Sun, "})
    EXPECT_EQ(parse_http_date(text, kNow), std::nullopt) << text;
}

TEST(RetryAfterTest, SecondsAndDate) {
  struct Case {
    Headers headers;
    std::optional<Nanoseconds> expected;
  };
  for (const Case& c : {
           Case{{}, std::nullopt},
           Case{{{"Retry-After", "120"}}, 120s},
           Case{{{"retry-after", "0"}}, 0s},
           Case{{{"Retry-After", "99999999999999999999999"}}, kLongestWait},
           Case{{{"Retry-After", "-1"}}, std::nullopt},
           Case{{{"Retry-After", "soon"}}, std::nullopt},
           Case{{{"Retry-After", ""}}, std::nullopt},
           Case{{{"Retry-After", "Fri, 09 Aug 2024 00:00:30 GMT"}}, 90s},
           Case{{{"Retry-After", "Thu, 08 Aug 2024 00:00:30 GMT"}}, 0s},
           // Our clock is an hour off; the answer's own is what counts.
           Case{{{"Date", "Fri, 09 Aug 2024 01:00:00 GMT"}, {"Retry-After", "Fri, 09 Aug 2024 01:00:30 GMT"}}, 30s},
       })
    EXPECT_EQ(retry_after(c.headers, kNow), c.expected) << c.headers.get("Retry-After");
}

// ---- back-off

TEST(BackoffTest, GrowsWithinItsBoundsAndStartsOver) {
  Backoff backoff{{.first = 500ms, .longest = 60s, .factor = 2}, 7};
  Nanoseconds full = 500ms;
  for (int i = 0; i < 100; ++i) {
    const Nanoseconds delay = backoff.next();
    EXPECT_GT(delay, full / 2) << i;
    EXPECT_LE(delay, full) << i;
    full = std::min<Nanoseconds>(full * 2, 60s);
  }
  EXPECT_EQ(backoff.attempts(), 100);
  backoff.reset();
  EXPECT_LE(backoff.next(), Nanoseconds{500ms});
}

TEST(BackoffTest, OneSeedOneSequence) {
  Backoff a{{}, 1}, b{{}, 1}, c{{}, 2};
  bool differs = false;
  for (int i = 0; i < 10; ++i) {
    const Nanoseconds delay = a.next();
    EXPECT_EQ(delay, b.next());
    differs = differs || delay != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(BackoffTest, ForeignSettingsDoNoHarm) {
  Backoff backoff{{.first = 0s, .longest = -1s, .factor = 0}, 1};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(backoff.next(), 1ns);
}

// ---- rate budget

using SteadyTime = RateBudget::SteadyTime;
const SteadyTime kStart{};

RateConfig minute(std::int64_t limit, int share = 100) {
  return {.windows = {{.length = 60s, .limit = limit, .used_header = "X-MBX-USED-WEIGHT-1M"}}, .share_percent = share};
}

TEST(RateBudgetTest, AWindowSlides) {
  RateBudget budget{minute(100)};
  budget.spend(60, kStart);
  budget.spend(40, kStart + 30s);
  EXPECT_EQ(budget.wait(1, kStart + 30s), 30s);
  EXPECT_EQ(budget.wait(60, kStart + 30s), 30s);
  EXPECT_EQ(budget.wait(61, kStart + 30s), 60s) << "the second has to leave too";
  EXPECT_EQ(budget.wait(60, kStart + 60s), 0s);
  EXPECT_EQ(budget.used(0, kStart + 60s), 40);
  EXPECT_EQ(budget.wait(101, kStart), Nanoseconds::max()) << "never fits";
}

TEST(RateBudgetTest, NeverMoreThanTheLimitInAnyIntervalAndNearlyAllOfIt) {
  constexpr std::int64_t kLimit = 6000;
  RateBudget budget{minute(kLimit)};
  std::vector<std::pair<SteadyTime, std::int64_t>> sent;
  std::mt19937_64 random{3};
  SteadyTime now = kStart;
  while (now < kStart + 20min) {
    const auto weight = static_cast<std::int64_t>(random() % 40 + 1);
    const Nanoseconds wait = budget.wait(weight, now);
    now += wait;
    ASSERT_EQ(budget.wait(weight, now), 0s) << "after the wait it may go";
    budget.spend(weight, now);
    sent.emplace_back(now, weight);
    now += std::chrono::milliseconds{random() % 300};
  }
  std::int64_t sum = 0, total = 0, most = 0;
  for (std::size_t first = 0, i = 0; i < sent.size(); ++i) {
    sum += sent[i].second;
    total += sent[i].second;
    while (sent[i].first - sent[first].first >= 60s) sum -= sent[first++].second;
    most = std::max(most, sum);
  }
  EXPECT_LE(most, kLimit);
  EXPECT_GT(total, 20 * kLimit * 9 / 10) << "the 64 slots cost at most a few per cent";
}

TEST(RateBudgetTest, SeveralWindowsAndRequestsThatCountOne) {
  RateBudget budget{{.windows = {{.length = 1s, .limit = 2, .per_request = true}, {.length = 60s, .limit = 1000}}}};
  budget.spend(300, kStart);
  budget.spend(300, kStart);
  EXPECT_EQ(budget.wait(1, kStart), 1s);
  EXPECT_EQ(budget.wait(400, kStart + 1s), 0s);
  EXPECT_EQ(budget.wait(401, kStart + 1s), 59s);
}

TEST(RateBudgetTest, ShareLeavesTheRestToOthers) {
  RateBudget budget{minute(1000, 25)};
  budget.spend(250, kStart);
  EXPECT_EQ(budget.wait(1, kStart), 60s);
  EXPECT_EQ(budget.wait(251, kStart), Nanoseconds::max());
}

TEST(RateBudgetTest, WhatTheVenueCountsMoreIsBelieved) {
  RateBudget budget{minute(6000)};
  budget.spend(10, kStart);
  budget.answered(200, {{"x-mbx-used-weight-1m", "5990"}}, kStart + 1s, kNow);
  EXPECT_EQ(budget.used(0, kStart + 1s), 5990);
  EXPECT_EQ(budget.wait(10, kStart + 1s), 0s);
  EXPECT_EQ(budget.wait(11, kStart + 1s), 59s) << "our own 10 leave first";
  budget.answered(200, {{"X-MBX-USED-WEIGHT-1M", "3"}}, kStart + 2s, kNow);
  EXPECT_EQ(budget.used(0, kStart + 2s), 5990) << "less only means that its window began anew";
  for (const std::string odd : {"", "x", "-5", "1e3", "99999999999999999999"})
    budget.answered(200, {{"X-MBX-USED-WEIGHT-1M", odd}}, kStart + 2s, kNow);
  EXPECT_EQ(budget.used(0, kStart + 2s), 5990);
}

TEST(RateBudgetTest, LimitedAndBanned) {
  using Block = RateBudget::Block;
  RateBudget budget{minute(6000)};
  budget.answered(429, {{"Retry-After", "7"}}, kStart, kNow);
  EXPECT_EQ(budget.block(kStart), Block::limited);
  EXPECT_EQ(budget.wait(1, kStart), 7s);
  EXPECT_EQ(budget.wait(1, kStart + 7s), 0s);
  EXPECT_EQ(budget.block(kStart + 7s), Block::none);
  budget.answered(429, {}, kStart + 8s, kNow);
  EXPECT_EQ(budget.wait(1, kStart + 8s), 60s) << "without a time: a minute";

  SteadyTime now = kStart + 100s;
  for (const Nanoseconds ban : {Nanoseconds{2min}, Nanoseconds{4min}, Nanoseconds{8min}}) {
    budget.answered(418, {}, now, kNow);
    EXPECT_EQ(budget.block(now), Block::banned);
    EXPECT_EQ(budget.wait(1, now), ban);
    budget.answered(200, {}, now, kNow);  // of a request that was under way
    EXPECT_EQ(budget.block(now), Block::banned);
    now += ban;
  }
  budget.answered(418, {{"Retry-After", "259200"}}, now, kNow);
  EXPECT_EQ(budget.wait(1, now), 72h);
  now += 72h;
  budget.answered(200, {}, now, kNow);
  budget.answered(418, {}, now, kNow);
  EXPECT_EQ(budget.wait(1, now), 2min) << "after an answer bans begin at the first length again";
  for (int i = 0; i < 50; ++i) budget.answered(418, {}, now, kNow);
  EXPECT_EQ(budget.wait(1, now), 72h) << "and never pass the longest";
}

TEST(RateBudgetTest, ABlockIsNeverShortened) {
  RateBudget budget{minute(6000)};
  budget.block_until(kStart + 1h, RateBudget::Block::banned);
  budget.answered(429, {{"Retry-After", "1"}}, kStart, kNow);
  EXPECT_EQ(budget.wait(1, kStart), 1h);
  EXPECT_EQ(budget.block(kStart), RateBudget::Block::banned);
}

// ---- proxies

Result<ProxySettings> from(std::map<std::string, std::string> variables) {
  return proxy_from_environment([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(ProxyTest, ByScheme) {
  const auto settings = from({{"HTTPS_PROXY", "http://user:pw@proxy:3128"}, {"http_proxy", "plain:8080"}});
  ASSERT_TRUE(settings) << settings.error().detail;
  EXPECT_EQ(settings->of(*parse_url("wss://stream.example.com/ws"))->origin(), "http://proxy:3128");
  EXPECT_EQ(settings->of(*parse_url("https://example.com/"))->user, "user");
  EXPECT_EQ(settings->of(*parse_url("http://example.com/"))->origin(), "http://plain:8080");
  EXPECT_EQ(settings->of(*parse_url("ws://example.com/"))->origin(), "http://plain:8080");
  EXPECT_EQ(from({{"ALL_PROXY", "http://all:1"}})->of(*parse_url("wss://x/"))->origin(), "http://all:1");
  EXPECT_EQ(
      from({{"ALL_PROXY", "http://all:1"}, {"HTTPS_PROXY", "http://own:2"}})->of(*parse_url("wss://x/"))->origin(),
      "http://own:2");
  EXPECT_EQ(from({})->of(*parse_url("wss://x/")), nullptr);
  EXPECT_EQ(from({{"HTTPS_PROXY", ""}})->of(*parse_url("wss://x/")), nullptr);
}

TEST(ProxyTest, NoProxyRules) {
  struct Case {
    std::string rules, url;
    bool direct;
  };
  for (const Case& c : {
           Case{"*", "https://a.example.com/", true},
           Case{"example.com", "https://a.example.com/", true},
           Case{"example.com", "https://example.com/", true},
           Case{".example.com", "https://a.EXAMPLE.com/", true},
           Case{"example.com", "https://badexample.com/", false},
           Case{"a.example.com", "https://example.com/", false},
           Case{"other.org, example.com:8443", "https://example.com:8443/", true},
           Case{"example.com:8443", "https://example.com/", false},
           Case{"10.0.0.0/8", "https://10.1.2.3/", true},
           Case{"10.0.0.0/8", "https://11.1.2.3/", false},
           Case{"fd00::/8", "https://[fd12::1]/", true},
           Case{"fd00::/8", "https://10.1.2.3/", false},
           Case{"192.0.2.7", "https://192.0.2.7/", true},
           Case{"2.7", "https://192.0.2.7/", false},
           Case{"", "https://localhost/", true},
           Case{"", "https://127.0.0.1:9000/", true},
           Case{"", "https://[::1]/", true},
           Case{"", "https://example.com/", false},
       }) {
    const auto settings = from({{"ALL_PROXY", "http://proxy:1"}, {"NO_PROXY", c.rules}});
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->of(*parse_url(c.url)) == nullptr, c.direct) << c.rules << " for " << c.url;
  }
}

TEST(ProxyTest, AForeignKindIsNamedWithoutItsPassword) {
  const auto settings = from({{"HTTPS_PROXY", "socks5://user:secret@proxy:1080"}});
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().detail,
            "HTTPS_PROXY in the environment is no http:// address; write http://host:port or unset it");
  EXPECT_TRUE(from({{"ALL_PROXY", "socks5://p:1"}, {"HTTPS_PROXY", "http://p:2"}, {"HTTP_PROXY", "http://p:2"}}))
      << "not needed";
}

}  // namespace
}  // namespace truetape::net
