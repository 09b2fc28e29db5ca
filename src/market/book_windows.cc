// The candle's life: open, closed, corrected (semantics section 5).
#include <algorithm>

#include "market/book.h"

namespace truetape::market {
namespace {

constexpr std::size_t kClosedPerRecord = 4'096;   // windows without a trade that one record may make
constexpr std::int64_t kQuietPerStretch = 1'440;  // of each stretch without a trade, and for each interval
constexpr Interval kShortestQuiet{60};            // shorter ones without a trade are implied by their neighbours

}  // namespace

void Book::move_frontier(Timestamp to) {
  if (frontier_ && *frontier_ >= to) return;
  frontier_ = to;
  pending_due_ = true;
  touch_head();
}

void Book::list(std::size_t layer, Timestamp start, Window& window) {
  if (window.listed) return;
  window.listed = true;
  touched_.emplace_back(layer, start);
}

void Book::mark(std::size_t layer, Timestamp start, Window& window) {
  if (window.changed) return;
  list(layer, start, window);
  window.changed = window.to_emit = window.to_save = true;
  ++window.revision;
  changed_.emplace_back(layer, start);
}

void Book::fold_trade(const Trade& trade, bool below) {
  const Timestamp time = content_time(trade.event_time);
  const auto late = [&](std::size_t layer, Timestamp start) {
    ++late_[{layer, start}];
    touched_late_.insert({layer, start});
    item_late_ = true;
  };
  const auto add = [&](std::size_t layer, Timestamp start, Window& window) {
    window.trades.add(trade);
    if (window.status != CandleStatus::open) window.status = CandleStatus::corrected;
    mark(layer, start, window);
  };
  if (has_current_ && current_->first <= time && time < current_->first + layers_[0].interval &&
      !current_->second.rolled) {
    add(0, current_->first, current_->second);
    return;
  }
  const Timestamp start = window_start(time, layers_[0].interval);
  auto found = layers_[0].windows.find(start);
  bool rolled = true;
  if (found == layers_[0].windows.end() && sealed(layers_[0], start, below)) {
    late(0, start);
  } else {
    if (found == layers_[0].windows.end()) {
      made_ = true;
      found = layers_[0].windows.emplace(start, Window{}).first;
      layers_[0].open.insert(start);
      // Below an upper window that is closed already a new base window adds to it at once.
      for (std::size_t i = 1; i < layers_.size() && !found->second.rolled; ++i) {
        const Timestamp upper = window_start(time, layers_[i].interval);
        const auto above = layers_[i].windows.find(upper);
        found->second.rolled = above != layers_[i].windows.end() ? above->second.status != CandleStatus::open
                                                                 : sealed(layers_[i], upper, below);
      }
    }
    current_ = found;
    has_current_ = true;
    add(0, start, found->second);
    rolled = found->second.rolled;
  }
  if (!rolled) return;
  for (std::size_t i = 1; i < layers_.size(); ++i) {
    const Timestamp upper = window_start(time, layers_[i].interval);
    auto above = layers_[i].windows.find(upper);
    if (above == layers_[i].windows.end()) {
      if (sealed(layers_[i], upper, below)) {
        late(i, upper);
        continue;
      }
      above = layers_[i].windows.emplace(upper, Window{}).first;
      layers_[i].open.insert(upper);
    }
    add(i, upper, above->second);
  }
}

// A candle trade has come for a time that was passed already: the quiet windows from there to the next candle trade
// hang on it.
void Book::reprice(Timestamp time) {
  if (!considered_ || time >= *considered_) return;
  const Layer& base = layers_[0];
  const Timestamp from = window_start(time, base.interval) + base.interval;
  auto next = base.windows.lower_bound(from);
  while (next != base.windows.end() && next->second.trades.empty()) ++next;
  const Timestamp to = next == base.windows.end() ? *considered_ : next->first;
  if (to > from) look_again(from, to);
}

// What an open row may say: rules 1, 3 and 4.
Completeness Book::certain(const Verdict& verdict) {
  const bool known =
      verdict.completeness == Completeness::partial ||
      (verdict.completeness == Completeness::gap && verdict.proof != Proof::session && ids_ == TradeIds::contiguous);
  return known ? verdict.completeness : Completeness::none;
}

// What the row will tell besides its content, as of the item that changed it: rows must not depend on when they are
// emitted.
void Book::note_circumstance(std::size_t layer, Timestamp start) {
  const auto found = layers_[layer].windows.find(start);
  if (found == layers_[layer].windows.end()) return;
  Window& window = found->second;
  window.changed = false;
  const bool open = window.status == CandleStatus::open;
  window.proof = Proof::none;
  window.missing.reset();
  window.held = 0;
  if (open) {
    window.completeness = Completeness::none;
    if (eras_.size() == 1 && eras_[0].holes().empty() && held_times_.empty() && !eras_[0].empty() &&
        eras_[0].first().time < start)
      return;
  }
  const Timestamp end = start + layers_[layer].interval;
  const Verdict verdict = judge(start, end, !window.trades.empty());
  window.held = held_in(start, end);
  if (open) {
    window.completeness = certain(verdict);
    if (window.completeness == Completeness::none) return;
  }
  window.proof = verdict.proof;
  window.missing = verdict.missing;
}

void Book::consider(Timestamp t) {
  considered_ = t;
  considered_next_ = window_start(t, layers_[0].interval) + layers_[0].interval;
}

std::optional<Timestamp> Book::reach() const {
  auto out = top_end();
  if (frontier_ && (!out || *frontier_ - setting_.rules.bound > *out)) out = *frontier_ - setting_.rules.bound;
  return out;
}

// The end of every item: holes open, windows are looked at, counted, dropped.
void Book::settle() {
  bound_tail();
  open_pending();
  // Before the first id nothing is known that a window could tell.
  const bool nothing = ids_ == TradeIds::contiguous ? eras_.front().empty() : !last_;
  const auto now = reach_ = nothing ? std::nullopt : reach();
  if (now && !considered_) consider(*now);
  if (now && *now >= considered_next_) {
    checks_.push_back({.from = *considered_, .to = *now, .fresh = *considered_, .advance = true});
    consider(*now);
    touch_head();
  }
  // Windows that an announced range keeps open close when the frontier has passed them.
  const Timestamp passed_before = passed_;
  if (frontier_ && now && *frontier_ - setting_.rules.bound >= passed_next_) {
    passed_ = *frontier_ - setting_.rules.bound;
    passed_next_ = window_start(passed_, layers_[0].interval) + layers_[0].interval;
  }
  if (!checks_.empty() || recheck_open_ || passed_ > passed_before) {
    std::size_t budget = kClosedPerRecord;
    for (const Check& c : checks_)
      if (c.ended && c.ended->before) ended_points_.push_back(*c.ended->before);
    std::sort(ended_points_.begin(), ended_points_.end());
    // Before anything is looked at: looking changes what the windows were.
    for (const Check& c : checks_) {
      if (!c.ended) continue;
      for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
        auto& windows = layers_[layer].windows;
        for (auto it = windows.upper_bound(c.least() - layers_[layer].interval);
             it != windows.end() && it->first <= c.greatest(); ++it)
          repair(layer, it->first, it->second, *c.ended);
      }
    }
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      if (now && (recheck_open_ || passed_ > passed_before)) {
        const auto& open = layers_[layer].open;
        const Interval length = layers_[layer].interval;
        const auto first = recheck_open_ || passed_before == Timestamp::min()
                               ? open.begin()
                               : open.upper_bound(passed_before - length);
        const std::vector<Timestamp> starts(first, open.end());
        for (const Timestamp start : starts) {
          if (start + length > (recheck_open_ ? *now : passed_)) break;
          look(layer, start, layers_[layer].windows.at(start), true);
        }
      }
      for (const Check& c : checks_) check_layer(layer, c, budget);
    }
    recheck_open_ = false;
  }
  // A trade in a closed window may have changed more than its values. Looking may roll into upper windows, so the list
  // grows.
  for (std::size_t i = 0; i < changed_.size(); ++i) {
    const auto [layer, start] = changed_[i];
    const auto found = layers_[layer].windows.find(start);
    if (found == layers_[layer].windows.end()) continue;
    Window& window = found->second;
    if (window.status != CandleStatus::open || start + layers_[layer].interval <= *considered_)
      look(layer, start, window, true);
  }
  for (const auto& [layer, start] : changed_) note_circumstance(layer, start);
  changed_.clear();
  checks_.clear();
  item_points_.clear();
  ended_points_.clear();
  last_before_item_ = last_;
  drop_settled();
}

bool Book::can_close(Timestamp start, Timestamp end, const Verdict& verdict) const {
  if (verdict.by_ids) return true;
  if (pending_touches(start, end)) return false;
  if (frontier_ && *frontier_ >= end + setting_.rules.bound) return true;
  const auto top = top_end();
  return top && *top >= end && !announced(start, end);
}

// Looks at a window again: may it close, has its completeness or flat price changed? True: it is closed.
bool Book::look(std::size_t layer, Timestamp start, Window& window, bool advance) {
  const Timestamp end = start + layers_[layer].interval;
  const bool closing = window.status == CandleStatus::open;
  if (closing && advance && (!reach_ || *reach_ < end)) return false;
  const Verdict verdict = judge(start, end, !window.trades.empty());
  if (closing && (!reach_ || *reach_ < end || !can_close(start, end, verdict))) {
    // Open rows tell what is certain already, and only the smallest interval has open rows.
    if (layer == 0 && certain(verdict) != window.completeness) mark(layer, start, window);
    return false;
  }
  // The last trade before a window only ever moves on: what is not remembered any more was older.
  // It is kept for every window without a trade, since one that is not quiet may become so.
  std::optional<Point> flat = window.flat;
  if (window.trades.empty())
    if (const auto last = last_before(start); last && (!flat || *flat < *last)) flat = last;
  if (closing) {
    window.status = CandleStatus::closed;
    layers_[layer].open.erase(start);
    window.completeness = verdict.completeness;
    window.flat = flat;
    mark(layer, start, window);
    if (layer == 0 && !window.rolled) roll(start, window);
  } else {
    const bool moved = flat && (!window.flat || window.flat->price != flat->price);
    if (moved) {
      window.flat = flat;
      window.to_save = true;
      list(layer, start, window);
    }
    if (verdict.completeness != window.completeness || (moved && verdict.completeness == Completeness::quiet)) {
      window.status = CandleStatus::corrected;
      window.completeness = verdict.completeness;
      mark(layer, start, window);
    }
  }
  schedule(layer, start, window, verdict.by_ids);
  return true;
}

// A closed base window's trades go into the windows above it.
void Book::roll(Timestamp start, Window& base) {
  base.rolled = true;
  if (base.trades.empty()) return;
  for (std::size_t i = 1; i < layers_.size(); ++i) {
    const Timestamp upper = window_start(start, layers_[i].interval);
    if (upper + layers_[i].interval <= layers_[i].evicted) continue;  // the batch path has it
    auto above = layers_[i].windows.find(upper);
    if (above == layers_[i].windows.end()) {
      above = layers_[i].windows.emplace(upper, Window{}).first;
      layers_[i].open.insert(upper);
    }
    Window& window = above->second;
    window.trades.merge(base.trades);
    if (window.status == CandleStatus::open) {
      window.revision += base.revision;
      window.to_save = true;
      list(i, upper, window);
    } else {
      window.status = CandleStatus::corrected;
      mark(i, upper, window);
    }
  }
}

// An opened gap has ended or receded: a window that was `gap` because of it, or is only made now, is repaired unless
// another one still touches it.
void Book::repair(std::size_t layer, Timestamp start, Window& window, const Hole& ended) {
  const Timestamp end = start + layers_[layer].interval;
  if (!ended.opened() || window.repaired || !ended.touches(start, end)) return;
  if (window.completeness != Completeness::gap && window.completeness != Completeness::none) return;
  std::optional<Timestamp> ignored;
  if (gap_touches(start, end, ignored)) return;
  window.repaired = true;
  if (window.status != CandleStatus::open) window.status = CandleStatus::corrected;
  mark(layer, start, window);
}

void Book::check_layer(std::size_t index, const Check& c, std::size_t& budget) {
  if (c.layer && *c.layer != index) return;
  Layer& layer = layers_[index];
  const Timestamp least = c.least(), greatest = c.greatest();
  const Timestamp below = least > Timestamp::min() + layer.interval ? least - layer.interval : Timestamp::min();
  for (auto it = layer.windows.upper_bound(below); it != layer.windows.end() && it->first <= greatest; ++it) {
    look(index, it->first, it->second, c.advance);
  }
  // Windows without a trade that nobody has made yet.
  if (!c.fresh || layer.interval < kShortestQuiet) return;
  if (!reach_) return;
  const Timestamp last = std::min(c.to, *reach_);
  Timestamp start = window_start(std::max(c.from, *c.fresh), layer.interval);
  for (; start <= last; start += layer.interval) {
    const Timestamp end = start + layer.interval;
    if (end <= *c.fresh || end <= layer.evicted) continue;
    if (end > c.fresh_to || end > *reach_) break;
    if (layer.windows.contains(start)) continue;
    if (index > 0) {
      const auto base = layers_[0].windows.lower_bound(start);
      if (base != layers_[0].windows.end() && base->first < end && !base->second.trades.empty()) continue;
    }
    const auto previous = last_before(start);
    // The stretch begins behind the last trade, or where a declaration begins.
    const auto edge = previous ? std::optional{previous->time} : declared_.begin_of(start);
    if (edge) {
      const Timestamp first =
          previous ? window_start(*edge, layer.interval) + layer.interval : window_start(*edge, layer.interval);
      if ((start - first) / layer.interval >= kQuietPerStretch) {
        // The rest of this stretch is implied; the next window with state begins another.
        const auto next = layer.windows.upper_bound(start);
        if (next == layer.windows.end() || next->first > last) break;
        start = next->first;
        continue;
      }
    }
    const Verdict verdict = judge(start, end, false);
    if (c.partial && verdict.completeness != Completeness::partial) continue;
    if ((verdict.completeness == Completeness::partial && (eras_.front().empty() || end <= known_from())) ||
        !can_close(start, end, verdict))
      continue;
    if (budget == 0) {
      Check rest = c;
      rest.from = start - Nanoseconds{1};
      rest.layer = index;
      work_.push_back(rest);
      touch_head();
      return;
    }
    --budget;
    made_ = true;
    Window& window = layer.windows.emplace(start, Window{}).first->second;
    layer.open.insert(start);
    if (c.ended) repair(index, start, window, *c.ended);
    look(index, start, window, true);
  }
}

bool Book::work() {
  std::size_t budget = kClosedPerRecord;
  reach_ = reach();
  while (!work_.empty() && budget > 0) {
    const Check c = work_.front();
    work_.pop_front();
    check_layer(*c.layer, c, budget);
  }
  touch_head();
  settle();
  return !work_.empty();
}

// Of what lies before nothing is known.
Timestamp Book::known_from() const {
  const Timestamp first = eras_.front().first().time;
  return declared_.begin_of(first).value_or(first);
}

std::optional<Point> Book::last_before(Timestamp t) const {
  std::optional<Point> best;
  const auto offer = [&](const std::optional<Point>& p) {
    if (p && p->time < t && (!best || *best < *p)) best = p;
  };
  offer(last_);
  if (best && best == last_) return best;
  offer(last_before_item_);
  for (const Point& p : item_points_) offer(p);
  const auto later =
      std::partition_point(ended_points_.begin(), ended_points_.end(), [&](const Point& p) { return p.time < t; });
  if (later != ended_points_.begin()) offer(*std::prev(later));
  for (const Ledger& ledger : eras_) offer(ledger.last_before(t));
  offer(dropped_last_);
  const auto& base = layers_[0].windows;
  for (auto it = base.lower_bound(window_start(t, layers_[0].interval)); it != base.begin();) {
    --it;
    if (it->second.trades.empty()) continue;
    offer(it->second.trades.close());
    break;
  }
  return best;
}

Candle Book::candle(const Layer& layer, Timestamp start, const Window& window) const {
  Candle c;
  c.instrument = instrument_;
  c.tape = tape_.value_or(Tape::trade);
  c.interval = layer.interval;
  c.start = start;
  c.status = window.status;
  c.repaired = window.repaired;
  c.revision = window.revision;
  c.epoch = setting_.epoch;
  if (!window.trades.empty()) window.trades.fill(c);
  c.completeness = window.completeness;
  c.proof = window.proof;
  c.missing = window.missing;
  c.held = window.held;
  if (window.completeness == Completeness::quiet) {
    if (window.flat) c.open = c.high = c.low = c.close = window.flat->price;
    c.volume = c.quote_volume = c.taker_buy_volume = c.taker_buy_quote_volume = Amount{};
    c.trades = 0;
  }
  return c;
}

}  // namespace truetape::market
