// `truetape audit`: does a store hold exactly what its log says, row by row, field by field (docs/audit.md)? Also
// beside a load that runs: the store is read in one snapshot, the log exactly up to the positions which that snapshot
// holds. What it holds beyond these is counted, and no day of which there is any is called proved.
//
// First everything is read once on both sides, the trades in two threads: counts, sums and a 128-bit sum of each row's
// hash, for each instrument, tape and UTC day; of candles, gaps and progress the row that stays of each key
// (core/row_order.h). Only where sums differ rows are read again and compared, to name the first that differs. Memory:
// a few hundred bytes a day and instrument, 128 a candle window up to `windows` at a time (more windows are read in
// several passes), and 30 MB while rows are compared.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/digest.h"
#include "codec/rows.h"
#include "core/records.h"
#include "core/result.h"
#include "log/log.h"
#include "stores/history.h"

namespace truetape {

struct AuditOptions {
  std::optional<Instrument> instrument{};
  // Of a trade's event_time and a candle's start: [from, to). A gap is there if any of it is.
  std::optional<Timestamp> from{}, to{};
  NumbersTrades numbers{};  // venues that number their trades without a hole; others are never `proved`
  // How far the store's loader had told the log that all is safe, as the log said it before the snapshot was taken. A
  // position in the store below that was moved back. Empty: not known.
  struct Told {
    std::string topic;
    std::int32_t partition;
    std::int64_t next;
  };
  std::vector<Told> told{};
  // Of a log whose results were made anew. Empty: they were not.
  struct Anew {
    std::int64_t from = 0;   // where these begin; what the store has of before, and was not made again, is excused
    std::int64_t first = 0;  // what lies below was made again, so nothing is lost with it
  };
  std::function<Result<Anew>(std::string_view topic, std::int32_t partition)> anew{};
  std::string load = "truetape import --finish";  // the command that loads the store further; for sentences
  std::size_t windows = std::size_t{1} << 20;     // of candles, at most so many in memory at a time
};

enum class Verdict : std::uint8_t {
  proved,     // log and store hold the same rows, and the venue numbers its trades without a hole
  no_ids,     // the same rows, but no ids could show that a trade is missing
  pruned,     // all that the log holds is the same; the store holds more, of before its beginning or of older results
  other_log,  // the same, and the store holds more that another log brought, which was loaded before this one
  behind,     // the same as far as the store has come; the log holds more of the day
  differs,
};

// An instrument's tape on a UTC day, by the event times of trades and the starts of candles. A gap belongs to each day
// that it touches.
struct AuditDay {
  struct Side {
    std::uint64_t trades = 0;
    std::optional<Amount> volume{};  // sum of quantities; empty: no trades, or the sum does not fit
    std::uint64_t candles = 0;
    std::string trades_digest, candles_digest;  // 32 hex digits; equal content, equal digest
    friend bool operator==(const Side&, const Side&) = default;
  };
  Instrument instrument;
  Tape tape = Tape::trade;
  std::chrono::sys_days day{};
  Side log, store;
  std::string first_id, last_id;     // of the log's trades, of those with an id; "ERA:ID" where the era is not 0
  std::uint64_t open = 0, lost = 0;  // gaps that touch the day: still open (pending, progress), ended as lost
  std::uint64_t missing = 0;         // ids that lack in these, wherever in them
  std::uint64_t unloaded = 0;        // records of the log, of trades, candles and gaps, beyond the store's positions
  Verdict verdict = Verdict::proved;
  std::string where;  // differs: "trade 4711 2024-08-08T23:59:01Z price: log 1, store 2"; pruned: what is known
};
// "proved", "no ids", "pruned from the log", "holds another log's rows", "not loaded yet", "differs at trade …".
std::string text(const AuditDay& day);

struct AuditReport {
  std::vector<AuditDay> days;                     // by instrument, tape, day
  std::uint64_t open = 0, lost = 0, missing = 0;  // as of days, but of each gap once
  // What belongs to no day: positions, progress, quarantine; one sentence each.
  std::vector<std::string> differences;
  std::vector<std::string> notes;  // what the reader should know, and is no difference
  bool differs() const;
  std::string summary() const;  // the last sentence
};

// `store` is a snapshot (History::snapshot); for this call's threads only. Fault::mismatch, and nothing is compared:
// the store is of another log, or stands behind the log's end; the sentence names the command that resolves it.
Result<AuditReport> audit(Log& log, const History& store, const AuditOptions& options);

// For RowWriter: all columns for programs; the few that fit a terminal.
std::span<const RowColumn> audit_columns();
void put_cells(const AuditDay& row, RowCells& out);
struct AuditLine {
  const AuditDay* day;
};
std::span<const RowColumn> audit_line_columns();
void put_cells(const AuditLine& row, RowCells& out);

}  // namespace truetape
