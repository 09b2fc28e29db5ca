#include "app/signals.h"

#include <cstdlib>
#include <ctime>
#include <utility>

namespace truetape::app {

Signals::Signals(std::function<void()> call) : call_{std::move(call)} {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  thread_ = std::jthread{[this](const std::stop_token& stop) {
    constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 100'000'000};
    for (int seen = 0; !stop.stop_requested();) {
      const int signal = sigtimedwait(&set_, nullptr, &kLook);
      if (signal < 0) continue;
      if (++seen > 1) std::_Exit(128 + signal);
      call_();
    }
  }};
}

void Stop::ask() {
  const std::lock_guard lock{mutex_};
  asked_ = true;
  changed_.notify_all();
}
bool Stop::asked() const {
  const std::lock_guard lock{mutex_};
  return asked_;
}
bool Stop::wait_for(Nanoseconds time) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, time, [this] { return asked_; });
}

}  // namespace truetape::app
