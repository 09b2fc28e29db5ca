// Inside of import: what both kinds of files need.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "batch/import.h"
#include "capture/csv_layout.h"
#include "capture/file_reader.h"
#include "venues/venue.h"

namespace truetape::import {

// Bytes of rows in one history record.
inline constexpr std::size_t kMaxRows = 1 << 16;
// A longer frame or row is cut to kCutFrame: with its headers it must fit into a record, and again into quarantine.
inline constexpr std::size_t kMaxFrame = kMaxRecordBytes - (1 << 18);
inline constexpr std::size_t kCutFrame = 1 << 16;

enum class Format : std::uint8_t { frames, jsonl, csv, page };

// What is known of a file before it is imported.
struct Plan {
  std::filesystem::path path;
  Format format = Format::csv;
  const Venue* venue = nullptr;          // nullptr: CSV whose cells name their venue
  std::optional<Instrument> instrument;  // as given; empty: the rows say it
  CsvLayout layout;
  std::optional<TimeUnit> time_unit;
  std::uint64_t bytes = 0;
};
Result<Plan> plan(const std::filesystem::path& path, const ImportOptions& options);

// A number as text, without a heap.
class Digits {
 public:
  explicit Digits(std::int64_t value) {
    size_ = static_cast<std::size_t>(std::to_chars(text_, text_ + sizeof text_, value).ptr - text_);
  }
  explicit Digits(Timestamp time) : Digits{to_ns(time)} {}
  operator std::string_view() const { return {text_, size_}; }

 private:
  char text_[20];
  std::size_t size_;
};

// With a log that has no room, once nobody reads on.
inline constexpr std::chrono::seconds kPatience{10};

// Appends, and waits while the log is full.
class Writer {
 public:
  Writer(Appender& raw, std::int32_t partitions, const Clock& clock, const ImportOptions& options, OpenRanges* ranges)
      : raw_{raw}, partitions_{partitions}, clock_{clock}, options_{options}, ranges_{ranges} {}

  Status put(std::int32_t partition, std::string_view key, std::string_view bytes, std::span<const Header> headers);
  Status flush();  // until all is durable, or stopped
  // All that was put is durable. False: stopped while the log had no room.
  bool durable() const { return durable_ && !dropped_; }
  std::int32_t partition(const Instrument& instrument) const { return partition_of(instrument, partitions_); }
  bool stopped() const { return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed); }
  void tell(const ImportProgress& progress) const {
    if (options_.progress) options_.progress(progress);
  }

  // Records without bytes, about one instrument.
  Status config(const Instrument& instrument, Tape tape, Timestamp now);
  Status range(RawKind kind, const Instrument& instrument, std::string_view name, Timestamp now);  // begin or end
  Status coverage(const Instrument& instrument, Timestamp from, Timestamp to, Timestamp now);

  // Notes a file whose range is about to begin. What was put before becomes durable first: a range that the next import
  // ends must not be all that is known of an instrument.
  Status begin_file(const OpenRanges::File& file);
  // Once all that was put is durable.
  Status end_file(const std::string& hash);
  // Ends what killed imports left open, of files that were not imported now.
  Status end_left(Timestamp now);

  const ImportOptions& options() const { return options_; }
  ImportSummary summary;
  void found(const Instrument& instrument);  // into the summary, once

 private:
  // As the appender's, but false while there is no room and somebody may still make some.
  Result<bool> flush_once(std::chrono::milliseconds wait);
  // The log said that it has no room. Success: try again.
  Status wait_for_room(const Error& error);

  Appender& raw_;
  std::int32_t partitions_;
  const Clock& clock_;
  const ImportOptions& options_;
  OpenRanges* ranges_;
  bool durable_ = true, dropped_ = false;
  struct Waiting {
    std::uint64_t moved;                              // as it was then
    std::chrono::steady_clock::time_point since, at;  // the last change, the last look
  };
  std::optional<Waiting> waiting_;                             // for room
  std::optional<std::chrono::steady_clock::time_point> away_;  // brokers, since then
};

// A file's place among all, for progress.
struct Place {
  std::size_t number, files;
};

// Gives each line of the file to `line`, cut where it is too long, and tells progress; `looking`: the first pass. Ends
// with the first error of either, and early without one once the writer is stopped.
Status each_line(const Plan& plan, Place place, bool looking, const Writer& writer,
                 const std::function<Status(const Line&)>& line);
bool blank(std::string_view line);

// One file each. Stopped by the flag they return early.
Status import_session(const Plan& plan, Place place, Writer& writer, Timestamp now);
Status import_history(const Plan& plan, Place place, Writer& writer, Timestamp now);
Status import_page(const Plan& plan, Place place, Writer& writer, Timestamp now);
// Whether the file is an array of headlines that the venue's decoder can read; import_page() finds it so then.
Status check_page(const Plan& plan);

// "1723161253937085768 {…": false if the line does not begin with a time in ns and a blank.
bool split_timed(std::string_view line, Timestamp& receive_time, std::string_view& frame);

// Which tape a frame is of, if it holds trades: at most one look at each frame.
class TapeFinder {
 public:
  explicit TapeFinder(const Venue& venue) : venue_{venue} {}
  // `frame` was routed to `instrument`.
  void look(std::string_view frame, const Instrument& instrument);
  std::optional<Tape> tape(const Instrument& instrument) const;  // nullopt: no trade was seen

 private:
  struct Seen {
    Instrument instrument;
    bool trade = false, agg = false;
  };
  const Venue& venue_;
  std::vector<Seen> seen_;
  std::unordered_map<Instrument, std::size_t> index_;
  Events events_;
};

}  // namespace truetape::import
