#include "venues/feed_core.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/wildcard.h"
#include "net/url.h"
#include "venues/feed_line.h"
#include "venues/feed_plan.h"
#include "venues/feed_rest.h"
#include "venues/feed_session.h"
#include "venues/feed_wildcards.h"

namespace truetape::feeds {
namespace {

using Level = FeedEvent::Level;

constexpr std::size_t kLeastSecret = 8;
constexpr std::string_view kMask = "***";

net::RateConfig attempts_config(const Settings& config) {
  const net::RateWindow window{config.attempts_within, config.attempts, true, {}};
  return {.windows = {window}, .share_percent = 50};
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

class CoreFeed final : public Feed, private ErrandAccess {
 public:
  CoreFeed(std::unique_ptr<const Dialect> dialect, Settings settings, FeedParts parts, std::unique_ptr<Errand> errand)
      : dialect_{std::move(dialect)},
        errand_{std::move(errand)},
        context_{std::move(settings), *dialect_, std::move(parts)},
        plan_{*dialect_, dialect_->kinds(context_.config), context_.config.limits},
        rest_{context_},
        wake_{context_.loop},
        errand_wake_{context_.loop} {
    context_.rest = &rest_;
    rest_.on_list = [this](const std::vector<Offered>& offered, const std::set<std::string>& thin) {
      return listed(offered, thin);
    };
    rest_.on_loss = [this] {
      configured_.clear();
      changed_ = true;
      wake_.set();
    };
    if (errand_) context_.carried_anew = [this] { errand_wake_.set(); };
  }

  std::string_view venue() const override { return context_.venue.name; }

  void want(std::set<Instrument> instruments) override {
    std::erase_if(instruments, [this](const Instrument& i) { return i.venue() != context_.venue.name; });
    leave_out_malformed(instruments);
    if (wildcards_.want(instruments)) rest_.ask_lists();
    rest_.ranked = wildcards_.ranked();
    change(wildcards_.instruments());
  }

  net::awaitable<void> run() override {
    spawn(rest_.run());
    if (errand_) spawn(errand_->run(*this));
    while (!context_.stopping) {
      if (changed_) co_await apply();
      if (!changed_ && !context_.stopping) {
        wake_.reset();
        co_await wake_.wait();
      }
    }
    for (const auto& line : lines_) line->stop();
    rest_.stop();
    errand_wake_.set();
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
    out.unknown.insert(malformed_.begin(), malformed_.end());
    out.instruments = context_.wanted.size();
    return out;
  }

 private:
  // Wildcards as receivable() does not let in, but an older program did, or another writer of the log.
  void leave_out_malformed(std::set<Instrument>& instruments) {
    std::set<Instrument> malformed;
    for (const Instrument& instrument : instruments)
      if (is_wildcard(instrument) && !wildcard_of(instrument)) malformed.insert(instrument);
    for (const Instrument& instrument : malformed) {
      instruments.erase(instrument);
      if (!malformed_.contains(instrument))
        context_.tell(Level::error, {},
                      instrument.str() +
                          " is wanted, but is no wildcard that can be followed: nothing will come of it; "
                          "`truetape control remove` takes it back, and `truetape control add` says what it accepts");
    }
    malformed_ = std::move(malformed);
  }
  void change(std::set<Instrument> wanted) {
    context_.wanted = std::move(wanted);
    changed_ = true;
    wake_.set();
    errand_wake_.set();
  }

  // False: it is not believed.
  bool listed(const std::vector<Offered>& offered, const std::set<std::string>& thin) {
    if (!wildcards_.listed(offered, thin)) {
      context_.tell(Level::warning, {},
                    "more than half of what was selected is no longer in the venue's symbol list: it is not believed "
                    "before it says so again");
      return false;
    }
    const std::set<Instrument> idle = wildcards_.idle(), told = std::exchange(idle_told_, idle);
    for (const Instrument& wildcard : idle)
      if (!told.contains(wildcard))
        context_.tell(Level::warning, {},
                      wildcard.str() + " means none of the " + std::to_string(offered.size()) +
                          " symbols that the venue lists: check its spelling; it goes on looking");
    std::set<Instrument> now = wildcards_.instruments();
    std::vector<Instrument> more, gone;
    std::ranges::set_difference(now, context_.wanted, std::back_inserter(more));
    std::ranges::set_difference(context_.wanted, now, std::back_inserter(gone));
    if (more.empty() && gone.empty()) return true;
    context_.tell(Level::info, {},
                  std::to_string(now.size()) + " instruments are wanted by the venue's list" + some(more, "; new: ") +
                      some(gone, "; no longer: "));
    change(std::move(now));
    return true;
  }
  static std::string some(const std::vector<Instrument>& of, const std::string& lead) {
    constexpr std::size_t kNamed = 5;
    std::string out;
    for (std::size_t i = 0; i < of.size() && i < kNamed; ++i)
      out += (i == 0 ? lead : ", ") + std::string{of[i].symbol()};
    return of.size() > kNamed ? out + " and " + std::to_string(of.size() - kNamed) + " more" : out;
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
    const std::set<Instrument> wanted = context_.wanted;
    for (const Instrument& instrument : wanted) {
      if (configured_.contains(instrument)) continue;
      const std::array<Header, 1> tape{Header{header::tape, truetape::name(context_.config.tape)}};
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
    tell_left_out();
    rest_.want(wanted, wildcards_.any());
  }

  void tell_left_out() {
    for (const Instrument& instrument : plan_.left_out())
      if (left_out_.insert(instrument).second)
        context_.tell(Level::error, {},
                      "no room for " + std::string{instrument.symbol()} + ": the venue allows " +
                          std::to_string(context_.config.limits.streams) + " subscriptions of a connection and " +
                          std::to_string(context_.config.limits.connections) +
                          " connections, and all are used; want fewer instruments of it");
    std::erase_if(left_out_, [this](const Instrument& i) { return !plan_.left_out().contains(i); });
  }

  // "binance-1"; "binance-usdm-public-1", since USD-M has two kinds of them.
  std::string name_of(std::size_t slot) const {
    const std::size_t route = plan_.slots()[slot].route;
    std::size_t number = 1;
    for (std::size_t i = 0; i < slot; ++i)
      if (plan_.slots()[i].route == route) ++number;
    std::string out{context_.venue.name};
    if (const std::string_view part = dialect_->route_name(route); !part.empty()) out += "-" + std::string{part};
    return out + "-" + std::to_string(number);
  }

  // ---- what the errand may do

  const Settings& settings() const override { return context_.config; }
  const std::set<Instrument>& wanted() const override { return context_.wanted; }
  std::vector<Instrument> take_new_carried() override {
    const std::set<Instrument> taken = std::exchange(context_.new_carried, {});
    return {taken.begin(), taken.end()};
  }
  bool stopping() const override { return context_.stopping; }
  Timestamp now() const override { return context_.loop.clock().now(); }
  std::optional<Timestamp> venue_now() const override { return context_.clock.at(context_.loop.now()); }
  net::awaitable<void> pause(Nanoseconds span) override {
    if (context_.stopping) co_return;
    errand_wake_.reset();
    co_await errand_wake_.wait_for(span);
  }
  net::awaitable<std::optional<net::HttpAnswer>> get(Question question) override {
    return rest_.get(std::move(question));
  }
  net::awaitable<bool> put(RawKind kind, std::vector<Instrument> instruments, std::string bytes, Timestamp received,
                           OwnHeaders headers) override {
    std::vector<Header> more;
    for (const auto& [name, value] : headers) more.push_back({name, value});
    // Else a clock of ours that is wrong would make what the venue tells look like the future.
    const auto offset = context_.clock.offset(context_.loop.clock().now(), context_.loop.now());
    const std::string of_clock = offset ? std::to_string(offset->count()) : std::string{};
    if (offset) more.push_back({header::clock_offset, of_clock});
    bytes = context_.masked(std::move(bytes));
    for (std::size_t done = 0;
         !put_each(context_.sink, kind, context_.venue.name, instruments, bytes, received, more, done);) {
      co_await context_.sink.room();
      if (context_.stopping) co_return false;
    }
    co_return true;
  }
  std::uint64_t generation() const override { return context_.sink.generation(); }
  void tell(FeedEvent::Level level, std::string text) override { context_.tell(level, {}, std::move(text)); }

  const std::unique_ptr<const Dialect> dialect_;
  const std::unique_ptr<Errand> errand_;
  Context context_;
  ConnectionPlan plan_;
  Wildcards wildcards_;
  std::set<Instrument> idle_told_;  // wildcards that mean nothing, and were told so
  std::set<Instrument> malformed_;  // wanted, but no wildcards that can be followed; were told so
  Rest rest_;
  net::Event wake_, errand_wake_;
  std::set<Instrument> configured_, left_out_;
  bool changed_ = false;
  int running_ = 0;  // lines, REST and the errand
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace

Context::Context(Settings settings, const Dialect& dialect_of_venue, FeedParts parts)
    : config{std::move(settings)},
      dialect{dialect_of_venue},
      venue{dialect.venue()},
      connector{*parts.connector},
      loop{parts.connector->loop()},
      sink{*parts.sink},
      attempts{attempts_config(config)},
      random{config.seed},
      tell_{std::move(parts.tell)} {
  if (config.secret.size() < kLeastSecret) return;
  secrets_.push_back(config.secret);
  if (std::string encoded = net::percent_encode(config.secret); encoded != config.secret)
    secrets_.push_back(std::move(encoded));
}

void Context::tell(FeedEvent::Level level, const std::string& connection, std::string text) const {
  if (tell_) tell_({level, connection, std::string{venue.name} + ": " + masked(std::move(text))});
}

std::string Context::masked(std::string text) const {
  for (const std::string& secret : secrets_) {
    const std::string_view first = std::string_view{secret}.substr(0, kLeastSecret);
    for (std::size_t at = 0; (at = text.find(first, at)) != std::string::npos; at += kMask.size()) {
      std::size_t size = first.size();
      while (size < secret.size() && at + size < text.size() && text[at + size] == secret[size]) ++size;
      text.replace(at, size, kMask);
    }
  }
  return text;
}

// The time keeps ids of one process apart from those of another with the same seed.
std::string Context::new_session_id() {
  char text[40];
  const auto now = static_cast<unsigned long long>(to_ns(loop.clock().now()));
  const auto any = static_cast<unsigned long long>(random());
  std::snprintf(text, sizeof text, "%016llx%016llx", now, any);
  return text;
}

std::vector<StreamKind> Dialect::kinds(const Settings& settings) const {
  std::vector<StreamKind> out{settings.tape == Tape::trade ? StreamKind::trade : StreamKind::agg};
  if (settings.best) out.push_back(StreamKind::best);
  if (settings.ticker) out.push_back(StreamKind::ticker);
  return out;
}

Result<std::map<Instrument, double>> Dialect::turnovers(std::string_view) const {
  return failure(Fault::refused, Retry::never, "the venue tells no turnovers");
}

Result<Address> Dialect::address(std::string_view, const Settings&) const {
  return failure(Fault::refused, Retry::never, "the venue tells no addresses");
}

void apply(const FeedOptions& options, Settings& settings) {
  if (!options.stream_url.empty()) settings.stream_url = without_slash(options.stream_url);
  if (!options.rest_url.empty()) settings.rest_url = without_slash(options.rest_url);
  settings.secret = options.token;
  settings.tape = options.tape;
  settings.best = options.best;
  settings.ticker = options.ticker;
  settings.connections = options.connections;
  settings.news = options.news;
  settings.seed = options.seed;
}

std::unique_ptr<Feed> make_feed(std::unique_ptr<const Dialect> dialect, Settings settings, FeedParts parts,
                                std::unique_ptr<Errand> errand) {
  return std::make_unique<CoreFeed>(std::move(dialect), std::move(settings), std::move(parts), std::move(errand));
}

}  // namespace truetape::feeds
