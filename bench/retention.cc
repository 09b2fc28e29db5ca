// Does retention keep up with an import? most_used_bytes is above the limit as far as the reader was behind (what it
// has not stored is kept, and at a quarter above the limit the import waits); late_seconds is what retention itself
// lacked. Rows go into raw as fast as the log takes them, a Task makes a trade of each, a reader stores them; once
// without a limit and once with a small one. The content is checked first: what is kept is whole up to the end and says
// what it must. Prints lines of JSON ({"name", "value", "unit", ...}) as pipeline.cc does; wrong content ends it with 1
// and no number.
//
// usage: retention DIRECTORY [MILLIONS OF TRADES]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "log/lmdb/lmdb_log.h"

namespace truetape::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr std::int32_t kPartitions = 8;
constexpr std::uint64_t kRows = 850;  // of a record of raw, as an import puts a CSV file's there
constexpr std::size_t kRowBytes = 74, kTradeBytes = 105;
constexpr std::uint64_t kLimit = 256'000'000;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().detail);
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) fail(status.error().detail);
}
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A text of `bytes` that begins with the number.
void number_text(std::uint64_t number, std::size_t bytes, std::string& out) {
  out = std::to_string(number) + ' ';
  for (std::uint64_t x = number * 0x9e37'79b9'7f4a'7c15U; out.size() < bytes; x = x * 6364136223846793005U + 1)
    out += static_cast<char>('0' + (x >> 33) % 75);
}

struct Measured {
  double rate = 0, late = 0;  // late: seconds from the end until no more than the limit is in use
  std::uint64_t most_used = 0, file = 0, records = 0;
  LmdbLog::Work work;
};

// What one thread throws ends the bench.
std::atomic<bool> broken{false};
template <class Work>
std::thread start(Work work) {
  return std::thread{[work] {
    try {
      work();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "retention: %s\n", e.what());
      broken = true;
    }
  }};
}

void make_trades(Log& log, std::uint64_t trades, std::atomic<std::uint64_t>& made) {
  const auto task = must(log.task());
  std::vector<std::string> values;
  std::vector<Output> outputs;
  while (made < trades && !broken) {
    const auto step = must(task->poll(milliseconds{20}));
    if (step.records.empty()) continue;
    values.resize(std::max(values.size(), step.records.size() * kRows));
    outputs.clear();
    for (const Stored& s : step.records)
      for (std::uint64_t i = 0; i < kRows; ++i) {
        std::string& value = values[outputs.size()];
        number_text(std::strtoull(s.record.value.data(), nullptr, 10) * kRows + i, kTradeBytes, value);
        outputs.push_back({topic::trades, s.partition, {"binance:BTCUSDT", value, {}}});
      }
    must(task->commit(outputs, {}));
    made += outputs.size();
  }
}

void store_trades(Log& log, std::uint64_t trades) {
  const auto reader = must(log.reader(topic::trades, "load:bench", Share::group));
  for (std::uint64_t seen = 0; seen < trades && !broken;) {
    const auto step = must(reader->poll(milliseconds{20}));
    for (const std::int32_t p : step.assigned) must(reader->seek(p, std::nullopt));
    for (std::size_t i = 0; i < step.records.size(); ++i) {
      const Stored& s = step.records[i];
      if (i + 1 == step.records.size() || step.records[i + 1].partition != s.partition)
        must(reader->stored(s.partition, s.offset + 1));
    }
    seen += step.records.size();
  }
}

// What is kept is whole up to the end.
std::uint64_t check(const LmdbLog& log, std::uint64_t trades) {
  std::uint64_t ends = 0, kept = 0;
  std::string expected;
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    const TopicSpan span = must(log.span(topic::trades, p));
    ends += static_cast<std::uint64_t>(span.end);
    std::int64_t next = span.oldest;
    must(log.scan(topic::trades, p, span.oldest, span.end, [&](const Stored& s) {
      // Record n of raw is in partition n mod 8, so the trade at this offset is known.
      const auto at = static_cast<std::uint64_t>(s.offset);
      const std::uint64_t record = at / kRows * kPartitions + static_cast<std::uint64_t>(p);
      number_text(record * kRows + at % kRows, kTradeBytes, expected);
      if (s.offset != next++ || s.record.value != expected) fail("a trade is wrong at offset " + std::to_string(at));
      ++kept;
      return true;
    }));
    if (next != span.end) fail("trades are missing at the end of partition " + std::to_string(p));
  }
  if (ends != trades) fail(std::to_string(ends) + " trades were made, there were " + std::to_string(trades));
  if (const auto verified = must(log.verify()); !verified.damage.empty()) fail(verified.damage.front());
  return kept;
}

Measured run(const fs::path& directory, std::uint64_t limit, std::uint64_t trades) {
  fs::remove_all(directory);
  LmdbOptions options;
  options.create = true;
  options.partitions = kPartitions;
  options.commit_records = 32'768;  // as an import's
  options.append_buffer_bytes = std::size_t{8} << 20;
  options.size_limit = limit;
  const auto log = must(open_lmdb_log(directory, options));
  Measured out;
  std::atomic<std::uint64_t> made{0};
  std::atomic<bool> ended{false};
  const auto begin = Clock::now();
  std::thread task = start([&] { make_trades(*log, trades, made); });
  std::thread reader = start([&] { store_trades(*log, trades); });
  std::thread watch = start([&] {
    for (; !ended; std::this_thread::sleep_for(milliseconds{20}))
      out.most_used = std::max(out.most_used, log->used_bytes());
  });
  {
    const auto appender = must(log->appender(topic::raw));
    std::string value;
    for (std::uint64_t n = 0; n < trades / kRows && !broken; ++n) {
      number_text(n, kRows * kRowBytes, value);
      while (!appender->append(static_cast<std::int32_t>(n % kPartitions), {"binance:BTCUSDT", value, {}}) && !broken) {
        // No room while the reader is behind is no fault here: it is waited for, as an import does.
        if (const auto flushed = appender->flush(milliseconds{20});
            !flushed && flushed.error().fault != Fault::no_space)
          fail(flushed.error().detail);
      }
    }
    for (bool flushed = false; !flushed && !broken;) {
      const auto done = appender->flush(milliseconds{100});
      flushed = done && *done;
    }
  }
  task.join();
  reader.join();
  const double seconds = since(begin);
  ended = true;
  watch.join();
  if (broken) fail("a part of it failed");
  // All is stored: what is above the limit now is what retention was late with. A look of it is a second.
  const auto stored = Clock::now();
  while (log->used_bytes() > limit + limit / 50 && since(stored) < 60) std::this_thread::sleep_for(milliseconds{5});
  if (log->used_bytes() > limit + limit / 50) fail("retention did not come back to its limit");
  out.late = since(stored);
  out.records = check(*log, trades);
  out.rate = static_cast<double>(trades) / seconds;
  out.file = fs::file_size(directory / "log.mdb");
  out.work = log->work();
  return out;
}

void say(const char* name, const Measured& m, std::uint64_t trades) {
  std::printf(
      "{\"name\": \"%s\", \"value\": %.0f, \"unit\": \"trades/s\", \"most_used_bytes\": %llu, \"file_bytes\": %llu, "
      "\"deleted_blocks\": %llu, \"kept_trades\": %llu, \"written_bytes_per_trade\": %.1f, "
      "\"record_bytes_per_trade\": %.1f, \"late_seconds\": %.3f}\n",
      name, m.rate, static_cast<unsigned long long>(m.most_used), static_cast<unsigned long long>(m.file),
      static_cast<unsigned long long>(m.work.deleted_blocks), static_cast<unsigned long long>(m.records),
      static_cast<double>(m.work.page_bytes.value_or(0)) / static_cast<double>(trades),
      static_cast<double>(m.work.record_bytes) / static_cast<double>(trades), m.late);
  std::fflush(stdout);
}

}  // namespace
}  // namespace truetape::bench

int main(int argc, char** argv) {
  using namespace truetape::bench;
  if (argc < 2) return std::fprintf(stderr, "usage: retention DIRECTORY [MILLIONS OF TRADES]\n"), 2;
  const std::uint64_t millions = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20;
  const std::uint64_t trades = millions * 1'000'000 / (kRows * kPartitions) * (kRows * kPartitions);
  try {
    const fs::path directory = fs::path{argv[1]} / "retention_bench";
    say("retention/none", run(directory, 1'000'000'000'000, trades), trades);
    const Measured limited = run(directory, kLimit, trades);
    say("retention/256MB", limited, trades);
    fs::remove_all(directory);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "retention: %s\n", e.what());
    return 1;
  }
}
