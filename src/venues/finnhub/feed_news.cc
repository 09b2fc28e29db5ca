// Headlines by REST, for plans without the stream of them. A round asks for the wanted shares' own news and then for
// the markets' general ones; what came is put as it came, unless it is what came before.
#include <algorithm>
#include <map>

#include "core/digits.h"
#include "venues/finnhub/feed.h"
#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"
#include "venues/finnhub/markets.h"

namespace truetape::finnhub {
namespace {

using feeds::ErrandAccess;

// "2024-10-14", by UTC.
std::string day_of(Timestamp time) { return to_rfc3339(time).substr(0, 10); }

class NewsErrand final : public feeds::Errand {
 public:
  explicit NewsErrand(const NewsPolling& polling) : polling_{polling} {}

  net::awaitable<void> run(ErrandAccess& access) override {
    while (!access.stopping()) {
      const Timestamp began = access.venue_now().value_or(access.now());
      co_await round(access, began);
      const Nanoseconds left = polling_.every - (access.venue_now().value_or(access.now()) - began);
      co_await sleep(access, std::max(left, polling_.spacing));
    }
  }

 private:
  struct Asked {
    std::size_t hash = 0;                // of the page that was put last
    std::int64_t newest = 0;             // id
    Timestamp again = Timestamp::min();  // not before
    Nanoseconds pause{};                 // after the last failure
  };

  // A pause also ends when something is carried anew, which is no matter here.
  static net::awaitable<void> sleep(ErrandAccess& access, Nanoseconds span) {
    const Timestamp until = access.now() + span;
    while (!access.stopping()) {
      const Nanoseconds left = until - access.now();
      if (left <= Nanoseconds::zero()) co_return;
      co_await access.pause(left);
    }
  }

  net::awaitable<void> round(ErrandAccess& access, Timestamp began) {
    const std::set<Instrument> wanted = access.wanted();
    bool crypto = false, forex = false, whole = true;
    for (const Instrument& instrument : wanted) {
      const std::string symbol = symbol_of(instrument);
      const Market market = market_of(symbol);
      crypto |= market == Market::crypto;
      forex |= market == Market::forex;
      if (market != Market::share) continue;  // the venue has company news of North America
      const std::string target = "/company-news?symbol=" + percent_encoded(symbol) +
                                 "&from=" + day_of(began - std::chrono::hours{24}) + "&to=" + day_of(began);
      whole &= co_await ask(access, instrument.str(), target, {});
      if (access.stopping()) co_return;
    }
    if (wanted.empty()) co_return;
    std::vector<std::string> categories;
    if (crypto) categories.emplace_back("crypto");
    if (forex) categories.emplace_back("forex");
    categories.emplace_back("general");
    for (const std::string& category : categories) {
      const std::int64_t newest = asked_[category].newest;
      std::string target = "/news?category=" + category;
      if (newest > 0) target += "&minId=" + std::to_string(newest);
      // The last answer of a round in which all was answered says how far the venue's news have come.
      feeds::OwnHeaders headers;
      if (whole && category == "general") headers.emplace_back(header::as_of, std::to_string(to_ns(began)));
      whole &= co_await ask(access, category, target, std::move(headers));
      if (access.stopping()) co_return;
    }
  }

  // False: there was no answer.
  net::awaitable<bool> ask(ErrandAccess& access, std::string what, std::string target, feeds::OwnHeaders headers) {
    if (access.now() < asked_[what].again) co_return false;
    const feeds::Question question{std::string{kRestPath} + target};
    auto answer = co_await access.get(question);
    if (access.stopping()) co_return false;
    Asked& asked = asked_[what];
    if (!answer || answer->status != 200) {
      asked.pause = std::clamp(2 * asked.pause, polling_.every, polling_.longest_pause);
      asked.again = access.now() + asked.pause;
      co_return false;
    }
    asked.pause = {};
    const std::size_t hash = std::hash<std::string_view>{}(answer->body);
    asked.newest = std::max(asked.newest, newest_id(answer->body));
    if (hash != asked.hash || !headers.empty()) {
      asked.hash = hash;
      if (!co_await access.put(RawKind::backfill, {}, std::move(answer->body), answer->received, std::move(headers)))
        co_return false;
    }
    co_await sleep(access, polling_.spacing);
    co_return true;
  }

  // Of a page, so that the next question can leave out what came.
  static std::int64_t newest_id(std::string_view page) {
    RawRecord record;
    record.kind = RawKind::backfill;
    record.bytes = page;
    Events events;
    kVenue.decode(record, events);
    std::int64_t out = 0;
    for (const News& news : events.news) out = std::max(out, digits::natural(news.id).value_or(0));
    return out;
  }

  const NewsPolling polling_;
  std::map<std::string, Asked> asked_;
};

}  // namespace

std::unique_ptr<feeds::Errand> make_news_errand(const NewsPolling& polling) {
  return std::make_unique<NewsErrand>(polling);
}

}  // namespace truetape::finnhub
