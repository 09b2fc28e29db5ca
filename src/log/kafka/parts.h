// What the objects of one log on Kafka share. Internal to log/kafka.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "log/kafka/handle.h"
#include "log/kafka/kafka_log.h"

namespace truetape::kafka {

inline constexpr std::string_view kStateTopic = "state", kMetaTopic = "meta";
inline constexpr std::int64_t kFormat = 1;  // of what the log writes besides records; "format" in meta

struct Shared {
  KafkaOptions options;
  std::string id;
  std::atomic<std::int64_t> epoch{0};
  std::int32_t partitions = 0;
  std::int64_t state_version = 0;
  // Any thread. `asking`: read_committed, of the group that processes. `looking`: read_uncommitted, for ends.
  Handle asking, looking;
  std::mutex mutex;  // of what follows
  bool has_task = false;
  std::set<std::string> instances;  // static members that live in this process
  std::map<std::string, std::string, std::less<>> notes;

  const KafkaPlace& place() const { return options.place; }
  bool has(std::int32_t partition) const { return partition >= 0 && partition < partitions; }
  bool stopping() const { return options.stop != nullptr && *options.stop; }
  void tell(int level, const std::string& line) const {
    if (options.say) options.say(level, line);
  }
  std::string process_group() const { return place().topic("process"); }
  Error bad_partition(std::string_view topic, std::int32_t partition) const;

  // By the high watermark: also what is not committed yet.
  Result<TopicSpan> span(const std::string& kafka_topic, std::int32_t partition) const;
  // Where a group stands; -1 where it never was. One answer for each partition.
  Result<std::vector<std::int64_t>> positions(const Handle& handle, const std::string& kafka_topic,
                                              std::span<const std::int32_t> partitions) const;
};
using SharedLog = std::shared_ptr<Shared>;

// What every consumer of ours is made with.
Properties consumer_properties(const std::string& group, bool committed);
// Of members of groups, besides.
void add_membership(Properties& to, const Shared& shared, const std::string& instance);

// Headers as they stand in a message, valid as long as it.
void read_headers(const rd_kafka_message_t& message, std::vector<Header>& into);
std::string_view key_of(const rd_kafka_message_t& message);
std::string_view value_of(const rd_kafka_message_t& message);

// The messages of a step, until the next one, and the views of them.
class Messages {
 public:
  void clear();
  void add(Message message);
  // Those of a partition are dropped.
  void drop(std::int32_t partition);
  std::size_t size() const { return messages_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::span<const Message> all() const { return messages_; }
  // In the order of partitions, of each in order. `translate` gives a value our schema id in place and answers the one
  // that stood there, for Stored::kept_id; what it changed stays changed, so this is called once for what was added.
  std::span<const Stored> stored(const std::function<std::uint32_t(rd_kafka_message_t&)>& translate = {});
  Appended oldest() const;

 private:
  std::vector<Message> messages_;
  std::vector<Header> headers_;
  std::vector<Stored> stored_;
  std::size_t bytes_ = 0;
};

// A producer's way of putting one record. The value is copied once, its schema id replaced on the way.
class Producing {
 public:
  Producing(const Handle& producer, const Shared& shared) : producer_{producer}, shared_{shared} {}
  // Makes the topic known to the producer before it is needed (the first message to an unknown one waits a second in
  // librdkafka 2.0.2). `framed`: its values have schema ids.
  Result<std::size_t> open(std::string_view topic, bool framed);
  // False: the producer's queue is full.
  Result<bool> put(std::size_t topic, std::int32_t partition, const Record& record, void* opaque = nullptr);
  Result<bool> put_deletion(std::size_t topic, std::int32_t partition, std::string_view key);

 private:
  struct Topic {
    std::string name;
    TopicHandle handle;
    bool framed;
    std::map<std::uint32_t, std::uint32_t> written;  // local id to the one that stands on Kafka
  };
  Result<bool> sent(int result, const Topic& topic, void* value) const;

  const Handle& producer_;
  const Shared& shared_;
  std::vector<Topic> topics_;
};

// The schema id in a value of at least kFrameBytes (codec/wire.h).
inline constexpr std::size_t kFrameBytes = 5;  // 0x00 and four bytes of id, big-endian
std::uint32_t frame_id(const char* value);
void put_frame_id(std::uint32_t id, char* value);

// Has each value of the topic a schema id in a frame?
bool is_framed(std::string_view topic);

Result<std::unique_ptr<Appender>> open_appender(const SharedLog& shared, std::string_view topic);
Result<std::unique_ptr<Task>> open_task(const SharedLog& shared);
Result<std::unique_ptr<Reader>> open_reader(const SharedLog& shared, std::string_view topic, std::string_view name,
                                            Share share);

// The whole state of partitions, each in key order, as of the last commit: read_committed, up to the high watermark.
// `partitions` must not have an owner whose transaction could still be committed: ask for the group's position first
// (that waits for it to be decided).
struct Restored {
  std::vector<Task::Assigned> state;
  std::vector<std::int64_t> positions;  // in raw, of which each is the state; -1: nothing was ever committed
};
// The key under which a partition's state says which position it is of. No state key is empty.
inline constexpr std::string_view kPositionKey{""};
Result<Restored> restore_state(const Shared& shared, std::span<const std::int32_t> partitions);

}  // namespace truetape::kafka
