// What a simulation did: what happened in its markets, what each connection was sent of it, what was withheld and by
// which fault. Written as JSON at the end; docs/simulator.md describes the format.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/id_ranges.h"
#include "sim/market.h"
#include "sim/rest_answer.h"

namespace truetape::sim {

// One stream on one connection. Ids are those of trades, or of aggregates; other streams have counts only.
struct StreamLog {
  std::string name;
  std::vector<std::pair<Time, std::optional<Time>>> subscribed;  // from, until; by the venue's clock
  std::uint64_t messages = 0;                                    // given to the network, repetitions included
  std::uint64_t duplicated = 0, reordered = 0, delayed = 0;
  IdRanges sent;                                // given to the network whole and unharmed
  std::map<std::string, IdRanges> withheld;     // by reason: a fault's kind, "slow", "ended"
  std::map<std::string, std::uint64_t> counts;  // of withheld messages, by reason
};
struct ConnectionLog {
  std::uint64_t number = 0;  // from 1, in the order of their handshakes
  std::string address, path;
  Time opened;
  std::optional<Time> closed;
  std::string end;  // why: "client", "cut", "too many messages", "no pong", "life", "slow", "stopped", …
  std::uint64_t received = 0, pings = 0, pongs = 0;
  std::deque<StreamLog> streams;  // addresses stay
};

struct Truth {
  std::string tape, ended;
  std::uint64_t seed = 0;
  Time from, to;  // of the venue's clock, while the tape played
  std::vector<std::string> faults;
  std::vector<std::uint64_t> hits;  // of each fault
  std::vector<std::unique_ptr<ConnectionLog>> connections;
};

// `given` by instrument.
std::string truth_json(const Truth& truth, const Market& market, const std::vector<RestGiven>& given,
                       const RestCounts& counts);

}  // namespace truetape::sim
