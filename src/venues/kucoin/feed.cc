#include "venues/kucoin/feed.h"

#include <array>
#include <charconv>

#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/kucoin/feed_messages.h"
#include "venues/kucoin/item.h"
#include "venues/kucoin/kucoin.h"

namespace truetape::kucoin {
namespace {

using feeds::Question;
using feeds::Stream;
using feeds::StreamKind;
using json::Object;
using json::Type;
using json::Value;

// Calls `each` with every element of an array that has been checked.
template <class Each>
void for_elements(std::string_view array, Each each) {
  json::Reader in{array};
  in.take('[');
  for (in.blanks(); !in.at_end() && in.peek() != ']'; in.blanks()) {
    Value element;
    if (!in.value(element)) return;
    each(element);
    in.blanks();
    in.take(',');
  }
}

std::optional<Instrument> symbol_in(const Object& entry) {
  const Value symbol = entry.get("symbol");
  std::string room;
  return symbol.type == Type::string ? instrument_of(payload::text_of(symbol, room)) : std::nullopt;
}

class KucoinDialect final : public feeds::Dialect {
 public:
  const Venue& venue() const override { return kSpot; }

  Stream stream_of(const Instrument& instrument, StreamKind kind) const override {
    return {std::string{kind_name(kind)} + ':' + std::string{instrument.symbol()}, instrument, kind};
  }
  std::string_view kind_name(StreamKind kind) const override {
    switch (kind) {
      case StreamKind::best:
        return "/spotMarket/level1";
      case StreamKind::ticker:
        return "/market/ticker";
      default:
        return "/market/match";
    }
  }
  std::string socket_target(std::size_t, const feeds::Settings&) const override { return "/"; }

  std::optional<Question> address_question() const override { return Question{"/api/v1/bullet-public", 10, "POST"}; }
  Result<feeds::Address> address(std::string_view answer, const feeds::Settings& settings) const override {
    return read_address(answer, settings);
  }
  std::size_t batch(std::span<const std::string> names, const feeds::PlanLimits& limits) const override {
    return batch_size(names, limits);
  }
  std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t id) const override {
    return kucoin::subscribe_message(subscribe, names, id);
  }
  feeds::Heard heard(std::string_view frame) const override { return {topic_of(frame), {}}; }
  std::optional<feeds::Reply> reply(std::string_view frame) const override { return read_reply(frame); }
  std::optional<std::string> ping_message(std::int64_t id) const override { return kucoin::ping_message(id); }

  std::optional<Question> time_question() const override { return Question{"/api/v1/timestamp", 3}; }
  std::optional<Timestamp> time(std::string_view answer) const override {
    const auto told = server_time(answer);
    return told ? std::optional{*told} : std::nullopt;
  }
  // The list of all costs no more than that of one.
  std::vector<Question> symbol_questions(const std::set<Instrument>&, bool) const override {
    return {{"/api/v2/symbols", 4}};
  }
  Result<feeds::SymbolList> symbols(std::string_view answer) const override {
    Object object;
    const auto data = answer_data(answer, object);
    if (!data) return tl::unexpected{data.error()};
    if (data->type != Type::array) return failure(Fault::malformed, Retry::after_backoff, "its \"data\" is no array");
    feeds::SymbolList out;
    for_elements(data->text, [&](const Value& element) {
      Object symbol;
      json::Problem problem;
      if (element.type != Type::object || !symbol.read(element.text, problem)) return;
      const auto instrument = symbol_in(symbol);
      if (!instrument) return;
      const bool trades = symbol.get("enableTrading").text == "true";
      feeds::Listed entry{*instrument, element.text, trades, trades ? "TRADING" : "HALTED"};
      std::string room;
      if (const Value quote = symbol.get("quoteCurrency"); quote.type == Type::string)
        entry.quote = payload::text_of(quote, room);
      out.entries.push_back(std::move(entry));
    });
    return out;
  }

  // {"time":…,"ticker":[{"symbol":"BTC-USDT", … "volValue":"68144.4", …}, …]}
  std::optional<Question> turnovers_question() const override { return Question{"/api/v1/market/allTickers", 15}; }
  Result<std::map<Instrument, double>> turnovers(std::string_view answer) const override {
    Object object, inner;
    json::Problem problem;
    const auto data = answer_data(answer, object);
    if (!data) return tl::unexpected{data.error()};
    if (data->type != Type::object || !inner.read(data->text, problem) || inner.get("ticker").type != Type::array)
      return failure(Fault::malformed, Retry::after_backoff, "there is no array \"ticker\" in its \"data\"");
    std::map<Instrument, double> out;
    for_elements(inner.get("ticker").text, [&](const Value& element) {
      Object ticker;
      if (element.type != Type::object || !ticker.read(element.text, problem)) return;
      const auto instrument = symbol_in(ticker);
      const Value turnover = ticker.get("volValue");  // null of a dead one
      double value = 0;
      const auto [end, error] =
          std::from_chars(turnover.text.data(), turnover.text.data() + turnover.text.size(), value);
      if (instrument && turnover.type == Type::string && error == std::errc{}) out.emplace(*instrument, value);
    });
    return out;
  }

  // The window's rest in milliseconds; absent when it is not we who ask too much.
  std::optional<Nanoseconds> blocked_for(const net::HttpAnswer& answer, std::optional<Timestamp>) const override {
    if (answer.status != 429) return std::nullopt;
    const auto told = answer.headers.find("gw-ratelimit-reset");
    if (!told) return std::nullopt;
    std::int64_t ms = 0;
    const auto [end, error] = std::from_chars(told->data(), told->data() + told->size(), ms);
    if (error != std::errc{} || end != told->data() + told->size() || ms < 0) return std::nullopt;
    return std::chrono::milliseconds{ms};
  }

  std::string advice(int status) const override {
    if (status == 451)
      return "the venue does not serve this place (451); nothing here can change that: run truetape where KuCoin may "
             "be used, or set rest_url to a host of the venue that may be used from here";
    if (status == 403)
      return "a firewall of the venue or of a proxy on the way refuses us (403); check rest_url and the proxy's "
             "settings, wait some minutes if much was asked, else try from another address";
    return {};
  }
};

}  // namespace

feeds::Settings feed_settings(const FeedOptions& options) {
  feeds::Settings out;
  out.rest_url = kRestUrl;
  out.limits = {.streams = 300, .names = 100, .bytes = 8000, .connections = 400};
  out.messages = 100;
  out.messages_within = std::chrono::seconds{10};
  out.welcomed = true;
  out.idle_timeout = std::chrono::minutes{1};
  out.ping_every = std::chrono::seconds{18};
  out.slow_loses = std::chrono::seconds{10};
  out.attempts = 30;
  out.attempts_within = std::chrono::minutes{1};
  out.rest_windows = {{std::chrono::seconds{30}, 2000, false, {}}};
  feeds::apply(options, out);
  return out;
}

std::unique_ptr<const feeds::Dialect> make_dialect() { return std::make_unique<const KucoinDialect>(); }

std::span<const FeedEntry> feed_entries() {
  static constexpr std::array kAll{FeedEntry{.venue = kVenue,
                                             .example = "kucoin:BTC-USDT",
                                             .wildcards = true,
                                             .make = [](const FeedOptions& options, FeedParts parts) {
                                               return feeds::make_feed(make_dialect(), feed_settings(options),
                                                                       std::move(parts),
                                                                       std::make_unique<LastTrades>());
                                             }}};
  return kAll;
}

}  // namespace truetape::kucoin
