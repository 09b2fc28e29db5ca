#include "log/kafka/parts.h"

namespace truetape::kafka {
namespace {

// For so long may brokers say nothing before a flush says so.
constexpr std::chrono::seconds kSilence{5};

class KafkaAppender final : public Appender {
 public:
  static Result<std::unique_ptr<Appender>> open(const SharedLog& shared, std::string_view topic) {
    std::unique_ptr<KafkaAppender> out{new KafkaAppender{shared, topic}};
    // Nothing is given up while brokers are away: the buffer fills, and who appends stops reading.
    const Properties properties{{"enable.idempotence", "true"},
                                {"acks", "all"},
                                {"message.timeout.ms", "0"},
                                {"linger.ms", "5"},
                                {"compression.type", "lz4"},
                                {"queue.buffering.max.messages", "10000000"},
                                {"queue.buffering.max.kbytes", "1048576"}};
    auto producer =
        Handle::make(Kind::producer, shared->place(), properties, shared->options.say, out.get(),
                     [](rd_kafka_conf_t* conf) { rd_kafka_conf_set_dr_msg_cb(conf, &KafkaAppender::delivered); });
    if (!producer) return tl::unexpected{producer.error()};
    out->producer_ = std::move(*producer);
    const auto opened = out->producing_.open(topic, false);
    if (!opened) return tl::unexpected{opened.error()};
    return out;
  }

  // What is not acknowledged may be lost: nobody waits for it.
  ~KafkaAppender() override {
    if (!producer_) return;
    rd_kafka_purge(producer_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    while (rd_kafka_outq_len(producer_.get()) > 0 && rd_kafka_poll(producer_.get(), 10) > 0) {
    }
  }

  bool append(std::int32_t partition, const Record& record) override {
    const std::size_t bytes = record_bytes(record);
    if (broken_ || !shared_->has(partition) || bytes > kMaxRecordBytes) return false;
    if (waiting_ + bytes > shared_->options.append_buffer_bytes && waiting_ > 0) {
      rd_kafka_poll(producer_.get(), 0);
      if (waiting_ + bytes > shared_->options.append_buffer_bytes && waiting_ > 0) return false;
    }
    if (waiting_ == 0) heard_ = std::chrono::steady_clock::now();
    const auto put = producing_.put(0, partition, record, reinterpret_cast<void*>(bytes));
    if (!put) {
      broken_ = put.error();
      return false;
    }
    if (!*put) {
      rd_kafka_poll(producer_.get(), 0);
      return false;
    }
    waiting_ += bytes;
    if (++unserved_ >= kServeEvery) {
      unserved_ = 0;
      rd_kafka_poll(producer_.get(), 0);
    }
    return true;
  }

  Result<bool> flush(std::chrono::milliseconds wait) override {
    const auto until = std::chrono::steady_clock::now() + wait;
    // rd_kafka_flush() sends what lingers; the answers are counted by delivered().
    for (;;) {
      if (broken_) return tl::unexpected{*broken_};
      const auto now = std::chrono::steady_clock::now();
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
      rd_kafka_flush(producer_.get(), static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 500)));
      if (broken_) return tl::unexpected{*broken_};
      if (waiting_ == 0) return true;
      std::array<char, 256> why{};
      if (const auto fatal = rd_kafka_fatal_error(producer_.get(), why.data(), why.size());
          fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
        broken_ = error_of(fatal, std::string{"what was appended may be lost ("} + why.data() + ')', &producer_);
        continue;
      }
      if (std::chrono::steady_clock::now() - heard_ > kSilence) {
        Error error =
            error_of(RD_KAFKA_RESP_ERR__TIMED_OUT,
                     shared_->place().brokers + " has not taken a record for " + std::to_string(kSilence.count()) +
                         " s (brokers away, or fewer replicas in sync than min.insync.replicas)",
                     &producer_);
        return failure(Fault::unavailable, Retry::after_backoff, std::move(error.detail));
      }
      if (std::chrono::steady_clock::now() >= until) return false;
    }
  }

 private:
  static constexpr int kServeEvery = 256;  // appends between looks at the answers

  KafkaAppender(SharedLog shared, std::string_view topic)
      : shared_{std::move(shared)}, topic_{topic}, producing_{producer_, *shared_} {}

  // From rd_kafka_poll() and rd_kafka_flush(), so on the appender's thread.
  static void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    auto& self = Handle::user<KafkaAppender>(opaque);
    self.waiting_ -= reinterpret_cast<std::size_t>(message->_private);
    self.heard_ = std::chrono::steady_clock::now();
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || self.broken_) return;
    self.broken_ = error_of(message->err, "a record was not taken by " + self.shared_->place().topic(self.topic_),
                            &self.producer_);
  }

  SharedLog shared_;
  const std::string topic_;
  std::size_t waiting_ = 0;  // bytes not acknowledged
  std::chrono::steady_clock::time_point heard_{};
  int unserved_ = 0;
  std::optional<Error> broken_;
  Handle producer_;
  Producing producing_;  // its topics go before the producer
};

}  // namespace

Result<std::unique_ptr<Appender>> open_appender(const SharedLog& shared, std::string_view topic) {
  return KafkaAppender::open(shared, topic);
}

}  // namespace truetape::kafka
