// What the venue's streams say, as JSON of its own order of keys. Written by hand, apart from everything that reads it.
#pragma once

#include <string>
#include <string_view>

#include "sim/market.h"

namespace truetape::sim {

// How this venue speaks at the moment.
struct Dialect {
  Product product = Product::spot;
  bool microseconds = false;  // spot: all times of the connection
  bool newer_fields = true;   // USD-M: `st` and `ps`, since 2026
  Duration skew{};            // how wrong the clock is that E is taken from
};

// Each appends one event, without the envelope of combined streams.
void append_trade(std::string& out, const Dialect& dialect, const Listing& listing, const Print& print);
void append_aggregate(std::string& out, const Dialect& dialect, const Listing& listing, const Aggregate& aggregate);
void append_quote(std::string& out, const Dialect& dialect, const Listing& listing, const Quote& quote);
void append_kline(std::string& out, const Dialect& dialect, const Listing& listing, const BarInterval& interval,
                  const Bar& bar, bool closed, Time told);
// `before`: the price before the day. `mini`: the short form.
void append_ticker(std::string& out, const Dialect& dialect, const Listing& listing, const Bar& day, Units before,
                   const Market& market, std::uint32_t instrument, Time told, bool mini);
// A row of a COIN-M contract, as USD-M's lists of all symbols have had since 2026 beside their own.
void append_coin_row(std::string& out, const Dialect& dialect, Time told, bool mini);
void append_shutdown(std::string& out, const Dialect& dialect, Time told);

// {"stream":"…","data":…}
std::string enveloped(std::string_view stream, std::string_view data);

// Prices of averages and changes, which need not be on the grid: value = a / b with the listing's digits.
void append_quotient(std::string& out, Wide a, Wide b, int decimals);
// Digits that turnovers have.
int quote_decimals(Product product, const Listing& listing);

}  // namespace truetape::sim
