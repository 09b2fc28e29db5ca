#include "venues/binance/binance.h"
#include "venues/binance/item.h"
#include "venues/binance/klines.h"
#include "venues/payload.h"

#include <array>

namespace truetape::binance {
namespace {

template <binance::Product product>
void decode(const RawRecord& record, Events& out) {
  switch (payload::kind_of(record)) {
    case RawKind::frame:
      return binance::decode_frame(product, record, out);
    case RawKind::backfill:
      return binance::decode_page(product, record, out);
    case RawKind::reference:
      return binance::decode_reference(product, record, out);
    default:
      return;
  }
}

template <binance::Product product>
void route(std::string_view frame, std::vector<Instrument>& out) {
  binance::route(product, frame, out);
}

template <binance::Product product>
constexpr Venue make() {
  return {binance::venue_name(product),
          TradeIds::contiguous,
          &route<product>,
          &binance::sent_time,
          &decode<product>,
          product == binance::Product::spot ? &binance::kSpotKlines : &binance::kUsdmKlines};
}

}  // namespace

constexpr Venue kSpot = make<Product::spot>();
constexpr Venue kUsdm = make<Product::usdm>();

std::span<const Venue> venues() {
  static constexpr std::array kAll{kSpot, kUsdm};
  return kAll;
}

}  // namespace truetape::binance
