// What the tests of Kafka alone share: a log of their own on the brokers, workers in this thread and as processes.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "brokers.h"
#include "counting_worker.h"
#include "log/kafka/handle.h"
#include "log/kafka/kafka_log.h"

namespace truetape::kafka::testing {

using namespace std::chrono_literals;

// Topics of four partitions, which go with the test.
class KafkaOnly : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override { delete_topics(place_); }
  // With the shortest session and transaction that the tests wait for.
  KafkaOptions options(const std::string& worker) const;
  std::unique_ptr<KafkaLog> open(const std::string& worker) const;
  KafkaPlace place_;
};

// A worker in this thread; a fault of the log fails the test.
class Worker {
 public:
  explicit Worker(Log& log);
  // As of CountingWorker: the error of the log.
  std::optional<Error> poll() { return told(worker_->poll(10ms)); }
  std::optional<Error> commit() { return told(worker_->commit()); }
  std::optional<Error> step() { return told(worker_->step(10ms)); }
  bool runs();  // a step that must work
  // Polls, which must work, until a step is in hand.
  bool takes();
  std::set<std::int32_t> mine() const { return worker_->mine(); }
  int commits() const { return worker_->commits(); }
  CountingWorker& in_hand() { return *worker_; }

 private:
  std::optional<Error> told(std::optional<Error> error) const;
  std::unique_ptr<CountingWorker> worker_;
};

// A worker that is a process (worker_main.cc), which does not outlive the test.
class WorkerProcess {
 public:
  // `hold`: after so many commits it stops itself with a step in hand.
  WorkerProcess(const KafkaPlace& place, const std::string& name, std::optional<int> hold = {});
  ~WorkerProcess() { kill(); }
  void signal(int number) const;
  // Its next line that begins so; empty: it has ended, or says nothing for a minute, which fails the test.
  std::string line(std::string_view begins);
  // SIGKILL. What it still had to say of faults of the log fails the test, as it does in line().
  void kill();

 private:
  pid_t pid_ = 0;
  int said_ = -1;
  std::string buffer_;
};

// Numbered records [from, to) into every partition.
void append_numbers(Log& log, std::int64_t from, std::int64_t to);
bool all_done(const Log& log);
// Steps that must work until all is done. False: it never was.
bool does_all(Worker& worker, const Log& log);

template <class Step>
bool until(const Step& step, std::chrono::seconds limit = 60s) {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + limit; Clock::now() < end;) {
    if (step()) return true;
    std::this_thread::sleep_for(1ms);  // a step that fails fails at once
  }
  return false;
}

// What the end of a test looks like: exact, whoever did it. No Task of this log lives, and no other worker.
void expect_exact(KafkaLog& log, std::int64_t numbers);

// A producer that has put records into a topic within a transaction, and ends neither.
Handle open_zombie(const KafkaPlace& place, const std::string& id, std::string_view topic, std::int32_t partition,
                   int records, std::chrono::milliseconds timeout);
// Keys of a partition up to its end, as a reader sees it that takes aborted and open transactions too, or one that
// takes what is committed, which waits for it to be decided.
std::vector<std::string> keys(const Log& log, const KafkaPlace& place, std::string_view topic, std::int32_t partition,
                              bool committed);
// Copies of trades that aborted transactions have left beside those that are committed.
std::size_t aborted_copies(const Log& log, const KafkaPlace& place);

}  // namespace truetape::kafka::testing
