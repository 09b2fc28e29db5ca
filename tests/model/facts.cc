#include "facts.h"

#include <algorithm>

namespace truetape::model {

namespace {
bool is_accepted(const Fact& f) { return f.standing == Standing::accepted || f.standing == Standing::empty; }
bool below(const Ids::Entry& entry, Id id) { return entry.first < id; }
}  // namespace

const Fact* Ids::find(Id id) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), id, below);
  return it == entries_.end() || it->first != id ? nullptr : &it->second;
}

bool Ids::add(Id id, Fact fact) {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), id, below);
  if (it != entries_.end() && it->first == id) return false;
  ever_held_ = ever_held_ || fact.standing == Standing::held;
  entries_.emplace(it, id, std::move(fact));
  return true;
}

void Ids::set(Id id, Fact fact) {
  if (Fact* there = find(id)) {
    *there = std::move(fact);
  } else {
    add(id, std::move(fact));
  }
}

void Ids::erase(Id id) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.first == id; });
}

const Fact* Facts::find(std::uint32_t era, Id id) const { return era >= eras.size() ? nullptr : eras[era].find(id); }

std::optional<Id> Facts::top(std::uint32_t era) const {
  if (era >= eras.size()) return std::nullopt;
  for (auto it = eras[era].rbegin(); it != eras[era].rend(); ++it)
    if (is_accepted(it->second)) return it->first;
  return std::nullopt;
}

// Which held ids are known, and which count for rule 1: by the times of their nearest accepted neighbours.
void Facts::refresh_held(Ids& ids) {
  std::vector<std::pair<Fact*, std::optional<Timestamp>>> waiting;  // for the neighbour above; with the one below
  std::optional<Timestamp> lower;
  const auto decide = [&](const std::optional<Timestamp>& upper) {
    for (auto& [fact, before] : waiting) {
      const bool fits = (!before || *before <= fact->time) && (!upper || fact->time <= *upper);
      if (fits || fact->known) held_times_.push_back(fact->time);
      if (fits && before && upper) fact->known = true;
    }
    waiting.clear();
  };
  for (auto& [id, fact] : ids) {
    if (fact.standing == Standing::held) waiting.emplace_back(&fact, lower);
    if (!is_accepted(fact)) continue;
    decide(fact.time);
    lower = fact.time;
  }
  decide(std::nullopt);
}

// Two neighbours of a page say nothing once a trade between them is known. Stretches that share a trade are one.
void Facts::refresh_loose() {
  stretches_.clear();
  for (const auto& [x, y] : pages) {
    const auto between =
        std::find_if(eras[0].begin(), eras[0].end(), [&, a = x](const auto& e) { return e.first > a; });
    if (between->first != y) continue;
    stretches_.push_back({x, y, eras[0].find(x)->time, eras[0].find(y)->time});
  }
  std::sort(stretches_.begin(), stretches_.end(),
            [](const Stretch& a, const Stretch& b) { return std::tie(a.first, a.last) < std::tie(b.first, b.last); });
  std::vector<Stretch> joined;
  for (const Stretch& s : stretches_) {
    if (joined.empty() || joined.back().last < s.first) {
      joined.push_back(s);
    } else if (s.last > joined.back().last) {
      joined.back().last = s.last;
      joined.back().to = s.to;
    }
  }
  stretches_ = joined;
}

void Facts::refresh() {
  if (loose) return refresh_loose();
  runs_.clear();
  holes_.clear();
  held_times_.clear();
  for (std::uint32_t era = 0; era < eras.size(); ++era) {
    if (eras[era].ever_held()) refresh_held(eras[era]);
    // Maximal stretches of ids that follow each other; absent ids at their ends are not part of them.
    const std::size_t first = runs_.size();
    std::optional<Id> previous;  // known id
    bool in_run = false;
    for (const auto& [id, fact] : eras[era]) {
      if (fact.standing == Standing::held && !fact.known) continue;
      if (!previous || *previous + 1 != id) in_run = false;
      previous = id;
      if (fact.standing == Standing::absent) continue;
      if (!in_run) runs_.push_back({id, id, fact.time, fact.time, era});
      in_run = true;
      runs_.back().hi = id;
      runs_.back().t_hi = fact.time;
    }
    for (std::size_t i = first; i + 1 < runs_.size(); ++i) {
      const Run& left = runs_[i];
      const Run& right = runs_[i + 1];
      holes_.push_back({era, left.hi + 1, right.lo - 1, right.lo - left.hi - 1, left.t_hi, right.t_lo});
    }
  }
  merged_ = declared;
  std::sort(merged_.begin(), merged_.end(), [](const Span& a, const Span& b) { return a.from < b.from; });
  std::vector<Span> out;
  for (const Span& d : merged_) {
    if (!out.empty() && d.from <= out.back().to) {
      out.back().to = std::max(out.back().to, d.to);
    } else {
      out.push_back(d);
    }
  }
  merged_ = out;
}

bool Facts::in_a_run(Timestamp s, Timestamp e, const Trade* with) const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const Run& run) { return (!with || run.holds(*with)) && run.t_lo < s && run.t_hi >= e; });
}

Proof Facts::whole_by_runs(Timestamp s, Timestamp e) const {
  if (in_a_run(s, e, nullptr)) return Proof::ids;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const Run& run = runs_[i];
    const bool has_left = i > 0 && runs_[i - 1].era == run.era;
    const bool has_right = i + 1 < runs_.size() && runs_[i + 1].era == run.era;
    bool begins = run.t_lo < s, reaches = run.t_hi >= e;
    for (const Span& d : merged_) {
      if (d.from <= run.t_lo && run.t_lo < d.to && (!has_left || runs_[i - 1].t_hi < d.from) && d.from <= s)
        begins = true;
      if (d.from <= run.t_hi && run.t_hi < d.to && (!has_right || runs_[i + 1].t_lo >= d.to) && d.to >= e)
        reaches = true;
    }
    if (begins && reaches) return Proof::declared;
  }
  return Proof::none;
}

bool Facts::covered(Timestamp from, Timestamp to) const {
  // Walks from `from` to the right as long as some alive session's coverage holds the point.
  Timestamp at = from;
  for (bool moved = true; moved && at < to;) {
    moved = false;
    for (const auto& [id, s] : sessions) {
      if (!s.alive || !s.begin || !s.end) continue;
      if (*s.begin <= at && at < *s.end) {
        at = *s.end;
        moved = true;
      }
    }
  }
  return at >= to;
}

std::uint64_t Facts::held_in(Timestamp s, Timestamp e) const {
  std::uint64_t n = 0;
  for (const Timestamp t : held_times_)
    if (t >= s && t < e) ++n;
  return n;
}

std::vector<const Trade*> Facts::trades_in(Timestamp s, Timestamp e) const {
  std::vector<const Trade*> out;
  for (auto it = by_time_.lower_bound({s, {0, 0}}); it != by_time_.end() && it->first.first < e; ++it)
    out.push_back(it->second.get());
  return out;
}

bool Facts::any_trade_in(Timestamp s, Timestamp e) const {
  const auto it = by_time_.lower_bound({s, {0, 0}});
  return it != by_time_.end() && it->first.first < e;
}

const Trade* Facts::last_before(Timestamp s) const {
  auto it = by_time_.lower_bound({s, {0, 0}});
  return it == by_time_.begin() ? nullptr : std::prev(it)->second.get();
}

std::optional<Timestamp> Facts::next_after(Timestamp t) const {
  const auto it = by_time_.lower_bound({t + Nanoseconds{1}, {0, 0}});
  return it == by_time_.end() ? std::nullopt : std::optional{it->first.first};
}

std::optional<Timestamp> Facts::first_time() const {
  if (loose) return by_time_.empty() ? std::nullopt : std::optional{by_time_.begin()->first.first};
  std::optional<Timestamp> first;
  for (const Run& r : runs_)
    if (!first || r.t_lo < *first) first = r.t_lo;
  for (const Span& d : merged_)
    if (first && d.from < *first && *first < d.to) first = d.from;
  return first;
}

std::optional<Run> Facts::first_run(std::uint32_t era) const {
  for (const Run& r : runs_)
    if (r.era == era) return r;
  return std::nullopt;
}

std::uint32_t Facts::era_of(Id id, Timestamp time) const {
  auto era = static_cast<std::uint32_t>(eras.size() - 1);
  for (; era > 0; --era) {
    const auto first = first_run(era);
    if (!first || time >= first->t_lo) break;
    const auto last = top(era - 1);
    const bool between = last && time > eras[era - 1].find(*last)->time;
    if (between && (id < first->lo || (id < *last && id - first->lo < *last - id))) break;
  }
  return era;
}

std::optional<Timestamp> Facts::tail() const {
  if (loose) return by_time_.empty() ? std::nullopt : std::optional{by_time_.rbegin()->first.first};
  if (runs_.empty() || runs_.back().era + 1 != eras.size()) return std::nullopt;
  Timestamp end = runs_.back().t_hi;
  for (const Span& d : merged_)
    if (d.from <= runs_.back().t_hi && runs_.back().t_hi < d.to) end = std::max(end, d.to);
  return end;
}

void Facts::index(const Fact& fact, std::uint32_t era, Id id) { by_time_[{fact.time, {era, id}}] = fact.trade; }

void fold_values(const std::vector<const Trade*>& trades, Candle& c) {
  Amount volume, buy_volume;
  Turnover turnover, buy_turnover;
  std::uint64_t count = 0;
  bool sides_known = true;
  for (const Trade* t : trades) {
    if (!c.open) {
      c.open = c.high = c.low = t->price;
      c.first_id = t->order;
      c.first_time = content_time(t->event_time);
    }
    c.high = std::max(*c.high, t->price);
    c.low = std::min(*c.low, t->price);
    c.close = t->price;
    c.last_id = t->order;
    c.last_time = content_time(t->event_time);
    volume.units += to_amount(t->quantity).units;
    turnover.add(t->price, t->quantity);
    count += t->count();
    if (t->taker_side == Side::unknown) sides_known = false;
    if (t->taker_side == Side::buy) {
      buy_volume.units += to_amount(t->quantity).units;
      buy_turnover.add(t->price, t->quantity);
    }
  }
  if (trades.empty()) return;
  c.volume = volume;
  c.quote_volume = turnover.rounded();
  c.trades = count;
  c.vwap = turnover.per(volume);
  if (sides_known) {
    c.taker_buy_volume = buy_volume;
    c.taker_buy_quote_volume = buy_turnover.rounded();
  }
}

// Rules 5 to 7: what sessions say of the end of every era that the window touches.
void Facts::judge_tails(Timestamp s, Timestamp e, Verdict& v) const {
  bool broken = false, silent = runs_.empty();
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const bool newest = i + 1 == runs_.size();
    if (!newest && runs_[i + 1].era == runs_[i].era) continue;
    const Timestamp from = newest ? *tail() : runs_[i].t_hi;
    if (from >= e || (!newest && runs_[i + 1].t_lo < s)) continue;
    const Timestamp to = newest ? e : std::min(e, runs_[i + 1].t_lo);
    bool holds = false, after = false;  // some alive coverage holds the last known time | ends after it
    for (const auto& [id, session] : sessions) {
      if (!session.alive || !session.begin || !session.end) continue;
      if (*session.begin <= from && from <= *session.end) holds = true;
      if (*session.end >= from) after = true;
    }
    if (after && !holds) v.cover_unclear = true;
    if (!holds) {
      silent = true;
    } else if (!covered(from, to)) {
      broken = true;
    }
  }
  v.rule = broken ? 6 : silent ? 7 : 5;
  v.candle.completeness = broken ? Completeness::gap : Completeness::unverifiable;
  if (broken) v.candle.proof = Proof::session;
}

// Without ids nothing is proved but by pages; a break in the cover by sessions, from the first of them on, is a gap.
void Facts::judge_loose(Timestamp s, Timestamp e, Verdict& v) const {
  v.rule = 7;
  v.candle.completeness = Completeness::unverifiable;
  std::optional<Timestamp> first;
  for (const auto& [id, session] : sessions)
    if (session.alive && session.begin && session.end) first = std::min(first.value_or(*session.begin), *session.begin);
  if (!first) return;
  const Timestamp from = std::max(s, *first);
  const bool reached = std::any_of(sessions.begin(), sessions.end(), [&](const auto& x) {
    return x.second.alive && x.second.begin && x.second.end && *x.second.end >= from;
  });
  if (!reached || covered(from, e)) return;
  v.rule = 6;
  v.candle.completeness = Completeness::gap;
  v.candle.proof = Proof::session;
}

Verdict Facts::judge(Timestamp s, Interval interval, bool with_values) const {
  const Timestamp e = s + interval;
  Verdict v;
  Candle& c = v.candle;
  c.interval = interval;
  c.start = s;
  v.has_trade = any_trade_in(s, e);
  c.held = held_in(s, e);
  const auto whole = [&](int rule, Proof proof) {
    v.rule = rule;
    c.completeness = v.has_trade ? Completeness::complete : Completeness::quiet;
    c.proof = proof;
  };
  const auto rule_3 = [&] {
    bool any = false;
    std::uint64_t missing = 0;
    for (const Hole& h : holes_) {
      if (!h.touches(s, e)) continue;
      any = true;
      missing += h.missing;
    }
    if (any) c.missing = missing;
    return any;
  };
  Proof proof = whole_by_runs(s, e);
  for (const Stretch& stretch : stretches_)
    if (stretch.from < s && stretch.to >= e) proof = Proof::overlap;
  const auto rule_4 = [&] {
    if (runs_.empty() || proof != Proof::none || runs_.front().t_lo < s) return false;
    // A declaration that begins at or before s stands for the missing neighbour before the first run.
    return std::none_of(merged_.begin(), merged_.end(), [&](const Span& d) {
      return d.from <= runs_.front().t_lo && runs_.front().t_lo < d.to && d.from <= s;
    });
  };
  if (loose && proof == Proof::none) {
    judge_loose(s, e, v);
  } else if (rule_4()) {
    v.rule = 4;
    c.completeness = Completeness::partial;
  } else if (c.held > 0) {
    v.rule = 1;
    c.completeness = Completeness::gap;
    if (!rule_3()) c.missing = 0;
  } else if (proof != Proof::none) {
    whole(2, proof);
  } else if (rule_3()) {
    v.rule = 3;
    c.completeness = Completeness::gap;
    c.proof = Proof::ids;
  } else {
    judge_tails(s, e, v);
    if (v.rule == 5) whole(5, Proof::session);
  }
  if (!with_values) return v;
  if (v.has_trade) {
    fold_values(trades_in(s, e), c);
  } else if (c.completeness == Completeness::quiet) {
    if (const Trade* last = last_before(s)) c.open = c.high = c.low = c.close = last->price;
    c.volume = Amount{};
    c.quote_volume = Amount{};
    c.trades = 0;
  }
  return v;
}

}  // namespace truetape::model
