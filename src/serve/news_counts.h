// How many headlines came about each instrument from each source, in windows of a minute or an hour: counted from the
// stored headlines when it is asked for, so a window says what is known of it by then (docs/semantics.md section 14).
#pragma once

#include <array>
#include <vector>

#include "codec/rows.h"
#include "stores/history.h"

namespace truetape {

struct NewsCount {
  Instrument instrument;  // empty: headlines that name none
  std::string source;
  Interval interval{};
  Timestamp start{};
  std::uint64_t headlines = 0;
  friend bool operator==(const NewsCount&, const NewsCount&) = default;
};
template <>
std::span<const RowColumn> columns<NewsCount>();
void put_cells(const NewsCount& row, RowCells& out);

inline constexpr std::array<Interval, 2> kNewsIntervals{std::chrono::minutes{1}, std::chrono::hours{1}};

// Whole windows that meet [from, to), both of which are set, in order of start, instrument, source; windows without
// headlines have no row. A headline that names several instruments counts for each. Any thread; blocks.
Result<std::vector<NewsCount>> count_news(const History& history, Selection what, Interval interval);

}  // namespace truetape
