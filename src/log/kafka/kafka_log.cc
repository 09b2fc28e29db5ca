#include "log/kafka/kafka_log.h"

#include <algorithm>

#include "log/kafka/meta.h"
#include "log/kafka/parts.h"

namespace truetape {
namespace kafka {
namespace {

constexpr std::string_view kNote = "note.";

class KafkaLogImpl final : public KafkaLog {
 public:
  explicit KafkaLogImpl(SharedLog shared) : shared_{std::move(shared)} {}

  std::string_view id() const override { return shared_->id; }
  std::int64_t epoch() const override { return shared_->epoch; }
  std::int32_t partitions() const override { return shared_->partitions; }
  std::string name() const override { return shared_->place().name(); }
  std::int64_t state_version() const override { return shared_->state_version; }

  Result<TopicSpan> span(std::string_view topic, std::int32_t partition) const override {
    if (!topic::index(topic))
      return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{topic} + "'.");
    if (!shared_->has(partition)) return tl::unexpected{shared_->bad_partition(topic, partition)};
    return shared_->span(shared_->place().topic(topic), partition);
  }

  Result<std::int64_t> committed(std::int32_t partition) const override {
    if (!shared_->has(partition)) return tl::unexpected{shared_->bad_partition(topic::raw, partition)};
    const std::int32_t one[]{partition};
    const auto positions = shared_->positions(shared_->asking, shared_->place().topic(topic::raw), one);
    if (!positions) return tl::unexpected{positions.error()};
    return std::max<std::int64_t>(positions->front(), 0);
  }

  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override {
    if (topic != topic::raw && topic != topic::control)
      return failure(
          Fault::refused, Retry::never,
          "Only 'raw' and 'control' are written from outside the processing step, not '" + std::string{topic} + "'.");
    return open_appender(shared_, topic);
  }
  Result<std::unique_ptr<Task>> task() override { return open_task(shared_); }
  Result<std::unique_ptr<Reader>> reader(std::string_view topic, std::string_view name, Share share) override {
    return open_reader(shared_, topic, name, share);
  }

  Result<std::optional<std::string>> note(std::string_view name) const override {
    const std::lock_guard lock{shared_->mutex};
    const auto found = shared_->notes.find(name);
    return found == shared_->notes.end() ? std::nullopt : std::optional{found->second};
  }
  Status set_note(std::string_view name, std::string_view text) override {
    Status done = write({{std::string{kNote} + std::string{name}, std::string{text}}});
    if (!done) return done;
    const std::lock_guard lock{shared_->mutex};
    shared_->notes.insert_or_assign(std::string{name}, std::string{text});
    return {};
  }
  Status reload() override {
    const auto meta =
        read_meta(shared_->place(), shared_->options.say, shared_->options.patience, shared_->options.stop);
    if (!meta) return tl::unexpected{meta.error()};
    take(*meta);
    return {};
  }
  Status renew_epoch() override {
    if (Status read = reload(); !read) return read;
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch();
    const std::int64_t next = std::max<std::int64_t>(shared_->epoch + 1, now.count());
    if (Status done = write({{"epoch", std::to_string(next)}}); !done) return done;
    shared_->epoch = next;
    return {};
  }

  Status reachable(std::chrono::milliseconds wait) const override {
    const Handle& handle = shared_->looking;
    rd_kafka_poll(handle.get(), 0);
    const TopicHandle raw{rd_kafka_topic_new(handle.get(), shared_->place().topic(topic::raw).c_str(), nullptr)};
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto code = rd_kafka_metadata(handle.get(), 0, raw.get(), &metadata, static_cast<int>(wait.count()));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      handle.voice().forget();
      return {};
    }
    return tl::unexpected{error_of(code, "no broker of " + name() + " answers", &handle)};
  }
  Result<int> workers() const override {
    const std::string group = shared_->process_group();
    const rd_kafka_group_list* list = nullptr;
    const auto code = patiently(shared_->options.patience, [&](int ms) {
      if (shared_->stopping()) return RD_KAFKA_RESP_ERR__INTR;
      rd_kafka_poll(shared_->looking.get(), 0);
      return rd_kafka_list_groups(shared_->looking.get(), group.c_str(), &list, ms);
    });
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return tl::unexpected{
          error_of(code, "the members of " + group + " on " + shared_->place().brokers + " cannot be asked for",
                   &shared_->looking)};
    const std::unique_ptr<const rd_kafka_group_list, Deleter<rd_kafka_group_list_destroy>> owner{list};
    int members = 0;
    for (int i = 0; i < list->group_cnt; ++i)
      if (group == list->groups[i].group) members += list->groups[i].member_cnt;
    return members;
  }

  void take(const Meta& meta) {
    const std::lock_guard lock{shared_->mutex};
    shared_->epoch = number(meta, "epoch");
    shared_->notes.clear();
    for (const auto& [key, text] : meta)
      if (key.starts_with(kNote)) shared_->notes.emplace(key.substr(kNote.size()), text);
  }

 private:
  Status write(const std::vector<std::pair<std::string, std::string>>& entries) const {
    return write_meta(shared_->place(), shared_->options.say, shared_->options.patience, entries);
  }

  SharedLog shared_;
};

// All topics are there, with the log's partition count. Not every broker knows at once of those that were just made.
Status expect_topics(const Shared& shared) {
  std::string missing, other;
  const auto look = [&](const rd_kafka_metadata_t& metadata) {
    std::vector<std::string_view> names{topic::all.begin(), topic::all.end()};
    names.push_back(kStateTopic);
    missing.clear();
    for (const std::string_view name : names) {
      const std::string full = shared.place().topic(name);
      const rd_kafka_metadata_topic* const begin = metadata.topics;
      const rd_kafka_metadata_topic* const end = begin + metadata.topic_cnt;
      const auto* const found = std::find_if(begin, end, [&](const auto& t) { return full == t.topic; });
      if (found == end || found->partition_cnt == 0)
        missing += (missing.empty() ? "" : ", ") + full;
      else if (found->partition_cnt != shared.partitions)
        other = "the topic " + full + " has " + std::to_string(found->partition_cnt) + " partitions, the log " +
                std::to_string(shared.partitions);
    }
    return missing.empty() ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  };
  const auto code = patiently(shared.options.patience, [&](int ms) {
    if (shared.stopping()) return RD_KAFKA_RESP_ERR__INTR;
    rd_kafka_poll(shared.looking.get(), 0);
    const rd_kafka_metadata_t* metadata = nullptr;
    if (const auto asked = rd_kafka_metadata(shared.looking.get(), 1, nullptr, &metadata, ms)) return asked;
    const std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>> owner{metadata};
    return look(*metadata);
  });
  if (!other.empty())
    return failure(Fault::mismatch, Retry::never,
                   other +
                       ": a record's partition would be another one; make a log under another prefix, with that many, "
                       "and import into it");
  if (!missing.empty())
    return failure(Fault::not_found, Retry::never,
                   "topics are missing on " + shared.place().brokers + ": " + missing +
                       ", or this user has no right to see them; make them: truetape topics create --data " +
                       shared.place().name());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return tl::unexpected{
      error_of(code, "the topics of " + shared.place().name() + " cannot be asked for", &shared.looking)};
}

bool is_name(std::string_view text) {
  return text.size() <= 100 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

}  // namespace
}  // namespace kafka

Result<std::unique_ptr<KafkaLog>> open_kafka_log(const KafkaOptions& options) {
  using namespace kafka;
  if (!is_name(options.worker))
    return failure(Fault::malformed, Retry::never,
                   "\"" + options.worker +
                       "\" is no name of a worker, which has letters, digits, '.', '_' and '-', at "
                       "most 100");
  const auto meta = read_meta(options.place, options.say, options.patience, options.stop);
  const std::string make = "truetape topics create --data " + options.place.name();
  if (!meta && meta.error().fault == Fault::not_found)
    return failure(Fault::not_found, Retry::never,
                   "there is no log " + options.place.name() + ": the topic " + options.place.topic(kMetaTopic) +
                       " is missing; make its topics: " + make);
  if (!meta) return tl::unexpected{meta.error()};
  if (!meta->contains("log_id") || !meta->contains("partitions"))
    return failure(Fault::not_found, Retry::never,
                   "the log " + options.place.name() + " was not begun: " + options.place.topic(kMetaTopic) +
                       " says no log_id; begin it: " + make);
  if (number(*meta, "format") > kFormat)
    return failure(Fault::mismatch, Retry::never,
                   "the log " + options.place.name() + " has format " + meta->find("format")->second +
                       ", which this version of truetape does not know; use a newer one");
  if (number(*meta, "state_version") > options.state_version)
    return failure(Fault::mismatch, Retry::never,
                   "the state in " + options.place.name() +
                       " was written by a newer version of truetape (state version " +
                       meta->find("state_version")->second + "); use that one");
  auto shared = std::make_shared<Shared>();
  shared->options = options;
  shared->id = meta->find("log_id")->second;
  shared->partitions = static_cast<std::int32_t>(number(*meta, "partitions"));
  shared->state_version = number(*meta, "state_version");
  auto asking =
      Handle::make(Kind::consumer, options.place, consumer_properties(shared->process_group(), true), options.say);
  if (!asking) return tl::unexpected{asking.error()};
  shared->asking = std::move(*asking);
  auto looking = Handle::make(Kind::consumer, options.place, consumer_properties(options.place.topic("reader"), false),
                              options.say);
  if (!looking) return tl::unexpected{looking.error()};
  shared->looking = std::move(*looking);
  if (Status there = expect_topics(*shared); !there) return tl::unexpected{there.error()};
  auto log = std::make_unique<KafkaLogImpl>(shared);
  log->take(*meta);
  return log;
}

}  // namespace truetape
