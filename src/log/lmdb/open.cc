// Creating, checking and opening the file.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "log/identity.h"
#include "log/lmdb/block.h"
#include "log/lmdb/files.h"
#include "log/lmdb/inspect.h"
#include "log/lmdb/store.h"

namespace truetape::lmdb {
namespace {

Status put_text(const std::filesystem::path& directory, MDB_txn* txn, MDB_dbi dbi, std::string_view key,
                std::string_view text) {
  MDB_val k = val_of(key), v = val_of(text);
  if (const int rc = mdb_put(txn, dbi, &k, &v, 0)) return tl::unexpected{write_error_of(rc, "creating", directory)};
  return {};
}

std::string table_name(std::string_view kind, std::int32_t partition) { return place_name(kind, partition); }

// A new log appears under its name whole or not at all.
Status create(const std::filesystem::path& directory, const LmdbOptions& options, const Clock& clock) {
  const std::filesystem::path fresh = directory / kNewFile;
  std::error_code ignored;  // there is none, mostly; if it cannot be removed, opening it tells
  std::filesystem::remove(fresh, ignored);
  {
    auto env = open_env(directory, kNewFile, 4, 1 << 20, MDB_NOLOCK);
    if (!env) return tl::unexpected{env.error()};
    MDB_txn* txn = nullptr;
    if (const int rc = mdb_txn_begin(env->get(), nullptr, 0, &txn))
      return tl::unexpected{write_error_of(rc, "creating", directory)};
    MDB_dbi dbi = 0;
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &dbi);
    if (rc == 0) {
      const std::int64_t now = std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch().count();
      const std::array<std::pair<std::string_view, std::string>, 5> facts{{
          {"format", std::to_string(kFirstFormat)},
          {"log_id", random_uuid()},
          {"epoch", std::to_string(now)},
          {"partitions", std::to_string(options.partitions == 0 ? 8 : options.partitions)},
          {"state_version", std::to_string(options.state_version)},
      }};
      for (const auto& [key, text] : facts)
        if (Status put = put_text(directory, txn, dbi, key, text); !put) {
          mdb_txn_abort(txn);
          return put;
        }
      rc = mdb_txn_commit(txn);
    } else {
      mdb_txn_abort(txn);
    }
    if (rc != 0) return tl::unexpected{write_error_of(rc, "creating", directory)};
    int fd = -1;
    mdb_env_get_fd(env->get(), &fd);
    if (fsync(fd) != 0) return tl::unexpected{write_error_of(errno, "creating", directory)};
  }
  if (::rename(fresh.c_str(), (directory / kDataFile).c_str()) != 0)
    return tl::unexpected{write_error_of(errno, "creating", directory)};
  return sync_directory(directory);
}

Result<std::string> fact(Store& store, MDB_txn* txn, std::string_view key) {
  MDB_val k = val_of(key), v;
  const int rc = mdb_get(txn, store.meta, &k, &v);
  if (rc == MDB_NOTFOUND)
    return failure(Fault::corrupt, Retry::never,
                   "The log in " + store.directory.string() + " has no '" + std::string{key} +
                       "'; restore it from a copy, or move it away.");
  if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
  return std::string{view(v)};
}

Result<std::int64_t> number(Store& store, MDB_txn* txn, std::string_view key) {
  const auto text = fact(store, txn, key);
  if (!text) return tl::unexpected{text.error()};
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc{} || end != text->data() + text->size())
    return failure(Fault::corrupt, Retry::never,
                   "The log in " + store.directory.string() + " has a '" + std::string{key} +
                       "' that is no number; restore it from a copy.");
  return out;
}

// The facts, from an environment opened with one table: nothing else is touched before the format is known.
Status read_facts(Store& store) {
  auto env = open_env(store.directory, kDataFile, 1, std::uint64_t{1} << 30, MDB_RDONLY);
  if (!env) return tl::unexpected{env.error()};
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env->get(), nullptr, MDB_RDONLY, &txn))
    return tl::unexpected{store.fail(rc, "reading")};
  const std::unique_ptr<MDB_txn, void (*)(MDB_txn*)> closer{txn, mdb_txn_abort};
  if (const int rc = mdb_dbi_open(txn, "meta", 0, &store.meta)) {
    if (rc == MDB_NOTFOUND)
      return failure(Fault::corrupt, Retry::never,
                     (store.directory / kDataFile).string() + " is an LMDB file but not a log; move it away.");
    return tl::unexpected{store.fail(rc, "reading")};
  }
  const auto newer = [&](std::string_view what, std::int64_t theirs, std::int64_t ours) {
    return failure(Fault::mismatch, Retry::never,
                   "The log in " + store.directory.string() + " has " + std::string{what} + " version " +
                       std::to_string(theirs) + ", this program knows up to " + std::to_string(ours) +
                       "; use a newer truetape.");
  };
  const auto format = number(store, txn, "format");
  if (!format) return tl::unexpected{format.error()};
  if (*format > kFormat) return newer("format", *format, kFormat);
  const auto state_version = number(store, txn, "state_version");
  if (!state_version) return tl::unexpected{state_version.error()};
  if (*state_version > store.options.state_version) return newer("state", *state_version, store.options.state_version);
  const auto partitions = number(store, txn, "partitions");
  const auto epoch = number(store, txn, "epoch");
  const auto id = fact(store, txn, "log_id");
  if (!partitions) return tl::unexpected{partitions.error()};
  if (!epoch) return tl::unexpected{epoch.error()};
  if (!id) return tl::unexpected{id.error()};
  if (*partitions < 1 || *partitions > kMaxPartitions)
    return failure(Fault::corrupt, Retry::never,
                   "The log in " + store.directory.string() + " says it has " + std::to_string(*partitions) +
                       " partitions; restore it from a copy.");
  if (store.options.partitions != 0 && store.options.partitions != *partitions)
    return failure(Fault::mismatch, Retry::never,
                   "The log in " + store.directory.string() + " has " + std::to_string(*partitions) +
                       " partitions, not " + std::to_string(store.options.partitions) +
                       ": the number is fixed at creation; leave log.partitions out, or go on with --set "
                       "log.partitions=" +
                       std::to_string(*partitions) + ".");
  store.partitions = static_cast<std::int32_t>(*partitions);
  store.format = *format;
  store.epoch = *epoch;
  store.id = *id;
  store.state_version = *state_version;
  return {};
}

Error replaced(const std::filesystem::path& directory) {
  return {Fault::refused, Retry::after_backoff,
          (directory / kDataFile).string() +
              " was replaced by `truetape log compact`, and a process still reads the file that was there before; "
              "try again when it has ended."};
}

Status open_tables(Store& store) {
  const unsigned create_flag = store.options.read_only ? 0U : unsigned{MDB_CREATE};
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(store.env, nullptr, store.options.read_only ? MDB_RDONLY : 0, &txn))
    return tl::unexpected{store.fail(rc, "opening")};
  std::unique_ptr<MDB_txn, void (*)(MDB_txn*)> closer{txn, mdb_txn_abort};
  // The number of the newest transaction stands in the file, and in log.mdb-lock for those that share it. If another
  // process still has the file that was there before, they differ, and nothing may be done by the latter.
  MDB_envinfo info{};
  mdb_env_info(store.env, &info);
  if (mdb_txn_id(txn) > info.me_last_txnid + (store.options.read_only ? 0 : 1))
    return tl::unexpected{replaced(store.directory)};
  int rc = mdb_dbi_open(txn, "meta", 0, &store.meta);
  if (rc == 0) rc = mdb_dbi_open(txn, "committed", create_flag, &store.committed_dbi);
  if (rc == 0) rc = mdb_dbi_open(txn, "readers", create_flag, &store.readers_dbi);
  if (rc == 0) {
    MDB_dbi begins = 0;
    rc = mdb_dbi_open(txn, "begins", create_flag, &begins);
    if (rc == 0) store.begins_dbi = begins;
    if (rc == MDB_NOTFOUND && store.options.read_only) rc = 0;
  }
  for (std::int32_t p = 0; p < store.partitions && rc == 0; ++p) {
    MDB_dbi dbi = 0;
    rc = mdb_dbi_open(txn, table_name("state", p).c_str(), create_flag, &dbi);
    store.state.push_back(dbi);
  }
  for (std::size_t t = 0; t < kTopics && rc == 0; ++t)
    for (std::int32_t p = 0; p < store.partitions && rc == 0; ++p) {
      MDB_dbi dbi = 0;
      store.names.push_back(place_name(topic::all[t], p));
      rc = mdb_dbi_open(txn, store.names.back().c_str(), create_flag, &dbi);
      store.blocks.emplace_back(dbi);
      if (rc == MDB_NOTFOUND && store.options.read_only) {
        store.blocks.back().reset();
        rc = 0;
      }
    }
  if (rc != 0) return tl::unexpected{store.fail(rc, "opening")};
  store.oldest = std::make_unique<std::atomic<std::int64_t>[]>(store.places());
  store.end = std::make_unique<std::atomic<std::int64_t>[]>(store.places());
  store.since = std::make_unique<std::atomic<std::int64_t>[]>(store.places());
  store.anew = std::make_unique<std::atomic<std::int64_t>[]>(store.places());
  store.committed = std::make_unique<std::atomic<std::int64_t>[]>(static_cast<std::size_t>(store.partitions));
  if (Status loaded = store.load(txn); !loaded) return loaded;
  store.last_txn = mdb_txn_id(txn);
  rc = mdb_txn_commit(closer.release());
  if (rc != 0) return tl::unexpected{store.fail(rc, "opening")};
  return {};
}

// Where the file is mapped: LMDB does not tell. If it cannot be found, values are not checked against the file's end.
void find_map(Store& store) {
  struct stat info {};
  MDB_envinfo env{};
  if (fstat(store.fd, &info) != 0 || mdb_env_info(store.env, &env) != 0) return;
  store.file_bytes.store(static_cast<std::uint64_t>(info.st_size));
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words{line};
    std::string range, rights, offset, device;
    std::uint64_t inode = 0;
    if (!(words >> range >> rights >> offset >> device >> inode) || inode != info.st_ino) continue;
    const std::uintptr_t begin = std::stoull(range, nullptr, 16);
    store.map = reinterpret_cast<const char*>(begin);
    store.map_end = store.map + env.me_mapsize;
    return;
  }
}

}  // namespace

Store::~Store() {
  if (env != nullptr) mdb_env_close(env);
  if (!registered.empty()) OpenFiles::instance().remove(registered);
}

Result<std::shared_ptr<Store>> open_store(const std::filesystem::path& directory, const LmdbOptions& options) {
  static const SystemClock system_clock;
  auto store = std::make_shared<Store>();
  store->directory = directory;
  store->options = options;
  store->clock = options.clock != nullptr ? options.clock : &system_clock;
  if (options.partitions < 0 || options.partitions > kMaxPartitions)
    return failure(Fault::out_of_range, Retry::never,
                   "A log has 1 to 256 partitions, not " + std::to_string(options.partitions) + ".");
  if (options.spacing < std::chrono::milliseconds{0} || options.spacing > std::chrono::milliseconds{50})
    return failure(Fault::out_of_range, Retry::never,
                   "The spacing of commits is 0 to 50 ms, not " + std::to_string(options.spacing.count()) + ".");
  if (options.create && options.read_only)
    return failure(Fault::refused, Retry::never, "A log cannot be created read-only.");

  std::error_code problem;
  if (options.create) {
    std::filesystem::create_directories(directory, problem);
    if (problem) return tl::unexpected{write_error_of(problem.value(), "creating", directory)};
  }
  const bool there = std::filesystem::exists(directory / kDataFile, problem);
  if (problem) return tl::unexpected{error_of(problem.value(), "opening", directory)};
  if (!there && !options.create)
    return failure(Fault::not_found, Retry::never,
                   "There is no log in " + directory.string() + "; `truetape import` or `truetape run` makes one.");

  const std::string file = std::filesystem::canonical(directory, problem).string();
  if (problem) return tl::unexpected{error_of(problem.value(), "opening", directory)};
  if (!OpenFiles::instance().add(file))
    return failure(Fault::refused, Retry::never,
                   "The log in " + directory.string() + " is open in this process already; share that one.");
  store->registered = file;
  if (!options.read_only) {
    auto lock = take_writer_lock(directory);
    if (!lock) return tl::unexpected{lock.error()};
    store->writer_lock = std::move(*lock);
    // Again, under the lock: another process may have created it meanwhile.
    if (!std::filesystem::exists(directory / kDataFile, problem))
      if (Status created = create(directory, options, *store->clock); !created) return tl::unexpected{created.error()};
    std::filesystem::remove(directory / kNewFile,
                            problem);  // of a `log compact` that was killed; only space, if it stays
  }
  const auto page = check_file(directory);
  if (!page) return tl::unexpected{page.error()};
  store->page_bytes = *page;
  if (Status known = read_facts(*store); !known) return tl::unexpected{known.error()};
  const auto tables = static_cast<unsigned>(store->places() + static_cast<std::size_t>(store->partitions) + 8);
  auto env = open_env(directory, kDataFile, tables, options.map_bytes, options.read_only ? MDB_RDONLY : 0U);
  if (!env) return tl::unexpected{env.error()};
  if (!is_current(env->get(), directory)) return tl::unexpected{replaced(directory)};
  store->env = env->release();
  mdb_env_get_fd(store->env, &store->fd);
  find_map(*store);
  int dead_readers = 0;
  if (const int rc = mdb_reader_check(store->env, &dead_readers)) return tl::unexpected{store->fail(rc, "opening")};
  if (Status opened = open_tables(*store); !opened) return tl::unexpected{opened.error()};
  if (!options.read_only && options.settle) {
    const LogNotes note = [&](std::string_view name) { return read_note(*store, name); };
    if (Status settled = options.settle(store->options, note); !settled) return tl::unexpected{settled.error()};
    store->options.settle = nullptr;  // what it holds need not live longer
  }
  return store;
}

}  // namespace truetape::lmdb
