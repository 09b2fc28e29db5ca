#include "app/log_meters.h"

#include <map>

#include "app/lines.h"

namespace truetape::app {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 1s;
constexpr auto kReaders = 10s;  // what a reader that is far behind holds takes a while to add up
constexpr auto kAgain = 10min;  // between warnings of the same

constexpr const char* kHeld = "truetape_log_held_bytes";
constexpr const char* kHeldHelp = "Bytes of the log that a reader has not stored, so that they are kept";

}  // namespace

LogMeters::LogMeters(const LmdbLog& log, const LmdbOptions& limits, Metrics& metrics) : log_{log}, metrics_{metrics} {
  const auto limit = [&](const char* which, std::uint64_t bytes) {
    metrics_
        .gauge("truetape_log_limit_bytes",
               "Bytes in use above which records are deleted (size), and intake stops (hard)", {{"limit", which}})
        .set(static_cast<std::int64_t>(bytes));
  };
  limit("size", limits.size_limit);
  limit("hard", limits.hard_limit_bytes());
}

void LogMeters::look() {
  const Steady now = std::chrono::steady_clock::now();
  if (now - looked_ < kLook) return;
  looked_ = now;
  const LmdbLog::Work work = log_.work();
  const auto count = [&](const char* name, const char* help, std::uint64_t of, std::uint64_t before) {
    metrics_.counter(name, help).add(of - before);
  };
  metrics_.gauge("truetape_log_used_bytes", "Bytes of pages in use by topics and state")
      .set(static_cast<std::int64_t>(log_.used_bytes()));
  count("truetape_log_commits_total", "Transactions of the log's writer", work.commits, before_.commits);
  count("truetape_log_record_bytes_total", "Bytes of blocks and state that were written", work.record_bytes,
        before_.record_bytes);
  if (work.page_bytes)
    count("truetape_log_written_bytes_total", "Bytes that were written to the log's file", *work.page_bytes,
          before_.page_bytes.value_or(0));
  count("truetape_log_deleted_blocks_total", "Blocks deleted by age and size", work.deleted_blocks,
        before_.deleted_blocks);
  count("truetape_log_compactions_total", "Passes of compaction", work.compactions, before_.compactions);
  count("truetape_log_compacted_records_total", "Records that compaction left out", work.compacted_records,
        before_.compacted_records);
  before_ = work;
  if (now - readers_looked_ >= kReaders) {
    readers_looked_ = now;
    look_at_readers();
  }
  look_at_pressure(now);
}

void LogMeters::look_at_readers() {
  const auto holds = log_.holds();
  if (!holds) return;  // who reads the log tells why
  std::map<std::string, std::uint64_t> held;
  for (const std::string& reader : readers_) held[reader] = 0;  // the forgotten ones hold nothing
  for (const LmdbLog::Hold& hold : *holds) held[hold.name] += hold.bytes;
  for (const auto& [reader, bytes] : held) {
    readers_.insert(reader);
    metrics_.gauge(kHeld, kHeldHelp, {{"reader", reader}}).set(static_cast<std::int64_t>(bytes));
  }
}

void LogMeters::look_at_pressure(Steady now) {
  const auto pressure = log_.pressure();
  if (pressure && (!pressed_ || now - told_ >= kAgain)) {
    say(Level::warning, "log", *pressure);
    told_ = now;
  }
  if (!pressure && pressed_) say(Level::info, "log", "it is within its size limit again");
  pressed_ = pressure.has_value();
}

}  // namespace truetape::app
