#include "app/lines.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>

#include "app/config.h"
#include "codec/cells.h"
#include "core/time.h"

namespace truetape::app {
namespace {

constexpr std::chrono::minutes kMinute{1};
constexpr int kSame = 1, kAlike = 10;     // told in a minute
constexpr std::size_t kMostKept = 1'000;  // beyond it what is oldest is told at once and forgotten

std::string with_milliseconds(Timestamp time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  std::string out = to_rfc3339(second);
  char digits[8];
  std::snprintf(digits, sizeof digits, ".%03dZ",
                static_cast<int>(std::chrono::floor<std::chrono::milliseconds>(time - second).count()));
  return out.replace(out.size() - 1, 1, digits);
}

std::string without_numbers(std::string_view sentence) {
  std::string out;
  for (const char c : sentence) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit)
      out += c;
    else if (out.empty() || out.back() != '\0')
      out += '\0';
  }
  return out;
}

struct Started {
  SystemClock clock;
  std::shared_ptr<spdlog::logger> logger;
  Lines lines;
  static std::shared_ptr<spdlog::logger> make(const std::string& level) {
    auto logger = std::make_shared<spdlog::logger>("truetape", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::from_str(level == "error" ? "err" : level));
    return logger;
  }
  Started(const std::string& level, Lines::Format format)
      : logger{make(level)},
        lines{clock, format, [this](Level of, const std::string& line) {
                static constexpr std::array kLevels{spdlog::level::info, spdlog::level::warn, spdlog::level::err};
                logger->log(kLevels[static_cast<std::size_t>(of)], line);
              }} {}
};

// Never destroyed: threads may have something to say until the process ends.
std::atomic<Started*> started{nullptr};

Started& now() {
  static Started* const before = new Started{"info", Lines::Format::text};
  Started* const there = started;
  return there != nullptr ? *there : *before;
}

}  // namespace

std::string_view name(Level level) {
  static constexpr std::array<std::string_view, 3> kNames{"info", "warning", "error"};
  return kNames[static_cast<std::size_t>(level)];
}

void Lines::put(Level level, std::string_view role, std::string_view sentence) {
  const std::string time = with_milliseconds(clock_.now());
  std::string line;
  if (format_ == Format::text) {
    line = time + ' ' + std::string{name(level)} + ' ' + std::string{role} + ": ";
    for (const char c : sentence) line += c == '\n' || c == '\r' ? ' ' : c;  // one line each
  } else {
    line = "{\"time\":\"" + time + "\",\"level\":\"" + std::string{name(level)} + "\",\"role\":";
    append_json(role, line);
    line += ",\"text\":";
    append_json(sentence, line);
    line += '}';
  }
  out_(level, line);
}

bool Lines::repeats(const std::string& key, int most, Level level, std::string_view role, std::string_view sentence) {
  Repeats& of = repeats_[key];
  if (of.told == 0) of.since = clock_.steady();
  if (of.told < most) {
    ++of.told;
    return false;
  }
  ++of.more;
  of.level = std::max(of.level, level);
  of.role = role;
  of.last = sentence;
  return true;
}

void Lines::end_minutes(bool all) {
  const Steady now = clock_.steady();
  for (auto entry = repeats_.begin(); entry != repeats_.end();) {
    const Repeats& of = entry->second;
    if (!all && now - of.since < kMinute) {
      ++entry;
      continue;
    }
    if (of.more > 0)
      put(of.level, of.role, of.last + " … " + (of.more == 1 ? "once more" : std::to_string(of.more) + " times more"));
    entry = repeats_.erase(entry);
  }
}

void Lines::say(Level level, std::string_view role, std::string_view sentence) {
  const std::lock_guard lock{mutex_};
  end_minutes(repeats_.size() >= kMostKept);
  const std::string key = std::string{role} + '\n';
  if (repeats(key + std::string{sentence}, kSame, level, role, sentence)) return;
  if (repeats(key + without_numbers(sentence) + '\n', kAlike, level, role, sentence)) return;
  put(level, role, sentence);
}

void Lines::tell_repeats(bool all) {
  const std::lock_guard lock{mutex_};
  end_minutes(all);
}

void start_lines(const Config& config) {
  started = new Started{config.log_level, config.log_format == "json" ? Lines::Format::json : Lines::Format::text};
}

void say(Level level, std::string_view role, std::string_view sentence) { now().lines.say(level, role, sentence); }
void tell_repeats(bool all) { now().lines.tell_repeats(all); }
bool lines_are_json() { return now().lines.format() == Lines::Format::json; }

}  // namespace truetape::app
