// Canonical content (docs/semantics.md, sections 5 and 9): what two trades or candles are compared by, as one line of
// CSV without the circumstance. The same facts give the same lines whatever way they came. docs/records.md has the
// columns.
#pragma once

#include <string>

#include "core/records.h"

namespace truetape {

// Appends "era,order,id,first_id,last_id,time,price,quantity,taker_side,kind\n". `time` is event_time cut to
// milliseconds, as Unix milliseconds: archives tell microseconds where the live stream tells milliseconds.
void append_canonical(const Trade& trade, std::string& out);

// Appends "start,open,high,low,close,volume,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume,vwap,first_id,
// last_id,first_time,last_time,completeness\n"; times as Unix milliseconds, empty for null.
void append_canonical(const Candle& candle, std::string& out);

// Is the row's content final enough to be compared: closed or corrected, with proof ids, declared or overlap?
bool comparable(const Candle& candle);

}  // namespace truetape
