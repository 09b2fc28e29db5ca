// The one list of feeds: a new venue's is one line here.
#include <algorithm>
#include <array>

#include "net/url.h"
#include "venues/binance/feed.h"
#include "venues/feed.h"

namespace truetape {
namespace {

struct Entry {
  std::string_view venue;
  bool capitals;  // no symbol has small letters
  std::unique_ptr<Feed> (*make)(const FeedOptions& options, FeedParts parts);
};

template <binance::Product product>
std::unique_ptr<Feed> make_binance(const FeedOptions& options, FeedParts parts) {
  return binance::make_feed(binance::feed_config(product, options), std::move(parts));
}

constexpr std::array kFeeds{Entry{"binance", true, &make_binance<binance::Product::spot>},
                            Entry{"binance-usdm", true, &make_binance<binance::Product::usdm>}};

// Empty, or an address of that kind without a path.
Status check_url(std::string_view what, const std::string& text, std::string_view plain, std::string_view secure) {
  if (text.empty()) return {};
  const auto url = net::parse_url(text);
  if (!url) return failure(Fault::malformed, Retry::never, std::string{what} + ": " + url.error().detail);
  if (url->scheme != plain && url->scheme != secure)
    return failure(Fault::malformed, Retry::never,
                   std::string{what} + " is no address of that kind: " + text + "; it begins with " +
                       std::string{secure} + ":// or " + std::string{plain} + "://");
  if (url->target != "/")
    return failure(Fault::malformed, Retry::never,
                   std::string{what} + " has a path: " + text + "; give scheme, host and port only");
  return {};
}

std::string known_feeds() {
  std::string out;
  for (const Entry& entry : kFeeds) out += (out.empty() ? "" : ", ") + std::string{entry.venue};
  return out;
}

}  // namespace

std::string_view name(ConnectionStatus::State state) {
  switch (state) {
    case ConnectionStatus::State::idle:
      return "idle";
    case ConnectionStatus::State::waiting:
      return "waiting";
    case ConnectionStatus::State::connecting:
      return "connecting";
    case ConnectionStatus::State::subscribing:
      return "subscribing";
    case ConnectionStatus::State::live:
      break;
  }
  return "live";
}

Result<Instrument> receivable(std::string_view text) {
  const auto refuse = [&](std::string why) {
    return failure(Fault::malformed, Retry::never, '"' + std::string{text.substr(0, 80)} + "\" " + std::move(why));
  };
  const auto instrument = Instrument::parse(text);
  if (!instrument) return refuse("is no instrument; write VENUE:SYMBOL, such as binance:BTCUSDT");
  const auto entry =
      std::find_if(kFeeds.begin(), kFeeds.end(), [&](const Entry& e) { return e.venue == instrument->venue(); });
  if (entry == kFeeds.end()) return refuse("is of a venue without a live feed; there are feeds of " + known_feeds());
  const auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  std::string symbol{instrument->symbol()};
  if (entry->capitals && std::any_of(symbol.begin(), symbol.end(), small)) {
    for (char& c : symbol)
      if (small(c)) c = static_cast<char>(c - 'a' + 'A');
    return refuse("is not in the venue's spelling; write " + std::string{entry->venue} + ':' + symbol);
  }
  return *instrument;
}

Result<std::unique_ptr<Feed>> make_feed(std::string_view venue, const FeedOptions& options, FeedParts parts) {
  if (options.connections < 1 || options.connections > 2)
    return failure(Fault::malformed, Retry::never,
                   "connections is " + std::to_string(options.connections) + "; it may be 1 or 2");
  if (Status good = check_url("stream_url", options.stream_url, "ws", "wss"); !good)
    return tl::unexpected{good.error()};
  if (Status good = check_url("rest_url", options.rest_url, "http", "https"); !good)
    return tl::unexpected{good.error()};
  for (const Entry& entry : kFeeds)
    if (entry.venue == venue) return entry.make(options, std::move(parts));
  return failure(Fault::not_found, Retry::never,
                 "there is no live feed of '" + std::string{venue} + "'; there are feeds of " + known_feeds());
}

}  // namespace truetape
