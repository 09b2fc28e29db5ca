// Binance's public market data: spot (`binance`) and USD-M futures (`binance-usdm`), JSON over WebSocket and REST. The
// pure half: bytes in, events out. README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape::binance {

extern const Venue kSpot;         // "binance"
extern const Venue kUsdm;         // "binance-usdm"
std::span<const Venue> venues();  // both

}  // namespace truetape::binance
