#include "app/pipeline.h"

#include <pthread.h>

#include <filesystem>

#include "app/lines.h"
#include "app/values.h"
#include "batch/decoders.h"
#include "roles/attempts.h"
#include "roles/meters.h"
#include "roles/run.h"
#include "stores/sqlite/sqlite_store.h"

namespace truetape::app {
Pipeline::Pipeline(Log& log, const Config& config, bool adopt, Metrics* metrics, Patience patience)
    : log_{log},
      config_{config},
      adopt_{adopt},
      metrics_{metrics},
      patience_{patience},
      process_thread_{[this](const std::stop_token& stop) { process(stop); }},
      load_thread_{[this](const std::stop_token& stop) { load(stop); }} {}

Pipeline::~Pipeline() = default;

void Pipeline::enter(Phase from, Phase to) {
  const std::lock_guard lock{mutex_};
  if (phase_ != from) return;  // drain() came first
  phase_ = to;
  changed_.notify_all();
}

void Pipeline::give_up(const Error& error) {
  const std::lock_guard lock{mutex_};
  if (!error_) error_ = error;
  failed_ = true;
  changed_.notify_all();
}

bool Pipeline::survives(RoleWatch& role, const Error& error) {
  ++moved_;
  const bool waited_for = patience_ == Patience::limited || phase_ >= Phase::drain_process;
  if (role.survives(error, waited_for ? Patience::limited : Patience::endless)) return true;
  give_up(error);
  return false;
}

void Pipeline::stepped(RoleWatch& role, std::int64_t behind) {
  if (!role.stepped(behind)) return;
  const std::lock_guard lock{mutex_};  // else who waits could miss it between looking and sleeping
  changed_.notify_all();
}

void Pipeline::process(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "process");  // for who looks at the process's threads
  std::unique_ptr<Attempts> attempts;
  ProcessCounts counts;
  QuarantineWord word;
  const std::string shows = "truetape query quarantine --data " + shell_word(config_.data);
  const auto run = [&](std::stop_source& inner) -> Status {
    if (!attempts) {
      auto opened = Attempts::open(std::filesystem::path{config_.data} / "process.attempt");
      if (!opened) return tl::unexpected{opened.error()};
      attempts = std::move(*opened);
    }
    return run_role<ProcessRole>(
        inner.get_token(),
        [&] {
          return ProcessRole::open(log_, config_.rules, all_decoders(), {.metrics = metrics_, .clock = &clock_},
                                   attempts.get());
        },
        [&](ProcessRole& role) -> Status {
          const bool draining = phase_ == Phase::drain_process;
          if (Status done = role.step(); !done) return done;
          const auto lag = role.lag();
          if (!lag) return tl::unexpected{lag.error()};
          stepped(process_, *lag);
          const ProcessCounts more = role.take_counts();
          if (more.steps > 0) ++moved_;
          if (patience_ == Patience::endless) word.add(more, clock_.steady(), shows);
          add(counts, more);
          if (*lag > 0) return {};
          if (phase_ == Phase::settling) {
            left_over_ = std::exchange(counts, {});
            enter(Phase::settling, Phase::running);
          } else if (draining) {
            processed_ = counts;
            set_aside_ = role.set_aside();
            enter(Phase::drain_process, Phase::drain_load);
          }
          return {};
        },
        false,
        [&](const Error& error) {
          if (!survives(process_, error)) inner.request_stop();
        });
  };
  keep_running(stop, run, [this](const Error& error) { return survives(process_, error); });
}

void Pipeline::load(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "load");
  SinkCounts before, current;
  std::uint64_t batches = 0;  // written by the role that there is
  const auto run = [&](std::stop_source& inner) -> Status {
    return run_role<LoadRole>(
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
          const auto lag = role.lag();
          if (!lag) return tl::unexpected{lag.error()};
          if (*lag) stepped(load_, **lag);
          if (std::exchange(batches, role.counts().batches) != role.counts().batches) ++moved_;
          current = role.sink_counts();
          if (draining && *lag && **lag == 0) {
            loaded_ = before;
            add(loaded_, current);
            enter(Phase::drain_load, Phase::done);
          }
          return {};
        },
        true,
        [&](const Error& error) {
          if (!survives(load_, error)) inner.request_stop();
        });
  };
  keep_running(stop, run, [this](const Error& error) { return survives(load_, error); });
}

Status Pipeline::wait_while(const std::function<bool()>& waiting,
                            const std::function<void(std::int64_t, std::int64_t)>& behind) {
  std::unique_lock lock{mutex_};
  while (waiting() && !error_) {
    changed_.wait_for(lock, std::chrono::milliseconds{100});
    lock.unlock();
    behind(process_.behind(), load_.behind());
    lock.lock();
  }
  if (error_) return tl::unexpected{*error_};
  return {};
}

Status Pipeline::begin() {
  return wait_while([this] { return !process_.began() || !load_.began(); }, [](std::int64_t, std::int64_t) {});
}

Status Pipeline::settle(const std::function<void(std::int64_t, std::int64_t)>& behind) {
  return wait_while([this] { return phase_ == Phase::settling || !load_.began(); }, behind);
}

Status Pipeline::drain(const std::function<void(std::int64_t, std::int64_t)>& behind) {
  {
    const std::lock_guard lock{mutex_};
    phase_ = Phase::drain_process;
    changed_.notify_all();
  }
  return wait_while([this] { return phase_ != Phase::done; }, behind);
}

}  // namespace truetape::app
