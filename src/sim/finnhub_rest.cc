#include "sim/finnhub_rest.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "core/digits.h"
#include "sim/finnhub_messages.h"

namespace truetape::sim {
namespace {

using finnhub::Class;
using finnhub::MarketSession;
using finnhub::refused;

constexpr std::string_view kBase = "/api/v1";
constexpr std::array<std::string_view, 10> kFree{
    "/quote",         "/news",           "/company-news",    "/stock/symbol",        "/forex/symbol",
    "/crypto/symbol", "/forex/exchange", "/crypto/exchange", "/stock/market-status", "/stock/market-holiday"};
constexpr std::array<std::string_view, 3> kCandles{"/stock/candle", "/forex/candle", "/crypto/candle"};
// Sold to others than this simulator's clients.
constexpr std::array<std::string_view, 4> kSold{"/stock/tick", "/stock/bidask", "/press-releases", "/forex/rates"};

std::optional<std::string_view> parameter(const FinnhubRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.query)
    if (key == name && !value.empty()) return value;
  return std::nullopt;
}
RestAnswer wrong() { return refused(422, "Wrong parameters"); }

// "2024-10-14": its beginning by UTC.
std::optional<Time> date(std::optional<std::string_view> text) {
  if (!text || text->size() != 10 || (*text)[4] != '-' || (*text)[7] != '-') return std::nullopt;
  const auto year = digits::natural(text->substr(0, 4)), month = digits::natural(text->substr(5, 2)),
             day = digits::natural(text->substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day made{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!made.ok()) return std::nullopt;
  return Time{std::chrono::sys_days{made}};
}

void number(std::string& out, std::string_view name, Wide value, int scale) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
  append_trimmed(out, value, scale);
}

std::string_view exchange_of(std::string_view symbol) {
  const std::size_t colon = symbol.find(':');
  return colon == std::string_view::npos ? std::string_view{} : symbol.substr(0, colon);
}
bool same_letters(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  return std::ranges::equal(a, b, {}, upper, upper);
}

}  // namespace

RestAnswer finnhub::refused(int status, std::string_view message) {
  std::string body = R"({"error":)";
  append_json(body, message);
  return {.status = status, .body = body + '}', .content_type = "application/json"};
}

RestAnswer FinnhubRest::answer(const FinnhubRequest& request) {
  std::string_view endpoint = request.path;
  const bool based = endpoint.starts_with(kBase);
  if (based) endpoint.remove_prefix(kBase.size());
  const auto is = [&](const auto& list) { return std::ranges::find(list, endpoint) != list.end(); };
  const bool known = based && request.method == "GET" && (is(kFree) || is(kCandles) || is(kSold));
  RestAnswer answer;
  if (request.token.empty()) {
    answer = refused(401, "Please use an API key.");
  } else if (!good(request.token)) {
    answer = refused(401, "Invalid API key.");
  } else {
    Client& client = clients_[std::string{request.token}];
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t second = to_ns(request.real) / kSecond;
    if (second / 60 != client.minute) {
      client.minute = second / 60;
      client.requests = 0;
    }
    if (second != client.second) {
      client.second = second;
      client.burst = 0;
    }
    ++client.requests;
    ++client.burst;
    if (client.requests > limits_.requests || client.burst > limits_.burst)
      answer = refused(429, "API limit reached. Please try again later. Remaining Limit: 0");
    else if (!known)
      answer = {.status = 404, .body = "404 page not found\n", .content_type = "text/plain; charset=utf-8"};
    else if (is(kSold) || (is(kCandles) && !limits_.premium))
      answer = refused(403, "You don't have access to this resource.");
    else
      answer = run(endpoint, request);
    answer.headers.emplace_back("X-Ratelimit-Limit", std::to_string(limits_.requests));
    answer.headers.emplace_back("X-Ratelimit-Remaining",
                                std::to_string(std::max<std::int64_t>(0, limits_.requests - client.requests)));
    answer.headers.emplace_back("X-Ratelimit-Reset", std::to_string((second / 60 + 1) * 60));
  }
  ++counts_[known ? std::string{request.path} : "others"][answer.status];
  return answer;
}

RestAnswer FinnhubRest::run(std::string_view endpoint, const FinnhubRequest& request) const {
  RestAnswer answer = endpoint == "/quote"                 ? quote(request)
                      : endpoint == "/news"                ? news(request)
                      : endpoint == "/company-news"        ? company_news(request)
                      : endpoint == "/stock/market-status" ? market_status(request)
                      : endpoint == "/stock/market-holiday"
                          ? RestAnswer{.body = R"({"data":[],"exchange":"US","timezone":"America/New_York"})"}
                      : endpoint.ends_with("/candle") ? candles(request)
                                                      : symbols(endpoint, request);
  answer.content_type = "application/json; charset=utf-8";
  return answer;
}

RestAnswer FinnhubRest::quote(const FinnhubRequest& request) const {
  const auto symbol = parameter(request, "symbol");
  if (!symbol) return wrong();
  const auto found = market_.find(*symbol);
  const auto day = found ? market_.bar_at(*found, *find_interval("1d"), request.now) : std::nullopt;
  if (!found || !market_.last(*found) || !day)
    return {.body = R"({"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0})"};
  const Print& last = *market_.last(*found);
  const auto before =
      market_.bars(*found, *find_interval("1d"), day->start - std::chrono::days{1}, day->start, request.now, 1, true);
  const Units close = before.empty() ? day->open : before.back().close;
  std::string body = "{";
  number(body, "c", last.price, kFineDecimals);
  number(body, "d", Wide{last.price - close}, kFineDecimals);
  number(body, "dp", close == 0 ? 0 : Wide{last.price - close} * 1'000'000 / close, 4);
  number(body, "h", std::max(day->high, last.price), kFineDecimals);
  number(body, "l", std::min(day->low, last.price), kFineDecimals);
  number(body, "o", day->open, kFineDecimals);
  number(body, "pc", close, kFineDecimals);
  number(body, "t", to_us(last.traded) / 1'000'000, 0);
  return {.body = body + '}'};
}

RestAnswer FinnhubRest::candles(const FinnhubRequest& request) const {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kResolutions{
      {{"1", "1m"}, {"5", "5m"}, {"15", "15m"}, {"30", "30m"}, {"60", "1h"}, {"D", "1d"}, {"W", "1w"}, {"M", "1M"}}};
  const auto symbol = parameter(request, "symbol"), resolution = parameter(request, "resolution"),
             from = parameter(request, "from"), to = parameter(request, "to");
  if (!symbol || !resolution || !from || !to) return wrong();
  const auto name = std::ranges::find(kResolutions, *resolution, &std::pair<std::string_view, std::string_view>::first);
  const auto first = digits::natural(*from), last = digits::natural(*to);
  if (name == kResolutions.end() || !first || !last) return wrong();
  const auto found = market_.find(*symbol);
  // Milliseconds are no error, but of a time that has no candles.
  constexpr std::int64_t kFar = 9'000'000'000;
  std::vector<Bar> bars;
  if (found && *first < kFar)
    bars = market_.bars(*found, *find_interval(name->second), Time{std::chrono::seconds{*first}},
                        Time{std::chrono::seconds{std::min(*last, kFar)}} + Duration{1},
                        request.now - request.database_lag, 100'000, false);
  std::erase_if(bars, [](const Bar& bar) { return bar.trades == 0; });
  if (bars.empty()) return {.body = R"({"s":"no_data"})"};
  std::string body = "{";
  const auto column = [&](std::string_view key, int scale, const auto& value) {
    if (body.back() != '{') body += ',';
    body += '"';
    body += key;
    body += "\":[";
    for (const Bar& bar : bars) {
      if (body.back() != '[') body += ',';
      append_trimmed(body, value(bar), scale);
    }
    body += ']';
  };
  column("c", kFineDecimals, [](const Bar& bar) { return Wide{bar.close}; });
  column("h", kFineDecimals, [](const Bar& bar) { return Wide{bar.high}; });
  column("l", kFineDecimals, [](const Bar& bar) { return Wide{bar.low}; });
  column("o", kFineDecimals, [](const Bar& bar) { return Wide{bar.open}; });
  body += R"(,"s":"ok")";
  column("t", 0, [](const Bar& bar) { return Wide{to_us(bar.start) / 1'000'000}; });
  column("v", kDecimals, [](const Bar& bar) { return bar.volume; });
  return {.body = body + '}'};
}

// ---- news

RestAnswer FinnhubRest::news(const FinnhubRequest& request) const {
  static constexpr std::array<std::string_view, 4> kCategories{"general", "forex", "crypto", "merger"};
  const auto category = parameter(request, "category");
  if (!category || std::ranges::find(kCategories, *category) == kCategories.end()) return wrong();
  std::uint64_t least = 0;
  if (const auto given = parameter(request, "minId")) {
    const auto parsed = digits::natural(*given);
    if (!parsed) return wrong();
    least = static_cast<std::uint64_t>(*parsed);
  }
  std::string body = "[";
  constexpr int kMost = 100;
  int rows = 0;
  for (auto one = market_.news().rbegin(); one != market_.news().rend() && rows < kMost; ++one) {
    const NewsText& text = *one->text;
    // What is asked for as general is told with finer words.
    const bool fits = text.category == *category || (*category == "general" && text.category == "technology");
    if (!fits || text.id <= least || one->told > request.now - request.database_lag) continue;
    if (rows++ != 0) body += ',';
    body += finnhub::news_item(*one);
  }
  return {.body = body + ']'};
}

RestAnswer FinnhubRest::company_news(const FinnhubRequest& request) const {
  const auto symbol = parameter(request, "symbol");
  const auto from = date(parameter(request, "from")), to = date(parameter(request, "to"));
  if (!symbol || !from || !to) return wrong();
  std::string body = "[";
  for (auto one = market_.news().rbegin(); one != market_.news().rend(); ++one) {
    if (one->text->related != *symbol || one->traded < *from || one->traded >= *to + std::chrono::days{1} ||
        one->told > request.now - request.database_lag)
      continue;
    if (body.back() == '}') body += ',';
    body += finnhub::news_item(*one);
  }
  return {.body = body + ']'};
}

// ---- lists

RestAnswer FinnhubRest::symbols(std::string_view endpoint, const FinnhubRequest& request) const {
  const Class wanted = endpoint.starts_with("/stock/")   ? Class::shares
                       : endpoint.starts_with("/forex/") ? Class::currencies
                                                         : Class::crypto;
  std::string body = "[";
  if (endpoint.ends_with("/exchange")) {
    std::set<std::string_view> exchanges;
    for (std::uint32_t i = 0; i < market_.size(); ++i)
      if (finnhub::class_of(market_.listing(i).symbol) == wanted)
        exchanges.insert(exchange_of(market_.listing(i).symbol));
    for (const std::string_view one : exchanges) {
      if (body.size() > 1) body += ',';
      append_json(body, one);
    }
    return {.body = body + ']'};
  }
  const auto exchange = parameter(request, "exchange");
  if (!exchange) return wrong();
  for (std::uint32_t i = 0; i < market_.size(); ++i) {
    const std::string& symbol = market_.listing(i).symbol;
    const bool here = wanted == Class::shares ? *exchange == "US" : same_letters(exchange_of(symbol), *exchange);
    if (finnhub::class_of(symbol) != wanted || !here) continue;
    if (body.back() == '}') body += ',';
    std::string shown = symbol.substr(exchange_of(symbol).empty() ? 0 : exchange_of(symbol).size() + 1);
    std::ranges::replace(shown, '_', '/');
    if (wanted == Class::shares) {
      body += R"({"currency":"USD","description":)";
      append_json(body, symbol + " INC");
      body += R"(,"displaySymbol":)";
      append_json(body, symbol);
      body += R"(,"figi":"","isin":null,"mic":"XNAS","shareClassFIGI":"","symbol":)";
      append_json(body, symbol);
      body += R"(,"symbol2":"","type":"Common Stock"})";
    } else {
      body += R"({"description":)";
      append_json(body, std::string{exchange_of(symbol)} + ' ' + shown);
      body += R"(,"displaySymbol":)";
      append_json(body, shown);
      body += R"(,"symbol":)";
      append_json(body, symbol);
      body += '}';
    }
  }
  return {.body = body + ']'};
}

RestAnswer FinnhubRest::market_status(const FinnhubRequest& request) const {
  const auto exchange = parameter(request, "exchange");
  if (!exchange) return wrong();
  if (*exchange != "US") return refused(403, "You don't have access to this resource.");
  const MarketSession session = finnhub::session_at(request.now);
  const Time told = request.now + request.skew;
  return {.body = std::string{R"({"exchange":"US","holiday":null,"isOpen":)"} +
                  (session == MarketSession::regular ? "true" : "false") + ",\"session\":" +
                  (session == MarketSession::pre       ? "\"pre-market\""
                   : session == MarketSession::regular ? "\"regular\""
                   : session == MarketSession::post    ? "\"post-market\""
                                                       : "null") +
                  ",\"t\":" + std::to_string(to_us(told) / 1'000'000) + R"(,"timezone":"America/New_York"})"};
}

}  // namespace truetape::sim
