// One WebSocket as Finnhub treats it: a symbol a message, nothing acknowledged, trades of all symbols in common
// messages, the venue's text pings. For files of src/sim.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/front.h"
#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {

class FinnhubFront;

class FinnhubSession final : public Session {
 public:
  FinnhubSession(FinnhubFront& front, Simulator& simulator, Wire& wire, std::string token);

  void open() override;
  void received(std::string_view message) override;
  void control_frame(net::WebSocket::Control, std::string_view) override {}
  void say_shutdown() override {}  // it says nothing
  void say_error(int code) override;
  void stop() override { timer_.cancel(); }
  void flush() override;  // what waits for more
  void ended() override;

  // One item of a message that may hold more: of the stream `subscriber`. `whole`: it goes out when finish() is called,
  // as it was recorded; else when there are as many as a message may hold, or its time has come.
  void add(std::string_view type, std::string item, const Subscriber& subscriber, std::uint64_t id, bool whole);
  void finish(std::string_view type) { flush(type); }

 private:
  struct Batch {
    std::vector<std::string> items;
    std::vector<Part> parts;            // one a stream
    std::vector<std::uint32_t> faults;  // that meet any of them
    std::uint64_t key = 0, number = 0;
  };
  void flush(std::string_view type);
  void tick();

  FinnhubFront& front_;
  Simulator& simulator_;
  Wire& wire_;
  std::string token_;
  std::map<std::string, bool, std::less<>> names_;     // streams, "AAPL" or "news:AAPL"
  std::map<std::string, Batch, std::less<>> batches_;  // by type
  net::SteadyTime next_ping_, life_end_;
  net::Timer timer_;
};

}  // namespace truetape::sim
