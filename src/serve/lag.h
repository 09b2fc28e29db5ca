// How many records each role has before it: /api/v1/pipeline, readiness.
#pragma once

#include <cstdint>
#include <optional>

#include "net/workers.h"
#include "serve/context.h"

namespace truetape {

struct Lag {
  std::int64_t process = 0, load = 0, serve = 0;
};

// Read on a worker of its own, so that who reads the store at length does not hold up readiness; at most a few times a
// second: who asks more often gets what was read last.
class LagWatch {
 public:
  explicit LagWatch(Context& context) : context_{context}, worker_{context.loop, 1} {}
  net::awaitable<Result<Lag>> read();

 private:
  Context& context_;
  std::optional<Lag> last_;
  net::SteadyTime at_{};
  net::Workers worker_;  // first to go
};

}  // namespace truetape
