// How much may be asked of a venue now. Counts weights in sliding windows, learns from the answers what others behind
// the same address have used, and obeys Retry-After, 429 (wait) and 418 (banned). Pure: time comes in, so a test needs
// no network and no sleep. One thread.
//
// A window slides: no interval of its length holds more than the limit, wherever the venue's own fixed windows begin.
// The past is kept in 64 slots a window, each counted until its newest entry has left the window: never too little.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/time.h"
#include "net/headers.h"

namespace truetape::net {

struct RateWindow {
  Nanoseconds length{};
  std::int64_t limit = 0;    // weight within any `length`; at least 1
  bool per_request = false;  // each request counts 1, whatever its weight
  std::string used_header =
      {};  // "X-MBX-USED-WEIGHT-1M": what the venue says has been used in this window; empty: it does not
};

struct RateConfig {
  std::vector<RateWindow> windows = {};
  int share_percent = 100;                             // of each limit; the rest is left to others behind this address
  Nanoseconds limited_wait = std::chrono::minutes{1};  // after a 429 that names no time
  Nanoseconds first_ban = std::chrono::minutes{2};   // after a 418 that names no time; doubled by each that follows ...
  Nanoseconds longest_ban = std::chrono::hours{72};  // ... up to this
};

class RateBudget {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;
  enum class Block { none, limited, banned };

  explicit RateBudget(RateConfig config);

  // How long until a request of this weight may go; zero: now. Nanoseconds::max(): never, the weight is above a limit.
  Nanoseconds wait(std::int64_t weight, SteadyTime now);
  // A request goes out. Counted whatever wait() says.
  void spend(std::int64_t weight, SteadyTime now);
  // Its answer came: header feedback, 429, 418. `utc` is for a Retry-After that is a date, in an answer without Date.
  void answered(int status, const Headers& headers, SteadyTime now, Timestamp utc);
  // For venues that write the end of a ban into the body. Never shortens.
  void block_until(SteadyTime until, Block why);

  Block block(SteadyTime now) const;  // why nothing may go now
  SteadyTime blocked_until() const { return blocked_until_; }
  std::int64_t used(std::size_t window, SteadyTime now);  // as counted here, with what the venue told of others
  // The venue's symbol list may tell other limits than the configured ones. What was used stays counted.
  void set_limit(std::size_t window, std::int64_t limit);

 private:
  struct Slot {
    SteadyTime first, last;
    std::int64_t weight;
  };
  struct Counted {
    RateWindow rule;
    std::deque<Slot> slots;  // oldest first
    std::int64_t sum = 0;
  };
  static void forget(Counted& window, SteadyTime now);
  static void add(Counted& window, std::int64_t weight, SteadyTime now);
  std::int64_t allowed(const Counted& window) const;

  RateConfig config_;
  std::vector<Counted> windows_;
  SteadyTime blocked_until_{};  // never ahead of now at first
  Block why_ = Block::none;
  int bans_ = 0;  // 418s in a row
};

}  // namespace truetape::net
