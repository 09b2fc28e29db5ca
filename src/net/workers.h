// Threads for calls that block (a query of a store, a file), so that the loop does not. On the loop's thread:
//
//   auto rows = co_await workers.run([&history] { return history.candles(...); });
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "net/loop.h"

namespace truetape::net {

class Workers {
 public:
  Workers(Loop& loop, std::size_t threads);  // the loop outlives the workers
  ~Workers();  // waits for calls that have begun; forgets the others, whose run() never ends
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Runs the call on one of the threads, in the order of the calls; its result, or its exception, comes back on the
  // loop. What it refers to must outlive the workers.
  template <class Call>
  awaitable<std::invoke_result_t<Call>> run(Call call) {
    using T = std::invoke_result_t<Call>;
    static_assert(!std::is_void_v<T>, "answer something: a Status, a bool");
    struct State {
      explicit State(Loop& loop) : done{loop} {}
      Event done;
      std::optional<T> result;
      std::exception_ptr failure;
    };
    const auto state = std::make_shared<State>(loop_);
    submit([&loop = loop_, state, call = std::move(call)]() mutable {
      try {
        state->result.emplace(call());
      } catch (...) {
        state->failure = std::current_exception();
      }
      loop.post([state] { state->done.set(); });
    });
    co_await state->done.wait();
    if (state->failure) std::rethrow_exception(state->failure);
    co_return std::move(*state->result);
  }
  std::size_t waiting() const;  // calls that have not begun

 private:
  struct Impl;
  void submit(std::function<void()> call);
  Loop& loop_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape::net
