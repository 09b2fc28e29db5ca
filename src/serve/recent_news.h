// The newest headlines and counts of them, for snapshots of the stream: REST has them from the store. One thread.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/records.h"

namespace truetape {

class RecentNews {
 public:
  static constexpr std::size_t kHeadlines = 200;  // those that came last
  static constexpr std::size_t kCounts = 1'000;   // of each interval, those with the latest windows

  // As the log has it. A headline takes the place of the one that it names more instruments of.
  void put(const News& headline);
  // False: it is no newer than the row that is there.
  bool put(const NewsCount& count);

  const std::deque<News>& headlines() const { return headlines_; }
  // Rising by start, instrument, source.
  template <class Each>
  void counts(Interval interval, Each each) const {
    for (const auto& [key, row] : counts_)
      if (std::get<0>(key) == interval && row.headlines > 0) each(row);
  }

 private:
  using Key = std::tuple<Interval, Timestamp, Instrument, std::string, std::string>;  // …, source, venue
  std::deque<News> headlines_;
  std::map<Key, NewsCount> counts_;
  std::map<Interval, std::size_t> sizes_;
};

}  // namespace truetape
