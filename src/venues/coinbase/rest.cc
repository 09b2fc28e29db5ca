// REST answers: pages of a product's trades (`/products/X/trades`) and entries of the symbol list (`/products`).
#include "core/utf8.h"
#include "venues/coinbase/item.h"

namespace truetape::coinbase {
namespace {

using json::Object;
using json::Type;
using json::Value;
using payload::add_item, payload::fall_back_to_sole_instrument, payload::shown, payload::spoil, payload::wrong;

// `base`: where it stands in the record.
void decode_element(const Value& element, std::size_t base, const Context& context, Item& item) {
  if (element.type != Type::object)
    return spoil(item, Reason::wrong_type, context, "",
                 " is " + std::string{json::name(element.type)} + ", an object is needed");
  Object object;
  json::Problem problem;
  if (object.read(element.text, problem)) return make_trade(object, true, context, item);
  problem.at += base;
  spoil(item, problem);
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
  if (!instrument)
    return spoil(add(record.bytes), Reason::unroutable, context, "",
                 " belongs to no instrument: the record names none");
  if (!is_utf8(record.bytes)) return spoil(add(record.bytes), Reason::encoding, context, "", " is not UTF-8");

  json::Reader reader{record.bytes};
  reader.blanks();
  if (!reader.at_end() && reader.peek() == '{') {
    // {"message":"NotFound"}; else one item of a page, judged again.
    Object object;
    json::Problem problem;
    if (object.read(record.bytes, problem) && object.has("message") && !object.has("trade_id"))
      return spoil(add(record.bytes), Reason::unknown_event, context, "message",
                   " is \"" + shown(object.get("message").text) + "\": the venue has refused");
    return decode_element({Type::object, false, record.bytes}, 0, context, add(record.bytes));
  }
  if (!reader.take('[')) return spoil(add(record.bytes), Reason::wrong_type, context, "", " is no array");
  const std::size_t first = out.items.size();
  // The rest of the page is one item: what came before it stands.
  const auto broken = [&](std::size_t from) { spoil(add(record.bytes.substr(from)), reader.problem()); };
  const auto read = [&] {
    reader.blanks();
    if (reader.take(']')) return true;
    for (context.place.element = 0;; ++*context.place.element) {
      reader.blanks();
      const std::size_t from = reader.position();
      Value element;
      if (!reader.value(element)) {
        broken(from);
        return false;
      }
      decode_element(element, from, context, add(record.bytes.substr(from, reader.position() - from)));
      reader.blanks();
      if (reader.take(']')) return true;
      if (reader.take(',')) continue;
      reader.fail("has no comma where one is needed");
      broken(reader.position());
      return false;
    }
  };
  if (read()) {
    reader.blanks();
    if (!reader.at_end()) {
      reader.fail("goes on behind its end");
      broken(reader.position());
    }
  }
  payload::order_page(out, first);  // the newest stands first
}

void decode_reference(const RawRecord& record, Events& out) {
  const Context context{record};
  payload::read_reference(record, out, [&](const Object& object, Item& item, Reference& reference) {
    const std::string id = payload::read_text(object, "id", context, item);
    reference.base = payload::read_text(object, "base_currency", context, item);
    reference.quote = payload::read_text(object, "quote_currency", context, item);
    reference.name = payload::read_text(object, "display_name", context, item);
    reference.status = payload::read_text(object, "status", context, item);
    if (const auto instrument = instrument_of(id))
      reference.instrument = item.trade.instrument = *instrument;
    else
      spoil(item, Reason::unroutable, context, "id", " is no product");
    for (const auto& [key, to] :
         {std::pair{"quote_increment", &reference.tick}, std::pair{"base_increment", &reference.lot}}) {
      Decimal step;
      if (payload::read_decimal(object.get(key), key, context, item, step) && step.positive()) *to = step;
    }
  });
}

}  // namespace truetape::coinbase
