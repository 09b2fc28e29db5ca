#include "harness.h"

#include <algorithm>
#include <memory>
#include <sstream>

#include "core/row_order.h"
#include "test_decoder.h"

namespace truetape::model {
namespace {

const TestDecoder kDecoder;

void add(Counts& sum, const Counts& c) {
  sum.in += c.in;
  sum.accepted += c.accepted;
  sum.duplicate += c.duplicate;
  sum.contradiction += c.contradiction;
  sum.held += c.held;
  sum.quarantined += c.quarantined;
  sum.empty += c.empty;
  sum.other_tape += c.other_tape;
  sum.not_a_trade += c.not_a_trade;
  sum.undecodable += c.undecodable;
  sum.set_aside += c.set_aside;
  sum.duplicate_unchecked += c.duplicate_unchecked;
  sum.late += c.late;
  sum.marked += c.marked;
  sum.released += c.released;
  sum.replayed += c.replayed;
  sum.dropped += c.dropped;
  sum.still_bad += c.still_bad;
  for (std::size_t i = 0; i < sum.records.size(); ++i) sum.records[i] += c.records[i];
}

template <class T>
std::string shown(const std::optional<T>& value) {
  if (!value) return "-";
  if constexpr (std::is_integral_v<T>) {
    return std::to_string(*value);
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    return to_rfc3339(*value);
  } else {
    return to_text(*value);
  }
}

std::string shown(const Instrument& i, Interval interval, Timestamp start) {
  return i.str() + " " + to_text(interval) + " " + to_rfc3339(start);
}

// What one batch made becomes part of what a reader sees.
void commit(const Results& r, Outcome& out, std::map<std::string, std::string>& state, const Manner& manner) {
  for (const Trade& t : r.trades)
    if (!out.trades.emplace(TradeKey{t.instrument, t.tape, t.era, t.order}, t).second)
      out.complaints.push_back("trade emitted twice: " + t.instrument.str() + " id " + std::to_string(t.order));
  for (const Candle& c : r.candles) {
    const auto [it, fresh] = out.candles.try_emplace(CandleKey{c.instrument, c.tape, c.interval, c.start}, c);
    if (fresh) continue;
    // After a crash an open row may come again as it was.
    if (!replaces(row_order(c), row_order(it->second)) &&
        !(c == it->second && c.status == CandleStatus::open && manner.crash_percent > 0))
      out.complaints.push_back("row order does not rise: " + text(it->second) + "\n   then " + text(c));
    it->second = c;
  }
  for (const Gap& g : r.gaps) {
    const auto [it, fresh] = out.gaps.try_emplace(GapKey{g.instrument, g.tape, g.era, g.first_id}, g);
    if (fresh) continue;
    if (!replaces(row_order(g), row_order(it->second)))
      out.complaints.push_back("gap's order does not rise: " + text(it->second) + "\n   then " + text(g));
    it->second = g;
  }
  for (const Progress& p : r.progress) {
    const auto [it, fresh] = out.progress.try_emplace({p.instrument, p.tape}, p);
    if (fresh) continue;
    if (!replaces(row_order(p), row_order(it->second)))
      out.complaints.push_back("progress' order does not rise: " + p.instrument.str());
    if (p.frontier < it->second.frontier) out.complaints.push_back("frontier goes back: " + p.instrument.str());
    it->second = p;
  }
  for (const LateWindow& l : r.late) out.late[{l.instrument, l.tape, l.interval, l.start}] = l;
  for (const Quarantined& q : r.quarantined) {
    const std::tuple place{q.partition, q.offset, q.ordinal};
    const auto found = out.quarantined.find(place);
    if (found != out.quarantined.end() && !replaces(row_order(q), row_order(found->second)) && q != found->second)
      out.complaints.push_back("quarantined twice: offset " + std::to_string(q.offset) + " item " +
                               std::to_string(q.ordinal));
    if (q.resolution == Resolution::none)
      out.quarantined.insert_or_assign(place, q);
    else
      out.quarantined.erase(place);
  }
  std::map<std::string, int> seen;
  for (const auto& [key, value] : r.state) {
    if (++seen[key] == 2) out.complaints.push_back("state key twice in a batch: " + key);
    if (value) {
      state[key] = *value;
    } else {
      state.erase(key);
    }
  }
  for (const auto& [venue, c] : r.counts) {
    if (!c.balanced()) out.complaints.push_back("counts are not balanced");
    add(out.counts, c);
  }
  if (manner.keep_batches) out.batches.push_back(r.candles);
}

}  // namespace

std::string text(const Candle& c) {
  std::ostringstream o;
  o << shown(c.instrument, c.interval, c.start) << " " << name(c.status) << " " << name(c.completeness) << " proof '"
    << name(c.proof) << "'" << (c.repaired ? " repaired" : "") << " missing " << shown(c.missing) << " held " << c.held
    << " rev " << c.revision << " ohlc " << shown(c.open) << "/" << shown(c.high) << "/" << shown(c.low) << "/"
    << shown(c.close) << " v " << shown(c.volume) << " q " << shown(c.quote_volume) << " n " << shown(c.trades) << " b "
    << shown(c.taker_buy_volume) << "/" << shown(c.taker_buy_quote_volume) << " vwap " << shown(c.vwap) << " ids "
    << shown(c.first_id) << ".." << shown(c.last_id) << " " << shown(c.first_time) << ".." << shown(c.last_time);
  return o.str();
}

std::string text(const Gap& g) {
  std::ostringstream o;
  o << g.instrument.str() << " era " << g.era << " " << g.first_id << ".." << shown(g.last_id) << " missing "
    << g.missing << " " << name(g.state) << " " << name(g.reason) << " " << to_rfc3339(g.from) << ".." << shown(g.to)
    << " rev " << g.revision;
  return o.str();
}

std::string joined(const std::vector<std::string>& lines, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < lines.size() && i < most; ++i) out += "\n - " + lines[i];
  if (lines.size() > most) out += "\n   and " + std::to_string(lines.size() - most) + " more";
  return out;
}

Outcome run(const History& history, const Rules& rules, const Manner& manner) {
  Outcome out;
  std::map<int, std::vector<const Message*>> partitions;
  for (const Message& m : history.messages) partitions[m.partition].push_back(&m);
  std::vector<Header> headers;
  for (const auto& [partition, messages] : partitions) {
    Dice dice{manner.seed * 1'000 + static_cast<std::uint64_t>(partition)};
    std::map<std::string, std::string> state;
    auto heart = std::make_unique<Processor>(rules, kDecoder, partition, kEpoch);
    Results results;
    std::size_t committed = 0;
    for (std::size_t i = 0; i < messages.size();) {
      heart->fold(messages[i]->record(headers, static_cast<std::int64_t>(i)), results);
      ++i;
      const bool last = i == messages.size();
      const bool ends = last || manner.commit == Cut::always || (manner.commit == Cut::random && dice.chance(15));
      if (!ends) continue;
      heart->finish_batch(results);
      if (dice.chance(manner.crash_percent)) {
        results.clear();
        heart = std::make_unique<Processor>(rules, kDecoder, partition, kEpoch);
        heart->restore(std::vector<std::pair<std::string, std::string>>{state.begin(), state.end()});
        i = committed;
        continue;
      }
      commit(results, out, state, manner);
      results.clear();
      committed = i;
    }
  }
  return out;
}

std::map<int, Model> judge(const History& history, const Rules& rules, Pace pace) {
  std::map<int, Model> out;
  std::map<int, std::int64_t> offset;
  std::vector<Header> headers;
  for (const Message& m : history.messages) {
    const auto it = out.try_emplace(m.partition, rules, kDecoder, pace).first;
    it->second.fold(m.record(headers, offset[m.partition]++));
  }
  return out;
}

std::vector<std::string> differences(const std::map<int, Model>& a, const std::map<int, Model>& b) {
  std::vector<std::string> out;
  for (const auto& [partition, model] : a)
    for (const auto& [instrument, x] : model.books()) {
      const Book& y = b.at(partition).books().at(instrument);
      if (x.gaps != y.gaps) out.push_back("gaps of " + instrument.str());
      if (x.frontier != y.frontier) out.push_back("frontier of " + instrument.str());
      if (x.windows.size() != y.windows.size()) out.push_back("number of windows of " + instrument.str());
      for (const auto& [key, life] : x.windows)
        if (!y.windows.contains(key) || !(y.windows.at(key) == life))
          out.push_back("window " + shown(instrument, key.first, key.second) + " (rule " +
                        std::to_string(life.last.rule) + (life.sealed ? ", sealed)" : ")"));
    }
  return out;
}

bool same_content(const Candle& a, const Candle& b) {
  const auto content = [](const Candle& c) {
    return std::tie(c.open, c.high, c.low, c.close, c.volume, c.quote_volume, c.trades, c.taker_buy_volume,
                    c.taker_buy_quote_volume, c.vwap, c.first_id, c.last_id, c.first_time, c.last_time, c.completeness);
  };
  return content(a) == content(b);
}

namespace {

void compare_window(const Model& model, const Book& b, Interval interval, Timestamp start, const Life& life,
                    const Candle* row, Comparison& out) {
  const bool has_trade = life.sealed ? life.final.trades.value_or(0) > 0 : life.last.has_trade;
  if (!has_trade && interval < std::chrono::minutes{1}) return;
  ++out.windows;
  if (!life.unclear.empty()) {
    ++out.unclear;
    return;
  }
  Candle expected = model.expected(b, interval, start);
  expected.instrument = b.instrument;
  expected.status = !life.closed ? CandleStatus::open : life.corrected ? CandleStatus::corrected : CandleStatus::closed;
  const auto complain = [&](const std::string& what) {
    out.complaints.push_back(what + " (rule " + std::to_string(life.last.rule) + (life.sealed ? ", sealed" : "") +
                             ")\n   expected " + text(expected) + "\n   emitted  " +
                             (row != nullptr ? text(*row) : "nothing"));
  };
  const bool open = row == nullptr || row->status == CandleStatus::open;
  if (life.closed && open) return complain("should be closed");
  if (!life.closed && !open) return complain("should not be closed yet");
  if (!life.closed) {
    if (interval != model.base()) return;
    if (row == nullptr && !life.last.has_trade) return;  // nothing to tell yet
    if (row == nullptr) return complain("an open window without a row");
    if (life.last.rule != 1 && life.last.rule != 3 && life.last.rule != 4) expected.completeness = Completeness::none;
    if (!same_content(expected, *row)) complain("open row");
    return;
  }
  const bool first_seen_late = life.emitted_empty && interval < std::chrono::minutes{1};
  if (expected.status != row->status && !first_seen_late && life.may_repaired == life.must_repaired &&
      !life.repaired_before)
    return complain("status");
  if (expected.completeness == Completeness::unverifiable && !has_trade) {
    if (row->completeness != Completeness::unverifiable) complain("completeness");
    return;
  }
  if (expected.completeness == Completeness::quiet) {  // whether takers' volumes of nothing are 0 or empty is not told
    expected.taker_buy_volume = row->taker_buy_volume;
    expected.taker_buy_quote_volume = row->taker_buy_quote_volume;
  }
  if (expected.completeness != row->completeness) return complain("completeness");
  if (!same_content(expected, *row)) return complain("content");
  if (!life.proofs.contains(row->proof)) return complain("proof");
  if (life.last.rule == 3 && !life.missing.contains(row->missing)) return complain("missing");
  if (life.must_repaired && !row->repaired) return complain("should be repaired");
  if (!life.may_repaired && row->repaired) return complain("should not be repaired");
}

void compare_gaps(const Book& b, const Outcome& outcome, Comparison& out) {
  std::map<GapKey, const GapLife*> mine;
  for (const GapLife& g : b.gaps) mine[{b.instrument, b.tape.value_or(Tape::trade), g.era, g.key}] = &g;
  for (const auto& [key, g] : mine) {
    ++out.gaps;
    const auto it = outcome.gaps.find(key);
    Gap e;
    e.instrument = b.instrument;
    e.era = g->era;
    e.first_id = g->key;
    e.last_id = g->last;
    e.state = g->state;
    const bool active = g->state == GapState::open || g->state == GapState::lost;
    e.missing = active ? g->missing : 0;
    e.from = g->from;
    e.to = g->to;
    const auto complain = [&](const std::string& what) {
      out.complaints.push_back(what + "\n   expected " + text(e) + "\n   emitted  " +
                               (it == outcome.gaps.end() ? "nothing" : text(it->second)));
    };
    if (it == outcome.gaps.end()) {
      complain("gap is missing");
      continue;
    }
    const Gap& row = it->second;
    const GapState state = row.state == GapState::progress ? GapState::open : row.state;
    if (state != g->state) {
      complain("gap's state");
    } else if (!g->tail && g->last != row.last_id && !(g->split_off && row.last_id > g->last)) {
      complain("gap's last id");
    } else if (active && row.missing != g->missing) {
      complain("gap's missing ids");
    } else if (active && !g->shrunk &&
               (content_time(row.from) != e.from ||
                (row.to ? std::optional{content_time(*row.to)} : std::nullopt) != e.to)) {
      complain("gap's times");
    }
  }
  for (const auto& [key, row] : outcome.gaps)
    if (row.instrument == b.instrument && !mine.contains(key))
      out.complaints.push_back("a gap that is none: " + text(row));
}

void compare_counts(const Counts& e, const Counts& a, Comparison& out) {
  const auto check = [&](const char* what, auto expected, auto counted) {
    if (static_cast<std::int64_t>(expected) != static_cast<std::int64_t>(counted))
      out.complaints.push_back(std::string{"count "} + what + ": expected " + std::to_string(expected) + ", counted " +
                               std::to_string(counted));
  };
  check("in", e.in, a.in);
  check("accepted", e.accepted, a.accepted);
  check("duplicate", e.duplicate, a.duplicate);
  check("duplicate_unchecked", e.duplicate_unchecked, a.duplicate_unchecked);
  check("contradiction", e.contradiction, a.contradiction);
  check("held", e.held, a.held);
  check("quarantined and undecodable", e.quarantined + e.undecodable, a.quarantined + a.undecodable);
  check("empty", e.empty, a.empty);
  check("other_tape", e.other_tape, a.other_tape);
  check("not_a_trade", e.not_a_trade, a.not_a_trade);
  check("set_aside", e.set_aside, a.set_aside);
  for (std::size_t i = 0; i < e.records.size(); ++i) check("records of a kind", e.records[i], a.records[i]);
}

}  // namespace

Comparison compare(const std::map<int, Model>& models, const Outcome& outcome, const Rules&) {
  Comparison out;
  out.complaints = outcome.complaints;
  Counts counts;
  std::set<Instrument> seen;
  for (const auto& [partition, model] : models) {
    add(counts, model.counts());
    for (const auto& [instrument, b] : model.books()) {
      seen.insert(instrument);
      const Tape tape = b.tape.value_or(Tape::trade);
      std::set<CandleKey> mine;
      for (const auto& [key, life] : b.windows) {
        const CandleKey k{instrument, tape, key.first, key.second};
        mine.insert(k);
        const auto it = outcome.candles.find(k);
        compare_window(model, b, key.first, key.second, life, it == outcome.candles.end() ? nullptr : &it->second, out);
      }
      for (const auto& [k, row] : outcome.candles)
        if (row.instrument == instrument && !mine.contains(k) && row.interval >= std::chrono::minutes{1})
          out.complaints.push_back("a window that is none: " + text(row));
      compare_gaps(b, outcome, out);
      for (std::uint32_t era = 0; era < b.facts.eras.size(); ++era)
        for (const auto& [id, fact] : b.facts.eras[era]) {
          if (fact.standing != Standing::accepted) continue;
          ++out.trades;
          const auto it = outcome.trades.find({instrument, tape, era, id});
          if (it == outcome.trades.end()) {
            out.complaints.push_back("trade is missing: " + instrument.str() + " era " + std::to_string(era) + " id " +
                                     std::to_string(id));
            continue;
          }
          const Trade& t = it->second;
          const Trade& e = *fact.trade;
          if (t.price != e.price || t.quantity != e.quantity || t.event_time != e.event_time ||
              t.taker_side != e.taker_side || t.kind != e.kind || t.first_id != e.first_id)
            out.complaints.push_back("another trade: " + instrument.str() + " id " + std::to_string(id));
        }
      const auto p = outcome.progress.find({instrument, tape});
      if (p != outcome.progress.end() && p->second.frontier &&
          (!b.frontier || content_time(*p->second.frontier) > *b.frontier))
        out.complaints.push_back("progress: frontier of " + instrument.str() + " is beyond the evidence");
    }
  }
  for (const auto& [key, t] : outcome.trades) {
    const auto model = std::find_if(models.begin(), models.end(),
                                    [&](const auto& m) { return m.second.books().contains(t.instrument); });
    const Fact* f = model == models.end() ? nullptr : model->second.books().at(t.instrument).facts.find(t.era, t.order);
    if (f == nullptr || f->standing != Standing::accepted)
      out.complaints.push_back("a trade that is none: " + t.instrument.str() + " id " + std::to_string(t.order));
  }
  compare_counts(counts, outcome.counts, out);
  return out;
}

}  // namespace truetape::model
