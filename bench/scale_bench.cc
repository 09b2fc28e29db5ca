// The heart where very much is missing or held at once: imports with every second id missing, which then come, and
// quarantined items whose ids are known, which then come as they should have been. One instrument, one core.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "market/processor.h"

namespace truetape::bench {
namespace {

constexpr std::uint64_t kItems = 100'000;
constexpr std::size_t kItemsPerRecord = 256, kRecordsPerBatch = 32;

double thread_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

// Gives the items of the stretch that the record's bytes name: "FIRST COUNT".
class Stretches final : public Decoder {
 public:
  explicit Stretches(const std::vector<Item>& items) : items_{items} {}
  void decode(const RawRecord& record, Events& out) const override {
    const std::string text{record.bytes};
    const std::size_t space = text.find(' ');
    const auto first = std::stoul(text), count = std::stoul(text.substr(space));
    for (std::size_t i = first; i < first + count; ++i) {
      out.items.push_back(items_[i]);
      out.items.back().ordinal = static_cast<std::uint32_t>(i - first);
    }
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }

 private:
  const std::vector<Item>& items_;
};

Item item_of(std::uint64_t id, bool bad) {
  Item item;
  item.type = bad ? Item::Type::bad : Item::Type::trade;
  item.has_id = item.has_time = true;
  item.reason = Reason::quantity;
  Trade& t = item.trade;
  t.instrument = *Instrument::parse("bench:BTCUSDT");
  t.tape = Tape::trade;
  t.id = Text<40>::cut(std::to_string(id));
  t.order = t.first_id = t.last_id = id;
  t.event_time = timestamp_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(id) * 10'000'000);
  t.price = {30'000, 0};
  t.quantity = {1, 3};
  t.taker_side = Side::buy;
  return item;
}

struct Feed {
  std::vector<Item> items;
  std::vector<std::size_t> ends;  // of the imports
};

void run(benchmark::State& state, const Feed& feed, std::uint64_t accepted) {
  for (auto _ : state) {
    const Rules rules;
    const Stretches decoder{feed.items};
    Processor processor{rules, decoder, 0, 1'700'000'000};
    Results results;
    std::uint64_t trades = 0;
    std::int64_t offset = 0;
    const std::string received = "1800000000000000000";
    std::string range, bytes;
    const auto fold = [&](RawKind kind) {
      RawRecord raw;
      raw.kind = kind;
      raw.offset = offset++;
      raw.instruments = "bench:BTCUSDT";
      raw.receive_time = timestamp_ns(1'800'000'000'000'000'000);
      const std::vector<Header> headers = {{header::range, range}, {header::receive_time, received}};
      raw.headers = headers;
      raw.bytes = bytes;
      processor.fold(raw, results);
    };
    const auto commit = [&] {
      processor.finish_batch(results);
      trades += results.trades.size();
      results.clear();
    };
    const double start = thread_seconds();
    std::size_t at = 0;
    for (const std::size_t end : feed.ends) {
      range = "import-" + std::to_string(at);
      fold(RawKind::begin);
      for (std::size_t records = 1; at < end; ++records) {
        const std::size_t count = std::min(kItemsPerRecord, end - at);
        bytes = std::to_string(at) + " " + std::to_string(count);
        fold(RawKind::history);
        at += count;
        if (records % kRecordsPerBatch == 0) commit();
      }
      bytes.clear();
      fold(RawKind::end);
      commit();
    }
    state.SetIterationTime(thread_seconds() - start);
    if (trades != accepted) state.SkipWithError("not every trade was accepted");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(feed.items.size()));
}

void holes(benchmark::State& state, bool shuffled) {
  Feed feed;
  for (std::uint64_t i = 0; i < kItems; ++i) feed.items.push_back(item_of(1 + 2 * i, false));
  feed.ends.push_back(feed.items.size());
  for (std::uint64_t i = 0; i + 1 < kItems; ++i) feed.items.push_back(item_of(2 + 2 * i, false));
  if (shuffled) std::shuffle(feed.items.begin() + kItems, feed.items.end(), std::mt19937_64{1});
  feed.ends.push_back(feed.items.size());
  run(state, feed, feed.items.size());
}

// `known`: between two accepted trades; else nothing was accepted before.
void held(benchmark::State& state, bool known) {
  Feed feed;
  if (known) feed.items.push_back(item_of(1, false));
  for (std::uint64_t i = 0; i < kItems; ++i) feed.items.push_back(item_of(2 + i, true));
  if (known) feed.items.push_back(item_of(2 + kItems, false));
  feed.ends.push_back(feed.items.size());
  for (std::uint64_t i = 0; i < kItems; ++i) feed.items.push_back(item_of(2 + i, false));
  feed.ends.push_back(feed.items.size());
  run(state, feed, feed.items.size() - kItems);
}

void row(const char* name, void (*bench)(benchmark::State&, bool), bool flag) {
  benchmark::RegisterBenchmark(name, bench, flag)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool registered = [] {
  row("scale/100k_holes_filled_in_order", holes, false);
  row("scale/100k_holes_filled_shuffled", holes, true);
  row("scale/100k_known_held_replaced", held, true);
  row("scale/100k_unknown_held_replaced", held, false);
  return true;
}();

}  // namespace
}  // namespace truetape::bench
