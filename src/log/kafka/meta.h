// The topic PREFIX.meta: what the log is. One partition; of a key the last record counts, of "log_id" the first, so
// that two that begin a log at once begin one. Internal to log/kafka.
//
//   log_id         UUID
//   epoch          Unix seconds
//   partitions     of every other topic
//   format         of what the log writes besides records
//   state_version  of the heart's state
//   note.NAME      what programs note
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "log/kafka/handle.h"

namespace truetape::kafka {

using Meta = std::map<std::string, std::string, std::less<>>;

// Empty: the log was not begun. Fault::not_found: there is no such topic. `stop`: true ends the wait for brokers.
Result<Meta> read_meta(const KafkaPlace& place, const Say& say, std::chrono::milliseconds patience,
                       const std::atomic<bool>* stop = nullptr);
// 0: it is not there, or none.
std::int64_t number(const Meta& meta, std::string_view key);
// In this order, durable on return.
Status write_meta(const KafkaPlace& place, const Say& say, std::chrono::milliseconds patience,
                  const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace truetape::kafka
