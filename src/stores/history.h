// What query, serve, digest and audit read from a store. Any thread; every call is one snapshot of the store, also
// while another process writes; for several calls that see one state there is snapshot().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"
#include "core/result.h"

namespace truetape {

// What is asked for; empty members mean all. Rows come ordered by instrument, tape, interval, time, id.
struct Selection {
  std::optional<Instrument> instrument{};
  std::optional<Tape> tape{};
  std::optional<Interval> interval{};  // candles and counts of news
  std::string source{};                // of news and their counts: who wrote them; empty: all
  // Half open. Of candles and counts of news start, of trades event_time, of news event_time, of quarantine
  // receive_time lies in [from, to); a gap is there if any of it is: gap.from < to, and gap.to >= from or not known.
  // Not for progress, quotes and instruments.
  std::optional<Timestamp> from{}, to{};
  std::optional<std::uint64_t> limit{};  // rows at most, from the beginning of the order
  // With `limit`: the rows at the end of the order instead, still given in rising order. Of an instrument, tape and
  // interval found by walking an index from its end. Not for progress, quotes and instruments.
  bool newest = false;
  // Quarantine only: why it is there; and not what logs before this one left (a place is one of its own log).
  std::optional<Reason> reason{};
  std::string rule{};
  bool this_log = false;
};

// Records of a log that had been deleted there before they were loaded: what they said is not in the store.
struct Missing {
  std::string log_id, topic;
  std::int32_t partition;
  std::int64_t first, next;  // offsets [first, next)
};

class History {
 public:
  virtual ~History() = default;
  // Each row goes to `row` until it returns false. The rows are valid during the call only.
  virtual Status candles(const Selection& what, const std::function<bool(const Candle&)>& row) const = 0;
  virtual Status trades(const Selection& what, const std::function<bool(const Trade&)>& row) const = 0;
  // The same rows, read from the trades themselves in whatever order is quickest, without an index by time. For those
  // that read all of them. Not with `limit` or `newest`.
  virtual Status scan_trades(const Selection& what, const std::function<bool(const Trade&)>& row) const {
    return trades(what, row);
  }
  virtual Status gaps(const Selection& what, const std::function<bool(const Gap&)>& row) const = 0;
  virtual Status quarantine(const Selection& what, const std::function<bool(const Quarantined&)>& row) const = 0;
  // In order of time, venue and id, whatever instrument is named; `instrument`: those that speak of it.
  virtual Status news(const Selection&, const std::function<bool(const News&)>&) const { return {}; }
  // In order of interval, start, instrument and source; windows without a headline have no row.
  virtual Status news_counts(const Selection&, const std::function<bool(const NewsCount&)>&) const { return {}; }
  // The newest of each kind that the store knows, by instrument: best bid and ask, then the 24 h ticker.
  virtual Status quotes(const Selection&, const std::function<bool(const Quote&)>&) const { return {}; }
  virtual Status progress(const Selection& what, const std::function<bool(const Progress&)>& row) const = 0;
  virtual Status instruments(const Selection& what, const std::function<bool(const Reference&)>& row) const = 0;
  // All that any row is of, in order of their names.
  virtual Result<std::vector<Instrument>> known_instruments() const = 0;
  // The offset behind the last loaded record of the topic; nullopt: nothing loaded.
  virtual Result<std::optional<std::int64_t>> loaded(std::string_view topic, std::int32_t partition) const = 0;
  virtual Result<std::string> log_id() const = 0;  // empty: a store that nothing was loaded into
  // How many logs, or continuations of one log, were loaded into it, one after the other (--adopt): what only the
  // newest says, such as progress, need not hold for the rows of those before.
  virtual Result<std::int64_t> logs() const = 0;
  // Empty: the store has all that its logs ever held of the loaded topics.
  virtual Result<std::vector<Missing>> missing() const = 0;

  // A History whose calls all see the store as it is now, whatever is written meanwhile. For one call at a time.
  // As long as it lives the store may be unable to give room back (SQLite: the WAL grows).
  virtual Result<std::unique_ptr<History>> snapshot() const = 0;
};

}  // namespace truetape
