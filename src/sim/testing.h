// What the tests of the simulator share: a tape written by hand, and clients of its WebSockets. Time is manual.
#pragma once

#include <gmock/gmock.h>

#include <deque>

#include "net/http_client.h"
#include "net/testing.h"
#include "net/websocket_client.h"
#include "sim/simulator.h"

namespace truetape::sim {

using namespace std::chrono_literals;

// One trade every 100 ms, of the symbols in turn; the first at the tape's begin.
class HandTape final : public Tape {
 public:
  HandTape(Product product, std::vector<std::string> symbols, std::uint64_t trades)
      : product_{product}, trades_{trades} {
    for (std::string& symbol : symbols) {
      Listing listing;
      listing.symbol = std::move(symbol);
      split_symbol(listing);
      listing.price_decimals = listing.quantity_decimals = product == Product::spot ? 8 : 2;
      listing.first_aggregate = 50;
      listings_.push_back(std::move(listing));
    }
  }
  Product product() const override { return product_; }
  const std::vector<Listing>& listings() const override { return listings_; }
  Time begin() const override { return from_ms(1700000040000); }
  std::string description() const override { return "by hand"; }
  bool next(TapeEvent& out) override {
    if (played_ == trades_) return false;
    out.at = begin() + static_cast<std::int64_t>(played_) * 100ms;
    out.instrument = static_cast<std::uint32_t>(played_ % listings_.size());
    out.what = Print{.id = 1 + played_ / listings_.size(),
                     .traded = out.at,
                     .told = out.at,
                     .price = kOne,
                     .quantity = kOne,
                     .buyer_is_maker = false};
    ++played_;
    return true;
  }

 private:
  Product product_;
  std::vector<Listing> listings_;
  std::uint64_t trades_, played_ = 0;
};

// A client that takes everything.
struct Client {
  std::shared_ptr<net::WebSocket> socket;
  std::vector<std::string> messages;
  bool over = false;

  // The trade ids of what came, 0 for what has none.
  std::vector<int> ids() const {
    std::vector<int> result;
    for (const std::string& message : messages) {
      const std::size_t at = message.find("\"t\":");
      result.push_back(at == std::string::npos || message.find("\"e\":\"trade\"") == std::string::npos
                           ? 0
                           : std::atoi(message.c_str() + at + 4));
    }
    return result;
  }
};

class SimulatorTest : public testing::Test {
 protected:
  ~SimulatorTest() override {
    for (Client& client : clients_)
      if (client.socket) client.socket->drop();
    net::settle(loop_, 5ms);
  }

  void start(std::uint64_t trades = 50, Product product = Product::spot,
             const std::vector<std::string>& symbols = {"AUSDT"}) {
    start(std::make_unique<HandTape>(product, symbols, trades));
  }
  void start(std::unique_ptr<Tape> tape) {
    if (!limits_set_) config_.scenario.limits = Limits::of(tape->product());
    config_.lead = 0s;
    config_.grain = 0s;
    simulator_ = std::make_unique<Simulator>(loop_, config_, std::move(tape));
    const auto port = simulator_->listen();
    ASSERT_TRUE(port) << port.error().detail;
    loop_.spawn([this]() -> net::awaitable<void> { co_await simulator_->run(); });
    connector_ = *net::Connector::make(loop_, {});
    http_ = std::make_unique<net::HttpClient>(*connector_, net::HttpClientConfig{});
  }
  Limits& limits(Product product = Product::spot) {
    if (!std::exchange(limits_set_, true)) config_.scenario.limits = Limits::of(product);
    return config_.scenario.limits;
  }
  void fault(const std::string& text) {
    auto parsed = parse_fault(text);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    config_.scenario.faults.push_back(*parsed);
  }

  // Empty: connected, and `client` takes messages; else the status of the refusal.
  std::optional<int> try_connect(Client& client, const std::string& path) {
    const net::WebSocketRequest request{.url = simulator_->websocket_url() + path, .config = client_config_};
    const std::size_t before = simulator_->truth().connections.size();
    auto connected = net::run<tl::expected<std::unique_ptr<net::WebSocket>, net::ConnectError>>(
        loop_, [&] { return net::connect_websocket(*connector_, request); });
    if (!connected) return connected.error().status;
    client.socket = std::move(*connected);
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections.size() > before; }));
    loop_.spawn([&client]() -> net::awaitable<void> {
      const auto socket = client.socket;
      for (;;) {
        const auto message = co_await socket->receive();
        if (!message) break;
        client.messages.emplace_back(message->bytes);
      }
      client.over = true;
    });
    return std::nullopt;
  }
  Client& connect(const std::string& path) {
    Client& client = clients_.emplace_back();
    const auto refused = try_connect(client, path);
    EXPECT_FALSE(refused) << *refused;
    return client;
  }
  // Connects, and waits until the tape has begun.
  Client& subscribed(const std::string& path) {
    Client& client = connect(path);
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->playing(); }));
    return client;
  }
  net::HttpAnswer get(const std::string& target, net::Headers headers = {}, std::string method = "GET") {
    const net::HttpRequest request{
        .method = std::move(method), .url = simulator_->rest_url() + target, .headers = std::move(headers)};
    auto answer = net::run<Result<net::HttpAnswer>>(loop_, [&] { return http_->send(request); });
    return answer ? std::move(*answer) : net::HttpAnswer{};
  }
  void send(Client& client, const std::string& text) { client.socket->send(text); }
  void arrived(Client& client, std::size_t messages) {
    EXPECT_TRUE(loop_.run_until([&] { return client.messages.size() >= messages; }))
        << client.messages.size() << " of " << messages;
  }
  // The simulator has got so many messages on that connection, counted from 0.
  void heard(std::size_t connection, std::uint64_t messages) {
    EXPECT_TRUE(loop_.run_until([&] { return simulator_->truth().connections.at(connection)->received >= messages; }));
  }
  void over(Client& client) {
    EXPECT_TRUE(loop_.run_until([&] { return client.over; }));
  }
  // Ends this simulator, so that another one can be made.
  void finish() {
    if (!simulator_) return;
    simulator_->stop("the test is over");
    for (Client& client : clients_)
      if (client.socket) client.socket->drop();
    play_to_end();
    simulator_.reset();
    config_.scenario.faults.clear();
  }
  void play_to_end() {
    for (int i = 0; i < 600 && !simulator_->over(); ++i) {
      loop_.advance(100ms);
      net::settle(loop_, 1ms);
    }
    EXPECT_TRUE(simulator_->over());
  }
  const StreamLog& log(std::size_t connection = 0, std::size_t stream = 0) {
    return simulator_->truth().connections.at(connection)->streams.at(stream);
  }

  ManualClock clock_{*parse_rfc3339("2026-01-01T00:00:00Z")};
  net::Loop loop_{clock_};
  SimulatorConfig config_;
  net::WebSocketConfig client_config_;
  std::unique_ptr<Simulator> simulator_;
  std::unique_ptr<net::Connector> connector_;
  std::unique_ptr<net::HttpClient> http_;
  std::deque<Client> clients_;

 private:
  bool limits_set_ = false;
};

}  // namespace truetape::sim
