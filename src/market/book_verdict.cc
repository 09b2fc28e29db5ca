// Completeness of a window: a pure function of what is known (semantics section 4, the rules by their numbers).
#include "market/book.h"

namespace truetape::market {

Book::Verdict Book::judge(Timestamp start, Timestamp end, bool has_trades) const {
  const Completeness full = has_trades ? Completeness::complete : Completeness::quiet;
  Verdict v;
  if (ids_ != TradeIds::contiguous) return judge_loose(start, end, has_trades);
  v.proof = whole_by_ids(start, end);
  v.by_ids = v.proof != Proof::none;
  // 4 comes first: a window in which our knowledge begins stays `partial` whatever else is missing, so that its rows
  // rise in row order until all of it is known.
  if (!v.by_ids && !eras_.front().empty() && eras_.front().first().time >= start) {
    const auto declared = declared_.begin_of(eras_.front().first().time);
    if (!declared || *declared > start) {
      v.completeness = Completeness::partial;
      return v;
    }
  }
  if (held_in(start, end) > 0) {  // 1
    v.completeness = Completeness::gap;
    v.proof = Proof::none;
    v.missing = 0;
    for (const Ledger& ledger : eras_) *v.missing += ledger.missing_in(start, end);
    return v;
  }
  if (v.by_ids) {  // 2
    v.completeness = full;
    v.missing = 0;
    return v;
  }
  std::uint64_t missing = 0;
  for (const Ledger& ledger : eras_) missing += ledger.missing_in(start, end);
  if (missing > 0) {  // 3
    v.completeness = Completeness::gap;
    v.proof = Proof::ids;
    v.missing = missing;
    return v;
  }
  switch (evidence(start, end)) {
    case Tail::covered:  // 5
      v.completeness = full;
      v.proof = Proof::session;
      v.missing = 0;
      break;
    case Tail::broken:  // 6
      v.completeness = Completeness::gap;
      v.proof = Proof::session;
      break;
    case Tail::silent:  // 7
      v.completeness = Completeness::unverifiable;
      break;
  }
  return v;
}

// What sessions say of the parts of a window that no ids tell of: after the last id of each era, up to the next era.
Book::Tail Book::evidence(Timestamp start, Timestamp end) const {
  Tail worst = Tail::covered;
  for (std::size_t era = 0; era < eras_.size(); ++era) {
    if (eras_[era].empty()) return Tail::silent;
    const bool newest = era + 1 == eras_.size();
    const Timestamp from = newest ? *top_end() : eras_[era].top().time;
    const Timestamp to = newest ? end : std::min(end, eras_[era + 1].first().time);
    if (from >= end || (!newest && eras_[era + 1].first().time < start)) continue;
    const Tail part = tail(from, to);
    if (part == Tail::silent && worst == Tail::covered) worst = part;
    if (part == Tail::broken) worst = part;
  }
  return worst;
}

Proof Book::whole_by_ids(Timestamp start, Timestamp end) const {
  // Does the run between two neighbours (absent: none known) hold the window, declarations counted?
  const auto holds = [&](Timestamp low, std::optional<Timestamp> below, Timestamp high,
                         std::optional<Timestamp> above) {
    Proof proof = Proof::ids;
    if (high < end) {
      const auto to = declared_.end_of(high);
      if (!to || *to < end || (above && *above < *to)) return Proof::none;
      proof = Proof::declared;
    }
    if (low >= start) {
      const auto from = declared_.begin_of(low);
      if (!from || *from > start || (below && *below >= *from)) return Proof::none;
      proof = Proof::declared;
    }
    return proof;
  };
  Proof best = Proof::none;
  for (auto ledger = eras_.rbegin(); ledger != eras_.rend(); ++ledger) {
    if (ledger->empty()) continue;
    const auto& holes = ledger->holes();
    const auto judged = [&](Ledger::Holes::const_iterator above, Ledger::Holes::const_iterator below) {
      const bool last = above == holes.end(), first = below == holes.end();
      const Timestamp high = last ? ledger->top().time : above->second.left_time;
      const Timestamp low = first ? ledger->first().time : below->second.right_time;
      const Proof proof = holds(low, first ? std::nullopt : std::optional{below->second.left_time}, high,
                                last ? std::nullopt : std::optional{above->second.right_time});
      if (proof != Proof::none) best = proof;
      return proof == Proof::ids;
    };
    if (ledger->disorder()) {
      // Any run may hold the window, if a declaration that holds its ends is counted in.
      const Timestamp high = std::min(end, declared_.begin_of(end - Nanoseconds{1}).value_or(end));
      if (ledger->any_run(std::max(start, declared_.end_of(start).value_or(start)), high, judged)) return best;
      continue;
    }
    // Runs in falling order, from the first that reaches the end to the one before it: only these two can hold the
    // window.
    auto above = ledger->first_hole_reaching(end);
    for (int tries = 0; tries < 2; ++tries) {
      const bool first = above == holes.begin();
      if (judged(above, first ? holes.end() : std::prev(above))) return best;
      if (first) break;
      --above;
    }
  }
  return best;
}

bool Book::held_touches(Timestamp start, Timestamp end) const { return last_held_in(start, end).has_value(); }

// Time of the newest held id there that counts.
std::optional<Timestamp> Book::last_held_in(Timestamp start, Timestamp end) const {
  std::optional<Timestamp> last;
  held_times_.any([&](const HeldSum& s) { return s.count > 0 && s.least < end && s.greatest >= start; },
                  [&](const HeldTime& h) {
                    if (h.counts && h.time >= start && h.time < end) last = h.time;
                    return last.has_value();
                  });
  return last;
}

std::uint64_t Book::held_in(Timestamp start, Timestamp end) const {
  std::uint64_t count = 0;
  // Whole subtrees count at once: only the two edges of the window are gone down to.
  held_times_.any(
      [&](const HeldSum& s) {
        if (s.count == 0 || s.least >= end || s.greatest < start) return false;
        if (s.least < start || s.greatest >= end) return true;
        count += s.count;
        return false;
      },
      [&](const HeldTime& h) {
        if (h.counts && h.time >= start && h.time < end) ++count;
        return false;
      });
  return count;
}

bool Book::pending_touches(Timestamp start, Timestamp end) const {
  if (pending_ == 0) return false;
  return std::any_of(eras_.begin(), eras_.end(), [&](const Ledger& ledger) { return ledger.pending_in(start, end); });
}

bool Book::gap_touches(Timestamp start, Timestamp end, std::optional<Timestamp>& lost_until) const {
  const auto over = [&](const std::optional<Timestamp>& lost_at) {
    if (!lost_at) return false;
    const Timestamp until = *lost_at + setting_.rules.lost_for;
    if (frontier_ && *frontier_ >= until) return true;
    lost_until = until;
    return false;
  };
  for (const auto& [era, tail] : tails_)
    if (tail.touches(start, end) && !over(tail.lost_at)) return true;
  return std::any_of(eras_.begin(), eras_.end(), [&](const Ledger& ledger) {
    if (ledger.open_in(start, end)) return true;
    const auto lost_at = ledger.last_lost_in(start, end);
    return lost_at && !over(lost_at);
  });
}

std::optional<Timestamp> Book::top_end() const {
  if (ids_ != TradeIds::contiguous) return last_ ? std::optional{last_->time} : std::nullopt;
  if (eras_.back().empty()) return std::nullopt;
  const Timestamp top = eras_.back().top().time;
  return declared_.empty() ? top : declared_.end_of(top).value_or(top);
}

Book::Tail Book::tail(Timestamp from, Timestamp end) const {
  Timestamp position = from;
  bool reached = false;
  for (bool grown = true; grown && position < end;) {
    grown = false;
    const auto take = [&](Timestamp begin, Timestamp until) {
      if (until < from) return;
      reached = true;
      if (begin <= position && until > position) {
        position = until;
        grown = true;
      }
    };
    for (const auto& [begin, until] : covered_.all()) take(begin, until);
    for (const Cover& cover : covers_)
      if (cover.alive && cover.from && cover.end) take(*cover.from, *cover.end);
  }
  if (position >= end) return Tail::covered;
  return reached ? Tail::broken : Tail::silent;
}

}  // namespace truetape::market
