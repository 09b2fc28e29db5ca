// The venue's limits, and scenario files: TOML with a seed, limits and faults. docs/simulator.md is their manual.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "sim/faults.h"
#include "sim/market.h"

namespace truetape::sim {

// Times here are real ones: they are about connections, not about the tape.
struct Limits {
  Product product = Product::spot;            // whose limits these are
  Nanoseconds ping_every, pong_within;        // KuCoin: what it tells the client, who pings
  Nanoseconds life = std::chrono::hours{24};  // of a connection
  Nanoseconds life_notice{};                  // serverShutdown so long before the end of a life; 0: none
  std::string life_end = "fin";               // fin, reset, close
  // Incoming ones in any second, pings and pongs included; KuCoin: in any 10 s, without those.
  std::int64_t messages = 0;
  std::size_t streams = 1024;            // of one connection; Finnhub: symbols, and more give an error
  std::int64_t connects = 300;           // in 5 minutes, from one address; KuCoin: in a minute
  std::size_t url = 8004;                // characters
  std::size_t message_size = 64 * 1024;  // bytes of an incoming message
  std::int64_t weight = 0;  // in a minute of the clock, from one address; KuCoin: in 30 s since the first request
  std::int64_t requests = 300'000;  // in 5 minutes, from one address; Finnhub: in a minute of the clock, with one token
  bool retry_after = true;          // the header, with 429 and 418
  Nanoseconds ban = std::chrono::minutes{2};  // the first one; each that follows is twice as long
  std::int64_t ban_after = 20;                // requests that ignore 429 within a minute
  bool flat_errors = false;                   // control errors as documented; else as seen on the wire
  bool key_needed = false;                    // USD-M's historicalTrades wants an API key
  bool history = true;                        // false: like the market-data-only hosts, without historicalTrades
  Nanoseconds aggregate_reach{};              // USD-M: how old aggTrades may be; 0: any age
  bool reach_is_error = true;                 // beyond it: an error; else the most recent instead
  // KuCoin and Finnhub:
  std::size_t connections = 800;  // at once, from one address; Finnhub: with one token
  std::size_t batch = 100;        // KuCoin: symbols of one message to subscribe; Finnhub: trades of one message
  // KuCoin:
  Nanoseconds token_life = std::chrono::hours{24};
  Nanoseconds silent = std::chrono::seconds{60};  // without any message of the client: the connection is cut
  // Finnhub:
  std::string token = {};                       // the one that is good; empty: any
  bool kick = false;                            // of two connections with one token the older one goes
  bool ping_idle = false;                       // pings only after so long without another message
  Nanoseconds flush = std::chrono::seconds{1};  // a message waits so long for more trades; of the venue's clock
  std::int64_t burst = 30;                      // requests in a second of the clock, with one token
  bool premium = false;                         // what free keys do not get: news as a stream, candles
  bool hours = false;                           // shares are only told while their market is open

  static Limits of(Product product);
};

struct Scenario {
  std::uint64_t seed = 1;
  Limits limits;
  std::vector<FaultSpec> faults;
};

// One key of [limits]; the error says what is allowed.
Status set_limit(Limits& limits, std::string_view key, std::string_view value);
// Adds to what is there. The error names file, line, key and what is allowed.
Status read_scenario(std::string_view text, const std::filesystem::path& name, Scenario& into);
Status read_scenario_file(const std::filesystem::path& file, Scenario& into);

}  // namespace truetape::sim
