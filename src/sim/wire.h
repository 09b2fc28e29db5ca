// One client's WebSocket: the venue's rules about it, and the faults it meets. For files of src/sim.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/websocket.h"
#include "sim/control.h"
#include "sim/faults.h"
#include "sim/messages.h"
#include "sim/streams.h"
#include "sim/truth.h"

namespace truetape::sim {

class Simulator;
class Wire;

struct Subscriber {
  Wire* wire;
  StreamLog* log;
  std::vector<std::uint32_t> faults;  // that meet messages of this stream here
};
struct Topic {
  std::string name;
  StreamName stream{};
  std::vector<Subscriber> subscribers = {};
  bool ticking = false;
  // Klines: the bar that was sent last, as it was then.
  std::optional<Bar> sent = {};
};

class Wire : public std::enable_shared_from_this<Wire> {
 public:
  Wire(Simulator& simulator, std::shared_ptr<net::WebSocket> socket, ConnectionLog& log, SocketPath path);

  void open();  // subscribes what the path names, starts pings and the life
  void received(std::string_view message, bool binary);
  void ended();  // the socket has

  // One event of a stream. `first` to `last`: ids of trades or aggregates, 0 where there are none.
  void deliver(const Subscriber& subscriber, std::uint64_t first, std::uint64_t last,
               std::shared_ptr<const std::string> bytes);
  // A fault that comes by time and not by a message.
  void strike(std::uint32_t fault);
  void flush();  // sends what is held back
  void end(std::string why, std::string_view how, int code, std::string reason);

  bool combined() const { return state_.combined; }
  bool microseconds() const { return path_.microseconds; }
  Route route() const { return path_.route; }
  std::uint64_t number() const { return log_.number; }
  ConnectionLog& log() { return log_; }
  const std::shared_ptr<net::WebSocket>& socket() { return socket_; }
  bool over() const { return over_; }
  // The log of each stream that was ever subscribed here.
  std::map<std::string, StreamLog*, std::less<>> logs;

 private:
  struct Message {
    StreamLog* log = nullptr;  // null: an answer
    std::uint64_t first = 0, last = 0;
    std::shared_ptr<const std::string> bytes;
    bool binary = false, harmed = false;
    Time release{};
  };
  struct Aside {
    Message message;
    std::uint64_t distance;  // messages that go before it
  };

  void reply(std::string text);
  void answer_control(std::string_view message);
  bool count_message();  // false: too many
  void control_frame(net::WebSocket::Control kind, std::string_view payload);
  void tick();
  void put(Message message);  // in order behind what is held
  void hand_over(Message message);
  void confirm();
  void release_held(Time until);
  void withhold(const Message& message, const std::string& reason);
  void corrupt(Message& message, const FaultSpec& fault) const;
  void hit(std::uint32_t fault);
  void say_shutdown();
  bool stalled();

  Simulator& simulator_;
  std::shared_ptr<net::WebSocket> socket_;
  ConnectionLog& log_;
  SocketPath path_;
  ControlState state_;
  std::vector<FaultState> faults_;
  bool over_ = false, dead_ = false;  // dead: half open
  std::deque<Message> held_;
  std::size_t held_bytes_ = 0;
  std::vector<Aside> aside_;
  std::deque<Message> unconfirmed_;  // given to the network, which has not taken them yet
  std::uint64_t confirmed_ = 0;
  std::deque<net::SteadyTime> messages_;                           // of the last second
  std::deque<std::pair<std::string, net::SteadyTime>> pings_out_;  // without an answer, oldest first
  net::SteadyTime next_ping_, life_end_, notice_;
  net::Timer timer_;
};

}  // namespace truetape::sim
