// Errors as values. The only header that knows which `expected` is behind Result: use `if (r)`, `*r`, `r.error()`.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace truetape {

// What the caller may do about an error.
enum class Retry {
  never,          // the same call fails again: bad input, refused, not supported
  after_backoff,  // nothing was decided; the same call later may succeed (store down, disk full)
  reconnect,      // the connection is gone; a new one may succeed
  rebuild,        // destroy the object and what was built from it, open a new one, go on from the last commit
};

enum class Fault {
  malformed,     // bytes that do not follow their format
  not_found,     // no such file, topic, instrument, table
  refused,       // rights, locks, fences, another owner
  mismatch,      // another log's id, other partition count, schema or format version
  out_of_range,  // offset below the oldest record, value outside what is allowed
  no_space,      // disk full, map full, size limit
  corrupt,       // checksum or structure of our own files
  unavailable,   // the other side does not answer
  io,            // any other failure of the operating system
};

// `detail` is one sentence for a person: what happened, where, and what to do next.
struct Error {
  Fault fault;
  Retry retry;
  std::string detail;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline auto failure(Fault fault, Retry retry, std::string detail) {
  return tl::unexpected<Error>{Error{fault, retry, std::move(detail)}};
}

}  // namespace truetape
