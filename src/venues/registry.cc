// The one list of venues: a new one is one line here.
#include <array>

#include "venues/binance/binance.h"
#include "venues/kucoin/kucoin.h"
#include "venues/venue.h"

namespace truetape {

std::span<const Venue> venues() {
  static const std::array all{kBinance, kBinanceUsdm, kKucoin};
  return all;
}

const Venue* find_venue(std::string_view name) {
  for (const Venue& venue : venues())
    if (venue.name == name) return &venue;
  return nullptr;
}

}  // namespace truetape
