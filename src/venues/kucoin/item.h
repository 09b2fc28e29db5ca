// Inside of venues/kucoin: what a frame says, and from the fields of one trade, wherever they stood, to one item.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "venues/klines.h"
#include "venues/payload.h"

namespace truetape::kucoin {

using payload::Context;

inline constexpr std::string_view kVenue = "kucoin";
inline constexpr std::string_view kRestUrl = "https://api.kucoin.com";  // of its REST interface, without path

// Members of `data` in all payloads that are read. Type none: it is not there.
struct Fields {
  json::Value symbol, sequence, side, size, price, taker_order, maker_order, trade_id, time, type;
  json::Value best_bid, best_bid_size, best_ask, best_ask_size, bids, asks, timestamp;
};

// A frame.
struct Message {
  json::Value type, topic, subject, data, id;
  json::Value timestamp;  // of a pong
  json::Value code;       // of an error; only read_strict reads it
  Fields fields;          // of `data`, if that is an object
};

// message.cc. What a frame says, if it is written as the venue does: flat, without blanks and escapes, in any order of
// keys. False: read_strict must be asked.
bool read_plain(std::string_view frame, Message& out);
// Of any frame; `room` keeps what `out` needs. False: it is no JSON object, or `data` has a key twice; `problem` says
// where. What was read until then stays.
struct Room {
  json::Object top, data;
};
bool read_strict(std::string_view frame, Message& out, Room& room, json::Problem& problem);

// Whom it speaks of: its topic's symbol, of all tickers its subject, else its data's symbol.
std::optional<Instrument> instrument_of(const Message& message);
// Symbol in any case. nullopt: none that an instrument can have.
std::optional<Instrument> instrument_of(std::string_view symbol);

// item.cc. Fills `item`, whose raw and ordinal are set, as trade or bad. Of a page, whose elements have no symbol and
// no id but the sequence, and whose time is a number, the instrument is set, too.
void make_trade(const Fields& fields, const Context& context, Item& item);
void make_page_trade(const Fields& fields, const Context& context, Item& item);
// A number of nanoseconds or milliseconds since 1970. False: `item` is spoilt.
bool read_time(std::string_view text, TimeUnit unit, std::string_view key, const Context& context, Item& item,
               Timestamp& out);

// frame.cc
void decode_frame(const RawRecord& record, Events& out);
bool decode_frame_fast(const RawRecord& record, Events& out);    // false: nothing done, use the next
void decode_frame_strict(const RawRecord& record, Events& out);  // any frame at all
// rest.cc
void decode_page(const RawRecord& record, Events& out);
void decode_reference(const RawRecord& record, Events& out);
// route.cc
void route(std::string_view frame, std::vector<Instrument>& out);
std::optional<Timestamp> sent_time(std::string_view frame);
// klines.cc
extern const Klines kKlines;
std::string percent_encoded(std::string_view text);  // for a query
// `data` of a REST answer, of any type; an error has the venue's own words, if there are some.
Result<json::Value> answer_data(std::string_view answer, json::Object& object);
Result<Timestamp> server_time(std::string_view answer);  // of /api/v1/timestamp

}  // namespace truetape::kucoin
