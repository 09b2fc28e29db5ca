#include "test_decoder.h"

#include <charconv>
#include <vector>

namespace truetape::model {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) break;
    text.remove_prefix(at + 1);
  }
  return out;
}

template <class T>
T number(std::string_view text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Item read_line(const RawRecord& record, std::string_view line) {
  Item item;
  item.raw = line;
  const auto f = split(line, ' ');
  const char type = f[0][0];
  item.trade.seq = record.seq;
  if (record.kind == RawKind::frame) item.trade.receive_time = record.receive_time;
  if (type == 'G') {
    item.type = Item::Type::bad;
    item.detail = "row: not readable";
    return item;
  }
  item.trade.instrument = *Instrument::of(record.header(header::venue).value_or("test"), f[1]);
  item.trade.tape = *parse_tape(f[2]);
  item.trade.order = item.trade.first_id = item.trade.last_id = number<std::uint64_t>(f[3]);
  item.trade.id = Text<40>::cut(f[3]);
  item.has_id = true;
  if (type == 'J') {
    item.type = Item::Type::bad;
    item.reason = Reason::time_unit;
    item.detail = "row: its time is not readable";
    return item;
  }
  item.trade.event_time = timestamp_ns(number<std::int64_t>(f[4]));
  item.has_time = true;
  if (type == 'E') {
    item.type = Item::Type::empty;
    return item;
  }
  item.trade.price = parse_decimal(f[5]).value;
  item.trade.quantity = parse_decimal(f[6]).value;
  item.trade.taker_side = f[7] == "b" ? Side::buy : f[7] == "s" ? Side::sell : Side::unknown;
  if (f[8] != "-") item.trade.kind = Text<20>::cut(f[8]);
  item.trade.first_id = number<std::uint64_t>(f[9]);
  item.trade.last_id = number<std::uint64_t>(f[10]);
  if (type == 'H' && record.kind != RawKind::replay) {
    item.type = Item::Type::bad;
    item.reason = Reason::price;
    item.detail = "row: its price is not above 0";
  }
  return item;
}

}  // namespace

void TestDecoder::decode(const RawRecord& record, Events& out) const {
  const bool neighbours =
      record.kind == RawKind::backfill || (record.kind == RawKind::history && record.header(header::archive) == "1");
  std::uint32_t ordinal = 0;
  const Item* before = nullptr;
  const auto lines = split(record.bytes, '\n');
  out.items.reserve(out.items.size() + lines.size());  // `before` points into it
  for (const std::string_view line : lines) {
    if (line.empty()) continue;
    if (line[0] == 'N') {
      ++out.not_a_trade;
      continue;
    }
    Item item = read_line(record, line);
    item.ordinal = item.trade.ordinal = ordinal++;
    if (item.has_id && !record.instruments.empty() && !record.names(item.trade.instrument)) continue;
    item.follows = neighbours && item.has_id && before != nullptr && before->has_id &&
                   before->trade.instrument == item.trade.instrument && before->trade.tape == item.trade.tape;
    out.items.push_back(item);
    before = &out.items.back();
  }
}

TradeIds TestDecoder::trade_ids(std::string_view venue) const {
  if (venue == "test") return TradeIds::contiguous;
  return venue == "loose" ? TradeIds::rising : TradeIds::none;
}

}  // namespace truetape::model
