// One life of the process: the real roles on the log that survives it, as src/app wires them, in one thread. A role
// that fails is made anew after a pause in virtual time, by the rules of roles/run.h.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agenda.h"
#include "core/clock.h"
#include "market/rules.h"
#include "net/connector.h"
#include "roles/ingest.h"
#include "roles/load.h"
#include "roles/process.h"
#include "watched_log.h"

namespace truetape::simulation {

// A role that is stepped when its time has come.
template <class Role>
class Runner {
 public:
  explicit Runner(std::string name, bool keeps) : name_{std::move(name)}, keeps_{keeps} {}

  // `make` opens the role, `step` calls it once. An error that only a person can mend is a breach.
  template <class Make, class Step>
  void turn(Time now, Trace& trace, Watch& watch, Make make, Step step) {
    if (now < not_before_) return;
    if (!role_) {
      auto made = make();
      if (!made) return failed(made.error(), now, trace, watch, true);
      role_ = std::move(*made);
      trace.event(name_ + " opened");
    }
    const Status done = step(*role_);
    if (done)
      pause_ = kFirstPause;
    else
      failed(done.error(), now, trace, watch, !(keeps_ && done.error().retry == Retry::after_backoff));
  }
  void reset() { role_.reset(); }
  const Role* role() const { return role_.get(); }

 private:
  static constexpr Time kFirstPause = 10 * kMillisecond, kLongestPause = 5 * kSecond;

  void failed(const Error& error, Time now, Trace& trace, Watch& watch, bool rebuild) {
    trace.event(name_ + " failed", error.detail);
    if (error.retry == Retry::never) watch.breach(name_ + " needs a person: " + error.detail);
    if (rebuild) role_.reset();
    not_before_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

  const std::string name_;
  const bool keeps_;
  std::unique_ptr<Role> role_;
  Time not_before_ = 0, pause_ = kFirstPause;
};

struct LifeParts {
  net::Loop& loop;
  net::Connector& connector;
  Log& log;
  Watch& watch;
  Trace& trace;
  const Rules& rules;
  std::function<std::unique_ptr<Sink>()> make_sink;
};

class Life {
 public:
  Life(LifeParts parts, IngestOptions ingest, LoadOptions load);
  ~Life();  // as die()
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  void process(Time now);  // one step of each
  void load(Time now, bool flush = false);
  // Stops receiving in good order: begins it; true once all is durable.
  void stop();
  bool stopped() const { return ended_; }
  // The process is gone between two instructions: nothing that its objects do from now on has an effect.
  void die();

  // Process has nothing before it, and load() with `flush` found nothing twice.
  bool drained() const;
  // Retention knows of it.
  bool has_loaded() const { return has_loaded_; }
  ProcessCounts counts;  // of committed steps

 private:
  LifeParts parts_;
  const LoadOptions load_options_;
  WatchedLog log_;
  std::unique_ptr<IngestRole> ingest_;
  bool ended_ = false, dead_ = false;
  int idle_loads_ = 0;
  bool has_loaded_ = false;
  Runner<ProcessRole> process_{"process", false};
  Runner<LoadRole> load_{"load", true};
};

}  // namespace truetape::simulation
