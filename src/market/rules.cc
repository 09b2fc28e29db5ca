#include "market/rules.h"

#include <charconv>
#include <initializer_list>
#include <optional>

#include "core/decimal.h"

namespace truetape {
namespace {

std::string duration_text(Nanoseconds d) {
  if (d % std::chrono::seconds{1} == Nanoseconds{0}) return std::to_string(d / std::chrono::seconds{1}) + "s";
  if (d % std::chrono::milliseconds{1} == Nanoseconds{0})
    return std::to_string(d / std::chrono::milliseconds{1}) + "ms";
  return std::to_string(d.count()) + "ns";
}

// Ten years: sums of a time and a setting then stay far from where nanoseconds end.
constexpr Nanoseconds kLongest = std::chrono::hours{24 * 3650};

std::string_view action_text(Action a) {
  return a == Action::accept ? "accept" : a == Action::mark ? "mark" : "quarantine";
}

std::optional<Action> parse_action(std::string_view text) {
  for (const Action a : {Action::accept, Action::mark, Action::quarantine})
    if (text == action_text(a)) return a;
  return std::nullopt;
}

// Words joined by commas; the empty word stands for trades of venues that have no kinds.
std::string join(const std::set<std::string, std::less<>>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (&word != &*words.begin()) out += ',';
    out += word.empty() ? "-" : word;
  }
  return out;
}

std::set<std::string, std::less<>> split(std::string_view text) {
  std::set<std::string, std::less<>> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    out.emplace(word == "-" ? std::string_view{} : word);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return out;
}

struct DurationSetting {
  std::string_view name;
  Nanoseconds Rules::*member;
};
constexpr DurationSetting kDurations[] = {
    {"rule.bound", &Rules::bound},       {"rule.future.tolerance", &Rules::future_tolerance},
    {"rule.hold", &Rules::hold},         {"rule.horizon", &Rules::horizon},
    {"rule.lost_for", &Rules::lost_for}, {"rule.settle", &Rules::settle}};

// What may be said for a venue or an instrument.
struct ActionSetting {
  std::string_view name;
  Action Rules::*member;
  std::optional<Action> NarrowRules::*narrow;
  bool quarantines = true;
};
constexpr ActionSetting kActions[] = {
    {"rule.crossed", &Rules::crossed, &NarrowRules::crossed},
    {"rule.far_from_median", &Rules::far_from_median, &NarrowRules::far_from_median, false},
    {"rule.off_lot", &Rules::off_lot, &NarrowRules::off_lot},
    {"rule.off_tick", &Rules::off_tick, &NarrowRules::off_tick}};
constexpr std::string_view kTolerance = "rule.future.tolerance", kBand = "rule.far_from_median_band";

// "0.1" is 1,000; from 0.0001 to 1.
std::optional<std::uint32_t> parse_band(std::string_view text) {
  const auto parsed = parse_decimal(text);
  if (parsed.fault != DecimalFault::none) return std::nullopt;
  const Int128 units = to_amount(parsed.value).units, part = to_amount(Decimal{1, 4}).units;
  if (units < part || units > part * 10'000 || units % part != 0) return std::nullopt;
  return static_cast<std::uint32_t>(units / part);
}

std::string band_text(std::uint32_t band) { return to_text(Decimal{band, 4}); }

std::optional<Nanoseconds> parse_length(std::string_view value) {
  const auto duration = parse_duration(value);
  return duration && *duration <= kLongest ? duration : std::nullopt;
}

bool is_venue(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

Status refuse(std::string_view name, std::string_view value, std::string_view allowed) {
  return failure(Fault::malformed, Retry::never,
                 std::string{name} + " = \"" + std::string{value} + "\" is not allowed: " + std::string{allowed});
}

}  // namespace

std::vector<std::pair<std::string, std::string>> to_pairs(const Rules& rules) {
  std::string intervals;
  for (const Interval interval : rules.intervals) intervals += (intervals.empty() ? "" : ",") + to_text(interval);
  std::vector<std::pair<std::string, std::string>> out;
  out.emplace_back("intervals", intervals);
  out.emplace_back("rule.bound", duration_text(rules.bound));
  out.emplace_back("rule.crossed", action_text(rules.crossed));
  out.emplace_back("rule.far_from_median", action_text(rules.far_from_median));
  out.emplace_back("rule.far_from_median_band", band_text(rules.median_band));
  out.emplace_back("rule.folded_kinds", join(rules.folded_kinds));
  out.emplace_back("rule.future.tolerance", duration_text(rules.future_tolerance));
  out.emplace_back("rule.hold", duration_text(rules.hold));
  out.emplace_back("rule.horizon", duration_text(rules.horizon));
  out.emplace_back("rule.lost_for", duration_text(rules.lost_for));
  out.emplace_back("rule.max_windows", std::to_string(rules.max_windows));
  out.emplace_back("rule.off_lot", action_text(rules.off_lot));
  out.emplace_back("rule.off_tick", action_text(rules.off_tick));
  out.emplace_back("rule.settle", duration_text(rules.settle));
  out.emplace_back("rule.stored_kinds", join(rules.stored_kinds));
  out.emplace_back("rule.version", std::to_string(rules.version));
  for (const auto& [scope, narrow] : rules.narrower) {
    const auto add = [&, &at = scope](std::string_view name, std::string_view value) {
      out.emplace_back(std::string{name} + '@' + at, value);
    };
    for (const ActionSetting& setting : kActions)
      if (const auto& action = narrow.*setting.narrow) add(setting.name, action_text(*action));
    if (narrow.median_band) add(kBand, band_text(*narrow.median_band));
    if (narrow.future_tolerance) add(kTolerance, duration_text(*narrow.future_tolerance));
  }
  return out;
}

std::optional<std::string_view> wide_name(std::string_view name) {
  const std::size_t at = name.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view wide = name.substr(0, at), scope = name.substr(at + 1);
  if (!is_venue(scope) && !Instrument::parse(scope)) return std::nullopt;
  if (wide == kTolerance || wide == kBand) return wide;
  for (const ActionSetting& setting : kActions)
    if (wide == setting.name) return wide;
  return std::nullopt;
}

namespace {

RulesOf narrowed(const Rules& rules, std::initializer_list<std::string_view> scopes) {
  RulesOf out{rules.off_tick,        rules.off_lot,          rules.crossed,
              rules.far_from_median, rules.future_tolerance, rules.median_band};
  for (const std::string_view scope : scopes) {
    const auto found = rules.narrower.find(scope);
    if (found == rules.narrower.end()) continue;
    const NarrowRules& narrow = found->second;
    out.off_tick = narrow.off_tick.value_or(out.off_tick);
    out.off_lot = narrow.off_lot.value_or(out.off_lot);
    out.crossed = narrow.crossed.value_or(out.crossed);
    out.far_from_median = narrow.far_from_median.value_or(out.far_from_median);
    out.future_tolerance = narrow.future_tolerance.value_or(out.future_tolerance);
    out.median_band = narrow.median_band.value_or(out.median_band);
  }
  return out;
}

}  // namespace

RulesOf rules_of(const Rules& rules, const Instrument& instrument) {
  return narrowed(rules, {instrument.venue(), instrument.text()});
}
RulesOf rules_of(const Rules& rules, std::string_view venue) { return narrowed(rules, {venue}); }

Status set(Rules& rules, std::string_view name, std::string_view value) {
  if (const auto wide = wide_name(name)) {
    const auto found = rules.narrower.try_emplace(std::string{name.substr(wide->size() + 1)}).first;
    Rules as_wide;
    NarrowRules& narrow = found->second;
    const bool back = value == "default";
    if (const Status done = back ? Status{} : set(as_wide, *wide, value); !done) {
      if (narrow == NarrowRules{}) rules.narrower.erase(found);
      return refuse(name, value, done.error().detail);
    }
    if (*wide == kTolerance) narrow.future_tolerance = back ? std::nullopt : std::optional{as_wide.future_tolerance};
    if (*wide == kBand) narrow.median_band = back ? std::nullopt : std::optional{as_wide.median_band};
    for (const ActionSetting& setting : kActions)
      if (*wide == setting.name) narrow.*setting.narrow = back ? std::nullopt : std::optional{as_wide.*setting.member};
    if (narrow == NarrowRules{}) rules.narrower.erase(found);
    return {};
  }
  for (const auto& [setting, member] : kDurations) {
    if (name != setting) continue;
    const auto duration = parse_length(value);
    if (!duration)
      return refuse(name, value, "a whole number with ns, us, ms, s, m, h or d, such as \"10s\", and at most 3650d");
    rules.*member = *duration;
    return {};
  }
  if (name == "intervals") {
    std::vector<Interval> intervals;
    for (std::string_view rest = value;;) {
      const std::size_t comma = rest.find(',');
      const auto interval = parse_interval(rest.substr(0, comma));
      if (!interval) return refuse(name, value, "lengths from 1s to 1d separated by commas, such as \"1s,1m,5m\"");
      intervals.push_back(*interval);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    rules.intervals = std::move(intervals);
    return check(rules);
  }
  if (name == "rule.folded_kinds" || name == "rule.stored_kinds") {
    (name == "rule.folded_kinds" ? rules.folded_kinds : rules.stored_kinds) = split(value);
    return {};
  }
  for (const ActionSetting& setting : kActions) {
    if (name != setting.name) continue;
    const auto action = parse_action(value);
    if (!setting.quarantines && (!action || *action == Action::quarantine))
      return refuse(name, value, "accept or mark; a rule that looks at other trades decides nothing");
    if (!action) return refuse(name, value, "accept, mark or quarantine");
    rules.*setting.member = *action;
    return {};
  }
  if (name == kBand) {
    const auto band = parse_band(value);
    if (!band) return refuse(name, value, "a part of the price from 0.0001 to 1, with four decimals at most");
    rules.median_band = *band;
    return {};
  }
  if (name == "rule.max_windows" || name == "rule.version") {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number == 0)
      return refuse(name, value, "a whole number from 1 to 4294967295");
    (name == "rule.version" ? rules.version : rules.max_windows) = number;
    return {};
  }
  return failure(Fault::not_found, Retry::never, "there is no setting named " + std::string{name});
}

Status check(const Rules& rules) {
  if (rules.intervals.empty())
    return failure(Fault::malformed, Retry::never, "intervals is empty: name at least one, such as \"1m\"");
  const Interval base = rules.intervals.front();
  for (std::size_t i = 0; i < rules.intervals.size(); ++i) {
    const Interval interval = rules.intervals[i];
    if (interval.count() < 1 || interval.count() > 86'400 || 86'400 % interval.count() != 0)
      return failure(
          Fault::malformed, Retry::never,
          "interval " + to_text(interval) + " is not allowed: from 1s to 1d, and a whole number of them in a day");
    if (interval.count() % base.count() != 0 || (i > 0 && interval <= rules.intervals[i - 1]))
      return failure(Fault::malformed, Retry::never,
                     "interval " + to_text(interval) +
                         " is not allowed: each must be longer than the one before it and a multiple of the first");
  }
  if (rules.hold < std::chrono::seconds{1})
    return failure(
        Fault::malformed, Retry::never,
        "rule.hold is shorter than 1s: it must not be, since a venue's clock may contradict its ids by so much");
  if (rules.horizon < rules.hold)
    return failure(Fault::malformed, Retry::never, "rule.horizon is shorter than rule.hold: it must not be");
  return {};
}

}  // namespace truetape
