// The embedded log: one LMDB file in one directory, written by one process, read by any number (docs/log-format.md).
// One thread owns every write transaction: what appenders hold and what the Task commits becomes durable together.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "log/log.h"

namespace truetape {

struct LmdbOptions {
  bool create = false;          // make the log if the directory has none
  bool read_only = false;       // beside a process that writes: readers without a name and inspection, nothing else
  std::int32_t partitions = 0;  // 1..256; at creation 0 means 8; later another number than the log's is refused
  std::chrono::milliseconds spacing{2};           // least time between two commits of records, or of steps; 0..50 ms
  std::size_t commit_records = 8192;              // most raw records of one commit, and of one step
  std::size_t step_bytes = std::size_t{8} << 20;  // a step ends once it holds this much
  std::size_t append_buffer_bytes = std::size_t{16} << 20;  // of each appender
  std::uint64_t map_bytes = std::uint64_t{256}
                            << 30;            // address space, not memory; halved as far as the system refuses it
  std::uint64_t size_limit = 20'000'000'000;  // bytes in use above which the oldest records are deleted
  std::uint64_t hard_limit = 0;               // above which nothing is appended; 0: size_limit * 5 / 4
  // A topic-partition that keeps each key's last record is compacted once so many records came since, or as many as it
  // keeps.
  std::int64_t compact_records = 1024;
  // Age since the append at which records of a topic may go, by topic::all; 0: never. Topics that keep each key's last
  // record are never aged, whatever stands here.
  std::array<std::chrono::seconds, topic::all.size()> max_age = default_max_age();
  std::array<bool, topic::all.size()> lz4{};  // pack new blocks of the topic
  std::int64_t state_version = 1;             // of the heart's state; a log with a newer one is refused
  const Clock* clock = nullptr;               // outlives the log; nullptr: the system's

  static constexpr std::array<std::chrono::seconds, topic::all.size()> default_max_age() {
    std::array<std::chrono::seconds, topic::all.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = std::chrono::hours{24} * (topic::all[i] == topic::raw ? 7 : 30);
    return out;
  }
};

class LmdbLog : public Log {
 public:
  // One topic-partition, for `log ls`.
  struct Place {
    std::string_view topic;
    std::int32_t partition;
    TopicSpan span;
    std::uint64_t blocks, bytes;  // bytes: whole pages
  };
  struct Verified {
    std::uint64_t records = 0, blocks = 0, bytes = 0;
    std::vector<std::string> damage;  // one sentence each; empty: all is sound
  };
  struct ReaderPosition {
    std::string name;
    std::string_view topic;
    std::int32_t partition;
    std::int64_t stored;
  };

  // Not room for more, or the writer is dead: the reason, while it lasts. For readiness.
  virtual Status health() const = 0;
  virtual std::uint64_t used_bytes() const = 0;  // at the last look of retention, at most a second old
  // Version of the state that the log holds. Older than the options' one: the caller migrates or rebuilds.
  virtual std::int64_t state_version() const = 0;
  // Small named texts that travel with the log, such as the schemas of its records' writers. Durable on return.
  virtual Result<std::optional<std::string>> note(std::string_view name) const = 0;
  virtual Status set_note(std::string_view name, std::string_view text) = 0;

  virtual Result<std::vector<ReaderPosition>> readers() const = 0;
  // The registered reader keeps nothing back any more; if it comes again it begins at the oldest record.
  virtual Status forget_reader(std::string_view name) = 0;

  virtual Result<std::vector<Place>> list() const = 0;
  // Records of [from, to) in order until `each` returns false. Below the oldest: Fault::out_of_range.
  virtual Status scan(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
                      const std::function<bool(const Stored&)>& each) const = 0;
  // Reads everything: every block's checksum and records, the order and contiguity of offsets, positions within bounds.
  virtual Result<Verified> verify() const = 0;
};

// Makes, opens and checks the log in the directory. Refused with one sentence: no log, another writer, a newer format,
// another partition count, a file shorter than its meta page says. A log opened by this process already is refused too.
Result<std::unique_ptr<LmdbLog>> open_lmdb_log(const std::filesystem::path& directory, const LmdbOptions& options);

}  // namespace truetape
