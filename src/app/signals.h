// SIGINT and SIGTERM, taken by a thread of its own; the second one ends the process at once. Made before other threads
// are, which then do not get them.
#pragma once

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "core/time.h"

namespace truetape::app {

class Signals {
 public:
  explicit Signals(std::function<void()> call);  // on the thread, at the first signal

 private:
  std::function<void()> call_;
  sigset_t set_{};
  std::jthread thread_;
};

// Something to wait for that a signal ends. Any thread.
class Stop {
 public:
  void ask();
  bool asked() const;
  // True: it was asked for within the time.
  bool wait_for(Nanoseconds time);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false;
};

}  // namespace truetape::app
