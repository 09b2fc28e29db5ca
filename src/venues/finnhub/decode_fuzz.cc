// Any bytes as a frame, a page and a symbol-list entry: no crash, both frame readers agree, items lie within the
// record, a frame's items are found once over the records of its instruments.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"

namespace {

using namespace truetape;

void demand(bool condition) {
  if (!condition) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check_items(const Events& events, std::string_view bytes) {
  for (const Item& item : events.items) {
    demand(item.ordinal == item.trade.ordinal);
    demand(inside(item.raw, bytes));
    if (item.type == Item::Type::bad) {
      demand(!item.detail.empty());
      demand(!item.has_id);
    } else {
      demand(item.trade.price.positive() && item.trade.quantity.positive() && !item.trade.instrument.empty());
    }
  }
}

void check_same(const Events& a, const Events& b) {
  demand(a.items.size() == b.items.size() && a.not_a_trade == b.not_a_trade && a.quotes == b.quotes &&
         a.news == b.news);
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    const Item &x = a.items[i], &y = b.items[i];
    demand(x.type == y.type && x.trade == y.trade && x.detail == y.detail && x.reason == y.reason && x.raw == y.raw &&
           x.has_time == y.has_time && x.ordinal == y.ordinal);
  }
}

void check_frame(std::string_view bytes) {
  std::vector<Instrument> to;
  finnhub::kVenue.route(bytes, to);
  (void)finnhub::kVenue.sent_time(bytes);
  RawRecord record;
  record.kind = RawKind::frame;
  record.bytes = bytes;
  std::size_t items = 0, rest = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::string instruments = to[i].str();
    demand(std::count(to.begin(), to.end(), to[i]) == 1);
    record.instruments = instruments;
    Events decoded;
    finnhub::kVenue.decode(record, decoded);
    check_items(decoded, bytes);
    for (const Item& item : decoded.items) demand(item.trade.instrument.empty() || item.trade.instrument == to[i]);
    for (const Quote& quote : decoded.quotes) demand(quote.instrument == to[i]);
    items += decoded.items.size();
    rest += decoded.quotes.size() + decoded.news.size() + decoded.not_a_trade;
    Events fast, strict;
    finnhub::decode_frame_strict(record, strict);
    if (finnhub::decode_frame_fast(record, fast)) check_same(fast, strict);
    if (i == 8) return;  // enough of them
  }
  record.instruments = {};
  Events whole;
  finnhub::kVenue.decode(record, whole);
  check_items(whole, bytes);
  if (!to.empty()) {
    demand(whole.items.size() == items);
    demand(whole.quotes.size() + whole.news.size() + whole.not_a_trade == rest);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1 << 16)) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  check_frame(bytes);
  for (const RawKind kind : {RawKind::backfill, RawKind::reference}) {
    RawRecord record;
    record.kind = kind;
    record.bytes = bytes;
    record.instruments = kind == RawKind::reference ? "finnhub:AAPL" : "";
    Events decoded;
    finnhub::kVenue.decode(record, decoded);
    check_items(decoded, bytes);
  }
  return 0;
}
