// A small scripted venue for tests of the feed: it speaks Binance's WebSocket and REST as the protocol says, unless a
// test tells it otherwise. Over real sockets on loopback; time is manual.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/binance/feed.h"
#include "venues/binance/feed_messages.h"
#include "venues/feed_core.h"
#include "venues/feed_testing.h"
#include "venues/json.h"

namespace truetape::binance {

using namespace std::chrono_literals;
using testing::HasSubstr;

inline const Timestamp kStart = *parse_rfc3339("2024-08-08T23:59:00Z");

struct Client {
  std::string target;
  std::shared_ptr<net::WebSocket> socket;
  std::set<std::string> streams;
  struct Asked {
    std::string method;
    std::vector<std::string> names;
    std::int64_t id;
    Timestamp when;
  };
  std::vector<Asked> asked;
  std::vector<Timestamp> messages;  // pings included
  bool gone = false;

  void answer(std::int64_t id) { socket->send(R"({"result":null,"id":)" + std::to_string(id) + "}"); }
  void send(const std::string& stream, const std::string& data) {
    socket->send(R"({"stream":")" + stream + R"(","data":)" + data + "}");
  }
};

class ScriptedVenue {
 public:
  explicit ScriptedVenue(net::Loop& loop) : loop_{loop} {
    net::ServerConfig config;
    config.websocket.idle_timeout = 0s;
    config.most_per_address = 1000;
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      requests.push_back(request->target);
      co_return rest(*request);
    };
    handlers.upgrade = [this](net::RequestPtr request) -> net::awaitable<std::optional<net::ServerAnswer>> {
      attempts.push_back(now());
      co_return refuse ? refuse(*request) : std::nullopt;
    };
    handlers.websocket = [this](net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
      return live(std::move(request), std::move(socket));
    };
    server_ = std::make_unique<net::Server>(loop, config, std::move(handlers));
    if (!server_->listen()) throw std::runtime_error{"no port"};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  Timestamp now() const { return loop_.clock().now() + ahead; }
  Client& client(std::size_t i) { return *clients.at(i); }
  Client& last() { return *clients.back(); }
  std::string ms(Nanoseconds before = 0ns) const { return std::to_string(to_ns(now() - before) / 1'000'000); }
  std::string trade(const std::string& symbol, int id, Nanoseconds before = 0ns) const {
    return R"({"e":"trade","E":)" + ms(before) + R"(,"s":")" + symbol + R"(","t":)" + std::to_string(id) +
           R"(,"p":"61000.10000000","q":"0.00100000","T":)" + ms(before) + R"(,"m":true,"M":true})";
  }
  static std::string symbol_entry(const std::string& symbol, const std::string& status = "TRADING") {
    return R"({"symbol":")" + symbol + R"(","status":")" + status +
           R"(","baseAsset":"B","quoteAsset":"Q","filters":[{"filterType":"LOT_SIZE","stepSize":"0.001"}]})";
  }
  static std::string symbol_list(const std::vector<std::string>& entries) {
    std::string out = R"({"timezone":"UTC","rateLimits":[],"symbols":[)";
    for (std::size_t i = 0; i < entries.size(); ++i) out += (i > 0 ? "," : "") + entries[i];
    return out + "]}";
  }

  // What a test may change.
  Nanoseconds ahead{};  // the venue's clock minus ours
  std::function<std::optional<net::ServerAnswer>(const net::ServerRequest&)> refuse;
  std::function<void(Client&, const Client::Asked&)> asked = [](Client& client, const Client::Asked& what) {
    for (const std::string& name : what.names) {
      if (what.method == "SUBSCRIBE")
        client.streams.insert(name);
      else
        client.streams.erase(name);
    }
    client.answer(what.id);
  };
  std::vector<std::string> entries;  // of its symbol list
  std::function<net::ServerAnswer(const net::ServerRequest&)> rest = [this](const net::ServerRequest& request) {
    if (request.where.path.ends_with("/time"))
      return net::text_answer(200, "application/json;charset=UTF-8", R"({"serverTime":)" + ms() + "}");
    return net::text_answer(200, "application/json;charset=UTF-8", symbol_list(entries));
  };
  bool deaf = false;  // reads nothing any more: answers no pings

  std::vector<std::unique_ptr<Client>> clients;  // in the order of their connections
  std::vector<Timestamp> attempts;               // by its clock
  std::vector<std::string> requests;             // of REST

 private:
  net::awaitable<void> live(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
    clients.push_back(std::make_unique<Client>());
    Client& client = *clients.back();
    client.target = request->target;
    client.socket = socket;
    socket->on_control(
        [this, &client](net::WebSocket::Control, std::string_view) { client.messages.push_back(now()); });
    for (;;) {
      while (deaf) co_await loop_.sleep(1s);
      const auto message = co_await socket->receive();
      if (!message) break;
      client.messages.push_back(now());
      client.asked.push_back(read(message->bytes));
      asked(client, client.asked.back());
    }
    client.gone = true;
  }
  Client::Asked read(std::string_view bytes) const {
    json::Object object;
    json::Problem problem;
    EXPECT_TRUE(object.read(bytes, problem)) << bytes;
    Client::Asked out{
        std::string{object.get("method").text}, {}, std::stoll(std::string{object.get("id").text}), now()};
    json::Reader names{object.get("params").text};
    names.take('[');
    while (!names.at_end() && names.peek() != ']') {
      json::Value name;
      names.value(name);
      out.names.push_back(json::unescape(name.text));
      names.take(',');
    }
    return out;
  }

  net::Loop& loop_;
  std::unique_ptr<net::Server> server_;
};

class FeedTest : public testing::Test {
 protected:
  explicit FeedTest(std::int32_t partitions = 1) : sink_{loop_, partitions} {
    configure(Product::spot, {.best = false, .ticker = false, .seed = 7});
    connector_ = *net::Connector::make(loop_, {});
  }
  ~FeedTest() override { stop(); }

  void configure(Product product, const FeedOptions& options) {
    product_ = product;
    config_ = feed_settings(product, options);
  }
  static Instrument spot(const std::string& symbol) { return *Instrument::of("binance", symbol); }
  static Instrument usdm(const std::string& symbol) { return *Instrument::of("binance-usdm", symbol); }

  void start(std::set<Instrument> wanted) {
    config_.stream_url = "ws://" + venue_.address();
    config_.rest_url = "http://" + rest_user_ + venue_.address();
    if (venue_.entries.empty())
      for (const Instrument& i : wanted) venue_.entries.push_back(venue_.symbol_entry(std::string{i.symbol()}));
    feed_ = feeds::make_feed(make_dialect(product_), config_,
                             {connector_.get(), &sink_, [this](const FeedEvent& event) { events_.push_back(event); }});
    feed_->want(std::move(wanted));
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await feed_->run();
      ended_ = true;
    });
  }
  void stop() {
    if (!feed_) return;
    feed_->stop();
    venue_.deaf = false;
    for (int i = 0; i < 20 && !ended_; ++i) {
      net::settle(loop_, 2ms);
      if (!ended_) loop_.advance(1s);
    }
    EXPECT_TRUE(ended_) << "run() did not return";
    feed_.reset();
  }
  // Lets time pass, and what is sent meanwhile arrive.
  void pass(Nanoseconds span, Nanoseconds step = 1s) {
    for (; span > 0s; span -= step) {
      loop_.advance(std::min(span, step));
      net::settle(loop_, 2ms);
    }
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done); }
  bool live(std::size_t connections = 1) {
    return until([&] {
      const FeedStatus status = feed_->status();
      return std::ranges::count(status.connections, ConnectionStatus::State::live, &ConnectionStatus::state) ==
                 static_cast<std::ptrdiff_t>(connections) &&
             venue_.clients.size() >= connections && status.clock_offset.has_value();
    });
  }
  // Puts frames until the sink has so many of them.
  bool frames(std::size_t count) {
    return until([&] { return sink_.of_kind("frame").size() >= count; });
  }
  std::vector<PutRecord> tape() const {
    std::vector<PutRecord> out;
    for (const PutRecord& r : sink_.of_kind("frame"))
      if (r["session"] != "-") out.push_back(r);
    return out;
  }
  std::vector<PutRecord> sessions(const std::string& event) const {
    std::vector<PutRecord> out;
    for (const PutRecord& r : sink_.of_kind("session"))
      if (r["event"] == event) out.push_back(r);
    return out;
  }
  // The number of events that hold the text.
  std::size_t told(const std::string& text, std::optional<FeedEvent::Level> level = std::nullopt) const {
    return static_cast<std::size_t>(std::ranges::count_if(events_, [&](const FeedEvent& e) {
      return e.text.find(text) != std::string::npos && (!level || e.level == *level);
    }));
  }
  std::string all_told() const {
    std::string out;
    for (const FeedEvent& e : events_) out += e.connection + " | " + e.text + "\n";
    return out;
  }
  static std::string ns(Timestamp t) { return std::to_string(to_ns(t)); }

  ManualClock clock_{kStart};
  net::Loop loop_{clock_};
  ScriptedVenue venue_{loop_};
  MemorySink sink_;
  std::unique_ptr<net::Connector> connector_;
  Product product_ = Product::spot;
  feeds::Settings config_;
  std::string rest_user_;  // "user:password@" before the host
  std::vector<FeedEvent> events_;
  std::unique_ptr<Feed> feed_;
  bool ended_ = false;
};

}  // namespace truetape::binance
