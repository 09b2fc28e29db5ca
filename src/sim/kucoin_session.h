// One WebSocket as KuCoin treats it: token and welcome, subscriptions with acks, the client's pings, its silence, the
// end of its life. For files of src/sim.
#pragma once

#include <deque>
#include <set>
#include <string>

#include "sim/front.h"
#include "sim/simulator.h"
#include "sim/wire.h"

namespace truetape::sim {

class KucoinFront;

class KucoinSession final : public Session {
 public:
  // Why the venue does not want this connection; code 0: it does.
  struct Refusal {
    int code = 0;
    std::string text;
  };
  KucoinSession(KucoinFront& front, Simulator& simulator, Wire& wire, std::string address, std::string id,
                Refusal refusal);

  void open() override;
  void received(std::string_view message) override;
  void control_frame(net::WebSocket::Control, std::string_view) override {}  // they count for nothing
  void say_shutdown() override {}                                            // it says nothing
  void say_error(int code) override;
  void stop() override { timer_.cancel(); }
  bool drops_when_slow() const override { return true; }
  void ended() override;

 private:
  bool count_message();  // false: too many
  void change(std::string_view id, std::string_view topic, bool subscribe, bool answered, bool secret);
  void refuse(std::string_view id, int code, std::string_view text);
  void tick();

  KucoinFront& front_;
  Simulator& simulator_;
  Wire& wire_;
  std::string address_, id_;
  Refusal refusal_;
  bool counted_ = false;
  std::set<std::string, std::less<>> topics_;
  std::deque<net::SteadyTime> messages_;  // of the last ten seconds
  net::SteadyTime heard_, life_end_;
  net::Timer timer_;
};

}  // namespace truetape::sim
