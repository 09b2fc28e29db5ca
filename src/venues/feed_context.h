// Inside of a feed: what its connections and its REST client share.
#pragma once

#include <functional>
#include <random>
#include <set>

#include "net/connector.h"
#include "net/rate_budget.h"
#include "venues/feed.h"
#include "venues/feed_clock.h"
#include "venues/feed_dialect.h"

namespace truetape::feeds {

class Rest;

struct Context {
  Context(Settings settings, const Dialect& dialect, FeedParts parts);

  void tell(FeedEvent::Level level, const std::string& connection, std::string text) const;
  std::string new_session_id();

  const Settings config;
  const Dialect& dialect;
  const Venue& venue;
  net::Connector& connector;
  net::Loop& loop;
  RawSink& sink;
  VenueClock clock;
  net::RateBudget attempts;  // to connect
  std::mt19937_64 random;
  Rest* rest = nullptr;  // set by the feed
  bool stopping = false;
  std::set<Instrument> wanted = {};  // what wildcards mean included
  // Instruments whose tape is carried anew: for the errand, which is woken.
  std::set<Instrument> new_carried = {};
  std::function<void()> carried_anew = {};

 private:
  std::function<void(const FeedEvent&)> tell_;
};

}  // namespace truetape::feeds
