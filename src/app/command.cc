#include "app/command.h"

#include <cstdio>

#include "app/lines.h"

namespace truetape::app {

namespace {

constexpr const char* kDirectory = "Data directory: the log lies in DIR/log, the store in DIR/store.db";
constexpr const char* kUrl = "A log on Kafka: kafka://HOST:PORT,HOST:PORT/PREFIX";

void expect_takes(const Config& config, Takes takes) {
  if (config.on_kafka() && (takes == Takes::perhaps || takes == Takes::directory))
    throw ConfigError{"this command works on a data directory, and " + config.data +
                      " is a log on Kafka; there are topics, process, load, import, query, digest and audit for it "
                      "(docs/kafka.md)"};
  if (!config.on_kafka() && takes == Takes::kafka)
    throw ConfigError{"this command is for a log on Kafka (kafka://HOST:PORT/PREFIX), and " + config.data +
                      " is a data directory; there truetape run does all in one process, and truetape import --data "
                      "DIR --finish what was left"};
}

}  // namespace

std::shared_ptr<Common> add_common(CLI::App& command, Takes takes) {
  auto common = std::make_shared<Common>();
  if (takes == Takes::kafka)
    command.add_option("--data", common->data, kUrl)->type_name("URL");
  else if (takes == Takes::both)
    command.add_option("--data", common->data, std::string{kDirectory} + "; or kafka://HOST:PORT/PREFIX")
        ->type_name("DIR|URL");
  else if (takes != Takes::nothing)
    command.add_option("--data", common->data, kDirectory)->type_name("DIR");
  command.add_option("--config", common->config_files, "TOML file with settings; repeatable, a later one overrides")
      ->type_name("FILE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // what follows is the command's own
  command.add_option("--set", common->sets, "One setting, over all files: --set log.partitions=8; repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);  // what follows is the command's own
  return common;
}

void add_store(CLI::App& command, const std::shared_ptr<Common>& common) {
  command.add_option("--store", common->store, "The store: sqlite:FILE; without it `store`, or DIR/store.db")
      ->check([](const std::string& text) {
        constexpr std::string_view kSqlite = "sqlite:";
        return text.starts_with(kSqlite) && text.size() > kSqlite.size()
                   ? std::string{}
                   : "\"" + text + "\" is no store; write sqlite:FILE";
      })
      ->type_name("URL");
}

void add_worker(CLI::App& command, const std::shared_ptr<Common>& common) {
  command
      .add_option("--worker", common->worker,
                  "This process's name among the others: the same after a restart; the host's without it")
      ->type_name("NAME");
}

Config configure(const Common& common, Takes takes) {
  Config config = load_config(common.config_files, common.sets).config;
  if (!common.data.empty()) config.set_data(common.data);
  if (!common.store.empty()) config.set_store(common.store);
  if (!common.worker.empty()) config.set_worker(common.worker);
  if (takes == Takes::nothing) return config;
  if (takes != Takes::perhaps && config.data.empty())
    throw ConfigError{takes == Takes::kafka
                          ? "no log is named: name it with --data kafka://HOST:PORT/PREFIX, or as `data` in a file "
                            "given with --config"
                          : "no data directory: name it with --data DIR, or as `data` in a file given with --config"};
  if (!config.data.empty()) expect_takes(config, takes);
  std::error_code ignored;
  if (takes != Takes::perhaps && !config.on_kafka() && std::filesystem::is_regular_file(config.data, ignored))
    throw ConfigError{"--data names a directory, and " + config.data + " is a file; the directory that it lies in is " +
                      std::filesystem::absolute(config.data).parent_path().string()};
  return config;
}

void expect_store_named(const Config& config) {
  if (config.on_kafka() && config.store.empty())
    throw ConfigError{
        "a log on Kafka has no store beside it; name the one that it is loaded into: --store "
        "sqlite:FILE, or as `store` in a file given with --config"};
}

int fail(std::string_view sentence) {
  if (lines_are_json()) {
    say(Level::error, "truetape", sentence);
    return kFailed;
  }
  std::fprintf(stderr, "truetape: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  return kFailed;
}

Timestamp time_argument(const std::string& text, const std::string& option) {
  const auto time = parse_rfc3339(text);
  if (!time)
    throw CLI::ValidationError{
        option, "\"" + text + "\" is no time; write 2024-08-08, 2024-08-08T23:59 or 2024-08-08T23:59:01.25Z"};
  return *time;
}

Instrument instrument_argument(const std::string& text, const std::string& option) {
  const auto instrument = Instrument::parse(text);
  if (!instrument)
    throw CLI::ValidationError{option,
                               "\"" + text + "\" is no instrument; write VENUE:SYMBOL, such as binance:BTCUSDT"};
  return *instrument;
}

Interval interval_argument(const std::string& text, const std::string& option) {
  const auto interval = parse_interval(text);
  if (!interval) throw CLI::ValidationError{option, "\"" + text + "\" is no interval; write 1s, 1m, 5m, 1h, 1d, …"};
  return *interval;
}

Tape tape_argument(const std::string& text) {
  const auto tape = parse_tape(text);
  if (!tape) throw CLI::ValidationError{"--tape", "\"" + text + "\" is no tape; allowed: trade, agg"};
  return *tape;
}

namespace {

CLI::Validator number_from(char least) {
  return CLI::Validator{[least](std::string& text) {
                          const bool digits = !text.empty() && text.size() <= 18 &&
                                              text.find_first_not_of("0123456789") == std::string::npos;
                          const bool zero = text.find_first_not_of('0') == std::string::npos;
                          return digits && (least == '0' || !zero)
                                     ? std::string{}
                                     : '"' + text + "\" is no whole number from " + least + " on";
                        },
                        ""};
}

}  // namespace

CLI::Validator whole_number() { return number_from('0'); }
CLI::Validator counting_number() { return number_from('1'); }

}  // namespace truetape::app
