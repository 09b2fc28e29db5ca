#include "stores/upper_open.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "codec/roll_up.h"

namespace truetape {
namespace {

using Stream = std::pair<Instrument, Tape>;
using Key = std::tuple<Instrument, Tape, Interval, Timestamp>;

Key key_of(const Candle& c) { return {c.instrument, c.tape, c.interval, c.start}; }

// Rolls the rows of one stream up into one larger interval, window by window.
class Roller {
 public:
  Roller(Interval interval, const std::map<Stream, std::vector<Gap>>& gaps, const std::map<Stream, Timestamp>& known)
      : interval_{interval}, gaps_{gaps}, known_{known} {}

  void add(const Candle& base, std::map<Key, Candle>& out) {
    if (!bases_.empty() && (bases_.front().instrument != base.instrument || bases_.front().tape != base.tape ||
                            window_start(bases_.front().start, interval_) != window_start(base.start, interval_)))
      close(out);
    bases_.push_back(base);
  }
  void close(std::map<Key, Candle>& out) {
    if (bases_.empty()) return;
    const Stream stream{bases_.front().instrument, bases_.front().tape};
    const auto gaps = gaps_.find(stream);
    const auto known = known_.find(stream);
    if (auto candle = roll_up(bases_, interval_, gaps == gaps_.end() ? std::span<const Gap>{} : std::span{gaps->second},
                              known == known_.end() ? std::nullopt : std::optional{known->second}))
      out.insert_or_assign(key_of(*candle), *candle);
    bases_.clear();
  }

 private:
  Interval interval_;
  const std::map<Stream, std::vector<Gap>>& gaps_;
  const std::map<Stream, Timestamp>& known_;
  std::vector<Candle> bases_;
};

// Where what is known of a stream begins, by its first closed row of `interval`, of at least a minute: windows of less
// have no row where they have no trade. nullopt: no such window has closed yet.
Result<std::optional<Timestamp>> known_from(const History& history, const Stream& stream, Interval interval) {
  Selection first;
  first.instrument = stream.first;
  first.tape = stream.second;
  first.interval = interval;
  first.limit = 1;
  std::optional<Timestamp> out;
  const Status done = history.candles(first, [&](const Candle& c) {
    if (c.status != CandleStatus::open)
      out = c.completeness == Completeness::partial ? c.start + Nanoseconds{1} : c.start;
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

// Every window of a larger interval that may be open; of those that have closed the store has a row, which wins.
Result<std::map<Key, Candle>> open_candidates(const History& history, std::span<const Interval> intervals,
                                              const Selection& what) {
  std::map<Key, Candle> out;
  Selection stream;
  stream.instrument = what.instrument;
  stream.tape = what.tape;

  std::optional<Interval> base;
  Selection first = stream;
  first.limit = 1;
  if (Status done = history.candles(first, [&](const Candle& c) { return base = c.interval, true; }); !done)
    return tl::unexpected{done.error()};
  std::vector<Interval> larger;
  for (const Interval interval : intervals)
    if (base && interval > *base && interval.count() % base->count() == 0 &&
        (!what.interval || *what.interval == interval))
      larger.push_back(interval);
  if (larger.empty()) return out;

  // Before `closed_until` of every stream no window is open. It lags, so it never says too much.
  std::optional<Timestamp> closed_until = Timestamp::max();
  if (Status done = history.progress(stream,
                                     [&](const Progress& p) {
                                       closed_until = p.closed_until && closed_until
                                                          ? std::optional{std::min(*closed_until, *p.closed_until)}
                                                          : std::nullopt;
                                       return true;
                                     });
      !done)
    return tl::unexpected{done.error()};
  // It is the newest log's; of one that the store held before, windows may have stayed open anywhere.
  const auto logs = history.logs();
  if (!logs) return tl::unexpected{logs.error()};
  if (*logs > 1) closed_until.reset();
  std::map<Stream, std::vector<Gap>> gaps;
  if (Status done = history.gaps(stream,
                                 [&](const Gap& g) {
                                   if (g.state != GapState::repaired && g.state != GapState::absent)
                                     gaps[{g.instrument, g.tape}].push_back(g);
                                   return true;
                                 });
      !done)
    return tl::unexpected{done.error()};

  Selection bases = stream;
  bases.interval = base;
  if (closed_until && *closed_until != Timestamp::max()) bases.from = window_start(*closed_until, larger.back());
  if (what.from) bases.from = std::max(bases.from.value_or(*what.from), window_start(*what.from, larger.back()));
  bases.to = what.to ? std::optional{window_start(*what.to, larger.back()) + larger.back()} : std::nullopt;
  std::map<Stream, Timestamp> known;
  const auto minute = std::ranges::find_if(intervals, [](Interval i) { return i >= std::chrono::minutes{1}; });
  std::optional<Stream> current;
  Status looked;
  std::vector<Roller> rollers;
  for (const Interval interval : larger) rollers.emplace_back(interval, gaps, known);
  if (Status done = history.candles(bases,
                                    [&](const Candle& c) {
                                      if (!current || *current != Stream{c.instrument, c.tape}) {
                                        current = {c.instrument, c.tape};
                                        if (minute != intervals.end()) {
                                          const auto from = known_from(history, *current, *minute);
                                          if (!from) return looked = tl::unexpected{from.error()}, false;
                                          if (*from) known.emplace(*current, **from);
                                        }
                                      }
                                      for (Roller& roller : rollers) roller.add(c, out);
                                      return true;
                                    });
      !done)
    return tl::unexpected{done.error()};
  if (!looked) return tl::unexpected{looked.error()};
  for (Roller& roller : rollers) roller.close(out);
  std::erase_if(out, [&](const auto& entry) {
    const Timestamp start = std::get<Timestamp>(entry.first);
    return (what.from && start < *what.from) || (what.to && start >= *what.to);
  });
  return out;
}

}  // namespace

Status candles_with_open(const History& history, std::span<const Interval> intervals, const Selection& what,
                         const std::function<bool(const Candle&)>& row) {
  auto open = open_candidates(history, intervals, what);
  if (!open) return tl::unexpected{open.error()};
  std::uint64_t left = what.limit.value_or(std::numeric_limits<std::uint64_t>::max());
  bool wanted = left > 0;
  const auto give = [&](const Candle& c) {
    wanted = row(c) && --left > 0;
    return wanted;
  };
  auto next = open->begin();
  if (Status done = history.candles(what,
                                    [&](const Candle& stored) {
                                      const Key key = key_of(stored);
                                      while (wanted && next != open->end() && next->first < key) give((next++)->second);
                                      if (next != open->end() && next->first == key) ++next;
                                      return wanted && give(stored);
                                    });
      !done)
    return done;
  while (wanted && next != open->end()) give((next++)->second);
  return {};
}

}  // namespace truetape
