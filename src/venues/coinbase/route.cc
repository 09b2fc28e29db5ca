// Whom a frame speaks of and when it was sent. On a sound frame the answers are those of decode; on a damaged one they
// are the best guess, so that it is quarantined with its instrument.
#include "venues/coinbase/item.h"

namespace truetape::coinbase {
namespace {

// A key may be written with escapes: then it is not found as it stands.
bool may_have(std::string_view frame, std::string_view quoted_key) {
  return frame.find(quoted_key) != std::string_view::npos || frame.find('\\') != std::string_view::npos;
}

std::optional<Instrument> guess(std::string_view frame) {
  constexpr std::string_view kMark = "\"product_id\":\"";
  const std::size_t at = frame.find(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = frame.substr(at + kMark.size(), 128);
  const std::size_t quote = rest.find('"');
  return quote == std::string_view::npos ? std::nullopt : instrument_of(rest.substr(0, quote));
}

}  // namespace

void route(std::string_view frame, std::vector<Instrument>& out) {
  if (!may_have(frame, "\"product_id\"")) return;  // subscriptions, status, error
  json::Object object;
  json::Problem problem;
  std::optional<Instrument> found;
  if (object.read(frame, problem)) {
    const json::Value product_id = object.get("product_id");
    std::string room;
    if (product_id.type == json::Type::string) found = instrument_of(payload::text_of(product_id, room));
  } else {
    found = guess(frame);
  }
  if (found) out.push_back(*found);
}

// The time of a match, a ticker, a heartbeat or a change of the book is the trading engine's. That of a `last_match` is
// older than the subscription: it proves less, and nothing wrong.
std::optional<Timestamp> sent_time(std::string_view frame) {
  if (!may_have(frame, "\"time\"")) return std::nullopt;
  json::Object object;
  json::Problem problem;
  if (!object.read(frame, problem)) return std::nullopt;
  const json::Value time = object.get("time");
  return time.type == json::Type::string ? time_of(time.text) : std::nullopt;
}

// The venue sends it once, when `matches` of a product is subscribed to.
std::optional<Timestamp> last_before(std::string_view frame) {
  return frame.starts_with(R"({"type":"last_match",)") ? sent_time(frame) : std::nullopt;
}

}  // namespace truetape::coinbase
