// truetape digest
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <unordered_set>

#include "app/command.h"
#include "app/open.h"
#include "app/open_kafka.h"
#include "codec/digest.h"
#include "codec/keys.h"
#include "codec/rows.h"
#include "codec/wire.h"
#include "core/row_order.h"
#include "log/read.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {
namespace {

std::string identity(const Trade& trade) {
  std::string out = trade.instrument.str() + '\n';
  out += name(trade.tape);
  if (trade.id.empty())
    out += '\n' + trade.source.str() + '/' + std::to_string(trade.seq) + '/' + std::to_string(trade.ordinal);
  else
    out += '/' + std::to_string(trade.era) + '/' + std::to_string(trade.order);
  return out;
}
std::string identity(const Candle& candle) {
  std::string out;
  put_key(candle, out);
  return out;
}

bool numbers_trades(std::string_view name) {
  const Venue* const venue = find_venue(name);
  return venue != nullptr && venue->trade_ids == TradeIds::contiguous;
}

// What a log still has from which retention has deleted: of its partitions where it has, every row's identity.
template <class Row>
class Held {
 public:
  // Of a partition from which rows were deleted.
  void add(std::int32_t partition) { trimmed_.insert(partition); }
  void add(const Row& row, std::int32_t partition) {
    if (trimmed_.contains(partition)) rows_.insert(identity(row));
  }
  // The log never lost a row of that partition, or has this one.
  bool covers(const Row& row, std::int32_t partition) const {
    return !trimmed_.contains(partition) || rows_.contains(identity(row));
  }

 private:
  std::set<std::int32_t> trimmed_;
  std::unordered_set<std::string> rows_;
};
struct HeldRows {
  Held<Trade> trades;
  Held<Candle> candles;
  std::int32_t partitions = 0;
};

// A log, and where each of its partitions began: what lies above that and below its oldest record was deleted.
struct Source {
  std::unique_ptr<Log> log;
  std::function<Result<std::int64_t>(std::string_view topic, std::int32_t partition)> first;
};

Result<Source> open_source(const Config& config) {
  if (config.on_kafka()) {
    auto log = open_kafka(config);
    if (!log) return tl::unexpected{log.error()};
    return Source{std::move(*log), [](std::string_view, std::int32_t) { return Result<std::int64_t>{0}; }};
  }
  auto log = open_log_to_read(config);
  if (!log) return tl::unexpected{log.error()};
  const LmdbLog& own = **log;
  return Source{std::move(*log), [&own](std::string_view topic, std::int32_t p) { return own.first(topic, p); }};
}

template <class Row>
Status collect(const Source& source, std::string_view topic, DigestCollector& into, Held<Row>* held) {
  Log& log = *source.log;
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
    const auto span = log.span(topic, partition);
    if (!span) return tl::unexpected{span.error()};
    const auto first = source.first(topic, partition);
    if (!first) return tl::unexpected{first.error()};
    if (held != nullptr && span->oldest > *first) held->add(partition);
    Status added;
    std::int64_t offset = 0;
    const Status scanned = read_stretch(log, {topic, partition, span->oldest, span->end}, [&](const Stored& stored) {
      offset = stored.offset;
      const auto row = wire::decode<Row>(stored.record.value);
      if (!row && row.error().fault == Fault::malformed) return true;  // not truetape's: load put it into quarantine
      added = row ? into.add(*row) : Status{tl::unexpected{row.error()}};
      // Of a window that the log has only in part the store may have a whole row from before a rebuild, which stays.
      bool decides = true;
      if constexpr (std::is_same_v<Row, Candle>) decides = added && row_order(*row).settled;
      if (added && decides && held != nullptr) held->add(*row, partition);
      return added.has_value();
    });
    if (!scanned) return scanned;
    if (!added)
      return failure(added.error().fault, added.error().retry,
                     std::string{topic} + ", partition " + std::to_string(partition) + ", offset " +
                         std::to_string(offset) + ": " + added.error().detail);
  }
  return {};
}

Result<std::vector<DigestRow>> digest_of_log(const Config& config, HeldRows* held) {
  const auto source = open_source(config);
  if (!source) return tl::unexpected{source.error()};
  if (held != nullptr) held->partitions = source->log->partitions();
  DigestCollector collector{numbers_trades};
  if (const Status done = collect<Trade>(*source, topic::trades, collector, held ? &held->trades : nullptr); !done)
    return tl::unexpected{done.error()};
  if (const Status done = collect<Candle>(*source, topic::candles, collector, held ? &held->candles : nullptr); !done)
    return tl::unexpected{done.error()};
  return collector.finish();
}

// Of all rows; with `held` of those that the log covers, the others are counted in `beyond`.
Result<std::vector<DigestRow>> digest_of_store(const Config& config, const HeldRows* held, std::uint64_t& beyond) {
  if (const Status there = expect_store(config); !there) return tl::unexpected{there.error()};
  const auto history = open_sqlite_history(config.store_file());
  Digest digest{numbers_trades};
  Status added;
  const auto add = [&](const auto& row, const auto* covering) {
    if (covering != nullptr && !covering->covers(row, partition_of(row.instrument, held->partitions))) {
      ++beyond;
      return true;
    }
    added = digest.add(row);
    return added.has_value();
  };
  if (const Status read =
          history->trades({}, [&](const Trade& trade) { return add(trade, held ? &held->trades : nullptr); });
      !read)
    return tl::unexpected{read.error()};
  if (!added) return tl::unexpected{added.error()};
  if (const Status read =
          history->candles({}, [&](const Candle& candle) { return add(candle, held ? &held->candles : nullptr); });
      !read)
    return tl::unexpected{read.error()};
  if (!added) return tl::unexpected{added.error()};
  return digest.finish();
}

// Records that process or load still have before them: log and store cannot be compared then.
Result<std::int64_t> behind(const Config& config) {
  const auto source = open_source(config);
  if (!source) return tl::unexpected{source.error()};
  Log& log = *source->log;
  if (const Status there = expect_store(config); !there) return tl::unexpected{there.error()};
  const auto history = open_sqlite_history(config.store_file());
  const auto of = history->log_id();
  if (!of) return tl::unexpected{of.error()};
  std::int64_t records = 0;
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
    const auto raw = log.span(topic::raw, partition);
    if (!raw) return tl::unexpected{raw.error()};
    const auto committed = log.committed(partition);
    if (!committed) return tl::unexpected{committed.error()};
    records += std::max<std::int64_t>(raw->end - std::max(*committed, raw->oldest), 0);
    if (*of != log.id()) continue;
    for (const std::string_view topic : {topic::trades, topic::candles}) {
      const auto span = log.span(topic, partition);
      if (!span) return tl::unexpected{span.error()};
      const auto loaded = history->loaded(topic, partition);
      if (!loaded) return tl::unexpected{loaded.error()};
      if (loaded->value_or(0) > span->end)
        return failure(
            Fault::mismatch, Retry::never,
            "the store is ahead of its log: it has " + std::string{topic} + "/" + std::to_string(partition) +
                " up to offset " + std::to_string(**loaded) + ", and the log ends at " + std::to_string(span->end) +
                "; restore both from one backup, or load all of the log: " + load_command(config) + " --adopt");
      // A log may end with offsets that no record has.
      const Status counted =
          read_stretch(log, {topic, partition, std::max(loaded->value_or(0), span->oldest), span->end},
                       [&](const Stored&) { return ++records > 0; });
      if (!counted) return tl::unexpected{counted.error()};
    }
  }
  return records;
}

int run_digest(const Common& common, const std::string& from, RowFormat format, bool compare) {
  const Config config = configure(common, Takes::both);
  if (compare || from == "store") expect_store_named(config);
  if (compare) {
    const auto records = behind(config);
    if (!records) return fail(sentence(config, records.error()));
    if (*records > 0)
      return fail(
          "the store is behind the log: " + std::to_string(*records) +
          " records are not in it yet. If truetape run or an import writes here, compare when it has ended; else run " +
          load_command(config) + ", then compare");
  }
  HeldRows held;
  std::uint64_t beyond = 0;
  const auto rows = from == "store" && !compare ? digest_of_store(config, nullptr, beyond)
                                                : digest_of_log(config, compare ? &held : nullptr);
  if (!rows) return fail(sentence(config, rows.error()));
  RowWriter writer{format, columns<DigestRow>(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  for (const DigestRow& row : *rows)
    if (!writer.write(row)) break;
  if (!writer.finish() || std::fflush(stdout) != 0) return fail("standard output cannot be written");
  if (!compare) return kOk;
  const auto store = digest_of_store(config, &held, beyond);
  if (!store) return fail(sentence(config, store.error()));
  if (beyond > 0)
    std::fprintf(stderr,
                 "the log goes back less far than the store: %llu rows of the store are not compared, since retention "
                 "has deleted them from the log\n",
                 static_cast<unsigned long long>(beyond));
  if (*rows == *store) {
    std::fprintf(stderr, "log and store have the same content: %zu digests\n", rows->size());
    return kOk;
  }
  for (const auto& [these, those, where] : {std::tuple{&*rows, &*store, "log"}, std::tuple{&*store, &*rows, "store"}})
    for (const DigestRow& row : *these)
      if (std::find(those->begin(), those->end(), row) == those->end())
        std::fprintf(stderr, "only in the %s: %s\n", where,
                     (row.instrument.str() + ' ' + std::string{name(row.tape)} + ' ' +
                      (row.candles ? "candles " + to_text(*row.interval) : "trades") + " of " +
                      to_rfc3339(Timestamp{row.day}).substr(0, 10) + ", " + std::to_string(row.rows) + " rows")
                         .c_str());
  fail("log and store differ");
  return kDifferent;
}

}  // namespace

void add_digest(CLI::App& root, Run& chosen) {
  CLI::App* digest = root.add_subcommand(
      "digest",
      "Prints checksums of the content, to compare data directories, or a log with its store.\n\n"
      "One SHA-256 for the trades, and for the closed and proven candles, of each instrument, tape, interval and UTC\n"
      "day, over their content in one canonical form (docs/records.md). Proven: the row's proof is ids, declared or\n"
      "overlap; or session evidence closed the window, and the trades' ids show by now what the row says. A log and "
      "its\n"
      "store have the same digests, and so have data directories that got the same trades, live or from files; only\n"
      "what proves more than the trades' ids do (--covers, void or held ids) lets one hash more candles than another.\n"
      "Of a log from which retention has deleted, only what it still holds is hashed; --compare looks at the store's\n"
      "rows of just that, and says how many it left out.");
  digest->footer("Columns:\n  " + csv_header(columns<DigestRow>()) +
                 "\n\n"
                 "Examples:\n"
                 "  truetape digest --data market --format csv > a.csv\n"
                 "  truetape digest --data market --compare\n\n"
                 "Exit status:\n"
                 "  0  done; with --compare: the same\n"
                 "  1  failed: nothing there, not readable, the store is behind, or the log contradicts itself\n"
                 "  2  command line or configuration refused\n"
                 "  3  --compare found a difference");
  const auto common = add_common(*digest, Takes::both);
  add_store(*digest, common);
  const auto from = std::make_shared<std::string>("log");
  const auto format = std::make_shared<std::string>("csv");
  const auto compare = std::make_shared<bool>(false);
  digest->add_option("--from", *from, "log or store")
      ->capture_default_str()
      ->check(CLI::IsMember({"log", "store"}))
      ->type_name("PLACE");
  digest->add_option("--format", *format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  digest->add_flag("--compare", *compare, "Of both; says whether they are the same");
  digest->callback(
      [=, &chosen] { chosen = [=] { return run_digest(*common, *from, *parse_row_format(*format), *compare); }; });
}

}  // namespace truetape::app
