// For tests: the brokers that tests/kafka/with_broker.py has started, and logs on them.
#pragma once

#include <string>
#include <string_view>

#include "log/kafka/kafka_log.h"
#include "log/kafka/topics.h"

namespace truetape::kafka::testing {

// Where the brokers are; a test that has none fails.
std::string brokers();
int nodes();
// An order to the script: "kill 2", "start 2", "pause 2", "resume 2". Returns when it is done.
void order(const std::string& text);

// A prefix that nobody else has.
KafkaPlace fresh_place(const std::string& name);
void make_topics(const KafkaPlace& place, std::int32_t partitions);
void delete_topics(const KafkaPlace& place);
// Deletes what lies below the offset.
void delete_records(const KafkaPlace& place, std::string_view topic, std::int32_t partition, std::int64_t below);
// A topic of this full name, behind another one in the same breath, so that its leaders begin late.
void make_late_topic(const KafkaPlace& place, const std::string& name, std::int32_t partitions);
// Of a topic; all else of its own configuration goes back to what the brokers have.
void set_topic_config(const KafkaPlace& place, std::string_view topic, const std::string& name,
                      const std::string& value);
// Where a group stands; waits until the sessions of its members have ended.
void put_position(const KafkaPlace& place, const std::string& group, std::string_view topic, std::int32_t partition,
                  std::int64_t offset);
// One record from a program that is not truetape.
void put_foreign(const KafkaPlace& place, std::string_view topic, std::int32_t partition, std::string_view key,
                 std::string_view value);

}  // namespace truetape::kafka::testing
