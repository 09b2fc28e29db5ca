// truetape log stats: what takes the room in the log.
#pragma once

#include "app/command.h"

namespace truetape::app {

void add_log_stats(CLI::App& log, Run& chosen);

}  // namespace truetape::app
