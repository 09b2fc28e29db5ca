// For tests of the feed: a small scripted Finnhub over real sockets on loopback, and a feed beside it. Time is manual.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/feed_testing.h"
#include "venues/finnhub/feed.h"

namespace truetape::finnhub {

std::span<const FeedEntry> feed_entries();  // for venues/feeds.cc

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

inline const Timestamp kStart = *parse_rfc3339("2024-10-14T14:00:00Z");
constexpr std::string_view kToken = "s3cr3t/+token";
inline const Instrument kAapl = *Instrument::parse("finnhub:AAPL");
inline const Instrument kBtc = *Instrument::parse("finnhub:BINANCE:BTCUSDT");

// Speaks as the venue does unless a test says otherwise.
class ScriptedVenue {
 public:
  explicit ScriptedVenue(net::Loop& loop) : loop_{loop} {
    net::ServerConfig config;
    config.websocket.idle_timeout = 0s;
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      requests.push_back(request->target);
      asked_at.push_back(loop_.clock().now());
      tokens.emplace_back(request->headers.get("X-Finnhub-Token"));
      co_return rest(*request);
    };
    handlers.upgrade = [this](net::RequestPtr request) -> net::awaitable<std::optional<net::ServerAnswer>> {
      attempts.push_back(loop_.clock().now());
      targets.push_back(request->target);
      if (refuse == 0) co_return std::nullopt;
      co_return net::text_answer(refuse, "application/json", refusal);
    };
    handlers.websocket = [this](net::RequestPtr, std::shared_ptr<net::WebSocket> socket) -> net::awaitable<void> {
      sockets.push_back(socket);
      for (;;) {
        const auto message = co_await socket->receive();
        if (!message) break;
        messages.emplace_back(message->bytes);
      }
    };
    server_ = std::make_unique<net::Server>(loop, config, std::move(handlers));
    if (!server_->listen()) throw std::runtime_error{"no port"};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  Timestamp now() const { return loop_.clock().now() + ahead; }
  void send(const std::string& frame) { sockets.back()->send(frame); }
  void trade(const std::string& symbol, const std::string& price = "164.06") {
    const auto ms = to_ns(now()) / 1'000'000;
    send(R"({"data":[{"c":null,"p":)" + price + R"(,"s":")" + symbol + R"(","t":)" + std::to_string(ms) +
         R"(,"v":1}],"type":"trade"})");
  }
  net::ServerAnswer json(std::string body) const { return net::text_answer(200, "application/json", std::move(body)); }

  Nanoseconds ahead{};  // the venue's clock minus ours
  int refuse = 0;       // status of handshakes; 0: they are accepted
  std::string refusal = R"({"error":"no"})";
  std::map<std::string, std::string> pages;  // by path and query behind /api/v1
  std::function<net::ServerAnswer(const net::ServerRequest&)> rest = [this](const net::ServerRequest& request) {
    const std::string target = request.target.substr(std::string_view{"/api/v1"}.size());
    if (target.starts_with("/stock/market-status"))
      return json(R"({"exchange":"US","holiday":null,"isOpen":true,"session":"regular","t":)" +
                  std::to_string(to_ns(now()) / 1'000'000'000) + R"(,"timezone":"America/New_York"})");
    const auto page = pages.find(target);
    return json(page == pages.end() ? "[]" : page->second);
  };

  std::vector<std::shared_ptr<net::WebSocket>> sockets;
  std::vector<Timestamp> attempts, asked_at;
  std::vector<std::string> targets, messages, requests, tokens;

 private:
  net::Loop& loop_;
  std::unique_ptr<net::Server> server_;
};

class FeedTest : public testing::Test {
 protected:
  FeedTest() { connector_ = *net::Connector::make(loop_, {}); }
  ~FeedTest() override { stop(); }

  void start(std::set<Instrument> wanted, std::unique_ptr<feeds::Errand> errand = nullptr) {
    set_options();
    start_with(std::move(wanted),
               feeds::make_feed(make_dialect(), feed_settings(options_), parts(), std::move(errand)));
  }
  // With the errand that the option `news` asks for.
  void start_as_configured(std::set<Instrument> wanted) {
    set_options();
    start_with(std::move(wanted), feed_entries().front().make(options_, parts()));
  }
  void set_options() {
    options_.token = kToken;
    options_.seed = 7;
    options_.stream_url = "ws://" + venue_.address();
    options_.rest_url = "http://" + venue_.address();
  }
  FeedParts parts() {
    return {connector_.get(), &sink_, [this](const FeedEvent& event) { events_.push_back(event); }};
  }
  void start_with(std::set<Instrument> wanted, std::unique_ptr<Feed> feed) {
    feed_ = std::move(feed);
    feed_->want(std::move(wanted));
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await feed_->run();
      ended_ = true;
    });
  }
  void stop() {
    if (!feed_) return;
    for (const ConnectionStatus& connection : feed_->status().connections)
      EXPECT_THAT(connection.trouble, testing::Not(HasSubstr("s3cr3t")));
    feed_->stop();
    for (int i = 0; i < 20 && !ended_; ++i) {
      net::settle(loop_, 2ms);
      if (!ended_) loop_.advance(1s);
    }
    EXPECT_TRUE(ended_) << "run() did not return";
    feed_.reset();
    // Whatever happened: the token went nowhere but to the venue.
    EXPECT_THAT(all_told(), testing::Not(HasSubstr("s3cr3t")));
    for (const PutRecord& record : sink_.records) {
      EXPECT_THAT(record.bytes, testing::Not(HasSubstr("s3cr3t")));
      for (const auto& [name, value] : record.headers) EXPECT_THAT(value, testing::Not(HasSubstr("s3cr3t"))) << name;
    }
  }
  void pass(Nanoseconds span, Nanoseconds step = 1s) {
    for (; span > 0s; span -= step) {
      loop_.advance(std::min(span, step));
      net::settle(loop_, 2ms);
    }
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done); }
  bool live() {
    return until([&] {
      const FeedStatus status = feed_->status();
      return std::ranges::count(status.connections, ConnectionStatus::State::live, &ConnectionStatus::state) == 1 &&
             !venue_.sockets.empty() && status.clock_offset.has_value();
    });
  }
  bool frames(std::size_t count) {
    return until([&] { return sink_.of_kind("frame").size() >= count; });
  }
  bool said(std::size_t count) {
    return until([&] { return venue_.messages.size() >= count; });
  }
  std::vector<PutRecord> sessions(const std::string& event) const {
    std::vector<PutRecord> out;
    for (const PutRecord& r : sink_.of_kind("session"))
      if (r["event"] == event) out.push_back(r);
    return out;
  }
  std::size_t told(const std::string& text, std::optional<FeedEvent::Level> level = std::nullopt) const {
    return static_cast<std::size_t>(std::ranges::count_if(events_, [&](const FeedEvent& e) {
      return e.text.find(text) != std::string::npos && (!level || e.level == *level);
    }));
  }
  std::ptrdiff_t asked_for(std::string_view what) const {
    return std::ranges::count_if(venue_.requests,
                                 [&](const std::string& r) { return r.find(what) != std::string::npos; });
  }
  std::string all_told() const {
    std::string out;
    for (const FeedEvent& e : events_)
      out += (e.level == FeedEvent::Level::error     ? "error "
              : e.level == FeedEvent::Level::warning ? "warning "
                                                     : "info ") +
             e.connection + " | " + e.text + "\n";
    return out;
  }

  ManualClock clock_{kStart};
  net::Loop loop_{clock_};
  ScriptedVenue venue_{loop_};
  MemorySink sink_{loop_, 8};
  std::unique_ptr<net::Connector> connector_;
  FeedOptions options_;
  std::vector<FeedEvent> events_;
  std::unique_ptr<Feed> feed_;
  bool ended_ = false;
};

}  // namespace truetape::finnhub
