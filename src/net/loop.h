// One thread that does input and output: every connection, server and timer of src/net belongs to one Loop and is
// called on the thread that runs it. Only post(), stop() and clock_moved() may be called from any thread. A process may
// have several loops.
//
// Work is written as coroutines (`awaitable<T>`), started by spawn(). There is no hidden cancellation: what should end
// early waits on an Event, or has a close() or stop() of its own. Coroutine frames that still wait when a Loop is
// destroyed are destroyed with it: what their locals refer to must outlive the Loop, or the work must be ended before.
//
// Time-outs and waits follow the clock that was given, by its steady(); receive times are its now(). With a ManualClock
// time stands still, except for advance(), which fires what becomes due in order: nothing in a test has to sleep.
//
// Two rules for coroutines:
//  * parameters by value, or references to what outlives the coroutine; no lambda coroutine that captures and is
//    gone before it ends (spawn()'s overload for functions keeps it).
//  * in a full expression with co_await no aggregate made from a braced list: GCC 12 destroys it twice. Name it first:
//    `const HttpRequest request{.url = url}; auto answer = co_await client.send(request);`
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <coroutine>
#include <functional>
#include <map>
#include <memory>

#include "core/clock.h"

namespace truetape::net {

template <class T>
using awaitable = boost::asio::awaitable<T>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Timer;

class Loop {
 public:
  explicit Loop(const Clock& clock);  // the clock outlives the loop
  explicit Loop(ManualClock& clock);  // time moves by advance() only
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  const Clock& clock() const;
  SteadyTime now() const { return clock().steady(); }

  // Runs until stop(), also while there is nothing to do. An exception that left spawned work or a callback comes out
  // here; run() may then be called again.
  void run();
  void stop();                            // any thread
  void post(std::function<void()> call);  // any thread: runs it on the loop's thread, in the order of the calls

  // Starts the work at the next turn. Any thread.
  void spawn(awaitable<void> work);
  // The same for a function; it is kept until its work ends, so it may be a lambda that captures.
  void spawn(std::function<awaitable<void>()> work);

  awaitable<void> sleep(Nanoseconds duration);
  awaitable<void> turn();  // lets everything else that is ready run first

  // For a loop on a ManualClock, on the thread that otherwise runs it: moves the clock from one due timer to the next
  // and runs what becomes ready at each.
  void advance(Nanoseconds by);
  // The clock was moved by someone else. Any thread.
  void clock_moved();
  // For tests, instead of run(): runs what is ready, waiting for sockets, until done(). False: `guard` of real time
  // passed before.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds guard = std::chrono::seconds{10});

  struct Impl;
  Impl& impl() { return *impl_; }  // for src/net only

 private:
  std::unique_ptr<Impl> impl_;
};

// Calls a function once, at a time. On the loop's thread; ends with its owner.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_{loop.impl()} {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Instead of what was armed before. The call may arm again, and may destroy the timer.
  void at(SteadyTime time, std::function<void()> call);
  void after(Nanoseconds duration, std::function<void()> call);
  void cancel();
  bool armed() const { return armed_; }

 private:
  friend struct Loop::Impl;
  Loop::Impl& loop_;
  bool armed_ = false;
  std::multimap<SteadyTime, Timer*>::iterator place_{};
  std::function<void()> call_;
};

// Something that coroutines of one loop wait for. Stays set until reset(); outlives its waiters' waits.
class Event {
 public:
  explicit Event(Loop& loop);
  void set();  // resumes all waiters, at the next turn
  void reset();
  bool is_set() const;
  awaitable<void> wait();
  awaitable<bool> wait_for(Nanoseconds limit);  // false: not set within the limit

 private:
  struct State;
  static awaitable<bool> wait_until(std::shared_ptr<State> state, Nanoseconds limit);
  std::shared_ptr<State> state_;
};

}  // namespace truetape::net
