// Decoding KuCoin's frames: the recording's trades, written as that venue does, in both orders of keys that it has
// used.
#include <benchmark/benchmark.h>

#include <vector>

#include "batch/decoders.h"
#include "bench/kernels.h"
#include "venues/kucoin/item.h"

namespace truetape::bench {
namespace {

enum class Order { now, before_2022 };

std::string frame_of(const DenseTrade& t, Order order) {
  const auto quoted = [](std::string_view key, std::string_view value) {
    return '"' + std::string{key} + "\":\"" + std::string{value} + '"';
  };
  const std::string id = std::to_string(11'067'996'711'960'577 + t.id);
  const std::string symbol = quoted("symbol", "BTC-USDT"), sequence = quoted("sequence", id),
                    side = quoted("side", t.buyer_is_maker ? "sell" : "buy"), size = quoted("size", t.quantity),
                    price = quoted("price", t.price), taker = quoted("takerOrderId", "671b50161777ff00074c168d"),
                    maker = quoted("makerOrderId", "671b5007389355000701b1d3"), trade = quoted("tradeId", id),
                    time = quoted("time", std::to_string(t.time_ms * 1'000'000)), type = quoted("type", "match");
  const std::string topic = quoted("topic", "/market/match:BTC-USDT"), message = quoted("type", "message"),
                    subject = quoted("subject", "trade.l3match");
  const auto object = [](const std::vector<std::string>& members) {
    std::string out = "{";
    for (const std::string& member : members) out += (out.size() > 1 ? "," : "") + member;
    return out + '}';
  };
  return order == Order::now
             ? object({topic, message, subject,
                       "\"data\":" + object({symbol, sequence, side, size, price, taker, maker, trade, time, type})})
             : object({"\"data\":" + object({symbol, sequence, side, size, price, taker, time, type, maker, trade}),
                       subject, topic, message});
}

const std::vector<std::string>& frames(Order order) {
  const auto make = [](Order of) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < dense().recorded(); ++i) out.push_back(frame_of(dense().at(i), of));
    return out;
  };
  static const std::vector<std::string> now = make(Order::now), before = make(Order::before_2022);
  return order == Order::now ? now : before;
}

RawRecord record_of(std::string_view bytes) {
  RawRecord r;
  r.kind = RawKind::frame;
  r.instruments = "kucoin:BTC-USDT";
  r.receive_time = timestamp_ns(1'723'161'254'087'896'568);
  r.bytes = bytes;
  return r;
}

template <class Decode>
void measure(benchmark::State& state, Order order, const Decode& decode) {
  const std::vector<std::string>& all = frames(order);
  Events events;
  std::size_t i = 0;
  for (auto _ : state) {
    events.clear();
    decode(record_of(all[i]), events);
    benchmark::DoNotOptimize(events.items.data());
    if (++i == all.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
void ours(benchmark::State& state, Order order) {
  measure(state, order, [](const RawRecord& record, Events& out) { all_decoders().decode(record, out); });
}
void strict(benchmark::State& state) { measure(state, Order::now, kucoin::decode_frame_strict); }
// What ingest looks at before it appends a frame.
void route(benchmark::State& state) {
  const std::vector<std::string>& all = frames(Order::now);
  std::vector<Instrument> to;
  std::size_t i = 0;
  for (auto _ : state) {
    to.clear();
    kucoin::route(all[i], to);
    benchmark::DoNotOptimize(to.data());
    benchmark::DoNotOptimize(kucoin::sent_time(all[i]));
    if (++i == all.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(ours, now, Order::now)->Name("decode/kucoin/truetape");
BENCHMARK_CAPTURE(ours, before, Order::before_2022)->Name("decode/kucoin/truetape_keys_of_2021");
BENCHMARK(strict)->Name("decode/kucoin/truetape_strict");
BENCHMARK(route)->Name("decode/kucoin/route_and_sent_time");

}  // namespace

std::string check_kucoin() {
  Events fast, strict;
  for (const Order order : {Order::now, Order::before_2022}) {
    for (std::size_t i = 0; i < dense().recorded(); ++i) {
      const DenseTrade t = dense().at(i);
      const std::string& text = frames(order)[i];
      fast.clear();
      strict.clear();
      all_decoders().decode(record_of(text), fast);
      kucoin::decode_frame_strict(record_of(text), strict);
      for (const Events* events : {&fast, &strict}) {
        if (events->items.size() != 1) return "frame " + std::to_string(i) + " is read wrongly: " + text;
        const Trade& trade = events->items[0].trade;
        if (events->items[0].type != Item::Type::trade || trade.order != 11'067'996'711'960'577 + t.id ||
            trade.id.view() != std::to_string(trade.order) || to_ns(trade.event_time) != t.time_ms * 1'000'000 ||
            trade.price != Decimal::of(t.price_e8, 8) || trade.quantity != Decimal::of(t.quantity_e8, 8) ||
            trade.taker_side != (t.buyer_is_maker ? Side::sell : Side::buy) ||
            trade.instrument.text() != "kucoin:BTC-USDT")
          return "frame " + std::to_string(i) + " is read wrongly: " + text;
      }
    }
  }
  return {};
}

}  // namespace truetape::bench
