// Binance's fillers, spot and USD-M, as venues/filler.h promises: trades by fromId, of the tape `trade` from
// historicalTrades, of `agg` from aggTrades. Which rule of the venue asks for what: README.md.
#pragma once

#include "net/backoff.h"
#include "venues/binance/item.h"
#include "venues/filler.h"

namespace truetape::binance {

// One of the venue's calls that give trades.
struct PageCall {
  std::string_view path;  // "/historicalTrades"
  std::size_t most;       // trades of one answer
  std::int64_t weight;
};

// Everything that can be set. filler_config() fills in what the venue's documents say; tests change it.
struct FillerConfig {
  Product product = Product::spot;
  std::string url;  // with the path of all calls, "https://api.binance.com/api/v3"
  std::string api_key;
  PageCall trades{}, aggregates{}, recent{};  // recent: the newest trades, where the first refuses us
  std::int64_t weight = 6000;                 // that the venue allows an address in a minute
  int share = 40;                             // percent of that
  std::uint64_t seed = 0;
  std::size_t unit_pages = 20;
  // How many ids before the first missing one a question begins: on USD-M the neighbour itself may be a record that
  // REST does not show.
  std::uint64_t margin = 1;
  Nanoseconds as_of_margin = std::chrono::seconds{1};  // taken off the venue's time: it may be told late
  int attempts = 4;                                    // of one page, until that is trouble
  net::BackoffConfig backoff = {std::chrono::seconds{1}, std::chrono::minutes{1}, 2};  // between them
  std::uint64_t most_body = 900 * 1024;  // bytes: what a record of the log can hold
};

FillerConfig filler_config(Product product, const FillOptions& options);

std::unique_ptr<Filler> make_filler(FillerConfig config, FeedParts parts);

}  // namespace truetape::binance
