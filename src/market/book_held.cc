// Held ids: items in quarantine whose ids could be read (semantics sections 2, 7 and 13). There may be a great many of
// them, and none may slow down what comes after: an item costs the logarithm of their number, plus a step for each
// whose standing it changes.
#include <algorithm>

#include "market/book.h"

namespace truetape::market {

void Book::add_held(const IdKey& key, const Held& held) {
  Held& kept = held_.emplace(key, held).first->second;
  held_times_.put({held.time, key.first, key.second, held.known});
  if (held.known) {
    kept.counts = true;
    if (held.below != Timestamp::min()) lowest_.insert(key);
    if (held.above != Timestamp::max()) highest_.insert(key);
    return;
  }
  unknown_.put({key, held.time});
  place(key, kept);
}

// Of one that is not known: on which side of the known ids it lies, and whether its time is against that.
void Book::place(const IdKey& key, Held& held) {
  const auto& [era, id] = key;
  const Ledger& ledger = eras_[era];
  bool counts = ledger.empty();
  if (!ledger.empty() && id > ledger.top().id) {
    beyond_.emplace(era, held.time, id);
    counts = ledger.top().time <= held.time;
  } else if (!ledger.empty() && id < ledger.first().id) {
    before_.emplace(era, held.time, id);
    counts = held.time <= ledger.first().time;
  }
  set_counts(key, held, counts);
}

void Book::set_counts(const IdKey& key, Held& held, bool counts) {
  if (held.counts == counts) return;
  held.counts = counts;
  held_times_.put({held.time, key.first, key.second, counts});
}

// The known ids of an era reach from `first` to `top` no more, but further: held ids that they have passed count only
// if they become known, others as their times are to the new ends'.
void Book::ends_moved(std::uint32_t era, bool was_empty, const Ledger::End& first, const Ledger::End& top) {
  if (unknown_.empty()) return;
  const Ledger& ledger = eras_[era];
  const auto& now_first = ledger.first();
  const auto& now_top = ledger.top();
  if (was_empty) {
    for (const std::uint64_t id : unknown_between(era, 0, UINT64_MAX)) place({era, id}, held_.at({era, id}));
    return;
  }
  const auto pass = [&](auto& side, std::uint64_t from, std::uint64_t to) {
    for (const std::uint64_t id : unknown_between(era, from, to)) {
      Held& held = held_.at({era, id});
      side.erase({era, held.time, id});
      set_counts({era, id}, held, false);
    }
  };
  if (now_top.id > top.id) pass(beyond_, top.id, now_top.id);
  if (now_first.id < first.id) pass(before_, now_first.id, first.id);
  const auto turn = [&](auto& side, Timestamp from, Timestamp to, const auto& counts) {
    for (auto at = side.lower_bound({era, from, 0}); at != side.end() && std::get<0>(*at) == era; ++at) {
      const auto& [of, time, id] = *at;
      if (time > to) break;
      ++held_steps_;
      set_counts({era, id}, held_.at({era, id}), counts(time));
    }
  };
  if (now_top.time != top.time)
    turn(beyond_, std::min(top.time, now_top.time), std::max(top.time, now_top.time),
         [&](Timestamp t) { return now_top.time <= t; });
  if (now_first.time != first.time)
    turn(before_, std::min(first.time, now_first.time), std::max(first.time, now_first.time),
         [&](Timestamp t) { return t <= now_first.time; });
}

// Ids from..to with times least..greatest, ascending.
std::vector<std::uint64_t> Book::unknown_between(std::uint32_t era, std::uint64_t from, std::uint64_t to,
                                                 Timestamp least, Timestamp greatest) const {
  std::vector<std::uint64_t> out;
  const IdKey first{era, from}, last{era, to};
  unknown_.any_ascending(
      [&](const UnknownSum& s) {
        return s.first <= last && s.last >= first && s.least <= greatest && s.greatest >= least;
      },
      [&](const UnknownId& u) {
        if (u.key >= first && u.key <= last && u.time >= least && u.time <= greatest) out.push_back(u.key.second);
        return false;
      });
  return out;
}

Timestamp Book::below(const IdKey& key) const {
  auto at = lowest_.upper_bound(key);
  return at == lowest_.begin() || (--at)->first != key.first ? held_.at(key).time : held_.at(*at).below;
}

Timestamp Book::above(const IdKey& key) const {
  const auto at = highest_.lower_bound(key);
  return at == highest_.end() || at->first != key.first ? held_.at(key).time : held_.at(*at).above;
}

// Times of the nearest accepted neighbours of a hole: where its own neighbours are held, those beyond them.
std::pair<Timestamp, Timestamp> Book::bounds_of(std::uint32_t era, const Hole& hole) const {
  const auto left = held_.find({era, hole.left}), right = held_.find({era, hole.right});
  return {left != held_.end() && left->second.known ? below(left->first) : hole.left_time,
          right != held_.end() && right->second.known ? above(right->first) : hole.right_time};
}

void Book::set_below(const IdKey& key, Timestamp time) {
  Held& held = held_.at(key);
  if (held.below == time) return;
  held.below = time;
  if (time == Timestamp::min()) {
    lowest_.erase(key);
  } else {
    lowest_.insert(key);
  }
  touched_held_.insert(key);
}

void Book::set_above(const IdKey& key, Timestamp time) {
  Held& held = held_.at(key);
  if (held.above == time) return;
  held.above = time;
  if (time == Timestamp::max()) {
    highest_.erase(key);
  } else {
    highest_.insert(key);
  }
  touched_held_.insert(key);
}

// The known id next to a known one, if that is held.
std::optional<Book::IdKey> Book::next_held(const IdKey& key, bool up) const {
  const auto& [era, id] = key;
  const Ledger& ledger = eras_[era];
  if (up ? id >= ledger.top().id : id <= ledger.first().id) return std::nullopt;
  const Hole* hole = up ? ledger.hole_after(id) : ledger.hole_before(id);
  const IdKey next{era, up ? (hole ? hole->right : id + 1) : (hole ? hole->left : id - 1)};
  const auto found = held_.find(next);
  return found != held_.end() && found->second.known ? std::optional{next} : std::nullopt;
}

// Its id is in the ledger now.
void Book::becomes_known(const IdKey& key, Held& held) {
  beyond_.erase({key.first, held.time, key.second});
  before_.erase({key.first, held.time, key.second});
  unknown_.erase({key, held.time});
  held.known = true;
  set_counts(key, held, true);
  touched_held_.insert(key);
}

// The times between which an id that is about to be accepted should lie, if held ids may depend on it.
std::optional<std::pair<Timestamp, Timestamp>> Book::bounds_before(std::uint32_t era, std::uint64_t id) {
  const auto of_held = std::exchange(item_bounds_, std::nullopt);
  if (unknown_.empty() || settling_held_) return std::nullopt;
  if (of_held) return of_held;
  const Hole* hole = eras_[era].hole_around(id);
  return hole ? std::optional{bounds_of(era, *hole)} : std::nullopt;
}

// Does the id of a held item lie between accepted ones, and its time between theirs?
bool Book::fits(const IdKey& key, const Held& held) const {
  const Ledger& ledger = eras_[key.first];
  const Hole* hole = ledger.hole_around(key.second);
  if (!hole) return false;
  const auto [least, greatest] = bounds_of(key.first, *hole);
  return least <= held.time && held.time <= greatest;
}

// Held ids, ascending, of which it may have changed whether neighbours on both sides agree with their times.
void Book::settle_held(std::uint32_t era, const std::vector<std::uint64_t>& ids) {
  settling_held_ = true;
  for (const std::uint64_t id : ids) {
    ++held_steps_;
    const IdKey key{era, id};
    const auto found = held_.find(key);
    if (found == held_.end() || found->second.known || !fits(key, found->second)) continue;
    Held& held = found->second;
    const auto [least, greatest] = bounds_of(era, *eras_[era].hole_around(id));
    learn(era, id, held.time, std::nullopt);
    becomes_known(key, held);
    if (const auto lower = next_held(key, false)) {
      set_above(*lower, Timestamp::max());
    } else {
      set_below(key, least);
    }
    if (const auto upper = next_held(key, true)) {
      set_below(*upper, Timestamp::min());
    } else {
      set_above(key, greatest);
    }
  }
  settling_held_ = false;
}

// An id is accepted: for the known held ids next to it on both sides it is the nearest accepted neighbour now.
void Book::bound_held(std::uint32_t era, std::uint64_t id, Timestamp time) {
  if (lowest_.empty()) return;
  if (const auto lower = next_held({era, id}, false)) set_above(*lower, time);
  if (const auto upper = next_held({era, id}, true)) set_below(*upper, time);
}

// It is held no more, and about to be accepted.
void Book::release(std::uint32_t era, std::uint64_t id) {
  const IdKey key{era, id};
  const auto found = held_.find(key);
  if (found == held_.end()) return;
  if (found->second.known) {
    item_bounds_ = {below(key), above(key)};
    const auto lower = next_held(key, false), upper = next_held(key, true);
    if (upper && found->second.below != Timestamp::min()) set_below(*upper, found->second.below);
    if (lower && found->second.above != Timestamp::max()) set_above(*lower, found->second.above);
  }
  const Held held = found->second;
  held_.erase(found);
  held_times_.erase({held.time, era, id});
  if (held.known) {
    lowest_.erase(key);
    highest_.erase(key);
  } else {
    unknown_.erase({key, held.time});
    beyond_.erase({era, held.time, id});
    before_.erase({era, held.time, id});
  }
  touched_held_.insert(key);
  look_again(held.time, held.time);
  ask_again(held.time - setting_.rules.hold, until_trade(held.time + setting_.rules.hold));
}

// Ids that the venue does not have: a held one among them is in the ledger now.
void Book::absorbed(std::uint32_t era, const Ledger::Absent& absent) {
  end_waits(era, absent.hole.left + 1, absent.last);
  if (unknown_.empty()) return;
  for (const std::uint64_t id : unknown_between(era, absent.hole.left + 1, absent.last)) {
    const IdKey key{era, id};
    Held& held = held_.at(key);
    becomes_known(key, held);
    set_below(key, absent.hole.right == 0 ? held.time : absent.hole.left_time);
    set_above(key, absent.hole.right == 0 ? held.time : absent.hole.right_time);
  }
}

// Two neighbours, not both known (held, or named by an answer): what they say of the ids between waits for those that
// are not.
void Book::wait(std::uint32_t era, std::uint64_t from, std::uint64_t to) {
  const Bridge bridge{era, from, to};
  for (const std::uint64_t end : {from, to})
    if (!eras_[era].knows(end)) bridges_.insert({{era, end}, bridge});
  touched_bridges_.insert(bridge);
}

// These ids are known now.
void Book::end_waits(std::uint32_t era, std::uint64_t first, std::uint64_t last) {
  if (bridges_.empty()) return;
  for (auto at = bridges_.lower_bound({{era, first}, {}}); at != bridges_.end() && at->first <= IdKey{era, last};
       at = bridges_.erase(at)) {
    ++held_steps_;
    touched_bridges_.insert(at->second);
    ready_.push_back(at->second);
  }
}

// What neighbours say of the ids beside one that has been given up is not believed either.
void Book::forget_waits(std::uint32_t era, std::uint64_t id) {
  for (auto at = bridges_.lower_bound({{era, id}, {}}); at != bridges_.end() && at->first == IdKey{era, id};) {
    const Bridge bridge = at->second;
    bridges_.erase(at);
    bridges_.erase({{era, std::get<1>(bridge)}, bridge});
    bridges_.erase({{era, std::get<2>(bridge)}, bridge});
    touched_bridges_.insert(bridge);
    at = bridges_.lower_bound({{era, id}, {}});
  }
}

void Book::retry_bridges() {
  if (retrying_) return;
  retrying_ = true;
  while (!ready_.empty()) {
    const auto [era, from, to] = ready_.back();
    ready_.pop_back();
    bridge(era, from, to);
  }
  retrying_ = false;
}

std::uint64_t Book::steps() const {
  std::uint64_t steps = held_steps_ + held_times_.steps() + unknown_.steps();
  for (const Ledger& ledger : eras_) steps += ledger.steps();
  return steps;
}

}  // namespace truetape::market
