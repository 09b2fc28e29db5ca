// The simulated venue: a market that trades, and the far ends of the wires that the real feed connects by. It speaks
// HTTP and WebSocket byte by byte itself, shares no code with src/venues, and keeps the list of all that ever traded:
// that is the truth of a history. No coroutine, no loop: calls and the agenda only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agenda.h"
#include "net/memory_wire.h"
#include "random.h"
#include "trace.h"

namespace truetape::simulation {

enum class Product : std::uint8_t { spot, usdm };

// One execution. Prices are in hundredths, quantities in thousandths.
struct Print {
  std::uint64_t id = 0;
  std::int64_t time_ms = 0;
  std::int64_t price = 0, quantity = 0;
  bool buyer_is_maker = false;
  bool marker = false;  // of USD-M: an id that is no trade
};

struct Listing {
  Product product = Product::spot;
  std::string symbol;         // "BTCUSDT"
  std::string instrument;     // "binance:BTCUSDT"
  std::string stream;         // "btcusdt@trade"
  std::vector<Print> prints;  // by id, contiguous

  const Print* find(std::uint64_t id) const {
    return prints.empty() || id < prints.front().id || id - prints.front().id >= prints.size()
               ? nullptr
               : &prints[id - prints.front().id];
  }
};

// The whole frame as the venue sends it; `sent_ms` is its "E".
std::string frame_of(const Listing& listing, const Print& print, std::int64_t sent_ms);

// What is wrong at the venue and on the way to it, now. Rates are per mille.
struct Weather {
  std::uint32_t dropped = 0, doubled = 0, swapped = 0, corrupted = 0;  // frames
  Time lag = 0;                                                        // on the way to us, besides the usual
  bool silent = false;                                                 // it trades, and says nothing
  bool deaf = false;                                                   // it answers no pings
  bool rest_refuses = false;                                           // REST, with one of its errors
  bool rest_hangs = false;                                             // REST does not answer
  Time rest_lag = 0;
  bool refuses_connections = false;
  bool refuses_upgrades = false;
  bool refuses_streams = false;  // an error in answer to a subscription
};

// A frame of trades that reached the near end of a connection, damaged or not: what became of it there is what is
// judged.
struct Delivered {
  Time at = 0;
  std::size_t line = 0;
  std::size_t hash = 0;  // of its payload
  const Listing* listing = nullptr;
  std::uint64_t id = 0;
};
std::size_t hash_of(std::string_view payload);

class Venue {
 public:
  Venue(Agenda& agenda, Trace& trace, Random random, std::function<Time()> now);
  ~Venue();

  Weather weather;

  Listing& list(Product product, std::string symbol, std::uint64_t first_id);
  const std::vector<std::unique_ptr<Listing>>& listings() const { return listings_; }

  // The far end of a new connection; nullptr: refused.
  std::shared_ptr<net::MemoryWire> connect(std::string_view host);
  // Trades once, and tells who has subscribed. `withheld`: tells nobody, ever.
  void trade(Listing& listing, bool withheld = false);
  // Pings all, as the venue does from time to time.
  void ping_all();

  enum class Cut { end, reset, mute };  // mute: the cable is pulled, nobody hears of it
  // One of the live WebSockets, or one on which REST is asked. False: there is none.
  bool cut(Cut how, bool rest);
  // The process at the near ends has died.
  void drop_all();
  std::size_t subscribers(const Listing& listing) const;  // on connections that are not muted

  const std::vector<Delivered>& delivered() const { return delivered_; }
  // When the connection was cut, or the near end was seen to close it; nullopt: it lives.
  std::optional<Time> ended(std::size_t line) const { return ended_.at(line); }

 private:
  struct Line;
  struct Told {
    std::string frame;
    const Listing* listing = nullptr;
    std::uint64_t id = 0;
  };
  using LinePtr = std::shared_ptr<Line>;

  void receive(const LinePtr& line);
  bool receive_http(const LinePtr& line);
  bool receive_frame(const LinePtr& line);
  void answer_rest(const LinePtr& line, std::string_view target);
  void asked(const LinePtr& line, std::string_view text);
  void tell(const LinePtr& line, const Told& told);
  // `done` is called when the bytes are at the near end; not if they never get there.
  void send(const LinePtr& line, std::string bytes, Time extra = 0, std::function<void()> done = {});
  void end(Line& line);  // nothing of it counts as delivered from now on
  Time latency();
  std::string corrupted(std::string frame);
  std::int64_t now_ms() const { return now_() / kMillisecond; }

  Agenda& agenda_;
  Trace& trace_;
  Random random_;
  std::function<Time()> now_;
  std::vector<std::unique_ptr<Listing>> listings_;
  std::vector<LinePtr> lines_;
  std::vector<Delivered> delivered_;
  std::vector<std::optional<Time>> ended_;  // by number of the line
};

}  // namespace truetape::simulation
