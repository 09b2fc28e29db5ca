#include "batch/clock_estimate.h"

#include <algorithm>

namespace truetape {

void ClockEstimate::add(Timestamp sent, Timestamp received) {
  std::int64_t difference;
  if (__builtin_sub_overflow(to_ns(sent), to_ns(received), &difference)) return;
  std::int64_t bucket = difference / kBucket;
  if (difference % kBucket < 0) --bucket;
  if (const auto found = greatest_.find(bucket); found != greatest_.end())
    found->second = std::max(found->second, difference);
  else if (greatest_.size() < kBuckets)
    greatest_.emplace(bucket, difference);
  if (count_++ % stride_ != 0) return;
  samples_.push_back(difference);
  if (samples_.size() < kSamples) return;
  for (std::size_t i = 0; 2 * i < samples_.size(); ++i) samples_[i] = samples_[2 * i];  // keep every second one
  samples_.resize(samples_.size() / 2);
  stride_ *= 2;
}

std::optional<std::int64_t> ClockEstimate::median() const {
  if (samples_.empty()) return std::nullopt;
  std::vector<std::int64_t> sorted = samples_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

Nanoseconds ClockEstimate::offset() const {
  const auto usual = median();
  if (!usual) return Nanoseconds{0};
  std::int64_t best = *usual;
  for (const auto& [bucket, difference] : greatest_)
    if (difference <= *usual + kOutlier) best = std::max(best, difference);
  return Nanoseconds{best};
}

Nanoseconds ClockEstimate::error() const {
  const auto usual = median();
  return usual ? offset() - Nanoseconds{*usual} : Nanoseconds{0};
}

}  // namespace truetape
