// Files of market data into the log's topic `raw`, by the same path that live data takes: nothing is decoded here, so
// what is wrong with a row shows where all wrong rows show, in quarantine. One thread uses an importer.
//
// A recording (`.frames`, or lines of `.jsonl` that begin with a receive time) goes in as the session that it was: its
// frames with their receive times, and session records that say how far the evidence reaches. Other files (CSV,
// `.jsonl`) are history: records of at most 64 KB of rows as they stand, between `begin` and `end` of a range. Before
// the first record of an instrument a `config` record fixes its tape; where one is fixed already, the heart keeps that
// one.
//
// Importing a file again appends the same records (but for the time of import) and changes no trade, candle or gap; so
// an import that was killed is simply repeated. (Items without a readable id are quarantined once more.) Ranges that
// killed imports left open are ended by the next import.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "batch/open_ranges.h"
#include "core/clock.h"
#include "core/instrument.h"
#include "core/records.h"
#include "core/result.h"
#include "log/log.h"
#include "metrics/metrics.h"

namespace truetape {

struct ImportProgress {
  const std::filesystem::path* file;
  std::size_t number = 0, files = 0;              // of the file, from 1
  bool looking = false;                           // first pass: hash, instruments, clocks
  std::uint64_t bytes_done = 0, bytes_total = 0;  // of the file as it lies on disk
  std::uint64_t rows = 0;                         // appended so far, of all files
};

struct ImportOptions {
  std::string venue;  // "binance"; empty: that of `instrument`, or of the file's own "venue:SYMBOL" cells
  // "binance:BTCUSDT", or "BTCUSDT" beside `venue`; empty: the file says it. Rows of a CSV whose own cell names another
  // one are quarantined. Frames name theirs: for a recording or .jsonl it is refused.
  std::string instrument;
  std::string columns;                // of CSV: capture/csv_layout.h; empty: recognised
  std::optional<TimeUnit> time_unit;  // of CSV; empty: told by the digits
  std::optional<Tape> tape;           // empty: the file's own; of a recording: trade where it has trade frames
  // All trades of [from, to) of the files' instruments are in the files, taken together: declared behind the last one,
  // and not at all if one of them was not read to its end.
  std::optional<std::pair<Timestamp, Timestamp>> covers;
  std::function<void(const ImportProgress&)> progress;  // often; the caller decides what to show
  // How far those have come who read the log, whatever the number: it changes while they work. While the log has no
  // room it is asked about ten times a second, and the import waits as long as it changes, and ten seconds beyond, for
  // retention to free what is read. Without it nobody is known to make room: the first refusal ends the import.
  std::function<std::uint64_t()> moved;
  Nanoseconds patience = std::chrono::seconds{30};  // how long a log whose brokers are away is waited for
  Metrics* metrics = nullptr;                       // what to count into (docs/metrics.md)
  const std::atomic<bool>* stop = nullptr;          // true: end soon; what was appended stays
};

struct ImportSummary {
  std::uint64_t files = 0;
  std::uint64_t rows = 0;      // rows of history and frames of recordings, appended
  std::uint64_t records = 0;   // of raw, all kinds
  std::uint64_t unrouted = 0;  // rows or frames that name no instrument: answers to requests, snapshots, damage
  std::uint64_t cut = 0;       // rows or frames too long for a record, of which only the beginning was kept
  std::vector<Instrument> instruments;             // in order of appearance
  std::vector<std::pair<Instrument, Tape>> tapes;  // which tape the files' trades are of, as far as they have some
  std::vector<std::string> left_open;  // files whose import was killed before; their ranges have been ended now
  bool stopped = false;
};

// Looks at all files as run() does before it appends: whether they are there and can be read, and whether the options
// say what the files do not. Fault::out_of_range where the options are at fault, the sentence then says which.
Status check_import(std::span<const std::filesystem::path> files, const ImportOptions& options);

class Importer {
 public:
  // Borrowed; outlive it. `partitions` of the log. `clock` tells when history was imported.
  // Without `ranges` nobody ends what a kill leaves open.
  Importer(Appender& raw, std::int32_t partitions, const Clock& clock, ImportOptions options,
           OpenRanges* ranges = nullptr);

  // All files, one after the other, and waits until they are durable. Every file is looked at before the first is
  // appended, so that a wrong name or column is found early. The error's sentence names the file; what was appended
  // before it stays.
  Result<ImportSummary> run(std::span<const std::filesystem::path> files);
  // After run(), also one that failed: what it had done by then.
  const ImportSummary& so_far() const { return so_far_; }

 private:
  Appender& raw_;
  std::int32_t partitions_;
  const Clock& clock_;
  ImportOptions options_;
  OpenRanges* ranges_;
  ImportSummary so_far_;
};

}  // namespace truetape
