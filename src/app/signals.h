// SIGINT and SIGTERM, taken by a thread of its own; the second one ends the process at once. Made before other threads
// are, which then do not get them.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace truetape::app {

class Signals {
 public:
  explicit Signals(std::function<void()> call);  // on the thread, at the first signal

 private:
  std::function<void()> call_;
  sigset_t set_{};
  std::jthread thread_;
};

}  // namespace truetape::app
