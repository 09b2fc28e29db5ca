// From the fields of venues' JSON payloads to items: checks and sentences that the decoders of the venues share. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"
#include "venues/json.h"

namespace truetape::payload {

// Of what kind the bytes are: of a replayed record, those that were in quarantine.
RawKind kind_of(const RawRecord& record);

// Where an object stands in the record, for sentences: "$", "$.data", "$[17]".
struct Place {
  std::string_view stem = "$";              // of static storage
  std::optional<std::size_t> element = {};  // of the array there
  std::string path() const;
};

struct Context {
  const RawRecord& record;
  Place place = {};
};

// At most 40 bytes of a value.
std::string shown(std::string_view text);
// The text of a string value; `room` holds it if it had escapes.
std::string_view text_of(const json::Value& value, std::string& room);

// Makes `item` bad for `reason` unless it is already. `what` follows the path: " is missing".
void spoil(Item& item, Reason reason, const Context& context, std::string_view key, std::string_view what);
// The same for bytes that could not be read at all.
void spoil(Item& item, const json::Problem& problem);
// The same for a value that is missing or of another type than `needed` ("a text"). Always false.
bool wrong(const json::Value& value, std::string_view key, std::string_view needed, const Context& context, Item& item);

// A new item at the end of `out`, with ordinal and raw.
Item& add_item(std::string_view raw, Events& out);
// A bad item whose own instrument could not be read belongs to the record's, if that names exactly one.
void fall_back_to_sole_instrument(const RawRecord& record, Item& item);

// A page of trades was read, its items from `first` on as they stood, and it leaves nothing out between two of its
// trades. If it has the newest first it is turned round, so that the items come in the order of the trades; what is in
// no order stays as it came, and nothing in it follows anything. Numbers the items and sets `follows`.
void order_page(Events& out, std::size_t first);

// A record that is one entry of a symbol list, a JSON object: `fill` reads it, and spoils the item where it cannot.
// Then the reference, or the bad item, is at the end of `out`. `fill` sets the instrument of both.
void read_reference(const RawRecord& record, Events& out,
                    const std::function<void(const json::Object& entry, Item& item, Reference& reference)>& fill);
// A text of an entry; empty, and `item` is spoilt, if it is none.
std::string read_text(const json::Object& from, std::string_view key, const Context& context, Item& item);

// The value of a field. False: `item` is spoilt.
bool read_decimal(const json::Value& value, std::string_view key, const Context& context, Item& item, Decimal& out);
// From 0 to 2^63 - 1, which is what stores and Avro hold; an integer, or digits in a text.
bool read_id(const json::Value& value, std::string_view key, const Context& context, Item& item, std::uint64_t& out);
bool read_text_id(const json::Value& value, std::string_view key, const Context& context, Item& item,
                  std::uint64_t& out);

}  // namespace truetape::payload
