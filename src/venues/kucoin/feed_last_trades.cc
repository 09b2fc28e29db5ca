#include "venues/kucoin/feed_last_trades.h"

#include <algorithm>

#include "net/url.h"
#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"

namespace truetape::kucoin {
namespace {

using Level = FeedEvent::Level;

constexpr std::int64_t kWeight = 3;
constexpr std::int64_t kMeant = 40;  // trades between two questions, of the 100 that a page has
constexpr net::BackoffConfig kBackoff{std::chrono::seconds{1}, std::chrono::minutes{1}, 2};

}  // namespace

net::awaitable<void> LastTrades::run(feeds::ErrandAccess& access) {
  net::Backoff backoff{kBackoff, access.settings().seed};
  while (!access.stopping()) {
    const auto now = access.venue_now();
    if (!now) {  // nothing is carried before the venue's time is known
      co_await access.pause(pace_.usual);
      continue;
    }
    look_at_wanted(access, *now);
    // Of those that are due the one whose page runs out first.
    const auto deadline = [](const auto& entry) { return entry.second.due + entry.second.period; };
    auto next = all_.end();
    Timestamp soonest = *now + pace_.usual;
    for (auto at = all_.begin(); at != all_.end(); ++at) {
      soonest = std::min(soonest, at->second.due);
      if (at->second.due <= *now && (next == all_.end() || deadline(*at) < deadline(*next))) next = at;
    }
    if (next == all_.end()) {
      co_await access.pause(soonest - *now);
      continue;
    }
    const bool answered = co_await ask(access, next->first);
    if (answered) backoff.reset();
    if (!access.stopping()) co_await access.pause(venue_fails() ? backoff.next() : pace_.spacing);
  }
}

void LastTrades::look_at_wanted(feeds::ErrandAccess& access, Timestamp now) {
  for (const Instrument& instrument : access.take_new_carried()) {
    Of& of = all_[instrument];
    if (of.period == Nanoseconds::zero() || of.period > pace_.second) of.period = pace_.second;
    of.due = now;
    of.carried_anew = true;
  }
  std::erase_if(all_, [&](const auto& entry) { return !access.wanted().contains(entry.first); });
}

// One that fails alone waits longer each time. Where others fail beside it, and none is answered, it may be the venue
// that cannot be asked, which says nothing of the instrument: then run() waits longer.
void LastTrades::put_off(feeds::ErrandAccess& access, const Instrument& instrument) {
  const auto found = all_.find(instrument);
  if (found == all_.end()) return;
  failed_.insert(instrument);
  if (venue_fails() && found->second.wait > Nanoseconds::zero())
    found->second.due = access.venue_now().value_or(found->second.due) + found->second.wait;
  else
    wait_longer(access, found->second);
}

void LastTrades::wait_longer(feeds::ErrandAccess& access, Of& of) const {
  of.wait = of.wait == Nanoseconds::zero() ? pace_.second : std::min(2 * of.wait, pace_.longest);
  of.due = access.venue_now().value_or(of.due) + of.wait;
}

// False: there was no answer.
net::awaitable<bool> LastTrades::ask(feeds::ErrandAccess& access, Instrument instrument) {
  feeds::Question question{"/api/v1/market/histories?symbol=" + net::percent_encode(instrument.symbol()), kWeight};
  auto answer = co_await access.get(std::move(question));
  if (!answer) {
    put_off(access, instrument);
    co_return false;
  }
  failed_.clear();
  const bool good = co_await take(access, instrument, std::move(answer->body), answer->received);
  if (const auto found = all_.find(instrument); found != all_.end()) {
    if (good)
      found->second.wait = {};
    else
      wait_longer(access, found->second);
  }
  co_return true;
}

net::awaitable<bool> LastTrades::take(feeds::ErrandAccess& access, Instrument instrument, std::string body,
                                      Timestamp received) {
  RawRecord record;
  record.kind = RawKind::backfill;
  record.bytes = body;
  record.instruments = instrument.text();
  Events page;
  decode_page(record, page);
  const auto found = all_.find(instrument);
  if (found == all_.end()) co_return true;
  Of& of = found->second;
  const std::string symbol{instrument.symbol()};
  // A page in which one trade is bad goes to the log like any other; what is no page at all does not.
  const auto good = std::ranges::find(page.items, Item::Type::trade, &Item::type);
  if (good == page.items.end() && !page.items.empty()) {
    if (!std::exchange(of.told, true))
      access.tell(Level::warning, "the last trades of " + symbol + " cannot be read: " + page.items.front().detail +
                                      " (" + feeds::beginning(body) + "); they are asked for again");
    co_return false;
  }
  of.told = false;
  const Timestamp now = access.venue_now().value_or(of.due);
  // What was put before the sink lost records may be lost.
  const std::uint64_t generation = access.generation();
  if (of.generation != generation) of.page.clear();
  std::set<std::uint64_t> sequences;
  for (const Item& item : page.items)
    if (item.type == Item::Type::trade) sequences.insert(item.trade.order);
  const auto fresh = std::ranges::count_if(sequences, [&](std::uint64_t one) { return !of.page.contains(one); });
  const bool known = !of.page.empty();
  if (fresh > 0 && of.carried_anew && known && fresh == std::ssize(sequences))
    access.tell(Level::info, "more trades of " + symbol +
                                 " were made since its last page than the venue tells of: those that did not come "
                                 "over a connection are lost");
  const bool second = std::exchange(of.carried_anew, false);
  if (fresh == 0 && of.asked)
    of.period = std::min(std::max(of.period, pace_.usual / 2) * 2, pace_.longest);
  else if (known && of.asked && now > *of.asked)
    of.period = std::clamp((now - *of.asked) * kMeant / fresh, pace_.soonest, pace_.usual);
  else
    of.period = pace_.second;
  if (second) of.period = std::min(of.period, pace_.second);  // the trades just behind the connection's beginning
  of.asked = now;
  of.due = now + of.period;
  if (fresh == 0) co_return true;
  of.page = std::move(sequences);
  of.generation = generation;
  feeds::OwnHeaders headers{{std::string{header::tape}, std::string{name(Tape::trade)}}};
  std::vector<Instrument> to{instrument};
  co_return co_await access.put(RawKind::backfill, std::move(to), std::move(body), received, std::move(headers));
}

}  // namespace truetape::kucoin
