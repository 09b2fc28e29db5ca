// Inside of the role ingest: the ends of the log that it holds. All on the thread of one loop; nothing here waits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "codec/control.h"
#include "log/log.h"
#include "net/backoff.h"
#include "net/loop.h"
#include "venues/feed.h"

namespace truetape {

using Tell = std::function<void(FeedEvent::Level, const std::string&)>;

// An appender that is opened anew, after growing pauses, when it fails.
class LastingAppender {
 public:
  LastingAppender(Log& log, std::string_view topic, net::Loop& loop, std::uint64_t seed, Tell tell);

  // False: nothing was taken; later, see has_room().
  [[nodiscard]] bool append(std::int32_t partition, const Record& record) {
    return appender_ && appender_->append(partition, record);
  }
  // Notices what has become of it, and opens it anew when its time has come. True: all that was appended is durable.
  // Often: an appender that has failed goes on taking records that are lost.
  bool look();
  // As of the last look: open, and the log is not full. Its buffer may be full all the same.
  bool has_room() const { return appender_ != nullptr && !full_since_; }
  // Rises when what was appended may be lost.
  std::uint64_t generation() const { return generation_; }
  // Records were lost in another way.
  void lost() { ++generation_; }

 private:
  void failed(const Error& error);

  Log& log_;
  const std::string_view topic_;
  net::Loop& loop_;
  const Tell tell_;
  net::Backoff backoff_;
  std::unique_ptr<Appender> appender_;
  std::uint64_t generation_ = 1;
  net::SteadyTime next_try_{};  // while there is no appender
  std::string told_;            // of a failure that lasts; empty: none
  std::optional<net::SteadyTime> full_since_;
};

// What the topic `control` says, read from its beginning, and from then on.
class ControlFollower {
 public:
  ControlFollower(Log& log, net::Loop& loop, std::uint64_t seed, Tell tell);

  // Reads on. True: all that there is has been read, so state() is not one of the past.
  bool look();
  const ControlState& state() const { return state_; }
  // Rises with each record that says what is to be done.
  std::uint64_t version() const { return version_; }

 private:
  Status read(bool& to_end);
  void take(const Stored& stored);

  Log& log_;
  net::Loop& loop_;
  const Tell tell_;
  net::Backoff backoff_;
  std::unique_ptr<Reader> reader_;
  net::SteadyTime next_try_{};
  std::string told_;
  std::int64_t next_ = 0;  // behind the last record that was folded
  ControlState state_;
  std::uint64_t version_ = 1;
};

}  // namespace truetape
