// Which trade ids of one instrument, tape and era are known: runs, and the holes between them (semantics sections 2,
// 7).
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

#include "core/records.h"
#include "market/accumulator.h"

namespace truetape::market {

// What the gaps topic tells of a hole once it has opened. The hole's own ends decide; the key only names.
struct GapName {
  std::uint64_t first = 0;  // first missing id at opening: the key
  std::uint64_t last = 0;   // last missing id at opening
  Timestamp from{}, to{};   // times of the neighbours at opening
  GapReason reason = GapReason::missing_ids;
  std::uint64_t revision = 0;
  bool found = false;        // an id of it came after all: it ends `repaired`, not `absent`
  bool found_below = false;  // one below what is missing still: what a split leaves to the lower part
};

// Ids missing between two runs. Lies between `left`, the end of the run below, and `right`, the beginning of the one
// above.
struct Hole {
  std::uint64_t left = 0, right = 0;
  Timestamp left_time{}, right_time{};
  GapState state = GapState::pending;  // pending, open, progress or lost
  GapName gap;                         // meaningful once not pending
  std::optional<Timestamp> lost_at;
  bool released = false;        // pending, and a range around it has ended: no settling is waited for
  std::optional<Point> before;  // the last candle trade known at or below `left`
  // When the hole was made, windows that end at or before `sealed`, or after `sealed_above`, were sealed already.
  Timestamp sealed = Timestamp::min(), sealed_above = Timestamp::max();
  // Made below what was the first id: of windows that end after `known_from` those that end at or before `old`, too.
  Timestamp known_from = Timestamp::max(), old = Timestamp::min();
  bool was_sealed(Timestamp end) const {
    return end <= sealed || end > sealed_above || (end > known_from && end <= old);
  }

  std::uint64_t missing() const { return right - left - 1; }
  bool opened() const { return state != GapState::pending; }
  bool touches(Timestamp start, Timestamp end) const { return left_time < end && right_time >= start; }
};

// One era. Not thread-safe; pure. Times are those of the ids; they rise with them on any sound venue.
class Ledger {
 public:
  struct End {
    std::uint64_t id = 0;
    Timestamp time{};
  };
  // What an insertion did.
  struct Change {
    enum class Kind : std::uint8_t {
      known,
      first,
      top,
      top_hole,
      below_hole,
      below,
      fill_left,
      fill_right,
      fill_last,
      split
    } kind;
    std::optional<Hole> before = {};         // fills and split: the hole as it was
    std::optional<std::uint64_t> hole = {};  // `left` of the hole that was made or changed; of a split: the lower part
  };

  bool empty() const { return !any_; }
  const End& first() const { return first_; }
  const End& top() const { return top_; }
  bool knows(std::uint64_t id) const;
  // Adds a known id. `candle`: its point if it is a candle trade.
  Change insert(std::uint64_t id, Timestamp time, const std::optional<Point>& candle);
  // Missing ids that turn out not to exist: those of `hole` (as it was) up to `last`. `ended`: that was all of it.
  // Above the newest id there is no hole: hole.right is 0.
  struct Absent {
    Hole hole;
    std::uint64_t last;
    bool ended;
  };
  // Ids from..to (both known, from < to) have nothing unknown between them: erases the holes between.
  std::vector<Absent> bridge(std::uint64_t from, std::uint64_t to);
  // The same where `to` is about to be inserted: the hole that it lies in, or the space above the newest id, shrinks to
  // it. An end of a run that is an absent id keeps the time of the last id before it.
  std::vector<Absent> absorb(std::uint64_t from, std::uint64_t to);

  // By their left id, ascending; their times ascend too, so they can be searched by either.
  struct Key {
    std::uint64_t left;
    Timestamp time;
  };
  struct Less {
    using is_transparent = void;
    bool operator()(const Key& a, const Key& b) const { return a.left < b.left; }
    bool operator()(const Key& a, std::uint64_t id) const { return a.left < id; }
    bool operator()(std::uint64_t id, const Key& b) const { return id < b.left; }
    bool operator()(const Key& a, Timestamp t) const { return a.time < t; }
    bool operator()(Timestamp t, const Key& b) const { return t < b.time; }
  };
  using Holes = std::map<Key, Hole, Less>;
  Holes& holes() { return holes_; }
  const Holes& holes() const { return holes_; }
  Hole* hole_after(std::uint64_t left);  // the one whose lower neighbour is `left`, or nullptr
  const Hole* hole_after(std::uint64_t left) const;
  const Hole* hole_before(std::uint64_t right) const;  // the one whose upper neighbour is `right`, or nullptr
  // The hole that `id` lies in, or end.
  Holes::iterator hole_of(std::uint64_t id);
  // Times of the ends of the run that holds the known id.
  std::pair<Timestamp, Timestamp> run_of(std::uint64_t id) const;
  // Behind the last hole whose left_time is before t: the run there is the first to reach t. `end` of holes() where
  // clocks have contradicted the ids beside a hole: times do not ascend then, and all holes must be looked at.
  Holes::const_iterator first_hole_reaching(Timestamp t) const {
    return disorder_ ? holes_.end() : holes_.lower_bound(t);
  }
  bool disorder() const { return disorder_; }
  // Calls `stop(hole)` for the holes that touch [start, end), the newest first, until it returns true: then true.
  template <class Stop>
  bool any_hole_touching(Timestamp start, Timestamp end, Stop&& stop) const {
    for (auto it = first_hole_reaching(end); it != holes_.begin();) {
      const Hole& hole = (--it)->second;
      if (hole.right_time < start && !disorder_) return false;
      if (hole.touches(start, end) && stop(hole)) return true;
    }
    return false;
  }
  void restore(const Hole& hole);

  void restore(const End& first, const End& top) {
    any_ = true;
    first_ = first;
    top_ = top;
  }

 private:
  void put(const Hole& hole);

  bool any_ = false;
  bool disorder_ = false;
  End first_, top_;
  Holes holes_;
};

}  // namespace truetape::market
