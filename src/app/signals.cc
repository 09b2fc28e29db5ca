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

}  // namespace truetape::app
