// The venue's control messages on a WebSocket: SUBSCRIBE and its kin, their answers and errors. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/market.h"

namespace truetape::sim {

struct ControlState {
  std::vector<std::string> streams;  // in the order in which they were subscribed
  bool combined = false;
};

struct ControlLimits {
  std::size_t streams = 1024;  // of one connection
  bool nested_errors = true;   // {"error":{"code":…}} as seen on the wire; else flat, as documented
  bool any_id = true;          // strings and null as ids; USD-M documents whole numbers only
};

struct ControlAnswer {
  std::string text;  // what is sent
  bool refused = false;
  bool subscribed = false, unsubscribed = false;  // state.streams may have changed
  std::string id;                                 // as JSON, empty without one
};

// `known` tells whether a name is well formed.
ControlAnswer control(std::string_view message, ControlState& state, const ControlLimits& limits,
                      const std::function<bool(std::string_view)>& known);

}  // namespace truetape::sim
