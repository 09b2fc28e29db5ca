// Which items of a partition wait in quarantine, where the trades' own ids cannot tell that one is judged twice: venues
// whose ids only rise, or that have none. A replay that is sent twice, or that a rebuild meets after the program has
// learnt to read the original, must not bring its trades a second time. Part of a partition's heart; bounded.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

#include "market/processor.h"

namespace truetape::market {

class Replays {
 public:
  static constexpr std::size_t kPlaces = 100'000;  // remembered; of older ones it is not known whether they wait

  explicit Replays(std::int32_t partition) : partition_{partition} {}

  // The rows that one record added.
  void note(std::span<const Quarantined> rows);
  // It was judged to the end before, or was never put there: nothing of it may count again.
  bool is_settled(const QuarantinePlace& place) const;
  // Before each record. What stands before the first one that was noted may wait or not: nobody tells.
  void begin(std::int64_t offset);

  void finish_batch(Results& out);
  static bool is_key(std::string_view key) { return key == "q" || key.starts_with("q/"); }
  // Keys that is_key() knows, in any order; throws std::runtime_error on damage.
  void restore(std::string_view key, std::string_view value);

 private:
  void put(const QuarantinePlace& place, bool waits);

  std::int32_t partition_;
  bool known_ = false, dirty_ = false;
  std::int64_t floor_ = -1;  // of own places at or below it nothing is known
  struct ByOffset {
    bool operator()(const QuarantinePlace& a, const QuarantinePlace& b) const {
      return std::tie(a.offset, a.partition, a.ordinal) < std::tie(b.offset, b.partition, b.ordinal);
    }
  };
  // Also those that wait no more (false), where only that tells so: of other partitions, and at or below the floor.
  std::map<QuarantinePlace, bool, ByOffset> waits_;
  std::set<QuarantinePlace> touched_;
};

}  // namespace truetape::market
