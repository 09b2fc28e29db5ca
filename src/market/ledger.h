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
#include "market/sum_tree.h"

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
  const Hole* hole_around(std::uint64_t id) const;     // the one that `id` lies in, or nullptr
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
  // To be called when the state, release, loss, seal or last trade of a hole has been set from outside.
  void changed(const Hole& hole);

  // --- questions about the holes that touch [start, end), each in the logarithm of their number ---
  std::uint64_t missing_in(Timestamp start, Timestamp end) const;  // at most so many ids
  bool pending_in(Timestamp start, Timestamp end) const;
  bool open_in(Timestamp start, Timestamp end) const;  // one that has opened and is not lost
  std::optional<Timestamp> wanted_right_in(Timestamp start,
                                           Timestamp end) const;  // right time of a pending or open one
  std::optional<Timestamp> last_lost_in(Timestamp start, Timestamp end) const;
  bool any_in(Timestamp start, Timestamp end) const;
  // One that was made when a window that ends at `window_end` had not been sealed.
  bool unsealed_in(Timestamp start, Timestamp end, Timestamp window_end) const;
  // Left ids, ascending: of all that touch.
  std::vector<std::uint64_t> touching(Timestamp start, Timestamp end) const;

  // Left ids, the newest first, of pending holes that are released, or end at or before `limit`, unless the times of
  // all of a stretch of them are `announced(least right time, greatest left time)`.
  template <class Announced>
  std::vector<std::uint64_t> due(std::optional<Timestamp> limit, const Announced& announced) const {
    std::vector<std::uint64_t> out;
    tree_.any(
        [&](const Sum& s) {
          return s.pending && (s.released || (limit && s.pending_right <= *limit)) &&
                 !announced(s.least_right, s.greatest_left);
        },
        [&](const Entry& e) {
          const Hole& hole = e.at->second;
          if (!hole.opened() && (hole.released || (limit && hole.right_time <= *limit)) &&
              !announced(hole.right_time, hole.left_time))
            out.push_back(hole.left);
          return false;
        });
    return out;
  }
  std::optional<Timestamp> least_pending() const;  // least left time
  // Least left time of those that are not lost, or lost after `since`.
  std::optional<Timestamp> least_wanted(Timestamp since) const;
  // Calls `stop(hole above, hole below)` for the runs that end at `high` or later and begin before `low`, until it is
  // true; of the first run the hole below is the end of holes(), of the last run the hole above.
  template <class Stop>
  bool any_run(Timestamp low, Timestamp high, const Stop& stop) const {
    if (top_.time >= high) {
      const auto below = holes_.empty() ? holes_.end() : std::prev(holes_.end());
      if ((below == holes_.end() ? first_.time : below->second.right_time) < low && stop(holes_.end(), below))
        return true;
    }
    return any_run(tree_.root(), holes_.end(), low, high, stop);
  }
  // The greatest of the candle trades before the holes that is before t.
  std::optional<Point> last_before(Timestamp t) const;
  std::uint64_t steps() const { return tree_.steps(); }  // holes looked at since the beginning; for tests

  void restore(const Hole& hole);

  void restore(const End& first, const End& top) {
    any_ = true;
    first_ = first;
    top_ = top;
  }

 private:
  struct Entry {
    Holes::const_iterator at;
    friend bool operator<(const Entry& a, const Entry& b) { return a.at->first.left < b.at->first.left; }
    std::uint64_t spread() const { return at->first.left; }
  };
  struct Sum {
    explicit Sum(const Entry& e);
    void join(const Sum& after);
    Timestamp least_left, greatest_left, least_right, greatest_right;
    std::uint64_t missing;
    bool pending, released, open;           // any of them is; open: and not lost
    Timestamp pending_left, pending_right;  // least ones of pending holes; right: and not released
    Timestamp wanted_left, last_lost;       // least of those not lost; greatest time at which one was lost
    Timestamp least_sealed, greatest_sealed_above;
    Timestamp least_before, greatest_before;
    bool touches(Timestamp start, Timestamp end) const { return least_left < end && greatest_right >= start; }
  };
  using Node = SumTree<Entry, Sum>::Node;

  void put(const Hole& hole);
  Holes::iterator take(Holes::iterator at);
  std::uint64_t missing_in(const Node* at, Timestamp start, Timestamp end) const;
  template <class Stop>
  bool any_run(const Node* at, Holes::const_iterator below, Timestamp low, Timestamp high, const Stop& stop) const {
    if (!at) return false;
    tree_.step();
    const Timestamp before = below == holes_.end() ? first_.time : below->second.right_time;
    if (at->sum.greatest_left < high || (before >= low && at->sum.least_right >= low)) return false;
    const Holes::const_iterator hole = at->key.at;
    const auto previous = hole == holes_.begin() ? holes_.end() : std::prev(hole);
    const Timestamp begin = previous == holes_.end() ? first_.time : previous->second.right_time;
    return any_run(at->right.get(), hole, low, high, stop) ||
           (hole->second.left_time >= high && begin < low && stop(hole, previous)) ||
           any_run(at->left.get(), below, low, high, stop);
  }

  bool any_ = false;
  bool disorder_ = false;
  End first_, top_;
  Holes holes_;
  SumTree<Entry, Sum> tree_;  // of holes_
};

}  // namespace truetape::market
