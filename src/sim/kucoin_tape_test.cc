#include "sim/kucoin_tape.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "sim/kucoin_messages.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;

// Written by hand in the two forms that KuCoin's streams have had.
constexpr std::string_view kOld =
    R"({"data":{"symbol":"A-BTC","sequence":"1612701563869","side":"buy","size":"81.8814","price":"0.0000001117",)"
    R"("takerOrderId":"6085c097587c2000060cde57","time":"1619378327739050725","type":"match",)"
    R"("makerOrderId":"6085c06144b3790006512a4d","tradeId":"6085c09769bc506996295e36"},)"
    R"("subject":"trade.l3match","topic":"/market/match:A-BTC","type":"message"})";
constexpr std::string_view kNew =
    R"({"topic":"/market/match:BTC-USDT","type":"message","subject":"trade.l3match","data":{"symbol":"BTC-USDT",)"
    R"("sequence":"11067996711960577","side":"sell","size":"0.00300","price":"67523.000000000000000",)"
    R"("takerOrderId":"671b50161777ff00074c168d","makerOrderId":"671b5007389355000701b1d3",)"
    R"("tradeId":"11067996711960577","time":"1729843222921000000","type":"match"}})";
constexpr std::string_view kTicker =
    R"({"data":{"sequence":"1612844051653","bestAsk":"0.00028717","size":"0.01745248","bestBidSize":"3.70422021",)"
    R"("price":"0.00028676","time":1619378326323,"bestAskSize":"14.04274325","bestBid":"0.00028678"},)"
    R"("subject":"trade.ticker","topic":"/market/ticker:SNX-BTC","type":"message"})";
constexpr std::string_view kLevel1 =
    R"({"topic":"/spotMarket/level1:BTC-USDT","type":"message","subject":"level1","data":{)"
    R"("asks":["68145.8","0.51987471"],"bids":["68145.7","1.29267802"],"timestamp":1729816058766}})";

class KucoinTapeTest : public testing::Test {
 protected:
  std::unique_ptr<Tape> read(const std::string& text, CaptureCounts& counts) {
    const std::string path =
        testing::TempDir() + "kucoin_tape_" + std::to_string(getpid()) + "_" + std::to_string(++files_) + ".frames";
    std::ofstream{path} << text;
    auto tape = open_capture({.product = Product::kucoin, .sources = {{.file = path}}}, &counts);
    if (tape) return std::move(*tape);
    error_ = tape.error().detail;
    return nullptr;
  }
  int files_ = 0;
  std::string error_;
};

std::string message_of(const Tape& tape, const TapeEvent& event) {
  const Listing& listing = tape.listings()[event.instrument];
  if (const auto* deal = std::get_if<Deal>(&event.what)) return kucoin::match_message(listing, *deal);
  const auto& level = std::get<Level>(event.what);
  return level.text->ticker ? kucoin::ticker_message(listing, level, false) : kucoin::level1_message(listing, level);
}

TEST_F(KucoinTapeTest, FramesComeBackByteForByteWhenTheyWereReceived) {
  CaptureCounts counts;
  const auto line = [](std::string_view time, std::string_view frame) {
    return std::string{time} + ' ' + std::string{frame} + '\n';
  };
  const auto tape = read(line("1619378326364592000", kTicker) + line("1619378328157583000", kOld) +
                             line("1619378328157583900", R"({"id":"1","type":"ack"})") +
                             line("1729816058800000000", kLevel1) + line("1729843222000000000", kNew) +
                             line("1729843222000000000", kNew) + line("1729843223000000000", R"({"data":{"symbol")") +
                             line("1729843223000000000", R"({"topic":"/market/match:X-Y","subject":"trade.l3match",)"
                                                         R"("data":{"symbol":"X-Y"}})"),
                         counts);
  ASSERT_TRUE(tape) << error_;
  EXPECT_EQ(counts.trades, 2u);
  EXPECT_EQ(counts.quotes, 2u);
  EXPECT_EQ(counts.others, 1u);
  EXPECT_EQ(counts.repeated, 1u);
  EXPECT_EQ(counts.unreadable, 2u);
  std::vector<std::string> messages;
  std::vector<std::int64_t> times;
  TapeEvent event;
  while (tape->next(event)) {
    messages.push_back(message_of(*tape, event));
    times.push_back(to_us(event.at));
  }
  EXPECT_EQ(messages, (std::vector<std::string>{std::string{kTicker}, std::string{kOld}, std::string{kLevel1},
                                                std::string{kNew}}));
  EXPECT_EQ(times, (std::vector<std::int64_t>{1619378326364592, 1619378328157583, 1729816058800000, 1729843222000000}));
  EXPECT_EQ(tape->listings()[1].base, "A");
  EXPECT_EQ(tape->listings()[1].quote, "BTC");
  EXPECT_EQ(tape->listings()[1].price_decimals, 10);
  EXPECT_EQ(tape->listings()[2].price_decimals, 0) << "zeros behind the point are no digits";
}

TEST_F(KucoinTapeTest, WithoutReceiveTimesAFrameIsToldAtItsOwn) {
  CaptureCounts counts;
  const auto tape = read(std::string{kNew} + '\n', counts);
  ASSERT_TRUE(tape) << error_;
  EXPECT_EQ(to_us(tape->begin()), 1729843222921000);
  EXPECT_EQ(read(R"({"id":"1","type":"ack"})", counts), nullptr);
  EXPECT_NE(error_.find("there is no match and no ticker of KuCoin"), std::string::npos);
}

TEST(KucoinGenerator, SequencesRiseWithHolesAndOneOrderSweeps) {
  for (const bool older : {false, true}) {
    const auto tape = make_generator({.product = Product::kucoin,
                                      .symbols = 2,
                                      .names = {"BTC-USDT", "NEW-BTC"},
                                      .rate = 1000,
                                      .seed = 4,
                                      .start = from_ms(1700000000000),
                                      .length = 10s,
                                      .older = older});
    EXPECT_EQ(tape->product(), Product::kucoin);
    EXPECT_EQ(tape->listings()[0].symbol, "BTC-USDT");
    EXPECT_EQ(tape->listings()[1].symbol, "NEW-BTC");
    std::vector<std::uint64_t> last(2);
    std::vector<std::string> taker(2);
    std::set<std::string> ids;
    std::uint64_t trades = 0, holes = 0, sweeps = 0;
    TapeEvent event;
    while (tape->next(event)) {
      const auto* deal = std::get_if<Deal>(&event.what);
      if (deal == nullptr) continue;
      ++trades;
      std::uint64_t& before = last[event.instrument];
      ASSERT_GT(deal->id, before);
      holes += before != 0 && deal->id != before + 1;
      if (deal->text->taker == taker[event.instrument]) {
        ASSERT_EQ(deal->id, before + 3);
        ++sweeps;
      }
      before = deal->id;
      taker[event.instrument] = deal->text->taker;
      EXPECT_EQ(deal->text->taker.size(), 24u);
      EXPECT_TRUE(ids.insert(deal->text->trade_id).second) << "once each";
      EXPECT_EQ(deal->text->trade_id == std::to_string(deal->id), !older);
      if (!older) {
        EXPECT_EQ(to_us(deal->traded) % 1000 + deal->traded_ns, 0) << "whole milliseconds";
      }
    }
    EXPECT_GT(trades, 9'000u);
    EXPECT_GT(holes, trades / 2);
    EXPECT_GT(sweeps, trades / 10);
  }
}

}  // namespace
}  // namespace truetape::sim
