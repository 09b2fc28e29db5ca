#include "sim/messages.h"

#include <algorithm>

namespace truetape::sim {
namespace {

using std::string;
using std::string_view;

constexpr int kTurnoverScale = 2 * kDecimals;

void key(string& out, string_view name) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
}
void number(string& out, string_view name, std::uint64_t value) {
  key(out, name);
  append_number(out, value);
}
void text(string& out, string_view name, string_view value) {
  key(out, name);
  out += '"';
  out += value;
  out += '"';
}
void amount(string& out, string_view name, Units value, int decimals) {
  key(out, name);
  out += '"';
  append_units(out, value, decimals);
  out += '"';
}
void wide(string& out, string_view name, Wide value, int scale, int decimals) {
  key(out, name);
  out += '"';
  append_wide(out, value, scale, decimals);
  out += '"';
}
void flag(string& out, string_view name, bool value) {
  key(out, name);
  out += value ? "true" : "false";
}
void moment(string& out, string_view name, Time t, const Dialect& dialect) {
  key(out, name);
  append_number(out, dialect.microseconds ? to_us(t) : to_ms(t));
}
void newer(string& out, const Dialect& dialect) {
  if (dialect.product == Product::usdm && dialect.newer_fields) out += ",\"st\":1";
}

}  // namespace

void append_trade(string& out, const Dialect& dialect, const Listing& listing, const Print& print) {
  const bool spot = dialect.product == Product::spot;
  out += '{';
  text(out, "e", "trade");
  moment(out, "E", print.told + dialect.skew, dialect);
  if (!spot) moment(out, "T", print.traded, dialect);
  text(out, "s", listing.symbol);
  number(out, "t", print.id);
  const bool marker = print.kind == Kind::na;  // "0" without decimals
  amount(out, "p", print.price, marker ? 0 : listing.price_decimals);
  amount(out, "q", print.quantity, marker ? 0 : listing.quantity_decimals);
  if (spot) moment(out, "T", print.traded, dialect);
  if (!spot) text(out, "X", kind_text(print.kind));
  flag(out, "m", print.buyer_is_maker);
  if (spot) out += ",\"M\":true";
  newer(out, dialect);
  out += '}';
}

void append_aggregate(string& out, const Dialect& dialect, const Listing& listing, const Aggregate& aggregate) {
  const bool spot = dialect.product == Product::spot;
  out += '{';
  text(out, "e", "aggTrade");
  moment(out, "E", aggregate.told + dialect.skew, dialect);
  if (!spot) number(out, "a", aggregate.id);
  text(out, "s", listing.symbol);
  if (spot) number(out, "a", aggregate.id);
  amount(out, "p", aggregate.price, listing.price_decimals);
  amount(out, "q", aggregate.quantity, listing.quantity_decimals);
  if (!spot && dialect.newer_fields) amount(out, "nq", aggregate.normal, listing.quantity_decimals);
  number(out, "f", aggregate.first);
  number(out, "l", aggregate.last);
  moment(out, "T", aggregate.traded, dialect);
  flag(out, "m", aggregate.buyer_is_maker);
  if (spot) out += ",\"M\":true";
  newer(out, dialect);
  out += '}';
}

void append_quote(string& out, const Dialect& dialect, const Listing& listing, const Quote& quote) {
  const bool spot = dialect.product == Product::spot;
  out += '{';
  if (!spot) text(out, "e", "bookTicker");
  number(out, "u", quote.update);
  text(out, "s", listing.symbol);
  if (!spot && dialect.newer_fields) text(out, "ps", listing.symbol);
  amount(out, "b", quote.bid, listing.price_decimals);
  amount(out, "B", quote.bid_quantity, listing.quantity_decimals);
  amount(out, "a", quote.ask, listing.price_decimals);
  amount(out, "A", quote.ask_quantity, listing.quantity_decimals);
  if (!spot) {
    moment(out, "T", quote.traded, dialect);
    moment(out, "E", quote.told + dialect.skew, dialect);
  }
  newer(out, dialect);
  out += '}';
}

void append_kline(string& out, const Dialect& dialect, const Listing& listing, const BarInterval& interval,
                  const Bar& bar, bool closed, Time told) {
  const int turnover = quote_decimals(dialect.product, listing);
  const auto id = [&](string_view name, std::uint64_t value) {
    key(out, name);
    if (bar.trades == 0)
      out += "-1";
    else
      append_number(out, value);
  };
  const Time end =
      next_bar(bar.start, interval) - (dialect.microseconds ? Duration{1} : Duration{std::chrono::milliseconds{1}});
  out += '{';
  text(out, "e", "kline");
  moment(out, "E", told + dialect.skew, dialect);
  text(out, "s", listing.symbol);
  key(out, "k");
  out += '{';
  moment(out, "t", bar.start, dialect);
  moment(out, "T", end, dialect);
  text(out, "s", listing.symbol);
  text(out, "i", interval.name);
  id("f", bar.first_id);
  id("L", bar.last_id);
  amount(out, "o", bar.open, listing.price_decimals);
  amount(out, "c", bar.close, listing.price_decimals);
  amount(out, "h", bar.high, listing.price_decimals);
  amount(out, "l", bar.low, listing.price_decimals);
  wide(out, "v", bar.volume, kDecimals, listing.quantity_decimals);
  number(out, "n", bar.trades);
  flag(out, "x", closed);
  wide(out, "q", bar.quote, kTurnoverScale, turnover);
  wide(out, "V", bar.taker_volume, kDecimals, listing.quantity_decimals);
  wide(out, "Q", bar.taker_quote, kTurnoverScale, turnover);
  text(out, "B", "0");
  out += '}';
  newer(out, dialect);
  out += '}';
}

void append_quotient(string& out, Wide a, Wide b, int decimals) {
  Wide scaled = a;
  for (int i = 0; i < decimals; ++i) scaled *= 10;
  append_wide(out, b == 0 ? 0 : scaled / b, decimals, decimals);
}

void append_ticker(string& out, const Dialect& dialect, const Listing& listing, const Bar& day, Units before,
                   const Market& market, std::uint32_t instrument, Time told, bool mini) {
  const bool spot = dialect.product == Product::spot;
  const int turnover = quote_decimals(dialect.product, listing);
  out += '{';
  text(out, "e", mini ? "24hrMiniTicker" : "24hrTicker");
  moment(out, "E", told + dialect.skew, dialect);
  text(out, "s", listing.symbol);
  if (!spot && dialect.newer_fields) text(out, "ps", listing.symbol);
  if (!mini) {
    amount(out, "p", day.close - day.open, listing.price_decimals);
    key(out, "P");
    out += '"';
    append_quotient(out, static_cast<Wide>(day.close - day.open) * 100, day.open, spot ? 3 : 2);
    out += '"';
    key(out, "w");
    out += '"';
    append_quotient(out, day.quote, day.volume * kOne, listing.price_decimals);
    out += '"';
    if (spot) amount(out, "x", before, listing.price_decimals);
  }
  amount(out, "c", day.close, listing.price_decimals);
  if (!mini) {
    const auto& last = market.last(instrument);
    amount(out, "Q", last ? last->quantity : 0, listing.quantity_decimals);
    if (spot) {
      const Quote quote = market.quote(instrument).value_or(Quote{});
      amount(out, "b", quote.bid, listing.price_decimals);
      amount(out, "B", quote.bid_quantity, listing.quantity_decimals);
      amount(out, "a", quote.ask, listing.price_decimals);
      amount(out, "A", quote.ask_quantity, listing.quantity_decimals);
    }
  }
  amount(out, "o", day.open, listing.price_decimals);
  amount(out, "h", day.high, listing.price_decimals);
  amount(out, "l", day.low, listing.price_decimals);
  wide(out, "v", day.volume, kDecimals, listing.quantity_decimals);
  wide(out, "q", day.quote, kTurnoverScale, turnover);
  if (!mini) {
    moment(out, "O", day.start, dialect);
    moment(out, "C", told, dialect);
    number(out, "F", day.first_id);
    number(out, "L", day.last_id);
    number(out, "n", day.trades);
  }
  newer(out, dialect);
  out += '}';
}

void append_coin_row(string& out, const Dialect& dialect, Time told, bool mini) {
  out += '{';
  text(out, "e", mini ? "24hrMiniTicker" : "24hrTicker");
  moment(out, "E", told + dialect.skew, dialect);
  out += R"(,"s":"BTCUSD_PERP","ps":"BTCUSD")";
  if (!mini)
    out += R"(,"p":"1.0","P":"0.002","w":"0.00161812","c":"61801.0","Q":"3","o":"61800.0","h":"62000.0","l":"61700.0")";
  if (mini) out += R"(,"c":"61801.0","o":"61800.0","h":"62000.0","l":"61700.0")";
  out += R"(,"v":"5000","q":"8.09061242")";
  if (!mini) {
    moment(out, "O", told - std::chrono::hours{24}, dialect);
    moment(out, "C", told, dialect);
    out += R"(,"F":1,"L":1000,"n":1000)";
  }
  out += R"(,"st":2})";
}

void append_shutdown(string& out, const Dialect& dialect, Time told) {
  out += '{';
  text(out, "e", "serverShutdown");
  moment(out, "E", told + dialect.skew, dialect);
  out += '}';
}

string enveloped(string_view stream, string_view data) {
  string out;
  out.reserve(stream.size() + data.size() + 22);
  out += "{\"stream\":\"";
  out += stream;
  out += "\",\"data\":";
  out += data;
  out += '}';
  return out;
}

int quote_decimals(Product product, const Listing& listing) {
  return product == Product::spot ? kDecimals : std::min(kDecimals, listing.price_decimals + listing.quantity_decimals);
}

}  // namespace truetape::sim
