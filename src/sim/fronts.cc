// The venues that can be simulated.
#include "sim/binance_front.h"
#include "sim/finnhub_front.h"
#include "sim/kucoin_front.h"

namespace truetape::sim {

std::unique_ptr<Front> make_front(Simulator& simulator) {
  switch (simulator.market().product()) {
    case Product::kucoin:
      return std::make_unique<KucoinFront>(simulator);
    case Product::finnhub:
      return std::make_unique<FinnhubFront>(simulator);
    default:
      return std::make_unique<BinanceFront>(simulator);
  }
}

}  // namespace truetape::sim
