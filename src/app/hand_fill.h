// `truetape backfill --from --to`: what a venue's REST interface still has of a time, into the log. One call; on the
// thread that makes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "log/log.h"
#include "venues/filler.h"

namespace truetape::app {

struct HandQuestion {
  Instrument instrument;
  Tape tape = Tape::trade;
  Timestamp from{};
  std::optional<Timestamp> to = {};  // absent: to what is newest
};

struct HandAnswer {
  std::uint64_t pages = 0, trades = 0, absent = 0;
  std::optional<FillRange> ids;         // that were asked for; absent: there were no trades
  std::vector<FillRange> missing = {};  // that the venue did not give
  bool stopped = false;
};

struct HandParts {
  Log& log;                              // borrowed, as all here
  const std::atomic<bool>& interrupted;  // true: end soon
  std::function<void(const HandAnswer& so_far, std::uint64_t next_id)> progress = {};
};

// All that was put is durable when it returns, also with an error. Asking again changes nothing.
Result<HandAnswer> fill_by_hand(const Config& config, const HandQuestion& question, const HandParts& parts);

}  // namespace truetape::app
