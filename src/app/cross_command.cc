// truetape cross A B: where the prices of one pair on two venues were apart, by the store's closed candles.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>

#include "app/command.h"
#include "app/import_report.h"
#include "app/open.h"
#include "codec/cross.h"
#include "codec/rows.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string a, b, from, to, format = "table";
};

int run_cross(const Config& config, const std::array<Instrument, 2>& sides, const Selection& range,
              const std::string& format) {
  const auto history = open_sqlite_history(config.store_file());
  if (const auto missing = missing_sentence(*history); missing && !missing->empty())
    std::fprintf(stderr, "truetape: %s\n", missing->c_str());
  const Interval base = built_intervals(config).front();
  CrossRule rule;
  rule.band = config.cross.band / 100;
  rule.hold = config.cross.hold;
  CrossCheck check{sides[0], sides[1], rule};
  std::array<unsigned long long, 2> windows{};
  std::optional<Timestamp> until;
  for (std::size_t side = 0; side < 2; ++side) {
    Selection what = range;
    what.instrument = sides[side];
    what.interval = base;
    const Status read = history->candles(what, [&](const Candle& row) {
      if (row.status == CandleStatus::open || !row.close) return true;
      check.closed(side, row.end(), *row.close);
      until = std::max(until.value_or(row.end()), row.end());
      ++windows[side];
      return true;
    });
    if (!read) return fail(sentence(config, read.error()));
    if (windows[side] == 0)
      std::fprintf(stderr, "truetape: no closed %s candle of %s is there\n", to_text(base).c_str(),
                   sides[side].str().c_str());
  }
  for (std::size_t side = 0; side < 2 && until; ++side) check.known_until(side, *until);
  bool readable = true;
  RowWriter writer{parse_row_format(format).value(), columns<Deviation>(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  for (const Deviation& found : check.take())
    if (found.to && readable) readable = writer.write(found);
  if (const auto open = check.open(); open && readable) readable = writer.write(*open);
  readable = writer.finish() && readable;
  std::fprintf(stderr, "truetape: apart %llu times; windows compared: %llu and %llu\n",
               static_cast<unsigned long long>(writer.rows()), windows[0], windows[1]);
  return std::fflush(stdout) == 0 && readable ? kOk : fail("standard output cannot be written");
}

}  // namespace

void add_cross(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "cross",
      "Shows where the prices of one pair on two venues were apart.\n\n"
      "Compares the closes of the smallest closed candles of both, on the venues' own times. They are apart where "
      "they\n"
      "differ by more than cross.band of the smaller price for cross.hold or longer; a price that did not change for "
      "a\n"
      "minute is compared with nothing. `truetape run` does the same of what it receives (/api/v1/cross, the page).");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::both);
  add_store(*command, common);
  command->add_option("A", asked->a, "VENUE:SYMBOL, such as binance:BTCUSDT")->required();
  command->add_option("B", asked->b, "The same pair on another venue, such as kucoin:BTC-USDT")->required();
  command->add_option("--from", asked->from, "Not before this time (RFC 3339, UTC if no zone is given)")
      ->type_name("TIME");
  command->add_option("--to", asked->to, "Only before this time")->type_name("TIME");
  command->add_option("--format", asked->format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  command->footer(
      "Columns:\n  " + csv_header(columns<Deviation>()) +
      "\n\nExample:\n"
      "  truetape cross --data market binance:BTCUSDT kucoin:BTC-USDT --from 2024-08-08 --set cross.band=0.2%\n\n"
      "Exit status:\n"
      "  0  done, also where they never were apart\n"
      "  1  the store is not there or cannot be read\n"
      "  2  command line or configuration refused");
  command->callback([asked, common, &chosen] {
    const std::array sides{instrument_argument(asked->a, "A"), instrument_argument(asked->b, "B")};
    if (sides[0].venue() == sides[1].venue())
      throw CLI::ValidationError{"B", asked->b + " is of the same venue as " + asked->a};
    Selection range;
    if (!asked->from.empty()) range.from = time_argument(asked->from, "--from");
    if (!asked->to.empty()) range.to = time_argument(asked->to, "--to");
    chosen = [asked, common, sides, range] {
      const Config config = configure(*common, Takes::both);
      expect_store_named(config);
      if (const Status there = expect_store(config); !there) return fail(there.error().detail);
      return run_cross(config, sides, range, asked->format);
    };
  });
}

}  // namespace truetape::app
