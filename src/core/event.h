// What decoders make of a raw record: items in the order of its bytes. The seam between src/venues and src/capture,
// which make events, and src/market, which folds them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/raw.h"
#include "core/records.h"

namespace truetape {

// What the ledger may conclude from a venue's trade ids: proof, order only, nothing.
enum class TradeIds : std::uint8_t { contiguous, rising, none };

struct Item {
  enum class Type : std::uint8_t {
    trade,  // `trade` is complete but for era, marks and source
    empty,  // a marker that has an id and a time but is no trade (USD-M "NA"): its id counts, nothing is folded
    bad,    // not usable: `reason`, `detail`; what could be read stands in `trade`, see has_id and has_time
  };
  Item() {}  // written out, else emplace_back() would zero all of it before it sets the members
  Type type = Type::trade;
  bool has_id = false;  // of bad: trade.order, id, first_id, last_id are read and sound, and instrument, tape are known
  bool has_time = false;  // of bad: trade.event_time is read and of a sound unit
  // The venue itself gave this item directly after the item before it of the same instrument and tape: in one REST page
  // or as neighbouring rows of one of its own archive files. So ids between the two do not exist.
  bool follows = false;
  Reason reason = Reason::syntax;
  std::uint32_t ordinal = 0;  // number of the item in the record, from 0
  Trade trade;
  std::string detail;
  std::string_view raw;  // the item's own bytes within the record
};

// Reused from record to record by its owner.
struct Events {
  std::vector<Item> items;
  std::vector<Quote> quotes;
  std::vector<Reference> references;
  std::vector<News> news;
  std::vector<Candle> candles;    // of kind recompute
  std::uint64_t not_a_trade = 0;  // sound items that are none of the above (depth, klines, acks)
  void clear() {
    items.clear();
    quotes.clear();
    references.clear();
    news.clear();
    candles.clear();
    not_a_trade = 0;
  }
};

// All decoders behind one door. Pure and const: any number of threads.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Appends the items of the record's instruments (all of them if the header names none). Never fails and never throws
  // for content: what cannot be read becomes a bad item. Kinds without bytes give nothing.
  virtual void decode(const RawRecord& record, Events& out) const = 0;
  virtual TradeIds trade_ids(std::string_view venue) const = 0;  // none for a venue it does not know
};

}  // namespace truetape
