#include "venues/finnhub/item.h"

#include "core/digits.h"
#include "core/utf8.h"

namespace truetape::finnhub {
namespace {

using json::Type;
using json::Value;
using payload::shown;
using payload::spoil;
using payload::wrong;

// What an instrument cannot hold, and the sign that stands for it.
bool needs_escape(char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == ',' || c == '%'; }

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// JSON numbers, read as the decimal text that they are: a double would change them.
bool read_number(const Value& value, std::string_view key, const Context& context, Item& item, Decimal& out) {
  if (value.type != Type::integer && value.type != Type::number) return wrong(value, key, "a number", context, item);
  const ParsedDecimal parsed = parse_decimal(value.text);
  if (parsed.fault == DecimalFault::none) [[likely]] {
    out = parsed.value;
    return true;
  }
  spoil(item, Reason::decimal_range, context, key,
        " is " + shown(value.text) + ", which has more than 18 decimals or does not fit 63 bits");
  return false;
}

bool read_time(const Value& value, const Context& context, Item& item, Timestamp& out) {
  constexpr std::string_view kKey = "t";
  if (value.type != Type::integer) return wrong(value, kKey, "an integer", context, item);
  const auto time = digits::natural(value.text);
  // Milliseconds from 2001 to 2262.
  if (time && *time >= 1'000'000'000'000 && *time <= INT64_MAX / 1'000'000) [[likely]] {
    out = timestamp_ns(*time * 1'000'000);
    return true;
  }
  const auto unit = time ? guess_time_unit(*time) : std::nullopt;
  if (unit && *unit != TimeUnit::ms)
    spoil(item, Reason::time_unit, context, kKey,
          " is " + shown(value.text) + ", which has the digits of " + std::string{name(*unit)} + "; ms are needed");
  else
    spoil(item, Reason::time_range, context, kKey, " is " + shown(value.text) + ", which is no time in ms since 1970");
  return false;
}

}  // namespace

std::optional<Instrument> instrument_of(std::string_view symbol) {
  constexpr char kHex[] = "0123456789ABCDEF";
  char spelt[Instrument::kMaxBytes];
  std::size_t size = 0;
  unsigned char high = 0;
  if (symbol.size() > sizeof spelt) return std::nullopt;
  for (const char c : symbol) {
    high |= static_cast<unsigned char>(c);
    if (size + 3 > sizeof spelt) return std::nullopt;
    if (!needs_escape(c)) [[likely]] {
      spelt[size++] = c;
    } else {
      spelt[size++] = '%';
      spelt[size++] = kHex[static_cast<unsigned char>(c) >> 4];
      spelt[size++] = kHex[c & 15];
    }
  }
  if ((high & 0x80) != 0 && !is_utf8(symbol)) return std::nullopt;
  return Instrument::of(kName, {spelt, size});
}

std::string symbol_of(const Instrument& instrument) {
  const std::string_view spelt = instrument.symbol();
  std::string out;
  for (std::size_t i = 0; i < spelt.size(); ++i) {
    if (spelt[i] == '%' && i + 2 < spelt.size() && hex(spelt[i + 1]) >= 0 && hex(spelt[i + 2]) >= 0) {
      out += static_cast<char>(hex(spelt[i + 1]) * 16 + hex(spelt[i + 2]));
      i += 2;
    } else {
      out += spelt[i];
    }
  }
  return out;
}

Share::Share(const RawRecord& record) : record_{record} {
  // An escaped symbol is compared as an instrument.
  const std::string_view named = record.instruments;
  if (named.empty() || named.find(',') != std::string_view::npos || named.find('%') != std::string_view::npos) return;
  const auto instrument = Instrument::parse(named);
  if (!instrument || instrument->venue() != kName) return;
  sole_instrument_ = *instrument;
  sole_ = named.substr(kName.size() + 1);
}

Share::Verdict Share::look(const Value& symbol, Instrument& out) {
  if (symbol.type != Type::string) return Verdict::no_symbol;
  if (!sole_.empty() && !symbol.escaped && symbol.text == sole_) [[likely]] {
    out = sole_instrument_;
    return Verdict::mine;
  }
  if (last_.data() != nullptr && symbol.text == last_ && !symbol.escaped) {
    if (last_mine_) out = last_instrument_;
    return last_mine_ ? Verdict::mine : Verdict::foreign;
  }
  const auto instrument = instrument_of(symbol.escaped ? json::unescape(symbol.text) : symbol.text);
  if (!instrument) return Verdict::no_symbol;
  const bool mine = record_.instruments.empty() || record_.names(*instrument);
  if (!symbol.escaped) {
    last_ = symbol.text;
    last_instrument_ = *instrument;
    last_mine_ = mine;
  }
  if (mine) out = *instrument;
  return mine ? Verdict::mine : Verdict::foreign;
}

bool Share::has_nameless() {
  if (!has_nameless_) {
    std::vector<Instrument> to;
    if (!record_.instruments.empty()) route(record_.bytes, to);
    has_nameless_ = to.empty() || record_.names(to.front());
  }
  return *has_nameless_;
}

Item& add_item(std::string_view raw, const Context& context, Events& out) {
  Item& item = out.items.emplace_back();
  item.ordinal = item.trade.ordinal = static_cast<std::uint32_t>(context.place.element.value_or(0));
  item.raw = raw;
  return item;
}

void add_unreadable(const RawRecord& record, Share& share, const json::Problem& problem, Events& out) {
  if (!share.has_nameless()) return;
  const Context context{{record}, share};
  Item& item = add_item(record.bytes, context, out);
  spoil(item, problem);
  payload::fall_back_to_sole_instrument(record, item);
}

void add_entry(const TradeFields& fields, std::string_view raw, Context& context, Events& out) {
  Instrument instrument;
  const Share::Verdict whose = context.share.look(fields.symbol, instrument);
  if (whose == Share::Verdict::foreign) return;
  if (whose == Share::Verdict::no_symbol && !context.share.has_nameless()) return;
  Item& item = add_item(raw, context, out);
  Trade& trade = item.trade;
  trade.instrument = instrument;
  trade.receive_time = context.receive_time;
  if (whose == Share::Verdict::no_symbol) {
    if (fields.symbol.type != Type::string)
      wrong(fields.symbol, "s", "a text", context, item);
    else
      spoil(item, Reason::unroutable, context, "s", " is \"" + shown(fields.symbol.text) + "\", which is no symbol");
  }
  const bool price = read_number(fields.price, "p", context, item, trade.price);
  const bool time = read_time(fields.time, context, item, trade.event_time);
  const bool volume = read_number(fields.volume, "v", context, item, trade.quantity);
  if (price && !trade.price.positive())
    spoil(item, Reason::price, context, "p", " is " + to_text(trade.price) + ", a price above 0 is needed");
  if (volume && trade.quantity.mantissa < 0)
    spoil(item, Reason::quantity, context, "v", " is " + to_text(trade.quantity) + ", which is below 0");
  if (item.type == Item::Type::bad) [[unlikely]] {
    item.has_time = time;
    return;
  }
  if (trade.quantity.mantissa != 0) [[likely]]
    return;
  // Volume 0: the price has moved, nothing was traded.
  Quote quote;
  quote.instrument = trade.instrument;
  quote.kind = QuoteKind::ticker;
  quote.event_time = trade.event_time;
  quote.receive_time = trade.receive_time;
  quote.last = trade.price;
  out.items.pop_back();
  out.quotes.push_back(quote);
}

}  // namespace truetape::finnhub
