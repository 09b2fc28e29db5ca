// truetape run
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "app/command.h"
#include "app/lines.h"
#include "app/live.h"
#include "app/live_threads.h"
#include "app/open.h"
#include "app/service.h"
#include "app/signals.h"
#include "app/values.h"
#include "net/backoff.h"
#include "venues/feed.h"
#include "venues/feed_entry.h"

namespace truetape::app {
namespace {

constexpr auto kLook = std::chrono::milliseconds{500};
constexpr net::BackoffConfig kAnew{std::chrono::seconds{1}, std::chrono::minutes{1}, 2};
constexpr rlim_t kFiles = 65'536;  // open at a time: each client of the HTTP interface is one

struct Asked {
  std::vector<std::string> instruments;
  bool adopt = false;
};

void name_instruments(const Asked& asked, Config& config) {
  for (const std::string& text : asked.instruments) {
    const auto instrument = receivable(text);
    if (!instrument) throw CLI::ValidationError{"INSTRUMENT", instrument.error().detail};
    if (std::ranges::find(config.instruments, *instrument) == config.instruments.end())
      config.instruments.push_back(*instrument);
  }
}

// A venue that lets nobody in without a token is not begun with: nothing of it would ever come.
void expect_tokens(const Config& config) {
  for (const FeedEntry& entry : feed_entries()) {
    if (!entry.token || !config.feeds.find(entry.venue)->second.token.empty()) continue;
    for (const Instrument& instrument : config.instruments)
      if (instrument.venue() == entry.venue)
        throw ConfigError{"feed." + std::string{entry.venue} + ".token is empty, but " + instrument.str() +
                          " is wanted and the venue lets nobody in without; put it into a file or the environment and "
                          "say --set 'feed." +
                          std::string{entry.venue} + ".token=${file:PATH}' or '${NAME}'"};
  }
}

void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kFiles));
  setrlimit(RLIMIT_NOFILE, &limit);
}

void say_ready(const Live& live, const Config& config) {
  const ControlState& control = live.control();
  std::string names;
  std::size_t count = 0;
  for (const Instrument& instrument : control.wanted)
    if (++count <= 20) names += (names.empty() ? "" : ",") + instrument.str();
  std::printf("ready %s/ instruments=%zu %s\n", live.origin().c_str(), count, names.c_str());
  std::fflush(stdout);
  if (control.wanted.empty())
    say(Level::warning, "run",
        "no instrument is wanted yet, so nothing will come; name some when you start it (truetape run "
        "binance:BTCUSDT), or now: truetape control add --data " +
            shell_word(config.data) + " binance:BTCUSDT");
  if (!control.started)
    say(Level::warning, "run",
        "ingest is stopped since somebody stopped it; start it: truetape control start --data " +
            shell_word(config.data));
}

// What ends run, as a line like the others.
int end_with(const std::string& sentence) {
  say(Level::error, "run", sentence);
  tell_repeats(true);
  return kFailed;
}

// Until it was asked to stop, or the log has broken: then why.
std::optional<std::string> watch(Live& live, Stop& stop, Metrics& metrics) {
  Gauge& up = metrics.gauge("truetape_up", "1 while truetape run takes in, processes, loads and serves.");
  up.set(1);
  std::optional<std::string> broken;
  do {
    live.look();
    tell_repeats();
    if (const Status health = live.health(); !health) broken = health.error().detail;
  } while (!broken && !stop.wait_for(kLook));
  up.set(0);
  return broken;
}

int run_all(const Asked& asked, const Common& common) {
  Config config = configure(common);
  name_instruments(asked, config);
  expect_tokens(config);
  if (const auto sound = serve_config(config.serve); !sound) throw ConfigError{sound.error().detail};
  start_lines(config);
  allow_many_files();
  std::signal(SIGPIPE, SIG_IGN);  // standard output may go away; nobody ends for that
  Stop stop;
  const Signals signals{[&stop] { stop.ask(); }};
  Metrics metrics;
  net::Backoff anew{kAnew, 1};
  std::unique_ptr<StandbyThread> standby;
  const auto stand_by = [&](const std::string& reason) {
    auto answers = StandbyThread::start(config, metrics, reason);
    if (answers)
      standby = std::move(*answers);
    else
      say(Level::warning, "serve", "nothing is served while all begins anew: " + answers.error().detail);
  };
  for (bool began = false;;) {
    standby.reset();
    auto live = Live::start(config, metrics, {.adopt = asked.adopt});
    if (live) {
      if (!began) {
        say_ready(**live, config);
        tell_service("READY=1");
      }
      began = true;
      config.serve.port = (*live)->port();  // the same, should it have to begin anew
      const auto since = std::chrono::steady_clock::now();
      const auto broken = watch(**live, stop, metrics);
      if (stop.asked()) {
        tell_service("STOPPING=1");
        say(Level::info, "run", "stopping: what was received is processed and loaded; a second signal ends at once");
        const Status stopped = (*live)->stop();
        tell_repeats(true);
        return stopped ? static_cast<int>(kOk) : end_with(stopped.error().detail);
      }
      say(Level::error, "run", *broken + " All begins anew.");
      if (std::chrono::steady_clock::now() - since > kAnew.longest) anew.reset();
      live->reset();
      stand_by(*broken);
    } else if (!began) {
      return end_with(live.error().detail);
    } else {
      say(Level::error, "run", live.error().detail + " (tried until it works)");
      stand_by(live.error().detail);
    }
    if (stop.wait_for(anew.next())) return end_with("stopped while the log could not be used");
  }
}

}  // namespace

void add_run(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "run",
      "Takes in live market data, makes candles of it, and serves them.\n\n"
      "Holds the venues' connections, keeps what they send in the durable log, makes trades, gaps and candles of it, "
      "loads\n"
      "them into the store, and serves the page, REST and the stream: all in this process, until SIGINT or SIGTERM.\n"
      "When it listens it prints one line:\n"
      "  ready http://127.0.0.1:8780/ instruments=1 binance:BTCUSDT\n\n"
      "Instruments that are named here, or as `instruments` in the configuration, are wanted from now on; what was "
      "wanted\n"
      "before stays wanted, also over a restart (truetape control add, remove, ls). Without any it goes on with "
      "those.\n\n"
      "After a crash or a kill at any instant the same command goes on: what reached the log is there once, what was\n"
      "missed is a named gap. Trouble that may pass (a venue that is away, a locked store, a full disk) is waited for "
      "and\n"
      "told on standard error, in /metrics and in /health/ready.");
  command->footer(
      "Where the venue's own addresses cannot be reached: feed.binance.stream_url and feed.binance.rest_url name "
      "others, such\n"
      "as those of `truetape sim`; HTTPS_PROXY, HTTP_PROXY and NO_PROXY are obeyed; net.ca_file names private "
      "authorities.\n"
      "To be reached from other machines set serve.address, serve.read_token and serve.control_token.\n\n"
      "Examples:\n"
      "  truetape run --data market binance:BTCUSDT binance:ETHUSDT\n"
      "  truetape run --data market --config market.toml\n"
      "  truetape run --data try --set feed.binance.stream_url=ws://127.0.0.1:8900 \\\n"
      "    --set feed.binance.rest_url=http://127.0.0.1:8900 binance:BTCUSDT\n\n"
      "Exit status:\n"
      "  0  ended by a signal; what was received is processed and in the store\n"
      "  1  failed: another process writes there, the port is taken, the store is another log's, …; or what was "
      "received\n"
      "     last could not be brought to its end, which the next start does\n"
      "  2  command line or configuration refused; nothing was done\n\n"
      "Files:\n"
      "  DIR/log/             the durable log; one process writes at a time\n"
      "  DIR/store.db         the SQLite store\n"
      "  DIR/process.attempt  notes which record is worked on, so that one that kills the program is left out next "
      "time\n"
      "  DIR/truetape.sock    where commands beside it append (import, control)");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command);
  command->add_option("INSTRUMENT", asked->instruments, "What is wanted: VENUE:SYMBOL, such as binance:BTCUSDT")
      ->type_name("");
  command->add_flag("--adopt", asked->adopt,
                    "Go on with a store that holds another log's rows: they stay, all of this log is loaded");
  command->callback([asked, common, &chosen] { chosen = [asked, common] { return run_all(*asked, *common); }; });
}

}  // namespace truetape::app
