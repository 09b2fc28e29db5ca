// WebSocket frames, raw or in the envelope of combined streams. Two readers that agree: one that expects the venue's
// usual order of keys and no blanks, and a strict one for anything at all.
#include "core/utf8.h"
#include "venues/binance/item.h"
#include "venues/plain_json.h"

namespace truetape::binance {
namespace {

using json::Cursor;
using json::Object;
using json::Type;
using json::Value;

constexpr std::size_t kMaxFrame = 1 << 20;

void add_bad(const RawRecord& record, const json::Problem& problem, Events& out) {
  Item& item = add_item(record.bytes, out);
  spoil(item, problem);
  fall_back_to_sole_instrument(record, item);
}

void add_bad(const Context& context, Reason reason, std::string_view key, std::string_view what, Events& out) {
  Item& item = add_item(context.record.bytes, out);
  spoil(item, reason, context, key, what);
  fall_back_to_sole_instrument(context.record, item);
}

void add_trade(const TradeFields& fields, const TradeKeys& keys, const Context& context, Events& out) {
  Item& item = add_item(context.record.bytes, out);
  make_trade(fields, keys, context, item);
  if (item.type == Item::Type::bad) fall_back_to_sole_instrument(context.record, item);
}

// Fields of a quote are read into an item that stays away when all are sound.
struct QuoteReader {
  const Context& context;
  Item item{};
  Quote quote{};

  void symbol(const Value& value) {
    const auto instrument =
        value.type != Type::string
            ? std::nullopt
            : instrument_of(context.product, value.escaped ? json::unescape(value.text) : value.text);
    if (value.type == Type::none) {
      spoil(item, Reason::missing_field, context, "s", " is missing");
    } else if (value.type != Type::string) {
      spoil(item, Reason::wrong_type, context, "s", " is no text");
    } else if (!instrument) {
      spoil(item, Reason::unroutable, context, "s", " is no symbol");
    } else {
      quote.instrument = item.trade.instrument = *instrument;
      if (!context.record.instruments.empty() && context.record.instruments != instrument->text() &&
          !context.record.names(*instrument))
        spoil(item, Reason::unroutable, context, "s", " is another instrument than the record was routed to");
    }
  }
  void decimal(const Value& value, std::string_view key, std::optional<Decimal>& to) {
    Decimal out;
    if (!read_decimal(value, key, context, item, out)) return;
    if (out.mantissa < 0)
      spoil(item, Reason::price, context, key, " is below 0");
    else
      to = out;
  }
  // A side of the book without orders comes as zeros.
  void side(const Value& price, std::string_view price_key, const Value& quantity, std::string_view quantity_key,
            std::optional<Decimal>& price_to, std::optional<Decimal>& quantity_to) {
    decimal(price, price_key, price_to);
    decimal(quantity, quantity_key, quantity_to);
    if (price_to && price_to->mantissa == 0) {
      price_to.reset();
      quantity_to.reset();
    }
  }
  void order(const Value& value, std::string_view key) {
    // Update ids beyond 63 bits or below zero do not exist; read like a time's digits.
    std::uint64_t id = 0;
    if (value.type == Type::none) return spoil(item, Reason::missing_field, context, key, " is missing");
    if (value.type != Type::integer) return spoil(item, Reason::wrong_type, context, key, " is no integer");
    if (value.text.size() > 18 || value.text[0] == '-')
      return spoil(item, Reason::id_range, context, key, " is no update id");
    for (const char c : value.text) id = id * 10 + static_cast<std::uint64_t>(c - '0');
    quote.order = id;
  }
  void time(const Value& value, std::string_view key) {
    Timestamp out;
    if (read_time(value, key, context, item, out)) quote.event_time = out;
  }
  void finish(Events& out) {
    quote.receive_time = context.receive_time;
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

struct BookFields {
  Value update, symbol, bid, bid_quantity, ask, ask_quantity, time;
};

void add_book(const BookFields& fields, const Context& context, Events& out) {
  QuoteReader reader{context};
  reader.quote.kind = QuoteKind::best;
  reader.symbol(fields.symbol);
  reader.order(fields.update, "u");
  reader.side(fields.bid, "b", fields.bid_quantity, "B", reader.quote.bid, reader.quote.bid_quantity);
  reader.side(fields.ask, "a", fields.ask_quantity, "A", reader.quote.ask, reader.quote.ask_quantity);
  if (context.product == Product::usdm) reader.time(fields.time, "T");  // spot sends no time
  reader.finish(out);
}

void add_ticker(const Object& object, const Context& context, Events& out) {
  QuoteReader reader{context};
  Quote& quote = reader.quote;
  quote.kind = QuoteKind::ticker;
  reader.symbol(object.get('s'));
  reader.time(object.get('E'), "E");
  reader.decimal(object.get('c'), "c", quote.last);
  reader.decimal(object.get('Q'), "Q", quote.last_quantity);
  reader.decimal(object.get('o'), "o", quote.open);
  reader.decimal(object.get('h'), "h", quote.high);
  reader.decimal(object.get('l'), "l", quote.low);
  reader.decimal(object.get('v'), "v", quote.volume);
  reader.decimal(object.get('q'), "q", quote.quote_volume);
  if (context.product == Product::spot) {  // USD-M's ticker has no book
    reader.side(object.get('b'), "b", object.get('B'), "B", quote.bid, quote.bid_quantity);
    reader.side(object.get('a'), "a", object.get('A'), "A", quote.ask, quote.ask_quantity);
  }
  reader.finish(out);
}

const TradeKeys& trade_keys(Product product) { return product == Product::spot ? kSpotTradeKeys : kTradeKeys; }

void decode_event(const Object& object, std::string_view stream, Context& context, Events& out) {
  const Value event = object.get('e');
  if (event.type == Type::none) {
    // Spot's bookTicker and partial depth have no "e"; nor have answers to control messages.
    const bool book = stream.empty() ? object.has('u') && object.has('s') && (object.has('b') || object.has('a'))
                                     : stream.ends_with("@bookTicker");
    if (book) {
      add_book({object.get('u'), object.get('s'), object.get('b'), object.get('B'), object.get('a'), object.get('A'),
                object.get('T')},
               context, out);
    } else if (stream.empty()
                   ? object.has("result") || object.has("error") || object.has("code") || object.has("lastUpdateId")
                   : !stream.ends_with("@trade") && !stream.ends_with("@aggTrade")) {
      ++out.not_a_trade;
    } else {
      add_bad(context, Reason::missing_field, "e", " is missing", out);
    }
    return;
  }
  if (event.type != Type::string) return add_bad(context, Reason::wrong_type, "e", " is no text", out);
  const std::string unescaped = event.escaped ? json::unescape(event.text) : std::string{};
  const std::string_view name = event.escaped ? std::string_view{unescaped} : event.text;
  if (name == "trade") {
    context.tape = Tape::trade;
    add_trade({object.get('s'),
               object.get('t'),
               {},
               {},
               object.get('p'),
               object.get('q'),
               object.get('T'),
               object.get('m'),
               object.get('X')},
              trade_keys(context.product), context, out);
  } else if (name == "aggTrade") {
    context.tape = Tape::agg;
    add_trade({object.get('s'),
               object.get('a'),
               object.get('f'),
               object.get('l'),
               object.get('p'),
               object.get('q'),
               object.get('T'),
               object.get('m'),
               {}},
              kAggKeys, context, out);
  } else if (name == "bookTicker") {
    add_book({object.get('u'), object.get('s'), object.get('b'), object.get('B'), object.get('a'), object.get('A'),
              object.get('T')},
             context, out);
  } else if (name == "24hrTicker") {
    add_ticker(object, context, out);
  } else {
    ++out.not_a_trade;
  }
}

bool fast_trade(Cursor& in, Product product, TradeFields& f) {
  Value ignored;
  if (!in.eat(",\"E\":") || !in.integer(ignored)) return false;
  if (product == Product::usdm) {
    if (!in.eat(",\"T\":") || !in.integer(f.time)) return false;
  }
  if (!in.eat(",\"s\":\"") || !in.text(f.symbol) || !in.eat(",\"t\":") || !in.integer(f.id) || !in.eat(",\"p\":\"") ||
      !in.text(f.price) || !in.eat(",\"q\":\"") || !in.text(f.quantity))
    return false;
  if (product == Product::usdm) {
    if (!in.eat(",\"X\":\"") || !in.text(f.kind) || !in.eat(",\"m\":") || !in.boolean(f.maker)) return false;
    return !in.eat(",\"st\":") || in.integer(ignored);  // since 2026-06
  }
  if (in.eat(",\"b\":") && (!in.integer(ignored) || !in.eat(",\"a\":") || !in.integer(ignored)))
    return false;  // until 2024-06
  return in.eat(",\"T\":") && in.integer(f.time) && in.eat(",\"m\":") && in.boolean(f.maker) && in.eat(",\"M\":") &&
         in.boolean(ignored);
}

bool fast_agg(Cursor& in, Product product, TradeFields& f) {
  Value ignored;
  if (!in.eat(",\"E\":") || !in.integer(ignored)) return false;
  if (in.eat(",\"a\":")) {
    if (!in.integer(f.id) || !in.eat(",\"s\":\"") || !in.text(f.symbol)) return false;
  } else if (!in.eat(",\"s\":\"") || !in.text(f.symbol) || !in.eat(",\"a\":") || !in.integer(f.id)) {
    return false;
  }
  if (!in.eat(",\"p\":\"") || !in.text(f.price) || !in.eat(",\"q\":\"") || !in.text(f.quantity)) return false;
  if (product == Product::usdm && in.eat(",\"nq\":\"") && !in.text(ignored)) return false;
  if (!in.eat(",\"f\":") || !in.integer(f.first) || !in.eat(",\"l\":") || !in.integer(f.last) || !in.eat(",\"T\":") ||
      !in.integer(f.time) || !in.eat(",\"m\":") || !in.boolean(f.maker))
    return false;
  if (product == Product::spot) return in.eat(",\"M\":") && in.boolean(ignored);
  return !in.eat(",\"st\":") || in.integer(ignored);
}

// From the colon of "u" on; the same in both products up to "A".
bool fast_book(Cursor& in, Product product, BookFields& f) {
  Value ignored;
  if (!in.integer(f.update) || !in.eat(",\"s\":\"") || !in.text(f.symbol)) return false;
  if (product == Product::usdm && in.eat(",\"ps\":\"") && !in.text(ignored)) return false;
  if (!in.eat(",\"b\":\"") || !in.text(f.bid) || !in.eat(",\"B\":\"") || !in.text(f.bid_quantity) ||
      !in.eat(",\"a\":\"") || !in.text(f.ask) || !in.eat(",\"A\":\"") || !in.text(f.ask_quantity))
    return false;
  if (product == Product::spot) return true;
  if (!in.eat(",\"T\":") || !in.integer(f.time) || !in.eat(",\"E\":") || !in.integer(ignored)) return false;
  return !in.eat(",\"st\":") || in.integer(ignored);
}

}  // namespace

bool decode_frame_fast(Product product, const RawRecord& record, Events& out) {
  if (record.bytes.size() > kMaxFrame) return false;
  Cursor in{record.bytes};
  Context context{{record}, product, Tape::trade, std::nullopt, record.receive_time};
  Value stream;
  const bool enveloped = in.eat("{\"stream\":\"");
  if (enveloped) {
    if (!in.text(stream) || !in.eat(",\"data\":")) return false;
    context.place.stem = "$.data";
  }
  const auto ends = [&] { return in.eat("}") && (!enveloped || in.eat("}")) && in.at_end(); };
  TradeFields fields;
  if (in.eat("{\"e\":\"trade\"")) {
    if (!fast_trade(in, product, fields) || !ends()) return false;
    add_trade(fields, trade_keys(product), context, out);
    return true;
  }
  if (in.eat("{\"e\":\"aggTrade\"")) {
    if (!fast_agg(in, product, fields) || !ends()) return false;
    context.tape = Tape::agg;
    add_trade(fields, kAggKeys, context, out);
    return true;
  }
  BookFields book;
  if (product == Product::usdm ? in.eat("{\"e\":\"bookTicker\",\"u\":") : in.eat("{\"u\":")) {
    if (product == Product::spot && enveloped && !stream.text.ends_with("@bookTicker")) return false;
    if (!fast_book(in, product, book) || !ends()) return false;
    add_book(book, context, out);
    return true;
  }
  return false;
}

void decode_frame_strict(Product product, const RawRecord& record, Events& out) {
  if (const auto had = record.header(header::cut))  // by an importer, whose records hold less
    return add_bad(
        record, {Reason::too_large, record.bytes.size(), "was cut off: it had " + std::string{*had} + " bytes"}, out);
  if (record.bytes.size() > kMaxFrame)
    return add_bad(record, {Reason::too_large, kMaxFrame, "goes on; a frame may have 1 MiB"}, out);
  if (!is_utf8(record.bytes)) return add_bad(record, {Reason::encoding, 0, "is not UTF-8"}, out);
  Context context{{record}, product, Tape::trade, std::nullopt, record.receive_time};
  json::Reader reader{record.bytes};
  reader.blanks();
  if (reader.at_end() || reader.peek() != '{') {
    Value value;
    if (!reader.value(value)) return add_bad(record, reader.problem(), out);
    reader.blanks();
    if (!reader.at_end()) return add_bad(record, {Reason::syntax, reader.position(), "goes on behind its end"}, out);
    if (value.type == Type::array) {
      ++out.not_a_trade;  // all-market streams
      return;
    }
    return add_bad(context, Reason::wrong_type, "",
                   " is " + std::string{json::name(value.type)} + ", an object is needed", out);
  }
  Object top;
  json::Problem problem;
  if (!top.read(record.bytes, problem)) return add_bad(record, problem, out);
  const Value stream = top.get("stream");
  if (stream.type == Type::none) return decode_event(top, {}, context, out);
  if (stream.type != Type::string) return add_bad(context, Reason::wrong_type, "stream", " is no text", out);
  const Value data = top.get("data");
  if (data.type == Type::none) return add_bad(context, Reason::missing_field, "data", " is missing", out);
  if (data.type == Type::array) {
    ++out.not_a_trade;
    return;
  }
  if (data.type != Type::object) return add_bad(context, Reason::wrong_type, "data", " is no object", out);
  Object object;
  if (!object.read(data.text, problem)) {
    problem.at += static_cast<std::size_t>(data.text.data() - record.bytes.data());
    return add_bad(record, problem, out);
  }
  context.place.stem = "$.data";
  decode_event(object, stream.text, context, out);
}

void decode_frame(Product product, const RawRecord& record, Events& out) {
  if (!decode_frame_fast(product, record, out)) decode_frame_strict(product, record, out);
}

}  // namespace truetape::binance
