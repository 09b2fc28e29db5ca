// One client of the stream: what it follows, and what waits for it while it does not keep up. Loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "net/loop.h"
#include "net/websocket.h"
#include "serve/channel.h"

namespace truetape {

// One changed row of a channel: of two with one key the later counts. Trades have no key: each counts.
struct StreamRow {
  std::string key;
  std::shared_ptr<const std::string> json;
};

// What has happened on a channel at once, rendered for all its clients.
struct StreamUpdate {
  const ChannelKey* channel;
  std::string tail;                 // `"channel":…,"rows":[…]}`
  std::span<const StreamRow> rows;  // empty for trades
  std::uint64_t count;
};

struct StreamCounts {
  std::uint64_t messages = 0, conflated = 0, skipped = 0, closed_slow = 0;
};

class StreamClient {
 public:
  // `status` renders the members of a status message behind its seq; `tail` those of an update with these rows.
  struct Render {
    std::function<std::string(const Instrument&)> status;
    std::function<std::string(const ChannelKey&, std::string_view rows)> tail;
  };
  StreamClient(net::Loop& loop, std::shared_ptr<net::WebSocket> socket, Render render, StreamCounts& counts);
  ~StreamClient();
  StreamClient(const StreamClient&) = delete;
  StreamClient& operator=(const StreamClient&) = delete;

  // Channel's life with this client; a channel is active once its snapshot was sent.
  std::set<ChannelKey> subscriptions;

  // Each with the next seq.
  void snapshot(std::string_view tail);
  void update(const StreamUpdate& update);
  void status(const Instrument& instrument, const std::string& tail);
  void plain(std::string message);  // ack, error: without seq
  void forget(const ChannelKey& channel);

  net::WebSocket& socket() { return *socket_; }
  bool slow() const { return slow_; }

 private:
  void send(std::string_view type, std::string_view tail);
  void refused();
  void give_up(const char* why);
  void keep(const StreamUpdate& update);
  void catch_up();

  net::Loop& loop_;
  const std::shared_ptr<net::WebSocket> socket_;
  const Render render_;
  StreamCounts& counts_;
  std::uint64_t seq_ = 0;
  bool slow_ = false, gone_ = false;
  // While slow: of each channel the newest row of each key, trades as a number, instruments whose status has moved.
  std::map<ChannelKey, std::map<std::string, std::shared_ptr<const std::string>>> waiting_;
  std::map<ChannelKey, std::uint64_t> skipped_;
  std::set<Instrument> moved_;
  std::size_t waiting_rows_ = 0;
  net::Timer patience_;
};

}  // namespace truetape
