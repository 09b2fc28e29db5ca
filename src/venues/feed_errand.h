// What a feed asks its venue for beside streams, time and symbol list: last trades after a reconnect, news that has to
// be polled. A coroutine of the venue's own, within the same budget.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "venues/feed.h"
#include "venues/feed_dialect.h"

namespace truetape::feeds {

// Of an answer, for a sentence: no control characters, nothing but UTF-8.
std::string beginning(std::string_view body);

using OwnHeaders = std::vector<std::pair<std::string, std::string>>;

// What an errand may do. On the loop's thread.
class ErrandAccess {
 public:
  virtual ~ErrandAccess() = default;
  virtual const Settings& settings() const = 0;
  virtual const std::set<Instrument>& wanted() const = 0;
  // Instruments whose tape began to be carried by a connection since the last call.
  virtual std::vector<Instrument> take_new_carried() = 0;
  virtual bool stopping() const = 0;
  virtual Timestamp now() const = 0;                         // our wall clock
  virtual std::optional<Timestamp> venue_now() const = 0;    // nullopt: not known yet
  virtual net::awaitable<void> pause(Nanoseconds span) = 0;  // also ends when something was carried, or at the end
  // The answer with status 200 whose body is JSON. nullopt: none; it was told, and the wait that it asks for is in the
  // budget.
  virtual net::awaitable<std::optional<net::HttpAnswer>> get(Question question) = 0;
  // One record of raw for each partition concerned; waits for room. False: the feed ends.
  virtual net::awaitable<bool> put(RawKind kind, std::vector<Instrument> instruments, std::string bytes,
                                   Timestamp received, OwnHeaders headers) = 0;
  // Of the sink: when it has risen, what was put before may be lost (RawSink::generation).
  virtual std::uint64_t generation() const = 0;
  virtual void tell(FeedEvent::Level level, std::string text) = 0;
};

class Errand {
 public:
  virtual ~Errand() = default;
  virtual net::awaitable<void> run(ErrandAccess& access) = 0;  // until access.stopping()
};

}  // namespace truetape::feeds
