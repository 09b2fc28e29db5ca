#include "venues/feed_plan.h"

#include <algorithm>

namespace truetape::feeds {

ConnectionPlan::ConnectionPlan(const Dialect& dialect, const std::vector<StreamKind>& kinds, PlanLimits limits)
    : dialect_{dialect}, limits_{limits} {
  for (const StreamKind kind : kinds) kinds_[dialect.route_of(kind)].push_back(kind);
}

// One instrument's streams of a route stay together.
std::optional<std::size_t> ConnectionPlan::room_for(std::size_t route, std::size_t streams) {
  std::size_t of_route = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].route != route) continue;
    ++of_route;
    if (slots_[i].streams.size() + streams <= std::max(limits_.streams, streams)) return i;
  }
  if (of_route >= limits_.connections) return std::nullopt;
  slots_.push_back({route, {}});
  return slots_.size() - 1;
}

bool ConnectionPlan::no_longer_used(const std::string& name, const std::set<Instrument>& gone) {
  std::set<Instrument>& users = users_[name];
  std::erase_if(users, [&](const Instrument& i) { return gone.contains(i); });
  return users.empty();
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
      if (at->second.shared ? !no_longer_used(at->first, gone) : !gone.contains(at->second.instrument)) {
        ++at;
        continue;
      }
      change(i).remove.push_back(std::move(at->second));
      at = streams.erase(at);
    }
  }
  std::erase_if(wanted_, [&](const Instrument& i) { return gone.contains(i); });
  left_out_.clear();
  for (const Instrument& instrument : instruments) {
    if (wanted_.contains(instrument) || instrument.venue() != dialect_.venue().name) continue;
    std::vector<std::pair<std::size_t, Stream>> places;
    bool room = true;
    for (const auto& [route, kinds] : kinds_) {
      const auto slot = room_for(route, kinds.size());
      if (!slot) {
        room = false;
        break;
      }
      for (const StreamKind kind : kinds) places.emplace_back(*slot, dialect_.stream_of(instrument, kind));
    }
    if (!room) {
      left_out_.insert(instrument);
      continue;
    }
    wanted_.insert(instrument);
    for (auto& [slot, stream] : places) {
      if (stream.shared && !users_[stream.name].empty()) {
        users_[stream.name].insert(instrument);
        continue;
      }
      if (stream.shared) users_[stream.name].insert(instrument);
      change(slot).add.push_back(stream);
      slots_[slot].streams.try_emplace(stream.name, std::move(stream));
    }
  }
  std::vector<Change> out;
  for (auto& [slot, what] : changes) {
    const auto by_name = [](const Stream& a, const Stream& b) { return a.name < b.name; };
    std::ranges::sort(what.add, by_name);
    out.push_back(std::move(what));
  }
  return out;
}

}  // namespace truetape::feeds
