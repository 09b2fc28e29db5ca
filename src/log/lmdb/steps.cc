#include "log/lmdb/steps.h"

#include <algorithm>

namespace truetape::lmdb {
namespace {

constexpr std::size_t kReaderRecords = 8192;
constexpr std::size_t kReaderBytes = std::size_t{1} << 20;

}  // namespace

Steps::Steps(std::shared_ptr<Store> store, std::size_t topic)
    : store_{std::move(store)}, topic_{topic}, next_(static_cast<std::size_t>(store_->partitions)) {}

bool Steps::waiting() const {
  for (std::int32_t p = 0; p < store_->partitions; ++p) {
    const auto& next = next_[static_cast<std::size_t>(p)];
    const std::size_t place = store_->place(topic_, p);
    if (next && (*next < store_->end[place].load() || *next < store_->oldest[place].load())) return true;
  }
  return false;
}

Error Steps::gone(std::int32_t partition, std::int64_t from, std::int64_t oldest) const {
  return {Fault::out_of_range, Retry::never,
          store_->names[store_->place(topic_, partition)] + " of the log in " + store_->directory.string() +
              " begins at " + std::to_string(oldest) + ": the records " + std::to_string(from) + " to " +
              std::to_string(oldest - 1) + " are deleted; seek to the oldest to go on without them."};
}

Status Steps::read() {
  clear();
  if (Status begun = snapshot_.begin(*store_); !begun) return begun;
  Status out;
  for (std::int32_t i = 0; i < store_->partitions; ++i) {
    const auto more = read_partition((first_ + i) % store_->partitions);
    if (!more) {
      // What is sound is given first; the next call stands before the damage again.
      if (buffer_.size() == 0) out = tl::unexpected{more.error()};
      break;
    }
    if (!*more) break;
  }
  first_ = (first_ + 1) % store_->partitions;
  snapshot_.end();
  records_ = buffer_.finish();
  return out;
}

Result<bool> Steps::read_partition(std::int32_t partition) {
  auto& next = next_[static_cast<std::size_t>(partition)];
  const std::size_t place = store_->place(topic_, partition);
  if (!next || !store_->blocks[place] || *next >= store_->end[place].load()) return true;
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(snapshot_.txn(), *store_->blocks[place], &cursor))
    return tl::unexpected{store_->fail(rc, "reading")};
  const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> closer{cursor, mdb_cursor_close};
  MDB_val key, value;
  const auto found = find_block(*store_, cursor, place, *next, key, value);
  if (!found || !*found) return found ? Result<bool>{true} : found;
  int rc = 0;
  for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    const auto first = read_offset(key);
    if (!first)
      return failure(Fault::corrupt, Retry::never,
                     "A key of " + store_->names[place] + " is no offset; restore the log from a copy.");
    const auto header = store_->header_of(value, place, *first);
    if (!header) return tl::unexpected{header.error()};
    if (*first > *next && !topic::keeps_last(topic::all[topic_])) {
      // Blocks follow each other without a hole; only retention takes away, at the beginning.
      const auto span = store_->span_in(snapshot_.txn(), place);
      if (!span) return tl::unexpected{span.error()};
      if (*first == span->oldest) return tl::unexpected{gone(partition, *next, *first)};
      return failure(Fault::corrupt, Retry::never,
                     "The records " + std::to_string(*next) + " to " + std::to_string(*first - 1) + " of " +
                         store_->names[place] + " are missing in the log in " + store_->directory.string() +
                         "; restore it from a copy.");
    }
    // A step of raw is one commit, and large ones save syncs; readers of results gain nothing from holding more at
    // once.
    const LmdbOptions& limits = store_->options;
    const bool raw = topic_ == kRaw;
    const std::size_t most_records = raw ? limits.commit_records : std::min(limits.commit_records, kReaderRecords);
    const std::size_t most_bytes = raw ? limits.step_bytes : std::min(limits.step_bytes, kReaderBytes);
    if (buffer_.size() > 0 &&
        (buffer_.size() + header->records > most_records || buffer_.bytes() + header->payload_bytes > most_bytes))
      return false;
    if (Status added = buffer_.add(view(value), *header, store_->names[place], partition, *first, *next); !added)
      return tl::unexpected{added.error()};
    next = *first + header->span;
  }
  if (rc != MDB_NOTFOUND) return tl::unexpected{store_->fail(rc, "reading")};
  return true;
}

}  // namespace truetape::lmdb
