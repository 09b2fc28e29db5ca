// Which windows may have changed: only so that long histories can be judged in less time. A test compares this with
// looking at every window each time.
#include <algorithm>

#include "model.h"

namespace truetape::model {
namespace {

constexpr Timestamp kEver = Timestamp::max();

Span ordered(Timestamp a, Timestamp b) { return {std::min(a, b), std::max(a, b)}; }
Span span(const Run& r) { return ordered(r.t_lo, r.t_hi); }
Span span(const Hole& h) { return ordered(h.from, h.to); }

// The spans of what is in one list and not in the other. Lists are short: runs, holes.
template <class T>
void differing(const std::vector<T>& before, const std::vector<T>& now, std::vector<Span>& out) {
  std::size_t head = 0, tail = 0;
  const std::size_t least = std::min(before.size(), now.size());
  while (head < least && before[head] == now[head]) ++head;
  while (tail < least - head && before[before.size() - 1 - tail] == now[now.size() - 1 - tail]) ++tail;
  for (std::size_t i = head; i + tail < before.size(); ++i) out.push_back(span(before[i]));
  for (std::size_t i = head; i + tail < now.size(); ++i) out.push_back(span(now[i]));
}

void add_gap(const GapLife& g, std::vector<Span>& out) {
  out.push_back(ordered(g.from, g.to.value_or(kEver)));
  out.push_back(ordered(g.touched_from, g.touched_to.value_or(kEver)));
}

// What sessions tell of: the time after each era's last id.
void add_tails(const std::vector<Run>& runs, std::vector<Span>& out) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i + 1 == runs.size()) {
      out.push_back({runs[i].t_hi, kEver});
    } else if (runs[i + 1].era != runs[i].era) {
      out.push_back(ordered(runs[i].t_hi, runs[i + 1].t_lo));
    }
  }
}

bool meet(const Span& a, const Span& b) { return a.from <= b.to && b.from <= a.to; }

}  // namespace

Looked Looked::at(const Book& b) {
  Looked out;
  out.runs = b.facts.runs();
  out.holes = b.facts.holes();
  out.pending = b.pending;
  out.merged = b.facts.merged();
  out.held_times = b.facts.held_times();
  out.gaps = b.gaps;
  out.ranges = b.ranges;
  out.eras = b.facts.eras.size();
  out.frontier = b.frontier;
  for (const auto& [id, s] : b.facts.sessions) out.sessions.emplace_back(s.alive, s.begin);
  return out;
}

std::optional<std::vector<Span>> Looked::changed(const Looked& now, const Rules& rules, const Facts& facts) const {
  // These happen seldom, and reach far.
  if (eras != now.eras || merged != now.merged || ranges != now.ranges || sessions != now.sessions ||
      held_times != now.held_times || runs.empty() || !frontier != !now.frontier)
    return std::nullopt;
  std::vector<Span> out;
  differing(runs, now.runs, out);
  differing(holes, now.holes, out);
  differing(pending, now.pending, out);
  if (runs.front() != now.runs.front()) out.push_back(ordered(runs.front().t_lo, now.runs.front().t_lo));  // rule 4
  for (std::size_t i = 0; i < now.gaps.size(); ++i) {
    if (i < gaps.size() && gaps[i] == now.gaps[i]) continue;
    if (i < gaps.size()) add_gap(gaps[i], out);
    add_gap(now.gaps[i], out);
  }
  add_tails(runs, out);
  add_tails(now.runs, out);
  // A declaration carries a change as far as it reaches itself, and into the runs that it extends.
  for (bool grown = !merged.empty(); grown;) {
    grown = false;
    const auto take = [&](const Span& s) {
      const bool near = std::any_of(out.begin(), out.end(), [&](const Span& x) { return meet(x, s); });
      const bool inside =
          std::any_of(out.begin(), out.end(), [&](const Span& x) { return x.from <= s.from && s.to <= x.to; });
      if (near && !inside) {
        out.push_back(s);
        grown = true;
      }
    };
    for (const Span& d : merged) take(d);
    for (const Run& r : now.runs)
      if (std::any_of(merged.begin(), merged.end(), [&](const Span& d) { return meet(d, span(r)); })) take(span(r));
  }
  // Windows hang on what lies a hold before and after them, quiet ones on all that lies behind the trade before.
  for (Span& s : out) {
    s.from = s.from > Timestamp::min() + rules.hold ? s.from - rules.hold : Timestamp::min();
    if (s.to < kEver - rules.hold) s.to = facts.next_after(s.to + rules.hold).value_or(kEver);
  }
  if (frontier && frontier != now.frontier)
    for (const Nanoseconds wait : {rules.bound, rules.horizon}) out.push_back({*frontier - wait, *now.frontier - wait});
  return out;
}

std::vector<std::pair<Interval, Timestamp>> Model::windows_of(const Book& b, std::vector<Span> spans) const {
  std::sort(spans.begin(), spans.end(), [](const Span& x, const Span& y) { return x.from < y.from; });
  std::vector<Span> joined;
  for (const Span& s : spans) {
    if (!joined.empty() && s.from <= joined.back().to) {
      joined.back().to = std::max(joined.back().to, s.to);
    } else {
      joined.push_back(s);
    }
  }
  std::vector<std::pair<Interval, Timestamp>> out;
  for (const Interval interval : rules_.intervals) {
    Timestamp next = Timestamp::min();  // the first window that is not yet in the list
    for (const Span& s : joined) {
      const Timestamp least = s.from < Timestamp::min() + interval ? Timestamp::min() : s.from - interval;
      auto it = b.unsealed.lower_bound({interval, std::max(least, next)});
      for (; it != b.unsealed.end() && it->first == interval && it->second <= s.to; ++it) {
        out.push_back(*it);
        next = it->second + Nanoseconds{1};
      }
    }
  }
  return out;
}

}  // namespace truetape::model
