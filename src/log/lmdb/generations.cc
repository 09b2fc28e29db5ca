#include "log/lmdb/generations.h"

#include <algorithm>

namespace truetape::lmdb {
namespace {

constexpr std::size_t kMostBlocks = 4096;  // deleted in one transaction, so that nobody waits long behind it

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorCloser>;

// Not what came from outside.
bool is_result(std::size_t topic) { return topic != kRaw && topic::all[topic] != topic::control; }

}  // namespace

int put_fact(const Store& store, MDB_txn* txn, std::string_view name, std::string_view text) {
  MDB_val key = val_of(name), value = val_of(text);
  return mdb_put(txn, store.meta, &key, &value, 0);
}

int begin_generation(Store& store, MDB_txn* txn, NewGeneration& out) {
  out.pruned_raw = false;
  std::vector<std::int64_t> from;  // of raw, by partition
  for (std::int32_t p = 0; p < store.partitions; ++p) {
    const auto raw = store.span_in(txn, store.place(kRaw, p));
    if (!raw) return MDB_CORRUPTED;
    out.pruned_raw = out.pruned_raw || raw->oldest > 0;
    from.push_back(raw->oldest);
  }
  if (out.pruned_raw && !out.allow_pruned) return 0;
  for (std::size_t t = 0; t < kTopics; ++t)
    for (std::int32_t p = 0; p < store.partitions && is_result(t); ++p) {
      const std::size_t at = store.place(t, p);
      const auto span = store.span_in(txn, at);
      const auto before = store.begin_in(txn, at);
      if (!span || !before) return MDB_CORRUPTED;
      if (span->end == 0) continue;
      // Of a raw that is whole all is made again; else what the deleted records said is missed by who has it not.
      const OffsetKey begin{span->end}, first{out.pruned_raw ? before->first : span->end};
      std::string value{reinterpret_cast<const char*>(begin.bytes), sizeof begin.bytes};
      value.append(reinterpret_cast<const char*>(first.bytes), sizeof first.bytes);
      if (const int rc = put_sealed(txn, *store.begins_dbi, store.names[at], value)) return rc;
    }
  for (std::int32_t p = 0; p < store.partitions; ++p) {
    if (const int rc = mdb_drop(txn, store.state[static_cast<std::size_t>(p)], 0)) return rc;
    OffsetKey position{from[static_cast<std::size_t>(p)]};
    if (const int rc = put_sealed(txn, store.committed_dbi, partition_key(p), view(position.val()))) return rc;
    // At once: retention, later in this transaction, must not take what is needed again. Too low is never wrong.
    store.committed[static_cast<std::size_t>(p)].store(from[static_cast<std::size_t>(p)]);
  }
  if (const int rc = put_fact(store, txn, "epoch", std::to_string(out.epoch))) return rc;
  if (const int rc = put_fact(store, txn, "state_version", std::to_string(store.options.state_version))) return rc;
  // Older programs do not know of the table `begins`.
  return put_fact(store, txn, "format", std::to_string(kFormat));
}

Status see_generation(Store& store) {
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return begun;
  const std::lock_guard lock{store.mutex};
  for (std::size_t at = 0; at < store.places(); ++at) {
    const auto begin = store.begin_in(snapshot.txn(), at);
    if (!begin) return tl::unexpected{begin.error()};
    store.oldest[at].store(std::max(store.oldest[at].load(), begin->offset));
    store.since[at].store(begin->first);
    store.anew[at].store(begin->offset);
  }
  for (std::int32_t p = 0; p < store.partitions; ++p) {
    const std::string name = partition_key(p);
    MDB_val key = val_of(name), value;
    const int rc = mdb_get(snapshot.txn(), store.committed_dbi, &key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND) return tl::unexpected{store.fail(rc, "reading")};
    const auto bytes = rc == 0 ? store.unsealed(key, value) : std::nullopt;
    store.committed[static_cast<std::size_t>(p)].store(bytes ? read_offset(val_of(*bytes)).value_or(0) : 0);
  }
  ++store.commits;
  store.changed.notify_all();
  return {};
}

int Sweep::run(MDB_txn* txn, bool& deleted) {
  deleted = false;
  if (!look_.exchange(false)) return 0;
  std::size_t left = kMostBlocks;
  for (std::size_t at = 0; at < store_.places() && left > 0; ++at) {
    const auto begin = store_.begin_in(txn, at);
    if (!begin) return MDB_CORRUPTED;
    if (begin->offset == 0) continue;
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(txn, *store_.blocks[at], &raw)) return rc;
    const Cursor cursor{raw};
    MDB_val key, value;
    int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    for (; rc == 0 && left > 0; --left) {
      const auto first = read_offset(key);
      if (first && *first >= begin->offset) break;
      if ((rc = mdb_cursor_del(raw, 0)) != 0) break;
      deleted = true;
      rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    }
    if (rc != 0 && rc != MDB_NOTFOUND) {
      look_ = true;
      return rc;
    }
  }
  if (deleted) look_ = true;  // until a look finds nothing: this transaction may yet be undone
  return 0;
}

Status copy_file(const Store& store, int fd, bool packed) {
  const int rc = mdb_env_copyfd2(store.env, fd, packed ? unsigned{MDB_CP_COMPACT} : 0U);
  if (rc == 0) return {};
  if (rc == MDB_INCOMPATIBLE)
    return failure(Fault::mismatch, Retry::never,
                   "The log in " + store.directory.string() + " has pages that nothing refers to; copy it unpacked.");
  return tl::unexpected{store.fail(rc, "copying")};
}

}  // namespace truetape::lmdb
