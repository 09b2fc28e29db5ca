#include "net/backoff.h"

#include <algorithm>
#include <cmath>

namespace truetape::net {

Backoff::Backoff(BackoffConfig config, std::uint64_t seed) : config_{config}, random_{seed} {
  config_.first = std::max(config_.first, Nanoseconds{1});
  config_.longest = std::max(config_.longest, config_.first);
  config_.factor = std::max(config_.factor, 1.0);
}

Nanoseconds Backoff::next() {
  // In doubles: factor^attempts passes 64 bits long before it passes a double, and then the bound holds.
  const double grown = static_cast<double>(config_.first.count()) * std::pow(config_.factor, attempts_);
  const double longest = static_cast<double>(config_.longest.count());
  const Nanoseconds full{grown < longest ? static_cast<std::int64_t>(grown) : config_.longest.count()};
  ++attempts_;
  // Not std::uniform_int_distribution, whose results differ between standard libraries.
  const Nanoseconds half = full / 2;
  const auto span = static_cast<std::uint64_t>((full - half).count());
  return half + Nanoseconds{static_cast<std::int64_t>(random_() % span) + 1};
}

}  // namespace truetape::net
