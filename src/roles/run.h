// Runs a role until it is told to stop: makes it, steps it, and after an error waits with growing pauses and makes it
// anew.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>

#include "core/result.h"

namespace truetape {

struct RunOptions {
  std::chrono::milliseconds first_pause{10}, longest_pause{5'000};
};

// `make` opens the role; `step` calls it once. Retry::after_backoff from `step` keeps the role if `keeps` says so
// (load), else every error rebuilds it. Retry::never ends the loop with that error. `report` is told of each error that
// is survived. Returns without an error when `stop` was asked for.
template <class Role>
Status run_role(std::stop_token stop, const std::function<Result<std::unique_ptr<Role>>()>& make,
                const std::function<Status(Role&)>& step, bool keeps, const std::function<void(const Error&)>& report,
                RunOptions options = {}) {
  std::mutex mutex;
  std::condition_variable_any woken;
  auto pause = options.first_pause;
  const auto survive = [&](const Error& error) {
    report(error);
    std::unique_lock lock{mutex};
    woken.wait_for(lock, stop, pause, [] { return false; });
    pause = std::min(pause * 2, options.longest_pause);
  };
  while (!stop.stop_requested()) {
    auto role = make();
    if (!role) {
      if (role.error().retry == Retry::never) return tl::unexpected{role.error()};
      survive(role.error());
      continue;
    }
    while (!stop.stop_requested()) {
      if (auto done = step(**role); done) {
        pause = options.first_pause;
        continue;
      } else {
        if (done.error().retry == Retry::never) return done;
        const bool rebuild = !(keeps && done.error().retry == Retry::after_backoff);
        if (rebuild) role->reset();
        survive(done.error());
        if (rebuild) break;
      }
    }
  }
  return {};
}

}  // namespace truetape
