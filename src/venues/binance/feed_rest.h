// Inside of Binance's feed: what it asks of the REST interface, the venue's time and its symbol list, within the
// venue's budget of weights.
#pragma once

#include "net/http_client.h"
#include "venues/binance/feed_context.h"

namespace truetape::binance {

class Rest {
 public:
  explicit Rest(FeedContext& context);

  // Until the feed stops. Once.
  net::awaitable<void> run();
  void want(const std::set<Instrument>& instruments);
  void stop();
  const std::set<Instrument>& unknown() const { return unknown_; }

 private:
  // The body of a good answer. Waits for the budget; tells what went wrong. nullopt: try again after a wait.
  net::awaitable<std::optional<net::HttpAnswer>> get(std::string target, std::int64_t weight);
  net::awaitable<bool> ask_time();
  net::awaitable<bool> ask_symbols();
  // nullopt: the body is no symbol list; else those that were found.
  net::awaitable<std::optional<std::set<Instrument>>> take_symbols(std::string body, Timestamp received);
  void take_limits(std::string_view limits);
  net::awaitable<void> pause(Nanoseconds span);
  net::SteadyTime again(net::Backoff& backoff);  // after a failure

  FeedContext& context_;
  net::HttpClient client_;
  net::RateBudget budget_;
  net::Event wake_;
  net::Backoff time_backoff_, symbols_backoff_;
  std::set<Instrument> wanted_, unknown_;
  std::map<Instrument, std::size_t> put_;  // hash of the entry that was put last
  bool refused_ = false;                   // the last answer was a refusal of us as such
  int answered_ = 0;                       // questions for the time
  net::SteadyTime next_time_{}, next_symbols_ = net::SteadyTime::max();
  std::uint64_t wants_ = 0;  // calls of want() that wanted more
};

}  // namespace truetape::binance
