// The judge of src/market: reads the same raw records, keeps the set of facts, and after each item works out from
// scratch what docs/semantics.md says of every window and gap. Slow and plain on purpose. Not covered: venues without
// ids, quotes, news, `max_windows`, the limit of windows per record.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event.h"
#include "facts.h"
#include "market/processor.h"
#include "market/rules.h"

namespace truetape::model {

// A window's life (section 5). Windows without a trade have one too, for intervals of at least a minute.
struct Life {
  bool closed = false;
  bool corrected = false;  // content or completeness changed after it closed
  bool sealed = false;
  bool emitted_empty = false;   // it closed without a known trade
  Verdict last;                 // without values
  std::optional<Decimal> flat;  // of quiet
  // What an emission may carry that is not counted as a change: every value since the last change.
  std::set<std::optional<std::uint64_t>> missing;
  std::set<Proof> proofs;
  bool touched = false;  // by an opened gap
  bool must_repaired = false, may_repaired = false;
  bool repaired_before = false;  // it may have been when it closed
  bool trade_added = false;      // by the current item
  Candle final;                  // with values, once sealed
  std::string unclear;           // why the text leaves more than one answer; empty: it does not
  bool operator==(const Life&) const = default;
};

struct GapLife {
  std::uint32_t era = 0;
  Id key = 0;  // first missing id when it was opened
  Id first = 0;
  std::optional<Id> last;  // empty: tail
  std::uint64_t missing = 0;
  Id lacks_from = 0, lacks_to = 0;  // what is left of it
  Timestamp from{};
  std::optional<Timestamp> to;
  GapState state = GapState::open;  // progress is told as open
  bool tail = false;
  bool was_tail = false;  // ended as one: what it touched is told only roughly
  bool shrunk = false;
  bool split_off = false;  // right part of a split: whether its range ends where it is or where the whole did is open
  std::optional<Timestamp> opened_at;  // F then
  // The span of time that it ever touched, and of its last extent.
  Timestamp touched_from{};
  std::optional<Timestamp> touched_to;
  bool touches(Timestamp s, Timestamp e) const { return from < e && (!to || *to >= s); }
  bool ever_touched(Timestamp s, Timestamp e) const { return touched_from < e && (!touched_to || *touched_to >= s); }
  bool operator==(const GapLife&) const = default;
};

struct Book;

// All that a window's life hangs on but its trades, as it was when windows were last looked at.
struct Looked {
  static Looked at(const Book& b);
  // Windows outside these spans are what they were; nullopt: any may have changed.
  std::optional<std::vector<Span>> changed(const Looked& now, const Rules& rules, const Facts& facts) const;

  std::vector<Run> runs;
  std::vector<Hole> holes, pending;
  std::vector<Span> merged;
  std::vector<Timestamp> held_times;
  std::vector<GapLife> gaps;
  std::map<std::string, Span> ranges;
  std::vector<std::pair<bool, std::optional<Timestamp>>> sessions;  // alive, begin
  std::size_t eras = 0;
  std::optional<Timestamp> frontier;
};

// Everything about one instrument on its tape.
struct Book {
  Instrument instrument;
  std::optional<Tape> tape;
  Facts facts;
  std::optional<Timestamp> frontier;
  std::vector<GapLife> gaps;
  std::vector<Hole> pending;  // holes that are not (yet) gaps
  std::map<std::pair<std::uint32_t, Id>, std::optional<Timestamp>>
      pending_since;                       // F when it was first seen, by last id
  std::map<std::string, Span> ranges;      // open announced ranges
  std::vector<Item> aside;                 // at most two items of one series
  std::vector<std::string> aside_session;  // of each, empty: not live
  bool aside_restart = false;
  std::map<std::pair<Interval, Timestamp>, Life> windows;
  std::set<std::pair<Interval, Timestamp>> unsealed;           // of windows
  std::map<Interval, std::pair<Timestamp, Timestamp>> listed;  // of intervals >= 1 m: [from, to) has its windows
  std::optional<Timestamp> known_from;                         // first_time() when windows were last listed
  std::optional<Id> previous;                                  // id of the item before, within the record
  std::map<Id, Timestamp> recent;                              // loose: what came lately
  std::map<std::string, std::pair<std::uint64_t, std::uint32_t>> files;  // loose: how far each was read
  Timestamp forgotten_to{};                   // loose: the greatest time of one that is remembered no more
  std::set<Id> brought;                       // and those that replays brought
  std::set<Id> waiting;                       // and what is in quarantine
  std::optional<Id> forgotten;                // the greatest that is not in it any more
  std::vector<std::pair<Id, Id>> neighbours;  // loose: of the record under way
  struct Bridge {
    std::uint32_t era;
    Id from, to;
  };
  std::vector<Bridge> bridges;  // neighbours on one page, an end of which is not known
  Looked looked;
  std::vector<Span> touched;  // by trades and new windows since then
  std::uint64_t late = 0;
};

// Which windows are looked at after each item: every one, or those that it may have changed (the same, in less time).
enum class Pace : std::uint8_t { plain, quick };

class Model {
 public:
  Model(const Rules& rules, const Decoder& decoder, Pace pace) : rules_{rules}, decoder_{decoder}, pace_{pace} {}

  void fold(const RawRecord& raw);

  const std::map<Instrument, Book>& books() const { return books_; }
  const Counts& counts() const { return counts_; }
  Interval base() const { return rules_.intervals.front(); }
  // What the last emitted row of a window should be; of a sealed one as it was then.
  Candle expected(const Book& book, Interval interval, Timestamp start) const;

 private:
  struct SessionState {
    std::uint64_t next = 1;
    bool started_late = false;  // its first record here was not number 1
    bool broken = false;
  };

  Book& book(const Instrument& instrument);
  // True: this record of its session came in its place, so it is evidence.
  bool in_order(const RawRecord& raw);
  void fold_item(const RawRecord& raw, const Item& item, bool evidence);
  void judge_loose(Book& b, const RawRecord& raw, const Item& item, const std::string& session);
  void judge_item(Book& b, const RawRecord& raw, const Item& item, const std::string& session);
  // `session`: "" of items that are not live, "?" of live ones whose session gives no evidence.
  void accept(Book& b, const Item& item, const std::string& session, std::uint32_t era);
  bool is_future(const RawRecord& raw, const Item& item) const;
  void hold(Book& b, const RawRecord& raw, const Item& item);
  void end_series(Book& b);
  void fold_session(const RawRecord& raw);
  void fold_answer(const RawRecord& raw, Book& b);
  static void drop(Book& b, const RawRecord& raw);
  void settle(Book& b, const Span* ended_range = nullptr);
  bool bridge(Book& b);
  void settle_gaps(Book& b, const Span* ended_range);
  void settle_windows(Book& b);
  void list_windows(Book& b);
  void track(Book& b, Timestamp time);
  void list(Book& b, Interval interval, Timestamp start);
  void settle_window(Book& b, Interval interval, Timestamp s, Life& life);
  std::vector<std::pair<Interval, Timestamp>> windows_of(const Book& b, std::vector<Span> spans) const;
  bool closable(const Book& b, Timestamp s, Timestamp e) const;
  bool sealable(const Book& b, Timestamp s, Timestamp e, bool quiet) const;
  // Every thing that touches the window came up after it could have been sealed.
  bool touched_too_late(const Book& b, Timestamp s, Timestamp e) const;

  const Rules rules_;
  const Decoder& decoder_;
  const Pace pace_;
  std::map<Instrument, Book> books_;
  std::map<std::string, SessionState> sessions_;
  Counts counts_;
};

}  // namespace truetape::model
