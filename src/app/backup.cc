#include "app/backup.h"

#include <algorithm>
#include <limits>

#include "app/copying.h"
#include "app/lines.h"
#include "app/open.h"
#include "app/values.h"
#include "log/lmdb/lmdb_log.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

namespace fs = std::filesystem;

constexpr int kTries = 3;
constexpr std::uint64_t kSpare = std::uint64_t{16} << 20;  // beyond what is there now, since it may grow

bool is_inside(const fs::path& path, const fs::path& directory) {
  const fs::path inner = fs::weakly_canonical(fs::absolute(path)),
                 outer = fs::weakly_canonical(fs::absolute(directory));
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

Status expect_target(const Config& config, const fs::path& target) {
  std::error_code error;
  // One that was killed at its very end, under its name already, is made anew.
  if (fs::exists(fs::symlink_status(target, error)) && !fs::exists(target / kUnfinishedBackup, error))
    return failure(Fault::refused, Retry::never,
                   target.string() + " is there already; name a directory that is not, such as " +
                       shell_word(target.string() + "-2"));
  if (is_inside(target, config.data) || is_inside(config.data, target))
    return failure(Fault::refused, Retry::never,
                   target.string() + " and the data directory " + config.data +
                       " lie one inside the other; choose a place outside, best on another disk");
  const fs::path parent = fs::absolute(partial_of(target)).parent_path();
  if (!fs::is_directory(parent, error))
    return failure(Fault::not_found, Retry::never,
                   "there is no directory " + parent.string() + "; make it, or choose another place");
  return {};
}

std::uint64_t bytes_of(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  return error ? 0 : bytes;
}

void remove_leavings(const fs::path& directory) {
  std::error_code ignored;  // files of no value that looking at the copy may leave
  for (const char* name : {"log/log.mdb-lock", "store.db-wal", "store.db-shm", "store.db-journal"})
    fs::remove(directory / name, ignored);
}

// What the log's copy says; and that the store's positions lie in it: below its oldest record something would be
// missing. nullopt: retention came between.
Result<bool> describe(const fs::path& directory, const SqliteCopy* store, Manifest& out) {
  LmdbOptions options;
  options.read_only = true;
  const auto log = open_lmdb_log(directory / "log", options);
  if (!log) return tl::unexpected{log.error()};
  out.log_id = (*log)->id();
  out.epoch = (*log)->epoch();
  out.partitions = (*log)->partitions();
  out.log_format = (*log)->format();
  out.state_version = (*log)->state_version();
  const bool same_log = store != nullptr && store->log_id == out.log_id;
  const auto loaded = [&](std::string_view topic, std::int32_t partition) -> std::optional<std::int64_t> {
    if (!same_log) return std::nullopt;
    for (const auto& p : store->positions)
      if (p.topic == topic && p.partition == partition) return p.next;
    return std::nullopt;
  };
  out.positions.clear();
  for (const std::string_view topic : topic::all)
    for (std::int32_t partition = 0; partition < (*log)->partitions(); ++partition) {
      const auto span = (*log)->span(topic, partition);
      if (!span) return tl::unexpected{span.error()};
      if (span->end == 0) continue;
      Manifest::Position& p = out.positions.emplace_back();
      p.topic = topic;
      p.partition = partition;
      p.oldest = span->oldest;
      p.end = span->end;
      if (topic == topic::raw) {
        const auto committed = (*log)->committed(partition);
        if (!committed) return tl::unexpected{committed.error()};
        p.done = *committed;
      } else if (const auto next = loaded(topic, partition)) {
        p.done = *next;
        const auto first = (*log)->first(topic, partition);
        if (!first) return tl::unexpected{first.error()};
        if (std::max(*next, *first) < span->oldest && !topic::keeps_last(topic)) return false;
      }
    }
  return true;
}

Result<Copied> copy_log(const Config& config, const fs::path& to, Pace& pace) {
  const auto log = open_log_to_read(config);
  if (!log) return tl::unexpected{log.error()};
  auto copied = write_file(to, pace, [&](int fd) { return (*log)->copy(fd, true); });
  if (copied || copied.error().fault != Fault::mismatch) return copied;
  say(Level::warning, "backup", copied.error().detail + " Its free pages are copied too.");
  std::error_code error;
  fs::remove(to, error);
  return write_file(to, pace, [&](int fd) { return (*log)->copy(fd, false); });
}

// One try. False: retention came between.
Result<bool> copy_all(const Config& config, const fs::path& to, Pace& pace, Manifest& manifest) {
  manifest.files.clear();
  std::error_code error;
  std::optional<SqliteCopy> store;
  if (fs::exists(config.store_file(), error)) {
    auto copied = copy_sqlite_store(config.store_file(), to / "store.db", [&](std::uint64_t n) { pace.copied(n); });
    if (!copied) return tl::unexpected{copied.error()};
    store = std::move(*copied);
    manifest.store_schema = store->schema;
  }
  const auto log = copy_log(config, to / "log" / "log.mdb", pace);
  if (!log) return tl::unexpected{log.error()};
  const auto whole = describe(to, store ? &*store : nullptr, manifest);
  if (!whole || !*whole) return whole;
  remove_leavings(to);
  manifest.files.push_back({"log/log.mdb", log->bytes, log->sha256});
  if (store) {
    const auto sealed = seal_file(to / "store.db");
    if (!sealed) return tl::unexpected{sealed.error()};
    manifest.files.push_back({"store.db", sealed->bytes, sealed->sha256});
  }
  const fs::path results = fs::path{config.data} / "reconcile";
  if (!fs::is_directory(results, error)) return true;
  fs::create_directory(to / "reconcile", error);
  for (const auto& entry : fs::directory_iterator{results, error}) {
    if (entry.path().extension() != ".json" || !entry.is_regular_file()) continue;
    const std::string name = "reconcile/" + entry.path().filename().string();
    const auto copied = copy_file(entry.path(), to / name, pace);
    if (!copied) return tl::unexpected{copied.error()};
    manifest.files.push_back({name, copied->bytes, copied->sha256});
  }
  if (error)
    return failure(Fault::io, Retry::never, results.string() + " cannot be read (" + error.message() + "); check it");
  return true;
}

// The log's copy is later than the store's, so it may say that the loader has more than the store's copy holds. It
// says again what that holds: retention waits for the rest, and nobody finds the store damaged.
Status put_back_loader(LmdbLog& log, const Manifest& manifest) {
  const LoadOptions load;
  for (const std::string_view topic : load.topics) {
    std::unique_ptr<Reader> reader;
    for (const Manifest::Position& p : manifest.positions) {
      if (p.topic != topic) continue;
      if (!reader) {
        auto opened = log.reader(topic, "load:" + load.name, Share::group);
        if (!opened) return tl::unexpected{opened.error()};
        reader = std::move(*opened);
      }
      if (const Status told = reader->stored(p.partition, std::min(p.done, p.end)); !told) return told;
    }
  }
  return {};
}

}  // namespace

Result<BackedUp> make_backup(const Config& config, const fs::path& target, std::uint64_t rate) {
  if (const Status there = expect_log(config); !there) return tl::unexpected{there.error()};
  if (const Status fits = expect_target(config, target); !fits) return tl::unexpected{fits.error()};
  std::uint64_t needed = kSpare + bytes_of(config.store_file()) + bytes_of(config.store_file().string() + "-wal");
  {
    const auto log = open_log_to_read(config);
    if (!log) return tl::unexpected{log.error()};
    needed += std::min((*log)->used_bytes() / 20 * 21 + kSpare, bytes_of(config.log_directory() / "log.mdb"));
  }
  if (const Status room = expect_room(fs::absolute(partial_of(target)).parent_path(), needed); !room)
    return tl::unexpected{room.error()};

  auto partial = PartialDirectory::make(target, kUnfinishedBackup, config.data + '\n');
  if (!partial) return tl::unexpected{partial.error()};
  BackedUp out;
  out.replaced = partial->replaced();
  out.manifest.program = program_version();
  Pace pace{rate};
  for (int tries = 1;; ++tries) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{partial->path(), error})
      if (entry.path().filename() != kUnfinishedBackup) fs::remove_all(entry.path(), error);
    fs::create_directory(partial->path() / "log", error);
    out.manifest.time = SystemClock{}.now();
    const auto whole = copy_all(config, partial->path(), pace, out.manifest);
    if (!whole) return tl::unexpected{whole.error()};
    if (*whole) break;
    if (tries == kTries)
      return failure(Fault::unavailable, Retry::never,
                     "retention deleted records from the log in " + config.data + " that the store's copy lacked, " +
                         std::to_string(kTries) +
                         " times; copy faster (--rate 0), or let the log keep more (log.size, retain.results)");
    say(Level::warning, "backup", "retention deleted records that the store's copy lacked; all is copied again");
  }
  for (const auto& file : out.manifest.files) out.bytes += file.bytes;
  if (const Status written = write_text(partial->path() / kManifest, manifest_text(out.manifest)); !written)
    return tl::unexpected{written.error()};
  if (const Status finished = partial->finish(); !finished) return tl::unexpected{finished.error()};
  return out;
}

Result<BackedUp> restore_backup(const fs::path& source, const Config& config) {
  const fs::path data = config.data;
  const auto manifest = read_manifest(source);
  if (!manifest) return tl::unexpected{manifest.error()};
  std::error_code error;
  const bool there = fs::exists(data, error);
  if (there && !holds_nothing(data) && !fs::exists(data / kUnfinishedRestore, error))
    return failure(Fault::refused, Retry::never,
                   config.data + " is not empty; name a directory that is not there, or move this one away: mv " +
                       shell_word(config.data) + " " + shell_word(config.data + ".old"));
  if (is_inside(data, source) || is_inside(source, data))
    return failure(
        Fault::refused, Retry::never,
        config.data + " and the backup " + source.string() + " lie one inside the other; choose another place");
  const fs::path parent = fs::absolute(partial_of(data)).parent_path();
  if (!fs::is_directory(parent, error))
    return failure(Fault::not_found, Retry::never,
                   "there is no directory " + parent.string() + "; make it, or choose another place");
  BackedUp out;
  out.manifest = *manifest;
  for (const auto& file : manifest->files) out.bytes += file.bytes;

  auto partial = PartialDirectory::make(data, kUnfinishedRestore, fs::absolute(source).string() + '\n');
  if (!partial) return tl::unexpected{partial.error()};
  out.replaced = partial->replaced();
  // On the disk where it is to lie, now that what was left there is gone.
  if (const Status room = expect_room(there ? data : parent, out.bytes + kSpare); !room)
    return tl::unexpected{room.error()};
  Pace pace{0};
  for (const auto& file : manifest->files) {
    const fs::path to = partial->path() / file.name;
    fs::create_directories(to.parent_path(), error);
    const auto copied = copy_file(source / file.name, to, pace);
    if (!copied) return tl::unexpected{copied.error()};
    if (copied->bytes != file.bytes || copied->sha256 != file.sha256)
      return failure(Fault::corrupt, Retry::never,
                     (source / file.name).string() + " is not what was backed up: it has " +
                         std::to_string(copied->bytes) + " bytes of SHA-256 " + copied->sha256 + ", not " +
                         std::to_string(file.bytes) + " of " + file.sha256 + "; restore another backup");
  }
  {
    LmdbOptions options;
    options.size_limit = std::numeric_limits<std::uint64_t>::max() / 2;  // nothing is deleted here, by size or by age
    options.max_age.fill(std::chrono::seconds{0});
    auto log = open_lmdb_log(partial->path() / "log", options);
    if (!log) return tl::unexpected{log.error()};
    if ((*log)->id() != manifest->log_id)
      return failure(Fault::mismatch, Retry::never,
                     "the log in " + source.string() + " is " + std::string{(*log)->id()} + ", not " +
                         manifest->log_id + " as its " + kManifest + " says; restore another backup");
    if (const Status put = put_back_loader(**log, *manifest); !put) return tl::unexpected{put.error()};
    if (const Status renewed = (*log)->renew_epoch(); !renewed) return tl::unexpected{renewed.error()};
    out.manifest.epoch = (*log)->epoch();
  }
  if (const Status finished = partial->finish(); !finished) return tl::unexpected{finished.error()};
  return out;
}

}  // namespace truetape::app
