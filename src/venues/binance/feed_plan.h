// Which streams go over which connection. Pure. Streams keep their connection as long as they are wanted: what is added
// or removed elsewhere does not move them.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/records.h"
#include "venues/binance/item.h"

namespace truetape::binance {

enum class StreamKind : std::uint8_t { trade, agg, best, ticker };
std::string_view suffix(StreamKind kind);  // "@trade"

// The part of the venue that a connection's path leads to. Spot has one. USD-M has two, and a stream asked for on the
// wrong one is confirmed and then silent for ever.
enum class Route : std::uint8_t { spot, usdm_public, usdm_market };
Route route_of(Product product, StreamKind kind);
std::string_view path(Route route);  // "/market/stream": combined streams, none yet
std::string_view name(Route route);  // "spot", "public", "market": in names of connections

struct Stream {
  std::string name;  // "btcusdt@trade"
  Instrument instrument;
  StreamKind kind = StreamKind::trade;
  friend bool operator==(const Stream&, const Stream&) = default;
};
// The symbol's ASCII letters in lower case, as the venue wants them there.
Stream stream_of(const Instrument& instrument, StreamKind kind);

struct PlanLimits {
  std::size_t streams = 1024;  // of one connection
  std::size_t names = 200;     // in one message
  std::size_t bytes = 4000;    // of the names in one message: longer ones failed silently at 4 to 8 KB
};

class ConnectionPlan {
 public:
  struct Slot {  // one connection's load
    Route route;
    std::map<std::string, Stream, std::less<>> streams;  // by name
  };
  struct Change {
    std::size_t slot;
    std::vector<Stream> add, remove;  // in the order of their names
  };

  ConnectionPlan(Product product, const std::vector<StreamKind>& kinds, PlanLimits limits = {});

  // All that is wanted from now on. Only slots that change, in their order; new ones come behind. A slot is never
  // removed, one without streams is the first to be filled again.
  std::vector<Change> want(const std::set<Instrument>& instruments);
  const std::vector<Slot>& slots() const { return slots_; }

 private:
  std::size_t room_for(Route route, std::size_t streams);

  Product product_;
  std::map<Route, std::vector<StreamKind>> kinds_;
  PlanLimits limits_;
  std::set<Instrument> wanted_;
  std::vector<Slot> slots_;
};

// The first of `names` that fit into one message, at least one.
std::size_t batch_size(std::span<const std::string> names, const PlanLimits& limits);

}  // namespace truetape::binance
