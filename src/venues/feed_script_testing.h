// For tests of venues' feeds: a venue on loopback that says what a test tells it to, over real sockets, and a feed
// beside it. Time is manual. src/venues/coinbase/feed_test.cc is the shortest example.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/feed_core.h"
#include "venues/feed_testing.h"

namespace truetape::feeds {

// Who has connected to it.
struct ScriptedClient {
  std::string target;
  std::shared_ptr<net::WebSocket> socket;
  std::vector<std::string> messages = {};  // received, without pings and pongs
  bool gone = false;
  void send(std::string message) { socket->send(std::move(message)); }
};

class ScriptedVenue {
 public:
  explicit ScriptedVenue(net::Loop& loop) : loop_{loop} {
    net::ServerConfig config;
    config.websocket.idle_timeout = Nanoseconds{};
    config.most_per_address = 1000;
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      requests.push_back(request->target);
      co_return rest(*request);
    };
    handlers.websocket = [this](net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
      return live(std::move(request), std::move(socket));
    };
    server_ = std::make_unique<net::Server>(loop, config, std::move(handlers));
    if (!server_->listen()) throw std::runtime_error{"no port"};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  Timestamp now() const { return loop_.clock().now(); }
  ScriptedClient& last() { return *clients.back(); }

  // What a test sets.
  std::function<net::ServerAnswer(const net::ServerRequest&)> rest = [](const net::ServerRequest&) {
    return net::text_answer(404, "application/json", "{}");
  };
  std::function<void(ScriptedClient&)> opened = [](ScriptedClient&) {};
  std::function<void(ScriptedClient&, const std::string& message)> said = [](ScriptedClient&, const std::string&) {};

  std::vector<std::unique_ptr<ScriptedClient>> clients;  // in the order of their connections
  std::vector<std::string> requests;                     // of REST

 private:
  net::awaitable<void> live(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
    clients.push_back(std::make_unique<ScriptedClient>(ScriptedClient{request->target, socket}));
    ScriptedClient& client = *clients.back();
    opened(client);
    for (;;) {
      const auto message = co_await socket->receive();
      if (!message) break;
      client.messages.emplace_back(message->bytes);
      said(client, client.messages.back());
    }
    client.gone = true;
  }

  net::Loop& loop_;
  std::unique_ptr<net::Server> server_;
};

class ScriptedFeedTest : public testing::Test {
 protected:
  explicit ScriptedFeedTest(std::int32_t partitions = 1) : sink_{loop_, partitions} {}
  ~ScriptedFeedTest() override { stop(); }

  // Where it connects is the scripted venue, whatever `settings` say.
  void start(std::unique_ptr<const Dialect> dialect, Settings settings, std::set<Instrument> wanted,
             std::unique_ptr<Errand> errand = nullptr) {
    settings.stream_url = "ws://" + venue_.address();
    settings.rest_url = "http://" + venue_.address();
    feed_ = make_feed(std::move(dialect), std::move(settings),
                      {connector_.get(), &sink_, [this](const FeedEvent& event) { events_.push_back(event); }},
                      std::move(errand));
    feed_->want(std::move(wanted));
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await feed_->run();
      ended_ = true;
    });
  }
  void stop() {
    if (!feed_) return;
    feed_->stop();
    for (int i = 0; i < 20 && !ended_; ++i) {
      net::settle(loop_, std::chrono::milliseconds{2});
      if (!ended_) loop_.advance(std::chrono::seconds{1});
    }
    EXPECT_TRUE(ended_) << "run() did not return";
    feed_.reset();
  }
  // Lets time pass, and what is sent meanwhile arrive.
  void pass(Nanoseconds span, Nanoseconds step = std::chrono::seconds{1}) {
    for (; span > Nanoseconds{}; span -= step) {
      loop_.advance(std::min(span, step));
      net::settle(loop_, std::chrono::milliseconds{2});
    }
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done); }
  // Every stream is confirmed on so many connections, and the venue has told its time.
  bool live(std::size_t connections = 1) {
    return until([&] {
      const FeedStatus status = feed_->status();
      return std::ranges::count(status.connections, ConnectionStatus::State::live, &ConnectionStatus::state) ==
                 static_cast<std::ptrdiff_t>(connections) &&
             status.clock_offset.has_value();
    });
  }
  // The sink has so many frames.
  bool frames(std::size_t count) {
    return until([&] { return sink_.of_kind("frame").size() >= count; });
  }
  std::vector<PutRecord> sessions(const std::string& event) const {
    std::vector<PutRecord> out;
    for (const PutRecord& r : sink_.of_kind("session"))
      if (r["event"] == event) out.push_back(r);
    return out;
  }
  // The number of events that hold the text.
  std::size_t told(const std::string& text) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(events_, [&](const FeedEvent& e) { return e.text.find(text) != std::string::npos; }));
  }
  std::string all_told() const {
    std::string out;
    for (const FeedEvent& e : events_) out += e.connection + " | " + e.text + "\n";
    return out;
  }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  net::Loop loop_{clock_};
  ScriptedVenue venue_{loop_};
  MemorySink sink_;
  std::unique_ptr<net::Connector> connector_ = *net::Connector::make(loop_, {});
  std::vector<FeedEvent> events_;
  std::unique_ptr<Feed> feed_;
  bool ended_ = false;
};

}  // namespace truetape::feeds
