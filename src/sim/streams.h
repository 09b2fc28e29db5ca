// Names of streams, and the paths of a WebSocket URL on which the venue sells them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "net/url.h"
#include "sim/market.h"

namespace truetape::sim {

enum class StreamKind : std::uint8_t {
  trade,
  aggregate,
  quote,
  kline,
  ticker,
  mini_ticker,
  all_quotes,
  all_tickers,
  all_mini_tickers,
  silent,  // well formed, but there is no such stream, symbol or interval here: acked, and nothing ever comes
};

struct StreamName {
  StreamKind kind = StreamKind::silent;
  std::uint32_t instrument = 0;           // of the kinds with one symbol
  const BarInterval* interval = nullptr;  // of klines
  bool routed_to_market = false;          // USD-M: on the path /market; else on /public
};
// nullopt: malformed, which the venue calls "invalid stream". Symbols are lower case in names; upper case finds
// nothing.
std::optional<StreamName> parse_stream(std::string_view name, const Market& market);

enum class Route : std::uint8_t {
  all,     // spot
  open,    // USD-M: /public, and what names no route
  market,  // USD-M: /market
};
struct SocketPath {
  Route route = Route::all;
  bool combined = false;
  bool microseconds = false;
  std::vector<std::string> streams;
  std::string text;  // the path alone
};
// nullopt: no WebSocket here (404). An error: refused with status 400 and this sentence.
Result<std::optional<SocketPath>> parse_socket_path(const net::Target& target, Product product);
// Whether a stream of this name gives anything on a connection of this route.
bool served(const StreamName& stream, Route route);

}  // namespace truetape::sim
