#include "sim/streams.h"

#include <algorithm>

namespace truetape::sim {
namespace {

bool allowed(char c) {
  // Symbols may be of any script; what follows in ASCII is what names are made of.
  return static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '@' || c == '_' || c == '!' || c == '-' || c == '+' || c == ':' || c == '.';
}

std::string upper(std::string_view text) {
  std::string result{text};
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

void split(std::string_view text, std::vector<std::string>& into) {
  while (!text.empty()) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    if (slash != 0) into.emplace_back(text.substr(0, slash));
    text.remove_prefix(std::min(slash + 1, text.size()));
  }
}

}  // namespace

std::optional<StreamName> parse_stream(std::string_view name, const Market& market) {
  const std::size_t at = name.find('@');
  if (name.empty() || at == 0 || !std::ranges::all_of(name, allowed)) return std::nullopt;
  const bool usdm = market.product() == Product::usdm;
  StreamName result;
  const std::string_view symbol = name.substr(0, at);
  const std::string_view channel = at == std::string_view::npos ? std::string_view{} : name.substr(at + 1);
  if (symbol.starts_with('!')) {
    result.routed_to_market = symbol != "!bookTicker";
    if (name == "!miniTicker@arr") result.kind = StreamKind::all_mini_tickers;
    if (name == "!ticker@arr" && usdm) result.kind = StreamKind::all_tickers;  // spot's was retired
    if (name == "!bookTicker" && usdm) result.kind = StreamKind::all_quotes;
    return result;
  }
  if (at == std::string_view::npos || channel.empty()) return std::nullopt;
  result.routed_to_market = channel != "trade" && channel != "bookTicker" && !channel.starts_with("depth");
  const auto instrument = market.find(upper(symbol));
  if (!instrument || std::ranges::any_of(symbol, [](char c) { return c >= 'A' && c <= 'Z'; })) return result;
  result.instrument = *instrument;
  if (channel == "trade" && !market.listing(*instrument).only_aggregates) result.kind = StreamKind::trade;
  if (channel == "aggTrade") result.kind = StreamKind::aggregate;
  if (channel == "bookTicker") result.kind = StreamKind::quote;
  if (channel == "ticker") result.kind = StreamKind::ticker;
  if (channel == "miniTicker") result.kind = StreamKind::mini_ticker;
  if (channel.starts_with("kline_")) {
    result.interval = find_interval(channel.substr(6));
    if (result.interval != nullptr) result.kind = StreamKind::kline;
  }
  return result;
}

Result<std::optional<SocketPath>> parse_socket_path(const net::Target& target, Product product) {
  SocketPath result;
  result.text = target.path;
  std::string_view path = target.path;
  if (product == Product::usdm) {
    result.route = Route::open;
    if (path.starts_with("/market/")) {
      result.route = Route::market;
      path.remove_prefix(7);
    } else if (path.starts_with("/public/")) {
      path.remove_prefix(7);
    } else if (path.starts_with("/private/")) {
      return std::optional<SocketPath>{};
    }
  }
  if (path == "/stream") {
    result.combined = true;
    if (const auto names = target.find("streams")) split(*names, result.streams);
  } else if (path == "/ws/" && product == Product::usdm) {
    return failure(Fault::malformed, Retry::never, "no stream is named behind /ws/");
  } else if (path == "/ws" || path.starts_with("/ws/")) {
    if (path.size() > 4) split(path.substr(4), result.streams);
  } else {
    return std::optional<SocketPath>{};
  }
  if (const auto unit = target.find("timeUnit"); unit && product == Product::spot) {
    if (*unit == "MICROSECOND" || *unit == "microsecond")
      result.microseconds = true;
    else if (*unit != "MILLISECOND" && *unit != "millisecond")
      return failure(Fault::malformed, Retry::never, "timeUnit is MILLISECOND or MICROSECOND");
  }
  return std::optional{std::move(result)};
}

bool served(const StreamName& stream, Route route) {
  switch (route) {
    case Route::all:
      return true;
    case Route::market:
      return stream.routed_to_market;
    case Route::open:
      return !stream.routed_to_market;
  }
  return false;
}

}  // namespace truetape::sim
