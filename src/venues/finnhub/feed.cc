#include "venues/feed_entry.h"

namespace truetape::finnhub {

std::span<const FeedEntry> feed_entries() { return {}; }

}  // namespace truetape::finnhub
