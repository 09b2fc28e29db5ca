// What only the log on Kafka has: workers that divide partitions, fences, transactions of the dead, state read back,
// retention that asks nobody, strangers in a topic, brokers that go.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "brokers.h"
#include "counting_worker.h"
#include "log/conformance/counting.h"
#include "log/conformance/following.h"
#include "log/kafka/kafka_log.h"
#include "log/kafka/parts.h"
#include "log/read.h"

namespace truetape::kafka {
namespace {

using namespace std::chrono_literals;
using conformance::append;
using conformance::end_of;
using conformance::kLong;
using conformance::value;
using Clock = std::chrono::steady_clock;

class KafkaOnly : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = testing::fresh_place("only");
    testing::make_topics(place_, 4);
  }
  void TearDown() override { testing::delete_topics(place_); }

  KafkaOptions options(const std::string& worker) const {
    KafkaOptions out;
    out.place = place_;
    out.worker = worker;
    out.session_timeout = out.transaction_timeout = 6s;
    return out;
  }
  std::unique_ptr<KafkaLog> open(const std::string& worker) const {
    auto log = open_kafka_log(options(worker));
    EXPECT_TRUE(log) << log.error().detail;
    return log ? std::move(*log) : nullptr;
  }
  KafkaPlace place_;
};

// A worker in this thread; a fault of the log fails the test.
class Worker {
 public:
  explicit Worker(Log& log) {
    auto opened = testing::CountingWorker::open(log);
    EXPECT_TRUE(opened) << opened.error().detail;
    if (opened) worker_ = std::move(*opened);
  }
  std::optional<Error> step(std::chrono::milliseconds linger = 10ms, bool commits = true) {
    auto error = worker_->step(linger, commits);
    for (const std::string& fault : worker_->faults()) ADD_FAILURE() << fault;
    return error;
  }
  bool runs() {  // a step that must work
    const auto error = step();
    EXPECT_FALSE(error) << error->detail;
    return !error;
  }
  std::set<std::int32_t> mine() const { return worker_->mine(); }
  int commits() const { return worker_->commits(); }

 private:
  std::unique_ptr<testing::CountingWorker> worker_;
};

// A worker that is a process.
class WorkerProcess {
 public:
  WorkerProcess(const KafkaPlace& place, const std::string& name) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error{"no pipe"};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    std::string program{KAFKA_LOG_WORKER}, brokers{place.brokers}, prefix{place.prefix}, worker{name};
    char* const arguments[]{program.data(), brokers.data(), prefix.data(), worker.data(), nullptr};
    if (::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ) != 0)
      throw std::runtime_error{"no worker"};
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    lines_ = ::fdopen(ends[0], "r");
  }
  ~WorkerProcess() {
    signal(SIGCONT);
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    std::fclose(lines_);
  }
  void signal(int number) const { ::kill(pid_, number); }
  // Its next line that begins so; empty: it has ended.
  std::string line(std::string_view begins) {
    std::array<char, 4096> text{};
    while (std::fgets(text.data(), text.size(), lines_) != nullptr) {
      EXPECT_FALSE(std::string_view{text.data()}.starts_with("fault")) << text.data();
      if (std::string_view{text.data()}.starts_with(begins)) return text.data();
    }
    return {};
  }

 private:
  pid_t pid_ = 0;
  std::FILE* lines_ = nullptr;
};

// Numbered records [from, to) into every partition.
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

template <class Step>
bool until(const Step& step, std::chrono::seconds limit = 60s) {
  for (const auto end = Clock::now() + limit; Clock::now() < end;)
    if (step()) return true;
  return false;
}

// What the end of a test looks like: exact, whoever did it.
void expect_exact(KafkaLog& log, std::int64_t numbers) {
  EXPECT_EQ(conformance::check_world(log, conformance::all_below({numbers, numbers, numbers, numbers}), true),
            std::nullopt);
}

TEST_F(KafkaOnly, WorkersDivideThePartitionsAndHandThemOver) {
  const auto one_log = open("a"), two_log = open("b");
  append_numbers(*one_log, 0, 200);
  Worker one{*one_log};
  ASSERT_TRUE(until([&] { return one.runs() && one.mine().size() == 4; }));
  {
    Worker two{*two_log};
    // A worker whose step the move has overtaken learns so from its commit: not here, where nothing is in between.
    ASSERT_TRUE(until([&] { return one.runs() && two.runs() && one.mine().size() == 2 && two.mine().size() == 2; }));
    append_numbers(*one_log, 200, 400);
    ASSERT_TRUE(until([&] { return one.runs() && two.runs() && all_done(*one_log); }));
    EXPECT_GT(two.commits(), 0);
  }
  // Two is gone without a word; its session ends, and one has all again.
  append_numbers(*one_log, 400, 500);
  ASSERT_TRUE(until([&] { return one.runs() && all_done(*one_log); }));
  EXPECT_EQ(one.mine().size(), 4U);
}

TEST_F(KafkaOnly, ASecondOwnerOfAWorkersNameFencesTheFirst) {
  const auto first_log = open("a"), second_log = open("a");
  append_numbers(*first_log, 0, 100);
  Worker first{*first_log};
  ASSERT_TRUE(until([&] { return first.runs() && all_done(*first_log); }));
  Worker second{*second_log};
  ASSERT_TRUE(until([&] { return second.runs() && second.mine().size() == 4; }));
  // The first has a step in hand, or is asked for one: either way it ends, and nothing of it is seen.
  std::optional<Error> end;
  append_numbers(*second_log, 100, 110);
  ASSERT_TRUE(until([&] { return (end = first.step()).has_value(); }));
  EXPECT_EQ(end->retry, Retry::rebuild);
  ASSERT_TRUE(until([&] { return second.runs() && all_done(*second_log); }));
}

TEST_F(KafkaOnly, AWorkerThatWasStoppedPastItsSessionLearnsSoAndDoublesNothing) {
  const auto log = open("b");
  append_numbers(*log, 0, 50);
  WorkerProcess zombie{place_, "a"};
  ASSERT_NE(zombie.line("committed"), "");
  ASSERT_TRUE(until([&] { return all_done(*log); }));
  zombie.signal(SIGSTOP);
  append_numbers(*log, 50, 300);  // it wakes up to these, which are not its own any more
  {
    Worker other{*log};
    ASSERT_TRUE(until([&] { return other.runs() && other.mine().size() == 4 && all_done(*log); }));
    zombie.signal(SIGCONT);
    append_numbers(*log, 300, 400);
    ASSERT_TRUE(until([&] { return other.runs() && other.mine().size() == 2; })) << "it never came back";
    ASSERT_TRUE(until([&] { return other.runs() && all_done(*log); }));
  }
  append_numbers(*log, 400, 420);
  ASSERT_TRUE(until([&] { return all_done(*log); })) << "the one that is left takes all over";
}

TEST_F(KafkaOnly, AWorkerKilledAgainAndAgainGoesOnWhereItsLastCommitWas) {
  const auto log = open("");
  std::int64_t numbers = 0;
  for (int kill = 0; kill < 6; ++kill) {
    WorkerProcess worker{place_, "a"};
    append_numbers(*log, numbers, numbers + 500);
    numbers += 500;
    ASSERT_NE(worker.line("committed"), "");
    std::this_thread::sleep_for(std::chrono::milliseconds{7 * kill});
  }
  const auto last = open("a");
  {
    Worker worker{*last};
    ASSERT_TRUE(until([&] { return worker.runs() && all_done(*last); }));
  }
  expect_exact(*last, numbers);
}

// Puts records into a topic within a transaction, and ends neither.
Handle open_zombie(const KafkaPlace& place, const std::string& id, std::string_view topic, std::int32_t partition,
                   int records) {
  const Properties properties{{"transactional.id", id}, {"transaction.timeout.ms", "6000"}};
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

TEST_F(KafkaOnly, StateIsWholeThoughADeadTransactionStandsInFrontOfItsEnd) {
  auto log = open("a");
  append_numbers(*log, 0, 50);
  {
    Worker worker{*log};
    ASSERT_TRUE(until([&] { return worker.runs() && all_done(*log); }));
  }
  const Handle zombie = open_zombie(place_, "zombie", kStateTopic, 2, 10);
  {
    // It waits until the brokers have given the dead transaction up, and none of its records is state.
    Worker worker{*log};
    append_numbers(*log, 50, 60);
    ASSERT_TRUE(until([&] { return worker.runs() && all_done(*log); }));
  }
  expect_exact(*log, 60);
}

TEST_F(KafkaOnly, NothingOfAStepThatWasNotCommittedIsEverSeen) {
  const auto log = open("a");
  append_numbers(*log, 0, 100);
  const Handle zombie = open_zombie(place_, place_.topic("process.b"), topic::trades, 1, 10);
  {
    Worker worker{*log};
    ASSERT_TRUE(until([&] { return worker.runs() && all_done(*log); }));
  }
  // A reader that takes everything sees what the dead left; ours waits until it is aborted, and does not.
  std::set<std::string> keys;
  for (const bool committed : {false, true}) {
    Properties properties = consumer_properties("anybody", committed);
    auto reading = Handle::make(Kind::consumer, place_, properties, {});
    ASSERT_TRUE(reading);
    rd_kafka_poll_set_consumer(reading->get());
    const std::int64_t end = end_of(*log, topic::trades, 1);
    const Partitions list = partition_list(1);
    rd_kafka_topic_partition_list_add(list.get(), place_.topic(topic::trades).c_str(), 1)->offset = 0;
    rd_kafka_assign(reading->get(), list.get());
    int zombies = 0;
    ASSERT_TRUE(until([&] {
      const Message message{rd_kafka_consumer_poll(reading->get(), 100)};
      if (!message) return false;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return message->offset >= end;
      zombies += key_of(*message).starts_with("zombie") ? 1 : 0;
      return false;
    }));
    EXPECT_EQ(zombies, committed ? 0 : 10);
  }
  expect_exact(*log, 100);
}

TEST_F(KafkaOnly, RawThatRetentionTookUnreadIsNamedAndItGoesOn) {
  const auto log = open("a");
  append_numbers(*log, 0, 30);
  {
    Worker worker{*log};
    ASSERT_TRUE(until([&] { return worker.runs() && all_done(*log); }));
  }
  append(*log, topic::raw, 1, {"x", "y", "z", "kept"});
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

// Ids of a registry that gave trades 41 and knows 42 as a newer one.
class TestIds final : public SchemaIds {
 public:
  Result<std::uint32_t> written(std::string_view, std::uint32_t local) override { return local + 40; }
  Result<std::uint32_t> local(std::string_view, std::uint32_t id) override {
    if (down) return failure(Fault::unavailable, Retry::after_backoff, "the registry does not answer");
    if (id == 41) return 1;
    if (id == 42) return failure(Fault::mismatch, Retry::never, "schema 42 is newer");
    return failure(Fault::not_found, Retry::never, "there is no schema " + std::to_string(id));
  }
  std::atomic<bool> down{false};
};

TEST_F(KafkaOnly, SchemaIdsAreTranslatedAtTheBorderAndStrangersAreToldApart) {
  const auto ids = std::make_shared<TestIds>();
  KafkaOptions with_ids = options("a");
  with_ids.schema_ids = ids;
  const auto log = open_kafka_log(with_ids).value();
  append(*log, topic::raw, 0, {"a"});
  const std::string ours{"\0\0\0\0\1body", 9};
  {
    auto task = log->task().value();
    ASSERT_TRUE(until([&] { return !task->poll(10ms)->records.empty(); }));
    const std::vector<Output> outputs{{topic::trades, 0, value(ours)}, {topic::quarantine, 0, value("\0\0\0\0\1raw")}};
    ASSERT_TRUE(task->commit(outputs, {}));
  }
  testing::put_foreign(place_, topic::trades, 0, "k", "not ours");
  testing::put_foreign(place_, topic::trades, 0, "k", {"\0\0\0\0\1as in a directory", 23});
  ids->down = true;
  auto reader = log->reader(topic::trades, "", Share::all).value();
  ASSERT_TRUE(reader->poll(0ms));
  ASSERT_TRUE(reader->seek(0, std::nullopt));
  std::optional<Error> trouble;
  ASSERT_TRUE(until([&] {
    const auto step = reader->poll(100ms);
    if (!step) trouble = step.error();
    return trouble.has_value();
  }));
  EXPECT_EQ(trouble->retry, Retry::after_backoff);
  EXPECT_EQ(reader->position(0), 0) << "nothing is passed over while the registry is away";
  // A partition that waits holds no other up: strangers without a schema id need no registry.
  testing::put_foreign(place_, topic::trades, 1, "k", "not ours either");
  ASSERT_TRUE(reader->seek(1, std::nullopt));
  std::size_t others = 0;
  ASSERT_TRUE(until([&] {
    const auto step = reader->poll(100ms);
    if (step) {
      EXPECT_TRUE(step->records.empty());
      others += step->foreign.size();
    }
    return others > 0 && !step;
  }));
  EXPECT_EQ(others, 1U);
  EXPECT_EQ(reader->position(0), 0);
  ids->down = false;
  std::vector<std::string> records, foreign;
  ASSERT_TRUE(until([&] {
    const auto step = reader->poll(100ms);
    EXPECT_TRUE(step) << step.error().detail;
    for (const Stored& s : step->records) records.emplace_back(s.record.value);
    for (const Stored& s : step->foreign) foreign.emplace_back(s.record.value);
    return reader->position(0) >= end_of(*log, topic::trades, 0);
  }));
  EXPECT_EQ(records, std::vector<std::string>{ours});
  EXPECT_EQ(foreign, (std::vector<std::string>{"not ours", {"\0\0\0\0\1as in a directory", 23}}));
  // On Kafka the registry's id stands there.
  const auto plain = open("b");
  std::vector<std::string> bytes;
  ASSERT_TRUE(read_stretch(*plain, {topic::trades, 0, 0, end_of(*plain, topic::trades, 0)}, [&](const Stored& s) {
    bytes.emplace_back(s.record.value.substr(0, 5));
    return true;
  }));
  EXPECT_EQ(bytes.at(0), (std::string{"\0\0\0\0\x29", 5}));
  // Of a schema that is newer than this program it stops, and says which.
  testing::put_foreign(place_, topic::trades, 0, "k", {"\0\0\0\0\x2a...", 8});
  ASSERT_TRUE(until([&] {
    const auto step = reader->poll(100ms);
    if (!step) trouble = step.error();
    return !step;
  }));
  EXPECT_EQ(trouble->fault, Fault::mismatch);
  EXPECT_NE(trouble->detail.find("schema 42 is newer"), std::string::npos) << trouble->detail;
}

TEST_F(KafkaOnly, NotesAndEpochOutliveTheProcess) {
  std::int64_t epoch = 0;
  std::string id;
  {
    const auto log = open("");
    id = log->id();
    epoch = log->epoch();
    EXPECT_EQ(log->note("rules").value(), std::nullopt);
    ASSERT_TRUE(log->set_note("rules", "a=1\n"));
    ASSERT_TRUE(log->renew_epoch());
    EXPECT_GT(log->epoch(), epoch);
    EXPECT_EQ(log->task().error().fault, Fault::refused) << "without a worker's name";
    epoch = log->epoch();
  }
  const auto log = open("x");
  EXPECT_EQ(log->id(), id);
  EXPECT_EQ(log->epoch(), epoch);
  EXPECT_EQ(log->note("rules").value(), "a=1\n");
  EXPECT_EQ(log->name(), place_.name());
}

TEST_F(KafkaOnly, EndsAreAskedOfWhoeverLeadsNowAndNobodyWaitsForWhoIsGone) {
  KafkaOptions of = options("");
  of.patience = testing::nodes() > 1 ? 30s : 3s;
  const auto log = open_kafka_log(of);
  ASSERT_TRUE(log) << log.error().detail;
  append_numbers(**log, 0, 10);
  const auto all_answer = [&] {
    for (std::int32_t p = 0; p < 4; ++p) {
      const auto span = (*log)->span(topic::raw, p);
      if (!span) return span.error().detail;
      if (span->oldest != 0 || span->end != 10) return "partition " + std::to_string(p) + " has another end";
    }
    return std::string{};
  };
  ASSERT_EQ(all_answer(), "");
  for (int node = 1; node <= std::min(testing::nodes(), 2); ++node) {
    testing::order("kill " + std::to_string(node));
    if (testing::nodes() > 1)
      EXPECT_EQ(all_answer(), "") << "others lead instead of " << node;
    else
      EXPECT_NE(all_answer(), "");
    testing::order("start " + std::to_string(node));
    EXPECT_TRUE(until([&] { return all_answer().empty(); }));
  }
}

TEST_F(KafkaOnly, TopicsAreMadeOnceAndAMismatchIsNamed) {
  const auto fit = check_topics(place_, {.partitions = 4});
  ASSERT_TRUE(fit) << fit.error().detail;
  EXPECT_TRUE(fit->fits());
  EXPECT_EQ(fit->topics.size(), topic::all.size() + 2);
  const auto again = create_topics(place_, {.partitions = 4});
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_TRUE(again->created.empty());
  EXPECT_EQ(again->log_id, fit->log_id);
  const auto other = create_topics(place_, {.partitions = 5});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().fault, Fault::mismatch);
  EXPECT_NE(other.error().detail.find(place_.topic("raw") + " has the partition count 4, not 5"), std::string::npos)
      << other.error().detail;
  const auto shorter = check_topics(place_, {.partitions = 4, .retain_raw = std::chrono::hours{1}});
  ASSERT_TRUE(shorter);
  EXPECT_FALSE(shorter->fits());
  const KafkaTopic& raw = shorter->topics.front();
  EXPECT_EQ(raw.name, place_.topic("raw"));
  EXPECT_EQ(raw.differs, std::vector<std::string>{place_.topic("raw") + " has retention.ms 604800000, not 3600000"});
  EXPECT_EQ(create_topics(place_, {.partitions = 300}).error().fault, Fault::out_of_range);
}

TEST(KafkaOpening, ErrorsSayWhatToDo) {
  KafkaOptions options;
  options.place = testing::fresh_place("none");
  options.patience = 3s;
  const auto none = open_kafka_log(options);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::not_found) << none.error().detail;
  EXPECT_NE(none.error().detail.find("truetape topics create --data " + options.place.name()), std::string::npos)
      << none.error().detail;
  options.place.brokers = "127.0.0.1:1";
  const auto away = open_kafka_log(options);
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().fault, Fault::unavailable);
  EXPECT_NE(away.error().detail.find("127.0.0.1:1"), std::string::npos) << away.error().detail;
  EXPECT_NE(away.error().detail.find("look whether the brokers run"), std::string::npos) << away.error().detail;
  options.worker = "no good";
  EXPECT_EQ(open_kafka_log(options).error().fault, Fault::malformed);
}

}  // namespace
}  // namespace truetape::kafka
