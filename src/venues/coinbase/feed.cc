#include "venues/feed_entry.h"

namespace truetape::coinbase {

// There is no live feed of Coinbase yet.
std::span<const FeedEntry> feed_entries() { return {}; }

}  // namespace truetape::coinbase
