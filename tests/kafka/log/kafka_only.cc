// What else only the log on Kafka has: records that brokers refuse, strangers in a topic, notes, brokers that go,
// topics.
#include <algorithm>
#include <random>

#include "fixture.h"
#include "log/conformance/following.h"
#include "log/kafka/parts.h"
#include "log/read.h"

namespace truetape::kafka {
namespace {

using namespace std::chrono_literals;
using conformance::append;
using conformance::end_of;
using conformance::kLong;
using conformance::value;
using testing::append_numbers;
using testing::KafkaOnly;
using testing::until;

// The brokers do not take a record for good: the appender ends, and what it took before is there.
TEST_F(KafkaOnly, ARecordThatIsRefusedForGoodEndsTheAppender) {
  const auto log = open("");
  auto appender = log->appender(topic::raw).value();
  ASSERT_TRUE(appender->append(0, value("before")));
  ASSERT_TRUE(appender->flush(kLong).value());
  testing::set_topic_config(place_, topic::raw, "max.message.bytes", "2000");
  std::minstd_rand dice;
  std::string large;  // also when it is compressed
  while (large.size() < 20'000) large += static_cast<char>(dice() >> 8);
  // The broker says that the setting is changed a little before its partitions go by it.
  std::vector<std::string> kept{"before"};
  Result<bool> refused = true;
  ASSERT_TRUE(until([&] {
    if (!appender->append(0, value(large))) return false;
    refused = appender->flush(kLong);
    if (refused) kept.push_back(large);
    return !refused;
  })) << "never refused";
  EXPECT_EQ(refused.error().fault, Fault::out_of_range);
  EXPECT_EQ(refused.error().retry, Retry::rebuild);
  EXPECT_NE(refused.error().detail.find("a record was not taken by " + place_.topic("raw")), std::string::npos)
      << refused.error().detail;
  EXPECT_FALSE(appender->append(0, value("after"))) << "nothing more is taken for a session that has lost something";
  const auto again = appender->flush(kLong);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().detail, refused.error().detail);
  append(*log, topic::raw, 0, {"anew"});
  kept.emplace_back("anew");
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = "0@" + std::to_string(i) + "=" + kept[i];
  EXPECT_EQ(conformance::read_all(*log, topic::raw), kept);
}

// A leader that is only about to begin refuses some records of a producer that is new to it, and takes the next ones.
TEST_F(KafkaOnly, WhatIsAcknowledgedIsThereThoughLeadersBeginMeanwhile) {
  constexpr int kRecords = 200;
  const auto asking = Handle::make(Kind::consumer, place_, consumer_properties("anybody", false), {}).value();
  for (int round = 0; round < 8; ++round) {
    const std::string name = place_.topic("late") + std::to_string(round);
    // A request for each record.
    auto producer = Handle::make(Kind::producer, place_,
                                 {{"enable.idempotence", "true"},
                                  {"acks", "all"},
                                  {"batch.num.messages", "1"},
                                  {"linger.ms", "0"},
                                  {"retry.backoff.ms", "1"}},
                                 {})
                        .value();
    testing::make_late_topic(place_, name, 4);
    const TopicHandle at{rd_kafka_topic_new(producer.get(), name.c_str(), nullptr)};
    for (int i = 0; i < kRecords; ++i)
      for (std::int32_t p = 0; p < 4; ++p)
        ASSERT_EQ(rd_kafka_produce(at.get(), p, RD_KAFKA_MSG_F_COPY, &i, sizeof i, nullptr, 0, nullptr), 0);
    ASSERT_EQ(rd_kafka_flush(producer.get(), 60'000), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (std::int32_t p = 0; p < 4; ++p) {
      std::int64_t low = 0, high = 0;
      ASSERT_EQ(patiently(20s, [&](int ms) { return ask_ends(asking, name, p, low, high, ms); }),
                RD_KAFKA_RESP_ERR_NO_ERROR);
      EXPECT_EQ(high, kRecords) << name << '/' << p;
    }
  }
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
  testing::put_foreign(place_, topic::trades, 0, "k", {"\0\0\0\0\1as in a directory", 22});
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
    for (const Stored& s : step->records) {
      records.emplace_back(s.record.value);
      EXPECT_EQ(s.kept_id, 41U);
    }
    for (const Stored& s : step->foreign) foreign.emplace_back(s.record.value);
    return reader->position(0) >= end_of(*log, topic::trades, 0);
  }));
  EXPECT_EQ(records, std::vector<std::string>{ours});
  EXPECT_EQ(foreign, (std::vector<std::string>{"not ours", {"\0\0\0\0\1as in a directory", 22}}));
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
