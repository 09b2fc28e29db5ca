// Holes and what the gaps topic tells of them; ranges, declarations, answers, sessions (semantics sections 3 and 7).
#include "market/book.h"

namespace truetape::market {
namespace {

constexpr std::uint64_t kManualIds = 5'000'000;
constexpr Nanoseconds kManualTime = std::chrono::hours{24};
constexpr std::size_t kCovers = 8;         // sessions remembered per instrument, that may say more yet
constexpr std::size_t kCoveredSpans = 64;  // of older ones, without a break each
constexpr std::size_t kRanges = 1'000;     // that may be open at once

}  // namespace

Ledger::Change::Kind Book::learn(std::uint32_t era, std::uint64_t id, Timestamp time,
                                 const std::optional<Point>& candle) {
  using Kind = Ledger::Change::Kind;
  Ledger& ledger = eras_[era];
  const auto old_first = ledger.first(), old_top = ledger.top();
  const Nanoseconds hold = setting_.rules.hold;
  item_known_from_ = era == 0 ? declared_.begin_of(old_first.time).value_or(old_first.time) : Timestamp::min();
  const bool was_empty = ledger.empty();
  const auto bounds = bounds_before(era, id);
  const Ledger::Change change = ledger.insert(id, time, candle);
  if (!settling_held_) ends_moved(era, was_empty, old_first, old_top);
  const auto hole_at = [&](std::uint64_t left) -> Hole& { return *ledger.hole_after(left); };
  const auto kind = change.kind;
  // A hole that was made, or whose neighbours have changed, may open at once.
  const auto may_open = [&](const Hole* hole) {
    if (hole == nullptr || hole->opened() || pending_due_) return;
    const bool over = hole->released || (frontier_ && *frontier_ >= hole->right_time + setting_.rules.settle);
    pending_due_ = over && !announced(hole->left_time, hole->right_time);
  };
  if (change.hole) may_open(ledger.hole_after(*change.hole));
  if (kind == Kind::split) may_open(ledger.hole_after(id));

  // An end of what is known lies in a declared stretch now: the windows from there to the stretch's end have a proof.
  const auto other = [&](const std::optional<Timestamp>& a, const std::optional<Timestamp>& b) {
    return kind == Kind::first || a != b;
  };
  if (kind == Kind::first || kind == Kind::below || kind == Kind::below_hole)
    if (const auto from = declared_.begin_of(time); from && other(from, declared_.begin_of(old_first.time)))
      checks_.push_back({.from = *from, .to = time, .fresh = *from, .fresh_to = time});
  if (kind == Kind::first || kind == Kind::top || kind == Kind::top_hole)
    if (const auto to = declared_.end_of(time); to && other(to, declared_.end_of(old_top.time))) look_again(time, *to);

  // A declaration reaches into a hole as long as no id in it contradicts: one that comes there may end that.
  if (kind == Kind::split || kind == Kind::fill_left || kind == Kind::fill_right) {
    const Hole& was = *change.before;
    if (declared_.end_of(was.left_time) || declared_.begin_of(was.right_time))
      look_again(was.left_time, was.right_time);
  }

  switch (kind) {
    case Kind::known:
      break;
    case Kind::first:
      if (!considered_) consider(time);
      bound_due_ = era;
      look_again(time, time);
      break;
    case Kind::top:
      close_tail(era);
      if (era + 1 < eras_.size()) ask_again(old_top.time - hold, time - hold);  // the newest era's wait in due_
      // Time had gone on by other evidence than ids: what was closed on that is proven now.
      if (considered_ && std::min(old_top.time, time) < *considered_) look_again(old_top.time, time);
      break;
    case Kind::top_hole: {
      Hole& hole = hole_at(*change.hole);
      hole.before = last_before_item_;
      hole.sealed = sealed_tail(era);
      ledger.changed(hole);
      ++pending_;
      look_again(hole.left_time, hole.right_time);
      save_hole(era, hole.left);
      if (!tails_.contains(era)) break;
      settle_held(era, unknown_between(era, old_top.id, id));
      Hole* const rest = ledger.hole_after(old_top.id);
      if (!rest) {  // top + 1 was held, and is known now
        close_tail(era);
        break;
      }
      // The tail's key goes on: it is open already.
      const TailGap tail = std::move(tails_.extract(era).mapped());
      rest->gap = {tail.gap.first_id, rest->right - 1,   tail.gap.from, rest->right_time,
                   GapReason::tail,   tail.gap.revision, false};
      rest->state = GapState::open;  // also if the tail was lost: what lacks now has not been asked for
      ledger.changed(*rest);
      --pending_;
      gap_row(era, *rest, rest->state);
      tail_recedes(rest->right_time, tail.gap.to);
      break;
    }
    case Kind::below:
    case Kind::below_hole: {
      bound_due_ = era;
      ask_again(time + hold, until_trade(old_first.time + hold));
      // Before the first id of all nothing was known; before that of a later era the windows may be sealed.
      const Timestamp before = era == 0 ? Timestamp::min() : sealed_tail(era - 1);
      // The window of what was the first trade is kept while it is partial; gone, it was sealed.
      const Layer& base = layers_.front();
      const bool gone =
          frontier_ && !base.windows.contains(window_start(old_first.time, base.interval)) &&
          *frontier_ >= window_start(old_first.time, base.interval) + base.interval + setting_.rules.horizon;
      const Timestamp above = gone ? old_first.time : Timestamp::max();
      if (kind == Kind::below_hole) {
        Hole& hole = hole_at(*change.hole);
        hole.sealed = before;
        hole.sealed_above = above;
        hole.known_from = old_first.time;
        if (frontier_) hole.old = *frontier_ - setting_.rules.horizon;
        ledger.changed(hole);
        ++pending_;
        save_hole(era, hole.left);
      }
      checks_.push_back({.from = time,
                         .to = old_first.time,
                         .fresh = kind == Kind::below ? std::optional{std::max(time, before)} : std::nullopt,
                         .fresh_to = above});
      break;
    }
    case Kind::fill_left:
    case Kind::fill_right: {
      Hole& hole = hole_at(*change.hole);
      if (hole.opened()) {
        if (hole.state != GapState::lost) hole.state = GapState::progress;
        hole.gap.found = true;
        hole.gap.found_below |= kind == Kind::fill_left;
        ledger.changed(hole);
        gap_row(era, hole, hole.state);
      }
      if (kind == Kind::fill_left) {
        ask_again(change.before->left_time - hold, time - hold);
        checks_.push_back(check_of(*change.before, change.before->left_time, time, true));
        touched_holes_.insert({era, change.before->left});
      } else {
        checks_.push_back(check_of(*change.before, time, change.before->right_time, true));
        ask_again(time + hold, until_trade(change.before->right_time + hold));
      }
      save_hole(era, hole.left);
      break;
    }
    case Kind::fill_last: {
      Hole ended = *change.before;
      ended.gap.found = true;
      end_hole(era, ended);
      ask_again(ended.left_time - hold, until_trade(ended.right_time + hold));
      checks_.push_back(check_of(*change.before, ended.left_time, ended.right_time, true));
      // Clocks that contradict the ids may let the joined run span less than its parts did.
      if (const auto run = ledger.run_of(id); run.second < ended.left_time)
        look_again(run.second, ended.left_time);
      else if (ended.right_time < run.first)
        look_again(ended.right_time, run.first);
      break;
    }
    case Kind::split: {
      Hole& lower = hole_at(*change.hole);
      Hole& upper = hole_at(id);
      if (lower.opened()) {
        if (lower.state != GapState::lost) upper.state = lower.state = GapState::progress;
        upper.gap = {id + 1, lower.gap.last, time, lower.gap.to, lower.gap.reason, 0, false};
        lower.gap.last = id - 1;
        lower.gap.to = time;
        lower.gap.found = lower.gap.found_below;
        ledger.changed(lower);
        ledger.changed(upper);
        gap_row(era, lower, lower.state);
        gap_row(era, upper, upper.state);
      } else {
        ++pending_;
      }
      look_again(time, time);
      save_hole(era, lower.left);
      save_hole(era, upper.left);
      break;
    }
  }
  if (kind != Kind::known) end_waits(era, id, id);
  if (settling_held_) return kind;
  bound_held(era, id, time);
  if (kind == Kind::top_hole) {
    settle_held(era, unknown_between(era, old_top.id, id));
  } else if (kind == Kind::below_hole) {
    settle_held(era, unknown_between(era, id, old_first.id));
  } else if (bounds && (time < bounds->first || time > bounds->second)) {
    // It contradicts its neighbours, so held ids that did not fit between those may do now.
    settle_held(era, unknown_between(era, ledger.first().id, ledger.top().id, std::min(bounds->first, time),
                                     std::max(bounds->second, time)));
  }
  retry_bridges();
  return kind;
}

// The windows of a hole, or of a part of it. Windows that a declaration had proven beside it may be made no more: they
// had their rows, and may have been sealed.
Book::Check Book::check_of(const Hole& hole, Timestamp from, Timestamp to, bool ended) const {
  Check c{.from = from, .to = to, .fresh = hole.sealed, .fresh_to = hole.sealed_above};
  if (const auto end = declared_.end_of(hole.left_time); end && hole.right_time >= *end)
    c.fresh = std::max(*c.fresh, *end);
  if (const auto begin = declared_.begin_of(hole.right_time); begin && hole.left_time < *begin)
    c.fresh_to = std::min(c.fresh_to, *begin);
  if (ended) c.ended = hole;
  return c;
}

// Windows that end here or before are sealed although no id beyond them has come: sessions proved them long ago.
Timestamp Book::sealed_tail(std::uint32_t era) const {
  if (const auto tail = tails_.find(era); tail != tails_.end()) return tail->second.sealed;
  return frontier_ ? *frontier_ - setting_.rules.horizon : Timestamp::min();
}

void Book::save_hole(std::uint32_t era, std::uint64_t left) { touched_holes_.insert({era, left}); }

bool Book::announced(Timestamp from, Timestamp to) const {
  for (const auto& [name, span] : ranges_)
    if (span.meets(from, to)) return true;
  return false;
}

void Book::open_pending() {
  if (pending_ == 0 || !pending_due_) return;
  pending_due_ = false;
  const auto all_announced = [&](Timestamp least_right, Timestamp greatest_left) {
    for (const auto& [name, span] : ranges_)
      if (span.meets(greatest_left, least_right)) return true;
    return false;
  };
  const auto limit = frontier_ ? std::optional{*frontier_ - setting_.rules.settle} : std::nullopt;
  for (auto era = static_cast<std::uint32_t>(eras_.size()); era-- > 0;)
    for (const std::uint64_t left : eras_[era].due(limit, all_announced)) open_hole(era, *eras_[era].hole_after(left));
}

void Book::open_hole(std::uint32_t era, Hole& hole) {
  hole.state = GapState::open;
  hole.gap = {hole.left + 1, hole.right - 1, hole.left_time, hole.right_time, GapReason::missing_ids, 0, false};
  if (hole.right_time - hole.left_time > kManualTime || hole.missing() > kManualIds)
    hole.gap.reason = GapReason::manual;
  eras_[era].changed(hole);
  --pending_;
  gap_row(era, hole, GapState::open);
  save_hole(era, hole.left);
  checks_.push_back(check_of(hole, hole.left_time, hole.right_time, false));
}

void Book::gap_row(std::uint32_t era, const Hole& hole, GapState state) {
  Gap row;
  row.instrument = instrument_;
  row.tape = tape_.value_or(Tape::trade);
  row.era = era;
  row.first_id = hole.gap.first;
  row.last_id = hole.gap.last;
  row.missing = state == GapState::repaired || state == GapState::absent ? 0 : hole.missing();
  row.from = hole.gap.from;
  row.to = hole.gap.to;
  row.state = state;
  row.reason = hole.gap.reason;
  row.epoch = setting_.epoch;
  const auto known = gap_rows_.find({era, row.first_id});
  row.revision = std::max(hole.gap.revision, known == gap_rows_.end() ? 0 : known->second.revision) + 1;
  if (last_tail_ && last_tail_->first == row.first_id) row.revision = std::max(row.revision, last_tail_->second + 1);
  gap_rows_[{era, row.first_id}] = row;
  if (Hole* kept = eras_[era].hole_after(hole.left)) kept->gap.revision = row.revision;
  touched_holes_.insert({era, hole.left});
}

void Book::end_hole(std::uint32_t era, const Hole& hole) {
  touched_holes_.insert({era, hole.left});
  if (hole.opened())
    gap_row(era, hole, hole.gap.found ? GapState::repaired : GapState::absent);
  else
    --pending_;
}

void Book::tail_row(TailGap& tail) {
  ++tail.gap.revision;
  gap_rows_[{tail.gap.era, tail.gap.first_id}] = tail.gap;
  touch_head();
}

void Book::open_tail(Timestamp from) {
  TailGap tail;
  Gap& gap = tail.gap;
  gap.instrument = instrument_;
  gap.tape = tape_.value_or(Tape::trade);
  gap.era = static_cast<std::uint32_t>(eras_.size() - 1);
  gap.first_id = eras_.back().top().id + 1;
  gap.from = from;
  gap.state = GapState::open;
  gap.reason = GapReason::tail;
  gap.epoch = setting_.epoch;
  if (last_tail_ && last_tail_->first == gap.first_id) gap.revision = last_tail_->second;
  tail.sealed = sealed_tail(gap.era);
  tail_row(tail);
  tails_.emplace(gap.era, tail);
}

// Nothing was missing after all.
void Book::close_tail(std::uint32_t era) {
  const auto found = tails_.find(era);
  if (found == tails_.end()) return;
  TailGap tail = found->second;
  tails_.erase(found);
  tail.gap.state = GapState::absent;
  tail_row(tail);
  last_tail_ = {tail.gap.first_id, tail.gap.revision};
  tail_recedes(tail.gap.from, tail.gap.to);
}

// The first id of an era says how far the tail of the one before can reach: at the end of the item, since it kept
// windows until then.
void Book::bound_tail() {
  const std::uint32_t next_era = std::exchange(bound_due_, 0);
  if (next_era == 0) return;
  const auto found = tails_.find(next_era - 1);
  if (found == tails_.end()) return;
  Gap& gap = found->second.gap;
  const auto until = std::exchange(gap.to, eras_[next_era].first().time);
  tail_row(found->second);
  tail_recedes(*gap.to, until);
}

// A tail gap that reached to `until`, if anywhere, touches nothing from here on any more.
void Book::tail_recedes(Timestamp from, std::optional<Timestamp> until) {
  Hole ended;
  ended.left_time = from;
  ended.right_time = until.value_or(Timestamp::max());
  ended.state = GapState::open;
  checks_.push_back({.from = from, .to = std::max(from, considered_.value_or(from)), .ended = ended});
  ask_again(from - setting_.rules.hold, from + setting_.rules.hold);
}

bool Book::begin_range(std::string_view name, std::optional<Timestamp> from, std::optional<Timestamp> to) {
  if (ranges_.size() >= kRanges && !ranges_.contains(name)) return false;
  if (from) from = content_time(*from);
  if (to) to = content_time(*to);
  ranges_.emplace(name, Span{from, to});
  touch_head();
  settle();
  return true;
}

void Book::end_range(std::string_view name) {
  const auto found = ranges_.find(name);
  if (found != ranges_.end()) {
    pending_due_ = true;
    const Span span = found->second;
    ranges_.erase(found);
    touch_head();
    for (std::uint32_t era = 0; era < eras_.size(); ++era) {
      for (const std::uint64_t left :
           eras_[era].touching(span.from.value_or(Timestamp::min()), span.to.value_or(Timestamp::max()))) {
        Hole& hole = *eras_[era].hole_after(left);
        if (!hole.opened()) {
          hole.released = true;  // opens now, or when the last range around it has ended
          eras_[era].changed(hole);
          save_hole(era, hole.left);
        } else {
          // It was open when it was made, as the tail that it had been: its windows waited for the range.
          checks_.push_back(check_of(hole, hole.left_time, hole.right_time, false));
        }
      }
    }
    recheck_open_ = true;
    // Knowledge may begin in a window without a trade: at a marker, or where a declaration begins. Then nothing but the
    // range kept it open. (Long ago it had its row.)
    if (!eras_.front().empty()) {
      for (const Timestamp begin : {eras_.front().first().time, known_from()})
        if (!frontier_ || *frontier_ < begin + setting_.rules.horizon)
          checks_.push_back({.from = begin, .to = begin, .fresh = begin, .partial = true});
    }
  }
  settle();
}

void Book::declare(Timestamp from, Timestamp to) {
  const auto end = declared_.end_of(from);
  if (from < to && (!end || *end < to)) {
    for (const Ledger& ledger : eras_) {
      if (ledger.empty()) continue;
      // What was declared before has had its rows.
      const Timestamp first = ledger.first().time;
      if (from <= first)
        checks_.push_back({.from = from,
                           .to = first,
                           .fresh = from,
                           .fresh_to = std::min(first, declared_.begin_of(first).value_or(first))});
      for (const std::uint64_t left : ledger.touching(from, to)) {
        const Hole& hole = *ledger.hole_after(left);
        checks_.push_back(check_of(hole, hole.left_time, hole.right_time, false));
      }
      look_again(ledger.top().time, to);
    }
    declared_.add(from, to);
    touch_head();
    recheck_open_ = true;
  }
  settle();
}

void Book::answer(const Answer& answer) {
  const auto era = answer.era.value_or(static_cast<std::uint32_t>(eras_.size() - 1));
  if (era < eras_.size() && !eras_[era].empty()) {
    Ledger& ledger = eras_[era];
    for (const auto& [first, last] : answer.skipped)
      if (first > 0 && first <= last) bridge(era, first - 1, last + 1);
    if (answer.nothing_after && *answer.nothing_after == ledger.top().id && answer.as_of) {
      const Timestamp from = ledger.top().time;
      close_tail(era);
      declare(from, *answer.as_of);
    }
    if (answer.first && answer.last) {
      auto& holes = ledger.holes();
      for (auto at = holes.lower_bound(*answer.first > 0 ? *answer.first - 1 : 0);
           at != holes.end() && at->first.left < *answer.last; ++at) {
        Hole& hole = at->second;
        if (!hole.opened() || hole.left + 1 < *answer.first || hole.right - 1 > *answer.last) continue;
        const GapState state = answer.exhausted || answer.refused ? GapState::lost : GapState::progress;
        if (hole.state == state) continue;
        hole.state = state;
        hole.lost_at = state == GapState::lost ? (answer.as_of ? answer.as_of : frontier_) : std::nullopt;
        ledger.changed(hole);
        gap_row(era, hole, state);
        if (hole.lost_at) look_again(hole.left_time, hole.right_time);
      }
    }
    if (const auto found = tails_.find(era); found != tails_.end() && (answer.exhausted || answer.refused)) {
      TailGap& tail = found->second;
      if (answer.first == tail.gap.first_id && tail.gap.state != GapState::lost) {
        tail.gap.state = GapState::lost;
        tail.lost_at = answer.as_of ? answer.as_of : frontier_;
        tail_row(tail);
        if (considered_) look_again(tail.gap.from, *considered_);
      }
    }
  }
  settle();
}

void Book::carried(std::string_view session, std::optional<Timestamp> from) {
  const auto name = Text<40>::cut(session);
  for (Cover& cover : covers_)
    if (cover.session == name) return;  // the first record that names the instrument decides
  if (from) from = content_time(*from);
  covers_.push_back({name, from, from, false, false});
  if (covers_.size() > kCovers) {
    // The one whose evidence reaches least far, not the one that is longest there: beside one that reconnects often, a
    // steady session is the oldest.
    const auto least = std::min_element(covers_.begin(), covers_.end() - 1,
                                        [](const Cover& a, const Cover& b) { return a.end < b.end; });
    if (least->alive && least->from && least->end) covered_.add(*least->from, *least->end);
    covers_.erase(least);
    if (covered_.all().size() > kCoveredSpans) covered_.drop_first();
  }
  touch_head();
}

void Book::alive(std::string_view session) {
  for (Cover& cover : covers_) {
    if (cover.session.view() != session || cover.alive || cover.silenced) continue;
    cover.alive = true;
    touch_head();
    // What it covered before its first frame counts from now on. Without ids that tells of what was before it, too.
    if (ids_ != TradeIds::contiguous && considered_) look_again(Timestamp::min(), *considered_);
    if (!eras_.back().empty() && considered_) look_again(eras_.back().top().time, *considered_);
  }
}

void Book::silence(std::string_view session) {
  for (Cover& cover : covers_)
    if (cover.session.view() == session) cover.silenced = true;
  touch_head();
}

// The session's evidence reaches further: it may say more of windows that were passed on other evidence.
void Book::cover_until(Cover& cover, Timestamp to) {
  if (cover.end && to <= *cover.end) return;
  if (cover.alive && cover.end && considered_ && *cover.end < *considered_) look_again(*cover.end, *considered_);
  cover.end = to;
  touch_head();
}

void Book::witness(std::string_view session, Timestamp witness) {
  witness = content_time(witness);
  for (Cover& cover : covers_) {
    if (cover.session.view() != session) continue;
    if (!cover.from) {
      cover.from = witness;
      if (ids_ != TradeIds::contiguous && cover.alive && considered_) look_again(Timestamp::min(), *considered_);
    }
    cover_until(cover, witness);
    break;
  }
  if (ids_ == TradeIds::contiguous && !tails_.contains(static_cast<std::uint32_t>(eras_.size() - 1)) &&
      !eras_.back().empty()) {
    for (const Cover& cover : covers_) {
      const Timestamp known = *top_end();
      if (cover.session.view() != session || !cover.from || witness < *cover.from + setting_.rules.settle ||
          *cover.from <= known)
        continue;
      if (tail(known, *cover.from) != Tail::covered) open_tail(eras_.back().top().time);
      break;
    }
  }
  move_frontier(witness);
  settle();
}

}  // namespace truetape::market
