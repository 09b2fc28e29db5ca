// Inside of a feed: what it asks of the venue's REST interface, within the venue's budget: its time, its symbol list,
// addresses of connections, and what the venue's errand is after.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "net/http_client.h"
#include "venues/feed_context.h"

namespace truetape::feeds {

// What a venue offers, for wildcards.
struct Offered {
  Instrument instrument;
  std::string quote;
  std::optional<double> turnover = {};  // nullopt: not known
  bool trades = true;                   // false: listed, but halted
};

class Rest {
 public:
  explicit Rest(Context& context);

  // Until the feed stops. Once.
  net::awaitable<void> run();
  // `wildcards` are never members of `instruments`; what they mean is told by on_list, and comes back as wanted.
  void want(const std::set<Instrument>& instruments, bool wildcards);
  void ask_lists();  // soon: there is a wildcard whose meaning is not known
  // Called with each whole list, while there are wildcards, and the ranked quotes whose turnovers are not known: who is
  // greatest in these it does not tell. False: it is not believed; nothing of it is used, and the lists are asked for
  // again after a minute.
  std::function<bool(const std::vector<Offered>&, const std::set<std::string>& thin)> on_list = {};
  // Called when what was put may be lost (RawSink::generation). References are put again about a minute later.
  std::function<void()> on_loss = {};
  std::set<std::string> ranked = {};  // quotes of which a wildcard wants the greatest
  void stop();
  const std::set<Instrument>& unknown() const { return unknown_; }

  // The answer, with status 200 or 400 and a JSON body. Waits for the budget; tells what went wrong; nullopt then.
  net::awaitable<std::optional<net::HttpAnswer>> get(Question question);
  // Where the next connection goes. Tells nothing itself.
  net::awaitable<tl::expected<Address, net::ConnectError>> address(Question question);

 private:
  net::awaitable<bool> wait_for_budget(std::int64_t weight);  // false: the feed ends
  net::HttpRequest request(const Question& question) const;
  void look_at_limits(const net::HttpAnswer& answer);
  net::awaitable<bool> ask_time();
  struct List {
    std::string body;  // what `list` views
    Timestamp received;
    SymbolList list = {};
  };
  // The worse, the later. doubted: not believed by on_list; spoilt: Dialect::ask_whole.
  enum class Outcome : std::uint8_t { good, doubted, failed, refused, spoilt };
  net::awaitable<void> ask_symbols();
  net::awaitable<Outcome> ask_list(Question question, bool may_be_spoilt, std::deque<List>& out);
  // False: the feed ends.
  net::awaitable<bool> take_symbols(const SymbolList& list, Timestamp received, std::set<Instrument>& found);
  net::awaitable<Outcome> select(const std::deque<List>& lists);
  std::set<std::string> thin_quotes(const std::vector<Offered>& offered);
  void tell_unknown(const Instrument& instrument);
  void look_at_sink();
  void ask_again();  // for all lists but those that are not to be had
  net::SteadyTime after(Outcome outcome, Nanoseconds failed) const;
  net::awaitable<void> pause(Nanoseconds span);
  net::SteadyTime again(net::Backoff& backoff);  // after a failure

  Context& context_;
  net::HttpClient client_;
  net::RateBudget budget_;
  net::Event wake_;
  net::Backoff time_backoff_, symbols_backoff_;
  std::set<Instrument> wanted_, unknown_;
  std::map<Instrument, std::size_t> put_;  // hash of the entry that was put last
  std::uint64_t generation_;               // of the sink, before these were put
  // By target. Each list has its own time, so that one that the plan does not include or that fails is asked for again
  // without the others. What is not here is due.
  struct Asked {
    net::SteadyTime due;
    bool good;
  };
  std::map<std::string, Asked> lists_;
  bool empty_told_ = false;
  std::set<std::string> few_told_;  // quotes
  bool refused_ = false;            // the last answer was a refusal of us as such
  int answered_ = 0;                // questions for the time
  net::SteadyTime next_time_{}, next_symbols_ = net::SteadyTime::max();
  std::uint64_t wants_ = 0;   // calls of want() that wanted more
  std::uint64_t listed_ = 0;  // of them, the last list is of
  bool wildcards_ = false;
};

}  // namespace truetape::feeds
