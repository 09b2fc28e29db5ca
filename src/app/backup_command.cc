// truetape backup and truetape restore
#include <CLI/CLI.hpp>

#include <cstdio>

#include "app/backup.h"
#include "app/command.h"
#include "app/import_report.h"
#include "app/lines.h"
#include "app/open.h"
#include "app/values.h"

namespace truetape::app {
namespace {

constexpr std::uint64_t kDefaultRate = 50;  // MB a second

std::string counts(const BackedUp& done) {
  std::int64_t raw = 0, behind = 0;
  for (const auto& p : done.manifest.positions)
    if (p.topic == topic::raw) {
      raw += p.end - p.oldest;
      behind += p.end - p.done;
    }
  return grouped(static_cast<std::uint64_t>(raw)) + " raw records" +
         (behind > 0 ? ", " + grouped(static_cast<std::uint64_t>(behind)) + " of them not processed yet" : "") +
         (done.manifest.store_schema > 0 ? "" : "; there was no store, a finished import makes it from the log");
}

void say_replaced(const std::filesystem::path& left, const std::string& target) {
  if (left.empty()) return;
  std::fprintf(stderr, "removed %s%s, which a copy that was killed had left\n", left == target ? "what was in " : "",
               left.c_str());
}

int run_backup(const Common& common, const std::string& target, std::uint64_t rate) {
  const Config config = configure(common);
  start_lines(config);
  const auto done = make_backup(config, target, rate * 1'000'000);
  if (!done) return fail(done.error().detail);
  say_replaced(done->replaced, target);
  std::printf("backup of %s in %s: %s bytes, %s\nto have it again: truetape restore %s --data DIR\n",
              config.data.c_str(), target.c_str(), grouped(done->bytes).c_str(), counts(*done).c_str(),
              shell_word(target).c_str());
  return kOk;
}

int run_restore(const Common& common, const std::string& source) {
  const Config config = configure(common);
  if (!config.store.empty())
    throw ConfigError{"a backup is restored with its store in DIR/store.db, and the configuration says store = \"" +
                      config.store + "\"; leave that out, and move the file afterwards"};
  start_lines(config);
  const auto done = restore_backup(source, config);
  if (!done) return fail(done.error().detail);
  say_replaced(done->replaced, config.data);
  std::printf(
      "restored %s from the backup of %s: %s bytes, %s\nit goes on with truetape run or import; do not go on with the "
      "directory that it is a copy of too\n",
      config.data.c_str(), to_rfc3339(done->manifest.time).c_str(), grouped(done->bytes).c_str(),
      counts(*done).c_str());
  return kOk;
}

}  // namespace

void add_backup(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "backup",
      "Copies a data directory, also while truetape run or import writes it.\n\n"
      "TARGET must not be there; it appears under its name when all of it is copied and safe on the disk. It holds "
      "the\n"
      "store as it was at one moment, the log as it was at a later one, and backup.json with positions and checksums.\n"
      "A copy that fails leaves nothing; one that is killed leaves TARGET.partial, which the next one removes.");
  command->footer(
      "What is deleted in the log or changed in the store while it is copied keeps its place on the disk until the "
      "copy is\n"
      "done, so both may grow meanwhile.\n\n"
      "Examples:\n"
      "  truetape backup --data market /backup/market-$(date +%F)\n"
      "  truetape backup --data market --rate 200 /backup/market-now\n"
      "  truetape log verify --data /backup/market-now\n\n"
      "Exit status:\n"
      "  0  the backup is there, whole\n"
      "  1  failed: TARGET is there already, no room, nothing to copy; nothing is left\n"
      "  2  command line or configuration refused");
  const auto common = add_common(*command);
  const auto target = std::make_shared<std::string>();
  const auto rate = std::make_shared<std::uint64_t>(kDefaultRate);
  command->add_option("TARGET", *target, "The directory to make, best on another disk")->required()->type_name("");
  command->add_option("--rate", *rate, "At most so many MB a second, so that who writes is not slowed; 0: no limit")
      ->capture_default_str()
      ->check(whole_number())
      ->type_name("MB/s");
  command->callback([=, &chosen] { chosen = [=] { return run_backup(*common, *target, *rate); }; });
}

void add_restore(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "restore",
      "Makes a data directory of a backup.\n\n"
      "Every file is compared with its checksum. DIR must not be there before, and appears under its name when all of\n"
      "it is there; or it holds nothing (a disk of its own may be mounted there), and is filled. A restore that is\n"
      "killed leaves DIR.partial, or DIR half filled: every command says so, and the next restore removes it.\n"
      "truetape run and import go on where the backup stood.\n"
      "The log keeps its id and gets a new epoch, so that rows that are made from now on win over those that the\n"
      "original has made since. Go on with one of the two only: two logs of one id cannot be told apart by a store.");
  command->footer(
      "Examples:\n"
      "  truetape restore /backup/market-2025-06-21 --data market\n\n"
      "Exit status:\n"
      "  0  the data directory is there, whole\n"
      "  1  failed: DIR is not empty, a file is missing or not what was backed up, no room; nothing is left\n"
      "  2  command line or configuration refused");
  const auto common = add_common(*command);
  const auto source = std::make_shared<std::string>();
  command->add_option("SOURCE", *source, "A directory that truetape backup made")->required()->type_name("");
  command->callback([=, &chosen] { chosen = [=] { return run_restore(*common, *source); }; });
}

}  // namespace truetape::app
