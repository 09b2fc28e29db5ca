#include "log/lmdb/search.h"

#include <algorithm>

namespace truetape::lmdb {
namespace {

using CursorPtr = std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)>;

constexpr int kBlocksPerLook = 256;  // then a new snapshot, so that a long walk pins no pages for long

Result<CursorPtr> open_cursor(const Store& store, MDB_txn* txn, std::size_t place) {
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn, *store.blocks[place], &cursor))
    return tl::unexpected{store.fail(rc, "reading")};
  return CursorPtr{cursor, mdb_cursor_close};
}

}  // namespace

Result<std::int64_t> find_records(const Store& store, std::size_t topic, std::int32_t partition, std::int64_t from,
                                  std::int64_t to, const LogSearch::Wanted& wanted, const LogSearch::Found& found,
                                  SearchAllowance& allowance) {
  const std::size_t place = store.place(topic, partition);
  if (!store.blocks[place]) return to;
  const std::int64_t asked = to;
  to = std::min(to, store.end[place].load());
  Snapshot snapshot;
  KeyFinder keys;
  StepBuffer records;
  for (std::int64_t next = std::max(from, store.oldest[place].load()); next < to;) {
    if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
    const auto cursor = open_cursor(store, snapshot.txn(), place);
    if (!cursor) return tl::unexpected{cursor.error()};
    MDB_val key, value;
    const auto there = find_block(store, cursor->get(), place, next, key, value);
    if (!there) return tl::unexpected{there.error()};
    if (!*there) return asked;
    int rc = 0;
    for (int n = 0; rc == 0 && n < kBlocksPerLook; ++n, rc = mdb_cursor_get(cursor->get(), &key, &value, MDB_NEXT)) {
      const auto block = block_at(store, place, key, value);
      if (!block) return tl::unexpected{block.error()};
      if (block->first >= to) return asked;
      if (allowance.spent()) return std::max(next, block->first);
      allowance.bytes -= std::min<std::uint64_t>(allowance.bytes, value.mv_size);
      const auto has = keys.has(view(value), block->header, store.names[place], block->first, wanted.has, wanted.is);
      if (!has) return tl::unexpected{has.error()};
      if (*has) {
        records.clear();
        if (Status added = records.add(view(value), block->header, store.names[place], partition, block->first,
                                       std::max(next, block->first));
            !added)
          return tl::unexpected{added.error()};
        // Compaction puts records of several commits into one block.
        std::optional<Timestamp> appended;
        if (block->header.version == kBlockVersion) appended = timestamp_ns(block->header.append_time_ns);
        for (const Stored& stored : records.finish()) {
          if (stored.offset >= to) return asked;
          if (wanted.is(stored.record.key) && !found(stored, appended)) return stored.offset + 1;
        }
      }
      next = block->first + block->header.span;
    }
    if (rc == MDB_NOTFOUND) return asked;
    if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
    snapshot.end();
  }
  return asked;
}

Result<std::int64_t> first_appended_from(const Store& store, std::size_t topic, std::int32_t partition,
                                         Timestamp time) {
  const std::size_t place = store.place(topic, partition);
  if (!store.blocks[place]) return 0;
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  const auto cursor = open_cursor(store, snapshot.txn(), place);
  if (!cursor) return tl::unexpected{cursor.error()};
  const auto span = store.span_in(snapshot.txn(), place);
  if (!span) return tl::unexpected{span.error()};
  // The block that begins at `low` or holds it was appended earlier, or low is the oldest offset; all from `high` on
  // was not.
  std::int64_t low = span->oldest, high = span->end;
  while (low < high) {
    MDB_val key, value;
    const auto there = find_block(store, cursor->get(), place, low + (high - low) / 2, key, value);
    if (!there) return tl::unexpected{there.error()};
    if (!*there) break;
    const auto block = block_at(store, place, key, value);
    if (!block) return tl::unexpected{block.error()};
    if (block->header.append_time_ns < to_ns(time))
      low = block->first + block->header.span;
    else
      high = block->first;
  }
  return low;
}

}  // namespace truetape::lmdb
