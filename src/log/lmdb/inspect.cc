#include "log/lmdb/inspect.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

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

namespace {

// The blocks from `from` on: calls `each` with offset and value. Only the tree is read, unless `each` looks inside.
Status walk(const Store& store, MDB_txn* txn, std::size_t place, std::int64_t from,
            const std::function<void(std::int64_t, const MDB_val&)>& each) {
  if (!store.blocks[place]) return {};
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, *store.blocks[place], &raw)) return tl::unexpected{store.fail(rc, "reading")};
  const Cursor cursor{raw};
  MDB_val key, value;
  const auto found = find_block(store, raw, place, from, key, value);
  if (!found) return tl::unexpected{found.error()};
  int rc = *found ? 0 : MDB_NOTFOUND;
  for (; rc == 0; rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT))
    if (const auto first = read_offset(key)) each(*first, value);
  if (rc != MDB_NOTFOUND) return tl::unexpected{store.fail(rc, "reading")};
  return {};
}

std::optional<Timestamp> appended(const Store& store, std::size_t place, std::int64_t first, const MDB_val& value) {
  const auto header = store.header_of(value, place, first);
  return header ? std::optional{timestamp_ns(header->append_time_ns)} : std::nullopt;
}

}  // namespace

Result<LmdbLog::Usage> read_usage(const Store& store) {
  LmdbLog::Usage out;
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  std::uint64_t pages = 0;
  const auto pages_of = [&](MDB_dbi dbi, std::uint64_t& bytes) -> int {
    MDB_stat stat{};
    if (const int rc = mdb_stat(snapshot.txn(), dbi, &stat)) return rc;
    const std::uint64_t mine = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    pages += mine;
    bytes += mine * store.page_bytes;
    return 0;
  };
  for (std::size_t t = 0; t < kTopics; ++t) {
    LmdbLog::TopicUse use;
    use.topic = topic::all[t];
    for (std::int32_t p = 0; p < store.partitions; ++p) {
      const std::size_t place = store.place(t, p);
      if (!store.blocks[place]) continue;
      if (const int rc = pages_of(*store.blocks[place], use.bytes)) return tl::unexpected{store.fail(rc, "reading")};
      const auto span = store.span_in(snapshot.txn(), place);
      if (!span) return tl::unexpected{span.error()};
      const bool holes = topic::keeps_last(use.topic);
      if (!holes) use.records += static_cast<std::uint64_t>(span->end - span->oldest);
      bool any = false;
      const Status walked =
          walk(store, snapshot.txn(), place, span->oldest, [&](std::int64_t first, const MDB_val& value) {
            ++use.blocks;
            use.block_bytes += value.mv_size;
            if (holes)
              if (const auto header = store.header_of(value, place, first)) use.records += header->records;
            if (std::exchange(any, true)) return;
            if (const auto at = appended(store, place, first, value); at && (!use.oldest || *at < *use.oldest))
              use.oldest = at;
          });
      if (!walked) return tl::unexpected{walked.error()};
    }
    out.topics.push_back(use);
  }
  for (const MDB_dbi dbi : store.state)
    if (const int rc = pages_of(dbi, out.state_bytes)) return tl::unexpected{store.fail(rc, "reading")};
  MDB_envinfo info{};
  mdb_env_info(store.env, &info);
  // Table 0 of LMDB lists free pages: each value begins with how many it names.
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(snapshot.txn(), 0, &raw)) return tl::unexpected{store.fail(rc, "reading")};
  const Cursor cursor{raw};
  MDB_val key, value;
  std::uint64_t free = 0;
  int rc = 0;
  while ((rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) == 0) {
    std::size_t count = 0;
    if (value.mv_size < sizeof count || !store.inside(value)) continue;
    std::memcpy(&count, value.mv_data, sizeof count);
    free += count;
  }
  if (rc != MDB_NOTFOUND) return tl::unexpected{store.fail(rc, "reading")};
  const std::uint64_t all = info.me_last_pgno + 1;
  out.free_bytes = free * store.page_bytes;
  out.other_bytes = (all - std::min(all, pages + free)) * store.page_bytes;
  out.file_bytes = store.file_bytes.load();
  out.ahead_bytes = out.file_bytes - std::min(out.file_bytes, all * store.page_bytes);
  return out;
}

Result<std::vector<LmdbLog::Hold>> read_holds(const Store& store) {
  std::map<ReaderKey, std::int64_t> positions;
  {
    const std::lock_guard lock{store.mutex};
    positions = store.stored;
    for (std::int32_t p = 0; p < store.partitions; ++p)
      positions[{"process", kRaw, p}] = store.committed[static_cast<std::size_t>(p)].load();
  }
  Snapshot snapshot;
  if (Status begun = snapshot.begin(store); !begun) return tl::unexpected{begun.error()};
  std::vector<LmdbLog::Hold> out;
  for (const auto& [reader, stored] : positions) {
    const auto& [name, topic, partition] = reader;
    const std::size_t place = store.place(topic, partition);
    const auto span = store.span_in(snapshot.txn(), place);
    if (!span) return tl::unexpected{span.error()};
    LmdbLog::Hold hold{name, topic::all[topic], partition, stored, span->end, 0, {}};
    const Status walked = walk(store, snapshot.txn(), place, stored, [&](std::int64_t first, const MDB_val& value) {
      if (hold.bytes == 0) hold.since = appended(store, place, first, value);
      hold.bytes += value.mv_size;
    });
    if (!walked) return tl::unexpected{walked.error()};
    out.push_back(std::move(hold));
  }
  return out;
}

std::string who_holds(const Store& store) {
  const auto holds = read_holds(store);
  std::map<std::string, std::pair<std::uint64_t, std::optional<Timestamp>>> sums;
  for (const LmdbLog::Hold& hold : holds ? *holds : std::vector<LmdbLog::Hold>{}) {
    if (hold.bytes == 0 || topic::keeps_last(hold.topic)) continue;
    auto& [bytes, since] = sums[hold.name];
    bytes += hold.bytes;
    if (hold.since && (!since || *hold.since < *since)) since = hold.since;
  }
  const auto most =
      std::max_element(sums.begin(), sums.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == sums.end()) return "what it must keep is more than that; raise log.size.";
  const auto& [bytes, since] = most->second;
  const std::string held = " holds " + std::to_string(bytes) + " bytes of it back" +
                           (since ? ", since " + to_rfc3339(*since) : std::string{});
  // The log lies in the data directory's `log`; elsewhere who reads this knows where.
  const std::string data = store.directory.filename() == "log" ? store.directory.parent_path().string() : "DIR";
  if (most->first == "process")
    return "`process`" + held + "; let it catch up (truetape import --data " + data + " --finish), or raise log.size.";
  if (most->first.starts_with("load:"))
    return "the loader of the store, '" + most->first + "'," + held +
           "; in truetape run it goes on by itself, once what its own lines complain of is mended; where nothing runs: "
           "truetape import --data " +
           data + " --finish.";
  return "the reader '" + most->first + "'" + held +
         "; let it catch up, or, if it never comes back: truetape readers forget " + most->first + " --data " + data +
         ".";
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
      const auto begin = store.begin_in(snapshot.txn(), place);
      if (!begin) return tl::unexpected{begin.error()};
      OffsetKey from{std::max(next, begin->offset)};
      MDB_val key = from.val(), value;
      int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
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
  if (store.begins_dbi)
    if (Status checked = check(*store.begins_dbi, "begins"); !checked) return tl::unexpected{checked.error()};
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
