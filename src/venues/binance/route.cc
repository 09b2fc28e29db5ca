// Whom a frame speaks of and when it was sent, without decoding it. On a sound frame the answers are those of decode;
// on a damaged one they are the best guess, so that it is quarantined with its instrument.
#include "core/utf8.h"
#include "venues/binance/item.h"

namespace truetape::binance {
namespace {

using json::Type;
using json::Value;

// Steps over the first members of a flat object that is written without blanks. Stops at anything else.
class Walk {
 public:
  explicit Walk(std::string_view frame) : rest_{frame} {
    if (rest_.starts_with("{\"stream\":\"")) {
      const std::size_t quote = rest_.find('"', 11);
      if (quote == std::string_view::npos || !rest_.substr(quote).starts_with("\",\"data\":{")) {
        rest_ = {};
        return;
      }
      rest_.remove_prefix(quote + 10);
    } else if (rest_.starts_with("{\"")) {
      rest_.remove_prefix(1);
    } else {
      rest_ = {};
    }
  }

  // The value of `key` among the flat members that come first; type none: not found there.
  Value find(char key) {
    while (rest_.size() > 4 && rest_[0] == '"') {
      const std::size_t quote = plain_text();
      if (quote == 0 || quote + 2 >= rest_.size() || rest_[quote + 1] != ':') return {};
      const std::string_view name = rest_.substr(1, quote - 1);
      rest_.remove_prefix(quote + 2);
      Value value;
      if (rest_[0] == '"') {
        const std::size_t end = plain_text();
        if (end == 0) return {};
        value = {Type::string, false, rest_.substr(1, end - 1)};
        rest_.remove_prefix(end + 1);
      } else if (rest_[0] == '{' || rest_[0] == '[') {
        return {};
      } else {
        std::size_t end = 0;
        while (end < rest_.size() && rest_[end] != ',' && rest_[end] != '}') ++end;
        if (end == rest_.size()) return {};
        value = {Type::integer, false, rest_.substr(0, end)};
        rest_.remove_prefix(end);
      }
      if (rest_.empty() || rest_[0] != ',') {
        finished_ = !rest_.empty() && rest_[0] == '}';
        rest_ = {};
      } else {
        rest_.remove_prefix(1);
      }
      if (name.size() == 1 && name[0] == key) return value;
    }
    return {};
  }

  // All members were seen.
  bool finished() const { return finished_; }

 private:
  // Of a text without escapes that begins here, the place of its closing quote; else 0.
  std::size_t plain_text() const {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"' && rest_[end] != '\\') ++end;
    return end < rest_.size() && rest_[end] == '"' ? end : 0;
  }

  std::string_view rest_;
  bool finished_ = false;
};

// "btcusdt@trade" speaks of BTCUSDT, "!miniTicker@arr" of nobody in particular.
std::string_view symbol_of_stream(std::string_view stream) {
  if (stream.starts_with('!')) return {};
  const std::size_t at = stream.find('@');
  return at == std::string_view::npos ? std::string_view{} : stream.substr(0, at);
}

std::string text_of(const Value& value) { return value.escaped ? json::unescape(value.text) : std::string{value.text}; }

// The object that has the event, read strictly. False: the frame is not sound, or is an array.
bool read_event(std::string_view frame, json::Object& event, std::string& stream) {
  json::Problem problem;
  json::Object top;
  if (!is_utf8(frame) || !top.read(frame, problem)) return false;
  const Value name = top.get("stream"), data = top.get("data");
  if (name.type == Type::none) return event.read(frame, problem);
  if (name.type == Type::string) stream = text_of(name);
  return data.type != Type::object || event.read(data.text, problem);
}

// Of a frame that cannot be read: what stands behind the first "s":" or in front of the stream's @.
std::string_view guess_symbol(std::string_view frame) {
  const auto quoted_after = [&](std::string_view mark) -> std::string_view {
    const std::size_t at = frame.find(mark);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = frame.substr(at + mark.size(), Instrument::kMaxBytes * 2);
    const std::size_t quote = rest.find('"');
    return quote == std::string_view::npos ? std::string_view{} : rest.substr(0, quote);
  };
  const std::string_view symbol = quoted_after("\"s\":\"");
  return symbol.empty() ? symbol_of_stream(quoted_after("\"stream\":\"")) : symbol;
}

void add(Product product, std::string_view symbol, std::vector<Instrument>& out) {
  if (symbol.empty()) return;
  if (const auto instrument = instrument_of(product, symbol)) out.push_back(*instrument);
}

}  // namespace

void route(Product product, std::string_view frame, std::vector<Instrument>& out) {
  const Value quick = Walk{frame}.find('s');
  if (quick.type == Type::string) return add(product, quick.text, out);
  if (frame.find("\"s\"") == std::string_view::npos && frame.find("\"stream\"") == std::string_view::npos &&
      frame.find('\\') == std::string_view::npos)
    return;  // speaks of nobody: an answer to a control message, a snapshot of a book
  if (const std::size_t first = frame.find_first_not_of(" \t\r\n"); frame[first] == '[') return;  // of all markets
  json::Object event;
  std::string stream;
  if (!read_event(frame, event, stream)) return add(product, guess_symbol(frame), out);
  const Value symbol = event.get('s');
  if (symbol.type == Type::string)
    add(product, text_of(symbol), out);
  else
    add(product, symbol_of_stream(stream), out);
}

std::optional<Timestamp> sent_time(std::string_view frame) {
  Walk walk{frame};
  Value value = walk.find('E');
  json::Object event;
  if (value.type == Type::none && !walk.finished() && frame.find("\"E\"") != std::string_view::npos) {
    std::string stream;
    if (read_event(frame, event, stream)) value = event.get('E');
  }
  if (value.type != Type::integer || value.text.size() < 13 || value.text.size() > 16) return std::nullopt;
  std::int64_t time = 0;
  for (const char c : value.text) {
    if (c < '0' || c > '9') return std::nullopt;
    time = time * 10 + (c - '0');
  }
  const auto unit = guess_time_unit(time);
  if (!unit || (*unit != TimeUnit::ms && *unit != TimeUnit::us)) return std::nullopt;
  return from_epoch(time, *unit);
}

}  // namespace truetape::binance
