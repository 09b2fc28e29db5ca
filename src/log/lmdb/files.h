// The log's files: locks, the check before a file is mapped, opening the map. Internal to log/lmdb.
#pragma once

#include <lmdb.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "log/lmdb/store.h"

namespace truetape::lmdb {

inline constexpr mode_t kMode = 0644;

// LMDB must not open one file twice in one process: closing one would drop the other's locks.
class OpenFiles {
 public:
  static OpenFiles& instance() {
    static OpenFiles files;
    return files;
  }
  bool add(const std::string& file) {
    const std::lock_guard lock{mutex_};
    return files_.insert(file).second;
  }
  void remove(const std::string& file) {
    const std::lock_guard lock{mutex_};
    files_.erase(file);
  }

 private:
  std::mutex mutex_;
  std::set<std::string> files_;
};

struct EnvCloser {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
using Env = std::unique_ptr<MDB_env, EnvCloser>;
Result<Env> open_env(const std::filesystem::path& directory, const char* file, unsigned tables, std::uint64_t map_bytes,
                     unsigned flags);

// Held by the process that writes; the sentence names the one that has it.
Result<File> take_writer_lock(const std::filesystem::path& directory);
// A file that is shorter than its meta page says would give SIGBUS when it is read through the map. Answers the size of
// its pages.
Result<std::size_t> check_file(const std::filesystem::path& directory);
Status sync_directory(const std::filesystem::path& directory);
// False: the open environment's file is not the one in the directory any more (`log compact` has replaced it).
bool is_current(MDB_env* env, const std::filesystem::path& directory);

}  // namespace truetape::lmdb
