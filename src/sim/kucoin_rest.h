// KuCoin's REST interface, made of the market's truth, and the tokens that it gives out. Pure: a request and two clocks
// go in, an answer comes out.
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

struct KucoinRequest {
  std::string_view method = "GET";
  std::string_view path;
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string_view address = "127.0.0.1";
  std::string_view endpoint = "ws://127.0.0.1/";  // of the WebSocket, as the token call tells it
  Time now{};                                     // the venue's clock
  Duration skew{};                                // how wrong it is when it is asked for
  Duration database_lag{};                        // trades told less than this ago are not in the database yet
  Timestamp real{};                               // the clock of limits and tokens
};

class KucoinRest {
 public:
  KucoinRest(const Market& market, const Limits& limits, std::uint64_t seed)
      : market_{market}, limits_{limits}, seed_{seed}, given_(market.size()) {}

  RestAnswer answer(const KucoinRequest& request);

  enum class Token { good, invalid, expired };
  Token check(std::string_view token, Timestamp now) const;

  const RestCounts& counts() const { return counts_; }
  const std::vector<RestGiven>& given() const { return given_; }

 private:
  struct Client {  // one address
    Timestamp window;
    std::int64_t weight = 0;
  };
  RestAnswer run(std::string_view endpoint, const KucoinRequest& request);
  RestAnswer token_call(const KucoinRequest& request);
  RestAnswer symbols(const KucoinRequest& request) const;
  RestAnswer one_symbol(std::string_view symbol) const;
  RestAnswer level1(const KucoinRequest& request) const;
  RestAnswer all_tickers(const KucoinRequest& request) const;
  RestAnswer stats(const KucoinRequest& request) const;
  RestAnswer histories(const KucoinRequest& request);
  RestAnswer candles(const KucoinRequest& request) const;
  void append_symbol(std::string& out, const Listing& listing) const;
  void append_stats(std::string& out, std::uint32_t instrument, Time now, bool in_list) const;

  const Market& market_;
  const Limits& limits_;
  std::uint64_t seed_, issued_ = 0;
  std::map<std::string, Client, std::less<>> clients_;
  std::map<std::string, Timestamp, std::less<>> tokens_;  // until when they are good
  RestCounts counts_;
  std::vector<RestGiven> given_;
};

namespace kucoin {
// {"code":"400100","msg":"…"}
RestAnswer refused(int status, std::string_view code, std::string_view message);
}  // namespace kucoin

}  // namespace truetape::sim
