#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "capture/file_reader.h"
#include "sim/messages.h"
#include "sim/tape.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kExamples = std::filesystem::path{TRUETAPE_SOURCE_DIR} / "examples/captures";
const std::string kFrames = "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst";

class CaptureTapeTest : public testing::Test {
 protected:
  std::string file(const std::string& text) {
    const std::string path =
        testing::TempDir() + "sim_tape_" + std::to_string(getpid()) + "_" + std::to_string(++files_) + ".frames";
    std::ofstream{path} << text;
    return path;
  }
  // "time symbol what id" of each event.
  static std::vector<std::string> events(Tape& tape) {
    std::vector<std::string> result;
    TapeEvent event;
    while (tape.next(event)) {
      std::string text = std::to_string(to_us(event.at)) + ' ' + tape.listings()[event.instrument].symbol;
      if (const auto* p = std::get_if<Print>(&event.what)) text += " t" + std::to_string(p->id) + (p->ends ? "." : "");
      if (const auto* a = std::get_if<Aggregate>(&event.what)) text += " a" + std::to_string(a->id);
      if (const auto* q = std::get_if<Quote>(&event.what)) text += " u" + std::to_string(q->update);
      result.push_back(text);
    }
    return result;
  }
  int files_ = 0;
};

TEST_F(CaptureTapeTest, ARealRecordingComesBackByteForByte) {
  CaptureCounts counts;
  auto tape = open_capture({.sources = {{.file = kExamples / kFrames}}}, &counts);
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(counts.trades, 19'904u);
  EXPECT_EQ(counts.quotes, 73'174u);
  EXPECT_EQ(counts.others, 6'496u);
  EXPECT_EQ(counts.repeated + counts.unreadable, 0u);

  auto reader = FileReader::open(kExamples / kFrames);
  ASSERT_TRUE(reader);
  LineReader lines{*reader, 8 << 20, 1024};
  Line line;
  TapeEvent event;
  Time before = Time::min();
  std::uint64_t same = 0, aggregates = 0;
  Market market{Product::spot, (*tape)->listings()};
  while (*lines.next(line)) {
    const std::string_view frame = line.text.substr(line.text.find('{'));
    if (frame.find("@depth") != std::string_view::npos || frame.find("\"lastUpdateId\"") != std::string_view::npos)
      continue;
    ASSERT_TRUE((*tape)->next(event));
    EXPECT_LE(before, event.at);
    before = event.at;
    const Listing& listing = (*tape)->listings()[event.instrument];
    std::string data;
    if (const auto* print = std::get_if<Print>(&event.what)) {
      append_trade(data, {}, listing, *print);
      aggregates += market.publish(0, *print) ? 1u : 0u;
      ASSERT_EQ(enveloped("btcusdt@trade", data), frame);
    } else {
      append_quote(data, {}, listing, std::get<Quote>(event.what));
      ASSERT_EQ(enveloped("btcusdt@bookTicker", data), frame);
    }
    ++same;
  }
  EXPECT_EQ(same, 93'078u);
  EXPECT_FALSE((*tape)->next(event));
  EXPECT_EQ(market.aggregates(0).size(), aggregates);
  EXPECT_EQ(market.aggregate_ids(0).ranges().size(), 1u) << "contiguous";
  std::uint64_t next = market.prints(0).front().id;
  for (const Aggregate& aggregate : market.aggregates(0)) {
    ASSERT_EQ(aggregate.first, next) << "chained";
    next = aggregate.last + 1;
  }
}

TEST_F(CaptureTapeTest, FramesAreToldAtTheirTimeAndThoseWithoutBetweenTheirNeighbours) {
  const std::string path = file(
      R"(1000000000 {"u":1,"s":"AUSDT","b":"1","B":"1","a":"2","A":"1"}
2000000000 {"stream":"ausdt@trade","data":{"e":"trade","E":1700000000100,"s":"AUSDT","t":5,"p":"1.50","q":"2","T":1700000000099,"m":true,"M":true}}
2004000000 {"u":2,"s":"AUSDT","b":"1","B":"1","a":"2","A":"1"}
2900000000 {"u":3,"s":"AUSDT","b":"1","B":"1","a":"2","A":"1"}
2901000000 {"e":"trade","E":1700000000300,"s":"AUSDT","t":6,"p":"1.5","q":"2","T":1700000000300,"m":true,"M":true}
2902000000 {"e":"trade","E":1700000000250,"s":"AUSDT","t":7,"p":"1.5","q":"2","T":1700000000250,"m":false,"M":true}
2903000000 {"e":"trade","E":1700000000400,"s":"AUSDT","t":6,"p":"1.5","q":"2","T":1700000000300,"m":true,"M":true}
2904000000 {"e":"depthUpdate","E":1700000000400,"s":"AUSDT","U":1,"u":2,"b":[],"a":[]}
2905000000 {"result":null,"id":1}
2906000000 {"e":"trade","E":1700000000401
)");
  CaptureCounts counts;
  auto tape = open_capture({.sources = {{.file = path}}}, &counts);
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(events(**tape), (std::vector<std::string>{"1700000000100000 AUSDT u1", "1700000000100000 AUSDT t5.",
                                                      "1700000000104000 AUSDT u2", "1700000000300000 AUSDT u3",
                                                      "1700000000300000 AUSDT t6.", "1700000000300000 AUSDT t7."}));
  EXPECT_EQ(counts.repeated, 1u);
  EXPECT_EQ(counts.others, 2u);
  EXPECT_EQ(counts.unreadable, 1u);
  EXPECT_EQ((*tape)->listings()[0].price_decimals, 8) << "spot writes eight decimals";
  EXPECT_EQ((*tape)->listings()[0].tick, kOne / 10);
}

TEST_F(CaptureTapeTest, FilesAreMergedByTimeAndSymbolsAreTheirOwn) {
  const std::string a = file(
      "1 "
      "{\"e\":\"aggTrade\",\"E\":1700000000100,\"s\":\"AUSDT\",\"a\":1,\"p\":\"1\",\"q\":\"1\",\"f\":10,\"l\":12,\"T\":"
      "1700000000100,\"m\":true}\n"
      "2 "
      "{\"e\":\"aggTrade\",\"E\":1700000000300,\"s\":\"AUSDT\",\"a\":2,\"p\":\"1\",\"q\":\"1\",\"f\":13,\"l\":13,\"T\":"
      "1700000000300,\"m\":true}\n");
  const std::string b = file(
      "1 "
      "{\"e\":\"trade\",\"E\":1700000000200,\"s\":\"BUSDT\",\"t\":7,\"p\":\"1.0\",\"q\":\"1.00\",\"T\":1700000000200,"
      "\"m\":true,\"X\":\"MARKET\"}\n"
      "2 "
      "{\"e\":\"aggTrade\",\"E\":1700000000200,\"s\":\"BUSDT\",\"a\":4,\"p\":\"1\",\"q\":\"1\",\"f\":7,\"l\":7,\"T\":"
      "1700000000200,\"m\":true}\n");
  auto tape = open_capture({.product = Product::usdm, .sources = {{.file = a}, {.file = b}}});
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(events(**tape), (std::vector<std::string>{"1700000000100000 AUSDT a1", "1700000000200000 BUSDT t7.",
                                                      "1700000000300000 AUSDT a2"}))
      << "aggregates are made anew where there are trades";
  EXPECT_TRUE((*tape)->listings()[0].only_aggregates);
  EXPECT_FALSE((*tape)->listings()[1].only_aggregates);
  EXPECT_EQ((*tape)->listings()[1].price_decimals, 1);
  EXPECT_EQ((*tape)->listings()[1].quantity_decimals, 2);
  auto part = open_capture({.product = Product::usdm,
                            .sources = {{.file = a}, {.file = b}},
                            .from = from_ms(1700000000150),
                            .to = from_ms(1700000000300)});
  ASSERT_TRUE(part);
  EXPECT_EQ(events(**part), (std::vector<std::string>{"1700000000200000 BUSDT t7."}));
}

TEST_F(CaptureTapeTest, AFileOfRowsNeedsItsSymbolAndColumns) {
  CaptureCounts counts;
  auto tape = open_capture({.sources = {{.file = kExamples / "binance-spot-ltcusdt-aggtrades-20250621.csv.zst",
                                         .symbol = "binance:LTCUSDT",
                                         .columns = "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId",
                                         .aggregates = true}}},
                           &counts);
  ASSERT_TRUE(tape) << tape.error().detail;
  EXPECT_EQ(counts.aggregates, 53'325u);
  EXPECT_EQ((*tape)->listings()[0].symbol, "LTCUSDT");
  EXPECT_TRUE((*tape)->listings()[0].only_aggregates);
  TapeEvent event;
  ASSERT_TRUE((*tape)->next(event));
  const auto& first = std::get<Aggregate>(event.what);
  EXPECT_EQ(first.id, 293517768u);
  EXPECT_EQ(to_ms(first.traded), 1750507467356);
  EXPECT_EQ(first.price, 8'329'000'000);
  EXPECT_FALSE(first.buyer_is_maker) << "the taker bought";
}

TEST_F(CaptureTapeTest, WhatCannotBePlayedIsRefusedWithASentence) {
  EXPECT_EQ(open_capture({.sources = {{.file = "/nowhere.frames"}}}).error().fault, Fault::not_found);
  const auto nothing = open_capture({.sources = {{.file = file("1 {\"e\":\"depthUpdate\",\"s\":\"A\"}\n")}}});
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().detail.find("there is no trade and no quote of Binance"), std::string::npos);
  const auto unknown = open_capture({.sources = {{.file = file("a,b,c\n1,2,3\n")}}});
  ASSERT_FALSE(unknown) << "columns that nobody knows";
  EXPECT_EQ(unknown.error().fault, Fault::malformed);
  EXPECT_NE(unknown.error().detail.find("is no recording that is known"), std::string::npos) << unknown.error().detail;
  EXPECT_NE(unknown.error().detail.find("the first begins \"a,b,c\""), std::string::npos) << unknown.error().detail;
  EXPECT_FALSE(open_capture({.sources = {{.file = file("")}}}));
}

TEST(GeneratedTape, TheSameSeedIsTheSameTape) {
  const auto play = [](std::uint64_t seed) {
    const auto tape =
        make_generator({.symbols = 3, .rate = 1000, .seed = seed, .start = from_ms(1700000000000), .length = 10s});
    TapeEvent event;
    std::string text;
    while (tape->next(event))
      if (const auto* p = std::get_if<Print>(&event.what))
        append_trade(text, {}, tape->listings()[event.instrument], *p);
    return text;
  };
  EXPECT_EQ(play(1), play(1));
  EXPECT_NE(play(1), play(2));
}

TEST(GeneratedTape, IdsAreContiguousTimesRiseAndTheRateIsMet) {
  const auto tape =
      make_generator({.symbols = 12, .rate = 5000, .seed = 3, .start = from_ms(1700000000000), .length = 20s});
  std::vector<std::uint64_t> last(12);
  Market market{Product::spot, tape->listings()};
  TapeEvent event;
  Time before{};
  std::uint64_t trades = 0;
  while (tape->next(event)) {
    ASSERT_GE(event.at, before);
    before = event.at;
    if (const auto* print = std::get_if<Print>(&event.what)) {
      if (last[event.instrument] != 0) {
        ASSERT_EQ(print->id, last[event.instrument] + 1);
      }
      last[event.instrument] = print->id;
      ASSERT_GT(print->price, 0);
      ASSERT_EQ(print->price % tape->listings()[event.instrument].tick, 0) << "on the grid";
      ++trades;
      market.publish(event.instrument, *print);
    }
  }
  EXPECT_GT(trades, 98'000u);
  EXPECT_LT(trades, 102'000u);
  for (std::uint32_t i = 0; i < 12; ++i) {
    EXPECT_EQ(market.aggregate_ids(i).ranges().size(), 1u);
    EXPECT_EQ(market.aggregates(i).back().last, last[i]);
  }
  EXPECT_EQ(tape->listings()[0].symbol, "BTCUSDT");
  EXPECT_EQ(tape->listings()[11].symbol, "S00011USDT");
}

TEST(GeneratedTape, OddRecordsOfFuturesStandInTheStreamOfTradesOnly) {
  const auto tape = make_generator({.product = Product::usdm,
                                    .symbols = 1,
                                    .rate = 1000,
                                    .seed = 3,
                                    .start = from_ms(1700000000000),
                                    .length = 20s,
                                    .na = 20,
                                    .insurance_fund = 20,
                                    .adl = 20,
                                    .rpi = 50,
                                    .unknown = 20});
  TapeEvent event;
  std::map<Kind, int> kinds;
  std::uint64_t last = 0;
  Market market{Product::usdm, tape->listings()};
  while (tape->next(event))
    if (const auto* print = std::get_if<Print>(&event.what)) {
      if (last != 0) {
        ASSERT_EQ(print->id, last + 1) << "ids count all kinds";
      }
      last = print->id;
      ++kinds[print->kind];
      if (print->kind == Kind::na) {
        ASSERT_EQ(print->price, 0);
      }
      market.publish(0, *print);
    }
  for (const Kind kind : {Kind::na, Kind::insurance_fund, Kind::adl, Kind::rpi, Kind::unknown})
    EXPECT_GT(kinds[kind], 100);
  int holes = 0, less = 0;
  for (std::size_t i = 1; i < market.aggregates(0).size(); ++i) {
    holes += market.aggregates(0)[i].first != market.aggregates(0)[i - 1].last + 1;
    less += market.aggregates(0)[i].normal < market.aggregates(0)[i].quantity;
  }
  EXPECT_GT(holes, 100) << "f is not the previous l + 1";
  EXPECT_GT(less, 100) << "nq is below q";
  EXPECT_EQ(market.aggregate_ids(0).ranges().size(), 1u) << "a is contiguous";
}

}  // namespace
}  // namespace truetape::sim
