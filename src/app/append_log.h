// The log of a data directory to append a few records to: taken if nobody runs there, else through the process that
// does. For commands.
#pragma once

#include <memory>

#include "app/beside.h"

namespace truetape::app {

struct AppendLog {
  std::unique_ptr<LmdbLog> own;
  std::unique_ptr<BesideLog> beside;
  Log& log() const { return own ? static_cast<Log&>(*own) : *beside; }
  const LmdbLog& files() const { return own ? *own : beside->files(); }
};
// The error is a sentence: there is no log, it cannot be opened.
Result<AppendLog> open_to_append(const Config& config);

}  // namespace truetape::app
