// Binance's public market data: spot (`binance`) and USD-M futures (`binance-usdm`), JSON over WebSocket and REST. The
// pure half: bytes in, events out. README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape {

extern const Venue kBinance;      // "binance"
extern const Venue kBinanceUsdm;  // "binance-usdm"

}  // namespace truetape
