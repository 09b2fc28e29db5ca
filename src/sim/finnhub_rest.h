// Finnhub's REST interface, made of the market's truth. Pure: a request and two clocks go in, an answer comes out.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/time.h"
#include "sim/market.h"
#include "sim/rest_answer.h"
#include "sim/scenario.h"

namespace truetape::sim {

struct FinnhubRequest {
  std::string_view method = "GET";
  std::string_view path;
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string_view token = "key";  // of the query or the header X-Finnhub-Token; empty: none
  Time now{};                      // the venue's clock
  Duration skew{};                 // how wrong it is when it is asked for
  Duration database_lag{};         // news told less than this ago are not in the database yet
  Timestamp real{};                // the clock of limits
};

class FinnhubRest {
 public:
  FinnhubRest(const Market& market, const Limits& limits) : market_{market}, limits_{limits}, given_(market.size()) {}

  RestAnswer answer(const FinnhubRequest& request);
  bool good(std::string_view token) const {
    return !token.empty() && (limits_.token.empty() || token == limits_.token);
  }

  const RestCounts& counts() const { return counts_; }
  const std::vector<RestGiven>& given() const { return given_; }  // nothing: it has no trades

 private:
  struct Client {  // one token
    std::int64_t minute = -1, requests = 0;
    std::int64_t second = -1, burst = 0;
  };
  RestAnswer run(std::string_view endpoint, const FinnhubRequest& request) const;
  RestAnswer quote(const FinnhubRequest& request) const;
  RestAnswer candles(const FinnhubRequest& request) const;
  RestAnswer news(const FinnhubRequest& request) const;
  RestAnswer company_news(const FinnhubRequest& request) const;
  RestAnswer symbols(std::string_view endpoint, const FinnhubRequest& request) const;
  RestAnswer market_status(const FinnhubRequest& request) const;

  const Market& market_;
  const Limits& limits_;
  std::map<std::string, Client, std::less<>> clients_;
  RestCounts counts_;
  std::vector<RestGiven> given_;
};

namespace finnhub {
// {"error":"…"}
RestAnswer refused(int status, std::string_view message);
}  // namespace finnhub

}  // namespace truetape::sim
