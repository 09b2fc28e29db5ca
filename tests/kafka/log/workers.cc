// Workers on Kafka: they divide partitions and hand them over, they are fenced, stopped and killed, and what they hand
// over is whole. Each test ends with a look at everything: each record processed once, the state that which follows.
#include <signal.h>

#include <atomic>
#include <random>
#include <thread>

#include "fixture.h"
#include "log/conformance/counting.h"
#include "log/conformance/following.h"
#include "log/kafka/parts.h"

namespace truetape::kafka {
namespace {

using namespace std::chrono_literals;
using testing::aborted_copies;
using testing::all_done;
using testing::append_numbers;
using testing::does_all;
using testing::expect_exact;
using testing::KafkaOnly;
using testing::until;
using testing::Worker;
using testing::WorkerProcess;

TEST_F(KafkaOnly, WorkersDivideThePartitionsAndHandThemOver) {
  const auto one_log = open("a"), two_log = open("b");
  append_numbers(*one_log, 0, 200);
  {
    Worker one{*one_log};
    ASSERT_TRUE(until([&] { return one.runs() && one.mine().size() == 4; }));
    {
      Worker two{*two_log};
      ASSERT_TRUE(until([&] { return one.runs() && two.runs() && one.mine().size() == 2 && two.mine().size() == 2; }));
      append_numbers(*one_log, 200, 400);
      ASSERT_TRUE(until([&] { return one.runs() && two.runs() && all_done(*one_log); }));
      EXPECT_GT(two.commits(), 0);
    }
    // Two is gone without a word; its session ends, and one has all again.
    append_numbers(*one_log, 400, 500);
    ASSERT_TRUE(does_all(one, *one_log));
    EXPECT_EQ(one.mine().size(), 4U);
  }
  expect_exact(*one_log, 500);
}

TEST_F(KafkaOnly, ASecondOwnerOfAWorkersNameFencesTheFirst) {
  const auto first_log = open("a"), second_log = open("a");
  append_numbers(*first_log, 0, 100);
  {
    Worker first{*first_log};
    ASSERT_TRUE(does_all(first, *first_log));
    append_numbers(*first_log, 100, 110);
    ASSERT_TRUE(first.takes());
    Worker second{*second_log};
    ASSERT_TRUE(until([&] { return second.runs() && second.mine().size() == 4; }));
    // Of the step that the first has in hand nothing is seen.
    const auto end = first.commit();
    ASSERT_TRUE(end);
    EXPECT_EQ(end->retry, Retry::rebuild);
    ASSERT_TRUE(does_all(second, *second_log));
  }
  expect_exact(*second_log, 110);
}

TEST_F(KafkaOnly, AnIdleWorkerWhoseNameAnotherTakesLearnsSoToo) {
  const auto first_log = open("a"), second_log = open("a");
  append_numbers(*first_log, 0, 10);
  {
    Worker first{*first_log};
    ASSERT_TRUE(does_all(first, *first_log));
    Worker second{*second_log};
    ASSERT_TRUE(until([&] { return second.runs() && second.mine().size() == 4; }));
    std::optional<Error> end;
    append_numbers(*second_log, 10, 20);
    ASSERT_TRUE(until([&] { return (end = first.step()).has_value(); }));
    EXPECT_EQ(end->retry, Retry::rebuild);
    ASSERT_TRUE(does_all(second, *second_log));
  }
  expect_exact(*second_log, 20);
}

// The names differ, so no producer fences the other: the group's generation does.
TEST_F(KafkaOnly, AStepThatAMoveHasOvertakenIsRefused) {
  KafkaOptions slow = options("a");
  slow.place.properties.emplace_back("session.timeout.ms", "6000");
  slow.place.properties.emplace_back("max.poll.interval.ms", "7000");
  const auto one_log = open_kafka_log(slow).value();
  const auto two_log = open("b");
  append_numbers(*one_log, 0, 20);
  {
    auto one = std::make_unique<Worker>(*one_log);
    ASSERT_TRUE(does_all(*one, *one_log));
    EXPECT_EQ(one->mine().size(), 4U);
    append_numbers(*one_log, 20, 50);
    ASSERT_TRUE(one->takes());
    // It lives, but comes back too late: the others go on without it.
    Worker two{*two_log};
    ASSERT_TRUE(until([&] { return two.runs() && two.commits() > 0; }));
    const auto end = one->commit();
    ASSERT_TRUE(end) << "the step was taken, though a partition of it had moved";
    EXPECT_EQ(end->retry, Retry::rebuild);
    one.reset();
    one = std::make_unique<Worker>(*one_log);
    append_numbers(*one_log, 50, 60);
    ASSERT_TRUE(until([&] { return one->runs() && two.runs() && one->mine().size() == 2 && all_done(*one_log); }));
    one.reset();
    append_numbers(*one_log, 60, 70);
    ASSERT_TRUE(does_all(two, *two_log));
  }
  expect_exact(*two_log, 70);
}

TEST_F(KafkaOnly, AWorkerThatWasStoppedPastItsSessionLearnsSoAndDoublesNothing) {
  const auto log = open("b");
  append_numbers(*log, 0, 50);
  WorkerProcess zombie{place_, "a", 1};
  ASSERT_NE(zombie.line("committed"), "");
  append_numbers(*log, 50, 300);
  ASSERT_NE(zombie.line("holds"), "");
  {
    Worker other{*log};
    ASSERT_TRUE(until([&] { return other.runs() && other.mine().size() == 4 && all_done(*log); }));
    zombie.signal(SIGCONT);  // what it has in hand is done already
    ASSERT_NE(zombie.line("error"), "");
    append_numbers(*log, 300, 400);
    ASSERT_TRUE(until([&] { return other.runs() && other.mine().size() == 2; })) << "it never came back";
    ASSERT_TRUE(does_all(other, *log));
  }
  append_numbers(*log, 400, 420);
  ASSERT_TRUE(until([&] { return all_done(*log); })) << "the one that is left takes all over";
  zombie.kill();
  expect_exact(*log, 420);
}

// Appends numbers all the time, from a thread of its own.
class Feed {
 public:
  explicit Feed(Log& log) : thread_{[this, &log] { run(log); }} {}
  ~Feed() { end(); }
  // How many there are in each partition.
  std::int64_t end() {
    ended_ = true;
    if (thread_.joinable()) thread_.join();
    return numbers_;
  }

 private:
  void run(Log& log) {
    auto appender = log.appender(topic::raw).value();
    for (; !ended_; std::this_thread::sleep_for(1ms), ++numbers_)
      for (std::int32_t p = 0; p < log.partitions(); ++p) {
        const conformance::NumberedRecord record{p, numbers_};
        while (!appender->append(p, record.record())) ASSERT_TRUE(appender->flush(1s));
      }
    ASSERT_TRUE(appender->flush(conformance::kLong).value());
  }
  std::atomic<bool> ended_{false};
  std::int64_t numbers_ = 0;
  std::thread thread_;
};

// Where partitions end, for those that take what is committed and for those that take all.
class Ends {
 public:
  explicit Ends(const KafkaPlace& place) : place_{place}, committed_{make(place, true)}, all_{make(place, false)} {}
  std::int64_t committed(std::string_view topic, std::int32_t partition) const {
    return of(committed_, topic, partition);
  }
  std::int64_t all(std::string_view topic, std::int32_t partition) const { return of(all_, topic, partition); }
  // Some record of the topic stands in an open transaction.
  bool any_open(std::string_view topic) const {
    for (std::int32_t p = 0; p < 4; ++p)
      if (committed(topic, p) < all(topic, p)) return true;
    return false;
  }

 private:
  static Handle make(const KafkaPlace& place, bool committed) {
    return Handle::make(Kind::consumer, place, consumer_properties("anybody", committed), {}).value();
  }
  std::int64_t of(const Handle& handle, std::string_view topic, std::int32_t partition) const {
    std::int64_t low = 0, high = -1;
    EXPECT_EQ(patiently(20s, [&](int ms) { return ask_ends(handle, place_.topic(topic), partition, low, high, ms); }),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    return high;
  }
  const KafkaPlace place_;
  const Handle committed_, all_;
};

TEST_F(KafkaOnly, AWorkerKilledAgainAndAgainGoesOnWhereItsLastCommitWas) {
  const auto log = open("a");
  const Ends ends{place_};
  Feed feed{*log};
  std::minstd_rand dice;
  for (int kill = 0; kill < 12; ++kill) {
    WorkerProcess worker{place_, "a"};
    ASSERT_NE(worker.line("committed"), "");
    std::this_thread::sleep_for(std::chrono::milliseconds{dice() % 40});
    if (kill % 3 == 0) continue;  // anywhere; else where it has written trades that are not committed
    ASSERT_TRUE(until([&] {
      worker.signal(SIGSTOP);
      if (ends.any_open(topic::trades)) return true;
      worker.signal(SIGCONT);
      std::this_thread::sleep_for(std::chrono::milliseconds{dice() % 10});
      return false;
    }));
  }
  const std::int64_t numbers = feed.end();
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  EXPECT_GT(aborted_copies(*log, place_), 0U) << "no kill has hit open work";
  expect_exact(*log, numbers);
}

TEST_F(KafkaOnly, StateIsWholeThoughADeadTransactionStandsInFrontOfItsEnd) {
  const auto log = open("a");
  append_numbers(*log, 0, 50);
  std::optional<Handle> zombie;
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
    zombie = testing::open_zombie(place_, "zombie", kStateTopic, 2, 10, 20s);
    append_numbers(*log, 50, 60);
    ASSERT_TRUE(does_all(worker, *log));
  }
  const Ends ends{place_};
  ASSERT_LT(ends.committed(kStateTopic, 2), ends.all(kStateTopic, 2)) << "the dead transaction is over before its time";
  {
    // Behind it stands committed state. The worker waits until the brokers have given the dead transaction up.
    Worker worker{*log};
    append_numbers(*log, 60, 70);
    ASSERT_TRUE(does_all(worker, *log));
  }
  expect_exact(*log, 70);
}

// An owner that is gone for the others has sent its positions and not yet its state. It commits while the next one
// takes over, who has both or neither.
TEST_F(KafkaOnly, StateIsNeverOlderThanThePosition) {
  const auto log = open("a");
  append_numbers(*log, 0, 50);
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  const Properties properties{{"transactional.id", place_.topic("process.old")},
                              {"transaction.timeout.ms", "60000"},
                              {"linger.ms", "50000"}};  // what it puts goes out when it commits, and not before
  auto old = Handle::make(Kind::producer, place_, properties, {});
  ASSERT_TRUE(old);
  const auto works = [](rd_kafka_error_t* result) {
    const KafkaError error{result};
    EXPECT_FALSE(error) << rd_kafka_error_string(error.get());
  };
  works(rd_kafka_init_transactions(old->get(), 30'000));
  works(rd_kafka_begin_transaction(old->get()));
  append_numbers(*log, 50, 60);
  const Partitions positions = partition_list(4);
  {
    Worker worker{*log};
    ASSERT_TRUE(until([&] { return worker.takes() && worker.in_hand().outputs().size() == 40; }));
    const auto put = [&](std::string_view topic, std::int32_t partition, std::string_view key,
                         std::optional<std::string_view> value) {
      const TopicHandle at{rd_kafka_topic_new(old->get(), place_.topic(topic).c_str(), nullptr)};
      EXPECT_EQ(
          rd_kafka_produce(at.get(), partition, RD_KAFKA_MSG_F_COPY, value ? const_cast<char*>(value->data()) : nullptr,
                           value ? value->size() : 0, key.data(), key.size(), nullptr),
          0);
    };
    for (const Output& o : worker.in_hand().outputs()) put(o.topic, o.partition, o.record.key, o.record.value);
    for (const StateChange& c : worker.in_hand().changes()) put(kStateTopic, c.partition, c.key, c.value);
    for (std::int32_t p = 0; p < 4; ++p)
      put(kStateTopic, p, kPositionKey, std::to_string(conformance::end_of(*log, topic::raw, p)));
  }
  for (std::int32_t p = 0; p < 4; ++p)
    rd_kafka_topic_partition_list_add(positions.get(), place_.topic(topic::raw).c_str(), p)->offset =
        conformance::end_of(*log, topic::raw, p);
  const GroupMetadata group{rd_kafka_consumer_group_metadata_new(place_.topic("process").c_str())};
  works(rd_kafka_send_offsets_to_transaction(old->get(), positions.get(), group.get(), 30'000));
  EXPECT_FALSE(Ends{place_}.any_open(topic::trades)) << "it is out already";
  {
    Worker next{*log};
    std::thread commit{[&] {
      std::this_thread::sleep_for(3s);
      works(rd_kafka_commit_transaction(old->get(), 30'000));
    }};
    EXPECT_TRUE(until([&] { return next.runs() && next.mine().size() == 4; }));
    commit.join();
    append_numbers(*log, 60, 70);
    ASSERT_TRUE(does_all(next, *log));
  }
  expect_exact(*log, 70);
}

TEST_F(KafkaOnly, NothingOfAStepThatWasNotCommittedIsEverSeen) {
  const auto log = open("a");
  append_numbers(*log, 0, 100);
  const Handle zombie = testing::open_zombie(place_, place_.topic("process.b"), topic::trades, 1, 10, 6s);
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  // A reader that takes everything sees what the dead left; ours waits until it is aborted, and does not.
  const auto zombies = [&](bool committed) {
    return std::ranges::count_if(testing::keys(*log, place_, topic::trades, 1, committed),
                                 [](const std::string& key) { return key.starts_with("zombie"); });
  };
  EXPECT_EQ(zombies(false), 10);
  EXPECT_EQ(zombies(true), 0);
  expect_exact(*log, 100);
}

TEST_F(KafkaOnly, RawThatRetentionTookUnreadIsNamedAndItGoesOn) {
  const auto log = open("a");
  append_numbers(*log, 0, 30);
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  conformance::append(*log, topic::raw, 1, {"x", "y", "z", "kept"});
  testing::delete_records(place_, topic::raw, 1, 33);
  auto task = log->task().value();
  std::vector<Task::Lost> lost;
  std::vector<std::string> records;
  ASSERT_TRUE(until([&] {
    const auto step = task->poll(10ms);
    EXPECT_TRUE(step) << step.error().detail;
    lost.insert(lost.end(), step->lost.begin(), step->lost.end());
    for (const Stored& s : step->records) records.push_back(conformance::text(s));
    return !records.empty();
  }));
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].partition, 1);
  EXPECT_EQ(lost[0].from, 30);
  EXPECT_EQ(lost[0].to, 33);
  EXPECT_EQ(records, std::vector<std::string>{"1@33=kept"});
}

TEST_F(KafkaOnly, ATopicThatWasMadeAnewUnderAnOlderPositionIsToldApart) {
  std::string id;
  {
    const auto log = open("a");
    id = log->id();
    append_numbers(*log, 0, 50);
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  testing::delete_topics(place_);
  testing::make_topics(place_, 4);
  const auto log = open("a");
  EXPECT_NE(log->id(), id);
  append_numbers(*log, 0, 10);
  // The brokers forget a group's positions with the topic; another copy of them may not.
  testing::put_position(place_, place_.topic("process"), topic::raw, 3, 50);
  std::optional<Error> end;
  {
    auto task = log->task().value();
    ASSERT_TRUE(until([&] {
      const auto step = task->poll(10ms);
      if (!step) end = step.error();
      return end.has_value();
    }));
  }
  EXPECT_EQ(end->fault, Fault::mismatch);
  EXPECT_EQ(end->retry, Retry::never);
  EXPECT_NE(end->detail.find(place_.topic("raw") + "/3 ends at 10, but process has committed up to 50"),
            std::string::npos)
      << end->detail;
  testing::put_position(place_, place_.topic("process"), topic::raw, 3, 0);
  {
    Worker worker{*log};
    ASSERT_TRUE(does_all(worker, *log));
  }
  expect_exact(*log, 10);
}

}  // namespace
}  // namespace truetape::kafka
