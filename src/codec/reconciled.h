// What a comparison of our candles with the venue's own found (docs/reconcile.md), and the JSON text in which the data
// directory keeps it for the page. batch/reconcile makes it, serve gives it to clients.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/rows.h"
#include "core/records.h"
#include "core/result.h"

namespace truetape {

// The likely reason why a window is not what the venue says.
enum class Cause : std::uint8_t {
  missing_here,   // there is no row of it here
  missing_there,  // the venue has no candle of it
  rule,           // trades of it wait in quarantine, or are of a kind that candles do not fold
  gap,            // the row itself says gap or partial, or there is none where a gap lies
  late,           // trades came when the window was sealed
  unproven,       // only a session speaks for it, or nothing
  rounding,       // no difference: the venue rounds its quote volumes (semantics section 11)
  unknown,        // none of these
};
inline constexpr std::size_t kCauses = 8;
std::string_view name(Cause cause);
std::optional<Cause> parse_cause(std::string_view text);

// What is compared of a window.
enum class CandleField : std::uint8_t {
  open,
  high,
  low,
  close,
  volume,
  quote_volume,
  trades,
  taker_buy_volume,
  taker_buy_quote_volume,
};
inline constexpr std::size_t kCandleFields = 9;
std::string_view name(CandleField field);
std::optional<CandleField> parse_candle_field(std::string_view text);

struct FieldDifference {
  CandleField field = CandleField::open;
  std::string ours, theirs;  // as decimal text; empty: no value
  friend bool operator==(const FieldDifference&, const FieldDifference&) = default;
};
// A window that is not what the venue says.
struct Difference {
  Timestamp start{};
  Cause cause = Cause::unknown;
  bool provable = false;                // the row claims to hold every trade, and ids or a declaration prove it
  std::string detail;                   // a sentence, or empty
  std::vector<FieldDifference> fields;  // empty: one side has no such window
  std::int64_t epoch = 0;               // of our row; 0 and 0: there is none
  std::uint64_t revision = 0;
  friend bool operator==(const Difference&, const Difference&) = default;
};
// Windows that follow each other, of one epoch, and are what the venue says.
struct EqualRun {
  Timestamp from{};
  std::int64_t epoch = 0;
  bool rounded = false;  // but for the venue's rounding
  std::vector<std::uint64_t> revisions;
  friend bool operator==(const EqualRun&, const EqualRun&) = default;
};

// Windows that follow each other, of one epoch, and differ for the same reason, without what differs.
struct UnlistedRun {
  Timestamp from{};
  Cause cause = Cause::unknown;
  std::int64_t epoch = 0;
  std::vector<std::uint64_t> revisions;
  friend bool operator==(const UnlistedRun&, const UnlistedRun&) = default;
};

struct WindowTally {
  std::uint64_t compared = 0;
  std::uint64_t equal = 0;    // with the rounded ones
  std::uint64_t rounded = 0;  // equal but for the venue's rounding
  std::uint64_t differ() const { return compared - equal; }
  friend bool operator==(const WindowTally&, const WindowTally&) = default;
};

struct Reconciliation {
  Instrument instrument;
  Tape tape = Tape::trade;
  Interval interval{};
  Timestamp from{}, to{};  // the windows that both sides speak of lie in [from, to)
  Timestamp at{};          // when it was made, our clock
  std::string official;    // where the venue's candles are from: a file's name, an address
  WindowTally provable, others;
  std::array<WindowTally, kCandleFields> fields{};  // of both
  std::array<std::uint64_t, kCauses> causes{};      // windows that differ; rounding: windows within it
  std::uint64_t quiet = 0;                          // of the provable ones: without a trade, here
  std::uint64_t not_closed = 0;                     // rows of ours that were still open
  std::uint64_t beyond_ours = 0;                    // windows of theirs before our first and after our last row
  std::uint64_t beyond_theirs = 0;                  // the other way round
  std::uint64_t quiet_there = 0;                    // quiet here, and the venue has no candle: no difference
  std::vector<EqualRun> equal;
  std::vector<Difference> differences;  // in order; not more than the comparison was told to list
  std::vector<UnlistedRun> unlisted;    // all others that differ, in order
  friend bool operator==(const Reconciliation&, const Reconciliation&) = default;
};

// One line of JSON, version 1.
std::string reconciliation_text(const Reconciliation& result);
// Fault::malformed names the JSON path; Fault::mismatch: of a newer version.
Result<Reconciliation> parse_reconciliation(std::string_view text);

// What is known of one window: a row of `/api/v1/reconciled`.
struct ReconciledWindow {
  Instrument instrument;
  Tape tape = Tape::trade;
  Interval interval{};
  Timestamp start{};
  bool equal = false;
  std::optional<Cause> cause;  // of one that differs; rounding: equal but for that
  std::string difference;      // "volume 1.5 here, 1.6 there; trades 3 here, 4 there"
  std::string detail;
  std::int64_t epoch = 0;  // of the row that was compared: of another row it says nothing
  std::uint64_t revision = 0;
  Timestamp at{};
  friend bool operator==(const ReconciledWindow&, const ReconciledWindow&) = default;
};
// The windows in [from, to) of which the result speaks take the place of those of the same start.
void add_windows(const Reconciliation& result, Timestamp from, Timestamp to,
                 std::map<Timestamp, ReconciledWindow>& windows);

// One differing field of a window, as `truetape reconcile --format csv` prints it.
struct DifferenceRow {
  const Reconciliation& of;
  const Difference& difference;
  const FieldDifference* field;  // nullptr: one side has no such window
};

template <>
std::span<const RowColumn> columns<ReconciledWindow>();
template <>
std::span<const RowColumn> columns<DifferenceRow>();
void put_cells(const ReconciledWindow& row, RowCells& out);
void put_cells(const DifferenceRow& row, RowCells& out);

}  // namespace truetape
