// Any bytes as a frame, a page and a symbol-list entry of both products: no crash, both frame readers agree, items are
// numbered and lie within the record.
#include <cstdlib>
#include <string_view>

#include "venues/binance/binance.h"
#include "venues/binance/item.h"

namespace {

using namespace truetape;

void demand(bool condition) {
  if (!condition) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check(const Events& events, std::string_view bytes) {
  for (std::size_t i = 0; i < events.items.size(); ++i) {
    const Item& item = events.items[i];
    demand(item.ordinal == i && item.trade.ordinal == i);
    demand(inside(item.raw, bytes));
    demand((item.type == Item::Type::bad) == !item.detail.empty());
    if (item.type == Item::Type::bad) continue;
    demand(!item.trade.instrument.empty() && !item.trade.id.empty());
    demand(item.trade.first_id <= item.trade.last_id);
    demand(item.type == Item::Type::empty || (item.trade.price.positive() && item.trade.quantity.positive()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  for (const Venue* venue : {&binance::kSpot, &binance::kUsdm}) {
    const auto product = venue == &binance::kSpot ? binance::Product::spot : binance::Product::usdm;
    std::vector<Instrument> to;
    venue->route(bytes, to);
    demand(to.size() <= 1);
    (void)venue->sent_time(bytes);
    const std::string instruments = to.empty() ? "" : to[0].str();
    RawRecord record;
    record.bytes = bytes;
    record.instruments = instruments;
    Events fast, strict;
    const bool taken = binance::decode_frame_fast(product, record, fast);
    binance::decode_frame_strict(product, record, strict);
    check(strict, bytes);
    demand(strict.items.size() + strict.quotes.size() + strict.not_a_trade == 1);
    if (taken) {
      demand(fast.items.size() == strict.items.size() && fast.quotes == strict.quotes &&
             fast.not_a_trade == strict.not_a_trade);
      for (std::size_t i = 0; i < fast.items.size(); ++i)
        demand(fast.items[i].type == strict.items[i].type && fast.items[i].trade == strict.items[i].trade &&
               fast.items[i].detail == strict.items[i].detail);
    }
    // A trade that decode finds is one that route found.
    for (const Item& item : strict.items)
      demand(item.type == Item::Type::bad || item.trade.instrument.text() == instruments);

    record.kind = RawKind::backfill;
    record.instruments = "binance:BTCUSDT";
    for (const std::string_view tape : {"trade", "agg"}) {
      const Header header{header::tape, tape};
      record.headers = {&header, 1};
      Events page;
      venue->decode(record, page);
      check(page, bytes);
      record.headers = {};
    }
    record.kind = RawKind::reference;
    Events entry;
    venue->decode(record, entry);
    demand(entry.items.size() + entry.references.size() == 1);
  }
  return 0;
}
