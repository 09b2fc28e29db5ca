// The WebSocket /api/v1/stream (docs/api.md): snapshots, then each change. A row is rendered once for all who follow
// it, and only if anybody does. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/context.h"
#include "serve/stream_client.h"

namespace truetape {

class Stream {
 public:
  explicit Stream(Context& context);

  // Before an upgrade: an answer refuses what its query asks for.
  std::optional<net::ServerAnswer> refuse(const net::ServerRequest& request);
  // The life of a client.
  net::awaitable<void> serve(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket);

  void push(const Changes& changes, std::chrono::steady_clock::time_point read);
  // What has come of an instrument's time is told: once a second.
  void tell_status();

  std::size_t clients() const { return clients_.size(); }
  const StreamCounts& counts() const { return counts_; }

 private:
  struct Channel {
    std::vector<StreamClient*> clients;
    std::string head;    // of an update's tail, up to the rows
    std::string joined;  // what push() has gathered
    std::vector<StreamRow> rows;
    std::uint64_t count = 0;
  };
  using Channels = std::unordered_map<ChannelKey, Channel>;
  struct Told {
    std::optional<Timestamp> as_of;
    bool stale = true;
    std::size_t subscriptions = 0;
  };
  // A subscription or its end, checked.
  struct Ask {
    bool subscribe = true;
    std::string id;  // as JSON; empty: none was given
    std::vector<ChannelKey> channels;
  };

  Result<std::vector<ChannelKey>> channels_of(const std::vector<std::string_view>& channels,
                                              const std::vector<std::string_view>& instruments) const;
  Result<Ask> parse(std::string_view message, std::string& id) const;
  net::awaitable<void> live(std::shared_ptr<StreamClient> client, net::RequestPtr request);
  net::awaitable<void> follow(std::shared_ptr<StreamClient> client, std::vector<ChannelKey> channels);
  void leave(StreamClient& client, const ChannelKey& key);
  void activate(StreamClient& client, const ChannelKey& key);
  std::string snapshot(const ChannelKey& key);
  std::string status(const Instrument& instrument);
  std::string head_of(const ChannelKey& key) const;
  // The channel if anybody follows it; it is sent at the end of push().
  Channel* touched(const ChannelKey& key);
  void add(Channel& channel, std::string key, std::shared_ptr<const std::string> json);
  void flush();

  Context& context_;
  StreamCounts counts_;
  std::set<StreamClient*> clients_;
  Channels channels_;
  std::vector<Channels::value_type*> touched_;
  std::unordered_map<Instrument, Told> told_;
  Histogram& push_delay_;
  Histogram& receive_delay_;
};

}  // namespace truetape
