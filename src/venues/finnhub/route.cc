// Whom a frame speaks of and when its newest trade was, without decoding it. On a sound frame the answers are those of
// decode; on a damaged one they are the best guess, so that it is quarantined with its instrument.
#include <algorithm>
#include <unordered_set>

#include "core/digits.h"
#include "core/utf8.h"
#include "venues/finnhub/fast.h"
#include "venues/finnhub/item.h"

namespace truetape::finnhub {
namespace {

using json::Type;
using json::Value;

// Instruments in order of appearance, each once.
class Found {
 public:
  explicit Found(std::vector<Instrument>& out) : out_{out}, begin_{out.size()} {}

  void add(std::string_view symbol) {
    if (symbol == last_) return;  // most frames speak of one
    const auto instrument = instrument_of(symbol);
    if (!instrument) return;
    last_ = symbol;
    if (out_.size() - begin_ < kFew) {
      if (std::find(out_.begin() + static_cast<std::ptrdiff_t>(begin_), out_.end(), *instrument) == out_.end())
        out_.push_back(*instrument);
      return;
    }
    if (seen_.empty()) seen_.insert(out_.begin() + static_cast<std::ptrdiff_t>(begin_), out_.end());
    if (seen_.insert(*instrument).second) out_.push_back(*instrument);
  }
  // Of an unescaped copy.
  void add_copy(const std::string& symbol) {
    add(symbol);
    last_ = {};
  }

 private:
  static constexpr std::size_t kFew = 16;
  std::vector<Instrument>& out_;
  std::size_t begin_;
  std::string_view last_;
  std::unordered_set<Instrument> seen_;
};

// Of a damaged frame: the texts behind each "s":".
void guess(std::string_view frame, Found& found) {
  constexpr std::string_view kMark = "\"s\":\"";
  for (std::size_t at = frame.find(kMark); at != std::string_view::npos; at = frame.find(kMark, at)) {
    at += kMark.size();
    const std::string_view near = frame.substr(at, Instrument::kMaxBytes);
    const std::size_t quote = near.find('"');
    if (quote != std::string_view::npos && quote != 0) found.add(near.substr(0, quote));
  }
}

// The elements of the frame's `data`, or the frame itself if it is one of them. False: the frame cannot be read.
template <class Each>
bool each_entry(std::string_view frame, Each each) {
  json::Problem problem;
  json::Object top;
  if (!is_utf8(frame) || !top.read(frame, problem)) return false;
  std::string room;
  const Value type = top.get("type"), data = top.get("data");
  if (type.type == Type::none) {
    if (top.has('s') && (top.has('p') || top.has('t') || top.has('v'))) each(top);
    return true;
  }
  if (type.type != Type::string || payload::text_of(type, room) != "trade" || data.type != Type::array) return true;
  json::Reader reader{data.text};
  reader.take('[');
  reader.blanks();
  while (!reader.at_end() && reader.peek() != ']') {
    Value element;
    reader.value(element);
    json::Object object;
    if (element.type == Type::object && object.read(element.text, problem)) each(object);
    reader.blanks();
    reader.take(',');
    reader.blanks();
  }
  return true;
}

}  // namespace

void route(std::string_view frame, std::vector<Instrument>& out) {
  if (frame.find("\"s\"") == std::string_view::npos && frame.find('\\') == std::string_view::npos)
    return;  // pings, errors, news
  const std::size_t before = out.size();
  Found quick{out};
  if (each_entry_fast(frame, [&](const TradeFields& f, std::string_view) { quick.add(f.symbol.text); })) return;
  out.resize(before);
  Found found{out};
  if (!each_entry(frame, [&](const json::Object& object) {
        const Value symbol = object.get('s');
        if (symbol.type != Type::string) return;
        if (symbol.escaped)
          found.add_copy(json::unescape(symbol.text));
        else
          found.add_copy(std::string{symbol.text});
      }))
    guess(frame, found);
}

std::optional<Timestamp> sent_time(std::string_view frame) {
  std::int64_t newest = 0;
  const auto look = [&newest](std::string_view digits) {
    const auto time = digits::natural(digits);
    if (time && guess_time_unit(*time) == TimeUnit::ms) newest = std::max(newest, *time);
  };
  if (!each_entry_fast(frame, [&](const TradeFields& f, std::string_view) { look(f.time.text); })) {
    newest = 0;
    if (frame.find("\"t\"") == std::string_view::npos && frame.find('\\') == std::string_view::npos)
      return std::nullopt;
    each_entry(frame, [&](const json::Object& object) {
      if (const Value time = object.get('t'); time.type == Type::integer) look(time.text);
    });
  }
  if (newest == 0) return std::nullopt;
  return from_epoch(newest, TimeUnit::ms);
}

}  // namespace truetape::finnhub
