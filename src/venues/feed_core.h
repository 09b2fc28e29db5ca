// A feed as feed.h promises it, made of what a venue's dialect and settings say.
#pragma once

#include <memory>

#include "venues/feed.h"
#include "venues/feed_dialect.h"
#include "venues/feed_errand.h"

namespace truetape::feeds {

// What FeedOptions say, over what the venue's documents do.
void apply(const FeedOptions& options, Settings& settings);

// `errand` may be null.
std::unique_ptr<Feed> make_feed(std::unique_ptr<const Dialect> dialect, Settings settings, FeedParts parts,
                                std::unique_ptr<Errand> errand = nullptr);

}  // namespace truetape::feeds
