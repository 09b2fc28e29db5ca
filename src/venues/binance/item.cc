#include "venues/binance/item.h"

#include "core/digits.h"
#include "core/same.h"
#include "core/utf8.h"

namespace truetape::binance {
namespace {

using json::Type;
using json::Value;
using payload::read_id, payload::shown, payload::wrong;

// Does the record name this symbol alone, in capital letters and digits? Then its header is the instrument's text.
bool is_sole(const Value& symbol, const Context& context) {
  const std::string_view named = context.record.instruments;
  const bool of_venue =
      context.product == Product::spot ? begins_with(named, "binance:") : begins_with(named, "binance-usdm:");
  if (!of_venue || symbol.escaped || symbol.text.empty() || named.size() > Instrument::kMaxBytes ||
      named.size() != venue_name(context.product).size() + 1 + symbol.text.size())
    return false;
  const char* const expected = named.data() + named.size() - symbol.text.size();
  bool plain = true;
  for (std::size_t i = 0; i < symbol.text.size(); ++i) {
    const char c = symbol.text[i];
    plain &= c == expected[i] && ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'));
  }
  return plain;
}

bool read_instrument(const TradeFields& fields, const TradeKeys& keys, const Context& context, Item& item) {
  const Value& symbol = fields.symbol;
  if (symbol.type == Type::string && is_sole(symbol, context)) [[likely]] {
    item.trade.instrument.assign_checked(context.record.instruments);
    return true;
  }
  if (symbol.type != Type::string) return wrong(symbol, keys.symbol, "a text", context, item);
  const auto instrument = instrument_of(context.product, symbol.escaped ? json::unescape(symbol.text) : symbol.text);
  if (!instrument) {
    spoil(item, Reason::unroutable, context, keys.symbol, " is \"" + shown(symbol.text) + "\", which is no symbol");
    return false;
  }
  item.trade.instrument = *instrument;
  if (!context.record.instruments.empty() && context.record.instruments != instrument->text() &&
      !context.record.names(*instrument)) {
    spoil(item, Reason::unroutable, context, keys.symbol,
          " is " + instrument->str() + ", but the record was routed to " + shown(context.record.instruments));
    return false;
  }
  return true;
}

}  // namespace

std::optional<Instrument> instrument_of(Product product, std::string_view symbol) {
  char upper[Instrument::kMaxBytes];
  if (symbol.size() > sizeof upper) return std::nullopt;
  unsigned char high = 0;
  for (std::size_t i = 0; i < symbol.size(); ++i) {
    const char c = symbol[i];
    high |= static_cast<unsigned char>(c);
    upper[i] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  if ((high & 0x80) != 0 && !is_utf8(symbol)) return std::nullopt;
  return Instrument::of(venue_name(product), {upper, symbol.size()});
}

bool read_time(const Value& value, std::string_view key, const Context& context, Item& item, Timestamp& out) {
  if (value.type != Type::integer) return wrong(value, key, "an integer", context, item);
  const auto time = digits::natural(value.text);
  // Milliseconds from 2001 to 2262, as most streams have them.
  if (time && *time >= 1'000'000'000'000 && *time <= INT64_MAX / 1'000'000) [[likely]] {
    out = timestamp_ns(*time * 1'000'000);
    return true;
  }
  const auto unit = time ? guess_time_unit(*time) : std::nullopt;
  if (!unit) {
    spoil(item, Reason::time_range, context, key,
          " is " + shown(value.text) + ", which is no time in ms or us since 1970");
    return false;
  }
  if (*unit != TimeUnit::ms && *unit != TimeUnit::us) {
    spoil(item, Reason::time_unit, context, key,
          " is " + shown(value.text) + ", which has the digits of " +
              (*unit == TimeUnit::s ? "seconds" : "nanoseconds") + "; ms or us are needed");
    return false;
  }
  const auto sound = from_epoch(*time, *unit);
  if (!sound) {  // after 2262
    spoil(item, Reason::time_range, context, key, " is " + shown(value.text) + ", which is beyond the year 2262");
    return false;
  }
  out = *sound;
  return true;
}

void make_trade(const TradeFields& fields, const TradeKeys& keys, const Context& context, Item& item) {
  Trade& trade = item.trade;
  trade.tape = context.tape;
  trade.receive_time = context.receive_time;
  bool known = true;
  if (context.instrument)
    trade.instrument = *context.instrument;
  else
    known = read_instrument(fields, keys, context, item);

  bool has_id = read_id(fields.id, keys.id, context, item, trade.order);
  if (has_id) {
    trade.id.assign(fields.id.text);
    trade.first_id = trade.last_id = trade.order;
    if (context.tape == Tape::agg) {
      const bool first = read_id(fields.first, keys.first, context, item, trade.first_id);
      const bool last = read_id(fields.last, keys.last, context, item, trade.last_id);
      has_id = first && last;
      if (has_id && trade.first_id > trade.last_id) {
        spoil(item, Reason::id_range, context, keys.first, " is above the last id of the range");
        has_id = false;
      }
      if (!has_id) trade.first_id = trade.last_id = trade.order;
    }
  }
  const bool price = read_decimal(fields.price, keys.price, context, item, trade.price);
  const bool quantity = read_decimal(fields.quantity, keys.quantity, context, item, trade.quantity);
  bool marker = false;
  if (!keys.kind.empty()) {
    if (fields.kind.type != Type::string) {
      wrong(fields.kind, keys.kind, "a text", context, item);
    } else {
      const std::string_view kind = fields.kind.text;
      marker = (kind.empty() || kind == "NA") && price && quantity && trade.price.mantissa == 0 &&
               trade.quantity.mantissa == 0;
      trade.kind = Text<20>::cut(fields.kind.escaped ? std::string_view{"?"} : kind);
    }
  }
  const bool time = read_time(fields.time, keys.time, context, item, trade.event_time);
  if (fields.maker.type == Type::boolean)
    trade.taker_side =
        fields.maker.text.front() == 't' ? Side::sell : Side::buy;  // the taker met a resting buyer: it sold
  else
    wrong(fields.maker, keys.maker, "a boolean", context, item);

  if (!marker) {
    if (price && !trade.price.positive())
      spoil(item, Reason::price, context, keys.price, " is " + to_text(trade.price) + ", a price above 0 is needed");
    if (quantity && !trade.quantity.positive())
      spoil(item, Reason::quantity, context, keys.quantity,
            " is " + to_text(trade.quantity) + ", a quantity above 0 is needed");
  }
  if (item.type == Item::Type::bad) [[unlikely]] {
    item.has_id = has_id && known;
    item.has_time = time;
    return;
  }
  item.type = marker ? Item::Type::empty : Item::Type::trade;
}

}  // namespace truetape::binance
