// Rows as clients get them: the columns of codec/rows.h, and the few that only serve knows. Appended without a line's
// end. Loop's thread, or any for rows of one's own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "codec/rows.h"
#include "serve/recent.h"

namespace truetape {

enum class Format : std::uint8_t { json, csv, ndjson };

// A row of `/api/v1/instruments`.
struct InstrumentRow {
  Instrument instrument;
  std::optional<Reference> reference;
  std::optional<Tape> tape;  // its own; empty: nothing has come yet
  bool wanted = false;
  std::optional<Timestamp> as_of;
  bool stale = true;
  std::uint64_t open_gaps = 0;
};
template <>
std::span<const RowColumn> columns<InstrumentRow>();
void put_cells(const InstrumentRow& row, RowCells& out);
InstrumentRow instrument_row(const InstrumentMemory& of, const ControlState& control);

// Writes rows of one kind one after the other, its scratch kept.
class RowText {
 public:
  template <class T>
  void json(const T& row, std::string& out) {
    cells_.clear();
    put_cells(row, cells_);
    append_json_row(columns<T>(), cells_, out);
    out.pop_back();  // the line's end
  }
  template <class T>
  void csv(const T& row, std::string& out) {
    cells_.clear();
    put_cells(row, cells_);
    append_csv_row(cells_, out);
  }

 private:
  RowCells cells_;
};

// Rendered once and kept with the row.
const std::shared_ptr<const std::string>& json_of(const CandleRow& row, RowText& text);

// `"as_of":"…"` or null, `"stale":…`: members of answers and messages.
void append_as_of(std::optional<Timestamp> as_of, bool stale, std::string& out);
// Rows of the channel `feeds`: {"venue":…, the members of its control record}, and {"state":"started"}.
std::string feed_json(const FeedReport& report);
std::string ingest_json(const ControlState& control);

}  // namespace truetape
