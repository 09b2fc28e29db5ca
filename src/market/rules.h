// Settings of the heart: what is accepted, marked or quarantined, and the bounds of the candle's life (semantics
// sections 2, 3, 5, 7). Given at construction; a `config` record changes them from then on for its partition.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"
#include "core/result.h"
#include "core/time.h"

namespace truetape {

enum class Action : std::uint8_t { accept, mark, quarantine };

// What may be said for one venue or one instrument alone: "rule.off_tick@binance", "rule.off_tick@binance:BTCUSDT".
struct NarrowRules {
  std::optional<Action> off_tick, off_lot, crossed, far_from_median;
  std::optional<Nanoseconds> future_tolerance;
  std::optional<std::uint32_t> median_band;
  friend bool operator==(const NarrowRules&, const NarrowRules&) = default;
};

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
  Action crossed = Action::mark;                             // quotes whose bid is not below their ask
  Action far_from_median = Action::mark;                     // looks at other trades, so it may only mark
  std::uint32_t median_band = 1'000;                         // in 1/10,000 of the recent median price
  std::map<std::string, NarrowRules, std::less<>> narrower;  // by "venue" or "venue:SYMBOL"
};

// Those of one instrument: its own, else its venue's, else all instruments'.
struct RulesOf {
  Action off_tick, off_lot, crossed, far_from_median;
  Nanoseconds future_tolerance;
  std::uint32_t median_band;
};
RulesOf rules_of(const Rules& rules, const Instrument& instrument);
RulesOf rules_of(const Rules& rules, std::string_view venue);  // of what names no instrument
// Of "rule.off_tick@binance" the part before the @, if a setting of that name can be said for a venue or an instrument,
// and the part behind it is one.
std::optional<std::string_view> wide_name(std::string_view name);

// Every setting as the pairs of a config record ("rule.future.tolerance" = "10s"), in order of their names; and back.
std::vector<std::pair<std::string, std::string>> to_pairs(const Rules& rules);
// Changes one setting. The error names the setting and what is allowed. A narrower one is taken back by "default".
Status set(Rules& rules, std::string_view name, std::string_view value);
Status check(const Rules& rules);  // the intervals nest, the bounds are in order

}  // namespace truetape
