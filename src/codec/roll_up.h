// The candle of a larger window that is still open. The stream emits open rows of the smallest interval only; who shows
// larger ones (query, serve) rolls them up here. Closed windows are never rolled up: the stream has them exactly.
#pragma once

#include <optional>
#include <span>

#include "core/records.h"

namespace truetape {

// One open row for the window [window_start(first base), + interval). `bases` are the latest rows of one instrument and
// tape in one smaller interval that divides `interval`, of that window only, in order of their start; windows without a
// row may be left out. `gaps`: the instrument's, of the tape; one that has not ended and touches the window makes it a
// gap, as rule 3 of docs/semantics.md section 4 says, and `missing` is then theirs. nullopt: no base has a trade yet,
// so there is no open row.
//
// Open and close are of the trades with the least (first_time, first_id) and the greatest (last_time, last_id); sums
// are empty where they leave decimal(38,18). quote_volume is the sum of the bases' rounded ones: the stream's row, once
// the window closes, may differ in the 18th decimal.
std::optional<Candle> roll_up(std::span<const Candle> bases, Interval interval, std::span<const Gap> gaps = {});

}  // namespace truetape
