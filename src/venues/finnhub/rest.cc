// REST answers: pages of `/news` and `/company-news`, and entries of the symbol lists.
#include "core/utf8.h"
#include "venues/finnhub/item.h"

namespace truetape::finnhub {
using json::Object;
using json::Type;
using json::Value;
using payload::spoil;

void decode_page(const RawRecord& record, Events& out) {
  Share share{record};
  Context context{{record}, share};
  if (!is_utf8(record.bytes)) return add_unreadable(record, share, {Reason::encoding, 0, "is not UTF-8"}, out);
  const auto element = [&](const Value& value, std::size_t at) {
    Object object;
    json::Problem problem;
    if (value.type == Type::object && object.read(value.text, problem)) {
      if (is_news(object)) return add_news(object, value.text, context, out);
      problem = {Reason::missing_field, 0, "has no headline and datetime"};
    } else if (value.type != Type::object) {
      problem = {Reason::wrong_type, 0, "is " + std::string{json::name(value.type)} + ", an object is needed"};
    }
    if (!share.has_nameless()) return;
    const std::string_view raw =
        value.type == Type::string ? record.bytes.substr(at, value.text.size() + 2) : value.text;
    spoil(add_item(raw, context, out), problem.reason, context, "", " " + problem.what);
  };

  json::Reader reader{record.bytes};
  reader.blanks();
  if (!reader.at_end() && reader.peek() == '{')  // one headline of a page, judged again
    return element({Type::object, false, record.bytes}, 0);
  if (!reader.take('['))
    return add_unreadable(record, share, {Reason::wrong_type, reader.position(), "is no array"}, out);
  context.place.element = 0;
  const auto broken = [&](std::size_t from) {  // the rest of the page as one item: what came before stands
    if (share.has_nameless()) spoil(add_item(record.bytes.substr(from), context, out), reader.problem());
  };
  reader.blanks();
  if (reader.take(']')) {
    if (share.has_nameless()) ++out.not_a_trade;
  } else {
    for (;; ++*context.place.element) {
      reader.blanks();
      const std::size_t from = reader.position();
      Value value;
      if (!reader.value(value)) return broken(from);
      element(value, from);
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) {
        reader.fail("has no comma where one is needed");
        ++*context.place.element;
        return broken(reader.position());
      }
    }
  }
  reader.blanks();
  if (!reader.at_end()) {
    reader.fail("goes on behind its end");
    ++*context.place.element;
    broken(reader.position());
  }
}

void decode_reference(const RawRecord& record, Events& out) {
  Share share{record};
  Context context{{record}, share};
  if (!is_utf8(record.bytes)) return add_unreadable(record, share, {Reason::encoding, 0, "is not UTF-8"}, out);
  Object object;
  json::Problem problem;
  if (!object.read(record.bytes, problem)) return add_unreadable(record, share, problem, out);
  Item item;
  Reference reference;
  const auto text = [&](std::string_view key, bool needed) -> std::string {
    const Value value = object.get(key);
    if (value.type == Type::string) return value.escaped ? json::unescape(value.text) : std::string{value.text};
    if (value.type == Type::none || value.type == Type::null) {
      if (needed) spoil(item, Reason::missing_field, context, key, " is missing");
    } else {
      spoil(item, Reason::wrong_type, context, key, " is no text");
    }
    return {};
  };
  const std::string symbol = text("symbol", true), shown_as = text("displaySymbol", false),
                    currency = text("currency", false);
  if (const auto instrument = instrument_of(symbol))
    reference.instrument = *instrument;
  else
    spoil(item, Reason::unroutable, context, "symbol", " is no symbol");
  // "BTC/USDT" of crypto and forex; of shares the ticker, and the currency apart.
  const std::string display = shown_as.empty() ? symbol : shown_as;
  const std::size_t slash = display.find('/');
  if (slash != std::string::npos) {
    reference.base = display.substr(0, slash);
    reference.quote = display.substr(slash + 1);
    reference.name = reference.base + '-' + reference.quote;
  } else {
    reference.base = reference.name = display;
    reference.quote = currency;
  }
  if (item.type != Item::Type::bad) {
    out.references.push_back(std::move(reference));
    return;
  }
  Item& bad = add_item(record.bytes, context, out);
  bad.type = Item::Type::bad;
  bad.reason = item.reason;
  bad.detail = std::move(item.detail);
  if (!reference.instrument.empty()) bad.trade.instrument = reference.instrument;
  payload::fall_back_to_sole_instrument(record, bad);
}

}  // namespace truetape::finnhub
