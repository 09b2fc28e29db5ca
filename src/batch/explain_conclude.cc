// The sentences: what is so of a window, and by which rule of docs/semantics.md section 4.
#include "batch/explain_parts.h"

namespace truetape::explaining {
namespace {

using Standing = Explanation::Standing;

std::string standing_of_row(const Explanation& of, const Candle& row) {
  const Explanation::Trades& trades = of.trades;
  const bool whole = row.completeness == Completeness::complete || row.completeness == Completeness::quiet;
  std::string out;
  switch (row.completeness) {
    case Completeness::none:
      out = "Open: it is still filling, and nothing is known to be missing.";
      break;
    case Completeness::complete:
      out = "Complete: every trade of the window is in the row.";
      break;
    case Completeness::quiet:
      out = "Quiet: no trade happened in the window.";
      break;
    case Completeness::gap:
      out = row.missing ? "Gap: at most " + counted(*row.missing, "trade is", "trades are") + " missing."
                        : "Gap: trades may be missing, nobody knows how many.";
      if (row.held > 0) out += " " + counted(row.held, "trade waits", "trades wait") + " in quarantine.";
      break;
    case Completeness::partial:
      out = "Partial: what is known begins inside the window.";
      break;
    case Completeness::unverifiable:
      out = "Unverifiable: nothing is known to be missing, and nothing proves it.";
      break;
  }
  if (row.status == CandleStatus::open && row.completeness != Completeness::none) out += " It is still open.";
  if (trades.late_counted > 0 && whole)
    out = "The row says " + std::string{name(row.completeness)} + ", and is not: sealed rows are not made anew.";
  if (row.repaired) out += " A gap that touched it has ended since.";
  if (trades.late_counted > 0)
    out += " " + counted(trades.late, "trade", "trades") + " came after the window was sealed: the row leaves " +
           (trades.late == 1 ? "it" : "them") + " out.";
  const std::uint64_t in_row = row.trades.value_or(0);
  if (row.status != CandleStatus::open && !trades.more &&
      (in_row > trades.counted || in_row + trades.late_counted < trades.counted))
    out += " The row counts " + counted(in_row, "trade", "trades") + ", the store has " +
           std::to_string(trades.counted) +
           (trades.behind ? " so far: not all trades of the log are loaded yet."
                          : ": truetape audit tells which side is wrong.");
  return out;
}

std::string between(const Explanation::Edges& edges) {
  return trade_text(*edges.before) + ", and " + trade_text(*edges.after);
}

// Where there are trades, of kinds that candles do not count.
std::string uncounted(const Explanation& of) { return of.trades.records > 0 ? "that candles count " : ""; }

std::string standing_without_row(const Explanation& of) {
  const Explanation::Edges& edges = of.edges;
  switch (of.standing) {
    case Standing::row:
      break;
    case Standing::hole: {
      std::string out = "No row: the window lies inside a hole";
      for (const Explanation::Hole& hole : of.holes) {
        if (hole.row.state == GapState::repaired || hole.row.state == GapState::absent) continue;
        out += ", " + ids_text(hole.row) + ", which is " + std::string{name(hole.row.state)};
        break;
      }
      return out + ". It gets its row when trades come that fill it; import a file that has them.";
    }
    case Standing::quiet:
      return "No row: no trade " + uncounted(of) + "happened in the window. The trades around it, " + between(edges) +
             ", follow each other by their ids. Windows without a trade have rows from 1m on, at most 1440 in a row.";
    case Standing::silent:
      return "No row: nothing " + uncounted(of) + "came of the window" +
             (edges.after ? ", and the trades around it, " + between(edges) + ", leave ids between them"
                          : ", and no trade behind it tells yet that none is missing") +
             ".";
    case Standing::before:
      return "No row: the window ends before all that is known" +
             (edges.after ? ", which begins with " + trade_text(*edges.after) : std::string{}) + ".";
    case Standing::after: {
      std::string out = "No row: nothing has come of the window yet. The newest trade is " + trade_text(*edges.before);
      if (of.progress && of.progress->frontier)
        out += ", evidence has come up to " + to_rfc3339(*of.progress->frontier);
      return out + ".";
    }
    case Standing::late:
      return "No row: the window was sealed without a trade, and " + counted(of.trades.late, "trade", "trades") +
             " came too late to make one. " + (of.trades.late == 1 ? "It is" : "They are") +
             " in the store, marked late; truetape rebuild makes rows anew, as long as the log has what came.";
    case Standing::missing:
      return "No row, though the store has " + counted(of.trades.records, "trade", "trades") +
             " of the window: the row is not loaded yet or lost; truetape audit tells which.";
  }
  return {};
}

std::string rule_of(const Explanation& of) {
  if (!of.row) return {};
  const Candle& row = *of.row;
  const bool now_by_ids = of.edges.contiguous() && of.trades.late_counted == 0;
  switch (row.completeness) {
    case Completeness::none:
      return "no rule yet: rules are for closed windows, and rules 1, 3 and 4 do not hold so far";
    case Completeness::partial:
      return "rule 4: the ids known first lie inside the window, and no declaration says that there were none before";
    case Completeness::complete:
    case Completeness::quiet:
      switch (row.proof) {
        case Proof::ids:
          return "rule 2: one run of ids without a hole begins before the window and reaches to its end or beyond";
        case Proof::declared:
          return "rule 2: one run of ids reaches around the window, with a declaration (an archive of a whole day, or "
                 "--covers) for what lies beyond its end";
        case Proof::overlap:
          return "one answer of the venue overlaps both ends of the window (its ids prove nothing themselves)";
        case Proof::session:
        case Proof::none:
          break;
      }
      return "rule 5: behind the last id known then, sessions cover the rest of the window without a break" +
             std::string{now_by_ids ? "; by now the ids around it show it as well (rule 2)"
                                    : "; a later id may still show that its end was lost"};
    case Completeness::gap:
      if (row.held > 0) return "rule 1: trades of the window wait in quarantine";
      if (row.proof == Proof::ids || (row.proof == Proof::none && row.missing))  // the latter: rolled up
        return "rule 3: between two trades that are known ids are missing, and they may belong to the window";
      if (row.proof == Proof::session)
        return "rule 6: behind the last id known then, what sessions cover has a break; how many trades it cost is not "
               "known";
      return "a break in what sessions cover, of a venue whose ids cannot tell how many trades it cost";
    case Completeness::unverifiable:
      return "rule 7: behind the last id known then, no session has proved that the stream was alive";
  }
  return {};
}

std::string looked_of(const Explanation& of) {
  const Explanation::Looked& looked = of.looked;
  std::string out = "topic candles, partition " + std::to_string(looked.partition) + ": ";
  if (looked.ranges.empty()) {
    out += looked.oldest == looked.end ? "it is empty"
           : looked.cut                ? "nothing was looked through"
                                       : "nothing was appended since the window began";
  } else {
    for (const Explanation::Looked::Range& range : looked.ranges)
      out += (&range == &looked.ranges.front() ? "offsets " : " and ") + std::to_string(range.from) + " to " +
             std::to_string(range.to - 1);
    out += " were looked through";
    if (looked.from > looked.oldest)
      out +=
          "; what lies before " +
          (looked.ranges.front().from == looked.from ? std::string{} : "offset " + std::to_string(looked.from) + ' ') +
          "was appended before the window began";
  }
  if (looked.cut)
    out += std::string{"; the rest was not (truetape explain --whole does)"} +
           (looked.has_stored ? ": the store has loaded it, and has no later row" : "");
  if (looked.oldest > 0)
    out += "; records before offset " + std::to_string(looked.oldest) +
           " were deleted (by retention, or a rebuild), with older revisions if there were any";
  if (of.revisions_left_out > 0)
    out += "; " + counted(of.revisions_left_out, "revision", "revisions") + " in the middle are left out here";
  return out;
}

}  // namespace

void conclude(Explanation& of) {
  of.says = of.row ? standing_of_row(of, *of.row) : standing_without_row(of);
  if (of.row && of.rolled_up) of.says += " The row is rolled up now from the smaller windows; the log has none yet.";
  of.rule = rule_of(of);
  if (!of.rule.empty() && of.row->interval > of.smallest && of.row->completeness != Completeness::none)
    of.rule += " (of all its windows of " + truetape::to_text(of.smallest) + " together)";
  of.looked.says = looked_of(of);
}

}  // namespace truetape::explaining
