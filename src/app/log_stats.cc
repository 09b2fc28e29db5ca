#include "app/log_stats.h"

#include <array>
#include <cstdio>

#include "app/open.h"
#include "codec/rows.h"

namespace truetape::app {
namespace {

constexpr std::array<RowColumn, 9> kColumns{{{"part"},
                                             {"records", true},
                                             {"blocks", true},
                                             {"block_bytes", true},
                                             {"bytes", true},
                                             {"bytes_per_record", true},
                                             {"bytes_per_million_trades", true},
                                             {"oldest"},
                                             {"kept"}}};

struct StatsRow {
  std::string_view part;
  const LmdbLog::TopicUse* topic;  // nullptr: a part that is no topic
  std::uint64_t bytes, trades;
  std::string kept;
};
void put_cells(const StatsRow& row, RowCells& out) {
  out.text(row.part);
  if (row.topic != nullptr) {
    out.number(row.topic->records);
    out.number(row.topic->blocks);
    out.number(row.topic->block_bytes);
  } else {
    for (int i = 0; i < 3; ++i) out.null();
  }
  out.number(row.bytes);
  if (row.topic != nullptr && row.topic->records > 0)
    out.number(row.bytes / row.topic->records);
  else
    out.null();
  if (row.trades > 0)
    out.number(static_cast<std::uint64_t>(static_cast<double>(row.bytes) * 1e6 / static_cast<double>(row.trades)));
  else
    out.null();
  row.topic != nullptr&& row.topic->oldest ? out.time(*row.topic->oldest) : out.null();
  out.text(row.kept);
}

std::string kept_text(std::string_view topic, std::chrono::seconds age) {
  if (topic::keeps_last(topic)) return "last of each key";
  const std::int64_t hours = age.count() / 3600;
  return hours % 24 == 0 ? std::to_string(hours / 24) + "d" : std::to_string(hours) + "h";
}

int run_stats(const Common& common, const std::string& format) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  const auto usage = (*log)->usage();
  if (!usage) return fail(usage.error().detail);
  const auto in_force = log_options(config, **log);
  if (!in_force) return fail(in_force.error().detail);
  const LmdbOptions& limits = *in_force;
  std::uint64_t trades = 0;
  for (const LmdbLog::TopicUse& use : usage->topics)
    if (use.topic == topic::trades) trades = use.records;

  RowWriter writer{parse_row_format(format).value(), kColumns, [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  bool readable = true;
  const auto put = [&](const StatsRow& row) { readable = readable && writer.write(row); };
  for (std::size_t i = 0; i < usage->topics.size(); ++i) {
    const LmdbLog::TopicUse& use = usage->topics[i];
    put({use.topic, &use, use.bytes, trades, kept_text(use.topic, limits.max_age[i])});
  }
  put({"state", nullptr, usage->state_bytes, trades, {}});
  put({"in use", nullptr, usage->used_bytes(), trades, {}});
  put({"size limit", nullptr, limits.size_limit, 0, {}});
  put({"hard limit", nullptr, limits.hard_limit_bytes(), 0, {}});
  put({"free pages", nullptr, usage->free_bytes, 0, {}});
  put({"taken ahead", nullptr, usage->ahead_bytes, 0, {}});
  put({"other", nullptr, usage->other_bytes, 0, {}});
  put({"file", nullptr, usage->file_bytes, trades, {}});
  readable = writer.finish() && readable;
  if (std::fflush(stdout) != 0 || !readable) return fail("standard output cannot be written");
  return kOk;
}

}  // namespace

void add_log_stats(CLI::App& log, Run& chosen) {
  CLI::App* stats = log.add_subcommand(
      "stats",
      "Prints what takes the room, by topic.\n\n"
      "block_bytes: the blocks as they stand; bytes: the pages that they fill. bytes_per_million_trades: of all that\n"
      "is kept of the part, for a million records of the topic trades. oldest: when the first kept record was\n"
      "appended; kept: the age at which records go, if all readers have stored them. Below the topics: the state of\n"
      "process; what is in use, which the size limit is about; the limits in force, which the log remembers if this\n"
      "configuration does not say them; pages that the next commits use again; what the file has ahead of need; names\n"
      "and positions; the whole file.");
  stats->footer(
      "How many bytes were written to the file for each byte of records is known while a process runs: in /metrics\n"
      "truetape_log_written_bytes_total over truetape_log_record_bytes_total (docs/metrics.md).\n\n"
      "Exit status:\n"
      "  0  done\n"
      "  1  there is no log, or it cannot be opened\n"
      "  2  command line or configuration refused\n");
  const auto common = add_common(*stats);
  const auto format = std::make_shared<std::string>("table");
  stats->add_option("--format", *format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  stats->callback([=, &chosen] { chosen = [=] { return run_stats(*common, *format); }; });
}

}  // namespace truetape::app
