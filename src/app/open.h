// Opens what lies in the data directory, with sentences for a person; and what a log's notes say of who writes there.
// Wiring only.
#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
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
// A log with the small named texts that travel with it; the log outlives it.
struct Notes {
  template <std::derived_from<Log> NotedLog>
  Notes(NotedLog& of) : log{of}, note{[&of](std::string_view name) { return of.note(name); }} {
    if constexpr (!std::is_const_v<NotedLog>)
      set_note = [&of](std::string_view name, std::string_view text) { return of.set_note(name, text); };
  }
  const Log& log;
  std::function<Result<std::optional<std::string>>(std::string_view name)> note;
  std::function<Status(std::string_view name, std::string_view text)> set_note;  // empty: the log is only read
};
// The intervals of a log's candles cannot change: the first import notes them in the log. Refused with what to do if
// the configuration's are others and there is something in raw, or somebody is `running` on them.
Status expect_intervals(const Notes& notes, const Config& config, bool running = false);
Status keep_intervals(const Notes& notes, const Config& config);
// The rules by which what is received is judged are noted too, by whoever was given a configuration file or a rule, or
// comes first. Who judges all anew (rebuild) and was given neither is refused if the defaults are not what was noted.
Status expect_rules(const Notes& notes, const Config& config);
Status keep_rules(const Notes& notes, const Config& config);
Status change_rules(const Notes& notes, const Config& config);  // whether it was given any or not
// The rules that the process of a data directory judges by are noted when it begins, whether it was given any or not.
Status note_judging(const Notes& notes, const Config& config);
// These, for commands without a configuration of their own; the configuration's where it says rules, or nothing was
// noted.
Result<Rules> judged_rules(const Notes& notes, const Config& config);
// Of a log that several processes judge at once: refused where the configuration has other rules than were noted,
// whether it was given any or not, with the command that changes them: `change`.
Status expect_same_rules(const Notes& notes, const Config& config, std::string_view change);
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
// The command that loads the store further: that, or on Kafka "truetape load --data URL --store sqlite:FILE --drain".
std::string load_command(const Config& config);
// What an error of a store or a role says, with that command instead of a data directory's where the log is on Kafka.
std::string sentence(const Config& config, const Error& error);

}  // namespace truetape::app
