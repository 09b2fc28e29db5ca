#include "sim/market.h"

#include <algorithm>
#include <array>
#include <limits>

namespace truetape::sim {
namespace {

constexpr std::array<std::string_view, 18> kQuotes{"USDT", "FDUSD", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR",
                                                   "TRY",  "BRL",   "JPY",  "USD1", "DAI",  "PAX", "GBP", "AUD", "USD"};
constexpr std::size_t kDeals = 100, kNews = 10'000;  // that REST can still give
constexpr BarInterval kMinute{"1m", std::chrono::minutes{1}};

}  // namespace

std::string_view venue_name(Product product) {
  constexpr std::array<std::string_view, 4> kNames{"binance", "binance-usdm", "kucoin", "finnhub"};
  return kNames[static_cast<std::size_t>(product)];
}

std::string_view kind_text(Kind kind) {
  constexpr std::array<std::string_view, 6> kTexts{"MARKET", "RPI", "INSURANCE_FUND", "ADL", "NA", "NOVEL"};
  return kTexts[static_cast<std::size_t>(kind)];
}
std::optional<Kind> parse_kind(std::string_view text) {
  if (text.empty()) return Kind::na;  // a CSV tool took "NA" for nothing
  for (int i = 0; i < 5; ++i)
    if (kind_text(static_cast<Kind>(i)) == text) return static_cast<Kind>(i);
  return Kind::unknown;
}

void split_symbol(Listing& listing) {
  const std::string_view symbol{listing.symbol};
  for (const std::string_view quote : kQuotes)
    if (symbol.size() > quote.size() && symbol.ends_with(quote)) {
      listing.base = symbol.substr(0, symbol.size() - quote.size());
      listing.quote = quote;
      return;
    }
  listing.base = symbol;
  listing.quote.clear();
}

Market::Market(Product product, std::vector<Listing> listings, std::size_t keep) : product_{product}, keep_{keep} {
  books_.reserve(listings.size());
  for (Listing& listing : listings) {
    by_symbol_.emplace(listing.symbol, static_cast<std::uint32_t>(books_.size()));
    Book& book = books_.emplace_back();
    book.next_aggregate = listing.first_aggregate;
    book.listing = std::move(listing);
  }
}

std::optional<std::uint32_t> Market::find(std::string_view symbol) const {
  const auto found = by_symbol_.find(std::string{symbol});
  if (found == by_symbol_.end()) return std::nullopt;
  return found->second;
}

void Market::fold(Book& book, Time traded, Units price, Units quantity, bool buyer_is_maker, std::uint64_t first,
                  std::uint64_t last) {
  const Time start = bar_start(traded, kMinute);
  auto& minutes = book.minutes;
  if (minutes.empty() || traded < book.first_traded) book.first_traded = traded;
  auto at = minutes.end();
  // Nearly always the last one; a venue's clock may step back by a little.
  while (at != minutes.begin() && std::prev(at)->start >= start) --at;
  if (at == minutes.end() || at->start != start) at = minutes.insert(at, Bar{.start = start});
  at->add(price, quantity, buyer_is_maker, first, last);
}

std::optional<Aggregate> Market::publish(std::uint32_t instrument, const Print& print) {
  Book& book = books_[instrument];
  book.trade_ids.add(print.id);
  book.prints.push_back(print);
  if (book.prints.size() > keep_) book.prints.pop_front();
  if (!counts(print.kind)) return std::nullopt;
  book.last = print;
  fold(book, print.traded, print.price, print.quantity, print.buyer_is_maker, print.id, print.id);
  if (!book.growing) {
    book.growing = Aggregate{.id = book.next_aggregate++,
                             .first = print.id,
                             .traded = print.traded,
                             .price = print.price,
                             .buyer_is_maker = print.buyer_is_maker};
  }
  Aggregate& growing = *book.growing;
  growing.last = print.id;
  growing.told = print.told;
  growing.quantity += print.quantity;
  if (print.kind == Kind::market) growing.normal += print.quantity;
  if (!print.ends) return std::nullopt;
  const Aggregate made = growing;
  book.growing.reset();
  book.aggregate_ids.add(made.id);
  book.aggregates.push_back(made);
  if (book.aggregates.size() > keep_) book.aggregates.pop_front();
  return made;
}

void Market::publish(std::uint32_t instrument, const Aggregate& aggregate) {
  Book& book = books_[instrument];
  book.aggregate_ids.add(aggregate.id);
  book.trade_ids.add(aggregate.first, aggregate.last);
  book.aggregates.push_back(aggregate);
  if (book.aggregates.size() > keep_) book.aggregates.pop_front();
  book.last = Print{.id = aggregate.last,
                    .traded = aggregate.traded,
                    .told = aggregate.told,
                    .price = aggregate.price,
                    .quantity = aggregate.quantity,
                    .buyer_is_maker = aggregate.buyer_is_maker};
  fold(book, aggregate.traded, aggregate.price, aggregate.quantity, aggregate.buyer_is_maker, aggregate.first,
       aggregate.last);
}

void Market::publish(std::uint32_t instrument, const Quote& quote) { books_[instrument].quote = quote; }

void Market::publish(std::uint32_t instrument, const Deal& deal) {
  Book& book = books_[instrument];
  const Print print{.id = deal.id,
                    .traded = deal.traded,
                    .told = deal.told,
                    .price = deal.price,
                    .quantity = deal.quantity,
                    .buyer_is_maker = deal.buyer_is_maker};
  book.trade_ids.add(deal.id);
  book.last = print;
  book.deals.push_back(deal);
  if (book.deals.size() > kDeals) book.deals.pop_front();
  if (deal.quantity == 0) return;
  book.prints.push_back(print);
  if (book.prints.size() > keep_) book.prints.pop_front();
  fold(book, deal.traded, deal.price, deal.quantity, deal.buyer_is_maker, deal.id, deal.id);
}

void Market::publish(std::uint32_t instrument, const Level& level) { books_[instrument].level = level; }

void Market::publish(std::uint32_t, const News& news) {
  news_.push_back(news);
  news_ids_.add(news.text->id);
  if (news_.size() > kNews) news_.pop_front();
}

void Market::fold_range(const Book& book, Time from, Time to, Time now, Bar& into) {
  const auto fold_those = [&](const auto& all, const auto& fold_one) {
    auto at = std::ranges::partition_point(all, [&](const auto& item) { return item.traded < from; });
    for (; at != all.end() && at->traded < to && at->told <= now; ++at) fold_one(*at);
  };
  if (book.listing.only_aggregates)
    fold_those(book.aggregates,
               [&](const Aggregate& a) { into.add(a.price, a.quantity, a.buyer_is_maker, a.first, a.last); });
  else
    fold_those(book.prints, [&](const Print& p) {
      if (counts(p.kind)) into.add(p.price, p.quantity, p.buyer_is_maker, p.id, p.id);
    });
}

std::vector<Bar> Market::bars(std::uint32_t instrument, const BarInterval& interval, Time from, Time to, Time now,
                              std::size_t limit, bool newest, Duration offset) const {
  const Book& book = books_[instrument];
  if (book.minutes.empty() || limit == 0) return {};
  const Time first = bar_start(book.minutes.front().start, interval, offset);
  const Time end = std::min(to, next_bar(bar_start(now, interval, offset), interval, offset));
  Time start = first;
  if (from > first) {
    start = bar_start(from, interval, offset);
    if (start < from) start = next_bar(start, interval, offset);
  }
  if (newest && !interval.month && end > start) {
    const Time earliest = bar_start(end - Duration{1}, interval, offset) -
                          interval.length * static_cast<std::int64_t>(std::min<std::size_t>(limit, 100'000) - 1);
    start = std::max(start, earliest);
  }
  std::vector<Bar> result;
  // The close before the first bar that is asked for.
  Units price = book.minutes.front().open;
  auto minute = std::ranges::lower_bound(book.minutes, start, {}, &Bar::start);
  if (interval.length < kMinute.length) {
    const Time whole = bar_start(start, kMinute);
    minute = std::ranges::lower_bound(book.minutes, whole, {}, &Bar::start);
    if (minute != book.minutes.begin()) price = std::prev(minute)->close;
    Bar before{.start = whole};
    fold_range(book, whole, start, now, before);
    if (before.trades != 0) price = before.close;
  } else if (minute != book.minutes.begin()) {
    price = std::prev(minute)->close;
  }
  for (; start < end; start = next_bar(start, interval, offset)) {
    if (!newest && result.size() == limit) break;
    const Time stop = next_bar(start, interval, offset);
    Bar bar{.start = start};
    if (interval.length < kMinute.length) {
      fold_range(book, start, stop, now, bar);
    } else {
      while (minute != book.minutes.end() && minute->start < start) ++minute;
      for (; minute != book.minutes.end() && minute->start < stop && minute->start <= now; ++minute) {
        if (minute->start + kMinute.length <= now) {
          bar.add(*minute);
        } else {  // not over, as of `now`
          Bar part{.start = minute->start};
          fold_range(book, minute->start, minute->start + kMinute.length, now, part);
          bar.add(part);
        }
      }
    }
    if (bar.trades == 0) {
      if (stop <= book.first_traded) continue;
      bar = Bar::flat(start, price);
    }
    price = bar.close;
    result.push_back(bar);
  }
  if (newest && result.size() > limit) result.erase(result.begin(), result.end() - static_cast<std::ptrdiff_t>(limit));
  return result;
}

std::optional<Bar> Market::bar_at(std::uint32_t instrument, const BarInterval& interval, Time t) const {
  const Time start = bar_start(t, interval);
  auto found = bars(instrument, interval, start, start + Duration{1},
                    std::max(t, next_bar(start, interval) - Duration{1}), 1, false);
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::pair<Bar, Units> Market::day(std::uint32_t instrument, Time now) const {
  const Book& book = books_[instrument];
  const Time from = now - std::chrono::hours{24};
  Bar all{.start = from};
  auto minute = std::ranges::lower_bound(book.minutes, from, {}, &Bar::start);
  const Units before = minute == book.minutes.begin() ? 0 : std::prev(minute)->close;
  for (; minute != book.minutes.end() && minute->start <= now; ++minute) all.add(*minute);
  if (all.trades == 0) all = Bar::flat(from, before);
  return {all, before};
}

}  // namespace truetape::sim
