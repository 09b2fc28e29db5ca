// The whole on a real disk: what the log takes, what process makes durable, what reaches the store, what a restart
// costs. Each command prints lines of JSON ({"name", "value", "unit", ...}) for bench/run.py, after it has checked the
// content; wrong content ends it with 1 and no number.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <thread>

#include "batch/decoders.h"
#include "bench/truth.h"
#include "codec/wire.h"
#include "log/lmdb/lmdb_log.h"
#include "roles/load.h"
#include "roles/process.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::int32_t kPartitions = 8;
constexpr std::uint64_t kChunk = 8'192;

struct Args {
  std::filesystem::path directory;
  std::uint64_t trades = 1'000'000;
  std::size_t instruments = 1;
  std::uint64_t every = 0;      // reopen: one trade of so many is left out
  std::size_t records = 8'192;  // of one commit
};

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().detail);
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) fail(status.error().detail);
}

void say(const char* name, double value, const char* unit, const std::string& more = {}) {
  std::printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"%s%s}\n", name, value, unit,
              more.empty() ? "" : ", ", more.c_str());
  std::fflush(stdout);
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

// Of the calling thread.
double thread_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

std::unique_ptr<LmdbLog> open_log(const Args& args, std::size_t commit_records = 8'192) {
  LmdbOptions options;
  options.create = true;
  options.partitions = kPartitions;
  options.size_limit = 60'000'000'000;
  options.commit_records = commit_records;
  return must(open_lmdb_log(args.directory, options));
}

struct Tape {
  explicit Tape(const Args& args) : interleaved{dense, args.instruments} {
    for (const std::string& name : interleaved.names())
      partitions.push_back(static_cast<std::size_t>(partition_of(*Instrument::parse(name), kPartitions)));
  }
  Session session() const { return {interleaved, partitions}; }
  Dense dense;
  Interleaved interleaved;
  std::vector<std::size_t> partitions;
};

// All records of the trades, made before anything is measured.
std::vector<Chunk> prepare(Session& session, std::uint64_t trades) {
  std::vector<Chunk> out((trades + kChunk - 1) / kChunk);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].build(session, i * kChunk, std::min(trades, (i + 1) * kChunk));
    out[i].keep_entries_only();
  }
  return out;
}

void append(Appender& to, const Chunk::Entry& e) {
  const Record record{e.key, e.value, e.headers};
  while (!to.append(static_cast<std::int32_t>(e.partition), record)) must(to.flush(milliseconds{2}));
}
void flush(Appender& to) {
  while (!must(to.flush(milliseconds{1000}))) {
  }
}

// All trades once, in order, of the values that they must have; all due candles right.
void check_log(LmdbLog& log, const Tape& tape, std::uint64_t trades) {
  Truth truth{tape.interleaved, trades, Rules{}.intervals};
  std::map<std::string, std::uint64_t> next;
  std::uint64_t seen = 0;
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    const auto rows = [&](std::string_view topic, const auto& each) {
      const TopicSpan span = must(log.span(topic, p));
      must(log.scan(topic, p, span.oldest, span.end, [&](const Stored& s) {
        each(s);
        return true;
      }));
    };
    rows(topic::trades, [&](const Stored& s) {
      const Trade t = must(wire::decode<Trade>(s.record.value));
      auto [at, made] = next.try_emplace(t.instrument.str(), t.order);
      if (t.order != at->second++) fail("a trade is missing or double in the log: " + t.id.str());
      ++seen;
    });
    rows(topic::candles, [&](const Stored& s) { truth.take(must(wire::decode<Candle>(s.record.value))); });
    rows(topic::gaps, [&](const Stored&) { fail("a gap where there is none"); });
    rows(topic::quarantine, [&](const Stored&) { fail("a row in quarantine where all are sound"); });
  }
  if (seen != trades) fail(std::to_string(seen) + " trades in the log, there were " + std::to_string(trades));
  if (const std::string wrong = truth.judge(); !wrong.empty()) fail(wrong);
}

// --- commands ---

void fdatasync_latency(const Args& args) {
  const auto file = args.directory / "fdatasync.tmp";
  const int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_TRUNC, 0600);
  if (fd < 0) fail("cannot open " + file.string());
  std::vector<double> times;
  char page[4096];
  std::memset(page, 'x', sizeof page);
  for (int i = 0; i < 500; ++i) {
    const auto start = Clock::now();
    if (::pwrite(fd, page, sizeof page, static_cast<off_t>(i) * 4096) != sizeof page || ::fdatasync(fd) != 0)
      fail("fdatasync failed");
    times.push_back(since(start) * 1e3);
  }
  ::close(fd);
  std::filesystem::remove(file);
  std::sort(times.begin(), times.end());
  say("fdatasync", times[times.size() / 2], "ms", "\"p99\": " + std::to_string(times[times.size() * 99 / 100]));
}

// Raw frames into the log, nobody reads.
void log_append(const Args& args) {
  const Tape tape{args};
  Session session = tape.session();
  const std::vector<Chunk> chunks = prepare(session, args.trades);
  std::uint64_t records = 0, bytes = 0;
  for (const Chunk& chunk : chunks) {
    records += chunk.entries().size();
    for (const Chunk::Entry& e : chunk.entries()) bytes += record_bytes({e.key, e.value, e.headers});
  }
  const auto log = open_log(args);
  const auto to = must(log->appender(topic::raw));
  const auto start = Clock::now();
  for (const Chunk& chunk : chunks)
    for (const Chunk::Entry& e : chunk.entries()) append(*to, e);
  flush(*to);
  const double taken = since(start);
  const auto verified = must(log->verify());
  if (!verified.damage.empty() || verified.records != records)
    fail("the log holds " + std::to_string(verified.records) + " sound records of " + std::to_string(records));
  say("log_append", static_cast<double>(records) / taken, "records/s",
      "\"bytes_per_second\": " + std::to_string(static_cast<double>(bytes) / taken));
}

// poll and commit of a Task whose outputs cost nothing to make: one trade row for each record. A step is whole blocks,
// so its records may be more than what was asked for: the mean is told.
void task_commit(const Args& args) {
  const Tape tape{args};
  const auto log = open_log(args, args.records);
  std::uint64_t records = 0;
  {
    const auto to = must(log->appender(topic::raw));
    Session session = tape.session();
    Chunk chunk;
    for (std::uint64_t done = 0; done < args.trades; done += kChunk) {
      chunk.build(session, done, std::min(args.trades, done + kChunk));
      for (const Chunk::Entry& e : chunk.entries()) append(*to, e);
      records += chunk.entries().size();
    }
    flush(*to);
  }
  Trade trade;
  trade.instrument = *Instrument::parse("binance:BTCUSDT");
  trade.price = {6183763, 2};
  trade.quantity = {2, 2};
  trade.id = Text<40>::cut("3735683259");
  trade.source = Text<40>::cut("0123456789abcdef");
  std::string value;
  wire::encode(trade, value);
  const std::string state(100, 's');
  const auto task = must(log->task());
  std::vector<Output> outputs;
  std::vector<StateChange> changes;
  std::vector<double> times;
  std::uint64_t done = 0;
  const auto start = Clock::now();
  while (done < records) {
    const auto step = must(task->poll(milliseconds{2}));
    if (step.records.empty()) continue;
    outputs.clear();
    for (const Stored& s : step.records)
      outputs.push_back({topic::trades, s.partition, {"binance:BTCUSDT", value, {}}});
    changes.assign(8, {step.records[0].partition, "key", state});
    const auto before = Clock::now();
    must(task->commit(outputs, changes));
    times.push_back(since(before) * 1e3);
    done += step.records.size();
  }
  const double taken = since(start);
  std::int64_t there = 0;
  for (std::int32_t p = 0; p < kPartitions; ++p) there += must(log->span(topic::trades, p)).end;
  if (there != static_cast<std::int64_t>(records)) fail("not every output is in the log");
  std::sort(times.begin(), times.end());
  say("task_commit", static_cast<double>(records) / taken, "records/s",
      "\"records_per_commit\": " + std::to_string(records / times.size()) +
          ", \"commit_ms_median\": " + std::to_string(times[times.size() / 2]) +
          ", \"commit_ms_p99\": " + std::to_string(times[times.size() * 99 / 100]));
}

// Raw frames until every trade and candle is durable in the log; with `store` until every row is in SQLite too.
void pipeline(const Args& args, bool store) {
  const Tape tape{args};
  Session session = tape.session();
  const std::vector<Chunk> chunks = prepare(session, args.trades);
  const auto log = open_log(args);
  const Rules rules;
  const SystemClock clock;
  std::atomic<bool> appended{false}, processed{false};
  std::atomic<double> process_taken{0}, load_taken{0}, process_cpu{0}, load_cpu{0};
  std::string error;
  std::uint64_t accepted = 0, outputs = 0, state_changes = 0, steps = 0;
  SinkCounts sunk;
  const double cpu = cpu_seconds(), own_cpu = thread_seconds();
  const auto start = Clock::now();
  std::jthread process{[&] {
    try {
      const auto role = must(ProcessRole::open(*log, rules, all_decoders(), {}));
      for (;;) {
        const bool last = appended;
        must(role->step());
        if (last && must(role->lag()) == 0) break;
      }
      process_taken = since(start);
      process_cpu = thread_seconds();
      const ProcessCounts did = role->take_counts();
      for (const auto& [venue, counts] : did.venues) accepted += counts.accepted;
      outputs = did.outputs;
      state_changes = did.state_changes;
      steps = did.steps;
    } catch (const std::exception& e) {
      error = e.what();
    }
    processed = true;
  }};
  std::jthread load;
  if (store)
    load = std::jthread{[&] {
      try {
        SqliteOptions options;
        options.log_id = log->id();
        const auto role = must(LoadRole::open(*log, make_sqlite_sink(args.directory / "store.db", options), clock));
        for (;;) {
          const bool last = processed;
          must(role->step());
          if (!last) continue;
          must(role->flush());
          if (must(role->lag()).value_or(1) == 0) break;
        }
        load_taken = since(start);
        load_cpu = thread_seconds();
        sunk = role->sink_counts();
      } catch (const std::exception& e) {
        error = e.what();
      }
    }};
  const auto to = must(log->appender(topic::raw));
  for (const Chunk& chunk : chunks)
    for (const Chunk::Entry& e : chunk.entries()) append(*to, e);
  flush(*to);
  const double append_taken = since(start), append_cpu = thread_seconds() - own_cpu;
  appended = true;
  process.join();
  if (load.joinable()) load.join();
  const double used = cpu_seconds() - cpu;
  if (!error.empty()) fail(error);
  if (accepted != args.trades)
    fail(std::to_string(accepted) + " trades were accepted of " + std::to_string(args.trades));
  check_log(*log, tape, args.trades);
  const auto trades = static_cast<double>(args.trades);
  const auto us = [&](double cpu_s) { return std::to_string(cpu_s * 1e6 / trades); };
  const std::string more =
      "\"cpu_us_append\": " + us(append_cpu) + ", \"cpu_us_process\": " + us(process_cpu) +
      ", \"cpu_us_load\": " + us(load_cpu) +
      ", \"cpu_us_log_writer\": " + us(used - append_cpu - process_cpu - load_cpu) +
      ", \"instruments\": " + std::to_string(args.instruments) +
      ", \"append_per_second\": " + std::to_string(trades / append_taken) +
      ", \"cpu_us_per_trade\": " + std::to_string(used * 1e6 / trades) + ", \"outputs\": " + std::to_string(outputs) +
      ", \"state_changes\": " + std::to_string(state_changes) + ", \"steps\": " + std::to_string(steps) +
      ", \"log_bytes\": " + std::to_string(log->used_bytes());
  if (!store) return say("durable", trades / process_taken, "trades/s", more);
  if (sunk.contradictions != 0) fail("the store found contradictions: " + sunk.last_contradiction);
  std::int64_t rows = 0;
  for (const std::string_view name : {topic::trades, topic::candles})
    for (std::int32_t p = 0; p < kPartitions; ++p) rows += must(log->span(name, p)).end;
  if (sunk.rows < static_cast<std::uint64_t>(rows))
    fail(std::to_string(sunk.rows) + " rows were loaded, the log has " + std::to_string(rows));
  say("in_sqlite", trades / load_taken, "trades/s",
      more + ", \"durable_per_second\": " + std::to_string(trades / process_taken) +
          ", \"rows\": " + std::to_string(sunk.rows));
}

// A log of many records whose heart holds many live windows: one trade in `every` never came, so its window stays open
// to correction. The process that wrote it ends by SIGKILL. Then: open, restore, and the first commit of a new trade.
void reopen(const Args& args) {
  const Tape tape{args};
  const std::uint64_t count = args.instruments;
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    try {
      const auto log = open_log(args);
      const Rules rules;
      std::atomic<bool> appended{false};
      std::jthread process{[&] {
        const auto role = must(ProcessRole::open(*log, rules, all_decoders(), {}));
        for (;;) {
          const bool last = appended;
          must(role->step());
          if (last && must(role->lag()) == 0) break;
        }
        std::fprintf(stderr, "reopen: %llu outputs\n", static_cast<unsigned long long>(role->take_counts().outputs));
        ::kill(::getpid(), SIGKILL);
      }};
      const auto to = must(log->appender(topic::raw));
      Session session = tape.session();
      Chunk chunk;
      for (std::uint64_t done = 0; done < args.trades; done += kChunk) {
        chunk.build(session, done, std::min(args.trades, done + kChunk));
        std::uint64_t trade = done;
        for (const Chunk::Entry& e : chunk.entries()) {
          // Frames have a value, session records none. What is left out is a hole of one id for the ledger; the
          // session's own numbers go on, so only the venue's ids tell.
          if (!e.value.empty() && args.every > 0 && (trade++ / count) % args.every == args.every / 2) continue;
          append(*to, e);
        }
      }
      flush(*to);
      appended = true;
      process.join();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "reopen: %s\n", e.what());
    }
    ::_exit(3);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail("the writing process did not come to its end");

  const auto start = Clock::now();
  const auto log = open_log(args);
  const double opened = since(start);
  const Rules rules;
  auto role = must(ProcessRole::open(*log, rules, all_decoders(), {}));
  must(role->step());
  const double restored = since(start);
  // The next trade of the tape, until it and its open candle are durable.
  Session session = tape.session();
  Chunk chunk;
  chunk.build(session, args.trades, args.trades + 1);
  const auto to = must(log->appender(topic::raw));
  for (const Chunk::Entry& e : chunk.entries())
    if (!e.value.empty()) append(*to, e);
  must(to->flush(milliseconds{1000}));
  while (must(role->lag()) != 0) must(role->step());
  const double first = since(start);
  std::int64_t records = 0, gaps = 0;
  for (const std::string_view name : topic::all)
    for (std::int32_t p = 0; p < kPartitions; ++p) {
      const TopicSpan span = must(log->span(name, p));
      records += span.end - span.oldest;
      if (name == topic::gaps) gaps += span.end - span.oldest;
    }
  const auto counts_after = role->take_counts();
  role.reset();
  std::uint64_t windows = 0, entries = 0, state_bytes = 0;
  {
    const auto task = must(log->task());
    for (const Task::Assigned& a : must(task->poll(milliseconds{0})).assigned)
      for (const StateEntry& e : a.state) {
        ++entries;
        state_bytes += e.key.size() + e.value.size();
        const std::size_t split = e.key.find('\n');
        windows += split != 0 && split + 1 < e.key.size() && e.key[split + 1] == 'w';
      }
  }
  std::uint64_t accepted = 0;
  for (const auto& [venue, counts] : counts_after.venues) accepted += counts.accepted;
  if (accepted != 1) fail("the trade after the restart was not accepted");
  say("reopen", first, "s",
      "\"open_s\": " + std::to_string(opened) + ", \"restored_s\": " + std::to_string(restored) +
          ", \"records\": " + std::to_string(records) + ", \"gaps\": " + std::to_string(gaps) +
          ", \"live_windows\": " + std::to_string(windows) + ", \"state_entries\": " + std::to_string(entries) +
          ", \"state_bytes\": " + std::to_string(state_bytes) +
          ", \"log_bytes\": " + std::to_string(log->used_bytes()));
}

// Files for the peers and for `truetape import`: Binance's archive of trades (CSV), or a recording.
void write_csv(const Args& args) {
  const Tape tape{args};
  const auto file = args.directory / "BTCUSDT-trades-2024-08-09.csv";
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (!out) fail("cannot write " + file.string());
  for (std::uint64_t i = 0; i < args.trades; ++i) {
    const DenseTrade t = tape.dense.at(i);
    const auto quote = static_cast<__int128>(t.price_e8) * t.quantity_e8 / 100'000'000;
    std::fprintf(out, "%llu,%.*s,%.*s,%lld.%08lld,%lld,%s,True\n", static_cast<unsigned long long>(t.id),
                 static_cast<int>(t.price.size()), t.price.data(), static_cast<int>(t.quantity.size()),
                 t.quantity.data(), static_cast<long long>(quote / 100'000'000),
                 static_cast<long long>(quote % 100'000'000), static_cast<long long>(t.time_ms),
                 t.buyer_is_maker ? "True" : "False");
  }
  if (std::fclose(out) != 0) fail("cannot write " + file.string());
}
// `every` > 0: one trade of so many arrives 1 to 8 s late.
void write_frames(const Args& args) {
  const Tape tape{args};
  const auto file = args.directory / (args.every > 0 ? "late.frames" : "in-order.frames");
  std::vector<std::pair<std::int64_t, std::uint64_t>> arrivals;  // receive time in ms, number
  for (std::uint64_t i = 0; i < args.trades; ++i) {
    const DenseTrade t = tape.interleaved.at(i).trade;
    const std::uint64_t dice = (i + 1) * 0x9e3779b97f4a7c15 >> 33;
    const bool late = args.every > 0 && dice % args.every == 0 && i != 0 && i + 1000 < args.trades;
    arrivals.emplace_back(t.sent_ms + 1 + (late ? 1'000 + static_cast<std::int64_t>(dice / args.every % 7'000) : 0), i);
  }
  std::sort(arrivals.begin(), arrivals.end());
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (!out) fail("cannot write " + file.string());
  std::string line;
  for (const auto& [received, i] : arrivals) {
    line = std::to_string(received * 1'000'000) + ' ';
    tape.interleaved.frame(tape.interleaved.at(i), line);
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), out);
  }
  if (std::fclose(out) != 0) fail("cannot write " + file.string());
  if (args.instruments != 1) return;
  std::filesystem::path table = file;  // the same for those who cannot read frames
  table.replace_extension(".csv");
  out = std::fopen(table.c_str(), "w");
  if (!out) fail("cannot write " + table.string());
  std::fprintf(out, "receive_ms,id,price,quantity,time_ms,buyer_is_maker\n");
  for (const auto& [received, i] : arrivals) {
    const DenseTrade t = tape.dense.at(i);
    std::fprintf(out, "%lld,%llu,%.*s,%.*s,%lld,%s\n", static_cast<long long>(received),
                 static_cast<unsigned long long>(t.id), static_cast<int>(t.price.size()), t.price.data(),
                 static_cast<int>(t.quantity.size()), t.quantity.data(), static_cast<long long>(t.time_ms),
                 t.buyer_is_maker ? "true" : "false");
  }
  if (std::fclose(out) != 0) fail("cannot write " + table.string());
}

int run(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr,
                 "usage: pipeline fdatasync|append|commit|durable|sqlite|reopen|csv|frames DIRECTORY [--trades N] "
                 "[--instruments N] [--every N] [--records N]\n");
    return 2;
  }
  const std::string_view command = argv[1];
  Args args;
  args.directory = argv[2];
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--trades")
      args.trades = value;
    else if (name == "--instruments")
      args.instruments = value;
    else if (name == "--every")
      args.every = value;
    else if (name == "--records")
      args.records = value;
    else
      fail("unknown " + std::string{name});
  }
  std::filesystem::create_directories(args.directory);
  if (command == "fdatasync")
    fdatasync_latency(args);
  else if (command == "append")
    log_append(args);
  else if (command == "commit")
    task_commit(args);
  else if (command == "durable")
    pipeline(args, false);
  else if (command == "sqlite")
    pipeline(args, true);
  else if (command == "reopen")
    reopen(args);
  else if (command == "csv")
    write_csv(args);
  else if (command == "frames")
    write_frames(args);
  else
    fail("unknown command " + std::string{command});
  return 0;
}

}  // namespace
}  // namespace truetape::bench

int main(int argc, char** argv) {
  try {
    return truetape::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
}
