// Reads a stretch of one topic-partition, for those that look at a log rather than follow it: audits, digests, what an
// earlier run has left. One thread; holds no more than a step in memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "core/result.h"
#include "log/log.h"

namespace truetape {

struct Stretch {
  std::string_view topic;
  std::int32_t partition;
  std::int64_t from, to;  // [from, to); at most the span's end as it was asked before
};

// Every committed record of the stretch, in order, until `each` returns false; a record is valid during its call only.
// Fault::out_of_range names what of it was deleted, before or while it was read; with `deleted`, that is told the
// oldest record there is, and it goes on there. A log whose end is not decided yet (an open transaction of a worker
// that died) is waited for; Fault::unavailable if nothing came for `patience`.
Status read_stretch(Log& log, const Stretch& stretch, const std::function<bool(const Stored&)>& each,
                    std::chrono::seconds patience = std::chrono::seconds{60},
                    const std::function<void(std::int64_t oldest)>& deleted = {});

}  // namespace truetape
