#include "venues/coinbase/coinbase.h"
#include "venues/coinbase/item.h"
#include "venues/payload.h"

namespace truetape::coinbase {
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

constexpr Venue kExchange{kVenue,  TradeIds::contiguous,  &coinbase::route, &coinbase::sent_time, &decode,
                          nullptr, &coinbase::last_before};

std::span<const Venue> venues() { return {&kExchange, 1}; }

}  // namespace truetape::coinbase
