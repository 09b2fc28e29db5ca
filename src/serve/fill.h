// The recent past of one instrument from the store. Any thread; blocks.
#pragma once

#include <span>

#include "core/result.h"
#include "serve/recent.h"
#include "stores/history.h"

namespace truetape {

// Of each interval the newest rows, as many as `kept` says for it, and the newest trades. A store that is not there yet
// has nothing.
Result<Filled> read_filled(const History& history, const Instrument& instrument, std::span<const Interval> intervals,
                           std::span<const std::size_t> kept, std::size_t trades);

}  // namespace truetape
