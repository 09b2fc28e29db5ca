// Candles as `query` shows them: what the store has, and beside it the open windows of the larger intervals. The stream
// emits open rows of the smallest interval only; the larger ones are rolled up here from what the store has of it.
#pragma once

#include <functional>
#include <span>

#include "core/records.h"
#include "core/result.h"
#include "stores/history.h"

namespace truetape {

// Rows in the order of History::candles, the rolled-up ones in their places, as many as `what.limit` allows.
// `intervals`: those that are built. Reads the smallest interval from where `progress` says that all is closed.
Status candles_with_open(const History& history, std::span<const Interval> intervals, const Selection& what,
                         const std::function<bool(const Candle&)>& row);

}  // namespace truetape
