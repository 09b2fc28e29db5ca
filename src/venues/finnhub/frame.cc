// WebSocket frames. Two readers that agree: one that expects trade frames as the venue writes them, keys in
// alphabetical order and no blanks, and a strict one for anything at all.
#include "core/utf8.h"
#include "venues/finnhub/fast.h"
#include "venues/finnhub/item.h"

namespace truetape::finnhub {
namespace {

using json::Object;
using json::Type;
using json::Value;
using payload::spoil;

constexpr std::size_t kMaxFrame = 1 << 20;

Context context_of(const RawRecord& record, Share& share) { return {{record}, share, record.receive_time}; }

// The fields of one element of `data`, or of such an element alone, as quarantine keeps it.
TradeFields trade_fields(const Object& object) {
  return {object.get('p'), object.get('s'), object.get('t'), object.get('v')};
}

enum class Kind : std::uint8_t { trade, news };

void decode_element(Kind kind, const Value& element, Context& context, Events& out) {
  Object object;
  json::Problem problem;
  const bool read = element.type == Type::object && object.read(element.text, problem);
  if (read) {
    if (kind == Kind::trade) return add_entry(trade_fields(object), element.text, context, out);
    return add_news(object, element.text, context, out);
  }
  if (!context.share.has_nameless()) return;
  Item& item = add_item(element.text, context, out);
  if (element.type != Type::object)
    spoil(item, Reason::wrong_type, context, "",
          " is " + std::string{json::name(element.type)} + ", an object is needed");
  else  // keys that come twice; the rest was checked with the frame
    spoil(item, problem.reason, context, "", " " + problem.what);
}

// `array` has been checked as a whole.
void decode_elements(Kind kind, std::string_view array, std::string_view stem, Context& context, Events& out) {
  json::Reader reader{array};
  reader.take('[');
  reader.blanks();
  if (reader.take(']')) {
    if (context.share.has_nameless()) ++out.not_a_trade;
    return;
  }
  context.place = {stem, 0};
  for (;; ++*context.place.element) {
    Value element;
    reader.value(element);
    if (element.type == Type::string)  // with its quotes
      element.text = {element.text.data() - 1, element.text.size() + 2};
    decode_element(kind, element, context, out);
    reader.blanks();
    if (!reader.take(',')) return;
  }
}

void decode_object(const Object& top, Context& context, Events& out) {
  const auto bad = [&](Reason reason, std::string_view key, std::string_view what) {
    if (!context.share.has_nameless()) return;
    Item& item = add_item(context.record.bytes, context, out);
    spoil(item, reason, context, key, what);
    payload::fall_back_to_sole_instrument(context.record, item);
  };
  const auto other = [&] {
    if (context.share.has_nameless()) ++out.not_a_trade;
  };
  const Value type = top.get("type"), data = top.get("data");
  if (type.type == Type::none) {
    if (top.has('s') && (top.has('p') || top.has('t') || top.has('v')))
      return add_entry(trade_fields(top), context.record.bytes, context, out);
    if (is_news(top)) return add_news(top, context.record.bytes, context, out);
    if (data.type == Type::none) return other();  // {"error":"…"} and the like
    return bad(Reason::missing_field, "type", " is missing");
  }
  if (type.type != Type::string)
    return bad(Reason::wrong_type, "type", " is " + std::string{json::name(type.type)} + ", a text is needed");
  std::string room;
  const std::string_view name = payload::text_of(type, room);
  if (name != "trade" && name != "news") return other();  // ping, error, pr, and what may come
  if (data.type == Type::none) return bad(Reason::missing_field, "data", " is missing");
  if (data.type == Type::null) return other();
  if (data.type != Type::array)
    return bad(Reason::wrong_type, "data", " is " + std::string{json::name(data.type)} + ", an array is needed");
  decode_elements(name == "trade" ? Kind::trade : Kind::news, data.text, "$.data", context, out);
}

}  // namespace

bool decode_frame_fast(const RawRecord& record, Events& out) {
  if (record.bytes.size() > kMaxFrame) return false;
  const std::size_t items = out.items.size(), quotes = out.quotes.size();
  Share share{record};
  Context context = context_of(record, share);
  context.place = {"$.data", 0};
  const bool usual = each_entry_fast(record.bytes, [&](const TradeFields& fields, std::string_view raw) {
    add_entry(fields, raw, context, out);
    ++*context.place.element;
  });
  if (usual) return true;
  out.items.resize(items);
  out.quotes.resize(quotes);
  return false;
}

void decode_frame_strict(const RawRecord& record, Events& out) {
  Share share{record};
  if (const auto had = record.header(header::cut))
    return add_unreadable(
        record, share, {Reason::too_large, record.bytes.size(), "was cut off: it had " + std::string{*had} + " bytes"},
        out);
  if (record.bytes.size() > kMaxFrame)
    return add_unreadable(record, share, {Reason::too_large, kMaxFrame, "goes on; a frame may have 1 MiB"}, out);
  if (!is_utf8(record.bytes)) return add_unreadable(record, share, {Reason::encoding, 0, "is not UTF-8"}, out);
  Context context = context_of(record, share);
  json::Reader reader{record.bytes};
  Value value;
  if (!reader.value(value)) return add_unreadable(record, share, reader.problem(), out);
  reader.blanks();
  if (!reader.at_end())
    return add_unreadable(record, share, {Reason::syntax, reader.position(), "goes on behind its end"}, out);
  if (value.type == Type::array) return decode_page(record, out);  // a page of news in a file of lines
  if (value.type != Type::object)
    return add_unreadable(
        record, share, {Reason::wrong_type, 0, "is " + std::string{json::name(value.type)} + ", an object is needed"},
        out);
  Object top;
  json::Problem problem;
  if (!top.read(record.bytes, problem)) return add_unreadable(record, share, problem, out);
  decode_object(top, context, out);
}

void decode_frame(const RawRecord& record, Events& out) {
  if (!decode_frame_fast(record, out)) decode_frame_strict(record, out);
}

}  // namespace truetape::finnhub
