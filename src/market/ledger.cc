#include "market/ledger.h"

namespace truetape::market {

Ledger::Holes::iterator Ledger::hole_of(std::uint64_t id) {
  auto next = holes_.lower_bound(id);  // first hole with left >= id
  if (next == holes_.begin()) return holes_.end();
  --next;
  return id < next->second.right ? next : holes_.end();
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
  const auto ascend = [](const Hole& a, const Hole& b) {
    return a.left_time <= b.left_time && a.right_time <= b.right_time;
  };
  if (hole.right_time < hole.left_time) disorder_ = true;
  if (at != holes_.begin() && !ascend(std::prev(at)->second, hole)) disorder_ = true;
  if (const auto next = std::next(at); next != holes_.end() && !ascend(hole, next->second)) disorder_ = true;
}

void Ledger::restore(const Hole& hole) { put(hole); }

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
  holes_.erase(found);
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
    hole = holes_.erase(hole);
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
      holes_.erase(around);
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
