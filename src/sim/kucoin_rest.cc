#include "sim/kucoin_rest.h"

#include <algorithm>
#include <array>

#include "core/digits.h"
#include "sim/kucoin_messages.h"

namespace truetape::sim {
namespace {

constexpr std::size_t kMostCandles = 1500;
constexpr std::string_view kOpen = R"({"code":"200000","data":)";

struct Endpoint {
  std::string_view method, path;
  std::int64_t weight;
};
constexpr std::array<Endpoint, 10> kEndpoints{{{"GET", "/api/v1/timestamp", 3},
                                               {"GET", "/api/v1/status", 3},
                                               {"POST", "/api/v1/bullet-public", 10},
                                               {"GET", "/api/v2/symbols", 4},
                                               {"GET", "/api/v2/symbols/", 4},
                                               {"GET", "/api/v1/market/orderbook/level1", 2},
                                               {"GET", "/api/v1/market/allTickers", 15},
                                               {"GET", "/api/v1/market/stats", 15},
                                               {"GET", "/api/v1/market/histories", 3},
                                               {"GET", "/api/v1/market/candles", 3}}};

const Endpoint* find_endpoint(std::string_view method, std::string_view path) {
  for (const Endpoint& one : kEndpoints)
    if (one.method == method &&
        (one.path == path || (one.path.ends_with('/') && path.starts_with(one.path) && path.size() > one.path.size())))
      return &one;
  return nullptr;
}

std::optional<std::string_view> parameter(const KucoinRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.query)
    if (key == name) return value;
  return std::nullopt;
}

void field(std::string& out, std::string_view name) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
}
void text(std::string& out, std::string_view name, std::string_view value) {
  field(out, name);
  append_json(out, value);
}
void amount(std::string& out, std::string_view name, Wide value, int scale) {
  field(out, name);
  out += '"';
  append_trimmed(out, value, scale);
  out += '"';
}
std::string step_text(int decimals) {
  return decimals == 0 ? "1" : "0." + std::string(static_cast<std::size_t>(decimals - 1), '0') + '1';
}

}  // namespace

RestAnswer kucoin::refused(int status, std::string_view code, std::string_view message) {
  std::string body = R"({"code":")";
  body += code;
  body += R"(","msg":)";
  append_json(body, message);
  return {.status = status, .body = body + '}', .content_type = "application/json"};
}

RestAnswer KucoinRest::answer(const KucoinRequest& request) {
  Client& client = clients_[std::string{request.address}];
  constexpr std::chrono::seconds kWindow{30};
  if (client.weight == 0 || request.real - client.window >= kWindow) client = {.window = request.real};
  const Endpoint* const endpoint = find_endpoint(request.method, request.path);
  client.weight += endpoint == nullptr ? 1 : endpoint->weight;
  RestAnswer answer;
  if (client.weight > limits_.weight)
    answer = kucoin::refused(429, "429000", "Too many requests in a short period of time, please retry later");
  else if (endpoint == nullptr)
    answer = kucoin::refused(404, "404000", "Url Not Found");
  else
    answer = run(endpoint->path, request);
  answer.content_type = "application/json";
  const Nanoseconds left = client.window + kWindow - request.real;
  answer.headers.emplace_back("gw-ratelimit-limit", std::to_string(limits_.weight));
  answer.headers.emplace_back("gw-ratelimit-remaining",
                              std::to_string(std::max<std::int64_t>(0, limits_.weight - client.weight)));
  answer.headers.emplace_back("gw-ratelimit-reset", std::to_string(left.count() / 1'000'000));
  ++counts_[endpoint == nullptr ? std::string{"others"} : std::string{request.path}][answer.status];
  return answer;
}

RestAnswer KucoinRest::run(std::string_view endpoint, const KucoinRequest& request) {
  if (endpoint == "/api/v1/timestamp")
    return {.body = std::string{kOpen} + std::to_string(to_ms(request.now + request.skew)) + '}'};
  if (endpoint == "/api/v1/status") return {.body = std::string{kOpen} + R"({"status":"open","msg":""}})"};
  if (endpoint == "/api/v1/bullet-public") return token_call(request);
  if (endpoint == "/api/v2/symbols") return symbols(request);
  if (endpoint == "/api/v2/symbols/") return one_symbol(request.path.substr(endpoint.size()));
  if (endpoint == "/api/v1/market/orderbook/level1") return level1(request);
  if (endpoint == "/api/v1/market/allTickers") return all_tickers(request);
  if (endpoint == "/api/v1/market/stats") return stats(request);
  if (endpoint == "/api/v1/market/histories") return histories(request);
  return candles(request);
}

// ---- tokens

RestAnswer KucoinRest::token_call(const KucoinRequest& request) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string token;
  Random random{mix(mix(seed_, 0x746f6b), ++issued_)};
  const auto letters = [&](std::size_t count) {
    while (count-- > 0) token += kLetters[random.below(kLetters.size())];
  };
  letters(154);  // of the real one's look: two parts of base64, with what must be encoded in a URL
  token += "==.";
  letters(22);
  token += "==";
  std::erase_if(tokens_, [&](const auto& one) { return one.second + std::chrono::hours{48} < request.real; });
  tokens_[token] = request.real + limits_.token_life;
  const auto ms = [](Nanoseconds span) { return std::to_string(span.count() / 1'000'000); };
  std::string body{kOpen};
  body += '{';
  text(body, "token", token);
  body += R"(,"instanceServers":[{)";
  text(body, "endpoint", request.endpoint);
  body += std::string{R"(,"encrypt":)"} + (request.endpoint.starts_with("wss:") ? "true" : "false");
  body += R"(,"protocol":"websocket","pingInterval":)" + ms(limits_.ping_every) + R"(,"pingTimeout":)" +
          ms(limits_.pong_within) + "}]}}";
  return {.body = std::move(body)};
}

KucoinRest::Token KucoinRest::check(std::string_view token, Timestamp now) const {
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return Token::invalid;
  return now < found->second ? Token::good : Token::expired;
}

// ---- lists

void KucoinRest::append_symbol(std::string& out, const Listing& listing) const {
  out += '{';
  text(out, "symbol", listing.symbol);
  text(out, "name", listing.symbol);
  text(out, "baseCurrency", listing.base);
  text(out, "quoteCurrency", listing.quote);
  text(out, "feeCurrency", listing.quote);
  text(out, "market", listing.quote == "USDT" ? "USDS" : listing.quote);
  text(out, "baseMinSize", step_text(listing.quantity_decimals));
  text(out, "quoteMinSize", "0.1");
  text(out, "baseMaxSize", "10000000000");
  text(out, "quoteMaxSize", "99999999");
  text(out, "baseIncrement", step_text(listing.quantity_decimals));
  text(out, "quoteIncrement", step_text(listing.price_decimals));
  text(out, "priceIncrement", step_text(listing.price_decimals));
  text(out, "priceLimitRate", "0.1");
  text(out, "minFunds", "0.1");
  out += R"(,"isMarginEnabled":false,"enableTrading":true,"feeCategory":1)"
         R"(,"makerFeeCoefficient":"1.00","takerFeeCoefficient":"1.00","st":false,"callauctionIsEnabled":false)"
         R"(,"callauctionPriceFloor":null,"callauctionPriceCeiling":null,"callauctionFirstStageStartTime":null)"
         R"(,"callauctionSecondStageStartTime":null,"callauctionThirdStageStartTime":null,"tradingStartTime":null})";
}

RestAnswer KucoinRest::symbols(const KucoinRequest& request) const {
  const auto market = parameter(request, "market");
  std::string body{kOpen};
  body += '[';
  for (std::uint32_t i = 0; i < market_.size(); ++i) {
    const Listing& listing = market_.listing(i);
    if (market && !market->empty() && *market != listing.quote && !(*market == "USDS" && listing.quote == "USDT"))
      continue;
    if (body.back() == '}') body += ',';
    append_symbol(body, listing);
  }
  return {.body = body + "]}"};
}

RestAnswer KucoinRest::one_symbol(std::string_view symbol) const {
  const auto found = market_.find(symbol);
  if (!found) return kucoin::refused(200, "900001", "symbol not exists");
  std::string body{kOpen};
  append_symbol(body, market_.listing(*found));
  return {.body = body + '}'};
}

RestAnswer KucoinRest::level1(const KucoinRequest& request) const {
  const auto symbol = parameter(request, "symbol");
  if (!symbol || symbol->empty()) return kucoin::refused(400, "400100", "symbol: must not be blank");
  const auto found = market_.find(*symbol);
  if (!found || !market_.level(*found)) return {.body = std::string{kOpen} + "null}"};
  const Level& level = *market_.level(*found);
  std::string body{kOpen};
  body += R"({"time":)";
  append_number(body, to_ms(level.traded));
  text(body, "sequence", level.text->sequence);
  text(body, "price", level.text->price);
  text(body, "size", level.text->size);
  text(body, "bestBid", level.text->bid);
  text(body, "bestBidSize", level.text->bid_size);
  text(body, "bestAsk", level.text->ask);
  text(body, "bestAskSize", level.text->ask_size);
  return {.body = body + "}}"};
}

void KucoinRest::append_stats(std::string& out, std::uint32_t instrument, Time now, bool in_list) const {
  const Listing& listing = market_.listing(instrument);
  const auto& level = market_.level(instrument);
  const auto price = [&](std::string_view name, const std::string LevelText::*member) {
    if (level && !(level->text.get()->*member).empty())
      text(out, name, level->text.get()->*member);
    else
      out += ",\"" + std::string{name} + "\":null";
  };
  text(out, "symbol", listing.symbol);
  if (in_list) text(out, "symbolName", listing.symbol);
  price("buy", &LevelText::bid);
  if (in_list) price("bestBidSize", &LevelText::bid_size);
  price("sell", &LevelText::ask);
  if (in_list) price("bestAskSize", &LevelText::ask_size);
  const auto [day, before] = market_.day(instrument, now);
  const bool traded = day.trades != 0;
  const Units from = before != 0 ? before : day.open;
  const auto known = [&](std::string_view name, Wide value, int scale) {
    if (traded)
      amount(out, name, value, scale);
    else
      out += ",\"" + std::string{name} + "\":null";
  };
  known("changeRate", from == 0 ? 0 : Wide{day.close - from} * 10'000 / from, 4);
  known("changePrice", Wide{day.close - from}, kFineDecimals);
  known("high", day.high, kFineDecimals);
  known("low", day.low, kFineDecimals);
  known("vol", day.volume, kDecimals);
  known("volValue", day.quote, kFineDecimals + kDecimals);
  known("last", day.close, kFineDecimals);
  known("averagePrice", day.volume == 0 ? 0 : day.quote / day.volume, kFineDecimals);
  out += R"(,"takerFeeRate":"0.001","makerFeeRate":"0.001","takerCoefficient":"1","makerCoefficient":"1"})";
}

RestAnswer KucoinRest::all_tickers(const KucoinRequest& request) const {
  std::string body{kOpen};
  body += R"({"time":)";
  append_number(body, to_ms(request.now + request.skew));
  body += R"(,"ticker":[)";
  for (std::uint32_t i = 0; i < market_.size(); ++i) {
    body += i == 0 ? "{" : ",{";
    append_stats(body, i, request.now, true);
  }
  return {.body = body + "]}}"};
}

RestAnswer KucoinRest::stats(const KucoinRequest& request) const {
  const auto symbol = parameter(request, "symbol");
  if (!symbol || symbol->empty()) return kucoin::refused(400, "400100", "symbol: must not be blank");
  const auto found = market_.find(*symbol);
  if (!found) return kucoin::refused(200, "900001", "symbol not exists");
  std::string body{kOpen};
  body += R"({"time":)";
  append_number(body, to_ms(request.now + request.skew));
  append_stats(body, *found, request.now, false);
  return {.body = body + '}'};
}

// ---- trades and candles

RestAnswer KucoinRest::histories(const KucoinRequest& request) {
  const auto symbol = parameter(request, "symbol");
  if (!symbol || symbol->empty()) return kucoin::refused(400, "400100", "symbol: must not be blank");
  const auto found = market_.find(*symbol);
  if (!found) return kucoin::refused(200, "900001", "symbol not exists");
  std::string body{kOpen};
  body += '[';
  for (const Deal& deal : market_.deals(*found)) {
    if (request.database_lag > Duration{} && deal.told > request.now - request.database_lag) continue;
    if (body.back() == '}') body += ',';
    std::string sequence;
    append_number(sequence, deal.id);
    body += '{';
    text(body, "sequence", sequence);
    text(body, "price", deal.text->price);
    text(body, "size", deal.text->quantity);
    text(body, "side", deal.buyer_is_maker ? "sell" : "buy");
    field(body, "time");
    append_number(body, to_us(deal.traded) * 1000 + deal.traded_ns);
    body += '}';
    given_[*found].trades.add(deal.id);
  }
  return {.body = body + "]}"};
}

RestAnswer KucoinRest::candles(const KucoinRequest& request) const {
  const auto symbol = parameter(request, "symbol"), type = parameter(request, "type");
  if (!symbol || symbol->empty()) return kucoin::refused(400, "400100", "symbol: must not be blank");
  const BarInterval* const interval = type ? kucoin::find_candle_type(*type) : nullptr;
  if (interval == nullptr) return kucoin::refused(400, "400100", "Incorrect candlestick type.");
  const auto found = market_.find(*symbol);
  if (!found) return kucoin::refused(200, "900001", "symbol not exists");
  std::array<std::int64_t, 2> bounds{0, 0};
  for (const auto& [name, at] : {std::pair{"startAt", 0u}, std::pair{"endAt", 1u}})
    if (const auto given = parameter(request, name)) {
      const auto number = digits::natural(*given);
      if (!number || *number > 9'000'000'000) return kucoin::refused(400, "400100", std::string{name} + " is invalid");
      bounds[at] = *number;
    }
  const Time now = request.now - request.database_lag;
  const Time from{std::chrono::seconds{bounds[0]}};
  const Time to = bounds[1] == 0 ? request.now + std::chrono::seconds{1} : Time{std::chrono::seconds{bounds[1]}};
  auto bars = market_.bars(*found, *interval, from, to, now, 1'000'000, true);
  std::erase_if(bars, [](const Bar& bar) { return bar.trades == 0; });
  std::string body{kOpen};
  body += '[';
  std::size_t rows = 0;
  for (auto bar = bars.rbegin(); bar != bars.rend() && rows < kMostCandles; ++bar, ++rows) {
    if (rows != 0) body += ',';
    kucoin::append_candle(body, *bar);
  }
  return {.body = body + "]}"};
}

}  // namespace truetape::sim
