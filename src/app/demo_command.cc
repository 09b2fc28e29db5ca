// truetape demo
#include <stdlib.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "app/command.h"
#include "app/lines.h"
#include "app/live.h"
#include "app/live_threads.h"
#include "app/open.h"
#include "app/signals.h"
#include "app/values.h"
#include "sim/simulator.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

constexpr const char* kRecording = "examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst";
constexpr auto kLook = std::chrono::milliseconds{50};
constexpr auto kLastFrames = std::chrono::seconds{30};  // for what the venue has sent to be read
constexpr auto kPlayedAhead = std::chrono::hours{24};   // the venue's clock runs ahead of ours when it plays faster

struct Asked {
  std::string file = kRecording, venue = "binance";
  bool once = false;
};

// The simulated venue, on a thread of its own.
class VenueThread {
 public:
  static Result<std::unique_ptr<VenueThread>> start(const Asked& asked) {
    std::unique_ptr<VenueThread> out{new VenueThread};
    VenueThread& own = *out;
    sim::CaptureOptions capture;
    capture.product = asked.venue == "binance" ? sim::Product::spot : sim::Product::usdm;
    capture.sources = {{.file = asked.file}};
    auto tape = sim::open_capture(capture);
    if (!tape) return tl::unexpected{tape.error()};
    sim::SimulatorConfig config;
    config.scenario.limits = sim::Limits::of(capture.product);
    if (asked.once) {
      config.speed = 0;
    } else {
      config.begin_now = sim::Duration{0};
      config.linger = Nanoseconds::max();
    }
    own.simulator_ = std::make_unique<sim::Simulator>(own.loop_, std::move(config), std::move(*tape));
    if (const auto port = own.simulator_->listen(); !port) return tl::unexpected{port.error()};
    own.loop_.spawn([&own]() -> net::awaitable<void> {
      co_await own.simulator_->run();
      own.over_ = true;
      own.loop_.stop();
    });
    own.thread_ = std::thread{[&own] { own.loop_.run(); }};
    return out;
  }
  ~VenueThread() {
    if (!thread_.joinable()) return;
    loop_.post([this] { simulator_->stop("the demo is over"); });
    thread_.join();
  }
  // Everything has been sent, and the connections are closed.
  bool over() const { return over_; }
  std::string rest() const { return simulator_->rest_url(); }
  std::string websocket() const { return simulator_->websocket_url(); }
  std::vector<Instrument> instruments(const std::string& venue) const {
    std::vector<Instrument> out;
    for (std::uint32_t i = 0; i < simulator_->market().size(); ++i)
      if (const auto instrument = Instrument::of(venue, simulator_->market().listing(i).symbol))
        out.push_back(*instrument);
    return out;
  }

 private:
  VenueThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<sim::Simulator> simulator_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

// Another command of this program, in this process.
int call(const std::vector<std::string>& words) {
  CLI::App root{"truetape"};
  Run chosen;
  add_digest(root, chosen);
  root.parse(std::vector<std::string>{words.rbegin(), words.rend()});  // CLI11 takes them from the back
  return chosen();
}

template <class Number>
std::string number(const std::optional<Number>& value) {
  return value ? to_text(*value) : "";
}

Status show_candles(const History& history) {
  std::printf("\n%-21s%10s%10s%10s%10s%11s%8s  %-13s%s\n", "start", "open", "high", "low", "close", "volume", "trades",
              "completeness", "proof");
  return history.candles({.interval = Interval{60}}, [](const Candle& c) {
    std::printf("%-21s%10s%10s%10s%10s%11s%8s  %-13s%s\n", to_rfc3339(c.start).c_str(), number(c.open).c_str(),
                number(c.high).c_str(), number(c.low).c_str(), number(c.close).c_str(), number(c.volume).c_str(),
                c.trades ? std::to_string(*c.trades).c_str() : "", std::string{name(c.completeness)}.c_str(),
                c.proof == Proof::none ? "" : std::string{name(c.proof)}.c_str());
    return true;
  });
}

int show(const Config& config) {
  const auto history = open_sqlite_history(config.store_file());
  std::printf("\n== the 1-minute candles, and how far each can be trusted\n");
  if (const Status shown = show_candles(*history); !shown) return fail(shown.error().detail);
  std::uint64_t gaps = 0;
  const Status counted = history->gaps({}, [&gaps](const Gap&) { return ++gaps > 0; });
  if (!counted) return fail(counted.error().detail);
  std::printf("\n== gaps: %llu\n\n== digests of the log, compared with those of the store\n",
              static_cast<unsigned long long>(gaps));
  std::fflush(stdout);
  return call({"digest", "--data", config.data, "--compare"});
}

// A new directory, unless one is named; a named one must be new too, or what is shown would not be this recording's.
void choose_data(Config& config) {
  if (config.data.empty()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-demo-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw ConfigError{"no data directory can be made in " + pattern.substr(0, pattern.rfind('/')) +
                        "; name one with --data DIR"};
    config.data = pattern;
  }
  if (std::filesystem::exists(config.log_directory()))
    throw ConfigError{"--data " + config.data +
                      " holds data already; the demo wants a directory of its own: name another one, or delete it"};
}

int run_demo(const Asked& asked, const Common& common) {
  Config config = configure(common, Takes::perhaps);
  config.store.clear();  // its own
  if (!std::filesystem::exists(asked.file))
    return fail(asked.file +
                " is not there; run the demo in truetape's checkout, or name a recording: truetape demo FILE");
  choose_data(config);
  if (asked.once) {
    config.rules.future_tolerance = std::max<Nanoseconds>(config.rules.future_tolerance, kPlayedAhead);
    config.serve.port = 0;
    if (common.sets.empty() && common.config_files.empty()) config.log_level = "error";
  }
  start_lines(config);
  std::signal(SIGPIPE, SIG_IGN);
  Stop stop;
  const Signals signals{[&stop] { stop.ask(); }};
  auto venue = VenueThread::start(asked);
  if (!venue) return fail(venue.error().detail);
  FeedSettings& feed = config.feeds.at(asked.venue);
  feed.stream_url = (*venue)->websocket();
  feed.rest_url = (*venue)->rest();
  config.instruments = (*venue)->instruments(asked.venue);

  Metrics metrics;
  auto live = Live::start(config, metrics, {});
  if (!live) return fail(live.error().detail);
  std::printf("a simulated venue plays %s%s\n", asked.file.c_str(),
              asked.once ? " as fast as it can be taken in" : " as if it happened now");
  std::printf("ready %s/ data=%s\n", (*live)->origin().c_str(), shell_word(config.data).c_str());
  if (!asked.once) std::printf("Open that address in a browser. Ctrl-C ends the demo.\n");
  std::fflush(stdout);
  const auto ended = [&] { return asked.once && (*venue)->over(); };
  while (!stop.wait_for(kLook) && !ended() && (*live)->health()) {
  }
  if (const Status broken = (*live)->health(); !broken) return fail(broken.error().detail);
  // What was sent last may still lie in the socket.
  const Gauge& connections = metrics.gauge("truetape_ingest_connections_live", "", {{"venue", asked.venue}});
  const auto until = std::chrono::steady_clock::now() + kLastFrames;
  while (ended() && connections.value() > 0 && std::chrono::steady_clock::now() < until && !stop.wait_for(kLook)) {
  }
  const bool whole = asked.once && ended() && connections.value() == 0;
  const Status stopped = (*live)->stop();
  live->reset();
  if (!stopped) return fail(stopped.error().detail);
  if (asked.once && !whole) return fail("stopped before the recording was over");
  if (whole)
    if (const int code = show(config)) return code;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = error ? "truetape" : std::filesystem::proximate(self, error).string();
  std::printf("\nThe data lie in %s; try: %s query candles --data %s --interval 5m\n", config.data.c_str(),
              shell_word(program).c_str(), shell_word(config.data).c_str());
  return kOk;
}

}  // namespace

void add_demo(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "demo",
      "Shows everything at work on a recording, without a network: a simulated venue, and run.\n\n"
      "Plays the recording from a simulated venue (truetape sim) as if it happened now, and runs truetape on it in a "
      "new\n"
      "data directory: WebSocket, log, candles, store, page. It prints the page's address and goes on until Ctrl-C.");
  command->footer(
      "With --once it plays as fast as it can, prints the candles, gaps and digests of the result, and ends.\n\n"
      "Examples:\n"
      "  truetape demo\n"
      "  truetape demo --once\n"
      "  truetape demo --data demo --set serve.port=9000 session.frames.zst\n\n"
      "Exit status:\n"
      "  0  ended by a signal; with --once: the whole recording came through, and log and store have the same content\n"
      "  1  failed\n"
      "  2  command line or configuration refused; nothing was done\n"
      "  3  --once: log and store differ");
  const auto asked = std::make_shared<Asked>();
  const auto common = add_common(*command);
  command->add_option("FILE", asked->file, "A recording (.frames of Binance's streams); the bundled one without")
      ->type_name("");
  command->add_option("--venue", asked->venue, "binance or binance-usdm")
      ->type_name("V")
      ->capture_default_str()
      ->check(CLI::IsMember({"binance", "binance-usdm"}));
  command->add_flag("--once", asked->once, "Through to the end, as fast as it goes; then what came of it");
  command->callback([asked, common, &chosen] { chosen = [asked, common] { return run_demo(*asked, *common); }; });
}

}  // namespace truetape::app
