// One instrument's part of the heart: which ids are known, what sessions prove, and the candles' lives. An item, a
// declaration, an answer or a witness goes in; rows come out. Every public call is one "item" of semantics section 5:
// it leaves all windows in the state that the rules demand.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "core/event.h"
#include "market/accumulator.h"
#include "market/bytes.h"
#include "market/ledger.h"
#include "market/processor.h"
#include "market/quarantine_row.h"
#include "market/rules.h"
#include "market/spans.h"
#include "market/sum_tree.h"

namespace truetape::market {

// What all books of a partition share; owned by the processor.
struct Setting {
  Rules rules;
  std::uint64_t generation = 1;  // rises with every change of the rules
  std::int32_t partition = 0;
  std::int64_t epoch = 0;
};

// Where an item comes from: its record, and what the session says of it.
struct Origin {
  const RawRecord* record = nullptr;
  bool live = false;                 // a frame: may move the frontier
  Text<40> session;                  // of a frame whose sequence is sound; else empty
  Text<40> source;                   // session or file hash
  std::uint64_t seq = 0;             // number of the record in its source
  Nanoseconds offset{};              // the venue's clock minus ours
  bool replay = false;               // judged again, from quarantine
  bool contradicted = false;         // of a replay: it is there since it contradicts a trade that was accepted
  std::span<const Item> items = {};  // of the record
};

class Book {
 public:
  Book(const Instrument& instrument, TradeIds ids, const Setting& setting);

  const Instrument& instrument() const { return instrument_; }
  std::uint64_t seen_batch = 0,
                seen_record = 0;  // the processor's own: the last batch and record that touched this book

  // --- facts, each one item ---
  void fold(const Item& item, const Origin& origin, Results& out, Counts& counts);
  void fix_tape(Tape tape);  // the first one stays
  std::optional<Tape> tape() const { return tape_; }
  void reference(const Reference& reference) {
    reference_ = reference;
    touch_head();
  }
  bool has_reference() const { return reference_.has_value(); }
  void end_page();  // after all items of a record
  // False: too many are open, nothing has changed.
  bool begin_range(std::string_view name, std::optional<Timestamp> from, std::optional<Timestamp> to);
  void end_range(std::string_view name);
  void declare(Timestamp from, Timestamp to);
  struct Answer {
    std::optional<std::uint32_t> era;  // absent: the newest
    std::optional<std::uint64_t> first, last, nothing_after;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> skipped;
    std::optional<Timestamp> as_of;
    bool exhausted = false, refused = false;
  };
  void answer(const Answer& answer);
  void forget_contents();  // of the newest ids: their repeats are not compared
  void drop_held(std::uint64_t id, const QuarantinePlace& of, Counts& counts);  // unless another item holds the id
  bool sets_aside(const QuarantinePlace& item) const;                           // does it wait in a series?
  bool recomputed(const Candle& candle);  // false: the stream still owns that window
  // Of sessions: the subscription holds since `from` (nullopt: since the first witness); a frame that names the
  // instrument has come; the session proves venue time up to `witness`.
  void carried(std::string_view session, std::optional<Timestamp> from);
  void alive(std::string_view session);
  void silence(std::string_view session);  // it has lost something: no further evidence from it
  void witness(std::string_view session, Timestamp witness);

  // The rest of a long list of windows, at most as many as one record may close. True: more is left.
  bool work();
  bool has_work() const { return !work_.empty(); }
  // A snapshot of now, at most once per second of receive time; `at_once`: also sooner.
  void progress(Timestamp receive_time, bool at_once);

  // --- output and state ---
  void list_set_aside(std::vector<SetAside>& out) const;  // appends
  void finish_batch(Results& out, bool emit_open);
  void restore(std::string_view key, std::string_view value);  // key without the instrument; in any order
  void restored();                                             // after the last key

  // Holes, held ids and neighbours that wait, looked at since the beginning: for tests that hold a bound on the work
  // of an item.
  std::uint64_t steps() const;

 private:
  struct Window {
    Accumulator trades;
    CandleStatus status = CandleStatus::open;
    Completeness completeness = Completeness::none;
    bool repaired = false;
    bool rolled = false;                                    // base only: its trades are in the upper windows too
    bool changed = false;                                   // by the item under way
    bool to_emit = false, to_save = false, listed = false;  // listed: in touched_
    bool due = false;                                       // waits in due_
    bool saved = false;                                     // its key is in the state
    std::uint64_t revision = 0;
    std::optional<Timestamp> asked_at;  // the frontier for which it waits in due_by_frontier_
    std::optional<Point> flat;          // of quiet ones: the last candle trade before
    Proof proof = Proof::none;          // as of the item that changed it last; so are missing and held
    std::optional<std::uint64_t> missing;
    std::uint64_t held = 0;
  };
  struct Layer {
    Interval interval{};
    std::map<Timestamp, Window> windows;
    std::set<Timestamp> open;  // starts of those with status open
    Timestamp evicted = Timestamp::min();
  };
  using IdKey = std::pair<std::uint32_t, std::uint64_t>;  // era and id
  struct Held {
    Timestamp time{};
    // Of the lowest and the highest of known ones without an accepted id between them: times of the nearest accepted
    // neighbours.
    Timestamp below = Timestamp::min(), above = Timestamp::max();
    Reason reason{};
    std::optional<QuarantinePlace> place = {};  // of the item; not known of what a state of version 2 holds
    bool known = false;                         // its id is in the ledger
    bool counts = false;  // makes its window `gap`: known, or not against the neighbours that it has
  };
  struct HeldTime {
    Timestamp time;
    std::uint32_t era;
    std::uint64_t id;
    bool counts = false;
    friend bool operator<(const HeldTime& a, const HeldTime& b) {
      return std::tie(a.time, a.era, a.id) < std::tie(b.time, b.era, b.id);
    }
    std::uint64_t spread() const { return id ^ static_cast<std::uint64_t>(to_ns(time)); }
  };
  struct HeldSum {  // of those that count; times of all
    explicit HeldSum(const HeldTime& h) : count{h.counts}, least{h.time}, greatest{h.time} {}
    void join(const HeldSum& after) {
      count += after.count;
      greatest = after.greatest;
    }
    std::uint64_t count;
    Timestamp least, greatest;
  };
  struct UnknownId {
    IdKey key;
    Timestamp time;
    friend bool operator<(const UnknownId& a, const UnknownId& b) { return a.key < b.key; }
    std::uint64_t spread() const { return key.second; }
  };
  struct UnknownSum {
    explicit UnknownSum(const UnknownId& u) : first{u.key}, last{u.key}, least{u.time}, greatest{u.time} {}
    void join(const UnknownSum& after) {
      last = after.last;
      least = std::min(least, after.least);
      greatest = std::max(greatest, after.greatest);
    }
    IdKey first, last;
    Timestamp least, greatest;
  };
  using Bridge = std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>;  // era, from, to: neighbours of one page
  struct Cover {                                                           // of one session
    Text<40> session;
    std::optional<Timestamp> from, end;
    bool alive = false;
    bool silenced = false;
  };
  // Of an era whose newest id may not be its last: a break in the sessions after it, and no id since. Ends where the
  // next era begins.
  struct TailGap {
    Gap gap;
    Timestamp sealed{};  // windows that end here or before were sealed when it opened
    std::optional<Timestamp> lost_at;
    bool touches(Timestamp start, Timestamp end) const { return gap.from < end && (!gap.to || *gap.to >= start); }
  };
  struct Aside {  // a trade or marker of a series that is not believed yet
    Item::Type type = Item::Type::trade;
    Trade trade;
    bool live = false;
    std::string raw;
    OwnedHeaders headers;
    std::int64_t offset = 0;  // of the record that it came in; of its place only the ordinal
    std::uint32_t ordinal = 0;
    std::optional<Timestamp> receive_time;
  };
  struct Span {
    std::optional<Timestamp> from, to;
    bool meets(Timestamp a, Timestamp b) const { return (!from || *from <= b) && (!to || *to > a); }
  };
  // Windows that end after `from` and start at or before `to` are looked at again (the other way round where clocks
  // contradict the ids). `fresh`: windows without state may be made there if they end after that time, and at or before
  // `fresh_to`.
  struct Check {
    Timestamp from, to;
    std::optional<Timestamp> fresh = {};
    Timestamp fresh_to = Timestamp::max();
    std::optional<Hole> ended = {};         // a hole that touched them is gone or smaller
    std::optional<std::size_t> layer = {};  // only this one
    bool partial = false;                   // only windows that are `partial` may be made
    bool advance = false;                   // time went on, nothing else: open windows beyond it need no look
    Timestamp least() const { return std::min(from, to); }
    Timestamp greatest() const { return std::max(from, to); }
  };
  struct Verdict {
    Completeness completeness = Completeness::none;
    Proof proof = Proof::none;
    std::optional<std::uint64_t> missing;
    bool by_ids = false;  // rule 2 holds, whatever rule 1 says
    bool whole() const { return completeness == Completeness::complete || completeness == Completeness::quiet; }
    bool proven() const { return whole() && proof != Proof::session; }
  };
  struct KindRule {  // what the rules say of a venue's kind of record
    std::uint64_t generation = 0;
    Text<20> text;
    bool folded = false, stored = false;
  };
  struct Slot {  // content hashes of 64 neighbouring ids; 0: none
    std::uint64_t block = 0;
    std::array<std::uint32_t, 64> hashes{};
    bool to_save = false;
  };

  // judging (book_items.cc)
  enum class Known { no, duplicate, contradiction, unchecked };
  void accept(Trade&& trade, Item::Type type, bool live, Results& out, Counts& counts);
  void judge_bad(const Item& item, const Origin& origin, Results& out, Counts& counts);
  void hold(const Item& item, const Origin& origin, Reason reason, std::string detail, std::string_view rule,
            Results& out, Counts& counts);
  void quarantine(const Item& item, const Origin& origin, Reason reason, std::string detail, std::string_view rule,
                  Results& out);
  bool is_future(const Item& item, const Origin& origin) const;
  static OwnedHeaders headers_of(const Item& item, const Origin& origin);
  void quarantine_series(Results& out, Counts& counts);
  bool series(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts);
  void set_aside(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts);
  void resolve(const Aside& aside, Results& out, Counts& counts) const;
  std::uint32_t era_of(const Trade& trade) const;
  Known known(const Trade& trade, Item::Type type, std::uint32_t era) const;
  bool judge_known(const Trade& trade, const Item& item, const Origin& origin, Results& out, Counts& counts);
  void remember(const Trade& trade, Item::Type type, std::uint32_t era);
  Ledger::Change::Kind learn(std::uint32_t era, std::uint64_t id, Timestamp time, const std::optional<Point>& candle);
  void bridge(std::uint32_t era, std::uint64_t from, std::uint64_t to);
  void absorb(std::uint32_t era, std::uint64_t id);
  void bridge_between(std::uint32_t era, const std::vector<Ledger::Absent>& absent);
  void forget_absent(std::uint32_t era, std::uint64_t id);
  const KindRule& kind_of(const Trade& trade) const;
  const RulesOf& rules() const;
  bool far_from_median(const Trade& trade);
  void sample(const Point& point);
  void bound_prices();
  Marks judge_steps(const Trade& trade, bool& refused) const;

  // venues without contiguous ids (book_loose.cc)
  struct Overlap {  // trades that follow each other in a venue's pages, none left out; the key is the id of the first
    std::uint64_t last = 0;
    Timestamp from{}, to{};  // times of the first and the last
  };
  using Stretches = std::map<std::uint64_t, Overlap>;
  std::uint64_t identity_of(const Trade& trade) const;
  void judge_loose(const Item& item, Trade trade, const Origin& origin, Results& out, Counts& counts);
  bool is_forgotten(std::uint64_t identity, Timestamp time) const;  // it may have come and be remembered no more
  void note_waiting(const Item& item);
  bool repeats(std::uint64_t identity, const Origin& origin);  // one that is forgotten
  bool passed_file(const Trade& trade);
  void note_loose(const Point& point);
  void note_dropped(const Point& point);
  Timestamp unsealed_from(Timestamp t) const;
  Stretches::iterator stretch_at(std::uint64_t id);
  bool in_stretch(std::uint64_t id);
  bool is_known_loose(std::uint64_t id);
  void split_stretch(std::uint64_t id);
  Stretches::iterator link(std::uint64_t id, std::uint64_t next);
  Verdict judge_loose(Timestamp start, Timestamp end, bool has_trades) const;
  void write_loose(Writer& w) const;
  void read_loose(Reader& r);

  // held ids (book_held.cc)
  void add_held(const IdKey& key, const Held& held);
  void release(std::uint32_t era, std::uint64_t id);
  void place(const IdKey& key, Held& held);
  void set_counts(const IdKey& key, Held& held, bool counts);
  void ends_moved(std::uint32_t era, bool was_empty, const Ledger::End& first, const Ledger::End& top);
  std::vector<std::uint64_t> unknown_between(std::uint32_t era, std::uint64_t from, std::uint64_t to,
                                             Timestamp least = Timestamp::min(),
                                             Timestamp greatest = Timestamp::max()) const;
  std::pair<Timestamp, Timestamp> bounds_of(std::uint32_t era, const Hole& hole) const;
  std::optional<std::pair<Timestamp, Timestamp>> bounds_before(std::uint32_t era, std::uint64_t id);
  Timestamp below(const IdKey& key) const;  // of a known held id: the time of its nearest accepted neighbour
  Timestamp above(const IdKey& key) const;
  std::optional<IdKey> next_held(const IdKey& key, bool up) const;
  void set_below(const IdKey& key, Timestamp time);
  void set_above(const IdKey& key, Timestamp time);
  void becomes_known(const IdKey& key, Held& held);
  bool fits(const IdKey& key, const Held& held) const;
  void settle_held(std::uint32_t era, const std::vector<std::uint64_t>& ids);
  void bound_held(std::uint32_t era, std::uint64_t id, Timestamp time);
  void absorbed(std::uint32_t era, const Ledger::Absent& absent);
  void wait(std::uint32_t era, std::uint64_t from, std::uint64_t to);
  void end_waits(std::uint32_t era, std::uint64_t first, std::uint64_t last);
  void forget_waits(std::uint32_t era, std::uint64_t id);
  void retry_bridges();

  // gaps (book_gaps.cc)
  void open_hole(std::uint32_t era, Hole& hole);
  void open_pending();
  bool announced(Timestamp from, Timestamp to) const;
  void gap_row(std::uint32_t era, const Hole& hole, GapState state);
  void end_hole(std::uint32_t era, const Hole& hole);
  Check check_of(const Hole& hole, Timestamp from, Timestamp to, bool ended) const;
  Timestamp sealed_tail(std::uint32_t era) const;
  void open_tail(Timestamp from);
  void close_tail(std::uint32_t era);
  void bound_tail();
  void tail_row(TailGap& tail);
  void cover_until(Cover& cover, Timestamp to);
  void tail_recedes(Timestamp from, std::optional<Timestamp> until);
  void save_hole(std::uint32_t era, std::uint64_t left);

  // windows (book_windows.cc)
  bool in_a_run(Timestamp from, Timestamp to, const Point* with) const;
  struct Stretch {
    Timestamp from, to;
  };
  Stretch stretch_of(Timestamp start, Timestamp end, const Window* window) const;
  Timestamp until_trade(Timestamp t) const;
  void ask_again(Timestamp from, Timestamp to);
  std::optional<Timestamp> kept_until(Timestamp start, Timestamp end) const;
  void note_sealed(Timestamp time);
  void fold_trade(const Trade& trade, bool below);
  bool sealed(const Layer& layer, Timestamp start, bool below) const;
  bool was_sealed(Timestamp start, Timestamp end) const;
  void reprice(Timestamp time);
  void move_frontier(Timestamp to);
  void settle();  // end of every item
  void check_layer(std::size_t layer, const Check& check, std::size_t& budget);
  void repair(std::size_t layer, Timestamp start, Window& window, const Hole& ended);
  void consider(Timestamp t);
  void look_again(Timestamp from, Timestamp to) { checks_.push_back({.from = from, .to = to}); }
  bool look(std::size_t layer, Timestamp start, Window& window, bool advance);
  Completeness certain(const Verdict& verdict);
  bool can_close(Timestamp start, Timestamp end, const Verdict& verdict) const;
  void roll(Timestamp start, Window& base);
  void list(std::size_t layer, Timestamp start, Window& window);
  void mark(std::size_t layer, Timestamp start, Window& window);
  void note_circumstance(std::size_t layer, Timestamp start);
  void forget(std::size_t layer, Timestamp start, const Window& window);
  void drop_settled();
  void make_room();
  void close_early(std::size_t layer, Timestamp start, Window& window);
  bool droppable(Timestamp start, Timestamp end, const Window* window, std::optional<Timestamp>& later) const;
  void schedule(std::size_t layer, Timestamp start, Window& window, bool proven);
  void ask_at(std::size_t layer, Timestamp start, Window& window, Timestamp frontier);
  Candle candle(const Layer& layer, Timestamp start, const Window& window) const;
  std::optional<Point> last_before(Timestamp t) const;
  Timestamp known_from() const;            // requires a known id
  std::optional<Timestamp> reach() const;  // how far windows may have been closed

  // completeness (book_verdict.cc)
  Verdict judge(Timestamp start, Timestamp end, bool has_trades) const;
  Proof whole_by_ids(Timestamp start, Timestamp end) const;  // none: not by rule 2
  std::uint64_t held_in(Timestamp start, Timestamp end) const;
  bool held_touches(Timestamp start, Timestamp end) const;
  std::optional<Timestamp> last_held_in(Timestamp start, Timestamp end) const;
  bool pending_touches(Timestamp start, Timestamp end) const;
  bool gap_touches(Timestamp start, Timestamp end, std::optional<Timestamp>& lost_until) const;
  std::optional<Timestamp> top_end() const;  // t_hi of the last run, declarations counted
  enum class Tail { covered, broken, silent };
  Tail tail(Timestamp from, Timestamp end) const;
  Tail evidence(Timestamp start, Timestamp end) const;

  // progress and state (book_state.cc)
  void touch_head() { head_dirty_ = true; }
  std::optional<Timestamp> closed_until() const;
  std::optional<Timestamp> proven_until() const;
  std::optional<Timestamp> sealed_until() const;
  void put(Results& out, std::string_view key, std::optional<std::string> value) const;
  std::string head() const;
  void restore_head(std::string_view value);
  std::string window_key(std::size_t layer, Timestamp start) const;

  const Instrument instrument_;
  const TradeIds ids_;
  const Setting& setting_;
  mutable KindRule kind_;  // of the trade before
  mutable RulesOf rules_{};
  mutable std::uint64_t rules_generation_ = 0;   // of setting_ when rules_ was worked out
  std::vector<Decimal> samples_;                 // prices of the first trades of the last base windows, as they came
  Timestamp sampled_ = Timestamp::min();         // end of the base window of the last of them
  Int128 least_price_ = 0, greatest_price_ = 0;  // what is not far from their median, in units of an amount
  std::uint64_t bound_generation_ = 0;
  std::optional<Tape> tape_;
  std::optional<Reference> reference_;
  std::vector<Ledger> eras_{1};
  std::optional<Point> last_;  // the newest candle trade
  std::optional<Point> last_before_item_;
  std::vector<Point> item_points_;             // candle trades of the item under way: three when a series is believed
  std::map<std::uint64_t, Timestamp> recent_;  // venues without contiguous ids: identity → time
  std::set<std::pair<Timestamp, std::uint64_t>> recent_by_time_;
  std::optional<std::uint64_t> floor_;  // of rising ids: the greatest that is remembered no more
  struct FilePlace {
    std::uint64_t row = 0;
    std::uint32_t ordinal = 0;
    std::uint64_t born = 0;  // order of first sight, to forget the oldest
  };
  std::map<std::string, FilePlace, std::less<>> files_;  // by hash: how far each was read
  std::uint64_t files_seen_ = 0;
  std::optional<Timestamp> forgotten_to_;  // and the greatest time of one
  // Those that replays brought of which it was not known whether they wait: they come once. 100,000, the least
  // forgotten.
  std::set<std::uint64_t> brought_;
  std::set<std::uint64_t> waiting_;      // and those that are in quarantine, and were accepted by no other way
  std::optional<Timestamp> first_time_;  // of the earliest candle trade
  std::optional<Point> dropped_last_;    // the newest candle trade whose base window has no state
  Stretches stretches_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> links_;  // neighbours of the record under way
  Timestamp passed_ = Timestamp::min();  // frontier less bound up to which open windows have been looked at
  bool pending_due_ = true;              // something happened that may open a hole
  std::vector<Point> ended_points_;      // last candle trades before holes that the item under way ended, ascending
  bool settling_held_ = false;
  std::optional<std::pair<Timestamp, Timestamp>> item_bounds_;  // between which the id under way was known while held
  std::optional<std::pair<std::uint32_t, std::uint64_t>> item_follows_;  // neighbour_ of the item under way
  std::uint32_t bound_due_ = 0;     // an era whose first id is another one since this item
  bool made_ = false;               // a window was made by the item under way
  std::optional<Timestamp> reach_;  // reach() at the end of the item under way
  bool item_held_ = false;          // the trade under way was held, and counted for its window
  Timestamp item_known_from_{};     // where knowledge began before the item under way
  std::vector<bool> item_sealed_;   // by layer: the window of the trade under way has no state and needs none
  bool item_late_ = false;          // the trade under way came for a sealed window
  std::optional<Timestamp> frontier_;
  std::optional<Timestamp> considered_;                           // windows that end here or before have been looked at
  Timestamp considered_next_{}, passed_next_ = Timestamp::min();  // ends of the base windows that hold them
  Spans declared_;
  std::map<std::string, Span, std::less<>> ranges_;
  std::map<IdKey, Held> held_;
  SumTree<HeldTime, HeldSum> held_times_;                                 // all of them
  SumTree<UnknownId, UnknownSum> unknown_;                                // those whose ids are not known
  std::set<std::tuple<std::uint32_t, Timestamp, std::uint64_t>> beyond_;  // of unknown_, those above the newest id
  std::set<std::tuple<std::uint32_t, Timestamp, std::uint64_t>> before_;  // and those below the first
  std::set<IdKey> lowest_, highest_;                                      // those with a time `below`, `above`
  std::uint64_t held_steps_ = 0;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> absent_;  // era, first → last
  std::set<std::pair<IdKey, Bridge>> bridges_;  // by each end that they wait for: it is not known yet
  std::vector<Bridge> ready_;                   // no longer waiting
  bool retrying_ = false;
  std::vector<Aside> series_;
  bool series_restart_ = false;
  std::vector<Cover> covers_;
  Spans covered_;                               // by sessions that are in covers_ no more
  std::map<std::uint32_t, TailGap> tails_;      // by era
  std::array<std::unique_ptr<Slot>, 65> ring_;  // 64 whole blocks and the newest, which is not full
  std::uint32_t ring_era_ = 0;
  std::optional<std::pair<std::uint32_t, std::uint64_t>> neighbour_;  // era and id of the item before, of one page
  std::size_t pending_ = 0;                                           // holes that have not opened

  std::vector<Layer> layers_;
  std::map<Timestamp, Window>::iterator current_;  // base window of the trade before; valid if has_current_
  bool has_current_ = false;
  // Closed windows by the time at which their state may be of no more use: those that ids prove, when the newest id has
  // come to it (or they are old), others when the frontier has. One that is looked at again is put in again.
  using Due = std::set<std::tuple<Timestamp, std::size_t, Timestamp>>;  // when, layer, start
  Due due_, due_by_frontier_;
  std::vector<Stretch> asked_;  // by the item under way: windows that start there are asked again
  std::deque<Check> work_;
  std::vector<Check> checks_;  // of the item under way
  bool recheck_open_ = false;
  std::vector<std::pair<std::size_t, Timestamp>> changed_;  // windows changed by the item under way
  std::map<std::tuple<std::size_t, Timestamp>, std::uint64_t> late_;

  Progress progress_;
  std::optional<Timestamp> progress_at_;
  bool progress_dirty_ = false;

  // what the batch changed
  bool head_dirty_ = true;
  std::vector<std::pair<std::size_t, Timestamp>> touched_;  // windows to emit or save; one may be gone or stand twice
  std::set<std::string> erased_;                            // state keys to delete
  std::set<std::pair<std::uint32_t, std::uint64_t>> touched_holes_, saved_holes_;
  std::set<std::pair<std::size_t, Timestamp>> kept_back_;  // open windows whose row waits for the end of catch-up
  std::optional<std::pair<std::uint64_t, std::uint64_t>> last_tail_;  // id and revision of the tail gap that ended last
  std::map<std::pair<std::uint32_t, std::uint64_t>, Gap> gap_rows_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> touched_held_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> touched_absent_;
  std::set<std::uint64_t> touched_recent_, touched_waiting_, touched_brought_;
  std::set<std::string> touched_files_;
  std::vector<Candle> finished_;
  std::vector<std::pair<std::uint32_t, Hole>> restored_holes_;
  std::vector<std::pair<IdKey, Held>> restored_held_;
  std::vector<Bridge> restored_bridges_;
  std::set<Bridge> touched_bridges_;
  std::set<std::tuple<std::size_t, Timestamp>> touched_late_;
};

}  // namespace truetape::market
