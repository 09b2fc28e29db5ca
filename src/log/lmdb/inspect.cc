#include "log/lmdb/inspect.h"

#include "log/lmdb/block.h"
#include "log/lmdb/steps.h"

namespace truetape::lmdb {
namespace {

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorCloser>;

constexpr int kBlocksPerLook = 256;  // verify takes a new snapshot after so many, so that it pins no pages for long

}  // namespace

Result<std::vector<LmdbLog::Place>> list_places(const Store& store) {
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  std::vector<LmdbLog::Place> out;
  for (std::size_t t = 0; t < kTopics; ++t)
    for (std::int32_t p = 0; p < store.partitions; ++p) {
      const std::size_t place = store.place(t, p);
      const auto span = store.span_in(snapshot.txn(), place);
      if (!span) return tl::unexpected{span.error()};
      MDB_stat stat{};
      if (store.blocks[place])
        if (const int rc = mdb_stat(snapshot.txn(), *store.blocks[place], &stat))
          return tl::unexpected{store.fail(rc, "reading")};
      const std::uint64_t pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
      out.push_back({topic::all[t], p, *span, stat.ms_entries, pages * store.page_bytes});
    }
  return out;
}

std::uint64_t measure_used(const Store& store) {
  const auto places = list_places(store);
  std::uint64_t out = 0;
  if (places)
    for (const auto& place : *places) out += place.bytes;
  return out;
}

Status scan_place(const std::shared_ptr<Store>& store, std::size_t topic, std::int32_t partition, std::int64_t from,
                  std::int64_t to, const std::function<bool(const Stored&)>& each) {
  Steps steps{store, topic};
  steps.next(partition) = from;
  while (*steps.next(partition) < to && steps.waiting()) {
    const std::int64_t before = *steps.next(partition);
    if (Status read = steps.read(); !read) return read;
    for (const Stored& record : steps.records())
      if (record.offset >= to || !each(record)) return {};
    if (*steps.next(partition) == before) break;
  }
  return {};
}

Result<LmdbLog::Verified> verify_all(const Store& store) {
  LmdbLog::Verified out;
  Snapshot snapshot;
  StepBuffer buffer;
  for (std::size_t place = 0; place < store.places(); ++place) {
    if (!store.blocks[place]) continue;
    const auto partition = static_cast<std::int32_t>(place % static_cast<std::size_t>(store.partitions));
    const std::size_t topic = place / static_cast<std::size_t>(store.partitions);
    std::int64_t next = -1;  // offset at which the next block must begin; -1: any
    for (bool more = true; more;) {
      if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
      MDB_cursor* raw = nullptr;
      if (const int rc = mdb_cursor_open(snapshot.txn(), *store.blocks[place], &raw))
        return tl::unexpected{store.fail(rc, "reading")};
      const Cursor cursor{raw};
      OffsetKey from{std::max<std::int64_t>(next, 0)};
      MDB_val key = from.val(), value;
      int rc = mdb_cursor_get(raw, &key, &value, next < 0 ? MDB_FIRST : MDB_SET_RANGE);
      for (int n = 0; rc == 0 && n < kBlocksPerLook; ++n, rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
        const auto first = read_offset(key);
        if (!first) {
          out.damage.push_back("A key of " + store.names[place] + " is no offset.");
          continue;
        }
        if (next >= 0 && *first != next) {
          const auto span = store.span_in(snapshot.txn(), place);
          const bool hole = *first > next && topic::keeps_last(topic::all[topic]);
          if (!hole && (!span || *first != span->oldest))  // else retention came by meanwhile
            out.damage.push_back("After offset " + std::to_string(next - 1) + " of " + store.names[place] + " comes " +
                                 std::to_string(*first) + ".");
        }
        const auto header = store.header_of(value, place, *first);
        if (!header) {
          out.damage.push_back(header.error().detail);
          next = *first + 1;
          more = false;  // where the next block must begin is not known; look on behind it
          while ((rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0 && !(more = read_offset(key).has_value())) {
          }
          if (more) next = *read_offset(key);
          break;
        }
        buffer.clear();
        if (Status added = buffer.add(view(value), *header, store.names[place], partition, *first, *first); !added)
          out.damage.push_back(added.error().detail);
        out.records += header->records;
        out.bytes += value.mv_size;
        ++out.blocks;
        next = *first + header->span;
      }
      if (rc == MDB_NOTFOUND)
        more = false;
      else if (rc != 0)
        return tl::unexpected{store.fail(rc, "reading")};
      snapshot.end();
    }
    snapshot.end();
  }
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  const auto check = [&](MDB_dbi dbi, const std::string& what) -> Status {
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(snapshot.txn(), dbi, &raw)) return tl::unexpected{store.fail(rc, "reading")};
    const Cursor cursor{raw};
    MDB_val key, value;
    int rc = 0;
    while ((rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0)
      if (!store.unsealed(key, value))
        out.damage.push_back("An entry of " + what + " is damaged (its checksum is wrong).");
    if (rc != MDB_NOTFOUND) return tl::unexpected{store.fail(rc, "reading")};
    return {};
  };
  for (std::size_t p = 0; p < store.state.size(); ++p)
    if (Status checked = check(store.state[p], "state/" + std::to_string(p)); !checked)
      return tl::unexpected{checked.error()};
  if (Status checked = check(store.committed_dbi, "committed"); !checked) return tl::unexpected{checked.error()};
  if (Status checked = check(store.readers_dbi, "readers"); !checked) return tl::unexpected{checked.error()};
  return out;
}

Result<std::optional<std::string>> read_note(const Store& store, std::string_view name) {
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  const std::string key_text = "note." + std::string{name};
  MDB_val key = val_of(key_text), value;
  const int rc = mdb_get(snapshot.txn(), store.meta, &key, &value);
  if (rc == MDB_NOTFOUND) return std::optional<std::string>{};
  if (rc != 0) return tl::unexpected{store.fail(rc, "reading")};
  return std::optional{std::string{view(value)}};
}

}  // namespace truetape::lmdb
