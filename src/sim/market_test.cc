#include "sim/market.h"

#include <gtest/gtest.h>

#include "sim/messages.h"

namespace truetape::sim {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;
using std::chrono::year;

const Time kDay{sys_days{year{2024} / 8 / 8}};  // a Thursday

Market spot() {
  Listing listing;
  listing.symbol = "BTCUSDT";
  listing.first_aggregate = 500;
  return Market{Product::spot, {listing}};
}
Print print(std::uint64_t id, Duration at, Units price, Units quantity, bool buyer_is_maker = false, bool ends = true) {
  return {.id = id,
          .traded = kDay + at,
          .told = kDay + at + 1ms,
          .price = price * kOne,
          .quantity = quantity * kOne,
          .buyer_is_maker = buyer_is_maker,
          .ends = ends};
}
std::string text(const Bar& bar) {
  const auto whole = [](Wide value) { return std::to_string(static_cast<std::int64_t>(value)); };
  return whole((bar.start - kDay) / 1s) + ": " + whole(bar.open / kOne) + ' ' + whole(bar.high / kOne) + ' ' +
         whole(bar.low / kOne) + ' ' + whole(bar.close / kOne) + " v" + whole(bar.volume / kOne) + " q" +
         whole(bar.quote / kOne / kOne) + " n" + whole(static_cast<Wide>(bar.trades)) + " V" +
         whole(bar.taker_volume / kOne);
}
std::vector<std::string> texts(const std::vector<Bar>& bars) {
  std::vector<std::string> result;
  for (const Bar& bar : bars) result.push_back(text(bar));
  return result;
}

TEST(SimMarket, BarsBeginWhereTheCalendarSays) {
  struct Case {
    const char* interval;
    Time start, next;
  };
  const Time t = kDay + 13h + 37min + 41s;
  const Case cases[] = {
      {"1s", kDay + 13h + 37min + 41s, kDay + 13h + 37min + 42s},
      {"3m", kDay + 13h + 36min, kDay + 13h + 39min},
      {"8h", kDay + 8h, kDay + 16h},
      {"1d", kDay, kDay + 24h},
      {"3d", Time{sys_days{year{2024} / 8 / 6}}, Time{sys_days{year{2024} / 8 / 9}}},
      {"1w", Time{sys_days{year{2024} / 8 / 5}}, Time{sys_days{year{2024} / 8 / 12}}},
      {"1M", Time{sys_days{year{2024} / 8 / 1}}, Time{sys_days{year{2024} / 9 / 1}}},
  };
  for (const Case& c : cases) {
    const BarInterval* interval = find_interval(c.interval);
    ASSERT_NE(interval, nullptr);
    EXPECT_EQ(bar_start(t, *interval), c.start) << c.interval;
    EXPECT_EQ(next_bar(c.start, *interval), c.next) << c.interval;
  }
  EXPECT_EQ(bar_start(t, *find_interval("1d"), 8h), kDay - 8h) << "days of +08:00";
  EXPECT_EQ(bar_start(t, *find_interval("1M"), -1h), Time{sys_days{year{2024} / 8 / 1}} + 1h);
  EXPECT_EQ(find_interval("2m"), nullptr);
}

TEST(SimMarket, BarsHoldTheirTradesAndAreFlatWithout) {
  Market market = spot();
  market.publish(0, print(10, 65s, 100, 1));
  market.publish(0, print(11, 70s, 104, 2, true));
  market.publish(0, print(12, 119s, 102, 3));
  market.publish(0, print(13, 300s, 101, 4));
  const auto bars = [&](const char* interval, Duration from, Duration to, Duration now, std::size_t limit,
                        bool newest) {
    return texts(market.bars(0, *find_interval(interval), kDay + from, kDay + to, kDay + now, limit, newest));
  };
  using Rows = std::vector<std::string>;
  const Rows all{"60: 100 104 100 102 v6 q614 n3 V4", "120: 102 102 102 102 v0 q0 n0 V0",
                 "180: 102 102 102 102 v0 q0 n0 V0", "240: 102 102 102 102 v0 q0 n0 V0",
                 "300: 101 101 101 101 v4 q404 n1 V4"};
  EXPECT_EQ(bars("1m", 0s, 1h, 301s, 100, false), all);
  EXPECT_EQ(bars("1m", 0s, 1h, 301s, 2, false), (Rows{all[0], all[1]}));
  EXPECT_EQ(bars("1m", 0s, 1h, 301s, 2, true), (Rows{all[3], all[4]}));
  EXPECT_EQ(bars("1m", 61s, 241s, 301s, 100, false), (Rows{all[1], all[2], all[3]})) << "half open, by the starts";
  EXPECT_EQ(bars("1m", 0s, 1h, 130s, 100, false), (Rows{all[0], all[1]})) << "nothing of the future";
  EXPECT_EQ(bars("1m", 0s, 1h, 100s, 100, false), (Rows{"60: 100 104 100 104 v3 q308 n2 V1"})) << "not told yet";
  EXPECT_EQ(bars("5m", 0s, 1h, 301s, 100, false), (Rows{"0: 100 104 100 102 v6 q614 n3 V4", all[4]}));
  EXPECT_EQ(bars("1s", 68s, 72s, 301s, 100, false),
            (Rows{"68: 100 100 100 100 v0 q0 n0 V0", "69: 100 100 100 100 v0 q0 n0 V0",
                  "70: 104 104 104 104 v2 q208 n1 V0", "71: 104 104 104 104 v0 q0 n0 V0"}));
  EXPECT_EQ(bars("1s", 0s, 66s, 301s, 100, false), (Rows{"65: 100 100 100 100 v1 q100 n1 V1"}));
  EXPECT_EQ(bars("1m", 2h, 3h, 301s, 100, false), Rows{});
}

TEST(SimMarket, AggregatesOfSpotAreOrdersAtOnePrice) {
  Market market = spot();
  EXPECT_FALSE(market.publish(0, print(10, 1s, 100, 1, false, false)));
  const auto two = market.publish(0, print(11, 1s, 100, 2));
  ASSERT_TRUE(two);
  EXPECT_EQ(two->id, 500u);
  EXPECT_EQ(two->first, 10u);
  EXPECT_EQ(two->last, 11u);
  EXPECT_EQ(two->quantity, 3 * kOne);
  const auto one = market.publish(0, print(12, 2s, 101, 5));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->id, 501u);
  EXPECT_EQ(one->first, 12u);
  EXPECT_EQ(market.aggregate_ids(0).ranges(), (std::vector<IdRanges::Range>{{500, 501}}));
  EXPECT_EQ(market.trade_ids(0).count(), 3u);
}

TEST(SimMarket, RecordsThatAreNoFillsHaveAnIdAndNothingElse) {
  Listing listing;
  listing.symbol = "BTCUSDT";
  Market market{Product::usdm, {listing}};
  Print fill = print(1, 1s, 100, 1, false, false);
  EXPECT_FALSE(market.publish(0, fill));
  for (const Kind kind : {Kind::na, Kind::insurance_fund, Kind::adl, Kind::unknown}) {
    Print other = print(2 + static_cast<std::uint64_t>(kind), 1s, 7, 9);
    other.kind = kind;
    EXPECT_FALSE(market.publish(0, other));
  }
  Print hidden = print(9, 1s, 100, 4);
  hidden.kind = Kind::rpi;
  const auto made = market.publish(0, hidden);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->first, 1u);
  EXPECT_EQ(made->last, 9u);
  EXPECT_EQ(made->quantity, 5 * kOne);
  EXPECT_EQ(made->normal, 1 * kOne);
  const auto bars = market.bars(0, *find_interval("1m"), kDay, kDay + 1h, kDay + 1min, 10, false);
  ASSERT_EQ(bars.size(), 2u);
  EXPECT_EQ(text(bars[0]), "0: 100 100 100 100 v5 q500 n2 V5");
}

TEST(SimMarket, OldTradesAreForgottenButTheirBarsStay) {
  Listing listing;
  listing.symbol = "BTCUSDT";
  Market market{Product::spot, {listing}, 2};
  for (std::uint64_t id = 1; id <= 5; ++id) market.publish(0, print(id, id * 60s, 100, 1));
  EXPECT_EQ(market.prints(0).size(), 2u);
  EXPECT_EQ(market.trade_ids(0).count(), 5u);
  EXPECT_EQ(market.bars(0, *find_interval("1m"), kDay, kDay + 1h, kDay + 301s, 10, false).size(), 5u);
}

TEST(SimMarket, SymbolsAreSplit) {
  for (const auto& [symbol, base, quote] : {std::tuple{"BTCUSDT", "BTC", "USDT"},
                                            {"XRPETH", "XRP", "ETH"},
                                            {"BTCFDUSD", "BTC", "FDUSD"},
                                            {"USDT", "USDT", ""}}) {
    Listing listing;
    listing.symbol = symbol;
    split_symbol(listing);
    EXPECT_EQ(listing.base, base);
    EXPECT_EQ(listing.quote, quote);
  }
}

TEST(SimMessages, EachEventOfEachVenueIsWrittenInItsOwnOrder) {
  Listing btc;
  btc.symbol = "BTCUSDT";
  btc.price_decimals = 2;
  btc.quantity_decimals = 3;
  const Print trade{.id = 7,
                    .traded = from_ms(1721347022955) + 123us,
                    .told = from_ms(1721347022956),
                    .price = 6'394'390'000'000,
                    .quantity = 300'000,
                    .buyer_is_maker = true};
  Print marker = trade;
  marker.kind = Kind::na;
  marker.price = marker.quantity = 0;
  const Aggregate agg{.id = 3,
                      .first = 7,
                      .last = 9,
                      .traded = trade.traded,
                      .told = trade.told,
                      .price = trade.price,
                      .quantity = 700'000,
                      .normal = 300'000,
                      .buyer_is_maker = false};
  const Quote quote{.update = 11,
                    .traded = trade.traded,
                    .told = trade.told,
                    .bid = trade.price,
                    .bid_quantity = 100'000,
                    .ask = trade.price + 1'000'000,
                    .ask_quantity = 200'000};
  const auto written = [&](auto append, const auto& what, Dialect dialect) {
    std::string out;
    append(out, dialect, btc, what);
    return out;
  };
  const Dialect usdm{.product = Product::usdm}, older{.product = Product::usdm, .newer_fields = false};
  const Dialect micro{.microseconds = true}, wrong{.skew = 5min};
  EXPECT_EQ(
      written(append_trade, trade, usdm),
      R"({"e":"trade","E":1721347022956,"T":1721347022955,"s":"BTCUSDT","t":7,"p":"63943.90","q":"0.003","X":"MARKET","m":true,"st":1})");
  EXPECT_EQ(
      written(append_trade, marker, older),
      R"({"e":"trade","E":1721347022956,"T":1721347022955,"s":"BTCUSDT","t":7,"p":"0","q":"0","X":"NA","m":true})");
  EXPECT_EQ(
      written(append_aggregate, agg, usdm),
      R"({"e":"aggTrade","E":1721347022956,"a":3,"s":"BTCUSDT","p":"63943.90","q":"0.007","nq":"0.003","f":7,"l":9,"T":1721347022955,"m":false,"st":1})");
  EXPECT_EQ(
      written(append_quote, quote, usdm),
      R"({"e":"bookTicker","u":11,"s":"BTCUSDT","ps":"BTCUSDT","b":"63943.90","B":"0.001","a":"63943.91","A":"0.002","T":1721347022955,"E":1721347022956,"st":1})");
  EXPECT_EQ(
      written(append_trade, trade, micro),
      R"({"e":"trade","E":1721347022956000,"s":"BTCUSDT","t":7,"p":"63943.90","q":"0.003","T":1721347022955123,"m":true,"M":true})");
  EXPECT_EQ(
      written(append_trade, trade, wrong),
      R"({"e":"trade","E":1721347322956,"s":"BTCUSDT","t":7,"p":"63943.90","q":"0.003","T":1721347022955,"m":true,"M":true})")
      << "the stream's clock is wrong, the trade's time is not";
  Bar bar = Bar::flat(from_ms(1721347020000), trade.price);
  const auto kline = [&](bool closed) {
    std::string out;
    append_kline(out, {}, btc, *find_interval("1m"), bar, closed, trade.told);
    return out;
  };
  EXPECT_EQ(
      kline(true),
      R"({"e":"kline","E":1721347022956,"s":"BTCUSDT","k":{"t":1721347020000,"T":1721347079999,"s":"BTCUSDT","i":"1m","f":-1,"L":-1,"o":"63943.90","c":"63943.90","h":"63943.90","l":"63943.90","v":"0.000","n":0,"x":true,"q":"0.00000000","V":"0.000","Q":"0.00000000","B":"0"}})");
  bar.trades = 0;
  bar.add(trade.price, trade.quantity, true, 7, 7);
  EXPECT_EQ(
      kline(false),
      R"({"e":"kline","E":1721347022956,"s":"BTCUSDT","k":{"t":1721347020000,"T":1721347079999,"s":"BTCUSDT","i":"1m","f":7,"L":7,"o":"63943.90","c":"63943.90","h":"63943.90","l":"63943.90","v":"0.003","n":1,"x":false,"q":"191.83170000","V":"0.000","Q":"0.00000000","B":"0"}})");
}

}  // namespace
}  // namespace truetape::sim
