// What is a venue's own about a live feed: its addresses, messages and lists. All the rest (connections and their
// successors, back-off, sessions, evidence, budgets) is the same for all venues and stands in feed_core. A new venue's
// feed is a Dialect and its Settings; docs/adding-a-venue.md goes through it step by step.
//
// Pure: text in, text out; no network, no clock. Called on the loop's thread. What a venue does beside its streams
// (pages it is polled for) is an Errand, feed_errand.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/raw.h"
#include "core/records.h"
#include "core/result.h"
#include "net/backoff.h"
#include "net/http_client.h"
#include "net/rate_budget.h"
#include "venues/feed.h"
#include "venues/venue.h"

namespace truetape::feeds {

enum class StreamKind : std::uint8_t { trade, agg, best, ticker, news };

// One subscription.
struct Stream {
  std::string name;  // in the venue's spelling: "btcusdt@trade", "/market/match:BTC-USDT"
  Instrument instrument;
  StreamKind kind = StreamKind::trade;
  bool shared = false;  // the same name for all instruments: it is asked for once, and gives others' data too
  friend bool operator==(const Stream&, const Stream&) = default;
};

struct PlanLimits {
  std::size_t streams = 1024;          // of one connection
  std::size_t names = 200;             // in one message
  std::size_t bytes = 4000;            // of the names in one message
  std::size_t connections = SIZE_MAX;  // of one route: what finds no room in them is left out, and told
};

// Everything that can be set of a feed. A venue's feed_settings() fills in what its documents say; tests change times.
struct Settings {
  std::string stream_url, rest_url;  // without path; stream_url empty: Dialect::address tells it
  std::string secret;                // token or key; never told, put or stored
  Tape tape = Tape::trade;
  bool best = true, ticker = true;
  NewsBy news = NewsBy::off;
  int connections = 1;  // of each slot of the plan: 1 or 2
  std::uint64_t seed = 0;
  PlanLimits limits = {};

  int messages = 5;                                       // that the venue takes of a connection ...
  Nanoseconds messages_within = std::chrono::seconds{1};  // ... in any span of this length
  bool acknowledged = true;                               // it answers subscriptions; else the first frame does
  bool answers_have_ids = true;                           // else an answer is to the one request that waits
  bool welcomed = false;                                  // it speaks first: Reply::Kind::welcome
  Nanoseconds welcome_timeout = std::chrono::seconds{10};
  Nanoseconds idle_timeout = std::chrono::seconds{70};  // nothing at all, not even the venue's ping
  Nanoseconds ack_timeout = std::chrono::seconds{10};   // for an answer to a subscription
  // Read so far behind, the sum over waits counted, the venue drops messages without a word: a new connection. Zero: it
  // never does.
  Nanoseconds slow_loses{};
  Nanoseconds beat = std::chrono::seconds{1};                // session records, our pings, looking at time-outs
  Nanoseconds ping_every{};                                  // at least so often, whatever comes; zero: no need
  Nanoseconds ping_spacing{};                                // at most so often while nothing tells the time
  Nanoseconds pong_timeout = std::chrono::seconds{10};       // of a connection that has answered pings before
  Nanoseconds ping_again = std::chrono::minutes{1};          // after an unanswered one, when none was answered before
  Nanoseconds silent_after = std::chrono::minutes{1};        // a confirmed stream that has sent nothing is told of
  Nanoseconds witness_lag = std::chrono::milliseconds{500};  // semantics section 3
  Nanoseconds life = std::chrono::hours{23};                 // then a successor is connected; venues cut at 24 h
  Nanoseconds life_jitter = std::chrono::minutes{30};        // added, so that not all change at once
  Nanoseconds cover_limit = std::chrono::seconds{30};        // for the old one's witness to reach the new one's begin
  Nanoseconds overlap_limit = std::chrono::minutes{10};      // for the new one to hear of what the old one heard of
  bool overlap = true;                                       // two connections may carry the same for a while
  Nanoseconds steady_after = std::chrono::minutes{1};        // a connection that held so long ends the backing off
  Nanoseconds worked_after = std::chrono::seconds{5};        // carried all so long: the pause is no longer
  net::BackoffConfig backoff = {};                           // after failures that may pass
  net::BackoffConfig refused_backoff = {std::chrono::minutes{1}, std::chrono::minutes{15}, 2};  // after 403, 451 …
  net::BackoffConfig stream_backoff = {std::chrono::minutes{2}, std::chrono::minutes{30}, 2};   // of a refused stream
  Nanoseconds busy_pause{};                               // at least, after a handshake's 429
  int attempts = 300;                                     // to connect, of this address ...
  Nanoseconds attempts_within = std::chrono::minutes{5};  // ... in any span of this length
  std::size_t most_message = 512 * 1024;                  // bytes of a frame

  // REST. Half of each limit is left to others behind this address, filling of gaps among them.
  std::vector<net::RateWindow> rest_windows = {};
  Nanoseconds time_every = std::chrono::minutes{10};
  Nanoseconds symbols_every = std::chrono::hours{1};
  Nanoseconds wildcards_every = std::chrono::minutes{5};  // the whole list, while there is a wildcard
  std::uint64_t most_body = 64 * 1024 * 1024;             // bytes of an answer
};

// What the venue says about a connection rather than a market.
struct Reply {
  enum class Kind : std::uint8_t {
    answer,   // to a subscription: `id`, and `error` if it was refused
    pong,     // to a ping of Dialect::ping_message: `id`
    welcome,  // the connection may be used
    notice,   // the venue closes the connection soon, and says no more about it
    refusal,  // the connection is of no use: `error` says why; a new one is made
    remark,   // an error that names no request: `error` is told, nothing else
  };
  Kind kind = Kind::answer;
  std::optional<std::int64_t> id = {};
  std::optional<std::string> error = {};  // "Invalid request: invalid stream (code 2)"; empty: done
};

// Whose data a frame is.
struct Heard {
  std::string_view stream = {};         // its name, as in Stream::name; empty: the frame does not say it ...
  std::optional<StreamKind> kind = {};  // ... but this, of the instruments that Venue::route finds
};

// A GET, unless it has a body or says otherwise.
struct Question {
  std::string target;  // path and query
  std::int64_t weight = 1;
  std::string method = "GET";
};

// Where a connection goes, as the venue told it for this once.
struct Address {
  std::string url;  // with path and query
  std::optional<Nanoseconds> ping_every = {};
  std::optional<Nanoseconds> pong_timeout = {};
};

// An entry of a symbol list.
struct Listed {
  Instrument instrument;
  std::string_view bytes;   // the entry as it stands: what Venue::decode gets as `reference`
  bool trades = true;       // is traded now
  std::string_view status;  // the venue's word for it
  std::string quote = {};   // asset or currency in which it is priced; empty: the list does not say
};
struct SymbolList {
  std::vector<Listed> entries;
  std::vector<std::pair<std::size_t, std::int64_t>> limits;  // of Settings::rest_windows, as the list tells them
};

class Dialect {
 public:
  virtual ~Dialect() = default;
  virtual const Venue& venue() const = 0;

  // ---- streams
  virtual Stream stream_of(const Instrument& instrument, StreamKind kind) const = 0;
  virtual std::vector<StreamKind> kinds(const Settings& settings) const;  // of an instrument: the tape and quotes
  virtual std::string_view kind_name(StreamKind kind) const = 0;          // "@trade": for sentences
  // Parts of the venue that need connections of their own: USD-M has two. Names go into those of connections.
  virtual std::size_t route_of(StreamKind) const { return 0; }
  virtual std::string_view route_name(std::size_t) const { return {}; }
  virtual std::string socket_target(std::size_t route, const Settings& settings) const = 0;  // "/stream"
  virtual std::string socket_place(std::size_t /*route*/) const { return "/"; }  // the same for sentences: no secrets

  // ---- connections
  // Asked by REST before each connection; the answer tells the address. nullopt: stream_url and socket_target do.
  virtual std::optional<Question> address_question() const { return std::nullopt; }
  virtual Result<Address> address(std::string_view /*answer*/, const Settings&) const;
  // How many of these names, the first of them, go into one message; at least 1. They are in their order.
  virtual std::size_t batch(std::span<const std::string> names, const PlanLimits& limits) const = 0;
  virtual std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t id) const = 0;
  virtual Heard heard(std::string_view frame) const = 0;
  // Called for frames of no stream. nullopt: none of these.
  virtual std::optional<Reply> reply(std::string_view frame) const = 0;
  // A ping as a message of the venue's own; nullopt: those of WebSocket are used.
  virtual std::optional<std::string> ping_message(std::int64_t) const { return std::nullopt; }

  // ---- REST
  virtual net::Headers headers(const Settings&) const { return {}; }  // of every question
  virtual std::optional<Question> time_question() const = 0;          // nullopt: it does not tell its time
  virtual std::optional<Timestamp> time(std::string_view answer) const = 0;
  // Lists that hold these, or all lists if `whole`. One unknown symbol may spoil a question for some of them: see
  // retry.
  virtual std::vector<Question> symbol_questions(const std::set<Instrument>& wanted, bool whole) const = 0;
  virtual bool ask_whole(int /*status*/, std::string_view /*answer*/) const { return false; }  // instead of for some
  virtual Result<SymbolList> symbols(std::string_view answer) const = 0;  // views into it; an error is one sentence
  // Whether a list without entries may be meant so; else it is no answer.
  virtual bool lists_may_be_empty() const { return false; }
  // Turnovers of the last 24 hours, in the quote, of all symbols: for wildcards of the greatest. Only compared, so
  // double will do. nullopt: the venue does not tell them.
  virtual std::optional<Question> turnovers_question() const { return std::nullopt; }
  virtual Result<std::map<Instrument, double>> turnovers(std::string_view /*answer*/) const;
  // The venue said that nothing may be asked for a while, apart from Retry-After. `now`: by its clock, if known.
  virtual std::optional<Nanoseconds> blocked_for(const net::HttpAnswer&, std::optional<Timestamp> /*now*/) const {
    return std::nullopt;
  }
  // What to do about a status that refuses us as such: 401, 403, 451; empty: none of these.
  virtual std::string advice(int status) const = 0;
};

}  // namespace truetape::feeds
