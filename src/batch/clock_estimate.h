// How far a recorder's clock was off the venue's, told from the recording alone: a frame cannot arrive before it was
// sent, so the greatest "sent - received" of all frames is the offset less the shortest way. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/time.h"

namespace truetape {

class ClockEstimate {
 public:
  void add(Timestamp sent, Timestamp received);

  // Venue's clock minus the recorder's. Frames that seem to come from more than a minute before what is usual (the
  // median) are taken for damaged and do not count. 0 without any frame.
  Nanoseconds offset() const;
  // Half of the frames lay within this of the offset: the usual way's length beyond the shortest.
  Nanoseconds error() const;

 private:
  static constexpr std::int64_t kBucket = 10'000'000'000;  // ns
  static constexpr std::int64_t kOutlier = 60'000'000'000;
  static constexpr std::size_t kSamples = 1 << 16;
  static constexpr std::size_t kBuckets = 1 << 12;

  std::optional<std::int64_t> median() const;

  std::map<std::int64_t, std::int64_t> greatest_;  // of each 10 s of difference
  std::vector<std::int64_t> samples_;              // every stride_-th difference
  std::uint64_t count_ = 0, stride_ = 1;
};

}  // namespace truetape
