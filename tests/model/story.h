// Small hand-made histories for the named cases: times of one day as "12:00:05.250", sessions that number their
// records.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "harness.h"

namespace truetape::model {

inline Timestamp at(const std::string& clock, const std::string& day = "2024-03-05") {
  return *parse_rfc3339(day + "T" + clock + "Z");
}

struct Row {
  std::uint64_t id;
  std::string clock;
  std::string price = "10", quantity = "1";
  char side = 'b';
  std::string kind = "-";
  char type = 'T';
  std::string day = "2024-03-05";
};

class Story {
 public:
  explicit Story(const std::string& tape = "trade") : tape_{tape} {}

  History history;
  std::string venue = "test";
  std::map<std::string, int> partition_of_symbol;          // 0 unless told
  std::map<std::string, std::chrono::nanoseconds> offset;  // venue's clock minus ours, by session

  std::string text_of(const std::string& symbol, const Row& r) const {
    Happened h{.id = r.id,
               .time = to_ns(at(r.clock, r.day)),
               .price = r.price,
               .quantity = r.quantity,
               .side = r.side,
               .kind = r.kind,
               .empty = r.type == 'E'};
    return line(symbol, h, r.type) + "\n";
  }

  Message& add(RawKind kind, const std::string& symbols) {
    Message m;
    m.kind = kind;
    for (const char c : symbols) m.instruments += (m.instruments.empty() ? "" : ",") + venue + ":" + std::string(1, c);
    m.with(header::venue, venue);
    m.partition = partition_of_symbol.contains(symbols.substr(0, 1)) ? partition_of_symbol.at(symbols.substr(0, 1)) : 0;
    history.messages.push_back(m);
    return history.messages.back();
  }

  void config(const std::string& symbol) { add(RawKind::config, symbol).with(header::tape, tape_); }

  // `received`: how long after the last row's time, on the venue's clock.
  Message& frame(const std::string& session, const std::string& symbol, const std::vector<Row>& rows,
                 std::chrono::milliseconds received = std::chrono::milliseconds{50}) {
    Message& m = add(RawKind::frame, symbol);
    for (const Row& r : rows) m.bytes += text_of(symbol, r);
    return number(m, session, at(rows.back().clock, rows.back().day) + received);
  }
  // Session record for the symbols of one partition. Empty witness: nothing received yet.
  Message& beat(const std::string& session, const std::string& symbols, const std::string& subscribed,
                const std::string& witness, const std::string& event = "beat") {
    Message& m = add(RawKind::session, symbols);
    m.with(header::event, event).with(header::subscribed, std::to_string(to_ns(at(subscribed))));
    if (!witness.empty()) m.with(header::witness, std::to_string(to_ns(at(witness))));
    m.with(header::last_seq, std::to_string(seq_[{session, m.partition}]));
    return number(m, session, at(witness.empty() ? subscribed : witness) + std::chrono::milliseconds{600});
  }
  Message& rows(RawKind kind, const std::string& symbol, const std::vector<Row>& list, bool archive = false) {
    Message& m = add(kind, symbol);
    if (archive) m.with(header::archive, "1");
    for (const Row& r : list) m.bytes += text_of(symbol, r);
    m.receive = to_ns(at("12:00", "2024-04-01"));
    return m;
  }
  Message& span(RawKind kind, const std::string& symbol, const std::string& range, Timestamp from, Timestamp to) {
    Message& m = add(kind, symbol);
    if (!range.empty()) m.with(header::range, range);
    return m.with(header::from, std::to_string(to_ns(from))).with(header::to, std::to_string(to_ns(to)));
  }
  // A whole file, announced.
  void file(const std::string& symbol, const std::string& name, const std::vector<Row>& list, bool archive = true) {
    const Timestamp from = at(list.front().clock, list.front().day), to = at(list.back().clock, list.back().day);
    span(RawKind::begin, symbol, name, from, to + std::chrono::milliseconds{1});
    rows(RawKind::history, symbol, list, archive);
    add(RawKind::end, symbol).with(header::range, name);
  }

 private:
  Message& number(Message& m, const std::string& session, Timestamp when) {
    m.with(header::session, session).with(header::seq, std::to_string(++seq_[{session, m.partition}]));
    m.receive = to_ns(when);
    if (offset.contains(session)) {
      m.with(header::clock_offset, std::to_string(offset[session].count()));
      *m.receive -= offset[session].count();
    }
    return m;
  }
  std::string tape_;
  std::map<std::pair<std::string, int>, std::uint64_t> seq_;
};

inline Rules story_rules() {
  Rules rules;
  rules.intervals = {std::chrono::seconds{1}, std::chrono::minutes{1}, std::chrono::minutes{5}};
  return rules;
}

// What came of a story: committed after every record, and confirmed by the reference model.
class Told {
 public:
  explicit Told(const Story& story, const Rules& rules = story_rules(), bool by_model = true)
      : venue_{story.venue}, outcome{run(story.history, rules, {.commit = Cut::always})} {
    if (by_model) {
      const Comparison c = compare(judge(story.history, rules), outcome, rules);
      EXPECT_TRUE(c.complaints.empty()) << "the reference model disagrees:" << joined(c.complaints);
    } else {
      EXPECT_TRUE(outcome.complaints.empty()) << joined(outcome.complaints);
    }
  }
  // "closed complete ids": status, completeness, proof; "none" if there is no such row.
  std::string life(const std::string& symbol, const std::string& interval, const std::string& clock,
                   const std::string& day = "2024-03-05") const {
    const Candle* c = candle(symbol, interval, clock, day);
    if (c == nullptr) return "none";
    std::string out{name(c->status)};
    if (c->completeness != Completeness::none) out += " " + std::string{name(c->completeness)};
    if (c->proof != Proof::none) out += " " + std::string{name(c->proof)};
    if (c->repaired) out += " repaired";
    if (c->missing && c->completeness == Completeness::gap && c->proof == Proof::ids)
      out += " missing " + std::to_string(*c->missing);
    return out;
  }
  // "open/high/low/close volume trades", "-" for what is empty.
  std::string values(const std::string& symbol, const std::string& interval, const std::string& clock,
                     const std::string& day = "2024-03-05") const {
    const Candle* c = candle(symbol, interval, clock, day);
    if (c == nullptr) return "none";
    const auto d = [](const std::optional<Decimal>& v) { return v ? to_text(*v) : "-"; };
    return d(c->open) + "/" + d(c->high) + "/" + d(c->low) + "/" + d(c->close) + " " +
           (c->volume ? to_text(*c->volume) : "-") + " " + (c->trades ? std::to_string(*c->trades) : "-");
  }
  // "10..12 open missing 3" of the gap whose first id this is; "none".
  std::string gap(const std::string& symbol, std::uint64_t first, std::uint32_t era = 0) const {
    const auto it = outcome.gaps.find({*Instrument::of(venue_, symbol), Tape::trade, era, first});
    if (it == outcome.gaps.end()) return "none";
    const Gap& g = it->second;
    return std::to_string(g.first_id) + ".." + (g.last_id ? std::to_string(*g.last_id) : "") + " " +
           std::string{name(g.state)} + " missing " + std::to_string(g.missing);
  }
  const Candle* candle(const std::string& symbol, const std::string& interval, const std::string& clock,
                       const std::string& day = "2024-03-05") const {
    const auto it =
        outcome.candles.find({*Instrument::of(venue_, symbol), Tape::trade, *parse_interval(interval), at(clock, day)});
    return it == outcome.candles.end() ? nullptr : &it->second;
  }

  const std::string venue_;
  Outcome outcome;
};

}  // namespace truetape::model
