#include <algorithm>
#include <thread>

#include "log/kafka/meta.h"
#include "log/kafka/parts.h"

namespace truetape::kafka {
namespace {

using Clock = std::chrono::steady_clock;

class KafkaTask final : public Task {
 public:
  static Result<std::unique_ptr<Task>> open(const SharedLog& shared) {
    std::unique_ptr<KafkaTask> out{new KafkaTask{shared}};
    // First the producer: from init_transactions() on nothing that an earlier owner of the name left can be committed.
    if (Status done = out->open_producer(); !done) return tl::unexpected{done.error()};
    if (Status done = out->open_consumer(); !done) return tl::unexpected{done.error()};
    return out;
  }
  ~KafkaTask() override {
    messages_.clear();
    closing_ = true;
    if (consumer_)
      rd_kafka_consumer_close(consumer_.get());  // a static member keeps its partitions until its session ends
    consumer_.reset();
    const std::lock_guard lock{shared_->mutex};
    shared_->has_task = false;
  }

  Result<Step> poll(std::chrono::milliseconds linger) override {
    if (broken_) return tl::unexpected{*broken_};
    if (to_commit_)
      return failure(Fault::refused, Retry::never, "The last step gave records; commit it before the next poll.");
    messages_.clear();
    step_ = {};
    // Steps end `linger` apart, however long the work between them takes.
    const auto now = Clock::now();
    until_ = std::max(std::min(until_ + linger, now + linger), now);
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Clock::now()).count();
      Message message{rd_kafka_consumer_poll(consumer_.get(), static_cast<int>(std::max<std::int64_t>(left, 0)))};
      if (rebalancing_) broken_ = std::exchange(rebalancing_, std::nullopt);
      if (broken_) return tl::unexpected{*broken_};
      if (message && message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || message->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED)
          continue;
        broken_ = error_of(message->err, "raw cannot be read", &consumer_);
        return tl::unexpected{*broken_};
      }
      if (message) {
        if (!owns(message->partition)) continue;  // of an assignment that is no more
        messages_.add(std::move(message));
        if (messages_.size() >= shared_->options.step_records || messages_.bytes() >= shared_->options.step_bytes)
          break;
      } else if (left <= 0 || shared_->stopping()) {
        break;
      }
    }
    step_.records = messages_.stored();
    step_.appended = messages_.oldest();
    to_commit_ = messages_.size() > 0;
    for (const Stored& stored : step_.records) next_[stored.partition] = stored.offset + 1;
    return std::move(step_);
  }

  Status commit(std::span<const Output> outputs, std::span<const StateChange> state) override {
    if (broken_) return tl::unexpected{*broken_};
    if (!to_commit_) return failure(Fault::refused, Retry::never, "Nothing to commit: the last poll gave no records.");
    to_commit_ = false;
    Status done = check(outputs, state);
    if (done) done = transaction(outputs, state);
    messages_.clear();
    if (!done)
      broken_ = Error{done.error().fault, done.error().retry == Retry::never ? Retry::never : Retry::rebuild,
                      done.error().detail};
    return done ? Status{} : Status{tl::unexpected{*broken_}};
  }

  bool joined() const override { return joined_; }

  std::int64_t behind(std::int32_t partition) const override {
    const auto next = next_.find(partition);
    if (next == next_.end()) return 0;
    std::int64_t low = 0, high = 0;  // of the last fetch
    if (rd_kafka_get_watermark_offsets(consumer_.get(), raw_.c_str(), partition, &low, &high)) return 0;
    return std::max<std::int64_t>(high - next->second, 0);
  }

 private:
  explicit KafkaTask(SharedLog shared)
      : shared_{std::move(shared)}, raw_{shared_->place().topic(topic::raw)}, producing_{producer_, *shared_} {}

  Status open_producer() {
    const auto timeout = shared_->options.transaction_timeout.count();
    const Properties properties{{"transactional.id", shared_->process_group() + '.' + shared_->options.worker},
                                {"transaction.timeout.ms", std::to_string(timeout)},
                                {"socket.timeout.ms", std::to_string(std::min<std::int64_t>(timeout - 100, 10'000))},
                                {"linger.ms", "5"},
                                {"compression.type", "lz4"},
                                {"queue.buffering.max.messages", "1000000"},
                                {"queue.buffering.max.kbytes", "262144"}};
    auto producer = Handle::make(Kind::producer, shared_->place(), properties, shared_->options.say);
    if (!producer) return tl::unexpected{producer.error()};
    producer_ = std::move(*producer);
    for (const std::string_view topic : topic::all) {
      const auto opened = producing_.open(topic, is_framed(topic));
      if (!opened) return tl::unexpected{opened.error()};
    }
    const auto state = producing_.open(kStateTopic, false);
    if (!state) return tl::unexpected{state.error()};
    for (const auto until = Clock::now() + shared_->options.patience + shared_->options.transaction_timeout;;) {
      const KafkaError error{rd_kafka_init_transactions(producer_.get(), 1'000)};
      if (!error) return {};
      if (rd_kafka_error_is_fatal(error.get()) || !rd_kafka_error_is_retriable(error.get()) || Clock::now() > until ||
          shared_->stopping())
        return tl::unexpected{error_of(
            error.get(), "the transactions of worker " + shared_->options.worker + " cannot begin", &producer_)};
    }
  }

  Status open_consumer() {
    Properties properties = consumer_properties(shared_->process_group(), true);
    add_membership(properties, *shared_, shared_->options.worker);
    auto consumer = Handle::make(
        Kind::consumer, shared_->place(), properties, shared_->options.say, this, [](rd_kafka_conf_t* conf) {
          rd_kafka_conf_set_rebalance_cb(
              conf, [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list, void* opaque) {
                Handle::user<KafkaTask>(opaque).rebalance(code, *list);
              });
        });
    if (!consumer) return tl::unexpected{consumer.error()};
    consumer_ = std::move(*consumer);
    rd_kafka_poll_set_consumer(consumer_.get());
    const Partitions topics = partition_list(1);
    rd_kafka_topic_partition_list_add(topics.get(), raw_.c_str(), RD_KAFKA_PARTITION_UA);
    if (const auto code = rd_kafka_subscribe(consumer_.get(), topics.get()))
      return tl::unexpected{error_of(code, "the group " + shared_->process_group() + " cannot be joined", &consumer_)};
    until_ = Clock::now();
    return {};
  }

  bool owns(std::int32_t partition) const { return next_.contains(partition); }

  // Within rd_kafka_consumer_poll() and rd_kafka_consumer_close(). Nothing is open here: there is one commit per step.
  void rebalance(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t& list) {
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS || closing_) {
      for (const auto& [partition, next] : next_) {
        messages_.drop(partition);
        // Assigned by this very poll: nobody has heard of it.
        const auto fresh = std::ranges::find(step_.assigned, partition, &Assigned::partition);
        if (fresh != step_.assigned.end())
          step_.assigned.erase(fresh);
        else
          step_.revoked.push_back(partition);
      }
      next_.clear();
      rd_kafka_assign(consumer_.get(), nullptr);
      if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        rebalancing_ = error_of(code, "the partitions cannot be divided", &consumer_);
      return;
    }
    if (Status done = take_over(list); !done) {
      rebalancing_ = Error{done.error().fault, done.error().retry == Retry::never ? Retry::never : Retry::rebuild,
                           done.error().detail};
      rd_kafka_assign(consumer_.get(), nullptr);
    } else {
      joined_ = true;
    }
  }

  // What partitions that are taken over begin with.
  struct Beginning {
    std::vector<std::int64_t> positions;  // of the group; -1: none
    Restored restored;
    std::optional<std::size_t> differs;  // the first partition of which the two do not say the same
  };
  // The position first: asking for it waits until every older transaction of these partitions is decided, so that the
  // state that is read afterwards is never older than the position. Both were committed together, so they must agree;
  // a group that has forgotten its position has none to disagree with.
  Result<Beginning> look(const std::vector<std::int32_t>& partitions) {
    auto positions = shared_->positions(consumer_, raw_, partitions);
    if (!positions) return tl::unexpected{positions.error()};
    auto restored = restore_state(*shared_, partitions);
    if (!restored) return tl::unexpected{restored.error()};
    Beginning out{std::move(*positions), std::move(*restored), {}};
    for (std::size_t i = 0; i < partitions.size() && !out.differs; ++i)
      if (out.positions[i] >= 0 && out.positions[i] != std::max<std::int64_t>(out.restored.positions[i], 0))
        out.differs = i;
    return out;
  }
  // Between the two answers another worker may have taken the partitions over and committed, if this one was away for
  // so long (stopped, cut off): then both are asked again, and its own next commit is refused by the group.
  Result<Beginning> look_until_both_agree(const std::vector<std::int32_t>& partitions) {
    for (const auto until = Clock::now() + shared_->options.patience;;) {
      auto out = look(partitions);
      if (!out || !out->differs || Clock::now() > until || shared_->stopping()) return out;
      const std::size_t i = *out->differs;
      shared_->tell(6, raw_ + '/' + std::to_string(partitions[i]) + ": the group says " +
                           std::to_string(out->positions[i]) + ", the state " +
                           std::to_string(out->restored.positions[i]) + "; both are asked again");
      std::this_thread::sleep_for(std::chrono::milliseconds{200});
    }
  }

  Status take_over(const rd_kafka_topic_partition_list_t& list) {
    std::vector<std::int32_t> partitions;
    partitions.reserve(static_cast<std::size_t>(list.cnt));
    for (int i = 0; i < list.cnt; ++i) partitions.push_back(list.elems[i].partition);
    std::ranges::sort(partitions);
    auto begin = look_until_both_agree(partitions);
    if (!begin) return tl::unexpected{begin.error()};
    if (Status learned = learn_epoch(); !learned) return learned;
    const Partitions assignment = partition_list(partitions.size()), forgotten = partition_list(partitions.size());
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      const std::int32_t p = partitions[i];
      const auto span = shared_->span(raw_, p);
      if (!span) return tl::unexpected{span.error()};
      const std::int64_t group = begin->positions[i], state = begin->restored.positions[i];
      const std::string where = raw_ + '/' + std::to_string(p);
      std::int64_t from = std::max<std::int64_t>({group, state, 0});
      if (from > span->end)
        return failure(Fault::mismatch, Retry::never,
                       where + " ends at " + std::to_string(span->end) + ", but process has committed up to " +
                           std::to_string(from) +
                           ": the topic was made anew under an older state; use another prefix, or delete all topics "
                           "and groups of this one");
      if (begin->differs == i)
        return failure(Fault::mismatch, Retry::never,
                       where + ": process has committed up to " + std::to_string(group) + ", but its state is " +
                           (state < 0 ? "empty" : "of " + std::to_string(state)) + ": the topic " +
                           shared_->place().topic(kStateTopic) + " or the group " + shared_->process_group() +
                           " was changed by others; put back what was changed, or import into a log of another prefix");
      if (group < 0 && state >= 0) {
        rd_kafka_topic_partition_list_add(forgotten.get(), raw_.c_str(), p)->offset = state;
        shared_->tell(4, where + ": the brokers have forgotten the position of group " + shared_->process_group() +
                             " (offsets.retention.minutes); it goes on at " + std::to_string(state) +
                             ", where its state stands");
      }
      if (from < span->oldest) {
        step_.lost.push_back({p, from, span->oldest});
        from = span->oldest;
      }
      next_[p] = from;
      rd_kafka_topic_partition_list_add(assignment.get(), raw_.c_str(), p)->offset = from;
    }
    for (Assigned& assigned : begin->restored.state) step_.assigned.push_back(std::move(assigned));
    if (const auto code = rd_kafka_assign(consumer_.get(), assignment.get()))
      return tl::unexpected{error_of(code, "raw cannot be read", &consumer_)};
    if (forgotten->cnt > 0)
      if (const auto code = rd_kafka_commit(consumer_.get(), forgotten.get(), 0))
        return tl::unexpected{error_of(code, "the position in raw cannot be put back", &consumer_)};
    return {};
  }

  // Who had the partitions before may have made rows of an epoch that is newer than the one this process began with:
  // what is made here of the same keys must win over those.
  Status learn_epoch() {
    const auto meta =
        read_meta(shared_->place(), shared_->options.say, shared_->options.patience, shared_->options.stop);
    if (!meta)
      return failure(meta.error().fault, meta.error().retry,
                     "partitions cannot be taken over without the log's epoch: " + meta.error().detail);
    const std::int64_t now = number(*meta, "epoch");
    for (std::int64_t known = shared_->epoch; known < now && !shared_->epoch.compare_exchange_weak(known, now);) {
    }
    return {};
  }

  Status check(std::span<const Output> outputs, std::span<const StateChange> state) const {
    for (const Output& output : outputs) {
      if (!topic::index(output.topic))
        return failure(Fault::not_found, Retry::never, "There is no topic '" + std::string{output.topic} + "'.");
      if (!shared_->has(output.partition))
        return tl::unexpected{shared_->bad_partition(output.topic, output.partition)};
      if (record_bytes(output.record) > kMaxRecordBytes) return tl::unexpected{too_large(output)};
    }
    for (const StateChange& change : state) {
      if (!shared_->has(change.partition)) return tl::unexpected{shared_->bad_partition("state", change.partition)};
      if (change.key.empty() || change.key.size() > kMaxStateKeyBytes)
        return failure(Fault::out_of_range, Retry::never, "A state key must have 1 to 511 bytes.");
    }
    return {};
  }

  Status transaction(std::span<const Output> outputs, std::span<const StateChange> state) {
    if (const KafkaError error{rd_kafka_begin_transaction(producer_.get())})
      return tl::unexpected{error_of(error.get(), "a transaction cannot begin", &producer_)};
    std::string_view last;
    std::size_t topic = 0;
    for (const Output& output : outputs) {
      if (output.topic.data() != last.data() || output.topic != last) {
        last = output.topic;
        topic = *topic::index(last);  // in the order in which they were opened
      }
      if (Status put = put_all([&] { return producing_.put(topic, output.partition, output.record); }); !put)
        return put;
    }
    for (const StateChange& change : state) {
      const Status put = put_all([&] {
        return change.value ? producing_.put(topic::all.size(), change.partition, {change.key, *change.value, {}})
                            : producing_.put_deletion(topic::all.size(), change.partition, change.key);
      });
      if (!put) return put;
    }
    // next_ has all partitions that are ours, of which some may have given nothing.
    const Partitions positions = partition_list(next_.size());
    std::int32_t last_partition = -1;
    for (const Message& message : messages_.all()) {  // they stand in the order of partitions
      if (message->partition == std::exchange(last_partition, message->partition)) continue;
      const std::int64_t next = next_.at(last_partition);
      rd_kafka_topic_partition_list_add(positions.get(), raw_.c_str(), last_partition)->offset = next;
      const std::string text = std::to_string(next);
      if (Status put = put_all([&] {
            return producing_.put(topic::all.size(), last_partition, {kPositionKey, text, {}});
          });
          !put)
        return put;
    }
    // All of it is on the wire before the positions are: who asks for these finds no older state.
    if (const auto code = rd_kafka_flush(producer_.get(), -1))
      return tl::unexpected{error_of(code, "the results of a step cannot be written", &producer_)};
    const GroupMetadata group{rd_kafka_consumer_group_metadata(consumer_.get())};
    if (!group)
      return failure(Fault::unavailable, Retry::rebuild, "the group " + shared_->process_group() + " is left");
    if (Status sent = decided(
            "positions cannot be committed",
            [&] { return rd_kafka_send_offsets_to_transaction(producer_.get(), positions.get(), group.get(), -1); });
        !sent)
      return sent;
    return decided("a step cannot be committed", [&] { return rd_kafka_commit_transaction(producer_.get(), -1); });
  }

  template <class Put>
  Status put_all(const Put& put) {
    for (;;) {
      const auto done = put();
      if (!done) return tl::unexpected{done.error()};
      if (*done) return {};
      rd_kafka_poll(producer_.get(), 10);  // its queue is full: what was sent makes room
      std::array<char, 256> why{};
      if (const auto fatal = rd_kafka_fatal_error(producer_.get(), why.data(), why.size());
          fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tl::unexpected{error_of(fatal, std::string{"the producer of this worker is dead ("} + why.data() + ')')};
    }
  }

  // Until the call has an answer that decides: what may be tried again is, with the same arguments; all else ends the
  // Task, whose transaction the next one's init_transactions() aborts.
  template <class Call>
  Status decided(const char* what, const Call& call) {
    for (const auto until = Clock::now() + 2 * shared_->options.transaction_timeout;;) {
      const KafkaError error{call()};
      if (!error) return {};
      const bool again = !rd_kafka_error_is_fatal(error.get()) && !rd_kafka_error_txn_requires_abort(error.get()) &&
                         rd_kafka_error_is_retriable(error.get());
      if (!again || Clock::now() > until || shared_->stopping())
        return tl::unexpected{error_of(error.get(), what, &producer_)};
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
  }

  SharedLog shared_;
  const std::string raw_;
  Messages messages_;
  Step step_;                                  // that is being collected
  std::map<std::int32_t, std::int64_t> next_;  // by partition that is ours: behind the last step
  Clock::time_point until_{};
  bool to_commit_ = false, closing_ = false, joined_ = false;
  std::optional<Error> rebalancing_;  // why an assignment could not be taken
  std::optional<Error> broken_;
  Handle producer_;
  Producing producing_;
  Handle consumer_;
};

}  // namespace

Result<std::unique_ptr<Task>> open_task(const SharedLog& shared) {
  if (shared->options.worker.empty())
    return failure(Fault::refused, Retry::never, "who processes needs a name that stays: give one with --worker");
  {
    const std::lock_guard lock{shared->mutex};
    if (std::exchange(shared->has_task, true))
      return failure(Fault::refused, Retry::never, "The log has a Task already; destroy it before another is opened.");
  }
  auto task = KafkaTask::open(shared);
  return task;  // one that could not be opened has given its place back
}

}  // namespace truetape::kafka
