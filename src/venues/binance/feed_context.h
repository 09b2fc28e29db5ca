// Inside of Binance's feed: what its connections and its REST client share.
#pragma once

#include <random>

#include "net/connector.h"
#include "net/rate_budget.h"
#include "venues/binance/feed.h"
#include "venues/feed_clock.h"
#include "venues/venue.h"

namespace truetape::binance {

struct FeedContext {
  FeedContext(FeedConfig config, FeedParts parts);

  void tell(FeedEvent::Level level, const std::string& connection, std::string text) const;
  std::string new_session_id();
  std::string origin_name() const { return std::string{venue.name}; }

  const FeedConfig config;
  const Venue& venue;
  net::Connector& connector;
  net::Loop& loop;
  RawSink& sink;
  VenueClock clock;
  net::RateBudget attempts;  // to connect
  std::mt19937_64 random;
  bool stopping = false;

 private:
  std::function<void(const FeedEvent&)> tell_;
};

// What to do about an HTTP status that refuses us as such: 403, 451; empty: none of these.
std::string advice(int status);

}  // namespace truetape::binance
