// When the state of windows is dropped, so that what comes later for them is late (semantics sections 5 and 13).
#include <algorithm>

#include "market/book.h"

namespace truetape::market {

// May a window that has no state be made for a trade, or has it been sealed? `below`: the trade came before all that
// was known.
bool Book::sealed(const Layer& layer, Timestamp start, bool below) const {
  const Timestamp end = start + layer.interval;
  if (end <= layer.evicted) return true;
  if (!considered_ || end > *considered_ || item_held_ || (below && end <= item_known_from_)) return false;
  return item_sealed_[static_cast<std::size_t>(&layer - layers_.data())];
}

// A window without state: it needs none, or it needed none when all the gaps that touch it were found.
bool Book::was_sealed(Timestamp start, Timestamp end) const {
  std::optional<Timestamp> later;
  if (droppable(start, end, nullptr, later)) return true;
  const auto [from, to] = stretch_of(start, end, nullptr);
  if (held_touches(from, to)) return false;
  bool touched = false;
  for (const auto& [era, tail] : tails_) {
    if (!tail.touches(from, to)) continue;
    if (end > tail.sealed) return false;
    touched = true;
  }
  for (const Ledger& ledger : eras_) {
    if (ledger.unsealed_in(from, to, end)) return false;
    touched = touched || ledger.any_in(from, to);
  }
  return touched;
}

// Before the trade itself is known: it must not judge the windows that it comes for.
void Book::note_sealed(Timestamp time) {
  if (!considered_ || time >= *considered_) return;
  item_sealed_.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Timestamp start = window_start(time, layers_[i].interval);
    item_sealed_[i] = !layers_[i].windows.contains(start) && was_sealed(start, start + layers_[i].interval);
  }
}

// When to ask whether a closed window's state is of use any more. What is asked is part of the state, so that a restart
// changes nothing.
void Book::schedule(std::size_t layer, Timestamp start, Window& window, bool proven) {
  if (window.status == CandleStatus::open) return;
  const Timestamp end = start + layers_[layer].interval;
  if (!proven) return ask_at(layer, start, window, end + setting_.rules.horizon);
  if (window.due) return;
  window.due = window.to_save = true;
  list(layer, start, window);
  due_.emplace_hint(due_.end(), end + setting_.rules.hold, layer, start);
}

void Book::ask_at(std::size_t layer, Timestamp start, Window& window, Timestamp frontier) {
  if (window.asked_at) return;
  window.asked_at = frontier;
  window.to_save = true;
  list(layer, start, window);
  due_by_frontier_.emplace(frontier, layer, start);
}

// Is [from, to) within one run, no declaration counted? `with`: the run must hold that trade.
bool Book::in_a_run(Timestamp from, Timestamp to, const Point* with) const {
  return std::any_of(eras_.begin(), eras_.end(), [&](const Ledger& ledger) {
    if (ledger.empty()) return false;
    if (with) {
      if (!ledger.knows(with->id)) return false;
      const auto [low, high] = ledger.run_of(with->id);
      return low <= with->time && with->time <= high && low < from && high >= to;
    }
    const auto& holes = ledger.holes();
    if (ledger.disorder()) return ledger.any_run(from, to, [](auto, auto) { return true; });
    const auto above = ledger.first_hole_reaching(to);
    const Timestamp high = above == holes.end() ? ledger.top().time : above->second.left_time;
    const Timestamp low = above == holes.begin() ? ledger.first().time : std::prev(above)->second.right_time;
    return low < from && high >= to;
  });
}

// What a window hangs on: itself, a quiet one the time from the trade that gives its price as well, and a hold more on
// both sides, by which the venue's clock may contradict its ids.
Book::Stretch Book::stretch_of(Timestamp start, Timestamp end, const Window* window) const {
  const Nanoseconds hold = setting_.rules.hold;
  if (!window || window->completeness != Completeness::quiet) return {start - hold, end + hold};
  return {window->flat ? window->flat->time - hold : Timestamp::min(), end + hold};
}

// Is the state of a closed window of no more use? `later`: ask again when the frontier has come to it.
bool Book::droppable(Timestamp start, Timestamp end, const Window* window, std::optional<Timestamp>& later) const {
  const Stretch stretch = stretch_of(start, end, window);
  if (held_touches(stretch.from, stretch.to)) {
    if (!frontier_ || *frontier_ < end + setting_.rules.horizon) later = end + setting_.rules.horizon;
    return false;
  }
  const bool quiet = window && window->completeness == Completeness::quiet;
  if ((!quiet || window->flat) && in_a_run(stretch.from, stretch.to, quiet ? &*window->flat : nullptr)) return true;
  if (!frontier_ || *frontier_ < end + setting_.rules.horizon) {
    later = end + setting_.rules.horizon;
    return false;
  }
  return !pending_touches(stretch.from, stretch.to) && !gap_touches(stretch.from, stretch.to, later);
}

// The first base window with a trade behind that of t: quiet windows up to there hang on what is before t.
Timestamp Book::until_trade(Timestamp t) const {
  const auto& base = layers_[0].windows;
  auto next = base.upper_bound(t);
  while (next != base.end() && next->second.trades.empty()) ++next;
  return next == base.end() ? Timestamp::max() : next->first;
}

// Something has changed there that kept the state of windows.
void Book::ask_again(Timestamp from, Timestamp to) {
  if (considered_ && from < *considered_) asked_.push_back({from, to});
}

// A window that surely keeps its state, as do those of its length that start behind it, up to and with this time.
// nullopt: it is worth to ask. So a change amid very many holes does not ask all windows around it.
std::optional<Timestamp> Book::kept_until(Timestamp start, Timestamp end) const {
  const auto [from, to] = stretch_of(start, end, nullptr);
  const Nanoseconds hold = setting_.rules.hold;
  if (const auto held = last_held_in(from, to)) return *held + hold;
  Timestamp until = Timestamp::max();
  for (const Ledger& ledger : eras_) {
    if (ledger.empty()) continue;
    if (ledger.disorder()) return std::nullopt;
    const auto above = ledger.first_hole_reaching(to);
    const bool last = above == ledger.holes().end();
    if (last && ledger.top().time < to) continue;  // no run reaches so far
    const Timestamp low = above == ledger.holes().begin() ? ledger.first().time : std::prev(above)->second.right_time;
    if (low < from) return std::nullopt;
    until = std::min(until, low + hold);
  }
  // Old ones wait only for what touches them; younger ones ask again when they are old.
  if (!frontier_ || *frontier_ < end + setting_.rules.horizon) return until;
  std::optional<Timestamp> right;
  for (const Ledger& ledger : eras_)
    if (const auto found = ledger.wanted_right_in(from, to)) right = std::max(right.value_or(*found), *found);
  return right ? std::optional{std::min(until, *right + hold)} : std::nullopt;
}

void Book::forget(std::size_t layer, Timestamp start, const Window& window) {
  if (layer == 0) has_current_ = false;
  if (window.due) due_.erase({start + layers_[layer].interval + setting_.rules.hold, layer, start});
  if (window.asked_at) due_by_frontier_.erase({*window.asked_at, layer, start});
  if (window.saved) erased_.insert(window_key(layer, start));
}

void Book::drop_settled() {
  for (const auto& [from, to] : asked_)
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      auto& windows = layers_[layer].windows;
      for (auto it = windows.upper_bound(from - layers_[layer].interval); it != windows.end() && it->first <= to;) {
        ++held_steps_;
        if (const auto kept = kept_until(it->first, it->first + layers_[layer].interval)) {
          it = windows.upper_bound(*kept);
          continue;
        }
        schedule(layer, it->first, it->second, true);
        ++it;
      }
    }
  asked_.clear();
  const auto try_drop = [&](Due& list) {
    const auto [when, index, start] = *list.begin();
    list.erase(list.begin());
    Layer& layer = layers_[index];
    const auto found = layer.windows.find(start);
    Window& window = found->second;
    if (&list == &due_) {
      window.due = false;
    } else {
      window.asked_at.reset();
    }
    std::optional<Timestamp> later;
    if (!droppable(start, start + layer.interval, &window, later)) {
      window.to_save = true;
      this->list(index, start, window);
      if (later) ask_at(index, start, window, *later);
      return;
    }
    if (window.to_emit) finished_.push_back(candle(layer, start, window));
    if (index == 0 && !window.trades.empty()) note_dropped(window.trades.close());
    forget(index, start, window);
    layer.windows.erase(found);
  };
  const auto top = eras_.back().empty() ? std::nullopt : std::optional{eras_.back().top().time};
  const auto reached = [](const std::optional<Timestamp>& by, const Due& list) {
    return by && *by >= std::get<0>(*list.begin());
  };
  // A run that ends before it is a hold beyond the window leaves it to the horizon, unless it grows.
  const auto old = frontier_ ? std::optional{*frontier_ - setting_.rules.horizon + setting_.rules.hold} : std::nullopt;
  while (!due_.empty() && (reached(top, due_) || reached(old, due_))) try_drop(due_);
  while (!due_by_frontier_.empty() && reached(frontier_, due_by_frontier_)) try_drop(due_by_frontier_);
  make_room();
}

// The oldest of the largest layer go to the batch path rather than grow without bound.
void Book::make_room() {
  if (!made_) return;
  made_ = false;
  std::size_t windows = 0;
  for (const Layer& layer : layers_) windows += layer.windows.size();
  while (windows > setting_.rules.max_windows) {
    const auto largest = std::max_element(layers_.begin(), layers_.end(), [](const Layer& a, const Layer& b) {
      return a.windows.size() < b.windows.size();
    });
    const auto index = static_cast<std::size_t>(largest - layers_.begin());
    const auto oldest = largest->windows.begin();
    const Timestamp start = oldest->first, end = start + largest->interval;
    // The trades of open base windows are not in the upper ones yet.
    auto& base = layers_[0];
    for (auto it = base.windows.lower_bound(start); it != base.windows.end() && it->first < end; ++it)
      if (it->second.status == CandleStatus::open) close_early(0, it->first, it->second);
    if (oldest->second.status == CandleStatus::open) close_early(index, start, oldest->second);
    if (oldest->second.to_emit) finished_.push_back(candle(*largest, start, oldest->second));
    if (index == 0 && !oldest->second.trades.empty()) note_dropped(oldest->second.trades.close());
    forget(index, start, oldest->second);
    late_.emplace(std::tuple{index, start}, 0);
    touched_late_.insert({index, start});
    largest->evicted = std::max(largest->evicted, end);
    largest->windows.erase(oldest);
    touch_head();
    --windows;
  }
}

// Closes an open window as it is judged now.
void Book::close_early(std::size_t layer, Timestamp start, Window& window) {
  window.status = CandleStatus::closed;
  layers_[layer].open.erase(start);
  window.completeness = judge(start, start + layers_[layer].interval, !window.trades.empty()).completeness;
  if (window.trades.empty()) window.flat = last_before(start);
  mark(layer, start, window);
  if (layer == 0 && !window.rolled) roll(start, window);
  schedule(layer, start, window, false);
  for (const auto& [index, changed] : changed_) note_circumstance(index, changed);
  changed_.clear();
}

}  // namespace truetape::market
