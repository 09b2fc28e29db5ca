// Gaps, progress, quarantine and positions: few rows, compared at once.
#include <algorithm>

#include "batch/audit_parts.h"
#include "codec/keys.h"
#include "core/row_order.h"

namespace truetape::audit_parts {
namespace {

std::string key_of(const Gap& row) {
  std::string out;
  put_key(row, out);
  return out;
}
std::string key_of(const Progress& row) { return row.instrument.str() + ' ' + std::string{name(row.tape)}; }

template <class Row>
struct Both {
  std::optional<Row> log{}, store{};
  bool beyond = false;    // what the store has comes in the log after the store's position
  bool replaced = false;  // a newer row than the store's does, so that the log may have dropped that one already
};

// The last row of each key in the log, up to the store's position, and the store's.
template <class Row, class Wanted, class ReadStore>
Result<std::map<std::string, Both<Row>>> both_sides(Context& context, std::string_view topic, Wanted wanted,
                                                    ReadStore read_store) {
  std::map<std::string, Both<Row>> out;
  for (const std::int32_t partition : context.partitions) {
    const auto done = read_rows<Row>(context, topic, partition, [&](const Row& row) {
      if (!wanted(row)) return true;
      auto& last = out[key_of(row)].log;
      if (!last || replaces(row_order(row), row_order(*last))) last = row;
      return true;
    });
    if (!done) return tl::unexpected{done.error()};
  }
  const Status read = read_store([&](const Row& row) {
    if (wanted(row)) out[key_of(row)].store = row;
    return true;
  });
  if (!read) return tl::unexpected{read.error()};
  for (const std::int32_t partition : context.partitions) {
    const auto done = read_rows<Row>(
        context, topic, partition,
        [&](const Row& row) {
          const auto found = out.find(key_of(row));
          if (found == out.end() || !found->second.store) return true;
          found->second.beyond |= *found->second.store == row;
          found->second.replaced |= replaces(row_order(row), row_order(*found->second.store));
          return true;
        },
        true);
    if (!done) return tl::unexpected{done.error()};
  }
  return out;
}

// What is wrong with a key's two rows; empty: nothing, or nothing that the log must tell.
template <class Row>
std::string verdict(const Context& context, std::string_view topic, const Both<Row>& both, std::int32_t partition,
                    bool excused) {
  if (both.log && both.store && *both.log == *both.store) return {};
  if (both.store && both.replaced && (!both.log || replaces(row_order(*both.store), row_order(*both.log)))) return {};
  if (both.store && both.beyond && !context.other_logs)
    return ": in the store, " + beyond(topic, partition, context.range(topic, partition).next);
  if (!both.store) return ": not in the store";
  if (both.log) {
    if (context.other_logs && row_order(*both.store) > row_order(*both.log) && both.store->epoch != context.log.epoch())
      return {};
    return ' ' + difference(*both.log, *both.store);
  }
  return excused ? std::string{} : ": not in the log";
}

using Place = std::tuple<std::int32_t, std::int64_t, std::uint32_t>;
std::string item_name(const Place& place) {
  return "item " + std::to_string(std::get<2>(place)) + " of raw/" + std::to_string(std::get<0>(place)) + " offset " +
         std::to_string(std::get<1>(place));
}

}  // namespace

namespace {

// Does any of the gap lie in what is looked at? Its ends are trades that are known, so both are included.
bool touches(const Context& context, const Gap& gap) {
  const AuditOptions& asked = context.options;
  return context.selected(gap.instrument) && (!asked.to || gap.from < *asked.to) &&
         (!asked.from || !gap.to || *gap.to >= *asked.from);
}

// The first and last of the days that it touches, of those that are looked at; without an end: the last is not known.
std::pair<Day, std::optional<Day>> days_of(const Context& context, const Gap& gap) {
  const AuditOptions& asked = context.options;
  const Day first = day_of(asked.from ? std::max(gap.from, *asked.from) : gap.from);
  if (!gap.to) return {first, std::nullopt};
  return {first, day_of(asked.to ? std::min(*gap.to, *asked.to - Nanoseconds{1}) : *gap.to)};
}

// Counts the gap on its first and last day, and on those between that have a row: a hole of years makes none.
void count_gap(const Context& context, const Gap& gap, Findings& findings) {
  if (gap.state == GapState::repaired || gap.state == GapState::absent) return;
  const auto count = [&](auto& at) {
    ++(gap.state == GapState::lost ? at.lost : at.open);
    at.missing += gap.missing;
  };
  count(findings);
  const auto [first, last] = days_of(context, gap);
  findings.at(gap.instrument, gap.tape, first);
  if (last) findings.at(gap.instrument, gap.tape, *last);
  for (auto day = findings.days.find({gap.instrument, gap.tape, first}); day != findings.days.end(); ++day) {
    const auto& [instrument, tape, date] = day->first;
    if (!(instrument == gap.instrument) || tape != gap.tape || (last && date > *last)) break;
    count(day->second);
  }
}

}  // namespace

Status audit_gaps(Context& context, Findings& findings) {
  // All rows of a gap, since a later one may say more of where it ends.
  const auto gaps = both_sides<Gap>(
      context, topic::gaps, [&](const Gap& g) { return context.selected(g.instrument); },
      [&](const std::function<bool(const Gap&)>& row) {
        return context.store.gaps({.instrument = context.options.instrument}, row);
      });
  if (!gaps) return tl::unexpected{gaps.error()};
  std::map<DayKey, std::uint64_t> only_store;
  for (const auto& [key, both] : *gaps) {
    const bool in_log = both.log && touches(context, *both.log);
    if (!in_log && !(both.store && touches(context, *both.store))) continue;
    const Gap& gap = in_log || !both.store ? *both.log : *both.store;
    const Day first = days_of(context, gap).first;
    AuditDay& day = findings.at(gap.instrument, gap.tape, first);
    if (in_log) count_gap(context, gap, findings);
    // The log keeps the last row of each gap, however old it is, as of each progress.
    const std::int32_t partition = context.partition(gap.instrument);
    const bool excused = context.other_logs || context.older(topic::gaps, partition, gap.epoch);
    const std::string what = verdict(context, topic::gaps, both, partition, excused);
    if (!what.empty())
      Findings::differ(day, "gap " + (gap.era == 0 ? "" : std::to_string(gap.era) + ':') +
                                std::to_string(gap.first_id) + ' ' + to_rfc3339(gap.from) + what);
    else if (!both.log && excused)
      ++only_store[{gap.instrument, gap.tape, first}];
  }
  for (const auto& [key, count] : only_store)
    Findings::excuse(findings.days.at(key), context, std::to_string(count) + " of its gaps are only in the store");
  return {};
}

Status audit_progress(Context& context, Findings& findings) {
  const auto rows = both_sides<Progress>(
      context, topic::progress, [&](const Progress& p) { return context.selected(p.instrument); },
      [&](const std::function<bool(const Progress&)>& row) {
        return context.store.progress({.instrument = context.options.instrument}, row);
      });
  if (!rows) return tl::unexpected{rows.error()};
  for (const auto& [key, both] : *rows) {
    const Progress& row = both.log ? *both.log : *both.store;
    const std::int32_t partition = context.partition(row.instrument);
    const bool excused = context.other_logs || context.older(topic::progress, partition, row.epoch);
    const std::string what = verdict(context, topic::progress, both, partition, excused);
    if (!what.empty()) findings.differences.push_back("progress of " + key + what);
  }
  return {};
}

// By place in raw; after results were made anew, or what waits was judged again, an item may stand there with a newer
// verdict, or have come out of quarantine. Held are about 100 bytes an item.
Status audit_quarantine(Context& context, Findings& findings) {
  struct Item {
    RowOrder order;
    bool resolved = false;  // the store has it no more
    UInt128 hash = 0;
    bool seen = false;
  };
  std::map<Place, Item> items;
  bool pruned = false;
  const auto wanted = [&](const Quarantined& q) {
    return !context.options.instrument || q.instrument == *context.options.instrument;
  };
  for (const std::int32_t partition : context.partitions) {
    const auto done = read_rows<Quarantined>(context, topic::quarantine, partition, [&](const Quarantined& q) {
      if (!wanted(q)) return true;
      const auto [found, fresh] = items.try_emplace({q.partition, q.offset, q.ordinal});
      if (fresh || replaces(row_order(q), found->second.order))
        found->second = {row_order(q), q.resolution != Resolution::none, hash_of(q)};
      return true;
    });
    if (!done) return done;
    pruned |= context.range(topic::quarantine, partition).remade() || context.leeway(topic::quarantine, partition);
  }
  std::optional<Place> differing, only_store;
  const auto least = [](std::optional<Place>& of, const Place& place) {
    if (!of || place < *of) of = place;
  };
  std::uint64_t foreign = 0;
  const auto read = context.store.quarantine({.instrument = context.options.instrument}, [&](const Quarantined& q) {
    if (q.reason == Reason::foreign) return ++foreign, true;  // load put it there: it is in no topic quarantine
    const Place place{q.partition, q.offset, q.ordinal};
    const auto found = items.find(place);
    if (found == items.end()) {
      if (!pruned) least(only_store, place);
    } else if (!found->second.resolved && hash_of(q) == found->second.hash) {
      found->second.seen = true;
    } else if (!context.other_logs) {  // another log's item may have the same place
      found->second.seen = true;
      least(differing, place);
    }
    return true;
  });
  if (!read) return read;
  if (foreign > 0)
    findings.notes.push_back(count_text(foreign) +
                             (foreign == 1 ? " record of its topics is" : " records of its topics are") +
                             " not truetape's, and in the store's quarantine (truetape query quarantine)");
  std::optional<Place> only_log;
  for (const auto& [place, item] : items)
    if (!item.seen && !item.resolved) least(only_log, place);
  if (differing)
    findings.differences.push_back("quarantine: " + item_name(*differing) + " is not the same in log and store");
  if (only_log) findings.differences.push_back("quarantine: " + item_name(*only_log) + " is not in the store");
  if (only_store) {
    std::string what = " is not in the log";
    for (const std::int32_t partition : context.partitions) {
      const auto done = read_rows<Quarantined>(
          context, topic::quarantine, partition,
          [&](const Quarantined& q) {
            if (Place{q.partition, q.offset, q.ordinal} == *only_store)
              what = " is in the store, " +
                     beyond(topic::quarantine, partition, context.range(topic::quarantine, partition).next);
            return true;
          },
          true);
      if (!done) return done;
    }
    findings.differences.push_back("quarantine: " + item_name(*only_store) + what);
  }
  return {};
}

namespace {

// The records that the store has not loaded yet, of those that `wanted` takes.
template <class Row, class Wanted>
Status count_unloaded(Context& context, std::string_view topic, std::uint64_t& count, Wanted wanted) {
  for (const std::int32_t partition : context.partitions)
    if (const Status done = read_rows<Row>(
            context, topic, partition,
            [&](const Row& row) {
              if (wanted(row)) ++count;
              return true;
            },
            true);
        !done)
      return done;
  return {};
}

}  // namespace

Status audit_unloaded(Context& context, Findings& findings) {
  std::map<DayKey, std::uint64_t> days;
  const auto on_day = [&](const auto& row, Timestamp t) {
    if (!context.selected(row.instrument, t)) return false;
    ++days[{row.instrument, row.tape, day_of(t)}];
    return true;
  };
  std::uint64_t trades = 0, candles = 0, gaps = 0, progress = 0, quarantine = 0;
  Status done =
      count_unloaded<Trade>(context, topic::trades, trades, [&](const Trade& t) { return on_day(t, t.event_time); });
  if (done)
    done =
        count_unloaded<Candle>(context, topic::candles, candles, [&](const Candle& c) { return on_day(c, c.start); });
  if (done)
    done = count_unloaded<Gap>(context, topic::gaps, gaps, [&](const Gap& g) {
      if (!touches(context, g)) return false;
      ++days[{g.instrument, g.tape, days_of(context, g).first}];
      return true;
    });
  if (done)
    done = count_unloaded<Progress>(context, topic::progress, progress,
                                    [&](const Progress& p) { return context.selected(p.instrument); });
  if (done)
    done = count_unloaded<Quarantined>(context, topic::quarantine, quarantine, [&](const Quarantined& q) {
      return !context.options.instrument || q.instrument == *context.options.instrument;
    });
  if (!done) return done;
  for (const auto& [key, records] : days) {
    AuditDay& day = findings.at(std::get<0>(key), std::get<1>(key), std::get<2>(key));
    day.unloaded = records;
    if (day.verdict == Verdict::differs) continue;
    day.verdict = Verdict::behind;
    day.where = count_text(records) + (records == 1 ? " record" : " records") + " of it in the log" +
                (day.where.empty() ? "" : "; ") + day.where;
  }
  std::uint64_t all = 0;
  std::string topics;
  for (const auto& [topic, count] : {std::pair{topic::trades, trades},
                                     {topic::candles, candles},
                                     {topic::gaps, gaps},
                                     {topic::progress, progress},
                                     {topic::quarantine, quarantine}}) {
    all += count;
    if (count > 0) topics += (topics.empty() ? "" : ", ") + count_text(count) + " of " + std::string{topic};
  }
  if (all > 0)
    findings.notes.push_back("the store is behind its log: " + count_text(all) +
                             (all == 1 ? " record is" : " records are") + " not loaded yet (" + topics + ")");
  return {};
}

// The load goes on from its position, and what it brings again changes nothing. But a position that lies before what
// was loaded was changed by hand, or is that of an older copy.
Status audit_positions(Context& context, Findings& findings) {
  for (const auto& told : context.options.told) {
    const auto range = context.ranges.find({told.topic, told.partition});
    if (range == context.ranges.end() || range->second.next >= told.next) continue;
    findings.differences.push_back("position " + told.topic + '/' + std::to_string(told.partition) +
                                   ": the store says " + std::to_string(range->second.next) +
                                   ", but its loader had told the log " + std::to_string(told.next));
  }
  if (context.other_logs) return {};
  // The first trade that the store should not have yet.
  for (const std::int32_t partition : context.partitions) {
    if (context.range(topic::trades, partition).remade()) continue;  // it may be there from before
    std::optional<Trade> next;
    const auto first = [&](const Trade& t) { return next = t, false; };
    if (const Status done = read_rows<Trade>(context, topic::trades, partition, first, true); !done) return done;
    if (!next) continue;
    bool there = false;
    const Selection what{.instrument = next->instrument,
                         .tape = next->tape,
                         .from = next->event_time,
                         .to = next->event_time + Nanoseconds{1}};
    if (const Status done = context.store.trades(what, [&](const Trade& t) { return there |= t == *next, true; });
        !done)
      return done;
    if (there)
      findings.differences.push_back("position trades/" + std::to_string(partition) + ": the store says " +
                                     std::to_string(context.range(topic::trades, partition).next) +
                                     ", but it holds the trade that stands there in the log");
  }
  return {};
}

}  // namespace truetape::audit_parts
