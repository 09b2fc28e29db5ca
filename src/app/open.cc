#include "app/open.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "app/copying.h"
#include "app/lines.h"
#include "app/manifest.h"
#include "app/open_kafka.h"
#include "app/values.h"
#include "codec/avro_schema.h"
#include "codec/wire.h"
#include "core/clock.h"

namespace truetape::app {
namespace {

auto nothing_yet(const Config& config) {
  return failure(Fault::not_found, Retry::never,
                 "there is nothing in " + config.data + " yet; import something first: truetape import --data " +
                     shell_word(config.data) + " FILE, or take in what comes: truetape run --data " +
                     shell_word(config.data) + " binance:BTCUSDT");
}

constexpr std::string_view kIntervals = "intervals";
constexpr std::string_view kRules = "rules";
constexpr std::string_view kJudging = "rules.judging";

std::string intervals_text(std::span<const Interval> intervals) {
  std::string out;
  for (const Interval interval : intervals) out.append(out.empty() ? "" : ",").append(to_text(interval));
  return out;
}

// Descriptions may change, and do not change how a value is read.
bool same_schema(std::string_view noted, std::string_view ours) {
  const auto a = avro::canonical_schema(noted), b = avro::canonical_schema(ours);
  return a && b && *a == *b;
}

auto no_rights(const Config& config, const std::error_code& error) {
  return failure(Fault::refused, Retry::never,
                 config.data + " cannot be read: " + error.message() + "; run as its owner or change its rights");
}

// The first line of a file of an unfinished copy: what it is of. A kill between its making and writing left it empty.
std::optional<std::string> unfinished(const std::filesystem::path& directory, const char* marker) {
  std::ifstream in{directory / marker};
  std::string of;
  if (!in) return std::nullopt;
  return std::getline(in, of) ? of : "BACKUP";
}

auto half_restored(const std::string& data, const std::string& source, const std::string& partial) {
  return failure(Fault::refused, Retry::never,
                 data + " is half restored: the restore was killed, or still runs, in " + partial +
                     "; restore again: truetape restore " + shell_word(source) + " --data " + shell_word(data));
}

// What the log keeps, and so remembers: a command that is given no configuration must not delete more than another.
constexpr std::array<std::string_view, 3> kKept{"log.size", "log.retain.raw", "log.retain.results"};

const Setting& setting_of(std::string_view key) {
  return *std::ranges::find(settings(), key, &Setting::key);  // the keys of kKept are settings
}

Status recall(Config& config, const LogNotes& note) {
  for (const std::string_view key : kKept) {
    if (config.said.contains(key)) continue;
    const auto text = note(key);
    if (!text) return tl::unexpected{text.error()};
    if (!*text) continue;
    const Setting& setting = setting_of(key);
    if (const Status set = setting.set(config, setting, **text); !set)
      return failure(Fault::corrupt, Retry::never,
                     "the log in " + config.data + " remembers " + setting.key + " = \"" + **text +
                         "\", which this version does not know; say what it is to be: --set " + setting.key +
                         "=VALUE, " + setting.allowed);
  }
  return {};
}

Status remember(LmdbLog& log, const Config& config) {
  for (const std::string_view key : kKept) {
    if (!config.said.contains(key)) continue;
    const Setting& setting = setting_of(key);
    const std::string text = setting.get(config, setting);
    const auto there = log.note(key);
    if (!there) return tl::unexpected{there.error()};
    if (*there == text) continue;
    if (Status noted = log.set_note(key, text); !noted) return noted;
  }
  return {};
}

}  // namespace

LmdbOptions log_options(const Config& config) {
  LmdbOptions options;
  options.partitions = config.partitions;
  options.spacing = std::chrono::ceil<std::chrono::milliseconds>(config.commit_spacing);
  options.size_limit = config.log_size;
  for (std::size_t i = 0; i < topic::all.size(); ++i) {
    options.max_age[i] = std::chrono::floor<std::chrono::seconds>(topic::all[i] == topic::raw ? config.retain_raw
                                                                                              : config.retain_results);
    options.lz4[i] =
        (',' + config.compressed_topics + ',').find(',' + std::string{topic::all[i]} + ',') != std::string::npos;
  }
  return options;
}

Result<LmdbOptions> log_options(const Config& config, const LmdbLog& log) {
  Config in_force = config;
  if (const Status known = recall(in_force, [&](std::string_view name) { return log.note(name); }); !known)
    return tl::unexpected{known.error()};
  return log_options(in_force);
}

Status expect_whole(const Config& config, bool to_write) {
  const std::filesystem::path data = config.data;
  std::error_code error;
  if (const auto source = unfinished(data, kUnfinishedRestore)) {
    const std::string partial = data.string();
    return half_restored(partial.ends_with(".partial") ? partial.substr(0, partial.size() - 8) : partial, *source,
                         partial);
  }
  if (const auto of = unfinished(data, kUnfinishedBackup))
    return failure(Fault::refused, Retry::never,
                   config.data + " is half a backup of " + *of + ", which was killed; delete it, and take another");
  if (!std::filesystem::exists(data, error) || (!error && holds_nothing(data)))
    if (const auto source = unfinished(partial_of(data), kUnfinishedRestore))
      return half_restored(config.data, *source, partial_of(data).string());
  if (error) return no_rights(config, error);
  if (!std::filesystem::exists(data / kManifest, error)) return {};
  const auto manifest = read_manifest(data);
  if (!manifest) return tl::unexpected{manifest.error()};
  for (const auto& file : manifest->files)
    if (std::filesystem::file_size(data / file.name, error) != file.bytes)
      return failure(Fault::corrupt, Retry::never,
                     config.data + " is a backup that is not whole: " + file.name + " is missing or has not its " +
                         std::to_string(file.bytes) + " bytes; copy it again, or take another backup");
  if (!to_write) return {};
  return failure(Fault::refused, Retry::never,
                 config.data +
                     " is a backup, which nothing is written into; make a data directory of it: truetape "
                     "restore " +
                     shell_word(config.data) + " --data " + shell_word(config.data + "-restored"));
}

namespace {

// A recording that is imported meanwhile was received long ago: only what came since the start tells how long it took.
std::function<void(const LmdbCommit&)> commit_meter(Metrics& metrics) {
  Histogram& took =
      metrics.histogram("truetape_log_commit_seconds", "One commit of the log, from its beginning to being durable.");
  Histogram& waited = metrics.histogram("truetape_ingest_receive_to_raw_seconds",
                                        "From a frame being received to its record being durable in raw.");
  return [&took, &waited, start = SystemClock{}.now()](const LmdbCommit& commit) {
    took.observe(commit.took.count());
    for (const Timestamp received : commit.received)
      if (received >= start) waited.observe((commit.durable - received).count());
  };
}

}  // namespace

Result<std::unique_ptr<LmdbLog>> open_log_to_write(const Config& config, Metrics* metrics) {
  if (const Status whole = expect_whole(config, true); !whole) return tl::unexpected{whole.error()};
  std::error_code error;
  std::filesystem::create_directories(config.log_directory(), error);
  if (error)
    return failure(Fault::refused, Retry::never,
                   "the data directory " + config.data + " cannot be made: " + error.message() +
                       "; check the path and its rights");
  LmdbOptions options = log_options(config);
  options.create = true;
  options.settle = [&config](LmdbOptions& in_force, const LogNotes& note) -> Status {
    Config known = config;
    if (Status recalled = recall(known, note); !recalled) return recalled;
    const LmdbOptions kept = log_options(known);
    in_force.size_limit = kept.size_limit;
    in_force.max_age = kept.max_age;
    return {};
  };
  if (metrics != nullptr) options.committed = commit_meter(*metrics);
  options.commit_records = 32'768;                     // an import is behind until it ends: larger commits, fewer syncs
  options.append_buffer_bytes = std::size_t{8} << 20;  // an importer waits when it is full: more only costs memory
  auto log = open_lmdb_log(config.log_directory(), options);
  if (!log) return log;
  if (const Status kept = remember(**log, config); !kept) return tl::unexpected{kept.error()};
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string name = "schema." + std::to_string(schema.id);
    const auto there = (*log)->note(name);
    if (!there) return tl::unexpected{there.error()};
    if (*there && !same_schema(**there, schema.json))
      return failure(Fault::mismatch, Retry::never,
                     "the log in " + config.data + " has another schema under " + name +
                         " than this version of truetape; it was written by an incompatible build");
    if (!*there)
      if (const Status noted = (*log)->set_note(name, schema.json); !noted) return tl::unexpected{noted.error()};
  }
  return log;
}

Status expect_log(const Config& config) {
  if (const Status whole = expect_whole(config, false); !whole) return whole;
  std::error_code error;
  const bool there = std::filesystem::exists(config.log_directory(), error);
  if (error) return no_rights(config, error);
  if (!there) return nothing_yet(config);
  return {};
}

Result<std::unique_ptr<LmdbLog>> open_log_to_read(const Config& config) {
  if (const Status there = expect_log(config); !there) return tl::unexpected{there.error()};
  LmdbOptions options;
  options.read_only = true;
  return open_lmdb_log(config.log_directory(), options);
}

Status expect_store(const Config& config) {
  if (config.on_kafka()) {
    std::error_code error;
    if (std::filesystem::exists(config.store_file(), error)) return {};
    if (error)
      return failure(Fault::refused, Retry::never,
                     config.store_file().string() + " cannot be read: " + error.message());
    return failure(Fault::not_found, Retry::never,
                   "there is no " + config.store_file().string() + "; load it from the log: " + load_command(config));
  }
  if (const Status whole = expect_whole(config, false); !whole) return whole;
  std::error_code error;
  const bool there = std::filesystem::exists(config.store_file(), error);
  if (error) return no_rights(config, error);
  if (there) return {};
  if (std::filesystem::exists(config.log_directory() / "log.mdb", error))
    return failure(Fault::not_found, Retry::never,
                   "there is no " + config.store_file().string() +
                       ", but the log is there; load it from the log: " + finish_command(config));
  return nothing_yet(config);
}

Status expect_intervals(const Notes& notes, const Config& config, bool running) {
  const auto noted = notes.note(kIntervals);
  if (!noted) return tl::unexpected{noted.error()};
  const std::string wanted = intervals_text(config.rules.intervals);
  if (!*noted || **noted == wanted) return {};
  if (running)
    return failure(Fault::mismatch, Retry::never,
                   "the process that runs in " + config.data + " builds candles of the intervals " + **noted +
                       ", not of " + wanted + "; go on with --set intervals=" + **noted);
  for (std::int32_t partition = 0; partition < notes.log.partitions(); ++partition) {
    const auto span = notes.log.span(topic::raw, partition);
    if (!span) return tl::unexpected{span.error()};
    if (span->end > 0)
      return failure(Fault::mismatch, Retry::never,
                     "the candles in " + config.data + " are of the intervals " + **noted +
                         " since its first import, " + "and cannot become " + wanted +
                         "; go on with --set intervals=" + **noted + ", or import into " +
                         (config.on_kafka() ? "a log of another prefix" : "a fresh data directory"));
  }
  return {};
}

Status keep_intervals(const Notes& notes, const Config& config) {
  const std::string wanted = intervals_text(config.rules.intervals);
  const auto noted = notes.note(kIntervals);
  if (!noted) return tl::unexpected{noted.error()};
  return *noted && **noted == wanted ? Status{} : notes.set_note(kIntervals, wanted);
}

namespace {

// "rule.bound=1s\n…": all but the intervals, which have a note of their own.
std::string rules_text(const Config& config) {
  std::string out;
  for (const auto& [key, value] : to_pairs(config.rules))
    if (key != kIntervals) out.append(key).append(1, '=').append(value).append(1, '\n');
  return out;
}

bool says_rules(const Config& config) {
  return config.from_file ||
         std::ranges::any_of(config.said, [](const std::string& key) { return key.starts_with("rule."); });
}

// The first line of `text` that `other` does not have.
std::string line_beside(const std::string& text, const std::string& other) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (other.find(line + '\n') == std::string::npos) return line;
    at = end + 1;
  }
  return {};
}

}  // namespace

Status expect_rules(const Notes& notes, const Config& config) {
  if (says_rules(config)) return {};
  const auto noted = notes.note(kRules);
  if (!noted) return tl::unexpected{noted.error()};
  const std::string mine = rules_text(config);
  if (!*noted || **noted == mine) return {};
  const std::string differs = line_beside(**noted, mine);
  return failure(Fault::refused, Retry::never,
                 "what is in " + config.data + " was judged by other rules than the defaults" +
                     (differs.empty() ? std::string{} : " (" + differs + ")") +
                     ", and no configuration was given; give the one of truetape run: --config FILE, or say a rule: "
                     "--set rule.KEY=VALUE");
}

Status expect_same_rules(const Notes& notes, const Config& config, std::string_view change) {
  const auto noted = notes.note(kRules);
  if (!noted) return tl::unexpected{noted.error()};
  const std::string mine = rules_text(config);
  if (!*noted || **noted == mine) return {};
  const std::string there = line_beside(**noted, mine), here = line_beside(mine, **noted);
  return failure(Fault::mismatch, Retry::never,
                 "what is in " + config.data + " is judged by other rules than these (" +
                     (there.empty() ? "without " + here : there) +
                     "); give every worker the same configuration. To judge by these from now on, stop all workers, "
                     "then start the first with: " +
                     std::string{change});
}

Status keep_rules(const Notes& notes, const Config& config) {
  const auto noted = notes.note(kRules);
  if (!noted) return tl::unexpected{noted.error()};
  const std::string mine = rules_text(config);
  if (*noted && (**noted == mine || !says_rules(config))) return {};
  return notes.set_note(kRules, mine);
}

Status change_rules(const Notes& notes, const Config& config) { return notes.set_note(kRules, rules_text(config)); }

Status note_judging(const Notes& notes, const Config& config) {
  const auto noted = notes.note(kJudging);
  if (!noted) return tl::unexpected{noted.error()};
  const std::string mine = rules_text(config);
  return *noted && **noted == mine ? Status{} : notes.set_note(kJudging, mine);
}

Result<Rules> judged_rules(const Notes& notes, const Config& config) {
  if (says_rules(config)) return config.rules;
  auto noted = notes.note(kJudging);
  if (noted && !*noted) noted = notes.note(kRules);  // of a directory that an older version wrote
  if (!noted) return tl::unexpected{noted.error()};
  if (!*noted) return config.rules;
  Rules out;
  out.intervals = config.rules.intervals;
  const std::string_view text = **noted;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = std::min(line.find('='), line.size());
    const std::string_view value = line.substr(std::min(equals + 1, line.size()));
    if (const Status done = set(out, line.substr(0, equals), value); !done)
      return failure(Fault::mismatch, Retry::never,
                     "the rules noted in " + config.data + " are not those of this version (" + done.error().detail +
                         "); use the truetape that ran there, or give the configuration: --config FILE");
  }
  return out;
}

std::vector<Interval> built_intervals(const Config& config) {
  Result<std::optional<std::string>> noted = std::nullopt;
  if (config.on_kafka()) {
    Config hasty = config;  // the store can be read without the brokers
    hasty.kafka.patience = std::min<Nanoseconds>(config.kafka.patience, std::chrono::seconds{3});
    const auto log = open_kafka(hasty);
    if (log)
      noted = (*log)->note(kIntervals);
    else
      say(Level::warning, "kafka", log.error().detail + "; the intervals of this configuration are taken");
  } else if (const auto log = open_log_to_read(config)) {
    noted = (*log)->note(kIntervals);
  }
  Rules rules = config.rules;
  if (noted && *noted && !set(rules, kIntervals, **noted)) rules.intervals = config.rules.intervals;
  return rules.intervals;
}

std::string finish_command(const Config& config) {
  return "truetape import --data " + shell_word(config.data) + " --finish";
}

std::string load_command(const Config& config) {
  if (!config.on_kafka()) return finish_command(config);
  return "truetape load --data " + shell_word(config.data) + " --store " +
         (config.store.empty() ? "sqlite:FILE" : shell_word(config.store)) + " --drain";
}

std::string sentence(const Config& config, const Error& error) {
  constexpr std::string_view kBegin = "truetape import --data ", kEnd = " --finish";
  if (!config.on_kafka()) return error.detail;
  std::string out = error.detail;
  for (std::size_t at = 0; (at = out.find(kBegin, at)) != std::string::npos;) {
    const std::size_t end = out.find(kEnd, at);
    if (end == std::string::npos) break;
    const std::string command = load_command(config);
    out.replace(at, end + kEnd.size() - at, command);
    at += command.size();
  }
  return out;
}

}  // namespace truetape::app
