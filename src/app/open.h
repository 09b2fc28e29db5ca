// Opens what lies in the data directory, with sentences for a person. Wiring only.
#pragma once

#include <memory>
#include <string>

#include "app/config.h"
#include "core/result.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::app {

// To write: made if it is not there, one process at a time. Keeps the schemas of what it holds as notes.
Result<std::unique_ptr<LmdbLog>> open_log_to_write(const Config& config);
// To read, also while another process writes. Fault::not_found, with what to do, where nothing was imported yet.
Result<std::unique_ptr<LmdbLog>> open_log_to_read(const Config& config);
// That there is a store, else the sentence that says what to do.
Status expect_store(const Config& config);

// spdlog to standard error, from the configured level on.
void start_logging(const Config& config);

}  // namespace truetape::app
