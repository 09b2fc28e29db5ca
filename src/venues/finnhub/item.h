// Inside of venues/finnhub: from one entry of a frame or page to one item, quote, headline or symbol.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/event.h"
#include "venues/json.h"
#include "venues/payload.h"

namespace truetape::finnhub {

inline constexpr std::string_view kName = "finnhub";
inline constexpr std::string_view kRestUrl = "https://finnhub.io";  // without path
inline constexpr std::string_view kStreamUrl = "wss://ws.finnhub.io";
inline constexpr std::string_view kRestPath = "/api/v1";

// The instrument of a symbol in the venue's spelling, whose case is kept: what follows the exchange is that exchange's
// own. Characters that an instrument cannot have stand as %XX: "IC MARKETS:1" is finnhub:IC%20MARKETS:1. nullopt: none
// that an instrument can have, or no UTF-8.
std::optional<Instrument> instrument_of(std::string_view symbol);
// And back: what is said to the venue.
std::string symbol_of(const Instrument& instrument);

// A record's answer to: is this entry mine? A frame that speaks of several instruments is there once for each partition
// that it concerns, and each of these records yields only its own.
class Share {
 public:
  explicit Share(const RawRecord& record);
  // Sets `out` to the symbol's instrument if that can be read.
  enum class Verdict : std::uint8_t { mine, foreign, no_symbol };
  Verdict look(const json::Value& symbol, Instrument& out);
  // Whose instrument cannot be read belongs to the record of the frame's first instrument, or to that of none.
  bool has_nameless();
  std::string_view sole() const { return sole_; }  // of a record of one instrument: its symbol; else empty

 private:
  const RawRecord& record_;
  std::string_view sole_;
  Instrument sole_instrument_;
  std::string_view last_;  // symbol as it stands
  Instrument last_instrument_;
  bool last_mine_ = false;
  std::optional<bool> has_nameless_;
};

struct TradeFields {
  json::Value price, symbol, time, volume;
};

// Everything that an entry's reading needs besides its fields.
struct Context : payload::Context {
  Share& share;
  std::optional<Timestamp> receive_time = {};  // of a live frame
};

// One entry of a trade frame, whose bytes are `raw`: a trade, a quote where the volume is 0, or a bad item.
void add_entry(const TradeFields& fields, std::string_view raw, Context& context, Events& out);
// One object of `/news`, `/company-news` or a news frame: a headline, or a bad item.
void add_news(const json::Object& object, std::string_view raw, Context& context, Events& out);
bool is_news(const json::Object& object);

// A new item, numbered by its place in the array; who makes it spoils it.
Item& add_item(std::string_view raw, const Context& context, Events& out);
// Bytes that could not be read at all: the record as one bad item, if it has the nameless.
void add_unreadable(const RawRecord& record, Share& share, const json::Problem& problem, Events& out);

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

}  // namespace truetape::finnhub
