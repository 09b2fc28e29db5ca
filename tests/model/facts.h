// The slow, obviously correct half of the heart's judge (docs/semantics.md sections 2, 3, 4 and 13): the set of facts
// about one instrument on one tape, and what follows from it. Nothing is kept up to date: every answer is worked out
// anew from the set. It shares with src/market only the values of src/core.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/records.h"
#include "core/time.h"
#include "market/rules.h"

namespace truetape::model {

using Id = std::uint64_t;

enum class Standing : std::uint8_t { accepted, empty, held, absent };

struct Fact {
  Standing standing = Standing::accepted;
  Timestamp time{};                      // whole milliseconds; means nothing for absent
  bool candle = false;                   // folded into candles
  bool known = false;                    // of held: once known it stays so
  QuarantinePlace place{};               // of held: where that item stands
  std::shared_ptr<const Trade> trade{};  // of accepted and void
};

// The facts of one era by id, each id at most once: a map in one piece of memory, since every answer walks all of it.
class Ids {
 public:
  using Entry = std::pair<Id, Fact>;
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  auto rbegin() const { return entries_.rbegin(); }
  auto rend() const { return entries_.rend(); }
  const Fact* find(Id id) const;
  Fact* find(Id id) { return const_cast<Fact*>(std::as_const(*this).find(id)); }
  bool add(Id id, Fact fact);  // false: the id has a fact already, which stays
  void set(Id id, Fact fact);
  void erase(Id id);
  bool ever_held() const { return ever_held_; }

 private:
  std::vector<Entry> entries_;  // ascending
  bool ever_held_ = false;
};

struct Run {
  Id lo = 0, hi = 0;
  Timestamp t_lo{}, t_hi{};
  std::uint32_t era = 0;
  bool holds(const Trade& t) const {
    const Timestamp time = content_time(t.event_time);
    return t.era == era && lo <= t.order && t.order <= hi && t_lo <= time && time <= t_hi;
  }
  bool operator==(const Run&) const = default;
};

// Between two runs that follow each other in one era.
struct Hole {
  std::uint32_t era = 0;
  Id first = 0, last = 0;
  std::uint64_t missing = 0;
  Timestamp from{}, to{};  // t_hi of the run before, t_lo of the run after
  bool touches(Timestamp s, Timestamp e) const { return from < e && to >= s; }
  bool operator==(const Hole&) const = default;
};

// A half-open span of time; of sessions it is closed at both ends.
struct Span {
  Timestamp from{}, to{};
  bool operator==(const Span&) const = default;
};

struct Session {
  bool carries = false;            // a session record of it has named the instrument
  bool alive = false;              // and a later frame of it
  std::optional<Timestamp> begin;  // of its coverage
  std::optional<Timestamp> end;
};

// What the rules of section 4 say of a window, and the values of its candle.
struct Verdict {
  int rule = 0;
  Candle candle;  // instrument, tape and circumstances other than proof, missing and held are left out
  bool has_trade = false;
  bool cover_unclear = false;  // a session is alive but none holds the last known time: rules 6 and 7 both fit
  bool operator==(const Verdict&) const = default;
};

// Of a venue whose ids only rise: trades that its pages hold without one between them left out.
struct Stretch {
  Id first = 0, last = 0;
  Timestamp from{}, to{};
  bool operator==(const Stretch&) const = default;
};

class Facts {
 public:
  bool loose = false;                    // ids are not contiguous: no runs, no holes
  std::vector<std::pair<Id, Id>> pages;  // trades that a page gave as neighbours, both known
  const std::vector<Stretch>& stretches() const { return stretches_; }
  std::vector<Ids> eras{1};
  std::vector<Span> declared;
  std::map<std::string, Session> sessions;

  const Fact* find(std::uint32_t era, Id id) const;
  std::optional<Id> top(std::uint32_t era) const;  // greatest accepted or void id

  // Of all eras, oldest first. Recomputed by refresh(), which whoever changes the set calls before asking again.
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<Hole>& holes() const { return holes_; }
  const std::vector<Span>& merged() const { return merged_; }  // of the declarations
  const std::vector<Timestamp>& held_times() const { return held_times_; }
  void refresh();

  bool proven(Timestamp s, Timestamp e) const { return whole_by_runs(s, e) != Proof::none; }
  // Is [s, e) within one run, no declaration counted? `with`: the run must hold that trade.
  bool in_a_run(Timestamp s, Timestamp e, const Trade* with) const;
  Verdict judge(Timestamp s, Interval interval, bool with_values) const;
  bool covered(Timestamp from, Timestamp to) const;  // by alive sessions, without a break
  std::uint64_t held_in(Timestamp s, Timestamp e) const;
  // The candle trades of [s, e), ordered by time and id.
  std::vector<const Trade*> trades_in(Timestamp s, Timestamp e) const;
  const Trade* last_before(Timestamp s) const;
  std::optional<Timestamp> next_after(Timestamp t) const;  // time of the first candle trade that is later
  bool any_trade_in(Timestamp s, Timestamp e) const;
  // Where knowledge begins: the least t_lo, or the declaration that begins before it.
  std::optional<Timestamp> first_time() const;
  std::optional<Run> first_run(std::uint32_t era) const;
  // Which era an item belongs to.
  std::uint32_t era_of(Id id, Timestamp time) const;
  std::optional<Timestamp> tail() const;                   // t_hi of the newest era's last run, a declaration included
  void index(const Fact& fact, std::uint32_t era, Id id);  // a candle trade was added

 private:
  void refresh_held(Ids& ids);
  Proof whole_by_runs(Timestamp s, Timestamp e) const;
  void judge_tails(Timestamp s, Timestamp e, Verdict& v) const;
  void refresh_loose();
  void judge_loose(Timestamp s, Timestamp e, Verdict& v) const;

  std::vector<Stretch> stretches_;
  std::vector<Run> runs_;
  std::vector<Hole> holes_;
  std::vector<Span> merged_;
  std::vector<Timestamp> held_times_;  // of those that count for rule 1
  // (time, era, id): the order of open and close.
  std::map<std::pair<Timestamp, std::pair<std::uint32_t, Id>>, std::shared_ptr<const Trade>> by_time_;
};

// Open, high, low, close, volumes of trades that are ordered by time and id.
void fold_values(const std::vector<const Trade*>& trades, Candle& out);

}  // namespace truetape::model
