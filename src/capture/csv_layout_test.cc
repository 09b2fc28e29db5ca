#include "capture/csv_layout.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

std::string seen(std::string_view line, std::string_view columns = "") {
  const auto layout = csv_layout(line, columns);
  if (!layout) return layout.error().detail;
  return layout->columns.text() + (layout->header ? " header" : "") +
         (layout->tape ? " " + std::string{name(*layout->tape)} : "") + (layout->archive ? " archive" : "");
}

TEST(CsvLayout, BinancesArchiveIsKnownByHeaderAndByShape) {
  const std::string trades = "time=4,price=1,quantity=2,buyer_is_maker=5,id=0";
  const std::string aggs = "time=5,price=1,quantity=2,buyer_is_maker=6,id=0,first_id=3,last_id=4";
  EXPECT_EQ(seen("id,price,qty,quote_qty,time,is_buyer_maker"), trades + " header trade archive");
  EXPECT_EQ(seen("5182005737,63943.90,0.003,191.8317,1721347022956,true"), trades + " trade archive");
  EXPECT_EQ(seen("3735683259,61837.63000000,0.02000000,1236.75260000,1723161255342,True,True"),
            trades + " trade archive");
  EXPECT_EQ(seen("4359342412,94591.78000000,0.00010000,9.45917800,1735689600048872,True,True"),
            trades + " trade archive");
  EXPECT_EQ(seen("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"),
            aggs + " header agg archive");
  EXPECT_EQ(
      seen("agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match\r"),
      aggs + " header agg archive");
  EXPECT_EQ(seen("2228503268,63943.9,0.5,5129698190,5129698195,1720051200123,false"), aggs + " agg archive");
  EXPECT_EQ(seen("13519807,0.00141342,23.00000000,15373518,15373518,1570752011620,True,True"), aggs + " agg archive");
}

TEST(CsvLayout, ARecordedTradeStreamIsKnownByItsHeader) {
  const std::string common =
      "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,IsBuyerMarketMaker,";
  EXPECT_EQ(seen(common + "MUnknownParameter"),
            "time=4,price=7,quantity=8,buyer_is_maker=9,id=6,receive_time=0,instrument=5 header trade");
  EXPECT_EQ(seen(common + "XUnknownParameter"),
            "time=4,price=7,quantity=8,buyer_is_maker=9,id=6,receive_time=0,kind=10,instrument=5 header trade");
}

TEST(CsvLayout, ColumnsAreNamedByTheFilesHeaderOrCountedFromOne) {
  EXPECT_EQ(seen("timestamp,price,quantity,side,tradeId",
                 "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId"),
            "time=0,price=1,quantity=2,side=3,id=4 header");
  EXPECT_EQ(seen("1750507467356,83.29,0.107,buy,293517768", "time=1,price=2,quantity=3"), "time=0,price=1,quantity=2");
  EXPECT_EQ(seen("when,what,much", "time=1,price=2,quantity=3"), "time=0,price=1,quantity=2 header");
  EXPECT_EQ(seen("t,p,q,i,f,l", "time=t,price=p,quantity=q,id=i,first_id=f,last_id=l"),
            "time=0,price=1,quantity=2,id=3,first_id=4,last_id=5 header agg");
}

TEST(CsvLayout, WrongColumnsAreNamedWithWhatIsThere) {
  const std::string_view line = "timestamp,price,quantity";
  EXPECT_EQ(seen(line, "time=timestmp,price=price,quantity=quantity"),
            "--columns: the file has no column \"timestmp\"; its first line has timestamp, price, quantity");
  EXPECT_EQ(seen(line, "tme=timestamp,price=price,quantity=quantity"),
            "--columns: \"tme\" is no column that is known; there are time, price, quantity, side, buyer_is_maker, id, "
            "first_id, last_id, receive_time, kind, instrument");
  EXPECT_EQ(seen(line, "time=timestamp,price=price"),
            "--columns: quantity is missing; time, price and quantity are needed; the file's first line has timestamp, "
            "price, quantity");
  EXPECT_EQ(seen(line, "time=timestamp,time=price"), "--columns: \"time\" is given twice");
  EXPECT_EQ(seen(line, "time"),
            "--columns: \"time\" is not of the form column=name; example: "
            "time=timestamp,id=tradeId,price=price,quantity=3");
  EXPECT_EQ(seen("a,b,c,d,e", "time=a,price=b,quantity=c,side=d,buyer_is_maker=e"),
            "--columns: side and buyer_is_maker say the same; give one of them");
  EXPECT_EQ(seen("a,b,c,d,e", "time=a,price=b,quantity=c,first_id=d"),
            "--columns: first_id and last_id go together, and only with id");
  EXPECT_EQ(seen("1,2,3", "time=1,price=2,quantity=4"),
            "--columns: the file has no column \"4\"; its first line has 1, 2, 3");
  EXPECT_EQ(seen("timestamp,price,quantity,side,tradeId").substr(0, 35), "the file is no CSV that is known; s");
  EXPECT_EQ(seen(std::string_view{"a\0b", 3}), "the file is no text: it has zero bytes in its first line");
}

TEST(CsvCells, QuotesFollowRfc4180) {
  Cells cells;
  ASSERT_TRUE(cells.split(R"(a, b ,"c,d","e ""f""",,"")"));
  ASSERT_EQ(cells.size(), 6U);
  EXPECT_EQ(cells[1], "b");
  EXPECT_EQ(cells[2], "c,d");
  EXPECT_EQ(cells[3], "e \"f\"");
  EXPECT_EQ(cells[4], "");
  EXPECT_EQ(cells[5], "");
  for (const std::string_view row : {"\"a", "\"a\"b,c", "a\"b\"", "a,\""}) EXPECT_FALSE(cells.split(row)) << row;
  EXPECT_TRUE(cells.split(std::string(255, ',')));
  EXPECT_FALSE(cells.split(std::string(256, ',')));
  EXPECT_FALSE(cells.split("\"\"" + std::string(256, ',')));
}

TEST(CsvColumns, MapsAreWrittenAndReadBack) {
  const auto map = parse_column_map("time=4,price=1,instrument=12");
  ASSERT_TRUE(map);
  EXPECT_EQ(map->text(), "time=4,price=1,instrument=12");
  EXPECT_FALSE(map->has(Column::id));
  for (const std::string_view text :
       {"time", "time=", "time=x", "time=-1", "what=1", "time=1,", "time=1;price=2", "time=300"})
    EXPECT_TRUE(text == "time=1," || !parse_column_map(text)) << text;
}

}  // namespace
}  // namespace truetape
