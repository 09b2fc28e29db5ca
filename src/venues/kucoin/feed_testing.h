// A small scripted KuCoin for tests of the feed: tokens, welcome, acks, pongs and REST as the protocol says, unless a
// test tells it otherwise. Over real sockets on loopback; time is manual.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>

#include "net/connector.h"
#include "net/server.h"
#include "net/testing.h"
#include "venues/feed_core.h"
#include "venues/feed_testing.h"
#include "venues/json.h"
#include "venues/kucoin/feed.h"

namespace truetape::kucoin {

using namespace std::chrono_literals;
using testing::HasSubstr;

inline const Timestamp kStart = *parse_rfc3339("2024-10-25T08:00:00Z");

struct Client {
  std::string token;
  std::shared_ptr<net::WebSocket> socket;
  struct Asked {
    std::string type, topic, id;
    Timestamp when;
  };
  std::vector<Asked> asked;  // pings are not among them
  std::vector<Timestamp> pings;
  bool gone = false;

  void ack(const std::string& id) { socket->send(R"({"id":")" + id + R"(","type":"ack"})"); }
  void error(const std::string& id, int code, const std::string& words) {
    socket->send(R"({"id":")" + id + R"(","type":"error","code":)" + std::to_string(code) + R"(,"data":")" + words +
                 R"("})");
  }
};

class ScriptedVenue {
 public:
  explicit ScriptedVenue(net::Loop& loop) : loop_{loop} {
    net::ServerConfig config;
    config.websocket.idle_timeout = 0s;
    net::Handlers handlers;
    handlers.http = [this](net::RequestPtr request) -> net::awaitable<net::ServerAnswer> {
      requests.push_back(request->method + " " + request->target);
      co_return rest(*request);
    };
    handlers.upgrade = [this](net::RequestPtr) -> net::awaitable<std::optional<net::ServerAnswer>> {
      if (refuse == 0) co_return std::nullopt;
      ++refused;
      co_return net::text_answer(refuse, "text/html", "<html>");
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
  std::string ms() const { return std::to_string(to_ns(now()) / 1'000'000); }
  std::string trade(const std::string& symbol, std::uint64_t sequence) const {
    const std::string id = std::to_string(sequence);
    return R"({"topic":"/market/match:)" + symbol +
           R"(","type":"message","subject":"trade.l3match","data":{"symbol":")" + symbol + R"(","sequence":")" + id +
           R"(","side":"buy","size":"0.003","price":"67523","takerOrderId":"1","makerOrderId":"2","tradeId":")" + id +
           R"(","time":")" + ms() + R"(000000","type":"match"}})";
  }
  // A page of trades [from, to), each 3 more than the one before.
  std::string page(std::uint64_t from, std::uint64_t to) const {
    std::string out = R"({"code":"200000","data":[)";
    for (std::uint64_t sequence = from; sequence < to; sequence += 3)
      out += (sequence > from ? "," : "") + (R"({"sequence":")" + std::to_string(sequence)) +
             R"(","price":"67523","size":"0.003","side":"buy","time":)" + ms() + "000000}";
    return out + "]}";
  }
  static std::string symbol_entry(const std::string& symbol, bool trading = true) {
    const std::size_t dash = symbol.find('-');
    return R"({"symbol":")" + symbol + R"(","name":")" + symbol + R"(","baseCurrency":")" + symbol.substr(0, dash) +
           R"(","quoteCurrency":")" + symbol.substr(dash + 1) +
           R"(","baseIncrement":"0.0001","priceIncrement":"0.1","enableTrading":)" + (trading ? "true" : "false") + "}";
  }
  static net::ServerAnswer json_answer(std::string body, int status = 200) {
    return net::text_answer(status, "application/json;charset=UTF-8", std::move(body));
  }
  net::ServerAnswer token_answer() {
    const std::string made = "2neAiuYvAU61ZDXANAGAsiL4-_=.==" + std::to_string(++tokens);
    return json_answer(R"({"code":"200000","data":{"token":")" + made + R"(","instanceServers":[{"endpoint":"ws://)" +
                       address() + R"(/endpoint/","encrypt":false,"protocol":"websocket","pingInterval":)" +
                       std::to_string(ping_interval) + R"(,"pingTimeout":10000}]}})");
  }

  // What a test may change.
  Nanoseconds ahead{};         // the venue's clock minus ours
  int refuse = 0;              // status of handshakes; 0: they are accepted
  int ping_interval = 18'000;  // ms
  std::function<void(Client&)> greet = [](Client& client) {
    client.socket->send(R"({"id":"hQvf8jkno","type":"welcome"})");
  };
  std::function<void(Client&, const Client::Asked&)> asked = [](Client& client, const Client::Asked& what) {
    client.ack(what.id);
  };
  bool pongs = true;
  std::vector<std::string> entries;          // of its symbol list
  std::map<std::string, std::string> pages;  // of last trades, by symbol
  std::function<net::ServerAnswer()> token = [this] { return token_answer(); };
  std::function<net::ServerAnswer(const std::string&)> histories = [this](const std::string& symbol) {
    const auto found = pages.find(symbol);
    return json_answer(found == pages.end() ? R"({"code":"200000","data":[]})" : found->second);
  };
  std::function<net::ServerAnswer(const net::ServerRequest&)> rest = [this](const net::ServerRequest& request) {
    if (request.where.path == "/api/v1/bullet-public")
      return request.method == "POST" && request.body.empty() ? token()
                                                              : json_answer(R"({"code":"405","msg":"post"})", 405);
    if (request.where.path == "/api/v1/timestamp") return json_answer(R"({"code":"200000","data":)" + ms() + "}");
    if (request.where.path == "/api/v2/symbols") {
      std::string out = R"({"code":"200000","data":[)";
      for (std::size_t i = 0; i < entries.size(); ++i) out += (i > 0 ? "," : "") + entries[i];
      return json_answer(out + "]}");
    }
    if (request.where.path == "/api/v1/market/histories") {
      const std::string mark = "symbol=";
      return histories(request.target.substr(request.target.find(mark) + mark.size()));
    }
    return json_answer(R"({"code":"404000","msg":"Url Not Found"})", 404);
  };

  std::vector<std::unique_ptr<Client>> clients;  // in the order of their connections
  std::vector<std::string> requests;             // of REST: "GET /api/v1/timestamp"
  int tokens = 0;                                // given out
  int refused = 0;                               // handshakes

 private:
  net::awaitable<void> live(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket) {
    clients.push_back(std::make_unique<Client>());
    Client& client = *clients.back();
    client.token = request->target;
    client.socket = socket;
    greet(client);
    for (;;) {
      const auto message = co_await socket->receive();
      if (!message) break;
      json::Object object;
      json::Problem problem;
      EXPECT_TRUE(object.read(message->bytes, problem)) << message->bytes;
      const std::string type{object.get("type").text}, id{object.get("id").text};
      EXPECT_EQ(object.get("id").type, json::Type::string) << message->bytes;
      if (type == "ping") {
        client.pings.push_back(now());
        if (pongs) socket->send(R"({"id":")" + id + R"(","type":"pong"})");
        continue;
      }
      EXPECT_EQ(object.get("response").text, "true") << "else there is no ack";
      client.asked.push_back({type, std::string{object.get("topic").text}, id, now()});
      asked(client, client.asked.back());
    }
    client.gone = true;
  }

  net::Loop& loop_;
  std::unique_ptr<net::Server> server_;
};

class FeedTest : public testing::Test {
 protected:
  FeedTest() : sink_{loop_, 1} {
    config_ = feed_settings({.best = false, .ticker = false, .seed = 7});
    config_.rest_url = "http://" + venue_.address();
    connector_ = *net::Connector::make(loop_, {});
  }
  ~FeedTest() override { stop(); }

  static Instrument of(const std::string& symbol) { return *Instrument::of("kucoin", symbol); }

  void start(std::set<Instrument> wanted) {
    if (venue_.entries.empty())
      for (const Instrument& i : wanted) venue_.entries.push_back(venue_.symbol_entry(std::string{i.symbol()}));
    feed_ = feeds::make_feed(make_dialect(), config_,
                             {connector_.get(), &sink_, [this](const FeedEvent& event) { events_.push_back(event); }},
                             std::make_unique<LastTrades>());
    feed_->want(std::move(wanted));
    loop_.spawn([this]() -> net::awaitable<void> {
      co_await feed_->run();
      ended_ = true;
    });
  }
  void stop() {
    if (!feed_) return;
    feed_->stop();
    for (int i = 0; i < 30 && !ended_; ++i) {
      net::settle(loop_, 2ms);
      if (!ended_) loop_.advance(1s);
    }
    EXPECT_TRUE(ended_) << "run() did not return";
    feed_.reset();
    // Whatever happened: a token went nowhere but to the venue.
    EXPECT_THAT(all_told(), testing::Not(HasSubstr("2neAiuYv")));
    for (const PutRecord& record : sink_.records) EXPECT_THAT(record.bytes, testing::Not(HasSubstr("2neAiuYv")));
  }
  // Lets time pass, and what is sent meanwhile arrive.
  void pass(Nanoseconds span, Nanoseconds step = 1s) {
    for (; span > 0s; span -= step) {
      loop_.advance(std::min(span, step));
      net::settle(loop_, 2ms);
    }
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done); }
  // Time passes until it is so.
  bool soon(const std::function<bool()>& done, int seconds = 120) {
    for (int i = 0; i < seconds && !done(); ++i) pass(1s);
    return done();
  }
  bool is_live(std::size_t connections = 1) const {
    const FeedStatus status = feed_->status();
    return std::ranges::count(status.connections, ConnectionStatus::State::live, &ConnectionStatus::state) ==
               static_cast<std::ptrdiff_t>(connections) &&
           status.clock_offset.has_value();
  }
  bool live(std::size_t connections = 1) {
    return until([&] { return is_live(connections); });
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
  std::size_t asked_for(std::string_view what) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        venue_.requests, [&](const std::string& r) { return r.find(what) != std::string::npos; }));
  }
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
  feeds::Settings config_;
  std::vector<FeedEvent> events_;
  std::unique_ptr<Feed> feed_;
  bool ended_ = false;
};

}  // namespace truetape::kucoin
