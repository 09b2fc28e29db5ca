// Two readers of a frame that agree: one for how the venue writes, and a strict one for anything at all. The venue does
// not keep to an order of keys, and has changed it.
#include "core/same.h"
#include "core/utf8.h"
#include "venues/kucoin/item.h"
#include "venues/plain_json.h"

namespace truetape::kucoin {
namespace {

using json::Cursor;
using json::Type;
using json::Value;

// Where the value of a key of `data` goes; nullptr: nobody reads that key.
Value* field(std::string_view key, Fields& f) {
  switch (key.size()) {
    case 4:
      if (is(key, "side")) return &f.side;
      if (is(key, "size")) return &f.size;
      if (is(key, "time")) return &f.time;
      if (is(key, "type")) return &f.type;
      if (is(key, "bids")) return &f.bids;
      if (is(key, "asks")) return &f.asks;
      return nullptr;
    case 5:
      return is(key, "price") ? &f.price : nullptr;
    case 6:
      return is(key, "symbol") ? &f.symbol : nullptr;
    case 7:
      if (is(key, "tradeId")) return &f.trade_id;
      if (is(key, "bestBid")) return &f.best_bid;
      return is(key, "bestAsk") ? &f.best_ask : nullptr;
    case 8:
      return is(key, "sequence") ? &f.sequence : nullptr;
    case 9:
      return is(key, "timestamp") ? &f.timestamp : nullptr;
    case 11:
      if (is(key, "bestBidSize")) return &f.best_bid_size;
      return is(key, "bestAskSize") ? &f.best_ask_size : nullptr;
    case 12:
      if (is(key, "takerOrderId")) return &f.taker_order;
      return is(key, "makerOrderId") ? &f.maker_order : nullptr;
    default:
      return nullptr;
  }
}

Value* member(std::string_view key, Message& m) {
  switch (key.size()) {
    case 2:
      return is(key, "id") ? &m.id : nullptr;
    case 4:
      if (is(key, "data")) return &m.data;
      return is(key, "type") ? &m.type : nullptr;
    case 5:
      return is(key, "topic") ? &m.topic : nullptr;
    case 7:
      return is(key, "subject") ? &m.subject : nullptr;
    case 9:
      return is(key, "timestamp") ? &m.timestamp : nullptr;
    default:
      return nullptr;
  }
}

// ["68145.8","0.51987471"]
bool plain_array(Cursor& in, Value& out) {
  const char* const start = in.position();
  Value ignored;
  if (!in.eat("[")) return false;
  if (!in.eat("]")) {
    do
      if (!in.eat("\"") || !in.text(ignored)) return false;
    while (in.eat(","));
    if (!in.eat("]")) return false;
  }
  out = {Type::array, false, {start, static_cast<std::size_t>(in.position() - start)}};
  return true;
}

// An object whose keys are all known to `find`, each once, with plain values.
template <class Find, class Nested>
[[gnu::always_inline]] inline bool plain_object(Cursor& in, const Find& find, const Nested& nested) {
  if (!in.eat("{\"")) return false;
  do {
    Value key;
    if (!in.text(key)) return false;
    Value* const to = find(key.text);
    if (to == nullptr || to->type != Type::none) return false;
    if (in.eat(":\"")) {
      if (!in.text(*to)) return false;
    } else if (!in.eat(":")) {
      return false;
    } else if (in.next_is('{') || in.next_is('[')) {
      if (!nested(*to)) return false;
    } else if (!in.integer(*to)) {
      return false;
    }
  } while (in.eat(",\""));
  return in.eat("}");
}

}  // namespace

bool read_plain(std::string_view frame, Message& out) {
  Cursor in{frame};
  const auto data = [&](Value& to) {
    if (&to != &out.data) return false;
    const char* const start = in.position();
    const bool read = plain_object(
        in, [&](std::string_view key) { return field(key, out.fields); },
        [&](Value& array) { return plain_array(in, array); });
    if (read) to = {Type::object, false, {start, static_cast<std::size_t>(in.position() - start)}};
    return read;
  };
  return plain_object(
             in, [&](std::string_view key) { return member(key, out); }, data) &&
         in.at_end();
}

bool read_strict(std::string_view frame, Message& out, Room& room, json::Problem& problem) {
  if (!is_utf8(frame)) {
    problem = {Reason::encoding, 0, "is not UTF-8"};
    return false;
  }
  if (!room.top.read(frame, problem)) return false;
  out.type = room.top.get("type");
  out.topic = room.top.get("topic");
  out.subject = room.top.get("subject");
  out.data = room.top.get("data");
  out.id = room.top.get("id");
  out.timestamp = room.top.get("timestamp");
  out.code = room.top.get("code");
  if (out.data.type != Type::object) return true;
  if (!room.data.read(out.data.text, problem)) {
    problem.at += static_cast<std::size_t>(out.data.text.data() - frame.data());
    return false;
  }
  const json::Object& data = room.data;
  Fields& f = out.fields;
  for (const std::string_view key :
       {"symbol", "sequence", "side", "size", "price", "takerOrderId", "makerOrderId", "tradeId", "time", "type",
        "bestBid", "bestBidSize", "bestAsk", "bestAskSize", "bids", "asks", "timestamp"})
    *field(key, f) = data.get(key);
  if (f.time.type == Type::none) f.time = data.get("Time");  // so one of the venue's own examples has it
  return true;
}

std::optional<Instrument> instrument_of(std::string_view symbol) {
  char upper[Instrument::kMaxBytes];
  if (symbol.size() > sizeof upper || !is_utf8(symbol)) return std::nullopt;
  for (std::size_t i = 0; i < symbol.size(); ++i) {
    const char c = symbol[i];
    upper[i] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return Instrument::of(kVenue, {upper, symbol.size()});
}

std::optional<Instrument> instrument_of(const Message& message) {
  std::string room;
  // Symbols of spot have a dash; a market (`/market/snapshot:BTC`) and `all` have none.
  const auto dashed = [](std::string_view symbol) {
    return symbol.find('-') == std::string_view::npos ? std::nullopt : instrument_of(symbol);
  };
  if (message.topic.type == Type::string) {
    const std::string_view topic = payload::text_of(message.topic, room);
    const std::size_t colon = topic.find(':');
    if (colon != std::string_view::npos) {
      const std::string_view channel = topic.substr(0, colon);
      std::string_view argument = topic.substr(colon + 1);
      if (channel == "/market/ticker" && argument == "all") {
        std::string subject;
        if (message.subject.type != Type::string) return std::nullopt;
        return dashed(payload::text_of(message.subject, subject));
      }
      if (channel == "/market/candles") argument = argument.substr(0, argument.rfind('_'));
      if (channel.starts_with("/market/") || channel.starts_with("/spotMarket/") ||
          channel.starts_with("/callauction/"))
        if (const auto instrument = dashed(argument)) return instrument;
    }
  }
  if (message.fields.symbol.type != Type::string) return std::nullopt;
  return instrument_of(payload::text_of(message.fields.symbol, room));
}

}  // namespace truetape::kucoin
