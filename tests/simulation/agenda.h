// What is going to happen, in order of virtual time; of two things at one time the one that was put down first.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "core/time.h"

namespace truetape::simulation {

using Time = std::int64_t;  // virtual, ns since 1970: the loop's steady clock, and the venue's own

inline constexpr Time kMicrosecond = 1'000;
inline constexpr Time kMillisecond = 1'000'000;
inline constexpr Time kSecond = 1'000'000'000;

class Agenda {
 public:
  void at(Time time, std::function<void()> call) { queue_.push({time, next_++, std::move(call)}); }
  bool empty() const { return queue_.empty(); }
  Time next() const { return queue_.top().time; }
  std::function<void()> take() {
    auto call = std::move(const_cast<Entry&>(queue_.top()).call);
    queue_.pop();
    return call;
  }

 private:
  struct Entry {
    Time time;
    std::uint64_t number;
    std::function<void()> call;
    bool operator<(const Entry& other) const {
      return time != other.time ? time > other.time : number > other.number;  // the least on top
    }
  };
  std::priority_queue<Entry> queue_;
  std::uint64_t next_ = 0;
};

}  // namespace truetape::simulation
