// All decoders of the program behind one door: venues by name, rows of files by capture's decoder. Pure: process, tests
// and benchmarks link it too.
#pragma once

#include "core/event.h"

namespace truetape {

// The venue of a record is that of its first instrument, else its header `venue`. Bytes of a venue that is not known
// become one bad item (unroutable).
const Decoder& all_decoders();

}  // namespace truetape
