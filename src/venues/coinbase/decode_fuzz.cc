// Any bytes as a frame, a page and a symbol-list entry: no crash, items are numbered and lie within the record, and
// what decode finds is of the instrument that route found.
#include <cstdlib>
#include <string_view>

#include "venues/coinbase/coinbase.h"

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
    if (item.follows) demand(i > 0 && events.items[i - 1].trade.order < item.trade.order);
    if (item.type == Item::Type::bad) continue;
    demand(!item.trade.instrument.empty() && !item.trade.id.empty());
    demand(item.trade.first_id == item.trade.order && item.trade.last_id == item.trade.order);
    demand(item.trade.price.positive() && item.trade.quantity.positive());
    demand(item.trade.taker_side != Side::unknown);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const Venue& venue = coinbase::kExchange;
  std::vector<Instrument> to;
  venue.route(bytes, to);
  demand(to.size() <= 1);
  const auto sent = venue.sent_time(bytes);
  const std::string instruments = to.empty() ? "" : to[0].str();
  RawRecord record;
  record.bytes = bytes;
  record.instruments = instruments;
  Events frame;
  venue.decode(record, frame);
  check(frame, bytes);
  demand(frame.items.size() + frame.not_a_trade + (frame.quotes.empty() ? 0 : 1) == 1 && frame.quotes.size() <= 2);
  for (const Item& item : frame.items)
    demand(item.type == Item::Type::bad ||
           (item.trade.instrument.text() == instruments && sent == item.trade.event_time));
  for (const Quote& quote : frame.quotes) demand(quote.instrument.text() == instruments);

  record.kind = RawKind::backfill;
  record.instruments = "coinbase:BTC-USD";
  Events page;
  venue.decode(record, page);
  check(page, bytes);
  record.kind = RawKind::reference;
  Events entry;
  venue.decode(record, entry);
  demand(entry.items.size() + entry.references.size() == 1);
  return 0;
}
