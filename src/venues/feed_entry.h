// What a folder of venues says of its live feeds, one entry for each venue: what may be asked for, and how it is made.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "venues/feed.h"

namespace truetape {

class Filler;
struct FillOptions;

struct FeedEntry {
  std::string_view venue;    // "binance"
  std::string_view example;  // "binance:BTCUSDT": for sentences
  bool capitals = true;      // no symbol has small letters
  bool aggregates = false;   // Tape::agg can be subscribed to
  bool wildcards = false;    // "VENUE:*": the list of all symbols can be had
  bool twin = true;          // two connections may carry the same
  bool token = false;        // it lets in nobody without FeedOptions::token
  bool news = false;         // it has headlines: FeedOptions::news
  int symbols = 0;           // that one connection may carry in the cheapest plan; 0: it has no plans
  std::unique_ptr<Feed> (*make)(const FeedOptions& options, FeedParts parts) = nullptr;
  bool api_key = false;  // it gives some trades only to who sends FillOptions::api_key
  // nullptr: it cannot be asked for what is missing (venues/filler.h).
  std::unique_ptr<Filler> (*make_filler)(const FillOptions& options, FeedParts parts) = nullptr;
};

std::span<const FeedEntry> feed_entries();  // of all venues

}  // namespace truetape
