// What is made from raw is made anew: since when a topic's records count, and the end of those before. And copies of
// the whole file. Internal to log/lmdb.
#pragma once

#include <atomic>

#include "log/lmdb/store.h"

namespace truetape::lmdb {

// The order that makes LmdbLog::make_anew(): all in one transaction. `pruned_raw`: nothing was written, since raw has
// lost its beginning and that was not allowed. Answers LMDB's code.
struct NewGeneration {
  std::int64_t epoch;
  bool allow_pruned;
  bool pruned_raw = false;
};
int begin_generation(Store& store, MDB_txn* txn, NewGeneration& out);
// Afterwards, whatever became of it: what all objects of the log share follows the file.
Status see_generation(Store& store);

// A row of the table `meta`.
int put_fact(const Store& store, MDB_txn* txn, std::string_view name, std::string_view text);

// Deletes the blocks of generations that are gone, some in each transaction, also those that an earlier process left.
// Of the writer's thread, but for look_again().
class Sweep {
 public:
  explicit Sweep(const Store& store) : store_{store} {}
  void look_again() { look_ = true; }
  // `deleted`: there may be more. Answers LMDB's code.
  int run(MDB_txn* txn, bool& deleted);

 private:
  const Store& store_;
  std::atomic<bool> look_{true};
};

// All pages in use, in order, to a pipe or an empty file. `packed`: without those that are free.
Status copy_file(const Store& store, int fd, bool packed);

}  // namespace truetape::lmdb
