// Everything that people and programs ask of a running truetape over HTTP and WebSocket (docs/api.md is the contract):
// REST, the stream, the Binance-compatible calls, control, metrics, health and the page.
//
// It follows the log's result topics with readers of its own, keeps the recent past in memory, and asks the store for
// the older past. It writes nothing but records of `control`. No client can slow the pipeline: what a client does not
// take is conflated, then it is closed with a reason.
//
// Threads: everything here is called on the thread of the Loop that was given, which must be serve's own (rendering
// must not delay who receives); Serve starts one thread that waits for the log, and a few for the store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/reconciled.h"
#include "core/result.h"
#include "core/time.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "net/loop.h"
#include "net/server.h"
#include "serve/cross.h"
#include "stores/history.h"

namespace truetape {

struct ServeConfig {
  net::ServerConfig http;
  // Sent by clients as "Authorization: Bearer TOKEN" (browsers: "?token=" of the stream). Empty: none is asked for,
  // which is refused unless the address is loopback. The control token also reads.
  std::string read_token = {}, control_token = {};
  Nanoseconds stale_after = std::chrono::seconds{10};  // nothing new of an instrument for so long: stale
  std::size_t recent_candles = 128;                    // kept in memory for each instrument and interval; at least 61
  std::size_t recent_trades = 200;                     // kept in memory for each instrument
  std::size_t most_subscriptions = 1000;               // of one stream client; more are refused
  CrossOptions cross = {};                             // what is compared between venues
};

// One window of one instrument. Without a tape the instrument's own.
struct WindowQuestion {
  Instrument instrument;
  Interval interval{};
  Timestamp start{};
  std::optional<Tape> tape{};
};

// Borrowed; outlive Serve.
struct ServeParts {
  Log& log;
  const History& history;
  Metrics& metrics;
  std::vector<Interval> intervals;  // those that are built, rising
  // What can be wanted; the error is a sentence for whoever asked. Called on the loop.
  std::function<Result<Instrument>(std::string_view text)> receivable;
  // The instruments that a venue's frame speaks of, for what is judged again. Any thread; empty: of none.
  std::function<std::vector<Instrument>(std::string_view venue, std::string_view frame)> route{};
  std::function<Status()> log_health{};  // the reason why nothing can be appended, while it lasts; for readiness
  // What comparisons with the venue's own candles found of the windows in [from, to), in order; at most `most` of them,
  // the first ones, or the last if `newest`. Any thread; may be empty.
  std::function<std::vector<ReconciledWindow>(const Instrument&, Tape, Interval, Timestamp from, Timestamp to,
                                              std::uint64_t most, bool newest)>
      reconciled{};
  // One sentence about what no client is told: an error that is survived. Any thread; may be empty.
  std::function<void(const std::string&)> trouble{};
  // All that is known of the window, as one JSON object (docs/api.md, explain). Fault::malformed or not_found is the
  // client's. Called on a thread of its own; empty: the call is not there.
  std::function<Result<std::string>(const WindowQuestion&)> explain{};
};

// Refused, with what to do: an address that is not loopback without both tokens, half a TLS pair, a wrong number.
Status check(const ServeConfig& config);

class Serve {
 public:
  Serve(net::Loop& loop, ServeConfig config, ServeParts parts);
  ~Serve();  // cuts what is left. After it the loop must not run again, unless stop() has returned
  Serve(const Serve&) = delete;
  Serve& operator=(const Serve&) = delete;

  // Binds, and begins to follow the log. Answers the port; an error says who has it. Answers are 503 with Retry-After,
  // and /health/ready says no, until the recent past has been read.
  Result<std::uint16_t> listen();
  std::string origin() const;  // "http://127.0.0.1:8780"
  // Finishes answers under way, closes streams with 1001; after `limit` what is left is cut.
  net::awaitable<void> stop(Nanoseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape
