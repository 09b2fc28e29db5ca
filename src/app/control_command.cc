// truetape control start | stop | add | remove | ls
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>

#include "app/append_log.h"
#include "app/command.h"
#include "app/control_records.h"
#include "app/open.h"
#include "app/values.h"
#include "codec/control.h"
#include "venues/feed.h"

namespace truetape::app {
namespace {

const char* follows(const AppendLog& opened) {
  return opened.beside ? "; the process that runs follows within a second"
                       : "; nobody runs here now, the next truetape run follows it";
}

int run_switch(const Common& common, bool started) {
  const Config config = configure(common);
  const auto opened = open_to_append(config);
  if (!opened) return fail(opened.error().detail);
  const auto state = read_control(opened->files());
  if (!state) return fail(state.error().detail);
  const char* word = started ? "started" : "stopped";
  if (state->started == started) {
    std::printf("ingest is %s already\n", word);
    return kOk;
  }
  if (const Status done = append_control(opened->log(), std::array{ControlRecord{IngestSwitch{started}}}); !done)
    return fail(done.error().detail);
  std::printf("ingest: %s%s\n", word, follows(*opened));
  return kOk;
}

int run_wanted(const Common& common, const std::vector<Instrument>& instruments, bool wanted) {
  const Config config = configure(common);
  const auto opened = open_to_append(config);
  if (!opened) return fail(opened.error().detail);
  const auto state = read_control(opened->files());
  if (!state) return fail(state.error().detail);
  std::vector<ControlRecord> records;
  std::string said;
  for (const Instrument& instrument : instruments) {
    const bool already = state->wanted.contains(instrument) == wanted;
    if (!already) records.emplace_back(WantedInstrument{instrument, wanted});
    said += instrument.str() + (wanted ? ": wanted" : ": no longer wanted") +
            (already ? (wanted ? " already" : ", nor was it before") : follows(*opened)) + '\n';
  }
  if (!records.empty())
    if (const Status done = append_control(opened->log(), records); !done) return fail(done.error().detail);
  std::fputs(said.c_str(), stdout);
  return kOk;
}

std::string time_text(const std::optional<Timestamp>& time) { return time ? to_rfc3339(*time) : "-"; }

int run_ls(const Common& common) {
  const Config config = configure(common);
  const auto log = open_log_to_read(config);
  if (!log) return fail(log.error().detail);
  const auto state = read_control(**log);
  if (!state) return fail(state.error().detail);
  std::printf("ingest    %s\n", state->started ? "started" : "stopped");
  if (state->wanted.empty())
    std::printf("wanted    nothing; add some with truetape control add --data %s VENUE:SYMBOL\n",
                shell_word(config.data).c_str());
  for (const Instrument& instrument : state->wanted) {
    const auto feed = state->feeds.find(instrument.venue());
    const bool unknown =
        feed != state->feeds.end() &&
        std::find(feed->second.unknown.begin(), feed->second.unknown.end(), instrument) != feed->second.unknown.end();
    std::printf("wanted    %s%s\n", instrument.str().c_str(), unknown ? "  (not in the venue's symbol list)" : "");
  }
  for (const auto& [venue, feed] : state->feeds) {
    std::printf("feed      %s: %s, as of %s\n", venue.c_str(), feed.running ? "running" : "not running",
                to_rfc3339(feed.at).c_str());
    for (const FeedReport::Connection& c : feed.connections) {
      std::printf("            %s: %s, %llu of %llu streams, %llu frames, last %s, all received up to %s\n",
                  c.name.c_str(), c.state.c_str(), static_cast<unsigned long long>(c.confirmed),
                  static_cast<unsigned long long>(c.streams), static_cast<unsigned long long>(c.frames),
                  time_text(c.last_frame).c_str(), time_text(c.witness).c_str());
      if (!c.trouble.empty())
        std::printf("              %s; next attempt %s\n", c.trouble.c_str(),
                    c.next_attempt ? to_rfc3339(*c.next_attempt).c_str() : "now");
    }
  }
  return kOk;
}

// What was wanted once can be removed, whatever it is.
std::vector<Instrument> parse_instruments(const std::vector<std::string>& texts, bool wanted) {
  std::vector<Instrument> out;
  for (const std::string& text : texts) {
    auto instrument = receivable(text);
    if (const auto any = Instrument::parse(text); any && !wanted) instrument = *any;
    if (!instrument) throw CLI::ValidationError{"INSTRUMENT", instrument.error().detail};
    if (std::find(out.begin(), out.end(), *instrument) == out.end()) out.push_back(*instrument);
  }
  return out;
}

constexpr const char* kExit =
    "Exit status:\n"
    "  0  it is in the log, or was so already\n"
    "  1  there is no log, it cannot be opened or takes nothing\n"
    "  2  command line or configuration refused; nothing was done\n";

}  // namespace

void add_control(CLI::App& root, Run& chosen) {
  CLI::App* control =
      root.add_subcommand("control",
                          "Says what is to be ingested.\n\n"
                          "Starts and stops ingest, adds and removes instruments, and shows how the feeds stand. What "
                          "is said stands in the\n"
                          "log's topic `control` and outlives every process: a running `truetape run` follows it "
                          "within a second, else the\n"
                          "next one does. POST /start, /stop and /api/v1/instruments do the same (docs/api.md).");
  control->require_subcommand(1);
  control->footer(
      "Examples:\n"
      "  truetape control add --data market binance:BTCUSDT binance:ETHUSDT\n"
      "  truetape control stop --data market\n"
      "  truetape control ls --data market\n\n"
      "`truetape control COMMAND --help` tells more of each.");

  for (const bool started : {true, false}) {
    CLI::App* command = control->add_subcommand(
        started ? "start" : "stop",
        started ? "Ingest of what is wanted begins, and goes on after a restart"
                : "Ingest ends: what is in flight is finished, what is missed until it starts is a named gap");
    command->footer(kExit);
    const auto common = add_common(*command);
    command->callback([=, &chosen] { chosen = [=] { return run_switch(*common, started); }; });
  }
  for (const bool wanted : {true, false}) {
    CLI::App* command = control->add_subcommand(wanted ? "add" : "remove",
                                                wanted ? "Instruments that are wanted from now on"
                                                       : "Instruments that are not wanted any more; what there is "
                                                         "of them stays");
    command->footer(kExit);
    const auto common = add_common(*command);
    const auto texts = std::make_shared<std::vector<std::string>>();
    command
        ->add_option("INSTRUMENT", *texts,
                     "VENUE:SYMBOL, such as binance:BTCUSDT, or VENUE:*/QUOTE for many (docs/config.md)")
        ->required()
        ->type_name("");
    command->callback([=, &chosen] {
      const auto instruments = parse_instruments(*texts, wanted);
      chosen = [=] { return run_wanted(*common, instruments, wanted); };
    });
  }
  CLI::App* ls = control->add_subcommand(
      "ls",
      "Shows whether ingest is started, what is wanted, and what ingest last said of its feeds.\n\n"
      "Reads only. A feed's report is as old as it says: without a running process nobody renews it. For scripts:\n"
      "`truetape log cat control` has the same as JSON.");
  ls->footer(
      "Exit status:\n"
      "  0  done\n"
      "  1  there is no log, or it cannot be opened\n"
      "  2  command line or configuration refused\n");
  const auto ls_common = add_common(*ls);
  ls->callback([ls_common, &chosen] { chosen = [ls_common] { return run_ls(*ls_common); }; });
}

}  // namespace truetape::app
