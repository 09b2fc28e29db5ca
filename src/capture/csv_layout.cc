#include "capture/csv_layout.h"

#include <charconv>

#include "core/utf8.h"

namespace truetape {
namespace {

auto wrong(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

std::string joined(const Cells& cells) {
  std::string out;
  for (std::size_t i = 0; i < cells.size() && out.size() < 200; ++i) {
    if (i > 0) out += ", ";
    out += cells[i];
  }
  const bool all = out.size() <= 200;
  if (!all) out.resize(200);
  // It goes to a terminal: not a letter that was cut in two, nor those of another encoding.
  if (!is_utf8(out))
    for (char& c : out)
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return all ? out : out + "…";
}

std::optional<std::int64_t> whole(std::string_view cell) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

// Shape of one cell of a Binance archive row: T time, B boolean, I whole number, D decimal, x none of these.
char shape(std::string_view cell) {
  if (cell == "true" || cell == "false" || cell == "True" || cell == "False") return 'B';
  if (const auto value = whole(cell)) {
    const auto unit = guess_time_unit(*value);
    return unit == TimeUnit::ms || unit == TimeUnit::us ? 'T' : 'I';
  }
  return parse_decimal(cell).fault == DecimalFault::none ? 'D' : 'x';
}

struct Known {
  std::string_view name;
  Tape tape;
  std::string_view shape;  // of a row without header: a digit stands for any number
  std::array<std::string_view, 3> headers;
  std::string_view map;
};
// Column order is the same with and without header, and in spot and USD-M but for spot's last column.
constexpr std::array<Known, 4> kArchives{{
    {"Binance archive of trades",
     Tape::trade,
     "1111TB",
     {"id,price,qty,quote_qty,time,is_buyer_maker", "", ""},
     "id=0,price=1,quantity=2,time=4,buyer_is_maker=5"},
    {"Binance archive of trades",
     Tape::trade,
     "1111TBB",
     {"id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch",
      ""},
     "id=0,price=1,quantity=2,time=4,buyer_is_maker=5"},
    {"Binance archive of aggTrades",
     Tape::agg,
     "11111TB",
     {"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", "", ""},
     "id=0,price=1,quantity=2,first_id=3,last_id=4,time=5,buyer_is_maker=6"},
    {"Binance archive of aggTrades",
     Tape::agg,
     "11111TBB",
     {"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match", "", ""},
     "id=0,price=1,quantity=2,first_id=3,last_id=4,time=5,buyer_is_maker=6"},
}};
constexpr std::string_view kStream =
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,IsBuyerMarketMaker,";

bool fits(const Cells& cells, std::string_view pattern) {
  if (cells.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const char s = shape(cells[i]);
    if (pattern[i] == '1' ? s == 'B' || s == 'x' : s != pattern[i]) return false;
  }
  return true;
}

Result<CsvLayout> by_columns(const Cells& cells, std::string_view columns) {
  CsvLayout out;
  out.name = "columns as given";
  std::string_view rest = columns;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view entry = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos)
      return wrong("--columns: \"" + std::string{entry} +
                   "\" is not of the form column=name; example: time=timestamp,id=tradeId,price=price,quantity=3");
    const std::string_view key = entry.substr(0, equals), value = entry.substr(equals + 1);
    const auto column = parse_column(key);
    if (!column) {
      std::string known;
      for (std::size_t i = 0; i < kColumns; ++i)
        known += (i == 0 ? "" : ", ") + std::string{name(static_cast<Column>(i))};
      return wrong("--columns: \"" + std::string{key} + "\" is no column that is known; there are " + known);
    }
    if (out.columns.has(*column)) return wrong("--columns: \"" + std::string{key} + "\" is given twice");
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i] != value) continue;
      out.columns[*column] = static_cast<std::int16_t>(i);
      // A number that stands in the first line may be data; a name makes that line a header.
      if (!whole(value)) out.header = true;
      break;
    }
    const auto number = whole(value);
    if (number && !out.header && *number >= 1 && static_cast<std::size_t>(*number) <= cells.size())
      out.columns[*column] = static_cast<std::int16_t>(*number - 1);
    if (!out.columns.has(*column))
      return wrong("--columns: the file has no column \"" + std::string{value} + "\"; its first line has " +
                   joined(cells));
  }
  for (const Column needed : {Column::time, Column::price, Column::quantity})
    if (!out.columns.has(needed))
      return wrong("--columns: " + std::string{name(needed)} +
                   " is missing; time, price and quantity are needed; the file's first line has " + joined(cells));
  if (out.columns.has(Column::side) && out.columns.has(Column::buyer_is_maker))
    return wrong("--columns: side and buyer_is_maker say the same; give one of them");
  if (out.columns.has(Column::first_id) != out.columns.has(Column::last_id) ||
      (out.columns.has(Column::first_id) && !out.columns.has(Column::id)))
    return wrong("--columns: first_id and last_id go together, and only with id");
  if (out.columns.has(Column::first_id)) out.tape = Tape::agg;
  if (!out.header) {  // all by number: names in the first line are no times
    const std::string_view time = cells[static_cast<std::size_t>(out.columns[Column::time])];
    out.header = time.empty() || time[0] < '0' || time[0] > '9';
  }
  if (out.header) out.cells = cells.size();
  return out;
}

}  // namespace

std::string shown_cells(std::string_view line) {
  Cells cells;
  return cells.split(line) ? joined(cells) : std::string{"what cannot be split into cells"};
}

std::optional<TimeUnit> cell_time_unit(std::string_view cell) {
  const auto value = whole(cell.substr(0, cell.find('.')));
  return value ? guess_time_unit(*value) : std::nullopt;
}

Result<CsvLayout> csv_layout(std::string_view first_line, std::string_view columns) {
  if (first_line.find('\0') != std::string_view::npos)
    return wrong("the file is no text: it has zero bytes in its first line");
  Cells cells;
  if (!cells.split(first_line))
    return wrong("the first line cannot be split into cells: its quotes do not match or it has more than 256");
  if (!columns.empty()) return by_columns(cells, columns);

  std::string header;
  for (std::size_t i = 0; i < cells.size(); ++i) header += (i == 0 ? "" : ",") + std::string{cells[i]};
  for (const Known& known : kArchives) {
    bool named = false;
    for (const std::string_view line : known.headers) named = named || (!line.empty() && header == line);
    if (!named && !fits(cells, known.shape)) continue;
    CsvLayout out;
    out.columns = *parse_column_map(known.map);
    out.header = named;
    if (named) out.cells = cells.size();
    out.tape = known.tape;
    out.archive = true;
    out.name = known.name;
    return out;
  }
  if (header.starts_with(kStream)) {
    CsvLayout out;
    out.columns = *parse_column_map("receive_time=0,time=4,instrument=5,id=6,price=7,quantity=8,buyer_is_maker=9");
    if (cells.size() > 10 && cells[10] == "XUnknownParameter") out.columns[Column::kind] = 10;
    out.header = true;
    out.tape = Tape::trade;
    out.name = "recorded trade stream";
    out.cells = cells.size();
    return out;
  }
  return wrong(
      "the file is no CSV that is known; say with --columns where time, price, quantity, side and id stand, as in "
      "--columns time=timestamp,id=tradeId,price=price,quantity=3; its first line has " +
      joined(cells));
}

}  // namespace truetape
