#include "app/pipeline.h"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "batch/decoders.h"
#include "roles/attempts.h"
#include "roles/meters.h"
#include "roles/run.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
namespace {

// Pauses between attempts grow to 5 s, so these are about half a minute: a locked store may come free in that time.
constexpr int kMostErrors = 12;

void add(SinkCounts& to, const SinkCounts& more) {
  to.rows += more.rows;
  to.written += more.written;
  to.unchanged += more.unchanged;
  to.contradictions += more.contradictions;
  if (!more.last_contradiction.empty()) to.last_contradiction = more.last_contradiction;
}

}  // namespace

Pipeline::Pipeline(Log& log, const Config& config, bool adopt, Metrics* metrics)
    : log_{log},
      config_{config},
      adopt_{adopt},
      metrics_{metrics},
      process_thread_{[this](std::stop_token stop) { process(stop); }},
      load_thread_{[this](std::stop_token stop) { load(stop); }} {}

Pipeline::~Pipeline() = default;

void Pipeline::enter(Phase phase) {
  const std::lock_guard lock{mutex_};
  phase_ = phase;
  changed_.notify_all();
}

void Pipeline::give_up(const Error& error) {
  const std::lock_guard lock{mutex_};
  if (!error_) error_ = error;
  failed_ = true;
  changed_.notify_all();
}

// A full disk or damage does not heal by waiting, and who imports is there to be told.
bool Pipeline::give_up_after(const Error& error, int& in_a_row) {
  spdlog::warn("{}", error.detail);
  ++moved_;
  if (error.fault != Fault::no_space && error.fault != Fault::corrupt && error.fault != Fault::mismatch &&
      ++in_a_row < kMostErrors)
    return false;
  give_up(error);
  return true;
}

void Pipeline::process(std::stop_token stop) {
  const auto attempts = Attempts::open(std::filesystem::path{config_.data} / "process.attempt");
  if (!attempts) return give_up(attempts.error());
  std::stop_source inner;
  const std::stop_callback forward{stop, [&] { inner.request_stop(); }};
  ProcessCounts counts;
  int errors = 0;
  const Status ended = run_role<ProcessRole>(
      inner.get_token(),
      [&] { return ProcessRole::open(log_, config_.rules, all_decoders(), {.metrics = metrics_}, attempts->get()); },
      [&](ProcessRole& role) -> Status {
        const bool draining = phase_ == Phase::drain_process;
        if (Status done = role.step(); !done) return done;
        errors = 0;
        const auto lag = role.lag();
        if (!lag) return tl::unexpected{lag.error()};
        process_behind_ = *lag;
        if (metrics_ != nullptr) meter_behind(*metrics_, "process", *lag);
        const ProcessCounts more = role.take_counts();
        if (more.steps > 0) ++moved_;
        add(counts, more);
        if (*lag > 0) return {};
        if (phase_ == Phase::settling) {
          left_over_ = std::exchange(counts, {});
          enter(Phase::running);
        } else if (draining) {
          processed_ = counts;
          set_aside_ = role.set_aside();
          enter(Phase::drain_load);
        }
        return {};
      },
      false,
      [&](const Error& error) {
        if (metrics_ != nullptr) meter_retry(*metrics_, "process");
        if (give_up_after(error, errors)) inner.request_stop();
      });
  if (!ended) give_up(ended.error());
}

void Pipeline::load(std::stop_token stop) {
  std::stop_source inner;
  const std::stop_callback forward{stop, [&] { inner.request_stop(); }};
  SinkCounts before, current;
  std::uint64_t batches = 0;  // written by the role that there is
  int errors = 0;
  const Status ended = run_role<LoadRole>(
      inner.get_token(),
      [&] {
        add(before, current);
        current = {};
        SqliteOptions options;
        options.log_id = log_.id();
        options.adopt = adopt_;
        return LoadRole::open(log_, make_sqlite_sink(config_.store_file(), options), clock_, {.metrics = metrics_});
      },
      [&](LoadRole& role) -> Status {
        const bool draining = phase_ == Phase::drain_load;
        if (Status done = role.step(); !done) return done;
        if (draining)
          if (Status done = role.flush(); !done) return done;
        errors = 0;
        const auto lag = role.lag();
        if (!lag) return tl::unexpected{lag.error()};
        load_behind_ = lag->value_or(0);
        if (metrics_ != nullptr) meter_behind(*metrics_, "load", load_behind_);
        if (std::exchange(batches, role.counts().batches) != role.counts().batches) ++moved_;
        if (*lag && !load_ready_) {
          const std::lock_guard lock{mutex_};  // else who waits could miss it between looking and sleeping
          load_ready_ = true;
          changed_.notify_all();
        }
        current = role.sink_counts();
        if (draining && *lag && **lag == 0) {
          loaded_ = before;
          add(loaded_, current);
          enter(Phase::done);
        }
        return {};
      },
      true,
      [&](const Error& error) {
        if (metrics_ != nullptr) meter_retry(*metrics_, "load");
        if (give_up_after(error, errors)) inner.request_stop();
      });
  if (!ended) give_up(ended.error());
}

Status Pipeline::wait_while(const std::function<bool()>& waiting,
                            const std::function<void(std::int64_t, std::int64_t)>& behind) {
  std::unique_lock lock{mutex_};
  while (waiting() && !error_) {
    changed_.wait_for(lock, std::chrono::milliseconds{100});
    lock.unlock();
    behind(process_behind_, load_behind_);
    lock.lock();
  }
  if (error_) return tl::unexpected{*error_};
  return {};
}

Status Pipeline::settle(const std::function<void(std::int64_t, std::int64_t)>& behind) {
  return wait_while([this] { return phase_ == Phase::settling || !load_ready_; }, behind);
}

Status Pipeline::drain(const std::function<void(std::int64_t, std::int64_t)>& behind) {
  enter(Phase::drain_process);
  return wait_while([this] { return phase_ != Phase::done; }, behind);
}

}  // namespace truetape::app
