#include "app/load_worker.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "app/lines.h"
#include "app/open.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {

namespace {

constexpr std::chrono::seconds kLagEvery{5};

// Loaders of one store divide the partitions, those of different ones do not. One store is one file of one machine.
std::string store_of(const Config& config) {
  std::error_code error;
  // The whole path also while there is no file yet.
  const std::filesystem::path file =
      std::filesystem::weakly_canonical(std::filesystem::absolute(config.store_file(), error), error);
  return host_name() + ':' + (error ? std::filesystem::path{config.store_file()} : file).string();
}

}  // namespace

LoadWorker::LoadWorker(const Config& config, Metrics& metrics, LoaderOptions options, const std::atomic<bool>& ended)
    : config_{config},
      metrics_{metrics},
      options_{std::move(options)},
      worker_{"load", config, metrics, ended, options_.drain ? Patience::limited : Patience::endless},
      store_{store_of(config)},
      adopts_{options_.adopt} {}

Result<std::unique_ptr<LoadWorker>> LoadWorker::open(const Config& config, Metrics& metrics, LoaderOptions options,
                                                     const std::atomic<bool>& ended) {
  std::unique_ptr<LoadWorker> out{new LoadWorker{config, metrics, std::move(options), ended}};
  if (Status opened = out->worker_.open(); !opened) return tl::unexpected{opened.error()};
  if (!out->adopts_) return out;
  // What is made from now on wins over the rows of another log, or of another continuation of this one.
  if (Status renewed = out->worker_.log().renew_epoch(); !renewed) return tl::unexpected{renewed.error()};
  say(Level::info, "load",
      "the log's epoch is renewed: workers that run make rows of the new one from when they next take partitions over");
  return out;
}

Result<std::unique_ptr<LoadRole>> LoadWorker::make() {
  add(before_, std::exchange(current_, {}));
  lag_.reset();
  SqliteOptions sink;
  sink.log_id = worker_.log().id();
  sink.adopt = adopts_;
  sink.adopt_command = load_command(config_) + " --adopt";
  LoadOptions options;
  options.store = store_;
  options.adopt_command = sink.adopt_command;
  options.metrics = &metrics_;
  auto role = LoadRole::open(worker_.log(), make_sqlite_sink(config_.store_file(), sink), worker_.clock(), options);
  if (!role) return told(role.error());
  return role;
}

tl::unexpected<Error> LoadWorker::told(const Error& error) const {
  return failure(error.fault, error.retry, sentence(config_, error));
}

Status LoadWorker::step(LoadRole& role, std::stop_source& inner) {
  if (Status done = role.step(); !done) return told(done.error());
  if (options_.drain)
    if (Status done = role.flush(); !done) return told(done.error());
  const SinkCounts before = std::exchange(current_, role.sink_counts());
  if (const Status up = worker_.reach(current_.rows > before.rows); !up)
    return failure(up.error().fault, Retry::after_backoff, up.error().detail);  // the role has what it has, and goes on
  if (!worker_.look_is_due()) return {};
  if (Status done = tell(role); !done) return done;
  if (!options_.drain || !lag_) return {};
  const auto all = drained();
  if (!all) return tl::unexpected{all.error()};
  if (*all) inner.request_stop();
  return {};
}

// Every part is asked for its end, which costs as many answers of the brokers.
Status LoadWorker::tell(const LoadRole& role) {
  const auto now = worker_.clock().steady();
  if (!lag_ || now - lag_at_ >= kLagEvery) {
    auto lag = role.lag();
    lag_at_ = worker_.clock().steady();
    // The role has nothing to do with it, and goes on.
    if (!lag) return failure(lag.error().fault, Retry::after_backoff, lag.error().detail);
    lag_ = *lag;
  }
  if (!lag_) return {};  // it is not known yet which partitions are ours
  adopts_ = false;       // what it was for is done
  worker_.stepped(1, *lag_);
  if (!std::exchange(ready_told_, true) && options_.ready) options_.ready();
  return {};
}

// Does the store have all that there was at the first look, whoever loaded it?
Result<bool> LoadWorker::drained() {
  KafkaLog& log = worker_.log();
  if (!ends_) {
    std::vector<End> ends;
    for (const std::string_view topic : LoadOptions{}.topics)
      for (std::int32_t partition = 0; partition < log.partitions(); ++partition) {
        const auto span = log.span(topic, partition);
        if (!span) return failure(span.error().fault, Retry::after_backoff, span.error().detail);
        if (span->end > span->oldest) ends.push_back({topic, partition, span->end});
      }
    ends_ = std::move(ends);
    history_ = open_sqlite_history(config_.store_file());
  }
  while (!ends_->empty()) {
    const End& one = ends_->back();
    const auto loaded = history_->loaded(one.topic, one.partition);
    if (!loaded) return told(loaded.error());
    if (loaded->value_or(0) < one.end) return false;
    ends_->pop_back();
  }
  return true;
}

Status LoadWorker::run(const std::stop_token& stop) {
  return worker_.run<LoadRole>(
      stop, [this] { return make(); }, [this](LoadRole& role, std::stop_source& inner) { return step(role, inner); },
      true);
}

SinkCounts LoadWorker::loaded() const {
  SinkCounts out = before_;
  add(out, current_);
  return out;
}

}  // namespace truetape::app
