// How long to wait before the next attempt: growing, bounded, with jitter so that many clients do not return at once.
// Pure: no clock, and the same seed gives the same delays.
#pragma once

#include <cstdint>
#include <random>

#include "core/time.h"

namespace truetape::net {

struct BackoffConfig {
  Nanoseconds first = std::chrono::milliseconds{500};
  Nanoseconds longest = std::chrono::minutes{1};
  double factor = 2;  // at least 1
};

class Backoff {
 public:
  Backoff(BackoffConfig config, std::uint64_t seed);
  // Between half of and the full min(longest, first * factor^attempts); never zero.
  Nanoseconds next();
  // After success, best after the connection has held for a while: a peer that accepts and drops must not be hammered.
  void reset() { attempts_ = 0; }
  int attempts() const { return attempts_; }  // next() calls since the last reset

 private:
  BackoffConfig config_;
  std::mt19937_64 random_;
  int attempts_ = 0;
};

}  // namespace truetape::net
