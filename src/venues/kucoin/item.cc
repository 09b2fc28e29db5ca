#include "venues/kucoin/item.h"

#include "core/digits.h"
#include "core/same.h"

namespace truetape::kucoin {
namespace {

using json::Type;
using json::Value;
using payload::shown, payload::spoil, payload::wrong;

// Does the record name this symbol alone, in capital letters, digits and dashes? Then its header is the instrument.
bool is_sole(const Value& symbol, std::string_view named) {
  constexpr std::size_t kPrefix = kVenue.size() + 1;
  if (!begins_with(named, "kucoin:") || symbol.escaped || symbol.text.empty() || named.size() > Instrument::kMaxBytes ||
      named.size() != kPrefix + symbol.text.size())
    return false;
  bool plain = true;
  for (std::size_t i = 0; i < symbol.text.size(); ++i) {
    const char c = symbol.text[i];
    plain &= c == named[kPrefix + i] && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-');
  }
  return plain;
}

bool read_instrument(const Value& symbol, const Context& context, Item& item) {
  const std::string_view named = context.record.instruments;
  if (symbol.type == Type::string && is_sole(symbol, named)) [[likely]] {
    item.trade.instrument.assign_checked(named);
    return true;
  }
  if (symbol.type != Type::string) return wrong(symbol, "symbol", "a text", context, item);
  std::string room;
  const auto instrument = instrument_of(payload::text_of(symbol, room));
  if (!instrument) {
    spoil(item, Reason::unroutable, context, "symbol", " is \"" + shown(symbol.text) + "\", which is no symbol");
    return false;
  }
  item.trade.instrument = *instrument;
  if (!named.empty() && named != instrument->text() && !context.record.names(*instrument)) {
    spoil(item, Reason::unroutable, context, "symbol",
          " is " + instrument->str() + ", but the record was routed to " + shown(named));
    return false;
  }
  return true;
}

// Decimal digits today, 24 hexadecimal ones until 2022; any short text is taken as it stands.
bool read_trade_id(const Value& value, const Context& context, Item& item) {
  if (value.type != Type::string) return wrong(value, "tradeId", "a text", context, item);
  std::string room;
  const std::string_view id = payload::text_of(value, room);
  if (id.empty() || id.size() > Text<40>::kCapacity) {
    spoil(item, Reason::id_range, context, "tradeId", " is \"" + shown(id) + "\", an id of 1 to 40 bytes is needed");
    return false;
  }
  item.trade.id.assign(id);
  return true;
}

void read_side(const Value& value, const Context& context, Item& item) {
  if (value.type != Type::string)
    wrong(value, "side", "a text", context, item);
  else if (is(value.text, "buy"))
    item.trade.taker_side = Side::buy;
  else if (is(value.text, "sell"))
    item.trade.taker_side = Side::sell;
  else
    spoil(item, Reason::side, context, "side", " is \"" + shown(value.text) + "\", buy or sell is needed");
}

// Price, quantity and side, which are the same everywhere; then what the item is.
void finish(const Fields& fields, bool has_id, bool has_time, const Context& context, Item& item) {
  Trade& trade = item.trade;
  if (payload::read_decimal(fields.price, "price", context, item, trade.price) && !trade.price.positive())
    spoil(item, Reason::price, context, "price", " is " + to_text(trade.price) + ", a price above 0 is needed");
  if (payload::read_decimal(fields.size, "size", context, item, trade.quantity) && !trade.quantity.positive())
    spoil(item, Reason::quantity, context, "size", " is " + to_text(trade.quantity) + ", a quantity above 0 is needed");
  read_side(fields.side, context, item);
  if (item.type == Item::Type::bad) [[unlikely]] {
    item.has_id = has_id;
    item.has_time = has_time;
    return;
  }
  item.type = Item::Type::trade;
}

}  // namespace

bool read_time(std::string_view text, TimeUnit unit, std::string_view key, const Context& context, Item& item,
               Timestamp& out) {
  const auto time = digits::natural(text);
  const auto guessed = time ? guess_time_unit(*time) : std::nullopt;
  const std::string_view needed = unit == TimeUnit::ns ? "ns" : "ms";
  if (!guessed) {
    spoil(item, Reason::time_range, context, key,
          " is " + shown(text) + ", which is no time in " + std::string{needed} + " since 1970");
    return false;
  }
  if (*guessed != unit) {
    spoil(item, Reason::time_unit, context, key,
          " is " + shown(text) + ", which has the digits of " + std::string{name(*guessed)} + "; " +
              std::string{needed} + " are needed");
    return false;
  }
  const auto sound = from_epoch(*time, unit);
  if (!sound) {
    spoil(item, Reason::time_range, context, key, " is " + shown(text) + ", which is beyond the year 2262");
    return false;
  }
  out = *sound;
  return true;
}

void make_trade(const Fields& fields, const Context& context, Item& item) {
  Trade& trade = item.trade;
  trade.receive_time = context.record.receive_time;
  const bool known = read_instrument(fields.symbol, context, item);
  const bool sequence = payload::read_text_id(fields.sequence, "sequence", context, item, trade.order);
  trade.first_id = trade.last_id = trade.order;
  const bool id = read_trade_id(fields.trade_id, context, item);
  bool time = false;
  if (fields.time.type == Type::string)
    time = read_time(fields.time.text, TimeUnit::ns, "time", context, item, trade.event_time);
  else
    wrong(fields.time, "time", "a text", context, item);
  finish(fields, known && sequence && id, time, context, item);
}

void make_page_trade(const Fields& fields, const Context& context, Item& item) {
  Trade& trade = item.trade;
  const bool sequence = payload::read_text_id(fields.sequence, "sequence", context, item, trade.order);
  trade.first_id = trade.last_id = trade.order;
  if (sequence) trade.id.assign(fields.sequence.text);  // the stream's tradeId is the same
  bool time = false;
  if (fields.time.type == Type::integer)
    time = read_time(fields.time.text, TimeUnit::ns, "time", context, item, trade.event_time);
  else
    wrong(fields.time, "time", "an integer", context, item);
  finish(fields, sequence, time, context, item);
}

}  // namespace truetape::kucoin
