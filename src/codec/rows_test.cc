#include "codec/rows.h"

#include <gtest/gtest.h>

namespace truetape {
namespace {

Instrument instrument() { return Instrument::parse("binance:BTCUSDT").value(); }
Decimal decimal(std::string_view text) { return parse_decimal(text).value; }
Timestamp time(std::string_view text) { return parse_rfc3339(text).value(); }

template <class T>
std::string written(RowFormat format, const std::vector<T>& rows) {
  std::string out;
  RowWriter writer{format, columns<T>(), [&](std::string_view text) {
                     out += text;
                     return true;
                   }};
  for (const T& row : rows) EXPECT_TRUE(writer.write(row));
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(writer.rows(), rows.size());
  return out;
}

Candle candle() {
  Candle c;
  c.instrument = instrument();
  c.interval = Interval{60};
  c.start = time("2024-08-08T23:59:00Z");
  c.open = decimal("61837.64");
  c.high = decimal("61840");
  c.low = decimal("61830.5");
  c.close = decimal("61831");
  c.volume = parse_amount("1.5").value();
  c.quote_volume = parse_amount("92756.46").value();
  c.trades = 12;
  c.taker_buy_volume = Amount{};
  c.vwap = parse_amount("61837.64").value();
  c.first_id = 3000;
  c.last_id = 3011;
  c.first_time = time("2024-08-08T23:59:00.123Z");
  c.last_time = time("2024-08-08T23:59:59Z");
  c.completeness = Completeness::complete;
  c.status = CandleStatus::corrected;
  c.proof = Proof::ids;
  c.repaired = true;
  c.missing = 0;
  c.epoch = 1'700'000'000;
  c.revision = 14;
  return c;
}
Trade trade() {
  Trade t;
  t.instrument = instrument();
  t.id = Text<40>::cut("3000");
  t.first_id = t.last_id = 3000;
  t.event_time = time("2024-08-08T23:59:00.123456Z");
  t.price = decimal("61837.64");
  t.quantity = decimal("1e-7");
  t.taker_side = Side::sell;
  t.marks = 0b1001;
  return t;
}
Quarantined quarantined() {
  Quarantined q;
  q.partition = 3;
  q.offset = 17;
  q.reason = Reason::wrong_type;
  q.detail = "$.p: a number, where text belongs";
  q.rule = Text<24>::cut("structure");
  q.rule_version = 1;
  q.raw = "{\"p\":1}\n\xff\x01";
  return q;
}

TEST(Rows, PublicHeadersStand) {
  EXPECT_EQ(csv_header(columns<Candle>()),
            "instrument,tape,interval,start,open,high,low,close,volume,quote_volume,trades,taker_buy_volume,taker_buy_"
            "quote_volume,vwap,first_id,"
            "last_id,first_time,last_time,status,completeness,proof,repaired,missing,held,epoch,revision");
  EXPECT_EQ(csv_header(columns<Trade>()),
            "instrument,tape,era,id,first_id,last_id,event_time,receive_time,price,quantity,taker_side,kind,marks");
  EXPECT_EQ(csv_header(columns<Gap>()), "instrument,tape,era,first_id,last_id,from,to,state,reason,missing");
  EXPECT_EQ(csv_header(columns<Quarantined>()),
            "instrument,partition,offset,receive_time,id,reason,detail,rule,rule_version,raw,ordinal,attempts");
  EXPECT_EQ(csv_header(columns<Progress>()), "instrument,tape,frontier,closed_until,proven_until,sealed_until");
  EXPECT_EQ(csv_header(columns<DigestRow>()), "instrument,tape,kind,interval,day,rows,sha256");
}

TEST(Rows, CandlesAsCsvAndJson) {
  EXPECT_EQ(written(RowFormat::csv, std::vector{candle()}),
            csv_header(columns<Candle>()) +
                "\nbinance:BTCUSDT,trade,1m,2024-08-08T23:59:00Z,61837.64,61840,61830.5,61831,1.5,92756.46,12,0,,61837."
                "64,3000,3011,"
                "2024-08-08T23:59:00.123Z,2024-08-08T23:59:59Z,corrected,complete,ids,true,0,0,1700000000,14\n");
  EXPECT_EQ(
      written(RowFormat::json, std::vector{candle()}),
      "{\"instrument\":\"binance:BTCUSDT\",\"tape\":\"trade\",\"interval\":\"1m\",\"start\":\"2024-08-08T23:59:00Z\","
      "\"open\":\"61837.64\","
      "\"high\":\"61840\",\"low\":\"61830.5\",\"close\":\"61831\",\"volume\":\"1.5\",\"quote_volume\":\"92756.46\","
      "\"trades\":12,"
      "\"taker_buy_volume\":\"0\",\"taker_buy_quote_volume\":null,\"vwap\":\"61837.64\",\"first_id\":3000,\"last_id\":"
      "3011,"
      "\"first_time\":\"2024-08-08T23:59:00.123Z\",\"last_time\":\"2024-08-08T23:59:59Z\",\"status\":\"corrected\","
      "\"completeness\":\"complete\",\"proof\":\"ids\",\"repaired\":true,\"missing\":0,\"held\":0,\"epoch\":1700000000,"
      "\"revision\":14}\n");
}

TEST(Rows, TheEmptyAreEmpty) {
  Candle c;
  c.instrument = instrument();
  c.interval = Interval{1};
  EXPECT_EQ(written(RowFormat::csv, std::vector{c}),
            csv_header(columns<Candle>()) +
                "\nbinance:BTCUSDT,trade,1s,1970-01-01T00:00:00Z,,,,,,,,,,,,,,,open,,,false,,0,0,0\n");
  EXPECT_EQ(written(RowFormat::csv, std::vector<Gap>{}), csv_header(columns<Gap>()) + "\n");
  EXPECT_EQ(written(RowFormat::json, std::vector<Gap>{}), "");
}

TEST(Rows, TradesGapsProgressAndDigests) {
  EXPECT_EQ(written(RowFormat::csv, std::vector{trade()}),
            csv_header(columns<Trade>()) +
                "\nbinance:BTCUSDT,trade,0,3000,3000,3000,2024-08-08T23:59:00.123456Z,,61837.64,0.0000001,sell,,off_"
                "tick|late\n");
  Gap g;
  g.instrument = instrument();
  g.tape = Tape::agg;
  g.era = 1;
  g.first_id = 5;
  g.from = time("2024-08-08T23:59:00Z");
  g.reason = GapReason::tail;
  g.state = GapState::open;
  EXPECT_EQ(written(RowFormat::csv, std::vector{g}),
            csv_header(columns<Gap>()) + "\nbinance:BTCUSDT,agg,1,5,,2024-08-08T23:59:00Z,,open,tail,0\n");
  Progress p;
  p.instrument = instrument();
  p.proven_until = time("2024-08-09T00:00:00Z");
  EXPECT_EQ(written(RowFormat::json, std::vector{p}),
            "{\"instrument\":\"binance:BTCUSDT\",\"tape\":\"trade\",\"frontier\":null,\"closed_until\":null,"
            "\"proven_until\":\"2024-08-09T00:00:00Z\",\"sealed_until\":null}\n");
  DigestRow d{instrument(), Tape::trade, true, Interval{300}, {}, 2, "ab"};
  d.day = std::chrono::floor<std::chrono::days>(time("2024-08-08"));
  EXPECT_EQ(written(RowFormat::csv, std::vector{d}),
            csv_header(columns<DigestRow>()) + "\nbinance:BTCUSDT,trade,candles,5m,2024-08-08,2,ab\n");
}

TEST(Rows, AnyBytesGiveValidCsvAndJson) {
  EXPECT_EQ(written(RowFormat::csv, std::vector{quarantined()}),
            csv_header(columns<Quarantined>()) +
                "\n,3,17,,,wrong_type,\"$.p: a number, where text "
                "belongs\",structure,1,\"{\"\"p\"\":1}\n\xef\xbf\xbd\x01\",0,1\n");
  EXPECT_EQ(
      written(RowFormat::json, std::vector{quarantined()}),
      "{\"instrument\":null,\"partition\":3,\"offset\":17,\"receive_time\":null,\"id\":null,\"reason\":\"wrong_type\","
      "\"detail\":\"$.p: a number, where text belongs\",\"rule\":\"structure\",\"rule_version\":1,"
      "\"raw\":\"{\\\"p\\\":1}\\n\xef\xbf\xbd\\u0001\",\"ordinal\":0,\"attempts\":1}\n");
}

TEST(Rows, ATableIsAlignedAndCannotMoveTheCursor) {
  Quarantined q = quarantined();
  q.instrument = instrument();
  q.raw = "\x1b[2Jé\n" + std::string(100, 'x');
  Quarantined other = q;
  other.offset = 123456;
  other.raw = "y";
  EXPECT_EQ(written(RowFormat::table, std::vector{q, other}),
            "instrument       partition  offset  receive_time  id  reason      detail                             rule "
            "      rule_version  raw                                                           ordinal  attempts\n"
            "───────────────  ─────────  ──────  ────────────  ──  ──────────  ─────────────────────────────────  "
            "─────────  ────────────  "
            "────────────────────────────────────────────────────────────  ───────  ────────\n"
            "binance:BTCUSDT          3      17                    wrong_type  $.p: a number, where text belongs  "
            "structure             1  "
            "·[2Jé·" +
                std::string(53, 'x') +
                "…        0         1\n"
                "binance:BTCUSDT          3  123456                    wrong_type  $.p: a number, where text belongs  "
                "structure             1  y" +
                std::string(66, ' ') + " 0         1\n");
}

TEST(Rows, TheColumnsOfQuotesAndOfSymbolListsHaveACellEach) {
  Quote q;
  q.instrument = instrument();
  q.order = 7;
  q.receive_time = time("2024-08-08T23:59:00.5Z");
  q.bid = decimal("61837.64");
  q.bid_quantity = decimal("0.5");
  EXPECT_EQ(
      written<Quote>(RowFormat::json, {q}),
      R"({"instrument":"binance:BTCUSDT","kind":"best","event_time":null,"receive_time":"2024-08-08T23:59:00.500Z",)"
      R"("bid":"61837.64","bid_quantity":"0.5","ask":null,"ask_quantity":null,"last":null,"last_quantity":null,)"
      R"("open":null,"high":null,"low":null,"volume":null,"quote_volume":null,"order":7})"
      "\n");
  EXPECT_EQ(written<Reference>(RowFormat::csv,
                               {Reference{instrument(), "BTC", "USDT", "BTC-USDT", decimal("0.01"), {}, "TRADING"}}),
            "instrument,base,quote,name,tick,lot,status\nbinance:BTCUSDT,BTC,USDT,BTC-USDT,0.01,,TRADING\n");
}

TEST(Rows, ALongTableKeepsItsRows) {
  std::vector<Trade> rows(1000, trade());
  const std::string table = written(RowFormat::table, rows);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 1002);
}

TEST(Rows, StopsWhenNobodyReads) {
  RowWriter writer{RowFormat::csv, columns<Trade>(), [](std::string_view) { return false; }};
  EXPECT_FALSE(writer.write(trade()));
}

}  // namespace
}  // namespace truetape
