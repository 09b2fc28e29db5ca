// `truetape log compact`: the file without its free pages.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "log/lmdb/files.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape {
namespace lmdb {
namespace {

using Txn = std::unique_ptr<MDB_txn, void (*)(MDB_txn*)>;
using Cursor = std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)>;

// A snapshot of an environment that nobody writes.
Result<Txn> look(MDB_env* env, const std::filesystem::path& directory) {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn))
    return tl::unexpected{error_of(rc, "reading", directory)};
  return Txn{txn, mdb_txn_abort};
}

// Calls `each` with key and value of one table; answers LMDB's code.
template <class Each>
int walk(MDB_txn* txn, MDB_dbi dbi, Each each) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, dbi, &raw)) return rc;
  const Cursor cursor{raw, mdb_cursor_close};
  MDB_val key, value;
  int rc = 0;
  while ((rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0) each(key, value);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

// Entries of each table.
Result<std::map<std::string, std::size_t>> contents(MDB_env* env, const std::filesystem::path& directory) {
  const auto txn = look(env, directory);
  if (!txn) return tl::unexpected{txn.error()};
  MDB_dbi all = 0;
  int rc = mdb_dbi_open(txn->get(), nullptr, 0, &all);
  std::map<std::string, std::size_t> out;
  if (rc == 0)
    rc = walk(txn->get(), all, [&](const MDB_val& name, const MDB_val&) { out[std::string{view(name)}] = 0; });
  for (auto& [name, entries] : out) {
    MDB_dbi dbi = 0;
    MDB_stat stat{};
    if (rc == 0) rc = mdb_dbi_open(txn->get(), name.c_str(), 0, &dbi);
    if (rc == 0) rc = mdb_stat(txn->get(), dbi, &stat);
    entries = stat.ms_entries;
  }
  if (rc != 0) return tl::unexpected{error_of(rc, "reading", directory)};
  return out;
}

Result<std::uint64_t> free_pages(MDB_env* env, const std::filesystem::path& directory) {
  const auto txn = look(env, directory);
  if (!txn) return tl::unexpected{txn.error()};
  std::uint64_t out = 0;
  const int rc = walk(txn->get(), 0, [&](const MDB_val&, const MDB_val& value) {
    std::size_t count = 0;
    if (value.mv_size < sizeof count) return;
    std::memcpy(&count, value.mv_data, sizeof count);
    out += count;
  });
  if (rc != 0) return tl::unexpected{error_of(rc, "reading", directory)};
  return out;
}

// LMDB's own lock of all that have the file open, alone: who opens it meanwhile waits.
Result<File> lock_out_readers(const std::filesystem::path& directory) {
  const std::string name = (directory / kDataFile).string() + "-lock";
  File file{::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kMode)};
  if (file.fd() < 0) return tl::unexpected{error_of(errno, "locking", directory)};
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = 0;
  lock.l_len = 1;
  if (fcntl(file.fd(), F_SETLK, &lock) == 0) return file;
  if (errno != EACCES && errno != EAGAIN) return tl::unexpected{error_of(errno, "locking", directory)};
  return failure(Fault::refused, Retry::after_backoff,
                 "The log in " + directory.string() +
                     " is being read by another process, which would go on with the file that is to be replaced; wait "
                     "until it has ended, or stop it.");
}

Error stays(Error error) {
  error.detail += " The log is as it was.";
  return error;
}

Status copy(MDB_env* env, const std::filesystem::path& directory) {
  const std::filesystem::path fresh = directory / kNewFile;
  if (const int rc = mdb_env_copy2(env, fresh.c_str(), MDB_CP_COMPACT))
    return tl::unexpected{stays(write_error_of(rc, "copying", directory))};
  const File file{::open(fresh.c_str(), O_RDWR | O_CLOEXEC)};
  if (file.fd() < 0 || fsync(file.fd()) != 0) return tl::unexpected{stays(write_error_of(errno, "copying", directory))};
  const auto before = contents(env, directory);
  if (!before) return tl::unexpected{before.error()};
  const auto tables = static_cast<unsigned>(before->size() + 4);
  const auto copied = open_env(directory, kNewFile, tables, std::uint64_t{256} << 30, MDB_RDONLY | MDB_NOLOCK);
  if (!copied) return tl::unexpected{copied.error()};
  const auto after = contents(copied->get(), directory);
  if (!after) return tl::unexpected{after.error()};
  if (*after != *before)
    return failure(
        Fault::corrupt, Retry::never,
        "The copy of the log in " + directory.string() +
            " does not hold what the log holds, so it was thrown away; look for damage: truetape log verify.");
  return {};
}

}  // namespace
}  // namespace lmdb

Result<CompactedFile> compact_lmdb_log(const std::filesystem::path& directory) {
  using namespace lmdb;
  std::error_code problem;
  if (!std::filesystem::exists(directory / kDataFile, problem))
    return failure(Fault::not_found, Retry::never,
                   "There is no log in " + directory.string() + "; `truetape import` or `truetape run` makes one.");
  const std::string known = std::filesystem::canonical(directory, problem).string();
  if (problem) return tl::unexpected{error_of(problem.value(), "opening", directory)};
  struct Registered {
    std::string file;
    ~Registered() {
      if (!file.empty()) OpenFiles::instance().remove(file);
    }
  } registered;
  if (!OpenFiles::instance().add(known))
    return failure(Fault::refused, Retry::never,
                   "The log in " + directory.string() + " is open in this process already; close it first.");
  registered.file = known;

  const auto writer = take_writer_lock(directory);
  if (!writer) return tl::unexpected{writer.error()};
  const auto readers = lock_out_readers(directory);
  if (!readers) return tl::unexpected{readers.error()};
  std::filesystem::remove(directory / kNewFile, problem);
  const auto page = check_file(directory);
  if (!page) return tl::unexpected{page.error()};
  CompactedFile out;
  out.before = std::filesystem::file_size(directory / kDataFile, problem);
  if (problem) return tl::unexpected{error_of(problem.value(), "reading", directory)};
  {
    // All tables of 256 partitions, and then some.
    const auto env = open_env(directory, kDataFile, 4096, std::uint64_t{256} << 30, MDB_RDONLY | MDB_NOLOCK);
    if (!env) return tl::unexpected{env.error()};
    const auto free = free_pages(env->get(), directory);
    if (!free) return tl::unexpected{free.error()};
    MDB_envinfo info{};
    mdb_env_info(env->get(), &info);
    const std::uint64_t need = (info.me_last_pgno + 1 - std::min<std::uint64_t>(*free, info.me_last_pgno)) * *page;
    struct statvfs disk {};
    if (::statvfs(directory.c_str(), &disk) != 0) return tl::unexpected{error_of(errno, "reading", directory)};
    const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    if (room < need)
      return failure(Fault::no_space, Retry::after_backoff,
                     "No room for the copy that takes the place of " + (directory / kDataFile).string() +
                         ": it needs " + std::to_string(need) + " bytes beside the old file, and its disk has " +
                         std::to_string(room) + "; free " + std::to_string(need - room) +
                         " more. The log is as it was.");
    if (const Status copied = copy(env->get(), directory); !copied) {
      std::filesystem::remove(directory / kNewFile, problem);
      return tl::unexpected{copied.error()};
    }
  }
  // Who waits for the lock has the old file open, and goes on with that and the old lock; others find both new.
  std::filesystem::remove((directory / kDataFile).string() + "-lock", problem);
  if (::rename((directory / kNewFile).c_str(), (directory / kDataFile).c_str()) != 0)
    return tl::unexpected{stays(write_error_of(errno, "renaming the copy of", directory))};
  if (Status synced = sync_directory(directory); !synced) return tl::unexpected{synced.error()};
  out.after = std::filesystem::file_size(directory / kDataFile, problem);
  return out;
}

}  // namespace truetape
