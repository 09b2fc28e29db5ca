#include "venues/finnhub/markets.h"

#include <algorithm>
#include <array>

#include "venues/finnhub/item.h"

namespace truetape::finnhub {
namespace {

// Exchange codes behind the last dot. What is none of them is a class of a share ("BRK.B"), or is looked for in vain
// and told.
constexpr std::array<std::string_view, 26> kExchanges{"AS", "AX", "BO", "BR", "CN", "CO", "DE", "HE", "HK",
                                                      "KQ", "KS", "L",  "MC", "MI", "MX", "NE", "NS", "OL",
                                                      "PA", "SA", "SS", "ST", "SW", "SZ", "TO", "T"};
// Brokers of forex and contracts for difference; all other prefixes are exchanges of crypto currencies.
constexpr std::array<std::string_view, 8> kBrokers{"FHFX",  "FOREX.COM",  "FXCM",       "FXPIG",
                                                   "FXPRO", "IC MARKETS", "ICM TRADER", "OANDA"};

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view exchange_suffix(std::string_view symbol) {
  const std::size_t dot = symbol.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  const std::string_view suffix = symbol.substr(dot + 1);
  return std::ranges::find(kExchanges, suffix) == kExchanges.end() ? std::string_view{} : suffix;
}

}  // namespace

Market market_of(std::string_view symbol) {
  const std::size_t colon = symbol.find(':');
  if (colon == std::string_view::npos) return exchange_suffix(symbol).empty() ? Market::share : Market::elsewhere;
  return std::ranges::find(kBrokers, symbol.substr(0, colon)) == kBrokers.end() ? Market::crypto : Market::forex;
}

std::vector<std::string> lists_of(const std::set<Instrument>& wanted) {
  std::set<std::string> out;
  for (const Instrument& instrument : wanted) {
    const std::string symbol = symbol_of(instrument);
    const std::string exchange = percent_encoded(lower(std::string_view{symbol}.substr(0, symbol.find(':'))));
    switch (market_of(symbol)) {
      case Market::share:
        out.insert("/stock/symbol?exchange=US");
        break;
      case Market::elsewhere:
        out.insert("/stock/symbol?exchange=" + percent_encoded(exchange_suffix(symbol)));
        break;
      case Market::crypto:
        out.insert("/crypto/symbol?exchange=" + exchange);
        break;
      case Market::forex:
        out.insert("/forex/symbol?exchange=" + exchange);
        break;
    }
  }
  return {out.begin(), out.end()};
}

std::string percent_encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[c & 15];
  }
  return out;
}

}  // namespace truetape::finnhub
