// The table of settings. A setting of the heart is one line here and its rule in market/rules.cc.
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "app/config.h"
#include "app/values.h"
#include "log/log.h"
#include "net/url.h"
#include "venues/feed_entry.h"

namespace truetape::app {
namespace {

auto refuse(const Setting& setting) { return failure(Fault::malformed, Retry::never, setting.allowed); }

template <Nanoseconds Config::*Member, std::int64_t Least, std::int64_t Most>
Status set_duration(Config& config, const Setting& setting, std::string_view value) {
  const auto duration = parse_duration(value);
  if (!duration || duration->count() < Least || duration->count() > Most) return refuse(setting);
  config.*Member = *duration;
  return {};
}
template <Nanoseconds Config::*Member>
std::string get_duration(const Config& config, const Setting&) {
  return duration_text(config.*Member);
}

Status set_data(Config& config, const Setting& setting, std::string_view value) {
  if (value.empty()) return refuse(setting);
  config.kafka_place.reset();
  config.data = value;
  if (!is_kafka_url(value)) return {};
  auto place = parse_kafka_url(value);
  if (!place) return tl::unexpected{place.error()};
  config.data = place->name();
  config.registry.prefix = place->prefix;
  config.kafka_place = std::move(*place);
  return {};
}
std::string get_data(const Config& config, const Setting&) {
  const bool properties = config.on_kafka() && !config.kafka_place->properties.empty();
  return config.data + (properties ? "?******" : "");
}

Status set_store(Config& config, const Setting& setting, std::string_view value) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (!value.empty() && (!value.starts_with(kSqlite) || value.size() == kSqlite.size())) return refuse(setting);
  config.store = value;
  return {};
}

bool is_worker(std::string_view name) {
  return name.size() <= 100 && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

Status set_worker(Config& config, const Setting& setting, std::string_view value) {
  if (!is_worker(value)) return refuse(setting);
  config.worker = value;
  return {};
}

Status set_log_level(Config& config, const Setting& setting, std::string_view value) {
  for (const std::string_view level : {"trace", "debug", "info", "warn", "error", "off"})
    if (value == level) {
      config.log_level = value;
      return {};
    }
  return refuse(setting);
}

Status set_log_format(Config& config, const Setting& setting, std::string_view value) {
  if (value != "text" && value != "json") return refuse(setting);
  config.log_format = value;
  return {};
}

template <std::string Config::*Member>
Status set_path(Config& config, const Setting&, std::string_view value) {
  config.*Member = value;
  return {};
}
template <std::string Config::*Member>
std::string get_text(const Config& config, const Setting&) {
  return config.*Member;
}

std::optional<std::int64_t> whole(std::string_view value, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < least || number > most)
    return std::nullopt;
  return number;
}

// Calls `each` with every word between commas until it answers false, which is then the answer.
template <class Each>
bool for_words(std::string_view list, Each each) {
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (!each(rest.substr(0, comma))) return false;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return true;
}

Status set_log_size(Config& config, const Setting& setting, std::string_view value) {
  const auto size = parse_size(value);
  if (!size || *size < 8'000'000 || *size > 16'000'000'000'000) return refuse(setting);
  config.log_size = *size;
  return {};
}

Status set_compressed(Config& config, const Setting& setting, std::string_view value) {
  if (!for_words(value, [](std::string_view word) { return topic::index(word).has_value(); })) return refuse(setting);
  config.compressed_topics = value;
  return {};
}

Status set_instruments(Config& config, const Setting& setting, std::string_view value) {
  std::vector<Instrument> read;
  const bool good = for_words(value, [&](std::string_view word) {
    const auto instrument = receivable(word);
    if (!instrument) return false;
    if (std::ranges::find(read, *instrument) == read.end()) read.push_back(*instrument);
    return true;
  });
  if (!good) return refuse(setting);
  config.instruments = std::move(read);
  return {};
}
std::string get_instruments(const Config& config, const Setting&) {
  std::string out;
  for (const Instrument& instrument : config.instruments) out.append(out.empty() ? "" : ",").append(instrument.str());
  return out;
}

// "feed.VENUE.NAME"
template <class Feeds>
auto& feed_of(Feeds& feeds, const Setting& setting) {
  const std::string_view rest = std::string_view{setting.key}.substr(std::string_view{"feed."}.size());
  return feeds.find(rest.substr(0, rest.find('.')))->second;
}

// As it is shown.
std::string without_password(const std::string& text) {
  const auto url = net::parse_url(text);
  if (!url || url->password.empty()) return text;
  return url->scheme + "://" + net::percent_encode(url->user) + ":******@" + url->host_field() + url->target;
}

// An address without a path, plain or encrypted; empty: the venue's own.
template <std::string FeedSettings::*Member>
Status set_url(Config& config, const Setting& setting, std::string_view value) {
  const std::string_view plain = setting.key.ends_with("stream_url") ? "ws" : "http";
  const auto url = net::parse_url(value);
  if (!value.empty() &&
      (!url || (url->scheme != plain && url->scheme != std::string{plain} + "s") || url->target != "/"))
    return refuse(setting);
  feed_of(config.feeds, setting).*Member = value;
  return {};
}
template <std::string FeedSettings::*Member>
std::string get_url(const Config& config, const Setting& setting) {
  return without_password(feed_of(config.feeds, setting).*Member);
}

Status set_feed_token(Config& config, const Setting& setting, std::string_view value) {
  if (value.size() > 512 || value.find_first_of(" \t\r\n") != std::string_view::npos) return refuse(setting);
  feed_of(config.feeds, setting).token = value;
  return {};
}

// Sent in a header: what cannot stand there could never be sent.
Status set_api_key(Config& config, const Setting& setting, std::string_view value) {
  if (value.size() > 512 || std::ranges::any_of(value, [](char c) { return c <= ' ' || c > '~'; }))
    return refuse(setting);
  feed_of(config.feeds, setting).api_key = value;
  return {};
}

Status set_backfill(Config& config, const Setting& setting, std::string_view value) {
  if (value != "yes" && value != "no") return refuse(setting);
  config.backfill.enabled = value == "yes";
  return {};
}

Status set_share(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 10, 45);
  if (!number) return refuse(setting);
  config.backfill.share = static_cast<std::int32_t>(*number);
  return {};
}

Status set_feed_tape(Config& config, const Setting& setting, std::string_view value) {
  const auto tape = parse_tape(value);
  if (!tape) return refuse(setting);
  feed_of(config.feeds, setting).tape = *tape;
  return {};
}

Status set_connections(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 1, 2);
  if (!number) return refuse(setting);
  feed_of(config.feeds, setting).connections = static_cast<std::int32_t>(*number);
  return {};
}

Status set_symbols(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 1, 10'000);
  if (!number) return refuse(setting);
  feed_of(config.feeds, setting).symbols = static_cast<std::int32_t>(*number);
  return {};
}

Status set_news(Config& config, const Setting& setting, std::string_view value) {
  const auto news = parse_news_by(value);
  if (!news) return refuse(setting);
  feed_of(config.feeds, setting).news = *news;
  return {};
}

Status set_quotes(Config& config, const Setting& setting, std::string_view value) {
  bool best = false, ticker = false;
  if (!for_words(value, [&](std::string_view word) {
        best = best || word == "best";
        ticker = ticker || word == "ticker";
        return word == "best" || word == "ticker";
      }))
    return refuse(setting);
  FeedSettings& feed = feed_of(config.feeds, setting);
  feed.best = best;
  feed.ticker = ticker;
  return {};
}
std::string get_quotes(const Config& config, const Setting& setting) {
  const FeedSettings& feed = feed_of(config.feeds, setting);
  return std::string{feed.best ? "best" : ""} + (feed.best && feed.ticker ? "," : "") + (feed.ticker ? "ticker" : "");
}

// An IP address: a name could mean another machine tomorrow.
Status set_address(Config& config, const Setting& setting, std::string_view value) {
  const std::string text{value};
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  if (inet_pton(AF_INET, text.c_str(), ignored.data()) != 1 && inet_pton(AF_INET6, text.c_str(), ignored.data()) != 1)
    return refuse(setting);
  config.serve.address = value;
  return {};
}

Status set_port(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 0, 65'535);
  if (!number) return refuse(setting);
  config.serve.port = static_cast<std::uint16_t>(*number);
  return {};
}

// Sent in a header: what cannot stand there could never be sent.
template <std::string ServeSettings::*Member>
Status set_token(Config& config, const Setting& setting, std::string_view value) {
  if (!value.empty() && (value.size() < 16 || value.size() > 512 ||
                         std::ranges::any_of(value, [](char c) { return c <= ' ' || c > '~'; })))
    return refuse(setting);
  config.serve.*Member = value;
  return {};
}
template <std::string ServeSettings::*Member>
Status set_serve_path(Config& config, const Setting&, std::string_view value) {
  config.serve.*Member = value;
  return {};
}
template <std::string ServeSettings::*Member>
std::string get_serve(const Config& config, const Setting&) {
  return config.serve.*Member;
}

Status set_stale_after(Config& config, const Setting& setting, std::string_view value) {
  const auto duration = parse_duration(value);
  if (!duration || *duration < std::chrono::seconds{1} || *duration > std::chrono::hours{24}) return refuse(setting);
  config.serve.stale_after = *duration;
  return {};
}

// "0.5%"
Status set_cross_band(Config& config, const Setting& setting, std::string_view value) {
  if (!value.ends_with('%')) return refuse(setting);
  value.remove_suffix(1);
  double percent = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), percent);
  if (error != std::errc{} || end != value.data() + value.size() || !(percent >= 0.001 && percent <= 1000))
    return refuse(setting);
  config.cross.band = percent;
  return {};
}
std::string get_cross_band(const Config& config, const Setting&) {
  char text[32];
  return std::string{text, std::to_chars(text, text + sizeof text, config.cross.band).ptr} + '%';
}
Status set_cross_hold(Config& config, const Setting& setting, std::string_view value) {
  const auto duration = parse_duration(value);
  if (!duration || *duration < std::chrono::seconds{1} || *duration > std::chrono::hours{24}) return refuse(setting);
  config.cross.hold = *duration;
  return {};
}
// As it counts.
std::string get_cross_hold(const Config& config, const Setting& setting) {
  const bool said = config.said.contains(setting.key);
  return duration_text(said ? config.cross.hold
                            : std::max<Nanoseconds>(config.cross.hold, config.rules.intervals.front()));
}
// "binance:BTCUSDT=coinbase:BTC-USD"
Status set_cross_pairs(Config& config, const Setting& setting, std::string_view value) {
  std::vector<std::pair<Instrument, Instrument>> pairs;
  const bool good = for_words(value, [&](std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return false;
    const auto a = Instrument::parse(word.substr(0, equals)), b = Instrument::parse(word.substr(equals + 1));
    if (!a || !b || a->venue() == b->venue()) return false;
    pairs.emplace_back(*a, *b);
    return true;
  });
  if (!good) return refuse(setting);
  config.cross.pairs = std::move(pairs);
  return {};
}
std::string get_cross_pairs(const Config& config, const Setting&) {
  std::string out;
  for (const auto& [a, b] : config.cross.pairs) out += (out.empty() ? "" : ",") + a.str() + '=' + b.str();
  return out;
}
Status set_cross_names(Config& config, const Setting& setting, std::string_view value) {
  if (value != "true" && value != "false") return refuse(setting);
  config.cross.same_names = value == "true";
  return {};
}

Status set_registry(Config& config, const Setting& setting, std::string_view value) {
  const auto url = net::parse_url(value);
  const bool web = url && (url->scheme == "http" || url->scheme == "https");
  if (!value.empty() && (!web || url->target.find('?') != std::string::npos)) return refuse(setting);
  config.registry.url = value;
  return {};
}
std::string get_registry_url(const Config& config, const Setting&) { return without_password(config.registry.url); }
template <std::string RegistrySettings::*Member>
Status set_registry_text(Config& config, const Setting&, std::string_view value) {
  config.registry.*Member = value;
  return {};
}
template <std::string RegistrySettings::*Member>
std::string get_registry(const Config& config, const Setting&) {
  return config.registry.*Member;
}

template <Nanoseconds KafkaSettings::*Member, std::int64_t Least, std::int64_t Most>
Status set_kafka_duration(Config& config, const Setting& setting, std::string_view value) {
  const auto duration = parse_duration(value);
  if (!duration || duration->count() < Least || duration->count() > Most) return refuse(setting);
  config.kafka.*Member = *duration;
  return {};
}
template <Nanoseconds KafkaSettings::*Member>
std::string get_kafka_duration(const Config& config, const Setting&) {
  return duration_text(config.kafka.*Member);
}
template <std::int32_t KafkaSettings::*Member>
Status set_replicas(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 0, 100);
  if (!number) return refuse(setting);
  config.kafka.*Member = static_cast<std::int32_t>(*number);
  return {};
}
template <std::int32_t KafkaSettings::*Member>
std::string get_replicas(const Config& config, const Setting&) {
  return std::to_string(config.kafka.*Member);
}

Status set_partitions(Config& config, const Setting& setting, std::string_view value) {
  const auto number = whole(value, 1, 256);
  if (!number) return refuse(setting);
  config.partitions = static_cast<std::int32_t>(*number);
  return {};
}

// Settings of the heart go by their names there.
Status set_rule(Config& config, const Setting& setting, std::string_view value) {
  if (!set(config.rules, setting.key, value)) return refuse(setting);
  return {};
}
std::string get_rule(const Config& config, const Setting& setting) {
  for (const auto& [name, value] : to_pairs(config.rules))
    if (name == setting.key) {
      const auto duration = parse_duration(value);
      return duration ? duration_text(*duration) : value;
    }
  return {};
}

constexpr std::int64_t kSecond = 1'000'000'000, kMillisecond = 1'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;
constexpr const char* kDuration = "from \"0s\" to \"3650d\", a whole number with ns, us, ms, s, m, h or d";

std::string topic_names() {
  std::string out = "names of topics:";
  for (std::size_t i = 0; i < topic::all.size(); ++i) out += (i == 0 ? " " : ", ") + std::string{topic::all[i]};
  return out;
}

std::vector<Setting> table() {
  using enum ValueKind;
  const auto rule = [](std::string key, ValueKind kind, std::string allowed, std::string about) {
    return Setting{std::move(key), kind, std::move(allowed), std::move(about), set_rule, get_rule};
  };
  const auto own = [](std::string_view scheme) {
    return "an address without a path, " + std::string{scheme} + "s://HOST[:PORT] or " + std::string{scheme} +
           "://HOST[:PORT]; empty: the venue's own";
  };
  std::vector<Setting> all{
      {"data", text, "a path, or kafka://HOST:PORT,HOST:PORT/PREFIX?NAME=VALUE&…",
       "The data directory: the log in DIR/log, the store in DIR/store.db. Or a log on Kafka (docs/kafka.md).",
       set_data, get_data},
      {"store", text, "sqlite:FILE; empty: DIR/store.db", "Where rows are loaded to; a log on Kafka has no other.",
       set_store, get_text<&Config::store>},
      {"worker", text, "at most 100 letters, digits, '.', '_' and '-'; empty: the host's name",
       "The name of this process among those that process or load a log on Kafka: the same after a restart, another "
       "for "
       "each of them.",
       set_worker, get_text<&Config::worker>},
      {"log_level", text, "trace, debug, info, warn, error or off",
       "What is told on standard error, from this level on.", set_log_level,
       [](const Config& c, const Setting&) { return c.log_level; }},
      {"log_format", text, "text or json",
       "How: lines of time, level, role and sentence, or each as a JSON object with these names.", set_log_format,
       [](const Config& c, const Setting&) { return c.log_format; }},
      {"log.partitions", whole_number, "a whole number from 1 to 256",
       "Parts of each topic, fixed when the data directory is made; another number is refused later.", set_partitions,
       [](const Config& c, const Setting&) {
         return std::to_string(c.partitions > 0 ? c.partitions : Config::kDefaultPartitions);
       }},
      {"log.commit_spacing", text, "from \"0ms\" to \"50ms\"",
       "Least time between two commits of received records, and between two of what is made of them: longer is fewer "
       "disk syncs, shorter is less delay. Prices and news alone wait for at least 10 ms.",
       set_duration<&Config::commit_spacing, 0, kSecond / 20>, get_duration<&Config::commit_spacing>},
      {"log.size", text, "from \"8MB\" to \"16TB\"",
       "Above this the oldest records are deleted, never below what a reader needs; a quarter above it intake stops. "
       "The "
       "log remembers it, and log.retain.*: a command that is not told goes by what was said last.",
       set_log_size, [](const Config& c, const Setting&) { return size_text(c.log_size); }},
      {"log.compressed", list, topic_names(), "Topics whose blocks are compressed with lz4.", set_compressed,
       [](const Config& c, const Setting&) { return c.compressed_topics; }},
      {"log.retain.raw", text, "from \"1h\" to \"36500d\"",
       "How long received records are kept, counted from their arrival; never less than readers still need.",
       set_duration<&Config::retain_raw, 3'600 * kSecond, 36'500 * kDay>, get_duration<&Config::retain_raw>},
      {"log.retain.results", text, "from \"1h\" to \"36500d\"",
       "The same for trades, candles and other results; gaps, progress and instruments keep each key's last record for "
       "ever.",
       set_duration<&Config::retain_results, 3'600 * kSecond, 36'500 * kDay>, get_duration<&Config::retain_results>},
      {"instruments", list,
       "instruments such as binance:BTCUSDT; binance:* for all of a venue, binance:*/USDT for those priced in USDT, "
       "binance:*/USDT#50 for the 50 of them with the greatest turnover (which is compared in one currency only)",
       "What `truetape run` wants from its start on, besides those that are named on its command line.",
       set_instruments, get_instruments},
      rule("intervals", list, "lengths from \"1s\" to \"1d\", rising, each a multiple of the first and a part of a day",
           "Candles that are built; the first is folded per trade, the others are rolled up from it."),
      rule("rule.version", whole_number, "a whole number from 1 to 4294967295",
           "Your own number of this set of rules; quarantined records carry it."),
      rule("rule.future.tolerance", text, kDuration,
           "A trade later than its receive time, recorded clock offset and this is quarantined as `future`."),
      rule("rule.bound", text, kDuration,
           "A window without proof by ids closes when the evidence is this far past its end."),
      rule("rule.settle", text, kDuration,
           "A hole in the ids becomes an open gap when the evidence is this far past it."),
      rule("rule.hold", text, kDuration,
           "Windows stay correctable until the ids this long before and after them are known; at least 1s."),
      rule("rule.horizon", text, kDuration, "Other windows stay correctable this long; not shorter than rule.hold."),
      rule("rule.lost_for", text, kDuration, "How long a lost gap keeps its windows correctable."),
      rule("rule.max_windows", whole_number, "a whole number from 1 to 4294967295",
           "Correctable closed windows kept per instrument; the oldest beyond it go to `late`."),
      rule("rule.folded_kinds", list, "the venue's words; \"-\" for trades without a kind",
           "Kinds of trades that make candles."),
      rule("rule.stored_kinds", list, "the venue's words",
           "Kinds that are stored but make no candles; kinds in neither list are held in quarantine."),
      rule("rule.off_tick", text, "accept, mark or quarantine",
           "A price that is no multiple of the instrument's tick."),
      rule("rule.off_lot", text, "accept, mark or quarantine",
           "A quantity that is no multiple of the instrument's lot."),
      rule("rule.crossed", text, "accept, mark or quarantine",
           "A quote whose bid is not below its ask; marked: counted in truetape_quotes_crossed_total."),
      rule("rule.far_from_median", text, "accept or mark",
           "A price far from the recent median price of its instrument."),
      rule("rule.far_from_median_band", text, "a part of the price from \"0.0001\" to \"1\"",
           "How far is far: \"0.1\" is a tenth above or below."),
  };
  for (const FeedEntry& entry : feed_entries()) {
    const std::string venue{entry.venue}, key = "feed." + venue + ".";
    all.push_back({key + "stream_url", text, own("ws"), "Where the live feed of " + venue + " connects.",
                   set_url<&FeedSettings::stream_url>, get_url<&FeedSettings::stream_url>});
    all.push_back({key + "rest_url", text, own("http"), "Where it asks for the venue's time and symbol list.",
                   set_url<&FeedSettings::rest_url>, get_url<&FeedSettings::rest_url>});
    if (entry.make_filler != nullptr) {
      all.push_back({key + "fill_url", text,
                     own("http") + (venue == "binance" ? ", which is api.binance.com here" : ""),
                     "Where backfill asks for missing trades; empty: rest_url, if that is said.",
                     set_url<&FeedSettings::fill_url>, get_url<&FeedSettings::fill_url>});
      if (entry.api_key)
        all.push_back({key + "api_key", text, "at most 512 characters without blanks; empty: none is sent",
                       "For trades that the venue gives only to who has one. Better as \"${file:PATH}\" or \"${NAME}\" "
                       "than in the file itself.",
                       set_api_key, [](const Config& c, const Setting& s) { return feed_of(c.feeds, s).api_key; }});
    }
    if (entry.token)
      all.push_back(
          {key + "token", text, "a text without blanks; empty: none",
           "What " + venue + " lets you in with. Better as \"${file:PATH}\" or \"${NAME}\" than in the file itself.",
           set_feed_token, get_url<&FeedSettings::token>});
    if (entry.symbols > 0)
      all.push_back({key + "symbols", whole_number, "1 to 10000",
                     "How many symbols your plan of " + venue + " allows on a connection.", set_symbols,
                     [](const Config& c, const Setting& s) { return std::to_string(feed_of(c.feeds, s).symbols); }});
    if (entry.news)
      all.push_back({key + "news", text, "off, poll or stream",
                     "Headlines of the wanted instruments and of the markets: asked for by REST, or sent by the stream "
                     "where your plan has that, and then asked for hourly besides.",
                     set_news,
                     [](const Config& c, const Setting& s) { return std::string{name(feed_of(c.feeds, s).news)}; }});
    if (entry.aggregates)
      all.push_back({key + "tape", text, "trade or agg",
                     "Which trades are subscribed to: every single one, or the venue's aggregates; an instrument keeps "
                     "the tape of its first record.",
                     set_feed_tape,
                     [](const Config& c, const Setting& s) { return std::string{name(feed_of(c.feeds, s).tape)}; }});
    if (entry.twin)
      all.push_back(
          {key + "connections", whole_number, "1 or 2",
           "2: everything comes twice, over two connections, so that the end of one loses nothing.", set_connections,
           [](const Config& c, const Setting& s) { return std::to_string(feed_of(c.feeds, s).connections); }});
    all.push_back({key + "quotes", list, "a list of best and ticker, such as [\"best\"]; [] for neither",
                   "Besides trades: the best bid and ask, and the 24 h ticker.", set_quotes, get_quotes});
  }
  all.insert(
      all.end(),
      {{"backfill.enabled", text, "yes or no", "Whether `truetape run` asks the venues for what is missing.",
        set_backfill, [](const Config& c, const Setting&) { return std::string{c.backfill.enabled ? "yes" : "no"}; }},
       {"backfill.share", whole_number, "a whole number from 10 to 45",
        "How much of a venue's limit of requests that may take, in percent; the rest is for the feed and for others "
        "at this address.",
        set_share, [](const Config& c, const Setting&) { return std::to_string(c.backfill.share); }},
       {"net.ca_file", text, "a PEM file; empty: the system's authorities",
        "Certificate authorities to trust instead of the system's; certificates are always verified.",
        set_path<&Config::ca_file>, get_text<&Config::ca_file>},
       {"serve.address", text, "an IP address; one that is not loopback needs both tokens",
        "Where `truetape run` serves HTTP: 127.0.0.1 is for this machine only, 0.0.0.0 for everybody.", set_address,
        get_serve<&ServeSettings::address>},
       {"serve.port", whole_number, "a whole number from 0 to 65535; 0: a free one, which run tells",
        "The port of the page, of REST and of the stream.", set_port,
        [](const Config& c, const Setting&) { return std::to_string(c.serve.port); }},
       {"serve.read_token", text, "16 to 512 characters without blanks; empty: none is asked for",
        "Who reads must send it. Better as \"${file:PATH}\" or \"${NAME}\" than in the file itself.",
        set_token<&ServeSettings::read_token>, get_serve<&ServeSettings::read_token>},
       {"serve.control_token", text, "16 to 512 characters without blanks; empty: none is asked for",
        "Who starts, stops or changes what is wanted must send it; it also reads.",
        set_token<&ServeSettings::control_token>, get_serve<&ServeSettings::control_token>},
       {"serve.tls.certificate", text, "a PEM file; empty: no TLS", "The server's certificate, with its chain.",
        set_serve_path<&ServeSettings::certificate>, get_serve<&ServeSettings::certificate>},
       {"serve.tls.key", text, "a PEM file; empty: no TLS", "The private key of serve.tls.certificate.",
        set_serve_path<&ServeSettings::key>, get_serve<&ServeSettings::key>},
       {"serve.stale_after", text, "from \"1s\" to \"1d\"",
        "An instrument of which nothing new has come for so long is called stale.", set_stale_after,
        [](const Config& c, const Setting&) { return duration_text(c.serve.stale_after); }},
       {"cross.band", text, "from \"0.001%\" to \"1000%\"",
        "How far the prices of one pair on two venues may be apart.", set_cross_band, get_cross_band},
       {"cross.hold", text, "from \"1s\" to \"1d\", no shorter than the first of `intervals`",
        "For how long they may be further apart than that; where nothing is said and the candles are longer, one of "
        "them.",
        set_cross_hold, get_cross_hold},
       {"cross.same_names", text, "true or false",
        "Whether all instruments are compared to which the lists of different venues give the same common name.",
        set_cross_names,
        [](const Config& c, const Setting&) { return std::string{c.cross.same_names ? "true" : "false"}; }},
       {"cross.pairs", list, "pairs such as binance:BTCUSDT=coinbase:BTC-USD",
        "Instruments that are compared though their names differ.", set_cross_pairs, get_cross_pairs},
       {"kafka.registry", text, "http[s]://[USER[:PASSWORD]@]HOST[:PORT][/PATH]; empty: none",
        "The schema registry, of Confluent's API, that gives the schema ids in a log on Kafka.", set_registry,
        get_registry_url},
       {"kafka.registry_password", text, "a text; empty: none is sent",
        "Of the user in kafka.registry. Better as \"${file:PATH}\" or \"${NAME}\" than in the file itself.",
        set_registry_text<&RegistrySettings::password>, get_registry<&RegistrySettings::password>},
       {"kafka.registry_ca_file", text, "a PEM file; empty: the system's authorities",
        "Certificate authorities to trust for the registry; certificates are always verified.",
        set_registry_text<&RegistrySettings::ca_file>, get_registry<&RegistrySettings::ca_file>},
       {"kafka.schema_ids", text, "a JSON file, as `truetape schemas register --ids` writes it; empty: none",
        "Where workers have the schema ids from, instead of the registry, which then need not be reached.",
        set_registry_text<&RegistrySettings::ids_file>, get_registry<&RegistrySettings::ids_file>},
       {"kafka.commit", text, "from \"20ms\" to \"1s\"",
        "How often `truetape process` commits on Kafka: longer costs the brokers less, shorter is less delay.",
        set_kafka_duration<&KafkaSettings::commit, 20 * kMillisecond, kSecond>,
        get_kafka_duration<&KafkaSettings::commit>},
       {"kafka.session", text, "from \"6s\" to \"30m\", as far as the brokers allow",
        "How long a silent worker keeps its partitions before others take them over.",
        set_kafka_duration<&KafkaSettings::session, 6 * kSecond, 1'800 * kSecond>,
        get_kafka_duration<&KafkaSettings::session>},
       {"kafka.transaction", text, "from \"5s\" to \"15m\", as far as the brokers allow",
        "How long a transaction may be open before the brokers abort it; readers may wait so long after a worker "
        "has died for good.",
        set_kafka_duration<&KafkaSettings::transaction, 5 * kSecond, 900 * kSecond>,
        get_kafka_duration<&KafkaSettings::transaction>},
       {"kafka.patience", text, "from \"1s\" to \"10m\"",
        "How long a command tries to reach the brokers, and an import waits for workers that do not get on, before it "
        "says so.",
        set_kafka_duration<&KafkaSettings::patience, kSecond, 600 * kSecond>,
        get_kafka_duration<&KafkaSettings::patience>},
       {"kafka.replication", whole_number, "a whole number from 0 to 100; 0: 3, or as many as there are brokers",
        "Copies of each topic that `truetape topics create` makes.", set_replicas<&KafkaSettings::replication>,
        get_replicas<&KafkaSettings::replication>},
       {"kafka.min_insync", whole_number, "a whole number from 0 to 100; 0: one less than there are copies, at least 1",
        "How many copies must have a record before it counts as written.", set_replicas<&KafkaSettings::min_insync>,
        get_replicas<&KafkaSettings::min_insync>}});
  return all;
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = table();
  return all;
}

}  // namespace truetape::app
