#include "app/backfill_thread.h"

#include <pthread.h>

#include <array>
#include <cstdlib>
#include <random>

#include "app/command.h"
#include "app/lines.h"
#include "net/proxy.h"

namespace truetape::app {
namespace {

void tell(const FeedEvent& event) {
  constexpr std::array kLevels{Level::info, Level::warning, Level::error};
  say(kLevels[static_cast<std::size_t>(event.level)], "backfill", event.text);
}

}  // namespace

std::uint64_t any_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

FillOptions fill_options(const Config& config, std::string_view venue) {
  FillOptions out;
  out.share = config.backfill.share;
  out.seed = any_seed();
  if (const auto found = config.feeds.find(venue); found != config.feeds.end()) {
    const FeedSettings& feed = found->second;
    out.url = feed.fill_url.empty() ? feed.rest_url : feed.fill_url;
    out.api_key = feed.api_key;
  }
  return out;
}

Result<std::unique_ptr<BackfillThread>> BackfillThread::start(const Config& config, Log& log, Metrics& metrics,
                                                              Options asked) {
  std::unique_ptr<BackfillThread> out{new BackfillThread};
  BackfillThread& own = *out;
  auto proxy = net::proxy_from_environment([](const char* name) -> const char* { return std::getenv(name); });
  if (!proxy) return tl::unexpected{proxy.error()};
  auto connector = net::Connector::make(own.loop_, {.ca_file = config.ca_file, .proxy = std::move(*proxy)});
  if (!connector) return tl::unexpected{connector.error()};
  own.connector_ = std::move(*connector);
  BackfillOptions options;
  options.seed = any_seed();
  options.group = std::move(asked.group);
  options.besides = std::move(asked.besides);
  for (const auto& [venue, feed] : config.feeds) options.venues[venue] = fill_options(config, venue);
  own.role_ = std::make_unique<BackfillRole>(
      std::move(options), BackfillParts{.log = log, .connector = *own.connector_, .metrics = &metrics, .tell = tell});
  own.loop_.spawn([&own]() -> net::awaitable<void> {
    co_await own.role_->run();
    own.loop_.stop();
  });
  own.thread_ = std::thread{[&own] {
    ::pthread_setname_np(::pthread_self(), "backfill");
    try {
      own.loop_.run();
    } catch (const std::exception& e) {
      say(Level::error, "backfill",
          std::string{"failed: "} + e.what() +
              "; the process ends. What is in the log is safe, and the next start goes on from it");
      std::_Exit(kFailed);
    }
  }};
  return out;
}

void BackfillThread::stop() {
  if (!thread_.joinable()) return;
  loop_.post([this] { role_->stop(); });
  thread_.join();
}

}  // namespace truetape::app
