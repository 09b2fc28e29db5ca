#include "venues/feed_entry.h"

namespace truetape::kucoin {

// There is no live feed of KuCoin yet.
std::span<const FeedEntry> feed_entries() { return {}; }

}  // namespace truetape::kucoin
