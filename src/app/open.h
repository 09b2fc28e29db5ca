// Opens what lies in the data directory, with sentences for a person. Wiring only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "core/result.h"
#include "log/lmdb/lmdb_log.h"
#include "metrics/metrics.h"

namespace truetape::app {

// What the configuration says of the log.
LmdbOptions log_options(const Config& config);
// What is in force in an open log. What it keeps (log.size, log.retain.raw, log.retain.results) it remembers, each from
// the last writer whose configuration said it: that counts where this configuration does not say it.
Result<LmdbOptions> log_options(const Config& config, const LmdbLog& log);
// To write: made if it is not there, one process at a time. Keeps the schemas of what it holds as notes, and what the
// configuration says of what it keeps; what is not said is as the log remembers it. `metrics`, which outlives the log:
// what is told of its commits.
Result<std::unique_ptr<LmdbLog>> open_log_to_write(const Config& config, Metrics* metrics = nullptr);
// To read, also while another process writes. Fault::not_found, with what to do, where nothing was imported yet.
Result<std::unique_ptr<LmdbLog>> open_log_to_read(const Config& config);
// The intervals of a data directory's candles cannot change: the first import notes them in the log. Refused with what
// to do if the configuration's are others and there is something in raw, or somebody is `running` on them.
Status expect_intervals(const LmdbLog& log, const Config& config, bool running = false);
Status keep_intervals(LmdbLog& log, const Config& config);
// The rules by which what is received is judged are noted too, by whoever was given a configuration file or a rule, or
// comes first. Who judges all anew (rebuild) and was given neither is refused if the defaults are not what was noted.
Status expect_rules(const LmdbLog& log, const Config& config);
Status keep_rules(LmdbLog& log, const Config& config);
// What was noted, for those that read; the configuration's where nothing was, or the log cannot be opened.
std::vector<Interval> built_intervals(const Config& config);
// That DIR is no half of a restore or of a copied backup; and, to write, no backup at all. What all of these ask first.
Status expect_whole(const Config& config, bool to_write);
// That there is a log, else the sentence that says what to do.
Status expect_log(const Config& config);
// That there is a store, else the sentence that says what to do.
Status expect_store(const Config& config);

// "truetape import --data DIR --finish": processes and loads what is in the log already.
std::string finish_command(const Config& config);

}  // namespace truetape::app
