#include "venues/coinbase/feed.h"

#include <array>
#include <map>

#include "venues/coinbase/coinbase.h"
#include "venues/coinbase/item.h"
#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/json.h"

namespace truetape::coinbase {
namespace {

using feeds::Question;
using feeds::Reply;
using feeds::Stream;
using feeds::StreamKind;
using json::Object;
using json::Type;
using json::Value;

// One channel tells both kinds of quotes.
std::string_view channel(StreamKind kind) { return kind == StreamKind::trade ? "matches" : "ticker"; }

std::string_view channel_of(std::string_view name) { return name.substr(0, name.find(':')); }

std::string text(const Object& object, std::string_view key) {
  const Value value = object.get(key);
  return value.type == Type::string ? json::unescape(value.text) : std::string{};
}

bool is_true(const Object& object, std::string_view key) {
  const Value value = object.get(key);
  return value.type == Type::boolean && value.text == "true";
}

// The type of a message. `object` keeps it, if it does not stand where the venue writes it: at first.
std::string_view type_of(std::string_view frame, Object& object) {
  constexpr std::string_view kBegin = R"({"type":")";
  if (frame.starts_with(kBegin)) {
    frame.remove_prefix(kBegin.size());
    return frame.substr(0, frame.find('"'));
  }
  json::Problem problem;
  return object.read(frame, problem) && object.get("type").type == Type::string ? object.get("type").text
                                                                                : std::string_view{};
}

feeds::Listed listed(const Instrument& instrument, std::string_view bytes, const Object& product) {
  feeds::Listed out{instrument, bytes, true, {}};
  const Value status = product.get("status");
  if (status.type == Type::string) out.status = status.text;
  out.trades = out.status == "online";
  out.quote = text(product, "quote_currency");
  if (!out.trades) return out;
  for (const std::string_view stop : {"trading_disabled", "cancel_only", "post_only"}) {
    if (!is_true(product, stop)) continue;
    out.trades = false;
    out.status = stop;
  }
  return out;
}

class CoinbaseDialect final : public feeds::Dialect {
 public:
  const Venue& venue() const override { return kExchange; }

  Stream stream_of(const Instrument& instrument, StreamKind kind) const override {
    return {std::string{channel(kind)} + ':' + std::string{instrument.symbol()}, instrument, kind};
  }
  std::vector<StreamKind> kinds(const feeds::Settings& settings) const override {
    if (settings.best || settings.ticker) return {StreamKind::trade, StreamKind::ticker};
    return {StreamKind::trade};
  }
  std::string_view kind_name(StreamKind kind) const override { return channel(kind); }
  std::string socket_target(std::size_t, const feeds::Settings&) const override { return "/"; }

  // One channel in a message: so there is one answer to it.
  std::size_t batch(std::span<const std::string> names, const feeds::PlanLimits& limits) const override {
    std::size_t count = 0, bytes = 0;
    for (const std::string& name : names) {
      bytes += name.size() + 3;  // quotes and a comma
      if (count == limits.names || channel_of(name) != channel_of(names[0]) || (count > 0 && bytes > limits.bytes))
        break;
      ++count;
    }
    return count;
  }
  // Names are made of symbols, which hold neither quotes nor backslashes where receivable() has let them in; those that
  // do are escaped. Requests have no id.
  std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t) const override {
    std::map<std::string_view, std::string> products;  // by channel
    for (const std::string& name : names) {
      const std::string_view of = channel_of(name);
      std::string& list = products[of];
      list += list.empty() ? "\"" : ",\"";
      for (const char c : std::string_view{name}.substr(of.size() + 1)) {
        if (c == '"' || c == '\\') list += '\\';
        list += c;
      }
      list += '"';
    }
    std::string out = subscribe ? R"({"type":"subscribe","channels":[)" : R"({"type":"unsubscribe","channels":[)";
    for (const auto& [name, list] : products) {
      if (out.back() == '}') out += ',';
      out += R"({"name":")" + std::string{name} + R"(","product_ids":[)" + list + "]}";
    }
    return out + "]}";
  }
  feeds::Heard heard(std::string_view frame) const override {
    Object object;
    const std::string_view type = type_of(frame, object);
    if (type == "match" || type == "last_match") return {{}, StreamKind::trade};
    if (type == "ticker") return {{}, StreamKind::ticker};
    return {};
  }
  std::optional<Reply> reply(std::string_view frame) const override {
    Object object;
    json::Problem problem;
    if (!object.read(frame, problem)) return std::nullopt;
    const std::string type = text(object, "type");
    if (type == "subscriptions") return Reply{Reply::Kind::answer};
    if (type != "error") return std::nullopt;
    const std::string message = text(object, "message"), reason = text(object, "reason");
    std::string said = message.empty() ? "no reason given" : message;
    if (!reason.empty()) said += ": " + reason;
    const bool to_request = message.starts_with("Failed to subscribe") || message.starts_with("Failed to unsubscribe");
    return Reply{to_request ? Reply::Kind::answer : Reply::Kind::remark, {}, std::move(said)};
  }

  std::optional<Question> time_question() const override { return Question{"/time"}; }
  std::optional<Timestamp> time(std::string_view answer) const override {
    Object object;
    json::Problem problem;
    return object.read(answer, problem) ? time_of(text(object, "iso")) : std::nullopt;
  }

  std::vector<Question> symbol_questions(const std::set<Instrument>&, bool) const override { return {{"/products"}}; }
  Result<feeds::SymbolList> symbols(std::string_view answer) const override {
    json::Reader check{answer};
    Value whole;
    if (!check.value(whole) || whole.type != Type::array)
      return failure(Fault::malformed, Retry::after_backoff, "it is no array");
    feeds::SymbolList out;
    json::Reader reader{whole.text};
    reader.take('[');
    for (reader.blanks(); !reader.at_end() && reader.peek() != ']'; reader.blanks()) {
      Value element;
      if (!reader.value(element)) break;
      reader.blanks();
      reader.take(',');
      Object product;
      json::Problem problem;
      if (element.type != Type::object || !product.read(element.text, problem)) continue;
      if (const auto instrument = instrument_of(text(product, "id")))
        out.entries.push_back(listed(*instrument, element.text, product));
    }
    return out;
  }

  std::string advice(int status) const override {
    if (status == 451)
      return "the venue does not serve this place (451); nothing here can change that: run truetape where Coinbase may "
             "be used";
    if (status == 401 || status == 403)
      return "the venue, or a firewall on the way, refuses us (" + std::to_string(status) +
             "); check stream_url, rest_url and the proxy's settings, wait some minutes if many connections were made, "
             "else try from another address";
    return {};
  }
};

}  // namespace

std::unique_ptr<const feeds::Dialect> make_dialect() { return std::make_unique<const CoinbaseDialect>(); }

feeds::Settings feed_settings(const FeedOptions& options) {
  feeds::Settings out;
  out.stream_url = "wss://ws-feed.exchange.coinbase.com";
  out.rest_url = "https://api.exchange.coinbase.com";
  out.rest_windows = {{std::chrono::seconds{1}, 10}};
  out.messages = 8;
  out.answers_have_ids = false;
  out.limits = {.streams = 200, .names = 100, .bytes = 4000};
  feeds::apply(options, out);
  return out;
}

std::span<const FeedEntry> feed_entries() {
  static constexpr std::array kAll{FeedEntry{
      .venue = kVenue, .example = "coinbase:BTC-USD", .make = [](const FeedOptions& options, FeedParts parts) {
        return feeds::make_feed(make_dialect(), feed_settings(options), std::move(parts));
      }}};
  return kAll;
}

}  // namespace truetape::coinbase
