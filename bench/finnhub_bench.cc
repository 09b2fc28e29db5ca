// From the bytes of a Finnhub frame to its trades, by both readers: frames of ten trades, as a busy connection has
// them.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/kernels.h"
#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"

namespace truetape::bench {
namespace {

constexpr std::size_t kTrades = 10;
constexpr std::size_t kFrames = 1000;

struct Frame {
  std::string text;
  std::vector<DenseTrade> trades;
};

// "61837.64": without zeros at the end, as the venue writes numbers.
std::string number(std::int64_t e8) { return to_text(*Decimal::of(e8, 8)); }

const std::vector<Frame>& frames() {
  static const std::vector<Frame> all = [] {
    std::vector<Frame> out;
    for (std::size_t f = 0; f < kFrames; ++f) {
      Frame frame;
      frame.text = "{\"data\":[";
      for (std::size_t i = 0; i < kTrades; ++i) {
        const DenseTrade t = dense().at(f * kTrades + i);
        frame.trades.push_back(t);
        frame.text += i == 0 ? "" : ",";
        frame.text += R"({"c":["1","12"],"p":)" + number(t.price_e8) + R"(,"s":"BINANCE:BTCUSDT","t":)" +
                      std::to_string(t.time_ms) + R"(,"v":)" + number(t.quantity_e8) + "}";
      }
      frame.text += R"(],"type":"trade"})";
      out.push_back(std::move(frame));
    }
    return out;
  }();
  return all;
}

RawRecord record_of(std::string_view bytes) {
  RawRecord r;
  r.instruments = "finnhub:BINANCE:BTCUSDT";
  r.receive_time = timestamp_ns(1'723'161'254'087'896'568);
  r.bytes = bytes;
  return r;
}

bool right(const Frame& frame, const Events& events) {
  if (events.items.size() != frame.trades.size()) return false;
  for (std::size_t i = 0; i < kTrades; ++i) {
    const Item& item = events.items[i];
    const DenseTrade& t = frame.trades[i];
    if (item.type != Item::Type::trade || item.trade.price != Decimal::of(t.price_e8, 8) ||
        item.trade.quantity != Decimal::of(t.quantity_e8, 8) ||
        item.trade.event_time != timestamp_ns(t.time_ms * 1'000'000) ||
        item.trade.instrument.symbol() != "BINANCE:BTCUSDT" || item.ordinal != i)
      return false;
  }
  return true;
}

template <auto decode>
void read(benchmark::State& state) {
  Events events;
  for (const Frame& frame : frames()) {
    events.clear();
    decode(record_of(frame.text), events);
    if (!right(frame, events)) return state.SkipWithError(("a frame is read wrongly: " + frame.text).c_str());
  }
  std::size_t i = 0;
  while (state.KeepRunningBatch(kTrades)) {  // times are of one trade
    events.clear();
    decode(record_of(frames()[i].text), events);
    benchmark::DoNotOptimize(events.items.data());
    if (++i == kFrames) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void route(benchmark::State& state) {
  std::vector<Instrument> to;
  std::size_t i = 0;
  while (state.KeepRunningBatch(kTrades)) {  // times are of one trade
    to.clear();
    finnhub::kVenue.route(frames()[i].text, to);
    benchmark::DoNotOptimize(to.data());
    if (++i == kFrames) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(read<finnhub::decode_frame>)->Name("decode/finnhub/truetape");
BENCHMARK(read<finnhub::decode_frame_strict>)->Name("decode/finnhub/truetape_strict");
BENCHMARK(route)->Name("route/finnhub/truetape");

}  // namespace
}  // namespace truetape::bench
