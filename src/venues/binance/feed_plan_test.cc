#include "venues/feed_plan.h"

#include <gtest/gtest.h>

#include "venues/binance/feed.h"
#include "venues/binance/feed_messages.h"

namespace truetape::binance {
namespace {

using feeds::ConnectionPlan;
using feeds::Stream;
using feeds::StreamKind;

Instrument of(std::string_view symbol, Product product = Product::spot) {
  return *Instrument::of(venue_name(product), symbol);
}
const feeds::Dialect* dialect(Product product) {
  static const auto spot = make_dialect(Product::spot), usdm = make_dialect(Product::usdm);
  return product == Product::spot ? spot.get() : usdm.get();
}
Stream stream_of(const Instrument& instrument, StreamKind kind) {
  return dialect(Product::spot)->stream_of(instrument, kind);
}
std::string path(std::size_t route, Product product = Product::usdm) {
  return dialect(product)->socket_target(route, {});
}
std::set<Instrument> numbered(int from, int to, Product product = Product::spot) {
  std::set<Instrument> out;
  for (int i = from; i < to; ++i) {
    std::string text = std::to_string(i);
    out.insert(of("C" + std::string(4 - text.size(), '0') + text, product));
  }
  return out;
}
using Names = std::vector<std::string>;
Names names(const std::vector<Stream>& streams) {
  Names out;
  for (const Stream& s : streams) out.push_back(s.name);
  return out;
}
const std::vector kAll{StreamKind::trade, StreamKind::best, StreamKind::ticker};

TEST(StreamNameTest, AsciiLettersBecomeSmallAndNothingElse) {
  EXPECT_EQ(stream_of(of("BTCUSDT"), StreamKind::trade).name, "btcusdt@trade");
  EXPECT_EQ(stream_of(of("BTCUSDT"), StreamKind::agg).name, "btcusdt@aggTrade");
  EXPECT_EQ(stream_of(of("BTCUSDT_250328"), StreamKind::best).name, "btcusdt_250328@bookTicker");
  EXPECT_EQ(stream_of(of("币安人生USDT"), StreamKind::ticker).name, "币安人生usdt@ticker");
}

TEST(ConnectionPlanTest, SpotHasOnePathForAll) {
  ConnectionPlan plan{*dialect(Product::spot), kAll};
  const auto changes = plan.want({of("BTCUSDT"), of("ETHUSDT")});
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].slot, 0u);
  EXPECT_EQ(names(changes[0].add), (Names{"btcusdt@bookTicker", "btcusdt@ticker", "btcusdt@trade", "ethusdt@bookTicker",
                                          "ethusdt@ticker", "ethusdt@trade"}));
  EXPECT_EQ(path(plan.slots()[0].route, Product::spot), "/stream");
}

TEST(ConnectionPlanTest, UsdmStreamsAreAskedForOnThePathThatHasThem) {
  for (const auto& [tape, where] : {std::pair{StreamKind::trade, std::size_t{0}}, {StreamKind::agg, std::size_t{1}}}) {
    ConnectionPlan plan{*dialect(Product::usdm), {tape, StreamKind::best, StreamKind::ticker}};
    plan.want({of("BTCUSDT", Product::usdm)});
    ASSERT_EQ(plan.slots().size(), 2u);
    const auto& open = plan.slots()[0].streams;
    const auto& market = plan.slots()[1].streams;
    EXPECT_EQ(path(plan.slots()[0].route), "/public/stream");
    EXPECT_EQ(path(plan.slots()[1].route), "/market/stream");
    EXPECT_TRUE(open.contains("btcusdt@bookTicker"));
    EXPECT_TRUE(market.contains("btcusdt@ticker"));
    const auto& with_tape = where == std::size_t{0} ? open : market;
    EXPECT_TRUE(with_tape.contains(stream_of(of("BTCUSDT", Product::usdm), tape).name));
    EXPECT_EQ(open.size() + market.size(), 3u);
  }
  ConnectionPlan only_trades{*dialect(Product::usdm), {StreamKind::trade}};
  only_trades.want({of("BTCUSDT", Product::usdm)});
  EXPECT_EQ(only_trades.slots().size(), 1u) << "no connection without a stream";
}

TEST(ConnectionPlanTest, NoConnectionHasMoreThan1024StreamsAndAnInstrumentStaysTogether) {
  ConnectionPlan plan{*dialect(Product::spot), kAll};
  plan.want(numbered(0, 1000));
  ASSERT_EQ(plan.slots().size(), 3u);
  EXPECT_EQ(plan.slots()[0].streams.size(), 1023u);
  EXPECT_EQ(plan.slots()[1].streams.size(), 1023u);
  EXPECT_EQ(plan.slots()[2].streams.size(), 954u);
  for (const auto& slot : plan.slots()) {
    std::map<Instrument, int> count;
    for (const auto& [name, stream] : slot.streams) ++count[stream.instrument];
    for (const auto& [instrument, streams] : count) EXPECT_EQ(streams, 3) << instrument.text();
  }
}

TEST(ConnectionPlanTest, WhatStaysWantedDoesNotMove) {
  ConnectionPlan plan{*dialect(Product::spot), {StreamKind::trade}, {.streams = 10}};
  plan.want(numbered(0, 25));
  const auto before = plan.slots();
  auto wanted = numbered(5, 25);
  wanted.insert(of("BTCUSDT"));
  const auto changes = plan.want(wanted);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].slot, 0u);
  EXPECT_EQ(names(changes[0].remove),
            (Names{"c0000@trade", "c0001@trade", "c0002@trade", "c0003@trade", "c0004@trade"}));
  EXPECT_EQ(names(changes[0].add), Names{"btcusdt@trade"}) << "into the room that became free";
  EXPECT_EQ(plan.slots()[1].streams, before[1].streams);
  EXPECT_EQ(plan.slots()[2].streams, before[2].streams);
  EXPECT_TRUE(plan.want(wanted).empty()) << "nothing new";
}

TEST(ConnectionPlanTest, AnEmptyConnectionKeepsItsPlaceAndIsFilledFirst) {
  ConnectionPlan plan{*dialect(Product::spot), {StreamKind::trade}, {.streams = 2}};
  plan.want(numbered(0, 6));
  plan.want(numbered(2, 6));
  ASSERT_EQ(plan.slots().size(), 3u);
  EXPECT_TRUE(plan.slots()[0].streams.empty());
  const auto changes = plan.want(numbered(2, 7));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].slot, 0u);
}

TEST(ConnectionPlanTest, ForeignInstrumentsAreLeftOut) {
  ConnectionPlan plan{*dialect(Product::spot), {StreamKind::trade}};
  EXPECT_TRUE(plan.want({of("BTCUSDT", Product::usdm)}).empty());
  EXPECT_TRUE(plan.slots().empty());
}

TEST(ConnectionPlanTest, AnInstrumentWithMoreStreamsThanTheLimitHasItsOwnConnection) {
  ConnectionPlan plan{*dialect(Product::spot), kAll, {.streams = 2}};
  plan.want(numbered(0, 2));
  EXPECT_EQ(plan.slots().size(), 2u);
}

TEST(ConnectionPlanTest, WhatFindsNoRoomIsLeftOutUntilThereIsSome) {
  ConnectionPlan plan{*dialect(Product::spot), {StreamKind::trade}, {.streams = 2, .connections = 1}};
  plan.want(numbered(0, 4));
  ASSERT_EQ(plan.slots().size(), 1u);
  EXPECT_EQ(plan.left_out(), numbered(2, 4));
  const auto changes = plan.want(numbered(1, 4));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(names(changes[0].remove), Names{"c0000@trade"});
  EXPECT_EQ(names(changes[0].add), Names{"c0002@trade"});
  EXPECT_EQ(plan.left_out(), numbered(3, 4));
}

TEST(BatchTest, ByNumberAndByBytes) {
  const Names many(450, "btcusdt@trade");
  EXPECT_EQ(batch_size(many, 200, 1 << 20), 200u);
  EXPECT_EQ(batch_size(many, 1000, 160), 10u) << "16 bytes each, with quotes and comma";
  EXPECT_EQ(batch_size(many, 1000, 1), 1u) << "always one";
  EXPECT_EQ(batch_size(std::span{many}.first(3), 200, 4000), 3u);
  EXPECT_EQ(batch_size({}, 200, 4000), 0u);
}

}  // namespace
}  // namespace truetape::binance
