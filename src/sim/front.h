// What of a simulated venue is its own, behind one interface: paths, messages, control messages, pings, limits, REST.
// What is any venue's (tape, market, clock, faults, connections, truth) is the Simulator's and the Wire's. A venue is
// one Front and one Session for each of its WebSockets; make_front() is the list of venues.
//
// All calls come on the simulator's thread. A front uses of the simulator what simulator.h lists for it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "net/server.h"
#include "sim/rest_answer.h"
#include "sim/tape.h"

namespace truetape::sim {

class Simulator;
class Wire;

// One client's WebSocket, as its venue treats it. It sends by its Wire.
class Session {
 public:
  virtual ~Session() = default;
  virtual void open() = 0;                              // accepted, nothing said yet
  virtual void received(std::string_view message) = 0;  // while the connection is up and heard
  virtual void control_frame(net::WebSocket::Control kind, std::string_view payload) = 0;
  virtual void say_shutdown() = 0;       // what the venue says before it goes, if anything
  virtual void say_error(int code) = 0;  // an error that nobody asked for; 0: the venue's most usual one
  virtual void stop() = 0;               // nothing is sent from now on: no timers
  virtual void flush() {}                // sends what waits for more to be sent with it
  // What a client that reads too slowly misses: messages, or (false) its connection.
  virtual bool drops_when_slow() const { return false; }
  virtual void ended() = 0;  // the socket has; ends what is subscribed
};

class Front {
 public:
  virtual ~Front() = default;
  // An answer refuses the handshake. Limits and tokens, not faults.
  virtual std::optional<net::ServerAnswer> upgrade(const net::ServerRequest& request) = 0;
  virtual std::unique_ptr<Session> session(Wire& wire, const net::ServerRequest& request) = 0;
  // `lag`: trades told less than this ago are not in the database yet.
  virtual RestAnswer answer(const net::ServerRequest& request, Duration lag) = 0;
  // A status out of nothing, with the body that the venue gives it.
  virtual RestAnswer refusal(int status) const = 0;
  // Makes it happen in the market, and tells who has subscribed.
  virtual void play(const TapeEvent& event) = 0;
  // The first line of the list of all trades.
  virtual std::string_view trades_header() const = 0;
  virtual const std::vector<RestGiven>& given() const = 0;  // by instrument
  virtual const RestCounts& counts() const = 0;
};

// Of the tape's product.
std::unique_ptr<Front> make_front(Simulator& simulator);

}  // namespace truetape::sim
