// A store that results are loaded into. One thread owns a sink; calls never overlap. The destructor closes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/records.h"
#include "core/result.h"

namespace truetape {

using Row = std::variant<Trade, Candle, Gap, Quarantined, Progress, LateWindow, Reference, Quote, News, NewsCount>;

// Rows of one topic-partition: everything between the offsets [first, next), in log order.
struct Batch {
  std::string_view topic;
  std::int32_t partition;
  std::int64_t first, next;
  std::span<const Row> rows;
};

// What became of the rows since the sink was made.
struct SinkCounts {
  std::uint64_t rows = 0;            // given to committed writes
  std::uint64_t written = 0;         // new, or in place of a row of smaller order
  std::uint64_t unchanged = 0;       // there already, or of smaller order
  std::uint64_t contradictions = 0;  // of equal key and order with other content: an alarm; the stored row stays
  std::string last_contradiction;    // one sentence that names the key; empty: none
};

inline void add(SinkCounts& to, const SinkCounts& more) {
  to.rows += more.rows;
  to.written += more.written;
  to.unchanged += more.unchanged;
  to.contradictions += more.contradictions;
  if (!more.last_contradiction.empty()) to.last_contradiction = more.last_contradiction;
}

class Sink {
 public:
  virtual ~Sink() = default;
  // False: claim() never knows a position; the log's own stored() counts. True: a claim that answers nullopt means an
  // empty store, which wants everything from the oldest record on.
  virtual bool keeps_positions() const { return true; }
  virtual SinkCounts counts() const { return {}; }
  // Connects, creates the schema or checks its version. Called again after an error with Retry::rebuild.
  virtual Status open() = 0;
  // Owns the partition from now on: an older owner's later writes fail (Fault::refused) or change nothing. Answers
  // where to go on; nullopt where the store keeps no position or none yet. Fault::mismatch if the store holds another
  // log's rows.
  virtual Result<std::optional<std::int64_t>> claim(std::string_view topic, std::int32_t partition) = 0;
  // All of the batch or none; any part again changes nothing; of two rows with one key the greater row_order stays.
  // The first batch of an empty store may begin above 0: what lies before was deleted from the log, and the store says
  // so from then on (History::missing).
  // Answers the offset below which all is durable.
  virtual Result<std::int64_t> write(const Batch& batch) = 0;
  // Several batches as one, where the store can; else one after the other.
  virtual Status write_all(std::span<const Batch> batches) {
    for (const Batch& batch : batches)
      if (auto done = write(batch); !done) return tl::unexpected{done.error()};
    return {};
  }
};

}  // namespace truetape
