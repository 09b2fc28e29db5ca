// Where a log on Kafka is: "kafka://host:9092,host:9092/prefix?security.protocol=SASL_SSL&…". Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace truetape {

struct KafkaPlace {
  std::string brokers;  // "host:9092,host:9092"; port 9092 where none is said; "[::1]:9092" for IPv6
  // Of all its topics, groups and transactional ids: 1 to 100 letters, digits, '.', '_' and '-'. Topic "raw" of the
  // prefix "market" is "market.raw".
  std::string prefix;
  // Of librdkafka, by its own names (CONFIGURATION.md): security.protocol, sasl.*, ssl.*, socket.*, broker.*, debug.
  // What the contract of the log depends on cannot be set here.
  std::vector<std::pair<std::string, std::string>> properties;

  // Without properties, so without secrets: "kafka://host:9092/market". For sentences and for what is noted.
  std::string name() const { return "kafka://" + brokers + '/' + prefix; }
  std::string topic(std::string_view name) const { return prefix + '.' + std::string{name}; }
};

// Does a --data mean a log on Kafka, rather than a directory?
inline bool is_kafka_url(std::string_view data) { return data.starts_with("kafka://"); }
// Fault::malformed: the sentence names the part that is wrong and what is allowed. Percent-encoding is undone in
// values. `sasl.password.file` names a file whose first line is the password, so that it stands in no command line;
// it is read here (Fault::not_found).
Result<KafkaPlace> parse_kafka_url(std::string_view url);

}  // namespace truetape
