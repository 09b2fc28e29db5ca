#include "sim/rest_call.h"

#include <algorithm>
#include <array>

#include "core/digits.h"
#include "sim/rest_fields.h"

namespace truetape::sim {

using namespace rest;

struct RestCall::Endpoint {
  std::string_view name;        // below /api/v3/ or /fapi/v1/
  std::int64_t spot, usdm;      // weight; 0: not there; -1: depends
  std::string_view parameters;  // all that it knows, each with a blank behind
  Answer (RestCall::*run)();
};

namespace {

constexpr std::string_view kSpot = "/api/v3/", kUsdm = "/fapi/v1/";

RestAnswer mandatory(std::string_view name) {
  return refuse(-1102, "Mandatory parameter '" + std::string{name} + "' was not sent, was empty/null, or malformed.");
}

}  // namespace

RestCall::RestCall(const Market& market, const Limits& limits, const RestRequest& request,
                   std::vector<RestGiven>& given)
    : market_{market}, limits_{limits}, request_{request}, given_{given}, spot_{market.product() == Product::spot} {
  static constexpr std::array kEndpoints{
      Endpoint{"ping", 1, 1, "", &RestCall::ping},
      Endpoint{"time", 1, 1, "", &RestCall::time},
      Endpoint{"exchangeInfo", 20, 1, "symbol symbols permissions showPermissionSets symbolStatus ",
               &RestCall::exchange_info},
      Endpoint{"trades", 25, 5, "symbol limit ", &RestCall::trades},
      Endpoint{"historicalTrades", 25, 200, "symbol limit fromId ", &RestCall::historical_trades},
      Endpoint{"aggTrades", 4, 20, "symbol fromId startTime endTime limit ", &RestCall::aggregate_trades},
      Endpoint{"klines", 2, -1, "symbol interval startTime endTime timeZone limit ", &RestCall::klines},
      Endpoint{"uiKlines", 2, 0, "symbol interval startTime endTime timeZone limit ", &RestCall::klines},
      Endpoint{"avgPrice", 2, 0, "symbol ", &RestCall::average_price},
      Endpoint{"ticker/24hr", -1, -1, "symbol symbols type symbolStatus ", &RestCall::day_ticker},
      Endpoint{"ticker/price", -1, -1, "symbol symbols symbolStatus ", &RestCall::price_ticker},
      Endpoint{"ticker/bookTicker", -1, -1, "symbol symbols symbolStatus ", &RestCall::book_ticker}};
  std::string_view path = request.path;
  if (!path.starts_with(spot_ ? kSpot : kUsdm) || request.method != "GET") return;
  path.remove_prefix(spot_ ? kSpot.size() : kUsdm.size());
  if (path == "historicalTrades" && !limits.history) return;
  for (const Endpoint& endpoint : kEndpoints)
    if (endpoint.name == path && (spot_ ? endpoint.spot : endpoint.usdm) != 0) endpoint_ = &endpoint;
}

std::int64_t RestCall::weight() const {
  const std::int64_t fixed = spot_ ? endpoint_->spot : endpoint_->usdm;
  if (fixed > 0) return fixed;
  if (endpoint_->name == "klines") {
    const auto limit = parameter("limit");
    const std::int64_t rows = limit ? digits::natural(*limit).value_or(500) : 500;
    return rows < 100 ? 1 : rows < 500 ? 2 : rows <= 1000 ? 5 : 10;
  }
  const bool one = parameter("symbol").has_value();
  if (endpoint_->name == "ticker/24hr") {
    if (!spot_) return one ? 1 : 40;
    const auto symbols = parameter("symbols");
    const auto several = symbols ? std::ranges::count(*symbols, ',') + 1 : one ? 1 : 1000;
    return several <= 20 ? 2 : several <= 100 ? 40 : 80;
  }
  if (!spot_) return endpoint_->name == "ticker/price" ? (one ? 1 : 2) : one ? 2 : 5;
  return one ? 2 : 4;
}

RestAnswer RestCall::run() {
  if (auto refused = check_parameters()) return *refused;
  return (this->*endpoint_->run)();
}

std::optional<std::string_view> RestCall::parameter(std::string_view name) const {
  for (const auto& [key, value] : request_.query)
    if (key == name) return value;
  return std::nullopt;
}

std::optional<RestAnswer> RestCall::check_parameters() {
  std::size_t read = 0;
  for (std::size_t i = 0; i < request_.query.size(); ++i) {
    const auto& [key, value] = request_.query[i];
    for (std::size_t j = 0; j < i; ++j)
      if (request_.query[j].first == key) return refuse(-1101, "Duplicate values for parameter '" + key + "'.");
    if (endpoint_->parameters.find(key + ' ') == std::string_view::npos) continue;
    ++read;
    if (value.empty()) return refuse(-1105, "Parameter '" + key + "' was empty.");
  }
  if (read != request_.query.size())
    return refuse(-1104, "Not all sent parameters were read; read '" + std::to_string(read) +
                             "' parameter(s) but was sent '" + std::to_string(request_.query.size()) + "'.");
  return std::nullopt;
}

std::optional<RestAnswer> RestCall::need_instrument() {
  const auto symbol = parameter("symbol");
  if (!symbol) return mandatory("symbol");
  if (std::ranges::any_of(*symbol, [](char c) {
        return !(static_cast<unsigned char>(c) >= 0x80 || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.');
      }))
    return refuse(-1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.");
  const auto found = market_.find(*symbol);
  if (!found) return refuse(-1121, "Invalid symbol.");
  instrument_ = *found;
  return std::nullopt;
}

std::optional<RestAnswer> RestCall::read_whole(std::string_view name, std::optional<std::int64_t>& into) const {
  const auto text = parameter(name);
  if (!text) return std::nullopt;
  into = digits::natural(*text);
  if (!into)
    return refuse(-1100,
                  "Illegal characters found in parameter '" + std::string{name} + "'; legal range is '^[0-9]{1,20}$'.");
  return std::nullopt;
}

std::optional<RestAnswer> RestCall::read_limit(std::int64_t preset, std::int64_t most) {
  std::optional<std::int64_t> limit;
  if (auto refused = read_whole("limit", limit)) return refused;
  limit_ = limit.value_or(preset);
  // Spot takes what is too much for the most it gives; USD-M refuses it.
  if (limit_ < 1 || (!spot_ && limit_ > most)) return refuse(-1130, "Data sent for parameter 'limit' is not valid.");
  limit_ = std::min(limit_, most);
  return std::nullopt;
}

std::optional<RestAnswer> RestCall::read_times() {
  const auto read = [&](std::string_view name, std::optional<Time>& into) -> std::optional<RestAnswer> {
    std::optional<std::int64_t> number;
    if (auto refused = read_whole(name, number)) return refused;
    if (number) into = spot_ && *number >= 100'000'000'000'000 ? Time{Duration{*number}} : from_ms(*number);
    return std::nullopt;
  };
  if (auto refused = read("startTime", start_)) return refused;
  if (auto refused = read("endTime", end_)) return refused;
  if (start_ && end_ && *start_ > *end_)
    return refuse(spot_ ? -1128 : -1023,
                  spot_ ? "Combination of optional parameters invalid." : "Start time is greater than end time.");
  return std::nullopt;
}

void RestCall::append_time(std::string& out, Time t) const {
  append_number(out, spot_ && request_.microseconds ? to_us(t) : to_ms(t));
}

RestAnswer RestCall::ping() { return {.body = "{}"}; }

RestAnswer RestCall::time() {
  std::string out = "{\"serverTime\":";
  append_time(out, request_.now + request_.skew);
  return {.body = out + "}"};
}

// ---- trades

std::size_t RestCall::visible_prints(Duration lag) const {
  const auto& all = market_.prints(instrument_);
  std::size_t end = all.size();
  while (end > 0 && all[end - 1].told > request_.now - lag) --end;
  return end;
}
std::size_t RestCall::visible_aggregates(Duration lag) const {
  const auto& all = market_.aggregates(instrument_);
  std::size_t end = all.size();
  while (end > 0 && all[end - 1].told > request_.now - lag) --end;
  return end;
}

// Of the trades [from, to) those that count, `limit_` of them at most, the first.
RestAnswer RestCall::list_prints(std::size_t from, std::size_t to) {
  const Listing& listing = market_.listing(instrument_);
  const auto& all = market_.prints(instrument_);
  const int turnover = quote_decimals(market_.product(), listing);
  std::string out = "[";
  std::int64_t rows = 0;
  for (std::size_t i = from; i < to && rows < limit_; ++i) {
    const Print& print = all[i];
    if (!counts(print.kind)) continue;
    if (rows++ != 0) out += ',';
    out += '{';
    field_number(out, "id", print.id);
    field_units(out, "price", print.price, listing.price_decimals);
    field_units(out, "qty", print.quantity, listing.quantity_decimals);
    field_wide(out, "quoteQty", static_cast<Wide>(print.price) * print.quantity, 2 * kDecimals, turnover);
    field(out, "time");
    append_time(out, print.traded);
    field_flag(out, "isBuyerMaker", print.buyer_is_maker);
    if (spot_)
      field_flag(out, "isBestMatch", true);
    else
      field_flag(out, "isRPITrade", print.kind == Kind::rpi);
    out += '}';
    given_[instrument_].trades.add(print.id);
  }
  return {.body = out + "]"};
}

RestAnswer RestCall::trades() {
  if (auto refused = need_instrument()) return *refused;
  if (auto refused = read_limit(500, 1000)) return *refused;
  const auto& all = market_.prints(instrument_);
  const std::size_t to = visible_prints({});
  std::size_t from = to;
  for (std::int64_t rows = 0; from > 0 && rows < limit_; --from)
    if (counts(all[from - 1].kind)) ++rows;
  return list_prints(from, to);
}

RestAnswer RestCall::historical_trades() {
  if (limits_.key_needed && !request_.has_key) return refuse(-2014, "API-key format invalid.", 401);
  if (auto refused = need_instrument()) return *refused;
  if (auto refused = spot_ ? read_limit(500, 1000) : read_limit(100, 500)) return *refused;
  std::optional<std::int64_t> from_id;
  if (auto refused = read_whole("fromId", from_id)) return *refused;
  const auto& all = market_.prints(instrument_);
  const std::size_t to = visible_prints(request_.database_lag);
  if (from_id) {
    const auto found = std::ranges::lower_bound(all, static_cast<std::uint64_t>(*from_id), {}, &Print::id);
    return list_prints(static_cast<std::size_t>(found - all.begin()), to);
  }
  std::size_t from = to;
  for (std::int64_t rows = 0; from > 0 && rows < limit_; --from)
    if (counts(all[from - 1].kind)) ++rows;
  return list_prints(from, to);
}

RestAnswer RestCall::aggregate_trades() {
  if (auto refused = need_instrument()) return *refused;
  if (auto refused = read_limit(500, 1000)) return *refused;
  if (auto refused = read_times()) return *refused;
  std::optional<std::int64_t> from_id;
  if (auto refused = read_whole("fromId", from_id)) return *refused;
  if (from_id && (start_ || end_)) return refuse(-1128, "Combination of optional parameters invalid.");
  if (!spot_ && start_ && end_ && *end_ - *start_ >= std::chrono::hours{1})
    return refuse(-1127, "More than 1 hours between startTime and endTime.");
  const auto& all = market_.aggregates(instrument_);
  const std::size_t visible = visible_aggregates(request_.database_lag);
  std::size_t reach = 0;  // the oldest that is given at all
  if (limits_.aggregate_reach > Nanoseconds{}) {
    const Time oldest = request_.now - std::chrono::floor<Duration>(limits_.aggregate_reach);
    reach = static_cast<std::size_t>(
        std::ranges::partition_point(all, [&](const Aggregate& a) { return a.traded < oldest; }) - all.begin());
  }
  std::size_t from = 0, to = visible;
  const auto latest = [&] { from = to - std::min(to, static_cast<std::size_t>(limit_)); };
  if (from_id) {
    const auto id = static_cast<std::uint64_t>(*from_id);
    from = static_cast<std::size_t>(std::ranges::lower_bound(all, id, {}, &Aggregate::id) - all.begin());
  } else {
    if (end_)
      to = std::min(to, static_cast<std::size_t>(
                            std::ranges::partition_point(all, [&](const Aggregate& a) { return a.traded <= *end_; }) -
                            all.begin()));
    if (start_)
      from = static_cast<std::size_t>(
          std::ranges::partition_point(all, [&](const Aggregate& a) { return a.traded < *start_; }) - all.begin());
    else
      latest();
  }
  if (from < reach) {
    if (start_ && limits_.reach_is_error) return refuse(-1130, "Data sent for parameter 'startTime' is not valid.");
    if (from_id || limits_.reach_is_error) {
      from = reach;  // an id before the reach begins at its edge
    } else {
      to = visible;
      latest();
    }
    from = std::max(from, reach);
  }
  const Listing& listing = market_.listing(instrument_);
  std::string out = "[";
  for (std::size_t i = from, rows = 0; i < to && rows < static_cast<std::size_t>(limit_); ++i, ++rows) {
    const Aggregate& a = all[i];
    if (rows != 0) out += ',';
    out += '{';
    field_number(out, "a", a.id);
    field_units(out, "p", a.price, listing.price_decimals);
    field_units(out, "q", a.quantity, listing.quantity_decimals);
    if (!spot_) field_units(out, "nq", a.normal, listing.quantity_decimals);
    field_number(out, "f", a.first);
    field_number(out, "l", a.last);
    field(out, "T");
    append_time(out, a.traded);
    field_flag(out, "m", a.buyer_is_maker);
    if (spot_) field_flag(out, "M", true);
    out += '}';
    given_[instrument_].aggregates.add(a.id);
  }
  return {.body = out + "]"};
}

// ---- candles and tickers

namespace {

// "0", "8", "-1:00", "05:45"; nullopt where it is none from -12:00 to +14:00.
std::optional<Duration> parse_zone(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::size_t colon = std::min(text.find(':'), text.size());
  const auto hours = digits::natural(text.substr(0, colon));
  const auto minutes = colon == text.size() ? std::optional<std::int64_t>{0} : digits::natural(text.substr(colon + 1));
  if (!hours || !minutes || *minutes > 59 || *hours > 14) return std::nullopt;
  const std::int64_t all = *hours * 60 + *minutes;
  if (all > (negative ? 12 : 14) * 60) return std::nullopt;
  return std::chrono::minutes{negative ? -all : all};
}

}  // namespace

RestAnswer RestCall::klines() {
  if (auto refused = need_instrument()) return *refused;
  const auto name = parameter("interval");
  if (!name) return mandatory("interval");
  const BarInterval* interval = find_interval(*name);
  if (interval == nullptr) return refuse(-1120, "Invalid interval.");
  if (auto refused = read_limit(500, spot_ ? 1000 : 1500)) return *refused;
  if (auto refused = read_times()) return *refused;
  Duration zone{};
  if (const auto text = parameter("timeZone")) {
    const auto parsed = parse_zone(*text);
    if (!parsed || !spot_) return refuse(-1130, "Data sent for parameter 'timeZone' is not valid.");
    zone = *parsed;
  }
  const Time to = end_ ? *end_ + Duration{1} : Time::max() - std::chrono::days{400};
  const auto bars = market_.bars(instrument_, *interval, start_.value_or(Time{}), to,
                                 request_.now - request_.database_lag, static_cast<std::size_t>(limit_), !start_, zone);
  const Listing& listing = market_.listing(instrument_);
  const int turnover = quote_decimals(market_.product(), listing);
  std::string out = "[";
  const auto text = [&](auto append) {
    out += ",\"";
    append();
    out += '"';
  };
  for (const Bar& bar : bars) {
    out += out.size() == 1 ? "[" : ",[";
    append_time(out, bar.start);
    for (const Units price : {bar.open, bar.high, bar.low, bar.close})
      text([&] { append_units(out, price, listing.price_decimals); });
    text([&] { append_wide(out, bar.volume, kDecimals, listing.quantity_decimals); });
    out += ',';
    const Duration tick = spot_ && request_.microseconds ? Duration{1} : Duration{1000};
    append_time(out, next_bar(bar.start, *interval, zone) - tick);
    text([&] { append_wide(out, bar.quote, 2 * kDecimals, turnover); });
    out += ',';
    append_number(out, bar.trades);
    text([&] { append_wide(out, bar.taker_volume, kDecimals, listing.quantity_decimals); });
    text([&] { append_wide(out, bar.taker_quote, 2 * kDecimals, turnover); });
    out += ",\"0\"]";
  }
  return {.body = out + "]"};
}

}  // namespace truetape::sim
