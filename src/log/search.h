// Looking up records by their keys, for those that explain a log rather than follow it. There is no index by key: a
// search walks what was appended, as cheaply as the log can, so callers say from where to where, and how much at most.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "log/log.h"

namespace truetape {

// What the searches of one question may read together.
struct SearchAllowance {
  std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();  // as they lie in the log; counted down to 0
  bool spent() const { return bytes == 0; }
};

// Any thread; a search sees what was committed before it began, and holds no more than a block in memory.
class LogSearch {
 public:
  struct Wanted {
    // Bytes that every wanted key has. What does not have them anywhere is passed over without being decoded, so the
    // whole key is best. Empty: any. Valid during the call.
    std::string_view has;
    std::function<bool(std::string_view key)> is;  // asked about many records, so it should answer fast
  };
  // When it was appended, by our clock; records of one commit have the same. nullopt: the log does not know it,
  // or no more. The record is valid during the call only. False: enough.
  using Found = std::function<bool(const Stored&, std::optional<Timestamp> appended)>;

  virtual ~LogSearch() = default;
  // The records of [from, to) whose key is wanted, in order. What retention has deleted of that is left out. Gives the
  // offset before which all was looked at: `to`, unless the allowance was spent or `found` had enough.
  virtual Result<std::int64_t> find(std::string_view topic, std::int32_t partition, std::int64_t from, std::int64_t to,
                                    const Wanted& wanted, const Found& found, SearchAllowance& allowance) const = 0;
  // The offset before which all was appended earlier than `time`, found by halving: right if our clock never went back
  // between two commits. The end if all is earlier; nullopt: this log does not know.
  virtual Result<std::optional<std::int64_t>> appended_from(std::string_view topic, std::int32_t partition,
                                                            Timestamp time) const = 0;
};

}  // namespace truetape
