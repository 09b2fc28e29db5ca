#include "stores/known.h"

#include <algorithm>
#include <string>

#include "stores/history.h"

namespace truetape {

Status expect_known(const History& history, const Instrument& instrument) {
  constexpr std::size_t kNamed = 200;  // bytes of names that are enough
  const auto known = history.known_instruments();
  if (!known) return tl::unexpected{known.error()};
  if (std::ranges::find(*known, instrument) != known->end()) return {};
  std::string there;
  for (const Instrument& one : *known) {
    if (there.size() > kNamed) {
      there += ", …";
      break;
    }
    there.append(there.empty() ? "" : ", ").append(one.str());
  }
  return failure(Fault::not_found, Retry::never,
                 "nothing is known of " + instrument.str() + "; there is " + (there.empty() ? "nothing yet" : there));
}

}  // namespace truetape
