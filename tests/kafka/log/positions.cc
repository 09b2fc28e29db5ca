// The position of a partition stands in the group and in its state, and both must say the same.
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "fixture.h"
#include "log/kafka/parts.h"

namespace truetape::kafka::testing {
namespace {

// As the brokers do when a group has had no members for offsets.retention.minutes.
void forget_group(const KafkaPlace& place, const std::string& group) {
  auto handle = Handle::make(Kind::producer, place, {}, {});
  ASSERT_TRUE(handle);
  const Queue queue{rd_kafka_queue_new(handle->get())};
  ASSERT_TRUE(until([&] {  // while it has members it is refused
    rd_kafka_DeleteGroup_t* request = rd_kafka_DeleteGroup_new(group.c_str());
    rd_kafka_DeleteGroups(handle->get(), &request, 1, nullptr, queue.get());
    rd_kafka_DeleteGroup_destroy(request);
    const Event event{rd_kafka_queue_poll(queue.get(), 30'000)};
    if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    std::size_t count = 0;
    const auto* const groups =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event.get()), &count);
    if (count == 1 && rd_kafka_group_result_error(groups[0]) == nullptr) return true;
    std::this_thread::sleep_for(200ms);
    return false;
  }));
}

std::optional<Error> end_of_a_task(Log& log) {
  auto task = log.task().value();
  std::optional<Error> out;
  until([&] {
    const auto step = task->poll(10ms);
    if (!step) out = step.error();
    return out.has_value() || !step->assigned.empty();
  });
  return out;
}

TEST_F(KafkaOnly, APositionThatTheBrokersForgotIsTakenFromTheState) {
  std::vector<std::string> told;
  KafkaOptions options = this->options("a");
  options.say = [&, mutex = std::make_shared<std::mutex>()](int level, const std::string& line) {
    const std::lock_guard lock{*mutex};
    if (level <= 4 && line.find("have forgotten") != std::string::npos) told.push_back(line);
  };
  {
    const auto log = open("a");
    append_numbers(*log, 0, 50);
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  ASSERT_NO_FATAL_FAILURE(forget_group(place_, place_.topic("process")));
  const auto log = open_kafka_log(options).value();
  EXPECT_FALSE(all_done(*log));
  {
    Worker worker{*log};
    EXPECT_TRUE(until([&] { return worker.runs() && all_done(*log); }))
        << "who asks for the position is told, without a new record too";
    append_numbers(*log, 50, 70);
    ASSERT_TRUE(does_all(worker, *log));
  }
  expect_exact(*log, 70);
  ASSERT_EQ(told.size(), 4U);
  EXPECT_NE(told.front().find("it goes on at 50, where its state stands"), std::string::npos) << told.front();
}

TEST_F(KafkaOnly, APositionThatIsNotThatOfTheStateIsRefused) {
  KafkaOptions options = this->options("a");
  {
    const auto log = open("a");
    append_numbers(*log, 0, 50);
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  options.patience = 3s;
  const auto log = open_kafka_log(options).value();
  // Somebody resets the group, to have everything processed once more.
  put_position(place_, place_.topic("process"), topic::raw, 2, 20);
  auto end = end_of_a_task(*log);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->fault, Fault::mismatch);
  EXPECT_EQ(end->retry, Retry::never);
  EXPECT_NE(end->detail.find("raw/2: process has committed up to 20, but its state is of 50: the topic "),
            std::string::npos)
      << end->detail;
  put_position(place_, place_.topic("process"), topic::raw, 2, 50);
  put_foreign(place_, kStateTopic, 1, kPositionKey, "20");
  end = end_of_a_task(*log);
  ASSERT_TRUE(end);
  EXPECT_NE(end->detail.find("raw/1: process has committed up to 50, but its state is of 20: the topic "),
            std::string::npos)
      << end->detail;
  put_foreign(place_, kStateTopic, 1, kPositionKey, "50");
  end = end_of_a_task(*log);
  EXPECT_FALSE(end) << end->detail;
}

// Brokers may answer an older position for a while.
TEST_F(KafkaOnly, WhileAPositionIsNotThatOfTheStateBothAreAskedAgain) {
  std::atomic<int> told{0};
  {
    const auto log = open("a");
    append_numbers(*log, 0, 50);
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  KafkaOptions options = this->options("a");
  options.patience = 60s;
  options.say = [&](int, const std::string& line) {
    if (line.find("raw/1: the group says 50, the state 70; both are asked again") != std::string::npos) ++told;
  };
  put_foreign(place_, kStateTopic, 1, kPositionKey, "70");
  const auto log = open_kafka_log(options).value();
  std::thread mends{[&] {
    EXPECT_TRUE(until([&] { return told > 1; }));
    put_foreign(place_, kStateTopic, 1, kPositionKey, "50");
  }};
  append_numbers(*log, 50, 70);
  {
    Worker worker{*log};
    EXPECT_TRUE(does_all(worker, *log));
  }
  mends.join();
  expect_exact(*log, 70);
}

TEST_F(KafkaOnly, WhatWorkersKnowIsNotMadeAnewUnderALogThatWasBegun) {
  auto handle = Handle::make(Kind::producer, place_, {}, {}).value();
  const std::string full = place_.topic(kStateTopic);
  const Queue queue{rd_kafka_queue_new(handle.get())};
  rd_kafka_DeleteTopic_t* request = rd_kafka_DeleteTopic_new(full.c_str());
  rd_kafka_DeleteTopics(handle.get(), &request, 1, nullptr, queue.get());
  rd_kafka_DeleteTopic_destroy(request);
  const Event event{rd_kafka_queue_poll(queue.get(), 60'000)};
  ASSERT_TRUE(event);
  std::optional<Error> error;
  ASSERT_TRUE(until([&] {  // not every broker knows at once that it is gone
    const auto made = create_topics(place_, {});
    if (!made) error = made.error();
    return error.has_value();
  }));
  EXPECT_EQ(error->fault, Fault::mismatch);
  EXPECT_TRUE(error->detail.starts_with(full + " is missing from a log that was begun (")) << error->detail;
}

}  // namespace
}  // namespace truetape::kafka::testing
