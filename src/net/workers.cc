#include "net/workers.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace truetape::net {

struct Workers::Impl {
  void work() {
    std::unique_lock lock{mutex};
    for (;;) {
      ready.wait(lock, [this] { return stopping || !calls.empty(); });
      if (stopping) return;
      const auto call = std::move(calls.front());
      calls.pop_front();
      lock.unlock();
      call();
      lock.lock();
    }
  }

  mutable std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::function<void()>> calls;
  bool stopping = false;
  std::vector<std::jthread> threads;  // last: joined before what they use goes
};

Workers::Workers(Loop& loop, std::size_t threads) : loop_{loop}, impl_{std::make_unique<Impl>()} {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i)
    impl_->threads.emplace_back([impl = impl_.get()] {
      ::pthread_setname_np(::pthread_self(), "worker");  // for who looks at the process's threads
      impl->work();
    });
}
Workers::~Workers() {
  {
    const std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  impl_->ready.notify_all();
}
std::size_t Workers::waiting() const {
  const std::lock_guard lock{impl_->mutex};
  return impl_->calls.size();
}
void Workers::submit(std::function<void()> call) {
  {
    const std::lock_guard lock{impl_->mutex};
    impl_->calls.push_back(std::move(call));
  }
  impl_->ready.notify_one();
}

}  // namespace truetape::net
