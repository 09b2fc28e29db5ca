// What must be true at the end of every history, whatever happened in it. Judged by the venue's own list, by what the
// logs ever held, and by the store; nothing of what is judged is asked.
#pragma once

#include <string>
#include <vector>

#include "life.h"
#include "market/rules.h"
#include "store.h"
#include "tape.h"
#include "trace.h"
#include "venue.h"

namespace truetape::simulation {

struct Evidence {
  const Venue& venue;
  const std::vector<std::unique_ptr<Listing>>& listings;
  const std::vector<std::pair<Time, Time>>& log_troubles;
  const std::vector<LogTape>& logs;  // in the order in which they were
  const Rows& store;
  bool store_tells_logs = true;  // its quarantine tells which log a row is of, and it has windows that came late
  const Rules& rules;
  const Watch& watch;
  const ProcessCounts& counts;  // of the process roles of the last log
  bool clocks_were_wrong = false;
};

// By the last row of each gap.
struct OpenGaps {
  std::size_t count = 0;
  std::size_t windows = 0;  // that they keep correctable: of all intervals, up to `hold` beside them; each once
};
OpenGaps open_gaps(const LogTape& log, const Rules& rules);

// Sentences of what is wrong; empty: nothing.
std::vector<std::string> judge(const Evidence& evidence, Trace& trace);

}  // namespace truetape::simulation
