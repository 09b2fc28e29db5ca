// The subcommands. Each stands in a file of its own, adds itself to the parser, and leaves in `chosen` what main is to
// run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"

namespace truetape::app {

// The same for all subcommands, and documented in each help text.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,     // the sentence on standard error says what and what to do
  kUsage = 2,      // command line or configuration refused; nothing was done
  kDifferent = 3,  // a comparison or a check found a difference or damage
};

// Options that every subcommand takes.
struct Common {
  std::vector<std::string> config_files;
  std::vector<std::string> sets;
  std::string data;
  std::string store, worker;  // of the commands that take them
};

using Run = std::function<int()>;

void add_import(CLI::App& root, Run& chosen);
void add_query(CLI::App& root, Run& chosen);
void add_quarantine(CLI::App& root, Run& chosen);
void add_digest(CLI::App& root, Run& chosen);
void add_audit(CLI::App& root, Run& chosen);
void add_reconcile(CLI::App& root, Run& chosen);
void add_cross(CLI::App& root, Run& chosen);
void add_explain(CLI::App& root, Run& chosen);
void add_log(CLI::App& root, Run& chosen);
void add_readers(CLI::App& root, Run& chosen);
void add_schemas(CLI::App& root, Run& chosen);
void add_config(CLI::App& root, Run& chosen);
void add_control(CLI::App& root, Run& chosen);
void add_init(CLI::App& root, Run& chosen);
void add_run(CLI::App& root, Run& chosen);
void add_rules(CLI::App& root, Run& chosen);
void add_demo(CLI::App& root, Run& chosen);
void add_sim(CLI::App& root, Run& chosen);
void add_backup(CLI::App& root, Run& chosen);
void add_restore(CLI::App& root, Run& chosen);
void add_rebuild(CLI::App& root, Run& chosen);
void add_topics(CLI::App& root, Run& chosen);
void add_process(CLI::App& root, Run& chosen);
void add_load(CLI::App& root, Run& chosen);
void add_backfill(CLI::App& root, Run& chosen);

// What --data may name. nothing: there is no such option; perhaps: a directory, and it need not be said.
enum class Takes : std::uint8_t { nothing, perhaps, directory, kafka, both };

// --config, --set and --data. The result lives as long as the parser.
std::shared_ptr<Common> add_common(CLI::App& command, Takes takes = Takes::directory);
// Where commands take them: --store URL, --worker NAME.
void add_store(CLI::App& command, const std::shared_ptr<Common>& common);
void add_worker(CLI::App& command, const std::shared_ptr<Common>& common);
// Files, --set, then options. Throws ConfigError, also where --data is missing, or names what the command cannot use.
Config configure(const Common& common, Takes takes = Takes::directory);
// Of commands that need a store: throws ConfigError where a log on Kafka is named, and no store.
void expect_store_named(const Config& config);
// To standard error, "truetape: …", or in JSON where lines are (lines.h). Answers the exit code.
int fail(std::string_view sentence);

// Time, instrument and so on from the command line; throw CLI::ValidationError with what is allowed.
Timestamp time_argument(const std::string& text, const std::string& option);
Instrument instrument_argument(const std::string& text, const std::string& option = "--instrument");
Interval interval_argument(const std::string& text, const std::string& option = "--interval");
Tape tape_argument(const std::string& text);
// For options of numbers from 0 on, and from 1 on.
CLI::Validator whole_number();
CLI::Validator counting_number();

}  // namespace truetape::app
