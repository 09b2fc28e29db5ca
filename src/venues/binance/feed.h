// Binance's feeds, spot and USD-M, as venues/feed.h promises. What follows which rule of the venue: README.md.
#pragma once

#include "net/backoff.h"
#include "venues/binance/feed_plan.h"
#include "venues/feed.h"

namespace truetape::binance {

// Everything that can be set. feed_config() fills in what the venue's documents say; tests change the times.
struct FeedConfig {
  Product product = Product::spot;
  std::string stream_url, rest_url;  // without path
  std::string rest_path;             // "/api/v3"
  Tape tape = Tape::trade;
  bool best = true, ticker = true;
  int connections = 1;  // of each slot of the plan: 1 or 2
  std::uint64_t seed = 0;
  PlanLimits limits = {};

  int messages = 5;                                     // that the venue takes in any second of a connection
  Nanoseconds idle_timeout = std::chrono::seconds{70};  // nothing at all, not even the venue's ping
  Nanoseconds ack_timeout = std::chrono::seconds{10};   // for an answer to a subscription
  Nanoseconds beat = std::chrono::seconds{1};           // session records, our pings, looking at time-outs
  Nanoseconds pong_timeout = std::chrono::seconds{10};  // of a connection that has answered pings before
  Nanoseconds ping_again = std::chrono::minutes{1};     // after one that was not answered, when none had been before
  Nanoseconds silent_after = std::chrono::minutes{1};   // a confirmed stream that has sent nothing is told of
  Nanoseconds witness_lag = std::chrono::milliseconds{500};  // semantics section 3
  Nanoseconds life = std::chrono::hours{23};                 // then a successor is connected; the venue cuts at 24 h
  Nanoseconds life_jitter = std::chrono::minutes{30};        // added, so that not all change at once
  Nanoseconds cover_limit = std::chrono::seconds{30};        // for the old one's witness to reach the new one's begin
  Nanoseconds overlap_limit = std::chrono::minutes{10};      // for the new one to hear of what the old one heard of
  Nanoseconds steady_after = std::chrono::minutes{1};        // a connection that held so long ends the backing off
  Nanoseconds worked_after = std::chrono::seconds{5};        // carried all so long: the pause is no longer
  net::BackoffConfig backoff = {};                           // after failures that may pass
  net::BackoffConfig refused_backoff = {std::chrono::minutes{1}, std::chrono::minutes{15}, 2};  // after 403, 451 …
  int attempts = 300;                     // to connect, in 5 minutes, of this address
  std::size_t most_message = 512 * 1024;  // bytes of a frame

  std::int64_t weight = 6000;  // of REST, in a minute, of this address
  std::int64_t symbols_weight = 20;
  bool symbols_by_name = true;  // the symbol list can be asked for some symbols only
  Nanoseconds time_every = std::chrono::minutes{10};
  Nanoseconds symbols_every = std::chrono::hours{1};
  std::uint64_t most_symbols_body = 64 * 1024 * 1024;  // bytes
};

FeedConfig feed_config(Product product, const FeedOptions& options);

std::unique_ptr<Feed> make_feed(FeedConfig config, FeedParts parts);

}  // namespace truetape::binance
