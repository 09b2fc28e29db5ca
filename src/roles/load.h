// The role that copies topics into one store. One thread calls step(); it owns the sink and the readers. An error of
// Retry::after_backoff leaves the role as it is, and the next step tries again: if the store is down, locked or full
// the same rows, and it reads no further; if one partition waits (for a schema registry) it reads the others. After any
// other error destroy the role and make a new one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "stores/sink.h"

namespace truetape {

struct LoadOptions {
  std::string name = "sqlite";  // the kind of store, in metrics; readers are called "load:NAME", and retention waits
  std::string store{};          // where several stores may be loaded of one log: which, then they are "load:NAME:STORE"
  std::string adopt_command = "truetape import --data DIR --finish --adopt";  // that a sentence advises
  std::vector<std::string_view> topics{topic::trades,      topic::candles,  topic::gaps,        topic::quarantine,
                                       topic::late,        topic::progress, topic::instruments, topic::news,
                                       topic::news_counts, topic::quotes};
  std::size_t max_rows = 20'000;            // a batch is written when it has that many rows
  std::chrono::milliseconds max_wait{100};  // or its first row is that old
  Metrics* metrics = nullptr;               // borrowed; what to count into (docs/metrics.md)
};

struct LoadCounts {  // since the role was made
  std::uint64_t records = 0, batches = 0, rows = 0;
  std::uint64_t foreign = 0;  // of the records: not truetape's, so the store has them in quarantine
};

class LoadRole {
 public:
  // Opens the sink and the readers. `log` and `clock` are borrowed and outlive the role.
  static Result<std::unique_ptr<LoadRole>> open(Log& log, std::unique_ptr<Sink> sink, const Clock& clock,
                                                LoadOptions options = {});

  // Takes what is new, waiting at most `idle` for it, and writes a batch if one is due.
  Status step(std::chrono::milliseconds idle = std::chrono::milliseconds{20});
  // Writes what was taken, due or not, and how far that was: also past offsets that no record has.
  Status flush();

  const LoadCounts& counts() const { return counts_; }
  SinkCounts sink_counts() const { return sink_->counts(); }
  // Records in the log, of the role's partitions, that are not in the store yet: asks the log. nullopt until each
  // topic's partitions are divided.
  Result<std::optional<std::int64_t>> lag() const;

 private:
  struct Part {  // of one topic-partition
    std::int32_t partition;
    std::int64_t first;  // what the store has
    std::int64_t next;   // behind the last record taken
    std::vector<Row> rows;
    bool lacks = false;  // the log lost what an empty store wanted: the next flush tells it, rows or no rows
  };
  struct Source {
    std::string_view topic;
    std::unique_ptr<Reader> reader;
    std::vector<std::int32_t> to_claim;  // assigned, but the store has not said yet where to go on
    std::vector<Part> parts;
    bool polled = false;
  };

  LoadRole(Log& log, std::unique_ptr<Sink> sink, const Clock& clock, LoadOptions options)
      : log_{log}, clock_{clock}, options_{std::move(options)}, sink_{std::move(sink)} {}
  Status take(Source& source, std::chrono::milliseconds wait);
  static Part* part_of(Source& source, std::int32_t partition);
  static Error not_assigned(const Source& source, const Stored& stored);
  void took(Part& part, const Stored& stored);
  void add_foreign(Source& source, Part& part, const Stored& stored, const std::string& why);
  Status assign(Source& source, std::int32_t partition);
  // What the store may say that it has, once the rows of the part are written.
  static std::int64_t reached(const Source& source, const Part& part);
  bool moved() const;  // is that anywhere farther than it says?

  Log& log_;
  const Clock& clock_;
  const LoadOptions options_;
  std::unique_ptr<Sink> sink_;
  std::vector<Source> sources_;
  std::size_t waiting_ = 0;                                    // records taken and not written
  Appended oldest_;                                            // when the log took the oldest of these
  std::chrono::steady_clock::time_point since_{}, settled_{};  // of the first of these; of the last flush
  LoadCounts counts_;
  SinkCounts metered_;  // of the sink, when metrics were last told
};

}  // namespace truetape
