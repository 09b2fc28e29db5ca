// truetape query candles | trades | gaps | quarantine | progress | instruments
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/import_report.h"
#include "app/instrument_rows.h"
#include "app/open.h"
#include "app/upper_open.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, tape, interval, from, to, format = "table";
  std::optional<std::uint64_t> limit;
};

Selection selection(const Asked& asked) {
  Selection out;
  if (!asked.instrument.empty()) {
    out.instrument = Instrument::parse(asked.instrument);
    if (!out.instrument)
      throw CLI::ValidationError{
          "--instrument", "\"" + asked.instrument + "\" is no instrument; write VENUE:SYMBOL, such as binance:BTCUSDT"};
  }
  if (!asked.tape.empty() && !(out.tape = parse_tape(asked.tape)))
    throw CLI::ValidationError{"--tape", "\"" + asked.tape + "\" is no tape; allowed: trade, agg"};
  if (!asked.interval.empty() && !(out.interval = parse_interval(asked.interval)))
    throw CLI::ValidationError{"--interval", "\"" + asked.interval + "\" is no interval; write 1s, 1m, 5m, 1h, 1d, …"};
  if (!asked.from.empty()) out.from = time_argument(asked.from, "--from");
  if (!asked.to.empty()) out.to = time_argument(asked.to, "--to");
  out.limit = asked.limit;
  return out;
}

// Rows of one kind from `read` to standard output.
template <class Row, class Read>
int print(const Asked& asked, Read read) {
  RowWriter writer{parse_row_format(asked.format).value(), columns<Row>(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  bool readable = true;
  const Status done = read([&](const Row& row) { return readable = writer.write(row); });
  if (!done) return fail(done.error().detail);
  readable = writer.finish() && readable;
  if (std::fflush(stdout) != 0 || !readable) return fail("standard output cannot be written");
  return kOk;
}

// Adds one kind of rows; `read` is called with the opened history.
template <class Row, class Read>
void add(CLI::App& query, Run& chosen, const char* name, const char* about, bool has_interval, Read read) {
  CLI::App* command = query.add_subcommand(name, about);
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command);
  command->add_option("--instrument", asked->instrument, "Only this one, VENUE:SYMBOL")->type_name("I");
  command->add_option("--tape", asked->tape, "Only this tape: trade or agg")->type_name("T");
  if (has_interval)
    command->add_option("--interval", asked->interval, "Only this length: 1s, 1m, 5m, …")->type_name("L");
  command->add_option("--from", asked->from, "Not before this time (RFC 3339, UTC if no zone is given)")
      ->type_name("TIME");
  command->add_option("--to", asked->to, "Only before this time")->type_name("TIME");
  command->add_option("--limit", asked->limit, "At most so many rows; all without it")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command->add_option("--format", asked->format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  std::string footer = "Columns:\n  " + csv_header(columns<Row>());
  for (std::size_t at = 0, width = 2; at < footer.size(); ++at, ++width) {
    if (footer[at] == '\n') width = 0;
    if (footer[at] == ',' && width > 90) footer.insert(at + 1, "\n  ");
  }
  command->footer(footer +
                  "\n\nTimes are UTC; what is not known is empty (null in json).\n\n"
                  "Exit status:\n"
                  "  0  done, also without a row\n"
                  "  1  the store is not there or cannot be read\n"
                  "  2  command line or configuration refused");
  command->callback([asked, common, read, &chosen] {
    const Selection what = selection(*asked);
    chosen = [asked, common, read, what] {
      const Config config = configure(*common);
      if (const Status there = expect_store(config); !there) return fail(there.error().detail);
      const auto history = open_sqlite_history(config.store_file());
      // Beside the rows, not among them: who reads them must know that they are not all.
      if (const auto missing = missing_sentence(*history); missing && !missing->empty())
        std::fprintf(stderr, "truetape: %s\n", missing->c_str());
      return print<Row>(*asked,
                        [&](const std::function<bool(const Row&)>& row) { return read(*history, config, what, row); });
    };
  });
}

}  // namespace

void add_query(CLI::App& root, Run& chosen) {
  CLI::App* query = root.add_subcommand(
      "query",
      "Prints rows of the store: candles, trades, gaps, quarantine, progress.\n\n"
      "All rows that match, in order of instrument, tape, interval, time and id. Works while another process writes.");
  query->require_subcommand(1);
  query->footer(
      "Examples:\n"
      "  truetape query candles --data market --instrument binance:BTCUSDT --interval 5m --from 2024-08-08 --to "
      "2024-08-09\n"
      "  truetape query trades --data market --limit 10 --format json\n"
      "  truetape query gaps --data market --format csv\n\n"
      "Exit status:\n"
      "  0  done, also without a row\n"
      "  1  the store is not there or cannot be read\n"
      "  2  command line or configuration refused\n\n"
      "`truetape query KIND --help` lists options and columns.");

  add<Candle>(
      *query, chosen, "candles",
      "Candles of all intervals.\n\n"
      "Open windows are included, and so are partial ones and gaps. The column completeness\n"
      "says how far a row can be trusted (complete, quiet, gap, partial, unverifiable; empty: open and nothing wrong\n"
      "so far), the column proof on what evidence (ids, declared, session, overlap).",
      true,
      [](const History& history, const Config& config, const Selection& what,
         const std::function<bool(const Candle&)>& row) {
        return candles_with_open(history, config.rules.intervals, what, row);
      });
  add<Trade>(*query, chosen, "trades", "Accepted trades, each once.", false,
             [](const History& history, const Config&, const Selection& what,
                const std::function<bool(const Trade&)>& row) { return history.trades(what, row); });
  add<Gap>(*query, chosen, "gaps",
           "Holes in the venue's ids that were found.\n\n"
           "They are open or in progress, or ended: repaired, absent (the venue never had the ids) or lost.",
           false,
           [](const History& history, const Config&, const Selection& what,
              const std::function<bool(const Gap&)>& row) { return history.gaps(what, row); });
  add<Quarantined>(*query, chosen, "quarantine",
                   "Records that could not be used, with the reason, the place and their bytes.", false,
                   [](const History& history, const Config&, const Selection& what,
                      const std::function<bool(const Quarantined&)>& row) { return history.quarantine(what, row); });
  add<Progress>(*query, chosen, "progress",
                "How far each instrument has come.\n\n"
                "Evidence was received until frontier; all windows are closed, proven, sealed until the other three.",
                false,
                [](const History& history, const Config&, const Selection& what,
                   const std::function<bool(const Progress&)>& row) { return history.progress(what, row); });
  add<Reference>(*query, chosen, "instruments",
                 "What venues' symbol lists say of the instruments, as far as lists came in.", false,
                 [](const History& history, const Config&, const Selection& what,
                    const std::function<bool(const Reference&)>& row) { return history.instruments(what, row); });
}

}  // namespace truetape::app
