// What the topic `control` says, and saying more: for commands. One that runs follows it by ingest.
#pragma once

#include <span>

#include "codec/control.h"
#include "core/result.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::app {

// What the records say now; those that cannot be read are passed over.
Result<ControlState> read_control(const LmdbLog& log);
// Durable on return. An error: some of them may be there.
Status append_control(Log& log, std::span<const ControlRecord> records);

}  // namespace truetape::app
