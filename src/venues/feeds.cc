#include <algorithm>
#include <vector>

#include "core/wildcard.h"
#include "net/url.h"
#include "venues/feed.h"
#include "venues/feed_entry.h"

namespace truetape {

// Each folder defines its own.
#define TRUETAPE_VENUE(folder)               \
  namespace folder {                         \
  std::span<const FeedEntry> feed_entries(); \
  }
#include "venues/all.inc"
#undef TRUETAPE_VENUE

std::span<const FeedEntry> feed_entries() {
  static const std::vector<FeedEntry> all = [] {
    std::vector<FeedEntry> out;
#define TRUETAPE_VENUE(folder) \
  for (const FeedEntry& entry : folder::feed_entries()) out.push_back(entry);
#include "venues/all.inc"
#undef TRUETAPE_VENUE
    return out;
  }();
  return all;
}

namespace {

// Empty, or an address of that kind without a path.
Status check_url(std::string_view what, const std::string& text, std::string_view plain, std::string_view secure) {
  if (text.empty()) return {};
  const auto url = net::parse_url(text);
  if (!url) return failure(Fault::malformed, Retry::never, std::string{what} + ": " + url.error().detail);
  if (url->scheme != plain && url->scheme != secure)
    return failure(Fault::malformed, Retry::never,
                   std::string{what} + " is no address of that kind: " + net::place_of(text) + "; it begins with " +
                       std::string{secure} + ":// or " + std::string{plain} + "://");
  if (url->target != "/")
    return failure(Fault::malformed, Retry::never,
                   std::string{what} + " has a path: " + net::place_of(text) + "; give scheme, host and port only");
  return {};
}

std::string known_feeds() {
  std::string out;
  for (const FeedEntry& entry : feed_entries()) out += (out.empty() ? "" : ", ") + std::string{entry.venue};
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
  const auto all = feed_entries();
  const auto entry =
      std::find_if(all.begin(), all.end(), [&](const FeedEntry& e) { return e.venue == instrument->venue(); });
  if (entry == all.end()) return refuse("is of a venue without a live feed; there are feeds of " + known_feeds());
  if (is_wildcard(*instrument)) {
    if (!entry->wildcards)
      return refuse("cannot be told from a list: name each instrument of " + std::string{entry->venue});
    if (!wildcard_of(*instrument)) {
      const std::string all_of{std::string{entry->venue} + ":*"};
      if (instrument->symbol().starts_with("*#"))
        return refuse("compares turnovers in different currencies; name one, as in " + all_of +
                      "/USDT#50 for the 50 with the greatest turnover of those priced in USDT");
      return refuse("is no wildcard; write " + all_of + ", " + all_of + "/QUOTE for what is priced in QUOTE, or " +
                    all_of + "/QUOTE#50 for the 50 of these with the greatest turnover");
    }
  }
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
  for (const FeedEntry& entry : feed_entries()) {
    if (entry.venue != venue) continue;
    const auto refuse = [&](std::string why) {
      return failure(Fault::refused, Retry::never, std::string{venue} + ' ' + std::move(why));
    };
    if (options.tape == Tape::agg && !entry.aggregates) return refuse("has no aggregates: its tape is trade");
    if (options.news != NewsBy::off && !entry.news) return refuse("has no news: news must be off");
    if (options.connections > 1 && !entry.twin) return refuse("allows one connection: connections must be 1");
    if (entry.token && options.token.empty())
      return refuse("lets in nobody without a token: set feed." + std::string{venue} +
                    ".token, best as \"${file:PATH}\" or \"${NAME}\"");
    return entry.make(options, std::move(parts));
  }
  return failure(Fault::not_found, Retry::never,
                 "there is no live feed of '" + std::string{venue} + "'; there are feeds of " + known_feeds());
}

}  // namespace truetape
