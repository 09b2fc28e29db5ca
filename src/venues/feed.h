// A venue's I/O half: connections that are held, what they receive handed over as records of `raw`. venue.h is the pure
// half. A feed decodes nothing; it looks at a frame just as far as Venue::route and Venue::sent_time do.
//
// Who calls: the ingest role, on the thread of one net::Loop, for everything here; nothing is safe from another thread.
// A feed starts no thread.
//
//   Life     feed = make_feed("binance", options, parts); feed->want({...}); loop.spawn(feed->run());
//            ... want() at any time ... feed->stop(); run() returns; then the feed may go.
//   Frames   Each received frame is put once for each partition that it concerns (to partition 0 if it names nobody),
//            unchanged (but for a token of ours that the venue names in a refusal: `***`), with the time of its
//            receipt, in the order of its connection. Two connections for the same streams (`connections` = 2, or the
//            overlap around a planned cut) give everything twice: the ledger sorts that out.
//   Evidence Frames of an instrument's tape carry their connection's session and a number that is contiguous in
//            (session, partition), from 1. Between them stand session records (semantics section 3): open, beat (each
//            second in which the witness moved), close; they name the instruments whose tape the connection carries, at
//            first and once a minute, and since when. So only what the venue sent on the tape itself proves that it is
//            alive: frames of other streams (quotes, answers to requests) carry no session.
//            A subscription that ends, and records that may have been lost, end the session of their partition; the
//            connection goes on under a new one. A session never goes on after a loss.
//   Pressure While the sink has no room the feed does not read its sockets: the venue slows down or cuts; nothing is
//            dropped here. What is lost then is a hole that the ledger names.
//   Config   Before the first record of an instrument comes a `config` record that fixes its tape.
//   Symbols  The venue's symbol list is asked for at the start, when more is wanted, and every hour; the entry of each
//            wanted instrument is put as `reference` when it has changed.
//   Loss     When RawSink::generation has risen, `config` is put again within seconds and `reference` within minutes.
//   Trouble  Nothing that a venue does ends run() or throws. Connections are made anew after a jittered, growing wait;
//            what a person should know is told by FeedParts::tell, in sentences that say what to do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/news_by.h"
#include "core/raw.h"
#include "core/records.h"
#include "core/result.h"
#include "net/loop.h"

namespace truetape::net {
class Connector;
}

namespace truetape {

// Where a feed's records go: the role that owns the log's appender. Called on the loop's thread only.
class RawSink {
 public:
  virtual ~RawSink() = default;
  virtual std::int32_t partitions() const = 0;  // of `raw`; at least 1, the same for ever
  // Copies one record. False: no room, nothing was taken; try again after room().
  [[nodiscard]] virtual bool put(std::int32_t partition, std::string_view key, std::string_view bytes,
                                 std::span<const Header> headers) = 0;
  // Returns when put() may be tried again; also when the role ends, after it has called Feed::stop().
  virtual net::awaitable<void> room() = 0;
  // Rises whenever records that were put may have been lost (the appender failed and was opened anew). Every session
  // that had put any of them ends without another word.
  virtual std::uint64_t generation() const = 0;
};

struct FeedOptions {
  std::string stream_url = {}, rest_url = {};  // "wss://host[:port]", "https://host[:port]"; empty: the venue's own
  Tape tape = Tape::trade;                     // of every instrument of this feed
  bool best = true, ticker = true;             // quotes: best bid and ask, 24 h ticker
  int connections = 1;                         // 2: everything twice, over two connections
  int symbols = 0;                             // that the venue lets one connection carry; 0: as it documents
  NewsBy news = NewsBy::off;
  std::string token = {};  // what the venue gave to come in with; never told, put or stored
  std::uint64_t seed = 0;  // of jitter and of session ids: another one in each process
};

// For a person. Levels as in a log: error needs somebody, warning has been dealt with, info is for the curious.
struct FeedEvent {
  enum class Level { info, warning, error };
  Level level = Level::info;
  std::string connection;  // its name; empty: of the feed as a whole
  std::string text;        // one sentence
};

struct ConnectionStatus {
  enum class State { idle, waiting, connecting, subscribing, live };  // idle: nothing to carry
  std::string name;  // "binance-1", its twin "binance-1b"; in the header `connection` of its records
  State state = State::idle;
  Timestamp since{};                       // in this state
  std::size_t streams = 0, confirmed = 0;  // wanted; of them the venue has confirmed
  std::uint64_t frames = 0, bytes = 0;     // received since the feed was made
  std::uint64_t connects = 0, failures = 0;
  std::optional<Timestamp> last_frame;         // received
  std::optional<Timestamp> witness;            // venue time up to which all has been received
  std::optional<Nanoseconds> round_trip = {};  // of the last answered ping
  bool blocked = false;                        // waits for room in the sink
  // Why it last failed, and when it is tried again; until it is live.
  std::string trouble = {};
  std::optional<Timestamp> next_attempt = {};
};
std::string_view name(ConnectionStatus::State state);

struct FeedStatus {
  std::vector<ConnectionStatus> connections;
  std::optional<Nanoseconds> clock_offset;  // the venue's clock minus ours
  Nanoseconds clock_error{};                // +-
  std::set<Instrument> unknown;             // wanted, but not in the venue's symbol list; malformed wildcards
  std::size_t instruments = 0;              // wanted, with those that wildcards mean now
};

class Feed {
 public:
  virtual ~Feed() = default;
  virtual std::string_view venue() const = 0;
  // All that is wanted from now on, instead of what was wanted before. Instruments of other venues are left out. Some
  // may be wildcards (core/wildcard.h): what they mean follows the venue's symbol list.
  virtual void want(std::set<Instrument> instruments) = 0;
  // Once. Until stop().
  virtual net::awaitable<void> run() = 0;
  // Ends every session with a last record if there is room, closes the connections; run() returns when what is under
  // way has ended, by its time-out at the latest: seconds, 20 of them while a connection is being made.
  virtual void stop() = 0;
  virtual FeedStatus status() const = 0;
};

// What a feed is made of. Borrowed; outlive it.
struct FeedParts {
  net::Connector* connector;
  RawSink* sink;
  std::function<void(const FeedEvent&)> tell;  // may be empty
};

// What a feed can be asked for. An error: it is no instrument, its venue has no feed, or the symbol is not in the
// venue's spelling; one sentence that says what is allowed. Whether the venue lists it only the feed finds out
// (unknown).
Result<Instrument> receivable(std::string_view text);
// An error: no venue of that name has a feed, or an option is none that it can follow.
Result<std::unique_ptr<Feed>> make_feed(std::string_view venue, const FeedOptions& options, FeedParts parts);

}  // namespace truetape
