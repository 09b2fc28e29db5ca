// The heart and its parts, and the processor whole: decode, rules, ledger, seven intervals, outputs encoded as the log
// takes them. One core, in memory.
#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>

#include "batch/decoders.h"
#include "bench/kernels.h"
#include "bench/truth.h"
#include "codec/wire.h"
#include "market/accumulator.h"
#include "market/ledger.h"
#include "market/processor.h"
#include "roles/outputs.h"

namespace truetape::bench {
namespace {

// Time that the thread had a core, so that others on the machine do not count.
struct Clock {
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<Clock, duration>;
  [[maybe_unused]] static constexpr bool is_steady = true;
  static time_point now() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return time_point{std::chrono::seconds{used.tv_sec} + duration{used.tv_nsec}};
  }
};

constexpr std::int64_t kEpoch = 1'700'000'000;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

struct Run {
  double fold = 0, finish = 0, encode = 0;
  double total() const { return fold + finish + encode; }
  std::uint64_t outputs = 0, output_bytes = 0, state_changes = 0, state_bytes = 0;
  Counts counts;
};

// `each` sees the encoded outputs of a batch; outside of the measured time.
template <class Each>
Run process(std::size_t instruments, std::uint64_t trades, std::size_t batch, const Decoder& decoder, Each each) {
  const Interleaved tape{dense(), instruments};
  Session session{tape, std::vector<std::size_t>(instruments, 0)};
  Rules rules;
  Processor processor{rules, decoder, 0, kEpoch};
  Results results;
  Outputs outputs;
  Chunk chunk;
  Run run;
  std::int64_t offset = 0;
  for (std::uint64_t done = 0; done < trades;) {
    const std::uint64_t to = std::min(trades, done + 8'192);
    chunk.build(session, done, to);
    done = to;
    const auto& entries = chunk.entries();
    for (std::size_t i = 0; i < entries.size();) {
      const std::size_t end = std::min(entries.size(), i + batch);
      outputs.clear();
      auto at = Clock::now();
      const auto spent = [&at](double& in) {
        const auto now = Clock::now();
        in += seconds(now - at);
        at = now;
      };
      const auto encode = [&] {
        outputs.add(results, 0);
        for (const auto& [venue, counts] : results.counts) {
          run.counts.in += counts.in;
          run.counts.accepted += counts.accepted;
        }
        results.clear();
        spent(run.encode);
      };
      for (; i < end; ++i) {
        if (results.trades.size() >= Outputs::kTradesAtOnce) {  // as the role does
          spent(run.fold);
          encode();
        }
        processor.fold(read_raw(entries[i].value, entries[i].headers, 0, offset++), results);
      }
      spent(run.fold);
      processor.finish_batch(results);
      spent(run.finish);
      encode();
      const auto rows = outputs.outputs();
      const auto changes = outputs.state();
      benchmark::DoNotOptimize(rows.data());
      benchmark::DoNotOptimize(changes.data());
      spent(run.encode);
      run.outputs += rows.size();
      run.state_changes += changes.size();
      for (const Output& row : rows) run.output_bytes += row.record.key.size() + row.record.value.size();
      for (const StateChange& change : changes) run.state_bytes += change.key.size() + change.value.value_or("").size();
      each(rows);
    }
  }
  return run;
}

void processor_in_memory(benchmark::State& state) {
  const auto instruments = static_cast<std::size_t>(state.range(0)), batch = static_cast<std::size_t>(state.range(1));
  const std::uint64_t trades = 1'000'000;
  Run last;
  for (auto _ : state) {
    last = process(instruments, trades, batch, all_decoders(), [](auto) {});
    if (last.counts.accepted != trades || last.counts.in != trades) state.SkipWithError("not every trade was accepted");
    state.SetIterationTime(last.total());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(trades));
  const double each = 1e9 / static_cast<double>(trades);
  state.counters["fold_ns"] = last.fold * each;
  state.counters["finish_ns"] = last.finish * each;
  state.counters["encode_ns"] = last.encode * each;
  state.counters["outputs"] = static_cast<double>(last.outputs);
  state.counters["output_bytes"] = static_cast<double>(last.output_bytes);
  state.counters["state_changes"] = static_cast<double>(last.state_changes);
  state.counters["state_bytes"] = static_cast<double>(last.state_bytes);
}

// Gives items that were decoded before.
class Decoded final : public Decoder {
 public:
  explicit Decoded(const std::vector<Item>& items) : items_{items} {}
  void decode(const RawRecord& record, Events& out) const override {
    if (record.kind == RawKind::frame) out.items.push_back(items_[static_cast<std::size_t>(record.offset)]);
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }

 private:
  const std::vector<Item>& items_;
};

// The heart alone: rules, ledger, candles of seven intervals, state; nothing decoded, nothing encoded.
void heart_per_trade(benchmark::State& state) {
  const std::uint64_t trades = 1'000'000;
  const Interleaved tape{dense(), 1};
  for (auto _ : state) {
    Session session{tape, {0}};
    Rules rules;
    std::vector<Item> items;
    const Decoded decoder{items};
    Processor processor{rules, decoder, 0, kEpoch};
    Results results;
    Chunk chunk;
    Events events;
    double spent = 0;
    for (std::uint64_t done = 0; done < trades; done += 8'192) {
      chunk.build(session, done, std::min(trades, done + 8'192));
      items.clear();
      std::vector<RawRecord> records;
      for (const Chunk::Entry& e : chunk.entries()) {
        records.push_back(read_raw(e.value, e.headers, 0, static_cast<std::int64_t>(items.size())));
        if (records.back().kind != RawKind::frame) continue;
        events.clear();
        all_decoders().decode(records.back(), events);
        items.push_back(events.items.at(0));
      }
      const auto start = Clock::now();
      for (const RawRecord& r : records) processor.fold(r, results);
      processor.finish_batch(results);
      spent += seconds(Clock::now() - start);
      results.clear();
    }
    state.SetIterationTime(spent);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(trades));
}

std::vector<Trade> decoded_trades(std::size_t count) {
  std::vector<Trade> out;
  Events events;
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text.clear();
    dense().spot_frame(dense().at(i), "BTCUSDT", text);
    RawRecord r;
    r.instruments = "binance:BTCUSDT";
    r.bytes = text;
    events.clear();
    all_decoders().decode(r, events);
    out.push_back(events.items.at(0).trade);
  }
  return out;
}

void ledger_insert(benchmark::State& state) {
  const auto trades = decoded_trades(dense().recorded());
  market::Ledger ledger;
  std::size_t i = 0;
  std::uint64_t moved = 0;
  for (auto _ : state) {
    const Trade& t = trades[i];
    benchmark::DoNotOptimize(ledger.insert(t.order + moved, t.event_time, std::nullopt));
    if (++i == trades.size()) {
      i = 0;
      moved += trades.size();
    }
  }
  if (!ledger.holes().empty()) state.SkipWithError("holes where there are none");
  state.SetItemsProcessed(state.iterations());
}

void candle_add(benchmark::State& state) {
  const auto trades = decoded_trades(dense().recorded());
  market::Accumulator sum;
  std::size_t i = 0;
  Timestamp window{};
  for (auto _ : state) {
    const Trade& t = trades[i];
    const Timestamp start = window_start(t.event_time, std::chrono::seconds{1});
    if (start != window) {
      benchmark::DoNotOptimize(sum);
      sum = {};
      window = start;
    }
    sum.add(t);
    if (++i == trades.size()) i = 0;
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}

void candle_merge(benchmark::State& state) {
  std::vector<market::Accumulator> seconds_of(64);
  const auto trades = decoded_trades(64 * 30);
  for (std::size_t i = 0; i < trades.size(); ++i) seconds_of[i / 30].add(trades[i]);
  market::Accumulator sum;
  std::size_t i = 0;
  for (auto _ : state) {
    if (i == 0) sum = {};
    sum.merge(seconds_of[i]);
    i = (i + 1) % 60;
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(ledger_insert)->Name("ledger/insert");
BENCHMARK(candle_add)->Name("candles/add_trade");
BENCHMARK(candle_merge)->Name("candles/merge_base_window");
BENCHMARK(heart_per_trade)->Name("heart/1M_trades")->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(processor_in_memory)
    ->Name("processor/1M_trades")
    ->ArgNames({"instruments", "batch"})
    ->Args({1, 8'192})
    ->Args({200, 8'192})
    ->Args({1, 64})
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

std::string check_heart() {
  for (const auto& [instruments, trades, batch] :
       {std::tuple{1UL, 200'000UL, 8'192UL}, {200UL, 400'000UL, 8'192UL}, {1UL, 50'000UL, 64UL}}) {
    const Interleaved tape{dense(), instruments};
    Truth truth{tape, trades, Rules{}.intervals};
    std::uint64_t rows = 0;
    std::string wrong;
    const Run run = process(instruments, trades, batch, all_decoders(), [&](std::span<const Output> outputs) {
      for (const Output& o : outputs) {
        rows += o.topic == topic::trades;
        if (o.topic == topic::gaps || o.topic == topic::quarantine)
          wrong = "a row of " + std::string{o.topic} + " where all is sound";
        if (o.topic != topic::candles) continue;
        const auto candle = wire::decode<Candle>(o.record.value);
        if (!candle)
          wrong = candle.error().detail;
        else
          truth.take(*candle);
      }
    });
    if (!wrong.empty()) return wrong;
    if (rows != trades || run.counts.accepted != trades)
      return std::to_string(rows) + " trades came out of " + std::to_string(trades);
    if (std::string judged = truth.judge(); !judged.empty()) return judged;
  }
  return {};
}

}  // namespace truetape::bench
