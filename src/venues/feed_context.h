// Inside of a feed: what its connections and its REST client share.
#pragma once

#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

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
  // Without the token, should the venue or a proxy have said it: nothing of it is told, shown or put. Nor is what is
  // left of one where a text was cut, down to its first 8 bytes; a token of fewer is none that a venue gives, and may
  // be part of any word.
  std::string masked(std::string text) const;
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
  std::vector<std::string> secrets_;  // as it is, and as it stands in an address
  std::function<void(const FeedEvent&)> tell_;
};

}  // namespace truetape::feeds
