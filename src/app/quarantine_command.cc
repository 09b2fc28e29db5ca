// truetape quarantine ls | show | replay | drop
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>

#include "app/append_log.h"
#include "app/command.h"
#include "app/import_report.h"
#include "app/open.h"
#include "app/open_kafka.h"
#include "app/values.h"
#include "core/utf8.h"
#include "serve/quarantine_work.h"
#include "stores/sqlite/sqlite_store.h"
#include "venues/venue.h"

namespace truetape::app {
namespace {

struct Asked {
  std::string instrument, reason, rule, from, to;
  std::vector<std::string> places;
  std::optional<std::uint64_t> limit;
  bool all = false;
};

// Of a configuration: the store that has the rows, or a sentence.
Result<std::unique_ptr<History>> open_store(const Config& config) {
  if (const Status there = expect_store(config); !there) return tl::unexpected{there.error()};
  return open_sqlite_history(config.store_file());
}

QuarantineWork selection(const Asked& asked) {
  QuarantineWork out;
  Selection& what = out.what;
  what.this_log = true;  // a place of another log's would be taken for one of this
  if (!asked.instrument.empty()) what.instrument = instrument_argument(asked.instrument);
  if (!asked.reason.empty()) {
    what.reason = parse_reason(asked.reason);
    if (!what.reason)
      throw CLI::ValidationError{"--reason", "\"" + asked.reason + "\" is none; docs/records.md lists the reasons"};
  }
  if (!asked.rule.empty() && !is_rule(asked.rule))
    throw CLI::ValidationError{
        "--rule", "\"" + asked.rule +
                      "\" puts nothing into quarantine; docs/rules.md lists the rules (of off_tick and off_lot: step)"};
  what.rule = asked.rule;
  if (!asked.from.empty()) what.from = time_argument(asked.from, "--from");
  if (!asked.to.empty()) what.to = time_argument(asked.to, "--to");
  if (what.from && what.to && *what.from >= *what.to)
    throw CLI::ValidationError{"--to", asked.to + " is not after --from " + asked.from};
  for (const std::string& text : asked.places) {
    const auto place = parse_quarantine_place(text);
    if (!place)
      throw CLI::ValidationError{"--id", "\"" + text + "\" is no place: PARTITION/OFFSET or PARTITION/OFFSET/ORDINAL"};
    out.places.push_back(*place);
  }
  return out;
}

bool chosen_place(const QuarantineWork& work, const Quarantined& item) {
  return work.places.empty() || std::ranges::find(work.places, place_of(item)) != work.places.end();
}

// Does something to a terminal, or to the order in which a line is read: controls, and marks of direction.
bool acts(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

// Strangers' bytes for a person's terminal, in one line: what acts as \n, \x1b or \u202e, what is no UTF-8 as U+FFFD.
std::string readable(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Utf8 next = first_character(bytes);
    const std::string_view here = bytes.substr(0, next.size);
    bytes.remove_prefix(next.size);
    if (!next.valid || !acts(next.code_point)) {
      append_utf8(here, out);
      continue;
    }
    constexpr std::string_view kNamed = "\t\n\r", kNames = "tnr";
    std::array<char, 16> code{};
    const auto c = static_cast<unsigned>(next.code_point);
    if (const std::size_t at = here.size() == 1 ? kNamed.find(here[0]) : kNamed.npos; at != kNamed.npos)
      std::snprintf(code.data(), code.size(), "\\%c", kNames[at]);
    else
      std::snprintf(code.data(), code.size(), c < 0x80 ? "\\x%02x" : "\\u%04x", c);
    out += code.data();
  }
  return out;
}

std::string readable(const Text<40>& id, const char* none) { return id.empty() ? none : readable(id.str()); }

int run_ls(const Common& common, const QuarantineWork& work, std::optional<std::uint64_t> limit) {
  const Config config = configure(common, Takes::both);
  expect_store_named(config);
  const auto history = open_store(config);
  if (!history) return fail(history.error().detail);
  std::uint64_t rows = 0;
  const Status read = (*history)->quarantine(work.what, [&](const Quarantined& item) {
    if (!chosen_place(work, item)) return true;
    if (limit && rows == *limit) return false;
    ++rows;
    std::printf("%-14s  %-24s  %s  %s v%u%s  %s  %s\n", to_text(place_of(item)).c_str(),
                item.instrument.empty() ? "-" : readable(item.instrument.str()).c_str(),
                item.receive_time ? to_rfc3339(*item.receive_time).c_str() : "-", item.rule.str().c_str(),
                item.rule_version,
                item.attempts > 1 ? (", judged " + std::to_string(item.attempts) + " times").c_str() : "",
                readable(item.id, "-").c_str(), readable(item.detail).c_str());
    return true;
  });
  if (!read) return fail(sentence(config, read.error()));
  if (rows == 0) std::fprintf(stderr, "truetape: nothing of that waits in quarantine\n");
  return kOk;
}

int run_show(const Common& common, const QuarantineWork& work) {
  const Config config = configure(common, Takes::both);
  expect_store_named(config);
  const auto history = open_store(config);
  if (!history) return fail(history.error().detail);
  std::uint64_t rows = 0;
  const Status read = (*history)->quarantine(work.what, [&](const Quarantined& item) {
    if (!chosen_place(work, item)) return true;
    if (rows++ > 0) std::printf("\n");
    std::printf("place       %s\n", to_text(place_of(item)).c_str());
    std::printf("instrument  %s\n", item.instrument.empty() ? "not readable" : readable(item.instrument.str()).c_str());
    std::printf("received    %s\n", item.receive_time ? to_rfc3339(*item.receive_time).c_str() : "-");
    std::printf("id          %s\n", readable(item.id, "not readable").c_str());
    std::printf("reason      %s\n", std::string{name(item.reason)}.c_str());
    std::printf("rule        %s, version %u\n", item.rule.str().c_str(), item.rule_version);
    std::printf("judged      %u time%s\n", item.attempts, item.attempts == 1 ? "" : "s");
    std::printf("detail      %s\n", readable(item.detail).c_str());
    for (const auto& [header_name, value] : item.headers)
      std::printf("header      %s=%s\n", readable(header_name).c_str(), readable(value).c_str());
    std::printf("bytes       %s\n", readable(item.raw).c_str());
    return true;
  });
  if (!read) return fail(sentence(config, read.error()));
  if (rows == 0) return fail("nothing stands there in quarantine; see truetape quarantine ls");
  return kOk;
}

int run_work(const Common& common, const QuarantineWork& work) {
  const Config config = configure(common, Takes::both);
  expect_store_named(config);
  const auto history = open_store(config);
  if (!history) return fail(history.error().detail);
  AppendLog files;
  std::unique_ptr<KafkaLog> kafka;
  if (config.on_kafka()) {
    auto log = open_kafka(config);
    if (!log) return fail(log.error().detail);
    kafka = std::move(*log);
  } else {
    auto log = open_to_append(config);
    if (!log) return fail(log.error().detail);
    files = std::move(*log);
  }
  Log& log = kafka ? static_cast<Log&>(*kafka) : files.log();
  const auto stored = (*history)->log_id();
  if (!stored) return fail(sentence(config, stored.error()));
  if (*stored != log.id())
    return fail("the store holds the rows of log " + *stored + ", but this log is " + std::string{log.id()} +
                ": what waits in quarantine there did not come from here");
  auto appender = log.appender(topic::raw);
  if (!appender) return fail(appender.error().detail);
  const auto did = work_quarantine(**history, {**appender, log.partitions(), route_frame}, work);
  if (!did) return fail(sentence(config, did.error()));
  const char* const word = work.drop ? "dropped" : "sent again";
  const char* const who = kafka || files.beside
                              ? work.drop ? "the process that runs takes them out within a second"
                                          : "the process that runs judges them within a second"
                              : "nobody runs here now: the next truetape run judges them, or truetape import --finish";
  std::printf("%s %s %s%s%s\n", grouped(did->sent).c_str(), did->sent == 1 ? "item" : "items", word,
              did->sent > 0 ? "; " : "", did->sent > 0 ? who : "");
  if (did->unusable > 0)
    std::printf("%s left where %s: %s\n", grouped(did->unusable).c_str(), did->unusable == 1 ? "it is" : "they are",
                readable(did->why).c_str());
  return kOk;
}

void add_options(CLI::App& command, Asked& asked) {
  command.add_option("--instrument", asked.instrument, "Only of this one, VENUE:SYMBOL")->type_name("I");
  command.add_option("--reason", asked.reason, "Only with this reason, such as rule, price or missing_field")
      ->type_name("REASON");
  command.add_option("--rule", asked.rule, "Only what this rule put there, such as step (docs/rules.md)")
      ->type_name("RULE");
  command.add_option("--from", asked.from, "Not received before this time (of files: imported)")->type_name("TIME");
  command.add_option("--to", asked.to, "Only received before this time")->type_name("TIME");
  command.add_option("--id", asked.places, "Only what stands here: PARTITION/OFFSET[/ORDINAL], as ls shows it")
      ->type_name("PLACE");
}

constexpr const char* kExit =
    "Exit status:\n"
    "  0  done, also if nothing was there\n"
    "  1  the store or the log is not there, or cannot be used\n"
    "  2  command line or configuration refused; nothing was done";

CLI::App* add_work(CLI::App& quarantine, Run& chosen, bool drop, const char* about) {
  CLI::App* const command = quarantine.add_subcommand(drop ? "drop" : "replay", about);
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command, Takes::both);
  add_store(*command, common);
  add_options(*command, *asked);
  command->add_flag("--all", asked->all, "All that waits: needed where nothing else is chosen");
  command->footer(kExit);
  command->callback([asked, common, drop, &chosen] {
    QuarantineWork work = selection(*asked);
    work.drop = drop;
    const Selection& what = work.what;
    const bool any =
        what.instrument || what.reason || !what.rule.empty() || what.from || what.to || !work.places.empty();
    if (any == asked->all)
      throw CLI::ValidationError{"--all", any ? "is not for a choice of items"
                                              : "say it, or choose: --reason, --rule, "
                                                "--instrument, --from, --to, --id"};
    chosen = [common, work] { return run_work(*common, work); };
  });
  return command;
}

}  // namespace

void add_quarantine(CLI::App& root, Run& chosen) {
  CLI::App* quarantine = root.add_subcommand(
      "quarantine",
      "Shows what waits in quarantine, judges it again or gives it up.\n\n"
      "What could not be used waits with its reason and its bytes. Once the rule or the program is mended, replay "
      "sends\n"
      "the bytes through again: what is accepted goes into its candles and leaves quarantine, what is still bad stays\n"
      "there, once. Works beside a process that runs.");
  quarantine->require_subcommand(1);
  quarantine->footer(
      "Examples:\n"
      "  truetape quarantine ls --data market --reason rule\n"
      "  truetape quarantine show --data market --id 0/4711\n"
      "  truetape quarantine replay --data market --rule step --instrument binance:BTCUSDT\n"
      "  truetape quarantine drop --data market --id 0/4711/3\n\n"
      "`truetape quarantine COMMAND --help` tells more of each.");

  CLI::App* ls = quarantine->add_subcommand(
      "ls",
      "Lists what waits, a line each.\n\n"
      "Its place (partition, offset and ordinal in the topic raw), instrument, receive time, rule and its version, "
      "the\n"
      "trade's id, and what was wrong. `truetape query quarantine` has the same for programs, and what a log before "
      "this\n"
      "one had put into the store (--adopt): that cannot be judged again here.");
  const auto ls_asked = std::make_shared<Asked>();
  const auto ls_common = add_common(*ls, Takes::both);
  add_store(*ls, ls_common);
  add_options(*ls, *ls_asked);
  ls->add_option("--limit", ls_asked->limit, "At most so many")->check(counting_number())->type_name("N");
  ls->footer(kExit);
  ls->callback([ls_asked, ls_common, &chosen] {
    const QuarantineWork work = selection(*ls_asked);
    chosen = [ls_asked, ls_common, work] { return run_ls(*ls_common, work, ls_asked->limit); };
  });

  CLI::App* show =
      quarantine->add_subcommand("show",
                                 "Shows items with their headers and bytes.\n\n"
                                 "Control characters are written as \\n or \\x1b: a terminal acts on none of them.\n"
                                 "`truetape log cat raw --bytes` has the bytes as they are.");
  const auto show_asked = std::make_shared<Asked>();
  const auto show_common = add_common(*show, Takes::both);
  add_store(*show, show_common);
  add_options(*show, *show_asked);
  show->footer(kExit);
  show->callback([show_asked, show_common, &chosen] {
    const QuarantineWork work = selection(*show_asked);
    chosen = [show_common, work] { return run_show(*show_common, work); };
  });

  add_work(*quarantine, chosen, false,
           "Judges items again, by the rules and the program of now.\n\n"
           "Change the rule before (truetape rules set), or start the newer program. An item that came by another way\n"
           "since leaves quarantine as well. Repeating it changes nothing.");
  add_work(*quarantine, chosen, true,
           "Gives items up.\n\n"
           "They leave quarantine. A trade whose id and time fit between those beside it counts from then on as one "
           "that never\n"
           "was: its window is no gap because of it any more. Another one's id stays a hole, which is asked for. If "
           "the venue\n"
           "may still have it, ask there first: truetape backfill.");
}

}  // namespace truetape::app
