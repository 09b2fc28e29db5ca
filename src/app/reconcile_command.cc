// truetape reconcile
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "app/command.h"
#include "app/import_report.h"
#include "app/official.h"
#include "app/open.h"
#include "app/reconciled_files.h"
#include "batch/reconcile.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, tape, interval, from, to, format = "table";
  std::vector<std::string> files;
  bool from_venue = false;
  std::size_t limit = 1000;
};

// One field over all windows, and one differing value: rows of the report.
struct FieldRow {
  CandleField field;
  const WindowTally& tally;
};
constexpr std::array<RowColumn, 5> kFieldColumns{
    {{"field"}, {"compared", true}, {"equal", true}, {"rounded", true}, {"differ", true}}};
void put_cells(const FieldRow& row, RowCells& out) {
  out.text(name(row.field));
  out.number(row.tally.compared);
  out.number(row.tally.equal);
  out.number(row.tally.rounded);
  out.number(row.tally.differ());
}
struct ValueRow {
  const Difference& difference;
  const FieldDifference* field;
};
constexpr std::array<RowColumn, 7> kValueColumns{
    {{"start"}, {"reason"}, {"provable"}, {"field"}, {"ours", true}, {"theirs", true}, {"detail"}}};
void put_cells(const ValueRow& row, RowCells& out) {
  out.time(row.difference.start);
  out.text(name(row.difference.cause));
  out.boolean(row.difference.provable);
  out.text(row.field == nullptr ? std::string_view{} : name(row.field->field));
  out.text(row.field == nullptr ? std::string_view{} : row.field->ours);
  out.text(row.field == nullptr ? std::string_view{} : row.field->theirs);
  out.text(row.difference.detail);
}

// Calls `write` for each differing field, and once for a window that one side lacks.
template <class Write>
bool for_values(const Reconciliation& result, Write write) {
  for (const Difference& difference : result.differences) {
    if (difference.fields.empty() && !write(difference, static_cast<const FieldDifference*>(nullptr))) return false;
    for (const FieldDifference& field : difference.fields)
      if (!write(difference, &field)) return false;
  }
  return true;
}

// "99.99 %"; only what is whole is 100 %.
std::string percent(const WindowTally& tally) {
  if (tally.compared == 0) return "none";
  const std::uint64_t hundredths =
      tally.equal / tally.compared * 10'000 + tally.equal % tally.compared * 10'000 / tally.compared;
  std::string digits = std::to_string(hundredths % 100);
  if (digits.size() < 2) digits.insert(0, "0");
  return hundredths == 10'000 ? "100 %" : std::to_string(hundredths / 100) + '.' + digits + " %";
}

std::string tally_text(const WindowTally& tally) {
  return grouped(tally.equal) + " of " + grouped(tally.compared) + " equal (" + percent(tally) +
         (tally.rounded > 0 ? ", " + grouped(tally.rounded) + " of them but for the venue's rounding" : "") + ")\n";
}

std::string summary_of(const Reconciliation& result) {
  std::string out = result.instrument.str() + ", tape " + std::string{name(result.tape)} + ", " +
                    to_text(result.interval) + ", " + to_rfc3339(result.from) + " to " + to_rfc3339(result.to) +
                    ", against " + result.official + "\n";
  out += "provable candles: " + tally_text(result.provable);
  if (result.quiet > 0)
    out += "                  " + grouped(result.provable.compared - result.quiet) + " with trades, " +
           grouped(result.quiet) + " quiet\n";
  out += "other windows:    " + tally_text(result.others);
  std::string reasons;
  for (std::size_t i = 0; i < kCauses; ++i)
    if (result.causes[i] > 0 && static_cast<Cause>(i) != Cause::rounding)
      reasons +=
          (reasons.empty() ? "" : ", ") + std::string{name(static_cast<Cause>(i))} + ' ' + grouped(result.causes[i]);
  if (!reasons.empty()) out += "they differ by:   " + reasons + "\n";
  std::string beyond;
  for (const auto& [count, what] : {std::pair{result.not_closed, "still open here"},
                                    {result.beyond_ours, "of the venue's before or after ours"},
                                    {result.beyond_theirs, "of ours before or after the venue's"},
                                    {result.quiet_there, "quiet here, without a candle there"}})
    if (count > 0) beyond += (beyond.empty() ? "" : ", ") + grouped(count) + ' ' + what;
  if (!beyond.empty()) out += "not compared:     " + beyond + "\n";
  const auto first = std::ranges::find(result.differences, true, &Difference::provable);
  if (first != result.differences.end())
    out += "first provable candle that differs: " + to_rfc3339(first->start) + " (" + std::string{name(first->cause)} +
           ")\n";
  return out;
}

template <class Row, class Write>
bool print_rows(RowFormat format, std::span<const RowColumn> columns, Write write) {
  RowWriter writer{format, columns, [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  return write(writer) && writer.finish();
}

bool print(const Reconciliation& result, RowFormat format) {
  const std::string summary = summary_of(result);
  if (format == RowFormat::json) {
    const std::string text = reconciliation_text(result);
    std::fputs(summary.c_str(), stderr);
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  }
  if (format == RowFormat::csv) {
    std::fputs(summary.c_str(), stderr);
    return print_rows<DifferenceRow>(format, columns<DifferenceRow>(), [&](RowWriter& to) {
      return for_values(result, [&](const Difference& difference, const FieldDifference* field) {
        return to.write(DifferenceRow{result, difference, field});
      });
    });
  }
  std::printf("%s\n", summary.c_str());
  bool good = print_rows<FieldRow>(format, kFieldColumns, [&](RowWriter& to) {
    for (std::size_t i = 0; i < kCandleFields; ++i)
      if (!to.write(FieldRow{static_cast<CandleField>(i), result.fields[i]})) return false;
    return true;
  });
  if (result.differences.empty()) return good;
  std::printf("\n");
  good = good && print_rows<ValueRow>(format, kValueColumns, [&](RowWriter& to) {
           return for_values(result, [&](const Difference& difference, const FieldDifference* field) {
             return to.write(ValueRow{difference, field});
           });
         });
  const std::uint64_t all = result.provable.differ() + result.others.differ();
  if (all > result.differences.size())
    std::printf("… and %s more windows; --limit lists more\n", grouped(all - result.differences.size()).c_str());
  return good;
}

Selection times_of(const Asked& asked) {
  Selection out;
  if (!asked.from.empty()) out.from = time_argument(asked.from, "--from");
  if (!asked.to.empty()) out.to = time_argument(asked.to, "--to");
  if (out.from && out.to && *out.from >= *out.to)
    throw CLI::ValidationError{"--to", asked.to + " is not after --from " + asked.from};
  return out;
}

// From the files, or from the venue for the windows of `span`.
Result<std::vector<OfficialCandle>> official(const Config& config, const Asked& asked, const Klines& venue,
                                             const ReconcileOptions& options, const CandleSpan& span,
                                             const Clock& clock) {
  if (!asked.from_venue) {
    const std::vector<std::filesystem::path> files{asked.files.begin(), asked.files.end()};
    return official_of_files(venue, options.interval, files);
  }
  auto proxy = net::proxy_from_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (!proxy) return tl::unexpected{proxy.error()};
  VenueQuestion question;
  const auto feed = config.feeds.find(options.instrument.venue());
  if (feed != config.feeds.end()) question.rest_url = feed->second.rest_url;
  question.ca_file = config.ca_file;
  question.proxy = std::move(*proxy);
  question.instrument = options.instrument;
  question.interval = options.interval;
  question.from = span.from;
  question.to = span.to;
  question.tell = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  return official_of_venue(venue, question, clock);
}

int run_reconcile(const Common& common, const Asked& asked) {
  const Config config = configure(common);
  ReconcileOptions options;
  options.instrument = instrument_argument(asked.instrument);
  options.interval = interval_argument(asked.interval);
  if (!asked.tape.empty()) options.tape = tape_argument(asked.tape);
  const Selection times = times_of(asked);
  options.from = times.from;
  options.to = times.to;
  options.limit = asked.limit;
  options.folded_kinds = config.rules.folded_kinds;
  if (asked.from_venue == !asked.files.empty()) {
    fail("say where the venue's candles are: --official FILE, or --from-venue");
    return kUsage;
  }
  const Venue* const venue = find_venue(options.instrument.venue());
  if (venue == nullptr || venue->klines == nullptr) {
    std::string known;
    for (const Venue& one : venues())
      if (one.klines != nullptr) known += (known.empty() ? "" : ", ") + std::string{one.name};
    fail("candles of " + std::string{options.instrument.venue()} + " cannot be read here; there are those of " + known);
    return kUsage;
  }
  if (asked.from_venue && !venue->klines->has(options.interval)) {
    fail("--interval: " + std::string{venue->name} + " has no candles of " + to_text(options.interval));
    return kUsage;
  }

  if (const Status there = expect_store(config); !there) return fail(there.error().detail);
  const auto history = open_sqlite_history(config.store_file());
  const SystemClock clock;
  options.at = clock.now();
  for (const std::string& file : asked.files)
    options.official += (options.official.empty() ? "" : ", ") + std::filesystem::path{file}.filename().string();
  if (asked.from_venue) options.official = "the venue's REST interface";
  const auto span = candle_span(*history, options);
  if (!span) return fail(span.error().detail);
  if (!*span)
    return fail("there is no candle of " + options.instrument.str() + ", " + to_text(options.interval) + " in " +
                config.data + " to compare; `truetape query candles` lists what there is");
  const auto theirs = official(config, asked, *venue->klines, options, **span, clock);
  if (!theirs) return fail(theirs.error().detail);
  const auto now = history->snapshot();
  if (!now) return fail(now.error().detail);
  const auto result = reconcile(**now, options, *theirs);
  if (!result) return fail(result.error().detail);
  if (result->provable.compared + result->others.compared == 0)
    return fail("there is no closed window that both have: ours are from " + to_rfc3339((*span)->from) + " to " +
                to_rfc3339((*span)->to) + ", the venue's " +
                (theirs->empty() ? "none"
                                 : "from " + to_rfc3339(theirs->front().start) + " to " +
                                       to_rfc3339(theirs->back().start + options.interval)));
  if (!print(*result, *parse_row_format(asked.format)) || std::fflush(stdout) != 0)
    return fail("standard output cannot be written");
  const Status kept = keep_reconciliation(config.data, *result);
  if (result->provable.differ() > 0) {
    if (!kept) fail(kept.error().detail);
    fail(grouped(result->provable.differ()) + " provable candle" + (result->provable.differ() == 1 ? "" : "s") +
         " differ" + (result->provable.differ() == 1 ? "s" : "") + " from the venue's own");
    return kDifferent;
  }
  return kept ? kOk : fail("the result is not kept for the page: " + kept.error().detail);
}

}  // namespace

void add_reconcile(CLI::App& root, Run& chosen) {
  CLI::App* reconcile = root.add_subcommand(
      "reconcile",
      "Compares our candles with the venue's own, field by field.\n\n"
      "The venue's candles come from its archive files or REST answers (CSV or JSON, also .zip, .gz, .zst), or are\n"
      "asked of its REST interface (feed.VENUE.rest_url). Compared are closed windows. Provable are those that hold\n"
      "every trade by the venue's own ids or a declaration; they must be equal to the last digit. What differs is\n"
      "listed with the likely reason: gap, late, rule, unproven, missing here, missing there, unknown. Quote volumes\n"
      "that the venue rounds to 8 decimals may be off by as much, and count as equal.\n"
      "The result is kept in DIR/reconcile, and the page shows it (docs/reconcile.md). --format csv prints the\n"
      "differences alone, --format json the whole result as one object; the summary is on standard error then.");
  reconcile->footer("Columns:\n  " + csv_header(columns<DifferenceRow>()) +
                    "\n\n"
                    "Examples:\n"
                    "  truetape reconcile --data market --instrument binance:BTCUSDT --interval 1m \\\n"
                    "    --official BTCUSDT-1m-2024-08-08.zip\n"
                    "  truetape reconcile --data market --instrument binance:BTCUSDT --interval 1m --from-venue\n\n"
                    "Exit status:\n"
                    "  0  no provable candle differs\n"
                    "  1  failed: nothing to compare, the files or the venue's answers cannot be read\n"
                    "  2  command line or configuration refused\n"
                    "  3  a provable candle differs");
  const auto common = add_common(*reconcile);
  const auto asked = std::make_shared<Asked>();
  reconcile->add_option("--instrument", asked->instrument, "VENUE:SYMBOL")->type_name("I")->required();
  reconcile->add_option("--interval", asked->interval, "Length of the candles: 1s, 1m, 5m, …")
      ->type_name("L")
      ->required();
  reconcile->add_option("--official", asked->files, "Files with the venue's candles; repeatable")->type_name("FILE");
  reconcile->add_flag("--from-venue", asked->from_venue, "Asks the venue for them");
  reconcile->add_option("--tape", asked->tape, "Of candles of two tapes which: trade or agg")->type_name("T");
  reconcile->add_option("--from", asked->from, "Not before this time (RFC 3339, UTC if no zone is given)")
      ->type_name("TIME");
  reconcile->add_option("--to", asked->to, "Only before this time")->type_name("TIME");
  reconcile->add_option("--limit", asked->limit, "Windows that differ to list, of provable ones and of others each")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}))
      ->type_name("N");
  reconcile->add_option("--format", asked->format, "table, csv or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  reconcile->callback([=, &chosen] { chosen = [=] { return run_reconcile(*common, *asked); }; });
}

}  // namespace truetape::app
