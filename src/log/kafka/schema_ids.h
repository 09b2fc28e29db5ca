// Which schema ids stand in the frames of values on Kafka. Inside the program every value has the local ids of
// codec/wire.h; the log on Kafka translates the four bytes at its border. Implemented in src/registry: from a schema
// registry, from a file, or as they are.
//
// Any thread, at once: the workers of a process share one. Names of topics are those of log.h, without the prefix that
// they have on Kafka. Topics whose values have no frame (raw, quarantine, control) are not asked for:
// Fault::out_of_range, Retry::never.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"

namespace truetape {

class SchemaIds {
 public:
  virtual ~SchemaIds() = default;
  // The id that values of `topic` (topic::trades etc., without prefix) are written with instead of `local`.
  virtual Result<std::uint32_t> written(std::string_view topic, std::uint32_t local) = 0;
  // The local id of what was read. Fault::not_found, Retry::never: no schema of this topic, so truetape did not write
  // the value. Fault::mismatch, Retry::never: a version of the topic's schema that this binary does not know, so a
  // newer truetape wrote it; it may be asked again later. Fault::unavailable, Retry::after_backoff: the registry does
  // not answer.
  virtual Result<std::uint32_t> local(std::string_view topic, std::uint32_t id) = 0;
};

}  // namespace truetape
