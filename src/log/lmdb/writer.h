// The one thread that owns every write transaction of a log. Internal to log/lmdb.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "log/lmdb/block.h"
#include "log/lmdb/compaction.h"
#include "log/lmdb/generations.h"
#include "log/lmdb/retention.h"
#include "log/lmdb/store.h"

namespace truetape::lmdb {

class Writer;

// A block on its way, with its topic-partition.
struct PlacedBlock {
  Block block;
  std::size_t place;
  std::optional<Timestamp> received = {};  // of its first frame
};

// What one appender holds: blocks under construction and finished ones. The appender adds, the writer takes.
class AppendQueue {
 public:
  AppendQueue(std::shared_ptr<Store> store, std::size_t topic);

  enum class Added : std::uint8_t { no, yes, wake };  // wake: tell the writer
  Added add(std::int32_t partition, const Record& record);
  // Number of records ever added, and of those durable.
  std::uint64_t added() const;
  std::uint64_t durable() const;
  std::size_t waiting() const;
  // Something else than frames of no tape came since all was taken.
  bool hurried() const;

 private:
  friend class Writer;
  // Hands the oldest blocks to `out`, about `most` records; they stay here until done().
  std::size_t take(std::size_t most, std::vector<PlacedBlock*>& out);
  void done(std::size_t blocks);

  void seal(std::size_t partition);
  // The record begins a block.
  void note_received(std::size_t partition, const Record& record);

  const std::shared_ptr<Store> store_;
  const std::size_t topic_;
  mutable std::mutex mutex_;
  std::vector<BlockBuilder> building_;              // by partition
  std::vector<std::optional<Timestamp>> received_;  // by partition: of the first frame in it
  std::deque<std::unique_ptr<PlacedBlock>> ready_;
  std::vector<std::unique_ptr<PlacedBlock>> spare_;
  std::size_t bytes_ = 0;    // encoded, building and ready
  std::size_t waiting_ = 0;  // records, building and ready
  std::uint64_t added_ = 0;
  bool hurried_ = false;
};

// What the Task commits: outputs encoded, the rest borrowed while it waits.
struct TaskCommit {
  std::vector<PlacedBlock> blocks;
  std::span<const StateChange> state;
  std::vector<std::pair<std::int32_t, std::int64_t>> positions;  // partition of raw, next offset
  std::size_t bytes = 0;                                         // of blocks and state
  bool large = false;                                            // commit at once, whatever the spacing
};

class Writer {
 public:
  explicit Writer(std::shared_ptr<Store> store);
  ~Writer();  // commits what readers stored, drops what was not flushed

  void join(const std::shared_ptr<AppendQueue>& queue);
  void leave(const std::shared_ptr<AppendQueue>& queue);
  void wake(bool at_once);
  // True: all that the queue held when called is durable.
  Result<bool> flush(const AppendQueue& queue, std::chrono::milliseconds wait);
  // Waits until it is durable or failed.
  Status commit(TaskCommit& commit);
  // Soon: with the next commit, at the latest after a tenth of a second.
  void stored(const ReaderKey& reader, std::int64_t next);
  // Some writes of one's own in the next transaction; waits. `write` may be called again after a failure.
  Status execute(const std::function<int(MDB_txn*)>& write);
  Status health() const;
  // There are blocks of a generation that is gone.
  void sweep() { sweep_.look_again(); }
  std::uint64_t used_bytes() const { return retention_.used_bytes(); }
  std::optional<std::string> pressure() const;
  LmdbLog::Work work() const;

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Order {
    const std::function<int(MDB_txn*)>* write;
    bool done = false;
    std::optional<Error> error;  // once done
  };
  struct Batch {
    std::vector<PlacedBlock*> raw;
    std::vector<std::pair<std::shared_ptr<AppendQueue>, std::size_t>> from;  // queue, blocks taken
    TaskCommit* task = nullptr;
    std::vector<Order*> orders;
    std::map<ReaderKey, std::int64_t> stored;
    std::size_t bytes = 0, writes = 0;
    bool empty() const { return raw.empty() && task == nullptr && orders.empty() && stored.empty(); }
  };

  void run();
  // These four under mutex_.
  bool task_waits() const;
  bool others_wait(Steady now) const;  // anything but the Task
  std::chrono::milliseconds raw_spacing() const;
  Steady due_at(Steady now) const;  // when what waits may be committed; Steady::max() if nothing does
  Batch gather(bool with_raw);      // with_raw: raw records too

  void look_who_holds();
  void count_written();
  void make_room(const Batch& batch);
  int write(MDB_txn* txn, Batch& batch);
  int put_block(MDB_txn* txn, PlacedBlock& block, std::int64_t now_ns);
  // nullopt: committed.
  std::optional<Error> try_commit(Batch& batch, bool trim, bool compact);
  void publish(const Batch& batch);
  void tell(const Batch& batch, Steady begun);
  void answer(Batch& batch, const std::optional<Error>& error);
  void die(const Error& error);

  const std::shared_ptr<Store> store_;
  Retention retention_;
  Compaction compaction_;
  Sweep sweep_;
  std::vector<std::int64_t> end_;                            // by place, including the open transaction
  std::vector<std::size_t> touched_;                         // places written in the open transaction
  std::vector<std::pair<std::size_t, std::int64_t>> moved_;  // place, new oldest; of the last commit
  std::atomic<std::uint64_t> commits_{0}, record_bytes_{0};
  std::atomic<std::int64_t> page_bytes_{-1};  // -1: not known
  File io_;                                   // what this thread wrote, as the system counts it
  std::vector<Timestamp> received_;           // scratch of tell()

  mutable std::mutex mutex_;
  std::condition_variable work_, answered_;
  std::vector<std::shared_ptr<AppendQueue>> queues_;
  std::size_t next_queue_ = 0;
  TaskCommit* task_ = nullptr;
  bool task_done_ = false;
  std::optional<Error> task_error_;  // once done
  std::deque<Order*> orders_;
  std::map<ReaderKey, std::int64_t> stored_;
  Steady stored_since_{};
  bool at_once_ = false, stop_ = false, dead_ = false;
  std::optional<Error> no_room_;  // while it lasts
  std::string pressed_by_;        // while clearly more is in use than the size limit: by whom
  Steady looked_{};               // when that was found out; of the writer's thread
  std::uint64_t no_room_times_ = 0;
  int flushing_ = 0;  // callers of flush() that wait
  Steady last_start_{}, next_try_{};
  Steady last_raw_{}, last_task_{};  // when a commit began that could hold raw records, and that held a step
  std::thread thread_;               // last: begins when all else is there
};

}  // namespace truetape::lmdb
