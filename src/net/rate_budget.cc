#include "net/rate_budget.h"

#include <algorithm>
#include <charconv>

#include "net/http_date.h"

namespace truetape::net {
namespace {

constexpr int kSlots = 64;

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

RateBudget::RateBudget(RateConfig config) : config_{std::move(config)} {
  for (RateWindow& rule : config_.windows) windows_.push_back({.rule = rule, .slots = {}, .sum = 0});
}

std::int64_t RateBudget::allowed(const Counted& window) const {
  return std::max<std::int64_t>(1, window.rule.limit * std::clamp(config_.share_percent, 1, 100) / 100);
}

void RateBudget::forget(Counted& window, SteadyTime now) {
  while (!window.slots.empty() && window.slots.front().last + window.rule.length <= now) {
    window.sum -= window.slots.front().weight;
    window.slots.pop_front();
  }
}

void RateBudget::add(Counted& window, std::int64_t weight, SteadyTime now) {
  forget(window, now);
  window.sum += weight;
  if (!window.slots.empty() && now - window.slots.back().first < window.rule.length / kSlots) {
    window.slots.back().weight += weight;
    window.slots.back().last = std::max(window.slots.back().last, now);
  } else {
    window.slots.push_back({.first = now, .last = now, .weight = weight});
  }
}

Nanoseconds RateBudget::wait(std::int64_t weight, SteadyTime now) {
  Nanoseconds longest =
      std::max(Nanoseconds::zero(), blocked_until_ > now ? blocked_until_ - now : Nanoseconds::zero());
  for (Counted& window : windows_) {
    const std::int64_t asked = window.rule.per_request ? 1 : weight;
    const std::int64_t most = allowed(window);
    if (asked > most) return Nanoseconds::max();
    forget(window, now);
    std::int64_t over = window.sum + asked - most;  // so much has to leave the window first
    for (auto slot = window.slots.begin(); over > 0 && slot != window.slots.end(); ++slot) {
      over -= slot->weight;
      if (over <= 0) longest = std::max(longest, Nanoseconds{slot->last + window.rule.length - now});
    }
  }
  return longest;
}

void RateBudget::spend(std::int64_t weight, SteadyTime now) {
  for (Counted& window : windows_) add(window, window.rule.per_request ? 1 : weight, now);
}

void RateBudget::answered(int status, const Headers& headers, SteadyTime now, Timestamp utc) {
  for (Counted& window : windows_) {
    if (window.rule.used_header.empty()) continue;
    const auto told = number(headers.get(window.rule.used_header));
    if (!told) continue;
    // More than we know of: others use this address too, or we did before a restart. Less only means that the venue's
    // window began later than ours.
    forget(window, now);
    if (*told > window.sum) add(window, *told - window.sum, now);
  }
  if (status != 429 && status != 418) {
    // An answer to a request that was under way when the ban began does not end it.
    if (status < 400 && now >= blocked_until_) bans_ = 0;
    return;
  }
  const bool banned = status == 418;
  Nanoseconds pause = config_.limited_wait;
  if (banned) {
    pause = config_.first_ban;
    for (int i = 0; i < bans_ && pause < config_.longest_ban; ++i) pause *= 2;
    pause = std::min(pause, config_.longest_ban);
    ++bans_;
  }
  pause = retry_after(headers, utc).value_or(pause);
  block_until(now + pause, banned ? Block::banned : Block::limited);
}

void RateBudget::block_until(SteadyTime until, Block why) {
  if (until < blocked_until_) return;
  blocked_until_ = until;
  why_ = why;
}

RateBudget::Block RateBudget::block(SteadyTime now) const { return now < blocked_until_ ? why_ : Block::none; }

std::int64_t RateBudget::used(std::size_t window, SteadyTime now) {
  forget(windows_.at(window), now);
  return windows_.at(window).sum;
}

void RateBudget::set_limit(std::size_t window, std::int64_t limit) { windows_.at(window).rule.limit = limit; }

}  // namespace truetape::net
