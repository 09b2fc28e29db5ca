// Finnhub as a simulated venue. For files of src/sim.
//
// Its own files beside this one: finnhub_session (one WebSocket), finnhub_messages (what it says), finnhub_rest (REST),
// finnhub_tape (recordings and the generator).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/finnhub_messages.h"
#include "sim/finnhub_rest.h"
#include "sim/front.h"
#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {

class FinnhubSession;

class FinnhubFront final : public Front {
 public:
  explicit FinnhubFront(Simulator& simulator);

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

  // `name`: a symbol, or "news:AAPL".
  void subscribe(FinnhubSession& session, Wire& wire, const std::string& name);
  void unsubscribe(Wire& wire, const std::string& name);
  void opened(Wire& wire, const std::string& token);
  void closed(Wire& wire, const std::string& token);

 private:
  struct Fan {
    Subscriber subscriber;
    FinnhubSession* session;
  };
  void play(std::uint32_t instrument, const Deal& deal);
  void play(std::uint32_t instrument, const News& news);
  // Recorded messages end with their last item, whoever gets that.
  void finish(std::string_view type);

  Simulator& simulator_;
  Market& market_;
  FinnhubRest rest_;
  std::vector<std::vector<Fan>> trades_;                       // by instrument
  std::map<std::string, std::vector<Fan>, std::less<>> news_;  // by symbol
  std::vector<std::weak_ptr<Wire>> unfinished_;
  std::map<std::string, std::vector<Wire*>> open_;  // connections by token, oldest first
};

}  // namespace truetape::sim
