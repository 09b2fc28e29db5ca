#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"
#include "venues/payload.h"

namespace truetape::kucoin {
namespace {

void decode(const RawRecord& record, Events& out) {
  switch (payload::kind_of(record)) {
    case RawKind::frame:
      return kucoin::decode_frame(record, out);
    case RawKind::backfill:
      return kucoin::decode_page(record, out);
    case RawKind::reference:
      return kucoin::decode_reference(record, out);
    default:
      return;
  }
}

}  // namespace

constexpr Venue kSpot{kVenue, TradeIds::rising, &kucoin::route, &kucoin::sent_time, &decode, &kKlines};

std::span<const Venue> venues() { return {&kSpot, 1}; }

}  // namespace truetape::kucoin
