#include "venues/coinbase/item.h"

#include "core/same.h"
#include "core/utf8.h"

namespace truetape::coinbase {
namespace {

using json::Type;
using json::Value;
using payload::shown, payload::spoil, payload::wrong;

// The venue tells the maker's side: whoever took a resting sell order bought.
void read_side(const Value& value, const Context& context, Item& item) {
  if (value.type != Type::string)
    wrong(value, "side", "a text", context, item);
  else if (is(value.text, "sell"))
    item.trade.taker_side = Side::buy;
  else if (is(value.text, "buy"))
    item.trade.taker_side = Side::sell;
  else
    spoil(item, Reason::side, context, "side", " is \"" + shown(value.text) + "\", buy or sell is needed");
}

}  // namespace

std::optional<Instrument> instrument_of(std::string_view product_id) {
  char upper[Instrument::kMaxBytes];
  if (product_id.size() > sizeof upper || !is_utf8(product_id)) return std::nullopt;
  for (std::size_t i = 0; i < product_id.size(); ++i) {
    const char c = product_id[i];
    upper[i] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return Instrument::of(kVenue, {upper, product_id.size()});
}

std::optional<Timestamp> time_of(std::string_view text) {
  if (text.size() < 20 || text.size() > 30 || text[10] != 'T' || text[16] != ':' || text.back() != 'Z')
    return std::nullopt;
  return parse_rfc3339(text);
}

bool read_time(const Value& value, std::string_view key, const Context& context, Item& item, Timestamp& out) {
  if (value.type != Type::string) return wrong(value, key, "a text", context, item);
  const auto time = time_of(value.text);
  if (!time) {
    spoil(item, Reason::time_range, context, key,
          " is \"" + shown(value.text) + "\", which is no time such as 2021-04-17T16:43:37.089723Z");
    return false;
  }
  out = *time;
  return true;
}

bool read_instrument(const Value& product_id, const Context& context, Item& item) {
  if (product_id.type != Type::string) return wrong(product_id, "product_id", "a text", context, item);
  std::string room;
  const auto instrument = instrument_of(payload::text_of(product_id, room));
  if (!instrument) {
    spoil(item, Reason::unroutable, context, "product_id",
          " is \"" + shown(product_id.text) + "\", which is no product");
    return false;
  }
  item.trade.instrument = *instrument;
  const std::string_view named = context.record.instruments;
  if (!named.empty() && named != instrument->text() && !context.record.names(*instrument)) {
    spoil(item, Reason::unroutable, context, "product_id",
          " is " + instrument->str() + ", but the record was routed to " + shown(named));
    return false;
  }
  return true;
}

void make_trade(const json::Object& fields, bool known, const Context& context, Item& item) {
  Trade& trade = item.trade;
  const Value id = fields.get("trade_id");
  const bool has_id = payload::read_id(id, "trade_id", context, item, trade.order);
  trade.first_id = trade.last_id = trade.order;
  if (has_id) trade.id.assign(id.text);
  const bool has_time = read_time(fields.get("time"), "time", context, item, trade.event_time);
  if (payload::read_decimal(fields.get("price"), "price", context, item, trade.price) && !trade.price.positive())
    spoil(item, Reason::price, context, "price", " is " + to_text(trade.price) + ", a price above 0 is needed");
  if (payload::read_decimal(fields.get("size"), "size", context, item, trade.quantity) && !trade.quantity.positive())
    spoil(item, Reason::quantity, context, "size", " is " + to_text(trade.quantity) + ", a quantity above 0 is needed");
  read_side(fields.get("side"), context, item);
  if (item.type != Item::Type::bad) {
    item.type = Item::Type::trade;
    return;
  }
  item.has_id = known && has_id;
  item.has_time = has_time;
}

}  // namespace truetape::coinbase
