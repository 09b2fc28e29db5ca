// What the roles tell metrics. Names and labels are public and stable: docs/metrics.md lists them all.
#pragma once

#include <string_view>

#include "metrics/metrics.h"
#include "roles/process.h"
#include "stores/sink.h"

namespace truetape {

// Of one committed step of process.
void meter(Metrics& metrics, const ProcessCounts& step);
// Of a batch that the store took: its sink's counts before and now.
void meter(Metrics& metrics, std::string_view store, const SinkCounts& before, const SinkCounts& now);
// The store did not take a batch; it is tried again.
void meter_failed_load(Metrics& metrics, std::string_view store);
// A role survived an error and begins anew or tries again.
void meter_retry(Metrics& metrics, std::string_view role);
// Records that a role has before it.
void meter_behind(Metrics& metrics, std::string_view role, std::int64_t records);

}  // namespace truetape
