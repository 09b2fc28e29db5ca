#include "net/loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "net/loop_impl.h"

namespace truetape::net {

Loop::Loop(const Clock& clock) : impl_{std::make_unique<Impl>(clock, nullptr)} {}
Loop::Loop(ManualClock& clock) : impl_{std::make_unique<Impl>(clock, &clock)} {}
Loop::~Loop() = default;

const Clock& Loop::clock() const { return impl_->clock; }

void Loop::run() {
  impl_->context.restart();
  impl_->context.run();
}
void Loop::stop() { impl_->context.stop(); }
void Loop::post(std::function<void()> call) { asio::post(impl_->context, std::move(call)); }

void Loop::spawn(awaitable<void> work) {
  asio::co_spawn(impl_->context, std::move(work), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}
void Loop::spawn(std::function<awaitable<void>()> work) {
  // co_spawn keeps the function object beside the coroutine.
  asio::co_spawn(impl_->context, std::move(work), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

awaitable<void> Loop::sleep(Nanoseconds duration) {
  Event never{*this};
  co_await never.wait_for(duration);
}
awaitable<void> Loop::turn() { co_await asio::post(impl_->context, asio::use_awaitable); }

void Loop::Impl::fire_due() {
  while (!timers.empty() && timers.begin()->first <= clock.steady()) {
    Timer* timer = timers.begin()->second;
    timers.erase(timers.begin());
    timer->armed_ = false;
    const auto call = std::move(timer->call_);  // the timer may go away inside
    call();
  }
  arm();
}

void Loop::Impl::arm() {
  if (manual || timers.empty() || timers.begin()->first >= armed_for) return;
  armed_for = timers.begin()->first;
  real.expires_after(armed_for - clock.steady());
  real.async_wait([this](error_code ec) {
    if (ec) return;  // replaced by an earlier one
    armed_for = SteadyTime::max();
    fire_due();
  });
}

void Loop::advance(Nanoseconds by) {
  const SteadyTime target = now() + by;
  impl_->context.restart();
  impl_->context.poll();
  while (!impl_->timers.empty() && impl_->timers.begin()->first <= target) {
    const Nanoseconds step = impl_->timers.begin()->first - now();
    if (step > Nanoseconds::zero()) impl_->manual->advance(step);
    impl_->fire_due();
    impl_->context.poll();
  }
  impl_->manual->advance(target - now());
  impl_->context.poll();
}

void Loop::clock_moved() {
  post([impl = impl_.get()] { impl->fire_due(); });
}

bool Loop::run_until(const std::function<bool()>& done, std::chrono::milliseconds guard) {
  const auto limit = std::chrono::steady_clock::now() + guard;
  impl_->context.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() >= limit) return false;
    impl_->context.run_one_until(limit);
  }
  return true;
}

void Timer::at(SteadyTime time, std::function<void()> call) {
  cancel();
  call_ = std::move(call);
  place_ = loop_.timers.emplace(time, this);
  armed_ = true;
  loop_.arm();
}
void Timer::after(Nanoseconds duration, std::function<void()> call) {
  const SteadyTime now = loop_.clock.steady();
  at(duration > SteadyTime::max() - now ? SteadyTime::max() : now + duration, std::move(call));
}
void Timer::cancel() {
  if (!armed_) return;
  loop_.timers.erase(place_);
  armed_ = false;
  call_ = nullptr;
}

// An Asio timer that never fires is what Asio has for a condition variable: cancelling it resumes its waiters.
struct Event::State {
  explicit State(Loop& l) : loop{l}, waiters{l.impl().context, SteadyTime::max()} {}
  Loop& loop;
  RealTimer waiters;
  bool set = false;
  std::uint64_t times_set = 0;
};

Event::Event(Loop& loop) : state_{std::make_shared<State>(loop)} {}
void Event::set() {
  if (state_->set) return;
  state_->set = true;
  ++state_->times_set;
  state_->waiters.cancel();
}
void Event::reset() { state_->set = false; }
bool Event::is_set() const { return state_->set; }

awaitable<bool> Event::wait_until(std::shared_ptr<State> state, Nanoseconds limit) {
  if (state->set) co_return true;
  const std::uint64_t seen = state->times_set;  // set, and reset before this ran again, is set
  bool late = false;
  Timer timer{state->loop};
  if (limit != Nanoseconds::max()) {
    timer.after(limit, [&late, waiters = &state->waiters] {
      late = true;
      waiters->cancel();
    });
  }
  for (;;) {
    co_await state->waiters.async_wait(kTuple);
    if (state->times_set != seen) co_return true;
    if (late) co_return false;
  }
}
awaitable<void> Event::wait() { co_await wait_until(state_, Nanoseconds::max()); }
awaitable<bool> Event::wait_for(Nanoseconds limit) { return wait_until(state_, limit); }

}  // namespace truetape::net
