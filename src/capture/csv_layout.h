// How a CSV file is to be read: told by --columns, or recognised by its first line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "capture/csv.h"
#include "core/records.h"
#include "core/time.h"

namespace truetape {

struct CsvLayout {
  ColumnMap columns;
  bool header = false;       // the first line names the columns
  std::optional<Tape> tape;  // where the layout says it
  bool archive = false;      // the venue's own file: neighbouring rows are neighbouring trades
  std::string_view name;     // for people: "Binance archive of trades"
  std::size_t cells = 0;     // of the line that names the columns; 0 without one: a first row may be the odd one
};

// `columns` as on the command line, "time=timestamp,price=3": the name of a column in the file's first line, or its
// number from 1. Empty: one of the layouts that are known,
//   Binance's archive, spot and USD-M, trades and aggTrades, with or without a header line
//   a recorded trade stream, TimestampOfReceive,Stream,EventType,…
// The error is a sentence that names what is wrong and what the first line has.
Result<CsvLayout> csv_layout(std::string_view first_line, std::string_view columns);

// A line's cells for a message, "time, price, id": cut where it is long, safe for a terminal.
std::string shown_cells(std::string_view line);

// Unit of the whole number that a cell begins with; nullopt where it is no time since 1970.
std::optional<TimeUnit> cell_time_unit(std::string_view cell);

}  // namespace truetape
