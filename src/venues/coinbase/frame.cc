// WebSocket frames: trades and tickers.
#include "core/same.h"
#include "core/utf8.h"
#include "venues/coinbase/item.h"

namespace truetape::coinbase {
namespace {

using json::Object;
using json::Type;
using json::Value;
using payload::add_item, payload::fall_back_to_sole_instrument, payload::spoil, payload::wrong;

constexpr std::size_t kMaxFrame = 1 << 20;

void add_bad(const RawRecord& record, const json::Problem& problem, Events& out) {
  Item& item = add_item(record.bytes, out);
  spoil(item, problem);
  fall_back_to_sole_instrument(record, item);
}

// Whole order books are sent when their channel is subscribed to, and can be of any size.
bool is_book(std::string_view frame) { return frame.starts_with(R"({"type":"snapshot",)"); }

void add_trade(const Object& frame, const Context& context, Events& out) {
  Item& item = add_item(context.record.bytes, out);
  item.trade.receive_time = context.record.receive_time;
  const bool known = read_instrument(frame.get("product_id"), context, item);
  make_trade(frame, known, context, item);
  if (item.type == Item::Type::bad) fall_back_to_sole_instrument(context.record, item);
}

// Fields of a quote are read into an item that stays away when all are sound.
struct QuoteReader {
  const Object& frame;
  const Context& context;
  Item item{};

  // nullopt where the frame has none: missing, null, without digits; so it is of an empty side of the book, and of
  // fields that the first frames of a new product, and older ones, do not have.
  std::optional<Decimal> decimal(std::string_view key) {
    const Value value = frame.get(key);
    if (value.type == Type::none || value.type == Type::null) return std::nullopt;
    if (value.type == Type::string && value.text.empty()) return std::nullopt;
    Decimal out;
    if (!payload::read_decimal(value, key, context, item, out)) return std::nullopt;
    if (out.mantissa < 0) {
      spoil(item, Reason::price, context, key, " is below 0");
      return std::nullopt;
    }
    return out;
  }
  // Price and quantity of one side. A price of 0 stands for none.
  void side(std::string_view price, std::string_view quantity, std::optional<Decimal>& price_to,
            std::optional<Decimal>& quantity_to) {
    price_to = decimal(price);
    quantity_to = decimal(quantity);
    if (price_to && price_to->mantissa != 0) return;
    price_to.reset();
    quantity_to.reset();
  }
};

// One frame tells the last day's values, and the best bid and ask as they were after the match that caused it.
void add_ticker(const Object& frame, const Context& context, Events& out) {
  QuoteReader reader{frame, context};
  Item& item = reader.item;
  Quote best;
  read_instrument(frame.get("product_id"), context, item);
  best.instrument = item.trade.instrument;
  best.receive_time = context.record.receive_time;
  payload::read_id(frame.get("sequence"), "sequence", context, item, best.order);
  if (frame.has("time")) {
    Timestamp time;
    if (read_time(frame.get("time"), "time", context, item, time)) best.event_time = time;
  }
  reader.side("best_bid", "best_bid_size", best.bid, best.bid_quantity);
  reader.side("best_ask", "best_ask_size", best.ask, best.ask_quantity);
  Quote ticker = best;
  ticker.kind = QuoteKind::ticker;
  reader.side("price", "last_size", ticker.last, ticker.last_quantity);
  ticker.open = reader.decimal("open_24h");
  ticker.high = reader.decimal("high_24h");
  ticker.low = reader.decimal("low_24h");
  ticker.volume = reader.decimal("volume_24h");
  if (item.type != Item::Type::bad) {
    if (best.bid || best.ask) out.quotes.push_back(best);
    out.quotes.push_back(ticker);
    return;
  }
  item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(out.items.size());
  item.raw = context.record.bytes;
  fall_back_to_sole_instrument(context.record, item);
  out.items.push_back(std::move(item));
}

}  // namespace

void decode_frame(const RawRecord& record, Events& out) {
  const auto had = record.header(header::cut);  // by an importer, whose records hold less
  if (had || record.bytes.size() > kMaxFrame) {
    if (is_book(record.bytes)) {
      ++out.not_a_trade;
      return;
    }
    if (had)
      return add_bad(
          record, {Reason::too_large, record.bytes.size(), "was cut off: it had " + std::string{*had} + " bytes"}, out);
    return add_bad(record, {Reason::too_large, kMaxFrame, "goes on; a frame may have 1 MiB"}, out);
  }
  if (!is_utf8(record.bytes)) return add_bad(record, {Reason::encoding, 0, "is not UTF-8"}, out);
  Object frame;
  json::Problem problem;
  if (!frame.read(record.bytes, problem)) return add_bad(record, problem, out);
  const Context context{record};
  const Value type = frame.get("type");
  if (type.type != Type::string) {
    Item& item = add_item(record.bytes, out);
    wrong(type, "type", "a text", context, item);
    fall_back_to_sole_instrument(record, item);
  } else if (is(type.text, "match") || is(type.text, "last_match")) {
    add_trade(frame, context, out);
  } else if (is(type.text, "ticker")) {
    add_ticker(frame, context, out);
  } else {
    ++out.not_a_trade;
  }
}

}  // namespace truetape::coinbase
