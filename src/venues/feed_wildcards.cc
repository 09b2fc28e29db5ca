#include "venues/feed_wildcards.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace truetape::feeds {

bool Wildcards::want(const std::set<Instrument>& wanted) {
  const std::set<Instrument> before = instruments();
  const std::set<Instrument> named_before = std::exchange(named_, {});
  wildcards_.clear();
  bool unknown = false;
  for (const Instrument& instrument : wanted) {
    if (const auto wildcard = wildcard_of(instrument)) {
      wildcards_.emplace(instrument, *wildcard);
      unknown |= !meant_.contains(instrument);
    } else {
      named_.insert(instrument);
    }
  }
  std::erase_if(meant_, [this](const auto& meant) { return !wildcards_.contains(meant.first); });
  kept_.clear();
  if (unknown) std::ranges::set_difference(before, named_before, std::inserter(kept_, kept_.end()));
  return unknown;
}

std::set<std::string> Wildcards::ranked() const {
  std::set<std::string> out;
  for (const auto& [name, wildcard] : wildcards_)
    if (wildcard.top > 0) out.insert(wildcard.quote);
  return out;
}

std::set<Instrument> Wildcards::select(const Wildcard& wildcard, const std::vector<Offered>& offered,
                                       const std::set<Instrument>& before) {
  std::vector<const Offered*> candidates;
  for (const Offered& one : offered)
    if (may_mean(wildcard, one.quote) && (one.trades || before.contains(one.instrument))) candidates.push_back(&one);
  std::set<Instrument> out;
  if (wildcard.top == 0) {
    for (const Offered* one : candidates) out.insert(one->instrument);
    return out;
  }
  std::ranges::sort(candidates, [](const Offered* a, const Offered* b) {
    return a->turnover != b->turnover ? a->turnover > b->turnover : a->instrument < b->instrument;
  });
  const std::size_t top = wildcard.top, stay = std::min(candidates.size(), top + top / 2);
  for (std::size_t i = 0; i < stay && out.size() < top; ++i)
    if (before.contains(candidates[i]->instrument)) out.insert(candidates[i]->instrument);
  for (std::size_t i = 0; i < candidates.size() && out.size() < top; ++i) out.insert(candidates[i]->instrument);
  return out;
}

bool Wildcards::listed(const std::vector<Offered>& offered, const std::set<std::string>& thin) {
  if (offered.empty()) return false;
  std::map<Instrument, std::set<Instrument>> now;
  std::size_t before = 0, left = 0;
  bool all = true;  // have a meaning
  for (const auto& [name, wildcard] : wildcards_) {
    const auto known = meant_.find(name);
    if (wildcard.top > 0 && thin.contains(wildcard.quote)) {
      all &= known != meant_.end();
      if (known != meant_.end()) now[name] = known->second;
      continue;
    }
    const std::set<Instrument> was = known != meant_.end() ? known->second : std::set<Instrument>{};
    const std::set<Instrument>& is = now[name] = select(wildcard, offered, was);
    before += was.size();
    for (const Instrument& instrument : was) left += is.contains(instrument) ? 1U : 0U;
  }
  if (left * 2 < before && !std::exchange(doubted_, true)) return false;
  doubted_ = false;
  if (all) kept_.clear();
  meant_ = std::move(now);
  return true;
}

std::set<Instrument> Wildcards::idle() const {
  std::set<Instrument> out;
  for (const auto& [name, meant] : meant_)
    if (meant.empty()) out.insert(name);
  return out;
}

std::set<Instrument> Wildcards::instruments() const {
  std::set<Instrument> out = named_;
  out.insert(kept_.begin(), kept_.end());
  for (const auto& [name, meant] : meant_) out.insert(meant.begin(), meant.end());
  return out;
}

}  // namespace truetape::feeds
