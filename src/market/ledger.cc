#include "market/ledger.h"

#include <algorithm>

namespace truetape::market {

Ledger::Sum::Sum(const Entry& e) {
  const Hole& h = e.at->second;
  least_left = greatest_left = h.left_time;
  least_right = greatest_right = h.right_time;
  missing = h.missing();
  pending = !h.opened();
  released = pending && h.released;
  open = !pending && !h.lost_at;
  pending_left = pending ? h.left_time : Timestamp::max();
  pending_right = pending && !released ? h.right_time : Timestamp::max();
  wanted_left = h.lost_at ? Timestamp::max() : h.left_time;
  last_lost = h.lost_at.value_or(Timestamp::min());
  least_sealed = h.sealed;
  greatest_sealed_above = h.sealed_above;
  least_before = h.before ? h.before->time : Timestamp::max();
  greatest_before = h.before ? h.before->time : Timestamp::min();
}

void Ledger::Sum::join(const Sum& after) {
  const auto least = [](Timestamp& a, Timestamp b) { a = std::min(a, b); };
  const auto greatest = [](Timestamp& a, Timestamp b) { a = std::max(a, b); };
  least(least_left, after.least_left);
  greatest(greatest_left, after.greatest_left);
  least(least_right, after.least_right);
  greatest(greatest_right, after.greatest_right);
  missing += after.missing;
  pending |= after.pending;
  released |= after.released;
  open |= after.open;
  least(pending_left, after.pending_left);
  least(pending_right, after.pending_right);
  least(wanted_left, after.wanted_left);
  greatest(last_lost, after.last_lost);
  least(least_sealed, after.least_sealed);
  greatest(greatest_sealed_above, after.greatest_sealed_above);
  least(least_before, after.least_before);
  greatest(greatest_before, after.greatest_before);
}

Ledger::Holes::iterator Ledger::hole_of(std::uint64_t id) {
  auto next = holes_.lower_bound(id);  // first hole with left >= id
  if (next == holes_.begin()) return holes_.end();
  --next;
  return id < next->second.right ? next : holes_.end();
}

const Hole* Ledger::hole_around(std::uint64_t id) const {
  const auto next = holes_.lower_bound(id);
  if (next == holes_.begin()) return nullptr;
  const Hole& hole = std::prev(next)->second;
  return id < hole.right ? &hole : nullptr;
}

bool Ledger::knows(std::uint64_t id) const {
  if (!any_ || id < first_.id || id > top_.id) return false;
  auto next = holes_.lower_bound(id);
  if (next == holes_.begin()) return true;
  --next;
  return id >= next->second.right;
}

void Ledger::put(const Hole& hole) {
  const auto at = holes_.emplace(Key{hole.left, hole.left_time}, hole).first;
  tree_.put({at});
  const auto ascend = [](const Hole& a, const Hole& b) {
    return a.left_time <= b.left_time && a.right_time <= b.right_time;
  };
  if (hole.right_time < hole.left_time) disorder_ = true;
  if (at != holes_.begin() && !ascend(std::prev(at)->second, hole)) disorder_ = true;
  if (const auto next = std::next(at); next != holes_.end() && !ascend(hole, next->second)) disorder_ = true;
}

Ledger::Holes::iterator Ledger::take(Holes::iterator at) {
  tree_.erase({at});
  return holes_.erase(at);
}

void Ledger::changed(const Hole& hole) { tree_.put({holes_.find(hole.left)}); }

void Ledger::restore(const Hole& hole) { put(hole); }

std::uint64_t Ledger::missing_in(Timestamp start, Timestamp end) const { return missing_in(tree_.root(), start, end); }

std::uint64_t Ledger::missing_in(const Node* at, Timestamp start, Timestamp end) const {
  if (!at) return 0;
  tree_.step();
  if (!at->sum.touches(start, end)) return 0;
  if (at->sum.greatest_left < end && at->sum.least_right >= start) return at->sum.missing;
  const Hole& hole = at->key.at->second;
  return missing_in(at->left.get(), start, end) + missing_in(at->right.get(), start, end) +
         (hole.touches(start, end) ? hole.missing() : 0);
}

bool Ledger::pending_in(Timestamp start, Timestamp end) const {
  return tree_.any([&](const Sum& s) { return s.pending && s.touches(start, end); },
                   [&](const Entry& e) { return !e.at->second.opened() && e.at->second.touches(start, end); });
}

bool Ledger::open_in(Timestamp start, Timestamp end) const {
  return tree_.any([&](const Sum& s) { return s.open && s.touches(start, end); },
                   [&](const Entry& e) {
                     const Hole& hole = e.at->second;
                     return hole.opened() && !hole.lost_at && hole.touches(start, end);
                   });
}

std::optional<Timestamp> Ledger::wanted_right_in(Timestamp start, Timestamp end) const {
  std::optional<Timestamp> right;
  tree_.any([&](const Sum& s) { return (s.pending || s.open) && s.touches(start, end); },
            [&](const Entry& e) {
              const Hole& hole = e.at->second;
              if (!hole.lost_at && hole.touches(start, end)) right = hole.right_time;
              return right.has_value();
            });
  return right;
}

std::optional<Timestamp> Ledger::last_lost_in(Timestamp start, Timestamp end) const {
  Timestamp last = Timestamp::min();
  tree_.any([&](const Sum& s) { return s.last_lost > last && s.touches(start, end); },
            [&](const Entry& e) {
              const Hole& hole = e.at->second;
              if (hole.lost_at && hole.touches(start, end)) last = std::max(last, *hole.lost_at);
              return false;
            });
  return last == Timestamp::min() ? std::nullopt : std::optional{last};
}

bool Ledger::any_in(Timestamp start, Timestamp end) const {
  return tree_.any([&](const Sum& s) { return s.touches(start, end); },
                   [&](const Entry& e) { return e.at->second.touches(start, end); });
}

bool Ledger::unsealed_in(Timestamp start, Timestamp end, Timestamp window_end) const {
  return tree_.any(
      [&](const Sum& s) {
        return s.least_sealed < window_end && window_end <= s.greatest_sealed_above && s.touches(start, end);
      },
      [&](const Entry& e) {
        const Hole& hole = e.at->second;
        return hole.touches(start, end) && !hole.was_sealed(window_end);
      });
}

std::vector<std::uint64_t> Ledger::touching(Timestamp start, Timestamp end) const {
  std::vector<std::uint64_t> out;
  tree_.any_ascending([&](const Sum& s) { return s.touches(start, end); },
                      [&](const Entry& e) {
                        if (e.at->second.touches(start, end)) out.push_back(e.at->second.left);
                        return false;
                      });
  return out;
}

std::optional<Timestamp> Ledger::least_pending() const {
  if (tree_.empty() || !tree_.root()->sum.pending) return std::nullopt;
  return tree_.root()->sum.pending_left;
}

std::optional<Timestamp> Ledger::least_wanted(Timestamp since) const {
  if (tree_.empty()) return std::nullopt;
  Timestamp least = tree_.root()->sum.wanted_left;
  tree_.any_ascending([&](const Sum& s) { return s.last_lost > since && s.least_left < least; },
                      [&](const Entry& e) {
                        const Hole& hole = e.at->second;
                        if (hole.lost_at && *hole.lost_at > since) least = std::min(least, hole.left_time);
                        return false;
                      });
  return least == Timestamp::max() ? std::nullopt : std::optional{least};
}

std::optional<Point> Ledger::last_before(Timestamp t) const {
  std::optional<Point> best;
  tree_.any(
      [&](const Sum& s) {
        return s.least_before < t && s.greatest_before != Timestamp::min() &&
               (!best || s.greatest_before >= best->time);
      },
      [&](const Entry& e) {
        const auto& before = e.at->second.before;
        if (before && before->time < t && (!best || *best < *before)) best = before;
        return false;
      });
  return best;
}

std::pair<Timestamp, Timestamp> Ledger::run_of(std::uint64_t id) const {
  const auto above = holes_.lower_bound(id);
  return {above == holes_.begin() ? first_.time : std::prev(above)->second.right_time,
          above == holes_.end() ? top_.time : above->second.left_time};
}

Hole* Ledger::hole_after(std::uint64_t left) {
  const auto found = holes_.find(left);
  return found == holes_.end() ? nullptr : &found->second;
}

const Hole* Ledger::hole_after(std::uint64_t left) const {
  const auto found = holes_.find(left);
  return found == holes_.end() ? nullptr : &found->second;
}

const Hole* Ledger::hole_before(std::uint64_t right) const {
  auto above = holes_.lower_bound(right);
  return above == holes_.begin() || (--above)->second.right != right ? nullptr : &above->second;
}

Ledger::Change Ledger::insert(std::uint64_t id, Timestamp time, const std::optional<Point>& candle) {
  using Kind = Change::Kind;
  if (!any_) {
    any_ = true;
    first_ = top_ = {id, time};
    return {.kind = Kind::first};
  }
  if (id > top_.id) {
    const End old = top_;
    top_ = {id, time};
    if (id == old.id + 1) return {.kind = Kind::top};
    Hole hole;
    hole.left = old.id;
    hole.left_time = old.time;
    hole.right = id;
    hole.right_time = time;
    put(hole);
    return {.kind = Kind::top_hole, .hole = hole.left};
  }
  if (id < first_.id) {
    const End old = first_;
    first_ = {id, time};
    if (id + 1 == old.id) return {.kind = Kind::below};
    Hole hole;
    hole.left = id;
    hole.left_time = time;
    hole.right = old.id;
    hole.right_time = old.time;
    hole.before = candle;
    put(hole);
    return {.kind = Kind::below_hole, .hole = hole.left};
  }
  const auto found = hole_of(id);
  if (found == holes_.end()) return {.kind = Kind::known};
  const Hole before = found->second;
  take(found);
  Hole lower = before, upper = before;
  lower.right = upper.left = id;
  lower.right_time = upper.left_time = time;
  if (candle) upper.before = candle;
  const bool has_lower = lower.missing() > 0, has_upper = upper.missing() > 0;
  if (has_lower) put(lower);
  if (has_upper) put(upper);
  if (!has_upper && !has_lower) return {.kind = Kind::fill_last, .before = before};
  if (!has_lower) return {Kind::fill_left, before, upper.left};
  if (!has_upper) return {Kind::fill_right, before, lower.left};
  return {Kind::split, before, lower.left};
}

std::vector<Ledger::Absent> Ledger::bridge(std::uint64_t from, std::uint64_t to) {
  std::vector<Absent> out;
  for (auto hole = holes_.lower_bound(from); hole != holes_.end() && hole->second.right <= to;) {
    out.push_back({hole->second, hole->second.right - 1, true});
    hole = take(hole);
  }
  return out;
}

std::vector<Ledger::Absent> Ledger::absorb(std::uint64_t from, std::uint64_t to) {
  std::vector<Absent> out;
  if (knows(to)) return out;
  const auto around = hole_of(to);
  if (around != holes_.end()) {
    const std::uint64_t left = around->second.left;
    if (left > from) out = bridge(from, left);
    if (left + 1 < to && left >= from) {
      Hole rest = around->second;
      out.push_back({rest, to - 1, false});
      take(around);
      rest.left = to - 1;
      put(rest);
    }
  } else if (to > top_.id + 1 && top_.id >= from) {
    if (top_.id > from) out = bridge(from, top_.id);
    Hole above;
    above.left = top_.id;
    out.push_back({above, to - 1, false});
    top_.id = to - 1;
  }
  return out;
}

}  // namespace truetape::market
