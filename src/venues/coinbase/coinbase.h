// Coinbase Exchange's public market data (`coinbase`): JSON over WebSocket and REST. The pure half: bytes in, events
// out. README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape::coinbase {

extern const Venue kExchange;  // "coinbase"
std::span<const Venue> venues();

}  // namespace truetape::coinbase
