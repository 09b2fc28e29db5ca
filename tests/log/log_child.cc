// A process that appends, processes and loads until it is killed. Usage: log_child DIRECTORY SEED RECORDS
// Prints "open", "full" when there is no room (it waits then), "done", and
// "P partition number": this number and all before it are promised durable; "C 0 end": so far `control` is.
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "log/conformance/counting.h"
#include "log/lmdb/lmdb_log.h"

namespace {

using namespace truetape;
using namespace truetape::conformance;
using namespace std::chrono_literals;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "log_child: %s\n", why.c_str());
  std::_Exit(3);
}
// One write of at most a pipe's atomic size.
void say(const std::string& text) {
  if (write(1, text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail("cannot write to the pipe");
}

// No room is no reason to end: say it and wait.
void no_room(const Error& error) {
  if (error.fault != Fault::no_space) fail(error.detail);
  say("full\n");
  std::this_thread::sleep_for(20ms);
}

std::vector<std::int64_t> last_numbers(Log& log) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(log.partitions()), -1);
  auto reader = log.reader(topic::raw, "", Share::all).value();
  auto step = reader->poll(0ms);
  for (const std::int32_t p : step->assigned)
    if (Status at = reader->seek(p, std::nullopt); !at) fail(at.error().detail);
  for (step = reader->poll(0ms); step && !step->records.empty(); step = reader->poll(0ms))
    for (const Stored& s : step->records) out[static_cast<std::size_t>(s.partition)] = number_of(s).value_or(-2);
  if (!step) fail(step.error().detail);
  return out;
}

void append(Log& log, std::mt19937 random, int records, std::atomic<bool>& finished) {
  std::vector<std::int64_t> number = last_numbers(log);
  auto appender = log.appender(topic::raw).value();
  const auto flush = [&] {
    Result<bool> flushed = false;
    while (!(flushed = appender->flush(1s)) || !*flushed) {
      if (flushed) continue;
      if (flushed.error().retry != Retry::after_backoff) fail(flushed.error().detail);
      no_room(flushed.error());
    }
    std::string promise;
    for (std::size_t p = 0; p < number.size(); ++p)
      promise += "P " + std::to_string(p) + " " + std::to_string(number[p]) + "\n";
    say(promise);
  };
  for (int i = 0; i < records; ++i) {
    const auto p = static_cast<std::int32_t>(random() % number.size());
    const NumberedRecord record{p, number[static_cast<std::size_t>(p)] + 1};
    while (!appender->append(p, record.record())) flush();
    ++number[static_cast<std::size_t>(p)];
    if (random() % 50 == 0) flush();
    if (random() % 200 == 0) std::this_thread::sleep_for(1ms);
  }
  flush();
  finished = true;
}

void load(Log& log, const std::atomic<bool>& finished) {
  auto reader = log.reader(topic::trades, "store", Share::group).value();
  while (!finished) {
    auto step = reader->poll(20ms);
    if (!step) fail(step.error().detail);
    for (const std::int32_t p : step->assigned)
      if (Status at = reader->seek(p, std::nullopt); !at) fail(at.error().detail);
    for (const Stored& s : step->records)
      if (Status kept = reader->stored(s.partition, s.offset + 1); !kept) fail(kept.error().detail);
  }
}

// The same few keys of a compacted topic again and again; each value is its offset.
void keep(Log& log, const std::atomic<bool>& finished) {
  const auto span = log.span(topic::control, 0);
  if (!span) fail(span.error().detail);
  auto appender = log.appender(topic::control).value();
  for (std::int64_t next = span->end; !finished;) {
    for (int i = 0; i < 5; ++i, ++next) {
      const std::string key = "key" + std::to_string(next % 7), value = std::to_string(next);
      if (!appender->append(0, {key, value, {}})) fail("control takes no record");
    }
    for (Result<bool> flushed = false; !finished && (!flushed || !*flushed);)
      if (!(flushed = appender->flush(100ms))) {
        if (flushed.error().retry != Retry::after_backoff) fail(flushed.error().detail);
        no_room(flushed.error());
      } else if (*flushed) {
        say("C 0 " + std::to_string(next) + "\n");
      }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: log_child DIRECTORY SEED RECORDS");
  const auto seed = static_cast<unsigned>(std::atoi(argv[2]));
  LmdbOptions options;
  options.create = true;
  options.partitions = 4;
  options.spacing = std::chrono::milliseconds{seed % 3};
  options.lz4[*topic::index(topic::raw)] = seed % 2 == 0;
  options.compact_records = 10;
  options.compact_every = 1ms;
  auto log = open_lmdb_log(argv[1], options);
  if (!log) fail(log.error().detail);
  say("open\n");
  std::atomic<bool> finished{false};
  std::thread appender{[&] { append(**log, std::mt19937{seed}, std::atoi(argv[3]), finished); }};
  std::thread loader{[&] { load(**log, finished); }};
  std::thread keeper{[&] { keep(**log, finished); }};
  for (bool last = false; !last;) {
    last = finished;
    std::optional<Error> error;
    if (const auto fault = run_task(**log, error)) fail(*fault);
    if (error) no_room(*error);
    if (error) last = false;
  }
  appender.join();
  loader.join();
  keeper.join();
  say("done\n");
}
