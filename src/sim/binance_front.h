// Binance, spot and USD-M futures, as a simulated venue. For files of src/sim.
//
// Its own files beside this one: streams (names and paths), control (SUBSCRIBE and its kin), messages, rest, rest_call,
// rest_lists.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/front.h"
#include "sim/messages.h"
#include "sim/rest.h"
#include "sim/simulator.h"
#include "sim/streams.h"
#include "sim/wire.h"

namespace truetape::sim {

class BinanceSession;

class BinanceFront final : public Front {
 public:
  explicit BinanceFront(Simulator& simulator);
  ~BinanceFront() override;

  std::optional<net::ServerAnswer> upgrade(const net::ServerRequest& request) override;
  std::unique_ptr<Session> session(Wire& wire, const net::ServerRequest& request) override;
  RestAnswer answer(const net::ServerRequest& request, Duration lag) override;
  RestAnswer refusal(int status) const override;
  void play(const TapeEvent& event) override;
  std::string_view trades_header() const override {
    return "symbol,tape,id,first_id,last_id,time_us,told_us,price,quantity,buyer_is_maker,kind\n";
  }
  const std::vector<RestGiven>& given() const override { return rest_.given(); }
  const RestCounts& counts() const override { return rest_.counts(); }

  void subscribe(BinanceSession& session, Wire& wire, const std::string& name);
  void unsubscribe(Wire& wire, const std::string& name);
  Dialect dialect(bool microseconds);

 private:
  struct Fan {
    Subscriber subscriber;
    BinanceSession* session;
  };
  struct Topic {
    std::string name;
    StreamName stream{};
    std::vector<Fan> subscribers = {};
    bool ticking = false;
    // Klines: the bar that was sent last, as it was then.
    std::optional<Bar> sent = {};
  };

  void play(std::uint32_t instrument, const Print& print);
  void play(std::uint32_t instrument, const Aggregate& aggregate);
  void play(std::uint32_t instrument, const Quote& quote);
  Topic* topic(const std::string& name);
  // `write` appends the event in one dialect; it is called for each that a subscriber needs.
  template <class Write>
  void send(Topic& topic, std::uint64_t first, std::uint64_t last, const Write& write);
  void tick(Topic& topic);
  void push_kline(Topic& topic, const Bar& bar, bool closed);
  Duration tick_every(const Topic& topic) const;
  void log_trade(std::uint32_t instrument, const Print& print);
  void log_trade(std::uint32_t instrument, const Aggregate& aggregate);

  Simulator& simulator_;
  Market& market_;
  Rest rest_;
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
  struct Fans {  // the streams of one instrument's events
    Topic* trade = nullptr;
    Topic* aggregate = nullptr;
    Topic* quote = nullptr;
  };
  std::vector<Fans> fans_;
  std::map<std::string, std::vector<net::SteadyTime>> connects_;
};

}  // namespace truetape::sim
