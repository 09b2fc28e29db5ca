// An explanation as text for a terminal, and as JSON.
#include <algorithm>

#include "batch/explain_parts.h"
#include "codec/cells.h"
#include "codec/rows.h"

namespace truetape {
namespace {

using namespace explaining;

// Lines under a title in a column of its own.
class Lines {
 public:
  void add(std::string_view title, std::string_view line) {
    out_ += title;
    out_.append(kWidth > title.size() ? kWidth - title.size() : 1, ' ');
    put(line);
  }
  void more(std::string_view line) { add("", line); }
  void plain(std::string_view line) { put(line); }
  void gap() { out_ += '\n'; }
  std::string take() { return std::move(out_); }

 private:
  void put(std::string_view line) {
    append_plain(line, 2'000, out_);
    out_ += '\n';
  }
  static constexpr std::size_t kWidth = 11;
  std::string out_;
};

std::string row_text(const Candle& row) {
  std::string out;
  const auto add = [&out](std::string_view name, const auto& value) {
    if (value) out += (out.empty() ? "" : ", ") + std::string{name} + ' ' + to_text(*value);
  };
  add("open", row.open);
  add("high", row.high);
  add("low", row.low);
  add("close", row.close);
  add("volume", row.volume);
  return out.empty() ? "no values" : out;
}

std::string state_text(const Candle& row) {
  std::string out{name(row.status)};
  if (row.completeness != Completeness::none) out += ", " + std::string{name(row.completeness)};
  if (row.proof != Proof::none) out += ", proof " + std::string{name(row.proof)};
  if (row.repaired) out += ", repaired";
  return out + ", revision " + std::to_string(row.revision);
}

std::string appended_text(const std::optional<Timestamp>& at) { return at ? ", appended " + to_rfc3339(*at) : ""; }

void put_trades(const Explanation& of, Lines& out) {
  const Explanation::Trades& trades = of.trades;
  if (trades.records == 0) return out.add("trades", "none");
  std::string line = trades.more ? "more than " + std::to_string(trades.records) : std::to_string(trades.records);
  if (trades.counted != trades.records && !trades.more)
    line += " records that stand for " + std::to_string(trades.counted) + " trades";
  line += ": first " + trade_text(*trades.first);
  if (!trades.more && trades.records > 1) line += ", last " + trade_text(*trades.last);
  out.add("trades", line);
  for (const Explanation::Source& source : trades.sources) {
    line = std::to_string(source.trades) + " by " + source_text(source);
    if (source.first_receive)
      line += ", received " + to_rfc3339(*source.first_receive) +
              (*source.last_receive > *source.first_receive ? " to " + to_rfc3339(*source.last_receive) : "");
    if (source.late > 0) line += ", " + std::to_string(source.late) + " of them late";
    out.more(line);
  }
}

void put_edges(const Explanation& of, Lines& out) {
  const Explanation::Edges& edges = of.edges;
  out.add("edges", "before: " + (edges.before ? trade_text(*edges.before) : "nothing is known"));
  out.more("after:  " + (edges.after ? trade_text(*edges.after) : "nothing is known yet"));
  if (!edges.before || !edges.after) return;
  if (edges.before->era != edges.after->era) return out.more("the venue began its ids anew between them");
  if (!edges.accounted) {
    if (edges.between > 0) out.more(counted(edges.between, "id", "ids") + " between them");
    return;
  }
  if (edges.contiguous())
    return out.more(edges.between == 0
                        ? "they follow each other"
                        : "all " + counted(edges.between, "id", "ids") + " between them are trades here");
  out.more(std::to_string(edges.between - *edges.accounted) + " of the " + counted(edges.between, "id", "ids") +
           " between them are no trades here: missing, in quarantine, markers, or never given by the venue");
}

void put_holes(const Explanation& of, Lines& out) {
  if (of.holes.empty()) return out.add("holes", "none touches it");
  std::string_view title = "holes";
  for (const Explanation::Hole& hole : of.holes) {
    const Gap& gap = hole.row;
    out.add(title,
            ids_text(gap) + ", " + std::string{name(gap.state)} + ", reason " + std::string{name(gap.reason)} + ", " +
                std::to_string(gap.missing) + " missing, from " + to_rfc3339(gap.from) + " to " +
                (gap.to ? to_rfc3339(*gap.to) : "unknown") +
                (hole.came > 0 ? "; " + counted(hole.came, "of its ids is a trade here", "of its ids are trades here")
                               : ""));
    title = "";
    if (!hole.history.empty() && hole.history.front().row.revision > 1)
      out.more("  what was said of it earlier is not in the log any more");
    for (const Explanation::Transition& t : hole.history)
      out.more("  " + std::string{name(t.row.state)} + ", " + std::to_string(t.row.missing) + " missing: gaps offset " +
               std::to_string(t.offset) + appended_text(t.appended));
  }
  if (of.more_holes) out.more("… and more: truetape query gaps lists them");
}

void put_revisions(const Explanation& of, Lines& out) {
  if (of.revisions.empty()) return out.add("revisions", "the log has none");
  const auto& all = of.revisions;
  const auto is_plain = [&](std::size_t i) { return i > 0 && all[i].cause == "trades"; };
  std::string_view title = "revisions";
  for (std::size_t i = 0; i < all.size(); ++i) {
    // Of a run of rows that only say "more trades" the first and the last.
    std::size_t run = i;
    while (is_plain(i) && run + 1 < all.size() && is_plain(run + 1)) ++run;
    if (run > i + 2) {
      out.more("  … " + std::to_string(run - i) + " open rows with more trades, offsets " +
               std::to_string(all[i].offset) + " to " + std::to_string(all[run - 1].offset));
      i = run;
    }
    const Explanation::Revision& one = all[i];
    out.add(title, std::to_string(one.row.revision) + ": " + one.why);
    title = "";
    std::string line =
        "   " + state_text(one.row) + "; offset " + std::to_string(one.offset) + appended_text(one.appended);
    out.more(line);
    if (one.changes.empty() || one.cause == "trades") continue;
    line = "   ";
    for (const std::string& change : one.changes) {
      if (line.size() > 90) {
        out.more(line + ",");
        line = "   ";
      }
      line += (line.size() > 3 ? ", " : "") + change;
    }
    out.more(line);
  }
}

// --- JSON ---

class Json {
 public:
  Json& key(std::string_view name) {
    comma();
    append_json(name, out_);
    out_ += ':';
    fresh_ = true;
    return *this;
  }
  void text(std::string_view value) {
    comma();
    append_json(value, out_);
  }
  void null() {
    comma();
    out_ += "null";
  }
  void number(std::integral auto value) {
    comma();
    append_number(value, out_);
  }
  void boolean(bool value) {
    comma();
    out_ += value ? "true" : "false";
  }
  void time(const std::optional<Timestamp>& at) { at ? text(to_rfc3339(*at)) : null(); }
  template <class Row>
  void row(const std::optional<Row>& value) {
    if (!value) return null();
    comma();
    RowCells cells;
    put_cells(*value, cells);
    append_json_row(columns<Row>(), cells, out_);
    out_.pop_back();  // the line's end
  }
  void open(char bracket) {
    comma();
    out_ += bracket;
    fresh_ = true;
  }
  void close(char bracket) {
    out_ += bracket;
    fresh_ = false;
  }
  std::string take() { return std::move(out_); }

 private:
  void comma() {
    if (!fresh_) out_ += ',';
    fresh_ = false;
  }
  bool fresh_ = true;
  std::string out_;
};

void put(const Explanation::Source& source, Json& out) {
  out.open('{');
  out.key("way").text(name(source.way));
  out.key("source").text(source.id);
  source.name.empty() ? out.key("file").null() : out.key("file").text(source.name);
  out.key("trades").number(source.trades);
  out.key("late").number(source.late);
  out.key("first_id").number(source.first_id);
  out.key("last_id").number(source.last_id);
  out.key("first_receive_time").time(source.first_receive);
  out.key("last_receive_time").time(source.last_receive);
  out.close('}');
}

void put(const Explanation::Hole& hole, Json& out) {
  out.open('{');
  out.key("gap").row(std::optional{hole.row});
  out.key("came").number(hole.came);
  out.key("transitions").open('[');
  for (const Explanation::Transition& t : hole.history) {
    out.open('{');
    out.key("offset").number(t.offset);
    out.key("appended").time(t.appended);
    out.key("state").text(name(t.row.state));
    out.key("missing").number(t.row.missing);
    out.close('}');
  }
  out.close(']');
  out.close('}');
}

void put(const Explanation::Revision& one, Json& out) {
  out.open('{');
  out.key("revision").number(one.row.revision);
  out.key("offset").number(one.offset);
  out.key("appended").time(one.appended);
  out.key("cause").text(one.cause);
  out.key("why").text(one.why);
  out.key("changes").open('[');
  for (const std::string& change : one.changes) out.text(change);
  out.close(']');
  out.key("row").row(std::optional{one.row});
  out.close('}');
}

}  // namespace

std::string_view name(Explanation::Standing standing) {
  static constexpr std::string_view kNames[] = {"row", "hole", "quiet", "silent", "before", "after", "late", "missing"};
  return kNames[static_cast<std::size_t>(standing)];
}
std::string_view name(Explanation::Source::Way way) {
  static constexpr std::string_view kNames[] = {"stream", "backfill", "file"};
  return kNames[static_cast<std::size_t>(way)];
}

std::string to_text(const Explanation& of) {
  Lines out;
  out.plain(of.asked.instrument.str() + ' ' + to_text(of.asked.interval) + ", " + to_rfc3339(of.asked.start) + " to " +
            to_rfc3339(of.end()) + ", tape " + std::string{name(*of.asked.tape)});
  out.plain(of.says);
  out.gap();
  if (of.row) {
    out.add("row", row_text(*of.row));
    out.more(state_text(*of.row));
    out.add("because", of.rule);
  }
  put_trades(of, out);
  put_edges(of, out);
  put_holes(of, out);
  put_revisions(of, out);
  for (const Explanation::Stored& store : of.stores) out.add("store", store.store + ": " + store.says);
  std::string_view title = "above";
  for (const Explanation::Upper& upper : of.upper) {
    const bool long_one = upper.interval / of.smallest > Explanation::kMostRolled;
    out.add(title, to_text(upper.interval) + ": " +
                       (upper.row  ? state_text(*upper.row) + (upper.rolled_up ? ", rolled up now" : "")
                        : long_one ? "no row; if it is open, it is rolled up when it is asked for"
                                   : "no row"));
    title = "";
  }
  if (const auto& p = of.progress) {
    const auto until = [](const std::optional<Timestamp>& t) {
      return t ? to_rfc3339(*t) : std::string{"nothing yet"};
    };
    out.add("progress", "evidence until " + until(p->frontier) + "; closed until " + until(p->closed_until) +
                            ", proven until " + until(p->proven_until) + ", sealed until " + until(p->sealed_until));
  }
  out.add("looked", of.looked.says);
  return out.take();
}

std::string to_json(const Explanation& of) {
  Json out;
  out.open('{');
  out.key("instrument").text(of.asked.instrument.text());
  out.key("tape").text(name(*of.asked.tape));
  out.key("interval").text(to_text(of.asked.interval));
  out.key("start").time(of.asked.start);
  out.key("end").time(of.end());
  out.key("standing").text(name(of.standing));
  out.key("says").text(of.says);
  of.rule.empty() ? out.key("rule").null() : out.key("rule").text(of.rule);
  out.key("row").row(of.row);
  out.key("rolled_up").boolean(of.rolled_up);

  out.key("trades").open('{');
  out.key("records").number(of.trades.records);
  out.key("counted").number(of.trades.counted);
  out.key("late").number(of.trades.late);
  out.key("more").boolean(of.trades.more);
  out.key("behind").boolean(of.trades.behind);
  out.key("first").row(of.trades.first);
  out.key("last").row(of.trades.last);
  out.key("sources").open('[');
  for (const auto& source : of.trades.sources) put(source, out);
  out.close(']');
  out.close('}');

  out.key("edges").open('{');
  out.key("before").row(of.edges.before);
  out.key("after").row(of.edges.after);
  out.key("between").number(of.edges.between);
  of.edges.accounted ? out.key("accounted").number(*of.edges.accounted) : out.key("accounted").null();
  out.key("contiguous").boolean(of.edges.contiguous());
  out.close('}');

  out.key("holes").open('[');
  for (const auto& hole : of.holes) put(hole, out);
  out.close(']');
  out.key("more_holes").boolean(of.more_holes);
  out.key("revisions").open('[');
  for (const auto& one : of.revisions) put(one, out);
  out.close(']');
  out.key("revisions_left_out").number(of.revisions_left_out);

  out.key("stores").open('[');
  for (const auto& store : of.stores) {
    out.open('{');
    out.key("store").text(store.store);
    out.key("verdict").text(store.verdict);
    out.key("says").text(store.says);
    out.key("row").row(store.row);
    out.close('}');
  }
  out.close(']');
  out.key("upper").open('[');
  for (const auto& upper : of.upper) {
    out.open('{');
    out.key("interval").text(to_text(upper.interval));
    out.key("rolled_up").boolean(upper.rolled_up);
    out.key("row").row(upper.row);
    out.close('}');
  }
  out.close(']');
  out.key("progress").row(of.progress);

  out.key("looked").open('{');
  out.key("topic").text(topic::candles);
  out.key("partition").number(of.looked.partition);
  out.key("oldest").number(of.looked.oldest);
  out.key("end").number(of.looked.end);
  out.key("from").number(of.looked.from);
  out.key("ranges").open('[');
  for (const Explanation::Looked::Range& range : of.looked.ranges) {
    out.open('{');
    out.key("from").number(range.from);
    out.key("to").number(range.to);
    out.close('}');
  }
  out.close(']');
  out.key("cut").boolean(of.looked.cut);
  out.key("says").text(of.looked.says);
  out.close('}');
  out.close('}');
  return out.take();
}

}  // namespace truetape
