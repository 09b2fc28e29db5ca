// What `import` shows: a progress line on a terminal, and the summary at the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "app/config.h"
#include "app/pipeline.h"
#include "batch/import.h"
#include "stores/history.h"

namespace truetape::app {

// "19,904"
std::string grouped(std::uint64_t number);

// One line on standard error that is written over and over, if that is a terminal; else nothing.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  void importing(const ImportProgress& progress);
  void draining(std::int64_t process, std::int64_t load);
  void clear();

 private:
  void show(std::string text);
  bool due();

  bool terminal_;
  std::size_t width_ = 0;  // of what stands there
  std::chrono::steady_clock::time_point start_, last_{};
};

struct Finished {
  const ImportSummary& summary;
  const ProcessCounts& processed;
  const SinkCounts& loaded;
  std::chrono::steady_clock::duration took;
};
// What a store lacks for good, one sentence that says what to do; empty: nothing.
Result<std::string> missing_sentence(const History& history);

// Reads the store for what it says of the imported instruments.
Result<std::string> summary_text(const Config& config, const History& history, const Finished& finished);

}  // namespace truetape::app
