// KuCoin's public market data of spot (`kucoin`): JSON over WebSocket and REST. The pure half: bytes in, events out.
// README.md says which payloads are read and what is taken from them.
#pragma once

#include "venues/venue.h"

namespace truetape {

extern const Venue kKucoin;  // "kucoin"

}  // namespace truetape
