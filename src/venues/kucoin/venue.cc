#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"

namespace truetape::kucoin {
namespace {

void decode(const RawRecord& record, Events& out) {
  RawKind kind = record.kind;
  if (kind == RawKind::replay)
    kind = parse_raw_kind(record.header(header::original_kind).value_or("frame")).value_or(RawKind::frame);
  switch (kind) {
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
