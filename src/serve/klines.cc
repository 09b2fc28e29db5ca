#include "serve/klines.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "codec/cells.h"
#include "serve/pages.h"
#include "serve/request.h"

namespace truetape {
namespace {

using net::awaitable;
using net::ServerAnswer;

constexpr std::uint64_t kMostKlines = 1000, kUsualKlines = 500;  // Binance's own
constexpr std::size_t kDecimals = 8;                             // at least so many, as Binance writes them

// "61837.64" as "61837.64000000".
void append_padded(const std::string& text, std::string& out) {
  const std::size_t point = text.find('.');
  out += '"';
  out += text;
  if (point == std::string::npos) out += '.';
  const std::size_t decimals = point == std::string::npos ? 0 : text.size() - point - 1;
  if (decimals < kDecimals) out.append(kDecimals - decimals, '0');
  out += '"';
}
template <class Exact>
void append_number_text(const std::optional<Exact>& value, std::string& out) {
  append_padded(value ? to_text(*value) : "0", out);
}

std::int64_t ms(Timestamp t) { return std::chrono::floor<std::chrono::milliseconds>(t).time_since_epoch().count(); }

// A kline says nothing about how far to trust it, so only those stand here that can be trusted: complete, quiet, or
// open with nothing known to be missing.
bool presentable(const Candle& c) {
  const bool whole = c.completeness == Completeness::complete || c.completeness == Completeness::quiet;
  const bool open = c.status == CandleStatus::open && c.completeness == Completeness::none;
  return (whole || open) && c.open && c.high && c.low && c.close && c.volume;
}

void append_kline(const Candle& c, std::string& out) {
  out += '[';
  append_number(ms(c.start), out);
  for (const auto* price : {&c.open, &c.high, &c.low, &c.close}) {
    out += ',';
    append_number_text(*price, out);
  }
  out += ',';
  append_number_text(c.volume, out);
  out += ',';
  append_number(ms(c.end()) - 1, out);
  out += ',';
  append_number_text(c.quote_volume, out);
  out += ',';
  append_number(c.trades.value_or(0), out);
  out += ',';
  append_number_text(c.taker_buy_volume, out);
  out += ',';
  append_number_text(c.taker_buy_quote_volume, out);
  out += ",\"0\"]";
}

ServerAnswer json_answer(std::string body) {
  ServerAnswer answer = net::text_answer(200, "application/json;charset=UTF-8", std::move(body));
  answer.headers.add("Cache-Control", "no-store");
  return answer;
}
ServerAnswer missing(std::string_view parameter) {
  return binance_error(
      400, -1102, "Mandatory parameter '" + std::string{parameter} + "' was not sent, was empty/null, or malformed.");
}
ServerAnswer illegal(std::string_view parameter, std::string_view range) {
  return binance_error(400, -1100,
                       "Illegal characters found in parameter '" + std::string{parameter} + "'; legal range is '" +
                           std::string{range} + "'.");
}

ServerAnswer busy(const Error& error) {
  ServerAnswer answer = binance_error(503, -1001, error.detail);
  answer.headers.add("Retry-After", "1");
  return answer;
}

// A symbol of `binance`, or any instrument in full.
InstrumentMemory* find_symbol(Context& context, std::string_view symbol) {
  const auto instrument =
      symbol.find(':') == std::string_view::npos ? Instrument::of("binance", symbol) : Instrument::parse(symbol);
  return instrument ? context.recent.find(*instrument) : nullptr;
}

std::optional<std::int64_t> parse_ms(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

awaitable<ServerAnswer> klines(Context& context, net::RequestPtr request) {
  const net::Target& where = request->where;
  std::optional<Timestamp> from, to;
  std::uint64_t limit = kUsualKlines;
  for (const auto& [name, value] : where.query) {
    if (std::ranges::count(where.query, name, [](const auto& entry) { return entry.first; }) > 1)
      co_return binance_error(400, -1101, "Duplicate values for a parameter detected.");
    if (name == "startTime" || name == "endTime") {
      const auto time = parse_ms(value);
      const auto at = time ? from_epoch(*time, TimeUnit::ms) : std::nullopt;
      if (!at) co_return illegal(name, "^[0-9]{1,20}$");
      if (name == "startTime")
        from = *at;
      else
        to = *at + std::chrono::milliseconds{1};  // inclusive there
    } else if (name == "limit") {
      const auto count = parse_count(value);
      if (!count) co_return illegal(name, "^[0-9]{1,20}$");
      if (*count == 0) co_return binance_error(400, -1130, "Data sent for parameter 'limit' is not valid.");
      limit = std::min(*count, kMostKlines);  // as Binance does
    } else if (name == "timeZone") {
      if (value != "0" && value != "0:00" && value != "00:00" && value != "+0:00" && value != "+00:00")
        co_return binance_error(400, -1130,
                                "Data sent for parameter 'timeZone' is not valid: windows here are of UTC.");
    } else if (name != "symbol" && name != "interval" && name != "token") {
      co_return binance_error(400, -1104, "Not all sent parameters were read; unknown: '" + name.substr(0, 40) + "'.");
    }
  }
  const auto symbol = where.find("symbol");
  if (!symbol || symbol->empty()) co_return missing("symbol");
  const auto word = where.find("interval");
  if (!word || word->empty()) co_return missing("interval");
  const auto interval = parse_interval(*word);
  const auto place = interval ? context.recent.place(*interval) : std::nullopt;
  if (!place) co_return binance_error(400, -1120, "Invalid interval.");
  InstrumentMemory* const of = find_symbol(context, *symbol);
  if (of == nullptr) co_return binance_error(400, -1121, "Invalid symbol.");
  if (const Status filled = co_await context.filled(*of); !filled) co_return busy(filled.error());
  if (from && to && *from >= *to) co_return json_answer("[]");

  const Tape tape = of->tape;
  context.recent.roll(*of, tape, *place);
  const TapeMemory* const memory = of->memory(tape);
  if (memory == nullptr) co_return json_answer("[]");
  const auto& rows = memory->series[*place].rows;
  const bool all = memory->series[*place].from_beginning;
  const auto in_range = [&](const Candle& c) { return (!from || c.start >= *from) && (!to || c.start < *to); };
  std::vector<const Candle*> known;
  for (const CandlePtr& row : rows)
    if (in_range(row->row) && presentable(row->row)) known.push_back(&row->row);
  std::string body = "[";
  const auto give = [&body](const Candle& c) {
    if (body.size() > 1) body += ',';
    append_kline(c, body);
  };
  if (all || (from ? !rows.empty() && *from >= rows.front()->row.start : known.size() >= limit)) {
    const std::size_t count = std::min<std::size_t>(known.size(), limit);
    const std::size_t first = from ? 0 : known.size() - count;
    for (std::size_t i = first; i < first + count; ++i) give(*known[i]);
    co_return json_answer(body + "]");
  }
  PageQuery<Candle> query;
  query.what.instrument = of->instrument;
  query.what.tape = tape;
  query.what.interval = *interval;
  query.what.from = from;
  query.what.to = to;
  for (const CandlePtr& row : rows)
    if (in_range(row->row)) query.overlay.push_back(row->row);
  // Of this same moment: what memory does not have now, the store must have.
  if (const Status there = co_await context.loaded(topic::candles, *of, of->gone.candles); !there)
    co_return busy(there.error());
  const History& history = context.parts.history;
  const auto read = [&history, query, limit, newest = !from]() -> Result<std::vector<Candle>> {
    // Among the newest rows there may be some that do not stand here: then from further back.
    for (std::uint64_t most = limit;; most *= 2) {
      PageQuery<Candle> walk = query;
      if (newest) {
        const auto start = newest_place<Candle>(history, walk, most);
        if (!start) return tl::unexpected{start.error()};
        walk.at_least = *start;
      }
      std::uint64_t seen = 0;
      std::vector<Candle> out;
      const Status done = merged<Candle>(history, walk, [&](const Candle& c) {
        ++seen;
        if (presentable(c)) out.push_back(c);
        return newest || out.size() < limit;
      });
      if (!done) return tl::unexpected{done.error()};
      if (newest && out.size() < limit && seen >= most) continue;
      if (out.size() > limit) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
      return out;
    }
  };
  auto found = co_await context.workers.run(read);
  if (!found) co_return busy(found.error());
  for (const Candle& candle : *found) give(candle);
  co_return json_answer(body + "]");
}

void append_symbol(const InstrumentMemory& of, std::string& out) {
  const bool spot = of.instrument.venue() == "binance";
  out += "{\"symbol\":";
  append_json(spot ? of.instrument.symbol() : of.instrument.text(), out);
  const Reference none;
  const Reference& reference = of.reference ? *of.reference : none;
  out += ",\"status\":";
  append_json(reference.status.empty() ? "BREAK" : reference.status, out);  // nobody has said that it trades
  const std::pair<std::string_view, const std::string*> assets[] = {{"baseAsset", &reference.base},
                                                                    {"quoteAsset", &reference.quote}};
  for (const auto& [name, asset] : assets) {
    if (asset->empty()) continue;  // no symbol list has named it
    out += ",\"" + std::string{name} + "\":";
    append_json(*asset, out);
  }
  out += R"(,"baseAssetPrecision":8,"quotePrecision":8,"quoteAssetPrecision":8,"orderTypes":[],"icebergAllowed":false,)"
         R"("ocoAllowed":false,"isSpotTradingAllowed":false,"isMarginTradingAllowed":false,"filters":[)";
  if (reference.tick) {
    out += R"({"filterType":"PRICE_FILTER","minPrice":"0.00000000","maxPrice":"0.00000000","tickSize":)";
    append_padded(to_text(*reference.tick), out);
    out += '}';
  }
  if (reference.lot) {
    if (reference.tick) out += ',';
    out += R"({"filterType":"LOT_SIZE","minQty":)";
    append_padded(to_text(*reference.lot), out);
    out += R"(,"maxQty":"0.00000000","stepSize":)";
    append_padded(to_text(*reference.lot), out);
    out += '}';
  }
  out += "],\"permissions\":[\"SPOT\"],\"permissionSets\":[[\"SPOT\"]]}";
}

awaitable<ServerAnswer> exchange_info(Context& context, net::RequestPtr request) {
  std::vector<InstrumentMemory*> chosen;
  const auto one = request->where.find("symbol");
  const auto several = request->where.find("symbols");
  if (one && several) co_return binance_error(400, -1128, "Combination of optional parameters invalid.");
  if (one || several) {
    std::vector<std::string> names;
    simdjson::dom::parser parser;
    if (one) {
      names.emplace_back(*one);
    } else {
      simdjson::dom::array list;
      if (parser.parse(several->data(), several->size()).get(list) != simdjson::SUCCESS)
        co_return illegal("symbols", R"(^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,})?\]$)");
      for (const simdjson::dom::element entry : list) {
        std::string_view text;
        if (entry.get(text) != simdjson::SUCCESS)
          co_return illegal("symbols", R"(^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,})?\]$)");
        names.emplace_back(text);
      }
    }
    for (const std::string& name : names) {
      InstrumentMemory* const of = find_symbol(context, name);
      if (of == nullptr) co_return binance_error(400, -1121, "Invalid symbol.");
      if (std::ranges::find(chosen, of) == chosen.end()) chosen.push_back(of);  // named twice: once
    }
  } else {
    for (const auto& [instrument, of] : context.recent.all())
      if (instrument.venue() == "binance") chosen.push_back(of.get());
    std::ranges::sort(chosen, {}, [](const InstrumentMemory* of) { return of->instrument; });
  }
  std::string body = R"({"timezone":"UTC","serverTime":)";
  append_number(ms(context.loop.clock().now()), body);
  body += R"(,"rateLimits":[],"exchangeFilters":[],"symbols":[)";
  for (const InstrumentMemory* of : chosen) {
    if (of != chosen.front()) body += ',';
    append_symbol(*of, body);
  }
  co_return json_answer(body + "]}");
}

awaitable<ServerAnswer> now(Context& context) {
  co_return json_answer("{\"serverTime\":" + std::to_string(ms(context.loop.clock().now())) + "}");
}
awaitable<ServerAnswer> ping() { co_return json_answer("{}"); }

}  // namespace

ServerAnswer binance_error(int status, int code, std::string_view message) {
  std::string body = "{\"code\":" + std::to_string(code) + ",\"msg\":";
  append_json(message, body);
  return net::text_answer(status, "application/json;charset=UTF-8", body + "}");
}

std::optional<awaitable<ServerAnswer>> binance_call(Context& context, const net::RequestPtr& request) {
  const std::string_view path = request->where.path;
  if (path == "/api/v3/klines") return klines(context, request);
  if (path == "/api/v3/exchangeInfo") return exchange_info(context, request);
  if (path == "/api/v3/time") return now(context);
  if (path == "/api/v3/ping") return ping();
  return std::nullopt;
}

}  // namespace truetape
