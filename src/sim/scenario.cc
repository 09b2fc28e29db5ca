#include "sim/scenario.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <span>
#include <sstream>

namespace truetape::sim {
namespace {

auto bad(std::string sentence) { return failure(Fault::malformed, Retry::never, std::move(sentence)); }

std::string place(const std::filesystem::path& file, const toml::node& node) {
  return file.string() + ':' + std::to_string(node.source().begin.line) + ": ";
}

// Numbers, strings and booleans as one text, which is how options give them.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) {
    std::array<char, 40> text{};
    return std::string{text.data(), std::to_chars(text.data(), text.data() + text.size(), number->get()).ptr};
  }
  return std::nullopt;
}

std::span<const std::string_view> keys_of(Product product) {
  static constexpr std::array<std::string_view, 20> kBinance{
      "ping_every", "pong_within", "life",         "life_notice", "life_end",        "messages",      "streams",
      "connects",   "url",         "message_size", "weight",      "requests",        "retry_after",   "ban",
      "ban_after",  "flat_errors", "key_needed",   "history",     "aggregate_reach", "reach_is_error"};
  static constexpr std::array<std::string_view, 13> kKucoin{
      "ping_every", "pong_within", "silent",       "life",   "life_end",    "messages",  "streams",
      "batch",      "connects",    "message_size", "weight", "connections", "token_life"};
  static constexpr std::array<std::string_view, 15> kFinnhub{
      "ping_every", "ping_idle", "life",  "life_end", "streams", "message_size", "connections", "kick",
      "token",      "batch",     "flush", "requests", "burst",   "premium",      "hours"};
  if (product == Product::kucoin) return kKucoin;
  if (product == Product::finnhub) return kFinnhub;
  return kBinance;
}

}  // namespace

Limits Limits::of(Product product) {
  using namespace std::chrono_literals;
  Limits limits;
  limits.product = product;
  if (product == Product::kucoin) {
    limits.ping_every = 18s;
    limits.pong_within = 10s;
    limits.messages = 100;
    limits.streams = 400;
    limits.connects = 30;
    limits.weight = 2000;
  } else if (product == Product::finnhub) {
    limits.ping_every = 60s;
    limits.life = 0s;
    limits.streams = 50;
    limits.connections = 1;
    limits.batch = 10;
    limits.requests = 60;
  } else if (product == Product::spot) {
    limits.ping_every = 20s;
    limits.pong_within = 60s;
    limits.messages = 5;
    limits.weight = 6000;
  } else {
    limits.ping_every = 180s;
    limits.pong_within = 600s;
    limits.messages = 10;
    limits.weight = 2400;
    limits.retry_after = false;
    limits.key_needed = true;
    limits.aggregate_reach = std::chrono::hours{48};
  }
  return limits;
}

Status set_limit(Limits& limits, std::string_view key, std::string_view value) {
  const auto refuse = [&](std::string_view allowed) {
    return bad("limits." + std::string{key} + " = \"" + std::string{value} +
               "\" is refused; allowed: " + std::string{allowed});
  };
  const auto span = [&](Nanoseconds& into) -> Status {
    const auto parsed = parse_duration(value);
    if (!parsed) return refuse("a whole number and a unit: 500ms, 30s, 24h; 0s: none");
    into = *parsed;
    return {};
  };
  const auto whole = [&](auto& into) -> Status {
    std::int64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc{} || end != value.data() + value.size() || parsed < 1 || parsed > 1'000'000'000)
      return refuse("a whole number from 1 to 1000000000");
    into = static_cast<std::remove_reference_t<decltype(into)>>(parsed);
    return {};
  };
  const auto flag = [&](bool& into) -> Status {
    if (value != "true" && value != "false") return refuse("true or false");
    into = value == "true";
    return {};
  };
  const auto keys = keys_of(limits.product);
  if (std::ranges::find(keys, key) == keys.end()) {
    std::string all;
    for (const std::string_view one : keys) all += (all.empty() ? "" : ", ") + std::string{one};
    return bad("there is no limit \"" + std::string{key} + "\"; allowed: " + all);
  }
  if (key == "ping_every") return span(limits.ping_every);
  if (key == "pong_within") return span(limits.pong_within);
  if (key == "life") return span(limits.life);
  if (key == "life_notice") return span(limits.life_notice);
  if (key == "life_end") {
    if (value != "fin" && value != "reset" && value != "close") return refuse("fin, reset or close");
    limits.life_end = value;
    return {};
  }
  if (key == "messages") return whole(limits.messages);
  if (key == "streams") return whole(limits.streams);
  if (key == "connects") return whole(limits.connects);
  if (key == "url") return whole(limits.url);
  if (key == "message_size") return whole(limits.message_size);
  if (key == "weight") return whole(limits.weight);
  if (key == "requests") return whole(limits.requests);
  if (key == "retry_after") return flag(limits.retry_after);
  if (key == "ban") return span(limits.ban);
  if (key == "ban_after") return whole(limits.ban_after);
  if (key == "flat_errors") return flag(limits.flat_errors);
  if (key == "key_needed") return flag(limits.key_needed);
  if (key == "history") return flag(limits.history);
  if (key == "aggregate_reach") return span(limits.aggregate_reach);
  if (key == "reach_is_error") return flag(limits.reach_is_error);
  if (key == "connections") return whole(limits.connections);
  if (key == "batch") return whole(limits.batch);
  if (key == "token_life") return span(limits.token_life);
  if (key == "silent") return span(limits.silent);
  if (key == "kick") return flag(limits.kick);
  if (key == "ping_idle") return flag(limits.ping_idle);
  if (key == "flush") return span(limits.flush);
  if (key == "burst") return whole(limits.burst);
  if (key == "premium") return flag(limits.premium);
  if (key == "hours") return flag(limits.hours);
  limits.token = value;
  return {};
}

Status read_scenario(std::string_view text, const std::filesystem::path& name, Scenario& into) {
  toml::table root;
  try {
    root = toml::parse(text, name.string());
  } catch (const toml::parse_error& e) {
    return bad(name.string() + ':' + std::to_string(e.source().begin.line) +
               ": not TOML: " + std::string{e.description()});
  }
  for (const auto& [key, node] : root) {
    if (key == "seed") {
      const auto* seed = node.as_integer();
      if (seed == nullptr || seed->get() < 0) return bad(place(name, node) + "seed is a whole number from 0");
      into.seed = static_cast<std::uint64_t>(seed->get());
    } else if (key == "limits" && node.is_table()) {
      for (const auto& [limit, value] : *node.as_table()) {
        const auto given = text_of(value);
        if (!given) return bad(place(name, value) + "limits." + std::string{limit.str()} + " holds no single value");
        if (const Status done = set_limit(into.limits, limit.str(), *given); !done)
          return bad(place(name, value) + done.error().detail);
      }
    } else if (key == "fault" && node.is_array_of_tables()) {
      for (const toml::node& one : *node.as_array()) {
        std::vector<std::pair<std::string, std::string>> parts;
        for (const auto& [part, value] : *one.as_table()) {
          const auto given = text_of(value);
          if (!given)
            return bad(place(name, value) + "a fault's " + std::string{part.str()} + " holds no single value");
          parts.emplace_back(part.str(), *given);
        }
        auto fault = make_fault(parts);
        if (!fault) return bad(place(name, one) + fault.error().detail);
        into.faults.push_back(std::move(*fault));
      }
    } else {
      return bad(place(name, node) + "\"" + std::string{key.str()} +
                 "\" is not known here; a scenario has seed = N, a table [limits], and tables [[fault]]");
    }
  }
  return {};
}

Status read_scenario_file(const std::filesystem::path& file, Scenario& into) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream out;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error) || !in || !(out << in.rdbuf()))
    return failure(Fault::not_found, Retry::never, file.string() + ": cannot be read; check the path and its rights");
  return read_scenario(std::move(out).str(), file, into);
}

}  // namespace truetape::sim
