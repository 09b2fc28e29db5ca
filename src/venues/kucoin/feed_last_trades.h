// Inside of KuCoin's feed: the last trades of each instrument, asked for by REST when it is carried by a new connection
// and again and again, and put as `backfill`. The venue's ids show no hole; pages that overlap each other and the
// stream do. A page has 100 trades and there is no other, so it is asked for sooner where trades are many: about
// each 40.
#pragma once

#include <map>

#include "venues/feed_errand.h"

namespace truetape::kucoin {

struct LastTradesPace {
  Nanoseconds spacing = std::chrono::milliseconds{200};  // between two questions, of all instruments
  Nanoseconds soonest = std::chrono::seconds{2};         // of one instrument
  Nanoseconds usual = std::chrono::minutes{1};           // while there are trades
  Nanoseconds longest = std::chrono::minutes{5};         // of one without trades
  Nanoseconds second = std::chrono::seconds{5};          // from the first question after a connection to the next
};

class LastTrades final : public feeds::Errand {
 public:
  explicit LastTrades(LastTradesPace pace = {}) : pace_{pace} {}
  net::awaitable<void> run(feeds::ErrandAccess& access) override;

 private:
  struct Of {
    Timestamp due{};                           // by the venue's clock, as all here
    Nanoseconds period{};                      // until the next question
    std::optional<Timestamp> asked{};          // last, with an answer
    std::optional<std::uint64_t> newest = {};  // sequence of the last page's last trade
    bool carried_anew = false;                 // no page since
    bool told = false;                         // of what is wrong with its answers
  };
  void look_at_wanted(feeds::ErrandAccess& access, Timestamp now);
  net::awaitable<bool> ask(feeds::ErrandAccess& access, Instrument instrument);
  // Puts the page, if it says anything new. False: it is none, or the feed ends.
  net::awaitable<bool> take(feeds::ErrandAccess& access, Instrument instrument, std::string body, Timestamp received);

  const LastTradesPace pace_;
  std::map<Instrument, Of> all_;
};

}  // namespace truetape::kucoin
