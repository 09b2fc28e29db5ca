// Compares our candles with the venue's own, field by field, and says why a window differs (docs/reconcile.md). What it
// is given decides the result: no clock, no network, no file.
#pragma once

#include <set>
#include <span>
#include <string>

#include "codec/reconciled.h"
#include "stores/history.h"
#include "venues/klines.h"

namespace truetape {

struct ReconcileOptions {
  Instrument instrument;
  std::optional<Tape> tape{};  // empty: the one that there are candles of
  Interval interval{};
  std::optional<Timestamp> from{}, to{};  // windows that begin in [from, to); empty: all
  std::size_t limit = 1000;               // differences listed, of provable windows and of the others each
  std::set<std::string, std::less<>> folded_kinds{"", "MARKET", "RPI"};  // kinds of trades that make candles (Rules)
  Timestamp at{};                                                        // noted in the result
  std::string official{};                                                // noted in the result
};

// `theirs`: in order, each start once (Klines::read). Compared are windows that are closed here. Provable is a complete
// or quiet row with the proof ids, declared or overlap; or session, once the ids of the rows around it follow on its
// own. Where windows without a trade have no row (below a minute) the ids around them speak for them. An error: the
// store cannot be read, or the instrument has candles of two tapes and none was named.
Result<Reconciliation> reconcile(const History& history, const ReconcileOptions& options,
                                 std::span<const OfficialCandle> theirs);

// What there is to compare: from the beginning of the first row to the end of the last. nullopt: no row.
struct CandleSpan {
  Tape tape;
  Timestamp from, to;
};
Result<std::optional<CandleSpan>> candle_span(const History& history, const ReconcileOptions& options);

}  // namespace truetape
