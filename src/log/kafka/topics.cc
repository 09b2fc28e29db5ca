#include "log/kafka/topics.h"

#include <algorithm>
#include <map>
#include <thread>

#include "log/identity.h"
#include "log/kafka/kafka_log.h"
#include "log/kafka/meta.h"
#include "log/kafka/parts.h"

namespace truetape {
namespace kafka {
namespace {

using std::chrono::milliseconds;
constexpr std::int32_t kMostPartitions = 256, kDefaultPartitions = 8;

using Config = std::map<std::string, std::string>;

std::vector<std::string_view> names() {
  std::vector<std::string_view> out{topic::all.begin(), topic::all.end()};
  out.push_back(kStateTopic);
  out.push_back(kMetaTopic);
  return out;
}

Config wanted_config(std::string_view name, const TopicSettings& settings, std::int32_t min_insync) {
  const auto ms = [](std::chrono::seconds s) {
    return s.count() == 0 ? std::string{"-1"} : std::to_string(std::chrono::milliseconds{s}.count());
  };
  Config out{{"message.timestamp.type", "LogAppendTime"},
             {"max.message.bytes", "2097152"},
             {"min.insync.replicas", std::to_string(min_insync)}};
  if (name == kStateTopic || name == kMetaTopic) {
    out["cleanup.policy"] = "compact";
    // Restored as a whole, so kept small: compacted early and often.
    out["segment.bytes"] = "16777216";
    out["segment.ms"] = "600000";
    out["min.cleanable.dirty.ratio"] = "0.1";
  } else if (topic::keeps_last(name)) {
    out["cleanup.policy"] = "compact";
    out["min.compaction.lag.ms"] = ms(settings.compact_after);
  } else if (name == topic::candles || name == topic::news_counts) {
    out["cleanup.policy"] = "compact,delete";
    out["min.compaction.lag.ms"] = ms(settings.compact_after);
    out["retention.ms"] = ms(settings.retain_results);
  } else {
    out["cleanup.policy"] = "delete";
    out["retention.ms"] = ms(name == topic::raw ? settings.retain_raw : settings.retain_results);
  }
  return out;
}

// "compact,delete" and "delete,compact" are the same.
std::string in_order(const std::string& list) {
  std::vector<std::string> parts{""};
  for (const char c : list)
    if (c == ',')
      parts.emplace_back();
    else if (c != ' ')
      parts.back() += c;
  std::ranges::sort(parts);
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

// A connection for questions about topics.
class Admin {
 public:
  static Result<Admin> open(const KafkaPlace& place, milliseconds patience, const Say& say) {
    Admin out{place, patience};
    auto handle = Handle::make(Kind::producer, place, {}, say);
    if (!handle) return tl::unexpected{handle.error()};
    out.handle_ = std::move(*handle);
    out.queue_.reset(rd_kafka_queue_new(out.handle_.get()));
    return out;
  }

  struct Seen {
    std::int32_t partitions, replication;
  };
  // Topics of this prefix that are there, and how many brokers.
  Result<std::pair<std::map<std::string, Seen>, std::int32_t>> look() {
    std::pair<std::map<std::string, Seen>, std::int32_t> out;
    const auto code = patiently(patience_, [&](int ms) {
      rd_kafka_poll(handle_.get(), 0);
      const auto word = handle_.voice().last().code;
      if (word == RD_KAFKA_RESP_ERR__AUTHENTICATION || word == RD_KAFKA_RESP_ERR__SSL) return word;
      const rd_kafka_metadata_t* metadata = nullptr;
      const auto answer = rd_kafka_metadata(handle_.get(), 1, nullptr, &metadata, std::min(ms, 2'000));
      if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) return answer;
      const std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>> owner{metadata};
      out.first.clear();
      out.second = metadata->broker_cnt;
      for (int i = 0; i < metadata->topic_cnt; ++i) {
        const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
        if (!std::string_view{topic.topic}.starts_with(place_.prefix + '.')) continue;
        if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) return topic.err;
        out.first[topic.topic] = {topic.partition_cnt, topic.partition_cnt > 0 ? topic.partitions[0].replica_cnt : 0};
      }
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return out;
    const bool said = code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
    return tl::unexpected{error_of(said ? RD_KAFKA_RESP_ERR__TIMED_OUT : code,
                                   "the topics of " + place_.name() + " cannot be asked for", &handle_)};
  }

  Result<std::map<std::string, Config>> configs(const std::vector<std::string>& topics) {
    if (topics.empty()) return std::map<std::string, Config>{};
    std::vector<rd_kafka_ConfigResource_t*> resources;
    resources.reserve(topics.size());
    for (const std::string& name : topics)
      resources.push_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
    const auto options = admin_options(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(handle_.get(), resources.data(), resources.size(), options.get(), queue_.get());
    rd_kafka_ConfigResource_destroy_array(resources.data(), resources.size());
    const auto event = answer("the configuration of topics cannot be asked for");
    if (!event) return tl::unexpected{event.error()};
    std::map<std::string, Config> out;
    std::size_t count = 0;
    const auto* const found =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event->get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = rd_kafka_ConfigResource_name(found[i]);
      if (const auto code = rd_kafka_ConfigResource_error(found[i]))
        return tl::unexpected{error_of(code, "the configuration of " + name + " cannot be asked for", &handle_)};
      std::size_t entries = 0;
      const auto* const entry = rd_kafka_ConfigResource_configs(found[i], &entries);
      for (std::size_t k = 0; k < entries; ++k)
        if (const char* const value = rd_kafka_ConfigEntry_value(entry[k]))
          out[name][rd_kafka_ConfigEntry_name(entry[k])] = value;
    }
    return out;
  }

  struct ToMake {
    std::string name;
    std::int32_t partitions, replication;
    Config config;
  };
  // Those that somebody else has made meanwhile are none of `made`.
  Result<std::vector<std::string>> make(const std::vector<ToMake>& topics) {
    std::vector<rd_kafka_NewTopic_t*> fresh;
    std::string wrong;
    std::array<char, 256> why{};
    for (const ToMake& topic : topics) {
      rd_kafka_NewTopic_t* const one =
          rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replication, why.data(), why.size());
      if (one == nullptr) {
        wrong = topic.name + ": " + why.data();
        break;
      }
      for (const auto& [name, value] : topic.config) rd_kafka_NewTopic_set_config(one, name.c_str(), value.c_str());
      fresh.push_back(one);
    }
    std::vector<std::string> made;
    if (wrong.empty()) {
      const auto options = admin_options(RD_KAFKA_ADMIN_OP_CREATETOPICS);
      rd_kafka_CreateTopics(handle_.get(), fresh.data(), fresh.size(), options.get(), queue_.get());
    }
    rd_kafka_NewTopic_destroy_array(fresh.data(), fresh.size());
    if (!wrong.empty()) return failure(Fault::refused, Retry::never, wrong);
    const auto event = answer("topics cannot be made");
    if (!event) return tl::unexpected{event.error()};
    std::size_t count = 0;
    const auto* const results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = rd_kafka_topic_result_name(results[i]);
      const auto code = rd_kafka_topic_result_error(results[i]);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        made.push_back(name);
      } else if (code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        const char* const words = rd_kafka_topic_result_error_string(results[i]);
        Error error = error_of(code, "the topic " + name + " cannot be made", &handle_);
        if (words != nullptr) error.detail += std::string{" ("} + words + ')';
        return tl::unexpected{std::move(error)};
      }
    }
    return made;
  }

 private:
  Admin(KafkaPlace place, milliseconds patience) : place_{std::move(place)}, patience_{patience} {}
  using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<rd_kafka_AdminOptions_destroy>>;
  Options admin_options(rd_kafka_admin_op_t op) const {
    Options out{rd_kafka_AdminOptions_new(handle_.get(), op)};
    std::array<char, 64> why{};
    rd_kafka_AdminOptions_set_request_timeout(out.get(), static_cast<int>(patience_.count()), why.data(), why.size());
    return out;
  }
  Result<Event> answer(const std::string& what) {
    Event event{rd_kafka_queue_poll(queue_.get(), static_cast<int>(2 * patience_.count()))};
    if (!event) return tl::unexpected{error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, what, &handle_)};
    if (const auto code = rd_kafka_event_error(event.get())) {
      Error error = error_of(code, what, &handle_);
      return tl::unexpected{std::move(error)};
    }
    return event;
  }

  KafkaPlace place_;
  milliseconds patience_;
  Handle handle_;
  Queue queue_;
};

struct Looked {
  TopicReport report;
  std::int32_t partitions, replication, min_insync;  // what is, or would be
};

Result<Looked> look(Admin& admin, const KafkaPlace& place, const TopicSettings& settings, const Meta& meta) {
  const auto seen = admin.look();
  if (!seen) return tl::unexpected{seen.error()};
  const auto& [there, brokers] = *seen;
  Looked out{};
  out.partitions = settings.partitions;
  if (const auto noted = meta.find("partitions"); noted != meta.end() && out.partitions == 0)
    out.partitions = std::atoi(noted->second.c_str());
  for (const std::string_view name : names())
    if (const auto topic = there.find(place.topic(name));
        out.partitions == 0 && name != kMetaTopic && topic != there.end())
      out.partitions = topic->second.partitions;
  if (out.partitions == 0) out.partitions = kDefaultPartitions;
  // What nobody said is as it is there, also while a broker is away.
  out.replication = settings.replication;
  for (const std::string_view name : names())
    if (const auto topic = there.find(place.topic(name)); settings.replication == 0 && topic != there.end())
      out.replication = std::max(out.replication, topic->second.replication);
  if (out.replication == 0) out.replication = std::min(brokers, 3);
  if (settings.min_insync > out.replication)
    return failure(Fault::out_of_range, Retry::never,
                   "kafka.min_insync is " + std::to_string(settings.min_insync) + ", but topics have " +
                       std::to_string(out.replication) + " replicas; nothing could be written: set it to at most that");
  out.min_insync = settings.min_insync > 0 ? settings.min_insync : std::max(out.replication - 1, 1);
  std::vector<std::string> full;
  for (const std::string_view name : names())
    if (there.contains(place.topic(name))) full.push_back(place.topic(name));
  const auto configs = admin.configs(full);
  if (!configs) return tl::unexpected{configs.error()};
  for (const std::string_view name : names()) {
    const auto topic = there.find(place.topic(name));
    if (topic == there.end()) {
      out.report.missing.push_back(place.topic(name));
      continue;
    }
    KafkaTopic& one = out.report.topics.emplace_back();
    one.name = topic->first;
    one.partitions = topic->second.partitions;
    one.replication = topic->second.replication;
    const auto differs = [&](const std::string& what, const std::string& is, const std::string& wanted) {
      one.differs.push_back(one.name + " has " + what + ' ' + is + ", not " + wanted);
    };
    const std::int32_t wanted = name == kMetaTopic ? 1 : out.partitions;
    if (one.partitions != wanted)
      differs("the partition count", std::to_string(one.partitions), std::to_string(wanted));
    if (settings.replication > 0 && one.replication != settings.replication)
      differs("the replication factor", std::to_string(one.replication), std::to_string(settings.replication));
    const Config& is = configs->at(one.name);
    for (const auto& [key, value] : wanted_config(name, settings, out.min_insync)) {
      const auto found = is.find(key);
      const std::string now = found == is.end() ? "" : found->second;
      one.config.emplace_back(key, now);
      const bool same = key == "cleanup.policy" ? in_order(now) == in_order(value) : now == value;
      if (!same) differs(key, now.empty() ? "not set" : now, value);
    }
  }
  if (const auto id = meta.find("log_id"); id != meta.end()) out.report.log_id = id->second;
  return out;
}

// What the log says of itself; nothing where its topic is not there yet.
Result<Meta> meta_or_none(Admin& admin, const KafkaPlace& place, milliseconds patience, const KafkaSay& say) {
  const auto seen = admin.look();  // says why, where the brokers cannot be reached
  if (!seen) return tl::unexpected{seen.error()};
  if (!seen->first.contains(place.topic(kMetaTopic))) return Meta{};
  return read_meta(place, say, patience);
}

Status sound(const TopicSettings& settings) {
  if (settings.partitions < 0 || settings.partitions > kMostPartitions)
    return failure(Fault::out_of_range, Retry::never,
                   "a log has 1 to 256 partitions, not " + std::to_string(settings.partitions));
  return {};
}

}  // namespace
}  // namespace kafka

bool TopicReport::fits() const {
  return missing.empty() && !log_id.empty() &&
         std::ranges::all_of(topics, [](const KafkaTopic& topic) { return topic.differs.empty(); });
}

Result<TopicReport> check_topics(const KafkaPlace& place, const TopicSettings& settings,
                                 std::chrono::milliseconds patience, const KafkaSay& say) {
  if (const Status done = kafka::sound(settings); !done) return tl::unexpected{done.error()};
  auto admin = kafka::Admin::open(place, patience, say);
  if (!admin) return tl::unexpected{admin.error()};
  const auto meta = kafka::meta_or_none(*admin, place, patience, say);
  if (!meta) return tl::unexpected{meta.error()};
  auto looked = kafka::look(*admin, place, settings, *meta);
  if (!looked) return tl::unexpected{looked.error()};
  return std::move(looked->report);
}

Result<TopicReport> create_topics(const KafkaPlace& place, const TopicSettings& settings,
                                  std::chrono::milliseconds patience, const KafkaSay& say) {
  using namespace kafka;
  if (const Status done = sound(settings); !done) return tl::unexpected{done.error()};
  auto admin = Admin::open(place, patience, say);
  if (!admin) return tl::unexpected{admin.error()};
  const auto before = meta_or_none(*admin, place, patience, say);
  if (!before) return tl::unexpected{before.error()};
  const auto looked = look(*admin, place, settings, *before);
  if (!looked) return tl::unexpected{looked.error()};
  for (const KafkaTopic& topic : looked->report.topics)
    if (!topic.differs.empty())
      return failure(
          Fault::mismatch, Retry::never,
          topic.differs.front() +
              (topic.name != place.topic(kMetaTopic) && topic.partitions != looked->partitions
                   ? "; nothing was made: the number never changes, so leave log.partitions out"
                   : "; nothing was made: change the settings, or the topic with Kafka's own tools (docs/kafka.md)"));
  std::vector<Admin::ToMake> wanted;
  for (const std::string_view name : names())
    if (std::ranges::find(looked->report.missing, place.topic(name)) != looked->report.missing.end())
      wanted.push_back({place.topic(name), name == kMetaTopic ? 1 : looked->partitions, looked->replication,
                        wanted_config(name, settings, looked->min_insync)});
  if (!looked->report.log_id.empty())
    for (const Admin::ToMake& topic : wanted)
      if (topic.name == place.topic(topic::raw) || topic.name == place.topic(kStateTopic))
        return failure(Fault::mismatch, Retry::never,
                       topic.name + " is missing from a log that was begun (" + looked->report.log_id +
                           "): what workers know rests on it, so it is not made anew; make a log of another prefix and "
                           "import into it");
  std::vector<std::string> created;
  if (!wanted.empty()) {
    auto made = admin->make(wanted);
    if (!made) return tl::unexpected{made.error()};
    created = std::move(*made);
  }
  // Until every broker that is asked knows all of them.
  for (const auto until = std::chrono::steady_clock::now() + patience;;) {
    const auto seen = admin->look();
    if (!seen) return tl::unexpected{seen.error()};
    const bool all = std::ranges::all_of(names(), [&](std::string_view name) {
      const auto topic = seen->first.find(place.topic(name));
      return topic != seen->first.end() && topic->second.partitions > 0;
    });
    if (all) break;
    if (std::chrono::steady_clock::now() > until)
      return failure(Fault::unavailable, Retry::after_backoff,
                     "the topics of " + place.name() + " were made, but are not all there yet; run this again");
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  auto meta = read_meta(place, say, patience);
  if (!meta) return tl::unexpected{meta.error()};
  if (!meta->contains("log_id")) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch();
    const Status begun = write_meta(place, say, patience,
                                    {{"format", std::to_string(kFormat)},
                                     {"partitions", std::to_string(looked->partitions)},
                                     {"epoch", std::to_string(now.count())},
                                     {"state_version", std::to_string(KafkaOptions{}.state_version)},
                                     {"log_id", random_uuid()}});
    if (!begun) return tl::unexpected{begun.error()};
    meta = read_meta(place, say, patience);
    if (!meta) return tl::unexpected{meta.error()};
    // Compaction keeps the last: it must be the one that counts, also if two began the log at once.
    if (const Status kept = write_meta(place, say, patience, {{"log_id", meta->at("log_id")}}); !kept)
      return tl::unexpected{kept.error()};
  }
  auto after = look(*admin, place, settings, *meta);
  if (!after) return tl::unexpected{after.error()};
  after->report.created = std::move(created);
  return std::move(after->report);
}

}  // namespace truetape
