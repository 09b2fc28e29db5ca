// WebSocket frames: trades, tickers, best bids and asks. What they say is read in message.cc.
#include "venues/kucoin/item.h"

namespace truetape::kucoin {
namespace {

using json::Type;
using json::Value;
using payload::add_item, payload::fall_back_to_sole_instrument, payload::spoil, payload::wrong;

constexpr std::size_t kMaxFrame = 1 << 20;

void add_bad(const RawRecord& record, const json::Problem& problem, Events& out) {
  Item& item = add_item(record.bytes, out);
  spoil(item, problem);
  fall_back_to_sole_instrument(record, item);
}

void add_wrong(const Value& value, std::string_view key, std::string_view needed, const Context& context, Events& out) {
  Item& item = add_item(context.record.bytes, out);
  wrong(value, key, needed, context, item);
  fall_back_to_sole_instrument(context.record, item);
}

void add_trade(const Message& message, const Context& context, Events& out) {
  Item& item = add_item(context.record.bytes, out);
  make_trade(message.fields, context, item);
  // The record is routed by the topic. Both name the same, or nobody knows whose trade it is.
  if (item.type != Item::Type::bad && item.trade.instrument.text() != context.record.instruments)
    if (const auto of_topic = instrument_of(message); of_topic && *of_topic != item.trade.instrument)
      spoil(item, Reason::unroutable, context, "symbol",
            " is " + item.trade.instrument.str() + ", but the topic is of " + of_topic->str());
  if (item.type == Item::Type::bad) fall_back_to_sole_instrument(context.record, item);
}

// Fields of a quote are read into an item that stays away when all are sound.
struct QuoteReader {
  const Context& context;
  Item item{};
  Quote quote{};

  void instrument(const Message& message) {
    const auto of = instrument_of(message);
    const std::string_view named = context.record.instruments;
    if (!of) {
      spoil(item, Reason::unroutable, {context.record}, "topic", " has no symbol");
      return;
    }
    quote.instrument = item.trade.instrument = *of;
    if (!named.empty() && named != of->text() && !context.record.names(*of))
      spoil(item, Reason::unroutable, {context.record}, "topic", " is of another instrument than the record");
  }
  // null, nothing between the quotes and 0 all stand for: there is none.
  void decimal(const Value& value, std::string_view key, std::optional<Decimal>& to) {
    if (value.type == Type::null || (value.type == Type::string && value.text.empty())) return;
    Decimal out;
    if (!payload::read_decimal(value, key, context, item, out)) return;
    if (out.mantissa < 0)
      spoil(item, Reason::price, context, key, " is below 0");
    else
      to = out;
  }
  void pair(const Value& price, std::string_view price_key, const Value& quantity, std::string_view quantity_key,
            std::optional<Decimal>& price_to, std::optional<Decimal>& quantity_to) {
    decimal(price, price_key, price_to);
    decimal(quantity, quantity_key, quantity_to);
    if (price_to && price_to->mantissa != 0) return;
    price_to.reset();
    quantity_to.reset();
  }
  // [price, quantity], or nothing.
  void side(const Value& value, std::string_view key, std::optional<Decimal>& price, std::optional<Decimal>& quantity) {
    if (value.type == Type::null) return;
    if (value.type != Type::array) {
      wrong(value, key, "an array", context, item);
      return;
    }
    json::Reader in{value.text};  // which has been checked as a whole
    Value both[2];
    std::size_t count = 0;
    in.take('[');
    for (in.blanks(); !in.at_end() && in.peek() != ']'; in.blanks()) {
      Value entry;
      in.value(entry);
      if (count < 2) both[count] = entry;
      ++count;
      in.blanks();
      in.take(',');
    }
    if (count == 0) return;
    if (count != 2)
      spoil(item, Reason::wrong_type, context, key,
            " has " + std::to_string(count) + " elements, price and quantity are needed");
    else
      pair(both[0], key, both[1], key, price, quantity);
  }
  void time(const Value& value, std::string_view key) {
    Timestamp out;
    if (value.type != Type::integer)
      wrong(value, key, "an integer", context, item);
    else if (read_time(value.text, TimeUnit::ms, key, context, item, out))
      quote.event_time = out;
  }
  void finish(Events& out) {
    quote.receive_time = context.record.receive_time;
    if (item.type != Item::Type::bad) {
      out.quotes.push_back(quote);
      return;
    }
    item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(out.items.size());
    item.raw = context.record.bytes;
    fall_back_to_sole_instrument(context.record, item);
    out.items.push_back(std::move(item));
  }
};

void add_ticker(const Message& message, const Context& context, Events& out) {
  const Fields& f = message.fields;
  QuoteReader reader{context};
  Quote& quote = reader.quote;
  quote.kind = QuoteKind::ticker;
  reader.instrument(message);
  payload::read_text_id(f.sequence, "sequence", context, reader.item, quote.order);
  reader.pair(f.price, "price", f.size, "size", quote.last, quote.last_quantity);
  reader.pair(f.best_bid, "bestBid", f.best_bid_size, "bestBidSize", quote.bid, quote.bid_quantity);
  reader.pair(f.best_ask, "bestAsk", f.best_ask_size, "bestAskSize", quote.ask, quote.ask_quantity);
  if (f.time.type != Type::none) reader.time(f.time, "time");  // older ones have none
  reader.finish(out);
}

void add_best(const Message& message, const Context& context, Events& out) {
  const Fields& f = message.fields;
  QuoteReader reader{context};
  Quote& quote = reader.quote;
  quote.kind = QuoteKind::best;
  reader.instrument(message);
  reader.side(f.bids, "bids", quote.bid, quote.bid_quantity);
  reader.side(f.asks, "asks", quote.ask, quote.ask_quantity);
  reader.time(f.timestamp, "timestamp");
  reader.finish(out);
}

void decode(const Message& message, const RawRecord& record, Events& out) {
  const Context top{record};
  std::string type_room, topic_room, subject_room;
  if (message.type.type != Type::string) return add_wrong(message.type, "type", "a text", top, out);
  if (payload::text_of(message.type, type_room) != "message") {  // welcome, ack, pong, error, notice …
    ++out.not_a_trade;
    return;
  }
  if (message.topic.type != Type::string) return add_wrong(message.topic, "topic", "a text", top, out);
  if (message.subject.type != Type::string) return add_wrong(message.subject, "subject", "a text", top, out);
  const std::string_view subject = payload::text_of(message.subject, subject_room);
  const bool trade = subject == "trade.l3match", best = subject == "level1";
  const bool ticker = subject == "trade.ticker" || payload::text_of(message.topic, topic_room) == "/market/ticker:all";
  if (!trade && !best && !ticker) {
    ++out.not_a_trade;
    return;
  }
  if (message.data.type != Type::object) return add_wrong(message.data, "data", "an object", top, out);
  const Context context{record, {"$.data"}};
  if (trade)
    add_trade(message, context, out);
  else if (best)
    add_best(message, context, out);
  else
    add_ticker(message, context, out);
}

}  // namespace

bool decode_frame_fast(const RawRecord& record, Events& out) {
  if (record.bytes.size() > kMaxFrame) return false;
  Message message;
  if (!read_plain(record.bytes, message)) return false;
  decode(message, record, out);
  return true;
}

void decode_frame_strict(const RawRecord& record, Events& out) {
  if (const auto had = record.header(header::cut))  // by an importer, whose records hold less
    return add_bad(
        record, {Reason::too_large, record.bytes.size(), "was cut off: it had " + std::string{*had} + " bytes"}, out);
  if (record.bytes.size() > kMaxFrame)
    return add_bad(record, {Reason::too_large, kMaxFrame, "goes on; a frame may have 1 MiB"}, out);
  Message message;
  Room room;
  json::Problem problem;
  if (!read_strict(record.bytes, message, room, problem)) return add_bad(record, problem, out);
  decode(message, record, out);
}

void decode_frame(const RawRecord& record, Events& out) {
  if (!decode_frame_fast(record, out)) decode_frame_strict(record, out);
}

}  // namespace truetape::kucoin
