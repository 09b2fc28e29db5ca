#include "log/kafka/handle.h"

#include <algorithm>
#include <array>
#include <thread>

namespace truetape::kafka {
namespace {

Voice& voice_of(const rd_kafka_t* handle) { return static_cast<Handle::Opaque*>(rd_kafka_opaque(handle))->voice; }

void on_error(rd_kafka_t* handle, int code, const char* reason, void*) {
  voice_of(handle).error(static_cast<rd_kafka_resp_err_t>(code), reason);
}
void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* line) {
  if (handle != nullptr && rd_kafka_opaque(handle) != nullptr) voice_of(handle).log(level, facility, line);
}

// Nothing heals these by itself.
bool hopeless(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SECURITY_DISABLED:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
      return true;
    default:
      return false;
  }
}

Fault fault_of(rd_kafka_resp_err_t code) {
  if (hopeless(code)) return Fault::refused;
  switch (code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return Fault::not_found;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      return Fault::refused;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return Fault::out_of_range;
    default:
      return Fault::unavailable;
  }
}

// What a person may do; empty: nothing but wait.
std::string advice(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return "check sasl.mechanism, sasl.username and sasl.password";
    case RD_KAFKA_RESP_ERR__SSL:
      return "check security.protocol, ssl.ca.location and the brokers' certificates";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return "give the user the rights on the prefix's topics, groups and transactional ids (docs/kafka.md)";
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return "make the topics first: truetape topics create";
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      return "if another process has the same --worker, give each its own";
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return "look whether the brokers run and can be reached";
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return "fewer replicas are in sync than min.insync.replicas: look at the brokers";
    default:
      return {};
  }
}

// Says no more than that nothing was heard.
bool is_silence(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
         code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

Error sentence(rd_kafka_resp_err_t code, std::string reason, const std::string& what, const Handle* handle,
               Retry retry) {
  // Only that the client is done for: its own first reason says why (fenced, no rights).
  if (handle != nullptr && code == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> why{};
    if (const auto first = rd_kafka_fatal_error(handle->get(), why.data(), why.size())) {
      code = first;
      reason = why.data();
    }
  }
  if (handle != nullptr && is_silence(code)) {
    const Voice::Word word = handle->voice().last();
    if (!word.text.empty()) {
      reason = word.text;
      code = word.code;
    }
  }
  std::string detail = what + ": " + reason;
  while (detail.ends_with('.') || detail.ends_with(' ')) detail.pop_back();
  if (const std::string todo = advice(code); !todo.empty()) detail += "; " + todo;
  return {fault_of(code), hopeless(code) ? Retry::never : retry, std::move(detail)};
}

}  // namespace

void Voice::error(rd_kafka_resp_err_t code, const char* reason) {
  const std::lock_guard lock{mutex_};
  // "All brokers are down" follows each single reason, and says less.
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !last_.text.empty()) return;
  // A refusal is not outshone by the other broker's time-out.
  if (hopeless(last_.code) && !hopeless(code)) return;
  last_ = {code, reason};
}

void Voice::log(int level, const char* facility, const char* line) {
  if (say_) say_(level, std::string{facility} + ": " + line);
}

Voice::Word Voice::last() const {
  const std::lock_guard lock{mutex_};
  return last_;
}

void Voice::forget() {
  const std::lock_guard lock{mutex_};
  last_ = {};
}

Result<Handle> Handle::make(Kind kind, const KafkaPlace& place, const Properties& properties, const Say& say,
                            void* user, const std::function<void(rd_kafka_conf_t*)>& hooks) {
  std::unique_ptr<rd_kafka_conf_t, Deleter<rd_kafka_conf_destroy>> conf{rd_kafka_conf_new()};
  std::array<char, 512> why{};
  const auto set = [&](const std::string& name, const std::string& value) -> Status {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK)
      return {};
    return failure(Fault::malformed, Retry::never,
                   "the property " + name + " of Kafka is refused (" + why.data() +
                       "); librdkafka's CONFIGURATION.md lists what it takes");
  };
  const Properties ours{{"bootstrap.servers", place.brokers}, {"client.id", "truetape"},
                        {"socket.nagle.disable", "true"},     {"reconnect.backoff.ms", "50"},
                        {"reconnect.backoff.max.ms", "1000"}, {"retry.backoff.ms", "50"},
                        {"message.max.bytes", "2097152"}};
  // One request at a time to each broker. With several, what was acknowledged may be missing: a broker takes any
  // sequence number as the first one of a producer that is new to the partition. Where it becomes the leader between
  // two requests it refuses the one and takes the next, and librdkafka, which is told of the later one, counts the
  // earlier one as done; in transactions too. https://github.com/confluentinc/confluent-kafka-go/issues/921
  const Properties producers{{"max.in.flight.requests.per.connection", "1"}}, none;
  for (const Properties* some : {&ours, kind == Kind::producer ? &producers : &none, &properties, &place.properties})
    for (const auto& [name, value] : *some)
      if (Status done = set(name, value); !done) return tl::unexpected{done.error()};

  Handle out;
  out.opaque_ = std::unique_ptr<Opaque>{new Opaque{Voice{say}, user}};
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  if (hooks) hooks(conf.get());
  rd_kafka_conf_set_opaque(conf.get(), out.opaque_.get());
  rd_kafka_t* made =
      rd_kafka_new(kind == Kind::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf.get(), why.data(), why.size());
  if (made == nullptr)
    return failure(Fault::refused, Retry::never, std::string{"Kafka's client cannot be made: "} + why.data());
  (void)conf.release();  // it is the handle's now
  out.handle_.reset(made);
  return out;
}

Error error_of(rd_kafka_resp_err_t code, const std::string& what, const Handle* handle, Retry retry) {
  return sentence(code, rd_kafka_err2str(code), what, handle, retry);
}

Error error_of(const rd_kafka_error_t* error, const std::string& what, const Handle* handle) {
  return sentence(rd_kafka_error_code(error), rd_kafka_error_string(error), what, handle, Retry::rebuild);
}

namespace {
constexpr std::chrono::seconds kNews{3};  // by when all brokers know of a new topic
}  // namespace

rd_kafka_resp_err_t patiently(std::chrono::milliseconds patience,
                              const std::function<rd_kafka_resp_err_t(int timeout_ms)>& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  for (const auto until = start + patience;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    const auto code = call(static_cast<int>(std::clamp<std::int64_t>(left, 1, 5'000)));
    switch (code) {
      case RD_KAFKA_RESP_ERR__TIMED_OUT:
      case RD_KAFKA_RESP_ERR__TRANSPORT:
      case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      case RD_KAFKA_RESP_ERR__WAIT_COORD:
      case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
      case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
      case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
      case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
      case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
      case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
        break;
      // Not every broker knows at once of a topic that was just made.
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        if (Clock::now() - start > kNews) return code;
        break;
      default:
        return code;
    }
    if (Clock::now() >= until) return code;
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

namespace {

rd_kafka_resp_err_t ask_offset(const Handle& handle, const std::string& kafka_topic, std::int32_t partition,
                               std::int64_t of, std::int64_t& offset, int timeout_ms) {
  const Partitions list = partition_list(1);
  rd_kafka_topic_partition_list_add(list.get(), kafka_topic.c_str(), partition)->offset = of;
  if (const auto code = rd_kafka_offsets_for_times(handle.get(), list.get(), timeout_ms)) return code;
  offset = list->elems[0].offset;
  return list->elems[0].err;
}

}  // namespace

rd_kafka_resp_err_t ask_ends(const Handle& handle, const std::string& kafka_topic, std::int32_t partition,
                             std::int64_t& low, std::int64_t& high, int timeout_ms) {
  const int wait = std::min(timeout_ms, 2'000);
  // The request takes these for times, and the brokers know them as what they are.
  auto code = ask_offset(handle, kafka_topic, partition, RD_KAFKA_OFFSET_BEGINNING, low, wait);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = ask_offset(handle, kafka_topic, partition, RD_KAFKA_OFFSET_END, high, wait);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return code;
  // The handle keeps to the leader that it knows until it is made to look again.
  const TopicHandle topic{rd_kafka_topic_new(handle.get(), kafka_topic.c_str(), nullptr)};
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(handle.get(), 0, topic.get(), &metadata, wait) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
  return code;
}

}  // namespace truetape::kafka
