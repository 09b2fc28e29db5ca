#include "venues/finnhub/feed.h"

#include <algorithm>
#include <array>

#include "core/digits.h"
#include "core/utf8.h"
#include "venues/feed_core.h"
#include "venues/feed_entry.h"
#include "venues/finnhub/finnhub.h"
#include "venues/finnhub/item.h"
#include "venues/finnhub/markets.h"

namespace truetape::finnhub {
namespace {

using feeds::Question;
using feeds::Stream;
using feeds::StreamKind;
using json::Object;
using json::Type;
using json::Value;

constexpr std::string_view kNewsPrefix = "news ";  // of a stream's name; no symbol begins with it
constexpr int kFreeSymbols = 50;

// As the text of a JSON string.
std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class FinnhubDialect final : public feeds::Dialect {
 public:
  const Venue& venue() const override { return kVenue; }

  Stream stream_of(const Instrument& instrument, StreamKind kind) const override {
    const std::string symbol = symbol_of(instrument);
    return {kind == StreamKind::news ? std::string{kNewsPrefix} + symbol : symbol, instrument, kind};
  }
  std::vector<StreamKind> kinds(const feeds::Settings& settings) const override {
    if (settings.news == NewsBy::stream) return {StreamKind::trade, StreamKind::news};
    return {StreamKind::trade};
  }
  std::string_view kind_name(StreamKind kind) const override { return kind == StreamKind::news ? "news" : "trade"; }
  std::string socket_target(std::size_t, const feeds::Settings& settings) const override {
    return "/?token=" + percent_encoded(settings.secret);
  }

  // Each message names one symbol, and none is answered.
  std::size_t batch(std::span<const std::string>, const feeds::PlanLimits&) const override { return 1; }
  std::string subscribe_message(bool subscribe, std::span<const std::string> names, std::int64_t) const override {
    std::string_view symbol = names.front();
    const bool news = symbol.starts_with(kNewsPrefix);
    if (news) symbol.remove_prefix(kNewsPrefix.size());
    return std::string{R"({"type":")"} + (subscribe ? "subscribe" : "unsubscribe") + (news ? "-news" : "") +
           R"(","symbol":)" + quoted(symbol) + "}";
  }
  feeds::Heard heard(std::string_view frame) const override {
    if (type_of(frame) == "trade") return {{}, StreamKind::trade};
    return {};
  }
  std::optional<feeds::Reply> reply(std::string_view frame) const override {
    Object top;
    json::Problem problem;
    if (!is_utf8(frame) || !top.read(frame, problem)) return std::nullopt;
    std::string room;
    const Value type = top.get("type"), text = top.get("msg");
    if (type.type != Type::string || payload::text_of(type, room) != "error") return std::nullopt;
    feeds::Reply out;
    out.kind = feeds::Reply::Kind::remark;
    std::string said{text.type == Type::string ? payload::text_of(text, room) : std::string_view{"an error"}};
    if (said.find("too many symbols") != std::string::npos)
      said += "; some stay silent: want fewer instruments, and set feed.finnhub.symbols to what your plan allows";
    out.error = std::move(said);
    return out;
  }

  net::Headers headers(const feeds::Settings& settings) const override {
    net::Headers out;
    out.add("X-Finnhub-Token", settings.secret);
    return out;
  }
  // {"exchange":"US",…,"t":1789580601,…}: seconds that have passed, so half of one is added.
  std::optional<Question> time_question() const override {
    return Question{std::string{kRestPath} + "/stock/market-status?exchange=US"};
  }
  std::optional<Timestamp> time(std::string_view answer) const override {
    Object object;
    json::Problem problem;
    if (!object.read(answer, problem)) return std::nullopt;
    const Value value = object.get('t');
    const auto seconds = value.type == Type::integer ? digits::natural(value.text) : std::nullopt;
    if (!seconds || guess_time_unit(*seconds) != TimeUnit::s) return std::nullopt;
    const auto at = from_epoch(*seconds, TimeUnit::s);
    return at ? std::optional{*at + std::chrono::milliseconds{500}} : std::nullopt;
  }
  std::vector<Question> symbol_questions(const std::set<Instrument>& wanted, bool) const override {
    std::vector<Question> out;
    for (const std::string& list : lists_of(wanted)) out.push_back({std::string{kRestPath} + list});
    return out;
  }
  bool lists_may_be_empty() const override { return true; }  // of an exchange that the venue does not have
  Result<feeds::SymbolList> symbols(std::string_view answer) const override {
    feeds::SymbolList out;
    json::Reader reader{answer};
    const auto bad = [&](const std::string& what) { return failure(Fault::malformed, Retry::never, what); };
    reader.blanks();
    if (!reader.take('[')) return bad("it is no array");
    reader.blanks();
    if (reader.take(']')) return out;
    for (;;) {
      Value entry;
      if (!reader.value(entry))
        return bad("at byte " + std::to_string(reader.problem().at) + " it " + reader.problem().what);
      Object object;
      json::Problem problem;
      if (entry.type != Type::object || !object.read(entry.text, problem)) return bad("an entry is no object");
      std::string room;
      const Value symbol = object.get("symbol"), currency = object.get("currency"), shown = object.get("displaySymbol");
      if (symbol.type != Type::string) return bad("an entry has no symbol");
      if (const auto instrument = instrument_of(payload::text_of(symbol, room))) {
        feeds::Listed& listed = out.entries.emplace_back();
        listed.instrument = *instrument;
        listed.bytes = entry.text;
        if (currency.type == Type::string) {
          listed.quote = payload::text_of(currency, room);
        } else if (shown.type == Type::string) {
          const std::string_view pair = payload::text_of(shown, room);
          if (const std::size_t slash = pair.find('/'); slash != std::string_view::npos)
            listed.quote = pair.substr(slash + 1);
        }
      }
      reader.blanks();
      if (reader.take(']')) return out;
      if (!reader.take(',')) return bad("it lacks a comma at byte " + std::to_string(reader.position()));
    }
  }
  std::string advice(int status) const override {
    switch (status) {
      case 401:
        return "the venue does not know the token: check feed.finnhub.token";
      case 403:
        return "your plan does not include this";
      case 429:
        return "the venue allows one connection of a key, and so many questions a minute: check that nothing else uses "
               "the key";
      case 451:
        return "the venue does not serve this place";
      default:
        return {};
    }
  }

 private:
  // Without reading it where it is written as the venue does.
  static std::string_view type_of(std::string_view frame) {
    if (frame.ends_with(R"("type":"trade"})")) return "trade";
    if (frame.find("trade") == std::string_view::npos) return {};
    Object top;
    json::Problem problem;
    if (!top.read(frame, problem)) return {};
    const Value type = top.get("type");
    return type.type == Type::string && type.text == "trade" ? "trade" : "";
  }
};

std::unique_ptr<feeds::Errand> errand_of(NewsBy news) {
  if (news == NewsBy::off) return nullptr;
  return make_news_errand(news == NewsBy::stream ? kNewsBesideStream : NewsPolling{});
}

}  // namespace

std::unique_ptr<const feeds::Dialect> make_dialect() { return std::make_unique<const FinnhubDialect>(); }

feeds::Settings feed_settings(const FeedOptions& options) {
  using std::chrono::milliseconds, std::chrono::seconds, std::chrono::minutes, std::chrono::hours;
  feeds::Settings s;
  s.stream_url = kStreamUrl;
  s.rest_url = kRestUrl;
  feeds::apply(options, s);
  const int symbols = options.symbols > 0 ? options.symbols : kFreeSymbols;
  s.limits.streams = static_cast<std::size_t>(symbols) * (s.news == NewsBy::stream ? 2 : 1);
  s.limits.names = 1;
  s.limits.connections = 1;
  s.messages = 20;  // not documented; bursts of 60 are common practice
  s.acknowledged = false;
  s.overlap = false;              // one connection for each key
  s.life = hours{24 * 365};       // no limit is known
  s.idle_timeout = seconds{150};  // the venue's own ping comes once or twice in two minutes
  s.silent_after = minutes{5};    // shares are quiet after hours
  s.witness_lag = seconds{2};     // the venue collects trades for about a second
  s.ping_spacing = seconds{5};
  s.busy_pause = minutes{2};  // the old connection may count for a while
  s.backoff = {milliseconds{500}, minutes{1}, 2};
  s.rest_windows = {{minutes{1}, 60, true, {}}, {seconds{1}, 30, true, {}}};
  return s;
}

std::span<const FeedEntry> feed_entries() {
  static constexpr std::array kAll{FeedEntry{.venue = kName,
                                             .example = "finnhub:AAPL",
                                             .capitals = false,
                                             .twin = false,
                                             .token = true,
                                             .news = true,
                                             .symbols = kFreeSymbols,
                                             .make = [](const FeedOptions& options, FeedParts parts) {
                                               return feeds::make_feed(make_dialect(), feed_settings(options),
                                                                       std::move(parts), errand_of(options.news));
                                             }}};
  return kAll;
}

}  // namespace truetape::finnhub
