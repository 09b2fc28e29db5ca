#include "log/kafka/parts.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace truetape::kafka {

Error Shared::bad_partition(std::string_view topic, std::int32_t partition) const {
  return {Fault::out_of_range, Retry::never,
          "There is no partition " + std::to_string(partition) + " of '" + std::string{topic} + "'; the log has " +
              std::to_string(partitions) + '.'};
}

Result<TopicSpan> Shared::span(const std::string& kafka_topic, std::int32_t partition) const {
  std::int64_t low = 0, high = 0;
  const auto code = patiently(options.patience, [&](int ms) {
    if (stopping()) return RD_KAFKA_RESP_ERR__INTR;
    rd_kafka_poll(looking.get(), 0);  // its voice
    return ask_ends(looking, kafka_topic, partition, low, high, ms);
  });
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) looking.voice().forget();
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return tl::unexpected{error_of(code,
                                   "the ends of " + kafka_topic + '/' + std::to_string(partition) + " on " +
                                       place().brokers + " cannot be asked for",
                                   &looking)};
  return TopicSpan{low, high};
}

Result<std::vector<std::int64_t>> Shared::positions(const Handle& handle, const std::string& kafka_topic,
                                                    std::span<const std::int32_t> wanted) const {
  Partitions list;
  const auto code = patiently(options.patience, [&](int ms) {
    if (stopping()) return RD_KAFKA_RESP_ERR__INTR;
    if (&handle == &asking) rd_kafka_poll(asking.get(), 0);
    list = partition_list(wanted.size());
    for (const std::int32_t p : wanted) rd_kafka_topic_partition_list_add(list.get(), kafka_topic.c_str(), p);
    const auto answer = rd_kafka_committed(handle.get(), list.get(), ms);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) return answer;
    for (int i = 0; i < list->cnt; ++i)
      if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  });
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return tl::unexpected{
        error_of(code, "the positions in " + kafka_topic + " on " + place().brokers + " cannot be asked for", &handle)};
  handle.voice().forget();
  std::vector<std::int64_t> out;
  out.reserve(wanted.size());
  for (int i = 0; i < list->cnt; ++i) out.push_back(std::max<std::int64_t>(list->elems[i].offset, -1));
  return out;
}

Properties consumer_properties(const std::string& group, bool committed) {
  return {{"group.id", group},
          {"enable.auto.commit", "false"},
          {"isolation.level", committed ? "read_committed" : "read_uncommitted"},
          {"auto.offset.reset", "error"},  // nothing is passed over silently
          {"enable.partition.eof", "true"},
          {"fetch.wait.max.ms", "100"},
          {"fetch.error.backoff.ms", "20"},
          {"check.crcs", "true"}};
}

void add_membership(Properties& to, const Shared& shared, const std::string& instance) {
  const auto session = shared.options.session_timeout.count();
  to.emplace_back("group.instance.id", instance);
  to.emplace_back("session.timeout.ms", std::to_string(session));
  to.emplace_back("heartbeat.interval.ms", std::to_string(std::clamp<std::int64_t>(session / 20, 100, 3'000)));
  to.emplace_back("max.poll.interval.ms", "300000");
  to.emplace_back("partition.assignment.strategy", "range");
}

std::string_view key_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.key), message.key == nullptr ? 0 : message.key_len};
}
std::string_view value_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.payload == nullptr ? 0 : message.len};
}

void read_headers(const rd_kafka_message_t& message, std::vector<Header>& into) {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    into.push_back({name, {static_cast<const char*>(value), value == nullptr ? 0 : size}});
}

void Messages::clear() {
  stored_.clear();
  headers_.clear();
  messages_.clear();
  bytes_ = 0;
}

void Messages::add(Message message) {
  bytes_ += message->len + message->key_len;
  messages_.push_back(std::move(message));
}

void Messages::drop(std::int32_t partition) {
  std::erase_if(messages_, [&](const Message& m) {
    if (m->partition == partition) bytes_ -= m->len + m->key_len;
    return m->partition == partition;
  });
}

std::span<const Stored> Messages::stored(const std::function<std::uint32_t(rd_kafka_message_t&)>& translate) {
  stored_.clear();
  headers_.clear();
  std::ranges::stable_sort(messages_, {}, [](const Message& m) { return m->partition; });
  std::vector<std::size_t> ends;  // of the headers, which move while they are added
  for (const Message& m : messages_) {
    read_headers(*m, headers_);
    ends.push_back(headers_.size());
    const std::uint32_t kept_id = translate ? translate(*m) : 0;
    stored_.push_back({{key_of(*m), value_of(*m), {}}, m->partition, m->offset, kept_id});
  }
  std::size_t begin = 0;
  for (std::size_t i = 0; i < stored_.size(); ++i) {
    stored_[i].record.headers = std::span{headers_}.subspan(begin, ends[i] - begin);
    begin = ends[i];
  }
  return stored_;
}

Appended Messages::oldest() const {
  Appended out;
  for (const Message& m : messages_) {
    rd_kafka_timestamp_type_t type{};
    const std::int64_t ms = rd_kafka_message_timestamp(m.get(), &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms < 0) continue;
    const Timestamp at{std::chrono::milliseconds{ms}};
    if (!out || at < *out) out = at;
  }
  return out;
}

std::uint32_t frame_id(const char* value) {
  std::uint32_t id = 0;
  for (std::size_t i = 1; i < kFrameBytes; ++i) id = id << 8 | static_cast<unsigned char>(value[i]);
  return id;
}

void put_frame_id(std::uint32_t id, char* value) {
  for (std::size_t i = 1; i < kFrameBytes; ++i) value[i] = static_cast<char>(id >> (8 * (4 - i)));
}

bool is_framed(std::string_view topic) {
  return topic != topic::raw && topic != topic::quarantine && topic != topic::control && topic != kStateTopic &&
         topic != kMetaTopic;
}

Result<std::size_t> Producing::open(std::string_view topic, bool framed) {
  Topic made{shared_.place().topic(topic), nullptr, framed && shared_.options.schema_ids != nullptr, {}};
  made.handle.reset(rd_kafka_topic_new(producer_.get(), made.name.c_str(), nullptr));
  if (!made.handle) return tl::unexpected{error_of(rd_kafka_last_error(), made.name + " cannot be opened", &producer_)};
  const auto code = patiently(shared_.options.patience, [&](int ms) {
    if (shared_.stopping()) return RD_KAFKA_RESP_ERR__INTR;
    rd_kafka_poll(producer_.get(), 0);
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto answer = rd_kafka_metadata(producer_.get(), 0, made.handle.get(), &metadata, ms);
    if (answer != RD_KAFKA_RESP_ERR_NO_ERROR) return answer;
    const std::unique_ptr<const rd_kafka_metadata_t, Deleter<rd_kafka_metadata_destroy>> owner{metadata};
    if (metadata->topic_cnt != 1) return RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) return metadata->topics[0].err;
    return metadata->topics[0].partition_cnt == 0 ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE : RD_KAFKA_RESP_ERR_NO_ERROR;
  });
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return tl::unexpected{
        error_of(code, made.name + " on " + shared_.place().brokers + " cannot be written to", &producer_)};
  topics_.push_back(std::move(made));
  return topics_.size() - 1;
}

Result<bool> Producing::sent(int result, const Topic& topic, void* value) const {
  if (result == 0) return true;
  const auto code = rd_kafka_last_error();
  std::free(value);
  if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
  return tl::unexpected{error_of(code, "nothing can be written to " + topic.name, &producer_)};
}

Result<bool> Producing::put(std::size_t at, std::int32_t partition, const Record& record, void* opaque) {
  Topic& topic = topics_[at];
  char* const value = static_cast<char*>(std::malloc(std::max<std::size_t>(record.value.size(), 1)));
  if (value == nullptr) throw std::bad_alloc{};
  std::ranges::copy(record.value, value);  // which may be empty
  if (topic.framed && record.value.size() >= kFrameBytes && value[0] == 0) {
    const std::uint32_t local = frame_id(value);
    auto known = topic.written.find(local);
    if (known == topic.written.end()) {
      const auto id = shared_.options.schema_ids->written(topic.name.substr(shared_.place().prefix.size() + 1), local);
      if (!id) {
        std::free(value);
        return tl::unexpected{id.error()};
      }
      known = topic.written.emplace(local, *id).first;
    }
    put_frame_id(known->second, value);
  }
  if (record.headers.empty())
    return sent(rd_kafka_produce(topic.handle.get(), partition, RD_KAFKA_MSG_F_FREE, value, record.value.size(),
                                 record.key.data() == nullptr ? "" : record.key.data(), record.key.size(), opaque),
                topic, value);
  rd_kafka_headers_t* const headers = rd_kafka_headers_new(record.headers.size());
  for (const Header& h : record.headers)
    rd_kafka_header_add(headers, h.name.data() == nullptr ? "" : h.name.data(), static_cast<ssize_t>(h.name.size()),
                        h.value.data() == nullptr ? "" : h.value.data(), static_cast<ssize_t>(h.value.size()));
  std::array<rd_kafka_vu_t, 7> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic.handle.get();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = partition;
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[2].u.mem = {value, record.value.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_KEY;
  parts[3].u.mem = {const_cast<char*>(record.key.data() == nullptr ? "" : record.key.data()), record.key.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_FREE;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers;
  parts[6].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[6].u.ptr = opaque;
  const KafkaError error{rd_kafka_produceva(producer_.get(), parts.data(), parts.size())};
  if (!error) return true;
  rd_kafka_headers_destroy(headers);  // both stay ours when it fails
  std::free(value);
  if (rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
  return tl::unexpected{error_of(error.get(), "nothing can be written to " + topic.name, &producer_)};
}

Result<bool> Producing::put_deletion(std::size_t at, std::int32_t partition, std::string_view key) {
  const Topic& topic = topics_[at];
  return sent(rd_kafka_produce(topic.handle.get(), partition, 0, nullptr, 0, key.data(), key.size(), nullptr), topic,
              nullptr);
}

}  // namespace truetape::kafka
