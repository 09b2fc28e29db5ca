// What changed from revision to revision, and why: told from the rows themselves, from what was said of the holes in
// the same commit, and from where the trades came.
#include <algorithm>

#include "batch/explain_parts.h"
#include "codec/rows.h"

namespace truetape::explaining {
namespace {

using Hole = Explanation::Hole;
using Revision = Explanation::Revision;

bool whole(const Candle& c) {
  return c.completeness == Completeness::complete || c.completeness == Completeness::quiet;
}
std::uint64_t trades_of(const Candle& c) { return c.trades.value_or(0); }

std::vector<std::string> changes(const Candle& before, const Candle& after) {
  // First what a person looks for; the receive times and the epoch's own column last.
  static constexpr std::string_view kLeftOut[] = {"instrument", "tape", "interval", "start", "revision"};
  RowCells old_cells, new_cells;
  put_cells(before, old_cells);
  put_cells(after, new_cells);
  const auto names = columns<Candle>();
  std::vector<std::string> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::ranges::find(kLeftOut, names[i].name) != std::end(kLeftOut)) continue;
    const auto text = [i](const RowCells& cells) {
      return cells[i].kind == RowCells::Kind::null ? std::string{"–"} : std::string{cells.view(i)};
    };
    const std::string was = text(old_cells), is = text(new_cells);
    if (was != is) out.push_back(std::string{names[i].name} + ' ' + was + " → " + is);
  }
  return out;
}

class Causes {
 public:
  explicit Causes(Explanation& of) : of_{of} {}

  void run() {
    const Revision* before = nullptr;
    for (Revision& one : of_.revisions) {
      if (before != nullptr) one.changes = changes(before->row, one.row);
      now_ = &one;
      if (before == nullptr)
        first(one.row);
      else
        next(before->row, one.row);
      before = &one;
    }
  }

 private:
  void is(std::string_view cause, std::string why) {
    now_->cause = cause;
    now_->why = std::move(why);
  }

  // Holes of which the log said in the revision's commit that they are as `asked`; where the log tells no time, those
  // that ever were.
  template <class Asked>
  std::vector<const Hole*> holes(Asked asked) const {
    std::vector<const Hole*> out;
    for (const Hole& hole : of_.holes)
      if (std::ranges::any_of(hole.history, [&](const Explanation::Transition& t) {
            return (!now_->appended || !t.appended || t.appended == now_->appended) && asked(t.row);
          }))
        out.push_back(&hole);
    return out;
  }
  static bool has_opened(const Gap& gap) { return gap.state == GapState::open || gap.state == GapState::progress; }
  static bool has_ended(const Gap& gap) {
    return gap.state == GapState::repaired || gap.state == GapState::absent || gap.state == GapState::lost;
  }
  // Those of the commit, else all that touch the window and had begun by then.
  std::string hole_names() const {
    auto of = holes(has_opened);
    if (of.empty())
      for (const Hole& hole : of_.holes)
        if (hole.history.empty() || !now_->appended || hole.history.front().appended <= now_->appended)
          of.push_back(&hole);
    return named(of);
  }
  static std::string named(const std::vector<const Hole*>& of) {
    std::string out;
    for (const Hole* hole : of) {
      if (hole == of.front()) {
        out = "the hole of " + ids_text(hole->row);
      } else if (hole == of.back() || out.size() > 160) {
        out += hole == of.back() ? " and that of " + ids_text(hole->row) : ", …";
        if (hole != of.back()) break;
      } else {
        out += ", that of " + ids_text(hole->row);
      }
    }
    return out.empty() ? "a hole" : out;
  }

  std::string past_end() const {
    return of_.edges.after ? "a trade past its end came (the first there is " + trade_text(*of_.edges.after) + ")"
                           : "a trade past its end came";
  }

  // How the window closed: what let it, and what was known then.
  void close(const Candle& row, const std::string& lead) {
    switch (row.completeness) {
      case Completeness::complete:
      case Completeness::quiet:
        if (row.proof == Proof::ids)
          return is("past_end", lead + past_end() + ", and the ids from before its start to there follow each other");
        if (row.proof == Proof::declared)
          return is("declared", lead + "what was declared to be whole reaches past its end");
        if (row.proof == Proof::overlap)
          return is("overlap", lead + "one answer of the venue overlaps both of its ends");
        return is("witness", lead + "a session's evidence passed its end, and sessions cover it without a break");
      case Completeness::gap:
        if (row.held > 0)
          return is("quarantined", lead + "evidence passed its end, and " +
                                       counted(row.held, "trade of it waits", "trades of it wait") + " in quarantine");
        if (row.proof == Proof::session)
          return is("session_break", lead + "evidence passed its end, and what sessions cover has a break in it");
        return is("hole_opened", lead + "evidence passed its end while " + hole_names() + " touched it");
      case Completeness::partial:
        return is("knowledge_begins", lead + "evidence passed its end; what is known begins inside it" +
                                          (of_.trades.first ? ", with " + trade_text(*of_.trades.first) : ""));
      case Completeness::unverifiable:
      case Completeness::none:
        break;
    }
    is("time_passed", lead + "evidence passed its end, and nothing proves what lies in it");
  }

  // The log's beginning is deleted, and what is looked through begins there, or not all could be looked through: what
  // comes first need not be the first.
  bool cut() const {
    const Explanation::Looked& looked = of_.looked;
    const bool from_first =
        !looked.ranges.empty() && looked.ranges.front().from == looked.from && now_->offset < looked.ranges.front().to;
    return (looked.oldest > 0 && looked.from == looked.oldest) || (looked.cut && !from_first);
  }

  void first(const Candle& row) {
    const std::uint64_t n = trades_of(row);
    if (row.status == CandleStatus::corrected) {
      if (cut()) return is("other", "a correction; what was said before is deleted from the log");
      if (row.repaired && whole(row)) return ended(n);
      return close(row, "it closed and was corrected in one step: ");
    }
    if (row.status == CandleStatus::closed) {
      const bool one_step = row.interval == smallest() && !cut();
      return close(row, n == 0     ? "made without a trade: "
                        : one_step ? counted(n, "trade and its end", "trades and their end") + " came in one step: "
                                   : "");
    }
    if (cut())
      return is("trades", counted(n, "trade", "trades") + " had come; rows before may be deleted from the log");
    std::string why =
        row.first_id ? "the first trade came, id " + std::to_string(*row.first_id) : "the first trade came";
    if (n > 1) why = "the first " + counted(n, "trade", "trades") + " came in one step";
    if (row.completeness == Completeness::gap) why += "; " + hole_names() + " touched it already";
    if (row.completeness == Completeness::partial) why += "; what is known begins inside it";
    is("first_trade", why);
  }

  void next(const Candle& was, const Candle& row) {
    const std::uint64_t more = trades_of(row) > trades_of(was) ? trades_of(row) - trades_of(was) : 0;
    const std::string came = counted(more, "more trade", "more trades");
    // A restore and an adoption begin an epoch too, and make nothing anew: revisions go on.
    if (row.epoch != was.epoch && row.revision <= was.revision)
      return is("rebuilt", "made anew from what was received, under epoch " + std::to_string(row.epoch));
    if (row.status == CandleStatus::open) {
      if (more > 0) return is("trades", came);
      if (row.completeness == Completeness::gap) return is("hole_opened", hole_names() + " opened");
      if (row.completeness == Completeness::none && was.completeness != Completeness::none)
        return is("hole_ended", "nothing is known to be missing of it any more");
      return is("other", "what is known around it changed");
    }
    if (was.status == CandleStatus::open) return close(row, more > 0 ? came + "; closed: " : "closed: ");
    if (!whole(was) && whole(row)) return became_whole(was, more);
    if (row.completeness == Completeness::gap && was.completeness != Completeness::gap) {
      if (row.held > was.held)
        return is("quarantined", counted(row.held, "trade of it waits", "trades of it wait") + " in quarantine");
      return is("hole_opened", row.proof == Proof::session
                                   ? "what sessions cover turned out to have a break in it"
                                   : "a later id showed that trades are missing: " + hole_names() + " opened");
    }
    if (was.completeness == Completeness::partial && row.completeness != Completeness::partial)
      return is("known_earlier", "earlier trades came, so what is known no longer begins inside it");
    if (row.held < was.held)
      return is("released", counted(was.held - row.held, "trade", "trades") + " came out of quarantine");
    if (row.held > was.held)
      return is("quarantined", counted(row.held - was.held, "more trade", "more trades") + " went to quarantine");
    if (row.completeness == Completeness::gap && row.missing != was.missing && row.missing)
      return is(more > 0 ? "filled" : "hole_changed",
                (more > 0 ? came + " came of " + hole_names() : hole_names() + " changed") + "; at most " +
                    counted(*row.missing, "id is", "ids are") + " missing still");
    if (row.repaired && !was.repaired) return ended();
    if (more > 0) return is("late_trades", came + " came after it had closed");
    if (row.completeness == Completeness::quiet && row.close != was.close)
      return is("price", "the last price before it became another, and a quiet window is flat at that");
    is("other", "what is known of it changed");
  }

  void became_whole(const Candle& was, std::uint64_t more) {
    const std::string came = counted(more, "more trade", "more trades");
    if (was.completeness == Completeness::partial)
      return is("known_earlier", (more > 0 ? came + " came" : std::string{"earlier trades came"}) +
                                     ": what is known no longer begins inside it");
    if (was.completeness == Completeness::unverifiable)
      return is("proved", "ids came that prove it" + (more > 0 ? ", and " + came : std::string{}));
    if (was.held > 0 && holes(has_ended).empty())
      return is("released", "what waited in quarantine was judged" + (more > 0 ? ": " + came : std::string{}));
    ended(more);
  }

  // Holes have ended: which, and who filled them.
  void ended(std::uint64_t more = 0) {
    const auto of = holes(has_ended);
    const bool none_came = std::ranges::all_of(of, [](const Hole* hole) { return hole->came == 0; });
    const bool absent =
        !of.empty() && std::ranges::all_of(of, [](const Hole* hole) { return hole->row.state == GapState::absent; });
    std::string why = (of.empty() ? std::string{"the hole that touched it"} : named(of)) + " ended";
    if (absent) return is("absent", why + ": the venue never gave these ids");
    for (const Hole* hole : of)
      if (hole->filled_by) {
        why += ", repaired by " + source_text(of_.trades.sources[*hole->filled_by]);
        break;
      }
    if (more > 0)
      why += ": " + counted(more, "more trade", "more trades") + " of this window";
    else if (none_came)
      why += ": none of its trades lies in this window";
    is("repaired", why);
  }

  Interval smallest() const { return of_.smallest; }

  Explanation& of_;
  Revision* now_ = nullptr;
};

}  // namespace

void find_causes(Explanation& of) { Causes{of}.run(); }

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + ' ' + std::string{count == 1 ? one : many};
}

std::string ids_text(const Gap& gap) {
  const std::string first = std::to_string(gap.first_id);
  if (!gap.last_id) return "all ids from " + first + " on";
  return *gap.last_id == gap.first_id ? "id " + first : "ids " + first + " to " + std::to_string(*gap.last_id);
}

std::string trade_text(const Trade& trade) {
  return (trade.id.empty() ? std::string{"a trade"} : "id " + trade.id.str()) + " at " + to_rfc3339(trade.event_time);
}

std::string source_text(const Explanation::Source& source) {
  const std::string session = source.id.empty() ? "" : " (session " + source.id + ")";
  switch (source.way) {
    case Explanation::Source::Way::stream:
      return "the stream" + session;
    case Explanation::Source::Way::backfill:
      return "backfill" + session;
    case Explanation::Source::Way::file:
      break;
  }
  return "the file " + (source.name.empty() ? "with SHA-256 " + source.id + "…" : source.name);
}

}  // namespace truetape::explaining
