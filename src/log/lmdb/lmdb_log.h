// The embedded log: one LMDB file in one directory, written by one process, read by any number (docs/log-format.md).
// One thread owns every write transaction: what appenders hold and what the Task commits becomes durable together.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/time.h"
#include "log/log.h"
#include "log/search.h"

namespace truetape {

// A commit that has become durable.
struct LmdbCommit {
  Nanoseconds took;   // from its beginning
  Timestamp durable;  // when it was
  // Of each block of raw in it, the receive time of its first record that is a frame: of those that waited longest.
  std::span<const Timestamp> received;
};

struct LmdbOptions;
// The text of a note (LmdbLog::note) in the log that is being opened.
using LogNotes = std::function<Result<std::optional<std::string>>(std::string_view name)>;

struct LmdbOptions {
  bool create = false;          // make the log if the directory has none
  bool read_only = false;       // beside a process that writes: readers without a name and inspection, nothing else
  std::int32_t partitions = 0;  // 1..256; at creation 0 means 8; later another number than the log's is refused
  std::chrono::milliseconds spacing{2};  // least time between two commits of records, or of steps; 0..50 ms
  // The same, if it is more, while nothing waits to be committed but frames of no tape: prices and news. 20,000 of them
  // in a second would else cost 500 syncs, and nobody sees the difference.
  std::chrono::milliseconds calm_spacing{10};
  std::size_t commit_records = 8192;                        // most raw records of one commit, and of one step
  std::size_t step_bytes = std::size_t{8} << 20;            // a step ends once it holds this much
  std::size_t append_buffer_bytes = std::size_t{16} << 20;  // of each appender
  std::uint64_t map_bytes = std::uint64_t{256}
                            << 30;            // address space, not memory; halved as far as the system refuses it
  std::uint64_t size_limit = 20'000'000'000;  // bytes in use above which the oldest records are deleted
  std::uint64_t hard_limit = 0;               // above which nothing is appended; 0: size_limit * 5 / 4
  // A topic-partition that keeps each key's last record is compacted once so many records came since, or as many as it
  // keeps.
  std::int64_t compact_records = 1024;
  std::chrono::milliseconds compact_every{1000};  // between looks for that; parts of a pass come ten times as often
  // Age since the append at which records of a topic may go, by topic::all; 0: never. Topics that keep each key's last
  // record are never aged, whatever stands here.
  std::array<std::chrono::seconds, topic::all.size()> max_age = default_max_age();
  // Called while the log is opened to write, before anything is deleted: may change size_limit, hard_limit and max_age
  // by what the log's notes say. An error ends the opening.
  std::function<Status(LmdbOptions&, const LogNotes&)> settle;
  std::array<bool, topic::all.size()> lz4{};  // pack new blocks of the topic
  std::int64_t state_version = 1;             // of the heart's state; a log with a newer one is refused
  const Clock* clock = nullptr;               // outlives the log; nullptr: the system's
  // Told of each commit of records, for metrics. On the log's own thread: quick, and it calls nothing of the log.
  std::function<void(const LmdbCommit&)> committed;

  // Never above three quarters of the map: a full one leaves no page even for deleting.
  constexpr std::uint64_t hard_limit_bytes() const {
    return std::min(hard_limit != 0 ? hard_limit : size_limit / 4 * 5, map_bytes / 4 * 3);
  }

  static constexpr std::array<std::chrono::seconds, topic::all.size()> default_max_age() {
    std::array<std::chrono::seconds, topic::all.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = std::chrono::hours{24} * (topic::all[i] == topic::raw ? 7 : 30);
    return out;
  }
};

class LmdbLog : public Log, public LogSearch {
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
  // What a registered reader has not stored of a topic-partition, so that it is kept. `process` of raw is one too.
  struct Hold {
    std::string name;
    std::string_view topic;
    std::int32_t partition;
    std::int64_t stored, end;
    std::uint64_t bytes;             // of the blocks from `stored` on, as they stand
    std::optional<Timestamp> since;  // when the first of them was appended; nullopt: nothing is held
  };
  // For `log stats`.
  struct TopicUse {
    std::string_view topic;
    std::uint64_t records = 0, blocks = 0;
    std::uint64_t block_bytes = 0;  // of the blocks as they stand
    std::uint64_t bytes = 0;        // of whole pages
    std::optional<Timestamp> oldest;
  };
  struct Usage {
    std::vector<TopicUse> topics;                    // all of topic::all, over their partitions
    std::uint64_t state_bytes = 0, other_bytes = 0;  // pages of the processing step's state; of names, positions, free
    std::uint64_t free_bytes = 0;                    // pages that the next commits use again
    std::uint64_t ahead_bytes = 0;                   // behind the last page, taken from the disk ahead of need
    std::uint64_t file_bytes = 0;                    // all of these together, but for a page or two
    std::uint64_t used_bytes() const;                // topics and state: what size_limit is about
  };
  // What the writer did since the log was opened.
  struct Work {
    std::uint64_t commits = 0;
    std::uint64_t record_bytes = 0;             // of blocks and state as they were given
    std::optional<std::uint64_t> page_bytes{};  // all that was written to the file; nullopt: the system does not tell
    std::uint64_t deleted_blocks = 0;           // by age and size
    std::uint64_t compactions = 0, compacted_records = 0, compacted_blocks = 0;  // passes, and what they took away
  };

  // Not room for more, or the writer is dead: the reason, while it lasts. For readiness.
  virtual Status health() const = 0;
  virtual std::uint64_t used_bytes() const = 0;  // at the last look of retention, at most a second old
  // Clearly above its size limit, since it is needed: by whom, and what to do. health() says the same once it is full.
  virtual std::optional<std::string> pressure() const = 0;
  virtual Work work() const = 0;
  // Of the file (docs/log-format.md).
  virtual std::int64_t format() const = 0;
  // Version of the state that the log holds. Older than the options' one: the caller makes it anew.
  virtual std::int64_t state_version() const = 0;
  // Small named texts that travel with the log, such as the schemas of its records' writers. Durable on return.
  virtual Result<std::optional<std::string>> note(std::string_view name) const = 0;
  virtual Status set_note(std::string_view name, std::string_view text) = 0;

  // What lies below was made anew behind it, so nobody misses it, and a reader that seeks it goes on behind; 0 where
  // nothing was. Records of [first, oldest) are deleted for good.
  virtual Result<std::int64_t> first(std::string_view topic, std::int32_t partition) const = 0;
  // Where what was made anew last begins; 0 where nothing was. Above first() if raw had lost its beginning by then: who
  // has not loaded what lay between lacks it.
  virtual Result<std::int64_t> anew(std::string_view topic, std::int32_t partition) const = 0;
  // What was made from raw is to be made anew: a new epoch, max(epoch() + 1, now); no state; the next Task begins at
  // the oldest record of raw; the other topics but `control` are empty from their ends on (first()), and their older
  // records are deleted bit by bit. In one commit: a kill leaves it undone or done, and whoever writes next goes on.
  // Fault::out_of_range, and nothing is done, if raw has lost its beginning and `allow_pruned` is false. Refused while
  // there is a Task; no reader of this process may be open.
  virtual Status make_anew(bool allow_pruned) = 0;
  // Only the new epoch: rows that are made from now on win over those that another continuation of this log has made.
  virtual Status renew_epoch() = 0;
  // A copy of the file as it is now, written in order to a pipe or an empty file; beside a process that writes, too,
  // whose deletions keep their pages meanwhile, so the file grows. `packed`: without free pages; Fault::mismatch if
  // that cannot be done, after some bytes were written.
  virtual Status copy(int fd, bool packed) const = 0;

  virtual Result<std::vector<ReaderPosition>> readers() const = 0;
  virtual Result<std::vector<Hold>> holds() const = 0;
  // The registered reader keeps nothing back any more; if it comes again it begins at the oldest record.
  // Fault::not_found: no such reader. Fault::refused: it is at work in this process.
  virtual Status forget_reader(std::string_view name) = 0;

  virtual Result<std::vector<Place>> list() const = 0;
  virtual Result<Usage> usage() const = 0;
  // Records of [from, to) in order until `each` returns false. Below the oldest: Fault::out_of_range.
  virtual Status scan(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
                      const std::function<bool(const Stored&)>& each) const = 0;
  // Reads everything: every block's checksum and records, the order and contiguity of offsets, positions within bounds.
  virtual Result<Verified> verify() const = 0;
};

// Makes, opens and checks the log in the directory. Refused with one sentence: no log, another writer, a newer format,
// another partition count, a file shorter than its meta page says. A log opened by this process already is refused too.
Result<std::unique_ptr<LmdbLog>> open_lmdb_log(const std::filesystem::path& directory, const LmdbOptions& options);

struct CompactedFile {
  std::uint64_t before = 0, after = 0;  // bytes of the file
};
// Writes the file anew without its free pages: beside the old one, then in its place. Nobody may have the log open.
// Whatever fails, the old file stays as it was.
Result<CompactedFile> compact_lmdb_log(const std::filesystem::path& directory);

}  // namespace truetape
