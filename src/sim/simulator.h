// A venue that stands in for a real one: its WebSocket streams and its REST interface on one port, fed by a tape,
// misbehaving on order. Which venue: the tape's product says it; what is that venue's own is behind Front (front.h).
// Everything runs on one Loop and its thread; with a ManualClock time moves by Loop::advance() only, and the same tape,
// seed and clients give the same messages.
//
//   Simulator simulator{loop, config, std::move(tape)};
//   auto port = simulator.listen();       // an error says who has the port
//   loop.spawn(simulator.run());          // plays; returns at the end of the tape or after stop()
//   ...
//   simulator.truth();                    // what was sent, and what was withheld
//
// It is destroyed when run() has returned (stop(), then the loop runs until over()), or right before its loop.
//
// The venue's clock shows the tape's own times, or those that it is moved to. It never goes back. It stands still until
// the first client connects or asks, then runs, at `speed`, so that the first event of the tape is due `lead` later,
// and not before somebody has subscribed. Moved to now it is our clock until the tape begins, and never stands still.
// Without throttle it is the time of the last event that was played: clients' queues set the pace, and with no
// subscriber it waits.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/server.h"
#include "sim/front.h"
#include "sim/market.h"
#include "sim/scenario.h"
#include "sim/tape.h"
#include "sim/truth.h"

namespace truetape::sim {

struct SimulatorConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                            // 0: a free one
  std::string certificate_file = {}, key_file = {};  // PEM; both or none: TLS or not
  // When the tape begins by the venue's clock: at its own time; at this one; or now, by our clock, plus this.
  std::optional<Time> begin = {};
  std::optional<Duration> begin_now = {};
  double speed = 1;                            // times as fast as it happened; 0: as fast as clients take it
  bool wait = true;                            // for a client, then for a subscriber, before the tape begins
  Nanoseconds lead = std::chrono::seconds{1};  // real time before the tape begins, after the first client came
  Nanoseconds linger{};                        // real time that all goes on after the tape; max: until stop()
  std::size_t keep = 1'000'000;                // trades of an instrument that REST can still give; about 130 bytes each
  std::size_t most_queued = 16 << 20;          // bytes that a slow client may be behind
  std::size_t most_held = 256 << 20;           // bytes that a fault may hold back for one client
  Nanoseconds grain = std::chrono::microseconds{500};  // events are not waited for one by one within it
  bool newer_fields = true;                            // of USD-M: `st` and `ps`
  Scenario scenario;                                   // seed, limits, faults
  std::string trades_file = {};                        // CSV of all that was published
};

class Wire;  // one WebSocket

class Simulator {
 public:
  Simulator(net::Loop& loop, SimulatorConfig config, std::unique_ptr<Tape> tape);
  ~Simulator();
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  Result<std::uint16_t> listen();
  std::string rest_url() const;       // "http://127.0.0.1:8080"
  std::string websocket_url() const;  // "ws://127.0.0.1:8080"

  // Plays until the end of the tape and of the lingering, or stop(). Then clients are sent what is due, and closed.
  net::awaitable<void> run();
  void stop(std::string why);
  bool playing() const { return phase_ != Phase::waiting; }  // the tape has begun
  bool over() const { return over_; }

  Truth& truth() { return truth_; }
  std::string truth_json() const { return sim::truth_json(truth_, market_, front_->given(), front_->counts()); }
  std::uint64_t played() const { return played_; }      // events of the tape
  std::uint64_t messages() const { return messages_; }  // given to connections
  std::size_t connections() const { return wires_.size(); }
  // What goes wrong but is no client's business: the trades file cannot be written.
  void on_trouble(std::function<void(const std::string&)> call) { trouble_ = std::move(call); }

  // ---- what fronts, sessions and wires use
  net::Loop& loop() { return loop_; }
  const SimulatorConfig& config() const { return config_; }
  const Limits& limits() const { return config_.scenario.limits; }
  const Market& market() const { return market_; }
  Market& market() { return market_; }
  const Tape& tape() const { return *tape_; }
  Time now() const;  // the venue's clock
  Time begin() const { return begin_; }
  Duration elapsed() const;  // since the tape's begin, not before it
  Duration skew();           // how wrong the clock is that the venue tells the time from
  // Calls at a time of the venue's clock.
  void at(Time time, std::function<void()> call);
  bool stopping() const { return stopping_; }
  bool ended() const { return phase_ == Phase::ended; }  // the tape has
  const std::vector<Wire*>& wires() const { return wires_; }
  // The fault of this kind that a connection meets now; null: none. It is counted.
  const FaultSpec* meets(FaultKind kind, std::uint64_t connection);
  std::uint64_t next_connection() const { return connections_ + 1; }
  void hit(std::uint32_t fault) { ++truth_.hits[fault]; }
  void handed_over() { ++messages_; }
  // A subscription that gives something, and the end of so many; one that gives nothing still begins the tape.
  void somebody_subscribed();
  void unsubscribed(std::uint64_t subscriptions);
  void stirred() { subscriber_.set(); }
  // Where a row of the list of all trades goes, with its line feed; null: there is no list. Then row_done().
  std::string* trades_row() { return trades_file_ ? &trades_ : nullptr; }
  void row_done() { write_trades(false); }

 private:
  // ---- time
  net::SteadyTime when(Time venue) const;
  void contacted();

  // ---- the tape
  net::awaitable<void> wait_for_clients();
  net::awaitable<void> play_paced();
  net::awaitable<void> play_unthrottled();
  net::awaitable<void> finish();
  void fetch();
  bool run_due(Time now);  // the next thing that is due; false: nothing is
  void play(const TapeEvent& event);
  void schedule_faults();
  void repeat_fault(std::size_t index, Duration at);

  // ---- the server
  net::awaitable<net::ServerAnswer> answer(net::RequestPtr request);
  net::awaitable<std::optional<net::ServerAnswer>> upgrade(net::RequestPtr request);
  net::awaitable<void> serve(net::RequestPtr request, std::shared_ptr<net::WebSocket> socket);
  net::ServerConfig server_config() const;
  void write_trades(bool all);

  net::Loop& loop_;
  const SimulatorConfig config_;
  std::unique_ptr<Tape> tape_;
  Market market_;
  std::unique_ptr<Front> front_;
  Truth truth_;
  std::function<void(const std::string&)> trouble_;

  Time begin_;
  Duration shift_{};  // added to the tape's own times
  enum class Phase { waiting, running, ended } phase_ = Phase::waiting;
  std::optional<Time> playing_;             // the time of what is being played right now
  std::optional<net::SteadyTime> start_;    // when begin_ is due
  std::optional<net::SteadyTime> restart_;  // after an unthrottled tape: from when the clock runs on
  Time ratchet_;                            // unthrottled: of the last event
  std::uint64_t subscriptions_ = 0;         // now, of streams that exist
  net::Event contact_, subscriber_, wake_;
  std::multimap<Time, std::function<void()>> agenda_;
  TapeEvent next_;
  bool has_next_ = false, stopping_ = false, over_ = false;
  std::uint64_t played_ = 0, messages_ = 0;

  std::vector<Wire*> wires_;
  std::uint64_t connections_ = 0;
  std::vector<FaultState> venue_faults_;  // those about REST, handshakes and the clock
  std::vector<std::uint32_t> skews_;      // indexes of faults
  std::string trades_;                    // rows that are not in the file yet
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> trades_file_{nullptr, nullptr};

  net::Server server_;  // last: its handlers use the rest
};

}  // namespace truetape::sim
