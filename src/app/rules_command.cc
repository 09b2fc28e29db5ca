// truetape rules ls | set
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "app/append_log.h"
#include "app/command.h"
#include "app/control_records.h"
#include "app/open.h"
#include "market/rules.h"

namespace truetape::app {
namespace {

// What is in force: what the last process that judged was given, or the configuration where this command has one of its
// own; and what was said since.
Result<Rules> in_force(const LmdbLog& log, const Config& config, const ControlState& control) {
  const auto judged = judged_rules(log, config);
  if (!judged) return judged;
  Rules rules = *judged;
  for (const auto& [name, value] : control.rules)
    if (const Status done = set(rules, name, value); !done) return tl::unexpected{done.error()};
  rules.version = std::max(rules.version, judged->version);
  return rules;
}

int run_ls(const Common& common) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  const auto control = read_control(**log);
  if (!control) return fail(control.error().detail);
  const auto rules = in_force(**log, config, *control);
  if (!rules) return fail(rules.error().detail);
  for (const auto& [name, value] : to_pairs(*rules))
    if (name.starts_with("rule."))
      std::printf("%-32s  %s%s\n", name.c_str(), value.c_str(),
                  control->rules.contains(name) ? "  (set in the log)" : "");
  return kOk;
}

// A config record for each partition: every one of them judges for itself.
Status append_config(Log& log, const std::vector<std::pair<std::string, std::string>>& pairs) {
  auto appender = log.appender(topic::raw);
  if (!appender) return tl::unexpected{appender.error()};
  std::vector<Header> headers{{header::kind, name(RawKind::config)}, {header::instruments, ""}};
  for (const auto& [setting, value] : pairs) headers.push_back({setting, value});
  for (std::int32_t partition = 0; partition < log.partitions(); ++partition)
    if (!(*appender)->append(partition, {{}, {}, headers}))
      return failure(Fault::unavailable, Retry::after_backoff, "the log takes no records now; say it again");
  const auto durable = (*appender)->flush(std::chrono::seconds{30});
  if (!durable) return tl::unexpected{durable.error()};
  if (!*durable)
    return failure(Fault::unavailable, Retry::after_backoff,
                   "the log has not taken it for 30 s; it may still be there later: truetape rules ls");
  return {};
}

int run_set(const Common& common, const std::vector<std::pair<std::string, std::string>>& said) {
  const Config config = configure(common);
  const auto opened = open_to_append(config);
  if (!opened) return fail(opened.error().detail);
  const auto control = read_control(opened->files());
  if (!control) return fail(control.error().detail);
  const auto before = in_force(opened->files(), config, *control);
  if (!before) return fail(before.error().detail);
  Rules after = *before;
  for (const auto& [name, value] : said)
    if (const Status done = set(after, name, value); !done) return fail(done.error().detail), kUsage;
  if (const Status sound = check(after); !sound) return fail(sound.error().detail), kUsage;
  if (after.version < before->version)
    return fail("rule.version is " + std::to_string(before->version) + " and only rises"), kUsage;
  // What only the configuration says is said: it holds whatever that says later. What was said is said again, in the
  // same version: a rebuild that found its record deleted does not know it.
  const auto is_said = [&](const auto& pair) {
    const auto found = control->rules.find(pair.first);
    return found != control->rules.end() && found->second == pair.second;
  };
  const bool again = std::ranges::all_of(said, is_said);
  auto pairs = said;
  const auto says_version = [](const auto& pair) { return pair.first == "rule.version"; };
  if (std::ranges::none_of(said, says_version)) {
    if (!again && after.version == UINT32_MAX)
      return fail("rule.version is " + std::to_string(after.version) +
                  " and cannot rise: say it too, rule.version=" + std::to_string(after.version)),
             kUsage;
    if (!again) ++after.version;
    pairs.emplace_back("rule.version", std::to_string(after.version));
  }
  if (const Status done = append_config(opened->log(), pairs); !done) return fail(done.error().detail);
  std::vector<ControlRecord> records;
  for (const auto& [name, value] : pairs) records.emplace_back(RuleSetting{name, value});
  if (const Status done = append_control(opened->log(), records); !done) return fail(done.error().detail);
  std::printf("rules of version %u are in force for what comes from now on%s%s\n", after.version,
              again ? ", as they were" : "", opened->beside ? "" : "; nobody runs here now");
  return kOk;
}

constexpr const char* kExit =
    "Exit status:\n"
    "  0  done\n"
    "  1  there is no log, it cannot be opened or takes nothing\n"
    "  2  command line or configuration refused; nothing was done";

}  // namespace

void add_rules(CLI::App& root, Run& chosen) {
  CLI::App* rules = root.add_subcommand(
      "rules",
      "Shows and changes the rules that trades and quotes are judged by.\n\n"
      "docs/rules.md tells what each does. One that ends in @VENUE or @VENUE:SYMBOL is for these alone. What is set\n"
      "stands in the log, goes before the configuration, and outlives every process.");
  rules->require_subcommand(1);
  rules->footer(
      "Examples:\n"
      "  truetape rules ls --data market\n"
      "  truetape rules set --data market rule.off_tick@binance=quarantine\n"
      "  truetape rules set --data market rule.off_tick@binance:BTCUSDT=accept rule.far_from_median_band=0.05\n\n"
      "`truetape rules COMMAND --help` tells more of each.");

  CLI::App* ls = rules->add_subcommand("ls",
                                       "Shows the rules in force.\n\n"
                                       "Those of the process that runs, or ran last, and what was set since. With "
                                       "--config or --set rule.…\n"
                                       "those that a process of this configuration would judge by.");
  ls->footer(kExit);
  const auto ls_common = add_common(*ls);
  ls->callback([ls_common, &chosen] { chosen = [ls_common] { return run_ls(*ls_common); }; });

  CLI::App* set_command = rules->add_subcommand("set",
                                                "Changes rules for what comes from now on.\n\n"
                                                "Also while `truetape run` runs. rule.version rises by one unless it "
                                                "is said. What was judged before stays as it\n"
                                                "is; truetape quarantine replay judges again what waits in quarantine. "
                                                "A narrower rule is taken back by `default`.");
  set_command->footer(kExit);
  const auto common = add_common(*set_command);
  const auto texts = std::make_shared<std::vector<std::string>>();
  set_command->add_option("RULE=VALUE", *texts, "Such as rule.off_lot@kucoin=quarantine")->required()->type_name("");
  set_command->callback([common, texts, &chosen] {
    std::vector<std::pair<std::string, std::string>> said;
    Rules tried;
    for (const std::string& text : *texts) {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos || !text.starts_with("rule."))
        throw CLI::ValidationError{"RULE=VALUE", text + ": write rule.NAME=VALUE"};
      said.emplace_back(text.substr(0, equals), text.substr(equals + 1));
      if (const Status done = set(tried, said.back().first, said.back().second); !done)
        throw CLI::ValidationError{"RULE=VALUE", done.error().detail};
      if (const Status known = check_scope(said.back().first, said.back().second); !known)
        throw CLI::ValidationError{"RULE=VALUE", said.back().first + ": " + known.error().detail};
    }
    chosen = [common, said] { return run_set(*common, said); };
  });
}

}  // namespace truetape::app
