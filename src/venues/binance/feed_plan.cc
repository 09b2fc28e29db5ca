#include "venues/binance/feed_plan.h"

#include <algorithm>

namespace truetape::binance {

std::string_view suffix(StreamKind kind) {
  switch (kind) {
    case StreamKind::trade:
      return "@trade";
    case StreamKind::agg:
      return "@aggTrade";
    case StreamKind::best:
      return "@bookTicker";
    case StreamKind::ticker:
      break;
  }
  return "@ticker";
}

// USD-M: the order book's streams and, undocumented, @trade are on /public; the rest on /market.
Route route_of(Product product, StreamKind kind) {
  if (product == Product::spot) return Route::spot;
  return kind == StreamKind::trade || kind == StreamKind::best ? Route::usdm_public : Route::usdm_market;
}

std::string_view path(Route route) {
  switch (route) {
    case Route::spot:
      return "/stream";
    case Route::usdm_public:
      return "/public/stream";
    case Route::usdm_market:
      break;
  }
  return "/market/stream";
}
std::string_view name(Route route) {
  switch (route) {
    case Route::spot:
      return "spot";
    case Route::usdm_public:
      return "public";
    case Route::usdm_market:
      break;
  }
  return "market";
}

Stream stream_of(const Instrument& instrument, StreamKind kind) {
  std::string text{instrument.symbol()};
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  text += suffix(kind);
  return {std::move(text), instrument, kind};
}

ConnectionPlan::ConnectionPlan(Product product, const std::vector<StreamKind>& kinds, PlanLimits limits)
    : product_{product}, limits_{limits} {
  for (const StreamKind kind : kinds) kinds_[route_of(product, kind)].push_back(kind);
}

// One instrument's streams of a route stay together.
std::size_t ConnectionPlan::room_for(Route route, std::size_t streams) {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].route == route && slots_[i].streams.size() + streams <= std::max(limits_.streams, streams)) return i;
  slots_.push_back({route, {}});
  return slots_.size() - 1;
}

std::vector<ConnectionPlan::Change> ConnectionPlan::want(const std::set<Instrument>& instruments) {
  std::map<std::size_t, Change> changes;
  const auto change = [&](std::size_t slot) -> Change& {
    return changes.try_emplace(slot, Change{slot, {}, {}}).first->second;
  };
  std::set<Instrument> gone;
  std::ranges::set_difference(wanted_, instruments, std::inserter(gone, gone.end()));
  for (std::size_t i = 0; i < slots_.size() && !gone.empty(); ++i) {
    auto& streams = slots_[i].streams;
    for (auto at = streams.begin(); at != streams.end();) {
      if (!gone.contains(at->second.instrument)) {
        ++at;
        continue;
      }
      change(i).remove.push_back(std::move(at->second));
      at = streams.erase(at);
    }
  }
  for (const Instrument& instrument : instruments) {
    if (wanted_.contains(instrument) || instrument.venue() != venue_name(product_)) continue;
    for (const auto& [route, kinds] : kinds_) {
      const std::size_t slot = room_for(route, kinds.size());
      for (const StreamKind kind : kinds) {
        Stream stream = stream_of(instrument, kind);
        change(slot).add.push_back(stream);
        slots_[slot].streams.try_emplace(stream.name, std::move(stream));
      }
    }
  }
  wanted_ = instruments;
  std::vector<Change> out;
  for (auto& [slot, what] : changes) {
    const auto by_name = [](const Stream& a, const Stream& b) { return a.name < b.name; };
    std::ranges::sort(what.add, by_name);
    out.push_back(std::move(what));
  }
  return out;
}

std::size_t batch_size(std::span<const std::string> names, const PlanLimits& limits) {
  std::size_t count = 0, bytes = 0;
  while (count < names.size() && count < limits.names) {
    bytes += names[count].size() + 3;  // quotes and a comma
    if (count > 0 && bytes > limits.bytes) break;
    ++count;
  }
  return count;
}

}  // namespace truetape::binance
