// What `import` shows: a progress line on a terminal, and the summary at the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/config.h"
#include "app/import_way.h"
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
  void settling(std::int64_t process, std::int64_t load);
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
  ImportDid did;
  std::chrono::steady_clock::duration took;
  std::optional<std::pair<Timestamp, Timestamp>> covers;

  const RolesDid* roles() const { return std::get_if<RolesDid>(&did); }
  const BesideDid* beside() const { return std::get_if<BesideDid>(&did); }
  const KafkaDid* kafka() const { return std::get_if<KafkaDid>(&did); }
};
// Why nothing of what was read is of use, and what to do; empty: something is, or nothing was refused.
std::string useless_sentence(const Config& config, const Finished& finished);
// Of a range (OpenRanges::File::name) that a kill left open and that has been ended now.
std::string ended_sentence(const std::string& name);
// Of each file whose range a kill left open and that has been ended now, a line.
std::string ended_text(const std::vector<std::string>& files);
// What a store lacks for good, one sentence that says what to do; empty: nothing.
Result<std::string> missing_sentence(const History& history);

// Reads the store for what it says of the imported instruments; nullptr: no store is known here.
Result<std::string> summary_text(const Config& config, const History* history, const Finished& finished);

}  // namespace truetape::app
