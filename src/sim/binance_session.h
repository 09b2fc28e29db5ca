// One WebSocket as Binance treats it: control messages, their number, pings, the end of its life. For files of src/sim.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "sim/control.h"
#include "sim/front.h"
#include "sim/streams.h"
#include "sim/wire.h"

namespace truetape::sim {

class BinanceFront;

class BinanceSession final : public Session {
 public:
  BinanceSession(BinanceFront& front, Simulator& simulator, Wire& wire, SocketPath path);

  void open() override;  // subscribes what the path names, starts pings and the life
  void received(std::string_view message) override;
  void control_frame(net::WebSocket::Control kind, std::string_view payload) override;
  void say_shutdown() override;
  void say_error(int code) override;
  void stop() override { timer_.cancel(); }
  void ended() override;

  bool combined() const { return state_.combined; }
  bool microseconds() const { return path_.microseconds; }
  Route route() const { return path_.route; }

 private:
  void answer_control(std::string_view message);
  bool count_message();  // false: too many
  void tick();

  BinanceFront& front_;
  Simulator& simulator_;
  Wire& wire_;
  SocketPath path_;
  ControlState state_;
  std::deque<net::SteadyTime> messages_;                           // of the last second
  std::deque<std::pair<std::string, net::SteadyTime>> pings_out_;  // without an answer, oldest first
  net::SteadyTime next_ping_, life_end_, notice_;
  net::Timer timer_;
};

}  // namespace truetape::sim
