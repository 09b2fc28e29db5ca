// KuCoin spot as a simulated venue. For files of src/sim.
//
// Its own files beside this one: kucoin_session (one WebSocket), kucoin_messages (topics and what they say),
// kucoin_rest (REST and tokens), kucoin_tape (recordings and the generator).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sim/front.h"
#include "sim/kucoin_messages.h"
#include "sim/kucoin_rest.h"
#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {

class KucoinFront final : public Front {
 public:
  explicit KucoinFront(Simulator& simulator);

  std::optional<net::ServerAnswer> upgrade(const net::ServerRequest& request) override;
  std::unique_ptr<Session> session(Wire& wire, const net::ServerRequest& request) override;
  RestAnswer answer(const net::ServerRequest& request, Duration lag) override;
  RestAnswer refusal(int status) const override;
  void play(const TapeEvent& event) override;
  std::string_view trades_header() const override {
    return "symbol,tape,id,first_id,last_id,time_us,told_us,price,quantity,buyer_is_maker,kind,time_ns,trade_id\n";
  }
  const std::vector<RestGiven>& given() const override { return rest_.given(); }
  const RestCounts& counts() const override { return rest_.counts(); }

  void subscribe(Wire& wire, const kucoin::Topic& topic);
  void unsubscribe(Wire& wire, const std::string& name);
  // Sessions of one address: how many there are now.
  std::size_t& sessions(const std::string& address) { return sessions_[address]; }

 private:
  struct Line {  // one topic
    kucoin::Topic topic;
    std::vector<Subscriber> subscribers = {};
    bool ticking = false;
    std::optional<Bar> sent = {};  // candles: the bar that was sent last
  };
  // What is told at most every so often: the last state, when its time has come.
  struct Pace {
    Time told = Time::min();
    bool waits = false;
  };
  struct Fans {  // of one instrument
    Line* match = nullptr;
    Line* ticker = nullptr;
    Line* level1 = nullptr;
    Pace ticker_pace, all_pace, level1_pace;
    Level best;  // what level1 tells; what tickers tell is the market's
  };
  void play(std::uint32_t instrument, const Deal& deal);
  void play(std::uint32_t instrument, const Level& level);
  void tell(std::uint32_t instrument, Line* Fans::*line, Pace Fans::*pace, Duration least, bool at_once);
  void send(Line& line, std::uint64_t id, std::string text);
  void tick(Line& line);

  Simulator& simulator_;
  Market& market_;
  KucoinRest rest_;
  std::map<std::string, std::unique_ptr<Line>, std::less<>> lines_;
  std::vector<Fans> fans_;
  Line* all_ = nullptr;
  std::map<std::string, std::size_t> sessions_;
  std::map<std::string, std::deque<net::SteadyTime>> connects_;  // of the last minute, by address
};

}  // namespace truetape::sim
