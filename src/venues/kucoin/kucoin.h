// KuCoin's public market data of spot (`kucoin`): JSON over WebSocket and REST. The pure half: bytes in, events out.
// README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape::kucoin {

extern const Venue kSpot;  // "kucoin"
std::span<const Venue> venues();

}  // namespace truetape::kucoin
