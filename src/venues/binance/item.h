// Inside of venues/binance: from the fields of one trade, wherever they stood, to one item.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"
#include "venues/json.h"

namespace truetape::binance {

enum class Product : std::uint8_t { spot, usdm };
constexpr std::string_view venue_name(Product product) { return product == Product::spot ? "binance" : "binance-usdm"; }
// Of its REST interface: address without path, and the path of all calls.
constexpr std::string_view rest_url(Product product) {
  return product == Product::spot ? "https://data-api.binance.vision" : "https://fapi.binance.com";
}
constexpr std::string_view rest_path(Product product) { return product == Product::spot ? "/api/v3" : "/fapi/v1"; }

// Symbol in any case, as it stands in "s" or in a stream's name. nullopt: none that an instrument can have.
std::optional<Instrument> instrument_of(Product product, std::string_view symbol);

// Where an object stands in the record, for sentences: "$", "$.data", "$[17]".
struct Place {
  enum class Kind : std::uint8_t { root, data, element } kind = Kind::root;
  std::size_t index = 0;
  std::string path() const;
};

struct TradeFields {
  json::Value symbol, id, first, last, price, quantity, time, maker, kind;
};
// The keys under which a payload has them; empty: it does not have that field.
struct TradeKeys {
  std::string_view symbol, id, first, last, price, quantity, time, maker, kind;
};

struct Context {
  Product product;
  const RawRecord& record;
  Place place;
  Tape tape = Tape::trade;
  // Of a page, whose items do not say it: the instrument asked for.
  std::optional<Instrument> instrument;
  std::optional<Timestamp> receive_time;  // of a live frame
};

// Fills `item`, whose raw and ordinal are set, as trade, empty or bad.
void make_trade(const TradeFields& fields, const TradeKeys& keys, const Context& context, Item& item);

// Makes `item` bad for `reason` unless it is already. `what` follows the path: " is missing".
void spoil(Item& item, Reason reason, const Context& context, std::string_view key, std::string_view what);
// The same for bytes that could not be read at all.
void spoil(Item& item, const json::Problem& problem);

// A new item at the end of `out`, with ordinal and raw.
Item& add_item(std::string_view raw, Events& out);
// A bad item whose own instrument could not be read belongs to the record's, if that names exactly one.
void fall_back_to_sole_instrument(const RawRecord& record, Item& item);

// False: `item` is spoilt.
bool read_decimal(const json::Value& value, std::string_view key, const Context& context, Item& item, Decimal& out);
bool read_time(const json::Value& value, std::string_view key, const Context& context, Item& item, Timestamp& out);

// frame.cc
void decode_frame(Product product, const RawRecord& record, Events& out);
bool decode_frame_fast(Product product, const RawRecord& record, Events& out);    // false: nothing done, use the next
void decode_frame_strict(Product product, const RawRecord& record, Events& out);  // any frame at all
// rest.cc
void decode_page(Product product, const RawRecord& record, Events& out);
void decode_reference(Product product, const RawRecord& record, Events& out);
// route.cc
void route(Product product, std::string_view frame, std::vector<Instrument>& out);
std::optional<Timestamp> sent_time(std::string_view frame);

inline constexpr TradeKeys kTradeKeys{"s", "t", "", "", "p", "q", "T", "m", "X"};
inline constexpr TradeKeys kSpotTradeKeys{"s", "t", "", "", "p", "q", "T", "m", ""};  // spot tells no kind
inline constexpr TradeKeys kAggKeys{"s", "a", "f", "l", "p", "q", "T", "m", ""};

}  // namespace truetape::binance
