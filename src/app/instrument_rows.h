// The rows of `query instruments` in the form that codec/rows.h writes.
#pragma once

#include <array>

#include "codec/rows.h"

namespace truetape {

template <>
inline std::span<const RowColumn> columns<Reference>() {
  static constexpr std::array<RowColumn, 7> kColumns{
      {{"instrument"}, {"base"}, {"quote"}, {"name"}, {"tick", true}, {"lot", true}, {"status"}}};
  return kColumns;
}

inline void put_cells(const Reference& row, RowCells& out) {
  const auto decimal = [&](const std::optional<Decimal>& value) {
    if (value)
      out.decimal(*value);
    else
      out.null();
  };
  out.text(row.instrument.text());
  out.text(row.base);
  out.text(row.quote);
  out.text(row.name);
  decimal(row.tick);
  decimal(row.lot);
  out.text(row.status);
}

}  // namespace truetape
