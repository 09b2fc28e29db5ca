// Coinbase Exchange's live feed: the venue's own part of what venues/feed.h promises. What follows which rule of the
// venue: README.md.
#pragma once

#include <memory>

#include "venues/feed.h"
#include "venues/feed_dialect.h"

namespace truetape::coinbase {

std::unique_ptr<const feeds::Dialect> make_dialect();
feeds::Settings feed_settings(const FeedOptions& options);

}  // namespace truetape::coinbase
