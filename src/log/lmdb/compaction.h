// Topics that keep each key's last record lose the older ones (topic::keeps_last): a little in each of the writer's
// transactions, and never what a registered reader has not stored. Internal to log/lmdb.
//
// One topic-partition at a time, in passes. A pass takes the records that came since the last one as a range: it notes
// each key's last offset in it, then goes through all blocks from the oldest to the range's end and leaves out every
// record whose key comes later in the range; what is left of small neighbours goes into one block. Offsets stay. Each
// transaction is whole by itself, so a pass that a crash cuts off simply begins anew. A pass begins when as many
// records came as the topic-partition keeps: it never has many more than twice as many, and each is copied rarely.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log/lmdb/block.h"
#include "log/lmdb/store.h"

namespace truetape::lmdb {

class Compaction {
 public:
  explicit Compaction(Store& store);

  // A pass is under way: its next part is due soon, whether anything else is written or not.
  bool busy() const { return pass_.has_value(); }
  bool due() const;
  // The next part, in this transaction; then call done() or undone(). Answers LMDB's code; `changed` says whether
  // anything was written.
  int run(MDB_txn* txn, bool& changed);
  void done();
  void undone();
  const std::vector<std::pair<std::size_t, std::int64_t>>& moved() const { return moved_; }  // place, new oldest

  // Since the log was opened; any thread.
  std::uint64_t passes() const { return passes_.load(); }
  std::uint64_t records() const { return records_.load(); }  // left out
  std::uint64_t blocks() const { return blocks_.load(); }    // fewer than before

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Place {
    std::size_t topic;
    std::int32_t partition;
    std::int64_t clean = 0;  // below this no two records have one key; not known after an opening
    std::int64_t kept = 0;   // how many those are
  };
  struct Pass {
    std::size_t place;                                                            // in places_
    std::int64_t next;                                                            // where it goes on
    std::int64_t end;                                                             // of the range
    bool noting = true;                                                           // the keys; then leaving out
    std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> last{};  // of the range
    std::size_t key_bytes = 0;
    std::int64_t kept = 0;
  };
  // What the open transaction did, until done().
  struct Part {
    std::int64_t next = 0, kept = 0;
    std::uint64_t records = 0, blocks = 0;
  };
  struct In {  // a block as it stands
    std::int64_t first, span, append_time_ns;
    std::size_t bytes, records;
  };

  // The end of what may be compacted: before the last block, and all of it stored by every registered reader.
  int limit(MDB_txn* txn, const Place& place, std::int64_t& out) const;
  int begin(MDB_txn* txn);
  // Reads blocks from `from` on into in_ and buffer_, as far as one transaction may go. False in `more`: up to `to`.
  int read(MDB_txn* txn, const Place& place, std::int64_t from, std::int64_t to, std::int64_t& next, bool& more);
  int note(MDB_txn* txn);
  int leave_out(MDB_txn* txn, bool& changed);
  int raise_format(MDB_txn* txn) const;

  Store& store_;
  std::vector<Place> places_;
  std::size_t asked_ = 0;  // the place that is looked at next
  std::optional<Pass> pass_;
  Part part_;
  std::vector<In> in_;
  StepBuffer buffer_;
  std::vector<std::pair<std::size_t, std::int64_t>> moved_;
  std::chrono::steady_clock::time_point last_run_{};
  std::chrono::steady_clock::duration pause_{};
  std::atomic<std::uint64_t> passes_{0}, records_{0}, blocks_{0};
};

}  // namespace truetape::lmdb
