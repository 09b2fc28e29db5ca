// librdkafka's objects with owners, and its errors as ours. Internal to log/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "log/kafka/kafka_url.h"

namespace truetape::kafka {

template <auto Destroy>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
using Message = std::unique_ptr<rd_kafka_message_t, Deleter<rd_kafka_message_destroy>>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_t, Deleter<rd_kafka_topic_destroy>>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t, Deleter<rd_kafka_topic_partition_list_destroy>>;
using KafkaError = std::unique_ptr<rd_kafka_error_t, Deleter<rd_kafka_error_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Deleter<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Deleter<rd_kafka_event_destroy>>;
using GroupMetadata =
    std::unique_ptr<rd_kafka_consumer_group_metadata_t, Deleter<rd_kafka_consumer_group_metadata_destroy>>;

inline Partitions partition_list(std::size_t room) {
  return Partitions{rd_kafka_topic_partition_list_new(static_cast<int>(room))};
}

// Told of what librdkafka says: its syslog level (3 error, 4 warning, 6 info) and a line. From its own threads.
using Say = std::function<void(int level, const std::string& line)>;

// What a handle says of its own trouble while a call only answers "timed out": wrong credentials, no such host. Its
// threads write it.
class Voice {
 public:
  explicit Voice(Say say) : say_{std::move(say)} {}
  void error(rd_kafka_resp_err_t code, const char* reason);
  void log(int level, const char* facility, const char* line);
  struct Word {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string text;  // empty: nothing was said
  };
  Word last() const;
  void forget();

 private:
  mutable std::mutex mutex_;
  Word last_;
  Say say_;
};

enum class Kind : std::uint8_t { producer, consumer };
using Properties = std::vector<std::pair<std::string, std::string>>;

// One client. Owned by one object, used from one thread save where a comment says else (librdkafka itself is
// thread-safe).
class Handle {
 public:
  // `hooks` sets callbacks; in these user(opaque) is `user`.
  static Result<Handle> make(Kind kind, const KafkaPlace& place, const Properties& properties, const Say& say,
                             void* user = nullptr, const std::function<void(rd_kafka_conf_t*)>& hooks = {});
  template <class T>
  static T& user(void* opaque) {
    return *static_cast<T*>(static_cast<Opaque*>(opaque)->user);
  }
  Handle() = default;
  Handle(Handle&&) noexcept = default;
  Handle& operator=(Handle&&) noexcept = default;

  rd_kafka_t* get() const { return handle_.get(); }
  explicit operator bool() const { return handle_ != nullptr; }
  Voice& voice() const { return opaque_->voice; }
  void reset() { handle_.reset(); }

  struct Opaque {  // of the callbacks
    Voice voice;
    void* user;
  };

 private:
  std::unique_ptr<Opaque> opaque_;  // outlives the handle
  std::unique_ptr<rd_kafka_t, Deleter<rd_kafka_destroy>> handle_;
};

// "what: reason", and what to do where that is known. The handle's last word is added where the code says no more than
// that nothing was heard. Retry::rebuild, but where waiting cannot help.
Error error_of(rd_kafka_resp_err_t code, const std::string& what, const Handle* handle = nullptr,
               Retry retry = Retry::rebuild);
// Of a call that gave an error object.
Error error_of(const rd_kafka_error_t* error, const std::string& what, const Handle* handle = nullptr);

// Calls `call` until it does not time out any more, or `patience` is over; that a topic is unknown is believed after
// 3 s. For requests that are safe to repeat.
rd_kafka_resp_err_t patiently(std::chrono::milliseconds patience,
                              const std::function<rd_kafka_resp_err_t(int timeout_ms)>& call);

// Asks where a partition begins and ends, as the handle's isolation level sees it; once, for 2 s at most. Not by
// rd_kafka_query_watermark_offsets(): of librdkafka 2.0.2 that waits without end for a leader that is gone, and then
// goes on asking it when another leads. https://github.com/confluentinc/librdkafka/pull/2535
rd_kafka_resp_err_t ask_ends(const Handle& handle, const std::string& kafka_topic, std::int32_t partition,
                             std::int64_t& low, std::int64_t& high, int timeout_ms);

}  // namespace truetape::kafka
