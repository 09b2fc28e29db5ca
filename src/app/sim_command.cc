// truetape sim
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "app/command.h"
#include "app/signals.h"
#include "app/values.h"
#include "sim/simulator.h"

namespace truetape::app {
namespace {

struct Asked {
  std::vector<std::string> files;
  std::string venue = "binance", symbol, columns, tape, from, to;
  std::string symbols, mix, length;
  double rate = 0, news = 0;
  std::string speed = "1", shift, lead = "1s", linger = "0s", run_for;
  std::string listen = "127.0.0.1", certificate, key;
  std::uint16_t port = 0;
  std::vector<std::string> scenarios, faults, limits;
  std::uint64_t seed = 0, keep = 1'000'000;
  bool has_seed = false, no_wait = false, no_quotes = false, older_fields = false;
  std::string truth, trades;
};

constexpr std::array kProducts{sim::Product::spot, sim::Product::usdm, sim::Product::kucoin, sim::Product::finnhub};

// The option allows no other names.
sim::Product product_of(const std::string& venue) { return *std::ranges::find(kProducts, venue, sim::venue_name); }

[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& allowed) {
  throw CLI::ValidationError{option, '"' + value + "\" is refused; allowed: " + allowed};
}

Nanoseconds span_argument(const std::string& text, const std::string& option) {
  const auto span = parse_duration(text);
  if (!span) refuse(option, text, "a whole number and a unit, as 500ms, 30s or 5m");
  return *span;
}
sim::Time venue_time(Timestamp t) { return std::chrono::floor<sim::Duration>(t); }

void read_symbols(const Asked& asked, sim::GeneratorOptions& options) {
  if (asked.symbols.empty()) return;
  if (asked.symbols.find_first_not_of("0123456789") == std::string::npos) {
    const unsigned long count = asked.symbols.size() > 6 ? 0 : std::stoul(asked.symbols);
    if (count < 1 || count > 100'000) refuse("--symbols", asked.symbols, "a number from 1 to 100000, or names");
    options.symbols = static_cast<std::uint32_t>(count);
    return;
  }
  for (std::size_t at = 0; at <= asked.symbols.size();) {
    const std::size_t comma = std::min(asked.symbols.find(',', at), asked.symbols.size());
    if (comma > at) options.names.push_back(asked.symbols.substr(at, comma - at));
    at = comma + 1;
  }
  options.symbols = static_cast<std::uint32_t>(options.names.size());
}

void read_mix(const Asked& asked, sim::GeneratorOptions& options) {
  for (std::size_t at = 0; at < asked.mix.size();) {
    const std::size_t comma = std::min(asked.mix.find(',', at), asked.mix.size());
    const std::string part = asked.mix.substr(at, comma - at);
    const std::size_t equals = part.find('=');
    const std::string name = part.substr(0, equals);
    const std::string number = equals == std::string::npos ? "" : part.substr(equals + 1);
    std::uint32_t* const into = name == "na"               ? &options.na
                                : name == "insurance_fund" ? &options.insurance_fund
                                : name == "adl"            ? &options.adl
                                : name == "rpi"            ? &options.rpi
                                : name == "unknown"        ? &options.unknown
                                                           : nullptr;
    if (into == nullptr || number.empty() || number.size() > 3 ||
        number.find_first_not_of("0123456789") != std::string::npos)
      refuse("--mix", part, "na=N, insurance_fund=N, adl=N, rpi=N, unknown=N, with commas, N of 1000 from 0 to 999");
    *into = static_cast<std::uint32_t>(std::stoul(number));
    at = comma + 1;
  }
}

// "none", "now", "now+5m", "now-5m", or a time.
void read_shift(const Asked& asked, bool generated, sim::SimulatorConfig& config) {
  const std::string shift = asked.shift.empty() ? (generated ? "now" : "none") : asked.shift;
  if (shift == "none") return;
  if (shift.starts_with("now")) {
    const auto by = shift == "now" ? std::optional{sim::Duration{}} : sim::parse_span(shift.substr(3));
    if (!by || (shift.size() > 3 && shift[3] != '+' && shift[3] != '-'))
      refuse("--shift", shift, "none, now, now+5m, now-5m, or a time as 2024-08-08T23:54");
    config.begin_now = *by;
    return;
  }
  config.begin = venue_time(time_argument(shift, "--shift"));
}

Result<std::unique_ptr<sim::Tape>> make_tape(const Asked& asked, sim::Product product, std::uint64_t seed) {
  if (asked.files.empty()) {
    sim::GeneratorOptions options{.product = product, .seed = seed};
    read_symbols(asked, options);
    read_mix(asked, options);
    if (asked.rate > 0) options.rate = asked.rate;
    if (!asked.length.empty())
      options.length = std::chrono::floor<sim::Duration>(span_argument(asked.length, "--length"));
    options.quotes = !asked.no_quotes;
    options.older = asked.older_fields;
    options.news = asked.news;
    options.start = sim::Time{std::chrono::sys_days{std::chrono::year{2024} / 1 / 1}};
    return sim::make_generator(std::move(options));
  }
  sim::CaptureOptions options{.product = product, .sources = {}, .with_quotes = !asked.no_quotes};
  options.unknown_csv = "; of another CSV file of trades say with --columns where what stands";
  for (const std::string& file : asked.files) {
    sim::CaptureSource source{.file = file, .symbol = asked.symbol, .columns = asked.columns};
    if (!asked.tape.empty()) source.aggregates = asked.tape == "agg";
    options.sources.push_back(std::move(source));
  }
  if (!asked.from.empty()) options.from = venue_time(time_argument(asked.from, "--from"));
  if (!asked.to.empty()) options.to = venue_time(time_argument(asked.to, "--to"));
  sim::CaptureCounts counts;
  auto tape = sim::open_capture(options, &counts);
  if (tape)
    std::fprintf(
        stderr,
        "read %llu lines: %llu trades, %llu aggregates, %llu quotes, %llu headlines; left out %llu of other kinds, "
        "%llu repeated, %llu unreadable\n",
        static_cast<unsigned long long>(counts.lines), static_cast<unsigned long long>(counts.trades),
        static_cast<unsigned long long>(counts.aggregates), static_cast<unsigned long long>(counts.quotes),
        static_cast<unsigned long long>(counts.news), static_cast<unsigned long long>(counts.others),
        static_cast<unsigned long long>(counts.repeated), static_cast<unsigned long long>(counts.unreadable));
  return tape;
}

sim::Scenario read_scenario(const Asked& asked, sim::Product product) {
  sim::Scenario scenario;
  scenario.limits = sim::Limits::of(product);
  for (const std::string& file : asked.scenarios)
    if (const Status read = sim::read_scenario_file(file, scenario); !read) throw ConfigError{read.error().detail};
  for (const std::string& limit : asked.limits) {
    const std::size_t equals = limit.find('=');
    if (equals == std::string::npos) refuse("--limit", limit, "KEY=VALUE");
    if (const Status set = sim::set_limit(scenario.limits, limit.substr(0, equals), limit.substr(equals + 1)); !set)
      throw ConfigError{"--limit: " + set.error().detail};
  }
  for (const std::string& text : asked.faults) {
    auto fault = sim::parse_fault(text);
    if (!fault) throw ConfigError{"--fault " + text + ": " + fault.error().detail};
    scenario.faults.push_back(std::move(*fault));
  }
  if (asked.has_seed) scenario.seed = asked.seed;
  return scenario;
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << text;
  return static_cast<bool>(out.flush());
}

int run_sim(const Asked& asked) {
  const sim::Product product = product_of(asked.venue);
  sim::SimulatorConfig config;
  config.scenario = read_scenario(asked, product);
  config.address = asked.listen;
  config.port = asked.port;
  config.certificate_file = asked.certificate;
  config.key_file = asked.key;
  config.wait = !asked.no_wait;
  config.lead = span_argument(asked.lead, "--lead");
  config.linger = asked.linger == "forever" ? Nanoseconds::max() : span_argument(asked.linger, "--linger");
  config.newer_fields = !asked.older_fields;
  config.trades_file = asked.trades;
  config.keep = asked.keep;
  if (asked.speed == "max") {
    config.speed = 0;
  } else {
    char* end = nullptr;
    config.speed = std::strtod(asked.speed.c_str(), &end);
    if (end == nullptr || *end != '\0' || !(config.speed > 0) || config.speed > 1e6)
      refuse("--speed", asked.speed, "a number above 0, or max");
  }
  read_shift(asked, asked.files.empty(), config);
  const Nanoseconds run_for = asked.run_for.empty() ? Nanoseconds::zero() : span_argument(asked.run_for, "--for");

  auto tape = make_tape(asked, product, config.scenario.seed);
  if (!tape) return fail(tape.error().detail);

  const SystemClock clock;
  net::Loop loop{clock};
  sim::Simulator simulator{loop, config, std::move(*tape)};
  const Signals signals{[&] { loop.post([&] { simulator.stop("stopped by a signal"); }); }};
  simulator.on_trouble([](const std::string& sentence) { fail(sentence); });
  if (const auto port = simulator.listen(); !port) return fail(port.error().detail);

  std::string symbols;
  for (std::uint32_t i = 0; i < simulator.market().size() && i < 20; ++i)
    symbols += (i == 0 ? "" : ",") + simulator.market().listing(i).symbol;
  std::printf("ready venue=%s rest=%s websocket=%s instruments=%u symbols=%s\n", asked.venue.c_str(),
              simulator.rest_url().c_str(), simulator.websocket_url().c_str(), simulator.market().size(),
              symbols.c_str());
  std::fflush(stdout);

  const auto began = clock.steady();
  net::Timer limit{loop};
  if (run_for > Nanoseconds::zero()) limit.after(run_for, [&] { simulator.stop("time is over"); });
  loop.spawn([&]() -> net::awaitable<void> {
    co_await simulator.run();
    loop.stop();
  });
  loop.run();

  const double seconds = std::chrono::duration<double>(clock.steady() - began).count();
  std::fprintf(stderr, "%s: %llu events in %.1f s, %llu messages to %zu connections, %.1f s of CPU\n",
               simulator.truth().ended.c_str(), static_cast<unsigned long long>(simulator.played()), seconds,
               static_cast<unsigned long long>(simulator.messages()), simulator.truth().connections.size(),
               static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  if (!asked.truth.empty() && !write_file(asked.truth, simulator.truth_json()))
    return fail(asked.truth + ": cannot be written; check the path, its rights and the space");
  return kOk;
}

}  // namespace

void add_sim(CLI::App& root, Run& chosen) {
  CLI::App* command = root.add_subcommand(
      "sim",
      "Stands in for a venue: WebSocket streams and REST from a recording, or generated.\n\n"
      "Plays recordings at their own pace, N times as fast, or as fast as clients take them; without a file it "
      "generates\n"
      "trades. It keeps the venue's rules (pings, limits, weights, the end of a connection's life), misbehaves on "
      "order,\n"
      "and at its end tells what it sent and what it withheld. It prints one line when it listens:\n"
      "  ready venue=binance rest=http://127.0.0.1:PORT websocket=ws://127.0.0.1:PORT instruments=N symbols=…\n"
      "The tape begins when a client has subscribed. It ends with the tape, with --for, or with SIGINT or SIGTERM.");
  command->footer(
      "Examples:\n"
      "  truetape sim examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst --speed 10\n"
      "  truetape sim --symbols 10 --rate 20000 --seed 7 --for 60s --truth truth.json\n"
      "  truetape sim session.frames.zst --fault cut,at=30s --fault drop,rate=0.001,streams=*@trade\n"
      "  truetape sim session.frames.zst --scenario examples/scenarios/bad-day.toml\n"
      "  truetape sim --venue kucoin --symbols BTC-USDT,ETH-USDT --rate 50 --fault token,how=expired,connection=2\n"
      "  truetape sim --venue finnhub --symbols AAPL,BINANCE:BTCUSDT --news 10 --limit premium=true\n\n"
      "Faults and the file of --truth: docs/simulator.md.\n\n"
      "Exit status:\n"
      "  0  it ran to its end\n"
      "  1  failed: a file cannot be read or written, the port is taken\n"
      "  2  command line or scenario refused");
  const auto asked = std::make_shared<Asked>();
  const auto text = [&](const char* name, std::string& into, const char* about, const char* type) {
    return command->add_option(name, into, about)->type_name(type);
  };
  const auto several = [&](const char* name, std::vector<std::string>& into, const char* about, const char* type) {
    command->add_option(name, into, about)->type_name(type)->expected(1)->take_all()->allow_extra_args(false);
  };
  command->add_option("FILE", asked->files, "Recordings, merged by time; none: trades are generated")->type_name("");
  std::vector<std::string> venues;
  for (const sim::Product product : kProducts) venues.emplace_back(sim::venue_name(product));
  text("--venue", asked->venue, "Which venue it stands in for", "V")
      ->capture_default_str()
      ->check(CLI::IsMember(venues));
  text("--symbol", asked->symbol, "Of CSV files, which do not say it", "S");
  text("--columns", asked->columns, "Where what stands in a CSV file, as `truetape import` takes it", "MAP");
  text("--tape", asked->tape, "Of CSV files: trade or agg", "T")->check(CLI::IsMember({"trade", "agg"}));
  text("--from", asked->from, "Of recordings: only from this time on", "TIME");
  text("--to", asked->to, "Of recordings: only until this time", "TIME");
  text("--symbols", asked->symbols, "Generated: how many, or which, as the venue writes them", "N");
  command->add_option("--rate", asked->rate, "Generated: trades a second, of all symbols (10)")
      ->type_name("R")
      ->check(CLI::Range(0.001, 10'000'000.0));
  command->add_option("--news", asked->news, "Generated Finnhub: headlines a minute, of all symbols")
      ->type_name("R")
      ->check(CLI::Range(0.001, 1'000'000.0));
  text("--length", asked->length, "Generated: how long the tape is; endless without", "D");
  text("--mix", asked->mix, "Generated USD-M: records of other kinds, of 1000: na=5,rpi=10", "MIX");
  command->add_flag("--no-quotes", asked->no_quotes, "Without bookTicker, tickers, level 1");
  command->add_flag("--older-fields", asked->older_fields,
                    "USD-M as before 2026: without st, ps, nq; KuCoin as before 2022");
  command->add_option("--seed", asked->seed, "Of the generator and of faults (1, or the scenario's)")
      ->type_name("N")
      ->each([asked](const std::string&) { asked->has_seed = true; });
  text("--speed", asked->speed, "Times as fast as it happened, or max: as fast as clients take it", "N")
      ->capture_default_str();
  text("--shift", asked->shift, "When the tape begins: none (its own time), now, now+5m, now-5m, TIME", "WHEN");
  command->add_flag("--no-wait", asked->no_wait, "Do not wait for clients");
  text("--lead", asked->lead, "Silence before the tape, once there is a client", "D")->capture_default_str();
  text("--linger", asked->linger, "How long all goes on after the tape; forever", "D")->capture_default_str();
  text("--for", asked->run_for, "Ends after this time at the latest", "D");
  command->add_option("--keep", asked->keep, "Trades of an instrument that REST can still give; 130 bytes each")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  text("--listen", asked->listen, "Address", "IP")->capture_default_str();
  command->add_option("--port", asked->port, "0: a free one")->type_name("P")->capture_default_str();
  text("--certificate", asked->certificate, "PEM; with --key: https and wss", "FILE");
  text("--key", asked->key, "PEM", "FILE");
  several("--scenario", asked->scenarios, "TOML with faults and limits; repeatable", "FILE");
  several("--fault", asked->faults, "One fault: KIND,KEY=VALUE,…; repeatable", "FAULT");
  several("--limit", asked->limits, "One of the venue's limits, as ping_every=1s; repeatable", "KEY=VALUE");
  text("--truth", asked->truth, "Writes what was sent and withheld at the end, JSON", "FILE");
  text("--trades", asked->trades, "Writes all trades that happened, CSV", "FILE");
  command->callback([=, &chosen] { chosen = [=] { return run_sim(*asked); }; });
}

}  // namespace truetape::app
