// `truetape digest`: one SHA-256 per instrument, tape, kind, interval and UTC day over the canonical lines
// (codec/canonical.h). Equal digests mean equal content, whether the rows come from the log or from a store.
#pragma once

#include <cstdint>
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

// From rows in canonical order, in little memory: trades by (instrument, tape, era, order), candles by (instrument,
// tape, interval, start), instruments in the order of their bytes; trades and candles may be mixed. Trades without an
// id need no order: their lines are sorted (and held until their instrument and tape are done).
class Digest {
 public:
  // Fault::malformed, and the digest is void: the row comes before the last one, or has the same identity.
  Status add(const Trade& trade);
  Status add(const Candle& candle);  // only comparable() ones count
  std::vector<DigestRow>
  finish();  // by instrument, tape, kind (candles first), interval, day; the digest is empty again

 private:
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
    std::chrono::sys_days day;
    std::string text;
  };
  struct Trades {
    std::vector<Line> lines;
    std::set<std::tuple<std::string, std::uint64_t, std::uint32_t>> loose;  // identities of trades without ids
  };
  std::map<std::pair<Instrument, Tape>, Trades> trades_;
  std::map<std::tuple<Instrument, Tape, Interval, Timestamp>, Candle> candles_;
};

}  // namespace truetape
