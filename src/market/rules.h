// Settings of the heart: what is accepted, marked or quarantined, and the bounds of the candle's life (semantics
// sections 2, 3, 5, 7). Given at construction; a `config` record changes them from then on for its partition.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"

namespace truetape {

enum class Action : std::uint8_t { accept, mark, quarantine };

struct Rules {
  std::uint32_t version = 1;
  std::vector<Interval> intervals = {std::chrono::seconds{1},  std::chrono::minutes{1}, std::chrono::minutes{5},
                                     std::chrono::minutes{15}, std::chrono::hours{1},   std::chrono::hours{4},
                                     std::chrono::hours{24}};  // ascending; each a multiple of the first
  Nanoseconds future_tolerance =
      std::chrono::seconds{10};                         // an event_time beyond receive_time + offset + this: `future`
  Nanoseconds bound = std::chrono::seconds{1};          // a window closes at F >= end + bound
  Nanoseconds settle = std::chrono::milliseconds{500};  // a hole opens at F >= its right neighbour + settle
  Nanoseconds hold = std::chrono::seconds{60};          // proven windows are sealed at F >= end + hold
  Nanoseconds horizon = std::chrono::minutes{10};       // others at F >= end + horizon
  Nanoseconds lost_for = std::chrono::hours{24 * 7};    // how long a lost gap keeps its windows correctable
  std::uint32_t max_windows = 20'000;                   // per instrument
  std::set<std::string, std::less<>> folded_kinds = {"", "MARKET", "RPI"};      // make candles
  std::set<std::string, std::less<>> stored_kinds = {"INSURANCE_FUND", "ADL"};  // stored, not folded; others: held
  Action off_tick = Action::mark;
  Action off_lot = Action::mark;
};

// Every setting as the pairs of a config record ("rule.future.tolerance" = "10s"), in order of their names; and back.
std::vector<std::pair<std::string, std::string>> to_pairs(const Rules& rules);
// Changes one setting. The error names the setting and what is allowed.
Status set(Rules& rules, std::string_view name, std::string_view value);
Status check(const Rules& rules);  // the intervals nest, the bounds are in order

}  // namespace truetape
