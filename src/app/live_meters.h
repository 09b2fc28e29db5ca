// What `truetape run` tells metrics of the whole rather than of one role: the log's bytes and readers, room on the
// disk, memory, gaps, trouble (docs/metrics.md).
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "app/config.h"
#include "app/pipeline.h"
#include "core/clock.h"
#include "metrics/metrics.h"
#include "stores/history.h"

namespace truetape::app {

class LiveMeters {
 public:
  struct Of {  // borrowed
    const Pipeline& pipeline;
    const History& history;
  };
  // `metrics` and `config` outlive it.
  LiveMeters(Metrics& metrics, const Config& config, Of of);
  // One thread. What is cheap each time; gaps, which are read from the store, each half minute.
  void look();

 private:
  struct OfVenue {
    std::array<std::int64_t, 6> gaps{}, missing{};  // by GapState
    std::int64_t oldest_open = SecondsGauge::kNone;
  };
  void look_at_machine();
  void look_at_gaps();

  Metrics& metrics_;
  const Config& config_;
  const Of of_;
  const SystemClock clock_{};
  std::chrono::steady_clock::time_point gaps_at_{};  // when to look again
  std::map<std::string, OfVenue> gaps_;              // by venue; those that have feeds from the beginning
};

// Of any process that runs on: its version, when it began, and zero of what seldom happens to these roles.
void meter_program(Metrics& metrics, const Clock& clock, std::span<const char* const> roles);
void meter_trouble(Metrics& metrics, const char* role, bool there);
void meter_memory(Metrics& metrics);
void meter_store(Metrics& metrics, const std::filesystem::path& store);

// Bytes of this process's memory that no file stands behind; 0: not known. The log's map is not among them.
std::uint64_t anonymous_bytes();

}  // namespace truetape::app
