// KuCoin's feed: the venue's own part of what venues/feed.h promises. What follows which rule of the venue: README.md.
#pragma once

#include <memory>

#include "venues/feed.h"
#include "venues/feed_dialect.h"
#include "venues/kucoin/feed_last_trades.h"

namespace truetape::kucoin {

feeds::Settings feed_settings(const FeedOptions& options);
std::unique_ptr<const feeds::Dialect> make_dialect();

}  // namespace truetape::kucoin
