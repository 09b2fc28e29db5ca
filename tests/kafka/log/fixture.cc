#include "fixture.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "log/conformance/counting.h"
#include "log/conformance/following.h"
#include "log/kafka/parts.h"

namespace truetape::kafka::testing {

using conformance::end_of;
using conformance::kLong;

void KafkaOnly::SetUp() {
  place_ = fresh_place("only");
  make_topics(place_, 4);
}

KafkaOptions KafkaOnly::options(const std::string& worker) const {
  KafkaOptions out;
  out.place = place_;
  out.worker = worker;
  out.session_timeout = out.transaction_timeout = 6s;
  return out;
}

std::unique_ptr<KafkaLog> KafkaOnly::open(const std::string& worker) const {
  auto log = open_kafka_log(options(worker));
  EXPECT_TRUE(log) << log.error().detail;
  return log ? std::move(*log) : nullptr;
}

Worker::Worker(Log& log) {
  auto opened = CountingWorker::open(log);
  EXPECT_TRUE(opened) << opened.error().detail;
  if (!opened) throw std::runtime_error{"no worker"};
  worker_ = std::move(*opened);
}

std::optional<Error> Worker::told(std::optional<Error> error) const {
  for (const std::string& fault : worker_->faults()) ADD_FAILURE() << fault;
  return error;
}

bool Worker::runs() {
  const auto error = step();
  EXPECT_FALSE(error) << error->detail;
  return !error;
}

bool Worker::takes() {
  return until([&] {
           const auto error = poll();
           EXPECT_FALSE(error) << error->detail;
           return error || worker_->in_hand();
         }) &&
         worker_->in_hand();
}

WorkerProcess::WorkerProcess(const KafkaPlace& place, const std::string& name, std::optional<int> hold) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error{"no pipe"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<std::string> words{"setpriv",     "--pdeathsig", "KILL", KAFKA_LOG_WORKER,
                                 place.brokers, place.prefix,  name,   std::to_string(hold.value_or(-1))};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int failed = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  said_ = ends[0];
  if (failed != 0) throw std::runtime_error{"no worker"};
}

void WorkerProcess::signal(int number) const { ::kill(pid_, number); }

std::string WorkerProcess::line(std::string_view begins) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      const std::string line = buffer_.substr(0, end + 1);
      buffer_.erase(0, end + 1);
      EXPECT_FALSE(line.starts_with("fault")) << line;
      if (line.starts_with(begins)) return line;
      continue;
    }
    pollfd waiting{said_, POLLIN, 0};
    std::array<char, 4096> some{};
    if (::poll(&waiting, 1, 60'000) == 0) {
      ADD_FAILURE() << "the worker does not say \"" << begins << '"';
      return {};
    }
    const ssize_t size = ::read(said_, some.data(), some.size());
    if (size <= 0) return {};
    buffer_.append(some.data(), static_cast<std::size_t>(size));
  }
}

void WorkerProcess::kill() {
  if (said_ < 0) return;
  signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  while (!line("").empty()) {
  }
  ::close(std::exchange(said_, -1));
}

void append_numbers(Log& log, std::int64_t from, std::int64_t to) {
  auto appender = log.appender(topic::raw).value();
  for (std::int64_t i = from; i < to; ++i)
    for (std::int32_t p = 0; p < log.partitions(); ++p) {
      const conformance::NumberedRecord record{p, i};
      while (!appender->append(p, record.record())) ASSERT_TRUE(appender->flush(1s));
    }
  ASSERT_TRUE(appender->flush(kLong).value());
}

bool all_done(const Log& log) {
  for (std::int32_t p = 0; p < log.partitions(); ++p)
    if (log.committed(p).value() < end_of(log, topic::raw, p)) return false;
  return true;
}

bool does_all(Worker& worker, const Log& log) {
  return until([&] { return worker.runs() && all_done(log); });
}

void expect_exact(KafkaLog& log, std::int64_t numbers) {
  EXPECT_EQ(conformance::check_world(log, conformance::all_below({numbers, numbers, numbers, numbers}), true),
            std::nullopt);
}

Handle open_zombie(const KafkaPlace& place, const std::string& id, std::string_view topic, std::int32_t partition,
                   int records, std::chrono::milliseconds timeout) {
  const Properties properties{{"transactional.id", id}, {"transaction.timeout.ms", std::to_string(timeout.count())}};
  auto producer = Handle::make(Kind::producer, place, properties, {});
  EXPECT_TRUE(producer);
  const KafkaError begun{rd_kafka_init_transactions(producer->get(), 30'000)};
  EXPECT_FALSE(begun);
  const KafkaError open{rd_kafka_begin_transaction(producer->get())};
  EXPECT_FALSE(open);
  const TopicHandle at{rd_kafka_topic_new(producer->get(), place.topic(topic).c_str(), nullptr)};
  for (int i = 0; i < records; ++i) {
    const std::string key = "zombie" + std::to_string(i);
    EXPECT_EQ(rd_kafka_produce(at.get(), partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>("x"), 1, key.data(),
                               key.size(), nullptr),
              0);
  }
  EXPECT_EQ(rd_kafka_flush(producer->get(), 30'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  return std::move(*producer);
}

std::vector<std::string> keys(const Log& log, const KafkaPlace& place, std::string_view topic, std::int32_t partition,
                              bool committed) {
  std::vector<std::string> out;
  auto reading = Handle::make(Kind::consumer, place, consumer_properties("anybody", committed), {});
  EXPECT_TRUE(reading);
  rd_kafka_poll_set_consumer(reading->get());
  const std::int64_t end = end_of(log, topic, partition);
  const Partitions list = partition_list(1);
  rd_kafka_topic_partition_list_add(list.get(), place.topic(topic).c_str(), partition)->offset = 0;
  rd_kafka_assign(reading->get(), list.get());
  EXPECT_TRUE(until([&] {
    const Message message{rd_kafka_consumer_poll(reading->get(), 100)};
    if (!message) return false;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return message->offset >= end;
    EXPECT_EQ(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
    out.emplace_back(key_of(*message));
    return false;
  }));
  return out;
}

std::size_t aborted_copies(const Log& log, const KafkaPlace& place) {
  std::size_t out = 0;
  for (std::int32_t p = 0; p < log.partitions(); ++p)
    out += keys(log, place, topic::trades, p, false).size() - keys(log, place, topic::trades, p, true).size();
  return out;
}

}  // namespace truetape::kafka::testing
