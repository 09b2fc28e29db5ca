// Binance's feeds, spot and USD-M: the venue's own part of what venues/feed.h promises. What follows which rule of the
// venue: README.md.
#pragma once

#include <memory>

#include "venues/binance/item.h"
#include "venues/feed.h"
#include "venues/feed_dialect.h"

namespace truetape::binance {

std::unique_ptr<const feeds::Dialect> make_dialect(Product product);

feeds::Settings feed_settings(Product product, const FeedOptions& options);

std::unique_ptr<Feed> make_feed(Product product, const FeedOptions& options, FeedParts parts);

}  // namespace truetape::binance
