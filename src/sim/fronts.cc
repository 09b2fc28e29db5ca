// The venues that can be simulated.
#include "sim/binance_front.h"

namespace truetape::sim {

std::unique_ptr<Front> make_front(Simulator& simulator) { return std::make_unique<BinanceFront>(simulator); }

}  // namespace truetape::sim
