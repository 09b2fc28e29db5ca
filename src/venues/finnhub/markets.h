// Which of the venue's lists a symbol stands in, and what may be asked about it. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"

namespace truetape::finnhub {

enum class Market : std::uint8_t {
  share,      // listed in the USA, or a share class of one: "AAPL", "BRK.B"
  elsewhere,  // a share of another country: "BARC.L"
  crypto,     // "BINANCE:BTCUSDT"
  forex,      // "OANDA:EUR_USD"
};
Market market_of(std::string_view symbol);

// Targets behind the REST path of the lists that hold these, each once.
std::vector<std::string> lists_of(const std::set<Instrument>& wanted);

// For a URL's query.
std::string percent_encoded(std::string_view text);

}  // namespace truetape::finnhub
