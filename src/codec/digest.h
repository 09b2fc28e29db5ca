// `truetape digest`: one SHA-256 per instrument, tape, kind, interval and UTC day over the canonical lines
// (codec/canonical.h). Equal digests mean equal content, whether the rows come from the log or from a store.
//
// Of candles count those that are closed and proven: their row says so (comparable()), or session evidence closed the
// window and the trades' ids show by now what the row says: one run of them holds the window, or ids are missing in it.
// The proof of a row is that of the moment it was written, and so depends on the way that the trades came; what the
// trades prove does not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/records.h"
#include "core/result.h"

namespace truetape {

struct DigestRow {
  Instrument instrument;
  Tape tape = Tape::trade;
  bool candles = false;              // kind: candles, else trades
  std::optional<Interval> interval;  // of candles
  std::chrono::sys_days day{};       // UTC, of a trade's event_time, of a candle's start
  std::uint64_t rows = 0;
  std::string sha256;  // 64 hex digits
  friend bool operator==(const DigestRow&, const DigestRow&) = default;
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void add(std::string_view bytes);
  std::string hex();  // once, at the end

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Does the venue of that name number the trades of an instrument without a hole (TradeIds::contiguous)?
using NumbersTrades = std::function<bool(std::string_view venue)>;

// Where ids follow each other without a hole, from which trade's time to which one's. A few bytes a hole.
class IdRuns {
 public:
  // With an id, in the order (era, order). Around a late one nothing is shown: the row of a window that was sealed does
  // not hold it, and no id is missing there.
  void add(const Trade& trade) { add(trade.era, trade.order, trade.event_time, trade.marks); }
  void add(std::uint32_t era, std::uint64_t order, Timestamp time, Marks marks);
  // What the ids alone prove of a window (semantics section 4, rules 2 and 3).
  enum class Shown : std::uint8_t { nothing, whole, hole };
  Shown shown(Timestamp start, Timestamp end) const;

 private:
  struct Run {
    std::uint32_t era = 0;
    Timestamp low{}, high{};
    bool behind_late = false;  // a late one lies between the run before and this one
  };
  std::vector<Run> runs_;
  std::uint64_t last_ = 0;
  bool late_ = false;  // since last_
};

// From rows in canonical order, in little memory: first all trades by (instrument, tape, era, order), then the candles
// by (instrument, tape, interval, start), instruments in the order of their bytes. Trades without an id need no order:
// their lines are sorted (and held until their instrument and tape are done).
class Digest {
 public:
  explicit Digest(NumbersTrades numbers) : numbers_{std::move(numbers)} {}
  // Fault::malformed, and the digest is void: the row comes before the last one, has the same identity, or is a trade
  // after a candle.
  Status add(const Trade& trade);
  Status add(const Candle& candle);
  std::vector<DigestRow>
  finish();  // by instrument, tape, kind (candles first), interval, day; the digest is empty again

 private:
  friend class DigestCollector;
  using Day = std::chrono::sys_days;
  struct Sum {
    Sha256 hash;
    std::uint64_t rows = 0;
  };
  struct Group {  // one kind of rows, of one instrument, tape and interval
    std::map<Day, Sum> days;
    std::vector<std::pair<Day, std::string>> loose;  // lines of trades without ids
  };
  void close(Group& group, const DigestRow& key);
  bool proven(const Candle& candle) const;

  NumbersTrades numbers_;
  std::map<std::pair<Instrument, Tape>, IdRuns> runs_;  // of venues that number their trades
  IdRuns* group_runs_ = nullptr;                        // of the instrument and tape whose trades come now

  std::optional<std::tuple<Instrument, Tape, std::uint32_t, std::uint64_t>> last_trade_;  // of those with ids
  std::optional<std::tuple<Instrument, Tape, Interval, Timestamp>> last_candle_;
  Group trades_, candles_;
  DigestRow trades_key_, candles_key_;
  std::vector<DigestRow> rows_;
  std::string line_;
};

// From rows in any order, each as often as it comes, as a log holds them: of candles with one key the greater row_order
// counts, trades count once by their identity. Holds every line: about 200 bytes a trade, 700 a candle. Digests are by
// instrument and day, so whoever can ask for these one at a time feeds and finishes one at a time.
class DigestCollector {
 public:
  explicit DigestCollector(NumbersTrades numbers) : numbers_{std::move(numbers)} {}
  // Fault::corrupt: a trade of the same identity and other content, or a candle of the same key and order and other
  // content, was there before.
  Status add(const Trade& trade);
  Status add(const Candle& candle);
  Result<std::vector<DigestRow>> finish();

 private:
  struct Line {
    bool has_id;
    std::uint32_t era;
    std::uint64_t order;
    Timestamp time;
    Marks marks;
    std::string text;
  };
  struct Trades {
    std::vector<Line> lines;
    std::set<std::tuple<std::string, std::uint64_t, std::uint32_t>> loose;  // identities of trades without ids
  };
  NumbersTrades numbers_;
  std::map<std::pair<Instrument, Tape>, Trades> trades_;
  std::map<std::tuple<Instrument, Tape, Interval, Timestamp>, Candle> candles_;
};

}  // namespace truetape
