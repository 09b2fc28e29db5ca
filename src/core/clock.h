// Where roles and connections get the time from. The heart never does: its times come in its records.
#pragma once

#include <atomic>

#include "core/time.h"

namespace truetape {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() const = 0;                                 // UTC, may jump
  virtual std::chrono::steady_clock::time_point steady() const = 0;  // for time-outs, never jumps back
};

class SystemClock final : public Clock {
 public:
  Timestamp now() const override { return std::chrono::time_point_cast<Nanoseconds>(std::chrono::system_clock::now()); }
  std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::now(); }
};

// Stands still until told; any thread may read, one thread moves it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start) : ns_{to_ns(start)} {}
  Timestamp now() const override { return timestamp_ns(ns_.load() + set_.load()); }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point{Nanoseconds{ns_.load()}};
  }
  void advance(Nanoseconds by) { ns_.fetch_add(by.count()); }
  // Somebody sets the wall clock, forwards or back; steady() knows nothing of it.
  void jump(Nanoseconds by) { set_.fetch_add(by.count()); }

 private:
  std::atomic<std::int64_t> ns_, set_{0};
};

}  // namespace truetape
