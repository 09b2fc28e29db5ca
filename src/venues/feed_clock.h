// How far a venue's clock is from ours. Told by the venue itself (its REST time), or, as long as it does not say, by
// the times in its frames. Kept against our steady clock, so that a step of our wall clock changes nothing of what is
// known of the venue's. Pure.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <optional>

#include "core/time.h"

namespace truetape {

class VenueClock {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // The venue answered `server` (whole milliseconds) to a question that left at `sent` and was answered at `received`,
  // by our wall clock, which showed `received` at `steady`.
  void answered(Timestamp server, Timestamp sent, Timestamp received, SteadyTime steady);
  // A frame said that it was sent at `sent` and came at `received`, by our steady clock.
  void heard(Timestamp sent, SteadyTime received);

  bool known() const { return estimate().has_value(); }
  // The venue's time at a moment of ours. nullopt: nothing is known.
  std::optional<Timestamp> at(SteadyTime steady) const;
  // The venue's clock minus our wall clock, which shows `now` at `steady`.
  std::optional<Nanoseconds> offset(Timestamp now, SteadyTime steady) const;
  Nanoseconds error() const;  // of the above, +-
  // Frames contradict what the venue answered: it should be asked again.
  bool doubtful() const;

 private:
  struct Sample {
    std::int64_t difference;  // venue time minus steady time, ns
    Nanoseconds error;
    SteadyTime at;
  };
  std::optional<std::int64_t> estimate() const;
  std::optional<std::int64_t> by_frames() const;
  const Sample* best() const;

  static constexpr std::size_t kFrames = 31;
  std::deque<Sample> samples_;  // the newest answers
  std::array<std::int64_t, kFrames> frames_{};
  std::size_t heard_ = 0;
};

}  // namespace truetape
