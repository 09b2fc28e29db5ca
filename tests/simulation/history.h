// One history: a venue that trades, lives of the process one after the other, faults, a quiet end, and the judge. All
// of it is drawn from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace.h"

namespace truetape::simulation {

struct HistoryOptions {
  std::uint64_t seed = 1;
  bool trace = false;
  bool long_run = false;  // 8 hours of virtual time with retention, instead of minutes
};

struct HistoryResult {
  std::vector<std::string> complaints;  // empty: all that must be true is
  std::uint64_t hash = 0;               // of its events
  Tally faults, outcomes;
};

HistoryResult run_history(const HistoryOptions& options);

// Every kind of fault and of outcome that many histories together must have shown.
std::vector<std::string> expected_faults();
std::vector<std::string> expected_outcomes();

}  // namespace truetape::simulation
