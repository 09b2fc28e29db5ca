// Time and turns of a Loop; a ManualClock never sleeps.
#include "net/loop.h"

#include <gtest/gtest.h>

#include <thread>

#include "net/testing.h"
#include "net/workers.h"

namespace truetape::net {
namespace {

using namespace std::chrono_literals;

class LoopTest : public testing::Test {
 protected:
  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  Loop loop_{clock_};
};

TEST_F(LoopTest, TimersFireInOrderEachAtItsTime) {
  const Timestamp start = clock_.now();
  std::vector<std::pair<int, Nanoseconds>> fired;
  Timer a{loop_}, b{loop_}, c{loop_};
  const auto note = [&](int which) { fired.emplace_back(which, clock_.now() - start); };
  a.after(3s, [&] { note(1); });
  b.after(1s, [&] {
    note(2);
    b.after(1s, [&] { note(4); });  // while advance() runs
  });
  c.after(2500ms, [&] { note(3); });
  c.cancel();
  loop_.advance(999ms);
  EXPECT_TRUE(fired.empty());
  loop_.advance(10s);
  EXPECT_EQ(fired, (std::vector<std::pair<int, Nanoseconds>>{{2, 1s}, {4, 2s}, {1, 3s}}));
  EXPECT_EQ(clock_.now() - start, 10999ms);
}

TEST_F(LoopTest, ATimerMayEndItselfOrOthersWhenItFires) {
  int fired = 0;
  auto first = std::make_unique<Timer>(loop_);
  auto second = std::make_unique<Timer>(loop_);
  first->after(1s, [&] {
    ++fired;
    first.reset();
    second.reset();
  });
  second->after(1s, [&] { fired += 100; });
  loop_.advance(2s);
  EXPECT_EQ(fired, 1);
}

TEST_F(LoopTest, SleepAndWaitFor) {
  std::vector<std::string> log;
  Event event{loop_};
  loop_.spawn([&]() -> awaitable<void> {
    co_await loop_.sleep(5s);
    log.push_back("slept");
  });
  loop_.spawn([&]() -> awaitable<void> {
    log.push_back(co_await event.wait_for(2s) ? "set" : "late");
    log.push_back(co_await event.wait_for(10s) ? "set" : "late");
    log.push_back(co_await event.wait_for(0s) ? "set" : "late");
  });
  loop_.advance(3s);
  EXPECT_EQ(log, (std::vector<std::string>{"late"}));
  event.set();
  loop_.advance(1s);
  EXPECT_EQ(log, (std::vector<std::string>{"late", "set", "set"}));
  loop_.advance(1s);
  EXPECT_EQ(log.back(), "slept");
}

TEST_F(LoopTest, AnEventSetAndResetBeforeTheWaiterRanStillWakesIt) {
  int woken = 0;
  Event event{loop_};
  for (int i = 0; i < 3; ++i) {
    loop_.spawn([&]() -> awaitable<void> {
      co_await event.wait();
      ++woken;
    });
  }
  loop_.advance(0s);
  event.set();
  event.reset();
  loop_.advance(0s);
  EXPECT_EQ(woken, 3);
  loop_.spawn([&]() -> awaitable<void> {
    co_await event.wait();
    ++woken;
  });
  loop_.advance(0s);
  EXPECT_EQ(woken, 3) << "who comes after the reset waits for the next";
}

TEST_F(LoopTest, AnExceptionOfSpawnedWorkComesOutOfRun) {
  loop_.spawn([]() -> awaitable<void> {
    throw std::runtime_error{"broken"};
    co_return;
  });
  EXPECT_THROW(loop_.run(), std::runtime_error);
  loop_.post([&] { loop_.stop(); });
  loop_.run();  // and the loop still works
}

TEST_F(LoopTest, WorkThatWaitsAtTheEndGoesWithTheLoop) {
  const auto alive = std::make_shared<int>(0);
  {
    ManualClock clock{Timestamp{}};
    Loop loop{clock};
    loop.spawn([alive, &loop]() -> awaitable<void> {
      Timer timer{loop};
      timer.after(1h, [] {});
      const auto kept = alive;
      co_await loop.sleep(1h);
    });
    loop.advance(1s);
    EXPECT_GT(alive.use_count(), 1);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(RealLoopTest, TimersFireAndOtherThreadsPost) {
  const SystemClock clock;
  Loop loop{clock};
  std::vector<int> order;
  std::jthread other;
  loop.spawn([&]() -> awaitable<void> {
    co_await loop.sleep(20ms);
    order.push_back(2);
    other = std::jthread{[&] {
      loop.post([&] {
        order.push_back(3);
        loop.stop();
      });
    }};
  });
  loop.spawn([&]() -> awaitable<void> {
    co_await loop.sleep(1ms);  // armed later, due earlier
    order.push_back(1);
  });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST_F(LoopTest, WorkersBringBackResultsAndExceptions) {
  Workers workers{loop_, 2};
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  const int answer = run<int>(loop_, [&]() -> awaitable<int> {
    co_return co_await workers.run([&] {
      there = std::this_thread::get_id();
      return 42;
    });
  });
  EXPECT_EQ(answer, 42);
  EXPECT_NE(there, here);
  const std::string said = run<std::string>(loop_, [&]() -> awaitable<std::string> {
    try {
      co_await workers.run([]() -> bool { throw std::runtime_error{"no table"}; });
    } catch (const std::runtime_error& e) {
      co_return e.what();
    }
    co_return "nothing";
  });
  EXPECT_EQ(said, "no table");
}

}  // namespace
}  // namespace truetape::net
