// A venue's memory: what a feed did not receive is asked for over the venue's REST interface, and the answers are put
// as records of `raw`, page by page, as they came. What they mean is for the heart to decide; who asks when, and what
// is said in the end (`answer` records), is for the role backfill.
//
// Who calls: on the thread of one net::Loop, like a feed. A filler starts no thread and keeps nothing that matters:
// what is still missing stands in the log.
//
//   auto filler = make_filler("binance", options, parts);      // Retry::never: this venue cannot be asked
//   const FillQuestion question{.instrument = i, .tape = Tape::trade, .first_id = 4711, .last_id = 5000};
//   const FillAnswer answer = co_await (*filler)->fill(question);   // one at a time
//   ... stop(); a question under way ends soon ...
//
//   Pages    are asked for in the order of ids, each beginning with the last trade of the one before it: so any two
//            neighbours stand in one page, and ids between them are known to be absent.
//   Budget   FillOptions::share of the venue's limit; the rest is the feed's. 429, 418 and Retry-After are waited for.
//   Memory   One page at a time; the next is not asked for before the sink has taken this one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "venues/feed.h"

namespace truetape {

struct FillOptions {
  std::string url = {};      // "https://host[:port]"; empty: the venue's own
  std::string api_key = {};  // sent where the venue knows such; never told, logged or put. Empty: none
  int share = 40;            // percent of the venue's limit of this address, 10 to 45: below the feed's half
  std::uint64_t seed = 0;    // of jitter
};

struct FillQuestion {
  Instrument instrument;
  Tape tape = Tape::trade;
  std::uint64_t first_id = 0;
  std::optional<std::uint64_t> last_id = {};  // empty: to what is newest
  int again = 0;  // how often the same was asked and answered: neighbours are looked for farther off then
};

// Ids, both included.
struct FillRange {
  std::uint64_t first = 0, last = 0;
  friend bool operator==(const FillRange&, const FillRange&) = default;
};

struct FillAnswer {
  enum class What : std::uint8_t {
    given,    // all of it was given, or stands between two neighbours of one page
    part,     // `missing` was not given: the venue has it no more, or not yet
    nothing,  // of a question without an end: the venue has nothing newer than first_id - 1, as of `as_of`
    refused,  // the venue refuses the question itself; `text` says how
    unable,   // it does not answer us: a key, a place, an address; `text` says what a person can do
    too_old,  // only newer ones can be had, unless somebody does what `text` says
    trouble,  // no usable answer came: it may, later
    stopped,  // stop() was called
  };
  What what = What::trouble;
  std::vector<FillRange> missing = {};
  // Beyond the question's last id: the venue has none of what comes after that either, up to here, as what it showed
  // instead tells. max(): nothing newer at all. Empty: it does not tell.
  std::optional<std::uint64_t> none_to = {};
  std::vector<FillRange> absent = {};        // ids between neighbours of one page
  std::optional<std::uint64_t> newest = {};  // the greatest id that was given
  std::optional<Timestamp> as_of = {};       // venue time that had come before the question was asked
  std::uint64_t pages = 0, trades = 0;       // that were put
  std::string text = {};                     // one sentence; empty: nothing to say
};
std::string_view name(FillAnswer::What what);

// Since the filler was made.
struct FillCounts {
  std::uint64_t requests = 0;  // sent
  std::uint64_t pages = 0, trades = 0;
  std::uint64_t limited = 0;     // 429 and 418
  std::uint64_t refused = 0;     // 4xx besides
  std::uint64_t failed = 0;      // no answer, 5xx
  std::uint64_t unusable = 0;    // pages that are none: HTML, empty, cut off
  std::uint64_t disordered = 0;  // pages whose ids do not rise: put trade by trade, so that nothing is concluded
};

class Filler {
 public:
  virtual ~Filler() = default;
  virtual std::string_view venue() const = 0;
  // How many ids are worth one question: newer gaps come next after it.
  virtual std::uint64_t unit(Tape tape) const = 0;
  // How many ids one page holds: gaps that lie within it are one question.
  virtual std::uint64_t page(Tape tape) const = 0;
  // Never throws for what a venue does. One at a time.
  virtual net::awaitable<FillAnswer> fill(FillQuestion question) = 0;
  // The first id of a trade at `time` or later; nullopt: there is none yet. An error says why it cannot be told.
  virtual net::awaitable<Result<std::optional<std::uint64_t>>> first_id_at(Instrument instrument, Tape tape,
                                                                           Timestamp time) = 0;
  virtual void stop() = 0;
  virtual FillCounts counts() const = 0;
};

// A new venue's filler is FeedEntry::make_filler of its folder. An error with Retry::never: no venue of that name can
// be asked; with another: an option is none that it can follow.
Result<std::unique_ptr<Filler>> make_filler(std::string_view venue, const FillOptions& options, FeedParts parts);

}  // namespace truetape
