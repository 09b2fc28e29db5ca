// The topics of a log on Kafka: made once, by a person (`truetape topics create`), never by those that work on them.
// Each call connects by itself and blocks; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "log/kafka/kafka_url.h"

namespace truetape {

struct TopicSettings {
  std::int32_t partitions = 0;                  // 1..256; at creation 0 means 8; later: as they are
  std::int32_t replication = 0;                 // 0: 3, or as many as there are brokers
  std::int32_t min_insync = 0;                  // 0: replication - 1, at least 1
  std::chrono::seconds retain_raw{7 * 86'400};  // 0: for ever
  std::chrono::seconds retain_results{30 * 86'400};
  // Of topics that keep each key's last record: how long a reader may be behind and still see every record.
  std::chrono::seconds compact_after{3'600};
};

struct KafkaTopic {
  std::string name;  // with the prefix
  std::int32_t partitions = 0, replication = 0;
  // What truetape sets of its configuration, as it is on the brokers, by Kafka's names.
  std::vector<std::pair<std::string, std::string>> config;
  std::vector<std::string> differs;  // one sentence each: what the settings say and the brokers do not
};
struct TopicReport {
  std::vector<KafkaTopic> topics;    // those that are there
  std::vector<std::string> missing;  // names
  std::vector<std::string> created;  // names, of create_topics()
  std::string log_id;                // empty: the log was not begun yet
  bool fits() const;
};

// How long each request is repeated while no broker answers.
inline constexpr std::chrono::milliseconds kTopicPatience{30'000};

using KafkaSay = std::function<void(int level, const std::string& line)>;

// Looks; changes nothing.
Result<TopicReport> check_topics(const KafkaPlace& place, const TopicSettings& settings,
                                 std::chrono::milliseconds patience = kTopicPatience, const KafkaSay& say = {});
// Makes what is missing, and begins the log (id, epoch, partition count in PREFIX.meta) if that was not done. Again: no
// change. Fault::mismatch, and nothing is made, if a topic that is there differs: the sentence says in what.
Result<TopicReport> create_topics(const KafkaPlace& place, const TopicSettings& settings,
                                  std::chrono::milliseconds patience = kTopicPatience, const KafkaSay& say = {});

}  // namespace truetape
