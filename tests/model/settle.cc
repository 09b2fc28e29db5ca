// The judge after each item: what becomes of gaps and windows (docs/semantics.md sections 4, 5 and 7).
#include <algorithm>

#include "model.h"

namespace truetape::model {
namespace {

bool is_active(const GapLife& g) { return g.state == GapState::open || g.state == GapState::lost; }
bool is_ended(const GapLife& g) { return g.state == GapState::repaired || g.state == GapState::absent; }
bool meets(const Span& span, const Hole& h) { return h.from < span.to && h.to >= span.from; }

}  // namespace

void Model::settle(Book& b, const Span* ended_range) {
  b.facts.refresh();
  while (bridge(b)) b.facts.refresh();
  settle_gaps(b, ended_range);
  list_windows(b);
  settle_windows(b);
}

// Items that were neighbours, and are both known now: nothing is between them. True: something was not known so.
bool Model::bridge(Book& b) {
  bool any = false;
  std::erase_if(b.bridges, [&](const Book::Bridge& x) {
    Ids& ids = b.facts.eras[x.era];
    const auto is_known = [&](Id id) {
      const Fact* fact = ids.find(id);
      return fact != nullptr && (fact->standing != Standing::held || fact->known);
    };
    if (!is_known(x.from) || !is_known(x.to)) return false;
    for (Id id = x.from + 1; id < x.to; ++id) any |= ids.add(id, {.standing = Standing::absent});
    return true;
  });
  return any;
}

void Model::settle_gaps(Book& b, const Span* ended_range) {
  const auto& holes = b.facts.holes();
  std::vector<GapLife> parts_added;
  const auto place = [](GapLife& g, const Hole& h) {
    g.missing = h.missing;
    g.lacks_from = h.first;
    g.lacks_to = h.last;
    g.from = h.from;
    g.to = h.to;
  };
  for (GapLife& g : b.gaps) {
    if (!is_active(g)) continue;
    if (g.tail) {
      const auto last =
          std::find_if(b.facts.runs().rbegin(), b.facts.runs().rend(), [&](const Run& r) { return r.era == g.era; });
      const auto next =
          std::find_if(b.facts.runs().begin(), b.facts.runs().end(), [&](const Run& r) { return r.era > g.era; });
      if (next != b.facts.runs().end()) g.to = next->t_lo;
      if (last == b.facts.runs().rend() || last->hi < g.key) continue;
      const auto hole =
          std::find_if(holes.begin(), holes.end(), [&](const Hole& h) { return h.era == g.era && h.first == g.key; });
      if (hole == holes.end()) {
        g.state = GapState::absent;
        g.was_tail = true;
        g.to = g.touched_to = b.facts.tail();
      } else {
        g.tail = false;
        g.state = GapState::open;
        g.last = hole->last;
        place(g, *hole);
      }
      continue;
    }
    std::vector<const Hole*> parts;
    for (const Hole& h : holes)
      if (h.era == g.era && h.first <= *g.last && h.last >= g.first) parts.push_back(&h);
    if (parts.empty()) {
      bool all_absent = true;
      for (Id id = g.key; id <= *g.last && all_absent; ++id) {
        const Fact* f = b.facts.find(g.era, id);
        all_absent = f != nullptr && f->standing == Standing::absent;
      }
      g.state = all_absent ? GapState::absent : GapState::repaired;
      continue;
    }
    for (std::size_t i = 1; i < parts.size(); ++i) {
      GapLife right = g;
      right.key = right.first = parts[i]->first;
      right.last = parts[i]->last;
      right.split_off = true;
      place(right, *parts[i]);
      parts_added.push_back(right);
    }
    if (parts.size() > 1) g.last = parts.front()->last;
    if (g.missing != parts.front()->missing) g.shrunk = true;
    place(g, *parts.front());
  }
  b.gaps.insert(b.gaps.end(), parts_added.begin(), parts_added.end());

  b.pending.clear();
  for (const Hole& h : holes) {
    const bool is_gap = std::any_of(b.gaps.begin(), b.gaps.end(), [&](const GapLife& g) {
      return is_active(g) && !g.tail && g.era == h.era && h.first <= *g.last && h.last >= g.first;
    });
    if (is_gap) continue;
    const bool announced =
        std::any_of(b.ranges.begin(), b.ranges.end(), [&](const auto& r) { return meets(r.second, h); });
    const bool opens = !announced && ((b.frontier && *b.frontier >= h.to + rules_.settle) ||
                                      (ended_range != nullptr && meets(*ended_range, h)));
    if (!opens) {
      b.pending.push_back(h);
      b.pending_since.try_emplace({h.era, h.last}, b.frontier);
      continue;
    }
    GapLife g;
    g.era = h.era;
    g.key = g.first = h.first;
    g.last = h.last;
    place(g, h);
    g.touched_from = h.from;
    g.touched_to = h.to;
    g.opened_at = b.frontier;
    if (const auto since = b.pending_since.find({h.era, h.last}); since != b.pending_since.end())
      g.opened_at = since->second;
    b.gaps.push_back(g);
  }
}

bool Model::closable(const Book& b, Timestamp s, Timestamp e) const {
  if (b.facts.proven(s, e)) return true;
  for (const Hole& h : b.pending)
    if (h.touches(s, e)) return false;
  if (b.frontier && *b.frontier >= e + rules_.bound) return true;
  const auto known_to = b.facts.tail();
  if (!known_to || *known_to < e) return false;
  return std::none_of(b.ranges.begin(), b.ranges.end(),
                      [&](const auto& r) { return r.second.from < e && r.second.to > s; });
}

bool Model::sealable(const Book& b, Timestamp s, Timestamp e, bool quiet) const {
  const Trade* price = quiet ? b.facts.last_before(s) : nullptr;
  const Timestamp to = e + rules_.hold;
  Timestamp from = s - rules_.hold;
  if (quiet) from = price ? content_time(price->event_time) - rules_.hold : Timestamp::min();
  if (b.facts.held_in(from, to) > 0) return false;
  if ((!quiet || price) && b.facts.in_a_run(from, to, price)) return true;
  if (!b.frontier || *b.frontier < e + rules_.horizon) return false;
  for (const Hole& h : b.pending)
    if (h.touches(from, to)) return false;
  for (const GapLife& g : b.gaps)
    if (is_active(g) && g.touches(from, to)) return false;
  return true;
}

bool Model::touched_too_late(const Book& b, Timestamp s, Timestamp e) const {
  const Timestamp from = s - rules_.hold, to = e + rules_.hold;
  if (!b.frontier || *b.frontier < e + rules_.horizon) return false;
  bool any = false, in_time = false;
  const auto look = [&](std::optional<Timestamp> since) {
    any = true;
    if (!since || *since < e + rules_.horizon) in_time = true;
  };
  for (const Hole& h : b.pending)
    if (h.touches(from, to)) look(b.pending_since.at({h.era, h.last}));
  for (const GapLife& g : b.gaps)
    if (is_active(g) && g.touches(from, to)) look(g.opened_at);
  return any && !in_time;
}

void Model::list_windows(Book& b) {
  const auto first = b.facts.first_time();
  if (!first) return;
  // What was known until now decides for the windows that are new; the rest of this function lists them.
  Timestamp last = std::max(*first, b.facts.tail().value_or(*first));
  for (const Run& r : b.facts.runs()) last = std::max(last, r.t_hi);
  if (b.frontier) last = std::max(last, *b.frontier);
  for (const Interval interval : rules_.intervals) {
    if (interval < std::chrono::minutes{1}) continue;
    const Timestamp from = window_start(*first, interval), to = window_start(last, interval) + interval;
    auto& [listed_from, listed_to] = b.listed.try_emplace(interval, from, from).first->second;
    for (; listed_from > from; listed_from -= interval) list(b, interval, listed_from - interval);
    for (; listed_to < to; listed_to += interval) list(b, interval, listed_to);
  }
  b.known_from = first;
}

void Model::settle_windows(Book& b) {
  std::optional<std::vector<Span>> spans;
  if (pace_ == Pace::quick && !b.facts.loose) {
    Looked now = Looked::at(b);
    spans = b.looked.changed(now, rules_, b.facts);
    if (spans) spans->insert(spans->end(), b.touched.begin(), b.touched.end());
    b.looked = std::move(now);
  }
  b.touched.clear();
  const auto all = [&] { return std::vector<std::pair<Interval, Timestamp>>{b.unsealed.begin(), b.unsealed.end()}; };
  for (const auto& key : spans ? windows_of(b, *spans) : all()) {
    Life& life = b.windows.at(key);
    settle_window(b, key.first, key.second, life);
    if (life.sealed) b.unsealed.erase(key);
  }
}

void Model::settle_window(Book& b, Interval interval, Timestamp s, Life& life) {
  const Timestamp e = s + interval;
  const Verdict v = b.facts.judge(s, interval, false);
  std::optional<Decimal> flat;
  if (v.candle.completeness == Completeness::quiet)
    if (const Trade* last = b.facts.last_before(s)) flat = last->price;
  bool touched = false;
  for (const GapLife& g : b.gaps) {
    if (is_active(g) && g.touches(s, e)) touched = true;
    if (g.ever_touched(s, e) && (is_ended(g) || !g.touches(s, e))) life.may_repaired = true;
  }
  const bool was_repaired = life.must_repaired;
  if (life.touched && !touched && life.closed && life.last.candle.completeness == Completeness::gap)
    life.must_repaired = life.may_repaired = true;
  life.touched = touched;
  bool changed = false;
  if (!life.closed) {
    if (closable(b, s, e)) {
      life.closed = changed = true;
      life.emitted_empty = !v.has_trade;
      life.repaired_before = life.may_repaired;
    }
  } else {
    changed = v.candle.completeness != life.last.candle.completeness || life.trade_added ||
              (flat && life.flat && flat != life.flat) ||
              (life.must_repaired && !was_repaired && !life.repaired_before);
    life.corrected = life.corrected || changed;
  }
  life.trade_added = false;
  if (changed || !life.closed) {
    life.missing.clear();
    life.proofs.clear();
  }
  life.missing.insert(v.candle.missing);
  life.proofs.insert(v.candle.proof);
  life.last = v;
  life.flat = flat;
  if (v.cover_unclear && life.unclear.empty()) life.unclear = "rules 6 and 7 both fit";
  if (life.closed && sealable(b, s, e, v.candle.completeness == Completeness::quiet)) {
    life.sealed = true;
    life.final = b.facts.judge(s, interval, true).candle;
  }
}

Candle Model::expected(const Book& b, Interval interval, Timestamp start) const {
  const auto it = b.windows.find({interval, start});
  if (it != b.windows.end() && it->second.sealed) return it->second.final;
  return b.facts.judge(start, interval, true).candle;
}

}  // namespace truetape::model
