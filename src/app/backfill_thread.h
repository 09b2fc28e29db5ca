// The role backfill of `truetape run` and of `truetape backfill`: on a Loop of its own with its own thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <thread>

#include "app/config.h"
#include "core/clock.h"
#include "net/loop.h"
#include "roles/backfill.h"

namespace truetape::app {

// How the venue's REST interface is asked for trades, as the configuration says.
FillOptions fill_options(const Config& config, std::string_view venue);

class BackfillThread {
 public:
  struct Options {
    std::string group;             // of those that divide the partitions; empty: all are ours
    std::set<Instrument> besides;  // asked for besides what is wanted by the topic `control`
  };
  // Borrowed: `config` (during the call), `log`, `metrics`.
  static Result<std::unique_ptr<BackfillThread>> start(const Config& config, Log& log, Metrics& metrics,
                                                       Options options);
  ~BackfillThread() { stop(); }
  // Ends what is under way. What was put and is not durable is asked for again after the next start.
  void stop();

 private:
  BackfillThread() = default;
  const SystemClock clock_{};
  net::Loop loop_{clock_};
  std::unique_ptr<net::Connector> connector_;
  std::unique_ptr<BackfillRole> role_;
  std::thread thread_;
};

// A seed that no other process has.
std::uint64_t any_seed();

}  // namespace truetape::app
