// The lines on standard error that tell a person what goes on while the program runs: when, how bad, which role, and
// one sentence. error: data is lost, or somebody must do something; warning: it was survived, and needs somebody if it
// lasts; info: for the curious. docs/runbook.md has a paragraph for each that asks for somebody.
//
//   2026-11-22T04:47:00.123Z warning load: the store … is locked …
//   {"time":"2026-11-22T04:47:00.123Z","level":"warning","role":"load","text":"the store … is locked …"}
//
// What repeats is counted instead: the same sentence is told once a minute, sentences that differ in numbers only ten
// times a minute; "… 37 times more" follows when the minute is over.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/clock.h"

namespace truetape::app {

struct Config;

enum class Level : std::uint8_t { info, warning, error };
std::string_view name(Level level);

// Any thread.
class Lines {
 public:
  enum class Format : std::uint8_t { text, json };
  using Out = std::function<void(Level, const std::string& line)>;  // without line end

  Lines(const Clock& clock, Format format, Out out) : clock_{clock}, format_{format}, out_{std::move(out)} {}

  void say(Level level, std::string_view role, std::string_view sentence);
  // Tells the counts whose minute is over; `all`: every one. Now and then, and at the end.
  void tell_repeats(bool all = false);
  Format format() const { return format_; }

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Repeats {
    Steady since{};
    int told = 0;            // in the minute that began then
    std::uint64_t more = 0;  // and were not told
    Level level = Level::info;
    std::string role, last;
  };
  bool repeats(const std::string& key, int most, Level level, std::string_view role, std::string_view sentence);
  void put(Level level, std::string_view role, std::string_view sentence);
  void end_minutes(bool all);

  const Clock& clock_;
  const Format format_;
  const Out out_;
  std::mutex mutex_;
  std::map<std::string, Repeats> repeats_;  // by role and sentence, and by these without numbers
};

// To standard error from now on, from `config.log_level` on.
void start_lines(const Config& config);
// Before start_lines() in the format of text, from info on.
void say(Level level, std::string_view role, std::string_view sentence);
void tell_repeats(bool all = false);
// Whoever reads standard error wants JSON.
bool lines_are_json();

}  // namespace truetape::app
