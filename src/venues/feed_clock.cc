#include "venues/feed_clock.h"

#include <algorithm>

namespace truetape {
namespace {

constexpr std::size_t kSamples = 8;
constexpr Nanoseconds kTooSlow = std::chrono::seconds{10};  // such an answer says too little
// Quartz drifts by up to 100 ppm: 60 ms in ten minutes. An older answer with a shorter way loses to a newer one.
constexpr double kDrift = 1e-4;
constexpr std::size_t kFewFrames = 5;                         // of fewer, one that is damaged could count
constexpr Nanoseconds kFrameError = std::chrono::seconds{1};  // nobody knows how long frames are on their way
constexpr Nanoseconds kStep = std::chrono::milliseconds{250};
constexpr Nanoseconds kAhead = std::chrono::seconds{1};    // frames from the future by so much: a wrong estimate
constexpr Nanoseconds kBehind = std::chrono::seconds{30};  // or so late that the estimate may be at fault

std::int64_t to_ns(VenueClock::SteadyTime t) {
  return std::chrono::duration_cast<Nanoseconds>(t.time_since_epoch()).count();
}

}  // namespace

void VenueClock::answered(Timestamp server, Timestamp sent, Timestamp received, SteadyTime steady) {
  const Nanoseconds way = received - sent;
  if (way < Nanoseconds::zero() || way > kTooSlow) return;       // our clock was set meanwhile, or it says nothing
  constexpr Nanoseconds kHalf = std::chrono::microseconds{500};  // of the millisecond that the venue cuts off
  const std::int64_t middle = to_ns(steady) - way.count() / 2;
  const Sample sample{truetape::to_ns(server + kHalf) - middle, way / 2 + kHalf, steady};
  // Both cannot be right: the machine slept (its steady clock stood still), or the venue's clock was set.
  if (const Sample* old = best();
      old != nullptr && Nanoseconds{std::abs(sample.difference - old->difference)} > sample.error + old->error + kStep)
    samples_.clear();
  samples_.push_back(sample);
  if (samples_.size() > kSamples) samples_.pop_front();
}

void VenueClock::heard(Timestamp sent, SteadyTime received) {
  frames_[heard_++ % kFrames] = truetape::to_ns(sent) - to_ns(received);
}

const VenueClock::Sample* VenueClock::best() const {
  const Sample* best = nullptr;
  Nanoseconds least{};
  for (const Sample& s : samples_) {
    const auto age = static_cast<double>((samples_.back().at - s.at).count());
    const Nanoseconds error = s.error + Nanoseconds{static_cast<std::int64_t>(age * kDrift)};
    if (best != nullptr && error > least) continue;
    best = &s;
    least = error;
  }
  return best;
}

// A frame can be late by any time (nobody read for a while, or the way was slow) and early only if it is damaged: so
// one of the earliest tells best, and not the very earliest.
std::optional<std::int64_t> VenueClock::by_frames() const {
  if (heard_ < kFewFrames) return std::nullopt;
  auto seen = frames_;
  const auto count = std::min(heard_, kFrames);
  const auto early = seen.begin() + static_cast<std::ptrdiff_t>(count * 3 / 4);
  std::nth_element(seen.begin(), early, seen.begin() + static_cast<std::ptrdiff_t>(count));
  return *early;
}

std::optional<std::int64_t> VenueClock::estimate() const {
  const Sample* sample = best();
  return sample != nullptr ? std::optional{sample->difference} : by_frames();
}

std::optional<Timestamp> VenueClock::at(SteadyTime steady) const {
  const auto difference = estimate();
  return difference ? std::optional{timestamp_ns(to_ns(steady) + *difference)} : std::nullopt;
}
std::optional<Nanoseconds> VenueClock::offset(Timestamp now, SteadyTime steady) const {
  const auto venue = at(steady);
  return venue ? std::optional{*venue - now} : std::nullopt;
}
Nanoseconds VenueClock::error() const {
  const Sample* sample = best();
  return sample != nullptr ? sample->error : kFrameError;
}

bool VenueClock::doubtful() const {
  const Sample* sample = best();
  const auto frames = by_frames();
  if (sample == nullptr || !frames || heard_ < kFrames) return false;
  const Nanoseconds ahead{*frames - sample->difference};
  return ahead > sample->error + kAhead || -ahead > kBehind;
}

}  // namespace truetape
