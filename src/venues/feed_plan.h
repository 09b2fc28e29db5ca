// Which streams go over which connection. Pure. Streams keep their connection as long as they are wanted: what is added
// or removed elsewhere does not move them.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "venues/feed_dialect.h"

namespace truetape::feeds {

class ConnectionPlan {
 public:
  struct Slot {  // one connection's load
    std::size_t route;
    std::map<std::string, Stream, std::less<>> streams;  // by name
  };
  struct Change {
    std::size_t slot;
    std::vector<Stream> add, remove;  // in the order of their names
  };

  // `dialect` outlives it.
  ConnectionPlan(const Dialect& dialect, const std::vector<StreamKind>& kinds, PlanLimits limits = {});

  // All that is wanted from now on. Only slots that change, in their order; new ones come behind. A slot is never
  // removed, one without streams is the first to be filled again.
  std::vector<Change> want(const std::set<Instrument>& instruments);
  const std::vector<Slot>& slots() const { return slots_; }
  // Wanted, but the venue's limits leave no room for them.
  const std::set<Instrument>& left_out() const { return left_out_; }

 private:
  // nullopt: there is none.
  std::optional<std::size_t> room_for(std::size_t route, std::size_t streams);
  bool no_longer_used(const std::string& name, const std::set<Instrument>& gone);

  const Dialect& dialect_;
  std::map<std::size_t, std::vector<StreamKind>> kinds_;  // by route
  PlanLimits limits_;
  std::set<Instrument> wanted_, left_out_;
  std::vector<Slot> slots_;
  std::map<std::string, std::set<Instrument>, std::less<>> users_;  // of shared streams
};

}  // namespace truetape::feeds
