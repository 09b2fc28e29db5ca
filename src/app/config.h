// Settings of the whole program: from TOML files, `--set` and flags, in this order, the later overriding the earlier.
// Every setting is one line of the table in config.cc, from which the check, `config check`, `init` and docs/config.md
// are made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/instrument.h"
#include "core/news_by.h"
#include "core/records.h"
#include "core/result.h"
#include "core/time.h"
#include "log/kafka/kafka_url.h"
#include "market/rules.h"

namespace truetape::app {

// Of one venue's live feed (venues/feed.h).
struct FeedSettings {
  std::string stream_url, rest_url;  // empty: the venue's own
  std::string fill_url;              // where backfill asks; empty: rest_url, else the venue's own
  std::string api_key;               // a secret; empty: none
  Tape tape = Tape::trade;
  std::int32_t connections = 1;
  bool best = true, ticker = true;
  std::int32_t symbols = 0;  // of one connection
  NewsBy news = NewsBy::off;
  std::string token;
};

std::map<std::string, FeedSettings, std::less<>> feeds_of_all_venues();

// Of the role that has gaps filled (roles/backfill.h).
struct BackfillSettings {
  bool enabled = true;      // in `truetape run`
  std::int32_t share = 40;  // percent of a venue's limit
};

// Of the HTTP interface (serve/serve.h).
struct ServeSettings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8780;  // 0: a free one
  std::string read_token, control_token;
  std::string certificate, key;  // PEM files; both or none
  Nanoseconds stale_after = std::chrono::seconds{10};
};

// What is compared between venues (serve/cross.h).
struct CrossSettings {
  double band = 0.5;                            // percent
  Nanoseconds hold = std::chrono::seconds{10};  // or the smallest candles, if these are longer
  std::vector<std::pair<Instrument, Instrument>> pairs;
  bool same_names = true;
};

// Of the schema registry that a log on Kafka uses (registry/registry.h, schema_ids.h).
struct RegistrySettings {
  std::string url;       // empty: none
  std::string password;  // of the user in the URL
  std::string ca_file;   // authorities to trust; empty: the system's
  std::string ids_file;  // of schema ids; empty: none
  std::string prefix;    // of the topics, without its dot: of `data`, or said on the command line
};

// Of a log on Kafka (log/kafka/kafka_log.h, topics.h).
struct KafkaSettings {
  Nanoseconds commit = std::chrono::milliseconds{50};
  Nanoseconds session = std::chrono::seconds{10};
  Nanoseconds transaction = std::chrono::seconds{30};
  Nanoseconds patience = std::chrono::seconds{30};
  std::int32_t replication = 0, min_insync = 0;  // 0: not said
};

struct Config {
  // The data directory; or of a log on Kafka its name, without properties and so without secrets. Empty: not said.
  std::string data;
  std::optional<KafkaPlace> kafka_place;  // where that log is
  std::string store;                      // "sqlite:FILE"; empty: DIR/store.db
  std::string worker;                     // among those that process or load a log on Kafka
  std::string log_level = "info";         // trace, debug, info, warn, error, off
  std::string log_format = "text";        // or json
  // Of the log; partitions are fixed when the log is created.
  std::int32_t partitions = 0;  // 0: not said; a new log gets kDefaultPartitions
  static constexpr std::int32_t kDefaultPartitions = 8;
  Nanoseconds commit_spacing = std::chrono::milliseconds{2};
  std::uint64_t log_size = 20'000'000'000;
  std::string compressed_topics = "";  // topics whose blocks are lz4, comma-separated
  Nanoseconds retain_raw = std::chrono::hours{24 * 7};
  Nanoseconds retain_results = std::chrono::hours{24 * 30};
  Rules rules;
  // Of `truetape run`.
  std::vector<Instrument> instruments;                                             // wanted, in the order given
  std::map<std::string, FeedSettings, std::less<>> feeds = feeds_of_all_venues();  // by venue
  std::string ca_file;  // authorities to trust; empty: the system's
  BackfillSettings backfill;
  ServeSettings serve;
  CrossSettings cross;
  RegistrySettings registry;
  KafkaSettings kafka;

  bool from_file = false;                   // a configuration file was read
  std::set<std::string, std::less<>> said;  // keys of the settings that a file or --set gives; the rest are defaults

  bool on_kafka() const { return kafka_place.has_value(); }
  // Throws ConfigError with what is allowed.
  void set_data(std::string_view path_or_url);
  void set_store(std::string_view url);
  void set_worker(std::string_view name);
  void set_listen(std::string_view host_port);  // serve.address and serve.port

  std::filesystem::path log_directory() const { return std::filesystem::path{data} / "log"; }
  std::filesystem::path store_file() const;  // of a log on Kafka there is one only where `store` says it
  // Where `truetape run` listens for commands that write beside it.
  std::filesystem::path socket_file() const { return std::filesystem::path{data} / "truetape.sock"; }
};

// What of a value is written in TOML. All arrive in the setters as one text: a number in digits, a list with commas.
enum class ValueKind : std::uint8_t { text, whole_number, list };

struct Setting {
  std::string key;  // dotted path in the file: "log.partitions"
  ValueKind kind;
  std::string allowed;  // for people: "a whole number from 1 to 1024"
  std::string about;    // one sentence
  // The error says what is allowed.
  Status (*set)(Config&, const Setting&, std::string_view value);
  std::string (*get)(const Config&, const Setting&);
};
const std::vector<Setting>& settings();

// Refused: the message names file, line, key and what is allowed. Nothing runs with half a configuration.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Effective {
  Config config;
  std::map<std::string, std::string> origins;  // key -> "prod.toml:12" or "--set"; absent: the default
};

// A file's text into `into`; `name` stands in messages. Strings may hold ${NAME} (environment) and ${file:PATH} (the
// file's text without its last line end; a relative PATH is looked for beside the configuration file); "$${" is a plain
// "${".
void read_config(std::string_view text, const std::filesystem::path& name, Effective& into);
// All files in order, then each "key=value" of `--set`, whose values may hold the same (a relative PATH: of the working
// directory). Then checks what only the whole can tell. Throws ConfigError.
Effective load_config(std::span<const std::string> files, std::span<const std::string> sets);

// That cross.hold, where it is said, is no shorter than the smallest candles: nothing shorter could be told of them.
Status check_hold(const Config& config, Interval base);

// Of a rule's name that ends in @VENUE or @VENUE:SYMBOL, and its value: the error names the venues there are, or how
// the symbol is spelled. What takes a narrower rule back ("default") may name anything.
Status check_scope(std::string_view rule, std::string_view value);

// The last word of the key names a secret: token, secret, password, api_key, also as a part ("api_token").
bool is_secret(std::string_view key);
// All settings as TOML that can be read again, each with its origin; secrets as "******".
std::string effective_text(const Effective& effective);
// A file with every setting, its default, range and meaning, commented out but for `data`.
std::string commented_config();
// The table of docs/config.md.
std::string settings_table();

}  // namespace truetape::app
