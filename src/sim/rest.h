// Binance's REST interface, made of the market's truth. Pure: a request and two clocks go in, an answer comes out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"
#include "sim/market.h"
#include "sim/rest_answer.h"
#include "sim/scenario.h"

namespace truetape::sim {

struct RestRequest {
  std::string_view method = "GET";
  std::string_view path;
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string_view address = "127.0.0.1";
  bool has_key = false;        // X-MBX-APIKEY is there
  bool microseconds = false;   // X-MBX-TIME-UNIT asks for them
  bool html_accepted = false;  // only matters for what is not found
  Time now{};                  // the venue's clock
  Duration skew{};             // how wrong it is when it is asked for
  Duration database_lag{};     // trades told less than this ago are not in the database yet
  Timestamp real{};            // the clock of limits and bans
};

class Rest {
 public:
  Rest(const Market& market, const Limits& limits) : market_{market}, limits_{limits}, given_(market.size()) {}

  RestAnswer answer(const RestRequest& request);

  const RestCounts& counts() const { return counts_; }
  const std::vector<RestGiven>& given() const { return given_; }

 private:
  struct Client {  // one address
    std::int64_t minute = -1, weight = 0, ignored = 0;
    std::int64_t span = -1, requests = 0;  // of 5 minutes
    Timestamp banned_until;
    int bans = 0;
  };
  // nullopt: the request may be answered.
  std::optional<RestAnswer> limited(Client& client, std::int64_t weight, Timestamp now);

  const Market& market_;
  const Limits& limits_;
  std::map<std::string, Client, std::less<>> clients_;
  RestCounts counts_;
  std::vector<RestGiven> given_;
};

// {"code":-1121,"msg":"Invalid symbol."}
std::string error_body(int code, std::string_view message);

}  // namespace truetape::sim
