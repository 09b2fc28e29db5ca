// truetape load
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>

#include "app/command.h"
#include "app/import_report.h"
#include "app/lines.h"
#include "app/load_worker.h"
#include "app/worker_service.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string listen;
  bool drain = false, adopt = false;
};

int run_load(const Asked& asked, const Common& common) {
  Config config = configure(common, Takes::kafka);
  expect_store_named(config);
  // It comes and goes, perhaps beside one that stays: under a name of its own neither fences the other.
  if (asked.drain) config.worker = worker_name(config).substr(0, 80) + "-drain-" + std::to_string(getpid());
  start_lines(config);
  WorkerService service{config};
  LoaderOptions options;
  options.drain = asked.drain;
  options.adopt = asked.adopt;
  options.ready = [&] { service.ready(" store=" + config.store); };
  const auto opened = LoadWorker::open(config, service.metrics(), std::move(options), service.ended());
  if (!opened) return service.ended() ? static_cast<int>(kOk) : fail(opened.error().detail);
  LoadWorker& worker = **opened;
  const auto monitor = service.listen(asked.listen, worker.watch(), config.store_file());
  if (!monitor) return fail(monitor.error().detail);
  const Status done = worker.run(service.stop());
  tell_repeats(true);
  if (!done) return fail(done.error().detail);
  const SinkCounts did = worker.loaded();
  std::printf("loaded %s rows into %s, %s of them new\n", grouped(did.rows).c_str(), config.store_file().c_str(),
              grouped(did.written).c_str());
  if (did.contradictions > 0)
    std::printf("ALARM  %s rows contradict the store: %s\n", grouped(did.contradictions).c_str(),
                did.last_contradiction.c_str());
  return kOk;
}

}  // namespace

void add_load(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "load",
      "Copies the results of a log on Kafka into a store.\n\n"
      "Until SIGINT or SIGTERM. The store keeps its position in the same transaction as the rows, so each is there "
      "once,\n"
      "however often this is killed. One store belongs to one log; trouble with either is waited for and told on "
      "standard\n"
      "error. When it loads it prints:\n"
      "  ready kafka://broker:9092/market worker=a store=sqlite:market.db");
  command->footer(
      "Examples:\n"
      "  truetape load --data kafka://broker1:9092/market --store sqlite:market.db\n"
      "  truetape load --data kafka://broker1:9092/market --store sqlite:market.db --drain\n\n"
      "Exit status:\n"
      "  0  ended by a signal; or drained\n"
      "  1  failed: no brokers, no topics, the store holds another log's rows or cannot be used, …\n"
      "  2  command line or configuration refused; nothing was done");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::kafka);
  add_store(*command, common);
  add_worker(*command, common);
  command->add_flag("--drain", asked->drain, "End once the store has all that workers have made by then");
  command->add_flag("--adopt", asked->adopt,
                    "Go on with a store that holds another log's rows: they stay, all of this log is loaded");
  add_listen(*command, asked->listen);
  command->callback([asked, common, &chosen] { chosen = [asked, common] { return run_load(*asked, *common); }; });
}

}  // namespace truetape::app
