// Headlines by REST: for plans without the stream of them, and beside that, for what it does not bring. A round asks
// for the wanted shares' own news and then for the markets' general ones. Of each page's elements those are put that
// were not put before, as they stand: a day's page is told again with every headline that is added, and a bad element
// would be in quarantine as often.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/digits.h"
#include "core/utf8.h"
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

// A page's elements as they stand. An error: it is no array that can be read to its end.
Result<std::vector<std::string_view>> elements_of(std::string_view page) {
  std::vector<std::string_view> out;
  json::Reader reader{page};
  const auto bad = [&](const std::string& what) {
    return failure(Fault::malformed, Retry::after_backoff,
                   "at byte " + std::to_string(reader.position()) + " it " + what);
  };
  reader.blanks();
  if (!is_utf8(page)) return bad("is not UTF-8");
  if (!reader.take('[')) return bad("is no array");
  reader.blanks();
  if (!reader.take(']')) {
    for (;;) {
      reader.blanks();
      const std::size_t from = reader.position();
      json::Value value;
      if (!reader.value(value)) return bad(reader.problem().what);
      out.push_back(page.substr(from, reader.position() - from));
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) return bad("has no comma where one is needed");
    }
  }
  reader.blanks();
  if (!reader.at_end()) return bad("goes on behind its end");
  return out;
}

// Which elements of a question's pages were put, by hash. Those of the last page are always known, and of older ones
// the last kRemembered at least.
class PutElements {
 public:
  void begin_page() {
    if (recent_.size() < kRemembered) return;
    older_ = std::exchange(recent_, {});
  }
  // Was it put, and is it not yet due again? In either case it has been seen, and is not forgotten soon.
  bool known(std::size_t hash, Timestamp now) {
    if (auto moved = older_.extract(hash)) recent_.insert(std::move(moved));
    const auto found = recent_.find(hash);
    return found != recent_.end() && now < found->second;
  }
  // Due again at `again`; Timestamp::max(): never.
  void put(std::size_t hash, Timestamp again) { recent_[hash] = again; }

 private:
  static constexpr std::size_t kRemembered = 2000;
  std::unordered_map<std::size_t, Timestamp> recent_, older_;
};

class NewsErrand final : public feeds::Errand {
 public:
  explicit NewsErrand(const NewsPolling& polling) : polling_{polling} {}

  net::awaitable<void> run(ErrandAccess& access) override {
    while (!access.stopping()) {
      access.take_new_carried();  // what came before them, this round asks for
      // Lengths by our clock: what is known of the venue's may change in between.
      const Timestamp began = access.now();
      co_await round(access, access.venue_now());
      co_await until_next(access, began);
    }
  }

 private:
  // What a question asks for: a share's news of two days, the newest of a category, those behind the newest id.
  enum class Span : std::uint8_t { days, newest, behind };

  struct Asked {
    PutElements put;
    std::int64_t newest = 0;             // id; 0: not known, all headlines are asked for
    Timestamp heard = Timestamp::min();  // a page with headlines, or one that was asked for without `newest`
    std::uint64_t generation = 0;        // of the sink, before anything in `put` was put
    Timestamp again = Timestamp::min();  // not before
    Nanoseconds pause{};                 // after the last failure
    bool told = false;                   // of a page that cannot be read
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

  // The next round begins `every` after `began`, or sooner because a connection carries anew, or a question that failed
  // is due: with it the others are asked as well.
  net::awaitable<void> until_next(ErrandAccess& access, Timestamp began) {
    const Timestamp soonest = access.now() + polling_.spacing;
    Timestamp next = std::max(began + polling_.every, soonest);
    for (const auto& [what, asked] : asked_)
      if (asked.pause > Nanoseconds::zero()) next = std::min(next, std::max(asked.again, soonest));
    while (!access.stopping() && access.now() < next) {
      if (polling_.every_carried && !access.take_new_carried().empty())
        next = std::min(next, std::max(began + *polling_.every_carried, soonest));
      if (const Nanoseconds left = next - access.now(); left > Nanoseconds::zero()) co_await access.pause(left);
    }
  }

  // `venue_began`: by the venue's clock. While that is not known nothing is said of how far its news have come.
  net::awaitable<void> round(ErrandAccess& access, std::optional<Timestamp> venue_began) {
    const Timestamp began = venue_began.value_or(access.now());
    const std::set<Instrument> wanted = access.wanted();
    std::set<std::string> markets;  // whose news are asked for by category
    if (!wanted.empty()) markets.insert("general");
    for (const Instrument& instrument : wanted) {
      const Market market = market_of(symbol_of(instrument));
      if (market == Market::crypto) markets.insert("crypto");
      if (market == Market::forex) markets.insert("forex");
    }
    std::erase_if(asked_, [&](const auto& of) {
      const auto instrument = Instrument::parse(of.first);
      return instrument ? !wanted.contains(*instrument) : !markets.contains(of.first);
    });
    bool whole = true;
    for (const Instrument& instrument : wanted) {
      const std::string symbol = symbol_of(instrument);
      if (market_of(symbol) != Market::share) continue;  // the venue has company news of North America
      const std::string target = "/company-news?symbol=" + percent_encoded(symbol) +
                                 "&from=" + day_of(began - std::chrono::hours{24}) + "&to=" + day_of(began);
      whole &= co_await ask(access, instrument.str(), target, Span::days, {});
      if (access.stopping()) co_return;
    }
    for (const char* const name : {"crypto", "forex", "general"}) {
      const std::string category = name;
      if (!markets.contains(category)) continue;
      Asked& asked = of(access, category);
      // An id that is damaged, or ids that begin anew, would leave out everything for ever.
      if (access.now() >= asked.heard + polling_.whole_after) asked.newest = 0;
      const std::int64_t newest = asked.newest;
      std::string target = "/news?category=" + category;
      if (newest > 0) target += "&minId=" + std::to_string(newest);
      // The last answer of a round in which all was answered says how far the venue's news have come.
      feeds::OwnHeaders headers;
      if (whole && venue_began && category == "general")
        headers.emplace_back(header::as_of, std::to_string(to_ns(began)));
      const Span span = newest > 0 ? Span::behind : Span::newest;
      whole &= co_await ask(access, category, target, span, std::move(headers));
      if (access.stopping()) co_return;
    }
  }

  // What has come of a question. What was put before the sink lost records may be lost: it is put again.
  Asked& of(ErrandAccess& access, const std::string& what) {
    Asked& asked = asked_[what];
    if (std::exchange(asked.generation, access.generation()) != access.generation()) {
      asked.put = {};
      asked.newest = 0;
    }
    return asked;
  }

  // `headers`: of the record, if the page reaches back. False: it does not, or there was no answer.
  net::awaitable<bool> ask(ErrandAccess& access, std::string what, std::string target, Span span,
                           feeds::OwnHeaders headers) {
    if (access.now() < of(access, what).again) co_return false;
    const feeds::Question question{std::string{kRestPath} + target};
    auto answer = co_await access.get(question);
    if (access.stopping()) co_return false;
    Asked& asked = asked_[what];
    if (!answer || answer->status != 200) {
      put_off(access, asked);
      co_return false;
    }
    Fresh fresh = fresh_of(asked, answer->body, span, access.venue_now().value_or(access.now()));
    if (fresh.unreadable.empty()) {
      asked.pause = {};
      asked.told = false;
      std::vector<std::int64_t> ids = ids_of(answer->body);
      if (!ids.empty() || asked.newest == 0) asked.heard = access.now();
      asked.newest = newest_of(asked.newest, std::move(ids));
    } else {
      // What it lacks may be older than what it has: to ask behind that would leave it out.
      put_off(access, asked);
      if (!std::exchange(asked.told, true))
        access.tell(FeedEvent::Level::warning, "the page of headlines of " + what +
                                                   " cannot be read: " + fresh.unreadable + " (" +
                                                   feeds::beginning(answer->body) + "); it is asked for again");
    }
    const bool reaches_back = fresh.reaches_back && asked.generation == access.generation();
    if (!reaches_back) headers.clear();
    if (fresh.any || !headers.empty()) {
      if (!co_await access.put(RawKind::backfill, {}, std::move(fresh.page), answer->received, std::move(headers)))
        co_return false;
    }
    co_await sleep(access, polling_.spacing);
    co_return reaches_back;
  }

  void put_off(ErrandAccess& access, Asked& asked) const {
    asked.pause = std::clamp(2 * asked.pause, std::min(polling_.every, polling_.first_pause), polling_.longest_pause);
    asked.again = access.now() + asked.pause;
  }

  struct Fresh {
    std::string page = "[]";      // of what was not put before: the page as it came, if that is all of it
    bool any = false;             // is there anything?
    bool reaches_back = false;    // to what was put before, or to where the question begins; else it may be cut off
    std::string unreadable = {};  // why, if it is no page; then it counts as one element
  };
  // `now`: by the venue's clock, if that is known. A headline of the future will be quarantined: it is due again when
  // its time has come.
  Fresh fresh_of(Asked& asked, std::string_view page, Span span, Timestamp now) {
    Fresh out;
    asked.put.begin_page();
    const auto whole = elements_of(page);
    if (!whole) out.unreadable = whole.error().detail;
    const std::vector<std::string_view> elements = whole.value_or(std::vector{page});
    std::vector<std::string_view> fresh;
    std::unordered_set<std::size_t> here;  // an element that comes twice in the page was not put before it
    bool meets = false;                    // what was
    for (const std::string_view element : elements) {
      const std::size_t hash = std::hash<std::string_view>{}(element);
      const bool repeated = !here.insert(hash).second;
      if (asked.put.known(hash, now)) {
        meets = meets || !repeated;
        continue;
      }
      const Events events = decoded(element);
      const bool early = whole.has_value() && !events.news.empty() && events.news[0].event_time > now;
      asked.put.put(hash, early ? events.news[0].event_time : Timestamp::max());
      fresh.push_back(element);
    }
    out.any = !fresh.empty();
    if (fresh.size() == elements.size()) {
      out.page = page;
    } else if (out.any) {
      out.page.clear();
      for (const std::string_view element : fresh) (out.page += out.page.empty() ? '[' : ',') += element;
      out.page += ']';
    }
    if (!whole) return out;
    std::size_t& fullest = fullest_[span == Span::days];
    out.reaches_back =
        elements.empty() || (span != Span::behind && meets) || (span != Span::newest && elements.size() < fullest);
    fullest = std::max(fullest, elements.size());
    return out;
  }

  static Events decoded(std::string_view page) {
    RawRecord record;
    record.kind = RawKind::backfill;
    record.bytes = page;
    Events events;
    kVenue.decode(record, events);
    return events;
  }

  static std::vector<std::int64_t> ids_of(std::string_view page) {
    const Events events = decoded(page);
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
  std::array<std::size_t, 2> fullest_{};  // elements of the fullest page: of categories, of shares
};

}  // namespace

std::unique_ptr<feeds::Errand> make_news_errand(const NewsPolling& polling) {
  return std::make_unique<NewsErrand>(polling);
}

}  // namespace truetape::finnhub
