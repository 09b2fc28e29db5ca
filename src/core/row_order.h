// Which of two rows with one key stays, in every store, cache and view (semantics section 6). The one place.
#pragma once

#include <compare>
#include <cstdint>

#include "core/records.h"

namespace truetape {

struct RowOrder {
  bool settled = false;
  std::int64_t epoch = 0;
  std::uint64_t revision = 0;
  friend auto operator<=>(const RowOrder&, const RowOrder&) = default;
};

inline RowOrder row_order(const Candle& c) {
  return {c.status != CandleStatus::open && c.completeness != Completeness::partial, c.epoch, c.revision};
}
inline RowOrder row_order(const Gap& g) { return {true, g.epoch, g.revision}; }
inline RowOrder row_order(const Progress& p) { return {true, p.epoch, p.revision}; }
// A verdict by newer rules, then a later one; what came out of quarantine stays out, though it was sent again
// meanwhile.
inline RowOrder row_order(const Quarantined& q) {
  return {true, q.rule_version, std::uint64_t{q.attempts} * 2 + (q.resolution == Resolution::none ? 0 : 1)};
}

// `fresh` replaces `stored` only if it is greater. Equal order with other content is an alarm, never an update.
inline bool replaces(const RowOrder& fresh, const RowOrder& stored) { return fresh > stored; }

// Headlines are counted from what a log still holds, so another epoch may know less: between epochs the row with more
// headlines stays (semantics section 14).
inline bool replaces(const NewsCount& fresh, const NewsCount& stored) {
  if (fresh.epoch == stored.epoch) return fresh.revision > stored.revision;
  if (fresh.headlines != stored.headlines) return fresh.headlines > stored.headlines;
  return fresh.epoch > stored.epoch;
}
inline bool same_order(const NewsCount& a, const NewsCount& b) {
  return a.epoch == b.epoch && a.revision == b.revision;
}
template <class Row>
bool same_order(const Row& a, const Row& b) {
  return row_order(a) == row_order(b);
}

}  // namespace truetape
