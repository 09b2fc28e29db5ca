// Any bytes as rows, with every column mapped: no crash, one item for each row that is not blank, within the record.
// The first line also as the header of a file and as --columns.
#include <cstdlib>
#include <string_view>

#include "capture/csv_layout.h"
#include "capture/history_decoder.h"

namespace {

using namespace truetape;

void demand(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  std::size_t rows = 0;
  for (std::size_t from = 0; from < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', from), bytes.size());
    rows += bytes.substr(from, end - from).find_first_not_of(" \t\r") != std::string_view::npos;
    from = end + 1;
  }
  const std::size_t line = bytes.find('\n');
  const std::string_view first = bytes.substr(0, line),
                         rest = line == std::string_view::npos ? std::string_view{} : bytes.substr(line + 1);
  if (const auto layout = csv_layout(first, "")) demand(parse_column_map(layout->columns.text()) == layout->columns);
  if (const auto layout = csv_layout(rest.substr(0, 200), first))
    demand(parse_column_map(layout->columns.text()) == layout->columns);

  RawRecord record;
  record.kind = RawKind::history;
  record.bytes = bytes;
  record.instruments = "binance-usdm:BTCUSDT";
  for (const std::string_view columns :
       {"time=0,price=1,quantity=2,side=3,id=4",
        "id=0,price=1,quantity=2,first_id=3,last_id=4,time=5,buyer_is_maker=6,kind=7,instrument=8,receive_time=9",
        "time=0,price=1,quantity=2"}) {
    for (const TradeIds ids : {TradeIds::contiguous, TradeIds::none}) {
      const Header headers[]{{header::format, "csv"}, {header::columns, columns},    {header::tape, "agg"},
                             {header::archive, "1"},  {header::previous_row, first}, {header::rows, first},
                             {header::row, "5"}};
      record.headers = headers;
      Events events;
      decode_history(record, {ids, nullptr}, events);
      demand(events.items.size() == rows);
      for (const Item& item : events.items) {
        demand(item.raw.data() >= bytes.data() && item.raw.data() + item.raw.size() <= bytes.data() + bytes.size());
        demand((item.type == Item::Type::bad) == !item.detail.empty());
        demand(item.type != Item::Type::trade || (item.trade.price.positive() && item.trade.quantity.positive()));
        demand(item.trade.first_id <= item.trade.last_id);
      }
    }
  }
  // Headers are bytes from outside too.
  const Header headers[]{{header::columns, first},
                         {header::rows, first},
                         {header::row, first},
                         {header::time_unit, first},
                         {header::tape, first}};
  record.headers = headers;
  record.bytes = rest;
  Events events;
  decode_history(record, {}, events);
  return 0;
}
