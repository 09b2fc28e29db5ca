// Which blocks go: by age and by size, oldest first, never what somebody still needs, and none of the topics that keep
// each key's last record (compaction.h). Runs inside the writer's transactions. Internal to log/lmdb.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "log/lmdb/store.h"

namespace truetape::lmdb {

class Retention {
 public:
  explicit Retention(const Store& store);

  // Once a second, or while too much is in use.
  bool due() const;
  // Deletes in this transaction. The new beginnings are told by oldest() after the commit; call done() or undone().
  // Answers LMDB's code; `deleted` says whether anything was written.
  int run(MDB_txn* txn, bool& deleted);
  void done() {
    moved_.clear();
    deleted_ += std::exchange(gone_, 0);
  }
  void undone() {
    moved_.clear();
    gone_ = 0;
  }
  const std::vector<std::pair<std::size_t, std::int64_t>>& moved() const { return moved_; }  // place, new oldest

  void grown(std::uint64_t bytes) { used_.fetch_add(bytes); }
  std::uint64_t used_bytes() const { return used_.load(); }
  std::uint64_t hard_limit() const { return hard_limit_; }
  std::uint64_t deleted() const { return deleted_.load(); }  // blocks, since the log was opened; any thread

 private:
  // How many blocks age may still take from a place. A jump of the clock must not empty the log: the allowance grows by
  // a tenth of the place's blocks an hour of the steady clock and begins at nothing, so a restart does not renew it.
  struct Allowance {
    std::int64_t parts = 0;  // of kWhole
  };
  static constexpr std::int64_t kWhole = std::int64_t{36'000} * 1'000;  // milliseconds in which all blocks may go

  int measure(MDB_txn* txn);
  int delete_old(MDB_txn* txn, std::size_t place, std::int64_t now_ns, bool& deleted);
  int delete_oldest(MDB_txn* txn, bool& deleted);
  std::uint64_t pages_of(std::size_t value_bytes) const;
  static bool aged(std::size_t topic);

  const Store& store_;
  const std::uint64_t hard_limit_;
  std::atomic<std::uint64_t> used_{0}, deleted_{0};
  std::uint64_t gone_ = 0;             // blocks, in the open transaction
  std::vector<Allowance> allowance_;   // by place
  std::vector<std::uint64_t> blocks_;  // by place, when measured
  std::vector<std::pair<std::size_t, std::int64_t>> moved_;
  std::chrono::steady_clock::time_point last_run_{};
  bool measured_ = false;
};

}  // namespace truetape::lmdb
