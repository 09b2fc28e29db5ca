// Opens the log on Kafka that the configuration names, with sentences for a person. Wiring only.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "app/config.h"
#include "core/result.h"
#include "log/kafka/kafka_log.h"
#include "log/kafka/topics.h"

namespace truetape::app {

// Who speaks while the log is open: a service tells what its connections say as lines of the role `kafka`; a command
// says it in its own sentence, if at all.
enum class Connections : std::uint8_t { told, silent };

// `stop`, borrowed: true lets it wait for brokers no longer. `ids`: those that are known already; else they are asked
// for. Fault::mismatch where the configuration says another number of partitions than the log has.
Result<std::unique_ptr<KafkaLog>> open_kafka(const Config& config, Connections connections = Connections::silent,
                                             const std::atomic<bool>* stop = nullptr,
                                             std::shared_ptr<SchemaIds> ids = nullptr);
// What `topics` are to be, as the configuration says.
TopicSettings topic_settings(const Config& config);
std::string host_name();  // of this machine; "" if it has none
// Of this process: as configured, else made of the host's name.
std::string worker_name(const Config& config);

// To read, of a data directory or on Kafka.
Result<std::unique_ptr<Log>> open_either_to_read(const Config& config);

}  // namespace truetape::app
