// truetape backfill
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <thread>

#include "app/backfill_thread.h"
#include "app/command.h"
#include "app/hand_fill.h"
#include "app/import_files.h"
#include "app/import_report.h"
#include "app/import_way.h"
#include "app/lines.h"
#include "app/open_kafka.h"
#include "app/worker_service.h"
#include "codec/wire.h"
#include "log/read.h"

namespace truetape::app {
namespace {

// Set by the first SIGINT or SIGTERM. A second one ends the process as ever.
std::atomic<bool> g_interrupted{false};
void on_signal(int signal) {
  g_interrupted = true;
  std::signal(signal, SIG_DFL);
}

constexpr std::chrono::seconds kTellEvery{5};

struct Asked {
  std::string instrument, from, to, tape, listen;
  std::vector<std::string> archive;
  bool by_hand() const { return !instrument.empty(); }
};

void expect_fitting(const Asked& asked) {
  if (!asked.archive.empty() && (asked.instrument.empty() || !asked.from.empty() || !asked.to.empty()))
    throw CLI::ValidationError{"--archive", "needs --instrument, and neither --from nor --to: files are taken whole"};
  if (asked.by_hand() && asked.archive.empty() && asked.from.empty())
    throw CLI::ValidationError{"--instrument", "needs --from TIME, or files behind --archive"};
  if (!asked.by_hand() && (!asked.from.empty() || !asked.to.empty() || !asked.tape.empty()))
    throw CLI::ValidationError{"--instrument", "must be said with --from, --to and --tape"};
  if (asked.by_hand() && !asked.listen.empty())
    throw CLI::ValidationError{"--listen", "is for the process that follows a log on Kafka"};
}

HandQuestion question_of(const Asked& asked, const Config& config) {
  HandQuestion out{.instrument = instrument_argument(asked.instrument), .from = time_argument(asked.from, "--from")};
  if (!asked.to.empty()) {
    out.to = time_argument(asked.to, "--to");
    if (*out.to <= out.from) throw CLI::ValidationError{"--to", "must be after --from"};
  }
  if (const auto feed = config.feeds.find(out.instrument.venue()); feed != config.feeds.end())
    out.tape = feed->second.tape;
  if (!asked.tape.empty()) out.tape = tape_argument(asked.tape);
  return out;
}

// The tape that the instrument has, of which alone trades count; nullopt: nothing of it has come yet.
Result<std::optional<Tape>> tape_of(ImportWay& way, const Instrument& instrument) {
  std::optional<Progress> newest;
  const auto look = [&](const Progress& row) {
    // Older ones a store has of the log that it was adopted from.
    if (row.instrument == instrument && row.epoch >= way.log().epoch() &&
        (!newest || std::pair{newest->epoch, newest->revision} <= std::pair{row.epoch, row.revision}))
      newest = row;
  };
  Status read;
  if (const History* const history = way.history()) {
    Selection what;
    what.instrument = instrument;
    read = history->progress(what, [&](const Progress& row) { return look(row), true; });
    if (!read && read.error().fault == Fault::not_found) read = {};  // a store that is still to be made
  } else {
    const std::int32_t partition = partition_of(instrument, way.log().partitions());
    const auto span = way.log().span(topic::progress, partition);
    if (!span) return tl::unexpected{span.error()};
    read = read_stretch(way.log(), {topic::progress, partition, span->oldest, span->end}, [&](const Stored& stored) {
      if (const auto row = wire::decode<Progress>(stored.record.value)) look(*row);
      return true;
    });
  }
  if (!read) return tl::unexpected{read.error()};
  return newest ? std::optional{newest->tape} : std::nullopt;
}

std::string text_of(const HandQuestion& question, const HandAnswer& answer) {
  std::string out = question.instrument.str() + ' ' + std::string{name(question.tape)} + ": ";
  if (!answer.ids) return out + "the venue has no trades of that time\n";
  out += "ids " + std::to_string(answer.ids->first) + "-" + std::to_string(answer.ids->last) + ", " +
         grouped(answer.trades) + " trades in " + grouped(answer.pages) + " pages";
  if (answer.absent > 0) out += ", " + grouped(answer.absent) + " ids that the venue never had";
  out += '\n';
  for (std::size_t i = 0; i < answer.missing.size() && i < 20; ++i)
    out += "missing  " + std::to_string(answer.missing[i].first) + "-" + std::to_string(answer.missing[i].last) + '\n';
  if (answer.missing.size() > 20) out += "missing  … " + grouped(answer.missing.size() - 20) + " ranges more\n";
  return out;
}

int run_by_hand(const Asked& asked, const Common& common) {
  if (!asked.archive.empty()) return import_archive(asked.instrument, asked.archive, common);
  const Config config = configure(common, Takes::both);
  HandQuestion question = question_of(asked, config);
  start_lines(config);
  Metrics metrics;
  const auto opened = ImportWay::open(config, {.interrupted = &g_interrupted}, metrics);
  if (!opened) return fail(opened.error().detail);
  ImportWay& way = **opened;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  ProgressLine line;
  const auto behind = [&](std::int64_t process, std::int64_t load) { line.settling(process, load); };
  const Status settled = way.settle(behind);
  line.clear();
  if (!settled) return fail(settled.error().detail);
  const auto tape = tape_of(way, question.instrument);
  if (!tape) return fail(tape.error().detail);
  if (*tape && **tape != question.tape && !asked.tape.empty())
    return fail(question.instrument.str() + " has the tape " + std::string{name(**tape)} + ": trades of the tape " +
                asked.tape + " would fill nothing; leave --tape out"),
           kUsage;
  question.tape = tape->value_or(question.tape);

  auto told = std::chrono::steady_clock::now();
  const HandParts parts{
      .log = way.log(), .interrupted = g_interrupted, .progress = [&](const HandAnswer& so_far, std::uint64_t next) {
        const auto now = std::chrono::steady_clock::now();
        if (now - told < kTellEvery) return;
        told = now;
        say(Level::info, "backfill",
            grouped(so_far.trades) + " trades so far, up to id " + std::to_string(next - 1) +
                (question.to ? " of " + std::to_string(so_far.ids->last) : ""));
      }};
  const auto answer = fill_by_hand(config, question, parts);
  const Status drained = way.drain([&](std::int64_t process, std::int64_t load) { line.draining(process, load); });
  line.clear();
  if (!answer) return fail(answer.error().detail);
  std::fputs(text_of(question, *answer).c_str(), stdout);
  if (!drained) return fail(drained.error().detail);
  if (answer->stopped) return fail("stopped before the end; what was received is stored. Ask again for the rest");
  if (!answer->missing.empty())
    return fail("the venue did not give all; its archive files may have the rest: truetape backfill --archive FILE");
  return kOk;
}

int run_role(const Asked& asked, const Common& common) {
  const Config config = configure(common, Takes::kafka);
  start_lines(config);
  WorkerService service{config};
  const SystemClock clock;
  RoleWatch watch{"backfill", clock, &service.metrics()};
  const auto log = open_kafka(config, Connections::told, &service.ended());
  if (!log) return service.ended() ? static_cast<int>(kOk) : fail(log.error().detail);
  auto thread =
      BackfillThread::start(config, **log, service.metrics(),
                            {.group = "backfill", .besides = {config.instruments.begin(), config.instruments.end()}});
  if (!thread) return fail(thread.error().detail);
  watch.stepped(0);
  const auto monitor = service.listen(asked.listen, watch);
  if (!monitor) return fail(monitor.error().detail);
  service.ready();
  while (!service.ended()) {
    tell_repeats();
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  (*thread)->stop();
  tell_repeats(true);
  return kOk;
}

}  // namespace

void add_backfill(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "backfill",
      "Asks a venue's REST interface for what is missing.\n\n"
      "By hand: all trades of an instrument from --from to --to, whether a gap is known or not; what is there already\n"
      "changes nothing. It waits until all of it is processed, and in the store. Beside `truetape run` it goes "
      "through\n"
      "that process's socket. --archive takes the venue's own files instead, as `truetape import` does.\n\n"
      "Without --instrument it is the role of a log on Kafka: it follows the gaps that workers name, and has them "
      "filled,\n"
      "until SIGINT or SIGTERM; several of them divide the partitions. `truetape run` has it built in "
      "(backfill.enabled).");
  command->footer(
      "Examples:\n"
      "  truetape backfill --data market --instrument binance:BTCUSDT --from 2026-11-21T09:00 --to 2026-11-21T11:00\n"
      "  truetape backfill --data market --instrument binance:BTCUSDT --archive BTCUSDT-trades-2026-11-20.zip\n"
      "  truetape backfill --data kafka://broker1:9092/market --worker a --listen 127.0.0.1:9464\n\n"
      "Exit status:\n"
      "  0  all was given, and is there; the role: ended by a signal\n"
      "  1  failed, interrupted, or the venue did not give all; what was received stays\n"
      "  2  command line or configuration refused; nothing was done");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::both);
  add_worker(*command, common);
  command->add_option("--instrument", asked->instrument, "By hand: VENUE:SYMBOL")->type_name("I");
  command->add_option("--from", asked->from, "By hand: from this time on")->type_name("TIME");
  command->add_option("--to", asked->to, "By hand: until this time; without it to what is newest")->type_name("TIME");
  command
      ->add_option("--tape", asked->tape,
                   "By hand: trade or agg; without it the instrument's own, of a new one as configured for the feed")
      ->type_name("T");
  command->add_option("--archive", asked->archive, "By hand: the venue's own files instead of REST")
      ->type_name("FILE ...");
  add_listen(*command, asked->listen);
  command->callback([asked, common, &chosen] {
    expect_fitting(*asked);  // refuses before anything is opened
    chosen = [asked, common] { return asked->by_hand() ? run_by_hand(*asked, *common) : run_role(*asked, *common); };
  });
}

}  // namespace truetape::app
