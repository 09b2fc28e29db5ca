// The durable log: one contract, three implementations (log/memory, log/lmdb, log/kafka). A topic has partitions; a
// partition keeps records in order under rising offsets, with holes. Each object belongs to one thread at a time; a
// Log is safe from any. Crash-only: after Retry::rebuild destroy the object and what was built from it and open a new
// one, which goes on from the last commit. Views live until the next call on the same object.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/raw.h"
#include "core/result.h"
#include "core/time.h"

namespace truetape {

// Topic names (design section 3), shared by all implementations.
namespace topic {
inline constexpr std::string_view raw = "raw";
inline constexpr std::string_view trades = "trades";
inline constexpr std::string_view quotes = "quotes";
inline constexpr std::string_view candles = "candles";
inline constexpr std::string_view news = "news";
inline constexpr std::string_view gaps = "gaps";
inline constexpr std::string_view quarantine = "quarantine";
inline constexpr std::string_view late = "late";
inline constexpr std::string_view progress = "progress";
inline constexpr std::string_view instruments = "instruments";
inline constexpr std::string_view control = "control";
inline constexpr std::string_view news_counts = "news_counts";
// In the order in which they came to be: a store tells records of theirs apart by it (roles/load.cc).
inline constexpr std::array<std::string_view, 12> all{raw,        trades, quotes,   candles,     news,    gaps,
                                                      quarantine, late,   progress, instruments, control, news_counts};
// Of these topics each key's last record is kept for ever, and the older ones of a key may go: offsets then have holes,
// and a position in a hole is as good as the next record's.
constexpr bool keeps_last(std::string_view name) {
  return name == gaps || name == progress || name == instruments || name == control;
}
// Place of a topic in `all`; nullopt for a name that is no topic.
constexpr std::optional<std::size_t> index(std::string_view name) {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i] == name) return i;
  return std::nullopt;
}
}  // namespace topic

struct Record {
  std::string_view key, value;
  std::span<const Header> headers;
};
struct Stored {
  Record record;
  std::int32_t partition;
  std::int64_t offset;
  // Of a log that keeps values with the ids of a schema registry (Kafka) and gives them with the program's own instead:
  // the id in the value as it lies there, for who wants its very bytes. 0: `record` has these.
  std::uint32_t kept_id = 0;
};
struct Output {
  std::string_view topic;
  std::int32_t partition;
  Record record;
};
// When the log took the oldest of a step's records, by its own clock: the commit that made it durable began then. For
// metrics. nullopt: there are no records, or the log keeps no such time.
using Appended = std::optional<Timestamp>;

// One key of a partition's state. nullopt deletes it.
struct StateChange {
  std::int32_t partition;
  std::string_view key;
  std::optional<std::string_view> value;
};
struct StateEntry {
  std::string key, value;
};

// Into one topic, `raw` or `control`, from outside the processing step: ingest, backfill, import, replay, serve,
// commands.
class Appender {
 public:
  virtual ~Appender() = default;  // what was not flushed may be lost; the ledger will see a hole
  // Copies into a bounded buffer, never waits. False: full; stop reading the socket, flush, try again; never drop.
  // Order is kept per partition. A record of more than kMaxRecordBytes, or for a partition that is not there, is
  // never taken: check before.
  [[nodiscard]] virtual bool append(std::int32_t partition, const Record& record) = 0;
  // True: all appended before is durable and visible. False: not within `wait`. An error ends the session that
  // appended: what was appended since the last true flush may or may not be there. Except one with
  // Retry::after_backoff (Fault::no_space: no room now; Fault::unavailable: the brokers do not take it): the buffer is
  // kept and goes in order as soon as it can; flush again.
  virtual Result<bool> flush(std::chrono::milliseconds wait) = 0;
};
inline constexpr std::size_t kMaxRecordBytes = 1 << 20;  // by record_bytes()
// Key, value, names and values of the headers, and 8 for each header.
constexpr std::size_t record_bytes(const Record& record) {
  std::size_t bytes = record.key.size() + record.value.size();
  for (const Header& h : record.headers) bytes += h.name.size() + h.value.size() + 8;
  return bytes;
}
// What commit() answers to an output of more: which one it is.
Error too_large(const Output& output);
inline constexpr std::size_t kMaxStateKeyBytes = 511;  // and at least 1; what LMDB takes as a key

// The exactly-once step: reads its share of `raw`, writes all results. At most one Task per partition is alive;
// embedded and memory logs have one Task that owns all partitions; on Kafka each process has one, and they divide them.
class Task {
 public:
  struct Assigned {
    std::int32_t partition;
    std::vector<StateEntry> state;  // complete, as of the last commit, in key order
  };
  // Records [from, to) that were deleted before any Task had processed them: they are lost here, their ids become gaps.
  struct Lost {
    std::int32_t partition;
    std::int64_t from, to;
  };
  struct Step {
    std::vector<std::int32_t> revoked;  // 1. forget these partitions
    std::vector<Assigned> assigned;     // 2. rebuild these from their state (the first step that gives records is not
                                        //    before the first that assigns)
    std::span<const Stored> records;    // 3. fold these, of each partition in order
    std::vector<Lost> lost{};           // to be told; a log that keeps raw for its Task never has any
    Appended appended{};
  };
  virtual ~Task() = default;  // an uncommitted step is given again, here or elsewhere
  // Collects for at most `linger` or to the batch limit; may be empty.
  virtual Result<Step> poll(std::chrono::milliseconds linger) = 0;
  // Outputs, state and the positions behind the step become durable and visible together or not at all. Called exactly
  // once after each poll that gave records, before the next. After an error it may or may not have happened: the next
  // Task's state tells. A failed commit invalidates what was built from the state.
  virtual Status commit(std::span<const Output> outputs, std::span<const StateChange> state) = 0;
  // About how many records of an assigned partition come behind those of the last step: costs nothing, and may be as
  // old as the last answer of a broker.
  virtual std::int64_t behind(std::int32_t partition) const = 0;
  // Has this one got its share of the partitions, which may be none? Who shares with nobody has.
  virtual bool joined() const { return true; }
};

// Committed records of one topic for those that keep their own position.
class Reader {
 public:
  struct Step {
    std::vector<std::int32_t> revoked, assigned;
    std::span<const Stored> records;
    // What stands between them, has its bytes as they came, and was not written by truetape (no schema of its topic):
    // for quarantine. Only a log that others can write to has such.
    std::span<const Stored> foreign{};
    Appended appended{};
  };
  virtual ~Reader() = default;
  // Returns as soon as something new is committed, at the latest after `wait` (another process looks each 50 ms). An
  // empty step need not mean the end of what is committed: position() tells. Share::all: the first step assigns. While
  // a store is down, do not poll: the log waits, lag shows. Retry::after_backoff: a partition waits for what somebody
  // must tell of its next record; the next poll gives what the others have.
  virtual Result<Step> poll(std::chrono::milliseconds wait) = 0;
  // An assigned partition is silent until this. nullopt: where stored() left off, else the oldest. Fault::out_of_range
  // when `offset` is below the oldest kept record, unless the topic keeps each key's last one; the error names the
  // hole; below what was made anew it goes on there. An offset beyond the end is Fault::mismatch.
  virtual Status seek(std::int32_t partition, std::optional<std::int64_t> offset) = 0;
  // All below `next` is safe in a reader's store: for retention (at once, if lower), lag, restart; durable soon, and
  // when the reader is destroyed.
  virtual Status stored(std::int32_t partition, std::int64_t next) = 0;
  // Before which every committed record of the partition was given: behind the last one, and behind the holes that
  // follow it as far as they are known. So who has come to span().end has all that was committed when it was asked.
  // nullopt: not assigned, or not sought yet.
  virtual std::optional<std::int64_t> position(std::int32_t partition) const = 0;
  // Has this one got its share of the partitions, which may be none? Who shares with nobody has, by its first step.
  virtual bool joined() const { return true; }
};

// Which partitions a Reader gets: all of them (serve, query), or the readers of one name divide them (load, backfill).
enum class Share : std::uint8_t { all, group };

struct TopicSpan {
  std::int64_t oldest;  // offset of the oldest kept record; = end when empty
  std::int64_t end;     // offset that the next record will get, or more
};

class Log {
 public:
  virtual ~Log() = default;
  virtual std::string_view id() const = 0;      // UUID, made at creation
  virtual std::int64_t epoch() const = 0;       // Unix seconds at creation or last rebuild
  virtual std::int32_t partitions() const = 0;  // fixed at creation
  virtual Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const = 0;
  // Where `process` stands in raw: the offset behind its last committed step.
  virtual Result<std::int64_t> committed(std::int32_t partition) const = 0;
  virtual Result<std::unique_ptr<Appender>> appender(std::string_view topic) = 0;
  virtual Result<std::unique_ptr<Task>> task() = 0;
  // `name` is the reader's own for stored() and retention; empty: not registered, keeps nothing back.
  virtual Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) = 0;
};

}  // namespace truetape
