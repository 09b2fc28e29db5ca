#include "app/live_threads.h"

#include <pthread.h>

#include <array>
#include <cstdlib>
#include <random>

#include "app/command.h"
#include "app/lines.h"
#include "net/proxy.h"

namespace truetape::app {
namespace {

constexpr Nanoseconds kLastAnswers = std::chrono::seconds{2};

// What a loop throws has left work half done, which nobody can clear up: as after a crash, the next start goes on from
// the log.
void run(net::Loop& loop, const char* role) {
  ::pthread_setname_np(::pthread_self(), role);  // for who looks at the process's threads
  try {
    loop.run();
  } catch (const std::exception& e) {
    say(Level::error, role,
        std::string{"failed: "} + e.what() +
            "; the process ends. What is in the log is safe, and the next start goes on from it");
    std::_Exit(kFailed);
  }
}

void tell(const FeedEvent& event) {
  constexpr std::array kLevels{Level::info, Level::warning, Level::error};
  say(kLevels[static_cast<std::size_t>(event.level)], "ingest",
      event.connection.empty() ? event.text : event.connection + ": " + event.text);
}

std::uint64_t new_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

Result<ServeConfig> serve_config(const ServeSettings& settings, const CrossSettings& cross) {
  ServeConfig out;
  out.cross.rule.band = cross.band / 100;
  out.cross.rule.hold = cross.hold;
  out.cross.pairs = cross.pairs;
  out.cross.same_names = cross.same_names;
  out.http.address = settings.address;
  out.http.port = settings.port;
  out.http.certificate_file = settings.certificate;
  out.http.key_file = settings.key;
  out.read_token = settings.read_token;
  out.control_token = settings.control_token;
  out.stale_after = settings.stale_after;
  if (const Status good = check(out); !good) return tl::unexpected{good.error()};
  return out;
}

Result<std::unique_ptr<IngestThread>> IngestThread::start(const Config& config, Log& log, Metrics& metrics) {
  std::unique_ptr<IngestThread> out{new IngestThread};
  IngestThread& own = *out;
  auto proxy = net::proxy_from_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (!proxy) return tl::unexpected{proxy.error()};
  auto connector = net::Connector::make(own.loop_, {.ca_file = config.ca_file, .proxy = std::move(*proxy)});
  if (!connector) return tl::unexpected{connector.error()};
  own.connector_ = std::move(*connector);
  IngestOptions options;
  options.seed = new_seed();
  for (const auto& [venue, feed] : config.feeds)
    options.feeds[venue] = {.stream_url = feed.stream_url,
                            .rest_url = feed.rest_url,
                            .tape = feed.tape,
                            .best = feed.best,
                            .ticker = feed.ticker,
                            .connections = feed.connections,
                            .symbols = feed.symbols,
                            .news = feed.news,
                            .token = feed.token};
  own.role_ = std::make_unique<IngestRole>(
      std::move(options), IngestParts{.log = log, .connector = *own.connector_, .metrics = &metrics, .tell = tell});
  own.loop_.spawn([&own]() -> net::awaitable<void> {
    own.durable_ = co_await own.role_->run();
    own.loop_.stop();
  });
  own.thread_ = std::thread{[&own] { run(own.loop_, "ingest"); }};
  return out;
}

bool IngestThread::stop() {
  if (thread_.joinable()) {
    loop_.post([this] { role_->stop(); });
    thread_.join();
  }
  return durable_;
}

Result<std::unique_ptr<ServeThread>> ServeThread::start(const Config& config, ServeParts parts) {
  std::unique_ptr<ServeThread> out{new ServeThread};
  ServeThread& own = *out;
  auto settings = serve_config(config.serve, config.cross);
  if (!settings) return tl::unexpected{settings.error()};
  own.serve_ = std::make_unique<Serve>(own.loop_, std::move(*settings), std::move(parts));
  const auto port = own.serve_->listen();
  if (!port) return tl::unexpected{port.error()};
  own.port_ = *port;
  own.thread_ = std::thread{[&own] { run(own.loop_, "serve"); }};
  return out;
}

void ServeThread::stop() {
  if (!thread_.joinable()) return;
  loop_.spawn([this]() -> net::awaitable<void> {
    co_await serve_->stop(kLastAnswers);
    loop_.stop();
  });
  thread_.join();
}

Result<std::unique_ptr<StandbyThread>> StandbyThread::start(const Config& config, Metrics& metrics,
                                                            std::string reason) {
  std::unique_ptr<StandbyThread> out{new StandbyThread};
  StandbyThread& own = *out;
  auto settings = serve_config(config.serve, config.cross);
  if (!settings) return tl::unexpected{settings.error()};
  own.standby_ = std::make_unique<Standby>(own.loop_, std::move(*settings), metrics, std::move(reason));
  if (const auto port = own.standby_->listen(); !port) return tl::unexpected{port.error()};
  own.thread_ = std::thread{[&own] { run(own.loop_, "serve"); }};
  return out;
}

StandbyThread::~StandbyThread() {
  if (!thread_.joinable()) return;
  loop_.spawn([this]() -> net::awaitable<void> {
    co_await standby_->stop(kLastAnswers);
    loop_.stop();
  });
  thread_.join();
}

Result<std::unique_ptr<MonitorThread>> MonitorThread::start(const ServeSettings& settings, MonitorParts parts) {
  std::unique_ptr<MonitorThread> out{new MonitorThread};
  MonitorThread& own = *out;
  auto config = serve_config(settings);
  if (!config) return tl::unexpected{config.error()};
  own.monitor_ = std::make_unique<Monitor>(own.loop_, std::move(*config), std::move(parts));
  if (const auto port = own.monitor_->listen(); !port) return tl::unexpected{port.error()};
  own.thread_ = std::thread{[&own] { run(own.loop_, "monitor"); }};
  return out;
}

MonitorThread::~MonitorThread() {
  if (!thread_.joinable()) return;
  loop_.spawn([this]() -> net::awaitable<void> {
    co_await monitor_->stop(kLastAnswers);
    loop_.stop();
  });
  thread_.join();
}

}  // namespace truetape::app
