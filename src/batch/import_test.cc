#include "batch/import.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <fstream>
#include <map>

#include "batch/clock_estimate.h"
#include "batch/decoders.h"
#include "venues/venue.h"

namespace truetape {
namespace {

struct Kept {
  std::int32_t partition;
  std::string key, value;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string header(std::string_view name) const {
    for (const auto& [n, v] : headers)
      if (n == name) return v;
    return "-";
  }
};

// Takes a few records at a time, as a log does whose buffer is small.
class KeepingAppender final : public Appender {
 public:
  bool append(std::int32_t partition, const Record& record) override {
    std::size_t size = record.key.size() + record.value.size();
    for (const Header& h : record.headers) size += h.name.size() + h.value.size();
    EXPECT_LE(size, kMaxRecordBytes);
    if (waiting_ == 7) return false;
    ++waiting_;
    Kept kept{partition, std::string{record.key}, std::string{record.value}, {}};
    for (const Header& h : record.headers) kept.headers.emplace_back(h.name, h.value);
    all.push_back(std::move(kept));
    return true;
  }
  Result<bool> flush(std::chrono::milliseconds) override {
    if (broken) return failure(Fault::no_space, Retry::after_backoff, "the disk is full.");
    waiting_ = 0;
    return true;
  }
  bool durable() const { return waiting_ == 0; }

  std::vector<Kept> all;
  bool broken = false;

 private:
  int waiting_ = 0;
};

constexpr std::int32_t kPartitions = 4;

std::string known_venues() {
  std::string out;
  for (const Venue& venue : venues()) out += (out.empty() ? "" : ", ") + std::string{venue.name};
  return out;
}

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "truetape-import-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& file, std::string_view bytes) {
    std::ofstream{folder_ / file, std::ios::binary} << bytes;
    return folder_ / file;
  }
  Result<ImportSummary> import(const std::filesystem::path& file, ImportOptions options = {}) {
    const std::vector<std::filesystem::path> files{file};
    return Importer{log_, kPartitions, clock_, std::move(options)}.run(files);
  }
  std::string refused(const std::filesystem::path& file, ImportOptions options = {}) {
    const auto done = import(file, std::move(options));
    EXPECT_FALSE(done) << file;
    EXPECT_TRUE(log_.all.empty());
    if (done) return "";
    const std::string prefix = folder_.string() + "/";
    EXPECT_TRUE(done.error().detail.starts_with(prefix)) << done.error().detail;
    return done.error().detail.substr(prefix.size());
  }
  // "kind instruments header=value …" of each record, in order, of one partition or all.
  std::vector<std::string> story(std::initializer_list<std::string_view> headers, std::int32_t partition = -1) const {
    std::vector<std::string> out;
    for (const Kept& kept : log_.all) {
      if (partition >= 0 && kept.partition != partition) continue;
      std::string line = kept.header("kind") + " " + kept.header("instruments");
      for (const std::string_view h : headers) line += " " + kept.header(h);
      out.push_back(line);
    }
    return out;
  }
  // What the heart would get.
  Events decoded() const {
    Events out;
    for (const Kept& kept : log_.all) {
      std::vector<Header> headers;
      for (const auto& [n, v] : kept.headers) headers.push_back({n, v});
      all_decoders().decode(read_raw(kept.value, headers, kept.partition, 0), out);
    }
    for (Item& item : out.items) item.raw = {};  // views into the headers above
    return out;
  }

  std::filesystem::path folder_;
  KeepingAppender log_;
  ManualClock clock_{timestamp_ns(1'800'000'000'000'000'000)};
};

ImportOptions of(std::string instrument, std::string columns = "") {
  ImportOptions options;
  options.instrument = std::move(instrument);
  options.columns = std::move(columns);
  return options;
}

TEST_F(ImportTest, RowsComeAsTheyStandBetweenBeginAndEnd) {
  ImportOptions options = of("binance:LTCUSDT", "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId");
  options.covers = std::pair{timestamp_ns(10), timestamp_ns(20)};
  const auto file = write("ltc.csv",
                          "timestamp,price,quantity,side,tradeId\r\n1750507467356,83.29,0.107,buy,1\r\n\r\nthis is "
                          "\"no row\n1750507467357,83.29,0.107,buy,2");
  const auto done = import(file, options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 3U);
  EXPECT_EQ(done->records, 5U);
  EXPECT_EQ(done->files, 1U);
  EXPECT_EQ(done->instruments, (std::vector{*Instrument::parse("binance:LTCUSDT")}));
  EXPECT_TRUE(log_.durable());
  ASSERT_EQ(log_.all.size(), 5U);
  const std::int32_t partition = partition_of(*Instrument::parse("binance:LTCUSDT"), kPartitions);
  for (const Kept& kept : log_.all) {
    EXPECT_EQ(kept.partition, partition);
    EXPECT_EQ(kept.key, "binance:LTCUSDT");
    EXPECT_EQ(kept.header("receive_time"), "1800000000000000000");
  }
  const Kept& rows = log_.all[2];
  const std::string hash = rows.header("file");
  EXPECT_EQ(hash.size(), 64U);
  const std::string range = hash.substr(0, 16) + ":binance:LTCUSDT";
  EXPECT_EQ(story({"range", "tape", "from", "to"}),
            (std::vector<std::string>{"config binance:LTCUSDT - trade - -", "begin binance:LTCUSDT " + range + " - - -",
                                      "history binance:LTCUSDT - trade - -", "end binance:LTCUSDT " + range + " - - -",
                                      "coverage binance:LTCUSDT - - 10 20"}));
  EXPECT_EQ(rows.value, "1750507467356,83.29,0.107,buy,1\r\nthis is \"no row\n1750507467357,83.29,0.107,buy,2\n");
  EXPECT_EQ(rows.header("row"), "2");
  EXPECT_EQ(rows.header("rows"), "2,4-5");
  EXPECT_EQ(rows.header("format"), "csv");
  EXPECT_EQ(rows.header("columns"), "time=0,price=1,quantity=2,side=3,id=4");
  EXPECT_EQ(rows.header("cells"), "5");
  EXPECT_EQ(rows.header("venue"), "binance");
  EXPECT_EQ(rows.header("archive"), "-");
  EXPECT_EQ(rows.header("time_unit"), "-");  // ms or us: told row by row

  const Events events = decoded();
  ASSERT_EQ(events.items.size(), 3U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade);
  EXPECT_EQ(events.items[1].detail,
            "row 4: the row cannot be split into cells: its quotes do not match or it has more than 256");
  EXPECT_EQ(events.items[2].trade.order, 2U);
}

// Of the first of two days alone it would say that the second had no trades.
TEST_F(ImportTest, WhatIsDeclaredStandsOnceBehindTheLastFile) {
  const std::string_view head = "t,p,q,s,i\n";
  const auto first = write("1.csv", std::string{head} + "1750507467356,1,1,BTCUSDT,1\n1750507467356,1,1,ETHUSDT,1\n");
  const auto second = write("2.csv", std::string{head} + "1750507467357,1,1,BTCUSDT,2\n");
  const auto broken = write("3.csv", std::string{head} + "1750507467358,1,1,BTCUSDT,3\n");
  ASSERT_EQ(std::system(("gzip '" + broken.string() + "'").c_str()), 0);
  const std::filesystem::path gz{broken.string() + ".gz"};
  ImportOptions options;
  options.venue = "binance";
  options.columns = "time=t,price=p,quantity=q,instrument=s,id=i";
  options.covers = std::pair{timestamp_ns(10), timestamp_ns(20)};
  const auto run = [&](std::vector<std::filesystem::path> files) {
    log_.all.clear();
    return Importer{log_, kPartitions, clock_, options}.run(files);
  };
  ASSERT_TRUE(run({first, second}));
  EXPECT_TRUE(log_.durable());
  const auto kinds = [&] {
    std::string out;
    for (const Kept& kept : log_.all) out += kept.header("kind") + ' ';
    return out;
  };
  EXPECT_EQ(kinds(), "config config begin begin history history end end config begin history end coverage coverage ");
  EXPECT_EQ(log_.all[log_.all.size() - 2].header("instruments"), "binance:BTCUSDT");
  EXPECT_EQ(log_.all.back().header("instruments"), "binance:ETHUSDT");

  // A file that breaks off is not whole, so nothing is declared; nor if somebody stops the import.
  std::filesystem::resize_file(gz, std::filesystem::file_size(gz) - 4);
  ASSERT_FALSE(run({first, gz}));
  EXPECT_EQ(kinds().find("coverage"), std::string::npos) << kinds();
  std::string rows{head};
  for (int i = 4; i < 6'000; ++i) rows += "1750507467359,1,1,BTCUSDT," + std::to_string(i) + "\n";
  std::atomic<bool> stop = false;
  options.stop = &stop;
  options.progress = [&](const ImportProgress& progress) { stop = progress.number == 2; };
  const auto stopped = run({first, write("4.csv", rows)});
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->files, 1U);
  EXPECT_EQ(kinds().find("coverage"), std::string::npos) << kinds();
}

// A range that stayed open would keep every later hole of the instrument from being named.
TEST_F(ImportTest, ARangeEndsEvenIfTheFileBreaksOff) {
  std::string rows = "t,p,q,i\n";
  for (int i = 0; i < 200'000; ++i)
    rows += "1750507467356,1.0" + std::to_string(i * 7919 % 1000) + ",1," + std::to_string(i) + "\n";
  const auto plain = write("a.csv", rows);
  ASSERT_EQ(std::system(("gzip -k '" + plain.string() + "'").c_str()), 0);
  const std::string gz = plain.string() + ".gz";
  std::filesystem::resize_file(gz, std::filesystem::file_size(gz) / 2);
  EXPECT_FALSE(import(gz, of("binance:BTCUSDT", "time=t,price=p,quantity=q,id=i")));
  ASSERT_FALSE(log_.all.empty());
  EXPECT_EQ(log_.all.back().header("kind"), "end");
  EXPECT_EQ(log_.all[log_.all.size() - 2].header("kind"), "history");
}

TEST_F(ImportTest, RecordsHoldAtMost64KbOfRowsAndArchivesRememberTheRowBefore) {
  std::string bytes;
  for (int i = 0; i < 5000; ++i)
    bytes += std::to_string(13519807 + i) + ",0.00141342,23.00000000,1,1,1570752011620,True,True\n";
  const auto done = import(write("agg.csv", bytes), of("binance:XRPETH"));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 5000U);
  std::string joined, last;
  std::uint64_t next = 1;
  int records = 0;
  for (const Kept& kept : log_.all) {
    if (kept.header("kind") != "history") continue;
    EXPECT_LE(kept.value.size(), 65'536U);
    EXPECT_EQ(kept.header("row"), std::to_string(next));
    EXPECT_EQ(kept.header("rows"), "-");
    EXPECT_EQ(kept.header("archive"), "1");
    EXPECT_EQ(kept.header("tape"), "agg");
    EXPECT_EQ(kept.header("previous_row"), records == 0 ? "-" : last);
    joined += kept.value;
    next += static_cast<std::uint64_t>(std::count(kept.value.begin(), kept.value.end(), '\n'));
    last = kept.value.substr(0, kept.value.size() - 1);
    last = last.substr(last.rfind('\n') + 1);
    ++records;
  }
  EXPECT_EQ(records, 5);
  EXPECT_EQ(joined, bytes);
  const Events events = decoded();
  ASSERT_EQ(events.items.size(), 5000U);
  for (std::size_t i = 0; i < 5000; ++i) EXPECT_EQ(events.items[i].follows, i > 0) << i;
}

TEST_F(ImportTest, RowsOfSeveralInstrumentsAreGroupedAndKeepTheirNumbers) {
  ImportOptions options;
  options.venue = "binance";
  options.columns = "time=t,price=p,quantity=q,instrument=s,id=i";
  const auto done = import(write("two.csv",
                                 "t,p,q,s,i\n1750507467356,1,1,btcusdt,1\n1750507467356,2,1,ETHUSDT,7\nbroken\n"
                                 "1750507467356,3,1,BTCUSDT,2\n1750507467356,4,1,BTCUSDT,3\n"),
                           options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 5U);
  EXPECT_EQ(done->unrouted, 1U);
  EXPECT_EQ(done->instruments.size(), 2U);
  std::vector<std::string> rows;
  for (const Kept& kept : log_.all) {
    if (kept.header("kind") != "history") continue;
    rows.push_back(kept.header("instruments") + " " + kept.header("row") + " " + kept.header("rows") + " " +
                   std::to_string(kept.value.size()));
    if (kept.header("instruments").empty()) {
      EXPECT_EQ(kept.partition, 0);
    }
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"binance:BTCUSDT 2 2,5-6 84", "binance:ETHUSDT 3 - 28", " 4 - 7"}));
  const Events events = decoded();
  ASSERT_EQ(events.items.size(), 5U);
  EXPECT_EQ(events.items[1].trade.price, (Decimal{3, 0}));
  EXPECT_EQ(events.items[4].reason, Reason::unroutable);
}

TEST_F(ImportTest, InstrumentCellsMayNameTheirVenue) {
  const auto done = import(
      write("two.csv", "t,p,q,s,i\n1750507467356,1,1,binance-usdm:BTCUSDT,1\n1750507467356,2,1,binance:BTCUSDT,1\n"),
      of("", "time=t,price=p,quantity=q,instrument=s,id=i"));
  ASSERT_TRUE(done) << done.error().detail;
  ASSERT_EQ(done->instruments.size(), 2U);
  const Events events = decoded();
  ASSERT_EQ(events.items.size(), 2U);
  EXPECT_EQ(events.items[0].type, Item::Type::trade) << events.items[0].detail;
}

TEST_F(ImportTest, TheUnitOfSecondsIsWrittenDown) {
  const auto done = import(write("s.csv", "t,p,q,i\n1534614057.321597,1,1,1\n"),
                           of("binance:BTCUSDT", "time=t,price=p,quantity=q,id=i"));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(log_.all.at(2).header("time_unit"), "s");
  EXPECT_EQ(decoded().items.at(0).trade.event_time, timestamp_ns(1'534'614'057'321'597'000));
}

TEST_F(ImportTest, LongRowsHaveARecordOfTheirOwnAndAbsurdOnesAreCut) {
  const std::string long_row = "1750507467356,1," + std::string(100'000, '0') + "1,2";
  const std::string absurd(3'000'000, 'x');
  const auto done = import(write("long.csv", "t,p,q,i\n1750507467356,1,1,1\n" + long_row + "\n1750507467356,2,1,3\n" +
                                                 absurd + "\n1750507467356,3,1,4\n"),
                           of("binance:BTCUSDT", "time=t,price=p,quantity=q,id=i"));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->cut, 1U);
  std::vector<std::string> rows;
  for (const Kept& kept : log_.all)
    if (kept.header("kind") == "history")
      rows.push_back(kept.header("row") + " " + std::to_string(kept.value.size()) + " " + kept.header("cut"));
  EXPECT_EQ(rows, (std::vector<std::string>{"2 20 -", "3 100020 -", "4 20 -", "5 65537 3000000", "6 20 -"}));
  const Events events = decoded();
  ASSERT_EQ(events.items.size(), 5U);
  EXPECT_EQ(events.items[1].reason, Reason::too_large);
  EXPECT_EQ(events.items[3].reason, Reason::too_large);
}

// --- recordings ---

std::string frame_line(std::int64_t received_ms, std::string_view symbol, int id, std::int64_t sent_ms,
                       std::string_view event = "trade") {
  return std::to_string(received_ms) + "000000 {\"e\":\"" + std::string{event} + "\",\"E\":" + std::to_string(sent_ms) +
         ",\"s\":\"" + std::string{symbol} + (event == "trade" ? "\",\"t\":" : "\",\"a\":") + std::to_string(id) +
         ",\"p\":\"1\",\"q\":\"1\"," + (event == "trade" ? "" : "\"f\":1,\"l\":1,") +
         "\"T\":" + std::to_string(sent_ms) + ",\"m\":true,\"M\":true}\n";
}

TEST_F(ImportTest, ARecordingIsTheSessionThatItWas) {
  // The recorder is 1,000 ms behind the venue; the quickest frame took 0 ms.
  const std::int64_t t = 1'700'000'000'000;
  const std::string bytes = frame_line(t + 10, "BTCUSDT", 1, t + 1000) +
                            frame_line(t + 20, "ETHUSDT", 7, t + 1020, "aggTrade") + std::to_string(t + 30) +
                            "000000 {\"result\":null,\"id\":1}\n" + frame_line(t + 1500, "BTCUSDT", 2, t + 2490) +
                            "\n" + frame_line(t + 5000, "ETHUSDT", 8, t + 5990, "aggTrade");
  ImportOptions options;
  options.venue = "binance";
  options.covers = std::pair{timestamp_ns(1), timestamp_ns(2)};
  const auto done = import(write("two.frames", bytes), options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 5U);
  EXPECT_EQ(done->unrouted, 1U);

  const Instrument btc = *Instrument::parse("binance:BTCUSDT"), eth = *Instrument::parse("binance:ETHUSDT");
  const std::int32_t p_btc = partition_of(btc, kPartitions), p_eth = partition_of(eth, kPartitions);
  ASSERT_NE(p_btc, p_eth);
  ASSERT_NE(p_btc, 0);
  ASSERT_NE(p_eth, 0);
  const std::string first = std::to_string(t + 10) + "000000", subscribed = std::to_string(t + 1010) + "000000";
  const auto ms = [&](std::int64_t plus) { return std::to_string(t + plus) + "000000"; };
  EXPECT_EQ(story({"event", "seq", "last_seq", "receive_time", "subscribed", "witness", "clock_offset"}, p_btc),
            (std::vector<std::string>{
                "config binance:BTCUSDT - - - 1800000000000000000 - - -",
                "session binance:BTCUSDT open 1 0 " + first + " " + subscribed + " - 1000000000",
                "frame binance:BTCUSDT - 2 - " + first + " - - 1000000000",
                "session binance:BTCUSDT beat 3 2 " + ms(1500) + " " + subscribed + " " + ms(520) + " 1000000000",
                "frame binance:BTCUSDT - 4 - " + ms(1500) + " - - 1000000000",
                "session binance:BTCUSDT beat 5 4 " + ms(5000) + " " + subscribed + " " + ms(1990) + " 1000000000",
                "session binance:BTCUSDT close 6 5 " + ms(5000) + " " + subscribed + " " + ms(5490) + " 1000000000",
                "coverage binance:BTCUSDT - - - 1800000000000000000 - - -",
            }));
  EXPECT_EQ(story({"seq", "venue", "clock_offset"}, 0), (std::vector<std::string>{"frame  1 binance 1000000000"}));
  std::uint64_t seq = 0;
  for (const Kept& kept : log_.all) {
    if (kept.partition != p_eth || kept.header("seq") == "-") continue;
    EXPECT_EQ(kept.header("seq"), std::to_string(++seq));
  }
  EXPECT_EQ(seq, 6U);
  std::map<std::string, std::string> tapes;
  for (const Kept& kept : log_.all)
    if (kept.header("kind") == "config") tapes[kept.header("instruments")] = kept.header("tape");
  EXPECT_EQ(tapes, (std::map<std::string, std::string>{{"binance:BTCUSDT", "trade"}, {"binance:ETHUSDT", "agg"}}));
  for (const Kept& kept : log_.all) {
    if (kept.header("session") == "-") continue;
    EXPECT_EQ(kept.header("session").size(), 16U);
    EXPECT_EQ(kept.header("connection"), "import");
  }
  const Events events = decoded();
  EXPECT_EQ(events.items.size(), 4U);
  EXPECT_EQ(events.not_a_trade, 1U);
}

TEST_F(ImportTest, ARecordingCoversFromTheLastTradeThatTheVenueToldWhenItWasSubscribedTo) {
  const auto frame = [](std::string_view received, std::string_view type, std::string_view product, int id,
                        std::string_view time) {
    return std::string{received} + R"(000000000 {"type":")" + std::string{type} + R"(","trade_id":)" +
           std::to_string(id) + R"(,"side":"buy","size":"1","price":"2","product_id":")" + std::string{product} +
           R"(","time":"2023-11-14T22:)" + std::string{time} + "Z\"}\n";
  };
  // The venue's clock and the recorder's are the same: 22:13:20 is 1,700,000,000.
  const std::string bytes = frame("1700000000", "match", "A-B", 7, "13:20") +
                            frame("1700000000", "last_match", "C-D", 3, "05:00") +
                            frame("1700000002", "match", "C-D", 4, "13:22");
  ImportOptions options;
  options.venue = "coinbase";
  const auto done = import(write("last.frames", bytes), options);
  ASSERT_TRUE(done) << done.error().detail;
  std::map<std::string, std::string> since;  // the first record that names an instrument decides
  std::map<std::int32_t, std::uint64_t> seq;
  for (const Kept& kept : log_.all) {
    if (kept.header("session") == "-") continue;
    EXPECT_EQ(kept.header("seq"), std::to_string(++seq[kept.partition]));
    if (kept.header("kind") == "session") since.emplace(kept.header("instruments"), kept.header("subscribed"));
  }
  EXPECT_EQ(since["coinbase:C-D"], "1699999500000000000");
  EXPECT_EQ(since["coinbase:A-B"], "1700000000000000000");
}

TEST_F(ImportTest, TheSameFileGivesTheSameRecordsWhateverTheDay) {
  const std::int64_t t = 1'700'000'000'000;
  std::string bytes;
  for (int i = 0; i < 500; ++i)
    bytes += frame_line(t + i * 100, i % 3 == 0 ? "BTCUSDT" : "ETHUSDT", i, t + i * 100 + 5);
  const auto file = write("a.frames", bytes);
  ImportOptions options;
  options.venue = "binance";
  ASSERT_TRUE(import(file, options));
  const std::vector<Kept> first = std::exchange(log_.all, {});
  clock_.advance(std::chrono::hours{24});
  ASSERT_TRUE(import(file, options));
  ASSERT_EQ(log_.all.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(log_.all[i].value, first[i].value);
    EXPECT_EQ(log_.all[i].partition, first[i].partition);
    if (first[i].header("kind") != "config") {  // which has the time of import
      EXPECT_EQ(log_.all[i].headers, first[i].headers);
    }
  }
}

TEST_F(ImportTest, DamagedLinesOfARecordingGoInAsTheyStand) {
  const std::int64_t t = 1'700'000'000'000;
  const std::string damaged = "170000000000 {\"e\":\"trade\",\"s\":\"BTCUSDT\"", absurd(2'000'000, '{');
  const std::string bytes = frame_line(t, "BTCUSDT", 1, t) + damaged + "\n" + std::to_string(t) +
                            "000001 {\"e\":\"tra\n" + std::to_string(t) + "000002 " + absurd + "\n" +
                            frame_line(t + 1, "BTCUSDT", 2, t + 1);
  ImportOptions options;
  options.venue = "binance";
  const auto done = import(write("a.frames", bytes), options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 5U);
  EXPECT_EQ(done->cut, 1U);
  EXPECT_EQ(done->unrouted, 2U);
  const Events events = decoded();
  std::vector<std::string> seen;
  for (const Item& item : events.items)
    seen.push_back(item.type == Item::Type::trade ? "trade" : std::string{name(item.reason)});
  EXPECT_EQ(seen, (std::vector<std::string>{"trade", "syntax", "syntax", "too_large", "trade"}));
  EXPECT_EQ(log_.all.at(4).header("instruments"), "");  // "{"e":"tra" names nobody
}

TEST_F(ImportTest, LinesWithoutTimesAreHistory) {
  const std::int64_t t = 1'700'000'000'000;
  const auto untimed = [](const std::string& line) { return line.substr(line.find(' ') + 1); };
  const std::string bytes = untimed(frame_line(t, "BTCUSDT", 1, t)) +
                            untimed(frame_line(t, "ETHUSDT", 1, t, "aggTrade")) + "{\"result\":null,\"id\":1}\n" +
                            untimed(frame_line(t, "BTCUSDT", 2, t));
  ImportOptions options;
  options.venue = "binance";
  const auto done = import(write("a.jsonl", bytes), options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 4U);
  const auto all = story({"format", "rows", "tape"});
  const std::string begin_btc = "begin binance:BTCUSDT - - -";
  EXPECT_EQ(all,
            (std::vector<std::string>{"config binance:BTCUSDT - - trade", "config binance:ETHUSDT - - agg", begin_btc,
                                      "begin binance:ETHUSDT - - -", "history binance:BTCUSDT jsonl 1,4 trade",
                                      "history binance:ETHUSDT jsonl - agg", "history  jsonl - trade",
                                      "end binance:BTCUSDT - - -", "end binance:ETHUSDT - - -"}));
  const Events events = decoded();
  EXPECT_EQ(events.items.size(), 3U);
  EXPECT_EQ(events.not_a_trade, 1U);
  // The same lines with their times are a recording, whatever the file is called.
  log_.all.clear();
  ASSERT_TRUE(import(write("b.jsonl", frame_line(t, "BTCUSDT", 1, t)), options));
  EXPECT_EQ(log_.all.at(1).header("kind"), "session");
}

TEST_F(ImportTest, ALineOfSeveralInstrumentsComesToEachOnce) {
  const std::string bytes =
      R"({"data":[{"c":null,"p":1,"s":"TSLA","t":1672349403000,"v":7},{"c":null,"p":2,"s":"AAPL","t":1672349403001,"v":1}],"type":"trade"})"
      "\n{\"type\":\"ping\"}\n"
      R"({"data":[{"c":null,"p":3,"s":"AAPL","t":1672349403000,"v":7},{"c":null,"p":4,"s":"AAPL","t":1672349403001,"v":1}],"type":"trade"})"
      "\n";
  ImportOptions options;
  options.venue = "finnhub";
  const auto done = import(write("a.jsonl", bytes), options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 3U);
  EXPECT_EQ(done->unrouted, 1U);
  const auto all = story({"row", "rows"});
  EXPECT_EQ((std::vector<std::string>{all.begin() + 4, all.begin() + 7}),
            (std::vector<std::string>{"history finnhub:TSLA 1 -", "history finnhub:AAPL 1 1,3", "history  2 -"}));
  std::vector<std::string> trades;
  for (const Item& item : decoded().items)
    trades.push_back(item.trade.instrument.str() + " " + to_text(item.trade.price) + " #" +
                     std::to_string(item.ordinal));
  EXPECT_EQ(trades, (std::vector<std::string>{"finnhub:TSLA 1 #0", "finnhub:AAPL 2 #1", "finnhub:AAPL 3 #2",
                                              "finnhub:AAPL 4 #3"}));
}

TEST_F(ImportTest, APageOfNewsGoesInAsThePageThatItWas) {
  ImportOptions options;
  options.venue = "finnhub";
  const std::string first = R"({
  "datetime": 1596589501, "headline": "h", "id": 1, "related": "AAPL"})";
  const auto done = import(
      write("a.json", "[\n" + first + " ,\n {\"datetime\":1596589502,\"headline\":\"i\",\"id\":2} ]\n"), options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->rows, 2U);
  ASSERT_EQ(log_.all.size(), 1U);
  const Kept& kept = log_.all.front();
  EXPECT_EQ(kept.partition, 0);
  EXPECT_EQ(kept.value, "[" + first + R"(,{"datetime":1596589502,"headline":"i","id":2}])");
  EXPECT_EQ(kept.header("kind") + " " + kept.header("venue") + " " + kept.header("instruments"), "backfill finnhub ");
  const Events events = decoded();
  ASSERT_EQ(events.news.size(), 2U);
  EXPECT_EQ(events.news[0].related, std::vector{*Instrument::parse("finnhub:AAPL")});
  // A long page is cut between its elements.
  log_.all.clear();
  std::string page = "[";
  for (int i = 0; i < 5000; ++i)
    page += (i == 0 ? "" : ",") + std::string{"{\"datetime\":1596589501,\"headline\":\""} + std::string(100, 'h') +
            "\",\"id\":" + std::to_string(i) + "}";
  ASSERT_TRUE(import(write("b.json", page + "]"), options));
  EXPECT_GT(log_.all.size(), 1U);
  EXPECT_EQ(decoded().news.size(), 5000U);
  log_.all.clear();
  const std::string advice = "; a .json file is one array of headlines, as the venue's REST gives it";
  EXPECT_EQ(refused(write("c.json", "[1, 2]"), options), "c.json: it holds no headline that can be read" + advice);
  EXPECT_EQ(refused(write("d.json", "[{\"id\": 1"), options),
            "d.json: at byte 9 it ends inside an object or array" + advice);
  EXPECT_EQ(refused(folder_ / "a.json"),
            "a.json: headlines do not say their venue; add --venue with one of " + known_venues());
}

TEST_F(ImportTest, WhatCannotBeImportedIsRefusedBeforeAnythingIsAppended) {
  ImportOptions binance;
  binance.venue = "binance";
  ImportOptions unknown;
  unknown.venue = "binanse";
  const std::int64_t t = 1'700'000'000'000;
  EXPECT_EQ(refused(folder_ / "none.csv"), "none.csv: there is no such file");
  EXPECT_EQ(refused(write("empty.csv", "\n\n")), "empty.csv: the file is empty");
  EXPECT_EQ(refused(write("a.frames", frame_line(t, "BTCUSDT", 1, t))),
            "a.frames: frames do not say their venue; add --venue with one of " + known_venues());
  EXPECT_EQ(refused(folder_ / "a.frames", unknown),
            "a.frames: \"binanse\" is no known venue; known venues: " + known_venues());
  EXPECT_EQ(refused(write("b.frames", "hello\n"), binance),
            "b.frames: line 1 is no captured frame; a line is the receive time in ns, a blank and the frame");
  EXPECT_EQ(refused(write("b.jsonl", "hello\n"), binance),
            "b.jsonl: line 1 is no JSON object; of .jsonl each line is one frame");
  EXPECT_EQ(refused(write("c.jsonl", R"({"data":[{"p":164.0601,"s":"AAPL"}],"type":"trade"})")),
            "c.jsonl: frames do not say their venue; add --venue with one of " + known_venues());
  EXPECT_EQ(refused(folder_ / "a.frames", of("binance:BTCUSDT", "time=1")),
            "a.frames: --columns is for CSV; this file has frames");
  EXPECT_EQ(refused(write("d.csv", "13519807,0.00141342,23.0,1,1,1570752011620,True,True\n")),
            "d.csv: the file does not say its instrument; add --instrument, as in --instrument binance:BTCUSDT");
  EXPECT_EQ(
      refused(folder_ / "d.csv", of("xrpeth")),
      "d.csv: --instrument xrpeth needs its venue, as in --instrument binance:XRPETH; known venues: " + known_venues());
  EXPECT_EQ(refused(folder_ / "d.csv", of("bin ance:xrpeth")),
            "d.csv: \"bin ance:xrpeth\" is no instrument; one looks like binance:BTCUSDT");
  EXPECT_EQ(refused(folder_ / "d.csv", of("kraken:XBTUSD")),
            "d.csv: \"kraken\" is no known venue; known venues: " + known_venues());
  ImportOptions both = of("binance-usdm:XRPETH");
  both.venue = "binance";
  EXPECT_EQ(refused(folder_ / "d.csv", both), "d.csv: --venue says binance, --instrument says binance-usdm");
  ImportOptions tape = of("binance:XRPETH");
  tape.tape = Tape::trade;
  EXPECT_EQ(refused(folder_ / "d.csv", tape),
            "d.csv: --tape says trade, but the file is a Binance archive of aggTrades, which is of tape agg");
  EXPECT_EQ(refused(write("e.csv", "ms,price,size\n14400688,491800,300\n"),
                    of("binance:AIG", "time=ms,price=price,quantity=size")),
            "e.csv: column 1 (time) has \"14400688\", which is no time since 1970 in s, ms, us or ns, nor RFC 3339; "
            "say with --columns where the time stands");
  EXPECT_EQ(refused(write("f.csv", "a,b\n1,2\n"), of("binance:X", "time=t,price=a,quantity=b")),
            "f.csv: --columns: the file has no column \"t\"; its first line has a, b");
  EXPECT_EQ(
      refused(write("g.csv", "t,p,q,s\n1750507467356,1,1,BTCUSDT\n"), of("", "time=t,price=p,quantity=q,instrument=s")),
      "g.csv: the file's instrument \"BTCUSDT\" does not say its venue; add --venue with one of " + known_venues());
  // A venue that numbers its trades, and a map that does not say where the numbers stand.
  const auto without_id = [](std::string_view file, std::string_view venue, std::string_view cells) {
    return std::string{file} + ": --columns names no id, but " + std::string{venue} +
           " numbers its trades, and without the numbers neither doubles nor holes can be told; name the column, as in "
           "id=tradeId; the file's first line has " +
           std::string{cells};
  };
  EXPECT_EQ(refused(write("l.csv", "t,p,q,tradeId\n1750507467356,1,1,5\n"),
                    of("binance:BTCUSDT", "time=t,price=p,quantity=q")),
            without_id("l.csv", "binance", "t, p, q, tradeId"));
  EXPECT_EQ(refused(write("m.csv", "1750507467356,1,1\n"), of("binance-usdm:BTCUSDT", "time=1,price=2,quantity=3")),
            without_id("m.csv", "binance-usdm", "1750507467356, 1, 1"));
  EXPECT_EQ(refused(write("n.csv", "t,p,q,s\n1750507467356,1,1,binance:BTCUSDT\n"),
                    of("", "time=t,price=p,quantity=q,instrument=s")),
            without_id("n.csv", "binance", "t, p, q, s"));
  // What is no text does not reach the terminal: another packing, another encoding.
  const std::string no_text = ": line 1 is no text in UTF-8; a CSV file may be plain or packed as .gz, .zst or .zip";
  EXPECT_EQ(refused(write("i.csv.gz", "BZh91AY&SY\x01\x02,\x03\n"), of("binance:X")), "i.csv.gz" + no_text);
  EXPECT_EQ(refused(write("j.csv", std::string_view{"\xff\xfet\0i\0,\0\n\0", 11}), of("binance:X")), "j.csv" + no_text);
  EXPECT_EQ(refused(write("k.csv",
                          "Preis,gr\xf6\xdf"
                          "e\n1,2\n"),
                    of("binance:X", "time=t,price=Preis,quantity=q")),
            "k.csv: --columns: the file has no column \"t\"; its first line has Preis, gr??e");
  EXPECT_TRUE(refused(write("h.frames.zst", "\x28\xb5\x2f\xfd damaged"), binance)
                  .starts_with("h.frames.zst is damaged or no file that can be unpacked: "));
}

TEST_F(ImportTest, TheStopFlagEndsSoonAndABrokenLogIsAnError) {
  std::string bytes = "t,p,q,i\n";
  for (int i = 0; i < 20'000; ++i) bytes += "1750507467356,1,1,1\n";
  const auto file = write("a.csv", bytes);
  ImportOptions options = of("binance:BTCUSDT", "time=t,price=p,quantity=q,id=i");
  std::atomic<bool> stop = false;
  options.stop = &stop;
  std::uint64_t told = 0;
  options.progress = [&](const ImportProgress& progress) {
    EXPECT_EQ(progress.number, 1U);
    EXPECT_EQ(progress.files, 1U);
    EXPECT_EQ(progress.bytes_total, bytes.size());
    EXPECT_LE(progress.bytes_done, progress.bytes_total);
    EXPECT_GE(progress.bytes_done, told);
    told = progress.bytes_done;
    stop = true;
  };
  const auto done = import(file, options);
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->stopped);
  EXPECT_EQ(done->files, 0U);
  EXPECT_EQ(log_.all.back().header("kind"), "end");

  log_.broken = true;
  stop = false;
  options.progress = nullptr;
  const auto failed = import(file, options);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, Fault::no_space);
}

// The log's hard limit: what is read may go, so there is room as soon as those who read it have come on.
TEST_F(ImportTest, WithoutRoomItWaitsAsLongAsTheReadersComeOnAndNoLonger) {
  std::string bytes = "t,p,q,i\n";
  for (int i = 0; i < 20'000; ++i) bytes += "1750507467356,1,1," + std::to_string(i) + "\n";
  const auto file = write("a.csv", bytes);
  ImportOptions options = of("binance:BTCUSDT", "time=t,price=p,quantity=q,id=i");
  std::uint64_t looks = 0, readers = 0;
  options.moved = [&] {
    clock_.advance(std::chrono::seconds{9});
    if (++looks % 2 == 0) ++readers;
    if (looks == 100) log_.broken = false;
    return readers;
  };
  log_.broken = true;
  const auto done = import(file, options);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(looks, 100U);
  EXPECT_EQ(decoded().items.size(), 20'000U);

  log_.broken = true;
  const Timestamp began = clock_.now();
  options.moved = [&] {
    clock_.advance(std::chrono::seconds{1});
    return readers;
  };
  const auto failed = import(file, options);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, Fault::no_space);
  EXPECT_EQ(failed.error().detail, "the disk is full. Nothing made room for 10 s");
  // Once for the rows, once more for the end of the range behind them.
  EXPECT_LE(clock_.now() - began, std::chrono::seconds{25});

  // Whoever wants to stop need not wait.
  std::atomic<bool> stop = false;
  options.stop = &stop;
  options.moved = [&] {
    stop = true;
    return ++readers;
  };
  const auto stopped = import(file, options);
  ASSERT_TRUE(stopped);
  EXPECT_TRUE(stopped->stopped);
}

// --- clocks ---

TEST(ClockEstimate, IsTheGreatestOfSentMinusReceived) {
  ClockEstimate clock;
  EXPECT_EQ(clock.offset().count(), 0);
  EXPECT_EQ(clock.error().count(), 0);
  for (int i = 0; i < 300'000; ++i) {
    const auto received = timestamp_ns(1'700'000'000'000'000'000 + i * 1'000'000LL);
    const auto way = Nanoseconds{5'000'000 + (i * 7919LL) % 40'000'000};  // 5..45 ms
    clock.add(received + Nanoseconds{1'500'000'000} - way, received);
  }
  EXPECT_EQ(clock.offset().count(), 1'495'000'000);
  EXPECT_NEAR(static_cast<double>(clock.error().count()), 20e6, 1e6);
}

TEST(ClockEstimate, AnAbsurdTimeDoesNotCount) {
  ClockEstimate clock;
  const auto received = timestamp_ns(1'700'000'000'000'000'000);
  for (int i = 0; i < 100; ++i) clock.add(received - Nanoseconds{i * 1'000'000}, received);
  clock.add(received + std::chrono::hours{24 * 365}, received);
  clock.add(Timestamp::max(), timestamp_ns(-5));
  EXPECT_EQ(clock.offset().count(), 0);
}

// --- decoders ---

TEST(AllDecoders, TellVenuesApartByInstrumentOrHeader) {
  EXPECT_EQ(all_decoders().trade_ids("binance"), TradeIds::contiguous);
  EXPECT_EQ(all_decoders().trade_ids("nobody"), TradeIds::none);
  RawRecord record;
  record.bytes = R"({"result":null,"id":1})";
  const auto run = [&] {
    Events out;
    all_decoders().decode(record, out);
    return out;
  };
  EXPECT_EQ(run().items.at(0).detail, "the record names neither an instrument nor a venue");
  const Header venue{header::venue, "binance"};
  record.headers = {&venue, 1};
  EXPECT_EQ(run().not_a_trade, 1U);
  record.instruments = "nobody:X";
  EXPECT_EQ(run().items.at(0).detail, "no decoder knows the venue \"nobody\"");
  EXPECT_EQ(run().items.at(0).raw, record.bytes);
  for (const RawKind kind : {RawKind::session, RawKind::begin, RawKind::end, RawKind::answer, RawKind::coverage,
                             RawKind::config, RawKind::drop, RawKind::recompute}) {
    record.kind = kind;
    EXPECT_TRUE(run().items.empty());
  }
}

}  // namespace
}  // namespace truetape
