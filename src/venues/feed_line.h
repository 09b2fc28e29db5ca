// Inside of a feed: one load of the plan, carried by one connection at a time, and by two while a successor
// takes over. Connects anew, with jittered back-off, until stopped.
#pragma once

#include "venues/feed_connection.h"

namespace truetape::feeds {

class Line {
 public:
  Line(Context& context, std::size_t route, std::string name);

  // Until the feed stops. Once.
  net::awaitable<void> run();
  void change(const std::vector<Stream>& add, const std::vector<Stream>& remove);
  void stop();                                       // context.stopping is set
  void set_twin(const Line* twin) { twin_ = twin; }  // carries the same; outlives it
  const ConnectionStatus& status() const { return status_; }

 private:
  using Ptr = std::shared_ptr<Connection>;
  // Until `done`, at most so long. False: the time is over.
  net::awaitable<bool> until(std::function<bool()> done, Nanoseconds limit);
  net::awaitable<void> wait_for_turn();
  net::awaitable<Ptr> connect();             // nullptr: failed, and the wait afterwards is over
  net::awaitable<void> take_over(Ptr next);  // from current_
  bool is_covered(const Connection& next) const;
  net::awaitable<void> end(Ptr connection);
  net::awaitable<void> back_off(net::Backoff& backoff, Nanoseconds at_least, Nanoseconds at_most, std::string why,
                                FeedEvent::Level level);
  void set_state(ConnectionStatus::State state);

  Context& context_;
  const std::size_t route_;
  ConnectionStatus status_;
  Connection::Streams streams_;
  Refusals refusals_;
  net::Event wake_;
  net::Backoff backoff_, refused_backoff_;
  const Line* twin_ = nullptr;
  Ptr current_, next_;
};

}  // namespace truetape::feeds
