#include "log/lmdb/compaction.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace truetape::lmdb {
namespace {

using namespace std::chrono_literals;

constexpr auto kNoRoomPause = 1s;
// What one transaction takes, so that nobody waits long behind it.
constexpr std::size_t kPartBlocks = 512;
constexpr std::size_t kPartBytes = std::size_t{1} << 20;
// Keys of one pass; more of them take several passes.
constexpr std::size_t kKeyBytes = std::size_t{16} << 20;
constexpr std::size_t kKeyOverhead = 80;

struct CursorCloser {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CursorCloser>;

}  // namespace

Compaction::Compaction(Store& store) : store_{store}, last_run_{store.clock->steady()} {
  for (std::size_t t = 0; t < kTopics; ++t)
    for (std::int32_t p = 0; p < store_.partitions && topic::keeps_last(topic::all[t]); ++p) places_.push_back({t, p});
}

bool Compaction::due() const { return store_.clock->steady() - last_run_ >= pause_; }

int Compaction::run(MDB_txn* txn, bool& changed) {
  changed = false;
  moved_.clear();
  part_ = {};
  last_run_ = store_.clock->steady();
  int rc = 0;
  if (!pass_) rc = begin(txn);
  if (rc == 0 && pass_) {
    std::int64_t still = 0;  // a reader that begins at the oldest record may have come since
    rc = limit(txn, places_[pass_->place], still);
    if (rc == 0 && still < pass_->end)
      pass_.reset();
    else if (rc == 0)
      rc = pass_->noting ? note(txn) : leave_out(txn, changed);
  }
  pause_ = pass_ ? store_.options.compact_every / 10 : store_.options.compact_every;
  return rc;
}

int Compaction::limit(MDB_txn* txn, const Place& place, std::int64_t& out) const {
  const std::size_t at = store_.place(place.topic, place.partition);
  out = 0;
  const std::int64_t end = store_.end[at].load();  // as committed: what this transaction appends may yet be undone
  if (end == 0) return 0;
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, *store_.blocks[at], &raw)) return rc;
  const Cursor cursor{raw};
  OffsetKey behind{end};
  MDB_val key = behind.val(), value;
  int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
  rc = mdb_cursor_get(raw, &key, &value, rc == 0 ? MDB_PREV : MDB_LAST);
  if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
  const auto last = read_offset(key);
  if (!last) return 0;  // damaged: nothing is touched
  std::int64_t kept_back = 0;
  {
    const std::lock_guard lock{store_.mutex};
    kept_back = store_.kept_back(place.topic, place.partition);
  }
  out = *last;
  if (kept_back >= out) return 0;
  // A block that a reader has stored only in part stays whole.
  const auto found = find_block(store_, raw, at, kept_back, key, value);
  const auto first = found && *found ? read_offset(key) : std::nullopt;
  out = first ? std::min(*first, kept_back) : 0;
  return 0;
}

// Looks at each place once, beginning behind the one that had its turn last.
int Compaction::begin(MDB_txn* txn) {
  for (std::size_t n = 0; n < places_.size(); ++n) {
    const std::size_t i = (asked_ + n) % places_.size();
    const Place& place = places_[i];
    const std::size_t at = store_.place(place.topic, place.partition);
    const std::int64_t from = std::max(place.clean, store_.oldest[at].load());
    const std::int64_t enough = std::max(store_.options.compact_records, place.kept);
    if (store_.end[at].load() - from < enough) continue;
    std::int64_t to = 0;
    if (const int rc = limit(txn, place, to)) return rc;
    if (to - from < enough) continue;
    asked_ = i + 1;
    pass_.emplace(Pass{i, from, to});
    return 0;
  }
  return 0;
}

int Compaction::read(MDB_txn* txn, const Place& place, std::int64_t from, std::int64_t to, std::int64_t& next,
                     bool& more) {
  const std::size_t at = store_.place(place.topic, place.partition);
  in_.clear();
  buffer_.clear();
  next = to;
  more = false;
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, *store_.blocks[at], &raw)) return rc;
  const Cursor cursor{raw};
  OffsetKey begin{from};
  MDB_val key = begin.val(), value;
  int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
  std::size_t bytes = 0;
  for (std::size_t blocks = 0; rc == 0; rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT), ++blocks) {
    const auto first = read_offset(key);
    if (!first || *first >= to) break;
    if (blocks == kPartBlocks || bytes >= kPartBytes) {
      next = *first;
      more = true;
      break;
    }
    // A damaged block stays as it is: reading finds it. So do its neighbours, which do not go over it into one.
    const auto header = store_.header_of(value, at, *first);
    const std::size_t before = buffer_.size();
    const bool sound = header && buffer_.add(view(value), *header, store_.names[at], place.partition, *first, *first);
    bytes += sound ? header->payload_bytes : value.mv_size;
    if (sound)
      in_.push_back({*first, header->span, header->append_time_ns, value.mv_size, buffer_.size() - before});
    else
      in_.push_back({*first, 0, 0, value.mv_size, 0});
  }
  return rc == MDB_NOTFOUND ? 0 : rc;
}

int Compaction::note(MDB_txn* txn) {
  Pass& pass = *pass_;
  std::int64_t next = 0;
  bool more = false;
  if (const int rc = read(txn, places_[pass.place], pass.next, pass.end, next, more)) return rc;
  std::size_t at = 0;
  const auto records = buffer_.finish();
  for (const In& block : in_) {
    for (const std::size_t end = at + block.records; at < end; ++at) {
      const Stored& stored = records[at];
      const auto known = pass.last.find(stored.record.key);
      if (known != pass.last.end()) {
        known->second = stored.offset;
        continue;
      }
      pass.last.emplace(stored.record.key, stored.offset);
      pass.key_bytes += stored.record.key.size() + kKeyOverhead;
    }
    if (pass.key_bytes < kKeyBytes || block.first + block.span >= pass.end) continue;
    pass.end = block.first + block.span;  // the rest is another pass's
    more = false;
    break;
  }
  pass.next = next;
  if (more) return 0;
  pass.noting = false;
  pass.next = 0;
  return 0;
}

int Compaction::leave_out(MDB_txn* txn, bool& changed) {
  Pass& pass = *pass_;
  const Place& place = places_[pass.place];
  const std::size_t at = store_.place(place.topic, place.partition);
  const MDB_dbi dbi = *store_.blocks[at];
  bool more = false;
  if (const int rc = read(txn, place, pass.next, pass.end, part_.next, more)) return rc;
  const auto records = buffer_.finish();

  // Neighbours become one block as far as it reaches. What would only be written anew as it was stays.
  std::vector<std::int64_t> old;
  struct Out {
    Block block;
    std::int64_t first, append_time_ns;
  };
  std::vector<Out> fresh;
  BlockBuilder builder{true};
  std::int64_t first = 0, time = 0;
  std::uint64_t left_out = 0;
  const auto seal = [&] {
    if (!builder.empty()) fresh.push_back({builder.seal(store_.options.lz4[place.topic]), first, time});
  };
  const auto replace = [&]() -> int {
    seal();
    const bool worth = left_out > 0 || fresh.size() < old.size();
    for (std::size_t i = 0; worth && i < old.size(); ++i) {
      OffsetKey offset{old[i]};
      MDB_val key = offset.val();
      if (const int rc = mdb_del(txn, dbi, &key, nullptr)) return rc;
    }
    for (std::size_t i = 0; worth && i < fresh.size(); ++i) {
      Out& out = fresh[i];
      truetape::place(out.block, store_.names[at], out.first, out.append_time_ns);
      OffsetKey offset{out.first};
      MDB_val key = offset.val(), value{out.block.bytes.size(), nullptr};
      if (const int rc = mdb_put(txn, dbi, &key, &value, MDB_RESERVE)) return rc;
      std::memcpy(value.mv_data, out.block.bytes.data(), out.block.bytes.size());
    }
    if (worth) {
      changed = true;
      part_.records += left_out;
      part_.blocks += old.size() - std::min(fresh.size(), old.size());
    }
    old.clear();
    fresh.clear();
    left_out = 0;
    return 0;
  };

  const auto goes = [&](const Stored& stored) {
    const auto last = pass.last.find(stored.record.key);
    return last != pass.last.end() && last->second > stored.offset;
  };
  std::size_t r = 0;
  for (const In& block : in_) {
    const auto mine = records.subspan(r, block.records);
    r += block.records;
    const auto gone = static_cast<std::uint64_t>(std::count_if(mine.begin(), mine.end(), goes));
    part_.kept += static_cast<std::int64_t>(mine.size() - gone);
    if (mine.empty() || (gone == 0 && block.bytes >= kBlockBytes / 2)) {
      if (const int rc = replace()) return rc;
      continue;
    }
    old.push_back(block.first);
    left_out += gone;
    for (const Stored& stored : mine) {
      if (goes(stored)) continue;
      if (!builder.empty() && builder.add(stored.record, stored.offset)) continue;
      seal();
      first = stored.offset;
      time = block.append_time_ns;
      (void)builder.add(stored.record, stored.offset);  // an empty builder takes every record
    }
  }
  if (const int rc = replace()) return rc;
  if (!changed) return 0;
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, dbi, &raw)) return rc;
  const Cursor cursor{raw};
  MDB_val key, value;
  if (const int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST)) return rc;  // there is one: the last block stays
  if (const auto oldest = read_offset(key)) moved_.emplace_back(at, *oldest);
  return raise_format(txn);
}

// With the first hole, in the same transaction.
int Compaction::raise_format(MDB_txn* txn) const {
  if (store_.format >= kFormat) return 0;
  const std::string text = std::to_string(kFormat);
  MDB_val key = val_of("format"), value = val_of(text);
  return mdb_put(txn, store_.meta, &key, &value, 0);
}

void Compaction::done() {
  if (!moved_.empty()) store_.format = std::max(store_.format.load(), kFormat);
  moved_.clear();
  const Part part = std::exchange(part_, {});  // counted once, also if nothing runs before the next done()
  records_ += part.records;
  blocks_ += part.blocks;
  if (!pass_ || part.next == 0) return;
  Pass& pass = *pass_;
  pass.next = part.next;
  pass.kept += part.kept;
  if (pass.next < pass.end) return;
  places_[pass.place].clean = pass.end;
  places_[pass.place].kept = pass.kept;
  pass_.reset();
  pause_ = {};  // another place may wait
  ++passes_;
}

void Compaction::undone() {
  moved_.clear();
  part_ = {};
  pause_ = kNoRoomPause;  // not with each try
}

}  // namespace truetape::lmdb
