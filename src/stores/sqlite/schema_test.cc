#include "stores/sqlite/schema.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "codec/random_records.h"
#include "codec/rows.h"
#include "stores/sqlite/rows.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::sqlite {
namespace {

class Schema : public ::testing::Test {
 protected:
  Schema() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-schema-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    directory_ = pattern;
  }
  ~Schema() override { std::filesystem::remove_all(directory_); }
  Database open() { return std::move(*Database::open((directory_ / "store.db").string(), Access::read_write, 50)); }
  std::filesystem::path directory_;
};

const std::vector<Migration> kOne{{1, "CREATE TABLE a(x); INSERT INTO a VALUES(1);"}};
const std::vector<Migration> kThree{
    kOne[0], {2, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;"}, {3, "CREATE TABLE b AS SELECT y FROM a;"}};

TEST_F(Schema, AnEmptyFileIsCreatedAndAnOlderOneMigrated) {
  Database db = open();
  ASSERT_TRUE(apply_schema(db, kOne));
  ASSERT_TRUE(apply_schema(db, kOne));
  EXPECT_EQ(db.query_integer("PRAGMA user_version").value(), 1);
  EXPECT_EQ(check_schema(db, 3).error().fault, Fault::mismatch);
  ASSERT_TRUE(apply_schema(db, kThree));
  EXPECT_EQ(db.query_integer("SELECT y FROM b").value(), 2);
  EXPECT_EQ(db.query_integer("PRAGMA user_version").value(), 3);
  EXPECT_EQ(db.query_integer("PRAGMA application_id").value(), kApplicationId);
  EXPECT_TRUE(check_schema(db, 3));
  EXPECT_EQ(apply_schema(db, kOne).error().fault, Fault::mismatch);
}

TEST_F(Schema, AStoreOfEachOlderVersionIsMigratedWhenSomethingIsLoaded) {
  for (std::size_t version = 1; version < migrations().size(); ++version) {
    std::filesystem::remove(directory_ / "store.db");
    {
      Database db = open();
      ASSERT_TRUE(apply_schema(db, migrations().first(version)));
      ASSERT_TRUE(db.execute("INSERT INTO meta(name, value) VALUES('log_id', 'log')", "preparing"));
    }
    EXPECT_EQ(open_sqlite_history(directory_ / "store.db")->missing().error().fault, Fault::mismatch);
    ASSERT_TRUE(make_sqlite_sink(directory_ / "store.db", {.log_id = "log"})->open());
    EXPECT_EQ(open_sqlite_history(directory_ / "store.db")->log_id().value(), "log");
    EXPECT_TRUE(open_sqlite_history(directory_ / "store.db")->missing().value().empty());
  }
}

TEST_F(Schema, TheHeadlinesOfAnOlderStoreAreCounted) {
  {
    Database db = open();
    ASSERT_TRUE(apply_schema(db, migrations().first(5)));
    ASSERT_TRUE(
        db.execute("INSERT INTO news VALUES('f', '1', 3659000000000, 'h', 'Yahoo', '', '', 'f:A,f:B');"
                   "INSERT INTO news VALUES('f', '2', 3660000000000, 'h', 'Yahoo', '', '', 'f:A');"
                   "INSERT INTO news VALUES('f', '3', 3661000000000, 'h', 'CNBC', '', '', '');"
                   "INSERT INTO news_related VALUES('f:A', 3659000000000, 'f', '1');"
                   "INSERT INTO news_related VALUES('f:B', 3659000000000, 'f', '1');"
                   "INSERT INTO news_related VALUES('f:A', 3660000000000, 'f', '2');",
                   "preparing"));
  }
  ASSERT_TRUE(make_sqlite_sink(directory_ / "store.db", {.log_id = "log"})->open());
  std::vector<std::string> found;
  ASSERT_TRUE(open_sqlite_history(directory_ / "store.db")->news_counts({}, [&](const NewsCount& row) {
    RowCells cells;
    put_cells(row, cells);
    append_csv_row(cells, found.emplace_back());
    return true;
  }));
  EXPECT_THAT(found, testing::ElementsAre(
                         "f:A,Yahoo,1m,1970-01-01T01:00:00Z,1,1970-01-01T01:00:59Z,1970-01-01T01:00:59Z,f,0,1\n",
                         "f:B,Yahoo,1m,1970-01-01T01:00:00Z,1,1970-01-01T01:00:59Z,1970-01-01T01:00:59Z,f,0,1\n",
                         ",CNBC,1m,1970-01-01T01:01:00Z,1,1970-01-01T01:01:01Z,1970-01-01T01:01:01Z,f,0,1\n",
                         "f:A,Yahoo,1m,1970-01-01T01:01:00Z,1,1970-01-01T01:01:00Z,1970-01-01T01:01:00Z,f,0,1\n",
                         ",CNBC,1h,1970-01-01T01:00:00Z,1,1970-01-01T01:01:01Z,1970-01-01T01:01:01Z,f,0,1\n",
                         "f:A,Yahoo,1h,1970-01-01T01:00:00Z,2,1970-01-01T01:00:59Z,1970-01-01T01:01:00Z,f,0,2\n",
                         "f:B,Yahoo,1h,1970-01-01T01:00:00Z,1,1970-01-01T01:00:59Z,1970-01-01T01:00:59Z,f,0,1\n"));
}

TEST_F(Schema, AnOlderStoreGetsATableOfQuotesAndLoadsThemFromTheOldest) {
  {
    Database db = open();
    ASSERT_TRUE(apply_schema(db, migrations().first(5)));
    ASSERT_TRUE(
        db.execute("INSERT INTO positions VALUES('trades', 0, 7, 'log', 1);"
                   "INSERT INTO meta VALUES('log_id', 'log'); INSERT INTO logs VALUES(1, 'log');",
                   "preparing"));
  }
  const auto sink = make_sqlite_sink(directory_ / "store.db", {.log_id = "log"});
  ASSERT_TRUE(sink->open());
  EXPECT_EQ(sink->claim("trades", 0).value(), 7);
  EXPECT_EQ(sink->claim("quotes", 0).value(), std::nullopt);
  Quote quote;
  quote.instrument = *Instrument::parse("binance:BTCUSDT");
  const Row row{quote};
  ASSERT_TRUE(sink->write({"quotes", 0, 40, 41, {&row, 1}}));
  EXPECT_EQ(open().query_integer("SELECT count(*) FROM quotes").value(), 1);
}

TEST_F(Schema, TheViewOfQuotesHasOneRowPerInstrumentWithDecimalsAsText) {
  const auto sink = make_sqlite_sink(directory_ / "store.db", {.log_id = "log"});
  ASSERT_TRUE(sink->open());
  ASSERT_TRUE(sink->claim("quotes", 0));
  Quote best;
  best.instrument = *Instrument::parse("binance:BTCUSDT");
  best.receive_time = timestamp_ns(1'700'000'000'000'000'000);
  best.order = ~std::uint64_t{0};
  best.bid = Decimal::of(6'000'001, 2);
  best.bid_quantity = Decimal::of(1, 18);
  Quote ticker = best;
  ticker.kind = QuoteKind::ticker;
  ticker.event_time = timestamp_ns(1'700'000'000'500'000'000);
  ticker.last = Decimal::of(7, 0);
  ticker.quote_volume = Decimal::of(123'456, 3);
  ticker.order = 0;
  Quote other = best;
  other.instrument = *Instrument::parse("binance:ETHUSDT");
  const std::vector<Row> rows{best, ticker, other};
  ASSERT_TRUE(sink->write({"quotes", 0, 0, 3, rows}));
  Database db = open();
  std::string shown = "SELECT instrument";
  for (const char* const column : {"best_receive_time", "best_event_time", "bid", "bid_quantity", "ask", "best_order",
                                   "ticker_event_time", "ticker_bid", "last", "open", "quote_volume", "ticker_order"})
    shown += std::string{" || coalesce('|' || "} + column + ", '')";
  auto found = db.prepare(shown + " FROM quotes_view ORDER BY instrument");
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_EQ(found->step(), SQLITE_ROW);
  EXPECT_EQ(found->text(0),
            "binance:BTCUSDT|2023-11-14T22:13:20Z|60000.01|0.000000000000000001|18446744073709551615|"
            "2023-11-14T22:13:20.500Z|60000.01|7|123.456|0");
  ASSERT_EQ(found->step(), SQLITE_ROW);
  EXPECT_EQ(found->text(0), "binance:ETHUSDT|2023-11-14T22:13:20Z|60000.01|0.000000000000000001|18446744073709551615");
  EXPECT_EQ(found->step(), SQLITE_DONE);
}

TEST_F(Schema, AViewThatAnOlderProgramMadeIsMadeAnew) {
  ASSERT_TRUE(make_sqlite_sink(directory_ / "store.db", {.log_id = "log"})->open());
  Database db = open();
  const auto view = [&] {
    return db.query_text("SELECT sql FROM sqlite_schema WHERE name = 'quarantine_view'").value().value();
  };
  const std::string ours = view();
  EXPECT_NE(ours.find("'foreign'"), std::string::npos) << ours;
  ASSERT_TRUE(db.execute("DROP VIEW quarantine_view; CREATE VIEW quarantine_view AS SELECT 1 AS reason", "preparing"));
  ASSERT_TRUE(renew_views(db));
  EXPECT_EQ(view(), ours);
  const auto version = db.query_integer("PRAGMA schema_version");
  ASSERT_TRUE(renew_views(db));
  EXPECT_EQ(db.query_integer("PRAGMA schema_version").value(), version.value()) << "nothing to do";
}

TEST_F(Schema, AMigrationThatFailsChangesNothing) {
  Database db = open();
  ASSERT_TRUE(apply_schema(db, kOne));
  auto broken = kThree;
  broken[2].sql = "CREATE TABLE c(z); INSERT INTO nowhere VALUES(1);";
  EXPECT_FALSE(apply_schema(db, broken));
  EXPECT_EQ(db.query_integer("PRAGMA user_version").value(), 1);
  EXPECT_FALSE(db.query_integer("SELECT y FROM a"));
  EXPECT_TRUE(apply_schema(db, kThree));
}

TEST_F(Schema, AnotherProgramsFileIsRefusedUntouched) {
  {
    Database db = open();
    ASSERT_TRUE(db.execute("CREATE TABLE theirs(x)", "making"));
  }
  const auto bytes = [&] {
    std::ostringstream out;
    out << std::ifstream{directory_ / "store.db", std::ios::binary}.rdbuf();
    return out.str();
  };
  const std::string before = bytes();
  auto sink = make_sqlite_sink(directory_ / "store.db", {});
  const auto refused = sink->open();
  EXPECT_TRUE(bytes() == before);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::mismatch);
  EXPECT_THAT(refused.error().detail, ::testing::HasSubstr("another program"));
  std::ofstream{directory_ / "text.db"} << std::string(5'000, 'x');
  EXPECT_EQ(make_sqlite_sink(directory_ / "text.db", {})->open().error().fault, Fault::corrupt);
  EXPECT_EQ(make_sqlite_sink(directory_ / "nowhere" / "store.db", {})->open().error().fault, Fault::refused);
}

TEST_F(Schema, DecimalsAndTimesReadAsInCore) {
  Database db = open();
  RandomRecords random{5};
  auto decimal = db.prepare("SELECT " + decimal_sql("m", "s") + " FROM (SELECT ? AS m, ? AS s)").value();
  const auto check = [&](Decimal d) {
    decimal.bind(1, d.mantissa);
    decimal.bind(2, d.scale);
    ASSERT_EQ(decimal.step(), SQLITE_ROW);
    EXPECT_EQ(decimal.text(0), to_text(d));
    decimal.reset();
  };
  for (const Decimal d :
       {Decimal{}, Decimal{1, 18}, Decimal{-1, 18}, Decimal{-15, 1}, Decimal{INT64_MIN, 0}, Decimal{INT64_MAX, 18}})
    check(d);
  for (int i = 0; i < 2'000; ++i) check(random.decimal());
  auto time = db.prepare("SELECT " + time_sql("t") + " FROM (SELECT ? AS t)").value();
  const auto check_time = [&](std::int64_t ns) {
    time.bind(1, ns);
    ASSERT_EQ(time.step(), SQLITE_ROW);
    EXPECT_EQ(time.text(0), to_rfc3339(timestamp_ns(ns)));
    time.reset();
  };
  for (const std::int64_t ns : {0L, 1L, -1L, 1'700'000'000'123'000'000L, 1'700'000'000'123'456'000L,
                                1'700'000'000'000'000'001L, -1'000'000'000L})
    check_time(ns);
  for (int i = 0; i < 2'000; ++i) check_time(random.integer());
  auto number = db.prepare("SELECT " + unsigned_sql("u") + " FROM (SELECT ? AS u)").value();
  for (const std::uint64_t u : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1}) {
    number.bind_unsigned(1, u);
    ASSERT_EQ(number.step(), SQLITE_ROW);
    EXPECT_EQ(number.text(0), std::to_string(u));
    number.reset();
  }
}

// The views show the public columns, cell for cell as `query --format csv` does.
template <class Record>
void expect_view(Database& db, std::string_view view, const std::vector<Record>& rows, std::string_view key) {
  RowCells cells;
  for (const Record& row : rows) {
    cells.clear();
    put_cells(row, cells);
    std::string sql = "SELECT ";
    std::string where;
    std::size_t i = 0;
    for (const RowColumn& column : columns<Record>()) {
      sql += (i == 0 ? "\"" : ", \"") + std::string{column.name} + "\"";
      if (key.find("," + std::string{column.name} + ",") != std::string_view::npos)
        where += " AND CAST(\"" + std::string{column.name} + "\" AS TEXT) = '" + std::string{cells.view(i)} + "'";
      ++i;
    }
    auto statement = db.prepare(sql + " FROM " + std::string{view} + " WHERE 1" + where);
    ASSERT_TRUE(statement) << statement.error().detail;
    ASSERT_EQ(statement->step(), SQLITE_ROW) << where;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      std::string cell{cells.view(c)};
      if (cells[c].kind == RowCells::Kind::boolean) cell = cell == "true" ? "1" : "0";
      EXPECT_EQ(statement->text(static_cast<int>(c)), cell) << columns<Record>()[c].name << " of " << view;
    }
    EXPECT_EQ(statement->step(), SQLITE_DONE);
  }
}

TEST_F(Schema, ViewsShowThePublicColumns) {
  RandomRecords random{9};
  std::vector<Candle> candles;
  std::vector<Trade> trades;
  std::vector<Gap> gaps;
  std::vector<Row> rows;
  const auto small = [](Timestamp t) { return window_start(t, Interval{1}); };
  for (int i = 0; i < 200; ++i) {
    Candle c = random.candle();
    c.start = small(c.start) + std::chrono::seconds{i};
    candles.push_back(c);
    Trade t = random.trade();
    t.id = Text<40>::cut("id" + std::to_string(i));
    trades.push_back(t);
    Gap g = random.gap();
    g.first_id = static_cast<std::uint64_t>(i);
    gaps.push_back(g);
  }
  auto sink = make_sqlite_sink(directory_ / "store.db", {.log_id = "log"});
  ASSERT_TRUE(sink->open());
  const auto write = [&](std::string_view topic, const auto& records) {
    rows.assign(records.begin(), records.end());
    ASSERT_TRUE(sink->claim(topic, 0));
    const auto written = sink->write({topic, 0, 0, static_cast<std::int64_t>(rows.size()), rows});
    ASSERT_TRUE(written) << written.error().detail;
  };
  write("candles", candles);
  write("trades", trades);
  write("gaps", gaps);
  Database db = open();
  expect_view(db, "candles_view", candles, ",instrument,tape,interval,start,");
  expect_view(db, "trades_view", trades, ",id,");
  expect_view(db, "gaps_view", gaps, ",first_id,instrument,tape,era,");
}

}  // namespace
}  // namespace truetape::sqlite
