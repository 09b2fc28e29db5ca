// The open LMDB environment and what all objects of one log share. Internal to log/lmdb.
#pragma once

#include <lmdb.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "log/groups.h"
#include "log/lmdb/block.h"
#include "log/lmdb/lmdb_log.h"

namespace truetape::lmdb {

// A log begins in format 1; the first compaction or rebuild makes it 2, for a program that knows neither holes nor the
// table `begins` must not read it.
inline constexpr std::int64_t kFormat = 2;
inline constexpr std::int64_t kFirstFormat = 1;
inline constexpr std::int32_t kMaxPartitions = 256;
inline constexpr std::size_t kTopics = topic::all.size();
inline constexpr std::size_t kRaw = *topic::index(topic::raw);

// File names in the log's directory. LMDB adds its own "log.mdb-lock".
inline constexpr const char* kDataFile = "log.mdb";
inline constexpr const char* kNewFile = "log.mdb.new";
inline constexpr const char* kWriterLock = "writer.lock";

// A failed LMDB call as an error. `doing`: "reading", "opening".
Error error_of(int code, std::string_view doing, const std::filesystem::path& directory);
// Of a call that writes. EIO may be a full disk (LMDB's word for a short write, and the system's for a delayed
// allocation that failed) or a failing one, which nobody can tell apart here: it is tried again, and both are said.
Error write_error_of(int code, std::string_view doing, const std::filesystem::path& directory);

// Eight bytes, big-endian: LMDB orders keys by bytes.
struct OffsetKey {
  explicit OffsetKey(std::int64_t offset);
  MDB_val val() { return {sizeof bytes, bytes}; }
  unsigned char bytes[8];
};
std::optional<std::int64_t> read_offset(const MDB_val& val);
inline std::string_view view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }
inline MDB_val val_of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

// State and positions carry a CRC-32C over value and key behind them.
inline constexpr std::size_t kSealBytes = 4;
// Puts a sealed value into the table; answers LMDB's code.
int put_sealed(MDB_txn* txn, MDB_dbi dbi, std::string_view key, std::string_view value, unsigned flags = 0);

// A file descriptor that closes itself.
class File {
 public:
  explicit File(int fd = -1) : fd_{fd} {}
  File(File&& from) noexcept : fd_{std::exchange(from.fd_, -1)} {}
  File& operator=(File&& from) noexcept {
    std::swap(fd_, from.fd_);
    return *this;
  }
  ~File();
  int fd() const { return fd_; }

 private:
  int fd_;
};

using ReaderKey = std::tuple<std::string, std::size_t, std::int32_t>;  // name, topic, partition

// The environment and the shared facts. Read by any thread; changed by the writer, or under `mutex`.
class Store {
 public:
  ~Store();

  std::size_t place(std::size_t topic, std::int32_t partition) const {
    return topic * static_cast<std::size_t>(partitions) + static_cast<std::size_t>(partition);
  }
  std::size_t places() const { return kTopics * static_cast<std::size_t>(partitions); }
  bool has(std::int32_t partition) const { return partition >= 0 && partition < partitions; }
  Error fail(int code, std::string_view doing) const { return error_of(code, doing, directory); }
  Error bad_partition(std::string_view topic, std::int32_t partition) const;

  // False: the value reaches beyond the file, so a page of the tree is damaged; reading it would end the process.
  bool inside(const MDB_val& value) const {
    const char* at = static_cast<const char*>(value.mv_data);
    if (at < map || at >= map_end) return true;  // a page of the open transaction, in memory
    return value.mv_size <= file_bytes.load() &&
           at - map <= static_cast<std::ptrdiff_t>(file_bytes.load() - value.mv_size);
  }
  Result<BlockHeader> header_of(const MDB_val& value, std::size_t place, std::int64_t first_offset) const;
  // The value without its seal; nullopt: damaged.
  std::optional<std::string_view> unsealed(const MDB_val& key, const MDB_val& value) const;

  // Where the records begin that count, from the table `begins`: 0, 0 if they were never made anew.
  struct Begin {
    std::int64_t offset = 0;  // TopicSpan::oldest is not below it
    std::int64_t first = 0;   // LmdbLog::first()
  };
  Result<Begin> begin_in(MDB_txn* txn, std::size_t place) const;
  // Where a topic-partition begins and ends, as of a transaction.
  Result<TopicSpan> span_in(MDB_txn* txn, std::size_t place) const;
  // All of the log's shape and positions, from a transaction: ends, oldest, committed, stored.
  Status load(MDB_txn* txn);
  // A read-only process looks at what the other one committed since. True if there was anything.
  bool refresh();

  // Lowest offset that somebody still needs, or INT64_MAX. Under `mutex`.
  std::int64_t kept_back(std::size_t topic, std::int32_t partition) const;

  std::filesystem::path directory;
  LmdbOptions options;
  const Clock* clock = nullptr;
  File writer_lock;
  std::string registered;  // this process' entry for the file
  MDB_env* env = nullptr;
  int fd = -1;  // of the data file, LMDB's own
  std::size_t page_bytes = 4096;
  const char* map = nullptr;  // where LMDB has mapped the file
  const char* map_end = nullptr;
  mutable std::atomic<std::uint64_t> file_bytes{0};  // as of the newest snapshot

  std::string id;
  std::atomic<std::int64_t> format{0}, epoch{0};
  std::int64_t state_version = 0;
  std::int32_t partitions = 0;
  MDB_dbi meta = 0, committed_dbi = 0, readers_dbi = 0;
  std::optional<MDB_dbi> begins_dbi;           // nullopt: a read-only process and the log has no such table
  std::vector<std::optional<MDB_dbi>> blocks;  // by place; nullopt: a read-only process and the log has no such topic
  std::vector<MDB_dbi> state;                  // by partition
  std::vector<std::string> names;              // by place: "raw/3"

  std::unique_ptr<std::atomic<std::int64_t>[]> oldest, end, since, anew;  // by place; since: LmdbLog::first()
  std::unique_ptr<std::atomic<std::int64_t>[]> committed;                 // by partition

  mutable std::mutex mutex;
  std::condition_variable changed;  // something was committed, a group moved, or the log died
  std::uint64_t commits = 0;
  std::size_t last_txn = 0;                  // LMDB's number of the transaction that a read-only process saw last
  std::optional<Error> dead;                 // the writer stopped; nothing goes any more
  std::map<ReaderKey, std::int64_t> stored;  // durable: retention goes by it
  // Of readers whose registration is on its way into the file: retention goes by them too.
  std::map<ReaderKey, std::int64_t> registering;
  // What readers of this process said since, perhaps not yet durable: one that went back is waited for at once.
  std::map<ReaderKey, std::int64_t> said;
  std::map<std::pair<std::string, std::size_t>, ReaderGroup> groups;
  bool has_task = false;
};

Result<std::shared_ptr<Store>> open_store(const std::filesystem::path& directory, const LmdbOptions& options);

// A read transaction that is renewed for each look and holds no page between looks.
class Snapshot {
 public:
  Snapshot() = default;
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  Status begin(const Store& store);
  void end();
  MDB_txn* txn() { return txn_; }

 private:
  MDB_txn* txn_ = nullptr;
  bool open_ = false;
};

// What stands under a cursor of a place; Fault::corrupt if that is no block.
struct BlockAt {
  std::int64_t first;
  BlockHeader header;
};
Result<BlockAt> block_at(const Store& store, std::size_t place, const MDB_val& key, const MDB_val& value);

// Positions a cursor on the block that holds `offset`, or the first after it. Answers false at the end.
Result<bool> find_block(const Store& store, MDB_cursor* cursor, std::size_t place, std::int64_t offset, MDB_val& key,
                        MDB_val& value);

// "name\0topic\0partition": the key of a reader's position.
std::string reader_key(std::string_view name, std::string_view topic, std::int32_t partition);
std::string partition_key(std::int32_t partition);  // four bytes, big-endian

}  // namespace truetape::lmdb
