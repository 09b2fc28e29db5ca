// An answer of the simulated venue's REST interface, and what such interfaces count: any venue's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/id_ranges.h"

namespace truetape::sim {

struct RestAnswer {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json;charset=UTF-8";
  std::vector<std::pair<std::string, std::string>> headers = {};  // besides Content-Type
};

// What REST has given away, per instrument: for the list of what was sent.
struct RestGiven {
  IdRanges trades, aggregates;
};

// Requests by path and status.
using RestCounts = std::map<std::string, std::map<int, std::uint64_t>>;

}  // namespace truetape::sim
