// truetape audit
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/manifest.h"
#include "app/open.h"
#include "app/open_kafka.h"
#include "app/values.h"
#include "batch/audit.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, from, to;
  std::string format = "table";
};

bool numbers_trades(std::string_view name) {
  const Venue* const venue = find_venue(name);
  return venue != nullptr && venue->trade_ids == TradeIds::contiguous;
}

AuditOptions options_of(const Asked& asked, const CLI::App& command) {
  const auto given = [&](const char* option) { return command.count(option) > 0; };  // given empty is given too
  AuditOptions out;
  if (given("--instrument")) out.instrument = instrument_argument(asked.instrument);
  if (given("--from")) out.from = time_argument(asked.from, "--from");
  if (given("--to")) out.to = time_argument(asked.to, "--to");
  if (out.from && out.to && *out.from >= *out.to)
    throw CLI::ValidationError{"--to", asked.to + " is not after --from " + asked.from};
  out.numbers = numbers_trades;
  return out;
}

int print(const AuditReport& report, RowFormat format) {
  RowWriter writer{
      format, format == RowFormat::table ? audit_line_columns() : audit_columns(),
      [](std::string_view text) { return std::fwrite(text.data(), 1, text.size(), stdout) == text.size(); }};
  for (const AuditDay& day : report.days)
    if (!(format == RowFormat::table ? writer.write(AuditLine{&day}) : writer.write(day))) break;
  if (!writer.finish() || std::fflush(stdout) != 0) return fail("standard output cannot be written");
  return kOk;
}

// A log, and the store that belongs to it or that was named.
struct Sides {
  std::unique_ptr<Log> log;
  std::unique_ptr<History> store;  // a snapshot
  bool own = true;                 // the log's store, by all that is known
};

Result<Sides> open_on_kafka(const Config& config, AuditOptions& options) {
  if (const Status there = expect_store(config); !there) return tl::unexpected{there.error()};
  Sides out;
  auto log = open_kafka(config);
  if (!log) return tl::unexpected{log.error()};
  out.log = std::move(*log);
  auto store = open_sqlite_history(config.store_file())->snapshot();
  if (!store) return tl::unexpected{store.error()};
  out.store = std::move(*store);
  options.load = load_command(config);
  return out;
}

// `usual`: as it is without --store.
Result<Sides> open_in_directory(const Config& config, const Config& usual, AuditOptions& options) {
  Sides out;
  auto log = open_log_to_read(config);
  if (!log) return tl::unexpected{log.error()};
  const LmdbLog& files = **log;
  const std::filesystem::path file = config.store_file();
  if (config.store == usual.store)
    if (const Status there = expect_store(config); !there) return tl::unexpected{there.error()};
  // What the loader told comes first: it never tells more than the store holds.
  const auto readers = files.readers();
  if (!readers) return tl::unexpected{readers.error()};
  std::error_code error;  // also where --store names the directory's own; of a backup the log is the later copy
  out.own = config.store == usual.store || std::filesystem::equivalent(file, usual.store_file(), error);
  if (out.own && !std::filesystem::exists(std::filesystem::path{config.data} / kManifest, error))
    for (const LmdbLog::ReaderPosition& reader : *readers)
      if (reader.name == "load:sqlite")
        options.told.push_back({std::string{reader.topic}, reader.partition, reader.stored});
  auto store = open_sqlite_history(file)->snapshot();
  if (!store) return tl::unexpected{store.error()};
  out.store = std::move(*store);
  options.load = out.own ? finish_command(config)
                         : "for the directory that " + shell_word(file.string()) +
                               " belongs to: truetape import --data DIR --finish";
  options.anew = [&files](std::string_view topic, std::int32_t partition) -> Result<AuditOptions::Anew> {
    const auto from = files.anew(topic, partition), first = files.first(topic, partition);
    if (!from || !first) return tl::unexpected{(from ? first : from).error()};
    return AuditOptions::Anew{.from = *from, .first = *first};
  };
  out.log = std::move(*log);
  return out;
}

int run_audit(const Common& common, const Asked& asked, AuditOptions options) {
  const Config config = configure(common, Takes::both);
  expect_store_named(config);
  Common without = common;
  without.store.clear();
  const auto sides = config.on_kafka() ? open_on_kafka(config, options)
                                       : open_in_directory(config, configure(without, Takes::both), options);
  if (!sides) return fail(sentence(config, sides.error()));
  const auto report = audit(*sides->log, *sides->store, options);
  if (!report) {
    fail(sentence(config, report.error()));
    return report.error().fault == Fault::mismatch ? kDifferent : kFailed;
  }
  if (const int printed = print(*report, *parse_row_format(asked.format)); printed != kOk) return printed;
  for (const std::string& difference : report->differences) std::fprintf(stderr, "differs: %s\n", difference.c_str());
  // A day's row may be cut in a terminal; the places are what somebody looks for.
  if (asked.format == "table")
    for (const AuditDay& day : report->days)
      if (day.verdict != Verdict::proved && day.verdict != Verdict::no_ids)
        std::fprintf(stderr, "%s %s %s: %s%s\n", day.instrument.str().c_str(), std::string{name(day.tape)}.c_str(),
                     to_rfc3339(Timestamp{day.day}).substr(0, 10).c_str(), text(day).c_str(),
                     day.verdict == Verdict::differs ? "" : (": " + day.where).c_str());
  for (const std::string& note : report->notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  if (report->differs()) {
    fail(report->summary() + "; the log is the truth" +
         (sides->own ? ": while nobody writes, set " + shell_word(config.store_file().string()) +
                           "* aside, then load the store anew: " + load_command(config)
                     : ""));
    return kDifferent;
  }
  std::fprintf(stderr, "%s\n", report->summary().c_str());
  return kOk;
}

}  // namespace

void add_audit(CLI::App& root, Run& chosen) {
  CLI::App* audit = root.add_subcommand(
      "audit",
      "Proves that the store holds exactly what the log says, or names the first row that differs.\n\n"
      "Every trade, candle, gap and quarantined item is compared, each with all it holds; also beside a process that\n"
      "loads, up to where the store is. One row per instrument, tape and UTC day. The column verdict:\n"
      "  proved               log and store hold the same; every hole in the ids is a gap that is counted here\n"
      "  no ids               they hold the same; the venue's ids could not show that a trade is missing\n"
      "  pruned from the log  what the log still holds is the same; of the rest of the store it knows nothing\n"
      "  holds another log's rows  the same; the store also has what another log brought before\n"
      "  not loaded yet       the same as far as the store has come; the log holds more of the day\n"
      "  differs at …         the first trade, candle or gap that differs: its id, time, field and both values\n"
      "docs/audit.md says what is read, and what an audit cannot know. --store names another store than the\n"
      "directory's own; of a log on Kafka it must be said.");
  std::string columns = csv_header(audit_columns());
  for (std::size_t at = 0, width = 2; at < columns.size(); ++at, ++width) {
    if (columns[at] == '\n') width = 0;
    if (columns[at] == ',' && width > 90) columns.insert(at + 1, "\n  ");
  }
  audit->footer("Columns of csv and json (the table has fewer):\n  " + columns +
                "\n\n"
                "Examples:\n"
                "  truetape audit --data market\n"
                "  truetape audit --data market --instrument binance:BTCUSDT --from 2024-08-08 --to 2024-08-09\n"
                "  truetape audit --data market --format csv > audit.csv\n\n"
                "Exit status:\n"
                "  0  no difference\n"
                "  1  failed: nothing there, or not readable\n"
                "  2  command line or configuration refused\n"
                "  3  a difference was found, or the store is not of this log");
  const auto common = add_common(*audit, Takes::both);
  add_store(*audit, common);
  const auto asked = std::make_shared<Asked>();
  audit->add_option("--instrument", asked->instrument, "Only this one, VENUE:SYMBOL")->type_name("I");
  audit->add_option("--from", asked->from, "Not before this time (RFC 3339, UTC if no zone is given)")
      ->type_name("TIME");
  audit->add_option("--to", asked->to, "Only before this time")->type_name("TIME");
  audit->add_option("--format", asked->format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  audit->callback([=, &chosen] {
    const AuditOptions options = options_of(*asked, *audit);
    chosen = [=] { return run_audit(*common, *asked, options); };
  });
}

}  // namespace truetape::app
