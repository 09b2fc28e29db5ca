// A set of ids as the ranges it consists of. Made for ids that mostly come in rising order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace truetape::sim {

class IdRanges {
 public:
  using Range = std::pair<std::uint64_t, std::uint64_t>;  // first and last, both included

  void add(std::uint64_t first, std::uint64_t last) {
    if (!ranges_.empty() && first == ranges_.back().second + 1) {
      ranges_.back().second = last;
      return;
    }
    if (ranges_.empty() || first > ranges_.back().second) {
      ranges_.emplace_back(first, last);
      return;
    }
    insert(first, last);
  }
  void add(std::uint64_t id) { add(id, id); }

  bool has(std::uint64_t id) const {
    const auto after = std::ranges::upper_bound(ranges_, id, {}, &Range::first);
    return after != ranges_.begin() && std::prev(after)->second >= id;
  }
  std::uint64_t count() const {
    std::uint64_t sum = 0;
    for (const auto& [first, last] : ranges_) sum += last - first + 1;
    return sum;
  }
  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }  // rising, neither overlapping nor touching

 private:
  void insert(std::uint64_t first, std::uint64_t last) {
    auto from = std::ranges::lower_bound(ranges_, first == 0 ? 0 : first - 1, {}, &Range::second);
    auto to = from;
    for (; to != ranges_.end() && to->first <= last + 1; ++to) {
      first = std::min(first, to->first);
      last = std::max(last, to->second);
    }
    if (from == to) {
      ranges_.insert(from, {first, last});
    } else {
      *from = {first, last};
      ranges_.erase(std::next(from), to);
    }
  }

  std::vector<Range> ranges_;
};

}  // namespace truetape::sim
