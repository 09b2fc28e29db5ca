// truetape cross A B: where the prices of one pair on two venues were apart, by the store's closed candles.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <vector>

#include "app/command.h"
#include "app/import_report.h"
#include "app/open.h"
#include "codec/cross.h"
#include "codec/rows.h"
#include "core/instrument.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string a, b, from, to, format = "table";
};

constexpr std::uint64_t kPage = 4096;  // rows that are read at once

// One side's closes, rising by their ends, a page at a time.
class Closes {
 public:
  struct Close {
    Timestamp end;
    Decimal price;
  };
  Closes(const History& history, Selection what) : history_{history}, what_{std::move(what)} { what_.limit = kPage; }

  // Its tape, and how far it is known beyond its last row, if the store has all its candles. First of all.
  Status begin(bool all_there) {
    // An instrument keeps the tape of its first record.
    for (const Tape tape : {Tape::agg, Tape::trade}) {
      Selection first = what_;
      first.tape = tape;
      first.limit = 1;
      const auto take = [&](const Candle&) {
        what_.tape = tape;
        return false;
      };
      if (Status read = history_.candles(first, take); !read) return read;
    }
    if (!all_there) return {};
    Selection own;
    own.instrument = what_.instrument;
    return history_.progress(own, [&](const Progress& row) {
      if (row.tape == what_.tape && row.closed_until)
        known_ = what_.to ? std::min(*what_.to, *row.closed_until) : *row.closed_until;
      return true;
    });
  }
  // Afterwards next() is the first that was not taken, or there are no more.
  Status fill() {
    while (at_ == page_.size() && !ended_) {
      page_.clear();
      at_ = 0;
      std::uint64_t rows = 0;
      const auto take = [&](const Candle& row) {
        ++rows;
        what_.from = row.start + Nanoseconds{1};
        if (row.status == CandleStatus::open) return true;
        any_ = true;
        known_ = std::max(known_, row.end());
        if (is_compared(row)) page_.push_back({row.end(), *row.close});
        return true;
      };
      if (Status read = history_.candles(what_, take); !read) return read;
      ended_ = rows < kPage;
    }
    return {};
  }
  const Close* next() const { return at_ < page_.size() ? &page_[at_] : nullptr; }
  void taken() {
    ++at_;
    ++count_;
  }
  bool any() const { return any_; }               // a closed candle
  std::uint64_t count() const { return count_; }  // closes that were taken
  Timestamp known() const { return known_; }      // no row up to here comes after those that were given

 private:
  const History& history_;
  Selection what_;
  std::vector<Close> page_;
  std::size_t at_ = 0;
  std::uint64_t count_ = 0;
  Timestamp known_ = Timestamp::min();
  bool ended_ = false, any_ = false;
};

// Where the log's candles end, by partition; empty: there is no log to ask.
std::vector<std::int64_t> candles_ends(const Config& config) {
  std::vector<std::int64_t> out;
  const auto log = open_log_to_read(config);
  if (!log) return out;
  for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition) {
    const auto span = (*log)->span(topic::candles, partition);
    out.push_back(span ? span->end : 0);
  }
  return out;
}

// Has the store all candles of the instrument that the log had? While it loads, what progress says of them may have
// come before them.
Result<bool> has_all(const History& history, const std::vector<std::int64_t>& ends, const Instrument& instrument) {
  if (ends.empty()) return true;
  const std::int32_t partition = partition_of(instrument, static_cast<std::int32_t>(ends.size()));
  const auto loaded = history.loaded(topic::candles, partition);
  if (!loaded) return tl::unexpected{loaded.error()};
  return loaded->value_or(0) >= ends[static_cast<std::size_t>(partition)];
}

// Both sides go along, by time: however long the store's time is, two pages are held. As live, to the end of what is
// known of both. `found`: what has ended, in order; false: no more of it. Answers how far.
Result<Timestamp> compare(std::array<Closes, 2>& sides, CrossCheck& check,
                          const std::function<bool(const Deviation&)>& found) {
  for (;;) {
    auto known = Timestamp::max();
    std::optional<Timestamp> at;
    for (Closes& side : sides) {
      if (Status read = side.fill(); !read) return tl::unexpected{read.error()};
      const auto* const next = side.next();
      if (next == nullptr)
        known = std::min(known, side.known());
      else
        at = at ? std::min(*at, next->end) : next->end;
    }
    const bool more = at && *at <= known;
    for (std::size_t i = 0; more && i < 2; ++i)
      if (const auto* const next = sides[i].next(); next != nullptr && next->end == *at) {
        check.closed(i, next->end, next->price);
        sides[i].taken();
      }
    const Timestamp to = more ? *at : known;
    for (std::size_t i = 0; i < 2; ++i) check.known_until(i, to);
    for (const Deviation& deviation : check.take())
      if (deviation.to && !found(deviation)) return to;
    if (!more) return to;
  }
}

int run_cross(const Config& config, const std::array<Instrument, 2>& sides, const Selection& range,
              const std::string& format) {
  const std::vector<std::int64_t> ends = candles_ends(config);
  const auto store = open_sqlite_history(config.store_file());
  const auto history = store->snapshot();
  if (!history) return fail(sentence(config, history.error()));
  if (const auto missing = missing_sentence(**history); missing && !missing->empty())
    std::fprintf(stderr, "truetape: %s\n", missing->c_str());
  const Interval base = built_intervals(config).front();
  if (const Status met = check_hold(config, base); !met) {  // of what was built, which this configuration need not name
    fail(met.error().detail);
    return kUsage;
  }
  const auto closes_of = [&](const Instrument& instrument) {
    Selection what = range;
    what.instrument = instrument;
    what.interval = base;
    return Closes{**history, what};
  };
  std::array closes{closes_of(sides[0]), closes_of(sides[1])};
  for (std::size_t side = 0; side < 2; ++side) {
    const auto all_there = has_all(**history, ends, sides[side]);
    if (!all_there) return fail(sentence(config, all_there.error()));
    if (Status begun = closes[side].begin(*all_there); !begun) return fail(sentence(config, begun.error()));
    if (!*all_there)
      std::fprintf(stderr,
                   "truetape: the store has not all candles of %s yet that the log has: compared to the last of them\n",
                   sides[side].str().c_str());
  }
  CrossRule rule;
  rule.band = config.cross.band / 100;
  rule.hold = config.cross.hold;
  CrossCheck check{sides[0], sides[1], for_candles(rule, base)};
  bool readable = true;
  RowWriter writer{parse_row_format(format).value(), columns<Deviation>(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  const auto compared = compare(closes, check, [&](const Deviation& found) { return readable = writer.write(found); });
  if (!compared) return fail(sentence(config, compared.error()));
  if (const auto open = check.open(); open && readable) readable = writer.write(*open);
  readable = writer.finish() && readable;
  for (std::size_t side = 0; side < 2; ++side)
    if (!closes[side].any())
      std::fprintf(stderr, "truetape: no closed %s candle of %s is there\n", to_text(base).c_str(),
                   sides[side].str().c_str());
  std::fprintf(stderr, "truetape: apart %llu times; closes compared: %llu and %llu, of %llu and %llu\n",
               static_cast<unsigned long long>(writer.rows()), static_cast<unsigned long long>(check.compared(0)),
               static_cast<unsigned long long>(check.compared(1)), static_cast<unsigned long long>(closes[0].count()),
               static_cast<unsigned long long>(closes[1].count()));
  return std::fflush(stdout) == 0 && readable ? kOk : fail("standard output cannot be written");
}

}  // namespace

void add_cross(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "cross",
      "Shows where the prices of one pair on two venues were apart.\n\n"
      "Compares the closes of the smallest closed candles of both, on the venues' own times, as far as both are "
      "known.\n"
      "They are apart where they differ by more than cross.band of the smaller price for cross.hold or longer; a "
      "price\n"
      "without a trade for a minute, or for two candles if that is longer, is compared with nothing. `truetape run` "
      "does\n"
      "the same of what it receives (/api/v1/cross, the page), and keeps nothing of it: what was before its start, or\n"
      "corrected since, this tells.");
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
      "  2  command line or configuration refused, such as a cross.hold shorter than the smallest candles");
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
