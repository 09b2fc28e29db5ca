// Trades and candles as the log holds them, and back.
#include <benchmark/benchmark.h>

#include "batch/decoders.h"
#include "bench/kernels.h"
#include "codec/keys.h"
#include "codec/wire.h"
#include "market/processor.h"

namespace truetape::bench {
namespace {

const Results& rows() {
  static const Results made = [] {
    Results out;
    Rules rules;
    Processor processor{rules, all_decoders(), 0, 1'700'000'000};
    const Interleaved tape{dense(), 1};
    Session session{tape, {0}};
    Chunk chunk;
    chunk.build(session, 0, 16'384);
    for (const Chunk::Entry& e : chunk.entries()) processor.fold(read_raw(e.value, e.headers, 0, 0), out);
    processor.finish_batch(out);
    return out;
  }();
  return made;
}

template <class T>
const std::vector<T>& of();
template <>
const std::vector<Trade>& of() {
  return rows().trades;
}
template <>
const std::vector<Candle>& of() {
  return rows().candles;
}

template <class T>
void encode(benchmark::State& state) {
  std::string out;
  std::size_t i = 0;
  for (auto _ : state) {
    if (i == 0) out.clear();
    wire::encode(of<T>()[i], out);
    if (++i == of<T>().size()) i = 0;
  }
  benchmark::DoNotOptimize(out.data());
  state.SetItemsProcessed(state.iterations());
  std::string once;
  for (const T& row : of<T>()) wire::encode(row, once);
  state.counters["bytes"] = static_cast<double>(once.size()) / static_cast<double>(of<T>().size());
}
template <class T>
void decode(benchmark::State& state) {
  std::vector<std::string> values;
  for (const T& row : of<T>()) wire::encode(row, values.emplace_back());
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(wire::decode<T>(values[i]));
    if (++i == values.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
template <class T>
void key(benchmark::State& state) {
  std::string out;
  std::size_t i = 0;
  for (auto _ : state) {
    out.clear();
    put_key(of<T>()[i], out);
    benchmark::DoNotOptimize(out.data());
    if (++i == of<T>().size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(encode<Trade>)->Name("codec/encode_trade");
BENCHMARK(decode<Trade>)->Name("codec/decode_trade");
BENCHMARK(key<Trade>)->Name("codec/key_trade");
BENCHMARK(encode<Candle>)->Name("codec/encode_candle");
BENCHMARK(decode<Candle>)->Name("codec/decode_candle");
BENCHMARK(key<Candle>)->Name("codec/key_candle");

template <class T>
std::string check() {
  for (const T& row : of<T>()) {
    std::string value;
    wire::encode(row, value);
    const auto back = wire::decode<T>(value);
    if (!back) return back.error().detail;
    if (!(*back == row)) return "a row comes back changed";
  }
  return of<T>().empty() ? "no rows" : "";
}

}  // namespace

std::string check_codec() {
  if (std::string wrong = check<Trade>(); !wrong.empty()) return wrong;
  return check<Candle>();
}

}  // namespace truetape::bench
