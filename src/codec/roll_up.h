// The candle of a larger window that is still open. The stream emits open rows of the smallest interval only; who shows
// larger ones (query, serve) rolls them up here. Closed windows are never rolled up: the stream has them exactly.
#pragma once

#include <optional>
#include <span>

#include "core/records.h"

namespace truetape {

// One open row for the window [window_start(first base), + interval). `bases` are the latest rows of one instrument and
// tape in one smaller interval that divides `interval`, of that window only, in order of their start; windows without a
// row may be left out. nullopt: no base has a trade yet, so there is no open row. Of the rules of docs/semantics.md
// section 4 the first that holds counts:
//   rule 4: a base is partial, or `known_from` lies inside the window (no window before it has a row): partial, and how
//           many are missing is not known
//   rules 1 and 3: a base is a gap, or one of `gaps` (the instrument's, of the tape) has not ended and touches the
//           window: a gap, and `missing` is theirs
//
// Open and close are of the trades with the least (first_time, first_id) and the greatest (last_time, last_id); sums
// are empty where they leave decimal(38,18). quote_volume is the sum of the bases' rounded ones: the stream's row, once
// the window closes, may differ in the 18th decimal.
std::optional<Candle> roll_up(std::span<const Candle> bases, Interval interval, std::span<const Gap> gaps = {},
                              std::optional<Timestamp> known_from = std::nullopt);

}  // namespace truetape
