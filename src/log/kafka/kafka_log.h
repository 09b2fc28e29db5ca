// The log on Apache Kafka (3.6 or newer) through librdkafka: docs/kafka.md. Topics are PREFIX.raw and so on, made by
// create_topics() (topics.h), never here. Any number of processes; each that processes has a worker's name of its own.
//
// Appender: an idempotent producer, acks=all. Task: a static member of the group PREFIX.process (range assignor) and
// one transactional producer; outputs, state (topic PREFIX.state, compacted) and positions are one transaction, and
// state is read back whenever partitions are assigned. Reader: read_committed; a group PREFIX.NAME.TOPIC where readers
// share. Facts about Kafka and librdkafka 2.0.2: rdkafka.h "Transactional producer API", KIP-447 (fencing by the
// group's generation), KAFKA-10167 (the end of a changelog is its high watermark), KIP-345 (static membership).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "log/kafka/kafka_url.h"
#include "log/kafka/schema_ids.h"
#include "log/log.h"

namespace truetape {

struct KafkaOptions {
  KafkaPlace place;
  // This process among those that process or load: 1 to 100 letters, digits, '.', '_', '-'. The same after a restart,
  // so that it fences what is left of itself and keeps its partitions; another one for each process. Needed by task()
  // and by readers that share.
  std::string worker;
  std::shared_ptr<SchemaIds> schema_ids;  // nullptr: the local ids of codec/wire.h as they are
  // How long a transaction may be open before the brokers abort it, and how long a silent member keeps its partitions.
  std::chrono::milliseconds transaction_timeout{30'000}, session_timeout{10'000};
  std::size_t step_records = 32'768;                        // most records of one step
  std::size_t step_bytes = std::size_t{16} << 20;           // a step ends once it holds this much
  std::size_t append_buffer_bytes = std::size_t{16} << 20;  // of each appender
  std::chrono::milliseconds patience{30'000};               // how long a request is repeated while no broker answers
  std::int64_t state_version = 1;                           // of the heart's state; a log with a newer one is refused
  const std::atomic<bool>* stop = nullptr;                  // true: waiting for brokers ends soon
  // Told of what librdkafka says (syslog levels: 3 error, 4 warning), from its threads.
  std::function<void(int level, const std::string& line)> say;
};

class KafkaLog : public Log {
 public:
  // "kafka://host:9092/market"
  virtual std::string name() const = 0;
  virtual std::int64_t state_version() const = 0;
  // Small named texts that travel with the log (topic PREFIX.meta, as it was read when the log was opened and by
  // reload()). Durable on return.
  virtual Result<std::optional<std::string>> note(std::string_view name) const = 0;
  virtual Status set_note(std::string_view name, std::string_view text) = 0;
  virtual Status reload() = 0;
  // Rows that are made from now on win over those that another continuation of this log has made. Processes that run
  // learn of it when they open the log anew or their Task takes partitions over: whoever had these may know it already.
  virtual Status renew_epoch() = 0;
  // Does any broker answer within `wait`? Fault::unavailable: none.
  virtual Status reachable(std::chrono::milliseconds wait) const = 0;
  // Members of the group that processes: workers that run, and for kafka.session those that have ended.
  virtual Result<int> workers() const = 0;
};

// Fault::not_found with the command that makes them: topics are missing. Fault::mismatch: another partition count than
// the log's. Fault::refused: credentials, rights. Fault::unavailable: no broker answers within `patience`.
Result<std::unique_ptr<KafkaLog>> open_kafka_log(const KafkaOptions& options);

}  // namespace truetape
