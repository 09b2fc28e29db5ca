// What the simulated venue knows: its instruments, and what has happened in them so far. The truth of a simulation. It
// changes only by publish(), in the order of the tape; REST answers and streams are made of it. Pure: no clock, no
// network.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/bars.h"
#include "sim/id_ranges.h"
#include "sim/numbers.h"

namespace truetape::sim {

// What is simulated: a venue, and of Binance which of its markets.
enum class Product : std::uint8_t { spot, usdm, kucoin, finnhub };
constexpr bool of_binance(Product product) { return product == Product::spot || product == Product::usdm; }
std::string_view venue_name(Product product);  // as truetape calls them: "binance", "binance-usdm"

// The field X of USD-M; all trades of spot are of the market.
enum class Kind : std::uint8_t { market, rpi, insurance_fund, adl, na, unknown };
std::string_view kind_text(Kind kind);
std::optional<Kind> parse_kind(std::string_view text);
// Fills in the order book: what REST lists, aggregates hold and klines count.
constexpr bool counts(Kind kind) { return kind == Kind::market || kind == Kind::rpi; }

struct Print {
  std::uint64_t id = 0;
  Time traded{};  // T, by the matching engine
  Time told{};    // E, when the stream tells it
  Units price = 0, quantity = 0;
  bool buyer_is_maker = false;
  Kind kind = Kind::market;
  bool ends = true;  // the last one of its aggregate
};
struct Aggregate {
  std::uint64_t id = 0, first = 0, last = 0;
  Time traded{}, told{};
  Units price = 0, quantity = 0;
  Units normal = 0;  // without fills of RPI orders
  bool buyer_is_maker = false;
};
struct Quote {
  std::uint64_t update = 0;
  Time traded{}, told{};
  Units bid = 0, bid_quantity = 0, ask = 0, ask_quantity = 0;
};

// A trade of a venue without contiguous ids, as it writes it. Prices here are in 10^-12 (kFineDecimals): some of these
// venues list finer ones than Binance.
inline constexpr int kFineDecimals = 12;
struct DealText {
  std::string price = {}, quantity = {};  // the digits as written
  // KuCoin:
  std::string trade_id = {}, taker = {}, maker = {};
  bool older = false;  // in the form of before 2022
  // Finnhub: the field `c` as JSON; nullopt: it is not there.
  std::optional<std::string> conditions = {};
  bool made = false;   // by the generator: trades wait for others to fill a message
  bool sweep = false;  // of a made trade of shares: one of several at once
};
struct Deal {
  std::uint64_t id = 0;  // KuCoin: the sequence; Finnhub: counted here, by symbol, from 1
  Time traded{}, told{};
  std::int32_t traded_ns = 0;     // behind its microsecond
  Units price = 0, quantity = 0;  // 10^-12, 10^-8; Finnhub: no quantity is an update of the price and no trade
  bool buyer_is_maker = false;
  bool ends = true;  // Finnhub: the last one of its message, in recordings
  std::shared_ptr<const DealText> text = {};
};
// KuCoin's best prices and last trade, as its tickers tell them.
struct LevelText {
  std::string sequence = {}, price = {}, size = {}, bid = {}, bid_size = {}, ask = {}, ask_size = {};
  bool older = false;     // in the form of before 2022
  bool ticker = true;     // tells /market/ticker ...
  bool best = true;       // ... and /spotMarket/level1
  bool recorded = false;  // told when it was; else no more often than the venue does
};
struct Level {
  Time traded{}, told{};  // traded: what the venue says as its time
  std::shared_ptr<const LevelText> text = {};
};
// Finnhub's headlines.
struct NewsText {
  std::uint64_t id = 0;
  std::string category, headline, image, related, source, summary, url;
};
struct News {
  Time traded{}, told{};  // traded: when it was published
  bool ends = true;       // the last one of its message, in recordings
  std::shared_ptr<const NewsText> text = {};
};

struct Listing {
  std::string symbol;  // upper case
  std::string base, quote;
  int price_decimals = kDecimals, quantity_decimals = kDecimals;  // as written in messages
  Units tick = 1, step = 1;
  bool only_aggregates = false;       // the tape has no raw trades: their streams stay silent
  std::uint64_t first_aggregate = 1;  // id of the first one that is made of raw trades
};
// Splits by the quote assets that Binance lists most; a symbol that ends in none has all of it as base.
void split_symbol(Listing& listing);

class Market {
 public:
  // `keep`: how many trades of an instrument REST can still give; older ones are forgotten, bars never.
  Market(Product product, std::vector<Listing> listings, std::size_t keep = 1'000'000);

  Product product() const { return product_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(books_.size()); }
  const Listing& listing(std::uint32_t instrument) const { return books_[instrument].listing; }
  std::optional<std::uint32_t> find(std::string_view symbol) const;

  // The aggregate that this trade ends, if it does.
  std::optional<Aggregate> publish(std::uint32_t instrument, const Print& print);
  void publish(std::uint32_t instrument, const Aggregate& aggregate);
  void publish(std::uint32_t instrument, const Quote& quote);
  void publish(std::uint32_t instrument, const Deal& deal);
  void publish(std::uint32_t instrument, const Level& level);
  void publish(std::uint32_t instrument, const News& news);

  const std::deque<Print>& prints(std::uint32_t instrument) const { return books_[instrument].prints; }
  const std::deque<Aggregate>& aggregates(std::uint32_t instrument) const { return books_[instrument].aggregates; }
  const std::optional<Quote>& quote(std::uint32_t instrument) const { return books_[instrument].quote; }
  const std::optional<Print>& last(std::uint32_t instrument) const { return books_[instrument].last; }
  const std::deque<Deal>& deals(std::uint32_t instrument) const { return books_[instrument].deals; }  // the last 100
  const std::optional<Level>& level(std::uint32_t instrument) const { return books_[instrument].level; }
  const std::deque<News>& news() const { return news_; }  // of all instruments, as told
  const IdRanges& news_ids() const { return news_ids_; }  // of all that were published
  // Ids of all trades that were published, whether they are kept or not.
  const IdRanges& trade_ids(std::uint32_t instrument) const { return books_[instrument].trade_ids; }
  const IdRanges& aggregate_ids(std::uint32_t instrument) const { return books_[instrument].aggregate_ids; }

  // Bars that start in [from, to), as of `now` without what was told after it, the one that is not over included; at
  // most `limit`, the first of them, or with `newest` the last. One for every interval since the first trade, flat
  // where there was none.
  std::vector<Bar> bars(std::uint32_t instrument, const BarInterval& interval, Time from, Time to, Time now,
                        std::size_t limit, bool newest, Duration offset = {}) const;
  // The bar that holds t, as of now; nullopt before the first trade.
  std::optional<Bar> bar_at(std::uint32_t instrument, const BarInterval& interval, Time t) const;
  // All of the 24 hours before `now`, and the price before them (0: none).
  std::pair<Bar, Units> day(std::uint32_t instrument, Time now) const;

 private:
  struct Book {
    Listing listing;
    std::deque<Print> prints;
    std::deque<Aggregate> aggregates;
    std::vector<Bar> minutes;  // those with trades
    Time first_traded;
    std::optional<Quote> quote;
    std::deque<Deal> deals;
    std::optional<Level> level;
    std::optional<Print> last;  // that counts
    std::optional<Aggregate> growing;
    std::uint64_t next_aggregate = 0;
    IdRanges trade_ids, aggregate_ids;
  };
  void fold(Book& book, Time traded, Units price, Units quantity, bool buyer_is_maker, std::uint64_t first,
            std::uint64_t last);
  // Adds what was traded in [from, to) and told by `now`.
  static void fold_range(const Book& book, Time from, Time to, Time now, Bar& into);

  Product product_;
  std::size_t keep_;
  std::vector<Book> books_;
  std::deque<News> news_;
  IdRanges news_ids_;
  std::unordered_map<std::string, std::uint32_t> by_symbol_;
};

}  // namespace truetape::sim
