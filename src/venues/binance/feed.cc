#include "venues/binance/feed.h"

#include <cstdio>

#include "venues/binance/binance.h"
#include "venues/binance/feed_line.h"
#include "venues/binance/feed_rest.h"
#include "venues/feed_session.h"

namespace truetape::binance {
namespace {

net::RateConfig attempts_config(const FeedConfig& config) {
  const net::RateWindow window{std::chrono::minutes{5}, config.attempts, true, {}};
  return {.windows = {window}, .share_percent = 50};
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

class BinanceFeed final : public Feed {
 public:
  BinanceFeed(FeedConfig config, FeedParts parts)
      : context_{std::move(config), std::move(parts)},
        plan_{context_.config.product, kinds(context_.config), context_.config.limits},
        rest_{context_},
        wake_{context_.loop} {}

  std::string_view venue() const override { return context_.venue.name; }

  void want(std::set<Instrument> instruments) override {
    std::erase_if(instruments, [this](const Instrument& i) { return i.venue() != context_.venue.name; });
    wanted_ = std::move(instruments);
    changed_ = true;
    wake_.set();
  }

  net::awaitable<void> run() override {
    spawn(rest_.run());
    while (!context_.stopping) {
      if (changed_) co_await apply();
      if (!changed_ && !context_.stopping) {
        wake_.reset();
        co_await wake_.wait();
      }
    }
    for (const auto& line : lines_) line->stop();
    rest_.stop();
    while (running_ > 0) {
      wake_.reset();
      co_await wake_.wait();
    }
  }

  void stop() override {
    context_.stopping = true;
    wake_.set();
  }

  FeedStatus status() const override {
    FeedStatus out;
    for (const auto& line : lines_) out.connections.push_back(line->status());
    out.clock_offset = context_.clock.offset(context_.loop.clock().now(), context_.loop.now());
    out.clock_error = context_.clock.error();
    out.unknown = rest_.unknown();
    return out;
  }

 private:
  static std::vector<StreamKind> kinds(const FeedConfig& config) {
    std::vector<StreamKind> out{config.tape == Tape::trade ? StreamKind::trade : StreamKind::agg};
    if (config.best) out.push_back(StreamKind::best);
    if (config.ticker) out.push_back(StreamKind::ticker);
    return out;
  }

  void spawn(net::awaitable<void> work) {
    ++running_;
    context_.loop.spawn(attended(std::move(work)));
  }
  net::awaitable<void> attended(net::awaitable<void> work) {
    co_await std::move(work);
    --running_;
    wake_.set();
  }

  // What is wanted now: first the tape of each new instrument, then its streams.
  net::awaitable<void> apply() {
    changed_ = false;
    const std::set<Instrument> wanted = wanted_;
    for (const Instrument& instrument : wanted) {
      if (configured_.contains(instrument)) continue;
      const std::array<Header, 1> tape{Header{header::tape, name(context_.config.tape)}};
      while (!put_single(context_.sink, RawKind::config, instrument, {}, context_.loop.clock().now(), tape)) {
        co_await context_.sink.room();
        if (context_.stopping) co_return;
      }
      configured_.insert(instrument);
    }
    for (const auto& change : plan_.want(wanted)) {
      const auto copies = static_cast<std::size_t>(context_.config.connections);
      while (lines_.size() < plan_.slots().size() * copies) {
        const std::size_t slot = lines_.size() / copies;
        lines_.push_back(std::make_unique<Line>(context_, plan_.slots()[slot].route,
                                                name_of(slot) + (lines_.size() % copies == 1 ? "b" : "")));
        if (lines_.size() % copies == 0 && copies == 2) {
          lines_.back()->set_twin(lines_[lines_.size() - 2].get());
          lines_[lines_.size() - 2]->set_twin(lines_.back().get());
        }
        spawn(lines_.back()->run());
      }
      for (std::size_t copy = 0; copy < copies; ++copy)
        lines_[change.slot * copies + copy]->change(change.add, change.remove);
    }
    rest_.want(wanted);
  }

  // "binance-1"; "binance-usdm-public-1", since USD-M has two kinds of them.
  std::string name_of(std::size_t slot) const {
    const Route route = plan_.slots()[slot].route;
    std::size_t number = 1;
    for (std::size_t i = 0; i < slot; ++i)
      if (plan_.slots()[i].route == route) ++number;
    std::string out{context_.venue.name};
    if (route != Route::spot) out += "-" + std::string{binance::name(route)};
    return out + "-" + std::to_string(number);
  }
  static std::string_view name(Tape tape) { return truetape::name(tape); }

  FeedContext context_;
  ConnectionPlan plan_;
  Rest rest_;
  net::Event wake_;
  std::set<Instrument> wanted_, configured_;
  bool changed_ = false;
  int running_ = 0;  // lines and REST
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace

FeedContext::FeedContext(FeedConfig c, FeedParts parts)
    : config{std::move(c)},
      venue{config.product == Product::spot ? kBinance : kBinanceUsdm},
      connector{*parts.connector},
      loop{parts.connector->loop()},
      sink{*parts.sink},
      attempts{attempts_config(config)},
      random{config.seed},
      tell_{std::move(parts.tell)} {}

void FeedContext::tell(FeedEvent::Level level, const std::string& connection, std::string text) const {
  if (tell_) tell_({level, connection, std::string{venue.name} + ": " + std::move(text)});
}

// The time keeps ids of one process apart from those of another with the same seed.
std::string FeedContext::new_session_id() {
  char text[40];
  const auto now = static_cast<unsigned long long>(to_ns(loop.clock().now()));
  const auto any = static_cast<unsigned long long>(random());
  std::snprintf(text, sizeof text, "%016llx%016llx", now, any);
  return text;
}

std::string advice(int status) {
  if (status == 451)
    return "the venue does not serve this place (451); nothing here can change that: run truetape where Binance may "
           "be used, or set stream_url and rest_url to a host of the venue that may be used from here";
  if (status == 403)
    return "a firewall of the venue or of a proxy on the way refuses us (403); check stream_url, rest_url and the "
           "proxy's settings, wait some minutes if many connections were made, else try from another address";
  return {};
}

FeedConfig feed_config(Product product, const FeedOptions& options) {
  FeedConfig out;
  out.product = product;
  out.rest_path = rest_path(product);
  out.rest_url = rest_url(product);
  out.stream_url = "wss://data-stream.binance.vision";
  if (product == Product::usdm) {
    out.stream_url = "wss://fstream.binance.com";
    out.messages = 10;
    out.idle_timeout = std::chrono::minutes{7};  // it pings every three
    out.weight = 2400;
    out.symbols_weight = 1;
    out.symbols_by_name = false;
  }
  if (!options.stream_url.empty()) out.stream_url = without_slash(options.stream_url);
  if (!options.rest_url.empty()) out.rest_url = without_slash(options.rest_url);
  out.tape = options.tape;
  out.best = options.best;
  out.ticker = options.ticker;
  out.connections = options.connections;
  out.seed = options.seed;
  return out;
}

std::unique_ptr<Feed> make_feed(FeedConfig config, FeedParts parts) {
  return std::make_unique<BinanceFeed>(std::move(config), std::move(parts));
}

}  // namespace truetape::binance
