// Inside of a feed: one WebSocket connection, from its handshake to its end. Subscribes to what it is told to
// carry, hands over what comes, keeps its sessions, and notices what is wrong. feed_line.h decides when there is one.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "net/websocket_client.h"
#include "venues/feed_context.h"
#include "venues/feed_session.h"

namespace truetape::feeds {

// A stream that the venue refused when it was asked for alone. It may be listed later, so it is asked for again, alone,
// beside what is carried, which it never changes: sessions go on. Where answers have no ids
// (Settings::answers_have_ids) only a new connection asks, before it counts as subscribed. It was told once, and is
// told again only when the venue gives it after all. On the loop's thread, like the connections that share it.
struct Refusal {
  static constexpr int kCutsBelieved = 2;
  net::Backoff backoff;
  net::SteadyTime again{};  // not asked for before
  bool given = false;       // since then: connections ask for it at once
  // Times in a row that the connection ended over it, or so it looked; then it is asked for after an hour. After
  // kCutsBelieved no connection that carries others is risked for it: a new one asks.
  int cuts = 0;
};

// What a line remembers of the venue's refusals from one connection to the next.
struct Refusals {
  std::deque<std::vector<std::string>> suspects;  // parts of refused messages, each to be asked for by itself
  std::map<std::string, Refusal> streams;
  // It is not wanted any more: should it be later, it is asked for like any other.
  void forget(const std::string& name) {
    streams.erase(name);
    for (auto& names : suspects) std::erase(names, name);
  }
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Streams = std::map<std::string, Stream, std::less<>>;
  // `changed` is called when one of the states below changes. All are borrowed; the line outlives its connections.
  Connection(Context& context, ConnectionStatus& status, std::size_t route, Refusals& refusals,
             std::function<void()> changed);

  net::awaitable<tl::expected<void, net::ConnectError>> open(const Streams& streams);
  // Until the end. Once, after open().
  static net::awaitable<void> read(std::shared_ptr<Connection> self);

  void add(const Stream& stream);
  void remove(const std::vector<Stream>& streams);
  void pump();  // sends what is to be asked for, as far as the venue's limit allows

  // All that it was told to carry has been answered.
  bool subscribed() const { return subscribed_; }
  // A successor should take over: the connection is old, or the venue has said that it will close it.
  bool leaving() const { return leaving_; }
  bool ended() const { return ended_; }
  const std::string& why() const { return why_; }  // it ended: one sentence
  net::SteadyTime opened_at() const { return opened_at_; }
  net::SteadyTime ended_at() const { return ended_at_; }  // it ended
  // It ended: how long it had carried all that it was told to by then.
  Nanoseconds worked_for() const { return subscribed_ ? ended_at_ - subscribed_at_ : Nanoseconds::zero(); }
  std::optional<Timestamp> witness() const { return sessions_.witness(); }
  // The latest beginning of what it carries: from there on this connection has everything.
  std::optional<Timestamp> carries_since() const { return carries_since_; }

  // Whether it carries any tape at all.
  bool carries() const;
  // Of each stream of a tape that `other` has heard of, this one has too.
  bool has_heard_what(const Connection& other) const;
  // A successor's witness is held until the one beside it has said that it has received what was sent until the
  // successor began: else the heart would see a break that never was.
  void hold_witness(bool hold) { sessions_.hold_witness(hold); }
  void say_what_is_new();

  // Begins a close handshake; what comes before its end is still handed over.
  void finish(std::string why);

 private:
  struct Carried {
    Stream stream;
    bool confirmed = false, heard = false, told = false;
    std::optional<Timestamp> last_before = {};  // Venue::last_before of its first frame
    net::SteadyTime confirmed_at{};
  };
  struct Request {
    std::int64_t id;
    bool subscribe;
    std::vector<std::string> names;
    net::SteadyTime asked;  // for its time-out: moved by the time in which nobody reads
    net::SteadyTime sent;
    bool again = false;  // for a stream that was refused before: what it comes to concerns nothing else
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  // Of a frame: what it is, before it is put; what follows from it, after.
  struct Frame {
    std::string_view bytes, stream;
    Timestamp received;
    net::SteadyTime steady;
    bool tape = false;
    bool of_none = false;   // of no stream
    bool unwanted = false;  // what a shared stream says of others
  };
  Frame look_at(const net::WebSocket::Message& message);
  void was_put(const Frame& frame);
  void look_at_times(std::string_view frame, net::SteadyTime steady);
  void was_said(const Reply& reply);
  void answered(const Reply& reply);
  void hear(Carried& carried, std::string_view frame);
  void pong();
  void confirmed(const Request& request);
  void refused(const Request& request, const std::string& error);
  void send_next();
  std::string refused_before(net::SteadyTime now) const;  // that may be asked for again; empty: none
  void put_off(const std::string& name);
  void unanswered(const Request& request);
  void tick();
  void carry_awaited();
  void carry_pending();
  std::optional<Timestamp> last_before(const Instrument& instrument) const;
  void ping();
  void heard_control(net::WebSocket::Control kind, std::string_view payload);
  void update_clock(Timestamp now, net::SteadyTime steady);
  void tell_of_silence(net::SteadyTime now);
  void settle();  // subscribed_, status
  void fail(std::string why);
  void set_leaving(const std::string& why);
  bool is_tape(StreamKind kind) const {
    return kind == (context_.config.tape == Tape::trade ? StreamKind::trade : StreamKind::agg);
  }

  Context& context_;
  ConnectionStatus& status_;
  const std::size_t route_;
  Refusals& refusals_;
  std::function<void()> changed_;
  std::unique_ptr<net::WebSocket> socket_;
  SessionWriter sessions_;
  net::RateBudget messages_;
  net::Timer beat_, send_later_;

  std::unordered_map<std::string, Carried, TextHash, std::equal_to<>> streams_;
  std::set<std::string> to_add_, to_remove_;
  std::optional<Request> request_;
  std::int64_t requests_ = 0;
  std::string refused_last_;  // the stream, and when
  net::SteadyTime refused_at_{};
  // Confirmed, but the venue's clock was not known then.
  struct ToCarry {
    net::SteadyTime sent, confirmed;
    std::vector<Instrument> heard, silent;  // frames came before the answer
  };
  std::vector<ToCarry> to_carry_;
  // Confirmed, but the venue tells the last trade before the subscription, and has not yet.
  struct Awaited {
    std::string name;
    net::SteadyTime sent, confirmed;
  };
  std::vector<Awaited> awaited_;
  std::optional<Timestamp> carries_since_;

  std::vector<Instrument> to_;  // of the frame under way
  std::string masked_;          // its bytes without the token
  Nanoseconds ping_every_{}, pong_timeout_{};
  bool welcomed_ = false;
  std::vector<Instrument> first_heard_;  // of unacknowledged subscriptions, in the frame under way
  bool blocked_ = false;
  Nanoseconds unread_{};  // how long nobody read, less the time that messages were waited for since
  std::optional<Nanoseconds> offset_;
  std::optional<Timestamp> newest_;  // time at which the venue sent a frame
  struct Ping {
    std::string payload;
    std::int64_t id;
    net::SteadyTime asked;  // for its time-out: moved by the time in which nobody reads
    net::SteadyTime sent;
  };
  std::optional<Ping> ping_;
  std::int64_t pings_ = 0;
  std::optional<net::SteadyTime> pinged_at_;
  bool pongs_ = false;
  std::optional<net::SteadyTime> ping_again_;  // the venue has not answered a ping yet: when it gets another

  net::SteadyTime opened_at_{}, leave_at_{};
  net::SteadyTime subscribed_at_{}, ended_at_{};
  bool subscribed_ = false, leaving_ = false, ended_ = false, finishing_ = false;
  bool subscribed_once_ = false;
  std::optional<net::SteadyTime> look_for_silence_at_;
  std::string why_;
};

}  // namespace truetape::feeds
