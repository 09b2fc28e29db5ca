#include "capture/history_decoder.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

constexpr HistoryVenue kContiguous{TradeIds::contiguous, nullptr};

struct Row {
  std::string_view columns = "time=0,price=1,quantity=2,side=3,id=4";
  std::string_view instruments = "binance:LTCUSDT";
  std::vector<Header> more{};
};

Events decoded(std::string_view bytes, const Row& row = {}, const HistoryVenue& venue = kContiguous,
               RawKind kind = RawKind::history) {
  RawRecord record;
  record.kind = kind;
  record.instruments = row.instruments;
  record.bytes = bytes;
  record.receive_time = timestamp_ns(1'800'000'000'000'000'000);  // when it was imported
  std::vector<Header> headers{
      {header::format, "csv"}, {header::columns, row.columns}, {header::row, "17"}, {header::tape, "trade"}};
  for (const Header& h : row.more) {
    std::erase_if(headers, [&](const Header& old) { return old.name == h.name; });
    headers.push_back(h);
  }
  record.headers = headers;
  Events out;
  decode_history(record, venue, out);
  return out;
}

constexpr std::string_view kGood = "1750507467356,83.29,0.107,buy,293517768";

TEST(HistoryRow, IsReadToTheLastDigit) {
  const Events events = decoded("1750507467356,83.29,0.107,buy,293517768\n1750507470500,83.30,1.39,Sell,293517770\r\n");
  ASSERT_EQ(events.items.size(), 2U);
  Trade expected;
  expected.instrument = *Instrument::parse("binance:LTCUSDT");
  expected.id = Text<40>::cut("293517768");
  expected.order = expected.first_id = expected.last_id = 293517768;
  expected.event_time = timestamp_ns(1'750'507'467'356'000'000);
  expected.price = {8329, 2};
  expected.quantity = {107, 3};
  expected.taker_side = Side::buy;
  EXPECT_EQ(events.items[0].trade, expected);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[0].raw, kGood);
  EXPECT_EQ(events.items[1].ordinal, 1U);
  EXPECT_EQ(events.items[1].trade.taker_side, Side::sell);
  EXPECT_EQ(events.items[1].trade.price, (Decimal{833, 1}));
  EXPECT_FALSE(events.items[1].follows);  // no archive: the venue itself did not put the rows side by side
}

TEST(HistoryRow, BlankLinesAndQuotesAreNoTrouble) {
  const Events events =
      decoded("\n \r\n\"1750507467356\" , \"83.29\",0.107,\"b\", 293517768 \n\n1750507467356,bad,1,,293517769");
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[0].trade.id.view(), "293517768");
  EXPECT_EQ(events.items[1].detail,
            "row 21, column 2 (price): \"bad\" is no decimal number");  // lines count, blank ones too
}

struct Bad {
  std::string_view row;
  Reason reason;
  std::string_view detail;
  bool has_id, has_time;
};

TEST(HistoryRow, WhatIsWrongIsNamedWithRowAndColumn) {
  for (const Bad& bad : std::initializer_list<Bad>{
           {"1750507467356,0,0.107,buy,293517768", Reason::price, "row 17, column 2 (price): \"0\" is no price above 0",
            true, true},
           {"1750507467356,-1,0.107,buy,293517768", Reason::price,
            "row 17, column 2 (price): \"-1\" is no price above 0", true, true},
           {"1750507467356,1e300,0.107,buy,293517768", Reason::decimal_range,
            "row 17, column 2 (price): \"1e300\" has more than 18 decimals or does not fit 63 bits", true, true},
           {"1750507467356,NaN,0.107,buy,293517768", Reason::decimal_syntax,
            "row 17, column 2 (price): \"NaN\" is no decimal number", true, true},
           {"1750507467356,,0.107,buy,293517768", Reason::missing_field,
            "row 17, column 2 (price): \"\" is no decimal number", true, true},
           {"1750507467356,83.29,0.0,buy,293517768", Reason::quantity,
            "row 17, column 3 (quantity): \"0.0\" is no quantity above 0", true, true},
           {"1750507467,83.29,0.107,buy,293517768", Reason::time_unit,
            "row 17, column 1 (time): \"1750507467\" has the digits of a time in s, needed is ms or us", true, false},
           {"1750507467356000000,83.29,0.107,buy,293517768", Reason::time_unit,
            "row 17, column 1 (time): \"1750507467356000000\" has the digits of a time in ns, needed is ms or us", true,
            false},
           {"14400688,83.29,0.107,buy,293517768", Reason::time_range,
            "row 17, column 1 (time): \"14400688\" is no time since 1970 in s, ms, us or ns", true, false},
           {"yesterday,83.29,0.107,buy,293517768", Reason::wrong_type,
            "row 17, column 1 (time): \"yesterday\" is no time", true, false},
           {",83.29,0.107,buy,293517768", Reason::missing_field, "row 17, column 1 (time): \"\" is no time", true,
            false},
           {"1750507467356,83.29,0.107,long,293517768", Reason::side,
            "row 17, column 4 (side): \"long\" is none of buy, sell, b, s", true, true},
           {"1750507467356,83.29,0.107,buy,12ab", Reason::wrong_type, "row 17, column 5 (id): \"12ab\" is no integer",
            false, true},
           {"1750507467356,83.29,0.107,buy,-5", Reason::id_range,
            "row 17, column 5 (id): \"-5\" is no id from 0 to 2^63 - 1", false, true},
           {"1750507467356,83.29,0.107,buy,9223372036854775808", Reason::id_range,
            "row 17, column 5 (id): \"9223372036854775808\" is no id from 0 to 2^63 - 1", false, true},
           {"1750507467356,83.29,0.107,buy,", Reason::missing_field, "row 17, column 5 (id): \"\" is no integer", false,
            true},
           {"1750507467356,83.29,0.107,buy", Reason::missing_field, "row 17: the row has 4 cells, 5 are needed", false,
            false},
           {"1750507467356,\"83.29,0.107,buy,293517768", Reason::syntax,
            "row 17: the row cannot be split into cells: its quotes do not match or it has more than 256", false,
            false},
           {"1750507467356,83.29,0.107,buy\xff,293517768", Reason::encoding, "row 17: the row is not UTF-8", false,
            false},
       }) {
    const Events events = decoded(bad.row);
    ASSERT_EQ(events.items.size(), 1U) << bad.row;
    const Item& item = events.items[0];
    EXPECT_EQ(item.type, Item::Type::bad) << bad.row;
    EXPECT_EQ(name(item.reason), name(bad.reason)) << bad.row;
    EXPECT_EQ(item.detail, bad.detail);
    EXPECT_EQ(item.has_id, bad.has_id) << bad.row;
    EXPECT_EQ(item.has_time, bad.has_time) << bad.row;
    EXPECT_EQ(item.raw, bad.row);
    EXPECT_EQ(item.trade.instrument.text(), "binance:LTCUSDT");
    if (bad.has_id) {
      EXPECT_EQ(item.trade.order, 293517768U);
    }
    if (bad.has_time) {
      EXPECT_EQ(item.trade.event_time, timestamp_ns(1'750'507'467'356'000'000));
    }
  }
}

TEST(HistoryTime, UnitsFractionsAndCalendarTimes) {
  const auto time = [](std::string_view cell, std::string_view unit = "") {
    Row row;
    if (!unit.empty()) row.more.push_back({header::time_unit, unit});
    const Events events = decoded(std::string{cell} + ",83.29,0.107,buy,1", row);
    return events.items.at(0).type == Item::Type::trade ? to_ns(events.items[0].trade.event_time) : -1;
  };
  EXPECT_EQ(time("1750507467356"), 1'750'507'467'356'000'000);
  EXPECT_EQ(time("1750507467356123"), 1'750'507'467'356'123'000);
  EXPECT_EQ(time("1750507467356.5"), 1'750'507'467'356'500'000);
  EXPECT_EQ(time("1534614057.321597", "s"), 1'534'614'057'321'597'000);
  EXPECT_EQ(time("1534614057.3215971239", "s"), 1'534'614'057'321'597'123);
  EXPECT_EQ(time("1534614057321597123", "ns"), 1'534'614'057'321'597'123);
  EXPECT_EQ(time("1750507467356", "us"), -1);
  EXPECT_EQ(time("1750507467356.", "ms"), 1'750'507'467'356'000'000);
  EXPECT_EQ(time("1750507467356.x", "ms"), -1);
  EXPECT_EQ(time("9750507467356", "ms"), -1);  // beyond 2262
  EXPECT_EQ(time("2025-06-21T12:04:27.356Z"), 1'750'507'467'356'000'000);
}

TEST(HistoryColumns, AggregatesMakersAndReceiveTimes) {
  Row row;
  row.columns = "id=0,price=1,quantity=2,first_id=3,last_id=4,time=5,buyer_is_maker=6,receive_time=7";
  row.more = {{header::tape, "agg"}};
  const Events events = decoded(
      "13519807,0.00141342,23.0,15373518,15373520,1570752011620,True,1570752011700\n"
      "13519808,0.00141342,23.0,15373521,15373520,1570752011620,False,1570752011700\n"
      "13519809,0.00141342,23.0,15373521,15373521,1570752011620,0,\n"
      "13519810,0.00141342,23.0,15373522,15373522,1570752011620,yes,\n",
      row);
  ASSERT_EQ(events.items.size(), 4U);
  const Trade& first = events.items[0].trade;
  EXPECT_EQ(first.tape, Tape::agg);
  EXPECT_EQ(first.order, 13519807U);
  EXPECT_EQ(first.first_id, 15373518U);
  EXPECT_EQ(first.last_id, 15373520U);
  EXPECT_EQ(first.taker_side, Side::sell);
  EXPECT_EQ(first.receive_time, timestamp_ns(1'570'752'011'700'000'000));
  EXPECT_EQ(events.items[1].detail, "row 18, column 4 (first_id): \"15373521\" is above the last id of the range");
  EXPECT_FALSE(events.items[1].has_id);
  EXPECT_EQ(events.items[2].trade.taker_side, Side::buy);
  EXPECT_EQ(events.items[2].trade.receive_time, std::nullopt);
  EXPECT_EQ(events.items[3].detail, "row 20, column 7 (buyer_is_maker): \"yes\" is none of true, false, 1, 0");
}

TEST(HistoryColumns, ABlankKindWithoutPriceAndQuantityIsAMarker) {
  Row row;
  row.columns = "receive_time=0,time=4,instrument=5,id=6,price=7,quantity=8,buyer_is_maker=9,kind=10";
  row.instruments = "binance-usdm:TRXUSDT";
  const Events events = decoded(
      "1741047333918,trxusdt@trade,trade,1741047333916,1741047333915,TRXUSDT,548331094,0.23228,362.0,0,MARKET\n"
      "1741047334450,trxusdt@trade,trade,1741047334448,1741047334448,TRXUSDT,548331095,0.0,0.0,0,\n"
      "1741047334450,trxusdt@trade,trade,1741047334448,1741047334448,TRXUSDT,548331096,0.0,0.0,0,MARKET\n"
      "1741047334450,trxusdt@trade,trade,1741047334448,1741047334448,BTCUSDT,548331097,0.1,1.0,0,MARKET\n",
      row);
  ASSERT_EQ(events.items.size(), 4U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[0].trade.kind.view(), "MARKET");
  EXPECT_EQ(events.items[1].type, Item::Type::empty);
  EXPECT_EQ(events.items[1].trade.order, 548331095U);
  EXPECT_EQ(events.items[2].reason, Reason::price);
  EXPECT_EQ(events.items[3].detail,
            "row 20, column 6 (instrument): \"BTCUSDT\" is another instrument than binance-usdm:TRXUSDT");
  EXPECT_FALSE(events.items[3].has_id);
}

TEST(HistoryColumns, AMapWithoutThePriceMakesEveryRowBad) {
  Row row;
  row.columns = "time=0,quantity=2";
  const Events events = decoded("1,2,3\n1,2,3\n", row);
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[1].reason, Reason::columns);
  EXPECT_EQ(events.items[1].detail, "row 18: the column map of the record has no column for price");
}

TEST(HistoryColumns, MoreCellsThanTheLineOfNamesIsARowThatShifted) {
  Row row;
  row.more = {{header::cells, "5"}};
  const Events events = decoded("1750507467356,1,083.29,0.107,buy,293517768\n1750507467356,83.29,0.107,buy,7,\n", row);
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].reason, Reason::syntax);
  EXPECT_EQ(events.items[0].detail,
            "row 17: the row has 6 cells, the line of names has 5; a cell with a comma in it needs quotes");
  EXPECT_EQ(events.items[1].type, Item::Type::trade);  // only a comma at its end
  row.more = {};
  EXPECT_EQ(decoded("1750507467356,83.29,0.107,buy,7,8\n", row).items.at(0).type, Item::Type::trade);
}

TEST(HistoryIds, AreOptionalAndFreeWhereTheVenueHasNone) {
  Row row;
  row.columns = "time=0,price=1,quantity=2";
  const HistoryVenue none{};
  EXPECT_EQ(decoded(kGood, row, none).items.at(0).type, Item::Type::trade);
  EXPECT_TRUE(decoded(kGood, row, none).items.at(0).trade.id.empty());
  const Events events = decoded("1750507467356,83.29,0.107,buy,c0ffee-1", {}, none);
  EXPECT_EQ(events.items.at(0).type, Item::Type::trade);
  EXPECT_EQ(events.items.at(0).trade.id.view(), "c0ffee-1");
}

TEST(HistoryIds, AMapWithoutThemIsNoneForAVenueThatNumbersItsTrades) {
  Row row;
  row.columns = "time=0,price=1,quantity=2";
  const Events events = decoded(kGood, row);
  ASSERT_EQ(events.items.size(), 1U);
  EXPECT_EQ(events.items[0].type, Item::Type::bad);
  EXPECT_FALSE(events.items[0].has_id);
  EXPECT_EQ(events.items[0].reason, Reason::columns);
  EXPECT_EQ(events.items[0].detail,
            "row 17: the column map of the record has no column for id, and the venue's trades are known by their ids");
}

TEST(HistoryArchive, NeighbouringRowsAreNeighbouringTrades) {
  Row row;
  row.columns = "id=0,price=1,quantity=2,time=4,buyer_is_maker=5";
  row.instruments = "binance-usdm:BTCUSDT";
  row.more = {{header::archive, "1"}, {header::previous_row, "1,2,3,6,1750507467356,true"}};
  const std::string_view rows =
      "3,2,3,6,1750507467356,true\n7,0,3,6,1750507467356,true\n9,2,3,6,1750507467356,true\nx,2,3,6,1750507467356,"
      "true\n11,2,3,6,1750507467356,true\n";
  const auto follows = [&] {
    std::vector<bool> out;
    const Events events = decoded(rows, row);
    for (const Item& item : events.items) out.push_back(item.follows);
    return out;
  };
  // The second has no price but a readable id, so it is a neighbour itself; the fourth has no id and breaks the chain.
  EXPECT_EQ(follows(), (std::vector<bool>{true, true, true, false, false}));
  EXPECT_EQ(decoded(rows, row).items.at(0).trade.kind.view(), "MARKET");
  row.more[1].value = "y,2,3,6,1750507467356,true";
  EXPECT_FALSE(follows().at(0));
  row.more = {{header::archive, "1"}};
  EXPECT_FALSE(follows().at(0));
  EXPECT_TRUE(follows().at(1));
}

TEST(HistoryRows, KeepTheirNumbersWhenTheyDoNotFollowEachOther) {
  Row row;
  row.more = {{header::rows, "3,7-8,11"}};
  const Events events = decoded("a\nb\nc\nd\n", row);
  ASSERT_EQ(events.items.size(), 4U);
  for (const auto& [index, number] : {std::pair{0U, "3"}, {1U, "7"}, {2U, "8"}, {3U, "11"}})
    EXPECT_EQ(events.items[index].detail, std::string{"row "} + number + ": the row has 1 cells, 5 are needed");
  row.more = {{header::original_ordinal, "2"}, {header::rows, "3,7-8,11"}};
  EXPECT_EQ(decoded("c", row, kContiguous, RawKind::replay).items.at(0).detail,
            "row 8: the row has 1 cells, 5 are needed");
  row.more = {{header::original_ordinal, "2"}};
  EXPECT_EQ(decoded("c", row, kContiguous, RawKind::replay).items.at(0).detail,
            "row 19: the row has 1 cells, 5 are needed");
}

void decode_fake(const RawRecord& frame, Events& out) {
  if (frame.bytes == "quiet") {
    ++out.not_a_trade;
    return;
  }
  Item& item = out.items.emplace_back();
  item.raw = frame.bytes;
  item.trade.receive_time = frame.receive_time;
  if (frame.bytes == "bad") {
    item.type = Item::Type::bad;
    item.detail = "$ is bad";
  }
}

TEST(HistoryLines, AreFramesOfTheVenue) {
  Row row;
  row.more = {{header::format, "jsonl"}};
  const HistoryVenue venue{TradeIds::contiguous, &decode_fake};
  const Events events = decoded("one\nquiet\n\nbad\r\n", row, venue);
  EXPECT_EQ(events.not_a_trade, 1U);
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].raw, "one");
  EXPECT_EQ(events.items[0].trade.receive_time, std::nullopt);
  EXPECT_EQ(events.items[1].ordinal, 1U);
  EXPECT_EQ(events.items[1].detail, "row 20, $ is bad");

  row.more = {{header::format, "frames"}};
  const Events timed = decoded("1721347021434994132 one\n", row, venue);
  EXPECT_EQ(timed.items.at(0).trade.receive_time, timestamp_ns(1'721'347'021'434'994'132));
  EXPECT_EQ(timed.items.at(0).raw, "1721347021434994132 one");
  EXPECT_EQ(decoded("one\n", row, HistoryVenue{}).items.at(0).reason, Reason::unroutable);
}

}  // namespace
}  // namespace truetape
