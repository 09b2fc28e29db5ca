// How Task and Reader look for committed records. Internal to log/lmdb.
#pragma once

#include <vector>

#include "log/lmdb/block.h"
#include "log/lmdb/store.h"

namespace truetape::lmdb {

// Reads blocks of one topic, partition by partition in turn, into a step. No page of the file is held between calls.
class Steps {
 public:
  Steps(std::shared_ptr<Store> store, std::size_t topic);

  // Where each partition goes on; nullopt: silent.
  std::optional<std::int64_t>& next(std::int32_t partition) { return next_[static_cast<std::size_t>(partition)]; }
  std::optional<std::int64_t> next(std::int32_t partition) const { return next_[static_cast<std::size_t>(partition)]; }
  // Is anything committed that was not read yet?
  bool waiting() const;
  // Fills a step, and moves next() behind it.
  Status read();
  void clear() { buffer_.clear(), records_ = {}; }
  std::span<const Stored> records() const { return records_; }
  Appended oldest() const { return buffer_.oldest(); }
  Error gone(std::int32_t partition, std::int64_t from, std::int64_t oldest) const;

 private:
  Result<bool> read_partition(std::int32_t partition);  // false: the step is full

  std::shared_ptr<Store> store_;
  std::size_t topic_;
  Snapshot snapshot_;
  StepBuffer buffer_;
  std::span<const Stored> records_;
  std::vector<std::optional<std::int64_t>> next_;
  std::int32_t first_ = 0;  // asked first, so that none waits for ever
};

}  // namespace truetape::lmdb
