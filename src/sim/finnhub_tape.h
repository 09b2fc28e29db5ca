// What Finnhub's simulator plays: recordings of its WebSocket (`.jsonl`: a message a line, or `.frames` with receive
// times before them), or generated. Trades are numbered here, by symbol, from 1: the venue has no ids. A message is
// told when it was received; without receive times, when its latest trade happened.
#pragma once

#include "sim/tape.h"

namespace truetape::sim {

Result<std::unique_ptr<Tape>> open_finnhub_capture(const CaptureOptions& options, CaptureCounts& counts);
// Shares, currencies and crypto in turn. One trade in fifty is there twice, equal in all; one in thirty says a time up
// to 150 ms too early; every other one of currencies is an update without a quantity. Their `c`: a list, null for
// crypto, and of currencies an empty list or none.
std::unique_ptr<Tape> make_finnhub_generator(GeneratorOptions options);

}  // namespace truetape::sim
