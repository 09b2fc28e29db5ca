// The table of settings. A setting of the heart is one line here and its rule in market/rules.cc.
#include <algorithm>
#include <charconv>
#include <limits>

#include "app/config.h"
#include "app/values.h"
#include "log/log.h"

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
  config.data = value;
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

Status set_partitions(Config& config, const Setting& setting, std::string_view value) {
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < 1 || number > 256) return refuse(setting);
  config.partitions = number;
  return {};
}

Status set_log_size(Config& config, const Setting& setting, std::string_view value) {
  const auto size = parse_size(value);
  if (!size || *size < 64'000'000 || *size > 16'000'000'000'000) return refuse(setting);
  config.log_size = *size;
  return {};
}

Status set_compressed(Config& config, const Setting& setting, std::string_view value) {
  for (std::string_view rest = value; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (std::ranges::find(topic::all, rest.substr(0, comma)) == topic::all.end()) return refuse(setting);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  config.compressed_topics = value;
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

constexpr std::int64_t kSecond = 1'000'000'000;
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
  return {
      {"data", text, "a path", "The data directory: the log in DIR/log, the store in DIR/store.db.", set_data,
       [](const Config& c, const Setting&) { return c.data; }},
      {"log_level", text, "trace, debug, info, warn, error or off",
       "What is told on standard error, from this level on.", set_log_level,
       [](const Config& c, const Setting&) { return c.log_level; }},
      {"log.partitions", whole_number, "a whole number from 1 to 256",
       "Parts of each topic, fixed when the data directory is made; another number is refused later.", set_partitions,
       [](const Config& c, const Setting&) {
         return std::to_string(c.partitions > 0 ? c.partitions : Config::kDefaultPartitions);
       }},
      {"log.commit_spacing", text, "from \"0ms\" to \"50ms\"",
       "Least time between two commits of the log: longer is fewer disk syncs, shorter is less delay.",
       set_duration<&Config::commit_spacing, 0, kSecond / 20>, get_duration<&Config::commit_spacing>},
      {"log.size", text, "from \"64MB\" to \"16TB\"",
       "Above this the oldest records are deleted, never below what a reader needs; a quarter above it intake stops.",
       set_log_size, [](const Config& c, const Setting&) { return size_text(c.log_size); }},
      {"log.compressed", list, topic_names(), "Topics whose blocks are compressed with lz4.", set_compressed,
       [](const Config& c, const Setting&) { return c.compressed_topics; }},
      {"log.retain.raw", text, "from \"1h\" to \"36500d\"",
       "How long received records are kept, counted from their arrival; never less than readers still need.",
       set_duration<&Config::retain_raw, 3'600 * kSecond, 36'500 * kDay>, get_duration<&Config::retain_raw>},
      {"log.retain.results", text, "from \"1h\" to \"36500d\"",
       "The same for trades, candles and other results; gaps and instruments keep each key's last record for ever.",
       set_duration<&Config::retain_results, 3'600 * kSecond, 36'500 * kDay>, get_duration<&Config::retain_results>},
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
  };
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = table();
  return all;
}

}  // namespace truetape::app
