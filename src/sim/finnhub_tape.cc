#include "sim/finnhub_tape.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/time.h"
#include "sim/finnhub_messages.h"

namespace truetape::sim {
namespace {

namespace json = simdjson::ondemand;
using finnhub::Class;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

class Reader {
 public:
  Reader(const CaptureOptions& options, CaptureCounts& counts) : options_{options}, counts_{counts} {}

  Status read(const CaptureSource& source) {
    before_ = Time::min();
    return each_frame(source.file, counts_,
                      [&](std::string_view frame, std::int64_t received) { take(frame, received); });
  }

  std::vector<TapeEvent> events_;
  std::vector<Listing> listings_;

 private:
  void take(std::string_view frame, std::int64_t received) {
    const std::size_t from = events_.size();
    std::vector<std::uint64_t> numbers = numbers_;
    bool known = true;
    try {
      known = read_frame(frame);
    } catch (const simdjson::simdjson_error&) {
      events_.resize(from);
      numbers_ = std::move(numbers);
      numbers_.resize(listings_.size());
      ++counts_.unreadable;
      return;
    }
    if (!known || events_.size() == from) {
      ++counts_.others;
      return;
    }
    // All of a message is told at once.
    Time at = events_[from].at;
    for (std::size_t i = from; i < events_.size(); ++i) at = std::max(at, events_[i].at);
    if (received != 0) at = std::chrono::floor<Duration>(timestamp_ns(received));
    at = before_ = std::max(at, before_);
    for (std::size_t i = from; i < events_.size(); ++i) {
      TapeEvent& event = events_[i];
      const bool ends = i + 1 == events_.size();
      event.at = at;
      if (auto* deal = std::get_if<Deal>(&event.what)) {
        deal->told = at;
        deal->ends = ends;
        ++counts_.trades;
      } else if (auto* news = std::get_if<News>(&event.what)) {
        news->told = at;
        news->ends = ends;
        ++counts_.news;
      }
    }
  }

  // False: of a kind that is not played.
  bool read_frame(std::string_view frame) {
    const simdjson::padded_string text{frame};
    json::document document = parser_.iterate(text);
    const std::string type{std::string_view{document["type"]}};
    if (type != "trade" && type != "news") return false;
    document.rewind();
    for (json::object item : document["data"].get_array()) {
      if (type == "trade")
        trade(item);
      else
        news(item);
    }
    return true;
  }

  void trade(json::object item) {
    Deal deal;
    DealText text;
    std::string symbol;
    std::optional<std::int64_t> ms;
    for (json::field field : item) {
      const std::string key{std::string_view{field.unescaped_key()}};
      json::value value = field.value();
      if (key == "s") {
        symbol = std::string_view{value.get_string()};
      } else if (key == "t") {
        ms = value.get_int64();
      } else if (key == "p") {
        text.price = trimmed(value.raw_json_token());
      } else if (key == "v") {
        text.quantity = trimmed(value.raw_json_token());
      } else if (key == "c") {
        const json::json_type type = value.type();
        if (type == json::json_type::null) {
          text.conditions = "null";
        } else {
          json::array list = value.get_array();
          text.conditions = std::string{trimmed(list.raw_json())};
        }
      }
    }
    const auto price = parse_scaled(text.price, kFineDecimals), quantity = parse_scaled(text.quantity, kDecimals);
    if (symbol.empty() || !ms || *ms < 0 || !price || !quantity)
      throw simdjson::simdjson_error{simdjson::INCORRECT_TYPE};
    const std::uint32_t of = instrument(symbol);
    deal.id = ++numbers_[of];
    deal.traded = from_ms(*ms);
    deal.price = *price;
    deal.quantity = *quantity;
    deal.text = std::make_shared<const DealText>(std::move(text));
    const Time traded = deal.traded;
    events_.push_back({.at = traded, .instrument = of, .what = std::move(deal)});
  }

  void news(json::object item) {
    NewsText text;
    std::int64_t seconds = 0;
    for (json::field field : item) {
      const std::string key{std::string_view{field.unescaped_key()}};
      json::value value = field.value();
      if (key == "datetime") seconds = value.get_int64();
      if (key == "id" || key == "urlId") text.id = value.get_uint64();
      for (const auto& [name, member] : finnhub::kNewsTexts)
        if (key == name) text.*member = std::string{std::string_view{value.get_string()}};
    }
    const std::uint32_t of = instrument(text.related);
    const Time published{std::chrono::seconds{seconds}};
    events_.push_back({.at = published,
                       .instrument = of,
                       .what = News{.traded = published, .text = std::make_shared<const NewsText>(std::move(text))}});
  }

  std::uint32_t instrument(std::string_view symbol) {
    const auto [at, fresh] = by_symbol_.try_emplace(std::string{symbol}, static_cast<std::uint32_t>(listings_.size()));
    if (fresh) {
      Listing listing;
      listing.symbol = listing.base = symbol;
      listings_.push_back(std::move(listing));
      numbers_.push_back(0);
    }
    return at->second;
  }

  const CaptureOptions& options_;
  CaptureCounts& counts_;
  json::parser parser_;
  std::map<std::string, std::uint32_t, std::less<>> by_symbol_;
  std::vector<std::uint64_t> numbers_;
  Time before_ = Time::min();
};

struct Known {
  std::string_view symbol;
  Units price, tick, step;
};
constexpr std::array<Known, 10> kKnown{{{"AAPL", 164'06000000, 1000000, kOne},
                                        {"BINANCE:BTCUSDT", 66'972'77000000, 1000000, 1000},
                                        {"OANDA:EUR_USD", 1'08410000, 1000, kOne},
                                        {"MSFT", 288'30000000, 1000000, kOne},
                                        {"TSLA", 207'46000000, 1000000, kOne},
                                        {"BINANCE:ETHUSDT", 3'481'24000000, 1000000, 10000},
                                        {"AMZN", 103'29000000, 1000000, kOne},
                                        {"SPY", 409'39000000, 1000000, kOne},
                                        {"OANDA:USD_JPY", 132'86000000, 100000, kOne},
                                        {"BRK.B", 308'77000000, 1000000, kOne}}};

// Orders of the generator of Binance's trades, told as Finnhub tells them; and headlines.
class Generated final : public Tape {
 public:
  explicit Generated(GeneratorOptions options)
      : news_a_minute_{options.news}, random_{mix(options.seed, 0x66696e)}, headlines_{mix(options.seed, 0x6e657773)} {
    options.product = Product::spot;
    options.quotes = false;
    for (const Known& known : kKnown)
      options.like.push_back({std::string{known.symbol}, known.price, known.tick, known.step});
    for (std::uint32_t i = 0; options.names.size() < options.symbols; ++i) {
      if (i < kKnown.size()) {
        options.names.emplace_back(kKnown[i].symbol);
        continue;
      }
      options.names.push_back('S' + std::to_string(i));
    }
    for (const std::string& name : options.names)  // others are shares
      if (std::ranges::find(kKnown, name, &Known::symbol) == kKnown.end() && finnhub::class_of(name) == Class::shares)
        options.like.push_back({name, 164'06000000, 1000000, kOne});
    start_ = options.start;
    length_ = options.length;
    orders_ = make_generator(std::move(options));
    for (const Listing& listing : orders_->listings()) {
      Listing& own = listings_.emplace_back(listing);
      own.base = own.symbol;
      own.quote.clear();
      numbers_.push_back(0);
    }
    next_news_ = start_;
    if (news_a_minute_ > 0) plan_news();
  }
  Product product() const override { return Product::finnhub; }
  const std::vector<Listing>& listings() const override { return listings_; }
  Time begin() const override { return orders_->begin(); }
  std::string description() const override { return orders_->description(); }

  bool next(TapeEvent& out) override {
    if (!pending_) {
      TapeEvent event;
      if (orders_->next(event)) pending_ = made(event);
    }
    const bool news =
        news_a_minute_ > 0 && (pending_ ? next_news_ <= pending_->at : length_ && next_news_ < start_ + *length_);
    if (news) {
      out = headline();
      plan_news();
      return true;
    }
    if (!pending_) return false;
    out = std::move(*pending_);
    pending_ = std::move(again_);
    again_.reset();
    return true;
  }

 private:
  void plan_news() {
    next_news_ += Duration{1 + static_cast<std::int64_t>(-std::log1p(-headlines_.unit()) * 60e6 / news_a_minute_)};
  }

  TapeEvent made(const TapeEvent& event) {
    const auto& print = std::get<Print>(event.what);
    const Listing& listing = listings_[event.instrument];
    const Class of = finnhub::class_of(listing.symbol);
    DealText text{.made = true, .sweep = print.traded == last_order_};
    last_order_ = print.traded;
    Units quantity = print.quantity;
    if (of == Class::currencies && random_.below(2) == 0) quantity = 0;
    append_trimmed(text.price, print.price, kDecimals);
    append_trimmed(text.quantity, quantity, kDecimals);
    if (of == Class::crypto) text.conditions = "null";
    if (of == Class::currencies && random_.below(2) == 0) text.conditions = "[]";
    Time traded = from_ms(to_ms(print.traded));
    if (random_.below(30) == 0) traded -= std::chrono::milliseconds{random_.below(150)};
    TapeEvent result{.at = event.at, .instrument = event.instrument};
    Deal deal{.id = ++numbers_[event.instrument],
              .traded = traded,
              .told = event.at,
              .price = print.price * 10'000,
              .quantity = quantity,
              .text = std::make_shared<const DealText>(std::move(text))};
    result.what = deal;
    if (random_.below(50) == 0) {
      deal.id = ++numbers_[event.instrument];
      again_ = result;
      again_->what = std::move(deal);
    }
    return result;
  }

  TapeEvent headline() {
    static constexpr std::array<std::string_view, 4> kSources{"Yahoo", "Reuters", "SeekingAlpha", "CNBC"};
    static constexpr std::array<std::string_view, 5> kCategories{"general", "technology", "forex", "crypto", "merger"};
    const auto instrument = static_cast<std::uint32_t>(headlines_.below(listings_.size()));
    const std::string& symbol = listings_[instrument].symbol;
    const bool company = finnhub::class_of(symbol) == Class::shares && headlines_.below(10) < 7;
    NewsText text;
    text.id = news_id_ += 1 + headlines_.below(50);
    const std::string number = std::to_string(text.id);
    text.category = company ? "company" : kCategories[headlines_.below(kCategories.size())];
    text.related = company ? symbol : "";
    text.source = kSources[headlines_.below(kSources.size())];
    text.headline = (company ? symbol : std::string{"Markets"}) + " \"moves\" \u2013 story " + number;
    if (headlines_.below(3) != 0) text.summary = "What happened, in a sentence: " + number + '.';
    if (headlines_.below(2) == 0) text.image = "https://images.invalid/" + number + ".jpg";
    text.url = "https://news.invalid/" + number;
    const Time published = std::chrono::floor<std::chrono::seconds>(next_news_);
    return {.at = next_news_,
            .instrument = instrument,
            .what = News{
                .traded = published, .told = next_news_, .text = std::make_shared<const NewsText>(std::move(text))}};
  }

  double news_a_minute_;
  Random random_, headlines_;
  Time start_{}, next_news_{}, last_order_{};
  std::optional<Duration> length_;
  std::uint64_t news_id_ = 119'440'000;
  std::unique_ptr<Tape> orders_;
  std::vector<Listing> listings_;
  std::vector<std::uint64_t> numbers_;
  std::optional<TapeEvent> pending_, again_;
};

}  // namespace

Result<std::unique_ptr<Tape>> open_finnhub_capture(const CaptureOptions& options, CaptureCounts& counts) {
  Reader reader{options, counts};
  std::string description = "capture:";
  for (const CaptureSource& source : options.sources) {
    if (const Status done = reader.read(source); !done) return tl::unexpected{done.error()};
    description += ' ' + source.file.filename().string();
  }
  std::vector<TapeEvent> events = std::move(reader.events_);
  std::ranges::stable_sort(events, {}, &TapeEvent::at);
  std::erase_if(events, [&](const TapeEvent& event) {
    return (options.from && event.at < *options.from) || (options.to && event.at >= *options.to);
  });
  if (events.empty())
    return failure(Fault::malformed, Retry::never,
                   description +
                       ": there is no trade and no headline of Finnhub that could be played; give messages of "
                       "its WebSocket, one a line, with or without receive times");
  return make_list_tape(Product::finnhub, std::move(reader.listings_), std::move(events), std::move(description));
}

std::unique_ptr<Tape> make_finnhub_generator(GeneratorOptions options) {
  return std::make_unique<Generated>(std::move(options));
}

}  // namespace truetape::sim
