// Inside of venues/binance: from the fields of one trade, wherever they stood, to one item.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "venues/payload.h"

namespace truetape::binance {

using payload::add_item, payload::fall_back_to_sole_instrument, payload::read_decimal, payload::spoil;

enum class Product : std::uint8_t { spot, usdm };
constexpr std::string_view venue_name(Product product) { return product == Product::spot ? "binance" : "binance-usdm"; }
// Of its REST interface: address without path, and the path of all calls.
constexpr std::string_view rest_url(Product product) {
  return product == Product::spot ? "https://data-api.binance.vision" : "https://fapi.binance.com";
}
constexpr std::string_view rest_path(Product product) { return product == Product::spot ? "/api/v3" : "/fapi/v1"; }

// Symbol in any case, as it stands in "s" or in a stream's name. nullopt: none that an instrument can have.
std::optional<Instrument> instrument_of(Product product, std::string_view symbol);

struct TradeFields {
  json::Value symbol, id, first, last, price, quantity, time, maker, kind;
};
// The keys under which a payload has them; empty: it does not have that field.
struct TradeKeys {
  std::string_view symbol, id, first, last, price, quantity, time, maker, kind;
};

struct Context : payload::Context {
  Product product;
  Tape tape = Tape::trade;
  // Of a page, whose items do not say it: the instrument asked for.
  std::optional<Instrument> instrument = {};
  std::optional<Timestamp> receive_time = {};  // of a live frame
};

// Fills `item`, whose raw and ordinal are set, as trade, empty or bad.
void make_trade(const TradeFields& fields, const TradeKeys& keys, const Context& context, Item& item);

// False: `item` is spoilt.
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
