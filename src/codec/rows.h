// The public rows: what `query` and `digest` print and what a store's exports hold. CSV headers and JSON names are
// stable (docs/records.md); decimals are exact, times RFC 3339 UTC, null is an empty cell, in JSON null.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/digest.h"
#include "core/records.h"

namespace truetape {

enum class RowFormat : std::uint8_t {
  table,  // aligned columns for a terminal; long texts are cut
  csv,    // RFC 4180, a header line, lines end with \n
  json,   // one object a line (NDJSON); decimals and times are strings, ids and counts numbers
};
std::string_view name(RowFormat format);
std::optional<RowFormat> parse_row_format(std::string_view text);

struct RowColumn {
  std::string_view name;
  bool right = false;  // numbers stand on the right in a table
};

// The columns of Candle, Trade, Gap, Quarantined, Progress, Reference, Quote, News, NewsCount, DigestRow.
template <class T>
std::span<const RowColumn> columns();
template <>
std::span<const RowColumn> columns<Candle>();
template <>
std::span<const RowColumn> columns<Trade>();
template <>
std::span<const RowColumn> columns<Gap>();
template <>
std::span<const RowColumn> columns<Quarantined>();
template <>
std::span<const RowColumn> columns<Progress>();
template <>
std::span<const RowColumn> columns<Reference>();
template <>
std::span<const RowColumn> columns<Quote>();
template <>
std::span<const RowColumn> columns<News>();
template <>
std::span<const RowColumn> columns<NewsCount>();
template <>
std::span<const RowColumn> columns<DigestRow>();

std::string csv_header(std::span<const RowColumn> of);  // without the line's end

// One row's cells, in the order of its columns. Reused from row to row.
class RowCells {
 public:
  enum class Kind : std::uint8_t { null, text, number, boolean };
  struct Cell {
    Kind kind;
    std::size_t begin, size;
  };
  void clear() {
    cells_.clear();
    bytes_.clear();
  }
  void null();
  void text(std::string_view value);  // empty: null
  void number(std::uint64_t value);
  void number(std::int64_t value);
  void boolean(bool value);
  void time(Timestamp t);
  void decimal(Decimal value);
  void decimal(Amount value);

  std::size_t size() const { return cells_.size(); }
  const Cell& operator[](std::size_t i) const { return cells_[i]; }
  std::string_view view(std::size_t i) const {
    return std::string_view{bytes_}.substr(cells_[i].begin, cells_[i].size);
  }

 private:
  void add(Kind kind, std::size_t begin) { cells_.push_back({kind, begin, bytes_.size() - begin}); }
  std::vector<Cell> cells_;
  std::string bytes_;
};

// Appends the row's cells.
void put_cells(const Candle& row, RowCells& out);
void put_cells(const Trade& row, RowCells& out);
void put_cells(const Gap& row, RowCells& out);
void put_cells(const Quarantined& row, RowCells& out);
void put_cells(const Progress& row, RowCells& out);
void put_cells(const Reference& row, RowCells& out);
void put_cells(const Quote& row, RowCells& out);
void put_cells(const News& row, RowCells& out);
void put_cells(const NewsCount& row, RowCells& out);
void put_cells(const DigestRow& row, RowCells& out);

// One row as text with its line's end.
void append_csv_row(const RowCells& row, std::string& out);
void append_json_row(std::span<const RowColumn> of, const RowCells& row, std::string& out);

// Writes rows of one kind one after the other. A header comes even if there is no row (but not in JSON).
class RowWriter {
 public:
  // `out` takes the text in pieces; false: nobody reads any more, stop. `of` outlives the writer.
  RowWriter(RowFormat format, std::span<const RowColumn> of, std::function<bool(std::string_view)> out);
  // False: stop.
  template <class T>
  bool write(const T& row) {
    cells_.clear();
    put_cells(row, cells_);
    return write_cells();
  }
  bool finish();  // once, after the last row
  std::uint64_t rows() const { return rows_; }

 private:
  bool write_cells();
  bool header();
  void append_table_row(std::span<const std::string> row, std::string& out) const;
  bool flush_table();

  // A table's widths are those of its first rows; longer cells later push their own line only.
  static constexpr std::size_t kLookAhead = 256;
  static constexpr std::size_t kWidest = 60;
  RowFormat format_;
  std::span<const RowColumn> columns_;
  std::function<bool(std::string_view)> out_;
  RowCells cells_;
  std::string line_;
  std::uint64_t rows_ = 0;
  std::vector<std::vector<std::string>> held_;  // of a table, until the widths are known
  std::vector<std::size_t> widths_;             // empty: not known yet
};

}  // namespace truetape
