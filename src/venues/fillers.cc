#include <array>

#include "venues/feed_entry.h"
#include "venues/filler.h"

namespace truetape {

std::string_view name(FillAnswer::What what) {
  constexpr std::array<std::string_view, 8> kNames{"given",  "part",    "nothing", "refused",
                                                   "unable", "too_old", "trouble", "stopped"};
  return kNames[static_cast<std::size_t>(what)];
}

Result<std::unique_ptr<Filler>> make_filler(std::string_view venue, const FillOptions& options, FeedParts parts) {
  if (options.share < 10 || options.share > 45)
    return failure(Fault::malformed, Retry::after_backoff,
                   "share is " + std::to_string(options.share) + "; it may be from 10 to 45");
  for (const FeedEntry& entry : feed_entries())
    if (entry.venue == venue && entry.make_filler != nullptr) return entry.make_filler(options, std::move(parts));
  return failure(Fault::not_found, Retry::never,
                 "the venue " + std::string{venue} + " cannot be asked for what is missing");
}

}  // namespace truetape
