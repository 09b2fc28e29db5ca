#include "log/kafka/meta.h"

#include <charconv>

#include "log/kafka/parts.h"

namespace truetape::kafka {

Result<Meta> read_meta(const KafkaPlace& place, const Say& say, std::chrono::milliseconds patience,
                       const std::atomic<bool>* stop) {
  const std::string topic = place.topic(kMetaTopic);
  auto handle = Handle::make(Kind::consumer, place, consumer_properties(place.topic("reader"), false), say);
  if (!handle) return tl::unexpected{handle.error()};
  std::int64_t low = 0, high = 0;
  const auto asked = patiently(patience, [&](int ms) {
    if (stop != nullptr && *stop) return RD_KAFKA_RESP_ERR__INTR;
    rd_kafka_poll(handle->get(), 0);
    // A refusal does not heal; a broker that is away may come.
    const Voice::Word word = handle->voice().last();
    if (word.code == RD_KAFKA_RESP_ERR__AUTHENTICATION || word.code == RD_KAFKA_RESP_ERR__SSL) return word.code;
    return ask_ends(*handle, topic, 0, low, high, std::min(ms, 1'000));
  });
  if (asked != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_poll(handle->get(), 0);
    return tl::unexpected{error_of(asked == RD_KAFKA_RESP_ERR__AUTHENTICATION || asked == RD_KAFKA_RESP_ERR__SSL
                                       ? RD_KAFKA_RESP_ERR__TIMED_OUT
                                       : asked,
                                   "the log " + place.name() + " cannot be opened", &*handle)};
  }
  Meta out;
  if (low >= high) return out;
  rd_kafka_poll_set_consumer(handle->get());
  const Partitions list = partition_list(1);
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = low;
  if (const auto code = rd_kafka_assign(handle->get(), list.get()))
    return tl::unexpected{error_of(code, topic + " cannot be read", &*handle)};
  for (const auto until = std::chrono::steady_clock::now() + patience;;) {
    const Message message{rd_kafka_consumer_poll(handle->get(), 100)};
    if (!message) {
      if (std::chrono::steady_clock::now() < until && (stop == nullptr || !*stop)) continue;
      return tl::unexpected{error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, topic + " cannot be read", &*handle)};
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      if (message->offset >= high) break;
      continue;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return tl::unexpected{error_of(message->err, topic + " cannot be read", &*handle)};
    const std::string key{key_of(*message)};
    if (key == "log_id")
      out.try_emplace(key, value_of(*message));
    else
      out.insert_or_assign(key, std::string{value_of(*message)});
  }
  rd_kafka_assign(handle->get(), nullptr);
  return out;
}

std::int64_t number(const Meta& meta, std::string_view key) {
  const auto found = meta.find(key);
  std::int64_t out = 0;
  if (found != meta.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), out);
  return out;
}

Status write_meta(const KafkaPlace& place, const Say& say, std::chrono::milliseconds patience,
                  const std::vector<std::pair<std::string, std::string>>& entries) {
  struct Delivery {
    std::size_t taken = 0;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  } delivery;
  const Properties properties{{"enable.idempotence", "true"},
                              {"acks", "all"},
                              {"message.timeout.ms", std::to_string(patience.count())},
                              {"linger.ms", "0"}};
  auto producer = Handle::make(Kind::producer, place, properties, say, &delivery, [](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
      auto& told = Handle::user<Delivery>(opaque);
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        ++told.taken;
      else
        told.code = message->err;
    });
  });
  if (!producer) return tl::unexpected{producer.error()};
  const std::string what = place.topic(kMetaTopic) + " cannot be written";
  const TopicHandle topic{rd_kafka_topic_new(producer->get(), place.topic(kMetaTopic).c_str(), nullptr)};
  for (const auto& [key, value] : entries)
    if (rd_kafka_produce(topic.get(), 0, RD_KAFKA_MSG_F_COPY, const_cast<char*>(value.data()), value.size(), key.data(),
                         key.size(), nullptr) != 0)
      return tl::unexpected{error_of(rd_kafka_last_error(), what, &*producer)};
  const auto flushed = rd_kafka_flush(producer->get(), static_cast<int>(patience.count()));
  if (delivery.code != RD_KAFKA_RESP_ERR_NO_ERROR) return tl::unexpected{error_of(delivery.code, what, &*producer)};
  if (flushed != RD_KAFKA_RESP_ERR_NO_ERROR || delivery.taken != entries.size())
    return tl::unexpected{error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, what, &*producer)};
  return {};
}

}  // namespace truetape::kafka
