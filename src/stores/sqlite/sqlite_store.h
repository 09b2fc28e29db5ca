// The embedded store: one SQLite file that holds rows and positions, written in one transaction each
// (docs/schema-sqlite.md). No SQLite header is needed by who includes this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stores/history.h"
#include "stores/sink.h"

namespace truetape {

struct SqliteOptions {
  std::string log_id;  // of the log whose rows are loaded; claim() compares it with the store's
  bool adopt = false;  // claim() forgets the stored positions and takes this log, whatever was loaded before
  std::string adopt_command = "truetape import --data DIR --finish --adopt";  // that a sentence advises
  int busy_ms = 5'000;          // how long a call waits for another writer before it answers Fault::unavailable
  std::uint64_t max_bytes = 0;  // of the file; beyond it writes answer Fault::no_space; 0: no limit but the disk's
};

// `path`: the file (DIR/store.db); its directory must exist. Nothing is touched before open(). Loads rows of
// all kinds; of quotes it keeps the newest of each instrument and kind.
std::unique_ptr<Sink> make_sqlite_sink(std::filesystem::path path, SqliteOptions options);

// Never fails here: each call opens what it needs, and answers Fault::not_found, without a row, while there is no
// store. Read-only, also while another process writes. Any thread.
std::unique_ptr<History> open_sqlite_history(std::filesystem::path path);

// What a copy of a store holds.
struct SqliteCopy {
  struct Position {
    std::string topic;
    std::int32_t partition;
    std::int64_t next;  // behind the last loaded record
  };
  int schema = 0;
  std::string log_id;  // empty: nothing was ever loaded
  std::vector<Position> positions;
};
// Copies the store as it is at one moment into a new file, also while another process writes, whose write-ahead file
// cannot be reset meanwhile and grows. `wrote` hears of each piece's bytes, and may wait. The caller syncs the file.
Result<SqliteCopy> copy_sqlite_store(const std::filesystem::path& from, const std::filesystem::path& to,
                                     const std::function<void(std::uint64_t bytes)>& wrote);

}  // namespace truetape
