// truetape explain
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/open.h"
#include "batch/explain.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, interval, start, tape, format = "text";
  bool whole = false;
};

ExplainQuestion question(const Asked& asked) {
  ExplainQuestion out;
  out.instrument = instrument_argument(asked.instrument, "INSTRUMENT");
  out.interval = interval_argument(asked.interval, "INTERVAL");
  out.start = time_argument(asked.start, "START");
  if (!asked.tape.empty()) out.tape = tape_argument(asked.tape);
  return out;
}

int run_explain(const Common& common, const ExplainQuestion& asked, bool json, bool whole) {
  const Config config = configure(common);
  Rules rules = config.rules;
  rules.intervals = built_intervals(config);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  if (const Status there = expect_store(config); !there) return fail(there.error().detail);
  const auto history = open_sqlite_history(config.store_file());
  const ExplainParts parts{.log = **log,
                           .search = **log,
                           .history = *history,
                           .store = "SQLite",
                           .rules = std::move(rules),
                           .limits = whole ? ExplainLimits::none() : ExplainLimits{}};
  const auto explained = explain(parts, asked);
  if (!explained) {
    fail(explained.error().detail);
    return explained.error().fault == Fault::malformed ? kUsage : kFailed;
  }
  const std::string text = json ? to_json(*explained) + '\n' : to_text(*explained);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail("standard output cannot be written");
  return kOk;
}

}  // namespace

void add_explain(CLI::App& root, Run& chosen) {
  CLI::App* explain = root.add_subcommand(
      "explain",
      "Tells one candle's life: why it is as it is.\n\n"
      "Its trades and how they came, the ids at its edges, which rule gives its completeness, the holes that touch "
      "it,\n"
      "each revision that the log still has with what changed, why and where it stands in the log, and what the store\n"
      "holds. Also of a window that has no row. Reads only, works while another process writes.");
  explain->footer(
      "Examples:\n"
      "  truetape explain --data market binance:BTCUSDT 1m 2024-08-08T23:59\n"
      "  truetape explain --data market binance:BTCUSDT 1m 2024-08-08T23:59 --format json\n\n"
      "Exit status:\n"
      "  0  done, also where the window has no row\n"
      "  1  failed: nothing is known of the instrument, or log or store cannot be read\n"
      "  2  command line or configuration refused, also an interval that is not built and a start that is none");
  const auto common = add_common(*explain);
  const auto asked = std::make_shared<Asked>();
  explain->add_option("INSTRUMENT", asked->instrument, "VENUE:SYMBOL, such as binance:BTCUSDT")->required();
  explain->add_option("INTERVAL", asked->interval, "Length of the candle: 1s, 1m, 5m, …")->required();
  explain->add_option("START", asked->start, "When it begins (RFC 3339, UTC if no zone is given)")->required();
  explain->add_option("--tape", asked->tape, "trade or agg; without it the instrument's own")->type_name("T");
  explain->add_option("--format", asked->format, "text, or json (one object; docs/api.md lists its members)")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("F");
  explain->add_flag(
      "--whole", asked->whole,
      "Look through all of the log that may tell of the window, however long it takes; without it through "
      "at most\n256 MB, and it is said what was not");
  explain->callback([=, &chosen] {
    chosen = [=, about = question(*asked)] {
      return run_explain(*common, about, asked->format == "json", asked->whole);
    };
  });
}

}  // namespace truetape::app
