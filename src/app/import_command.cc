// truetape import
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "app/command.h"
#include "app/import_files.h"
#include "app/import_report.h"
#include "app/import_way.h"
#include "app/lines.h"
#include "app/open.h"
#include "batch/import.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {
namespace {

// Set by the first SIGINT or SIGTERM: stop reading, keep what was read. A second one ends the process as ever.
std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);
void on_signal(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

// One sentence of both.
std::string with(const Error& error, std::string_view addition) {
  std::string out = error.detail;
  if (out.ends_with('.')) out.pop_back();
  return out.append("; ").append(addition);
}

struct Asked {
  std::vector<std::string> files;
  std::string venue, instrument, columns, time_unit, tape, covers, metrics;
  bool adopt = false, finish = false, no_wait = false;
};

// What is done otherwise on Kafka, and what only there.
void expect_fitting(const Asked& asked, const Config& config) {
  if (config.on_kafka() && (asked.finish || asked.adopt))
    throw ConfigError{asked.finish ? "--finish is for a data directory; on Kafka what is in the log is processed by "
                                     "truetape process --drain, and loaded by truetape load --drain"
                                   : "--adopt is for who loads the store, which on Kafka is truetape load --adopt"};
  if (!config.on_kafka() && asked.no_wait)
    throw ConfigError{
        "--no-wait is for a log on Kafka, where others process; in a data directory the import itself "
        "does"};
}

ImportOptions import_options(const Asked& asked) {
  ImportOptions out;
  if (asked.files.empty() != asked.finish)
    throw CLI::ValidationError{"FILE", asked.finish
                                           ? "--finish takes no files: it finishes what is in the log"
                                           : "name at least one file; without one only --finish does something"};
  if (!asked.venue.empty() && find_venue(asked.venue) == nullptr) {
    std::string known;
    for (const Venue& venue : venues()) known += (known.empty() ? "" : ", ") + std::string{venue.name};
    throw CLI::ValidationError{"--venue", "\"" + asked.venue + "\" is no known venue; known venues: " + known};
  }
  out.venue = asked.venue;
  out.instrument = asked.instrument;
  out.columns = asked.columns;
  if (!asked.time_unit.empty() && !(out.time_unit = parse_time_unit(asked.time_unit)))
    throw CLI::ValidationError{"--time-unit", "\"" + asked.time_unit + "\" is no unit; allowed: s, ms, us, ns"};
  if (!asked.tape.empty()) out.tape = tape_argument(asked.tape);
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

// At once or not at all: who reads the file may look at any time.
Status write_metrics(const Metrics& metrics, const std::filesystem::path& file) {
  const std::filesystem::path fresh = file.string() + ".new";
  std::ofstream out{fresh, std::ios::binary};
  out << metrics.text();
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(fresh, file, error);
  if (!out || error)
    return failure(Fault::io, Retry::never,
                   "--metrics " + file.string() + " cannot be written; name a file in a directory that is there");
  return {};
}

// Damage, another program's file and the like do not go away by trying again.
bool may_heal(const Error& error) {
  return error.fault != Fault::corrupt && error.fault != Fault::mismatch && error.fault != Fault::malformed;
}

int run_import(const Asked& asked, const Common& common) {
  const auto began = std::chrono::steady_clock::now();
  const Config config = configure(common, Takes::both);
  expect_fitting(asked, config);
  start_lines(config);
  ImportOptions options = import_options(asked);
  const std::vector<std::filesystem::path> files{asked.files.begin(), asked.files.end()};
  // Nothing is made and nothing grows for a command that cannot work.
  if (const Status sound = check_import(files, options); !sound) {
    fail(sound.error().detail);
    return sound.error().fault == Fault::out_of_range ? kUsage : kFailed;
  }
  if (asked.finish)
    if (const Status there = expect_log(config); !there) return fail(there.error().detail);
  Metrics metrics;
  const auto opened =
      ImportWay::open(config, {.adopt = asked.adopt, .wait = !asked.no_wait, .interrupted = &g_interrupted}, metrics);
  if (!opened) return fail(opened.error().detail);
  ImportWay& way = **opened;
  auto appender = way.log().appender(topic::raw);
  if (!appender) return fail(appender.error().detail);
  auto ranges = OpenRanges::read(way.log());
  if (!ranges) return fail(ranges.error().detail);

  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  ProgressLine line;
  const Status settled = way.settle([&](std::int64_t process, std::int64_t load) { line.settling(process, load); });
  line.clear();
  if (!settled) return fail(settled.error().detail);

  std::atomic<bool> stop{g_interrupted.load()};
  options.stop = &stop;
  options.metrics = &metrics;
  options.patience = config.kafka.patience;
  options.progress = [&](const ImportProgress& progress) {
    if (g_interrupted || way.failed()) stop = true;
    line.importing(progress);
  };
  options.moved = [&] {
    if (g_interrupted || way.failed()) stop = true;
    return way.moved();
  };
  const auto covers = options.covers;
  const SystemClock clock;
  Importer importer{**appender, way.log().partitions(), clock, std::move(options), &*ranges};
  const auto imported = importer.run(files);
  // What was appended before an error is processed and loaded all the same: the store never lags behind for long.
  const Status drained = way.drain([&](std::int64_t process, std::int64_t load) { line.draining(process, load); });
  line.clear();
  if (!asked.metrics.empty())
    if (const Status written = write_metrics(metrics, asked.metrics); !written) return fail(written.error().detail);
  if (!imported) {
    const ImportSummary& so_far = importer.so_far();
    std::fputs(ended_text(so_far.left_open).c_str(), stdout);
    return fail(so_far.rows == 0
                    ? imported.error().detail
                    : with(imported.error(), "the " + grouped(so_far.rows) + " rows before that are read and stay"));
  }
  if (!drained && config.on_kafka()) return fail(drained.error().detail);
  if (!drained)
    return fail(with(drained.error(), may_heal(drained.error())
                                          ? "what was imported is in the log, the same command goes on from there"
                                          : "what was imported is in the log"));

  const History* const history = way.history();
  if (history != nullptr)
    if (const auto missing = missing_sentence(*history); missing && !missing->empty())
      say(Level::warning, "load", *missing);
  auto did = way.did(*imported);
  if (!did) return fail(did.error().detail);
  const Finished finished{
      .summary = *imported, .did = std::move(*did), .took = std::chrono::steady_clock::now() - began, .covers = covers};
  const auto text = summary_text(config, history, finished);
  if (!text) return fail(text.error().detail);
  std::fputs(text->c_str(), stdout);
  if (imported->stopped)
    return fail(
        "stopped before the end; what was read is stored. Import the same files again to complete them: no trade "
        "doubles");
  const std::string useless = useless_sentence(config, finished);
  return useless.empty() ? static_cast<int>(kOk) : fail(useless);
}

std::string known_venues() {
  std::string out;
  for (const Venue& venue : venues()) out += (out.empty() ? "" : ", ") + std::string{venue.name};
  return out;
}

}  // namespace

int import_archive(const std::string& instrument, std::vector<std::string> files, const Common& common) {
  Asked asked;
  asked.instrument = instrument;
  asked.files = std::move(files);
  return run_import(asked, common);
}

void add_import(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "import",
      "Takes files of recorded market data into the data directory.\n\n"
      "Each row or frame goes into the log as it stands, is decoded and checked, becomes trades, gaps and candles, and "
      "is\n"
      "loaded into the store. The command waits until all of it is there.\n"
      "Importing a file again, or files in another order, changes no trade, candle or gap; an import that was\n"
      "interrupted or killed is simply repeated. What cannot be used waits in quarantine with its reason and its\n"
      "bytes, once more at each import if it has no readable id, and stops nothing.\n\n"
      "Understood, plain or packed as .gz, .zst or .zip, told by name and content:\n"
      "  .frames   one WebSocket frame a line, \"<receive time in ns> <frame>\": a session, whose receive times are "
      "evidence\n"
      "  .jsonl    one frame a line\n"
      "  .json     one array of headlines, as Finnhub's REST gives it: news\n"
      "  .csv      Binance's public archives (trades and aggTrades, spot and USD-M, with or without header, ms or us), "
      "and\n"
      "            other tables by --columns, if they have the venue's trade ids\n\n"
      "An instrument follows one tape: trade (every trade) or agg (the venue's aggregates, with ids of their own). "
      "Its\n"
      "first import fixes it; trades of the other tape then change nothing, and the summary says so.");
  command->footer(
      "Columns of --columns NAME=COLUMN,…: time, price, quantity, id (the venue's trade id, of tape agg the "
      "aggregate's),\n"
      "and as far as there are: side (taker) or buyer_is_maker, first_id, last_id, receive_time, kind, instrument.\n"
      "COLUMN is a name of the header line or a number from 1.\n\n"
      "--covers FROM..TO stands for the neighbours that a file does not have: its first and last windows are then\n"
      "proven too (proof declared). truetape cannot check it; give it only for files that are whole, such as a day's\n"
      "archive. Of several files it speaks of all together: it is noted behind the last one, if all were read "
      "whole.\n\n"
      "While `truetape run` holds the log, the import goes through its socket: that process, with its settings, does "
      "the\n"
      "work, and this one waits until all is in the store. It counts no items then, for the other one counts them "
      "among\n"
      "all that it gets. One import at a time; --adopt is refused.\n\n"
      "Into a log on Kafka it appends, and waits until workers (truetape process) have processed what it appended; a "
      "store\n"
      "is not asked for. --finish and --adopt are refused there: truetape process and truetape load do that.\n\n"
      "Where the log has reached its limit (log.size), the import waits until what is processed and stored has made\n"
      "room. --metrics FILE is Prometheus' text format; docs/metrics.md tells the names.\n\n"
      "Examples:\n"
      "  truetape import --data market --venue binance session.frames.zst\n"
      "  truetape import --data market --instrument binance:XRPETH --covers 2019-10-11..2019-10-12 "
      "XRPETH-aggTrades-2019-10-11.zip\n"
      "  truetape import --data market --instrument binance:LTCUSDT --tape agg \\\n"
      "    --columns time=timestamp,price=price,quantity=quantity,side=side,id=tradeId ltc.csv.zst\n\n"
      "Exit status:\n"
      "  0  everything was read and is in the store (rows in quarantine included: see the summary)\n"
      "  1  failed, interrupted, or nothing of the files could be used; what was read before stays\n"
      "  2  command line or configuration refused, also where it does not fit the files; nothing was done\n\n"
      "Files:\n"
      "  DIR/log/             the durable log; one process writes at a time\n"
      "  DIR/truetape.sock    where that process takes what commands beside it write\n"
      "  DIR/store.db         the SQLite store\n"
      "  DIR/process.attempt  notes which record is worked on, so that one that kills the program is left out next "
      "time");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::both);
  command->add_option("FILE", asked->files, "Files, read in this order")->type_name("");
  command->add_option("--venue", asked->venue, "Whose frames or rows they are: " + known_venues())->type_name("V");
  command->add_option("--instrument", asked->instrument, "VENUE:SYMBOL of a CSV file that does not say it")
      ->type_name("I");
  command->add_option("--tape", asked->tape, "trade or agg, where a CSV file does not say it; trade without it")
      ->type_name("T");
  command->add_option("--columns", asked->columns, "Where what stands in a CSV file, see below")->type_name("MAP");
  command->add_option("--time-unit", asked->time_unit, "s, ms, us or ns; told by the number of digits without it")
      ->type_name("U");
  command->add_option("--covers", asked->covers, "You declare that the files hold all trades of this time, half open")
      ->type_name("FROM..TO");
  command->add_flag("--finish", asked->finish,
                    "No files: do what an interrupted import left, and load into the store what it lacks");
  command->add_option("--metrics", asked->metrics, "Write what was counted there, as text for Prometheus")
      ->type_name("FILE");
  command->add_flag("--adopt", asked->adopt,
                    "Go on with a store that holds another log's rows: they stay, all of this log is loaded");
  command->add_flag("--no-wait", asked->no_wait,
                    "On Kafka: end as soon as all is safe in the log, before workers have processed it");
  command->callback([asked, common, &chosen] {
    import_options(*asked);  // refuses before anything is opened
    chosen = [asked, common] { return run_import(*asked, *common); };
  });
}

}  // namespace truetape::app
