// The recent past in memory: for each instrument the newest candles of each interval, open ones included, the newest
// trades, the last quotes, holes, how far it has come. What the log brings is applied as it comes; of two rows with one
// key the greater row_order stays, so what the store gives may be mixed in at any time and twice. One thread.
//
// The stream has open rows of the smallest interval only. Larger ones are rolled up here, window by window from the
// next smaller interval that divides it, when somebody watches the interval or asks for it.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/follow.h"
#include "serve/recent_news.h"

namespace truetape {

// A row, and its JSON once somebody wanted it (render.h). Rows are shared: an update is another object.
struct CandleRow {
  Candle row;
  bool rolled = false;  // made here of smaller ones
  // The log's candles of its partition below this have it; 0: it is of the store.
  std::int64_t below = 0;
  mutable std::shared_ptr<const std::string> json = {};
};
using CandlePtr = std::shared_ptr<const CandleRow>;
struct KeptTrade : Trade {
  std::int64_t below = 0;  // as of a candle
};

struct RecentGap {
  Tape tape;
  std::uint32_t era;
  std::uint64_t first_id;
  friend auto operator<=>(const RecentGap&, const RecentGap&) = default;
};

// One interval of one tape, rising by start.
struct CandleSeries {
  std::vector<CandlePtr> rows;
  bool from_beginning = false;  // there is nothing before the first row, in the store neither
  // Windows whose smaller rows have changed since they were rolled up; few.
  std::vector<Timestamp> unrolled;
  // Of what begins up to here rows may have gone, or were never here: no window that holds it is rolled up.
  std::optional<Timestamp> gone_to = {};
};

struct TapeMemory {
  std::vector<CandleSeries> series;  // by the place of the interval
  std::deque<KeptTrade> trades;      // rising by event_time, era, order
  bool trades_from_beginning = false;
  std::optional<Timestamp> known_from;  // where what is known of it begins, by its first closed row of a minute or more
  std::optional<Progress> progress;
};

// Positions in a partition of the log. What memory has let go, or never had, lies below: once the store has loaded so
// far, store and memory together are without a hole.
struct Gone {
  std::int64_t candles = 0, trades = 0, gaps = 0;
};

struct InstrumentMemory {
  Instrument instrument;
  std::int32_t partition = 0;
  std::array<std::unique_ptr<TapeMemory>, 2> tapes;
  Tape tape = Tape::trade;  // its own: that of what came last
  std::optional<Quote> best, ticker;
  std::map<RecentGap, Gap> gaps;  // those that have not ended, and some that have
  std::optional<Reference> reference;
  std::optional<std::chrono::steady_clock::time_point> heard;  // when its time last moved on live evidence
  bool stale = true;                                           // as judge() said last
  bool filled = false;                                         // what the store has of its recent past is in
  Gone gone;
  bool filling = false;        // the store is being read: nothing goes meanwhile
  std::uint64_t unfilled = 0;  // how many times rows were skipped, so that what was read of the store need not do
  // Its whole recent past is kept. Of the others, which nobody asks for, only the last rows are: when somebody asks,
  // the store gives the rest.
  bool roomy = false;
  std::chrono::steady_clock::time_point asked{};  // when somebody asked last
  int followers = 0;                              // subscriptions of the stream
  std::vector<int> watched;                       // by the place of the interval: how many watch it

  TapeMemory* memory(Tape t) const { return tapes[static_cast<std::size_t>(t)].get(); }
  std::optional<Timestamp> as_of() const;
  std::size_t open_gaps() const;
};

// What the store has of an instrument's recent past (fill.h).
struct Filled {
  struct OfTape {
    std::vector<std::vector<Candle>> candles;  // by the place of the interval, rising
    std::vector<Trade> trades;
    std::optional<Timestamp> known_from;
    bool any = false;
  };
  std::array<OfTape, 2> tapes;
};

// What apply() has changed. Pointers are into the memory and live until its next call.
struct Changes {
  std::vector<CandlePtr> candles;    // each key once
  std::vector<const Trade*> trades;  // into the batch
  std::vector<const Quote*> quotes;
  std::vector<Gap> gaps;
  std::vector<Progress> progress;
  std::set<Instrument> instruments;  // listed, wanted or seen for the first time, or otherwise new in `instruments`
  std::set<std::string> feeds;       // venues
  std::vector<News> news;
  std::vector<NewsCount> news_counts;
  bool ingest = false;  // started or stopped
};

class Recent {
 public:
  struct Options {
    std::vector<Interval> intervals;  // rising
    std::size_t candles = 128, trades = 200;
    Nanoseconds stale_after = std::chrono::seconds{10};
    std::int32_t partitions = 1;
    std::size_t instruments = 96;  // roomy ones; more only while they are followed
  };
  explicit Recent(Options options);

  Changes apply(const Followed& batch, std::chrono::steady_clock::time_point now);
  // Somebody asks for it: its recent past is kept from now on, and another's may go, the one that was not asked for
  // longest.
  void ask(InstrumentMemory& of, std::chrono::steady_clock::time_point now);
  // From now on nothing of it goes, until fill() or give_up().
  void begin_filling(InstrumentMemory& of) { of.filling = true; }
  // What the store has is in from now on.
  void fill(InstrumentMemory& of, const Filled& filled);
  void give_up_filling(InstrumentMemory& of);

  InstrumentMemory* find(const Instrument& instrument);
  InstrumentMemory& at(const Instrument& instrument);  // made if it is not there
  const std::unordered_map<Instrument, std::unique_ptr<InstrumentMemory>>& all() const { return instruments_; }
  const ControlState& control() const { return control_; }
  const RecentNews& news() const { return news_; }
  const std::vector<Interval>& intervals() const { return options_.intervals; }
  const Options& options() const { return options_; }
  std::optional<std::size_t> place(Interval interval) const;
  const std::vector<std::size_t>& kept() const { return kept_; }  // rows of a series, by the place of the interval

  // Rolls up what has changed below; afterwards the series has its open rows. Those that are new are appended.
  void roll(InstrumentMemory& of, Tape tape, std::size_t place, std::vector<CandlePtr>* changed = nullptr);
  // Whether its time stands still by now, or ingest says that nothing of it is received; remembered in `stale`.
  bool judge(InstrumentMemory& of, std::chrono::steady_clock::time_point now) const;

  bool caught_up() const { return caught_up_; }
  // All of the topic's partition below has been applied.
  std::int64_t applied(std::string_view topic, std::int32_t partition) const;
  const std::map<std::pair<std::string_view, std::int32_t>, std::int64_t>& positions() const { return applied_; }

 private:
  bool received(const Instrument& instrument) const;
  std::size_t most_rows(const InstrumentMemory& of, std::size_t place) const;
  std::size_t most_trades(const InstrumentMemory& of) const;
  void trim(InstrumentMemory& of);
  TapeMemory& tape_of(InstrumentMemory& of, Tape tape);
  // Nothing: it was not new. Else the row, which need not have stayed in memory.
  CandlePtr put(InstrumentMemory& of, const Candle& candle);
  void skip(const Followed::Position& position);
  void drop_oldest_trade(InstrumentMemory& of, TapeMemory& memory);
  void touch(TapeMemory& memory, std::size_t place, Timestamp start);
  bool put_trade(InstrumentMemory& of, const Trade& trade);
  bool put_gap(InstrumentMemory& of, const Gap& gap);
  bool put_progress(InstrumentMemory& of, const Progress& progress, std::chrono::steady_clock::time_point now,
                    bool live);
  void put_quote(InstrumentMemory& of, const Quote& quote, Changes& changes);
  void trim(InstrumentMemory& of, CandleSeries& series, std::size_t place);

  Options options_;
  std::vector<std::size_t> kept_;
  std::vector<std::optional<std::size_t>> lower_;  // the interval that each is rolled up from
  std::optional<std::size_t> minute_;              // the smallest interval of at least a minute
  std::unordered_map<Instrument, std::unique_ptr<InstrumentMemory>> instruments_;
  std::size_t roomy_ = 0;
  ControlState control_;
  RecentNews news_;
  std::map<std::pair<std::string_view, std::int32_t>, std::int64_t> applied_;
  std::vector<Gone> at_, skipped_;  // by partition: applied_ again; below which not all was given
  bool caught_up_ = false;
  std::vector<Candle> bases_;  // scratch of roll()
};

}  // namespace truetape
