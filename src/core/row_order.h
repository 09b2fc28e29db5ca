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
inline RowOrder row_order(const NewsCount& c) { return {true, c.epoch, c.revision}; }
// A verdict by newer rules, then a later one; what came out of quarantine stays out, though it was sent again
// meanwhile.
inline RowOrder row_order(const Quarantined& q) {
  return {true, q.rule_version, std::uint64_t{q.attempts} * 2 + (q.resolution == Resolution::none ? 0 : 1)};
}

// `fresh` replaces `stored` only if it is greater. Equal order with other content is an alarm, never an update.
inline bool replaces(const RowOrder& fresh, const RowOrder& stored) { return fresh > stored; }

}  // namespace truetape
