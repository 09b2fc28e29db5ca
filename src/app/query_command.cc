// truetape query candles | trades | gaps | quarantine | progress | quotes | news | news_counts | instruments
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/import_report.h"
#include "app/open.h"
#include "codec/rows.h"
#include "stores/sqlite/sqlite_store.h"
#include "stores/upper_open.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, tape, interval, source, from, to, format = "table";
  std::optional<std::uint64_t> limit;
};

Selection selection(const Asked& asked, const CLI::App& command) {
  Selection out;
  const auto given = [&](const char* option) {
    const CLI::Option* const found = command.get_option_no_throw(option);
    return found != nullptr && found->count() > 0;  // given empty is given too: a script's variable without a value
  };
  if (given("--instrument")) out.instrument = instrument_argument(asked.instrument);
  if (given("--tape")) out.tape = tape_argument(asked.tape);
  if (given("--interval")) out.interval = interval_argument(asked.interval);
  out.source = asked.source;
  if (given("--from")) out.from = time_argument(asked.from, "--from");
  if (given("--to")) out.to = time_argument(asked.to, "--to");
  if (out.from && out.to && *out.from >= *out.to)
    throw CLI::ValidationError{"--to", asked.to + " is not after --from " + asked.from};
  out.limit = asked.limit;
  return out;
}

// Rows of one kind from `read` to standard output.
template <class Row, class Read>
int print(const Config& config, const Asked& asked, Read read) {
  RowWriter writer{parse_row_format(asked.format).value(), columns<Row>(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  bool readable = true;
  const Status done = read([&](const Row& row) { return readable = writer.write(row); });
  if (!done) return fail(sentence(config, done.error()));
  readable = writer.finish() && readable;
  if (std::fflush(stdout) != 0 || !readable) return fail("standard output cannot be written");
  return kOk;
}

// An empty table may be a slip in a name: what there is instead, on standard error. Interval: refused.
int expect_known(const History& history, const Config& config, const Selection& what) {
  if (what.interval && std::ranges::find(config.rules.intervals, *what.interval) == config.rules.intervals.end()) {
    Selection any;
    any.interval = what.interval;
    any.limit = 1;
    bool found = false;
    if (const Status done = history.candles(any, [&](const Candle&) { return found = true; }); !done)
      return fail(sentence(config, done.error()));
    std::string built;
    for (const Interval interval : config.rules.intervals) built += (built.empty() ? "" : ", ") + to_text(interval);
    if (!found) {
      fail("--interval: no candles of " + to_text(*what.interval) + " are built here; there are " + built);
      return kUsage;
    }
  }
  if (!what.instrument) return kOk;
  const auto known = history.known_instruments();
  if (!known) return fail(sentence(config, known.error()));
  if (std::ranges::find(*known, *what.instrument) != known->end()) return kOk;
  std::string there;
  for (const Instrument& instrument : *known) {
    if (there.size() > 200) {
      there += ", …";
      break;
    }
    there += (there.empty() ? "" : ", ") + instrument.str();
  }
  std::fprintf(stderr, "truetape: nothing of %s is in %s; there is %s\n", what.instrument->str().c_str(),
               config.data.c_str(), there.empty() ? "nothing yet" : there.c_str());
  return kOk;
}

// Which selections a kind of rows has beside --instrument, --limit and --format.
struct Has {
  bool tape = true, interval = false, times = true, source = false;
};

// Adds one kind of rows; `read` is called with the opened history.
template <class Row, class Read>
void add(CLI::App& query, Run& chosen, const char* name, const char* about, Has has, Read read) {
  CLI::App* command = query.add_subcommand(name, about);
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::both);
  add_store(*command, common);
  command->add_option("--instrument", asked->instrument, "Only this one, VENUE:SYMBOL")->type_name("I");
  if (has.tape) command->add_option("--tape", asked->tape, "Only this tape: trade or agg")->type_name("T");
  if (has.interval)
    command->add_option("--interval", asked->interval, "Only this length: 1s, 1m, 5m, …")->type_name("L");
  if (has.source) command->add_option("--source", asked->source, "Only of this source: Reuters, …")->type_name("S");
  if (has.times) {
    command->add_option("--from", asked->from, "Not before this time (RFC 3339, UTC if no zone is given)")
        ->type_name("TIME");
    command->add_option("--to", asked->to, "Only before this time")->type_name("TIME");
  }
  command->add_option("--limit", asked->limit, "At most so many rows; all without it")
      ->check(counting_number())
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
  command->callback([asked, common, read, command, &chosen] {
    const Selection what = selection(*asked, *command);
    if (std::is_same_v<Row, NewsCount> && what.interval &&
        std::ranges::find(NewsCount::kIntervals, *what.interval) == NewsCount::kIntervals.end())
      throw CLI::ValidationError{"--interval", asked->interval + " is none that headlines are counted by: 1m or 1h"};
    chosen = [asked, common, read, what] {
      Config config = configure(*common, Takes::both);
      expect_store_named(config);
      if (const Status there = expect_store(config); !there) return fail(there.error().detail);
      const auto history = open_sqlite_history(config.store_file());
      // Beside the rows, not among them: who reads them must know that they are not all.
      if (const auto missing = missing_sentence(*history); missing && !missing->empty())
        std::fprintf(stderr, "truetape: %s\n", missing->c_str());
      if (std::is_same_v<Row, Candle>) config.rules.intervals = built_intervals(config);
      // Headlines also speak of what is not received here.
      constexpr bool kOfNews = std::is_same_v<Row, News> || std::is_same_v<Row, NewsCount>;
      if (const int known = kOfNews ? kOk : expect_known(*history, config, what); known != kOk) return known;
      return print<Row>(config, *asked,
                        [&](const std::function<bool(const Row&)>& row) { return read(*history, config, what, row); });
    };
  });
}

}  // namespace

void add_query(CLI::App& root, Run& chosen) {
  CLI::App* query = root.add_subcommand(
      "query",
      "Prints rows of the store: candles, trades, gaps, quarantine, progress, quotes, news.\n\n"
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
      "  2  command line or configuration refused, also an interval that is not built\n\n"
      "`truetape query KIND --help` lists options and columns.");

  add<Candle>(
      *query, chosen, "candles",
      "Candles of all intervals.\n\n"
      "Open windows are included, and so are partial ones and gaps. The column completeness\n"
      "says how far a row can be trusted (complete, quiet, gap, partial, unverifiable; empty: open and nothing wrong\n"
      "so far), the column proof on what evidence (ids, declared, session, overlap).",
      {.interval = true},
      [](const History& history, const Config& config, const Selection& what,
         const std::function<bool(const Candle&)>& row) {
        return candles_with_open(history, config.rules.intervals, what, row);
      });
  add<Trade>(*query, chosen, "trades", "Accepted trades, each once.", {},
             [](const History& history, const Config&, const Selection& what,
                const std::function<bool(const Trade&)>& row) { return history.trades(what, row); });
  add<Gap>(*query, chosen, "gaps",
           "Holes in the venue's ids that were found.\n\n"
           "They are open or in progress, or ended: repaired, absent (the venue never had the ids) or lost.\n"
           "--from and --to give all holes of which any part lies between. The column missing tells how many ids of\n"
           "first_id to last_id still lack.",
           {},
           [](const History& history, const Config&, const Selection& what,
              const std::function<bool(const Gap&)>& row) { return history.gaps(what, row); });
  add<Quarantined>(
      *query, chosen, "quarantine",
      "Records that could not be used, with the reason, the place and their bytes.\n\n"
      "partition and offset are those of the topic raw: a file that is imported again stands there again, and\n"
      "so do those of its rows here that have no readable id. --from and --to are of receive_time,\n"
      "for files the time of the import.",
      {.tape = false},
      [](const History& history, const Config&, const Selection& what,
         const std::function<bool(const Quarantined&)>& row) { return history.quarantine(what, row); });
  add<Progress>(*query, chosen, "progress",
                "How far each instrument has come.\n\n"
                "Evidence was received until frontier; all windows are closed, proven, sealed until the other three.",
                {.times = false},
                [](const History& history, const Config&, const Selection& what,
                   const std::function<bool(const Progress&)>& row) { return history.progress(what, row); });
  add<Quote>(*query, chosen, "quotes",
             "The last prices of each instrument, as far as they are loaded.\n\n"
             "At most two rows of each: kind best, the best bid and ask, and kind ticker, the numbers of 24 hours.\n"
             "What was before them is in the log's topic quotes only.",
             {.tape = false, .times = false},
             [](const History& history, const Config&, const Selection& what,
                const std::function<bool(const Quote&)>& row) { return history.quotes(what, row); });
  add<News>(
      *query, chosen, "news",
      "Headlines, each once.\n\n"
      "They come oldest first. With --instrument those that speak of it; what a headline speaks of is the column\n"
      "related. --from and --to are of event_time, the sender's time of publication.",
      {.tape = false, .source = true},
      [](const History& history, const Config&, const Selection& what, const std::function<bool(const News&)>& row) {
        return history.news(what, row);
      });
  add<NewsCount>(
      *query, chosen, "news_counts",
      "How many headlines came about each instrument from each source, in windows of a minute and an hour.\n\n"
      "Windows without one have no row; an empty instrument: headlines that name none.",
      {.tape = false, .interval = true, .source = true},
      [](const History& history, const Config&, const Selection& what,
         const std::function<bool(const NewsCount&)>& row) { return history.news_counts(what, row); });
  add<Reference>(*query, chosen, "instruments",
                 "What venues' symbol lists say of the instruments, as far as lists came in.",
                 {.tape = false, .times = false},
                 [](const History& history, const Config&, const Selection& what,
                    const std::function<bool(const Reference&)>& row) { return history.instruments(what, row); });
}

}  // namespace truetape::app
