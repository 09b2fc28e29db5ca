#include <vector>

#include "venues/venue.h"

namespace truetape {

// Each folder defines its own.
#define TRUETAPE_VENUE(folder)     \
  namespace folder {               \
  std::span<const Venue> venues(); \
  }
#include "venues/all.inc"
#undef TRUETAPE_VENUE

std::span<const Venue> venues() {
  static const std::vector<Venue> all = [] {
    std::vector<Venue> out;
#define TRUETAPE_VENUE(folder) \
  for (const Venue& venue : folder::venues()) out.push_back(venue);
#include "venues/all.inc"
#undef TRUETAPE_VENUE
    return out;
  }();
  return all;
}

const Venue* find_venue(std::string_view name) {
  for (const Venue& venue : venues())
    if (venue.name == name) return &venue;
  return nullptr;
}

std::vector<Instrument> route_frame(std::string_view venue, std::string_view frame) {
  std::vector<Instrument> out;
  if (const Venue* const known = find_venue(venue)) known->route(frame, out);
  return out;
}

}  // namespace truetape
