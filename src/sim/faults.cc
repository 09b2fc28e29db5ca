#include "sim/faults.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/time.h"

namespace truetape::sim {
namespace {

constexpr std::array<std::string_view, 19> kNames{
    "drop",     "duplicate",  "reorder", "corrupt", "delay",  "stall", "silence", "cut",     "half_open", "shutdown",
    "oversize", "ping_flood", "ack",     "skew",    "refuse", "lag",   "token",   "welcome", "error"};

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What `how` may be, by kind; the first is what an empty one means.
std::vector<std::string_view> hows(FaultKind kind) {
  switch (kind) {
    case FaultKind::corrupt:
      return {"truncate", "flip", "html", "binary"};
    case FaultKind::cut:
      return {"fin", "reset", "close"};
    case FaultKind::ack:
      return {"none", "wrong_id", "refuse", "late"};
    case FaultKind::refuse:
      return {"rest", "handshake", "cut", "reset", "html", "empty", "truncate", "reversed", "repeated"};
    case FaultKind::lag:
      return {"answers", "database"};
    case FaultKind::token:
      return {"refused", "expired"};
    case FaultKind::welcome:
      return {"none", "late"};
    default:
      return {};
  }
}

bool needs_by(const FaultSpec& fault) {
  return fault.kind == FaultKind::delay || fault.kind == FaultKind::skew || fault.kind == FaultKind::lag ||
         ((fault.kind == FaultKind::ack || fault.kind == FaultKind::welcome) && fault.how == "late");
}

auto bad(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

}  // namespace

std::string_view name(FaultKind kind) { return kNames[static_cast<std::size_t>(kind)]; }
std::optional<FaultKind> parse_fault_kind(std::string_view text) {
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<FaultKind>(found - kNames.begin());
}

std::optional<Duration> parse_span(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto span = parse_duration(text);
  if (!span) return std::nullopt;
  const auto value = std::chrono::floor<Duration>(*span);
  return negative ? -value : value;
}

std::string span_text(Duration span) {
  std::string out = span < Duration{} ? "-" : "";
  const std::int64_t ns = std::abs(span.count()) * 1000;
  for (const DurationUnit& unit : kDurationUnits)
    if (ns >= unit.ns && ns % unit.ns == 0) return out + std::to_string(ns / unit.ns) + std::string{unit.name};
  return "0s";
}

std::string harmed_answer(std::string body, std::string_view how) {
  if (how == "empty") return {};
  if (how == "truncate") {
    body.resize(body.size() / 2);
    return body;
  }
  // The first list with rows of brackets, and where they begin and end.
  std::size_t open = 0;
  while ((open = body.find('[', open)) != std::string::npos && open + 1 < body.size() && body[open + 1] != '{' &&
         body[open + 1] != '[')
    ++open;
  if (open == std::string::npos || open + 1 >= body.size()) return body;
  std::vector<std::string> rows;
  int depth = 0;
  bool quoted = false;
  std::size_t from = open + 1, at = from;
  for (; at < body.size(); ++at) {
    const char c = body[at];
    if (quoted) {
      if (c == '\\') ++at;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == ',' || c == ']') && depth == 0) {
      rows.push_back(body.substr(from, at - from));
      from = at + 1;
      if (c == ']') break;
    }
    if ((c == '}' || c == ']') && depth > 0) --depth;
  }
  if (how == "reversed") std::ranges::reverse(rows);
  std::string made = body.substr(0, open + 1);
  for (const std::string& row : rows)
    for (int copy = how == "repeated" ? 2 : 1; copy > 0; --copy) {
      if (made.size() > open + 1) made += ',';
      made += row;
    }
  return made + body.substr(std::min(at, body.size()));
}

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<FaultSpec> make_fault(const std::vector<std::pair<std::string, std::string>>& parts) {
  FaultSpec fault;
  bool kind = false;
  for (const auto& [key, value] : parts) {
    const auto refuse = [&, k = key, v = value](std::string_view allowed) {
      return bad("a fault's " + k + " = \"" + v + "\" is refused; allowed: " + std::string{allowed});
    };
    const auto span = [&](auto& into, bool negative) {
      const auto parsed = parse_span(value);
      if (!parsed || (!negative && *parsed < Duration{})) return false;
      into = *parsed;
      return true;
    };
    const auto whole = [&](auto& into, std::uint64_t least, std::uint64_t most) {
      const auto parsed = parse_number<std::uint64_t>(value);
      if (!parsed || *parsed < least || *parsed > most) return false;
      into = static_cast<std::uint64_t>(*parsed);
      return true;
    };
    constexpr std::string_view kSpan = "a whole number and a unit: 500ms, 30s, 5m";
    constexpr std::uint64_t kMost = 1'000'000'000'000;
    if (key == "kind") {
      const auto parsed = parse_fault_kind(value);
      if (!parsed) {
        std::string all;
        for (const std::string_view one : kNames) all += (all.empty() ? "" : ", ") + std::string{one};
        return refuse(all);
      }
      fault.kind = *parsed;
      kind = true;
    } else if (key == "streams") {
      fault.streams = value;
    } else if (key == "path") {
      fault.path = value;
    } else if (key == "connection") {
      if (!whole(fault.connection, 1, kMost)) return refuse("the number of a WebSocket, from 1");
    } else if (key == "at") {
      if (!span(fault.at, false)) return refuse(kSpan);
    } else if (key == "for") {
      if (!span(fault.length, false)) return refuse(kSpan);
    } else if (key == "every") {
      if (!span(fault.every, false) || *fault.every == Duration{}) return refuse(kSpan);
    } else if (key == "after") {
      std::uint64_t after = 0;
      if (!whole(after, 0, kMost)) return refuse("a whole number");
      fault.after = after;
    } else if (key == "rate") {
      const auto parsed = parse_number<double>(value);
      if (!parsed || !(*parsed > 0) || *parsed > 1) return refuse("a number above 0, up to 1");
      fault.rate = *parsed;
    } else if (key == "count") {
      if (!whole(fault.count, 1, kMost)) return refuse("a whole number from 1");
    } else if (key == "distance") {
      if (!whole(fault.distance, 1, 100'000)) return refuse("a whole number from 1 to 100000");
    } else if (key == "copies") {
      if (!whole(fault.copies, 1, 1000)) return refuse("a whole number from 1 to 1000");
    } else if (key == "size") {
      if (!whole(fault.size, 1, 1 << 28)) return refuse("bytes, from 1 to 268435456");
    } else if (key == "status") {
      std::uint64_t status = 0;
      if (!whole(status, 100, 4999)) return refuse("a status of HTTP, or a close code of WebSocket");
      fault.status = static_cast<int>(status);
    } else if (key == "by") {
      if (!span(fault.by, true)) return refuse(kSpan);
    } else if (key == "how") {
      fault.how = value;
    } else {
      return bad("a fault has no \"" + key +
                 "\"; allowed: kind, streams, connection, path, at, for, every, after, rate, count, by, how, status, "
                 "distance, copies, size");
    }
  }
  if (!kind) return bad("a fault without a kind; write kind = \"drop\", say");
  const auto allowed = hows(fault.kind);
  if (fault.how.empty() && !allowed.empty()) fault.how = allowed.front();
  if (!fault.how.empty() && std::ranges::find(allowed, fault.how) == allowed.end()) {
    std::string all;
    for (const std::string_view one : allowed) all += (all.empty() ? "" : ", ") + std::string{one};
    return bad("a fault of kind " + std::string{name(fault.kind)} + " has no how = \"" + fault.how +
               (all.empty() ? "\"" : "\"; allowed: " + all));
  }
  if (needs_by(fault) && fault.by == Duration{})
    return bad("a fault of kind " + std::string{name(fault.kind)} + " needs `by`: by how much");
  if (fault.every && fault.length && *fault.every < *fault.length)
    return bad("a fault lasts longer (for) than the time until it comes again (every)");
  if ((fault.after || fault.rate > 0) && fault.every) return bad("a fault has either `after` or `rate`, or `every`");
  if (fault.every && !fault.at) fault.at = *fault.every;
  return fault;
}

Result<FaultSpec> parse_fault(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> parts;
  bool first = true;
  while (!text.empty() || first) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    const std::size_t equals = part.find('=');
    if (first && equals == std::string_view::npos)
      parts.emplace_back("kind", part);
    else if (equals == std::string_view::npos)
      return bad("--fault: \"" + std::string{part} + "\" is no KEY=VALUE");
    else
      parts.emplace_back(part.substr(0, equals), part.substr(equals + 1));
    first = false;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return make_fault(parts);
}

std::string to_text(const FaultSpec& fault) {
  std::string out{name(fault.kind)};
  const auto add = [&](std::string_view key, const std::string& value) {
    out += ',';
    out += key;
    out += '=';
    out += value;
  };
  if (!fault.how.empty()) add("how", fault.how);
  if (fault.streams != "*") add("streams", fault.streams);
  if (fault.connection != 0) add("connection", std::to_string(fault.connection));
  if (fault.path != "*") add("path", fault.path);
  if (fault.at) add("at", span_text(*fault.at));
  if (fault.length) add("for", span_text(*fault.length));
  if (fault.every) add("every", span_text(*fault.every));
  if (fault.after) add("after", std::to_string(*fault.after));
  if (fault.rate > 0) {
    std::array<char, 32> text{};
    add("rate", {text.data(), std::to_chars(text.data(), text.data() + text.size(), fault.rate).ptr});
  }
  if (fault.count != 1) add("count", std::to_string(fault.count));
  if (fault.by != Duration{}) add("by", span_text(fault.by));
  if (fault.status != 0) add("status", std::to_string(fault.status));
  if (fault.kind == FaultKind::reorder) add("distance", std::to_string(fault.distance));
  if (fault.kind == FaultKind::duplicate) add("copies", std::to_string(fault.copies));
  if (fault.kind == FaultKind::oversize) add("size", std::to_string(fault.size));
  return out;
}

std::optional<std::pair<std::int64_t, Duration>> fault_window(const FaultSpec& fault, Duration elapsed) {
  const Duration at = fault.at.value_or(Duration{});
  if (elapsed < at) return std::nullopt;
  if (!fault.every) return std::pair{std::int64_t{0}, at};
  const std::int64_t number = (elapsed - at) / *fault.every;
  return std::pair{number, at + number * *fault.every};
}

bool FaultState::hits(const FaultSpec& fault, std::uint64_t seed, std::uint64_t connection, Duration elapsed,
                      std::uint64_t key) {
  const auto window = fault_window(fault, elapsed);
  if (!window) return false;
  if (fault.length && elapsed >= window->second + *fault.length) return false;
  const std::uint64_t number = seen_++;
  if (fault.rate > 0) {
    if (run_ > 0) {
      --run_;
      return true;
    }
    const std::uint64_t dice = mix(mix(seed, connection), key == 0 ? number : key);
    if (fraction(dice) >= fault.rate) return false;
    run_ = fault.count - 1;
    return true;
  }
  if (fault.after) return number >= *fault.after && number - *fault.after < fault.count;
  if (fault.at && !fault.length) {  // the next `count` of each window
    if (window->first != window_) {
      window_ = window->first;
      used_ = 0;
    }
    return used_++ < fault.count;
  }
  return true;
}

bool FaultState::lasts(const FaultSpec& fault, std::uint64_t seed, std::uint64_t connection, Duration elapsed,
                       bool counted, std::uint64_t key) {
  if (!fault.after && fault.rate == 0) {
    const auto window = fault_window(fault, elapsed);
    return window && (!fault.length || elapsed < window->second + *fault.length);
  }
  if (active_until_ && elapsed < *active_until_) return true;
  if (!counted) return false;
  const auto window = fault_window(fault, elapsed);
  if (!window) return false;
  const std::uint64_t number = seen_++;
  const bool begins = fault.rate > 0 ? fraction(mix(mix(seed, connection), key == 0 ? number : key)) < fault.rate
                                     : number == *fault.after;
  if (begins) active_until_ = fault.length ? elapsed + *fault.length : Duration::max();
  return begins;
}

std::optional<Duration> FaultState::until(const FaultSpec& fault, Duration elapsed) const {
  if (!fault.length) return std::nullopt;
  if (fault.after || fault.rate > 0) return active_until_;
  const auto window = fault_window(fault, elapsed);
  return window ? std::optional{window->second + *fault.length} : std::nullopt;
}

bool comes_by_time(const FaultSpec& fault) {
  switch (fault.kind) {
    case FaultKind::cut:
    case FaultKind::half_open:
    case FaultKind::shutdown:
    case FaultKind::oversize:
    case FaultKind::ping_flood:
    case FaultKind::error:
      return fault.at && !fault.after && fault.rate == 0;
    default:
      return false;
  }
}
bool meets_messages(const FaultSpec& fault) {
  switch (fault.kind) {
    case FaultKind::ack:
    case FaultKind::skew:
    case FaultKind::refuse:
    case FaultKind::lag:
    case FaultKind::token:
    case FaultKind::welcome:
      return false;
    default:
      return !comes_by_time(fault);
  }
}

}  // namespace truetape::sim
