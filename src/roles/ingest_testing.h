// A feed that does what a test says.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "venues/feed.h"

namespace truetape {

// Puts what the test gives it, as a connection would: it does not go on before the sink took it.
class FakeFeed final : public Feed {
 public:
  FakeFeed(std::string venue, FeedParts parts, FeedOptions chosen)
      : options{std::move(chosen)},
        venue_{std::move(venue)},
        parts_{std::move(parts)},
        wake_{parts_.connector->loop()} {}
  std::string_view venue() const override { return venue_; }
  void want(std::set<Instrument> instruments) override { wanted.push_back(std::move(instruments)); }
  net::awaitable<void> run() override {
    connection.state = ConnectionStatus::State::live;
    while (!stopped) {
      while (!frames.empty() && !stopped) {
        const std::string& frame = frames.front();
        const std::string key = std::string{"binance:BTCUSDT"};
        const std::vector<Header> headers{{header::kind, "frame"}, {header::instruments, key}};
        seen_generations.push_back(parts_.sink->generation());
        while (!stopped && !parts_.sink->put(partition, key, frame, headers)) {
          connection.blocked = true;
          co_await parts_.sink->room();
          ++waits;
        }
        connection.blocked = false;
        if (stopped) break;
        ++connection.frames;
        connection.bytes += frame.size();
        frames.pop_front();
      }
      if (stopped) break;
      wake_.reset();
      co_await wake_.wait();
    }
    if (last_words) (void)parts_.sink->put(0, "binance", "last words", {});
    while (!may_end) {
      wake_.reset();
      co_await wake_.wait();
    }
    ended = true;
  }
  void stop() override {
    stopped = true;
    wake_.set();
  }
  FeedStatus status() const override {
    return {.connections = {connection}, .clock_offset = std::chrono::milliseconds{3}, .unknown = unknown};
  }
  void receive(std::string frame) {
    frames.push_back(std::move(frame));
    wake_.set();
  }
  void let_end() {
    may_end = true;
    wake_.set();
  }

  const FeedOptions options;
  std::vector<std::set<Instrument>> wanted;
  std::deque<std::string> frames;
  std::vector<std::uint64_t> seen_generations;
  std::set<Instrument> unknown;
  ConnectionStatus connection = [] {
    ConnectionStatus one;
    one.name = "one";
    one.streams = one.confirmed = 2;
    return one;
  }();
  std::int32_t partition = 1;
  int waits = 0;
  bool stopped = false, last_words = false, may_end = true, ended = false;

 private:
  std::string venue_;
  FeedParts parts_;
  net::Event wake_;
};

}  // namespace truetape
