// The dice of a history: the same numbers on every machine, which the distributions of <random> do not promise.
#pragma once

#include <cstdint>
#include <random>

namespace truetape::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_{seed} {}
  // Another stream of the same history: what one part draws changes nothing of what another does.
  Random part() { return Random{engine_()}; }

  std::uint64_t any() { return engine_(); }
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : engine_() % n; }
  std::int64_t between(std::int64_t from, std::int64_t to) {  // both included
    return from + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(to - from) + 1));
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  bool per_mille(std::uint32_t p) { return p > 0 && below(1000) < p; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace truetape::simulation
