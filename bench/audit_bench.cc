// How fast audit reads: a log and its store, made by `pipeline sqlite DIRECTORY --trades N --instruments N`, whose
// content that command has checked. Prints lines of JSON as pipeline does; anything but "all is the same" ends it
// with 1 and no number.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "batch/audit.h"
#include "codec/wire.h"
#include "log/lmdb/lmdb_log.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::bench {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  return std::move(*result);
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

void run(const std::filesystem::path& directory, std::uint64_t trades) {
  LmdbOptions options;
  options.read_only = true;
  const auto log = must(open_lmdb_log(directory, options));
  const auto history = open_sqlite_history(directory / "store.db");
  // Each side alone, so that it shows which one the other waits for; also warms the page cache.
  double cpu = cpu_seconds();
  std::uint64_t in_store = 0;
  if (const Status read = history->scan_trades({}, [&](const Trade&) { return ++in_store, true; }); !read)
    throw std::runtime_error(read.error().detail);
  const double store_cpu = cpu_seconds() - cpu;
  cpu = cpu_seconds();
  std::uint64_t in_log = 0;
  for (std::int32_t p = 0; p < log->partitions(); ++p) {
    const auto span = must(log->span(topic::trades, p));
    const Status read = log->scan(topic::trades, p, span.oldest, span.end, [&](const Stored& stored) {
      return wire::decode<Trade>(stored.record.value).has_value() && ++in_log > 0;
    });
    if (!read) throw std::runtime_error(read.error().detail);
  }
  const double log_cpu = cpu_seconds() - cpu;
  if (in_store != trades || in_log != trades) throw std::runtime_error("not all trades are in log and store");

  for (int round = 0; round < 3; ++round) {
    const auto snapshot = must(history->snapshot());
    const double begun = seconds();
    cpu = cpu_seconds();
    const AuditReport report = must(audit(*log, *snapshot, {.numbers = [](std::string_view) { return true; }}));
    const double taken = seconds() - begun;
    cpu = cpu_seconds() - cpu;
    std::uint64_t counted = 0, candles = 0;
    for (const AuditDay& day : report.days) {
      if (day.verdict != Verdict::proved) throw std::runtime_error(text(day));
      counted += day.log.trades;
      candles += day.log.candles;
    }
    if (report.differs() || counted != trades) throw std::runtime_error("the audit did not compare all trades");
    const auto each = [&](double of) { return of * 1e6 / static_cast<double>(trades); };
    std::printf(
        "{\"name\": \"audit\", \"value\": %.6g, \"unit\": \"trades/s\", \"cpu_us_per_trade\": %.3f, "
        "\"cpu_us_read_store\": %.3f, \"cpu_us_read_log\": %.3f, \"candles\": %llu}\n",
        static_cast<double>(trades) / taken, each(cpu), each(store_cpu), each(log_cpu),
        static_cast<unsigned long long>(candles));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace truetape::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: audit_bench DIRECTORY TRADES\n");
    return 2;
  }
  try {
    truetape::bench::run(argv[1], std::strtoull(argv[2], nullptr, 10));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
}
