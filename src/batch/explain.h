// One candle's life, for a person and for programs: its trades and how they came, the ids at its edges, the evidence,
// the holes that touch it, every revision that the log still has with what changed and why, and what the store holds
// of it. Reads only: any thread, also beside a process that writes.
//
// The store gives trades, holes and rows by its indices. The log has no index by key, so revisions are searched for:
// from the time before which no row of the window can have been appended, first what is not loaded yet, then, in a long
// log, around the place where the rows of its neighbours stand. How much may be read is limited; what was not looked
// through is told.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/records.h"
#include "core/result.h"
#include "log/log.h"
#include "log/search.h"
#include "market/rules.h"
#include "stores/history.h"

namespace truetape {

struct ExplainLimits {
  std::uint64_t bytes = std::uint64_t{256} << 20;  // of the log are read at most
  // and of these, once the store's own row was found: the store has loaded what comes behind it, and has no later row.
  std::uint64_t behind = std::uint64_t{32} << 20;
  std::int64_t near = 200'000;  // records are looked through first, where the neighbours' rows stand
  static ExplainLimits none() { return {~std::uint64_t{0}, ~std::uint64_t{0}}; }
};

// Borrowed. `log` and `search` are the same log.
struct ExplainParts {
  const Log& log;
  const LogSearch& search;
  const History& history;
  std::string store;                             // what people call it: "SQLite"
  Rules rules = {};                              // `intervals` are those that are built
  Nanoseconds slack = std::chrono::minutes{10};  // how wrong our clock may have been when records were appended
  ExplainLimits limits = {};
};

struct ExplainQuestion {
  Instrument instrument;
  Interval interval{};
  Timestamp start{};
  std::optional<Tape> tape{};  // absent: the instrument's own, of two the one that came further
};

struct Explanation {
  // What there is of the window.
  enum class Standing : std::uint8_t {
    row,      // a row of the log or the store, or one rolled up from smaller windows
    hole,     // no row: it lies wholly inside a hole
    quiet,    // no row: implied by its neighbours, whose ids follow each other
    silent,   // no row: nothing came, and no ids prove it
    before,   // no row: it ends before all that is known
    after,    // no row: nothing has come of it yet
    late,     // no row: all its trades that candles count came after it was sealed
    missing,  // no row, but trades that it should count: it is not loaded yet, or lost
  };
  // Records that came the same way.
  struct Source {
    enum class Way : std::uint8_t { stream, backfill, file } way;
    std::string id;      // of the session, or the beginning of the file's SHA-256
    std::string name{};  // of the file, as far as the log still has it
    std::uint64_t trades = 0, late = 0;
    std::uint64_t first_id = 0, last_id = 0;
    std::optional<Timestamp> first_receive{}, last_receive{};
  };
  // What the store has of its trades.
  struct Trades {
    std::uint64_t records = 0;
    std::uint64_t counted = 0;       // trades of kinds that candles count; of tape agg a record stands for several
    std::uint64_t late = 0;          // records that came after the window was sealed
    std::uint64_t late_counted = 0;  // trades that these stand for: rows that were sealed leave them out
    bool more = false;               // only the first kMostTrades records were looked at
    bool behind = false;             // the log may have more that are not loaded yet
    std::optional<Trade> first, last;
    std::vector<Source> sources;
  };
  // The neighbours around the window. Whole by ids: between them no id is unaccounted for.
  struct Edges {
    std::optional<Trade> before, after;
    std::uint64_t between = 0;               // ids between theirs; 0 where the venue's ids cannot be counted
    std::optional<std::uint64_t> accounted;  // of them the store's trades; absent: not all were looked at
    bool contiguous() const { return before && after && before->era == after->era && accounted == between; }
  };
  struct Transition {
    std::int64_t offset;  // in topic gaps
    std::optional<Timestamp> appended;
    Gap row;
  };
  struct Hole {
    Gap row;                                 // the store's, or the log's if it is newer
    std::vector<Transition> history{};       // as far as the log still has it
    std::uint64_t came = 0;                  // of its ids, those that are trades of this window now
    std::optional<std::size_t> filled_by{};  // place in trades.sources of the first of these
  };
  struct Revision {
    std::int64_t offset;  // in topic candles
    std::optional<Timestamp> appended;
    Candle row;
    std::vector<std::string> changes{};  // "trades 10 → 15"
    std::string cause{};                 // a word for programs (docs/api.md)
    std::string why{};                   // a sentence
  };
  struct Stored {
    std::string store;
    std::optional<Candle> row;
    std::string verdict;  // a word for programs
    std::string says;     // a sentence
  };
  struct Upper {
    Interval interval;
    std::optional<Candle> row{};
    bool rolled_up = false;  // open: not in the store, made now of smaller windows; not of more than kMostRolled
  };
  struct Looked {
    struct Range {
      std::int64_t from, to;  // [from, to)
      friend bool operator==(const Range&, const Range&) = default;
    };
    std::int32_t partition = 0;
    std::int64_t oldest = 0, end = 0;  // of topic candles
    std::int64_t from = 0;             // what lies before was appended before the window began
    std::vector<Range> ranges{};       // looked through, in order
    bool cut = false;                  // not all of [from, end) was: more than the limits allow
    bool has_stored = false;           // the store's own row is among what was found
    std::string says;
  };
  static constexpr std::uint64_t kMostTrades = 50'000;
  static constexpr std::size_t kMostRevisions = 1'000;  // more: the first and the last of them
  static constexpr std::size_t kMostHoles = 100;
  static constexpr std::int64_t kMostRolled =
      3'600;  // smallest windows in one that is rolled up without being asked for

  ExplainQuestion asked;  // with its tape
  Interval smallest{};    // of those that are built
  Standing standing = Standing::row;
  std::optional<Candle> row;  // the one that counts
  bool rolled_up = false;     // it is open and larger than the smallest: made now of smaller windows
  std::string says;           // what is so, in one or two sentences
  std::string rule;           // which rule of docs/semantics.md section 4 says so
  Trades trades;
  Edges edges;
  std::optional<Progress> progress;
  std::vector<Hole> holes;
  bool more_holes = false;
  std::vector<Revision> revisions;
  std::uint64_t revisions_left_out = 0;
  std::vector<Stored> stores;
  std::vector<Upper> upper;
  Looked looked;

  Timestamp end() const { return asked.start + asked.interval; }
};
std::string_view name(Explanation::Standing standing);
std::string_view name(Explanation::Source::Way way);

// Fault::malformed: the interval is not built, or the start is none of a window; the sentence says what there is.
// Fault::not_found: nothing is known of the instrument.
Result<Explanation> explain(const ExplainParts& parts, const ExplainQuestion& question);

// For a terminal, lines of at most about 120 characters.
std::string to_text(const Explanation& of);
// One object, without a line's end. docs/api.md lists the members.
std::string to_json(const Explanation& of);

}  // namespace truetape
