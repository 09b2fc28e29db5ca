// How far an instrument has come: closed, proven, sealed (semantics section 4).
#include <algorithm>

#include "market/book.h"

namespace truetape::market {
namespace {

constexpr Nanoseconds kProgressEvery = std::chrono::seconds{1};

}  // namespace

std::optional<Timestamp> Book::closed_until() const {
  if (!considered_) return std::nullopt;
  const Layer& base = layers_[0];
  Timestamp until = window_start(*considered_, base.interval);
  if (!base.open.empty()) until = std::min(until, *base.open.begin());
  for (const Ledger& ledger : eras_)
    if (const auto pending = ledger.least_pending()) until = std::min(until, window_start(*pending, base.interval));
  return until;
}

std::optional<Timestamp> Book::proven_until() const {
  auto until = closed_until();
  const auto top = top_end();
  if (!until || !top || ids_ != TradeIds::contiguous) return std::nullopt;
  const Interval base = layers_[0].interval;
  *until = std::min(*until, window_start(*top, base));
  for (const Ledger& ledger : eras_) {
    if (!ledger.holes().empty())
      *until = std::min(*until, window_start(ledger.holes().begin()->second.left_time, base));
    if (&ledger != &eras_.back()) *until = std::min(*until, window_start(ledger.top().time, base));
  }
  if (!held_times_.empty()) *until = std::min(*until, window_start(held_times_.least().time, base));
  return until;
}

// By age alone: what ids have sealed before is told as soon as the horizon has passed it.
std::optional<Timestamp> Book::sealed_until() const {
  const auto closed = closed_until();
  if (!closed || !frontier_) return std::nullopt;
  const Interval base = layers_[0].interval;
  const Rules& rules = setting_.rules;
  Timestamp old = std::min(*closed, window_start(*frontier_ - rules.horizon, base));
  const auto over = [&](const std::optional<Timestamp>& lost_at) {
    return lost_at && *frontier_ >= *lost_at + rules.lost_for;
  };
  // What keeps state keeps that of the windows a hold before it, too.
  const auto kept_by = [&](Timestamp from) { old = std::min(old, window_start(from - rules.hold, base)); };
  for (const auto& [era, tail] : tails_)
    if (!over(tail.lost_at)) kept_by(tail.gap.from);
  for (const Ledger& ledger : eras_)
    if (const auto wanted = ledger.least_wanted(*frontier_ - rules.lost_for)) kept_by(*wanted);
  if (!held_times_.empty()) kept_by(held_times_.least().time);
  return old;
}

void Book::progress(Timestamp receive_time, bool at_once) {
  // A receive time that goes back is another clock's: of a recording after an import, say.
  const bool soon = progress_at_ && receive_time >= *progress_at_ && receive_time < *progress_at_ + kProgressEvery;
  if (soon && !at_once) return;
  Progress now;
  now.instrument = instrument_;
  now.tape = tape_.value_or(Tape::trade);
  now.frontier = frontier_;
  now.closed_until = closed_until();
  now.proven_until = proven_until();
  now.sealed_until = sealed_until();
  now.epoch = setting_.epoch;
  now.revision = progress_.revision;
  progress_at_ = receive_time;
  touch_head();
  if (now == progress_) return;
  progress_ = now;
  ++progress_.revision;
  progress_dirty_ = true;
}

}  // namespace truetape::market
