// The simulated venue fed with real recordings: its klines are those that the real venue published, its frames those
// that the real venue sent.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "capture/file_reader.h"
#include "sim/finnhub_messages.h"
#include "sim/kucoin_messages.h"
#include "sim/messages.h"
#include "sim/rest.h"
#include "sim/tape.h"

namespace truetape::sim {
namespace {

const std::filesystem::path kData = std::filesystem::path{TRUETAPE_SOURCE_DIR} / ".." / "shared" / "data";

class SimShared : public testing::Test {
 protected:
  void SetUp() override {
    if (std::filesystem::exists(kData)) return;
    std::cout << "SKIPPED: " << kData << " is not there; nothing was checked\n";
    GTEST_SKIP() << kData << " is not there";
  }
  void play(Product product, CaptureSource source) {
    source.file = kData / source.file;
    auto opened = open_capture({.product = product, .sources = {std::move(source)}}, &counts_);
    ASSERT_TRUE(opened) << opened.error().detail;
    tape_ = std::move(*opened);
    market_ = std::make_unique<Market>(product, tape_->listings());
    TapeEvent event;
    while (tape_->next(event)) {
      std::visit([&](const auto& what) { market_->publish(event.instrument, what); }, event.what);
      last_ = event.at;
    }
  }
  // Rows of REST klines as CSV rows.
  std::vector<std::string> klines(const std::string& interval, Time from, Time to, int columns) {
    limits_ = Limits::of(market_->product());
    Rest rest{*market_, limits_};
    std::vector<std::string> rows;
    const std::string path = market_->product() == Product::spot ? "/api/v3/klines" : "/fapi/v1/klines";
    for (Time at = from; at < to;) {
      RestRequest request{.path = path, .now = last_ + std::chrono::hours{1}};
      request.query = {{"symbol", market_->listing(0).symbol},
                       {"interval", interval},
                       {"limit", "1000"},
                       {"startTime", std::to_string(to_ms(at))},
                       {"endTime", std::to_string(to_ms(to) - 1)}};
      const std::string body = rest.answer(request).body;
      std::size_t found = 0;
      for (std::size_t open = body.find('[', 1); open != std::string::npos; open = body.find('[', open + 1), ++found) {
        std::string row;
        int commas = 0;
        for (const char c : body.substr(open + 1, body.find(']', open) - open - 1)) {
          if (c == ',' && ++commas == columns) break;
          if (c != '"') row += c;
        }
        rows.push_back(row);
      }
      if (found == 0) break;
      at = from_ms(std::stoll(rows.back())) + std::chrono::minutes{1};
    }
    return rows;
  }
  static std::vector<std::string> file_rows(const std::string& name) {
    std::ifstream in{kData / name};
    std::vector<std::string> rows;
    for (std::string line; std::getline(in, line);) rows.push_back(line);
    rows.erase(rows.begin());
    return rows;
  }

  CaptureCounts counts_;
  std::unique_ptr<Tape> tape_;
  std::unique_ptr<Market> market_;
  Limits limits_;
  Time last_{};
};

TEST_F(SimShared, FuturesKlinesAreThePublishedOnesToTheCharacter) {
  play(Product::usdm, {.file = "binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst"});
  EXPECT_EQ(counts_.trades, 10'701u);
  EXPECT_EQ(counts_.quotes, 52'260u);
  const auto published = file_rows("binance-usdm-btcusdt-klines-1m-20240718t2358-20240719t0004.csv");
  ASSERT_EQ(published.size(), 7u);
  EXPECT_EQ(klines("1m", from_ms(1721347080000), from_ms(1721347500000), 12), published);
}

TEST_F(SimShared, SpotKlinesOfADayOfAggregatesAreThePublishedOnes) {
  play(Product::spot, {.file = "binance-spot-xrpeth-aggtrades-20191011-20191012t1200.csv", .symbol = "XRPETH"});
  EXPECT_EQ(counts_.aggregates, 7'913u);
  // The last trade is of 11:58:01, two minutes before the file's end.
  const auto published = file_rows("binance-spot-xrpeth-klines-1m-20191011-20191012t1200.csv");
  const auto ours = klines("1m", from_ms(1570752000000), from_ms(1570752000000 + 2160 * 60'000), 6);
  ASSERT_GE(ours.size(), 2159u);
  const auto units = [](const std::string& row) {
    std::vector<std::optional<Units>> cells;
    std::istringstream in{row};
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(parse_units(cell));
    return cells;
  };
  int same = 0;
  for (std::size_t i = 0; i < 2159; ++i) same += units(ours[i]) == units(published[i]) ? 1 : 0;
  EXPECT_EQ(same, 2159) << "minutes without trades included";
}

TEST_F(SimShared, RecordedFramesComeBackByteForByte) {
  struct Case {
    std::string file;
    Product product;
    std::uint64_t frames;
  };
  const Case cases[] = {
      {"binance-spot-btcusdt-ethusdt-dotusdt-ws-20210404t2003.frames.zst", Product::spot, 1'910},
      {"binance-spot-thin-symbols-ws-20211012t0028.frames", Product::spot, 86},
      {"binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst", Product::usdm, 62'961},
  };
  for (const Case& c : cases) {
    auto tape = open_capture({.product = c.product, .sources = {{.file = kData / c.file}}});
    ASSERT_TRUE(tape) << tape.error().detail;
    std::vector<std::string> ours, theirs;
    TapeEvent event;
    const Dialect dialect{.product = c.product, .newer_fields = false};
    while ((*tape)->next(event)) {
      std::string out;
      const Listing& listing = (*tape)->listings()[event.instrument];
      if (const auto* p = std::get_if<Print>(&event.what)) append_trade(out, dialect, listing, *p);
      if (const auto* a = std::get_if<Aggregate>(&event.what)) append_aggregate(out, dialect, listing, *a);
      if (const auto* q = std::get_if<Quote>(&event.what)) append_quote(out, dialect, listing, *q);
      ours.push_back(std::move(out));
    }
    auto reader = FileReader::open(kData / c.file);
    ASSERT_TRUE(reader);
    LineReader lines{*reader, 8 << 20, 1024};
    Line line;
    while (*lines.next(line)) {
      const std::size_t stream = line.text.find("{\"stream\":\""), data = line.text.find(",\"data\":");
      if (stream == std::string_view::npos) continue;
      const std::string_view name = line.text.substr(stream, data - stream);
      if (name.find("@depth") != std::string_view::npos || name.find("@kline") != std::string_view::npos) continue;
      theirs.emplace_back(line.text.substr(data + 8, line.text.size() - data - 9));
    }
    EXPECT_EQ(ours.size(), c.frames) << c.file;
    // The order among streams may differ where frames came later than others that were told later.
    std::ranges::sort(ours);
    std::ranges::sort(theirs);
    EXPECT_EQ(ours == theirs, true) << c.file;
  }
}

TEST_F(SimShared, KucoinsRecordedFramesComeBackByteForByte) {
  const std::filesystem::path file = kData / "kucoin-spot-10-symbols-ws-20210425t1918.frames.zst";
  auto tape = open_capture({.product = Product::kucoin, .sources = {{.file = file}}}, &counts_);
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(counts_.trades, 18u);
  EXPECT_EQ(counts_.quotes, 830u);
  EXPECT_EQ(counts_.others, 3'853u + 6 + 13 + 1);
  EXPECT_EQ(counts_.unreadable + counts_.repeated, 0u);
  std::vector<std::string> ours, theirs;
  TapeEvent event;
  while ((*tape)->next(event)) {
    const Listing& listing = (*tape)->listings()[event.instrument];
    if (const auto* deal = std::get_if<Deal>(&event.what)) ours.push_back(kucoin::match_message(listing, *deal));
    if (const auto* level = std::get_if<Level>(&event.what))
      ours.push_back(kucoin::ticker_message(listing, *level, false));
  }
  auto reader = FileReader::open(file);
  ASSERT_TRUE(reader);
  LineReader lines{*reader, 8 << 20, 1024};
  Line line;
  while (*lines.next(line))
    if (line.text.find("trade.l3match") != std::string_view::npos ||
        line.text.find("trade.ticker") != std::string_view::npos)
      theirs.emplace_back(line.text.substr(line.text.find('{')));
  EXPECT_EQ(theirs.size(), 848u);
  EXPECT_EQ(ours == theirs, true) << "in their order";
}

TEST_F(SimShared, FinnhubsRecordedMessagesComeBackByteForByte) {
  const std::string name = "finnhub-aapl-trade-ws-20230331t1815.jsonl";
  auto tape = open_capture({.product = Product::finnhub, .sources = {{.file = kData / name}}}, &counts_);
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(counts_.trades, 61u);
  EXPECT_EQ(counts_.others, 1u) << "the ping";
  std::vector<std::string> ours, theirs, items;
  TapeEvent event;
  while ((*tape)->next(event)) {
    const auto& deal = std::get<Deal>(event.what);
    items.push_back(finnhub::trade_item((*tape)->listings()[event.instrument], deal));
    if (deal.ends) ours.push_back(finnhub::data_message(std::exchange(items, {}), "trade"));
  }
  std::ifstream in{kData / name};
  for (std::string line; std::getline(in, line);)
    if (line.find("\"trade\"") != std::string::npos) theirs.push_back(line);
  EXPECT_EQ(theirs.size(), 8u);
  EXPECT_EQ(ours, theirs);
}

TEST_F(SimShared, RecordedRowsArePlayed) {
  struct Case {
    std::string file;
    Product product;
    std::string first;
  };
  const Case cases[] = {
      {"binance-spot-trxusdt-trade-stream-20250304.csv.zst", Product::spot,
       R"({"e":"trade","E":1741046401271,"s":"TRXUSDT","t":348656870,"p":"0.23120000","q":"2619.40000000","T":1741046401271,"m":true,"M":true})"},
      {"binance-usdm-trxusdt-trade-stream-20250304.csv.zst", Product::usdm,
       R"({"e":"trade","E":1741046404349,"T":1741046404349,"s":"TRXUSDT","t":548321769,"p":"0.23103","q":"243","X":"MARKET","m":false})"}};
  for (const Case& c : cases) {
    CaptureCounts counts;
    auto tape = open_capture({.product = c.product, .sources = {{.file = kData / c.file}}}, &counts);
    ASSERT_TRUE(tape) << tape.error().detail;
    EXPECT_EQ(counts.trades, 10'000u);
    EXPECT_EQ(counts.unreadable, 0u);
    TapeEvent event;
    ASSERT_TRUE((*tape)->next(event));
    std::string out;
    append_trade(out, {.product = c.product, .newer_fields = false}, (*tape)->listings()[0],
                 std::get<Print>(event.what));
    EXPECT_EQ(out, c.first);
  }
}

}  // namespace
}  // namespace truetape::sim
