// REST answers: the page of an instrument's last trades (`market/histories`) and entries of the symbol list
// (`symbols`).
#include "core/utf8.h"
#include "venues/kucoin/item.h"

namespace truetape::kucoin {
namespace {

using json::Object;
using json::Type;
using json::Value;
using payload::add_item, payload::fall_back_to_sole_instrument, payload::shown, payload::spoil, payload::wrong;

void decode_element(const Value& element, std::size_t base, const Context& context, Item& item) {
  if (element.type != Type::object) {
    spoil(item, Reason::wrong_type, context, "",
          " is " + std::string{json::name(element.type)} + ", an object is needed");
    return;
  }
  Object object;
  json::Problem problem;
  if (!object.read(element.text, problem)) {
    problem.at += base;
    return spoil(item, problem);
  }
  Fields fields;
  fields.sequence = object.get("sequence");
  fields.price = object.get("price");
  fields.size = object.get("size");
  fields.side = object.get("side");
  fields.time = object.get("time");
  make_page_trade(fields, context, item);
}

}  // namespace

void decode_page(const RawRecord& record, Events& out) {
  Context context{record};
  const auto instrument = Instrument::parse(record.instruments.substr(0, record.instruments.find(',')));
  const auto add = [&](std::string_view raw) -> Item& {
    Item& item = add_item(raw, out);
    if (instrument) item.trade.instrument = *instrument;
    return item;
  };
  const auto bad_page = [&](Reason reason, std::string_view key, std::string_view what) {
    spoil(add(record.bytes), reason, context, key, what);
  };
  if (!instrument) return bad_page(Reason::unroutable, "", " belongs to no instrument: the record names none");
  if (!is_utf8(record.bytes)) return bad_page(Reason::encoding, "", " is not UTF-8");
  Object answer;
  json::Problem problem;
  if (!answer.read(record.bytes, problem)) return spoil(add(record.bytes), problem);
  if (!answer.has("code") && !answer.has("data"))  // one item of a page, judged again
    return decode_element({Type::object, false, record.bytes}, 0, context, add(record.bytes));
  if (const Value code = answer.get("code"); code.type != Type::string || code.text != "200000") {
    if (code.type == Type::string)
      bad_page(Reason::unknown_event, "code", " is " + shown(code.text) + ": the venue has refused");
    else
      wrong(code, "code", "a text", context, add(record.bytes));
    return;
  }
  const Value data = answer.get("data");
  if (data.type != Type::array) {
    wrong(data, "data", "an array", context, add(record.bytes));
    return;
  }
  const std::size_t before = out.items.size();
  context.place = {"$.data", 0};
  const auto base = static_cast<std::size_t>(data.text.data() - record.bytes.data());
  json::Reader reader{data.text};  // which has been checked as a whole
  reader.take('[');
  for (reader.blanks(); !reader.at_end() && reader.peek() != ']'; reader.blanks(), ++*context.place.element) {
    const std::size_t from = reader.position();
    Value element;
    reader.value(element);
    const bool quoted = element.type == Type::string;
    Item& item = add(quoted ? data.text.substr(from, element.text.size() + 2) : element.text);
    decode_element(element, base + from, context, item);
    reader.blanks();
    reader.take(',');
  }
  payload::order_page(out, before);  // the documents show the oldest trade first
}

void decode_reference(const RawRecord& record, Events& out) {
  const Context context{record};
  payload::read_reference(record, out, [&](const Object& object, Item& item, Reference& reference) {
    const std::string symbol = payload::read_text(object, "symbol", context, item);
    reference.name =
        payload::read_text(object, "name", context, item);  // changes when a currency is renamed; the symbol never does
    reference.base = payload::read_text(object, "baseCurrency", context, item);
    reference.quote = payload::read_text(object, "quoteCurrency", context, item);
    if (const auto instrument = instrument_of(symbol))
      reference.instrument = item.trade.instrument = *instrument;
    else
      spoil(item, Reason::unroutable, context, "symbol", " is no symbol");
    const Value enabled = object.get("enableTrading");
    if (enabled.type == Type::boolean)
      reference.status = enabled.text == "true" ? "TRADING" : "HALTED";
    else
      wrong(enabled, "enableTrading", "a boolean", context, item);
    for (const auto& [key, to] :
         {std::pair{"priceIncrement", &reference.tick}, std::pair{"baseIncrement", &reference.lot}}) {
      Decimal step;
      if (payload::read_decimal(object.get(key), key, context, item, step) && step.positive()) *to = step;
    }
  });
}

}  // namespace truetape::kucoin
