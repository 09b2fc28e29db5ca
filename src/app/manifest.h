// What a backup says of itself: DIR/backup.json, written last, so where it stands all that it names was whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"

namespace truetape::app {

inline constexpr const char* kManifest = "backup.json";
// Files of an unfinished backup or restore: there until all else is. Each names what it is of.
inline constexpr const char* kUnfinishedBackup = "backup.unfinished";
inline constexpr const char* kUnfinishedRestore = "restore.unfinished";
// Beside the directory that is to be: it becomes that by a rename.
std::filesystem::path partial_of(const std::filesystem::path& directory);

struct Manifest {
  static constexpr std::int64_t kFormat = 1;

  struct File {
    std::string name;  // relative to the backup: log/log.mdb, store.db, reconcile/X.json
    std::uint64_t bytes = 0;
    std::string sha256;
    friend bool operator==(const File&, const File&) = default;
  };
  struct Position {  // of a topic-partition
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t oldest = 0, end = 0;  // in the log
    std::int64_t done = 0;             // of raw: processed below that; of others: in the store
    friend bool operator==(const Position&, const Position&) = default;
  };

  std::int64_t format = kFormat;
  std::string program;  // version of the one that wrote it
  Timestamp time{};
  std::string log_id;
  std::int64_t epoch = 0, partitions = 0;
  std::int64_t log_format = 0, state_version = 0;
  std::int64_t store_schema = 0;  // 0: there was no store
  std::vector<Position> positions;
  std::vector<File> files;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

std::string program_version();
std::string manifest_text(const Manifest& manifest);
// Fault::not_found: the directory is no backup. Fault::mismatch: of a newer format.
Result<Manifest> read_manifest(const std::filesystem::path& directory);

}  // namespace truetape::app
