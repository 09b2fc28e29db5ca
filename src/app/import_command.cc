// truetape import
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>

#include "app/command.h"
#include "app/import_report.h"
#include "app/open.h"
#include "app/pipeline.h"
#include "batch/import.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

// Set by the first SIGINT or SIGTERM: stop reading, keep what was read. A second one ends the process as ever.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);
void on_signal(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

struct Asked {
  std::vector<std::string> files;
  std::string venue, instrument, columns, time_unit, tape, covers;
  bool adopt = false;
};

ImportOptions import_options(const Asked& asked) {
  ImportOptions out;
  out.venue = asked.venue;
  out.instrument = asked.instrument;
  out.columns = asked.columns;
  if (!asked.time_unit.empty() && !(out.time_unit = parse_time_unit(asked.time_unit)))
    throw CLI::ValidationError{"--time-unit", "\"" + asked.time_unit + "\" is no unit; allowed: s, ms, us, ns"};
  if (!asked.tape.empty() && !(out.tape = parse_tape(asked.tape)))
    throw CLI::ValidationError{"--tape", "\"" + asked.tape + "\" is no tape; allowed: trade, agg"};
  if (!asked.covers.empty()) {
    const std::size_t dots = asked.covers.find("..");
    if (dots == std::string::npos)
      throw CLI::ValidationError{"--covers", "write FROM..TO, such as 2019-10-11..2019-10-12T12:00"};
    out.covers = {time_argument(asked.covers.substr(0, dots), "--covers"),
                  time_argument(asked.covers.substr(dots + 2), "--covers")};
    if (out.covers->first >= out.covers->second) throw CLI::ValidationError{"--covers", "FROM must be before TO"};
  }
  return out;
}

int run_import(const Asked& asked, const Common& common) {
  const auto began = std::chrono::steady_clock::now();
  const Config config = configure(common);
  start_logging(config);
  auto log = open_log_to_write(config);
  if (!log) return fail(log.error().detail);
  auto appender = (*log)->appender(topic::raw);
  if (!appender) return fail(appender.error().detail);
  auto ranges = OpenRanges::read(**log);
  if (!ranges) return fail(ranges.error().detail);

  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  ProgressLine line;
  Pipeline pipeline{**log, config, asked.adopt};
  std::atomic<bool> stop{false};
  ImportOptions options = import_options(asked);
  options.stop = &stop;
  options.progress = [&](const ImportProgress& progress) {
    if (g_interrupted || pipeline.failed()) stop = true;
    line.importing(progress);
  };
  const SystemClock clock;
  Importer importer{**appender, (*log)->partitions(), clock, options, &*ranges};
  const std::vector<std::filesystem::path> files{asked.files.begin(), asked.files.end()};
  const auto imported = importer.run(files);
  // What was appended before an error is processed and loaded all the same: the store never lags behind for long.
  const Status drained = pipeline.drain([&](std::int64_t process, std::int64_t load) { line.draining(process, load); });
  line.clear();
  if (!imported) return fail(imported.error().detail);
  if (!drained)
    return fail(drained.error().detail + "; what was imported is in the log, the same command goes on from there");

  const auto history = open_sqlite_history(config.store_file());
  if (const auto missing = missing_sentence(*history); missing && !missing->empty()) spdlog::warn("{}", *missing);
  const auto text = summary_text(config, *history,
                                 {.summary = *imported,
                                  .processed = pipeline.processed(),
                                  .loaded = pipeline.loaded(),
                                  .took = std::chrono::steady_clock::now() - began});
  if (!text) return fail(text.error().detail);
  std::fputs(text->c_str(), stdout);
  if (imported->stopped)
    return fail(
        "stopped before the end; what was read is stored. Import the same files again to complete them: nothing "
        "doubles");
  return kOk;
}

}  // namespace

void add_import(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "import",
      "Takes files of recorded market data into the data directory.\n\n"
      "Each row or frame goes into the log as it stands, is decoded and checked, becomes trades, gaps and candles, and "
      "is\n"
      "loaded into the store. The command waits until all of it is there.\n"
      "Importing a file again, or files in another order, changes nothing; an import that was interrupted or killed "
      "is\n"
      "simply repeated. What cannot be used waits in quarantine with its reason and stops nothing.\n\n"
      "Understood, plain or packed as .gz, .zst or .zip, told by name and content:\n"
      "  .frames   one WebSocket frame a line, \"<receive time in ns> <frame>\": a session, whose receive times are "
      "evidence\n"
      "  .jsonl    one frame a line\n"
      "  .csv      Binance's public archives (trades and aggTrades, spot and USD-M, with or without header, ms or us), "
      "and\n"
      "            any other table by --columns");
  command->footer(
      "Columns of --columns NAME=COLUMN,…: time, price, quantity, and as far as there are: id, side (taker) or\n"
      "buyer_is_maker, receive_time, kind, instrument. COLUMN is a name of the header line or a number from 1.\n\n"
      "Examples:\n"
      "  truetape import --data market --venue binance capture.frames.zst\n"
      "  truetape import --data market --instrument binance:XRPETH --covers 2019-10-11..2019-10-12 "
      "XRPETH-aggTrades-2019-10-11.zip\n"
      "  truetape import --data market --instrument binance:LTCUSDT --tape agg \\\n"
      "    --columns time=timestamp,price=price,quantity=quantity,side=side,id=tradeId ltc.csv.zst\n\n"
      "Exit status:\n"
      "  0  everything was read and is in the store (rows in quarantine included: see the summary)\n"
      "  1  failed or interrupted; what was read before stays, the same command can be repeated\n"
      "  2  command line or configuration refused; nothing was done\n\n"
      "Files:\n"
      "  DIR/log/             the durable log; one process writes at a time\n"
      "  DIR/store.db         the SQLite store\n"
      "  DIR/process.attempt  notes which record is worked on, so that one that kills the program is left out next "
      "time");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command);
  command->add_option("FILE", asked->files, "Files, read in this order")->required()->type_name("");
  command->add_option("--venue", asked->venue, "Whose frames they are: binance, binance-usdm")->type_name("V");
  command->add_option("--instrument", asked->instrument, "VENUE:SYMBOL, where the file does not say it")
      ->type_name("I");
  command->add_option("--tape", asked->tape, "trade or agg, where the file does not say it")->type_name("T");
  command->add_option("--columns", asked->columns, "Where what stands in a CSV file, see below")->type_name("MAP");
  command->add_option("--time-unit", asked->time_unit, "s, ms, us or ns; told by the number of digits without it")
      ->type_name("U");
  command
      ->add_option("--covers", asked->covers, "The files hold all trades of this time, half open: proves the ends too")
      ->type_name("FROM..TO");
  command->add_flag("--adopt", asked->adopt,
                    "Go on with a store that holds another log's rows: they stay, all of this log is loaded");
  command->callback([asked, common, &chosen] {
    import_options(*asked);  // refuses before anything is opened
    chosen = [asked, common] { return run_import(*asked, *common); };
  });
}

}  // namespace truetape::app
