// Taker orders that come at random, at rising prices as often as at falling ones, each filled at one or two prices.
#include <algorithm>
#include <array>
#include <cmath>

#include "sim/finnhub_tape.h"
#include "sim/kucoin_tape.h"
#include "sim/tape.h"

namespace truetape::sim {
namespace {

struct Known {
  std::string_view symbol;
  Units price, tick, step;
};
// Where the prices start does not matter; that they differ in decimals does.
constexpr std::array<Known, 10> kKnown{{{"BTCUSDT", 61'837'63000000, 1000000, 1000},
                                        {"ETHUSDT", 2'681'24000000, 1000000, 10000},
                                        {"BNBUSDT", 523'40000000, 10000000, 100000},
                                        {"SOLUSDT", 153'72000000, 1000000, 100000},
                                        {"XRPUSDT", 61230000, 10000, 10000000},
                                        {"DOGEUSDT", 10412000, 1000, 100000000},
                                        {"ADAUSDT", 34610000, 10000, 10000000},
                                        {"TRXUSDT", 12730000, 1000, 10000000},
                                        {"LTCUSDT", 61'70000000, 1000000, 100000},
                                        {"XRPETH", 22840, 1, 100000000}}};

class GeneratedTape final : public Tape {
 public:
  explicit GeneratedTape(GeneratorOptions options) : options_{std::move(options)}, random_{options_.seed} {
    const bool usdm = options_.product == Product::usdm;
    for (std::uint32_t i = 0; i < options_.symbols; ++i) {
      Known known = kKnown[i % kKnown.size()];
      Listing listing;
      if (i < options_.names.size()) {
        listing.symbol = options_.names[i];
        for (const GeneratorOptions::Like& other : options_.like)
          if (other.symbol == listing.symbol) known = {other.symbol, other.price, other.tick, other.step};
        for (const Known& other : kKnown)
          if (other.symbol == listing.symbol) known = other;
      } else if (i < kKnown.size() && options_.names.empty()) {
        listing.symbol = known.symbol;
      } else {
        std::string number = std::to_string(i);
        number.insert(0, 5 - std::min<std::size_t>(5, number.size()), '0');
        listing.symbol = "S" + number + "USDT";
      }
      split_symbol(listing);
      listing.tick = known.tick;
      listing.step = known.step;
      if (usdm) {
        listing.price_decimals = needed_decimals(known.tick);
        listing.quantity_decimals = needed_decimals(known.step);
      }
      State& state = states_.emplace_back();
      state.price = known.price;
      state.next_id = 1'000'000'000 + mix(options_.seed, i) % 1'000'000'000;
      state.update = state.next_id * 10;
      listing.first_aggregate = state.next_id / 2;
      listings_.push_back(std::move(listing));
    }
    now_ = options_.start;
  }

  Product product() const override { return options_.product; }
  const std::vector<Listing>& listings() const override { return listings_; }
  Time begin() const override { return options_.start; }
  std::string description() const override {
    std::string text = "generated: symbols=" + std::to_string(options_.symbols) + " rate=";
    text += std::to_string(options_.rate);
    return text + " seed=" + std::to_string(options_.seed);
  }

  bool next(TapeEvent& out) override {
    if (at_ == pending_.size()) {
      pending_.clear();
      at_ = 0;
      make_order();
      if (pending_.empty()) return false;
    }
    out = pending_[at_++];
    return true;
  }

 private:
  struct State {
    Units price;
    std::uint64_t next_id, update;
  };

  // 1 to 4 fills: 1.6 on average.
  static constexpr double kFillsPerOrder = 1.6;

  void make_order() {
    // Sums of fractions of a microsecond would drift if they were cut off one by one.
    waited_ += -std::log1p(-random_.unit()) * 1e6 * kFillsPerOrder / options_.rate;
    const auto whole = static_cast<std::int64_t>(waited_);
    waited_ -= static_cast<double>(whole);
    now_ += Duration{whole};
    if (options_.length && now_ >= options_.start + *options_.length) return;

    const auto instrument = static_cast<std::uint32_t>(random_.below(states_.size()));
    State& state = states_[instrument];
    const Listing& listing = listings_[instrument];
    const bool buyer_is_maker = random_.below(2) == 0;
    const std::uint64_t dice = random_.below(100);
    const int fills = dice < 62 ? 1 : dice < 84 ? 2 : dice < 94 ? 3 : 4;
    const bool two_prices = fills > 1 && random_.below(3) == 0;
    move(state, listing);
    for (int i = 0; i < fills; ++i) {
      const bool second = two_prices && i == fills - 1;
      if (second && state.price > listing.tick * 10) state.price += buyer_is_maker ? -listing.tick : listing.tick;
      Print print{.id = state.next_id++,
                  .traded = now_,
                  .told = now_ + std::chrono::milliseconds{1},
                  .price = state.price,
                  .quantity = listing.step * static_cast<Units>(1 + random_.below(2000)),
                  .buyer_is_maker = buyer_is_maker,
                  .kind = Kind::market,
                  .ends = i == fills - 1 || (two_prices && i == fills - 2)};
      const bool usdm = options_.product == Product::usdm;
      if (usdm && random_.below(1000) < options_.rpi) print.kind = Kind::rpi;
      push(print.told, instrument, print);
      if (usdm) add_odd(instrument, state, print);
    }
    if (!options_.quotes) return;
    state.update += 1 + random_.below(20);
    const Quote quote{.update = state.update,
                      .traded = now_,
                      .told = now_ + std::chrono::milliseconds{1},
                      .bid = buyer_is_maker ? state.price : state.price - listing.tick,
                      .bid_quantity = listing.step * static_cast<Units>(1 + random_.below(5000)),
                      .ask = buyer_is_maker ? state.price + listing.tick : state.price,
                      .ask_quantity = listing.step * static_cast<Units>(1 + random_.below(5000))};
    push(quote.told, instrument, quote);
  }

  void move(State& state, const Listing& listing) {
    const std::uint64_t dice = random_.below(4);
    if (dice == 0) state.price += listing.tick;
    if (dice == 1 && state.price > listing.tick * 10) state.price -= listing.tick;
  }

  // Records of USD-M that are no fills of the book: they have an id and stand in the stream of trades, nowhere else.
  void add_odd(std::uint32_t instrument, State& state, Print print) {
    std::uint64_t dice = random_.below(1000);
    const auto takes = [&](std::uint32_t share) {
      if (dice < share) return true;
      dice -= std::min<std::uint64_t>(dice, share);
      return false;
    };
    if (takes(options_.na)) {
      print.kind = Kind::na;
      print.price = print.quantity = 0;
    } else if (takes(options_.insurance_fund)) {
      print.kind = Kind::insurance_fund;
      print.price = print.price / 10 * 9 + 12;  // far from the market, and off its grid
    } else if (takes(options_.adl)) {
      print.kind = Kind::adl;
      print.price = print.price / 10 * 11 + 34;
    } else if (takes(options_.unknown)) {
      print.kind = Kind::unknown;
    } else {
      return;
    }
    print.id = state.next_id++;
    push(print.told, instrument, print);
  }

  template <class What>
  void push(Time at, std::uint32_t instrument, const What& what) {
    pending_.push_back({at, instrument, what});
  }

  GeneratorOptions options_;
  Random random_;
  std::vector<Listing> listings_;
  std::vector<State> states_;
  Time now_;
  double waited_ = 0;  // microseconds that are not in now_ yet
  std::vector<TapeEvent> pending_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Tape> make_generator(GeneratorOptions options) {
  if (options.product == Product::kucoin) return make_kucoin_generator(std::move(options));
  if (options.product == Product::finnhub) return make_finnhub_generator(std::move(options));
  return std::make_unique<GeneratedTape>(std::move(options));
}

}  // namespace truetape::sim
