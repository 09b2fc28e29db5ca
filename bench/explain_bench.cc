// How long explain takes for one candle of a long log: one instrument's seconds and minutes, a trade in each second, as
// an import leaves them and as a live stream does (open rows before the closed ones, receive times, appended as they
// came). What is told is checked first: the right revisions, the same row in the store, the window's trade. Prints
// lines of JSON as pipeline does; wrong content ends it with 1 and no number.
//
// usage: explain_bench DIRECTORY CANDLES
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch/explain.h"
#include "codec/keys.h"
#include "codec/wire.h"
#include "core/clock.h"
#include "log/lmdb/lmdb_log.h"
#include "roles/load.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::bench {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const Timestamp kStart = *parse_rfc3339("2024-01-01T00:00:00Z");
constexpr int kStep = 240;  // seconds in one commit
constexpr int kAsked = 200;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  return std::move(*result);
}
void must(const Status& done) {
  if (!done) throw std::runtime_error(done.error().detail);
}

double cpu_ms() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

class ExplainHistory {
 public:
  ExplainHistory(fs::path directory, bool live, int seconds)
      : directory_{std::move(directory)}, live_{live}, seconds_{seconds} {
    fs::create_directories(directory_);
  }

  void write() {
    ManualClock clock{kStart};
    LmdbOptions options;
    options.create = true;
    options.partitions = 1;
    options.spacing = 0ms;
    options.clock = &clock;
    const auto log = must(open_lmdb_log(directory_, options));
    const auto task = must(log->task());
    const auto raw = must(log->appender(topic::raw));
    if (!live_) clock.advance(24h * 365);
    for (int from = 0; from < seconds_; from += kStep) {
      if (live_) clock.advance(std::chrono::seconds{kStep});
      if (!raw->append(0, {"bench", "frame", {}}) || !must(raw->flush(60s)))
        throw std::runtime_error("the log does not take a record");
      while (must(task->poll(10ms)).records.empty()) {
      }
      texts_.clear();
      outputs_.clear();
      for (int second = from; second < std::min(from + kStep, seconds_); ++second) put_second(second);
      must(task->commit(outputs_, {}));
    }
    SqliteOptions store;
    store.log_id = log->id();
    const auto load = must(LoadRole::open(*log, make_sqlite_sink(directory_ / "store.db", store), clock));
    do {
      must(load->step(0ms));
      must(load->flush());
    } while (must(load->lag()).value_or(1) > 0);
  }

  void measure() const {
    LmdbOptions options;
    options.read_only = true;
    const auto log = must(open_lmdb_log(directory_, options));
    const auto history = open_sqlite_history(directory_ / "store.db");
    ExplainParts parts{.log = *log, .search = *log, .history = *history, .store = "SQLite"};
    parts.rules.intervals = {1s, 60s};
    std::vector<double> taken, cpu;
    for (int i = 0; i < kAsked; ++i) {
      // All over the history, seconds and minutes in turn.
      const Interval interval = i % 2 == 0 ? Interval{1s} : Interval{60s};
      const auto second = static_cast<std::int64_t>(i) * (seconds_ - 120) / kAsked;
      const Timestamp start = window_start(kStart + std::chrono::seconds{second + 1}, interval);
      const double used = cpu_ms();
      const auto begun = std::chrono::steady_clock::now();
      const auto of = must(explain(parts, {.instrument = instrument(), .interval = interval, .start = start}));
      taken.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
      cpu.push_back(cpu_ms() - used);
      if (of.stores.at(0).verdict != "same" || of.revisions.size() != (live_ ? 2 : 1) ||
          of.trades.counted != static_cast<std::uint64_t>(interval / Interval{1s}) || of.row->start != start)
        throw std::runtime_error(to_text(of));
    }
    std::ranges::sort(taken);
    std::ranges::sort(cpu);
    const auto span = must(log->span(topic::candles, 0));
    std::printf(
        "{\"name\": \"explain, %s\", \"value\": %.4g, \"unit\": \"ms\", \"median\": %.4g, \"cpu_ms\": %.4g, "
        "\"most_cpu_ms\": %.4g, \"candles\": %lld}\n",
        live_ ? "live" : "import", taken.back(), taken[taken.size() / 2], cpu[cpu.size() / 2], cpu.back(),
        static_cast<long long>(span.end));
    std::fflush(stdout);
  }

 private:
  static Instrument instrument() { return *Instrument::parse("bench:BTCUSDT"); }

  template <class T>
  void put(std::string_view topic, const T& row) {
    auto& [key, value] = texts_.emplace_back();
    put_key(row, key);
    wire::encode(row, value);
    outputs_.push_back({topic, 0, {key, value, {}}});
  }
  void put_second(int second) {
    const Timestamp at = kStart + std::chrono::seconds{second};
    Trade trade;
    trade.instrument = instrument();
    trade.order = trade.first_id = trade.last_id = static_cast<std::uint64_t>(second) + 1;
    trade.id = Text<40>::cut(std::to_string(trade.order));
    trade.event_time = at;
    if (live_) trade.receive_time = at + 50ms;
    trade.price = parse_decimal("61234.56").value;
    trade.quantity = parse_decimal("0.12345").value;
    trade.taker_side = Side::buy;
    trade.source = Text<40>::cut(live_ ? "session1" : "0123456789abcdef0123456789abcdef01234567");
    trade.seq = trade.order;
    put(topic::trades, trade);
    put_candle(1s, at, trade, 1);
    if (second % 60 == 59) put_candle(60s, at - 59s, trade, 60);
  }
  void put_candle(Interval interval, Timestamp start, const Trade& last, std::uint64_t trades) {
    Candle c;
    c.instrument = instrument();
    c.interval = interval;
    c.start = start;
    c.epoch = 1'700'000'000;
    c.revision = trades;
    c.open = c.high = c.low = c.close = last.price;
    c.volume = to_amount(last.quantity);
    c.trades = trades;
    c.first_id = last.order - trades + 1;
    c.last_id = last.order;
    if (live_) {
      c.status = CandleStatus::open;
      put(topic::candles, c);
    }
    c.status = CandleStatus::closed;
    c.completeness = Completeness::complete;
    c.proof = Proof::ids;
    c.missing = 0;
    ++c.revision;
    put(topic::candles, c);
  }

  const fs::path directory_;
  const bool live_;
  const int seconds_;
  std::deque<std::pair<std::string, std::string>> texts_;
  std::vector<Output> outputs_;
};

}  // namespace
}  // namespace truetape::bench

int main(int argc, char** argv) {
  const int candles = argc == 3 ? std::atoi(argv[2]) : 0;
  if (candles < 1000) {
    std::fprintf(stderr, "usage: explain_bench DIRECTORY CANDLES (at least 1000)\n");
    return 2;
  }
  try {
    for (const bool live : {false, true}) {
      // A minute has 61 rows of imported history, twice as many of a live stream.
      const int seconds = candles / (live ? 2 : 1) / 61 * 60;
      truetape::bench::ExplainHistory history{std::filesystem::path{argv[1]} / (live ? "live" : "import"), live,
                                              seconds};
      history.write();
      for (int round = 0; round < 3; ++round) history.measure();
    }
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
}
