#include "batch/explain.h"

#include <algorithm>
#include <map>
#include <set>

#include "batch/explain_parts.h"
#include "codec/keys.h"
#include "codec/wire.h"
#include "core/row_order.h"
#include "stores/known.h"
#include "stores/upper_open.h"

namespace truetape {
namespace {

using namespace explaining;
using Source = Explanation::Source;
using Standing = Explanation::Standing;

constexpr std::chrono::seconds kReordered{10};  // by which what a venue sent first may have come later

Status check_question(const ExplainParts& parts, const ExplainQuestion& asked) {
  const auto& built = parts.rules.intervals;
  if (std::ranges::find(built, asked.interval) == built.end()) {
    std::string names;
    for (const Interval interval : built) names += (names.empty() ? "" : ", ") + to_text(interval);
    return failure(Fault::malformed, Retry::never,
                   "interval: no candles of " + to_text(asked.interval) + " are built here; there are " + names);
  }
  const Timestamp holds = window_start(asked.start, asked.interval);
  if (holds == asked.start) return {};
  const Timestamp above = holds + asked.interval;
  return failure(Fault::malformed, Retry::never,
                 "start: no window of " + to_text(asked.interval) + " begins at " + to_rfc3339(asked.start) +
                     "; the nearest ones begin at " + to_rfc3339(holds) + ", which holds that time, and at " +
                     to_rfc3339(above));
}

Status check_known(const ExplainParts& parts, const Instrument& instrument) {
  Status known = expect_known(parts.history, instrument);
  if (!known && known.error().fault == Fault::not_found) known.error().detail.insert(0, "instrument: ");
  return known;
}

// The rows of one call, read into one explanation. An error of any read ends it.
class Reading {
 public:
  Reading(const ExplainParts& parts, const ExplainQuestion& asked) : parts_{parts} {
    out_.asked = asked;
    out_.smallest = parts.rules.intervals.front();
    partition_ = partition_of(asked.instrument, parts.log.partitions());
  }

  Result<Explanation> run() {
    for (const auto part : {&Reading::read_tape, &Reading::read_row, &Reading::read_holes, &Reading::read_transitions,
                            &Reading::read_trades, &Reading::read_edges, &Reading::read_revisions,
                            &Reading::read_behind, &Reading::name_files, &Reading::read_upper})
      if (Status done = (this->*part)(); !done) return tl::unexpected{done.error()};
    judge_store();
    stand();
    find_causes(out_);
    conclude(out_);
    return std::move(out_);
  }

 private:
  Selection stream() const {
    Selection what;
    what.instrument = out_.asked.instrument;
    what.tape = out_.asked.tape;
    return what;
  }
  Selection window() const {
    Selection what = stream();
    what.from = out_.asked.start;
    what.to = out_.end();
    return what;
  }

  // Of two tapes the one that came further.
  Status read_tape() {
    Status read = parts_.history.progress(stream(), [&](const Progress& row) {
      if (!out_.progress || row.frontier > out_.progress->frontier) out_.progress = row;
      return true;
    });
    if (!read || out_.asked.tape) return read;
    if (out_.progress) {
      out_.asked.tape = out_.progress->tape;
      return {};
    }
    Selection newest = stream();
    newest.limit = 1;
    newest.newest = true;
    read = parts_.history.trades(newest, [&](const Trade& row) {
      out_.asked.tape = row.tape;
      return false;
    });
    if (!out_.asked.tape) out_.asked.tape = Tape::trade;
    return read;
  }

  Status read_row() {
    const auto id = parts_.history.log_id();
    if (!id) return tl::unexpected{id.error()};
    of_this_log_ = *id == parts_.log.id();
    if (of_this_log_) {
      const auto loaded = parts_.history.loaded(topic::candles, partition_);
      if (!loaded) return tl::unexpected{loaded.error()};
      loaded_ = loaded->value_or(0);
    }
    Selection what = window();
    what.interval = out_.asked.interval;
    what.to = out_.asked.start + Nanoseconds{1};
    return parts_.history.candles(what, [&](const Candle& row) {
      stored_ = row;
      return false;
    });
  }

  Status read_holes() {
    Selection what = window();
    what.limit = Explanation::kMostHoles + 1;
    Status read = parts_.history.gaps(what, [&](const Gap& row) {
      if (out_.holes.size() == Explanation::kMostHoles)
        out_.more_holes = true;
      else
        out_.holes.push_back({.row = row});
      return true;
    });
    return read;
  }

  // The key of the window's rows.
  std::string row_key() const {
    Candle of;
    of.instrument = out_.asked.instrument;
    of.tape = *out_.asked.tape;
    of.interval = out_.asked.interval;
    of.start = out_.asked.start;
    std::string key;
    put_key(of, key);
    return key;
  }

  // The rows of [from, to), as far as the limits allow.
  Status search_revisions(std::int64_t from, std::int64_t to) {
    Explanation::Looked& looked = out_.looked;
    if (from >= to) return {};
    const std::string wanted = row_key();
    Status broken;
    const auto found = parts_.search.find(
        topic::candles, partition_, from, to,
        {.has = wanted, .is = [&](std::string_view key) { return key == wanted; }},
        [&](const Stored& stored, std::optional<Timestamp> appended) {
          auto row = wire::decode<Candle>(stored.record.value);
          if (!row) {
            broken = tl::unexpected{row.error()};
            return false;
          }
          if (of_this_log_ && stored_ == *row && stored.offset < loaded_) {
            looked.has_stored = true;
            allowance_.bytes = std::min(allowance_.bytes, parts_.limits.behind);
          }
          auto& into = out_.revisions;
          if (into.size() == Explanation::kMostRevisions) {
            into.erase(into.begin() + Explanation::kMostRevisions / 2);
            ++out_.revisions_left_out;
          }
          into.push_back({.offset = stored.offset, .appended = appended, .row = std::move(*row)});
          return true;
        },
        allowance_);
    if (!found) return tl::unexpected{found.error()};
    if (*found > from) looked.ranges.push_back({from, *found});
    if (*found < to) looked.cut = true;
    return broken;
  }

  // Where the window's rows begin if those of later windows of its series all come later, as in an import of one run of
  // history: by halving. Anything else is only looked through later.
  Result<std::int64_t> guess(std::int64_t from, std::int64_t to) {
    const std::int64_t margin = parts_.limits.near / 8, oldest = from;
    const std::string key = row_key();
    const std::string series = key.substr(0, key.rfind(':') + 1);
    while (to - from > margin && !allowance_.spent()) {
      const std::int64_t middle = from + (to - from) / 2;
      Status broken;
      std::optional<std::pair<std::int64_t, Timestamp>> seen;
      const auto found = parts_.search.find(
          topic::candles, partition_, middle, std::min(to, middle + margin),
          {.has = series, .is = [&](std::string_view one) { return one.starts_with(series); }},
          [&](const Stored& stored, std::optional<Timestamp>) {
            const auto row = wire::decode<Candle>(stored.record.value);
            if (!row)
              broken = tl::unexpected{row.error()};
            else
              seen.emplace(stored.offset, row->start);
            return false;
          },
          allowance_);
      if (!found) return tl::unexpected{found.error()};
      if (!broken) return tl::unexpected{broken.error()};
      if (!seen || seen->second >= out_.asked.start)
        to = middle;
      else
        from = seen->first + 1;
    }
    return std::max(oldest, from - margin);
  }

  Status read_revisions() {
    Explanation::Looked& looked = out_.looked;
    const auto span = parts_.log.span(topic::candles, partition_);
    if (!span) return tl::unexpected{span.error()};
    looked.partition = partition_;
    looked.oldest = looked.from = span->oldest;
    looked.end = span->end;
    // Nobody knew a trade or a witness of the window before it began. When that was by our clock, the trade before it
    // tells if it came by the stream, unless its connection lagged and another one gave the window's own before it. A
    // hole may have ended by what lagged: what came before that is not in the store.
    Timestamp since = out_.asked.start - parts_.rules.future_tolerance - parts_.slack;
    if (const auto& before = out_.edges.before; before && before->receive_time && out_.holes.empty()) {
      Timestamp first = *before->receive_time;
      for (const Source& source : out_.trades.sources) first = std::min(first, source.first_receive.value_or(first));
      if (const auto& after = out_.edges.after) first = std::min(first, after->receive_time.value_or(first));
      since = std::max(since, first - kReordered);
    }
    const auto begin = parts_.search.appended_from(topic::candles, partition_, since);
    if (!begin) return tl::unexpected{begin.error()};
    if (*begin) looked.from = std::clamp(**begin, span->oldest, span->end);

    // What is not loaded yet first: only the log tells of it.
    const std::int64_t fresh = of_this_log_ ? std::clamp(loaded_, looked.from, looked.end) : looked.end;
    if (Status found = search_revisions(fresh, looked.end); !found) return found;
    std::int64_t first = looked.from, last = fresh;
    if (last - first > 2 * parts_.limits.near) {
      const auto place = guess(first, last);
      if (!place) return tl::unexpected{place.error()};
      first = *place;
      last = std::min(last, first + parts_.limits.near);
    }
    for (const auto& [from, to] : {std::pair{first, last}, {looked.from, first}, {last, fresh}})
      if (Status found = search_revisions(from, to); !found) return found;
    // The store has another row than the last one found: our clock may have been more wrong than is allowed for.
    const Explanation::Revision* const newest = strongest();
    if (stored_ && looked.from > looked.oldest &&
        (newest == nullptr || row_order(newest->row) != row_order(*stored_))) {
      if (Status found = search_revisions(looked.oldest, looked.from); !found) return found;
      looked.from = looked.oldest;
    }
    std::ranges::sort(out_.revisions, {}, &Explanation::Revision::offset);
    join(looked.ranges);
    if (const Explanation::Revision* counts = strongest()) out_.row = counts->row;
    if (stored_ && (!out_.row || replaces(row_order(*stored_), row_order(*out_.row)))) out_.row = stored_;
    return {};
  }

  static void join(std::vector<Explanation::Looked::Range>& ranges) {
    std::ranges::sort(ranges, {}, &Explanation::Looked::Range::from);
    std::vector<Explanation::Looked::Range> joined;
    for (const auto& range : ranges) {
      if (!joined.empty() && joined.back().to >= range.from)
        joined.back().to = std::max(joined.back().to, range.to);
      else
        joined.push_back(range);
    }
    ranges = std::move(joined);
  }

  // Trades are in the log no later than the row that counts them, in the same commit or before.
  Status read_behind() {
    if (!out_.row) return {};
    if (!of_this_log_) {
      out_.trades.behind = out_.row != stored_;
      return {};
    }
    const auto span = parts_.log.span(topic::trades, partition_);
    if (!span) return tl::unexpected{span.error()};
    std::int64_t needed = span->end;
    const Explanation::Revision* const last = strongest();
    if (last != nullptr && last->appended) {
      const auto later = parts_.search.appended_from(topic::trades, partition_, *last->appended + Nanoseconds{1});
      if (!later) return tl::unexpected{later.error()};
      if (*later) needed = std::min(needed, **later);
    }
    const auto loaded = parts_.history.loaded(topic::trades, partition_);
    if (!loaded) return tl::unexpected{loaded.error()};
    out_.trades.behind = loaded->value_or(0) < needed;
    return {};
  }

  const Explanation::Revision* strongest() const {
    const Explanation::Revision* best = nullptr;
    for (const Explanation::Revision& one : out_.revisions)
      if (best == nullptr || !replaces(row_order(best->row), row_order(one.row))) best = &one;
    return best;
  }

  // What the log still has of each hole, and holes that are not in the store yet.
  Status read_transitions() {
    const auto span = parts_.log.span(topic::gaps, partition_);
    if (!span) return tl::unexpected{span.error()};
    std::map<std::string, std::size_t, std::less<>> places;
    const auto keep = [&](std::size_t place) {
      std::string key;
      put_key(out_.holes[place].row, key);
      places.emplace(std::move(key), place);
    };
    for (std::size_t i = 0; i < out_.holes.size(); ++i) keep(i);
    Status broken;
    const auto loaded = parts_.history.loaded(topic::gaps, partition_);
    if (!loaded) return tl::unexpected{loaded.error()};
    const std::int64_t fresh = of_this_log_ ? std::max(loaded->value_or(0), span->oldest) : span->oldest;
    const std::string mine = out_.asked.instrument.str() + ':' + std::string{name(*out_.asked.tape)} + ':';
    auto found = parts_.search.find(
        topic::gaps, partition_, fresh, span->end,
        {.has = mine, .is = [&](std::string_view key) { return key.starts_with(mine) && !places.contains(key); }},
        [&](const Stored& stored, std::optional<Timestamp>) {
          const auto row = wire::decode<Gap>(stored.record.value);
          if (!row) {
            broken = tl::unexpected{row.error()};
            return false;
          }
          if (row->from >= out_.end() || (row->to && *row->to < out_.asked.start)) return true;
          if (out_.holes.size() == Explanation::kMostHoles) {
            out_.more_holes = true;
            return false;
          }
          out_.holes.push_back({.row = *row});
          keep(out_.holes.size() - 1);
          return true;
        },
        allowance_);
    if (!found) return tl::unexpected{found.error()};
    if (!broken || places.empty()) return broken;
    found = parts_.search.find(
        topic::gaps, partition_, span->oldest, span->end,
        {.has = mine, .is = [&](std::string_view key) { return places.contains(key); }},
        [&](const Stored& stored, std::optional<Timestamp> appended) {
          auto row = wire::decode<Gap>(stored.record.value);
          if (!row) {
            broken = tl::unexpected{row.error()};
            return false;
          }
          Explanation::Hole& hole = out_.holes[places.find(stored.record.key)->second];
          if (replaces(row_order(*row), row_order(hole.row))) hole.row = *row;
          hole.history.push_back({stored.offset, appended, std::move(*row)});
          return true;
        },
        allowance_);
    if (!found) return tl::unexpected{found.error()};
    return broken;
  }

  static bool is_hash(std::string_view text) {
    return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }

  Status read_trades() {
    Explanation::Trades& trades = out_.trades;
    std::map<std::pair<Text<40>, Source::Way>, std::size_t> places;
    Selection what = window();
    what.limit = Explanation::kMostTrades + 1;
    return parts_.history.trades(what, [&](const Trade& trade) {
      if (trades.records == Explanation::kMostTrades) {
        trades.more = true;
        return false;
      }
      ++trades.records;
      const std::uint64_t counts = parts_.rules.folded_kinds.contains(trade.kind.view()) ? trade.count() : 0;
      trades.counted += counts;
      const bool late = (trade.marks & 1U << static_cast<unsigned>(Mark::late)) != 0;
      if (late) {
        ++trades.late;
        trades.late_counted += counts;
      }
      if (!trades.first) trades.first = trade;
      trades.last = trade;
      const Source::Way way = is_hash(trade.source.view()) ? Source::Way::file
                              : trade.receive_time         ? Source::Way::stream
                                                           : Source::Way::backfill;
      const auto [place, fresh] = places.try_emplace({trade.source, way}, trades.sources.size());
      if (fresh) trades.sources.push_back({.way = way, .id = trade.source.str(), .first_id = trade.order});
      Source& source = trades.sources[place->second];
      ++source.trades;
      source.late += late ? 1 : 0;
      source.first_id = std::min(source.first_id, trade.order);
      source.last_id = std::max(source.last_id, trade.order);
      if (const auto& at = trade.receive_time) {
        source.first_receive = std::min(source.first_receive.value_or(*at), *at);
        source.last_receive = std::max(source.last_receive.value_or(*at), *at);
      }
      for (Explanation::Hole& hole : out_.holes) {
        const Gap& gap = hole.row;
        if (trade.era != gap.era || trade.order < gap.first_id || (gap.last_id && trade.order > *gap.last_id)) continue;
        if (++hole.came == 1) hole.filled_by = place->second;
      }
      ids_.emplace_back(trade.era, trade.order);
      return true;
    });
  }

  Status read_edges() {
    Explanation::Edges& edges = out_.edges;
    Selection before = stream(), after = stream();
    before.to = out_.asked.start;
    before.limit = after.limit = 1;
    before.newest = true;
    after.from = out_.end();
    if (Status read = parts_.history.trades(before, [&](const Trade& t) { return edges.before = t, false; }); !read)
      return read;
    if (Status read = parts_.history.trades(after, [&](const Trade& t) { return edges.after = t, false; }); !read)
      return read;
    const bool counts = edges.before && edges.after && edges.before->era == edges.after->era &&
                        !edges.before->id.empty() && edges.after->order > edges.before->order;
    if (!counts) return {};
    edges.between = edges.after->order - edges.before->order - 1;
    if (out_.trades.more) return {};
    edges.accounted = static_cast<std::uint64_t>(std::ranges::count_if(ids_, [&](const auto& id) {
      return id.first == edges.before->era && id.second > edges.before->order && id.second < edges.after->order;
    }));
    return {};
  }

  // The names of the files that trades came from: `control` has them.
  Status name_files() {
    const auto is_file = [](const Source& source) { return source.way == Source::Way::file; };
    if (std::ranges::none_of(out_.trades.sources, is_file)) return {};
    const auto span = parts_.log.span(topic::control, 0);
    if (!span) return tl::unexpected{span.error()};
    constexpr std::string_view kImport = "import/";
    const auto found = parts_.search.find(
        topic::control, 0, span->oldest, span->end,
        {.has = kImport, .is = [&](std::string_view key) { return key.starts_with(kImport); }},
        [&](const Stored& stored, std::optional<Timestamp>) {
          for (Source& source : out_.trades.sources)
            if (is_file(source) && stored.record.key.substr(kImport.size()).starts_with(source.id))
              source.name = stored.record.value;
          return true;
        },
        allowance_);
    if (!found) return tl::unexpected{found.error()};
    return {};
  }

  // The windows of the larger intervals that hold this one; itself, if it is open and none of the smallest.
  Status read_upper() {
    for (const Interval interval : parts_.rules.intervals) {
      const bool itself = interval == out_.asked.interval;
      if (interval < out_.asked.interval || (itself && out_.row)) continue;
      Selection what = stream();
      what.interval = interval;
      what.from = window_start(out_.asked.start, interval);
      what.to = *what.from + interval;
      Explanation::Upper upper{.interval = interval};
      const auto take = [&](const Candle& row) {
        upper.row = row;
        return false;
      };
      if (Status read = parts_.history.candles(what, take); !read) return read;
      if (!upper.row && interval > out_.smallest && (itself || interval / out_.smallest <= Explanation::kMostRolled)) {
        if (Status read = candles_with_open(parts_.history, parts_.rules.intervals, what, take); !read) return read;
        upper.rolled_up = upper.row.has_value();
      }
      if (!itself) {
        out_.upper.push_back(std::move(upper));
      } else if (upper.row) {
        out_.row = std::move(upper.row);
        out_.rolled_up = true;
      }
    }
    return {};
  }

  void judge_store() {
    Explanation::Stored& of = out_.stores.emplace_back();
    of.store = parts_.store;
    of.row = stored_;
    const Explanation::Revision* const last = strongest();
    const auto say = [&of](std::string_view verdict, std::string sentence) {
      of.verdict = verdict;
      of.says = std::move(sentence);
    };
    const auto at = [&] { return "offset " + std::to_string(last->offset); };
    const std::string pruned =
        out_.looked.oldest > 0 ? ", whose records before offset " + std::to_string(out_.looked.oldest) + " are deleted"
                               : "";
    const bool cut = out_.looked.cut && !out_.looked.has_stored;
    if (!stored_ && last == nullptr)
      return say("none", cut ? "no row, as what was looked through of the log" : "no row, as the log");
    if (!of_this_log_ && stored_)
      return say("other log", "a row of revision " + std::to_string(stored_->revision) +
                                  "; it was loaded from another log, so the two are not compared");
    if (!stored_)
      return last->offset >= loaded_ ? say("behind", "no row yet: the log's last one, " + at() + ", is not loaded")
                                     : say("lost", "no row, though the log's last one, " + at() +
                                                       ", was loaded: truetape audit tells what else is missing");
    const std::string mine = "revision " + std::to_string(stored_->revision);
    if (cut && (last == nullptr || replaces(row_order(*stored_), row_order(last->row))))
      return say("not found", mine + ", which is not in what was looked through of the log");
    if (last == nullptr)
      return say("only here", mine + "; the log" + pruned +
                                  (pruned.empty() ? " has none: truetape audit tells more" : ", has none any more"));
    if (stored_ == last->row) return say("same", mine + ", the log's last one");
    const auto order = row_order(*stored_) <=> row_order(last->row);
    if (order < 0)
      return last->offset >= loaded_
                 ? say("behind", mine + "; the log's revision " + std::to_string(last->row.revision) + ", " + at() +
                                     ", is not loaded yet")
                 : say("older", mine + ", though revision " + std::to_string(last->row.revision) + ", " + at() +
                                    " of the log, was loaded: truetape audit tells what else is wrong");
    if (order > 0)
      return say("newer",
                 mine + ", newer than the log's last one of revision " + std::to_string(last->row.revision) + pruned);
    say("differs", mine + " as the log's last one, with other content: truetape audit tells what else is wrong");
  }

  // Which case it is where there is no row.
  void stand() {
    const Explanation::Edges& edges = out_.edges;
    if (out_.row) {
      out_.standing = Standing::row;
    } else if (out_.trades.counted > out_.trades.late_counted) {
      out_.standing = Standing::missing;
    } else if (out_.trades.late_counted > 0) {
      out_.standing = Standing::late;
    } else if (!edges.before) {
      out_.standing = Standing::before;
    } else if (std::ranges::any_of(out_.holes, [&](const Explanation::Hole& hole) {
                 const Gap& gap = hole.row;
                 return gap.state != GapState::repaired && gap.state != GapState::absent;
               })) {
      out_.standing = Standing::hole;
    } else if (edges.contiguous()) {
      out_.standing = Standing::quiet;
    } else if (edges.after || (out_.progress && out_.progress->frontier && *out_.progress->frontier >= out_.end())) {
      out_.standing = Standing::silent;
    } else {
      out_.standing = Standing::after;
    }
  }

  const ExplainParts& parts_;
  Explanation out_;
  SearchAllowance allowance_{parts_.limits.bytes};
  std::int32_t partition_ = 0;
  bool of_this_log_ = false;
  std::int64_t loaded_ = 0;                                   // of topic candles, behind what the store has
  std::optional<Candle> stored_;                              // what the store has
  std::vector<std::pair<std::uint32_t, std::uint64_t>> ids_;  // era and order of the window's trades
};

}  // namespace

Result<Explanation> explain(const ExplainParts& parts, const ExplainQuestion& question) {
  if (Status good = check_question(parts, question); !good) return tl::unexpected{good.error()};
  if (Status known = check_known(parts, question.instrument); !known) return tl::unexpected{known.error()};
  // Trades, holes and rows of one moment.
  const auto store = parts.history.snapshot();
  if (!store) return tl::unexpected{store.error()};
  const ExplainParts of_now{parts.log, parts.search, **store, parts.store, parts.rules, parts.slack, parts.limits};
  return Reading{of_now, question}.run();
}

}  // namespace truetape
