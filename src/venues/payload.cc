#include "venues/payload.h"

#include "core/utf8.h"

#include <algorithm>
#include <span>

#include "core/digits.h"

namespace truetape::payload {

using json::Type;
using json::Value;

std::string Place::path() const {
  std::string out{stem};
  if (element) out += '[' + std::to_string(*element) + ']';
  return out;
}

std::string shown(std::string_view text) {
  std::size_t size = text.size() < 40 ? text.size() : 40;
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return std::string{text.substr(0, size)} + (size < text.size() ? "…" : "");
}

std::string_view text_of(const Value& value, std::string& room) {
  if (!value.escaped) return value.text;
  room = json::unescape(value.text);
  return room;
}

void spoil(Item& item, Reason reason, const Context& context, std::string_view key, std::string_view what) {
  if (item.type == Item::Type::bad) return;
  item.type = Item::Type::bad;
  item.reason = reason;
  item.detail = context.place.path();
  if (!key.empty()) item.detail += '.';
  item.detail += key;
  item.detail += what;
}

void spoil(Item& item, const json::Problem& problem) {
  if (item.type == Item::Type::bad) return;
  item.type = Item::Type::bad;
  item.reason = problem.reason;
  item.detail = "$: at byte " + std::to_string(problem.at) + " the JSON " + problem.what;
}

[[gnu::cold, gnu::noinline]] bool wrong(const Value& value, std::string_view key, std::string_view needed,
                                        const Context& context, Item& item) {
  if (value.type == Type::none) {
    spoil(item, Reason::missing_field, context, key, " is missing");
  } else {
    std::string what = " is ";
    what += json::name(value.type);
    what += ", ";
    what += needed;
    what += " is needed";
    spoil(item, Reason::wrong_type, context, key, what);
  }
  return false;
}

Item& add_item(std::string_view raw, Events& out) {
  const auto ordinal = static_cast<std::uint32_t>(out.items.size());
  Item& item = out.items.emplace_back();
  item.ordinal = ordinal;
  item.trade.ordinal = ordinal;
  item.raw = raw;
  return item;
}

void fall_back_to_sole_instrument(const RawRecord& record, Item& item) {
  if (!item.trade.instrument.empty() || record.instruments.find(',') != std::string_view::npos) return;
  if (const auto instrument = Instrument::parse(record.instruments)) item.trade.instrument = *instrument;
}

void order_page(Events& out, std::size_t first) {
  const auto readable = [](const Item& item) { return item.type != Item::Type::bad || item.has_id; };
  const auto items = std::span{out.items}.subspan(first);
  std::size_t falls = 0, rises = 0;
  const Item* before = nullptr;
  for (const Item& item : items) {
    if (!readable(item)) continue;
    if (before != nullptr) {
      falls += item.trade.order < before->trade.order;
      rises += item.trade.order > before->trade.order;
    }
    before = &item;
  }
  if (falls > 0 && rises == 0) std::reverse(items.begin(), items.end());
  const bool ordered = falls == 0 || rises == 0;  // else some trades may stand elsewhere, or not at all
  before = nullptr;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Item& item = items[i];
    item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(first + i);
    item.follows = ordered && readable(item) && before != nullptr && before->trade.order < item.trade.order;
    before = readable(item) ? &item : nullptr;
  }
}

bool read_decimal(const Value& value, std::string_view key, const Context& context, Item& item, Decimal& out) {
  if (value.type != Type::string) return wrong(value, key, "a text", context, item);
  const ParsedDecimal parsed = value.escaped ? parse_decimal(json::unescape(value.text)) : parse_decimal(value.text);
  if (parsed.fault == DecimalFault::none) [[likely]] {
    out = parsed.value;
    return true;
  }
  if (parsed.fault == DecimalFault::syntax) {
    spoil(item, Reason::decimal_syntax, context, key, " is \"" + shown(value.text) + "\", which is no decimal number");
  } else {
    spoil(item, Reason::decimal_range, context, key,
          " is \"" + shown(value.text) + "\", which has more than 18 decimals or does not fit 63 bits");
  }
  return false;
}

namespace {

bool take_id(std::string_view text, std::string_view key, const Context& context, Item& item, std::uint64_t& out) {
  const auto id = digits::natural(text);
  if (id) [[likely]] {
    out = static_cast<std::uint64_t>(*id);
    return true;
  }
  spoil(item, Reason::id_range, context, key, " is " + shown(text) + ", an id from 0 to 2^63 - 1 is needed");
  return false;
}

}  // namespace

bool read_id(const Value& value, std::string_view key, const Context& context, Item& item, std::uint64_t& out) {
  if (value.type != Type::integer) return wrong(value, key, "an integer", context, item);
  return take_id(value.text, key, context, item, out);
}

bool read_text_id(const Value& value, std::string_view key, const Context& context, Item& item, std::uint64_t& out) {
  if (value.type != Type::string) return wrong(value, key, "a text", context, item);
  return take_id(value.text, key, context, item, out);  // with an escape it is refused
}

RawKind kind_of(const RawRecord& record) {
  if (record.kind != RawKind::replay) return record.kind;
  return parse_raw_kind(record.header(header::original_kind).value_or("frame")).value_or(RawKind::frame);
}

std::string read_text(const json::Object& from, std::string_view key, const Context& context, Item& item) {
  const json::Value value = from.get(key);
  std::string room;
  if (value.type == json::Type::string) return std::string{text_of(value, room)};
  wrong(value, key, "a text", context, item);
  return {};
}

void read_reference(const RawRecord& record, Events& out,
                    const std::function<void(const json::Object& entry, Item& item, Reference& reference)>& fill) {
  const Context context{record};
  Item item;
  Reference reference;
  json::Object entry;
  json::Problem problem;
  if (!is_utf8(record.bytes))
    spoil(item, Reason::encoding, context, "", " is not UTF-8");
  else if (!entry.read(record.bytes, problem))
    spoil(item, problem);
  else
    fill(entry, item, reference);
  if (item.type != Item::Type::bad) {
    out.references.push_back(std::move(reference));
    return;
  }
  item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(out.items.size());
  item.raw = record.bytes;
  fall_back_to_sole_instrument(record, item);
  out.items.push_back(std::move(item));
}

}  // namespace truetape::payload
