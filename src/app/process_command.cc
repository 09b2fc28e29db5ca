// truetape process
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "app/command.h"
#include "app/lines.h"
#include "app/process_worker.h"
#include "app/values.h"
#include "app/worker_service.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string state, listen;
  bool drain = false, change_rules = false;
};

// Where what must outlive the process is kept: --state, else the service manager's, else the user's.
std::filesystem::path state_directory(const std::string& said) {
  if (!said.empty()) return said;
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::filesystem::path{value == nullptr ? "" : value};
  };
  if (const auto given = variable("STATE_DIRECTORY"); !given.empty()) return given;
  if (const auto user = variable("XDG_STATE_HOME"); !user.empty()) return user / "truetape";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".local/state/truetape";
  throw ConfigError{"there is no directory for what must outlive the process; name one: --state DIR"};
}

int run_process(const Asked& asked, const Common& common) {
  const Config config = configure(common, Takes::kafka);
  const std::filesystem::path state = state_directory(asked.state);
  start_lines(config);
  WorkerService service{config};
  WorkerOptions options;
  options.drain = asked.drain;
  options.change_rules = asked.change_rules;
  options.command = "truetape process --data " + shell_word(config.data);
  options.shows = "truetape query quarantine --data " + shell_word(config.data) + " --store " +
                  (config.store.empty() ? "sqlite:FILE" : shell_word(config.store));
  options.ready = [&] { service.ready(); };
  const auto opened = ProcessWorker::open(config, state, service.metrics(), std::move(options), service.ended());
  if (!opened) return service.ended() ? static_cast<int>(kOk) : fail(opened.error().detail);
  ProcessWorker& worker = **opened;
  const auto monitor = service.listen(asked.listen, worker.watch());
  if (!monitor) return fail(monitor.error().detail);
  const Status done = worker.run(service.stop());
  tell_repeats(true);
  return done ? static_cast<int>(kOk) : fail(done.error().detail);
}

}  // namespace

void add_process(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "process",
      "Makes trades, gaps and candles of what a log on Kafka receives: one worker, of any number.\n\n"
      "Until SIGINT or SIGTERM, which let it finish its step. Workers divide the partitions among them; one that ends "
      "for\n"
      "good is replaced by the others after kafka.session. Each step is one transaction: what is read, made and "
      "remembered\n"
      "of it counts together or not at all, so a worker may be killed at any instant. When it takes part it prints:\n"
      "  ready kafka://broker:9092/market worker=a\n\n"
      "Each needs a name of its own (--worker), the same after a restart: with it, it ends at once what was left of "
      "itself.\n"
      "All need the same intervals and rules, which the log remembers. Trouble that may pass is waited for and told "
      "on\n"
      "standard error.");
  command->footer(
      "Examples:\n"
      "  truetape process --data kafka://broker1:9092,broker2:9092/market --worker a\n"
      "  truetape process --data kafka://broker1:9092/market --worker b --drain\n\n"
      "Exit status:\n"
      "  0  ended by a signal; or drained\n"
      "  1  failed: no brokers, no topics, other intervals or rules than the log's, the name is another worker's, …\n"
      "  2  command line or configuration refused; nothing was done\n\n"
      "Files:\n"
      "  STATE/PREFIX.WORKER.attempt  notes which record is worked on, so that one that kills the program is left out "
      "next\n"
      "                               time; STATE is --state DIR, else $STATE_DIRECTORY, $XDG_STATE_HOME/truetape or\n"
      "                               ~/.local/state/truetape");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::kafka);
  add_worker(*command, common);
  command->add_option("--state", asked->state, "Directory for what must outlive the process, see below")
      ->type_name("DIR");
  command->add_flag("--drain", asked->drain,
                    "End once everything that was received is processed, by this worker or others");
  command->add_flag("--change-rules", asked->change_rules,
                    "Judge by this configuration's rules from now on; stop all other workers before");
  add_listen(*command, asked->listen);
  command->callback([asked, common, &chosen] { chosen = [asked, common] { return run_process(*asked, *common); }; });
}

}  // namespace truetape::app
