// Whom a frame speaks of and when it was sent, without decoding it. On a sound frame the answers are those of decode;
// on a damaged one they are the best guess, so that it is quarantined with its instrument.
#include "core/digits.h"
#include "venues/kucoin/item.h"

namespace truetape::kucoin {
namespace {

using json::Type;
using json::Value;

// Of a frame that cannot be read: what stands behind a key that names the symbol.
std::optional<Instrument> guess(std::string_view frame) {
  const auto quoted_after = [&](std::string_view mark) -> Value {
    const std::size_t at = frame.find(mark);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = frame.substr(at + mark.size(), 128);
    const std::size_t quote = rest.find('"');
    return quote == std::string_view::npos ? Value{} : Value{Type::string, false, rest.substr(0, quote)};
  };
  Message message;
  message.topic = quoted_after("\"topic\":\"");
  message.subject = quoted_after("\"subject\":\"");
  message.fields.symbol = quoted_after("\"symbol\":\"");
  return instrument_of(message);
}

// What the frame says, if it can be read as a whole. Calls `look` with it, since it borrows from what reads it.
template <class Look>
auto read(std::string_view frame, const Look& look) -> std::optional<decltype(look(Message{}))> {
  {
    Message message;
    if (read_plain(frame, message)) return look(message);
  }
  Message message;
  Room room;
  json::Problem problem;
  if (!read_strict(frame, message, room, problem)) return std::nullopt;
  return look(message);
}

std::optional<Timestamp> time_in(const Message& message) {
  if (message.type.type != Type::string) return std::nullopt;
  Value value;
  if (message.type.text == "message")
    value = message.fields.time.type == Type::none ? message.fields.timestamp : message.fields.time;
  else if (message.type.text == "pong")
    value = message.timestamp;
  if (value.type != Type::integer && value.type != Type::string) return std::nullopt;
  const auto time = digits::natural(value.text);
  const auto unit = time ? guess_time_unit(*time) : std::nullopt;
  if (!unit || *unit == TimeUnit::s) return std::nullopt;
  return from_epoch(*time, *unit);
}

}  // namespace

void route(std::string_view frame, std::vector<Instrument>& out) {
  if (frame.find("\"topic\"") == std::string_view::npos && frame.find("\"symbol\"") == std::string_view::npos &&
      frame.find('\\') == std::string_view::npos)
    return;  // welcome, ack, pong, error
  const auto found = read(frame, [](const Message& message) { return instrument_of(message); });
  const auto instrument = found ? *found : guess(frame);
  if (instrument) out.push_back(*instrument);
}

// A frame leaves the venue after whatever time stands in it: that of the match, of the push, or of the answered ping.
std::optional<Timestamp> sent_time(std::string_view frame) {
  if (frame.find("\"time") == std::string_view::npos && frame.find('\\') == std::string_view::npos) return std::nullopt;
  return read(frame, time_in).value_or(std::nullopt);
}

}  // namespace truetape::kucoin
