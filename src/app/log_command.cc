// truetape log ls | cat | stats | verify | compact
#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/command.h"
#include "app/log_stats.h"
#include "app/open.h"
#include "codec/cells.h"
#include "codec/rows.h"
#include "codec/wire.h"

namespace truetape::app {
namespace {

constexpr const char* kExit =
    "Exit status:\n"
    "  0  done\n"
    "  1  there is no log, or it cannot be opened\n"
    "  2  command line or configuration refused\n";

int run_ls(const Common& common) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  std::printf("log %s, epoch %lld, %d partitions\n\n", std::string{(*log)->id()}.c_str(),
              static_cast<long long>((*log)->epoch()), (*log)->partitions());
  const auto places = (*log)->list();
  if (!places) return fail(places.error().detail);
  std::printf("%-12s %9s %12s %12s %10s %14s\n", "topic", "partition", "oldest", "end", "blocks", "bytes");
  for (const LmdbLog::Place& place : *places) {
    if (place.span.end == 0) continue;
    std::printf("%-12s %9d %12lld %12lld %10llu %14llu\n", std::string{place.topic}.c_str(), place.partition,
                static_cast<long long>(place.span.oldest), static_cast<long long>(place.span.end),
                static_cast<unsigned long long>(place.blocks), static_cast<unsigned long long>(place.bytes));
  }
  std::printf("\n%-24s %-12s %9s %12s\n", "reader", "topic", "partition", "stored");
  for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition)
    if (const auto committed = (*log)->committed(partition); committed && *committed > 0)
      std::printf("%-24s %-12s %9d %12lld\n", "process", "raw", partition, static_cast<long long>(*committed));
  const auto readers = (*log)->readers();
  if (!readers) return fail(readers.error().detail);
  for (const LmdbLog::ReaderPosition& reader : *readers)
    if (reader.stored > 0)
      std::printf("%-24s %-12s %9d %12lld\n", reader.name.c_str(), std::string{reader.topic}.c_str(), reader.partition,
                  static_cast<long long>(reader.stored));
  return kOk;
}

template <class Row>
void put_decoded(std::string_view value, std::string& out) {
  if (const auto row = wire::decode<Row>(value)) {
    RowCells cells;
    put_cells(*row, cells);
    append_json_row(columns<Row>(), cells, out);
    out.pop_back();  // the line's end
  } else {
    append_json("cannot be decoded: " + row.error().detail, out);
  }
}

// Topics with public rows as their columns, others as text.
void put_value(std::string_view topic, std::string_view value, std::string& out) {
  if (topic == topic::trades) return put_decoded<Trade>(value, out);
  if (topic == topic::candles) return put_decoded<Candle>(value, out);
  if (topic == topic::quotes) return put_decoded<Quote>(value, out);
  if (topic == topic::gaps) return put_decoded<Gap>(value, out);
  if (topic == topic::progress) return put_decoded<Progress>(value, out);
  if (topic == topic::instruments) return put_decoded<Reference>(value, out);
  if (topic == topic::news) return put_decoded<News>(value, out);
  if (topic == topic::news_counts) return put_decoded<NewsCount>(value, out);
  append_json(value, out);
}

struct Cat {
  std::string topic;
  std::int32_t partition = -1;
  std::optional<std::int64_t> from;
  std::optional<std::uint64_t> limit;
  bool bytes = false;
};

int run_cat(const Common& common, const Cat& asked) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  if (asked.partition >= (*log)->partitions())
    return fail("there is no partition " + std::to_string(asked.partition) + "; the log has 0 to " +
                std::to_string((*log)->partitions() - 1));
  std::uint64_t left = asked.limit.value_or(std::numeric_limits<std::uint64_t>::max());
  bool writable = true;
  for (std::int32_t partition = std::max(asked.partition, 0); partition < (*log)->partitions() && left > 0 && writable;
       ++partition) {
    if (asked.partition >= 0 && partition != asked.partition) break;
    const auto span = (*log)->span(asked.topic, partition);
    if (!span) return fail(span.error().detail);
    std::string line;
    const Status scanned =
        (*log)->scan(asked.topic, partition, asked.from.value_or(span->oldest), span->end, [&](const Stored& stored) {
          if (left == 0) return false;
          --left;
          line.clear();
          if (asked.bytes) {
            line.append(stored.record.value);
          } else {
            line = "{\"partition\":" + std::to_string(stored.partition) +
                   ",\"offset\":" + std::to_string(stored.offset) + ",\"key\":";
            append_json(stored.record.key, line);
            line += ",\"headers\":{";
            for (const Header& header : stored.record.headers) {
              if (&header != stored.record.headers.data()) line += ',';
              append_json(header.name, line);
              line += ':';
              append_json(header.value, line);
            }
            line += "},\"value\":";
            put_value(asked.topic, stored.record.value, line);
            line += '}';
          }
          line += '\n';
          return writable = std::fwrite(line.data(), 1, line.size(), stdout) == line.size();
        });
    if (!scanned) return fail(scanned.error().detail);
  }
  if (std::fflush(stdout) != 0 || !writable) return fail("standard output cannot be written");
  return kOk;
}

int run_verify(const Common& common) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  const auto verified = (*log)->verify();
  if (!verified) return fail(verified.error().detail);
  std::printf("%llu records in %llu blocks, %llu bytes read\n", static_cast<unsigned long long>(verified->records),
              static_cast<unsigned long long>(verified->blocks), static_cast<unsigned long long>(verified->bytes));
  for (const std::string& damage : verified->damage) std::printf("damaged: %s\n", damage.c_str());
  if (verified->damage.empty()) {
    std::puts("the log is sound");
    return kOk;
  }
  fail(std::to_string(verified->damage.size()) +
       " places of the log are damaged; restore the data directory, or import its sources anew into a fresh one");
  return kDifferent;
}

int run_compact(const Common& common) {
  const Config config = configure(common);
  if (const Status there = expect_log(config); !there) return fail(there.error().detail);
  const auto done = compact_lmdb_log(config.log_directory());
  if (!done) return fail(done.error().detail);
  std::printf("log.mdb: %llu bytes before, %llu now\n", static_cast<unsigned long long>(done->before),
              static_cast<unsigned long long>(done->after));
  return kOk;
}

}  // namespace

void add_log(CLI::App& root, Run& chosen) {
  CLI::App* log = root.add_subcommand(
      "log", "Looks into the durable log; all but compact read only, also while another process writes");
  log->require_subcommand(1);
  log->footer(
      "Examples:\n"
      "  truetape log ls --data market\n"
      "  truetape log cat raw --data market --limit 5\n"
      "  truetape log stats --data market\n"
      "  truetape log verify --data market\n\n"
      "`truetape log COMMAND --help` tells more of each.");

  CLI::App* ls = log->add_subcommand(
      "ls", "Lists topics and partitions with their offsets and sizes, and how far their readers are");
  ls->footer(kExit);
  const auto ls_common = add_common(*ls);
  ls->callback([ls_common, &chosen] { chosen = [ls_common] { return run_ls(*ls_common); }; });

  CLI::App* cat = log->add_subcommand(
      "cat",
      "Prints records.\n\n"
      "In order of partition and offset, one JSON object a line: partition, offset, key, headers, value. The\n"
      "value is an object with the public columns where the topic has such, else text.");
  cat->footer(std::string{"Examples:\n"
                          "  truetape log cat raw --data market --limit 5\n"
                          "  truetape log cat candles --data market --partition 3 --from 1000\n\n"} +
              kExit);
  const auto cat_common = add_common(*cat);
  const auto asked = std::make_shared<Cat>();
  cat->add_option(
         "TOPIC", asked->topic,
         "raw, trades, quotes, candles, news, news_counts, gaps, quarantine, late, progress, instruments, control")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>(topic::all.begin(), topic::all.end())))
      ->type_name("");
  cat->add_option("--partition", asked->partition, "Only this one")->check(whole_number())->type_name("P");
  cat->add_option("--from", asked->from, "From this offset on; the oldest without it")
      ->check(whole_number())
      ->type_name("OFFSET");
  cat->add_option("--limit", asked->limit, "At most so many records; all without it")
      ->check(counting_number())
      ->type_name("N");
  cat->add_flag("--bytes", asked->bytes, "Only the values, as they stand, each with a line end");
  cat->callback(
      [cat_common, asked, &chosen] { chosen = [cat_common, asked] { return run_cat(*cat_common, *asked); }; });

  add_log_stats(*log, chosen);

  CLI::App* verify =
      log->add_subcommand("verify", "Reads everything and checks each block's checksum, the offsets and the positions");
  verify->footer(std::string{kExit} + "  3  damage was found; each place is named");
  const auto verify_common = add_common(*verify);
  verify->callback([verify_common, &chosen] { chosen = [verify_common] { return run_verify(*verify_common); }; });

  CLI::App* compact = log->add_subcommand(
      "compact",
      "Writes the log's file anew without its free pages, so that their room goes back to the disk.\n\n"
      "Only while no other process has the log open, and with room on the disk for the new file beside the old one\n"
      "(`log stats`: file less free pages and taken ahead). While a log is written its free pages are used again, so\n"
      "this is for one that has become much smaller: log.size was lowered, or a reader that held it was forgotten.\n"
      "Nothing of the log's content changes. Whatever fails, the old file stays.");
  compact->footer(
      std::string{"Exit status:\n"
                  "  0  done\n"
                  "  1  there is no log, somebody has it open, or there is no room; the log is as it was\n"
                  "  2  command line or configuration refused\n"});
  const auto compact_common = add_common(*compact);
  compact->callback([compact_common, &chosen] { chosen = [compact_common] { return run_compact(*compact_common); }; });
}

}  // namespace truetape::app
