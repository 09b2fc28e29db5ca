#include "serve/cross.h"

#include <algorithm>

namespace truetape {
namespace {

constexpr std::size_t kKept = 200;
constexpr const char* kOpenHelp = "Pairs whose prices on two venues are apart now.";
constexpr const char* kPairsHelp = "Pairs of instruments of two venues that are compared.";
constexpr const char* kDeviationsHelp = "Times that prices of a pair on two venues were apart.";

std::string cell(const Deviation& deviation, std::size_t i) {
  RowCells cells;
  put_cells(deviation, cells);
  return std::string{cells.view(i)};
}

}  // namespace

CrossWatch::CrossWatch(CrossOptions options, Interval base, Metrics& metrics,
                       std::function<void(const std::string&)> tell)
    : options_{std::move(options)}, base_{base}, metrics_{metrics}, tell_{std::move(tell)} {
  options_.rule = for_candles(options_.rule, base_);
  for (const auto& [a, b] : options_.pairs) pair(a, b);
  metrics_.counter("truetape_cross_deviations_total", kDeviationsHelp).add(0);
  count();
}

void CrossWatch::pair(const Instrument& first, const Instrument& second) {
  const Instrument &a = std::min(first, second), &b = std::max(first, second);
  if (a.venue() == b.venue()) return;
  const auto [found, made] = pairs_.try_emplace({a, b});
  if (!made) return;
  found->second = std::make_unique<Pair>(Pair{a, b, CrossCheck{a, b, options_.rule}});
  sides_.emplace(a, std::pair{found->second.get(), std::size_t{0}});
  sides_.emplace(b, std::pair{found->second.get(), std::size_t{1}});
}

// Unless the settings name it.
void CrossWatch::drop(const Instrument& first, const Instrument& second) {
  const Instrument &a = std::min(first, second), &b = std::max(first, second);
  const auto found = pairs_.find({a, b});
  if (found == pairs_.end()) return;
  for (const auto& [x, y] : options_.pairs)
    if (std::min(x, y) == a && std::max(x, y) == b) return;
  Pair* const of = found->second.get();
  of->check.finish();
  collect(*of);
  std::erase_if(sides_, [of](const auto& side) { return side.second.first == of; });
  pairs_.erase(found);
}

void CrossWatch::named(const Instrument& instrument, const std::string& name) {
  std::string& before = name_of_[instrument];
  if (before == name) return;
  if (const auto old = names_.find(before); old != names_.end()) {
    std::erase(old->second, instrument);
    for (const Instrument& other : old->second) drop(other, instrument);
    if (old->second.empty()) names_.erase(old);
  }
  before = name;
  if (name.empty()) return;
  std::vector<Instrument>& same = names_[name];
  for (const Instrument& other : same) pair(other, instrument);
  same.push_back(instrument);
}

void CrossWatch::take(const Followed& batch) {
  // What the store says when following begins, or begins anew, may be ahead of the log's candles or behind its names.
  const bool of_store = !batch.begun.empty();
  for (const Reference& reference : batch.references)
    if (options_.same_names && !(of_store && name_of_.contains(reference.instrument)))
      named(reference.instrument, reference.name);
  for (const Candle& row : batch.candles) {
    if (row.interval != base_ || !is_compared(row)) continue;
    for (auto [at, end] = sides_.equal_range(row.instrument); at != end; ++at)
      at->second.first->check.closed(at->second.second, row.end(), *row.close);
  }
  bool moved = false;
  for (const Progress& progress : batch.progress) {
    if (of_store || !progress.closed_until) continue;
    for (auto [at, end] = sides_.equal_range(progress.instrument); at != end; ++at) {
      at->second.first->check.known_until(at->second.second, *progress.closed_until);
      moved = true;
    }
  }
  if (moved)
    for (const auto& [names, of] : pairs_) collect(*of);
  if (moved || !batch.references.empty()) count();
}

void CrossWatch::collect(Pair& of) {
  for (const Deviation& found : of.check.take()) {
    if (!found.to) {
      metrics_.counter("truetape_cross_deviations_total", kDeviationsHelp).add();
      if (tell_)
        tell_(found.a.str() + " and " + found.b.str() + " are apart by " + cell(found, 4) + " % since " +
              cell(found, 2) + ": one of the venues is wrong, slow or alone; see /api/v1/cross and the gaps of both");
      continue;
    }
    ended_.push_front(found);
    if (ended_.size() > kKept) ended_.pop_back();
  }
}

void CrossWatch::count() {
  const auto open = std::ranges::count_if(pairs_, [](const auto& of) { return of.second->check.open().has_value(); });
  metrics_.gauge("truetape_cross_open", kOpenHelp).set(open);
  metrics_.gauge("truetape_cross_pairs", kPairsHelp).set(static_cast<std::int64_t>(pairs_.size()));
}

std::vector<Deviation> CrossWatch::rows() const {
  std::vector<Deviation> out;
  for (const auto& [names, of] : pairs_)
    if (auto open = of->check.open()) out.push_back(std::move(*open));
  std::ranges::stable_sort(out, [](const Deviation& x, const Deviation& y) { return x.from > y.from; });
  out.insert(out.end(), ended_.begin(), ended_.end());
  return out;
}

}  // namespace truetape
