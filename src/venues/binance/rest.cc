// REST answers: pages of trades (trades, historicalTrades, aggTrades) and entries of exchangeInfo.
#include "core/utf8.h"
#include "venues/binance/item.h"

namespace truetape::binance {
namespace {

using json::Object;
using json::Type;
using json::Value;

constexpr TradeKeys kPageTradeKeys{"", "id", "", "", "price", "qty", "time", "isBuyerMaker", ""};
constexpr TradeKeys kPageAggKeys{"", "a", "f", "l", "p", "q", "T", "m", ""};

bool readable_id(const Item& item) { return item.type != Item::Type::bad || item.has_id; }

void spoil_at(Item& item, json::Problem problem, std::size_t base) {
  problem.at += base;
  spoil(item, problem);
}

void decode_element(const Value& element, std::size_t base, const Context& context, Item& item) {
  if (element.type != Type::object) {
    spoil(item, Reason::wrong_type, context, "",
          " is " + std::string{json::name(element.type)} + ", an object is needed");
    return;
  }
  Object object;
  json::Problem problem;
  if (!object.read(element.text, problem)) return spoil_at(item, problem, base);
  if (context.tape == Tape::agg) {
    make_trade({{},
                object.get('a'),
                object.get('f'),
                object.get('l'),
                object.get('p'),
                object.get('q'),
                object.get('T'),
                object.get('m'),
                {}},
               kPageAggKeys, context, item);
    return;
  }
  make_trade({{},
              object.get("id"),
              {},
              {},
              object.get("price"),
              object.get("qty"),
              object.get("time"),
              object.get("isBuyerMaker"),
              {}},
             kPageTradeKeys, context, item);
  // USD-M's REST has only fills of the order book and tells which of two kinds they are, where the stream has "X".
  if (context.product == Product::usdm)
    item.trade.kind = Text<20>::cut(object.get("isRPITrade").text == "true" ? "RPI" : "MARKET");
}

}  // namespace

void decode_page(Product product, const RawRecord& record, Events& out) {
  const auto tape = parse_tape(record.header(header::tape).value_or("trade"));
  Context context{{record, {"$", 0}}, product, tape.value_or(Tape::trade)};
  context.instrument = Instrument::parse(record.instruments.substr(0, record.instruments.find(',')));
  const auto bad_page = [&](Reason reason, std::string_view what) {
    Item& item = add_item(record.bytes, out);
    context.place.element.reset();
    spoil(item, reason, context, "", what);
    fall_back_to_sole_instrument(record, item);
  };
  if (!context.instrument) return bad_page(Reason::unroutable, " belongs to no instrument: the record names none");
  if (!is_utf8(record.bytes)) return bad_page(Reason::encoding, " is not UTF-8");

  json::Reader reader{record.bytes};
  reader.blanks();
  if (!reader.at_end() && reader.peek() == '{') {  // one item of a page, judged again
    context.place.element.reset();
    Item& item = add_item(record.bytes, out);
    item.trade.instrument = *context.instrument;
    decode_element({Type::object, false, record.bytes}, 0, context, item);
    return;
  }
  if (!reader.take('[')) return bad_page(Reason::wrong_type, " is no array");
  bool neighbour = false;
  const auto broken = [&](std::size_t from) {  // the rest of the page as one item: what came before stands
    Item& item = add_item(record.bytes.substr(from), out);
    item.trade.instrument = *context.instrument;
    spoil(item, reader.problem());
  };
  reader.blanks();
  if (!reader.take(']')) {
    for (;; ++*context.place.element) {
      reader.blanks();
      const std::size_t from = reader.position();
      Value element;
      if (!reader.value(element)) return broken(from);
      const bool quoted = element.type == Type::string;
      Item& item = add_item(quoted ? record.bytes.substr(from, element.text.size() + 2) : element.text, out);
      item.trade.instrument = *context.instrument;
      decode_element(element, from, context, item);
      item.follows = neighbour && readable_id(item);
      neighbour = readable_id(item);
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) {
        reader.fail("has no comma where one is needed");
        return broken(reader.position());
      }
    }
  }
  reader.blanks();
  if (!reader.at_end()) {
    reader.fail("goes on behind its end");
    broken(reader.position());
  }
}

void decode_reference(Product product, const RawRecord& record, Events& out) {
  const Context context{{record}, product};
  Item item;
  Reference reference;
  const auto finish_bad = [&] {
    item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(out.items.size());
    item.raw = record.bytes;
    fall_back_to_sole_instrument(record, item);
    out.items.push_back(std::move(item));
  };
  Object object;
  json::Problem problem;
  if (!is_utf8(record.bytes)) {
    spoil(item, Reason::encoding, context, "", " is not UTF-8");
    return finish_bad();
  }
  if (!object.read(record.bytes, problem)) {
    spoil(item, problem);
    return finish_bad();
  }
  const auto text = [&](const Object& from, std::string_view key) -> std::string {
    const Value value = from.get(key);
    if (value.type == Type::string) return value.escaped ? json::unescape(value.text) : std::string{value.text};
    if (value.type == Type::none)
      spoil(item, Reason::missing_field, context, key, " is missing");
    else
      spoil(item, Reason::wrong_type, context, key, " is no text");
    return {};
  };
  const std::string symbol = text(object, "symbol");
  reference.base = text(object, "baseAsset");
  reference.quote = text(object, "quoteAsset");
  reference.status = text(object, "status");
  // Delivery contracts keep their date: "BTC-USDT-250328".
  const std::size_t dated = symbol.find('_');
  reference.name =
      reference.base + '-' + reference.quote + (dated == std::string::npos ? "" : '-' + symbol.substr(dated + 1));
  if (const auto instrument = instrument_of(product, symbol))
    reference.instrument = item.trade.instrument = *instrument;
  else
    spoil(item, Reason::unroutable, context, "symbol", " is no symbol");

  const Value filters = object.get("filters");
  if (filters.type != Type::array) {
    spoil(item, filters.type == Type::none ? Reason::missing_field : Reason::wrong_type, context, "filters",
          " is no array");
    return finish_bad();
  }
  json::Reader reader{filters.text};
  reader.take('[');
  reader.blanks();
  while (!reader.at_end() && reader.peek() != ']') {  // `filters` has been checked as a whole
    Value entry;
    reader.value(entry);
    reader.blanks();
    reader.take(',');
    reader.blanks();
    Object filter;
    if (entry.type != Type::object) continue;
    if (!filter.read(entry.text, problem)) {
      spoil(item, problem);
      break;
    }
    const std::string_view type = filter.get("filterType").text;
    const bool price = type == "PRICE_FILTER";
    if (!price && type != "LOT_SIZE") continue;
    Decimal step;
    const std::string_view key = price ? "tickSize" : "stepSize";
    if (!read_decimal(filter.get(key), key, context, item, step)) break;
    if (step.positive()) (price ? reference.tick : reference.lot) = step;  // 0: the filter is switched off
  }
  if (item.type == Item::Type::bad) return finish_bad();
  out.references.push_back(std::move(reference));
}

}  // namespace truetape::binance
