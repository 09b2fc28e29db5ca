#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"
#include "venues/payload.h"

namespace truetape::finnhub {
namespace {

void decode(const RawRecord& record, Events& out) {
  switch (payload::kind_of(record)) {
    case RawKind::frame:
      return decode_frame(record, out);
    case RawKind::backfill:
      return decode_page(record, out);
    case RawKind::reference:
      return decode_reference(record, out);
    default:
      return;
  }
}

}  // namespace

constexpr Venue kVenue{kName, TradeIds::none, &route, &sent_time, &decode, nullptr};

std::span<const Venue> venues() { return {&kVenue, 1}; }

}  // namespace truetape::finnhub
