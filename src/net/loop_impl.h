// The inside of a Loop, for files of src/net.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>

#include "net/loop.h"

namespace truetape::net {

namespace asio = boost::asio;
using boost::system::error_code;
// Errors as values: `auto [ec, n] = co_await stream.async_read_some(buffer, kTuple);`
inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

using RealTimer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                             asio::io_context::executor_type>;

struct Loop::Impl {
  explicit Impl(const Clock& c, ManualClock* m) : clock{c}, manual{m} {}

  void arm();       // the real timer for the earliest of `timers`
  void fire_due();  // all timers up to now

  const Clock& clock;
  ManualClock* manual;
  std::multimap<SteadyTime, Timer*> timers;
  SteadyTime armed_for = SteadyTime::max();
  // Last, so that it goes first: destroying the context destroys waiting coroutines, whose timers are above.
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  RealTimer real{context};
};

}  // namespace truetape::net
