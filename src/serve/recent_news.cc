#include "serve/recent_news.h"

#include <algorithm>

#include "core/row_order.h"

namespace truetape {

void RecentNews::put(const News& headline) {
  std::erase_if(headlines_, [&](const News& n) { return n.id == headline.id && n.venue == headline.venue; });
  headlines_.push_back(headline);
  if (headlines_.size() > kHeadlines) headlines_.pop_front();
}

bool RecentNews::put(const NewsCount& count) {
  Key key{count.interval, count.start, count.instrument, count.source, count.venue};
  const auto [found, fresh] = counts_.try_emplace(std::move(key), count);
  if (!fresh) {
    if (!replaces(count, found->second)) return false;
    found->second = count;
    return true;
  }
  std::size_t& size = sizes_[count.interval];
  if (++size > kCounts) {
    counts_.erase(counts_.lower_bound(Key{count.interval, Timestamp::min(), {}, {}, {}}));
    --size;
  }
  return true;
}

}  // namespace truetape
