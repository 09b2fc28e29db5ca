// What REST tells of symbols: exchangeInfo and tickers.
#include <algorithm>

#include "sim/rest_call.h"
#include "sim/rest_fields.h"

namespace truetape::sim {

using namespace rest;

std::vector<std::uint32_t> RestCall::wanted(std::optional<Answer>& refused, bool& single) const {
  std::vector<std::uint32_t> result;
  const auto add = [&](std::string_view symbol) {
    const auto found = market_.find(symbol);
    if (!found)
      refused = refuse(-1121, "Invalid symbol.");
    else if (std::ranges::find(result, *found) != result.end())
      refused = refuse(-1151, "Symbol is present multiple times in the list.");
    else
      result.push_back(*found);
  };
  const auto symbol = parameter("symbol"), symbols = parameter("symbols");
  single = symbol.has_value();
  if (symbol && symbols) {
    refused = refuse(-1128, "Combination of optional parameters invalid.");
  } else if (symbol) {
    add(*symbol);
  } else if (symbols) {  // ["BTCUSDT","BNBUSDT"]
    std::string_view list = *symbols;
    if (!list.starts_with('[') || !list.ends_with(']')) {
      refused = refuse(-1100,
                       "Illegal characters found in parameter 'symbols'; legal range is "
                       "'^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$'.");
      return result;
    }
    for (list = list.substr(1, list.size() - 2); !list.empty() && !refused;) {
      const std::size_t comma = std::min(list.find(','), list.size());
      std::string_view one = list.substr(0, comma);
      if (one.size() >= 2 && one.front() == '"' && one.back() == '"') one = one.substr(1, one.size() - 2);
      add(one);
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  } else {
    for (std::uint32_t i = 0; i < market_.size(); ++i) result.push_back(i);
  }
  return result;
}

void RestCall::append_symbol(std::string& out, std::uint32_t instrument) const {
  const Listing& listing = market_.listing(instrument);
  const auto decimal = [&](std::string_view name, Units value) {
    field_units(out, name, value, needed_decimals(value));
  };
  const auto written = [&](std::string_view name, Units value) {
    if (spot_)
      field_units(out, name, value, kDecimals);
    else
      decimal(name, value);
  };
  out += '{';
  field_text(out, "symbol", listing.symbol);
  if (!spot_) {
    field_text(out, "pair", listing.symbol);
    field_text(out, "contractType", "PERPETUAL");
    field_number(out, "deliveryDate", 4133404800000);
    field_number(out, "onboardDate", 1569398400000);
  }
  field_text(out, "status", "TRADING");
  field_text(out, "baseAsset", listing.base);
  if (spot_) field_number(out, "baseAssetPrecision", 8);
  field_text(out, "quoteAsset", listing.quote);
  if (spot_) {
    out +=
        ",\"quotePrecision\":8,\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,\"quoteCommissionPrecision\":8,"
        "\"orderTypes\":[\"LIMIT\",\"LIMIT_MAKER\",\"MARKET\"],\"icebergAllowed\":true,\"ocoAllowed\":true,"
        "\"otoAllowed\":true,\"opoAllowed\":true,\"quoteOrderQtyMarketAllowed\":true,\"allowTrailingStop\":true,"
        "\"cancelReplaceAllowed\":true,\"amendAllowed\":true,\"pegInstructionsAllowed\":true,"
        "\"isSpotTradingAllowed\":true,\"isMarginTradingAllowed\":false,\"filters\":[";
  } else {
    field_text(out, "marginAsset", listing.quote);
    field_number(out, "pricePrecision", static_cast<std::uint64_t>(listing.price_decimals));
    field_number(out, "quantityPrecision", static_cast<std::uint64_t>(listing.quantity_decimals));
    out +=
        ",\"baseAssetPrecision\":8,\"quotePrecision\":8,\"underlyingType\":\"COIN\",\"underlyingSubType\":[],"
        "\"settlePlan\":0,\"triggerProtect\":\"0.0500\",\"liquidationFee\":\"0.012500\",\"marketTakeBound\":"
        "\"0.05\",\"maxMoveOrderLimit\":10000,\"orderTypes\":[\"LIMIT\",\"MARKET\"],\"timeInForce\":[\"GTC\"],"
        "\"filters\":[";
  }
  out += "{\"filterType\":\"PRICE_FILTER\"";
  written("minPrice", listing.tick);
  written("maxPrice", 1'000'000 * kOne);
  written("tickSize", listing.tick);
  out += "},{\"filterType\":\"LOT_SIZE\"";
  written("minQty", listing.step);
  written("maxQty", 9'000'000 * kOne);
  written("stepSize", listing.step);
  out += "},{\"filterType\":\"MARKET_LOT_SIZE\"";
  written("minQty", listing.step);
  written("maxQty", 100'000 * kOne);
  written("stepSize", listing.step);
  if (spot_)
    out +=
        "},{\"filterType\":\"NOTIONAL\",\"minNotional\":\"5.00000000\",\"applyMinToMarket\":true,\"maxNotional\":"
        "\"9000000.00000000\",\"applyMaxToMarket\":false,\"avgPriceMins\":5}],\"permissions\":[],"
        "\"permissionSets\":[[\"SPOT\"]],\"defaultSelfTradePreventionMode\":\"EXPIRE_MAKER\","
        "\"allowedSelfTradePreventionModes\":[\"EXPIRE_TAKER\",\"EXPIRE_MAKER\",\"EXPIRE_BOTH\"]}";
  else
    out += "},{\"filterType\":\"MIN_NOTIONAL\",\"notional\":\"5\"}]}";
}

RestAnswer RestCall::exchange_info() {
  std::optional<Answer> refused;
  bool single = false;
  std::vector<std::uint32_t> all;
  if (spot_) {
    all = wanted(refused, single);
    if (refused) return *refused;
    if (const auto status = parameter("symbolStatus")) {
      if (parameter("symbol") || parameter("symbols"))
        return refuse(-1128, "Combination of optional parameters invalid.");
      if (*status != "TRADING" && *status != "HALT" && *status != "BREAK")
        return refuse(-1122, "Invalid symbolStatus.");
      if (*status != "TRADING") all.clear();
    }
  } else {
    for (std::uint32_t i = 0; i < market_.size(); ++i) all.push_back(i);
  }
  std::string out = "{\"timezone\":\"UTC\",\"serverTime\":";
  append_time(out, request_.now + request_.skew);
  out += ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":";
  append_number(out, limits_.weight);
  if (spot_) {
    out +=
        "},{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":100},"
        "{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":";
    append_number(out, limits_.requests);
    out += "}],\"exchangeFilters\":[],\"symbols\":[";
  } else {
    out +=
        "},{\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":1200}],"
        "\"exchangeFilters\":[],\"assets\":[],\"symbols\":[";
  }
  for (const std::uint32_t instrument : all) {
    if (out.back() == '}') out += ',';
    append_symbol(out, instrument);
  }
  return {.body = out + "]}"};
}

RestAnswer RestCall::average_price() {
  if (auto refused = need_instrument()) return *refused;
  const auto bars = market_.bars(instrument_, *find_interval("1m"), request_.now - std::chrono::minutes{5},
                                 request_.now, request_.now, 5, false);
  Bar all;
  for (const Bar& bar : bars) all.add(bar);
  const auto& last = market_.last(instrument_);
  std::string out = "{\"mins\":5";
  field(out, "price");
  out += '"';
  if (all.trades == 0)
    append_units(out, last ? last->price : 0, kDecimals);
  else
    append_quotient(out, all.quote, all.volume * kOne, kDecimals);
  out += "\",\"closeTime\":";
  append_time(out, last ? last->traded : request_.now);
  return {.body = out + "}"};
}

namespace {

// One object where one symbol was asked for, else a list.
template <class Append>
RestAnswer list(const std::vector<std::uint32_t>& instruments, bool single, const Append& append) {
  std::string out = single ? "" : "[";
  for (const std::uint32_t instrument : instruments) {
    if (!out.empty() && out.back() == '}') out += ',';
    append(out, instrument);
  }
  return {.body = single ? out : out + "]"};
}

}  // namespace

RestAnswer RestCall::day_ticker() {
  std::optional<Answer> refused;
  bool single = false;
  const auto instruments = wanted(refused, single);
  if (refused) return *refused;
  const bool mini = parameter("type") == "MINI";
  return list(instruments, single, [&](std::string& out, std::uint32_t instrument) {
    const Listing& listing = market_.listing(instrument);
    const auto [day, before] = market_.day(instrument, request_.now);
    const int price = listing.price_decimals, quantity = listing.quantity_decimals;
    const int turnover = quote_decimals(market_.product(), listing);
    out += '{';
    field_text(out, "symbol", listing.symbol);
    if (!mini) {
      field_units(out, "priceChange", day.close - day.open, price);
      field(out, "priceChangePercent");
      out += '"';
      append_quotient(out, static_cast<Wide>(day.close - day.open) * 100, day.open, 3);
      out += "\",\"weightedAvgPrice\":\"";
      append_quotient(out, day.quote, day.volume * kOne, price);
      out += '"';
      if (spot_) field_units(out, "prevClosePrice", before, price);
    }
    field_units(out, "lastPrice", day.close, price);
    if (!mini) {
      const auto& last = market_.last(instrument);
      field_units(out, "lastQty", last ? last->quantity : 0, quantity);
      if (spot_) {
        const Quote quote = market_.quote(instrument).value_or(Quote{});
        field_units(out, "bidPrice", quote.bid, price);
        field_units(out, "bidQty", quote.bid_quantity, quantity);
        field_units(out, "askPrice", quote.ask, price);
        field_units(out, "askQty", quote.ask_quantity, quantity);
      }
    }
    field_units(out, "openPrice", day.open, price);
    field_units(out, "highPrice", day.high, price);
    field_units(out, "lowPrice", day.low, price);
    field_wide(out, "volume", day.volume, kDecimals, quantity);
    field_wide(out, "quoteVolume", day.quote, 2 * kDecimals, turnover);
    field(out, "openTime");
    append_time(out, day.start);
    field(out, "closeTime");
    append_time(out, request_.now);
    field_number(out, "firstId", day.first_id);
    field_number(out, "lastId", day.last_id);
    field_number(out, "count", day.trades);
    out += '}';
  });
}

RestAnswer RestCall::price_ticker() {
  std::optional<Answer> refused;
  bool single = false;
  const auto instruments = wanted(refused, single);
  if (refused) return *refused;
  return list(instruments, single, [&](std::string& out, std::uint32_t instrument) {
    const Listing& listing = market_.listing(instrument);
    const auto& last = market_.last(instrument);
    out += '{';
    field_text(out, "symbol", listing.symbol);
    field_units(out, "price", last ? last->price : 0, listing.price_decimals);
    if (!spot_) {
      field(out, "time");
      append_time(out, last ? last->traded : request_.now);
    }
    out += '}';
  });
}

RestAnswer RestCall::book_ticker() {
  std::optional<Answer> refused;
  bool single = false;
  const auto instruments = wanted(refused, single);
  if (refused) return *refused;
  return list(instruments, single, [&](std::string& out, std::uint32_t instrument) {
    const Listing& listing = market_.listing(instrument);
    const Quote quote = market_.quote(instrument).value_or(Quote{});
    out += '{';
    field_text(out, "symbol", listing.symbol);
    field_units(out, "bidPrice", quote.bid, listing.price_decimals);
    field_units(out, "bidQty", quote.bid_quantity, listing.quantity_decimals);
    field_units(out, "askPrice", quote.ask, listing.price_decimals);
    field_units(out, "askQty", quote.ask_quantity, listing.quantity_decimals);
    if (!spot_) {
      field(out, "time");
      append_time(out, quote.traded);
    }
    out += '}';
  });
}

}  // namespace truetape::sim
