// Inside of a feed: what it asks of the venue's REST interface, within the venue's budget: its time, its symbol list,
// addresses of connections, and what the venue's errand is after.
#pragma once

#include <map>
#include <set>

#include "net/http_client.h"
#include "venues/feed_context.h"

namespace truetape::feeds {

class Rest {
 public:
  explicit Rest(Context& context);

  // Until the feed stops. Once.
  net::awaitable<void> run();
  void want(const std::set<Instrument>& instruments);
  void stop();
  const std::set<Instrument>& unknown() const { return unknown_; }

  // The answer, with status 200 or 400 and a JSON body. Waits for the budget; tells what went wrong; nullopt then.
  net::awaitable<std::optional<net::HttpAnswer>> get(Question question);
  // Where the next connection goes. Tells nothing itself.
  net::awaitable<tl::expected<Address, net::ConnectError>> address(Question question);

 private:
  struct Found {
    std::set<Instrument> listed;
    bool whole = true;  // all answers could be read
  };
  net::awaitable<bool> wait_for_budget(std::int64_t weight);  // false: the feed ends
  net::HttpRequest request(const Question& question) const;
  void look_at_limits(const net::HttpAnswer& answer);
  net::awaitable<bool> ask_time();
  net::awaitable<bool> ask_symbols();
  // False: the body is no symbol list, or the feed ends.
  net::awaitable<bool> take_symbols(std::string body, Timestamp received, std::set<Instrument>& found);
  net::awaitable<void> pause(Nanoseconds span);
  net::SteadyTime again(net::Backoff& backoff);  // after a failure

  Context& context_;
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

}  // namespace truetape::feeds
