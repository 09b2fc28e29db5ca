// Headlines by REST, for plans without the stream of them. A round asks for the wanted shares' own news and then for
// the markets' general ones; what came is put as it came, unless it is what came before.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/digits.h"
#include "venues/finnhub/feed.h"
#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"
#include "venues/finnhub/markets.h"

namespace truetape::finnhub {
namespace {

using feeds::ErrandAccess;

constexpr std::int64_t kNear = 1000;  // ids so near, or within a doubling, may follow each other

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
    std::int64_t newest = 0;             // id; 0: not known, all headlines are asked for
    Timestamp heard = Timestamp::min();  // a page with headlines, or one that was asked for without `newest`
    std::uint64_t generation = 0;        // of the sink, before that page was put
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
      Asked& asked = of(access, category);
      // An id that is damaged, or ids that begin anew, would leave out everything for ever.
      if (access.now() >= asked.heard + polling_.whole_after) asked.newest = 0;
      const std::int64_t newest = asked.newest;
      std::string target = "/news?category=" + category;
      if (newest > 0) target += "&minId=" + std::to_string(newest);
      // The last answer of a round in which all was answered says how far the venue's news have come.
      feeds::OwnHeaders headers;
      if (whole && category == "general") headers.emplace_back(header::as_of, std::to_string(to_ns(began)));
      whole &= co_await ask(access, category, target, std::move(headers));
      if (access.stopping()) co_return;
    }
  }

  // What has come of a question. What was put before the sink lost records may be lost: it is put again.
  Asked& of(ErrandAccess& access, const std::string& what) {
    Asked& asked = asked_[what];
    if (std::exchange(asked.generation, access.generation()) != access.generation()) {
      asked.hash = 0;
      asked.newest = 0;
    }
    return asked;
  }

  // False: there was no answer.
  net::awaitable<bool> ask(ErrandAccess& access, std::string what, std::string target, feeds::OwnHeaders headers) {
    if (access.now() < of(access, what).again) co_return false;
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
    std::vector<std::int64_t> ids = ids_of(answer->body);
    if (!ids.empty() || asked.newest == 0) asked.heard = access.now();
    asked.newest = newest_of(asked.newest, std::move(ids));
    if (hash != asked.hash || !headers.empty()) {
      asked.hash = hash;
      if (!co_await access.put(RawKind::backfill, {}, std::move(answer->body), answer->received, std::move(headers)))
        co_return false;
    }
    co_await sleep(access, polling_.spacing);
    co_return true;
  }

  static std::vector<std::int64_t> ids_of(std::string_view page) {
    RawRecord record;
    record.kind = RawKind::backfill;
    record.bytes = page;
    Events events;
    kVenue.decode(record, events);
    std::vector<std::int64_t> out;
    for (const News& news : events.news)
      if (const auto id = digits::natural(news.id)) out.push_back(*id);
    return out;
  }

  // So that the next question can leave out what came. An id that is far from all others is not believed.
  static std::int64_t newest_of(std::int64_t newest, std::vector<std::int64_t> ids) {
    if (ids.empty()) return newest;
    std::ranges::sort(ids);
    if (newest == 0) newest = ids[(ids.size() - 1) / 2];
    for (const std::int64_t id : ids)
      if (id > newest && id - newest <= std::max(newest, kNear)) newest = id;
    return newest;
  }

  const NewsPolling polling_;
  std::map<std::string, Asked> asked_;
};

}  // namespace

std::unique_ptr<feeds::Errand> make_news_errand(const NewsPolling& polling) {
  return std::make_unique<NewsErrand>(polling);
}

}  // namespace truetape::finnhub
