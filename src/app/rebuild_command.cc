// truetape rebuild
#include <CLI/CLI.hpp>

#include <cstdio>
#include <optional>

#include "app/command.h"
#include "app/import_report.h"
#include "app/lines.h"
#include "app/open.h"
#include "app/pipeline.h"
#include "app/values.h"
#include "core/raw.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

// When the oldest record was received that raw still has, where it has lost its beginning: the latest of all partitions
// that have, for before that something may lack. nullopt: raw is whole.
Result<std::optional<Timestamp>> raw_since(const LmdbLog& log) {
  std::optional<Timestamp> since;
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
    const auto span = log.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    if (span->oldest == 0) continue;
    Timestamp first{};
    const Status read = log.scan(topic::raw, partition, span->oldest, span->oldest + 1, [&](const Stored& stored) {
      const RawRecord raw = read_raw(stored.record.value, stored.record.headers, stored.partition, stored.offset);
      first = raw.receive_time.value_or(first);
      return false;
    });
    if (!read) return tl::unexpected{read.error()};
    since = std::max(since.value_or(first), first);
  }
  return since;
}

// All that the log has goes into the store, whatever process could still do: what is deleted after it is nowhere else.
Status load_all(LmdbLog& log, const Config& config) {
  const SystemClock clock;
  auto role = LoadRole::open(log, make_sqlite_sink(config.store_file(), {.log_id = std::string{log.id()}}), clock);
  if (!role) return tl::unexpected{role.error()};
  for (;;) {
    if (Status done = (*role)->step(); !done) return done;
    const auto lag = (*role)->lag();
    if (!lag) return tl::unexpected{lag.error()};
    if (*lag && **lag == 0) return {};
    if (Status done = (*role)->flush(); !done) return done;
  }
}

// Others that load from here, as their names say.
Status expect_all_read(const LmdbLog& log, const Config& config) {
  const auto readers = log.readers();
  if (!readers) return tl::unexpected{readers.error()};
  for (const LmdbLog::ReaderPosition& reader : *readers) {
    if (reader.topic == topic::raw || reader.topic == topic::control || reader.name == "load:sqlite") continue;
    const auto span = log.span(reader.topic, reader.partition);
    if (!span) return tl::unexpected{span.error()};
    if (reader.stored < span->end)
      return failure(Fault::refused, Retry::never,
                     "the reader " + reader.name + " has not stored all of " + std::string{reader.topic} +
                         " yet, and what is not made anew would be lost to it; let it catch up, or, if it never comes "
                         "again: truetape readers forget --data " +
                         shell_word(config.data) + " " + shell_word(reader.name));
  }
  return {};
}

int run_rebuild(const Common& common, bool pruned) {
  const Config config = configure(common);
  start_lines(config);
  if (const Status there = expect_log(config); !there) return fail(there.error().detail);
  auto opened = open_log_to_write(config);
  if (!opened) return fail(opened.error().detail);
  LmdbLog& log = **opened;
  if (const Status same = expect_intervals(log, config); !same) return fail(same.error().detail);
  if (const Status same = expect_rules(log, config); !same) return fail(same.error().detail);
  const auto since = raw_since(log);
  if (!since) return fail(since.error().detail);
  if (*since && !pruned)
    return fail("raw in " + config.data + " goes back to " + to_rfc3339(**since) +
                " only, what was received before is deleted: a rebuild would begin there, without what is known of the "
                "ids before, and with a partial first window; the store's older rows stay. If that is meant: truetape "
                "rebuild --data " +
                shell_word(config.data) + " --pruned");
  if (*since) {
    if (const Status loaded = load_all(log, config); !loaded) return fail(loaded.error().detail);
    if (const Status read = expect_all_read(log, config); !read) return fail(read.error().detail);
  }
  if (const Status kept = keep_rules(log, config); !kept) return fail(kept.error().detail);
  if (const Status kept = note_judging(log, config); !kept) return fail(kept.error().detail);
  const std::int64_t before = log.epoch();
  if (const Status made = log.make_anew(pruned); !made) return fail(made.error().detail);
  std::fprintf(stderr, "epoch %lld follows %lld; if this is stopped, %s goes on with it\n",
               static_cast<long long>(log.epoch()), static_cast<long long>(before), finish_command(config).c_str());

  Pipeline pipeline{log, config, false};
  ProgressLine line;
  const Status settled =
      pipeline.settle([&](std::int64_t process, std::int64_t load) { line.draining(process, load); });
  const Status drained =
      settled ? pipeline.drain([&](std::int64_t process, std::int64_t load) { line.draining(process, load); })
              : settled;
  line.clear();
  if (!drained) return fail(drained.error().detail + "; then " + finish_command(config) + " goes on with it");
  const ProcessCounts& did = pipeline.left_over();
  std::uint64_t accepted = 0, quarantined = 0;
  for (const auto& [venue, c] : did.venues) {
    accepted += c.accepted;
    quarantined += c.held + c.contradiction + c.quarantined + c.undecodable;
  }
  std::printf("rebuilt from %s raw records: %s trades, %s items in quarantine, %s rows new or newer in the store\n",
              grouped(did.records).c_str(), grouped(accepted).c_str(), grouped(quarantined).c_str(),
              grouped(pipeline.loaded().written).c_str());
  if (pipeline.loaded().contradictions > 0) {
    std::fprintf(stderr, "%s rows contradict the store: %s\n", grouped(pipeline.loaded().contradictions).c_str(),
                 pipeline.loaded().last_contradiction.c_str());
    return kDifferent;
  }
  return kOk;
}

}  // namespace

void add_rebuild(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "rebuild",
      "Makes state and results anew from what was received.\n\n"
      "For a newer truetape that cannot read the state of an older one, and whenever the results are in doubt. All of\n"
      "raw is processed again under a new epoch: the log's results are replaced, candles and gaps in the store too,\n"
      "and no trade doubles. What the store has and the log does not make again stays in the store. truetape run must\n"
      "not hold the log meanwhile; queries go on. Killed, it goes on with the next command that writes.");
  command->footer(
      "Give the same --config and --set as to truetape run and import.\n"
      "With the same rules the digests are those of before: truetape digest --data DIR --compare.\n\n"
      "Examples:\n"
      "  truetape rebuild --data market\n"
      "  truetape rebuild --data market --pruned\n\n"
      "Exit status:\n"
      "  0  all is made anew and in the store\n"
      "  1  failed, or refused: another process writes, or raw has lost its beginning and --pruned was not said\n"
      "  2  command line or configuration refused; nothing was done\n"
      "  3  done, but rows contradict the store's");
  const auto common = add_common(*command);
  const auto pruned = std::make_shared<bool>(false);
  command->add_flag("--pruned", *pruned,
                    "Also if raw has lost its beginning: from its oldest record on; the store keeps what was before");
  command->callback([=, &chosen] { chosen = [=] { return run_rebuild(*common, *pruned); }; });
}

}  // namespace truetape::app
