// What a store knows, for whoever asks for something that it does not.
#pragma once

#include "core/instrument.h"
#include "core/result.h"

namespace truetape {

class History;

// Fault::not_found, with the names that there are, if no row is of the instrument.
Status expect_known(const History& history, const Instrument& instrument);

}  // namespace truetape
