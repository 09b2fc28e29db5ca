// Cells of one CSV row, and the column maps that say what they mean.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace truetape {

enum class Column : std::uint8_t {
  time,
  price,
  quantity,
  side,
  buyer_is_maker,
  id,
  first_id,
  last_id,
  receive_time,
  kind,
  instrument
};
inline constexpr std::size_t kColumns = 11;
std::string_view name(Column column);
std::optional<Column> parse_column(std::string_view text);

// Where each column stands: its index from 0, or -1.
struct ColumnMap {
  std::array<std::int16_t, kColumns> index;
  ColumnMap() { index.fill(-1); }
  std::int16_t operator[](Column c) const { return index[static_cast<std::size_t>(c)]; }
  std::int16_t& operator[](Column c) { return index[static_cast<std::size_t>(c)]; }
  bool has(Column c) const { return (*this)[c] >= 0; }
  std::string text() const;  // "time=0,price=1": the header `columns`
  friend bool operator==(const ColumnMap&, const ColumnMap&) = default;
};
std::optional<ColumnMap> parse_column_map(std::string_view text);  // of such a header

// One row. Views live as long as the row and this object.
class Cells {
 public:
  static constexpr std::size_t kMax = 256;

  // Without blanks around, quotes undone. False: a quote is open at the end, text stands behind a closed one, or there
  // are more than kMax cells.
  bool split(std::string_view row);
  std::size_t size() const { return size_; }
  std::string_view operator[](std::size_t i) const { return cells_[i]; }

 private:
  bool split_quoted(std::string_view row);

  std::array<std::string_view, kMax> cells_;
  std::size_t size_ = 0;
  std::string unquoted_;
};

}  // namespace truetape
