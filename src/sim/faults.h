// Misbehaviour on order. Pure: the same seed, faults, connections and messages give the same faults. All times count
// from the beginning of the tape, by the venue's clock (twice as soon at 2×); before it begins they are zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "sim/bars.h"
#include "sim/numbers.h"

namespace truetape::sim {

enum class FaultKind : std::uint8_t {
  drop,        // the message is not sent
  duplicate,   // sent `copies` more times
  reorder,     // sent behind the next `distance` messages of the connection
  corrupt,     // how: truncate (default), flip, html, binary
  delay,       // while it lasts, messages are sent `by` later, in order
  stall,       // while it lasts nothing is sent, pings neither; then all that waited
  silence,     // while it lasts messages are not sent, ever; acks and pings are
  cut,         // the connection ends; how: fin (default: no close frame), reset, close (with code `status`)
  half_open,   // from then on nothing comes, no pong either, and no end; with `for` it is reset afterwards
  shutdown,    // {"e":"serverShutdown"}, then the connection ends `by` later
  oversize,    // a message of `size` bytes of nothing
  ping_flood,  // `count` pings at once
  ack,         // the answer to a control message; how: none, wrong_id, refuse, late (`by` later)
  skew,        // while it lasts the venue's clock (time, E) is wrong by `by`
  refuse,   // how: rest (default) or handshake, with `status`; also cut, reset, html (a page with status 200), empty,
            // truncate; reversed, repeated (the rows of a list)
  lag,      // how: answers (default; `by` of real time later) or database (trades of the last `by` are not there yet)
  token,    // of who connects: how: refused (default), expired
  welcome,  // of KuCoin: how: none (default), late (`by` later)
  error,    // an error that nobody asked for, with `status` as its code
};
std::string_view name(FaultKind kind);
std::optional<FaultKind> parse_fault_kind(std::string_view text);

struct FaultSpec {
  FaultKind kind = FaultKind::drop;
  // Where. All that is said must fit.
  std::string streams = "*";     // names, with * for anything
  std::uint64_t connection = 0;  // the n-th WebSocket; 0: each
  std::string path = "*";        // of REST requests
  // When. Nothing said: always (interval kinds), with each message (message kinds), at the first one (cut and its
  // like).
  std::optional<Duration> at;          // from then on ...
  std::optional<Duration> length;      // ... `for` so long
  std::optional<Duration> every;       // ... and again after this time, and again
  std::optional<std::uint64_t> after;  // after that many messages (requests, acks) that fit
  double rate = 0;                     // by seed: with this probability for each
  std::uint64_t count = 1;             // so many messages each time; how many pings a flood has
  // How.
  Duration by{};
  std::string how;
  int status = 0;
  std::uint64_t distance = 1, copies = 1, size = 2 << 20;
};

// Of the parts "kind=drop", "rate=0.001"; the error says what is allowed.
Result<FaultSpec> make_fault(const std::vector<std::pair<std::string, std::string>>& parts);
// "drop,rate=0.001,streams=*@trade": as on the command line.
Result<FaultSpec> parse_fault(std::string_view text);
std::string to_text(const FaultSpec& fault);

// Comes by itself at its times, not with a message; meets messages of streams. Neither: about answers or the clock.
bool comes_by_time(const FaultSpec& fault);
bool meets_messages(const FaultSpec& fault);

// A body of REST gone wrong: how: empty, truncate, reversed, repeated. Rows are those of its first list of objects or
// lists.
std::string harmed_answer(std::string body, std::string_view how);

bool matches(std::string_view pattern, std::string_view text);  // * stands for any text
// "1.5s" is none: a whole number and a unit, perhaps a sign.
std::optional<Duration> parse_span(std::string_view text);
std::string span_text(Duration span);

// One fault, as one connection (or REST as a whole) meets it.
class FaultState {
 public:
  // For message kinds, acks and requests: whether this one is hit. `key` tells it apart from others for the dice of
  // `rate`: a trade's id; 0: its number.
  bool hits(const FaultSpec& fault, std::uint64_t seed, std::uint64_t connection, Duration elapsed, std::uint64_t key);
  // For what lasts: whether it does now. `counted`: a message is at hand that `after` and `rate` count.
  bool lasts(const FaultSpec& fault, std::uint64_t seed, std::uint64_t connection, Duration elapsed, bool counted,
             std::uint64_t key);
  // When what lasts now will end; nullopt: never.
  std::optional<Duration> until(const FaultSpec& fault, Duration elapsed) const;

 private:
  std::uint64_t seen_ = 0, run_ = 0, used_ = 0;
  std::int64_t window_ = -1;
  std::optional<Duration> active_until_;
};
// The window of `at`, `for`, `every` that `elapsed` stands in or behind: its number from 0 and its start.
std::optional<std::pair<std::int64_t, Duration>> fault_window(const FaultSpec& fault, Duration elapsed);

}  // namespace truetape::sim
