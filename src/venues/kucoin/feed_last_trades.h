// Inside of KuCoin's feed: the last trades of each instrument, asked for by REST when it is carried by a new connection
// and again and again, and put as `backfill`. The venue's ids show no hole; pages that overlap each other and the
// stream do. A page has 100 trades and there is no other, so it is asked for sooner where trades are many: about
// each 40.
//
// A question that fails, or whose answer is no page, puts its own instrument off, for longer each time, so that one
// whose page is not to be had keeps no other from its own. While several fail and none is answered all questions wait
// together.
#pragma once

#include <map>
#include <set>

#include "venues/feed_errand.h"

namespace truetape::kucoin {

struct LastTradesPace {
  Nanoseconds spacing = std::chrono::milliseconds{200};  // between two questions, of all instruments
  Nanoseconds soonest = std::chrono::seconds{2};         // of one instrument
  Nanoseconds usual = std::chrono::minutes{1};           // while there are trades
  Nanoseconds longest = std::chrono::minutes{5};         // of one without trades
  // From the first question after a connection to the next; from one that failed to the next, at first.
  Nanoseconds second = std::chrono::seconds{5};
};

class LastTrades final : public feeds::Errand {
 public:
  explicit LastTrades(LastTradesPace pace = {}) : pace_{pace} {}
  net::awaitable<void> run(feeds::ErrandAccess& access) override;

 private:
  struct Of {
    Timestamp due{};                   // by the venue's clock, as all here
    Nanoseconds period{};              // until the next question
    std::optional<Timestamp> asked{};  // last, with an answer
    // Sequences of the page that was put last: what is not among them is new. Greatness says nothing, since one that
    // is damaged may be the greatest for ever, and the venue may begin anew.
    std::set<std::uint64_t> page = {};
    std::uint64_t generation = 0;  // of the sink, before that page was put
    bool carried_anew = false;     // no page since
    bool told = false;             // of what is wrong with its answers
    Nanoseconds wait{};            // after the last question, if that failed or its answer was no page
  };
  void look_at_wanted(feeds::ErrandAccess& access, Timestamp now);
  net::awaitable<bool> ask(feeds::ErrandAccess& access, Instrument instrument);
  bool venue_fails() const { return failed_.size() > 1 || (failed_.size() == 1 && all_.size() == 1); }
  void put_off(feeds::ErrandAccess& access, const Instrument& instrument);
  void wait_longer(feeds::ErrandAccess& access, Of& of) const;
  // Puts the page, if it says anything new. False: it is none, or the feed ends.
  net::awaitable<bool> take(feeds::ErrandAccess& access, Instrument instrument, std::string body, Timestamp received);

  const LastTradesPace pace_;
  std::map<Instrument, Of> all_;
  std::set<Instrument> failed_;  // since the last answer to any question
};

}  // namespace truetape::kucoin
