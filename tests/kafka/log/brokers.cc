#include "brokers.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "log/identity.h"
#include "log/kafka/parts.h"

namespace truetape::kafka::testing {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error{std::string{name} + " is not set: run this test by tests/kafka/with_broker.py"};
  return value;
}

Handle admin(const KafkaPlace& place) {
  auto handle = Handle::make(Kind::producer, place, {}, {});
  if (!handle) throw std::runtime_error{handle.error().detail};
  return std::move(*handle);
}

// Runs one request of the admin API and gives its answer.
template <class Ask>
Event ask(Handle& handle, const Ask& request) {
  const Queue queue{rd_kafka_queue_new(handle.get())};
  request(queue.get());
  Event event{rd_kafka_queue_poll(queue.get(), 60'000)};
  if (!event) throw std::runtime_error{"the brokers do not answer"};
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
    throw std::runtime_error{rd_kafka_event_error_string(event.get())};
  return event;
}

std::vector<std::string> all_names(const KafkaPlace& place) {
  std::vector<std::string> out;
  out.reserve(topic::all.size() + 2);
  for (const std::string_view name : topic::all) out.push_back(place.topic(name));
  out.push_back(place.topic(kStateTopic));
  out.push_back(place.topic(kMetaTopic));
  return out;
}

}  // namespace

std::string brokers() { return variable("TRUETAPE_KAFKA"); }
int nodes() { return std::atoi(variable("TRUETAPE_KAFKA_NODES").c_str()); }

void order(const std::string& text) {
  const std::string at = variable("TRUETAPE_KAFKA_CONTROL");
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(at.substr(at.find(':') + 1).c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error{"with_broker.py does not answer"};
  const std::string line = text + '\n';
  std::string answer;
  if (::send(fd, line.data(), line.size(), 0) == static_cast<ssize_t>(line.size())) {
    char c = 0;
    while (::recv(fd, &c, 1, 0) == 1 && c != '\n') answer += c;
  }
  ::close(fd);
  if (answer != "ok") throw std::runtime_error{"\"" + text + "\": " + answer};
}

KafkaPlace fresh_place(const std::string& name) { return {brokers(), name + '.' + random_uuid().substr(0, 8), {}}; }

void make_topics(const KafkaPlace& place, std::int32_t partitions) {
  TopicSettings settings;
  settings.partitions = partitions;
  const auto made = create_topics(place, settings);
  if (!made) throw std::runtime_error{made.error().detail};
}

void delete_topics(const KafkaPlace& place) {
  Handle handle = admin(place);
  std::vector<rd_kafka_DeleteTopic_t*> topics;
  for (const std::string& name : all_names(place)) topics.push_back(rd_kafka_DeleteTopic_new(name.c_str()));
  ask(handle, [&](rd_kafka_queue_t* queue) {
    rd_kafka_DeleteTopics(handle.get(), topics.data(), topics.size(), nullptr, queue);
  });
  rd_kafka_DeleteTopic_destroy_array(topics.data(), topics.size());
}

void delete_records(const KafkaPlace& place, std::string_view topic, std::int32_t partition, std::int64_t below) {
  Handle handle = admin(place);
  const Partitions list = partition_list(1);
  rd_kafka_topic_partition_list_add(list.get(), place.topic(topic).c_str(), partition)->offset = below;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list.get());
  ask(handle, [&](rd_kafka_queue_t* queue) { rd_kafka_DeleteRecords(handle.get(), &request, 1, nullptr, queue); });
  rd_kafka_DeleteRecords_destroy(request);
}

void make_late_topic(const KafkaPlace& place, const std::string& name, std::int32_t partitions) {
  Handle handle = admin(place);
  const std::string before = name + ".before";
  std::array<rd_kafka_NewTopic_t*, 2> made{rd_kafka_NewTopic_new(before.c_str(), 60, 1, nullptr, 0),
                                           rd_kafka_NewTopic_new(name.c_str(), partitions, 1, nullptr, 0)};
  const Event event = ask(handle, [&](rd_kafka_queue_t* queue) {
    rd_kafka_CreateTopics(handle.get(), made.data(), made.size(), nullptr, queue);
  });
  rd_kafka_NewTopic_destroy_array(made.data(), made.size());
  std::size_t count = 0;
  const auto* const topics =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i)
    if (rd_kafka_topic_result_error(topics[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
      throw std::runtime_error{rd_kafka_topic_result_error_string(topics[i])};
}

void set_topic_config(const KafkaPlace& place, std::string_view topic, const std::string& name,
                      const std::string& value) {
  Handle handle = admin(place);
  rd_kafka_ConfigResource_t* of = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, place.topic(topic).c_str());
  rd_kafka_ConfigResource_set_config(of, name.c_str(), value.c_str());
  const Event event =
      ask(handle, [&](rd_kafka_queue_t* queue) { rd_kafka_AlterConfigs(handle.get(), &of, 1, nullptr, queue); });
  rd_kafka_ConfigResource_destroy(of);
  std::size_t count = 0;
  const auto* const result = rd_kafka_event_AlterConfigs_result(event.get());
  const rd_kafka_ConfigResource_t* const* const done = rd_kafka_AlterConfigs_result_resources(result, &count);
  if (count != 1 || rd_kafka_ConfigResource_error(done[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
    throw std::runtime_error{"the topic's configuration was not changed"};
}

void put_position(const KafkaPlace& place, const std::string& group, std::string_view topic, std::int32_t partition,
                  std::int64_t offset) {
  auto handle = Handle::make(Kind::consumer, place, consumer_properties(group, true), {});
  if (!handle) throw std::runtime_error{handle.error().detail};
  const Partitions list = partition_list(1);
  rd_kafka_topic_partition_list_add(list.get(), place.topic(topic).c_str(), partition)->offset = offset;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (const auto code = rd_kafka_commit(handle->get(), list.get(), 0)) {
    if (std::chrono::steady_clock::now() > until)
      throw std::runtime_error{std::string{"the position was not taken: "} + rd_kafka_err2str(code)};
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
}

void put_foreign(const KafkaPlace& place, std::string_view topic, std::int32_t partition, std::string_view key,
                 std::string_view value) {
  Handle handle = admin(place);
  const TopicHandle at{rd_kafka_topic_new(handle.get(), place.topic(topic).c_str(), nullptr)};
  if (rd_kafka_produce(at.get(), partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(value.data()), value.size(),
                       key.data(), key.size(), nullptr) != 0 ||
      rd_kafka_flush(handle.get(), 30'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
    throw std::runtime_error{"the record was not taken"};
}

}  // namespace truetape::kafka::testing
