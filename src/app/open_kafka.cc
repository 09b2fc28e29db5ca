#include "app/open_kafka.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "app/lines.h"
#include "app/open.h"
#include "app/schemas.h"
#include "core/clock.h"

namespace truetape::app {
namespace {

using std::chrono::ceil;
using std::chrono::milliseconds;

const SystemClock clock;

// Whatever a connection has to complain of is survived or ends in an error that is told.
void tell(int syslog_level, const std::string& line) {
  constexpr int kWarning = 4;
  if (line.starts_with("CONFWARN")) return;  // a property that this kind of connection has no use for
  say(syslog_level <= kWarning ? Level::warning : Level::info, "kafka", line);
}

}  // namespace

std::string host_name() {
  std::array<char, 101> host{};
  return gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
}

std::string worker_name(const Config& config) {
  if (!config.worker.empty()) return config.worker;
  std::string out = host_name();
  if (out.empty()) return "worker";
  for (char& c : out) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!plain) c = '-';
  }
  return out;
}

Result<std::unique_ptr<KafkaLog>> open_kafka(const Config& config, Connections connections,
                                             const std::atomic<bool>* stop, std::shared_ptr<SchemaIds> ids) {
  KafkaOptions options;
  options.place = *config.kafka_place;
  options.worker = worker_name(config);
  options.transaction_timeout = ceil<milliseconds>(config.kafka.transaction);
  options.session_timeout = ceil<milliseconds>(config.kafka.session);
  options.patience = ceil<milliseconds>(config.kafka.patience);
  options.stop = stop;
  if (!ids) {
    auto asked = open_schema_ids(config, clock);
    if (!asked) return tl::unexpected{asked.error()};
    ids = std::move(*asked);
  }
  options.schema_ids = std::move(ids);
  if (connections == Connections::told) options.say = tell;
  auto log = open_kafka_log(options);
  if (log && config.partitions != 0 && config.partitions != (*log)->partitions())
    return failure(Fault::mismatch, Retry::never,
                   "the log " + config.data + " has " + std::to_string((*log)->partitions()) + " partitions, not " +
                       std::to_string(config.partitions) +
                       ": the number is fixed when its topics are made; leave log.partitions out, or go on with --set "
                       "log.partitions=" +
                       std::to_string((*log)->partitions()));
  return log;
}

TopicSettings topic_settings(const Config& config) {
  TopicSettings out;
  out.partitions = config.partitions;
  out.replication = config.kafka.replication;
  out.min_insync = config.kafka.min_insync;
  out.retain_raw = ceil<std::chrono::seconds>(config.retain_raw);
  out.retain_results = ceil<std::chrono::seconds>(config.retain_results);
  return out;
}

Result<std::unique_ptr<Log>> open_either_to_read(const Config& config) {
  if (config.on_kafka()) return open_kafka(config);
  return open_log_to_read(config);
}

}  // namespace truetape::app
