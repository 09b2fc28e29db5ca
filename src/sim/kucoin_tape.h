// What KuCoin's simulator plays: recordings of its WebSocket (`.frames`: a receive time before each frame, or none), or
// generated. Matches and tickers are played; order books, candles and answers are not. A frame is told when it was
// received; without receive times, at its own time.
#pragma once

#include "sim/tape.h"

namespace truetape::sim {

Result<std::unique_ptr<Tape>> open_kucoin_capture(const CaptureOptions& options, CaptureCounts& counts);
// Sequences rise by 1 to 10 from trade to trade and by 3 within one taker order; times are whole milliseconds, and ids
// of trades their sequences. `older`: nanoseconds and hexadecimal ids, as before 2022.
std::unique_ptr<Tape> make_kucoin_generator(GeneratorOptions options);
// "BTC-USDT": before and behind the first dash.
void split_dashed(Listing& listing);

}  // namespace truetape::sim
