// Inside of venues/coinbase: from the fields of a trade, in a frame or in a page, to one item.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "venues/payload.h"

namespace truetape::coinbase {

using payload::Context;

inline constexpr std::string_view kVenue = "coinbase";

// item.cc
// A product's id in any case. nullopt: none that an instrument can have.
std::optional<Instrument> instrument_of(std::string_view product_id);
// "2021-04-17T16:43:37.089723Z": 0 to 9 digits after the point, always UTC.
std::optional<Timestamp> time_of(std::string_view text);
// False: `item` is spoilt.
bool read_time(const json::Value& value, std::string_view key, const Context& context, Item& item, Timestamp& out);
// The instrument of a frame, which must be among those of the record. False: `item` is spoilt.
bool read_instrument(const json::Value& product_id, const Context& context, Item& item);
// Fills `item`, whose raw and ordinal are set, as trade or bad. `known`: its instrument is set.
void make_trade(const json::Object& fields, bool known, const Context& context, Item& item);

// frame.cc
void decode_frame(const RawRecord& record, Events& out);
// rest.cc
void decode_page(const RawRecord& record, Events& out);
void decode_reference(const RawRecord& record, Events& out);
// route.cc
void route(std::string_view frame, std::vector<Instrument>& out);
std::optional<Timestamp> sent_time(std::string_view frame);
std::optional<Timestamp> last_before(std::string_view frame);

}  // namespace truetape::coinbase
