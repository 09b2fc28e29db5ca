#include "log/lmdb/retention.h"

#include <algorithm>

#include "log/lmdb/block.h"

namespace truetape::lmdb {
namespace {

constexpr std::chrono::seconds kPause{1};
constexpr std::size_t kMostBlocks = 4096;  // deleted in one transaction, so that nobody waits long behind it

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorCloser>;

}  // namespace

Retention::Retention(const Store& store)
    : store_{store},
      hard_limit_{store.options.hard_limit_bytes()},
      allowance_(store.places()),
      blocks_(store.places(), 0),
      last_run_{store.clock->steady()} {}

bool Retention::aged(std::size_t topic) { return !topic::keeps_last(topic::all[topic]); }

bool Retention::due() const {
  return !measured_ || store_.clock->steady() - last_run_ >= kPause || used_.load() > store_.options.size_limit;
}

std::uint64_t Retention::pages_of(std::size_t value_bytes) const {
  const std::uint64_t page = store_.page_bytes;
  return value_bytes > page / 2 ? (value_bytes + 16 + page - 1) / page * page : value_bytes + 24;
}

int Retention::measure(MDB_txn* txn) {
  std::uint64_t pages = 0;
  const auto add = [&](MDB_dbi dbi, std::uint64_t* entries) {
    MDB_stat stat{};
    if (const int rc = mdb_stat(txn, dbi, &stat)) return rc;
    pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    if (entries != nullptr) *entries = stat.ms_entries;
    return 0;
  };
  for (std::size_t i = 0; i < store_.places(); ++i)
    if (const int rc = add(*store_.blocks[i], &blocks_[i])) return rc;
  for (const MDB_dbi dbi : store_.state)
    if (const int rc = add(dbi, nullptr)) return rc;
  used_.store(pages * store_.page_bytes);
  measured_ = true;
  return 0;
}

int Retention::run(MDB_txn* txn, bool& deleted) {
  deleted = false;
  moved_.clear();
  gone_ = 0;
  if (const int rc = measure(txn)) return rc;
  const auto steady = store_.clock->steady();
  const std::int64_t passed = std::chrono::duration_cast<std::chrono::milliseconds>(steady - last_run_).count();
  last_run_ = steady;
  const std::int64_t now_ns = to_ns(store_.clock->now());
  for (std::size_t t = 0; t < kTopics; ++t) {
    if (!aged(t) || store_.options.max_age[t].count() == 0) continue;
    for (std::int32_t p = 0; p < store_.partitions; ++p) {
      const std::size_t place = store_.place(t, p);
      const auto blocks = static_cast<std::int64_t>(blocks_[place]);
      // At most an hour's worth waits: what a quiet topic did not need does not pile up.
      std::int64_t& parts = allowance_[place].parts;
      parts = std::min(parts + std::min(passed, kWhole) * std::max(blocks, std::int64_t{1}),
                       std::max(kWhole, kWhole / 10 * blocks));
      if (blocks > 1 && parts >= kWhole)
        if (const int rc = delete_old(txn, place, now_ns, deleted)) return rc;
    }
  }
  if (used_.load() > store_.options.size_limit) return delete_oldest(txn, deleted);
  return 0;
}

int Retention::delete_old(MDB_txn* txn, std::size_t place, std::int64_t now_ns, bool& deleted) {
  const std::size_t topic = place / static_cast<std::size_t>(store_.partitions);
  const auto partition = static_cast<std::int32_t>(place % static_cast<std::size_t>(store_.partitions));
  const std::int64_t age_ns = std::chrono::nanoseconds{store_.options.max_age[topic]}.count();
  std::int64_t keep = 0;
  {
    const std::lock_guard lock{store_.mutex};
    keep = store_.kept_back(topic, partition);
  }
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, *store_.blocks[place], &raw)) return rc;
  const Cursor cursor{raw};
  MDB_val key, value;
  std::int64_t oldest = -1;
  int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
  for (std::size_t n = 0; rc == 0; ++n) {
    const auto first = read_offset(key);
    // A damaged block is not judged: reading finds it, and the limit by size still moves on.
    const auto header = first ? store_.header_of(value, place, *first) : Result<BlockHeader>{BlockHeader{}};
    if (!first || !header) break;
    const bool last = blocks_[place] <= 1;
    if (last || n == kMostBlocks || allowance_[place].parts < kWhole || *first + header->span > keep ||
        header->append_time_ns > now_ns - age_ns)
      break;
    const std::uint64_t bytes = pages_of(value.mv_size);
    if ((rc = mdb_cursor_del(raw, 0)) != 0) return rc;
    oldest = *first + header->span;
    used_.fetch_sub(std::min(bytes, used_.load()));
    --blocks_[place];
    ++gone_;
    allowance_[place].parts -= kWhole;
    deleted = true;
    rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
  }
  if (oldest >= 0) moved_.emplace_back(place, oldest);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

// By size: the oldest block of all topics that are aged, again and again.
int Retention::delete_oldest(MDB_txn* txn, bool& deleted) {
  struct Head {
    std::size_t place;
    std::int64_t append_time_ns, first, next, keep;
    std::uint64_t bytes;
  };
  std::vector<Head> heads;
  const auto look = [&](std::size_t place, std::int64_t keep) {
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(txn, *store_.blocks[place], &raw)) return rc;
    const Cursor cursor{raw};
    MDB_val key, value;
    const int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
    const auto first = read_offset(key);
    const auto header = first ? store_.header_of(value, place, *first) : Result<BlockHeader>{BlockHeader{}};
    if (!first || !header) return 0;
    if (blocks_[place] > 1 && *first + header->span <= keep)
      heads.push_back({place, header->append_time_ns, *first, *first + header->span, keep, pages_of(value.mv_size)});
    return 0;
  };
  {
    const std::lock_guard lock{store_.mutex};
    for (std::size_t t = 0; t < kTopics; ++t)
      for (std::int32_t p = 0; p < store_.partitions && aged(t); ++p)
        if (const int rc = look(store_.place(t, p), store_.kept_back(t, p))) return rc;
  }
  for (std::size_t n = 0; n < kMostBlocks && used_.load() > store_.options.size_limit && !heads.empty(); ++n) {
    const auto head = std::min_element(
        heads.begin(), heads.end(), [](const Head& a, const Head& b) { return a.append_time_ns < b.append_time_ns; });
    const Head gone = *head;
    heads.erase(head);
    OffsetKey key{gone.first};
    MDB_val k = key.val();
    if (const int rc = mdb_del(txn, *store_.blocks[gone.place], &k, nullptr)) return rc;
    deleted = true;
    --blocks_[gone.place];
    ++gone_;
    used_.fetch_sub(std::min(gone.bytes, used_.load()));
    const auto known = std::find_if(moved_.begin(), moved_.end(), [&](const auto& m) { return m.first == gone.place; });
    if (known != moved_.end())
      known->second = gone.next;
    else
      moved_.emplace_back(gone.place, gone.next);
    if (const int rc = look(gone.place, gone.keep)) return rc;
  }
  return 0;
}

}  // namespace truetape::lmdb
