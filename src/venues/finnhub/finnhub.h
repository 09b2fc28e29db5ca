// Finnhub's market data (`finnhub`): trades of many markets and news, JSON over WebSocket and REST. The pure half:
// bytes in, events out. README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape::finnhub {

extern const Venue kVenue;  // "finnhub"
std::span<const Venue> venues();

}  // namespace truetape::finnhub
