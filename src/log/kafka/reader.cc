#include <algorithm>

#include "log/kafka/parts.h"

namespace truetape::kafka {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kReaderRecords = 8192;
constexpr std::size_t kReaderBytes = std::size_t{1} << 20;
constexpr std::chrono::milliseconds kToldEvery{500};  // between commits of what is stored
constexpr int kLastWordMs = 5'000;

class KafkaReader final : public Reader {
 public:
  static Result<std::unique_ptr<Reader>> open(const SharedLog& shared, std::string_view topic, std::string_view name,
                                              Share share) {
    std::unique_ptr<KafkaReader> out{new KafkaReader{shared, topic, name, share}};
    if (Status done = out->open_consumer(); !done) return tl::unexpected{done.error()};
    return out;
  }
  ~KafkaReader() override {
    messages_.clear();
    strangers_.clear();
    for (auto& [partition, part] : parts_) part.waits.reset();
    if (consumer_) {
      (void)tell(true);  // a position that is lost is only read again
      closing_ = true;
      rd_kafka_consumer_close(consumer_.get());
    }
    consumer_.reset();
    if (instance_.empty()) return;
    const std::lock_guard lock{shared_->mutex};
    shared_->instances.erase(instance_);
  }

  Result<Step> poll(std::chrono::milliseconds wait) override {
    if (broken_) return tl::unexpected{*broken_};
    messages_.clear();
    strangers_.clear();
    if (later_) return tl::unexpected{*std::exchange(later_, std::nullopt)};
    if (Status done = tell(false); !done) return tl::unexpected{done.error()};
    if (share_ == Share::all && !assigned_) {
      assigned_ = true;
      for (std::int32_t p = 0; p < shared_->partitions; ++p) own(p);
    }
    std::optional<Error> trouble = look_again();
    if (Status done = take_up(); !done) return tl::unexpected{done.error()};
    const auto until = Clock::now() + wait;
    while (may_go_on(trouble) && taken() < kReaderRecords && messages_.bytes() + strangers_.bytes() < kReaderBytes) {
      const bool something = taken() > 0 || !step_.assigned.empty() || !step_.revoked.empty();
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      const int ms = something || trouble ? 0 : static_cast<int>(std::clamp<std::int64_t>(left, 0, 100));
      Message message{rd_kafka_consumer_poll(consumer_.get(), ms)};
      if (!message) {
        if (something || trouble || left <= 0 || shared_->stopping()) break;
        continue;
      }
      if (auto error = take(std::move(message))) trouble = std::move(error);
    }
    // What is sound is given first.
    if (trouble && taken() == 0) return tl::unexpected{std::move(*trouble)};
    later_ = std::move(trouble);
    step_.records =
        framed_ ? messages_.stored([this](rd_kafka_message_t& m) { return put_our_id(m); }) : messages_.stored();
    step_.foreign = strangers_.stored();
    step_.appended = messages_.oldest();
    return std::exchange(step_, {});
  }

  Status seek(std::int32_t partition, std::optional<std::int64_t> offset) override {
    if (broken_) return tl::unexpected{*broken_};
    if (!shared_->has(partition)) return tl::unexpected{shared_->bad_partition(topic_, partition)};
    const auto part = parts_.find(partition);
    if (part == parts_.end())
      return failure(Fault::refused, Retry::never,
                     "Partition " + std::to_string(partition) + " is not assigned to this reader; poll until it is.");
    const auto span = shared_->span(kafka_topic_, partition);
    if (!span) return tl::unexpected{span.error()};
    std::int64_t to = offset.value_or(span->oldest);
    if (!offset && !name_.empty()) {
      const std::int32_t one[]{partition};
      const auto stored = shared_->positions(consumer_, kafka_topic_, one);
      if (!stored) return tl::unexpected{stored.error()};
      if (stored->front() >= 0) to = stored->front();
      if (const auto told = told_.find(partition); told != told_.end()) to = told->second;
    }
    if (to > span->end) return tl::unexpected{beyond(partition, to, span->end)};
    if (to < 0 || (to < span->oldest && !topic::keeps_last(topic_)))
      return tl::unexpected{gone(partition, to, span->oldest)};
    part->second.next = std::max(to, span->oldest);
    dirty_ = true;
    part->second.waits.reset();
    messages_.drop(partition);
    return {};
  }

  Status stored(std::int32_t partition, std::int64_t next) override {
    if (broken_) return tl::unexpected{*broken_};
    if (!shared_->has(partition)) return tl::unexpected{shared_->bad_partition(topic_, partition)};
    const auto part = parts_.find(partition);
    if (next < 0 || part == parts_.end() || next > part->second.next.value_or(-1)) {
      const auto span = shared_->span(kafka_topic_, partition);
      if (!span) return tl::unexpected{span.error()};
      if (next < 0 || next > span->end) return tl::unexpected{beyond(partition, next, span->end)};
    }
    if (!name_.empty()) told_[partition] = next, untold_ = true;
    return {};
  }

  bool joined() const override { return share_ == Share::all || joined_; }

  std::optional<std::int64_t> position(std::int32_t partition) const override {
    const auto part = parts_.find(partition);
    return part == parts_.end() ? std::nullopt : part->second.next;
  }

 private:
  struct Part {
    std::optional<std::int64_t> next;  // nullopt: silent
    Message waits{};                   // its next one, while nobody can say whose schema that is; no further is read
  };

  KafkaReader(SharedLog shared, std::string_view topic, std::string_view name, Share share)
      : shared_{std::move(shared)},
        topic_{topic},
        kafka_topic_{shared_->place().topic(topic)},
        name_{name},
        share_{share},
        framed_{is_framed(topic) && shared_->options.schema_ids != nullptr} {}

  Status open_consumer() {
    const std::string group =
        name_.empty() ? shared_->place().topic("reader") : shared_->place().topic(name_) + '.' + topic_;
    Properties properties = consumer_properties(group, true);
    std::function<void(rd_kafka_conf_t*)> hooks;
    if (share_ == Share::group) {
      {
        const std::lock_guard lock{shared_->mutex};
        for (int n = 1; !shared_->instances.insert(instance_ = group + '-' + std::to_string(n)).second; ++n) {
        }
      }
      add_membership(properties, *shared_, shared_->options.worker + instance_.substr(group.size()));
      hooks = [](rd_kafka_conf_t* conf) {
        rd_kafka_conf_set_rebalance_cb(
            conf, [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list, void* opaque) {
              Handle::user<KafkaReader>(opaque).rebalance(code, *list);
            });
      };
    }
    auto consumer = Handle::make(Kind::consumer, shared_->place(), properties, shared_->options.say, this, hooks);
    if (!consumer) return tl::unexpected{consumer.error()};
    consumer_ = std::move(*consumer);
    rd_kafka_poll_set_consumer(consumer_.get());
    if (share_ == Share::all) return {};
    const Partitions topics = partition_list(1);
    rd_kafka_topic_partition_list_add(topics.get(), kafka_topic_.c_str(), RD_KAFKA_PARTITION_UA);
    if (const auto code = rd_kafka_subscribe(consumer_.get(), topics.get()))
      return tl::unexpected{error_of(code, "the group " + group + " cannot be joined", &consumer_)};
    return {};
  }

  void own(std::int32_t partition) {
    parts_[partition] = {};
    step_.assigned.push_back(partition);
  }

  // Within rd_kafka_consumer_poll() and rd_kafka_consumer_close().
  void rebalance(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t& list) {
    for (const auto& [partition, part] : parts_) {
      messages_.drop(partition);
      strangers_.drop(partition);
      if (std::erase(step_.assigned, partition) == 0) step_.revoked.push_back(partition);
    }
    parts_.clear();
    told_.clear();  // whoever has them next says what it has stored
    rd_kafka_assign(consumer_.get(), nullptr);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !closing_) {
      // Nothing is fetched before it is sought.
      const Partitions none = partition_list(1);
      rd_kafka_assign(consumer_.get(), none.get());
      for (int i = 0; i < list.cnt; ++i) own(list.elems[i].partition);
      std::ranges::sort(step_.assigned);
      joined_ = true;
    }
  }

  // Makes librdkafka read what was sought, each partition from where it stands.
  Status take_up() {
    if (!std::exchange(dirty_, false)) return {};
    const Partitions list = partition_list(parts_.size());
    for (const auto& [partition, part] : parts_)
      if (part.next && !part.waits)
        rd_kafka_topic_partition_list_add(list.get(), kafka_topic_.c_str(), partition)->offset = *part.next;
    if (const auto code = rd_kafka_assign(consumer_.get(), list.get())) return tl::unexpected{broken(code)};
    return {};
  }

  // A commit may only say what still is ours: told_ is emptied when partitions are taken away.
  Status tell(bool last) {
    if (!untold_ || told_.empty()) return {};
    const auto now = Clock::now();
    if (!last && now - told_at_ < kToldEvery) return {};
    told_at_ = now;
    untold_ = false;
    const Partitions list = partition_list(told_.size());
    for (const auto& [partition, next] : told_)
      rd_kafka_topic_partition_list_add(list.get(), kafka_topic_.c_str(), partition)->offset = next;
    if (!last) {
      const auto code = rd_kafka_commit(consumer_.get(), list.get(), 1);
      return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Status{} : Status{tl::unexpected{broken(code)}};
    }
    const Queue answers{rd_kafka_queue_new(consumer_.get())};
    if (rd_kafka_commit_queue(consumer_.get(), list.get(), answers.get(), nullptr, nullptr) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
      const Event answer{rd_kafka_queue_poll(answers.get(), kLastWordMs)};
    return {};
  }

  // What librdkafka gave, into the step. What keeps the reader from going on, if anything does.
  std::optional<Error> take(Message message) {
    if (message->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) return std::nullopt;  // a store was down: it joins again
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) return overtaken(message->partition);
    const bool end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !end) return broken(message->err);
    const auto part = parts_.find(message->partition);
    if (part == parts_.end() || !part->second.next) return std::nullopt;  // of an assignment that is no more
    if (part->second.waits) return std::nullopt;                          // it comes again
    if (end) {
      part->second.next = std::max(*part->second.next, message->offset);
      return std::nullopt;
    }
    auto error = place(part->second, std::move(message));
    dirty_ = dirty_ || error;  // the others are read on without it
    return error;
  }

  std::optional<Error> place(Part& part, Message message) {
    const auto ours = is_ours(*message);
    if (!ours) {
      part.waits = std::move(message);
      return ours.error();
    }
    part.next = message->offset + 1;
    (*ours ? messages_ : strangers_).add(std::move(message));
    return std::nullopt;
  }

  // Whose schema is that of the messages that wait? Those for which it can be said by now are taken.
  std::optional<Error> look_again() {
    std::optional<Error> trouble;
    for (auto& [partition, part] : parts_) {
      if (!part.waits || !may_go_on(trouble)) continue;
      if (auto error = place(part, std::move(part.waits)))
        trouble = std::move(error);
      else
        dirty_ = true;
    }
    return trouble;
  }
  // Only some partition waits, if anything is wrong.
  static bool may_go_on(const std::optional<Error>& trouble) {
    return !trouble || trouble->retry == Retry::after_backoff;
  }

  std::size_t taken() const { return messages_.size() + strangers_.size(); }

  // Is its schema id one of this topic's? If so, local_ knows ours from now on.
  Result<bool> is_ours(const rd_kafka_message_t& message) {
    if (!framed_) return true;
    const std::string_view value = value_of(message);
    if (value.size() < kFrameBytes || value[0] != 0) return false;
    const std::uint32_t id = frame_id(value.data());
    if (local_.contains(id)) return true;
    const auto local = shared_->options.schema_ids->local(topic_, id);
    if (!local && local.error().fault == Fault::not_found) return false;
    if (!local) {
      Error error = local.error();
      error.detail = kafka_topic_ + '/' + std::to_string(message.partition) + " offset " +
                     std::to_string(message.offset) + ": " + error.detail;
      return tl::unexpected{std::move(error)};
    }
    local_.emplace(id, *local);
    return true;
  }

  // In the message itself, which is_ours(). Answers the id that it had.
  std::uint32_t put_our_id(rd_kafka_message_t& message) const {
    char* const value = static_cast<char*>(message.payload);
    const std::uint32_t id = frame_id(value);
    put_frame_id(local_.at(id), value);
    return id;
  }

  Error beyond(std::int32_t partition, std::int64_t to, std::int64_t end) const {
    return {Fault::mismatch, Retry::never,
            kafka_topic_ + '/' + std::to_string(partition) + " ends at " + std::to_string(end) +
                ", before the offset " + std::to_string(to) + ": the position is of another log."};
  }
  Error gone(std::int32_t partition, std::int64_t from, std::int64_t oldest) const {
    return {Fault::out_of_range, Retry::never,
            kafka_topic_ + '/' + std::to_string(partition) + " on " + shared_->place().brokers + " begins at " +
                std::to_string(oldest) + ": the records " + std::to_string(from) + " to " + std::to_string(oldest - 1) +
                " are deleted; seek to the oldest to go on without them."};
  }
  // Retention was faster than this reader: the partition is silent until it is sought again.
  Error overtaken(std::int32_t partition) {
    const auto part = parts_.find(partition);
    const auto span = shared_->span(kafka_topic_, partition);
    if (!span) return span.error();
    if (part == parts_.end() || !part->second.next) return broken(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    const std::int64_t from = *std::exchange(part->second.next, std::nullopt);
    return gone(partition, from, span->oldest);
  }
  Error broken(rd_kafka_resp_err_t code) {
    broken_ = error_of(code, kafka_topic_ + " cannot be read", &consumer_);
    return *broken_;
  }

  SharedLog shared_;
  const std::string topic_, kafka_topic_, name_;
  const Share share_;
  const bool framed_;  // ids are translated
  std::string instance_;
  Messages messages_, strangers_;
  Step step_;                           // that is being collected
  std::map<std::int32_t, Part> parts_;  // that are ours
  bool assigned_ = false, joined_ = false, closing_ = false;
  bool dirty_ = false;  // something was sought since librdkafka was told
  std::map<std::int32_t, std::int64_t> told_;
  bool untold_ = false;
  Clock::time_point told_at_{};
  std::map<std::uint32_t, std::uint32_t> local_;  // ids that were read, and ours
  std::optional<Error> later_, broken_;
  Handle consumer_;
};

}  // namespace

Result<std::unique_ptr<Reader>> open_reader(const SharedLog& shared, std::string_view topic, std::string_view name,
                                            Share share) {
  if (!topic::index(topic))
    return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{topic} + "'.");
  if (share == Share::group && name.empty())
    return failure(Fault::refused, Retry::never, "Readers that share partitions need a name; give one.");
  if (share == Share::group && shared->options.worker.empty())
    return failure(Fault::refused, Retry::never,
                   "who shares partitions with others needs a name that stays: give one with --worker");
  return KafkaReader::open(shared, topic, name, share);
}

}  // namespace truetape::kafka
