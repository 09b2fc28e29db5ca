// What the roles tell metrics. Names and labels are public and stable: docs/metrics.md lists them all.
#pragma once

#include <string_view>

#include "metrics/metrics.h"
#include "roles/process.h"
#include "stores/sink.h"

namespace truetape {

// Of one committed step of process.
void meter(Metrics& metrics, const ProcessCounts& step);
// Records of raw that were deleted unread.
void meter_lost(Metrics& metrics, std::uint64_t records);
// Of `times` batches that the store took: its sink's counts before and now. 0 times, here and below: only that it is
// counted.
void meter(Metrics& metrics, std::string_view store, const SinkCounts& before, const SinkCounts& now,
           std::uint64_t times = 1);
// Records that load found in a topic of results and that are not truetape's.
void meter_foreign(Metrics& metrics, std::string_view store, std::string_view topic, std::uint64_t records);
// The store did not take a batch; it is tried again.
void meter_failed_load(Metrics& metrics, std::string_view store, std::uint64_t times = 1);
// A role survived an error and begins anew or tries again.
void meter_retry(Metrics& metrics, std::string_view role, std::uint64_t times = 1);
// How long records take from hop to hop: of a step or batch its record that waited longest.
Histogram& process_hop(Metrics& metrics);
Histogram& load_hop(Metrics& metrics, std::string_view store);
// Records that a role has before it.
void meter_behind(Metrics& metrics, std::string_view role, std::int64_t records);

}  // namespace truetape
