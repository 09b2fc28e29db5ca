// A wish for more than one instrument of a venue, written as an instrument whose symbol begins with a star:
//
//   binance:*            all that the venue lists as traded
//   binance:*/USDT       those that are priced in USDT
//   binance:*/USDT#50    of these the 50 with the greatest turnover of the last 24 hours
//
// The greatest of all quotes, "binance:*#50", is none: turnovers are told in the quote, and those of different ones
// cannot be compared.
//
// Configuration, control records and commands carry it like any instrument; the venue's feed knows the list and follows
// it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/instrument.h"

namespace truetape {

struct Wildcard {
  std::string quote;      // upper case; empty: any
  std::uint32_t top = 0;  // 0: all; else at most 10,000, and there is a quote
  friend bool operator==(const Wildcard&, const Wildcard&) = default;
};

inline bool is_wildcard(const Instrument& instrument) { return instrument.symbol().starts_with('*'); }
// nullopt: it is none, or not written as above.
std::optional<Wildcard> wildcard_of(const Instrument& instrument);
// May an instrument priced in `quote` (empty: not known) be meant? Of the greatest ones that cannot be told here.
inline bool may_mean(const Wildcard& wildcard, std::string_view quote) {
  return wildcard.quote.empty() || wildcard.quote == quote;
}

}  // namespace truetape
