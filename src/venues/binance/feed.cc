#include "venues/binance/feed.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/url.h"
#include "venues/binance/binance.h"
#include "venues/binance/feed_messages.h"
#include "venues/binance/filler.h"
#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/json.h"

namespace truetape::binance {
namespace {

using feeds::Question;
using feeds::Stream;
using feeds::StreamKind;
using json::Object;
using json::Type;
using json::Value;

constexpr std::size_t kMostByName = 100;  // symbols in one question, for the length of its URL

// Spot has one. USD-M has two, and a stream asked for on the wrong one is confirmed and then silent for ever.
enum Route : std::size_t { kPublic = 0, kMarket = 1 };

std::string_view suffix(StreamKind kind) {
  switch (kind) {
    case StreamKind::trade:
      return "@trade";
    case StreamKind::agg:
      return "@aggTrade";
    case StreamKind::best:
      return "@bookTicker";
    case StreamKind::ticker:
    case StreamKind::news:
      break;
  }
  return "@ticker";
}

std::optional<std::int64_t> integer(const Value& value) {
  if (value.type != Type::integer) return std::nullopt;
  std::int64_t out = 0;
  const auto [end, ec] = std::from_chars(value.text.data(), value.text.data() + value.text.size(), out);
  return ec == std::errc{} && end == value.text.data() + value.text.size() ? std::optional{out} : std::nullopt;
}

// Calls `each` with every element of an array that has been checked.
template <class Each>
void for_elements(std::string_view array, Each each) {
  json::Reader reader{array};
  reader.take('[');
  reader.blanks();
  while (!reader.at_end() && reader.peek() != ']') {
    Value element;
    if (!reader.value(element)) return;
    each(element);
    reader.blanks();
    reader.take(',');
    reader.blanks();
  }
}

// {"code":-1121,"msg":"Invalid symbol."}
std::optional<std::int64_t> error_code(std::string_view body) {
  Object object;
  json::Problem problem;
  return object.read(body, problem) ? integer(object.get("code")) : std::nullopt;
}

class BinanceDialect final : public feeds::Dialect {
 public:
  explicit BinanceDialect(Product product) : product_{product}, rest_path_{rest_path(product)} {}

  const Venue& venue() const override { return product_ == Product::spot ? kSpot : kUsdm; }

  // The symbol's ASCII letters in lower case, as the venue wants them there.
  Stream stream_of(const Instrument& instrument, StreamKind kind) const override {
    std::string text{instrument.symbol()};
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    text += suffix(kind);
    return {std::move(text), instrument, kind};
  }
  std::string_view kind_name(StreamKind kind) const override { return suffix(kind); }

  // USD-M: the order book's streams and, undocumented, @trade are on /public; the rest on /market.
  std::size_t route_of(StreamKind kind) const override {
    return product_ == Product::spot || kind == StreamKind::trade || kind == StreamKind::best ? kPublic : kMarket;
  }
  std::string_view route_name(std::size_t route) const override {
    if (product_ == Product::spot) return {};
    return route == kPublic ? "public" : "market";
  }
  std::string socket_target(std::size_t route, const feeds::Settings&) const override { return socket_place(route); }
  std::string socket_place(std::size_t route) const override {
    if (product_ == Product::spot) return "/stream";
    return route == kPublic ? "/public/stream" : "/market/stream";
  }

  std::size_t batch(std::span<const std::string> names, const feeds::PlanLimits& limits) const override {
    return batch_size(names, limits.names, limits.bytes);
  }
  std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t id) const override {
    return binance::subscribe_message(subscribe, names, id);
  }
  feeds::Heard heard(std::string_view frame) const override { return {stream_name(frame), {}}; }
  std::optional<feeds::Reply> reply(std::string_view frame) const override {
    if (is_shutdown_notice(frame, stream_name(frame))) return feeds::Reply{feeds::Reply::Kind::notice};
    return read_reply(frame);
  }

  std::optional<Question> time_question() const override { return Question{rest_path_ + "/time", 1}; }
  std::optional<Timestamp> time(std::string_view answer) const override {
    Object object;
    json::Problem problem;
    const auto server = object.read(answer, problem) ? integer(object.get("serverTime")) : std::nullopt;
    return server ? from_epoch(*server, TimeUnit::ms) : std::nullopt;
  }

  std::vector<Question> symbol_questions(const std::set<Instrument>& wanted, bool whole) const override {
    std::string target = rest_path_ + "/exchangeInfo";
    // USD-M's list takes no parameters.
    if (product_ == Product::spot && !whole && wanted.size() <= kMostByName) {
      std::string list = "[";
      for (const Instrument& instrument : wanted)
        list += (list.size() > 1 ? ",\"" : "\"") + std::string{instrument.symbol()} + '"';
      target += "?symbols=" + net::percent_encode(list + "]");
    }
    return {{std::move(target), product_ == Product::spot ? 20 : 1}};
  }
  // One unknown symbol spoils the question for all.
  bool ask_whole(int status, std::string_view answer) const override {
    if (status != 400 || product_ != Product::spot) return false;
    const std::int64_t code = error_code(answer).value_or(0);
    return code == -1121 || code == -1100 || code == -1102;
  }
  Result<feeds::SymbolList> symbols(std::string_view answer) const override {
    Object object;
    json::Problem problem;
    if (!object.read(answer, problem) || object.get("symbols").type != Type::array)
      return failure(Fault::malformed, Retry::after_backoff, "there is no array \"symbols\" in it");
    feeds::SymbolList out;
    if (object.get("rateLimits").type == Type::array) take_limits(object.get("rateLimits").text, out);
    for_elements(object.get("symbols").text, [&](const Value& element) {
      Object symbol;
      if (element.type != Type::object || !symbol.read(element.text, problem)) return;
      const Value name = symbol.get("symbol"), status = symbol.get("status"), quote = symbol.get("quoteAsset");
      if (name.type != Type::string) return;
      const auto instrument =
          instrument_of(product_, name.escaped ? json::unescape(name.text) : std::string{name.text});
      if (!instrument) return;
      feeds::Listed entry{*instrument, element.text, status.text == "TRADING", status.text};
      if (quote.type == Type::string) entry.quote = quote.text;
      out.entries.push_back(std::move(entry));
    });
    return out;
  }

  // [{"symbol":"BTCUSDT", … "quoteVolume":"1234.5", …}, …]; spot has a shorter form of it.
  std::optional<Question> turnovers_question() const override {
    return product_ == Product::spot ? Question{rest_path_ + "/ticker/24hr?type=MINI", 80}
                                     : Question{rest_path_ + "/ticker/24hr", 40};
  }
  Result<std::map<Instrument, double>> turnovers(std::string_view answer) const override {
    json::Reader reader{answer};
    Value all;
    if (!reader.value(all) || all.type != Type::array)
      return failure(Fault::malformed, Retry::after_backoff, "it is no array");
    std::map<Instrument, double> out;
    for_elements(all.text, [&](const Value& element) {
      Object symbol;
      json::Problem problem;
      if (element.type != Type::object || !symbol.read(element.text, problem)) return;
      const Value name = symbol.get("symbol"), turnover = symbol.get("quoteVolume");
      if (name.type != Type::string || turnover.type != Type::string) return;
      const auto instrument =
          instrument_of(product_, name.escaped ? json::unescape(name.text) : std::string{name.text});
      double value = 0;
      const auto [end, error] =
          std::from_chars(turnover.text.data(), turnover.text.data() + turnover.text.size(), value);
      if (instrument && error == std::errc{}) out.emplace(*instrument, value);
    });
    return out;
  }

  // "… IP banned until 1659146400000. …": where no Retry-After is sent, as on USD-M.
  std::optional<Nanoseconds> blocked_for(const net::HttpAnswer& answer, std::optional<Timestamp> now) const override {
    constexpr std::string_view kMark = "banned until ";
    if (answer.status != 418 && answer.status != 429) return std::nullopt;
    const std::size_t at = answer.body.find(kMark);
    if (at == std::string::npos) return std::nullopt;
    std::int64_t ms = 0;
    const char* const begin = answer.body.data() + at + kMark.size();
    if (std::from_chars(begin, answer.body.data() + answer.body.size(), ms).ec != std::errc{}) return std::nullopt;
    const auto until = from_epoch(ms, TimeUnit::ms);
    return until ? std::optional{*until - now.value_or(answer.received)} : std::nullopt;
  }

  std::string advice(int status) const override {
    if (status == 451)
      return "the venue does not serve this place (451); nothing here can change that: run truetape where Binance may "
             "be used, or set stream_url and rest_url to a host of the venue that may be used from here";
    if (status == 403)
      return "a firewall of the venue or of a proxy on the way refuses us (403); check stream_url, rest_url and the "
             "proxy's settings, wait some minutes if many connections were made, else try from another address";
    return {};
  }

 private:
  // [{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}, …]: the live values count.
  static void take_limits(std::string_view limits, feeds::SymbolList& out) {
    for_elements(limits, [&out](const Value& element) {
      Object limit;
      json::Problem problem;
      if (element.type != Type::object || !limit.read(element.text, problem)) return;
      const auto value = integer(limit.get("limit"));
      if (limit.get("rateLimitType").text == "REQUEST_WEIGHT" && limit.get("interval").text == "MINUTE" &&
          integer(limit.get("intervalNum")) == 1 && value && *value > 0)
        out.limits.emplace_back(0, *value);
    });
  }

  const Product product_;
  const std::string rest_path_;
};

template <Product product>
std::unique_ptr<Filler> make_filler_of(const FillOptions& options, FeedParts parts) {
  return make_filler(filler_config(product, options), std::move(parts));
}

}  // namespace

std::unique_ptr<const feeds::Dialect> make_dialect(Product product) {
  return std::make_unique<const BinanceDialect>(product);
}

feeds::Settings feed_settings(Product product, const FeedOptions& options) {
  feeds::Settings out;
  const net::RateWindow minute{std::chrono::minutes{1}, product == Product::spot ? 6000 : 2400, false,
                               "X-MBX-USED-WEIGHT-1M"};
  out.rest_windows = {minute};
  out.rest_url = rest_url(product);
  out.stream_url = "wss://data-stream.binance.vision";
  if (product == Product::usdm) {
    out.stream_url = "wss://fstream.binance.com";
    out.messages = 10;
    out.idle_timeout = std::chrono::minutes{7};  // it pings every three
  }
  feeds::apply(options, out);
  return out;
}

std::unique_ptr<Feed> make_feed(Product product, const FeedOptions& options, FeedParts parts) {
  return feeds::make_feed(make_dialect(product), feed_settings(product, options), std::move(parts));
}

std::span<const FeedEntry> feed_entries() {
  static constexpr std::array kAll{
      FeedEntry{.venue = "binance",
                .example = "binance:BTCUSDT",
                .aggregates = true,
                .wildcards = true,
                .make = [](const FeedOptions& options,
                           FeedParts parts) { return make_feed(Product::spot, options, std::move(parts)); },
                .api_key = true,
                .make_filler = make_filler_of<Product::spot>},
      FeedEntry{.venue = "binance-usdm",
                .example = "binance-usdm:BTCUSDT",
                .aggregates = true,
                .wildcards = true,
                .make = [](const FeedOptions& options,
                           FeedParts parts) { return make_feed(Product::usdm, options, std::move(parts)); },
                .api_key = true,
                .make_filler = make_filler_of<Product::usdm>}};
  return kAll;
}

}  // namespace truetape::binance
