#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_map>

#include "log/kafka/parts.h"

namespace truetape::kafka {
namespace {

// A transaction that its dead owner left open holds the end back until the brokers abort it.
constexpr std::chrono::seconds kBeyondTransaction{30};

struct ViewHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Table = std::unordered_map<std::string, std::string, ViewHash, std::equal_to<>>;

}  // namespace

// The end to reach is the high watermark, not the last stable offset: right after a commit its markers may not have
// come to every partition yet, and the stable end can lie below committed state (KAFKA-10167). It is asked for, not
// taken from a fetch: after an election a fetch may show too low a one, a question is refused until it is right
// (KIP-207). That an end is reached is told by the event, whose offset is behind the markers, which are never given.
Result<Restored> restore_state(const Shared& shared, std::span<const std::int32_t> partitions) {
  Restored out;
  if (partitions.empty()) return out;
  const std::string topic = shared.place().topic(kStateTopic);
  std::unordered_map<std::int32_t, std::int64_t> ends;
  Partitions wanted = partition_list(partitions.size());
  for (const std::int32_t p : partitions) {
    const auto span = shared.span(topic, p);
    if (!span) return tl::unexpected{span.error()};
    if (span->end > span->oldest) {
      ends.emplace(p, span->end);
      rd_kafka_topic_partition_list_add(wanted.get(), topic.c_str(), p)->offset = span->oldest;
    }
  }
  std::unordered_map<std::int32_t, Table> tables;
  if (!ends.empty()) {
    Properties properties = consumer_properties(shared.place().topic("restore"), true);
    properties.emplace_back("queued.min.messages", "1000000");
    properties.emplace_back("fetch.message.max.bytes", "4194304");
    auto reading = Handle::make(Kind::consumer, shared.place(), properties, shared.options.say);
    if (!reading) return tl::unexpected{reading.error()};
    rd_kafka_poll_set_consumer(reading->get());
    if (const auto code = rd_kafka_assign(reading->get(), wanted.get()))
      return tl::unexpected{error_of(code, topic + " cannot be read", &*reading)};
    const auto patience = shared.options.transaction_timeout + kBeyondTransaction;
    auto since = std::chrono::steady_clock::now();
    while (!ends.empty()) {
      const Message message{rd_kafka_consumer_poll(reading->get(), 100)};
      if (shared.stopping()) return failure(Fault::unavailable, Retry::rebuild, "told to stop");
      if (!message) {
        if (std::chrono::steady_clock::now() - since > patience)
          return failure(
              Fault::unavailable, Retry::rebuild,
              topic + " does not come to its end: a transaction is open in it, or its broker does not answer");
        continue;
      }
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        const auto end = ends.find(message->partition);
        if (end != ends.end() && message->offset >= end->second) ends.erase(end);
        continue;
      }
      // What retention or compaction takes away while it is read is not needed; the broker's new beginning is.
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tl::unexpected{error_of(message->err, topic + " cannot be read", &*reading)};
      since = std::chrono::steady_clock::now();
      Table& table = tables[message->partition];
      const std::string_view key = key_of(*message);
      if (message->payload == nullptr) {
        if (const auto found = table.find(key); found != table.end()) table.erase(found);
      } else if (const auto found = table.find(key); found != table.end()) {
        found->second = value_of(*message);
      } else {
        table.emplace(key, value_of(*message));
      }
    }
    rd_kafka_assign(reading->get(), nullptr);
    rd_kafka_consumer_close(reading->get());
  }
  for (const std::int32_t p : partitions) {
    Task::Assigned& assigned = out.state.emplace_back();
    assigned.partition = p;
    Table& table = tables[p];
    std::int64_t& position = out.positions.emplace_back(-1);
    if (const auto noted = table.extract(std::string{kPositionKey})) {
      const std::string& text = noted.mapped();
      std::from_chars(text.data(), text.data() + text.size(), position);
    }
    assigned.state.reserve(table.size());
    while (!table.empty()) {
      auto node = table.extract(table.begin());
      assigned.state.push_back({std::move(node.key()), std::move(node.mapped())});
    }
    std::ranges::sort(assigned.state, {}, &StateEntry::key);
  }
  return out;
}

}  // namespace truetape::kafka
