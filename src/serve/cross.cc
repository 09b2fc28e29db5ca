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

CrossWatch::CrossWatch(CrossOptions options, Metrics& metrics, std::function<void(const std::string&)> tell)
    : options_{std::move(options)}, metrics_{metrics}, tell_{std::move(tell)} {
  for (const auto& [a, b] : options_.pairs) pair(a, b);
  metrics_.gauge("truetape_cross_open", kOpenHelp).set(0);
  metrics_.gauge("truetape_cross_pairs", kPairsHelp).set(static_cast<std::int64_t>(pairs_.size()));
  metrics_.counter("truetape_cross_deviations_total", kDeviationsHelp).add(0);
}

void CrossWatch::pair(const Instrument& first, const Instrument& second) {
  const Instrument &a = std::min(first, second), &b = std::max(first, second);
  if (a.venue() == b.venue()) return;
  const auto [found, made] = pairs_.try_emplace({a, b});
  if (!made) return;
  found->second = std::make_unique<Pair>(Pair{a, b, CrossCheck{a, b, options_.rule}});
  sides_.emplace(a, std::pair{found->second.get(), std::size_t{0}});
  sides_.emplace(b, std::pair{found->second.get(), std::size_t{1}});
  metrics_.gauge("truetape_cross_pairs", kPairsHelp).set(static_cast<std::int64_t>(pairs_.size()));
}

void CrossWatch::named(const Instrument& instrument, const std::string& name) {
  std::vector<Instrument>& same = names_[name];
  if (std::ranges::find(same, instrument) != same.end()) return;
  for (const Instrument& other : same) pair(other, instrument);
  same.push_back(instrument);
}

void CrossWatch::take(const Followed& batch, const Changes& changes, const Recent& recent) {
  for (const Reference& reference : batch.references)
    if (options_.same_names && !reference.name.empty()) named(reference.instrument, reference.name);
  if (pairs_.empty()) return;
  const Interval base = recent.intervals().front();
  for (const CandlePtr& candle : changes.candles) {
    const Candle& row = candle->row;
    if (row.interval != base || row.status == CandleStatus::open || !row.close) continue;
    for (auto [at, end] = sides_.equal_range(row.instrument); at != end; ++at)
      at->second.first->check.closed(at->second.second, row.end(), *row.close);
  }
  bool moved = false;
  for (const Progress& progress : changes.progress) {
    if (!progress.closed_until) continue;
    for (auto [at, end] = sides_.equal_range(progress.instrument); at != end; ++at) {
      at->second.first->check.known_until(at->second.second, *progress.closed_until);
      moved = true;
    }
  }
  if (!moved) return;
  std::int64_t open = 0;
  for (const auto& [names, of] : pairs_) {
    for (const Deviation& found : of->check.take()) {
      const std::string pair_name = found.a.str() + " and " + found.b.str();
      if (!found.to) {
        metrics_.counter("truetape_cross_deviations_total", kDeviationsHelp).add();
        if (tell_)
          tell_(pair_name + " are apart by " + cell(found, 4) + " % since " + cell(found, 2) +
                ": one of the venues is wrong, slow or alone; see /api/v1/cross and the gaps of both");
        continue;
      }
      ended_.push_front(found);
      if (ended_.size() > kKept) ended_.pop_back();
    }
    if (of->check.open()) ++open;
  }
  metrics_.gauge("truetape_cross_open", kOpenHelp).set(open);
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
