// A set of half-open time spans, kept merged: declarations, and what sessions cover.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>

#include "core/time.h"

namespace truetape::market {

class Spans {
 public:
  // Overlapping and touching spans become one. from < to, else nothing happens.
  void add(Timestamp from, Timestamp to) {
    if (from >= to) return;
    auto next = spans_.upper_bound(from);
    if (next != spans_.begin() && std::prev(next)->second >= from) --next;
    while (next != spans_.end() && next->first <= to) {
      from = std::min(from, next->first);
      to = std::max(to, next->second);
      next = spans_.erase(next);
    }
    spans_.emplace(from, to);
  }
  // End of the span that holds t (from <= t < to); nullopt: t is in none.
  std::optional<Timestamp> end_of(Timestamp t) const {
    const auto span = holding(t);
    return span == spans_.end() ? std::nullopt : std::optional{span->second};
  }
  std::optional<Timestamp> begin_of(Timestamp t) const {
    const auto span = holding(t);
    return span == spans_.end() ? std::nullopt : std::optional{span->first};
  }
  void drop_first() { spans_.erase(spans_.begin()); }
  bool empty() const { return spans_.empty(); }
  const std::map<Timestamp, Timestamp>& all() const { return spans_; }

 private:
  std::map<Timestamp, Timestamp>::const_iterator holding(Timestamp t) const {
    auto next = spans_.upper_bound(t);
    if (next == spans_.begin() || std::prev(next)->second <= t) return spans_.end();
    return std::prev(next);
  }
  std::map<Timestamp, Timestamp> spans_;
};

}  // namespace truetape::market
