#include "sim/kucoin_tape.h"

#include <simdjson.h>

#include <algorithm>
#include <map>

#include "core/digits.h"
#include "core/time.h"

namespace truetape::sim {
namespace {

using simdjson::dom::element;

bool text_of(element from, const char* key, std::string& to) {
  std::string_view text;
  if (from[key].get(text) != simdjson::SUCCESS) return false;
  to = text;
  return true;
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
    element root, data;
    if (parser_.parse(frame.data(), frame.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
      ++counts_.unreadable;
      return;
    }
    std::string_view topic, subject;
    if (root["topic"].get(topic) != simdjson::SUCCESS || root["subject"].get(subject) != simdjson::SUCCESS ||
        root["data"].get(data) != simdjson::SUCCESS || !data.is_object()) {
      ++counts_.others;
      return;
    }
    TapeEvent event;
    bool good = false;
    if (subject == "trade.l3match") {
      good = match(data, event);
      if (good && !fresh(event)) return;
      counts_.trades += good ? 1 : 0;
    } else if (subject == "trade.ticker" || topic == "/market/ticker:all") {
      if (!options_.with_quotes) return;
      // Before 2022 the data stood in front of what they are.
      const bool older = frame.find("\"data\"") < frame.find("\"topic\"");
      good = ticker(data, topic == "/market/ticker:all" ? subject : after_colon(topic), older, event);
      counts_.quotes += good ? 1 : 0;
    } else if (subject == "level1") {
      if (!options_.with_quotes) return;
      good = best(data, after_colon(topic), event);
      counts_.quotes += good ? 1 : 0;
    } else {
      ++counts_.others;
      return;
    }
    if (!good) {
      ++counts_.unreadable;
      return;
    }
    if (received != 0) event.at = std::chrono::floor<Duration>(timestamp_ns(received));
    event.at = std::max(event.at, before_);
    before_ = event.at;
    std::visit([&](auto& what) { what.told = event.at; }, event.what);
    events_.push_back(std::move(event));
  }

  static std::string_view after_colon(std::string_view topic) { return topic.substr(topic.rfind(':') + 1); }

  // Ids rise, but not by one: only one that was there is a repetition.
  bool fresh(const TapeEvent& event) {
    IdRanges& seen = seen_[event.instrument];
    const std::uint64_t id = std::get<Deal>(event.what).id;
    if (seen.has(id)) {
      ++counts_.repeated;
      return false;
    }
    seen.add(id);
    return true;
  }

  bool match(element data, TapeEvent& event) {
    Deal deal;
    DealText text;
    std::string symbol, sequence, side, time;
    if (!text_of(data, "symbol", symbol) || !text_of(data, "sequence", sequence) || !text_of(data, "side", side) ||
        !text_of(data, "time", time) || !text_of(data, "price", text.price) || !text_of(data, "size", text.quantity) ||
        !text_of(data, "tradeId", text.trade_id) || !text_of(data, "takerOrderId", text.taker) ||
        !text_of(data, "makerOrderId", text.maker) || (side != "buy" && side != "sell") || symbol.empty())
      return false;
    const auto id = digits::natural(sequence), ns = digits::natural(time);
    const auto price = parse_scaled(text.price, kFineDecimals), quantity = parse_scaled(text.quantity, kDecimals);
    if (!id || *id == 0 || !ns || !price || !quantity) return false;
    text.older = text.trade_id != sequence;
    deal.id = static_cast<std::uint64_t>(*id);
    deal.traded = Time{Duration{*ns / 1000}};
    deal.traded_ns = static_cast<std::int32_t>(*ns % 1000);
    deal.price = *price;
    deal.quantity = *quantity;
    deal.buyer_is_maker = side == "sell";
    event.at = deal.traded;
    event.instrument = instrument(symbol);
    learn(event.instrument, text.price, text.quantity);
    deal.text = std::make_shared<const DealText>(std::move(text));
    event.what = std::move(deal);
    return true;
  }

  bool ticker(element data, std::string_view symbol, bool older, TapeEvent& event) {
    LevelText text{.best = false, .recorded = true};
    std::int64_t ms = 0;
    if (symbol.empty() || data["time"].get(ms) != simdjson::SUCCESS || ms < 0 ||
        !text_of(data, "sequence", text.sequence) || !text_of(data, "price", text.price) ||
        !text_of(data, "size", text.size) || !text_of(data, "bestBid", text.bid) ||
        !text_of(data, "bestBidSize", text.bid_size) || !text_of(data, "bestAsk", text.ask) ||
        !text_of(data, "bestAskSize", text.ask_size))
      return false;
    text.older = older;
    level(symbol, ms, std::move(text), event);
    return true;
  }

  bool best(element data, std::string_view symbol, TapeEvent& event) {
    LevelText text{.ticker = false, .recorded = true};
    std::int64_t ms = 0;
    const auto side = [&](const char* key, std::string& price, std::string& size) {
      simdjson::dom::array row;
      std::string_view first, second;
      if (data[key].get(row) != simdjson::SUCCESS) return false;
      if (row.size() == 0) return true;
      if (row.at(0).get(first) != simdjson::SUCCESS || row.at(1).get(second) != simdjson::SUCCESS) return false;
      price = first;
      size = second;
      return true;
    };
    if (symbol.empty() || data["timestamp"].get(ms) != simdjson::SUCCESS || ms < 0 ||
        !side("bids", text.bid, text.bid_size) || !side("asks", text.ask, text.ask_size))
      return false;
    level(symbol, ms, std::move(text), event);
    return true;
  }

  void level(std::string_view symbol, std::int64_t ms, LevelText text, TapeEvent& event) {
    event.at = from_ms(ms);
    event.instrument = instrument(symbol);
    event.what = Level{.traded = event.at, .text = std::make_shared<const LevelText>(std::move(text))};
  }

  std::uint32_t instrument(std::string_view symbol) {
    const auto [at, fresh] = by_symbol_.try_emplace(std::string{symbol}, static_cast<std::uint32_t>(listings_.size()));
    if (fresh) {
      Listing listing;
      listing.symbol = symbol;
      split_dashed(listing);
      listing.price_decimals = listing.quantity_decimals = 0;
      listings_.push_back(std::move(listing));
      seen_.emplace_back();
    }
    return at->second;
  }
  // How many digits its prices and sizes have.
  void learn(std::uint32_t of, std::string_view price, std::string_view quantity) {
    const auto grow = [](int& decimals, std::string_view text) {
      while (text.find('.') != std::string_view::npos && text.back() == '0') text.remove_suffix(1);
      decimals = std::max(decimals, written_decimals(text));
    };
    grow(listings_[of].price_decimals, price);
    grow(listings_[of].quantity_decimals, quantity);
  }

  const CaptureOptions& options_;
  CaptureCounts& counts_;
  simdjson::dom::parser parser_;
  std::map<std::string, std::uint32_t, std::less<>> by_symbol_;
  std::vector<IdRanges> seen_;
  Time before_ = Time::min();
};

std::string hexadecimal(std::uint64_t a, std::uint64_t b) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 24; ++i) {
    const std::uint64_t word = i < 12 ? a : b;
    out += kHex[(word >> (4 * (i % 12))) & 15];
  }
  return out;
}

// Orders of the generator of Binance's trades, told as KuCoin tells them.
class Generated final : public Tape {
 public:
  explicit Generated(GeneratorOptions options)
      : older_{options.older}, seed_{mix(options.seed, 0x6b75)}, random_{mix(options.seed, 0x636f)} {
    options.product = Product::spot;
    for (std::string& name : options.names) std::erase(name, '-');
    const std::vector<std::string> given = options.names;
    orders_ = make_generator(std::move(options));
    for (const Listing& listing : orders_->listings()) {
      Listing& own = listings_.emplace_back(listing);
      own.symbol = own.quote.empty() ? own.base : own.base + '-' + own.quote;
      own.price_decimals = needed_decimals(listing.tick);
      own.quantity_decimals = needed_decimals(listing.step);
      State& state = states_.emplace_back();
      const std::uint64_t begins = mix(seed_, listings_.size()) % 1'000'000'000;
      state.sequence = older_ ? 1'612'000'000'000 + begins : 11'067'996'711'960'577 + begins * 1000;
    }
  }
  Product product() const override { return Product::kucoin; }
  const std::vector<Listing>& listings() const override { return listings_; }
  Time begin() const override { return orders_->begin(); }
  std::string description() const override { return orders_->description(); }

  bool next(TapeEvent& out) override {
    TapeEvent event;
    if (!orders_->next(event)) return false;
    out.at = event.at;
    out.instrument = event.instrument;
    if (const auto* print = std::get_if<Print>(&event.what)) out.what = deal(event.instrument, *print);
    if (const auto* quote = std::get_if<Quote>(&event.what)) out.what = level(event.instrument, *quote);
    return true;
  }

 private:
  struct State {
    std::uint64_t sequence = 0;
    Time order{};
    std::string taker;
    std::int32_t ns = 0;
    DealText last;
  };

  static std::string trimmed(Units value) {
    std::string out;
    append_trimmed(out, value, kDecimals);
    return out;
  }

  Deal deal(std::uint32_t instrument, const Print& print) {
    State& state = states_[instrument];
    const bool goes_on = state.order == print.traded && !state.taker.empty();
    state.sequence += goes_on ? 3 : 1 + random_.below(10);
    if (!goes_on) {
      state.order = print.traded;
      state.taker = hexadecimal(random_.next(), random_.next());
      state.ns = older_ ? static_cast<std::int32_t>(random_.below(1000)) : 0;
    }
    DealText text{.price = trimmed(print.price),
                  .quantity = trimmed(print.quantity),
                  .trade_id = older_ ? hexadecimal(mix(seed_, state.sequence), random_.next()) : "",
                  .taker = state.taker,
                  .maker = hexadecimal(random_.next(), random_.next()),
                  .older = older_};
    if (!older_) append_number(text.trade_id, state.sequence);
    state.last = text;
    return {.id = state.sequence,
            .traded = older_ ? print.traded : from_ms(to_ms(print.traded)),
            .told = print.told,
            .traded_ns = state.ns,
            .price = print.price * 10'000,
            .quantity = print.quantity,
            .buyer_is_maker = print.buyer_is_maker,
            .text = std::make_shared<const DealText>(std::move(text))};
  }

  Level level(std::uint32_t instrument, const Quote& quote) {
    State& state = states_[instrument];
    state.taker.clear();  // the order is done
    state.sequence += 1 + random_.below(10);
    LevelText text{.price = state.last.price,
                   .size = state.last.quantity,
                   .bid = trimmed(quote.bid),
                   .bid_size = trimmed(quote.bid_quantity),
                   .ask = trimmed(quote.ask),
                   .ask_size = trimmed(quote.ask_quantity),
                   .older = older_};
    append_number(text.sequence, state.sequence);
    return {.traded = quote.told, .told = quote.told, .text = std::make_shared<const LevelText>(std::move(text))};
  }

  bool older_;
  std::uint64_t seed_;
  Random random_;
  std::unique_ptr<Tape> orders_;
  std::vector<Listing> listings_;
  std::vector<State> states_;
};

}  // namespace

void split_dashed(Listing& listing) {
  const std::size_t dash = listing.symbol.find('-');
  listing.base = listing.symbol.substr(0, dash);
  listing.quote = dash == std::string::npos ? std::string{} : listing.symbol.substr(dash + 1);
}

Result<std::unique_ptr<Tape>> open_kucoin_capture(const CaptureOptions& options, CaptureCounts& counts) {
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
                       ": there is no match and no ticker of KuCoin that could be played; give .frames of "
                       "its WebSocket, a frame a line, with or without receive times");
  return make_list_tape(Product::kucoin, std::move(reader.listings_), std::move(events), std::move(description));
}

std::unique_ptr<Tape> make_kucoin_generator(GeneratorOptions options) {
  return std::make_unique<Generated>(std::move(options));
}

}  // namespace truetape::sim
