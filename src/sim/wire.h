// One client's WebSocket: what is sent on it, and the faults it meets. Any venue's; the venue's rules about it are its
// Session's. For files of src/sim.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/websocket.h"
#include "sim/faults.h"
#include "sim/front.h"
#include "sim/truth.h"

namespace truetape::sim {

class Simulator;
class Wire;

// What pings of the fault `ping_flood` begin with: who does not answer them is not to blame.
inline constexpr std::string_view kFlood = "flood";

struct Subscriber {
  Wire* wire;
  StreamLog* log;
  std::vector<std::uint32_t> faults;  // that meet messages of this stream here
};
// What a message holds of one stream: ids of trades (or aggregates, news), 0 where there are none.
struct Part {
  StreamLog* log = nullptr;
  std::uint64_t first = 0, last = 0;
};
// How the answer to a control message goes wrong: by which faults, in their order.
struct AnswerFate {
  std::vector<std::string_view> hows = {};  // wrong_id, refuse
  bool silent = false;
  Time due = Time::min();
};

class Wire : public std::enable_shared_from_this<Wire> {
 public:
  Wire(Simulator& simulator, std::shared_ptr<net::WebSocket> socket, ConnectionLog& log);

  void open(std::unique_ptr<Session> session);
  void received(std::string_view message, bool binary);
  void ended();  // the socket has

  // ---- for sessions and fronts
  // Notes that this stream is subscribed here from now on, and not any more.
  Subscriber subscribe(const std::string& name);
  void unsubscribe(const std::string& name);
  // One event of a stream.
  void deliver(const Subscriber& subscriber, std::uint64_t first, std::uint64_t last,
               std::shared_ptr<const std::string> bytes);
  // One message that holds several streams' events; there is at least one part. `key` tells it apart from others for
  // the dice of faults.
  void deliver(std::vector<Part> parts, const std::vector<std::uint32_t>& faults, std::uint64_t key,
               std::shared_ptr<const std::string> bytes);
  void unsent(const std::vector<Part>& parts);  // of a message that the end of the connection came before
  AnswerFate answer_fate();                     // of the control message at hand
  void answer(std::string text, const AnswerFate& fate);
  void reply(std::string text);  // at once, or behind what is held back
  void say(std::string text);    // the same, but a stall holds it back too
  bool stalled();
  void ping(std::string payload);  // of WebSocket
  // Ends the connection. how: fin (no close frame), reset, close (with this code).
  void end(std::string why, std::string_view how, int code, std::string reason);

  // ---- for the simulator
  // A fault that comes by time and not by a message.
  void strike(std::uint32_t fault);
  void flush();  // sends what is held back

  std::uint64_t number() const { return log_.number; }
  ConnectionLog& log() { return log_; }
  const std::shared_ptr<net::WebSocket>& socket() { return socket_; }
  Session& session() { return *session_; }
  bool over() const { return over_; }
  bool deaf() const { return over_ || dead_; }
  // The log of each stream that was ever subscribed here.
  const std::map<std::string, StreamLog*, std::less<>>& logs() const { return logs_; }

 private:
  struct Message {
    Part part;                      // no log: an answer
    std::vector<Part> others = {};  // besides it
    std::shared_ptr<const std::string> bytes;
    bool binary = false, harmed = false;
    Time release{};
  };
  struct Aside {
    Message message;
    std::uint64_t distance;  // messages that go before it
  };

  void deliver(Message message, const std::vector<std::uint32_t>& faults, std::uint64_t key);
  void put(Message message);  // in order behind what is held
  void hand_over(Message message);
  void confirm();
  void release_held(Time until);
  void withhold(const Message& message, const std::string& reason);
  void corrupt(Message& message, const FaultSpec& fault, std::uint64_t key) const;
  template <class Call>
  static void each_part(const Message& message, const Call& call);

  Simulator& simulator_;
  std::shared_ptr<net::WebSocket> socket_;
  ConnectionLog& log_;
  std::unique_ptr<Session> session_;
  std::map<std::string, StreamLog*, std::less<>> logs_;
  std::vector<FaultState> faults_;
  bool over_ = false, dead_ = false;  // dead: half open
  std::deque<Message> held_;
  std::size_t held_bytes_ = 0;
  std::vector<Aside> aside_;
  std::deque<Message> unconfirmed_;  // given to the network, which has not taken them yet
  std::uint64_t confirmed_ = 0;
};

}  // namespace truetape::sim
